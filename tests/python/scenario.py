"""What every client is asked to do, whatever it speaks: the same question, tools, picture and record to fill.

Owns the words and the schemas. Leaves to each client's file how they are said in its own types.
"""

import base64
import struct
import zlib

import pydantic

QUESTION = "What is the weather in Paris, and what time is it?"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
}
CLOCK = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
# The least that every API takes for a limit on the answer's tokens.
LIMIT = 16
# Names and schemas in the order in which simulated models call them.
TOOLS = {"get_weather": WEATHER, "get_time": CLOCK}
# Token counts of a simulated model: the whole prompt, its cached part, the completion.
PROMPT, CACHED, COMPLETION = 50, 20, 7
COUNTED = "spelt-usage"


class Place(pydantic.BaseModel):
    """The record that structured output fills."""

    name: str
    population: int
    tags: list[str]


def png(width: int = 2, height: int = 2) -> bytes:
    """A small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + b"\xff\x00\x00" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def packed(data: bytes) -> str:
    """Bytes as JSON carries them."""
    return base64.b64encode(data).decode()


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Bytes as a URL carries them."""
    return f"data:{kind};base64,{packed(data)}"


def check_weather(arguments: dict) -> None:
    """The arguments are an instance of the tool's schema."""
    assert isinstance(arguments["city"], str)
    assert arguments["days"] == 1


def sent_to_provider(records: list[dict], mark: str) -> dict:
    """The body of the last request at the simulator in which a word stands."""
    bodies = [record["body"] for record in records if mark in str(record["body"])]
    assert bodies, f"no request with {mark!r} reached a provider"
    return bodies[-1]
