"""The simulated clouds, driven by their own packages: boto3, the Anthropic package's clients for Bedrock and Vertex AI,
google-auth and google-genai; and what Anthropic and Gemini have beside messages.

The requests go to a simulator of this module's own, so that the replay of what the gateway sent sees none of them.
"""

import base64
import contextlib
import importlib.util
import json
import time

import anthropic
import boto3
import google.auth.transport.requests
import httpx
import pytest
import servers
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from google import genai
from google.genai import types

ROOT = servers.ROOT / "crates/simulator"
KEYS = {
    "aws_access_key_id": "AKIASIMULATED0000001",
    "aws_secret_access_key": "simulated/secret/of/forty/characters/001",
}
ROLE = "arn:aws:iam::000000000001:role/simulated-role"
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SAY = [{"role": "user", "content": [{"text": "hello"}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGMwTpsJAAICATNWh+JUAAAAAElFTkSuQmCC")
THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@pytest.fixture(scope="module")
def sim(folder):
    with servers.simulator(folder, name="clouds") as server:
        yield server.url


@pytest.fixture(scope="module")
def account():
    return json.loads((ROOT / "fixtures/simulated-service-account.json").read_text())


def aws(sim, service: str, **keys):
    config = Config(retries={"max_attempts": 0})
    return boto3.client(service, region_name="us-east-1", endpoint_url=sim, config=config, **(keys or KEYS))


@pytest.fixture(scope="module")
def bedrock(sim):
    return aws(sim, "bedrock-runtime")


@contextlib.contextmanager
def lifetimes(sim, **seconds: int):
    """What the clouds give out meanwhile is good for so long."""
    httpx.put(sim + "/sim/clouds", json=seconds, trust_env=False).raise_for_status()
    try:
        yield
    finally:
        httpx.put(sim + "/sim/clouds", json={}, trust_env=False).raise_for_status()


def refused(call, code: str, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code and words in error["Message"], error


def test_the_table_of_shapes_is_that_of_botocore():
    spec = importlib.util.spec_from_file_location("bedrock_shapes", ROOT / "scripts/bedrock_shapes.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.text() == (ROOT / "src/bedrock/shapes.json").read_text()


def test_a_conversation_is_answered(bedrock):
    reply = bedrock.converse(modelId=CLAUDE, messages=SAY, system=[{"text": "be brief"}])
    assert reply["output"]["message"]["content"][0]["text"].endswith("You said: hello")
    assert reply["stopReason"] == "end_turn"
    usage = reply["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert bedrock.count_tokens(modelId=CLAUDE, input={"converse": {"messages": SAY}})["inputTokens"] > 0


def test_a_stream_says_what_the_plain_reply_says(bedrock):
    asked = {"modelId": CLAUDE, "messages": SAY, "additionalModelRequestFields": THINK}
    plain = bedrock.converse(**asked)
    events = list(bedrock.converse_stream(**asked)["stream"])
    names = [name for event in events for name in event]
    assert names[0] == "messageStart" and names[-2:] == ["messageStop", "metadata"]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    reasoning = plain["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]
    assert "".join(d.get("reasoningContent", {}).get("text", "") for d in deltas) == reasoning["text"]
    assert "".join(d.get("text", "") for d in deltas) == plain["output"]["message"]["content"][1]["text"]
    assert events[-1]["metadata"]["usage"] == plain["usage"]


def test_a_tool_loop_with_reasoning_and_an_image_goes_round(bedrock):
    messages = [{"role": "user", "content": [{"text": "look"}, {"image": {"format": "png", "source": {"bytes": PNG}}}]}]
    asked = {"modelId": "anthropic.sim-tools-2", "toolConfig": TOOLS, "additionalModelRequestFields": THINK}
    first = bedrock.converse(messages=messages, **asked)
    assert first["stopReason"] == "tool_use"
    message = first["output"]["message"]
    uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert [use["name"] for use in uses] == ["weather", "weather"]
    results = [
        {
            "toolResult": {
                "toolUseId": use["toolUseId"],
                "content": [{"text": "rain"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
            }
        }
        for use in uses
    ]
    messages += [message, {"role": "user", "content": results}]
    second = bedrock.converse(messages=messages, **asked)
    assert "The tool says: rain" in second["output"]["message"]["content"][-1]["text"]
    forged = json.loads(json.dumps(message))
    forged["content"][0]["reasoningContent"]["reasoningText"]["text"] = "something else"
    messages[1] = forged
    refused(lambda: bedrock.converse(messages=messages, **asked), "ValidationException", "Invalid `signature`")


def test_streamed_tool_calls_come_in_pieces(bedrock):
    stream = bedrock.converse_stream(modelId="sim-tools", messages=SAY, toolConfig=TOOLS)["stream"]
    events = list(stream)
    [start] = [event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event]
    assert start["toolUse"]["name"] == "weather"
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas)) == {"city": "hello"}


def test_documents_are_cited_and_redacted_thoughts_go_back(bedrock):
    document = {
        "format": "txt",
        "name": "notes",
        "source": {"text": "the gate is open"},
        "citations": {"enabled": True},
    }
    messages = [{"role": "user", "content": [{"text": "what"}, {"document": document}]}]
    reply = bedrock.converse(modelId=CLAUDE, messages=messages)
    [cited] = [block["citationsContent"] for block in reply["output"]["message"]["content"]]
    assert cited["citations"][0]["location"]["documentChar"]["documentIndex"] == 0
    reply = bedrock.converse(modelId="anthropic.sim-redacted", messages=SAY)
    message = reply["output"]["message"]
    assert isinstance(message["content"][0]["reasoningContent"]["redactedContent"], bytes)
    again = bedrock.converse(modelId=CLAUDE, messages=SAY + [message] + SAY)
    assert again["stopReason"] == "end_turn"


def test_a_cached_prefix_is_written_and_then_read(bedrock):
    system = [{"text": f"{time.time()} " + "a" * 8000}, {"cachePoint": {"type": "default"}}]
    counts = [bedrock.converse(modelId=CLAUDE, messages=SAY, system=system)["usage"] for _ in range(2)]
    written = counts[0]["cacheWriteInputTokens"]
    assert written > 2000 and counts[0]["cacheReadInputTokens"] == 0
    assert (counts[1]["cacheReadInputTokens"], counts[1]["cacheWriteInputTokens"]) == (written, 0)
    assert counts[0]["cacheDetails"] == [{"ttl": "5m", "inputTokens": written}]


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("sim-error-400", "ValidationException"),
        ("sim-error-403", "AccessDeniedException"),
        ("sim-error-404", "ResourceNotFoundException"),
        ("sim-error-408", "ModelTimeoutException"),
        ("sim-error-424", "ModelErrorException"),
        ("sim-error-429", "ThrottlingException"),
        ("sim-error-500", "InternalServerException"),
        ("sim-error-503", "ServiceUnavailableException"),
        ("sim-context", "ValidationException"),
    ],
)
def test_errors_have_the_services_names(bedrock, model, code):
    refused(lambda: bedrock.converse(modelId=model, messages=SAY), code, "")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "validationException"),
        (424, "modelStreamErrorException"),
        (429, "throttlingException"),
        (500, "internalServerException"),
        (503, "serviceUnavailableException"),
    ],
)
def test_an_exception_ends_a_stream(bedrock, status, code):
    stream = bedrock.converse_stream(modelId=f"sim-event-2-{status}", messages=SAY)["stream"]
    seen = []
    with pytest.raises(EventStreamError) as caught:
        for event in stream:
            seen.append(event)
    assert caught.value.response["Error"]["Code"] == code
    assert sum("contentBlockDelta" in event for event in seen) == 2


def test_wrong_conversations_are_refused(bedrock):
    def ask(**changed):
        return lambda: bedrock.converse(**({"modelId": CLAUDE, "messages": SAY} | changed))

    code = "ValidationException"
    assistant = {"role": "assistant", "content": [{"text": "x"}]}
    refused(ask(messages=[assistant]), code, "must start with a user message")
    refused(ask(messages=SAY + SAY), code, "must alternate")
    refused(ask(messages=[{"role": "user", "content": [{"text": ""}]}]), code, "is blank")
    refused(ask(modelId="not a model"), code, "The provided model identifier is invalid.")
    refused(ask(inferenceConfig={"temperature": 2.0}), code, "Member must have value less than or equal to 1")


def test_only_a_good_signature_or_key_opens_bedrock(sim):
    def ask(**keys):
        return lambda: aws(sim, "bedrock-runtime", **keys).converse(modelId=CLAUDE, messages=SAY)

    refused(ask(**KEYS | {"aws_access_key_id": "AKIAOTHER"}), "UnrecognizedClientException", "security token")
    refused(ask(**KEYS | {"aws_secret_access_key": "x"}), "InvalidSignatureException", "does not match")
    refused(ask(**KEYS, aws_session_token="x"), "UnrecognizedClientException", "security token")
    reply = httpx.post(f"{sim}/model/{CLAUDE}/converse", json={"messages": SAY}, trust_env=False)
    assert (reply.status_code, reply.json()) == (403, {"message": "Missing Authentication Token"})
    # boto3 sends a bearer key over TLS alone.
    for key, status, kind in (("bedrock-api-key-1", 200, None), ("invalid", 403, "AccessDeniedException")):
        headers = {"authorization": f"Bearer {key}"}
        url = f"{sim}/model/{CLAUDE}/converse"
        reply = httpx.post(url, json={"messages": SAY}, headers=headers, trust_env=False)
        assert reply.status_code == status
        assert reply.headers.get("x-amzn-errortype", "").partition(":")[0] == (kind or "")


def invoke(bedrock, model: str, body: dict) -> dict:
    return json.load(bedrock.invoke_model(modelId=model, body=json.dumps(body))["body"])


def test_embeddings_are_invoked(bedrock):
    first = invoke(bedrock, "amazon.titan-embed-text-v1", {"inputText": "a gate"})
    assert len(first["embedding"]) == 1536 and first["inputTextTokenCount"] == 2
    second = invoke(bedrock, "amazon.titan-embed-text-v2:0", {"inputText": "a gate", "dimensions": 256})
    assert len(second["embedding"]) == 256
    image = invoke(bedrock, "amazon.titan-embed-image-v1", {"inputImage": base64.b64encode(PNG).decode()})
    assert len(image["embedding"]) == 1024
    body = {"texts": ["a", "b"], "input_type": "search_document"}
    assert len(invoke(bedrock, "cohere.embed-english-v3", body)["embeddings"]) == 2
    refused(
        lambda: invoke(bedrock, "amazon.titan-embed-text-v1", {"inputs": "x"}),
        "ValidationException",
        "extraneous key [inputs]",
    )


def test_claude_is_invoked_by_anthropics_client(sim):
    keys = {"aws_access_key": KEYS["aws_access_key_id"], "aws_secret_key": KEYS["aws_secret_access_key"]}
    client = anthropic.AnthropicBedrock(**keys, aws_region="us-east-1", base_url=sim, max_retries=0)
    asked = {"model": CLAUDE, "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
    plain = client.messages.create(**asked)
    assert plain.content[0].text.endswith("You said: hello")
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    assert (streamed.content[0].text, streamed.usage.output_tokens) == (
        plain.content[0].text,
        plain.usage.output_tokens,
    )
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(**asked | {"model": "anthropic.sim-error-429"})


def test_sagemaker_serves_both_forms(sim):
    client = aws(sim, "sagemaker-runtime")

    def ask(body, stream=False):
        call = client.invoke_endpoint_with_response_stream if stream else client.invoke_endpoint
        return call(EndpointName="gate", ContentType="application/json", Body=json.dumps(body))["Body"]

    [generated] = json.load(ask({"inputs": "hello", "parameters": {"max_new_tokens": 3}}))
    assert generated["generated_text"] == "Hello from g"
    messages = {"messages": [{"role": "user", "content": "hello"}]}
    assert json.load(ask(messages))["choices"][0]["finish_reason"] == "stop"
    text = b"".join(event["PayloadPart"]["Bytes"] for event in ask(messages | {"stream": True}, stream=True)).decode()
    assert text.count("data: ") > 10 and text.endswith("data: [DONE]\n\n")
    refused(lambda: ask({"input": "x"}), "ModelError", "Received client error (422)")


def temporary(keys: dict) -> dict:
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys.get("SessionToken") or keys["Token"],
    }


def opens_bedrock(sim, keys: dict) -> bool:
    return aws(sim, "bedrock-runtime", **keys).converse(modelId=CLAUDE, messages=SAY)["stopReason"] == "end_turn"


def test_a_role_is_assumed_until_its_session_ends(sim):
    sts = aws(sim, "sts")
    assert sts.get_caller_identity()["Account"] == "000000000001"
    given = sts.assume_role(RoleArn=ROLE, RoleSessionName="gate", DurationSeconds=900)
    assert given["AssumedRoleUser"]["Arn"].endswith("assumed-role/simulated-role/gate")
    assert opens_bedrock(sim, temporary(given["Credentials"]))
    refused(lambda: sts.assume_role(RoleArn=ROLE + "-denied", RoleSessionName="gate"), "AccessDenied", "sts:AssumeRole")
    refused(
        lambda: sts.assume_role(RoleArn="arn:aws:iam::1:user/someone-else", RoleSessionName="gate"),
        "ValidationError",
        "is invalid",
    )
    wrong = aws(sim, "sts", **KEYS | {"aws_secret_access_key": "x"})
    refused(lambda: wrong.assume_role(RoleArn=ROLE, RoleSessionName="gate"), "SignatureDoesNotMatch", "does not match")
    with lifetimes(sim, aws_seconds=0):
        ended = temporary(sts.assume_role(RoleArn=ROLE, RoleSessionName="gate")["Credentials"])
    refused(lambda: opens_bedrock(sim, ended), "ExpiredTokenException", "expired")


def web_token(account, **claims) -> str:
    """A token that the simulated issuer signed."""
    from google.auth import crypt, jwt

    now = int(time.time())
    claims = {
        "iss": "https://issuer.example.com",
        "sub": "job",
        "aud": "sts.amazonaws.com",
        "iat": now,
        "exp": now + 600,
    } | claims
    return jwt.encode(crypt.RSASigner.from_service_account_info(account), claims).decode()


def test_a_web_identity_assumes_a_role(sim, account):
    sts = aws(sim, "sts")
    asked = {"RoleArn": ROLE, "RoleSessionName": "gate"}
    given = sts.assume_role_with_web_identity(**asked, WebIdentityToken=web_token(account))
    assert given["SubjectFromWebIdentityToken"] == "job"
    assert opens_bedrock(sim, temporary(given["Credentials"]))
    ended = web_token(account, exp=int(time.time()) - 600)
    refused(
        lambda: sts.assume_role_with_web_identity(**asked, WebIdentityToken=ended), "ExpiredTokenException", "expired"
    )
    refused(lambda: sts.assume_role_with_web_identity(**asked, WebIdentityToken="a.b.c"), "InvalidIdentityToken", "")


def test_an_instance_and_a_container_are_told_their_keys(sim):
    from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher

    found = InstanceMetadataFetcher(
        base_url=sim + "/", config={"ec2_metadata_v1_disabled": True}
    ).retrieve_iam_role_credentials()
    assert found["role_name"] == "simulated-role"
    keys = {"AccessKeyId": found["access_key"], "SecretAccessKey": found["secret_key"], "Token": found["token"]}
    assert opens_bedrock(sim, temporary(keys))
    assert httpx.get(sim + "/latest/meta-data/placement/region", trust_env=False).status_code == 401
    found = ContainerMetadataFetcher().retrieve_full_uri(sim + "/v2/credentials/task")
    assert found["RoleArn"] == ROLE and opens_bedrock(sim, temporary(found))
    assert httpx.get(sim + "/v1/credentials", trust_env=False).status_code == 400
    found = ContainerMetadataFetcher().retrieve_full_uri(sim + "/v1/credentials", headers={"Authorization": "pod"})
    assert opens_bedrock(sim, temporary(found))


def google_token(credentials) -> str:
    credentials.refresh(google.auth.transport.requests.Request())
    return credentials.token


@pytest.fixture
def service_account(sim, account):
    from google.oauth2 import service_account

    info = account | {"token_uri": f"{sim}/token"}
    return service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])


