"""OpenAI's API at the simulator itself, driven by the official client.

The simulator is what the gateway's tests trust, so its replies are held to the client's own types here: every plain
reply and every event is validated, not only read. Requests go to the simulator directly; the gateway has no part.
"""

import io
import json

import httpx
import openai
import pytest
from pydantic import TypeAdapter

import servers

KEY = "sk-simulated-direct"
FUNCTION = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    """A simulator of its own, so that what is kept in it is known."""
    folder = tmp_path_factory.mktemp("direct")
    with servers.simulator(folder, name="simulator-direct") as server:
        yield server


@pytest.fixture(scope="module")
def sim(direct):
    with openai.OpenAI(base_url=direct.url + "/v1", api_key=KEY, max_retries=0, timeout=30) as client:
        yield client


def valid(reply):
    """The reply, after its type has validated what the client only read."""
    TypeAdapter(type(reply)).validate_python(json.loads(reply.model_dump_json(by_alias=True, exclude_unset=True)))
    return reply


def events_of(stream) -> list:
    from openai.types.responses import ResponseStreamEvent

    validator = TypeAdapter(ResponseStreamEvent)
    events = list(stream)
    for number, event in enumerate(events):
        validator.validate_python(event.to_dict())
        assert event.sequence_number == number
    return events


def code_of(error: openai.APIStatusError) -> tuple:
    return error.status_code, error.param, error.code


# Responses


def test_a_plain_response(sim):
    reply = valid(sim.responses.create(model="gpt-4.1", input="hello", instructions="be kind", metadata={"a": "b"}))
    assert reply.output_text == "Hello from gpt-4.1, a simulated model. You said: hello"
    assert (reply.status, reply.metadata, reply.instructions) == ("completed", {"a": "b"}, "be kind")
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


def test_a_streamed_response_adds_up(sim):
    with sim.responses.create(model="gpt-4.1", input="hello", stream=True) as stream:
        events = events_of(stream)
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert (events[0].type, events[1].type, events[-1].type) == (
        "response.created",
        "response.in_progress",
        "response.completed",
    )
    assert deltas == final.output_text == "Hello from gpt-4.1, a simulated model. You said: hello"


def test_the_client_builds_a_response_from_its_stream(sim):
    with sim.responses.stream(model="sim-tools", input="Oslo", tools=[FUNCTION]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output[0].parsed_arguments == {"city": "Oslo"}


def test_a_tool_loop_over_a_kept_response(sim):
    first = valid(sim.responses.create(model="sim-tools", input="Oslo", tools=[FUNCTION]))
    call = first.output[0]
    assert (call.type, json.loads(call.arguments)) == ("function_call", {"city": "Oslo"})
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    second = valid(
        sim.responses.create(model="sim-tools", previous_response_id=first.id, input=[answer], tools=[FUNCTION])
    )
    assert second.output_text == "The tool says: rain"
    items = sim.responses.input_items.list(second.id)
    assert [item.type for item in items] == ["function_call_output"]


def test_a_tool_loop_without_anything_kept(sim):
    asked = [{"role": "user", "content": "Oslo"}]
    settings = {
        "model": "sim-tools+reason",
        "tools": [FUNCTION],
        "store": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    first = valid(sim.responses.create(input=asked, **settings))
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    asked += [item.to_dict() for item in first.output]
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        sim.responses.create(input=asked, **settings)
    asked.append({"type": "function_call_output", "call_id": first.output[1].call_id, "output": "rain"})
    second = valid(sim.responses.create(input=asked, **settings))
    assert second.output_text == "The tool says: rain"
    with pytest.raises(openai.BadRequestError, match="without its required following item"):
        sim.responses.create(input=asked[:2], **settings)


def test_structured_output(sim):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "name": "place", "schema": schema, "strict": True}}
    reply = valid(sim.responses.create(model="gpt-4.1", input="Oslo", text=form))
    assert json.loads(reply.output_text) == {"city": "Oslo"}
    del schema["additionalProperties"]
    with pytest.raises(openai.BadRequestError) as refused:
        sim.responses.create(model="gpt-4.1", input="Oslo", text=form)
    assert code_of(refused.value) == (400, "text.format.schema", "invalid_json_schema")


