"""Field by field against recordings of LiteLLM Proxy 1.106.2: status, header names, members and types of bodies.

Every difference that is meant is in DIFFERENCES, with its reason. Anything else is a failure.
"""

import fnmatch
import json

import httpx
import pytest
import servers
from litellm_wire import FOLDER, Exchange, differences, header_differences, recording, shape

MASTER_KEY = "sk-1234"

# The groups of the recorded proxy, so far as recordings here use them.
CONFIG = """
model_list:
  - model_name: "gpt-4o"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-up", rpm: 600, tpm: 100000}}
    model_info: {{id: "gpt4o-a"}}
  - model_name: "gpt-4o"
    litellm_params: {{model: "openai/gpt-4o-mini", api_base: "{sim}/v1", api_key: "sk-up", rpm: 600, tpm: 100000}}
  - model_name: "emb"
    litellm_params: {{model: "openai/text-embedding-3-small", api_base: "{sim}/v1", api_key: "sk-up"}}
  - model_name: "a1-group"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-up"}}
    model_info: {{id: "a1"}}
  - model_name: "tools"
    litellm_params:
      model: "openai/sim-tools"
      api_base: "{sim}/v1"
      api_key: "sk-up"
      input_cost_per_token: 0.000001
      output_cost_per_token: 0.000001
  - model_name: "wild/*"
    litellm_params: {{model: "openai/*", api_base: "{sim}/v1", api_key: "sk-up"}}
  - model_name: "mhang"
    litellm_params: {{model: "openai/sim-hang", api_base: "{sim}/v1", api_key: "sk-up", timeout: 1}}
  - model_name: "mrefused"
    litellm_params: {{model: "openai/gpt-4o", api_base: "http://127.0.0.1:9/v1", api_key: "sk-up"}}
{faults}
router_settings:
  model_group_alias: {{"alias4": "gpt-4o"}}
  cooldown_time: 30
  num_retries: 0
general_settings:
  master_key: "sk-1234"
"""

FAULTS = {
    "m400": "sim-error-400",
    "m401": "sim-error-401",
    "m403": "sim-error-403",
    "m404": "sim-error-404",
    "m408": "sim-error-408",
    "m429": "sim-error-429-retry-1",
    "m500": "sim-error-500",
    "m503": "sim-error-503",
    "mctx": "sim-context",
    "mpolicy": "sim-policy",
    "mgarbage": "sim-html-502",
    "mmid": "sim-cut-3",
    "msse": "sim-event-3",
}

# Recording (with * for any), difference (with *), why ours is meant to be so.
DIFFERENCES = [
    ("*", "+x-tollgate-*", "what Tollgate adds lives under names of its own"),
    (
        "*",
        "+access-control-allow-origin",
        "the same reply whoever asks: LiteLLM sends `*` too, but only to requests that have an Origin",
    ),
    (
        "*",
        "+x-litellm-version",
        "the version is there on errors as well, where support needs it most",
    ),
    (
        "err_badjson",
        "+x-litellm-*",
        "a body that is no JSON has a call id like any other failed call",
    ),
    (
        "*",
        "-$.choices[[]].*provider_specific_fields",
        "an OpenAI reply is relayed as the provider wrote it; this member of LiteLLM's repeats what is in the reply",
    ),
    (
        "chat_stream*",
        "+$.choices[[]].finish_reason",
        "a chunk is relayed as the provider wrote it, with its `finish_reason: null`, as OpenAI documents",
    ),
    (
        "chat_stream_usage",
        "+$.usage",
        "likewise: with include_usage OpenAI's chunks before the last have `usage: null`",
    ),
    (
        "chat_stream_usage",
        "!*choices: 1 items, ours 0",
        "the usage chunk has an empty list of choices, as OpenAI documents it",
    ),
    (
        "embeddings",
        "-$.usage.completion_tokens",
        "relayed: OpenAI's embeddings have no completion tokens, and LiteLLM's is always 0",
    ),
    (
        "*",
        "*cost-cache-read",
        "whether this part of the cost is there depends on the usage that the provider reported",
    ),
    ("*", "*cost-reasoning", "as for cost-cache-read"),
    (
        "err_up_m429",
        "+retry-after",
        "how long the provider asks to wait reaches the caller; LiteLLM hides it under its prefix",
    ),
    (
        "err_up_m*",
        "!$.error.param: *",
        "the provider's own `param` is passed on, and whether there is one is the provider's; test_openai_rest.py "
        "holds that it is",
    ),
    (
        "model_info_v1",
        "-$.data[[]].litellm_params.allow_client_keepalive_override",
        "a switch that this deployment does not set, of a feature that Tollgate has not",
    ),
    ("model_info_v1", "-$.data[[]].litellm_params.merge_reasoning_content_in_choices", "likewise"),
    ("model_info_v1", "-$.data[[]].litellm_params.use_*", "likewise"),
    ("model_info_v1", "-$.data[[]].model_info.member_auto_router", "likewise"),
    (
        "model_info_v1",
        "-$.data[[]].model_info.*access*",
        "`direct_access` and `access_via_team_ids` tell about teams, which are not part of a gateway without a "
        "database",
    ),
    ("model_info_v1", "-$.data[[]].model_info.pricing_overrides", "LiteLLM's own bookkeeping of its admin pages"),
    (
        "model_group_info_one",
        "+$.data[[]].supports_*",
        "more of the catalogue's capabilities than LiteLLM tells about a group",
    ),
    ("model_info_v1", "+$.data[[]].model_info.supports_*", "likewise, about a deployment"),
    (
        "model_*info*",
        "~$.data[[]].*",
        "members that are null where they are recorded: 140 facts about other modes and providers that say nothing",
    ),
]

