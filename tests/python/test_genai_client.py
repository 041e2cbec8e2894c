"""The official google-genai package at `generateContent` and its sisters, with each provider behind the gateway."""

import asyncio
import json

import pytest
from conftest import MASTER_KEY, received, run
from google import genai
from google.genai import errors, types
from scenario import (
    CACHED,
    COMPLETION,
    COUNTED,
    LIMIT,
    PROMPT,
    QUESTION,
    TOOLS,
    Place,
    check_weather,
    packed,
    png,
    sent_to_provider,
)

pytestmark = pytest.mark.both

OFFERED = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name=name, description=name, parameters_json_schema=schema)
        for name, schema in TOOLS.items()
    ]
)
# What the package would do by itself is switched off: a test sees each call.
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


def client_of(url: str, key: str = MASTER_KEY, version: str | None = None) -> genai.Client:
    retries = types.HttpRetryOptions(attempts=1)
    options = types.HttpOptions(base_url=url, api_version=version, timeout=30_000, retry_options=retries)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


@pytest.fixture(scope="module")
def gemini(gateway):
    client = client_of(gateway.url)
    yield client
    client.close()


def config(**more) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(**more)


def with_tools(**more) -> types.GenerateContentConfig:
    return config(tools=[OFFERED], automatic_function_calling=BY_HAND, **more)


def user(*parts) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=part) if isinstance(part, str) else part for part in parts])


def streamed(gemini, model: str, contents, settings=None) -> tuple[types.Content, list]:
    """The whole content of a stream, and its chunks."""
    chunks = list(gemini.models.generate_content_stream(model=model, contents=contents, config=settings))
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or []
    ]
    return types.Content(role="model", parts=parts), chunks


def text_of(content: types.Content) -> str:
    return "".join(part.text for part in content.parts if part.text and not part.thought)


def test_a_content_is_generated(gemini, provider):
    reply = gemini.models.generate_content(model=f"{provider}/gpt-plain", contents="good morning")
    assert reply.text == "Hello from gpt-plain, a simulated model. You said: good morning"
    [candidate] = reply.candidates
    assert candidate.content.role == "model"
    assert candidate.finish_reason == types.FinishReason.STOP
    assert reply.model_version == f"{provider}/gpt-plain"
    assert reply.response_id
    usage = reply.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 2


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_either_version_of_the_path_is_served(gateway, version):
    client = client_of(gateway.url, version=version)
    assert "hi" in client.models.generate_content(model="chat", contents="hi").text


def test_a_stream_brings_the_same_in_parts(gemini, provider):
    plain = gemini.models.generate_content(model=f"{provider}/gpt-plain", contents="good morning")
    content, chunks = streamed(gemini, f"{provider}/gpt-plain", "good morning")
    assert text_of(content) == plain.text
    assert len(chunks) > 3, "the answer came in one piece"
    reasons = [candidate.finish_reason for chunk in chunks for candidate in chunk.candidates or []]
    assert [reason for reason in reasons if reason] == [types.FinishReason.STOP]
    last = chunks[-1].usage_metadata
    assert last.prompt_token_count == plain.usage_metadata.prompt_token_count
    assert last.candidates_token_count == plain.usage_metadata.candidates_token_count


def test_without_events_a_stream_is_a_json_array(http):
    reply = http.post(
        "/v1beta/models/openai/gpt-plain:streamGenerateContent",
        headers={"authorization": "", "x-goog-api-key": MASTER_KEY},
        json={"contents": [{"role": "user", "parts": [{"text": "good morning"}]}]},
    )
    assert reply.headers["content-type"].startswith("application/json")
    texts = [chunk["candidates"][0]["content"]["parts"][0].get("text", "") for chunk in reply.json()]
    assert "good morning" in "".join(texts) and len(texts) > 3


def test_the_key_may_stand_in_the_query(http):
    path = f"/v1beta/models/openai/gpt-plain:generateContent?key={MASTER_KEY}"
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    reply = http.post(path, headers={"authorization": ""}, json=body)
    assert reply.status_code == 200, reply.text