@pytest.mark.parametrize(
    ("model", "status", "last"),
    [
        ("sim-tokens-9", "completed", "response.completed"),
        ("sim-length", "incomplete", "response.incomplete"),
        ("sim-filter", "incomplete", "response.incomplete"),
        ("sim-failed-2", "failed", "response.failed"),
    ],
)
def test_each_end_of_a_response(sim, model, status, last):
    assert valid(sim.responses.create(model=model, input="x")).status == status
    with sim.responses.create(model=model, input="x", stream=True) as stream:
        assert events_of(stream)[-1].type == last


def test_every_kind_of_content_streams_in_valid_events(sim):
    tools = [
        FUNCTION,
        {"type": "custom", "name": "shout"},
        {"type": "web_search"},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "image_generation"},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.com/mcp"},
    ]
    include = [
        "message.output_text.logprobs",
        "web_search_call.action.sources",
        "file_search_call.results",
        "code_interpreter_call.outputs",
    ]
    seen = set()
    for model in ("sim-hosted+cite-2", "sim-tools-2+hosted", "sim-refusal", "sim-openreason"):
        settings = {"model": model, "input": "x", "tools": tools, "include": include, "top_logprobs": 2}
        valid(sim.responses.create(**settings))
        with sim.responses.create(stream=True, **settings) as stream:
            seen |= {event.type.removeprefix("response.") for event in events_of(stream)}
    with sim.responses.create(
        model="sim-reason", input="x", reasoning={"effort": "high", "summary": "detailed"}, stream=True
    ) as stream:
        seen |= {event.type.removeprefix("response.") for event in events_of(stream)}
    wanted = {
        "output_text.annotation.added",
        "function_call_arguments.done",
        "custom_tool_call_input.done",
        "web_search_call.completed",
        "file_search_call.completed",
        "code_interpreter_call_code.done",
        "image_generation_call.completed",
        "mcp_call_arguments.done",
        "mcp_list_tools.completed",
        "refusal.done",
        "reasoning_text.done",
        "reasoning_summary_text.done",
    }
    assert wanted <= seen, wanted - seen


@pytest.mark.parametrize("model", ["sim-hosted+cite-2+reason", "sim-tools-2+hosted", "sim-refusal", "sim-openreason"])
def test_whatever_a_response_says_may_be_sent_back(sim, model):
    settings = {
        "model": model,
        "tools": [
            FUNCTION,
            {"type": "custom", "name": "shout"},
            {"type": "web_search"},
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "image_generation"},
            {"type": "mcp", "server_label": "s", "server_url": "https://example.com/mcp"},
        ],
        "include": ["reasoning.encrypted_content", "code_interpreter_call.outputs", "message.output_text.logprobs"],
        "reasoning": {"summary": "auto"},
        "store": False,
    }
    said = [{"role": "user", "content": "x"}]
    first = sim.responses.create(input=said, **settings)
    said += [item.to_dict() for item in first.output]
    for item in first.output:
        if item.type in ("function_call", "custom_tool_call"):
            said.append({"type": f"{item.type}_output", "call_id": item.call_id, "output": "ok"})
    assert valid(sim.responses.create(input=said, **settings)).status == "completed"


def test_an_error_event_reaches_the_client(sim):
    with sim.responses.create(model="sim-event-2", input="x", stream=True) as stream:
        last = events_of(stream)[-1]
    assert (last.type, last.code) == ("error", "server_error")


def test_kept_responses(sim):
    made = sim.responses.create(model="gpt-4.1", input="hello")
    assert sim.responses.retrieve(made.id).output_text == made.output_text
    sim.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        sim.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as refused:
        sim.responses.create(model="gpt-4.1", input="x", previous_response_id=made.id)
    assert code_of(refused.value) == (400, "previous_response_id", "previous_response_not_found")


def test_a_response_in_the_background(sim):
    made = valid(sim.responses.create(model="gpt-4.1", input="hello", background=True))
    seen = [made.status, sim.responses.retrieve(made.id).status, sim.responses.retrieve(made.id).status]
    assert seen == ["queued", "in_progress", "completed"]
    other = sim.responses.create(model="gpt-4.1", input="hello", background=True)
    assert sim.responses.cancel(other.id).status == "cancelled"


