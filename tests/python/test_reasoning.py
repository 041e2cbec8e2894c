"""Reasoning: asked for with `reasoning_effort`, seen in `reasoning_content`, sent back in `thinking_blocks`."""

import pytest
from conftest import received, say

pytestmark = pytest.mark.both

THINKS = {
    "anthropic": "claude-sonnet-4-20250514",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-20250514-v1:0",
    "cohere": "command-a-reasoning-08-2025",
}


@pytest.mark.parametrize("provider", list(THINKS))
def test_reasoning_is_seen_where_the_provider_shows_it(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/{THINKS[provider]}", messages=say("think!"), reasoning_effort="low"
    )
    message = reply.choices[0].message
    assert message.reasoning_content
    assert message.content and message.reasoning_content not in message.content
    # Bedrock and Cohere count thoughts with the rest.
    assert (reply.usage.completion_tokens_details.reasoning_tokens > 0) == (provider not in ("bedrock", "cohere"))
    assert reply.usage.completion_tokens > reply.usage.completion_tokens_details.reasoning_tokens


@pytest.mark.parametrize("provider", ["openai", "azure", "openai-responses"])
def test_hidden_reasoning_is_counted(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/o4-mini", messages=say("think!"), reasoning_effort="high"
    )
    assert reply.usage.completion_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize("provider", list(THINKS))
def test_no_effort_is_no_reasoning(client, provider):
    reply = client.chat.completions.create(model=f"{provider}/{THINKS[provider]}", messages=say("do not think!"))
    assert getattr(reply.choices[0].message, "reasoning_content", None) is None


@pytest.mark.parametrize("provider", list(THINKS))
def test_reasoning_is_streamed_before_the_answer(client, provider):
    stream = client.chat.completions.create(
        model=f"{provider}/{THINKS[provider]}", messages=say("think!"), reasoning_effort="medium", stream=True
    )
    order, text, thought = [], "", ""
    for chunk in stream:
        for choice in chunk.choices:
            reasoning = getattr(choice.delta, "reasoning_content", None)
            if reasoning:
                thought += reasoning
                order.append("thought")
            if choice.delta.content:
                text += choice.delta.content
                order.append("text")
    assert thought and text
    assert order == sorted(order, key=["thought", "text"].index), "all reasoning comes first"


def test_the_token_budget_of_the_thinking_parameter_is_understood(client):
    reply = client.chat.completions.create(
        model="anthropic/claude-sonnet-4-20250514",
        messages=say("think!"),
        max_tokens=4000,
        extra_body={"thinking": {"type": "enabled", "budget_tokens": 2000}},
    )
    message = reply.choices[0].message
    assert message.reasoning_content
    [block] = message.thinking_blocks
    assert block["type"] == "thinking"
    assert block["thinking"] == message.reasoning_content
    assert block["signature"]


TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {"where": {"type": "string"}}}},
}


@pytest.mark.parametrize("provider", list(THINKS))
def test_signed_thoughts_go_back_with_the_tools_result(client, provider):
    """Anthropic refuses a tool's result whose call came after thinking, unless the signed thought comes with it."""
    model = f"{provider}/sim-tools"
    messages = say("look, and think first")
    reply = client.chat.completions.create(
        model=model, messages=messages, tools=[TOOL], reasoning_effort="low"
    )
    message = reply.choices[0].message
    [call] = message.tool_calls
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "nothing there"})
    reply = client.chat.completions.create(
        model=model, messages=messages, tools=[TOOL], reasoning_effort="low"
    )
    assert "nothing there" in reply.choices[0].message.content


def test_the_thinking_blocks_reach_anthropic_unchanged(client, simulator):
    first = client.chat.completions.create(model="anthropic/sim-reason", messages=say("think"))
    # The provider takes back only what it signed.
    blocks = first.choices[0].message.model_dump()["thinking_blocks"]
    messages = say("one") + [
        {"role": "assistant", "content": "two", "thinking_blocks": blocks},
        {"role": "user", "content": "three, marked q7w8"},
    ]
    client.chat.completions.create(
        model="anthropic/claude-sonnet-4-20250514", messages=messages, reasoning_effort="low"
    )
    [sent] = [record["body"] for record in received(simulator) if "q7w8" in str(record["body"])]
    [assistant] = [message for message in sent["messages"] if message["role"] == "assistant"]
    assert assistant["content"][0] == blocks[0]
