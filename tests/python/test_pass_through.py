"""Providers' own APIs below a path of the gateway: its key in, the provider's key out, everything else as it is."""

import json

import anthropic
import cohere
import httpx
import openai
import pytest
import servers
from conftest import MASTER_KEY, received
from google import genai
from google.genai import types

CONFIG = """
model_list:
  - model_name: "chat"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-simulated-openai"}}
general_settings:
  master_key: "{key}"
  pass_through_endpoints:
    - path: "/my/rerank"
      target: "{sim}/cohere/v2/rerank"
      headers:
        authorization: "Bearer os.environ/MY_COHERE_KEY"
        x-mine: "from the configuration"
"""
KEYS = {
    "OPENAI_API_KEY": "sk-simulated-openai",
    "ANTHROPIC_API_KEY": "sk-ant-simulated",
    "GEMINI_API_KEY": "simulated-gemini",
    "COHERE_API_KEY": "simulated-cohere",
    "MISTRAL_API_KEY": "simulated-mistral",
    "MY_COHERE_KEY": "simulated-mine",
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with servers.simulator(tmp_path_factory.mktemp("pass-through-simulator")) as server:
        yield server


@pytest.fixture(scope="module")
def passing(tmp_path_factory, upstream):
    """A gateway that knows the providers by its environment alone."""
    bases = {
        "OPENAI_BASE_URL": upstream.url + "/v1",
        "ANTHROPIC_BASE_URL": upstream.url,
        "GEMINI_API_BASE": upstream.url,
        "COHERE_API_BASE": upstream.url + "/cohere",
        "MISTRAL_API_BASE": upstream.url + "/mistral/v1",
    }
    config = CONFIG.format(sim=upstream.url, key=MASTER_KEY)
    env = servers.clean_environment(**KEYS, **bases)
    with servers.gateway(tmp_path_factory.mktemp("pass-through"), config, env=env) as server:
        yield server


def last(upstream) -> dict:
    return received(upstream)[-1]


def header(record: dict, name: str) -> str | None:
    return dict((key.lower(), value) for key, value in record["headers"]).get(name)


def test_anthropics_own_api(passing, upstream):
    client = anthropic.Anthropic(base_url=passing.url + "/anthropic", api_key=MASTER_KEY, max_retries=0)
    arguments = {"model": "claude-x", "max_tokens": 50, "messages": [{"role": "user", "content": "hi there"}]}
    assert "hi there" in client.messages.create(**arguments).content[0].text
    record = last(upstream)
    assert KEYS["ANTHROPIC_API_KEY"] in (header(record, "x-api-key"), header(record, "authorization"))
    assert MASTER_KEY not in json.dumps(record)
    with client.messages.stream(**arguments) as stream:
        assert "hi there" in stream.get_final_message().content[0].text
    assert client.messages.count_tokens(model="claude-x", messages=arguments["messages"]).input_tokens > 0


def test_googles_own_api(passing, upstream):
    options = types.HttpOptions(base_url=passing.url + "/gemini")
    client = genai.Client(api_key=MASTER_KEY, http_options=options)
    assert "hi there" in client.models.generate_content(model="gemini-2.5-pro", contents="hi there").text
    record = last(upstream)
    assert header(record, "x-goog-api-key") == KEYS["GEMINI_API_KEY"]
    assert MASTER_KEY not in json.dumps(record)
    chunks = client.models.generate_content_stream(model="gemini-2.5-pro", contents="hi there")
    assert "hi there" in "".join(chunk.text or "" for chunk in chunks)


def test_coheres_own_api(passing, upstream):
    client = cohere.ClientV2(api_key=MASTER_KEY, base_url=passing.url + "/cohere")
    reply = client.chat(model="command-a", messages=[{"role": "user", "content": "hi there"}])
    assert "hi there" in reply.message.content[0].text
    record = last(upstream)
    assert header(record, "authorization").endswith(KEYS["COHERE_API_KEY"])
    assert MASTER_KEY not in json.dumps(record)


def test_openais_own_api(passing, upstream):
    client = openai.OpenAI(base_url=passing.url + "/openai", api_key=MASTER_KEY, max_retries=0)
    messages = [{"role": "user", "content": "hi there"}]
    reply = client.chat.completions.create(model="gpt-4o", messages=messages)
    assert "hi there" in reply.choices[0].message.content
    assert MASTER_KEY not in json.dumps(last(upstream))
    chunks = client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "hi there" in text


def test_an_endpoint_of_the_operators_own(passing, upstream):
    body = {"model": "rerank-v3.5", "query": "sky", "documents": ["the sea", "the sky"]}
    reply = httpx.post(
        passing.url + "/my/rerank",
        headers={"authorization": f"Bearer {MASTER_KEY}"},
        json=body,
        trust_env=False,
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["results"][0]["index"] == 1
    record = last(upstream)
    assert record["body"] == body
    assert header(record, "authorization") == f"Bearer {KEYS['MY_COHERE_KEY']}"
    assert header(record, "x-mine") == "from the configuration"


@pytest.mark.parametrize(
    "path", ["/anthropic/v1/messages", "/gemini/v1beta/models/x:generateContent", "/cohere/v2/chat", "/my/rerank"]
)
def test_without_a_key_nothing_passes(passing, upstream, path):
    before = len(received(upstream))
    assert httpx.post(passing.url + path, json={}, trust_env=False).status_code == 401
    assert len(received(upstream)) == before


def test_a_providers_error_passes_as_it_is(passing):
    client = anthropic.Anthropic(base_url=passing.url + "/anthropic", api_key=MASTER_KEY, max_retries=0)
    with pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(
            model="sim-error-429-retry-7", max_tokens=50, messages=[{"role": "user", "content": "hi"}]
        )
    assert caught.value.body["error"]["type"] == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_path_does_not_climb_out_of_its_provider(passing, upstream):
    before = len(received(upstream))
    for path in ("/anthropic/../sim/stats", "/anthropic/%2e%2e/sim/stats", "/anthropic//evil.example/v1/messages"):
        request = httpx.Request("POST", passing.url, headers={"authorization": f"Bearer {MASTER_KEY}"}, json={})
        request.url = request.url.copy_with(raw_path=path.encode())
        with httpx.Client(trust_env=False) as client:
            assert client.send(request).status_code >= 400, path
    assert all(record["verdict"] != "answered" for record in received(upstream)[before:])
