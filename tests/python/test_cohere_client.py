"""The official cohere package at `/v2/chat` and `/v2/rerank`, with each provider behind the gateway."""

import json

import cohere
import pytest
from conftest import MASTER_KEY, received
from scenario import (
    COMPLETION,
    COUNTED,
    LIMIT,
    PROMPT,
    QUESTION,
    TOOLS,
    Place,
    check_weather,
    data_url,
    png,
    sent_to_provider,
)

pytestmark = pytest.mark.both

OFFERED = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in TOOLS.items()
]
ONCE = {"max_retries": 0}


def client_of(url: str, key: str = MASTER_KEY) -> cohere.ClientV2:
    return cohere.ClientV2(api_key=key, base_url=url, timeout=30)


@pytest.fixture(scope="module")
def co(gateway):
    return client_of(gateway.url)


def user(content) -> dict:
    return {"role": "user", "content": content}


def ask(co, model: str, content="good morning", **more):
    return co.chat(model=model, messages=[user(content)], request_options=ONCE, **more)


def text_of(message) -> str:
    return "".join(part.text for part in message.content or [] if part.type == "text")


def streamed(co, **arguments) -> tuple[str, list[dict], list[str], object]:
    """The text of a stream, its calls, the names of its events, and what its end says."""
    text, calls, names, end = "", {}, [], None
    for event in co.chat_stream(request_options=ONCE, **arguments):
        names.append(event.type)
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
        elif event.type == "tool-call-start":
            calls[event.index] = event.delta.message.tool_calls.model_dump(exclude_none=True)
        elif event.type == "tool-call-delta":
            calls[event.index]["function"]["arguments"] += event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            end = event.delta
    return text, [calls[index] for index in sorted(calls)], names, end


def test_a_chat_is_answered(co, provider):
    reply = ask(co, f"{provider}/gpt-plain")
    assert text_of(reply.message) == "Hello from gpt-plain, a simulated model. You said: good morning"
    assert reply.message.role == "assistant"
    assert reply.id
    assert reply.finish_reason == "COMPLETE"
    assert reply.usage.tokens.input_tokens > 0 and reply.usage.tokens.output_tokens > 0


def test_a_stream_brings_the_same_in_parts(co, provider):
    plain = ask(co, f"{provider}/gpt-plain")
    text, _, names, end = streamed(co, model=f"{provider}/gpt-plain", messages=[user("good morning")])
    assert text == text_of(plain.message)
    assert names[:2] == ["message-start", "content-start"]
    assert names[-2:] == ["content-end", "message-end"]
    assert names.count("content-delta") > 3, "the answer came in one piece"
    assert end.finish_reason == plain.finish_reason
    assert end.usage.tokens.input_tokens == plain.usage.tokens.input_tokens
    assert end.usage.tokens.output_tokens == plain.usage.tokens.output_tokens


def test_a_whole_conversation_is_carried(co, simulator, provider):
    reply = co.chat(
        model=f"{provider}/gpt-plain",
        messages=[
            {"role": "system", "content": "You are terse, marked sys-h1."},
            user("one, marked usr-b2"),
            {"role": "assistant", "content": "two, marked ast-c3"},
            user([{"type": "text", "text": "three"}, {"type": "text", "text": " and four"}]),
        ],
    )
    assert "three" in text_of(reply.message) and "four" in text_of(reply.message)
    sent = json.dumps(sent_to_provider(received(simulator), "sys-h1"))
    assert sent.count("usr-b2") == sent.count("ast-c3") == 1


def test_the_limit_on_tokens_stops_an_answer(co, provider):
    reply = ask(co, f"{provider}/sim-tokens-50", max_tokens=LIMIT)
    assert reply.finish_reason == "MAX_TOKENS"
    assert reply.usage.tokens.output_tokens == LIMIT


