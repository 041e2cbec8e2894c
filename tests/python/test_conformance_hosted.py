"""The simulated Hugging Face, Databricks, watsonx and Replicate, driven by their own packages where these are small, and
as their packages write requests where they are not.

The requests go to a simulator of this module's own, so that the replay of what the gateway sent sees none of them.
"""

import json
import re

import httpx
import huggingface_hub
import openai
import pytest
import servers
from huggingface_hub.errors import HfHubHTTPError

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY}}
SAY = [{"role": "user", "content": "hello"}]
VERSION = {"version": "2025-02-11"}


@pytest.fixture(scope="module")
def sim(folder):
    with servers.simulator(folder, name="hosted") as server:
        yield server.url


@pytest.fixture(scope="module")
def http(sim):
    with httpx.Client(base_url=sim, trust_env=False, timeout=30) as client:
        yield client


def frames(reply: httpx.Response) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


# Hugging Face


@pytest.fixture(scope="module")
def hub(sim):
    return huggingface_hub.InferenceClient(base_url=f"{sim}/huggingface", api_key="hf_key")


def test_hugging_face_chats_plain_and_streamed(hub):
    plain = hub.chat_completion(SAY, model="m", max_tokens=50, seed=1)
    stream = hub.chat_completion(SAY, model="m", max_tokens=50, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == plain.choices[0].message.content and "You said: hello" in said
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens


def test_hugging_face_calls_tools(hub):
    reply = hub.chat_completion(SAY, model="m", tools=[TOOL], tool_choice="required")
    [call] = reply.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "hello"})


def test_hugging_face_extracts_features(http):
    """Its package wants numpy for the reply, so this is what it sends."""
    headers = {"authorization": "Bearer hf_key"}
    for path in ("/hf-inference/models/a/b/pipeline/feature-extraction", "/embed"):
        vectors = http.post(path, json={"inputs": ["one", "two"], "normalize": True}, headers=headers).json()
        assert [len(vector) for vector in vectors] == [64, 64]


def test_hugging_face_refuses_as_its_servers_do(hub, http):
    for model, status in [("sim-error-429", 429), ("sim-error-503", 503)]:
        with pytest.raises(HfHubHTTPError) as caught:
            hub.chat_completion(SAY, model=model)
        assert caught.value.response.status_code == status
    wrong = http.post(
        "/huggingface/v1/chat/completions",
        json={"model": "m", "messages": SAY, "stop": "x"},
        headers={"authorization": "Bearer hf_key"},
    )
    assert (wrong.status_code, wrong.json()["error_type"]) == (422, "validation")


# Databricks: its package calls the OpenAI package for chats.


@pytest.fixture(scope="module")
def bricks(sim):
    with openai.OpenAI(base_url=f"{sim}/serving-endpoints", api_key="dapi-key", max_retries=0) as client:
        yield client


def test_databricks_is_a_base_of_the_openai_package(bricks):
    plain = bricks.chat.completions.create(model="m", messages=SAY, tools=[TOOL], tool_choice="required")
    assert json.loads(plain.choices[0].message.tool_calls[0].function.arguments) == {"city": "hello"}
    chunks = list(bricks.chat.completions.create(model="m", messages=SAY, stream=True))
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[-1] == 12
    assert len(bricks.embeddings.create(model="e", input=["a", "b"]).data) == 2


def test_databricks_reasons_in_blocks(bricks):
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    reply = bricks.chat.completions.create(model="databricks-claude-sonnet-4", messages=SAY, extra_body=thinking)
    block, text = reply.choices[0].message.content
    assert (block["type"], text["type"]) == ("reasoning", "text") and block["summary"][0]["signature"]
    again = [*SAY, {"role": "assistant", "content": [block, text]}, *SAY]
    bricks.chat.completions.create(model="databricks-claude-sonnet-4", messages=again, extra_body=thinking)


def test_databricks_refuses_what_it_does_not_know(bricks):
    with pytest.raises(openai.BadRequestError, match="unknown field"):
        bricks.chat.completions.create(model="m", messages=SAY, stream_options={"include_usage": True}, stream=True)