# The recorded provider and the simulator name these as they like; whether they are there is the provider's choice.
PROVIDER_MEMBERS = (
    "$.usage.completion_tokens_details*",
    "$.usage.prompt_tokens_details*",
    "$.usage.cost",
    "$.service_tier",
    "$.system_fingerprint",
    "$.choices[[]].message.annotations",
    "$.choices[[]].message.refusal",
    "$.choices[[]].logprobs",
    "$.choices[[]].delta.refusal",
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, simulator):
    faults = "".join(
        f'  - model_name: "{group}"\n'
        f'    litellm_params: {{model: "openai/{model}", api_base: "{simulator.url}/v1", api_key: "sk-up"}}\n'
        for group, model in FAULTS.items()
    )
    config = CONFIG.format(sim=simulator.url, faults=faults)
    with servers.gateway(tmp_path_factory.mktemp("contract"), config, name="contract") as server:
        yield server


def replay(proxy, theirs: Exchange, path: str | None = None, body: str | None = None) -> Exchange:
    """Sends a recorded request to ours."""
    headers = {"content-type": "application/json"}
    if theirs.key:
        headers["authorization"] = f"Bearer {theirs.key}"
    url = proxy.url + (path or theirs.path)
    reply = httpx.request(
        theirs.method, url, headers=headers, content=body or theirs.request, timeout=30, trust_env=False
    )
    return Exchange(
        theirs.method, theirs.path, theirs.request, theirs.key, reply.status_code, dict(reply.headers), reply.text
    )


def intended(name: str, difference: str) -> bool:
    where = difference[1:].split(": ")[0]
    if any(fnmatch.fnmatchcase(where, member) for member in PROVIDER_MEMBERS):
        return True
    return any(
        fnmatch.fnmatchcase(name, pattern) and fnmatch.fnmatchcase(difference, which)
        for pattern, which, _ in DIFFERENCES
    )


def check(name: str, theirs: Exchange, ours: Exchange, body_differences: list[str]) -> None:
    found = [] if theirs.status == ours.status else [f"status {theirs.status}, ours {ours.status}"]
    found += header_differences(theirs.headers, ours.headers)
    found += body_differences
    unexplained = [difference for difference in found if not intended(name, difference)]
    assert not unexplained, "\n".join([f"{name} differs:", *unexplained, ours.body[:1500]])


def body_differences(theirs: Exchange, ours: Exchange) -> list[str]:
    try:
        return differences(shape(theirs.json()), shape(ours.json()))
    except json.JSONDecodeError as error:
        return [f"!$: not JSON: {error}: {ours.body[:200]}"]


PLAIN = [
    "chat_nonstream",
    "text_completion",
    "embeddings",
    "azure_path",
    "engines_path",
    "wildcard",
    "alias",
    "by_model_id",
    "err_400_badmodel",
    "err_401_badkey",
    "err_401_nokey",
    "err_401_nonsk",
    "err_badjson",
    "err_emptybody",
    "err_nomessages",
    "err_nomodel",
    "health_liveliness",
    "health_noauth",
    "health_readiness",
    "health_readiness_noauth",
    "models",
    "model_one",
    "model_info_v1",
    "model_group_info_one",
]


@pytest.mark.parametrize("name", PLAIN)
def test_a_reply_has_the_recorded_shape(proxy, name):
    theirs = recording(name)
    # The recorded proxy knew deployments by ids and aliases of its own configuration; ours has the same.
    ours = replay(proxy, theirs)
    check(name, theirs, ours, body_differences(theirs, ours))


def test_a_tool_call_has_the_recorded_shape(proxy):
    theirs = recording("tools")
    body = theirs.request.replace('"gpt-4o"', '"tools"')
    ours = replay(proxy, theirs, body=body)
    check("tools", theirs, ours, body_differences(theirs, ours))


UPSTREAM = [
    "err_up_m400",
    "err_up_m401",
    "err_up_m403",
    "err_up_m404",
    "err_up_m408",
    "err_up_m429",
    "err_up_m500",
    "err_up_m503",
    "err_up_mctx",
    "err_up_mpolicy",
    "err_up_mgarbage",
    "err_up_mhang",
    "err_up_mrefused",
    "stream_err_before",
]


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_providers_failure_has_the_recorded_shape_type_and_opening(proxy, name):
    theirs = recording(name)
    ours = replay(proxy, theirs)
    check(name, theirs, ours, body_differences(theirs, ours))
    expected, got = theirs.json()["error"], ours.json()["error"]
    assert got["type"] == expected["type"]
    # The message opens with the class of the exception, by which callers tell failures apart.
    assert got["message"].split(":")[0] == expected["message"].split(":")[0]
    if theirs.status != 400:
        assert got["code"] == expected["code"]


