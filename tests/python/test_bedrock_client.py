"""boto3's Bedrock client at `converse` and `converse-stream`, with each provider behind the gateway.

boto3 signs what it sends; over plain HTTP it knows no other way. The gateway's key is the access key's id.
"""

import json

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError, EventStreamError
from conftest import MASTER_KEY, received
from scenario import (
    CACHED,
    COMPLETION,
    COUNTED,
    LIMIT,
    PROMPT,
    QUESTION,
    TOOLS,
    check_weather,
    packed,
    png,
    sent_to_provider,
)

OFFERED = {
    "tools": [
        {"toolSpec": {"name": name, "description": name, "inputSchema": {"json": schema}}}
        for name, schema in TOOLS.items()
    ]
}


def client_of(url: str, key: str = MASTER_KEY):
    settings = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=30)
    return boto3.client(
        "bedrock-runtime",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key="unused",
        config=settings,
    )


@pytest.fixture(scope="module")
def bedrock(gateway):
    return client_of(gateway.url)


def user(*parts) -> dict:
    return {"role": "user", "content": [{"text": part} if isinstance(part, str) else part for part in parts]}


def ask(bedrock, model: str, *parts, **more) -> dict:
    return bedrock.converse(modelId=model, messages=[user(*(parts or ["good morning"]))], **more)


def text_of(content: list[dict]) -> str:
    return "".join(block.get("text", "") for block in content)


def calls_of(content: list[dict]) -> list[dict]:
    return [block["toolUse"] for block in content if "toolUse" in block]


def streamed(bedrock, **arguments) -> tuple[list[dict], list[str], dict]:
    """The content of a stream, the names of its events, and what the last ones say."""
    blocks: dict[int, dict] = {}
    names, said = [], {}
    for event in bedrock.converse_stream(**arguments)["stream"]:
        [(name, value)] = event.items()
        names.append(name)
        if name == "contentBlockStart":
            tool = value["start"].get("toolUse")
            blocks[value["contentBlockIndex"]] = {"toolUse": dict(tool, input="")} if tool else {}
        elif name == "contentBlockDelta":
            block = blocks.setdefault(value["contentBlockIndex"], {})
            delta = value["delta"]
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            if "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            for member, piece in delta.get("reasoningContent", {}).items():
                thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                thought[member] = thought.get(member, "") + piece
        elif name in ("messageStop", "metadata"):
            said |= value
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return [blocks[index] for index in sorted(blocks)], names, said


