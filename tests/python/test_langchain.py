"""LangChain's chat models, each at its own dialect of the gateway, with each provider behind it."""

import pytest
from conftest import MASTER_KEY
from scenario import CACHED, COMPLETION, COUNTED, PROMPT, QUESTION, Place, data_url, png

pytestmark = pytest.mark.litellm


def chat_model(name: str, url: str, model: str):
    """The framework's class for a dialect, at the gateway."""
    if name in ("openai", "responses"):
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(
            model=model,
            base_url=url + "/v1",
            api_key=MASTER_KEY,
            max_retries=0,
            use_responses_api=name == "responses",
            stream_usage=True,
        )
    if name == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(model=model, base_url=url, api_key=MASTER_KEY, max_retries=0, max_tokens=400)
    if name == "google":
        from langchain_google_genai import ChatGoogleGenerativeAI

        return ChatGoogleGenerativeAI(model=model, base_url=url, google_api_key=MASTER_KEY, max_retries=1)
    if name == "aws":
        from langchain_aws import ChatBedrockConverse

        return ChatBedrockConverse(
            model=model,
            provider="anthropic",
            disable_streaming=False,
            supports_tool_choice_values=("auto", "any", "tool"),
            region_name="eu-central-1",
            endpoint_url=url,
            aws_access_key_id=MASTER_KEY,
            aws_secret_access_key="unused",
        )
    from langchain_cohere import ChatCohere

    return ChatCohere(model=model, base_url=url, cohere_api_key=MASTER_KEY)


DIALECTS = ("openai", "responses", "anthropic", "google", "aws", "cohere")


@pytest.fixture(params=DIALECTS)
def dialect(request):
    return request.param


@pytest.fixture
def chat(gateway, dialect, provider):
    """From a simulated behaviour to the chat model of this dialect and provider."""
    return lambda behaviour: chat_model(dialect, gateway.url, f"{provider}/{behaviour}")


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def get_time(zone: str) -> str:
    """The time in a zone."""
    return f"noon in {zone}"


def test_a_chat_is_answered_and_counted(chat):
    message = chat("gpt-plain").invoke([("system", "Be terse."), ("human", "good morning")])
    assert "good morning" in message.text
    assert message.usage_metadata["input_tokens"] > 0 and message.usage_metadata["output_tokens"] > 0


def test_a_stream_adds_up_to_the_same(chat, dialect):
    chunks = list(chat("gpt-plain").stream("good morning"))
    assert len(chunks) > 3
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text.endswith("good morning")
    # The class for Cohere reads no usage from a stream.
    if dialect != "cohere":
        assert whole.usage_metadata["output_tokens"] > 0


def test_tools_go_round(chat):
    from langchain_core.messages import HumanMessage, ToolMessage

    tools = {"get_weather": get_weather, "get_time": get_time}
    model = chat("sim-tools-2").bind_tools(list(tools.values()))
    messages = [HumanMessage(QUESTION)]
    for number in (1, 2):
        message = model.invoke(messages)
        assert [call["name"] for call in message.tool_calls] == list(tools)
        messages.append(message)
        for call in message.tool_calls:
            result = f"{tools[call['name']](**call['args'])}, says {number}"
            messages.append(ToolMessage(result, tool_call_id=call["id"], name=call["name"]))
        answer = model.invoke(messages)
        assert f"says {number}" in answer.text
        messages += [answer, HumanMessage("and again?")]


# The class for Cohere takes each piece of a call's arguments for a call of its own.
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "cohere"])
def test_streamed_calls_add_up(chat):
    model = chat("sim-tools-2").bind_tools([get_weather, get_time])
    chunks = list(model.stream(QUESTION))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["name"] for call in whole.tool_calls] == ["get_weather", "get_time"]
    assert isinstance(whole.tool_calls[0]["args"]["city"], str)


def test_an_agent_ends_with_the_tools_word(chat):
    from langchain.agents import create_agent

    agent = create_agent(chat("sim-tools"), [get_weather])
    messages = agent.invoke({"messages": [("human", QUESTION)]})["messages"]
    assert "sunny in" in messages[-1].text


def test_structured_output_fills_the_callers_type(chat):
    assert isinstance(chat("gpt-plain").with_structured_output(Place).invoke("Paris"), Place)


# The class for Cohere takes text alone.
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "cohere"])
def test_a_picture_is_taken(chat):
    content = [
        {"type": "text", "text": "what is it, pic-l5?"},
        {"type": "image_url", "image_url": {"url": data_url(png())}},
    ]
    assert "pic-l5" in chat("gpt-plain").invoke([("human", content)]).text


# The class for Cohere reads no cached tokens.
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "cohere"])
def test_cached_tokens_are_counted_once(chat):
    usage = chat(COUNTED).invoke("hi").usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"]) == (PROMPT, COMPLETION)
    assert usage["input_token_details"]["cache_read"] == CACHED
