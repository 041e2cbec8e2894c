"""Pictures, sound and moderation through the official openai package."""

import base64
import io

import openai
import pytest
from conftest import received
from scenario import png

pytestmark = pytest.mark.both

WORDS = "the quick brown fox"


@pytest.fixture(params=["openai", "azure"])
def provider(request):
    """Those whose wire has these routes."""
    return request.param


def wav(seconds: float = 0.1) -> io.BytesIO:
    """A short silence."""
    import wave

    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * int(8000 * seconds))
    file.seek(0)
    file.name = "silence.wav"
    return file


def picture() -> io.BytesIO:
    file = io.BytesIO(png(64, 64))
    file.name = "picture.png"
    return file


def test_a_picture_is_drawn(client, provider):
    reply = client.images.generate(model=f"{provider}/gpt-image-1", prompt=WORDS, size="1024x1024", n=2)
    assert len(reply.data) == 2
    assert base64.b64decode(reply.data[0].b64_json).startswith(b"\x89PNG")
    assert reply.usage.total_tokens > 0


def test_a_picture_is_changed(client, simulator, provider):
    reply = client.images.edit(model=f"{provider}/gpt-image-1", image=picture(), prompt=WORDS)
    assert base64.b64decode(reply.data[0].b64_json).startswith(b"\x89PNG")
    assert received(simulator)[-1]["status"] == 200


def test_a_picture_is_varied(client):
    reply = client.images.create_variation(model="openai/dall-e-2", image=picture(), response_format="b64_json")
    assert base64.b64decode(reply.data[0].b64_json).startswith(b"\x89PNG")


def test_words_are_spoken(client, provider):
    reply = client.audio.speech.create(model=f"{provider}/tts-1", voice="alloy", input=WORDS, response_format="wav")
    assert reply.read()[:4] == b"RIFF"
    assert reply.response.headers["content-type"].startswith("audio/")


def test_speech_arrives_as_it_is_made(client):
    arguments = {"model": "openai/tts-1", "voice": "alloy", "input": WORDS, "response_format": "pcm"}
    whole = client.audio.speech.create(**arguments).read()
    with client.audio.speech.with_streaming_response.create(**arguments) as reply:
        assert b"".join(reply.iter_bytes(64)) == whole


@pytest.mark.parametrize("form", ["json", "text", "verbose_json", "srt", "vtt"])
def test_speech_is_written_down(client, provider, form):
    reply = client.audio.transcriptions.create(model=f"{provider}/whisper-1", file=wav(), response_format=form)
    text = reply if isinstance(reply, str) else reply.text
    assert text


def test_a_transcript_is_streamed(client):
    stream = client.audio.transcriptions.create(model="openai/gpt-4o-transcribe", file=wav(), stream=True)
    events = list(stream)
    assert {event.type for event in events} == {"transcript.text.delta", "transcript.text.done"}
    deltas = "".join(event.delta for event in events if event.type == "transcript.text.delta")
    assert deltas == events[-1].text


def test_speech_is_translated(client):
    assert client.audio.translations.create(model="openai/whisper-1", file=wav()).text


def test_words_are_judged(client):
    reply = client.moderations.create(model="openai/omni-moderation-latest", input=["good day", WORDS])
    assert len(reply.results) == 2
    assert reply.results[0].flagged is False


@pytest.mark.parametrize("status", [400, 429])
def test_errors_have_the_packages_class(client, status):
    kinds = {400: openai.BadRequestError, 429: openai.RateLimitError}
    with pytest.raises(kinds[status]):
        client.images.generate(model=f"openai/sim-error-{status}", prompt=WORDS)
    with pytest.raises(kinds[status]):
        client.audio.transcriptions.create(model=f"openai/sim-error-{status}", file=wav())
