"""Azure's own client class of the openai package, pointed at the gateway: deployments in the path, `api-key`."""

import openai
import pytest
from conftest import MASTER_KEY, run, say

pytestmark = pytest.mark.both


@pytest.fixture
def azure(gateway):
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=MASTER_KEY, api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


def test_a_deployment_is_a_model_group(azure):
    reply = azure.chat.completions.create(model="chat", messages=say("good morning"))
    assert reply.model == "chat"
    assert "good morning" in reply.choices[0].message.content


def test_a_deployment_streams(azure):
    stream = azure.chat.completions.create(model="chat", messages=say("good morning"), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert "good morning" in text


def test_a_deployment_calls_tools(azure):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    reply = azure.chat.completions.create(
        model="gpt-4o", messages=say("look"), tools=[tool], tool_choice="required"
    )
    assert reply.choices[0].message.tool_calls[0].function.name == "look"


def test_a_deployment_embeds(azure):
    reply = azure.embeddings.create(model="embed", input=["one", "two"])
    assert len(reply.data) == 2


def test_a_wrong_key_is_refused(gateway):
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key="sk-wrong", api_version="2024-10-21", max_retries=0
    ) as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="chat", messages=say("hi"))


def test_the_async_class_works_as_well(gateway):
    async def ask() -> str:
        async with openai.AsyncAzureOpenAI(
            azure_endpoint=gateway.url, api_key=MASTER_KEY, api_version="2024-10-21", max_retries=0
        ) as client:
            reply = await client.chat.completions.create(model="chat", messages=say("hi"))
            return reply.choices[0].message.content

    assert "hi" in run(ask())
