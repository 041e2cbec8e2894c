"""Chat through the official openai package, plain and streamed, with each provider behind the gateway."""

import asyncio

import openai
import pytest
from conftest import MASTER_KEY, PROVIDERS, run, say
from scenario import LIMIT, data_url, png

pytestmark = pytest.mark.both


def check_usage(usage) -> None:
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_chat_is_answered_under_the_name_that_was_asked_for(client, provider):
    reply = client.chat.completions.create(model=f"{provider}/gpt-plain", messages=say("good morning"))
    assert reply.object == "chat.completion"
    assert reply.model == f"{provider}/gpt-plain"
    assert reply.id
    [choice] = reply.choices
    assert choice.message.role == "assistant"
    assert choice.message.content == "Hello from gpt-plain, a simulated model. You said: good morning"
    assert choice.message.tool_calls is None
    assert choice.finish_reason == "stop"
    check_usage(reply.usage)


def test_a_whole_conversation_is_carried(client, provider):
    messages = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "three"}, {"type": "text", "text": " and four"}]},
    ]
    reply = client.chat.completions.create(model=f"{provider}/gpt-plain", messages=messages)
    assert "three" in reply.choices[0].message.content
    assert "four" in reply.choices[0].message.content


def test_sampling_parameters_reach_the_provider(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/sim-tokens-50",
        messages=say("a long answer, please"),
        max_tokens=LIMIT,
        temperature=0.5,
        top_p=0.9,
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == LIMIT


def test_max_completion_tokens_limits_the_answer_too(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/sim-tokens-50", messages=say("hi"), max_completion_tokens=LIMIT
    )
    assert reply.choices[0].finish_reason == "length"


# OpenAI's Responses know no stop sequences.
@pytest.mark.parametrize("provider", [provider for provider in PROVIDERS if provider != "openai-responses"])
def test_a_stop_sequence_ends_the_answer(client, provider):
    reply = client.chat.completions.create(
        model=f"{provider}/gpt-plain", messages=say("hi"), stop=[" simulated"]
    )
    assert reply.choices[0].message.content == "Hello from gpt-plain, a"
    assert reply.choices[0].finish_reason == "stop"


def test_an_answer_that_policy_cut_says_so(client, provider):
    reply = client.chat.completions.create(model=f"{provider}/sim-filter", messages=say("hi"))
    assert reply.choices[0].finish_reason == "content_filter"


def test_cached_tokens_are_part_of_the_prompt(client, provider):
    reply = client.chat.completions.create(model=f"{provider}/spelt-cached", messages=say("hi"))
    assert reply.usage.prompt_tokens == 1000
    assert reply.usage.prompt_tokens_details.cached_tokens == 800


def test_tokens_written_to_the_cache_are_part_of_the_prompt(client):
    reply = client.chat.completions.create(
        model="anthropic/sim-prompt-1000+cached-300+cachewrite-500", messages=say("hi")
    )
    assert reply.usage.prompt_tokens == 1000
    assert reply.usage.prompt_tokens_details.cached_tokens == 300


def test_a_picture_is_understood(client, provider):
    content = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": data_url(png()), "detail": "low"}},
    ]
    reply = client.chat.completions.create(
        model=f"{provider}/gpt-plain", messages=[{"role": "user", "content": content}]
    )
    assert "what is this?" in reply.choices[0].message.content


def collect(stream) -> tuple[str, list, list]:
    """The text, the chunks, the usages of a stream."""
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return text, chunks, [chunk.usage for chunk in chunks if chunk.usage]


def test_a_stream_brings_the_answer_in_parts_and_hides_the_usage(client, provider):
    stream = client.chat.completions.create(
        model=f"{provider}/gpt-plain", messages=say("good morning"), stream=True
    )
    text, chunks, usages = collect(stream)
    assert text == "Hello from gpt-plain, a simulated model. You said: good morning"
    assert len(chunks) > 3, "the answer came in one piece"
    assert usages == []
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {f"{provider}/gpt-plain"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.created for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["stop"]


def test_a_stream_ends_with_the_usage_when_that_is_asked_for(client, provider):
    stream = client.chat.completions.create(
        model=f"{provider}/gpt-plain",
        messages=say("good morning"),
        stream=True,
        stream_options={"include_usage": True},
    )
    _, chunks, usages = collect(stream)
    assert len(usages) == 1
    check_usage(usages[0])
    assert chunks[-1].usage is not None, "usage is the last chunk"
    assert chunks[-1].choices == []


def test_a_streams_usage_equals_that_of_the_plain_reply(client, provider):
    arguments = {"model": f"{provider}/spelt-usage", "messages": say("hi")}
    plain = client.chat.completions.create(**arguments).usage
    stream = client.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True})
    [usage] = collect(stream)[2]
    assert (usage.prompt_tokens, usage.completion_tokens) == (50, 7)
    assert (plain.prompt_tokens, plain.completion_tokens) == (50, 7)
    assert usage.prompt_tokens_details.cached_tokens == plain.prompt_tokens_details.cached_tokens == 20


def test_a_stream_can_be_left_early(client, provider):
    stream = client.chat.completions.create(
        model=f"{provider}/spelt-paced", messages=say("hi"), stream=True
    )
    for number, _ in enumerate(stream):
        if number == 3:
            stream.close()
            break
    reply = client.chat.completions.create(model=f"{provider}/gpt-plain", messages=say("still there?"))
    assert "still there?" in reply.choices[0].message.content


def test_fifty_streams_at_once_are_kept_apart(gateway, provider):
    async def one(client, number: int) -> str:
        stream = await client.chat.completions.create(
            model=f"{provider}/gpt-plain", messages=say(f"number {number}!"), stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=gateway.url + "/v1", api_key=MASTER_KEY, max_retries=0, timeout=60
        ) as client:
            return await asyncio.gather(*(one(client, number) for number in range(50)))

    texts = run(all_of_them())
    expected = [f"Hello from gpt-plain, a simulated model. You said: number {number}!" for number in range(50)]
    assert texts == expected


def test_two_choices_are_two_choices(client):
    reply = client.chat.completions.create(model="openai/gpt-plain", messages=say("hi"), n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]


def test_a_base_url_without_the_version_works_as_well(gateway):
    with openai.OpenAI(base_url=gateway.url, api_key=MASTER_KEY, max_retries=0) as client:
        reply = client.chat.completions.create(model="chat", messages=say("hi"))
        assert reply.model == "chat"


PRICED = {
    "openai": "gpt-4o",
    "azure": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
    "openai-responses": "gpt-4o",
}


@pytest.mark.parametrize("provider", list(PRICED))
def test_every_plain_reply_says_its_cost(client, provider):
    raw = client.chat.completions.with_raw_response.create(model=f"{provider}/{PRICED[provider]}", messages=say("hi"))
    assert float(raw.headers["x-litellm-response-cost"]) > 0
    assert raw.headers["x-litellm-model-id"]
    assert raw.headers["x-litellm-model-group"] == f"{provider}/{PRICED[provider]}"


def test_the_cost_is_the_price_times_the_tokens(client):
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=say("what does this cost?"))
    usage = raw.parse().usage
    # USD per token of gpt-4o in the catalogue: 2.50 and 10.00 a million.
    expected = usage.prompt_tokens * 2.5e-6 + usage.completion_tokens * 1e-5
    assert float(raw.headers["x-litellm-response-cost"]) == pytest.approx(expected)
