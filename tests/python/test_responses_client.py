"""The Responses API through the official openai package, with each provider behind the gateway."""

import json

import openai
import pytest
from conftest import MASTER_KEY, received
from scenario import (
    CACHED,
    COMPLETION,
    COUNTED,
    PROMPT,
    QUESTION,
    TOOLS,
    Place,
    check_weather,
    data_url,
    packed,
    png,
    sent_to_provider,
)

pytestmark = pytest.mark.both

OFFERED = [
    {"type": "function", "name": name, "description": name, "parameters": schema, "strict": False}
    for name, schema in TOOLS.items()
]
ENCRYPTED = ["reasoning.encrypted_content"]


def ask(client, model: str, content="good morning", **more):
    return client.responses.create(model=model, input=content, **more)


def streamed(client, **arguments) -> tuple:
    """The response that a stream ends with, and its events."""
    events = list(client.responses.create(stream=True, **arguments))
    return events[-1].response, events


def calls_of(response) -> list:
    return [item for item in response.output if item.type == "function_call"]


def back(item) -> dict:
    """An item of the output as an item of the next input."""
    return item.model_dump(exclude_none=True)


def test_a_response_is_given(client, provider):
    response = ask(client, f"{provider}/gpt-plain")
    assert (response.object, response.status, response.model) == ("response", "completed", f"{provider}/gpt-plain")
    assert response.output_text == "Hello from gpt-plain, a simulated model. You said: good morning"
    [item] = response.output
    assert (item.type, item.role, item.status) == ("message", "assistant", "completed")
    assert response.id.startswith("resp_")
    assert response.error is None and response.incomplete_details is None
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 2


SEQUENCE = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def test_a_stream_has_every_event_in_its_order(client, provider):
    plain = ask(client, f"{provider}/gpt-plain")
    response, events = streamed(client, model=f"{provider}/gpt-plain", input="good morning")
    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == SEQUENCE
    assert kinds.count("response.output_text.delta") > 3, "the answer came in one piece"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == response.output_text == plain.output_text
    assert len({event.item_id for event in events if hasattr(event, "item_id")}) == 1
    assert (response.status, response.model) == ("completed", f"{provider}/gpt-plain")
    assert response.usage.output_tokens == plain.usage.output_tokens


def test_the_packages_own_stream_adds_up(client, provider):
    with client.responses.stream(model=f"{provider}/gpt-plain", input="good morning") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_text == text


def test_a_whole_conversation_is_carried(client, simulator, provider):
    response = client.responses.create(
        model=f"{provider}/gpt-plain",
        instructions="You are terse, marked sys-r1.",
        input=[
            {"role": "developer", "content": "Also be kind, marked dev-a1."},
            {"role": "user", "content": "one, marked usr-b2"},
            {"role": "assistant", "content": "two, marked ast-c3"},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "three"}, {"type": "input_text", "text": " and four"}],
            },
        ],
    )
    assert "three" in response.output_text and "four" in response.output_text
    sent = json.dumps(sent_to_provider(received(simulator), "sys-r1"))
    assert sent.count("dev-a1") == sent.count("usr-b2") == sent.count("ast-c3") == 1


@pytest.mark.parametrize("in_parts", [False, True])
def test_the_limit_on_tokens_leaves_a_response_incomplete(client, provider, in_parts):
    arguments = {"model": f"{provider}/sim-tokens-50", "input": "at length!", "max_output_tokens": 16}
    if in_parts:
        response, events = streamed(client, **arguments)
        assert events[-1].type == "response.incomplete"
    else:
        response = client.responses.create(**arguments)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens <= 16