def test_databricks_gives_a_service_principal_a_token(http):
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    token = http.post("/oidc/v1/token", data=form, auth=("app", "secret")).json()
    headers = {"authorization": f"Bearer {token['access_token']}"}
    reply = http.post("/serving-endpoints/sim-tokens-3/invocations", json={"messages": SAY}, headers=headers)
    assert reply.json()["usage"]["completion_tokens"] == 3
    refused = http.post("/oidc/v1/token", data=form, auth=("app", "invalid"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


# watsonx


@pytest.fixture(scope="module")
def watson(http):
    grant = "urn:ibm:params:oauth:grant-type:apikey"
    token = http.post("/identity/token", data={"grant_type": grant, "apikey": "key"}).json()
    return {"authorization": f"Bearer {token['access_token']}"}


def test_watsonx_chats_plain_and_streamed(http, watson):
    body = {"model_id": "ibm/granite", "project_id": "p", "messages": SAY, "max_completion_tokens": 50}
    plain = http.post("/ml/v1/text/chat", params=VERSION, json=body, headers=watson).json()
    stream = http.post("/ml/v1/text/chat_stream", params=VERSION, json=body, headers=watson)
    assert re.match(r"id: 1\nevent: message\ndata: ", stream.text)
    chunks = frames(stream)
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert said == plain["choices"][0]["message"]["content"] and chunks[-1]["usage"] == plain["usage"]


def test_watsonx_wants_a_token_a_version_and_a_place(http, watson):
    body = {"model_id": "m", "project_id": "p", "messages": SAY}
    for params, json_body, headers, status, code in [
        (VERSION, body, {"authorization": "Bearer key"}, 401, "authentication_token_not_valid"),
        ({}, body, watson, 400, "invalid_request_entity"),
        (VERSION, {**body, "project_id": None}, watson, 400, "json_type_error"),
        (VERSION, {**body, "model": "m"}, watson, 400, "json_validation_error"),
        (VERSION, {**body, "model_id": "sim-error-404"}, watson, 404, "model_not_supported"),
    ]:
        reply = http.post("/ml/v1/text/chat", params=params, json=json_body, headers=headers)
        error = reply.json()
        assert (reply.status_code, error["errors"][0]["code"]) == (status, code)
        assert error["status_code"] == status and error["trace"]


def test_watsonx_embeds(http, watson):
    body = {"model_id": "m", "space_id": "s", "inputs": ["a", "b"]}
    reply = http.post("/ml/v1/text/embeddings", params=VERSION, json=body, headers=watson).json()
    assert len(reply["results"]) == 2 and reply["input_token_count"] == 2


# Replicate, as its package writes requests


def predict(http, model: str, more=None, **headers):
    headers = {"authorization": "Bearer r8_key"} | headers
    body = {"input": {"prompt": "hello", "max_tokens": 50}} | (more or {})
    return http.post(f"/v1/models/meta/{model}/predictions", json=body, headers=headers)


def test_replicate_is_polled_until_it_is_done(http):
    made = predict(http, "llama").json()
    seen = [made["status"]]
    while seen[-1] not in ("succeeded", "failed", "canceled"):
        made = http.get(made["urls"]["get"], headers={"authorization": "Bearer r8_key"}).json()
        seen.append(made["status"])
    assert seen == ["starting", "processing", "succeeded"]
    assert "".join(made["output"]).endswith("You said: hello")
    assert made["metrics"]["input_token_count"] == 2 and made["metrics"]["output_token_count"] > 0


def test_replicate_answers_at_once_one_who_waits(http):
    made = predict(http, "llama", prefer="wait")
    assert (made.status_code, made.json()["status"]) == (201, "succeeded")
    failed = predict(http, "sim-event-2", prefer="wait").json()
    assert (failed["status"], len(failed["output"])) == ("failed", 2) and failed["error"]


def test_replicate_streams(http):
    made = predict(http, "llama", {"stream": True}).json()
    stream = http.get(made["urls"]["stream"], headers={"accept": "text/event-stream", "authorization": "Bearer r8_key"})
    said = "".join(re.findall(r"event: output\nid: \S+\ndata: (.*)\n", stream.text))
    assert said.endswith("You said: hello") and stream.text.endswith("event: done\ndata: {}\n\n")


def test_replicate_refuses_in_its_own_words(http):
    for model, more, status, title in [
        ("llama", {"input": {"prompt": ["x"]}}, 422, "Input validation failed"),
        ("sim-error-429", {}, 429, "Too many requests"),
        ("sim-quota", {}, 402, "Insufficient credit"),
    ]:
        reply = predict(http, model, more)
        assert (reply.status_code, reply.json()["title"], reply.json()["status"]) == (status, title, status)