def test_a_whole_conversation_is_carried(gemini, simulator, provider):
    reply = gemini.models.generate_content(
        model=f"{provider}/gpt-plain",
        contents=[
            user("one, marked usr-b2"),
            types.Content(role="model", parts=[types.Part(text="two, marked ast-c3")]),
            user("three", " and four"),
        ],
        config=config(system_instruction="You are terse, marked sys-g1.", max_output_tokens=400),
    )
    assert "three" in reply.text and "four" in reply.text
    sent = json.dumps(sent_to_provider(received(simulator), "sys-g1"))
    assert sent.count("usr-b2") == sent.count("ast-c3") == 1


def test_a_chat_of_the_package_goes_on(gemini, provider):
    chat = gemini.chats.create(model=f"{provider}/gpt-plain")
    chat.send_message("first")
    assert chat.send_message("second").text.endswith("second")
    assert len(chat.get_history()) == 4


def test_the_limit_on_tokens_stops_an_answer(gemini, provider):
    reply = gemini.models.generate_content(
        model=f"{provider}/sim-tokens-50", contents="hi", config=config(max_output_tokens=LIMIT)
    )
    assert reply.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert reply.usage_metadata.candidates_token_count == LIMIT


@pytest.mark.parametrize("in_parts", [False, True])
def test_parallel_tools_make_several_rounds(gemini, provider, in_parts):
    """Two tools are called, answered, talked about, and called again."""

    def turn(contents):
        model = f"{provider}/sim-tools-2"
        if in_parts:
            return streamed(gemini, model, contents, with_tools())[0]
        return gemini.models.generate_content(model=model, contents=contents, config=with_tools()).candidates[0].content

    contents = [user(QUESTION)]
    for number in (1, 2):
        content = turn(contents)
        calls = [part.function_call for part in content.parts if part.function_call]
        assert [call.name for call in calls] == list(TOOLS)
        check_weather(calls[0].args)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"output": f"{call.name} says {number}"}
                )
            )
            for call in calls
        ]
        contents += [content, user(*results)]
        answer = turn(contents)
        assert f"says {number}" in text_of(answer)
        contents += [answer, user("and again?")]


def test_the_package_calls_a_python_function_by_itself(gemini, provider):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "sunny, seventeen degrees"

    reply = gemini.models.generate_content(
        model=f"{provider}/sim-tools", contents=QUESTION, config=config(tools=[get_weather])
    )
    assert len(asked) == 1
    assert "seventeen" in reply.text


@pytest.mark.parametrize(
    ("mode", "allowed", "names"),
    [("ANY", None, ["get_weather"]), ("ANY", ["get_time"], ["get_time"]), ("NONE", None, []), ("AUTO", None, [])],
)
def test_the_choice_of_a_tool_is_kept(gemini, provider, mode, allowed, names):
    choice = types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(mode=mode, allowed_function_names=allowed)
    )
    reply = gemini.models.generate_content(
        model=f"{provider}/gpt-plain", contents=QUESTION, config=with_tools(tool_config=choice)
    )
    assert [call.name for call in reply.function_calls or []] == names


def test_a_picture_reaches_the_provider(gemini, simulator, provider):
    picture = types.Part.from_bytes(data=png(3, 6), mime_type="image/png")
    reply = gemini.models.generate_content(model=f"{provider}/gpt-plain", contents=[user(picture, "what, pic-g5?")])
    assert "pic-g5" in reply.text
    assert packed(png(3, 6)) in json.dumps(sent_to_provider(received(simulator), "pic-g5"))


@pytest.mark.parametrize("member", ["response_schema", "response_json_schema"])
def test_structured_output_fills_the_callers_type(gemini, provider, member):
    schema = Place if member == "response_schema" else Place.model_json_schema()
    reply = gemini.models.generate_content(
        model=f"{provider}/gpt-plain",
        contents="Paris",
        config=config(response_mime_type="application/json", **{member: schema}),
    )
    assert Place.model_validate_json(reply.text).name
    if member == "response_schema":
        assert isinstance(reply.parsed, Place)