SAME_MESSAGE = [
    "err_400_badmodel",
    "err_401_nokey",
    "err_401_nonsk",
    "err_emptybody",
    "err_nomessages",
    "err_nomodel",
    "health_noauth",
]


@pytest.mark.parametrize("name", SAME_MESSAGE)
def test_messages_that_callers_match_on_are_the_same(proxy, name):
    theirs = recording(name)
    ours = replay(proxy, theirs)
    assert ours.json()["error"] == theirs.json()["error"]


def test_an_unknown_keys_message_opens_the_same_and_never_shows_the_key(proxy):
    theirs = recording("err_401_badkey")
    ours = replay(proxy, theirs).json()["error"]
    opening = "Authentication Error, Invalid proxy server token passed."
    assert ours["message"].startswith(opening)
    assert theirs.key not in ours["message"]
    assert (ours["type"], ours["param"], ours["code"]) == ("token_not_found_in_db", "key", "401")


@pytest.mark.parametrize("name", ["chat_stream", "chat_stream_usage"])
def test_a_stream_has_the_recorded_shape(proxy, name):
    theirs = recording(name)
    ours = replay(proxy, theirs)
    expected, got = theirs.events(), ours.events()
    assert got[-1] == expected[-1] == "[DONE]"
    shapes = differences([shape(event) for event in expected[:-1]], [shape(event) for event in got[:-1]])
    check(name, theirs, ours, [difference.replace("$[]", "$") for difference in shapes])
    with_usage = [event for event in got[:-1] if event.get("usage")]
    assert len(with_usage) == (1 if name.endswith("usage") else 0)
    # No finish_reason key before the last chunk of content.
    reasons = [choice.get("finish_reason") for event in got[:-1] for choice in event["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]


@pytest.mark.parametrize("name", ["stream_err_mid_close", "stream_err_mid_sse"])
def test_a_stream_that_fails_ends_with_an_error_and_no_done(proxy, name):
    theirs = recording(name)
    ours = replay(proxy, theirs)
    expected, got = theirs.events(), ours.events()
    assert expected[-1]["error"].keys() == got[-1]["error"].keys()
    assert "[DONE]" not in got
    assert got[-1]["error"]["code"] == expected[-1]["error"]["code"]
    check(name, theirs, ours, [])


HEALTH = """
model_list:
  - model_name: "good"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-up", rpm: 600}}
    model_info: {{id: "good-id"}}
  - model_name: "bad"
    litellm_params: {{model: "openai/sim-error-500", api_base: "{sim}/v1", api_key: "sk-up"}}
    model_info: {{id: "bad-id"}}
general_settings:
  master_key: "sk-1234"
"""


def test_the_health_of_every_deployment_is_listed(tmp_path, simulator):
    theirs = recording("health")
    with servers.gateway(tmp_path, HEALTH.format(sim=simulator.url), name="health") as proxy:
        ours = replay(proxy, theirs)
    assert ours.status == 200
    expected, got = theirs.json(), ours.json()
    assert expected.keys() <= got.keys()
    [good], [bad] = got["healthy_endpoints"], got["unhealthy_endpoints"]
    assert (got["healthy_count"], got["unhealthy_count"]) == (1, 1)
    assert good["model_id"] == "good-id" and good["model"] == "openai/gpt-4o" and good["rpm"] == 600
    assert bad["model_id"] == "bad-id" and bad["error"].startswith("litellm.InternalServerError")
    assert "Traceback" not in bad["error"] and "sk-up" not in json.dumps(got)


def test_every_header_of_the_provider_comes_back_under_its_prefix(proxy, simulator):
    """As recorded: all of them prefixed, rate limits and the request's id also plain."""
    body = recording("chat_nonstream").request
    direct = httpx.post(
        f"{simulator.url}/v1/chat/completions",
        headers={"authorization": "Bearer sk-up", "content-type": "application/json"},
        content=body,
        trust_env=False,
    )
    ours = replay(proxy, recording("chat_nonstream")).headers
    skipped = {"connection", "keep-alive", "transfer-encoding", "content-length", "date"}
    expected = set(direct.headers) - skipped
    assert expected, "the simulator sends headers of its own"
    assert {f"llm_provider-{name}" for name in expected} <= set(ours)
    for name in expected:
        if name.startswith("x-ratelimit-"):
            assert name in ours


def test_every_recording_is_compared():
    """A recording that nothing reads is a promise that nothing keeps."""
    used = {*PLAIN, *UPSTREAM, *SAME_MESSAGE, "tools", "health"}
    used |= {"chat_stream", "chat_stream_usage", "stream_err_mid_close", "stream_err_mid_sse"}
    there = {file.stem for file in FOLDER.glob("*.txt")}
    assert there == used
