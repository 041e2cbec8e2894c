"""The official anthropic package at `/v1/messages`, with each provider behind the gateway."""

import json

import anthropic
import pytest
from conftest import MASTER_KEY, PROVIDERS, received, run
from scenario import (
    CACHED,
    COMPLETION,
    COUNTED,
    LIMIT,
    PROMPT,
    QUESTION,
    TOOLS,
    Place,
    check_weather,
    packed,
    png,
    sent_to_provider,
)

pytestmark = pytest.mark.both

OFFERED = [{"name": name, "description": name, "input_schema": schema} for name, schema in TOOLS.items()]


@pytest.fixture(scope="module")
def claude(gateway):
    """The client without retries of its own, so that a test sees what the gateway does."""
    with anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, timeout=30) as client:
        yield client


def user(content) -> dict:
    return {"role": "user", "content": content}


def ask(claude, model: str, content="good morning", **more):
    return claude.messages.create(model=model, max_tokens=400, messages=[user(content)], **more)


def text_of(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message) -> list:
    return [block for block in message.content if block.type == "tool_use"]


def test_a_message_is_answered(claude, provider):
    message = ask(claude, f"{provider}/gpt-plain")
    assert (message.type, message.role, message.model) == ("message", "assistant", f"{provider}/gpt-plain")
    assert text_of(message) == "Hello from gpt-plain, a simulated model. You said: good morning"
    assert message.id
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


def test_a_streamed_message_is_the_plain_one(claude, provider):
    plain = ask(claude, f"{provider}/gpt-plain")
    with claude.messages.stream(
        model=f"{provider}/gpt-plain", max_tokens=400, messages=[user("good morning")]
    ) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert text_of(message) == text_of(plain)
    assert (message.stop_reason, message.model) == (plain.stop_reason, plain.model)
    assert message.usage.input_tokens == plain.usage.input_tokens
    assert message.usage.output_tokens == plain.usage.output_tokens
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
    assert kinds.count("text") > 3, "the answer came in one piece"


def test_the_raw_events_of_a_stream_are_named_after_their_types(claude, provider):
    reply = claude.messages.with_raw_response.create(
        model=f"{provider}/gpt-plain", max_tokens=400, messages=[user("hi")], stream=True
    )
    lines = list(reply.http_response.iter_lines())
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    types = [json.loads(line.removeprefix("data: "))["type"] for line in lines if line.startswith("data: ")]
    assert names == types
    assert [name for name in names if name != "ping"][:2] == ["message_start", "content_block_start"]
    assert names[-2:] == ["message_delta", "message_stop"]


