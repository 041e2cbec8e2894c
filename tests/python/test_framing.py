"""No request is answered on another's connection, whatever the framing: the gateway alone, behind nginx, behind HAProxy.

Every case is sent on a connection of its own; then a marked chat on a fresh connection must get its own echo. The
reverse proxies keep connections to the gateway open, which is what smuggling needs.
"""

import contextlib
import shutil
import socket

import httpx
import pytest
import servers
from conftest import MASTER_KEY, say
from framing import SMUGGLED, cases

CASES_MIN = 120
ANSWER_SECONDS = 1.0

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_buffer_size 1m; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    }}
  }}
}}
"""

HAPROXY = """
global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend gateway
backend gateway
  server one 127.0.0.1:{gateway} pool-max-conn 4
"""


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed: cargo xtask setup"
    return found


@contextlib.contextmanager
def front(kind: str, folder, gateway):
    """The port that clients talk to."""
    if kind == "alone":
        yield gateway.port
        return
    port = servers.free_port()
    file = folder / f"{kind}.conf"
    text = {"nginx": NGINX, "haproxy": HAPROXY}[kind]
    file.write_text(text.format(folder=folder, port=port, gateway=gateway.port))
    command = {
        "nginx": [program("nginx"), "-p", str(folder), "-c", str(file)],
        "haproxy": [program("haproxy"), "-db", "-f", str(file)],
    }[kind]
    with servers.running(command, port, "/health/liveliness", folder / f"{kind}.log", servers.clean_environment()):
        yield port


def send(port: int, data: bytes) -> bytes:
    """Sends raw bytes, gives what comes back until silence or the end."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
    return answer


def ask(port: int, marker: str) -> str:
    reply = httpx.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        headers={"authorization": f"Bearer {MASTER_KEY}"},
        json={"model": "openai/gpt-plain", "messages": say(marker)},
        timeout=30,
        trust_env=False,
    )
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("kind", ["alone", "nginx", "haproxy"])
def test_no_reply_goes_to_the_wrong_connection(gateway, tmp_path, kind):
    wrong, count = [], 0
    with front(kind, tmp_path, gateway) as port:
        host = b"127.0.0.1:%d" % port
        for name, data in cases(host, MASTER_KEY):
            count += 1
            send(port, data)
            marker = f"marker {count}"
            answer = ask(port, marker)
            if not answer.endswith(f"You said: {marker}"):
                wrong.append(f"{name}: {answer}")
    assert count >= CASES_MIN
    assert not wrong, wrong


def replies(answer: bytes) -> int:
    return answer.count(b"HTTP/1.1 ") + answer.count(b"HTTP/1.0 ")


def test_a_request_with_two_ideas_of_its_length_hides_no_other(gateway):
    """RFC 9112, 6.3: such a request is refused, or answered and its connection closed; never is there a second one."""
    host = b"127.0.0.1:%d" % gateway.port
    hidden = []
    for name, data in cases(host, MASTER_KEY):
        if not name.startswith(("te ", "two cl", "cl ")):
            continue
        answer = send(gateway.port, data)
        if SMUGGLED.encode() in answer and replies(answer) > 1:
            hidden.append(name)
    assert not hidden, hidden


def test_garbage_is_refused_and_the_gateway_lives(gateway):
    for data in (b"\x00" * 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET", b"\r\n" * 1000, b"A" * 200_000):
        answer = send(gateway.port, data)
        assert b" 200 " not in answer[:20]
    assert ask(gateway.port, "alive").endswith("alive")
