"""curl against the gateway: what a person types first, streams as they come, bodies of errors byte for byte."""

import json
import re
import socket
import subprocess

import pytest
import servers
from conftest import MASTER_KEY

README = servers.ROOT / "README.md"


def curl(*args: str, timeout: float = 30) -> str:
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{command}: {done.returncode} {done.stderr}"
    return done.stdout


def post(gateway, path: str, body: str, *args: str, key: str | None = MASTER_KEY) -> tuple[int, dict, str]:
    """Status, headers and body of a POST."""
    auth = ["-H", f"Authorization: Bearer {key}"] if key else []
    text = curl(
        "-i", "-X", "POST", gateway.url + path, "-H", "Content-Type: application/json", *auth, *args, "-d", body
    )
    head, _, body = text.partition("\n\n") if "\r\n" not in text else text.partition("\r\n\r\n")
    status, *lines = head.splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body


CHAT = '{"model":"chat","messages":[{"role":"user","content":"hi"}]}'


def test_a_chat(gateway):
    status, headers, body = post(gateway, "/v1/chat/completions", CHAT)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body.encode())
    assert "hi" in json.loads(body)["choices"][0]["message"]["content"]


def test_a_stream_is_server_sent_events_that_end_with_done(gateway):
    body = '{"model":"chat","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    status, headers, text = post(gateway, "/v1/chat/completions", body, "-N")
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    events = [line for line in text.splitlines() if line]
    assert all(line.startswith("data: ") for line in events)
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: ")) for line in events[:-1])


def event(text: str) -> bytes:
    """One token as a chunk of a chunked body."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    data = f"data: {json.dumps(chunk)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_an_event_arrives_before_the_provider_has_sent_the_next(tmp_path):
    """The provider here is a socket of the test's own: it goes on only when the caller has seen what it sent."""
    with socket.create_server(("127.0.0.1", 0)) as provider:
        provider.settimeout(10)
        base = f"http://127.0.0.1:{provider.getsockname()[1]}/v1"
        config = f'model_list: [{{model_name: m, litellm_params: {{model: openai/m, api_base: "{base}", api_key: k}}}}]'
        with servers.gateway(tmp_path, config) as server:
            command = ["curl", "-sN", "--noproxy", "*", server.url + "/v1/chat/completions"]
            body = '{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
            command += ["-H", "Content-Type: application/json", "-d", body]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:
                connection, _ = provider.accept()
                with connection:
                    connection.settimeout(10)
                    connection.recv(65536)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                    )
                    for number in range(5):
                        connection.sendall(event(f"token {number}"))
                        assert f"token {number}" in caller.stdout.readline()
                        assert caller.stdout.readline() == "\n"
                    done = b"data: [DONE]\n\n"
                    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(done), done))
                    assert caller.stdout.read().strip() == "data: [DONE]"


ERRORS = [
    ("/v1/chat/completions", "{bad", 400, "invalid_request_error"),
    ("/v1/chat/completions", "", 400, "invalid_request_error"),
    ("/v1/chat/completions", "[]", 400, "invalid_request_error"),
    ("/v1/chat/completions", '{"model":"chat"}', 400, "invalid_request_error"),
    ("/v1/chat/completions", '{"messages":[]}', 400, "invalid_request_error"),
    ("/v1/chat/completions", '{"model":7,"messages":[]}', 400, "invalid_request_error"),
    ("/v1/chat/completions", '{"model":"chat","messages":"hi"}', 400, "invalid_request_error"),
    ("/v1/chat/completions", '{"model":"chat","model":"gpt-4o","messages":[]}', 400, "invalid_request_error"),
    ("/v1/chat/completions", '{"model":"chat","messages":' + "[" * 500 + "]" * 500 + "}", 400, "invalid_request_error"),
    ("/v1/embeddings", '{"model":"embed"}', 400, "invalid_request_error"),
    ("/v1/completions", '{"model":"chat"}', 400, "invalid_request_error"),
]


