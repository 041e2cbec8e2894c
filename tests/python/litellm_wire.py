"""Recorded exchanges of LiteLLM Proxy, and the comparison of ours with them.

Owns: reading a recording, comparing header names and the shapes of bodies. Which exchanges are compared and which
differences are intended is test_contract.py's.
Invariant: values are free, names and types are not; a difference that the table does not explain is a failure.
"""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "fixtures/litellm_wire"
# Written by the HTTP server or the connection, not by the proxy's logic.
CONNECTION_HEADERS = {"date", "connection", "transfer-encoding", "content-length", "server", "keep-alive"}


@dataclass
class Exchange:
    """A request and its reply."""

    method: str
    path: str
    request: str | None
    key: str | None
    status: int
    headers: dict[str, str]
    body: str

    def json(self):
        return json.loads(self.body)

    def events(self) -> list:
        """The data of each server-sent event; `[DONE]` as text."""
        lines = [line.removeprefix("data: ") for line in self.body.splitlines() if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


def recording(name: str) -> Exchange:
    """Reads a recording: comment lines with the request, then the reply as it came."""
    text = (FOLDER / f"{name}.txt").read_text()
    comments = [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]
    reply = "\n".join(line for line in text.splitlines() if not line.startswith("### ")).lstrip("\n")
    head, _, body = reply.partition("\n\n")
    status, *lines = head.splitlines()
    method, path, *_ = comments[0].split()
    request = next((line.removeprefix("body: ") for line in comments[1:] if line.startswith("body: ")), None)
    key = comments[0].split("key=", 1)[1].split(")")[0].split()[0]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "api-key: " in comments[0]:
        key = None
    return Exchange(
        method, path, request or None, None if key in ("none", "None") else key, int(status.split()[1]), headers, body
    )


def shape(value):
    """A value without its content: names and types. Numbers are numbers; lists are the set of their items' shapes."""
    match value:
        case dict():
            return {name: shape(member) for name, member in value.items()}
        case list():
            items = []
            for item in value:
                if shape(item) not in items:
                    items.append(shape(item))
            return items
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case None:
            return "null"
        case _:
            return "string"


def differences(theirs, ours, at: str = "$") -> list[str]:
    """Where two shapes differ, as paths: `-` is missing in ours, `+` only in ours, `!` of another type, `~` missing and null."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = [f"{'~' if theirs[name] == 'null' else '-'}{at}.{name}" for name in theirs if name not in ours]
        found += [f"+{at}.{name}" for name in ours if name not in theirs]
        for name in theirs:
            if name in ours:
                found += differences(theirs[name], ours[name], f"{at}.{name}")
        return found
    if isinstance(theirs, list) and isinstance(ours, list):
        if not theirs or not ours:
            return [] if bool(theirs) == bool(ours) else [f"!{at}: {len(theirs)} items, ours {len(ours)}"]
        found = []
        for item in ours:
            found += min((differences(other, item, f"{at}[]") for other in theirs), key=len)
        return sorted(set(found))
    return [] if theirs == ours else [f"!{at}: {brief(theirs)}, ours {brief(ours)}"]


def brief(value) -> str:
    return value if isinstance(value, str) else type(value).__name__


def header_differences(theirs: dict[str, str], ours: dict[str, str]) -> list[str]:
    """Names that only one side has, connection headers and those of the provider's reply apart."""

    def names(headers) -> set[str]:
        return {
            name
            for name in headers
            if name not in CONNECTION_HEADERS
            and not name.startswith(("llm_provider-", "x-ratelimit-"))
            and not (name == "request-id" and came_from_the_provider(headers))
        }

    return sorted(
        [f"-{name}" for name in names(theirs) - names(ours)] + [f"+{name}" for name in names(ours) - names(theirs)]
    )


def came_from_the_provider(headers: dict[str, str]) -> bool:
    return "llm_provider-request-id" in headers or "llm_provider-x-request-id" in headers
