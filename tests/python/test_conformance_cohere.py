"""The further simulated providers, driven by their own packages: what a package can write is taken, what it cannot is
refused as the service refuses it, and what comes back has the shapes that the package reads.

The requests go to a simulator of this module's own, so that the replay of what the gateway sent sees none of them.
"""

import inspect
import json
import re

import cohere
import httpx
import mistralai.client
import ollama
import pytest
import servers
from mistralai.client import errors as mistral_errors

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": CITY}}
SAY = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def sim(folder):
    with servers.simulator(folder, name="further") as server:
        yield server.url


@pytest.fixture(scope="module")
def co(sim):
    return cohere.ClientV2(api_key="key", base_url=sim)


@pytest.fixture(scope="module")
def mistral(sim):
    with mistralai.client.Mistral(api_key="key", server_url=f"{sim}/mistral") as client:
        yield client


@pytest.fixture(scope="module")
def llama(sim):
    return ollama.Client(host=sim)


@pytest.fixture
def post(sim):
    def post(path: str, body, **headers) -> httpx.Response:
        headers = {"authorization": "Bearer key"} | headers
        return httpx.post(sim + path, json=body, headers=headers, trust_env=False, timeout=30)

    return post


def unknown_members(value, at: str = "") -> list[str]:
    """Members that the package's own type does not declare, which it keeps as extras."""
    found = []
    if hasattr(value, "model_extra"):
        found += [f"{at}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += unknown_members(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for item in value:
            found += unknown_members(item, f"{at}[]")
    return found


# Cohere


def test_cohere_chat_has_the_packages_own_shape(co):
    reply = co.chat(model="command-a-03-2025", messages=SAY, thinking={"type": "enabled"}, logprobs=True)
    assert [block.type for block in reply.message.content] == ["thinking", "text"]
    assert "You said: hello" in reply.message.content[1].text
    assert reply.finish_reason == "COMPLETE" and reply.usage.tokens.output_tokens > 0
    assert len(reply.logprobs) > 0 and unknown_members(reply) == []
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", reply.id)


def test_cohere_tools_go_round(co):
    asked = co.chat(model="sim-tools-2", messages=SAY, tools=[TOOL])
    calls = asked.message.tool_calls
    assert (asked.finish_reason, len(calls)) == ("TOOL_CALL", 2)
    assert json.loads(calls[0].function.arguments) == {"city": "hello"}
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": [{"type": "document", "document": {"data": {"t": "rain"}}}]}
        for call in calls
    ]
    told = co.chat(model="sim-tools-2", messages=[*SAY, asked.message, *results], tools=[TOOL])
    assert told.message.content[0].text == "The tool says: rainrain"
    assert [citation.sources[0].type for citation in told.message.citations] == ["tool", "tool"]
    assert unknown_members(asked) + unknown_members(told) == []


def test_cohere_streams_every_kind_of_event(co):
    seen, text, arguments = [], "", ""
    for model, more in [("m", {"documents": ["rain"]}), ("sim-tools", {"tools": [TOOL]})]:
        for event in co.chat_stream(model=model, messages=SAY, **more):
            # The first event has empty members of every kind, which the service sends and the package does not read.
            assert event.type == "message-start" or unknown_members(event) == []
            seen.append(event.type)
            if event.type == "content-delta":
                text += event.delta.message.content.text
            if event.type == "tool-call-delta":
                arguments += event.delta.message.tool_calls.function.arguments
    assert "You said: hello" in text and json.loads(arguments) == {"city": "hello"}
    assert set(seen) == {
        "message-start", "content-start", "content-delta", "content-end", "citation-start", "citation-end",
        "tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end", "message-end",
    }  # fmt: skip
    assert seen[-1] == "message-end" and event.delta.finish_reason == "TOOL_CALL"
    assert event.delta.usage.billed_units.input_tokens > 0


# A good value for every parameter that the package writes.
CHAT = {
    "tools": [TOOL],
    "strict_tools": True,
    "documents": ["one", {"id": "2", "data": {"title": "t"}}],
    "citation_options": {"mode": "FAST"},
    "response_format": {"type": "json_object", "json_schema": CITY},
    "safety_mode": "STRICT",
    "max_tokens": 100,
    "stop_sequences": ["x"],
    "temperature": 0.3,
    "seed": 7,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "k": 3,
    "p": 0.5,
    "logprobs": True,
    "tool_choice": "REQUIRED",
    "thinking": {"type": "enabled", "token_budget": 50},
    "priority": 1,
}
EMBED = {
    "texts": ["a"],
    "images": ["data:image/png;base64,AAAA"],
    "inputs": [{"content": [{"type": "text", "text": "a"}]}],
    "max_tokens": 10,
    "output_dimension": 256,
    "embedding_types": ["float", "int8", "uint8", "binary", "ubinary", "base64"],
    "truncate": "END",
    "priority": 1,
}
RERANK = {
    "top_n": 1,
    "max_tokens_per_doc": 100,
    "priority": 1,
    "relevant_spans": {"mode": "enabled", "threshold": 0.1, "max_spans": 2},
}