@pytest.mark.parametrize("in_parts", [False, True])
def test_parallel_tools_make_several_rounds(co, provider, in_parts):
    """Two tools are called, answered, talked about, and called again."""

    def turn(messages) -> tuple[str, list[dict], str]:
        arguments = {"model": f"{provider}/sim-tools-2", "messages": messages, "tools": OFFERED}
        if in_parts:
            text, calls, _, end = streamed(co, **arguments)
            return text, calls, end.finish_reason
        reply = co.chat(request_options=ONCE, **arguments)
        calls = [call.model_dump(exclude_none=True) for call in reply.message.tool_calls or []]
        return text_of(reply.message), calls, reply.finish_reason

    messages = [user(QUESTION)]
    for number in (1, 2):
        _, calls, reason = turn(messages)
        assert reason == "TOOL_CALL"
        assert [call["function"]["name"] for call in calls] == list(TOOLS)
        assert len({call["id"] for call in calls}) == 2
        check_weather(json.loads(calls[0]["function"]["arguments"]))
        messages.append({"role": "assistant", "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": f"{call['function']['name']} says {number}"}
            for call in calls
        ]
        answer, _, reason = turn(messages)
        assert reason == "COMPLETE"
        assert f"says {number}" in answer
        messages += [{"role": "assistant", "content": answer}, user("and again?")]


@pytest.mark.parametrize(("choice", "names"), [("REQUIRED", ["get_weather"]), ("NONE", []), (None, [])])
def test_the_choice_of_a_tool_is_kept(co, provider, choice, names):
    more = {"tool_choice": choice} if choice else {}
    reply = ask(co, f"{provider}/gpt-plain", QUESTION, tools=OFFERED, **more)
    assert [call.function.name for call in reply.message.tool_calls or []] == names


def test_a_picture_reaches_the_provider(co, simulator, provider):
    url = data_url(png(3, 8))
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what is it, pic-h5?"}]
    assert "pic-h5" in text_of(ask(co, f"{provider}/gpt-plain", content).message)
    picture = url.partition(",")[2]
    assert picture in json.dumps(sent_to_provider(received(simulator), "pic-h5"))


def test_structured_output_keeps_the_schema(co, provider):
    form = {"type": "json_object", "json_schema": Place.model_json_schema()}
    reply = ask(co, f"{provider}/gpt-plain", "Paris, as JSON", response_format=form)
    assert Place.model_validate_json(text_of(reply.message)).name


@pytest.mark.parametrize("in_parts", [False, True])
def test_usage_is_told_in_coheres_terms(co, provider, in_parts):
    model = f"{provider}/{COUNTED}"
    usage = streamed(co, model=model, messages=[user("hi")])[3].usage if in_parts else ask(co, model, "hi").usage
    assert (usage.tokens.input_tokens, usage.tokens.output_tokens) == (PROMPT, COMPLETION)


def test_documents_are_ranked(co):
    documents = ["carrots are orange", "the sky is blue", "paris is in france"]
    reply = co.rerank(model="rank", query="what colour is the sky?", documents=documents, top_n=2)
    assert len(reply.results) == 2
    assert reply.results[0].index == 1
    assert reply.results[0].relevance_score >= reply.results[1].relevance_score
    assert reply.meta.billed_units.search_units == 1


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("sim-error-400", "BadRequestError", 400),
        ("sim-error-429", "TooManyRequestsError", 429),
        ("sim-error-500", "InternalServerError", 500),
        ("sim-context", "BadRequestError", 400),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_providers_error_has_the_packages_class(co, provider, model, kind, status, in_parts):
    with pytest.raises(getattr(cohere, kind)) as caught:
        if in_parts:
            streamed(co, model=f"{provider}/{model}", messages=[user("hi")])
        else:
            ask(co, f"{provider}/{model}")
    assert caught.value.status_code == status
    assert caught.value.body["message"]


def test_a_wrong_key_is_told_in_coheres_shape(gateway):
    with pytest.raises(cohere.UnauthorizedError) as caught:
        ask(client_of(gateway.url, "sk-invalid"), "openai/gpt-plain")
    assert caught.value.body["message"]