def test_a_conversation_carries_its_items(sim):
    conversation = valid(sim.conversations.create(items=[{"role": "user", "content": "my name is Ada"}]))
    sim.responses.create(model="gpt-4.1", input="hello", conversation=conversation.id)
    items = list(sim.conversations.items.list(conversation.id, order="asc"))
    assert [(item.role, item.content[0].text[:5]) for item in items] == [
        ("user", "my na"),
        ("user", "hello"),
        ("assistant", "Hello"),
    ]
    assert sim.conversations.delete(conversation.id).deleted


@pytest.mark.parametrize(
    ("body", "expect"),
    [
        ({"top_k": 1}, (400, "top_k", "unknown_parameter")),
        ({"max_tokens": 5}, (400, "max_tokens", "unsupported_parameter")),
        ({"max_output_tokens": 5}, (400, "max_output_tokens", "integer_below_min_value")),
        ({"model": "gpt-4.1", "reasoning": {"effort": "low"}}, (400, "reasoning.effort", "unsupported_parameter")),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, (400, "tools[0].name", "missing_required_parameter")),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}, (400, "input[0].content[0]", "invalid_value")),
        ({"model": "sim-noresponses"}, (404, None, None)),
        ({"model": "sim-context"}, (400, "input", "context_length_exceeded")),
    ],
)
def test_what_is_wrong_is_refused(sim, body, expect):
    with pytest.raises(openai.APIStatusError) as refused:
        sim.post("/responses", cast_to=object, body={"model": "gpt-5.1", "input": "x", **body})
    assert code_of(refused.value) == expect


def test_azure_spells_the_path_its_own_way(direct):
    body = {"model": "gpt-4.1", "input": "hello"}
    for path, status in [
        ("/openai/v1/responses", 200),
        ("/openai/responses?api-version=2025-04-01-preview", 200),
        ("/openai/responses", 404),
    ]:
        reply = httpx.post(direct.url + path, json=body, headers={"api-key": "k"}, trust_env=False)
        assert reply.status_code == status, path


# Chat


def test_chat_shows_citations_refusals_custom_calls_and_sound(sim):
    say = [{"role": "user", "content": "hello"}]
    cited = valid(sim.chat.completions.create(model="sim-cite-2", messages=say)).choices[0].message
    assert [note.url_citation.url for note in cited.annotations] == [
        "https://example.com/page-1",
        "https://example.com/page-2",
    ]
    refused = valid(sim.chat.completions.create(model="sim-refusal", messages=say)).choices[0].message
    assert refused.content is None and refused.refusal
    custom = {"type": "custom", "custom": {"name": "shout"}}
    called = valid(sim.chat.completions.create(model="sim-tools", messages=say, tools=[custom])).choices[0].message
    assert (called.tool_calls[0].type, called.tool_calls[0].custom.input) == ("custom", "hello")
    sound = valid(
        sim.chat.completions.create(
            model="gpt-audio", messages=say, modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}
        )
    )
    message = sound.choices[0].message
    assert message.content is None and message.audio.transcript.endswith("hello") and message.audio.data
    assert sound.usage.completion_tokens_details.audio_tokens > 0


def custom_calls(chunk) -> bool:
    """Whether a chunk calls a custom tool, for which the client has no type in streams."""
    calls = [call for choice in chunk.choices for call in choice.delta.tool_calls or []]
    return any("custom" in call.to_dict() for call in calls)


def test_chat_streams_the_same(sim):
    say = [{"role": "user", "content": "hello"}]
    deltas = lambda **more: [  # noqa: E731
        chunk.choices[0].delta
        for chunk in sim.chat.completions.create(messages=say, stream=True, **more)
        if (chunk if custom_calls(chunk) else valid(chunk)).choices
    ]
    assert "".join(delta.refusal or "" for delta in deltas(model="sim-refusal")).startswith("I'm sorry")
    noted = [delta for delta in deltas(model="sim-cite-1") if getattr(delta, "annotations", None)]
    assert noted[0].annotations[0]["url_citation"]["title"] == "Page 1"
    audio = {"voice": "alloy", "format": "pcm16"}
    heard = [
        delta.audio
        for delta in deltas(model="gpt-audio", modalities=["text", "audio"], audio=audio)
        if getattr(delta, "audio", None)
    ]
    assert "".join(part.transcript or "" for part in heard).endswith("hello")
    assert any(part.data for part in heard) and heard[-1].expires_at
    custom = {"type": "custom", "custom": {"name": "shout"}}
    calls = [delta.tool_calls[0] for delta in deltas(model="sim-tools", tools=[custom]) if delta.tool_calls]
    assert calls[0].to_dict()["custom"]["name"] == "shout"