def test_a_whole_conversation_is_carried(claude, simulator, provider):
    message = claude.messages.create(
        model=f"{provider}/gpt-plain",
        max_tokens=400,
        system=[{"type": "text", "text": "You are terse, marked sys-a1.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            user("one, marked usr-b2"),
            {"role": "assistant", "content": [{"type": "text", "text": "two, marked ast-c3"}]},
            user([{"type": "text", "text": "three"}, {"type": "text", "text": " and four"}]),
        ],
    )
    assert "three" in text_of(message) and "four" in text_of(message)
    sent = json.dumps(sent_to_provider(received(simulator), "sys-a1"))
    assert sent.count("usr-b2") == sent.count("ast-c3") == 1


def test_the_limit_on_tokens_stops_an_answer(claude, provider):
    message = claude.messages.create(model=f"{provider}/sim-tokens-50", max_tokens=LIMIT, messages=[user("hi")])
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == LIMIT


# OpenAI's Responses know no stop sequences.
@pytest.mark.parametrize("provider", [provider for provider in PROVIDERS if provider != "openai-responses"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_stop_sequence_ends_an_answer(claude, provider, streamed):
    arguments = dict(model=f"{provider}/gpt-plain", max_tokens=400, messages=[user("a b STOPHERE c")])
    if streamed:
        with claude.messages.stream(**arguments, stop_sequences=["STOPHERE"]) as stream:
            message = stream.get_final_message()
    else:
        message = claude.messages.create(**arguments, stop_sequences=["STOPHERE"])
    assert text_of(message).endswith("a b ")
    # Only some providers say that a stop sequence was met, and which.
    assert message.stop_reason in ("stop_sequence", "end_turn")
    assert message.stop_sequence in ("STOPHERE", None)


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools_make_several_rounds(claude, provider, streamed):
    """Two tools are called, answered, talked about, and called again."""

    def turn(messages):
        arguments = dict(model=f"{provider}/sim-tools-2", max_tokens=400, messages=messages, tools=OFFERED)
        if not streamed:
            return claude.messages.create(**arguments)
        with claude.messages.stream(**arguments) as stream:
            return stream.get_final_message()

    messages = [user(QUESTION)]
    for round_number in (1, 2):
        message = turn(messages)
        assert message.stop_reason == "tool_use"
        calls = calls_of(message)
        assert [call.name for call in calls] == list(TOOLS)
        assert len({call.id for call in calls}) == 2
        check_weather(calls[0].input)
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} says {round_number}"}
            for call in calls
        ]
        messages += [{"role": "assistant", "content": message.content}, user(results)]
        answer = turn(messages)
        assert answer.stop_reason == "end_turn"
        assert f"says {round_number}" in text_of(answer)
        messages += [{"role": "assistant", "content": answer.content}, user("and again?")]


def test_a_tools_failure_and_its_parts_reach_the_model(claude, simulator, provider):
    messages = [user(QUESTION)]
    message = claude.messages.create(
        model=f"{provider}/sim-tools", max_tokens=400, messages=messages, tools=OFFERED
    )
    [call] = calls_of(message)
    parts = [{"type": "text", "text": "first half,"}, {"type": "text", "text": "second half err-d4"}]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": parts, "is_error": True}
    messages += [{"role": "assistant", "content": message.content}, user([result])]
    answer = claude.messages.create(
        model=f"{provider}/sim-tools", max_tokens=400, messages=messages, tools=OFFERED
    )
    assert answer.stop_reason == "end_turn"
    assert "first half" in json.dumps(sent_to_provider(received(simulator), "err-d4"))


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, ["get_time"]),
        ({"type": "none"}, []),
        ({"type": "auto"}, []),
    ],
)
def test_the_choice_of_a_tool_is_kept(claude, provider, choice, names):
    message = ask(claude, f"{provider}/gpt-plain", QUESTION, tools=OFFERED, tool_choice=choice)
    assert [call.name for call in calls_of(message)] == names
    assert message.stop_reason == ("tool_use" if names else "end_turn")


def test_parallel_calls_can_be_switched_off(claude):
    for provider in ("openai", "azure", "anthropic", "bedrock", "openai-responses"):
        choice = {"type": "auto", "disable_parallel_tool_use": True}
        message = ask(claude, f"{provider}/sim-tools-2", QUESTION, tools=OFFERED, tool_choice=choice)
        assert len(calls_of(message)) == 1, provider


def test_a_picture_reaches_the_provider(claude, simulator, provider):
    source = {"type": "base64", "media_type": "image/png", "data": packed(png(3, 5))}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is it, pic-e5?"}]
    message = ask(claude, f"{provider}/gpt-plain", content)
    assert "pic-e5" in text_of(message)
    assert packed(png(3, 5)) in json.dumps(sent_to_provider(received(simulator), "pic-e5"))


def test_structured_output_fills_the_callers_type(claude, provider):
    message = claude.messages.parse(
        model=f"{provider}/gpt-plain", max_tokens=400, messages=[user("Paris")], output_format=Place
    )
    assert isinstance(message.parsed_output, Place)
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
def test_usage_is_told_in_anthropics_terms(claude, provider, streamed):
    """Anthropic's input leaves out what was read from the cache."""
    arguments = dict(model=f"{provider}/{COUNTED}", max_tokens=400, messages=[user("hi")])
    if streamed:
        with claude.messages.stream(**arguments) as stream:
            usage = stream.get_final_message().usage
    else:
        usage = claude.messages.create(**arguments).usage
    assert usage.output_tokens == COMPLETION
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == PROMPT
    assert usage.cache_read_input_tokens == CACHED


THINKS = {
    "anthropic": "claude-sonnet-4-20250514",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-20250514-v1:0",
    "cohere": "command-a-reasoning-08-2025",
    "openai-responses": "o4-mini",
}


