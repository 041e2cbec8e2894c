"""Requests whose end is a matter of opinion: what request smuggling is made of.

Owns: the corpus. What must hold after each is test_framing.py's.
Invariant: every case carries a complete second request where one reading of its framing ends the first.
"""

from collections.abc import Iterator

SMUGGLED = "smuggled-prompt"


def chat(text: str) -> bytes:
    return b'{"model":"openai/gpt-plain","messages":[{"role":"user","content":"' + text.encode() + b'"}]}'


def request(headers: list[bytes], body: bytes, line: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    """A request from its parts; each header is a raw line without its end."""
    return b"\r\n".join([line, *headers]) + b"\r\n\r\n" + body


def cases(host: bytes, key: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every case."""
    base = [b"Host: " + host, b"Authorization: Bearer " + key.encode(), b"Content-Type: application/json"]
    hidden_body = chat(SMUGGLED)
    hidden = request([*base, b"Content-Length: %d" % len(hidden_body)], hidden_body)
    visible = chat("visible")
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(visible), visible)
    parts = Parts(base, hidden, visible, chunked)
    for make in (both_lengths, many_lengths, odd_lengths, odd_chunks, odd_lines, odd_hosts, listed_headers, odd_ends):
        yield from make(parts)


class Parts:
    """What the cases are put together from."""

    def __init__(self, base: list[bytes], hidden: bytes, visible: bytes, chunked: bytes) -> None:
        self.base, self.hidden, self.visible, self.chunked = base, hidden, visible, chunked
        self.length = b"Content-Length: %d" % len(visible)
        self.long = b"Content-Length: %d" % (len(chunked) + len(hidden))


ENCODINGS = [
    b"Transfer-Encoding: chunked",
    b"transfer-encoding: chunked",
    b"Transfer-Encoding:chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: chunked ",
    b"Transfer-Encoding : chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: CHUNKED",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer_Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"Transfer-\xc9ncoding: chunked",
]


def both_lengths(p: Parts) -> Iterator[tuple[str, bytes]]:
    for number, encoding in enumerate(ENCODINGS):
        yield f"te {number} after cl", request([*p.base, p.long, encoding], p.chunked + p.hidden)
        yield f"te {number} before cl", request([*p.base, encoding, p.long], p.chunked + p.hidden)
        yield f"te {number} with a short cl", request([*p.base, b"Content-Length: 4", encoding], p.chunked + p.hidden)


def many_lengths(p: Parts) -> Iterator[tuple[str, bytes]]:
    zero, long = b"Content-Length: 0", b"Content-Length: %d" % (len(p.visible) + len(p.hidden))
    pairs = [(zero, p.length), (p.length, zero), (p.length, long), (long, p.length), (p.length, p.length)]
    for number, pair in enumerate(pairs):
        yield f"two cl {number}", request([*p.base, *pair], p.visible + p.hidden)
    size = len(p.visible)
    for value in (f"{size}, {size}", f"{size},0", f"0,{size}", f"{size} {size}", f"{size}\r\n {size}"):
        yield f"cl list {value!r}", request([*p.base, b"Content-Length: " + value.encode()], p.visible + p.hidden)


def odd_lengths(p: Parts) -> Iterator[tuple[str, bytes]]:
    size = len(p.visible)
    values = [
        f"+{size}", f"-{size}", f"0x{size:x}", f"{size}.0", f"{size}e0", f"0{size}", f" {size}", f"{size} ",
        f"{size};", f"{size}\x0b", "", " ", "nan", "18446744073709551616", "9" * 40, "٣٣", f"\t{size}",
    ]  # fmt: skip
    for value in values:
        header = b"Content-Length: " + value.encode()
        # White space around a value is no part of it: such a length has one reading.
        kind = "padded cl" if value.strip(" \t") == str(size) else "cl"
        yield f"{kind} {value!r}", request([*p.base, header], p.visible + p.hidden)
    for name in (b"Content-Length ", b" Content-Length", b"Content_Length", b"Content-Length\x00"):
        header = name + b": %d" % size
        yield f"cl named {name!r}", request([*p.base, header], p.visible + p.hidden)


def odd_chunks(p: Parts) -> Iterator[tuple[str, bytes]]:
    size, body = b"%x" % len(p.visible), p.visible
    bodies = {
        "extension": size + b";a=b\r\n" + body + b"\r\n0\r\n\r\n",
        "quoted extension": size + b';a="\r\n0\r\n\r\n"\r\n' + body + b"\r\n0\r\n\r\n",
        "long extension": size + b";" + b"a" * 9000 + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "extension with lf": size + b";a\nb\r\n" + body + b"\r\n0\r\n\r\n",
        "0x": b"0x" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "plus": b"+" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "minus": b"-" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "space before": b" " + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "space after": size + b" \r\n" + body + b"\r\n0\r\n\r\n",
        "zeros": b"0000000000000000000" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "overflow": b"1" + b"0" * 16 + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "bare lf": size + b"\n" + body + b"\n0\n\n",
        "bare cr": size + b"\r" + body + b"\r0\r\r",
        "no end of data": size + b"\r\n" + body + b"0\r\n\r\n",
        "wrong end of data": size + b"\r\n" + body + b"xx0\r\n\r\n",
        "trailer": size + b"\r\n" + body + b"\r\n0\r\nContent-Length: 9\r\n\r\n",
        "trailer te": size + b"\r\n" + body + b"\r\n0\r\nTransfer-Encoding: identity\r\n\r\n",
        "many trailers": size + b"\r\n" + body + b"\r\n0\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        "empty size": b"\r\n" + body + b"\r\n0\r\n\r\n",
        "letters": b"zz\r\n" + body + b"\r\n0\r\n\r\n",
    }
    for name, data in bodies.items():
        yield f"chunk {name}", request([*p.base, b"Transfer-Encoding: chunked"], data + p.hidden)


def odd_lines(p: Parts) -> Iterator[tuple[str, bytes]]:
    headers, body = [*p.base, p.length], p.visible + p.hidden
    lines = [
        b"POST  /v1/chat/completions HTTP/1.1", b"POST /v1/chat/completions  HTTP/1.1",
        b"POST\t/v1/chat/completions HTTP/1.1", b"post /v1/chat/completions HTTP/1.1",
        b"POST /v1/chat/completions HTTP/1.0", b"POST /v1/chat/completions HTTP/0.9",
        b"POST /v1/chat/completions HTTP/2.0", b"POST /v1/chat/completions HTTP/1.2",
        b"POST /v1/chat/completions", b"POST /v1/chat/completions http/1.1",
        b"GET /v1/chat/completions HTTP/1.1", b"POST /v1/chat/completions HTTP/1.1 x",
        b"POST http://other/v1/chat/completions HTTP/1.1", b"POST //v1/chat/completions HTTP/1.1",
        b"POST /v1/chat/completions#x HTTP/1.1", b"POST /v1/chat/\x00completions HTTP/1.1",
        b"POST /v1/../v1/chat/completions HTTP/1.1", b"POST * HTTP/1.1",
        b"CONNECT other:80 HTTP/1.1", b"\r\nPOST /v1/chat/completions HTTP/1.1",
    ]  # fmt: skip
    for line in lines:
        yield f"line {line!r}", request(headers, body, line)


def odd_hosts(p: Parts) -> Iterator[tuple[str, bytes]]:
    rest = [*p.base[1:], p.length]
    body = p.visible + p.hidden
    yield "no host", request(rest, body)
    for host in ([b"Host: a", b"Host: b"], [b"Host: a, b"], [b"Host:"], [b"Host: a/b"], [b"Host: a\x00b"], [b"Host : a"]):
        yield f"host {host!r}", request([*host, *rest], body)


def listed_headers(p: Parts) -> Iterator[tuple[str, bytes]]:
    body = p.visible + p.hidden
    for name in (b"authorization", b"content-length", b"host", b"transfer-encoding", b"close, content-length"):
        yield f"connection {name!r}", request([*p.base, b"Connection: " + name, p.length], body)
    upgrade = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
    yield "upgrade h2c", request([*p.base, *upgrade, p.length], body)
    yield "upgrade websocket", request(
        [*p.base, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", p.length], body
    )
    yield "expect", request([*p.base, b"Expect: 100-continue", p.length], body)
    yield "odd expect", request([*p.base, b"Expect: 200-maybe", p.length], body)
    yield "http2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + p.hidden


def odd_ends(p: Parts) -> Iterator[tuple[str, bytes]]:
    body = p.visible + p.hidden
    yield "bare lf lines", request([*p.base, p.length], body).replace(b"\r\n", b"\n")
    yield "bare cr lines", request([*p.base, p.length], body).replace(b"\r\n", b"\r")
    yield "folded header", request([*p.base, b"X: a\r\n b", p.length], body)
    yield "folded length", request([*p.base, b"X: a\r\n Content-Length: 0", p.length], body)
    yield "no colon", request([*p.base, b"Content-Length", p.length], body)
    yield "nul in value", request([*p.base, b"X: a\x00b", p.length], body)
    yield "many headers", request([*p.base, *[b"X-%d: y" % number for number in range(400)], p.length], body)
    yield "long header", request([*p.base, b"X: " + b"y" * 300_000, p.length], body)
    yield "body with get", request([*p.base, p.length], p.visible + b"GET /v1/models HTTP/1.1\r\n\r\n")
    yield "get with body", request([*p.base, p.length], body, b"GET /v1/models HTTP/1.1")