def claude_of(sim, token: str):
    return anthropic.AnthropicVertex(
        region="us-east5", project_id="simulated-project", access_token=token, base_url=f"{sim}/v1", max_retries=0
    )


VERTEX = {"model": "claude-haiku-4-5@20251001", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}


def test_every_way_to_a_google_token_opens_vertex(sim, account, service_account, tmp_path, monkeypatch):
    from google.auth import compute_engine, identity_pool
    from google.auth.compute_engine import _metadata
    from google.oauth2.credentials import Credentials

    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", sim.removeprefix("http://"))
    user = Credentials(
        None,
        refresh_token="1//simulated-refresh-token",
        client_id="simulated-client.apps.googleusercontent.com",
        client_secret="simulated-client-secret",
        token_uri=f"{sim}/token",
    )
    subject = tmp_path / "subject"
    subject.write_text(web_token(account))
    pool = identity_pool.Credentials(
        audience="//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=f"{sim}/v1/token",
        credential_source={"file": str(subject)},
        scopes=[SCOPE],
    )
    for credentials in (service_account, user, pool, compute_engine.Credentials()):
        reply = claude_of(sim, google_token(credentials)).messages.create(**VERTEX)
        assert reply.content[0].text.endswith("You said: hello"), type(credentials)
    assert _metadata.get_project_id(google.auth.transport.requests.Request()) == "simulated-project"
    token = google_token(service_account)
    url = f"{sim}/v1/projects/-/serviceAccounts/{account['client_email']}:generateAccessToken"
    body = {"scope": [SCOPE], "lifetime": "300s"}
    reply = httpx.post(url, json=body, headers={"authorization": f"Bearer {token}"}, trust_env=False)
    assert claude_of(sim, reply.json()["accessToken"]).messages.create(**VERTEX).stop_reason == "end_turn"
    reply = httpx.get(f"{sim}/computeMetadata/v1/project/project-id", trust_env=False)
    assert reply.status_code == 403


