"""LlamaIndex's models at the gateway: OpenAI's two dialects and Anthropic's, with each provider behind it."""

import pytest
from conftest import MASTER_KEY
from scenario import QUESTION, Place

pytestmark = pytest.mark.litellm

# LlamaIndex knows what a model can do by its name; these names are known to it and answer plainly here.
NAMES = {"openai": "gpt-4o", "responses": "gpt-4o", "anthropic": "claude-sonnet-4-5"}


@pytest.fixture(params=list(NAMES))
def dialect(request):
    return request.param


@pytest.fixture
def llm(gateway, dialect, provider):
    """The framework's class for a dialect, whose requests name the provider's model."""
    name = NAMES[dialect]
    if dialect == "anthropic":
        from llama_index.llms.anthropic import Anthropic

        llm = Anthropic(model=name, base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, max_tokens=400)
    else:
        from llama_index.llms.openai import OpenAI, OpenAIResponses

        kind = OpenAIResponses if dialect == "responses" else OpenAI
        llm = kind(model=name, api_base=gateway.url + "/v1", api_key=MASTER_KEY, max_retries=0)
    return lambda behaviour: named(llm, f"{provider}/{behaviour}")


def named(llm, model: str):
    """The request's model, without what the framework looks up by its name."""
    llm.additional_kwargs = {"model": model}
    return llm


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def test_a_completion_is_given(llm):
    assert "good morning" in llm("gpt-plain").complete("good morning").text


def test_a_stream_comes_in_parts(llm):
    parts = list(llm("gpt-plain").stream_complete("good morning"))
    assert len(parts) > 3
    assert parts[-1].text.endswith("good morning")


def test_a_chat_is_carried(llm):
    from llama_index.core.llms import ChatMessage

    messages = [ChatMessage(role="system", content="Be terse."), ChatMessage(role="user", content="good morning")]
    assert "good morning" in llm("gpt-plain").chat(messages).message.content


def test_a_tool_goes_round(llm):
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool

    tool = FunctionTool.from_defaults(get_weather)
    model = llm("sim-tools")
    history = [ChatMessage(role="user", content=QUESTION)]
    reply = model.chat_with_tools([tool], chat_history=history)
    [call] = model.get_tool_calls_from_response(reply)
    assert call.tool_name == "get_weather"
    result = str(tool(**call.tool_kwargs))
    history += [
        reply.message,
        ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id}),
    ]
    assert "sunny in" in model.chat_with_tools([tool], chat_history=history).message.content


# Here the class for Anthropic sends the name that it looks up, whatever else is asked for.
@pytest.mark.parametrize("dialect", ["openai", "responses"])
def test_structured_output_fills_the_callers_type(llm):
    from llama_index.core.prompts import PromptTemplate

    place = llm("gpt-plain").structured_predict(Place, PromptTemplate("Paris"))
    assert isinstance(place, Place)