def test_chat_honours_tier_stop_and_choices(sim):
    say = [{"role": "user", "content": "hello"}]
    reply = valid(
        sim.chat.completions.create(model="gpt-4o", messages=say, n=2, stop=["simulated"], service_tier="flex")
    )
    assert [choice.message.content for choice in reply.choices] == ["Hello from gpt-4o, a "] * 2
    assert (reply.choices[0].finish_reason, reply.service_tier) == ("stop", "flex")


# Images and sound


def test_images(sim):
    made = valid(sim.images.generate(model="gpt-image-2", prompt="a cat", n=2, size="1536x864"))
    assert len(made.data) == 2 and made.data[0].b64_json and made.usage.output_tokens > 0
    assert valid(sim.images.generate(model="dall-e-3", prompt="a cat")).data[0].url
    files = [("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")]
    assert valid(sim.images.edit(model="gpt-image-2", image=files, prompt="a dog")).usage.input_tokens > 0
    assert valid(sim.images.create_variation(model="dall-e-2", image=files[0], n=3)).data[2].url
    with pytest.raises(openai.BadRequestError) as refused:
        sim.images.generate(model="gpt-image-2", prompt="a cat", response_format="url")
    assert code_of(refused.value) == (400, "response_format", "unknown_parameter")


def test_images_stream(sim):
    events = list(sim.images.generate(model="gpt-image-2", prompt="a cat", stream=True, partial_images=2))
    assert [valid(event).type for event in events] == ["image_generation.partial_image"] * 2 + [
        "image_generation.completed"
    ]
    events = list(sim.images.edit(model="gpt-image-2", image=("a.png", PNG, "image/png"), prompt="x", stream=True))
    assert [valid(event).type for event in events] == ["image_edit.completed"]


def test_speech_and_back(sim):
    reply = sim.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="hello there", response_format="wav")
    sound = reply.read()
    assert reply.response.headers["content-type"] == "audio/wav" and sound.startswith(b"RIFF")
    file = ("hello.wav", sound)
    text = "Hello from whisper-1, a simulated model. You said: hello.wav"
    heard = valid(sim.audio.transcriptions.create(model="whisper-1", file=file))
    assert (heard.text, heard.usage.type) == (text, "duration")
    verbose = valid(
        sim.audio.transcriptions.create(
            model="whisper-1",
            file=file,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
    )
    assert verbose.duration == pytest.approx(0.75) and len(verbose.words) == 9 and verbose.segments
    assert sim.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt").startswith("1\n00:00")
    assert sim.audio.transcriptions.create(model="whisper-1", file=file, response_format="vtt").startswith("WEBVTT")
    assert valid(sim.audio.translations.create(model="whisper-1", file=file)).text == text


def test_transcription_streams(sim):
    with sim.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", b"RIFF" + bytes(999)), stream=True, include=["logprobs"]
    ) as stream:
        events = [valid(event) for event in stream]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].usage.type == "tokens"


def test_speech_streams_as_events(direct):
    body = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "x", "stream_format": "sse"}
    headers = {"authorization": f"Bearer {KEY}"}
    reply = httpx.post(direct.url + "/v1/audio/speech", json=body, headers=headers, trust_env=False)
    events = [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done" and events[-1]["usage"]["input_tokens"] == 1


def test_moderation(sim):
    reply = valid(sim.moderations.create(model="omni-moderation-latest", input=["hello", "I will kill you"]))
    assert [result.flagged for result in reply.results] == [False, True]
    assert reply.results[1].categories.violence


# What is kept


def jsonl(*lines: dict) -> io.BytesIO:
    file = io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode())
    file.name = "lines.jsonl"
    return file


def test_files(sim):
    made = valid(sim.files.create(file=jsonl({"a": 1}), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}))
    assert (made.filename, made.bytes, made.expires_at - made.created_at) == ("lines.jsonl", 9, 3600)
    assert sim.files.content(made.id).text == '{"a": 1}\n'
    assert made.id in [file.id for file in sim.files.list(purpose="batch")]
    assert made.id not in [file.id for file in sim.files.list(purpose="vision")]
    assert sim.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        sim.files.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match="Must be .jsonl"):
        sim.files.create(file=("a.txt", b"{}"), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="Line 1"):
        sim.files.create(file=("a.jsonl", b"x"), purpose="fine-tune")


