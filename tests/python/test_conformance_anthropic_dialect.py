"""The golden files of Anthropic's dialect, held against the official package: what goes to the provider against its
request types, what goes to callers by letting its client read it.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anthropic
import pytest
from anthropic.types import beta
from pydantic import TypeAdapter
from test_conformance import SAMPLING, strict

GOLDEN = Path(__file__).parents[2] / "crates/dialect/tests/fixtures/anthropic"
REQUESTS = sorted(
    path.stem
    for path in GOLDEN.glob("*.json")
    if not path.stem.startswith(("caller_", "reply_"))
)
# The split of cache writes by their time, which a delta's type does not list, though the message's does.
UNLISTED = {"cache_creation"}


# Those with members that are a beta still; its types let everything pass that they do not list.
BETA = {"hosted_tools", "native_members", "own_agent", "own_everything"}


@pytest.fixture(scope="module")
def request_types():
    released = strict(anthropic.types.MessageCreateParams)
    return released, TypeAdapter(beta.message_create_params.MessageCreateParams).validator


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_conform_to_the_request_types(name, request_types):
    body = json.loads((GOLDEN / f"{name}.json").read_text())
    rest = {member: value for member, value in body.items() if member not in SAMPLING}
    request_types[name in BETA].validate_json(json.dumps(rest), strict=True)


class Replay(BaseHTTPRequestHandler):
    """Answers `/<golden file>/v1/messages` with the golden file."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        name = self.path.split("/")[1]
        body = (GOLDEN / name).read_bytes()
        kind = "text/event-stream" if name.endswith(".sse") else "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def replay():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def client(replay: str, name: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url=f"{replay}/{name}", max_retries=0)


def unknown(value) -> set[str]:
    """Members that the package's own types do not list."""
    if isinstance(value, list):
        return set().union(*map(unknown, value))
    if not hasattr(value, "model_extra"):
        return set()
    inner = (unknown(getattr(value, name)) for name in type(value).model_fields)
    return set(value.model_extra or {}).union(*inner)


def test_a_whole_message_is_what_the_client_reads(replay):
    with client(replay, "caller_reply.json") as ask:
        message = ask.beta.messages.create(**ASK)
    beta.BetaMessage.model_validate(message.to_dict(), strict=False)
    assert unknown(message) == set()
    kinds = ["thinking", "thinking", "redacted_thinking", "server_tool_use", "text", "redacted_thinking", "tool_use"]
    assert [block.type for block in message.content] == [*kinds, "tool_use"]
    assert [citation.type for citation in message.content[4].citations] == [
        "web_search_result_location",
        "page_location",
    ]
    assert (message.stop_reason, message.model) == ("tool_use", "gemini/gemini-2.5-pro")
    assert message.usage.cache_creation.ephemeral_1h_input_tokens == 50
    assert message.usage.service_tier == "priority"


def test_a_refusal_is_what_the_client_reads(replay):
    with client(replay, "caller_refusal.json") as ask:
        message = ask.messages.create(**ASK)
    assert unknown(message) == set()
    assert (message.stop_reason, message.content[0].text) == ("refusal", "I won't.")
    assert message.stop_details.explanation == "I won't."


def test_a_stream_adds_up_to_what_the_client_reads(replay):
    with client(replay, "caller_stream.sse") as ask, ask.beta.messages.stream(**ASK) as stream:
        events = [event for event in stream if event.type.startswith(("message_", "content_block_"))]
        message = stream.get_final_message()
    for event in events:
        if event.type not in ("content_block_stop", "message_stop"):
            assert unknown(event) <= UNLISTED, event
    starts = [event.index for event in events if event.type == "content_block_start"]
    assert starts == list(range(len(message.content)))
    thinking, redacted, compaction, search, cited, uncited, signature, called, empty = message.content
    assert (thinking.thinking, thinking.signature) == ("Two cities.", "EqQB")
    assert (redacted.data, compaction.content, search.input) == ("opaque", "So far.", {"query": "oslo"})
    assert (cited.text, len(cited.citations), uncited.text) == ('Rain – "wet".', 2, "And?")
    assert (signature.type, called.input, empty.input) == ("redacted_thinking", {"city": "Oslo"}, {})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (450, 400, 80)
    assert (usage.cache_creation_input_tokens, usage.output_tokens_details.thinking_tokens) == (150, 30)


def test_a_refusal_streams_as_the_client_reads_it(replay):
    with client(replay, "caller_stream_refusal.sse") as ask, ask.messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert (message.stop_reason, message.content[0].text) == ("refusal", "I won't.")
    assert message.stop_details.explanation == "I won't."