@pytest.mark.parametrize("in_parts", [False, True])
def test_usage_is_told_in_googles_terms(gemini, provider, in_parts):
    """Google's prompt count has the cached tokens in it."""
    model = f"{provider}/{COUNTED}"
    if in_parts:
        usage = streamed(gemini, model, "hi")[1][-1].usage_metadata
    else:
        usage = gemini.models.generate_content(model=model, contents="hi").usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (PROMPT, COMPLETION)
    assert usage.cached_content_token_count == CACHED
    assert usage.total_token_count == PROMPT + COMPLETION


THINKS = {
    "anthropic": "claude-sonnet-4-20250514",
    "gemini": "gemini-2.5-pro",
    "bedrock": "anthropic.claude-sonnet-4-20250514-v1:0",
    "cohere": "command-a-reasoning-08-2025",
    "openai-responses": "o4-mini",
}


@pytest.mark.parametrize("provider", list(THINKS))
def test_thoughts_are_seen_counted_and_go_back_signed(gemini, provider):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=2000)
    settings = config(thinking_config=thinking, max_output_tokens=4000)
    reply = gemini.models.generate_content(
        model=f"{provider}/{THINKS[provider]}", contents="think!", config=settings
    )
    thoughts = [part for part in reply.candidates[0].content.parts if part.thought]
    assert thoughts and thoughts[0].text not in reply.text
    # Bedrock and Cohere count thoughts with the rest.
    assert bool(reply.usage_metadata.thoughts_token_count) == (provider not in ("bedrock", "cohere"))
    contents = [user(QUESTION)]
    settings = with_tools(thinking_config=thinking, max_output_tokens=4000)
    first, _ = streamed(gemini, f"{provider}/sim-tools", contents, settings)
    [call] = [part.function_call for part in first.parts if part.function_call]
    # Cohere signs nothing.
    assert any(part.thought_signature for part in first.parts) == (provider != "cohere")
    result = types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"})
    contents += [first, user(types.Part(function_response=result))]
    second, _ = streamed(gemini, f"{provider}/sim-tools", contents, settings)
    assert "sunny" in text_of(second)


def test_texts_are_embedded(gemini):
    for model in ("openai/text-embedding-3-small", "gemini/gemini-embedding-001"):
        reply = gemini.models.embed_content(model=model, contents=["one", "two"])
        assert len(reply.embeddings) == 2
        assert len(reply.embeddings[0].values) == len(reply.embeddings[1].values) > 1


def test_many_streams_at_once_are_kept_apart(gateway, provider):
    async def one(client, number: int) -> str:
        stream = await client.aio.models.generate_content_stream(
            model=f"{provider}/gpt-plain", contents=f"number {number}!"
        )
        return "".join([chunk.text or "" async for chunk in stream])

    async def all_of_them() -> list[str]:
        client = client_of(gateway.url)
        return await asyncio.gather(*(one(client, number) for number in range(20)))

    assert all(text.endswith(f"number {number}!") for number, text in enumerate(run(all_of_them())))


@pytest.mark.parametrize(
    ("model", "kind", "status", "word"),
    [
        ("sim-error-400", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("sim-error-429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("sim-error-500", errors.ServerError, 500, "INTERNAL"),
        ("sim-context", errors.ClientError, 400, "INVALID_ARGUMENT"),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_a_providers_error_has_the_packages_class(gemini, provider, model, kind, status, word, in_parts):
    with pytest.raises(kind) as caught:
        if in_parts:
            streamed(gemini, f"{provider}/{model}", "hi")
        else:
            gemini.models.generate_content(model=f"{provider}/{model}", contents="hi")
    check_error(caught.value, status, word)


def check_error(error: errors.APIError, status: int, word: str) -> None:
    assert (error.code, error.status) == (status, word)
    assert error.message


def test_an_error_within_a_stream_is_raised(gemini, provider):
    with pytest.raises(errors.APIError) as caught:
        streamed(gemini, f"{provider}/sim-event-3", "at some length, please")
    assert caught.value.message


def test_a_wrong_key_is_told_in_googles_shape(gateway):
    client = client_of(gateway.url, "sk-invalid")
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="chat", contents="hi")
    check_error(caught.value, 401, "UNAUTHENTICATED")
