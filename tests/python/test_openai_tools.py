"""Tools, parallel calls, structured output through the openai package, with each provider behind the gateway."""

import json

import pydantic
import pytest
from conftest import say

pytestmark = pytest.mark.both

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
}
QUESTION = "What is the weather in Paris, and what time is it?"


def first(reply):
    [choice] = reply.choices
    return choice.message, choice.finish_reason


def test_a_tool_is_called_with_json_arguments(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/sim-tools", messages=say(QUESTION), tools=[WEATHER, CLOCK]
    )
    message, reason = first(reply)
    assert reason == "tool_calls"
    [call] = message.tool_calls
    assert call.id
    assert call.type == "function"
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert arguments["days"] == 1
    assert isinstance(arguments["city"], str)


def test_parallel_calls_have_ids_of_their_own(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/sim-tools-2", messages=say(QUESTION), tools=[WEATHER, CLOCK]
    )
    message, reason = first(reply)
    assert reason == "tool_calls"
    assert [call.function.name for call in message.tool_calls] == ["get_weather", "get_time"]
    assert len({call.id for call in message.tool_calls}) == 2


def test_results_of_parallel_tools_come_back_as_an_answer(client, provider):
    model = f"{provider}/sim-tools-2"
    messages = say(QUESTION)
    message, _ = first(client.chat.completions.create(model=model, messages=messages, tools=[WEATHER, CLOCK]))
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"result of {call.function.name}"})
    answer, reason = first(client.chat.completions.create(model=model, messages=messages, tools=[WEATHER, CLOCK]))
    assert reason == "stop"
    assert "result of get_weather" in answer.content
    assert "result of get_time" in answer.content
    messages += [answer.model_dump(exclude_none=True), {"role": "user", "content": "thank you"}]
    final, reason = first(
        client.chat.completions.create(model=model, messages=messages, tools=[WEATHER, CLOCK], tool_choice="none")
    )
    assert reason in ("stop", "tool_calls")
    assert final.role == "assistant"


@pytest.mark.parametrize(
    ("choice", "name"),
    [("required", "get_weather"), ({"type": "function", "function": {"name": "get_time"}}, "get_time")],
)
def test_a_forced_tool_is_called(client, provider, choice, name):
    reply = client.chat.completions.create(
        model=f"{provider}/gpt-plain", messages=say(QUESTION), tools=[WEATHER, CLOCK], tool_choice=choice
    )
    message, reason = first(reply)
    assert [call.function.name for call in message.tool_calls] == [name]
    # OpenAI says "stop" for a named function; the others always say that a tool is called.
    assert reason in ("tool_calls", "stop")


def test_tools_may_be_offered_and_not_called(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/gpt-plain", messages=say("hi"), tools=[WEATHER], tool_choice="auto"
    )
    message, reason = first(reply)
    assert message.tool_calls is None
    assert reason == "stop"
    assert "hi" in message.content


def test_parallel_calls_can_be_switched_off(client):
    for provider in ("openai", "azure", "anthropic", "bedrock", "openai-responses"):
        reply = client.chat.completions.create(
            model=f"{provider}/sim-tools-2",
            messages=say(QUESTION),
            tools=[WEATHER, CLOCK],
            parallel_tool_calls=False,
        )
        assert len(first(reply)[0].tool_calls) == 1, provider


def streamed_calls(stream) -> tuple[list[dict], list[str], int]:
    """Tool calls put together from their deltas, the reasons to stop, the number of argument deltas."""
    calls: dict[int, dict] = {}
    reasons, deltas = [], 0
    for chunk in stream:
        for choice in chunk.choices:
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": None, "name": "", "arguments": ""})
                call["id"] = call["id"] or delta.id
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
                deltas += 1
    return [calls[index] for index in sorted(calls)], reasons, deltas


def test_streamed_tool_calls_add_up(client, provider):
    stream = client.chat.completions.create(
        model=f"{provider}/sim-tools-2", messages=say(QUESTION), tools=[WEATHER, CLOCK], stream=True
    )
    calls, reasons, deltas = streamed_calls(stream)
    assert reasons == ["tool_calls"]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert len({call["id"] for call in calls}) == 2 and all(call["id"] for call in calls)
    assert json.loads(calls[0]["arguments"])["days"] == 1
    assert "zone" in json.loads(calls[1]["arguments"])
    assert deltas >= 2


def test_the_package_puts_streamed_calls_together_itself(client, provider):
    with client.chat.completions.stream(
        model=f"{provider}/sim-tools-2", messages=say(QUESTION), tools=[WEATHER, CLOCK]
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    message, reason = first(final)
    assert reason == "tool_calls"
    assert [call.function.name for call in message.tool_calls] == ["get_weather", "get_time"]


def test_streamed_calls_go_round_like_plain_ones(client, provider):
    model = f"{provider}/sim-tools"
    stream = client.chat.completions.create(
        model=model, messages=say(QUESTION), tools=[WEATHER], stream=True
    )
    [call], _, _ = streamed_calls(stream)
    messages = say(QUESTION) + [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    message, _ = first(client.chat.completions.create(model=model, messages=messages, tools=[WEATHER]))
    assert "sunny" in message.content


class Place(pydantic.BaseModel):
    name: str
    population: int
    tags: list[str]


def test_structured_output_is_parsed_into_the_callers_type(client, provider):
    reply = client.chat.completions.parse(
        model=f"{provider}/gpt-plain", messages=say("Paris"), response_format=Place
    )
    message, reason = first(reply)
    assert reason == "stop"
    assert isinstance(message.parsed, Place)
    assert message.parsed.name
    assert message.tool_calls is None


def test_a_json_schema_is_kept(client, provider):
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "score": {"type": "number"}},
        "required": ["answer", "score"],
        "additionalProperties": False,
    }
    reply = client.chat.completions.create(
        model=f"{provider}/gpt-plain",
        messages=say("hi"),
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}},
    )
    body = json.loads(first(reply)[0].content)
    assert set(body) == {"answer", "score"}


def test_a_json_schema_is_kept_in_a_stream(client, provider):
    stream = client.chat.completions.create(
        model=f"{provider}/gpt-plain",
        messages=say("Paris"),
        stream=True,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "place", "schema": Place.model_json_schema()},
        },
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert Place.model_validate_json(text).name


def test_json_mode_gives_json(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/gpt-plain",
        messages=say("answer in JSON: hi"),
        response_format={"type": "json_object"},
    )
    assert isinstance(json.loads(first(reply)[0].content), dict)