def parameters(method) -> set[str]:
    return set(inspect.signature(method).parameters) - {"self", "request_options"}


@pytest.mark.parametrize("name", CHAT)
def test_cohere_takes_every_parameter_of_a_chat(co, name):
    more = {"tools": [TOOL]} if name in ("strict_tools", "tool_choice") else {}
    co.chat(model="command-a-03-2025", messages=SAY, **more | {name: CHAT[name]})


def test_the_tables_above_have_every_parameter_of_the_package():
    client = cohere.v2.client.V2Client
    assert parameters(client.chat) == {"model", "messages", *CHAT}
    assert parameters(client.embed) == {"model", "input_type", *EMBED}
    assert parameters(client.rerank) == {"model", "query", "documents", *RERANK}


@pytest.mark.parametrize("name", EMBED)
def test_cohere_takes_every_parameter_of_an_embedding(co, name):
    body = {name: EMBED[name]}
    if name not in ("images", "inputs"):
        body["texts"] = ["a"]
    reply = co.embed(model="embed-v4.0", input_type="search_query", **body)
    assert len(next(iter(reply.embeddings.model_dump(exclude_none=True).values()))) == 1
    assert unknown_members(reply) == []


def test_cohere_ranks_in_both_versions(co, sim):
    documents = ["the price of tea", "how to open the gate"]
    reply = co.rerank(model="rerank-v3.5", query="open the gate", documents=documents, **RERANK)
    assert [result.index for result in reply.results] == [1]
    assert reply.meta.billed_units.search_units == 1 and unknown_members(reply) == []
    first = cohere.Client(api_key="key", base_url=sim)
    reply = first.rerank(model="m", query="open", documents=documents, return_documents=True)
    assert reply.results[0].document.text == documents[1] and unknown_members(reply) == []
    floats = first.embed(texts=["a"], model="embed-english-v3.0", input_type="search_query")
    assert len(floats.embeddings[0]) == 1024


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"model": "sim-error-429"}, cohere.TooManyRequestsError, "past the per minute request limit"),
        ({"model": "sim-policy"}, cohere.core.ApiError, "usage guidelines"),
        ({"model": "sim-error-404"}, cohere.NotFoundError, "make sure the correct model ID was used"),
        ({"model": "m", "top_p": 1}, cohere.UnprocessableEntityError, "parameter 'top_p' is not a valid field"),
        ({"model": "m", "p": 1}, cohere.BadRequestError, "p must be at most 0.99"),
    ],
)
def test_cohere_refuses_in_its_own_words(co, body, error, words):
    more = {"request_options": {"additional_body_parameters": body, "max_retries": 0}}
    with pytest.raises(error) as caught:
        co.chat(messages=SAY, **{"model": "x"} | more)
    assert words in caught.value.body["message"] and caught.value.body["id"]


def test_cohere_wants_a_good_key(sim):
    with pytest.raises(cohere.UnauthorizedError):
        cohere.ClientV2(api_key="invalid", base_url=sim).chat(model="m", messages=SAY)


def test_cohere_says_an_error_in_the_last_event(co):
    *_, last = co.chat_stream(model="sim-event-2-500", messages=SAY)
    assert (last.type, last.delta.finish_reason, last.delta.error) == ("message-end", "ERROR", "internal server error")


# Ollama


def test_ollama_chats_plain_and_streamed(llama):
    options = {"num_predict": 50, "temperature": 0, "top_k": 3, "stop": ["x"], "seed": 1}
    plain = llama.chat("m", SAY, think=True, options=options, keep_alive="5m")
    lines = list(llama.chat("m", SAY, think=True, options=options, stream=True))
    assert plain.message.content == "".join(line.message.content for line in lines)
    assert plain.message.thinking == "".join(line.message.thinking or "" for line in lines)
    assert (lines[-1].done, lines[-1].eval_count) == (True, plain.eval_count)
    assert unknown_members(plain) == []


def test_ollama_tools_go_round_and_schemas_are_answered(llama):
    asked = llama.chat("sim-tools", SAY, tools=[TOOL])
    [call] = asked.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "hello"})
    told = llama.chat("m", [*SAY, asked.message, {"role": "tool", "tool_name": "weather", "content": "rain"}])
    assert told.message.content == "The tool says: rain"
    assert json.loads(llama.chat("m", SAY, format=CITY).message.content) == {"city": "hello"}
    assert llama.chat("sim-length", SAY).done_reason == "length"


