"""Sixteen failover scenarios as an application sees them: streams through the official openai package.

A primary deployment `p` and a second `s` make the group `m`, which falls back on `other`, a cheaper model at `f`. What
the client is given is held against what the simulator was asked: who, in which order, how often.
"""

import json
import re
import time
from dataclasses import dataclass, field

import httpx
import openai
import pytest
import servers
from conftest import say

# An answer of 60 tokens, no two of which are alike, at four letters a token.
TEXT = "".join(f"w{number:02} " for number in range(60))
PATIENCE_SECONDS = 30
CHAIN = "fallbacks: [{m: [other]}], stream_timeout: 0.4"

CONFIG = """
model_list:
  - model_name: m
    litellm_params: {{model: "{model}", api_base: "{sim}/d/p{path}", api_key: sk-p, weight: 1}}
    model_info: {{id: p}}
  - model_name: m
    litellm_params: {{model: "{model}", api_base: "{sim}/d/s{path}", api_key: sk-s, weight: 0}}
    model_info: {{id: s}}
  - model_name: other
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "{sim}/d/f/v1", api_key: sk-f}}
    model_info: {{id: f}}
router_settings: {{{router}}}
tollgate_settings: {{chunk_timeout_seconds: 0.4}}
"""


@dataclass
class Scenario:
    """What goes wrong, how often the application asks, and whom the gateway is to have asked."""

    name: str
    goes_wrong: list[dict]
    asks: int
    sends: str
    router: str = CHAIN
    error: type[openai.APIStatusError] | None = None
    model: str = "openai/gpt-4o"
    headers: dict[str, str] = field(default_factory=dict)


def p(behave: str, **more) -> dict:
    """The primary behaves like this."""
    return {"deployment": "p", "behave": behave, "text": TEXT, **more}


def gpt_4o(behave: str) -> dict:
    """Both deployments of the group behave like this."""
    return {"model": "gpt-4o", "behave": behave, "text": TEXT}


RESCUED = "ps"
SCENARIOS = [
    Scenario("429 with a time is honoured", [p("error-429-retry-30", times=1)], 10, "p" + 10 * "s"),
    Scenario("429 that lasts is not hammered", [p("error-429-retry-60")], 20, "p" + 20 * "s"),
    Scenario("500 once", [p("error-500", times=1)], 4, "psppp", headers={"x-litellm-model-id": "p"}),
    Scenario("503", [p("error-503")], 6, "pspspssss"),
    Scenario("TCP reset", [p("reset-head")], 5, "pspspsss"),
    Scenario("silence", [p("hang")], 1, "ps", headers={"x-litellm-model-id": "s"}),
    Scenario("first token late by 20 s", [p("first-20s")], 1, "ps"),
    Scenario("cut at token 40 of 60", [p("cut-40")], 1, RESCUED),
    Scenario("stall", [p("stall-40")], 1, RESCUED),
    Scenario("malformed chunk", [p("malformed-40")], 1, RESCUED),
    Scenario("no [DONE]", [p("nodone")], 1, "p"),
    Scenario(
        "context length exceeded",
        [gpt_4o("context")],
        1,
        "pf",
        router="context_window_fallbacks: [{m: [other]}]",
        headers={"x-litellm-attempted-fallbacks": "1"},
    ),
    Scenario("content filter", [gpt_4o("policy")], 1, "p", error=openai.BadRequestError),
    Scenario(
        "a rescuer that rejects prefill", [p("cut-40")], 1, RESCUED, model="anthropic/claude-opus-4-6"
    ),
    Scenario("flapping primary", [p("error-503", times=3)], 5, "pspspsss", router=CHAIN + ", cooldown_time: 1"),
    Scenario(
        "accounting",
        [gpt_4o("error-500")],
        1,
        "psf",
        router=CHAIN + ", num_retries: 1",
        headers={
            "x-litellm-model-id": "f",
            "x-litellm-model-name": "openai/gpt-4o-mini",
            "x-litellm-attempted-fallbacks": "1",
        },
    ),
]