@pytest.mark.parametrize("provider", list(THINKS))
def test_thinking_is_seen_and_goes_back_with_its_signature(claude, simulator, provider):
    thinking = {"type": "enabled", "budget_tokens": 2000}
    if provider == "openai-responses":
        # OpenAI shows a summary where it is asked for one.
        thinking["display"] = "summarized"
    arguments = dict(max_tokens=4000, tools=OFFERED, thinking=thinking)
    plain = ask_thinking(claude, f"{provider}/{THINKS[provider]}", [user("think!")], arguments)
    assert plain.content[0].type == "thinking" and plain.content[0].thinking
    messages = [user(QUESTION)]
    first = ask_thinking(claude, f"{provider}/sim-tools", messages, arguments)
    assert first.content[0].type == "thinking" and first.content[0].thinking
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"sunny in {provider}, sig-a7"}
        for call in calls_of(first)
    ]
    messages += [{"role": "assistant", "content": first.content}, user(results)]
    second = ask_thinking(claude, f"{provider}/sim-tools", messages, arguments)
    assert "sunny" in text_of(second)
    # What the thought is known by when it comes back. Google signs the call that follows it, Cohere nothing.
    member = {
        "anthropic": '"signature": "',
        "gemini": '"thoughtSignature": "',
        "bedrock": '"signature": "',
        "cohere": '"thinking": "',
        "openai-responses": '"encrypted_content": "',
    }[provider]
    assert member in json.dumps(sent_to_provider(received(simulator), f"sunny in {provider}, sig-a7"))


def ask_thinking(claude, model: str, messages: list, arguments: dict):
    with claude.messages.stream(model=model, messages=messages, **arguments) as stream:
        return stream.get_final_message()


def test_many_streams_at_once_are_kept_apart(gateway, provider):
    import asyncio

    async def one(client, number: int) -> str:
        async with client.messages.stream(
            model=f"{provider}/gpt-plain", max_tokens=400, messages=[user(f"number {number}!")]
        ) as stream:
            return text_of(await stream.get_final_message())

    async def all_of_them() -> list[str]:
        async with anthropic.AsyncAnthropic(
            base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, timeout=60
        ) as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    assert all(text.endswith(f"number {number}!") for number, text in enumerate(run(all_of_them())))


@pytest.mark.parametrize(
    ("model", "kind", "word", "status"),
    [
        ("sim-error-400", anthropic.BadRequestError, "invalid_request_error", 400),
        ("sim-error-429", anthropic.RateLimitError, "rate_limit_error", 429),
        ("sim-error-500", anthropic.InternalServerError, "api_error", 500),
        ("sim-context", anthropic.BadRequestError, "invalid_request_error", 400),
    ],
)
def test_a_providers_error_has_the_packages_class(claude, provider, model, kind, word, status):
    with pytest.raises(kind) as caught:
        ask(claude, f"{provider}/{model}")
    check_error(caught.value, word, status)


def check_error(error: anthropic.APIStatusError, word: str, status: int) -> None:
    assert error.status_code == status
    assert error.body["type"] == "error"
    assert error.body["error"]["type"] == word
    assert error.body["error"]["message"]


def test_a_streams_error_before_its_first_event_is_a_plain_one(claude, provider):
    with pytest.raises(anthropic.RateLimitError) as caught:
        claude.messages.create(
            model=f"{provider}/sim-error-429", max_tokens=400, messages=[user("hi")], stream=True
        )
    check_error(caught.value, "rate_limit_error", 429)


def test_an_error_within_a_stream_is_raised(claude, provider):
    with pytest.raises(anthropic.APIStatusError) as caught:
        stream = claude.messages.create(
            model=f"{provider}/sim-event-3", max_tokens=400, messages=[user("at some length, please")], stream=True
        )
        for _ in stream:
            pass
    assert caught.value.body["error"]["type"]


def test_a_providers_wait_comes_along(claude, provider):
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask(claude, f"{provider}/sim-error-429-retry-7")
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_wrong_key_is_told_in_anthropics_shape(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key="sk-invalid", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            ask(client, "openai/gpt-plain")
    check_error(caught.value, "authentication_error", 401)


def test_a_request_without_messages_is_refused_in_anthropics_shape(claude):
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model="openai/gpt-plain", max_tokens=400, messages=[])
    check_error(caught.value, "invalid_request_error", 400)


def test_the_older_key_header_is_understood(http, provider):
    reply = http.post(
        "/v1/messages",
        headers={"authorization": "", "x-api-key": MASTER_KEY, "anthropic-version": "2023-06-01"},
        json={"model": f"{provider}/gpt-plain", "max_tokens": 50, "messages": [user("hi")]},
    )
    assert reply.status_code == 200, reply.text