def test_a_conversation_is_answered(bedrock, provider):
    reply = ask(bedrock, f"{provider}/gpt-plain")
    message = reply["output"]["message"]
    assert message["role"] == "assistant"
    assert text_of(message["content"]) == "Hello from gpt-plain, a simulated model. You said: good morning"
    assert reply["stopReason"] == "end_turn"
    usage = reply["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 2
    assert reply["metrics"]["latencyMs"] >= 0


def test_a_stream_brings_the_same_in_parts(bedrock, provider):
    plain = ask(bedrock, f"{provider}/gpt-plain")
    content, names, said = streamed(bedrock, modelId=f"{provider}/gpt-plain", messages=[user("good morning")])
    assert text_of(content) == text_of(plain["output"]["message"]["content"])
    assert names[0] == "messageStart"
    assert names[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert names.count("contentBlockDelta") > 3, "the answer came in one piece"
    assert said["stopReason"] == plain["stopReason"]
    assert said["usage"] == plain["usage"]


def test_a_whole_conversation_is_carried(bedrock, simulator, provider):
    reply = bedrock.converse(
        modelId=f"{provider}/gpt-plain",
        system=[{"text": "You are terse, marked sys-b1."}],
        messages=[
            user("one, marked usr-b2"),
            {"role": "assistant", "content": [{"text": "two, marked ast-c3"}]},
            user("three", " and four"),
        ],
        inferenceConfig={"maxTokens": 400},
    )
    text = text_of(reply["output"]["message"]["content"])
    assert "three" in text and "four" in text
    sent = json.dumps(sent_to_provider(received(simulator), "sys-b1"))
    assert sent.count("usr-b2") == sent.count("ast-c3") == 1


def test_the_limit_on_tokens_stops_an_answer(bedrock, provider):
    reply = ask(bedrock, f"{provider}/sim-tokens-50", inferenceConfig={"maxTokens": LIMIT})
    assert reply["stopReason"] == "max_tokens"
    assert reply["usage"]["outputTokens"] == LIMIT


@pytest.mark.parametrize("in_parts", [False, True])
def test_parallel_tools_make_several_rounds(bedrock, provider, in_parts):
    """Two tools are called, answered, talked about, and called again."""

    def turn(messages) -> tuple[list[dict], str]:
        arguments = {"modelId": f"{provider}/sim-tools-2", "messages": messages, "toolConfig": OFFERED}
        if in_parts:
            content, _, said = streamed(bedrock, **arguments)
            return content, said["stopReason"]
        reply = bedrock.converse(**arguments)
        return reply["output"]["message"]["content"], reply["stopReason"]

    messages = [user(QUESTION)]
    for number in (1, 2):
        content, reason = turn(messages)
        assert reason == "tool_use"
        calls = calls_of(content)
        assert [call["name"] for call in calls] == list(TOOLS)
        assert len({call["toolUseId"] for call in calls}) == 2
        check_weather(calls[0]["input"])
        results = [
            {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": f"{call['name']} says {number}"}]}}
            for call in calls
        ]
        messages += [{"role": "assistant", "content": content}, user(*results)]
        answer, reason = turn(messages)
        assert reason == "end_turn"
        assert f"says {number}" in text_of(answer)
        messages += [{"role": "assistant", "content": answer}, user("and again?")]


def test_a_tools_failure_and_its_json_reach_the_model(bedrock, simulator, provider):
    messages = [user(QUESTION)]
    arguments = {"modelId": f"{provider}/sim-tools", "messages": messages, "toolConfig": OFFERED}
    message = bedrock.converse(**arguments)["output"]["message"]
    [call] = calls_of(message["content"])
    result = {
        "toolUseId": call["toolUseId"],
        "content": [{"json": {"reason": "first half"}}, {"text": "second half err-b4"}],
        "status": "error",
    }
    messages += [message, user({"toolResult": result})]
    assert bedrock.converse(**arguments)["stopReason"] == "end_turn"
    assert "first half" in json.dumps(sent_to_provider(received(simulator), "err-b4"))


@pytest.mark.parametrize(
    ("choice", "names"),
    [({"any": {}}, ["get_weather"]), ({"tool": {"name": "get_time"}}, ["get_time"]), ({"auto": {}}, [])],
)
def test_the_choice_of_a_tool_is_kept(bedrock, provider, choice, names):
    reply = ask(bedrock, f"{provider}/gpt-plain", QUESTION, toolConfig=OFFERED | {"toolChoice": choice})
    assert [call["name"] for call in calls_of(reply["output"]["message"]["content"])] == names
    assert reply["stopReason"] == ("tool_use" if names else "end_turn")


def test_a_picture_reaches_the_provider(bedrock, simulator, provider):
    picture = {"image": {"format": "png", "source": {"bytes": png(3, 7)}}}
    reply = ask(bedrock, f"{provider}/gpt-plain", picture, "what is it, pic-b5?")
    assert "pic-b5" in text_of(reply["output"]["message"]["content"])
    assert packed(png(3, 7)) in json.dumps(sent_to_provider(received(simulator), "pic-b5"))


@pytest.mark.parametrize("in_parts", [False, True])
def test_usage_is_told_in_bedrocks_terms(bedrock, provider, in_parts):
    """Bedrock's input leaves out what was read from the cache; its total has everything."""
    arguments = {"modelId": f"{provider}/{COUNTED}", "messages": [user("hi")]}
    usage = streamed(bedrock, **arguments)[2]["usage"] if in_parts else bedrock.converse(**arguments)["usage"]
    assert usage["outputTokens"] == COMPLETION
    assert usage["inputTokens"] + usage["cacheReadInputTokens"] == PROMPT
    assert usage["cacheReadInputTokens"] == CACHED
    assert usage["totalTokens"] == PROMPT + COMPLETION


@pytest.mark.parametrize(
    ("model", "code", "status"),
    [
        ("sim-error-400", "ValidationException", 400),
        ("sim-error-429", "ThrottlingException", 429),
        ("sim-error-500", "InternalServerException", 500),
        ("sim-context", "ValidationException", 400),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_providers_error_has_the_packages_class(bedrock, provider, model, code, status, in_parts):
    with pytest.raises(getattr(bedrock.exceptions, code)) as caught:
        if in_parts:
            streamed(bedrock, modelId=f"{provider}/{model}", messages=[user("hi")])
        else:
            ask(bedrock, f"{provider}/{model}")
    check_error(caught.value, code, status)


def check_error(error: ClientError, code: str, status: int) -> None:
    assert error.response["Error"]["Code"] == code
    assert error.response["Error"]["Message"]
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert error.response["ResponseMetadata"]["RequestId"]


def test_an_error_within_a_stream_is_raised(bedrock, provider):
    with pytest.raises(EventStreamError) as caught:
        streamed(bedrock, modelId=f"{provider}/sim-event-3", messages=[user("at some length, please")])
    assert caught.value.response["Error"]["Message"]


def test_a_wrong_key_is_told_in_bedrocks_shape(gateway):
    bedrock = client_of(gateway.url, "sk-invalid")
    with pytest.raises(ClientError) as caught:
        ask(bedrock, "openai/gpt-plain")
    assert caught.value.response["Error"]["Code"] in ("UnrecognizedClientException", "AccessDeniedException")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (401, 403)


def test_a_bearer_key_is_understood(http, provider):
    reply = http.post(
        f"/model/{provider}%2Fgpt-plain/converse", json={"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    )
    assert reply.status_code == 200, reply.text
    assert "hi" in text_of(reply.json()["output"]["message"]["content"])
