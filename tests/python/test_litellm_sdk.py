"""A user of the LiteLLM SDK who calls LiteLLM Proxy, and finds Tollgate there."""

import json
import os

import pytest
from conftest import MASTER_KEY, PROVIDERS, run, say

pytestmark = pytest.mark.litellm

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="session")
def sdk(gateway):
    """The package and the arguments that every call needs."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    return litellm, {"api_base": gateway.url, "api_key": MASTER_KEY, "num_retries": 0, "timeout": 30}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_completion(sdk, provider):
    litellm, arguments = sdk
    reply = litellm.completion(
        model=f"litellm_proxy/{provider}/gpt-plain", messages=say("good morning"), **arguments
    )
    assert "good morning" in reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_streamed_completion(sdk, provider):
    litellm, arguments = sdk
    stream = litellm.completion(
        model=f"litellm_proxy/{provider}/gpt-plain",
        messages=say("good morning"),
        stream=True,
        stream_options={"include_usage": True},
        **arguments,
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "good morning" in text
    usages = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)]
    assert usages and usages[-1].total_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tools(sdk, provider):
    litellm, arguments = sdk
    messages = say("weather in Paris?")
    model = f"litellm_proxy/{provider}/sim-tools"
    message = litellm.completion(model=model, messages=messages, tools=[TOOL], **arguments).choices[0].message
    [call] = message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    messages += [
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    reply = litellm.completion(model=model, messages=messages, tools=[TOOL], **arguments)
    assert "sunny" in reply.choices[0].message.content


def test_embedding(sdk):
    litellm, arguments = sdk
    reply = litellm.embedding(model="litellm_proxy/embed", input=["one", "two"], **arguments)
    assert len(reply.data) == 2
    assert len(reply.data[0]["embedding"]) > 1
    assert reply.usage.prompt_tokens > 0


def test_async_completion(sdk):
    litellm, arguments = sdk

    async def ask():
        return await litellm.acompletion(model="litellm_proxy/chat", messages=say("hi"), **arguments)

    assert "hi" in run(ask()).choices[0].message.content


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("openai/sim-error-429", "RateLimitError"),
        ("anthropic/sim-error-500", "InternalServerError"),
        ("no-such-model", "BadRequestError"),
        ("gemini/sim-error-401", "AuthenticationError"),
    ],
)
def test_errors_keep_their_class(sdk, model, kind):
    litellm, arguments = sdk
    with pytest.raises(getattr(litellm.exceptions, kind)):
        litellm.completion(model=f"litellm_proxy/{model}", messages=say("hi"), **arguments)


def test_the_prefix_that_routes_every_model_through_a_proxy(sdk):
    litellm, arguments = sdk
    reply = litellm.completion(model="openai/gpt-4o", messages=say("hi"), use_litellm_proxy=True, **arguments)
    assert "hi" in reply.choices[0].message.content