def test_a_batch_answers_each_of_its_lines(sim):
    def line(name: str, model: str) -> dict:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}

    file = sim.files.create(file=jsonl(line("a", "gpt-4o"), line("b", "sim-error-500")), purpose="batch")
    batch = valid(
        sim.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    )
    seen = [batch.status, sim.batches.retrieve(batch.id).status]
    batch = valid(sim.batches.retrieve(batch.id))
    assert [*seen, batch.status] == ["validating", "in_progress", "completed"]
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
    good = json.loads(sim.files.content(batch.output_file_id).text)
    assert good["custom_id"] == "a" and good["response"]["body"]["choices"][0]["message"]["content"]
    bad = json.loads(sim.files.content(batch.error_file_id).text)
    assert (bad["custom_id"], bad["response"]["status_code"]) == ("b", 500)
    assert batch.id in [one.id for one in sim.batches.list()]
    with pytest.raises(openai.ConflictError):
        sim.batches.cancel(batch.id)
    wrong = sim.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    failed = valid(sim.batches.retrieve(wrong.id))
    assert (failed.status, failed.errors.data[0].code) == ("failed", "mismatched_endpoint")


def test_a_fine_tuning_job_runs_its_course(sim):
    file = sim.files.create(file=jsonl({"messages": []}), purpose="fine-tune")
    job = valid(sim.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id, suffix="mine"))
    seen = [job.status] + [sim.fine_tuning.jobs.retrieve(job.id).status for _ in range(3)]
    assert seen == ["validating_files", "queued", "running", "succeeded"]
    done = valid(sim.fine_tuning.jobs.retrieve(job.id))
    assert done.fine_tuned_model.startswith("ft:gpt-4.1:simulated:mine:")
    assert len(list(sim.fine_tuning.jobs.list_events(job.id))) == 4
    assert valid(sim.fine_tuning.jobs.checkpoints.list(job.id).data[0]).step_number == 100
    other = sim.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id)
    assert sim.fine_tuning.jobs.cancel(other.id).status == "cancelled"


def test_a_vector_store_finds_its_files(sim):
    oslo = sim.files.create(file=("oslo.txt", b"It rains in Oslo"), purpose="assistants")
    rome = sim.files.create(file=("rome.txt", b"The sun shines in Rome"), purpose="assistants")
    store = valid(sim.vector_stores.create(name="weather", file_ids=[oslo.id]))
    valid(sim.vector_stores.files.create(store.id, file_id=rome.id, attributes={"south": True}))
    assert sim.vector_stores.retrieve(store.id).file_counts.total == 2
    found = list(sim.vector_stores.search(store.id, query="where does it rain in Oslo"))
    assert valid(found[0]).filename == "oslo.txt"
    south = {"type": "eq", "key": "south", "value": True}
    found = list(sim.vector_stores.search(store.id, query="in", filters=south))
    assert [result.filename for result in found] == ["rome.txt"]
    batch = valid(sim.vector_stores.file_batches.create(store.id, file_ids=[oslo.id, rome.id]))
    assert len(list(sim.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id))) == 2
    assert list(sim.vector_stores.files.content(rome.id, vector_store_id=store.id))[0].text.startswith("The sun")
    assert sim.vector_stores.files.delete(rome.id, vector_store_id=store.id).deleted
    assert sim.vector_stores.update(store.id, name="new").name == "new"
    assert sim.vector_stores.delete(store.id).deleted


def test_what_is_kept_is_seen_by_its_owner_alone(sim, direct):
    made = sim.responses.create(model="gpt-4.1", input="hello")
    with openai.OpenAI(base_url=direct.url + "/v1", api_key="sk-another", max_retries=0) as other:
        with pytest.raises(openai.NotFoundError):
            other.responses.retrieve(made.id)
    elsewhere = openai.OpenAI(base_url=direct.url + "/d/west/v1", api_key=KEY, max_retries=0)
    with elsewhere, pytest.raises(openai.NotFoundError):
        elsewhere.responses.retrieve(made.id)


