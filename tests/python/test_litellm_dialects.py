"""The LiteLLM SDK at the gateway's other dialects, as its users point it at a proxy or at a provider's base."""

import os

import pytest
from conftest import MASTER_KEY, PROVIDERS, run, say

pytestmark = pytest.mark.litellm


@pytest.fixture(scope="module")
def litellm():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    return litellm


# How the SDK names a dialect, and what it takes for that dialect's base.
DIALECTS = {
    "anthropic": ("anthropic/{model}", "{url}"),
    "gemini": ("gemini/{model}", "{url}/v1beta"),
    "cohere": ("cohere_chat/v2/{model}", "{url}/v2/chat"),
    "bedrock": ("bedrock/converse/{model}", "{url}"),
}


@pytest.fixture(params=list(DIALECTS))
def dialect(request):
    return request.param


@pytest.fixture
def arguments(dialect, gateway):
    name, base = DIALECTS[dialect]
    more = {"aws_region_name": "eu-central-1"} if dialect == "bedrock" else {}

    def of(model: str) -> dict:
        return {
            "model": name.format(model=model),
            "api_base": base.format(url=gateway.url),
            "api_key": MASTER_KEY,
            "num_retries": 0,
            "timeout": 30,
            **more,
        }

    return of


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_completion_is_given(litellm, arguments, provider):
    reply = litellm.completion(messages=say("good morning"), **arguments(f"{provider}/gpt-plain"))
    assert "good morning" in reply.choices[0].message.content
    assert reply.usage.total_tokens > 0


# The SDK cannot read Cohere's streams: it takes an event's name for its data.
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "cohere"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_completion_is_streamed(litellm, arguments, provider):
    chunks = list(litellm.completion(messages=say("good morning"), stream=True, **arguments(f"{provider}/gpt-plain")))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "good morning" in text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_responses_are_given(litellm, gateway, provider):
    arguments = {"model": f"litellm_proxy/{provider}/gpt-plain", "api_base": gateway.url, "api_key": MASTER_KEY}
    assert "good morning" in litellm.responses(input="good morning", **arguments).output_text
    events = list(litellm.responses(input="good morning", stream=True, **arguments))
    assert events[-1].type == "response.completed"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_messages_are_answered(litellm, gateway, provider):
    async def ask():
        return await litellm.anthropic.messages.acreate(
            model=f"anthropic/{provider}/gpt-plain",
            api_base=gateway.url,
            api_key=MASTER_KEY,
            max_tokens=50,
            messages=say("hi"),
        )

    assert "hi" in run(ask())["content"][0]["text"]


def test_documents_are_ranked(litellm, gateway):
    reply = litellm.rerank(
        model="litellm_proxy/rank",
        api_base=gateway.url,
        api_key=MASTER_KEY,
        query="what colour is the sky?",
        documents=["carrots are orange", "the sky is blue"],
        top_n=1,
    )
    assert reply.results[0]["index"] == 1