@pytest.fixture(scope="module")
def providers(tmp_path_factory):
    """Simulated providers of these tests' own."""
    with servers.simulator(tmp_path_factory.mktemp("failover"), name="failover-simulator") as server:
        yield server


def behave(providers, rules: list[dict]) -> None:
    """From now on the providers do this, and else answer with the text."""
    reply = httpx.put(providers.url + "/sim/rules", json=[*rules, {"text": TEXT}], trust_env=False)
    assert reply.status_code < 300, reply.text
    httpx.delete(providers.url + "/sim/received", trust_env=False)


def received(providers) -> list[dict]:
    """What the providers were asked, in order."""
    text = httpx.get(providers.url + "/sim/received", trust_env=False).text
    return [json.loads(line) for line in text.splitlines()]


def order(providers) -> str:
    """Whom the gateway asked, in order."""
    return "".join(record["deployment"] for record in received(providers))


def stream(client):
    """Streams an answer: its text, its reasons to stop, the reply's headers."""
    with client.chat.completions.with_streaming_response.create(
        model="m", messages=say("hello"), stream=True
    ) as reply:
        chunks = list(reply.parse())
        headers = reply.headers
    # The caller's name of the model, but after a fallback that of the one which answered.
    fell_back = headers["x-litellm-attempted-fallbacks"] != "0"
    assert {chunk.model for chunk in chunks} == {"gpt-4o-mini" if fell_back else "m"}
    assert len({chunk.id for chunk in chunks}) == 1
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    return text, [choice.finish_reason for choice in choices if choice.finish_reason], headers


def check_whole(client):
    """Streams an answer, which is whole; the reply's headers."""
    text, finishes, headers = stream(client)
    assert text == TEXT
    assert finishes == ["stop"]
    return headers


def check_flapping(client, providers, _gateway) -> None:
    """The primary is well again: soon it is asked again, and stays."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    behave(providers, [])
    while not order(providers).endswith("ppp"):
        assert time.monotonic() < deadline, "the primary is not used again"
        check_whole(client)
        time.sleep(0.05)
    assert re.fullmatch("s*p+", order(providers))


def check_accounting(_client, providers, gateway) -> None:
    """Tokens and money of the model that answered, and nothing for those that failed."""
    [prompt, completion] = [received(providers)[-1][f"{name}_tokens"] for name in ("prompt", "completion")]
    metrics = httpx.get(gateway.url + "/metrics", trust_env=False).text

    def metric(name: str, deployment: str) -> float:
        rows = [row for row in metrics.splitlines() if row.startswith(f"litellm_{name}_metric_total{{")]
        return sum(float(row.split()[-1]) for row in rows if f'model_id="{deployment}"' in row)

    assert metric("input_tokens", "f") == prompt
    assert metric("output_tokens", "f") == completion == 60
    assert metric("spend", "f") == pytest.approx(prompt * 0.15e-6 + completion * 0.6e-6)
    assert [metric("spend", name) for name in "ps"] == [0, 0]


AFTERWARDS = {"flapping primary": check_flapping, "accounting": check_accounting}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_an_application_notices_nothing(scenario, providers, tmp_path):
    behave(providers, scenario.goes_wrong)
    path = "/v1" if scenario.model.startswith("openai/") else ""
    config = CONFIG.format(sim=providers.url, model=scenario.model, path=path, router=scenario.router)
    with (
        servers.gateway(tmp_path, config) as gateway,
        openai.OpenAI(base_url=gateway.url + "/v1", api_key="sk-any", max_retries=0, timeout=30) as client,
    ):
        for _ in range(scenario.asks):
            if scenario.error:
                with pytest.raises(scenario.error):
                    stream(client)
            else:
                headers = check_whole(client)
        assert order(providers) == scenario.sends
        for name, value in scenario.headers.items():
            assert headers[name] == value, name
        if afterwards := AFTERWARDS.get(scenario.name):
            afterwards(client, providers, gateway)


def test_there_are_sixteen():
    assert len(SCENARIOS) == 16
