"""Embeddings, legacy completions, models, errors and time limits through the official openai package."""

import openai
import pytest
from conftest import MASTER_KEY, say

pytestmark = pytest.mark.both


EMBEDS = [
    "embed",
    "openai/text-embedding-3-small",
    "azure/text-embedding-3-small",
    "gemini/gemini-embedding-001",
    "cohere/embed-v4.0",
    "bedrock/amazon.titan-embed-text-v2:0",
]


@pytest.mark.parametrize("model", EMBEDS)
def test_embeddings_are_the_same_in_either_encoding(client, model):
    plain = client.embeddings.create(model=model, input=["one", "two"], encoding_format="float")
    # Without a format the package asks for base64 and unpacks it.
    packed = client.embeddings.create(model=model, input=["one", "two"])
    assert plain.object == "list"
    assert plain.model == model
    assert [item.index for item in plain.data] == [0, 1]
    assert {item.object for item in plain.data} == {"embedding"}
    assert len(plain.data[0].embedding) == len(plain.data[1].embedding) > 1
    for left, right in zip(plain.data, packed.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding, abs=1e-6)
    assert plain.usage.prompt_tokens > 0
    assert plain.usage.total_tokens == plain.usage.prompt_tokens


def test_one_text_is_one_embedding(client):
    reply = client.embeddings.create(model="embed", input="one", dimensions=16)
    [item] = reply.data
    assert len(item.embedding) == 16


def test_embeddings_that_a_provider_has_not_are_refused(client):
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="anthropic/claude-sonnet-4-20250514", input="one")


def test_legacy_completions_answer(client, provider):
    reply = client.completions.create(model=f"{provider}/gpt-plain", prompt="Once upon a time")
    assert reply.object == "text_completion"
    assert reply.model == f"{provider}/gpt-plain"
    assert reply.choices[0].text
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.completion_tokens > 0


def test_legacy_completions_stream(client, provider):
    stream = client.completions.create(model=f"{provider}/gpt-plain", prompt="Once upon a time", stream=True)
    chunks = list(stream)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert {chunk.object for chunk in chunks} == {"text_completion"}


def test_models_are_listed_and_retrieved(client):
    listed = [model.id for model in client.models.list()]
    assert "chat" in listed and "embed" in listed
    model = client.models.retrieve("chat")
    assert (model.id, model.object) == ("chat", "model")
    assert model.created > 0


def test_an_unknown_model_cannot_be_retrieved(client):
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("no-such-model")
    assert "no-such-model" in error.value.message


def test_a_chat_with_an_unknown_model_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="no-such-model", messages=say("hi"))
    assert error.value.type == "invalid_request_error"
    assert "no-such-model" in error.value.message


@pytest.mark.parametrize("key", ["sk-wrong", "not-a-key"])
def test_a_wrong_key_is_refused(gateway, key):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as error:
            client.chat.completions.create(model="chat", messages=say("hi"))
        assert error.value.status_code == 401
        assert MASTER_KEY not in error.value.message


CLASSES = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "kind"), CLASSES)
def test_a_providers_error_has_its_class(client, provider, status, kind):
    with pytest.raises(kind) as error:
        client.chat.completions.create(model=f"{provider}/sim-error-{status}", messages=say("hi"))
    assert error.value.status_code == status
    assert error.value.body["message"]
    assert error.value.body["code"]


@pytest.mark.parametrize("status", [429, 500])
def test_an_error_before_the_first_token_of_a_stream_is_a_status(client, provider, status):
    with pytest.raises(openai.APIStatusError) as error:
        client.chat.completions.create(model=f"{provider}/sim-error-{status}", messages=say("hi"), stream=True)
    assert error.value.status_code == status


def test_the_time_to_wait_reaches_the_caller(client, provider):
    with pytest.raises(openai.RateLimitError) as error:
        client.chat.completions.create(model=f"{provider}/sim-error-429-retry-7", messages=say("hi"))
    assert error.value.response.headers["retry-after"] == "7"


def test_a_prompt_beyond_the_context_window_is_a_bad_request(client, provider):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=f"{provider}/sim-context", messages=say("hi"))
    assert "ContextWindowExceededError" in error.value.message


def test_a_parameter_that_the_provider_refuses_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="wrong/gpt-4o", messages=say("hi"), temperature=17)
    assert error.value.param == "temperature"


def test_a_provider_that_refuses_our_key_is_an_authentication_error_without_the_key(client):
    with pytest.raises(openai.AuthenticationError) as error:
        client.chat.completions.create(model="wrong-key", messages=say("hi"))
    assert "sk-invalid" not in str(error.value.body)


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_cannot_be_reached_is_a_server_error(client, stream):
    with pytest.raises(openai.InternalServerError) as error:
        client.chat.completions.create(model="nobody-home", messages=say("hi"), stream=stream)
    assert "127.0.0.1:9" not in str(error.value.body)


def test_the_deployments_time_limit_is_a_408(client):
    with pytest.raises(openai.APIStatusError) as error:
        client.chat.completions.create(model="impatient", messages=say("hi"))
    assert error.value.status_code == 408


def test_the_limit_on_the_first_token_is_a_408(client):
    with pytest.raises(openai.APIStatusError) as error:
        list(client.chat.completions.create(model="impatient-stream", messages=say("hi"), stream=True))
    assert error.value.status_code == 408


def test_the_callers_own_time_limit_holds(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="openai/sim-hang", messages=say("hi"))


@pytest.mark.parametrize("name", ["html", "truncated", "empty", "wrongtype", "badutf8", "errorok", "reset", "reset-head"])
def test_what_is_no_reply_is_a_server_error(client, name):
    try:
        client.chat.completions.create(model=f"openai/sim-{name}", messages=say("hi"))
    except openai.InternalServerError as error:
        assert error.status_code in (500, 502, 503)
        assert "<html" not in str(error.body).lower()
    else:
        # JSON under a wrong content type is still an answer.
        assert name == "wrongtype", "a reply that is none was passed on"


@pytest.mark.parametrize("name", ["cut-3", "cut-3-close", "reset-3", "event-3", "malformed-3"])
def test_a_stream_that_breaks_says_so(client, provider, name):
    text = ""
    with pytest.raises(openai.APIError):
        stream = client.chat.completions.create(
            model=f"{provider}/sim-{name}", messages=say("a long enough message to be cut"), stream=True
        )
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                assert choice.finish_reason is None, "a broken stream must not look finished"
    assert text, "what came before the break is delivered"