def test_forms_are_seen_in_the_record(sim, direct):
    sim.audio.translations.create(model="whisper-1", file=("seen.wav", b"RIFF\x00\xff"))
    lines = httpx.get(direct.url + "/sim/received", trust_env=False).text.splitlines()
    form = next(one["body"]["form"] for one in map(json.loads, reversed(lines)) if one["operation"] == "translation")
    parts = {part["name"]: part for part in form}
    assert parts["model"]["text"] == "whisper-1"
    assert (parts["file"]["filename"], parts["file"]["base64"]) == ("seen.wav", "UklGRgD/")


# Realtime


def heard(connection, last: str) -> list:
    """Every event up to one of this type, each valid."""
    from openai.types.realtime import RealtimeServerEvent

    validator = TypeAdapter(RealtimeServerEvent)
    events = []
    for event in connection:
        validator.validate_python(event.to_dict())
        events.append(event)
        if event.type == last:
            return events
    raise AssertionError(f"no {last} in {[event.type for event in events]}")


def test_a_realtime_session_in_text(sim, direct):
    with sim.realtime.connect(model="gpt-realtime") as connection:
        assert heard(connection, "session.created")[0].session.model == "gpt-realtime"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        assert heard(connection, "session.updated")[0].session.output_modalities == ["text"]
        content = [{"type": "input_text", "text": "hello"}]
        connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        connection.response.create()
        events = heard(connection, "response.done")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "Hello from gpt-realtime, a simulated model. You said: hello"
    usage = events[-1].response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
    lines = httpx.get(direct.url + "/sim/received", trust_env=False).text.splitlines()
    record = next(one for one in map(json.loads, reversed(lines)) if one["operation"] == "realtime")
    assert [message["type"] for message in record["messages"]] == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]


def test_a_realtime_session_in_sound(sim):
    import base64

    with sim.realtime.connect(model="gpt-realtime") as connection:
        connection.input_audio_buffer.append(audio=base64.b64encode(b"\x01" * 9600).decode())
        connection.input_audio_buffer.append(audio=base64.b64encode(bytes(9600)).decode())
        events = heard(connection, "response.done")
    types = {event.type for event in events}
    assert {"input_audio_buffer.committed", "response.output_audio.delta"} <= types
    assert events[-1].response.usage.output_token_details.audio_tokens > 0


def test_a_realtime_error_leaves_the_session_alive(sim):
    with sim.realtime.connect(model="gpt-realtime") as connection:
        connection.input_audio_buffer.commit()
        assert heard(connection, "error")[-1].error.code == "input_audio_buffer_commit_empty"
        connection.response.create()
        assert heard(connection, "response.done")[-1].response.status == "completed"


@pytest.mark.parametrize(
    ("model", "code"),
    [("sim-close-2-4001", 4001), ("sim-cut-2-clean", 1000), ("sim-cut-2", 1006), ("sim-reset-2", 1006), ("", 4000)],
)
def test_a_realtime_connection_ends_as_told(direct, model, code):
    import websockets.sync.client
    from websockets.exceptions import ConnectionClosed

    url = direct.url.replace("http", "ws") + f"/v1/realtime?model={model}"
    protocols = ["realtime", f"openai-insecure-api-key.{KEY}"]
    with websockets.sync.client.connect(url, subprotocols=protocols, proxy=None) as socket:
        assert socket.subprotocol == "realtime"
        with pytest.raises((ConnectionClosed, OSError)) as closed:
            socket.send('{"type": "response.create"}')
            while True:
                socket.recv(timeout=10)
    received = getattr(closed.value, "rcvd", None)
    assert (received.code if received else 1006) == code


def test_a_realtime_session_needs_a_key_and_takes_client_secrets(sim, direct):
    import websockets.sync.client
    from websockets.exceptions import InvalidStatus

    url = direct.url.replace("http", "ws") + "/v1/realtime?model=gpt-realtime"
    with pytest.raises(InvalidStatus) as refused:
        websockets.sync.client.connect(url, proxy=None)
    assert refused.value.response.status_code == 401
    secret = valid(sim.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-realtime"}))
    headers = {"authorization": f"Bearer {secret.value}"}
    with websockets.sync.client.connect(url, additional_headers=headers, proxy=None) as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "session.created"