@pytest.mark.parametrize("in_parts", [False, True])
def test_parallel_tools_make_several_rounds(client, provider, in_parts):
    """Two tools are called, answered, talked about, and called again; the caller carries the conversation."""

    def turn(items):
        arguments = {"model": f"{provider}/sim-tools-2", "input": items, "tools": OFFERED, "store": False}
        return streamed(client, **arguments)[0] if in_parts else client.responses.create(**arguments)

    items = [{"role": "user", "content": QUESTION}]
    for number in (1, 2):
        response = turn(items)
        calls = calls_of(response)
        assert [call.name for call in calls] == list(TOOLS)
        assert len({call.call_id for call in calls}) == 2
        check_weather(json.loads(calls[0].arguments))
        items += [back(item) for item in response.output]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} says {number}"}
            for call in calls
        ]
        answer = turn(items)
        assert f"says {number}" in answer.output_text
        items += [back(item) for item in answer.output] + [{"role": "user", "content": "and again?"}]


def test_streamed_calls_come_with_their_events(client, provider):
    response, events = streamed(client, model=f"{provider}/sim-tools-2", input=QUESTION, tools=OFFERED)
    added = [event.item for event in events if event.type == "response.output_item.added"]
    assert [item.name for item in added if item.type == "function_call"] == list(TOOLS)
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == [call.arguments for call in calls_of(response)]
    for event in done:
        deltas = [
            other.delta
            for other in events
            if other.type == "response.function_call_arguments.delta" and other.item_id == event.item_id
        ]
        assert "".join(deltas) == event.arguments


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", ["get_weather"]),
        ({"type": "function", "name": "get_time"}, ["get_time"]),
        ("none", []),
        ("auto", []),
    ],
)
def test_the_choice_of_a_tool_is_kept(client, provider, choice, names):
    response = ask(client, f"{provider}/gpt-plain", QUESTION, tools=OFFERED, tool_choice=choice)
    assert [call.name for call in calls_of(response)] == names


def test_a_tool_of_free_text_is_called(client, provider):
    tool = {"type": "custom", "name": "note", "description": "Takes a note."}
    response = ask(client, f"{provider}/sim-tools", QUESTION, tools=[tool])
    [call] = [item for item in response.output if item.type == "custom_tool_call"]
    assert call.name == "note"
    items = [
        {"role": "user", "content": QUESTION},
        *(back(item) for item in response.output),
        {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "noted"},
    ]
    assert "noted" in ask(client, f"{provider}/sim-tools", items, tools=[tool]).output_text


def test_a_picture_reaches_the_provider(client, simulator, provider):
    content = [
        {"type": "input_image", "image_url": data_url(png(4, 5)), "detail": "low"},
        {"type": "input_text", "text": "what is it, pic-r5?"},
    ]
    response = ask(client, f"{provider}/gpt-plain", [{"role": "user", "content": content}])
    assert "pic-r5" in response.output_text
    assert packed(png(4, 5)) in json.dumps(sent_to_provider(received(simulator), "pic-r5"))


def test_structured_output_fills_the_callers_type(client, provider):
    response = client.responses.parse(model=f"{provider}/gpt-plain", input="Paris", text_format=Place)
    assert isinstance(response.output_parsed, Place)


@pytest.mark.parametrize("in_parts", [False, True])
def test_usage_is_told_in_the_apis_terms(client, provider, in_parts):
    arguments = {"model": f"{provider}/{COUNTED}", "input": "hi"}
    response = streamed(client, **arguments)[0] if in_parts else client.responses.create(**arguments)
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (PROMPT, COMPLETION, PROMPT + COMPLETION)
    assert usage.input_tokens_details.cached_tokens == CACHED


THINKS = {
    "anthropic": "claude-sonnet-4-20250514",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-20250514-v1:0",
    "cohere": "command-a-reasoning-08-2025",
    "openai-responses": "o4-mini",
}