@pytest.mark.parametrize(("path", "body", "status", "kind"), ERRORS)
def test_bad_bodies_get_an_error_with_the_usual_shape(gateway, path, body, status, kind):
    got, headers, text = post(gateway, path, body)
    assert got == status, text
    assert headers["content-type"] == "application/json"
    error = json.loads(text)["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["type"] == kind
    assert error["code"] == str(status)
    assert error["message"]


def test_bad_utf8_is_a_bad_request(gateway, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(b'{"model":"chat","messages":[{"role":"user","content":"\xff\xfe"}]}')
    status, _, text = post(gateway, "/v1/chat/completions", f"@{file}")
    assert status == 400, text


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(gateway, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(b'{"model":"chat","messages":[{"role":"user","content":"' + b"x" * (40 << 20) + b'"}]}')
    status, _, text = post(gateway, "/v1/chat/completions", f"@{file}", "-H", "Expect:")
    assert status == 413, text[:500]
    assert json.loads(text)["error"]["code"] == "413"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/no/such/route", 404),
        ("POST", "/v1/ocr", 501),
    ],
)
def test_a_wrong_method_or_route_is_said_so(gateway, method, path, status):
    text = curl(
        "-o", "-", "-w", "\n%{http_code}", "-X", method, gateway.url + path,
        "-H", f"Authorization: Bearer {MASTER_KEY}", "-H", "Content-Type: application/json", "-d", "{}",
    )  # fmt: skip
    body, _, code = text.rpartition("\n")
    assert int(code) == status, body
    assert json.loads(body)["error"]["message"]


def test_a_wrong_content_type_is_refused(gateway):
    text = curl(
        "-w", "\n%{http_code}", gateway.url + "/v1/chat/completions",
        "-H", f"Authorization: Bearer {MASTER_KEY}", "-H", "Content-Type: text/xml", "-d", "<model/>",
    )  # fmt: skip
    assert text.rpartition("\n")[2] in ("400", "415")


def test_a_key_is_wanted_everywhere_but_for_liveness_and_readiness(gateway):
    def status(path: str) -> int:
        return int(curl("-o", "/dev/null", "-w", "%{http_code}", gateway.url + path))

    for path in ("/health/liveliness", "/health/liveness", "/health/readiness"):
        assert status(path) == 200, path
    for path in ("/v1/models", "/models", "/v1/model/info", "/model_group/info", "/health", "/metrics"):
        assert status(path) == 401, path


def test_the_documents_of_the_api_are_served(gateway):
    text = curl(gateway.url + "/openapi.json", "-H", f"Authorization: Bearer {MASTER_KEY}")
    document = json.loads(text)
    assert document["openapi"].startswith("3.")
    assert "/v1/chat/completions" in document["paths"]
    page = curl("-L", gateway.url + "/")
    assert "<html" in page.lower()


def test_metrics_count_what_was_served(gateway):
    post(gateway, "/v1/chat/completions", CHAT)
    text = curl(gateway.url + "/metrics", "-H", f"Authorization: Bearer {MASTER_KEY}")
    assert re.search(r"^litellm_proxy_total_requests_metric\S* \d", text, re.MULTILINE), text[:2000]


def first_command(text: str) -> str:
    """The first curl command of the README, its continued lines joined."""
    found = re.search(r"^\s*(curl (?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert found, "the README has no curl command"
    return found.group(1)


def test_the_readmes_first_curl_works_without_configuration_and_keys(tmp_path):
    command = first_command(README.read_text())
    assert "localhost:4000" in command or "127.0.0.1:4000" in command
    with servers.gateway(tmp_path, None) as server:
        command = re.sub(r"(localhost|127\.0\.0\.1):4000", f"127.0.0.1:{server.port}", command)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        body = json.loads(done.stdout[done.stdout.index("{") :])
        assert body["choices"][0]["message"]["content"]
        assert "simulated" in server.log_text()