def test_a_token_that_ended_is_refused(sim, service_account):
    with lifetimes(sim, google_seconds=0):
        token = google_token(service_account)
    with pytest.raises(anthropic.AuthenticationError) as caught:
        claude_of(sim, token).messages.create(**VERTEX)
    assert caught.value.response.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"
    with pytest.raises(anthropic.AuthenticationError):
        claude_of(sim, "made-up").messages.create(**VERTEX)


def test_claude_on_vertex_streams_and_counts(sim, service_account):
    client = claude_of(sim, google_token(service_account))
    plain = client.messages.create(**VERTEX)
    with client.messages.stream(**VERTEX) as stream:
        assert stream.get_final_message().content[0].text == plain.content[0].text
    counted = client.messages.count_tokens(model=VERTEX["model"], messages=VERTEX["messages"])
    assert counted.input_tokens == plain.usage.input_tokens
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**VERTEX | {"messages": []})


@pytest.fixture
def vertex(sim, service_account):
    options = types.HttpOptions(base_url=sim, api_version="v1beta1")
    return genai.Client(
        vertexai=True,
        project="simulated-project",
        location="us-central1",
        credentials=service_account,
        http_options=options,
    )


def test_gemini_on_vertex_answers_its_own_client(vertex):
    reply = vertex.models.generate_content(model="gemini-2.5-flash", contents="hello")
    assert reply.usage_metadata.traffic_type == types.TrafficType.ON_DEMAND
    chunks = list(vertex.models.generate_content_stream(model="gemini-2.5-flash", contents="hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == reply.text
    assert [chunk.usage_metadata.total_token_count for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].usage_metadata.total_token_count == reply.usage_metadata.total_token_count
    assert vertex.models.count_tokens(model="gemini-2.5-flash", contents="hello").total_tokens > 0
    made = vertex.models.embed_content(model="text-embedding-005", contents=["one", "two"])
    assert [len(one.values) for one in made.embeddings] == [768, 768]
    with pytest.raises(genai.errors.APIError):
        vertex.models.generate_content(model="gemini-2.5-flash", contents=[types.Content(parts=[types.Part(text="x")])])


@pytest.fixture(scope="module")
def claude(sim):
    return anthropic.Anthropic(api_key="key", base_url=sim, max_retries=0)


def test_message_batches_live_and_end(claude):
    params = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    requests = [
        {"custom_id": "good", "params": params},
        {"custom_id": "wrong", "params": params | {"max_tokens": 0}},
        {"custom_id": "failed", "params": params | {"model": "sim-error-529"}},
    ]
    batch = claude.messages.batches.create(requests=requests)
    assert batch.processing_status == "in_progress" and batch.request_counts.processing == 3
    batch = claude.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.succeeded, batch.request_counts.errored) == ("ended", 1, 2)
    results = {line.custom_id: line.result for line in claude.messages.batches.results(batch.id)}
    assert results["good"].message.usage.service_tier == "batch"
    assert results["wrong"].error.error.type == "invalid_request_error"
    assert results["failed"].error.error.type == "overloaded_error"
    assert batch.id in [one.id for one in claude.messages.batches.list(limit=5)]
    slow = [{"custom_id": "slow", "params": params | {"model": "sim-slow-60s"}}]
    slow = claude.messages.batches.create(requests=slow)
    assert claude.messages.batches.cancel(slow.id).processing_status == "canceling"
    [line] = claude.messages.batches.results(slow.id)
    assert line.result.type == "canceled"
    assert claude.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve(batch.id)
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.batches.create(requests=requests + requests)


def stream_of(claude, **asked):
    with claude.messages.stream(max_tokens=2000, **asked) as stream:
        return stream.get_final_message()


def test_claude_cites_documents_and_pages(claude):
    source = {"type": "text", "media_type": "text/plain", "data": "the gate is open"}
    document = {"type": "document", "source": source, "title": "notes", "citations": {"enabled": True}}
    messages = [{"role": "user", "content": [document, {"type": "text", "text": "what"}]}]
    for reply in (
        claude.messages.create(model="claude-haiku-4-5", max_tokens=2000, messages=messages),
        stream_of(claude, model="claude-haiku-4-5", messages=messages),
    ):
        assert reply.content[0].citations is None or reply.content[0].citations == []
        [citation] = reply.content[1].citations
        assert (citation.type, citation.cited_text, citation.document_title) == (
            "char_location",
            "the gate is open",
            "notes",
        )
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    searched = stream_of(claude, model="sim-hosted", messages=[{"role": "user", "content": "x"}], tools=tools)
    assert [block.type for block in searched.content][:2] == ["server_tool_use", "web_search_tool_result"]
    assert searched.content[-1].citations[0].type == "web_search_result_location"


def test_claudes_thoughts_reasons_and_counts(claude):
    say = [{"role": "user", "content": "hello"}]
    reply = claude.messages.create(model="sim-redacted+reason", max_tokens=2000, messages=say)
    assert [block.type for block in reply.content] == ["thinking", "redacted_thinking", "text"]
    again = say + [{"role": "assistant", "content": reply.content}] + say
    assert claude.messages.create(model="claude-haiku-4-5", max_tokens=5, messages=again).stop_reason == "max_tokens"
    for word in ("refusal", "pause_turn", "model_context_window_exceeded"):
        reply = stream_of(claude, model=f"sim-finish-{word}", messages=say)
        assert reply.stop_reason == word
    assert stream_of(claude, model="m", messages=say, stop_sequences=["said"]).stop_sequence == "said"
    reply = claude.beta.messages.create(model="sim-iterations-3", max_tokens=50, messages=say)
    assert [one.type for one in reply.usage.iterations] == ["compaction", "compaction", "message"]
    system = [
        {"type": "text", "text": f"{time.time()}" + "a" * 8000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    first, second = (
        claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=say, system=system).usage
        for _ in range(2)
    )
    assert first.cache_creation.ephemeral_1h_input_tokens == first.cache_creation_input_tokens > 2000
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens


def test_gemini_paints_searches_and_tells_probabilities(sim):
    client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=sim))
    config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    reply = client.models.generate_content(model="gemini-2.5-flash-image", contents="a gate", config=config)
    [blob] = [part.inline_data for part in reply.candidates[0].content.parts if part.inline_data]
    assert blob.mime_type == "image/png" and blob.data == PNG
    config = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    reply = client.models.generate_content(model="sim-hosted", contents="x", config=config)
    assert reply.candidates[0].grounding_metadata.grounding_chunks[0].web.uri
    config = types.GenerateContentConfig(response_logprobs=True, logprobs=2, candidate_count=2)
    reply = client.models.generate_content(model="g", contents="x", config=config)
    assert len(reply.candidates) == 2
    assert len(reply.candidates[1].logprobs_result.top_candidates[0].candidates) == 2
    config = types.GenerateContentConfig(cached_content="cachedContents/1")
    reply = client.models.generate_content(model="g", contents="x", config=config)
    assert reply.usage_metadata.cached_content_token_count == 2048
    for word in ("RECITATION", "SPII", "MALFORMED_FUNCTION_CALL", "PROHIBITED_CONTENT"):
        reply = client.models.generate_content(model=f"sim-finish-{word}", contents="x")
        assert reply.candidates[0].finish_reason.name == word
    reply = client.models.generate_content(model="sim-finish-blocked", contents="x")
    assert reply.prompt_feedback.block_reason.name == "PROHIBITED_CONTENT" and not reply.candidates