@pytest.mark.parametrize("provider", list(THINKS))
@pytest.mark.parametrize("in_parts", [False, True])
def test_reasoning_is_seen_and_goes_back_with_its_signature(client, provider, in_parts):
    def turn(items, **more):
        arguments = {
            "model": f"{provider}/{more.pop('model')}",
            "input": items,
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ENCRYPTED,
            "store": False,
        } | more
        return streamed(client, **arguments)[0] if in_parts else client.responses.create(**arguments)

    response = turn([{"role": "user", "content": "think!"}], model=THINKS[provider])
    # Google signs its answer apart from its thoughts, which makes one item more.
    assert list(dict.fromkeys(item.type for item in response.output)) == ["reasoning", "message"]
    assert response.output[0].summary[0].text
    # Bedrock and Cohere count thoughts with the rest.
    assert (response.usage.output_tokens_details.reasoning_tokens > 0) == (provider not in ("bedrock", "cohere"))
    items = [{"role": "user", "content": QUESTION}]
    first = turn(items, model="sim-tools", tools=OFFERED)
    [call] = calls_of(first)
    # Cohere signs nothing.
    signed = any(item.encrypted_content for item in first.output if item.type == "reasoning")
    assert signed == (provider != "cohere")
    items += [back(item) for item in first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    assert "sunny" in turn(items, model="sim-tools", tools=OFFERED).output_text


def test_a_stored_response_is_continued_read_and_deleted(client, provider):
    first = ask(client, f"{provider}/gpt-plain", "remember the word xylophone")
    second = ask(client, f"{provider}/sim-tools", QUESTION, previous_response_id=first.id, tools=OFFERED)
    assert second.previous_response_id == first.id
    [call] = calls_of(second)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    third = ask(client, f"{provider}/sim-tools", [output], previous_response_id=second.id, tools=OFFERED)
    assert "sunny" in third.output_text
    read = client.responses.retrieve(first.id)
    assert (read.id, read.output_text) == (first.id, first.output_text)
    [item] = client.responses.input_items.list(first.id)
    assert "xylophone" in item.content[0].text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_a_continued_conversation_reaches_the_provider_whole(client, simulator, provider):
    first = ask(client, f"{provider}/gpt-plain", "the first turn, marked one-r7")
    ask(client, f"{provider}/gpt-plain", "the second turn, marked two-r7", previous_response_id=first.id)
    sent = sent_to_provider(received(simulator), "two-r7")
    # Where the provider has the API itself, it may be the one that keeps the first turn.
    assert "one-r7" in json.dumps(sent) or sent.get("previous_response_id")


def test_what_is_not_stored_is_not_found(client):
    response = ask(client, "openai/gpt-plain", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError):
        ask(client, "openai/gpt-plain", previous_response_id="resp_unknown")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("sim-error-400", openai.BadRequestError),
        ("sim-error-429", openai.RateLimitError),
        ("sim-error-500", openai.InternalServerError),
        ("sim-context", openai.BadRequestError),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_providers_error_has_the_packages_class(client, provider, model, kind, in_parts):
    with pytest.raises(kind) as caught:
        if in_parts:
            streamed(client, model=f"{provider}/{model}", input="hi")
        else:
            ask(client, f"{provider}/{model}")
    assert caught.value.body["message"]


def test_an_error_within_a_stream_is_an_event_of_it(client, provider):
    """A response that began and failed says so in `response.failed` or `error`, and the stream ends."""
    stream = client.responses.create(model=f"{provider}/sim-event-3", input="at some length, please", stream=True)
    try:
        events = list(stream)
    except openai.APIError as error:
        assert error.message
    else:
        assert events[-1].type in ("response.failed", "error")


def test_a_wrong_key_is_refused(gateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key="sk-invalid", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            ask(stranger, "openai/gpt-plain")


def test_the_longer_prefix_of_the_path_is_served(gateway):
    """LiteLLM serves the API below `/openai/v1` as well."""
    with openai.OpenAI(base_url=gateway.url + "/openai/v1", api_key=MASTER_KEY, max_retries=0) as client:
        assert "hi" in ask(client, "openai/gpt-plain", "hi").output_text