def test_ollama_generates_embeds_and_lists(llama):
    assert "hello" in llama.generate("m", "hello", images=[b"x"]).response
    assert "hello" in "".join(part.response for part in llama.generate("m", "hello", stream=True))
    reply = llama.embed("m", ["a", "b"], dimensions=8)
    assert [len(vector) for vector in reply.embeddings] == [8, 8]
    assert "sim-tools" in [model.model for model in llama.list().models]
    assert "tools" in llama.show("m").capabilities


def test_ollama_refuses_in_its_own_words(llama, post):
    for model, status in [("sim-error-404", 404), ("sim-error-503", 503)]:
        with pytest.raises(ollama.ResponseError) as caught:
            llama.chat(model, SAY)
        assert caught.value.status_code == status
    wrong = post("/api/chat", {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]})
    assert wrong.status_code == 400 and set(wrong.json()) == {"error"}
    with pytest.raises(ollama.ResponseError):
        list(llama.chat("sim-event-2", SAY, stream=True))


# Mistral


def test_mistral_chats_plain_and_streamed(mistral):
    plain = mistral.chat.complete(model="magistral-small", messages=SAY, random_seed=1)
    thought, text = plain.choices[0].message.content
    assert (thought.type, text.type) == ("thinking", "text") and "You said: hello" in text.text
    streamed, thinking, usage = "", "", None
    for event in mistral.chat.stream(model="magistral-small", messages=SAY):
        content = event.data.choices[0].delta.content
        streamed += content if isinstance(content, str) else ""
        thinking += "".join(chunk.thinking[0].text for chunk in content if not isinstance(content, str))
        usage = event.data.usage or usage
    assert (streamed, thinking) == (text.text, thought.thinking[0].text)
    assert usage.completion_tokens == plain.usage.completion_tokens


def test_mistral_tools_go_round(mistral):
    asked = mistral.chat.complete(model="m", messages=SAY, tools=[TOOL], tool_choice="any")
    [call] = asked.choices[0].message.tool_calls
    assert re.fullmatch("[a-zA-Z0-9]{9}", call.id) and json.loads(call.function.arguments) == {"city": "hello"}
    result = {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": "rain"}
    told = mistral.chat.complete(model="m", messages=[*SAY, asked.choices[0].message, result], tools=[TOOL])
    assert told.choices[0].message.content == "The tool says: rain"


def test_mistral_fills_embeds_and_reads(mistral):
    filled = mistral.fim.complete(model="codestral", prompt="def f(", suffix="return 1")
    assert "def f(" in filled.choices[0].message.content
    assert len(mistral.embeddings.create(model="mistral-embed", inputs=["a", "b"]).data) == 2
    document = {"type": "document_url", "document_url": "https://example.com/a.pdf"}
    assert len(mistral.ocr.process(model="mistral-ocr-latest", document=document, pages=[0, 1]).pages) == 2


def test_mistral_refuses_what_it_does_not_know(mistral, post):
    for extra in ({"seed": 1}, {"user": "u"}, {"stream_options": {"include_usage": True}}):
        wrong = post("/mistral/v1/chat/completions", {"model": "m", "messages": SAY} | extra)
        [detail] = wrong.json()["message"]["detail"]
        assert (wrong.status_code, detail["type"], detail["loc"]) == (422, "extra_forbidden", ["body", *extra])
    with pytest.raises(mistral_errors.SDKError) as caught:
        mistral.chat.complete(model="m", messages=[*SAY, {"role": "assistant", "content": "x"}])
    assert caught.value.status_code == 400 and "Expected last role User or Tool" in caught.value.message


# Providers that rank


@pytest.mark.parametrize(
    ("path", "results", "extra"),
    [
        ("/jina/v1/rerank", "results", {"top_n": 1}),
        ("/voyage/v1/rerank", "data", {"top_k": 1}),
        ("/together/v1/rerank", "results", {"top_n": 1}),
        ("/rerank", "results", {"top_n": 1}),
    ],
)
def test_rankings_have_each_providers_shape(post, path, results, extra):
    body = {"model": "m", "query": "open the gate", "documents": ["tea", "the gate"], "return_documents": True}
    reply = post(path, body | extra).json()
    assert [one["index"] for one in reply[results]] == [1] and reply["usage"]["total_tokens"] > 0
    wrong = post(path, body | {"odd": 1})
    assert wrong.status_code in (400, 422) and set(wrong.json()) & {"detail", "error"}
