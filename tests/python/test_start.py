"""Starting, staying up and ending: defaults that are safe, limits of the machine, drained streams, reloads."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest
import servers
from conftest import is_long, say

KEYLESS = 'model_list:\n  - model_name: m\n    litellm_params: {{model: "openai/m", api_base: "{sim}/v1", api_key: k}}\n'


def run(*args: str, cwd, env=None, timeout: float = 20) -> subprocess.CompletedProcess:
    """The program to its end."""
    command = [servers.binary(), *args]
    env = env or servers.clean_environment()
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)


def ask(server, model: str = "m", text: str = "hi", **headers: str) -> httpx.Response:
    return httpx.post(
        server.url + "/v1/chat/completions",
        headers=headers,
        json={"model": model, "messages": say(text)},
        timeout=30,
        trust_env=False,
    )


def test_without_configuration_and_keys_the_simulated_models_answer(tmp_path):
    with servers.gateway(tmp_path, None) as server:
        for model in ("simulated/gpt-4o-mini", "gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"):
            assert ask(server, model).status_code == 200, model
        reply = httpx.post(
            server.url + "/v1/embeddings", json={"model": "text-embedding-3-small", "input": "hi"}, trust_env=False
        )
        assert reply.status_code == 200
        assert re.search("no provider key", server.log_text(), re.IGNORECASE)


def test_a_providers_key_in_the_environment_opens_its_models(tmp_path, simulator):
    env = servers.clean_environment(OPENAI_API_KEY="sk-simulated-openai", OPENAI_BASE_URL=simulator.url + "/v1")
    with servers.gateway(tmp_path, None, env=env) as server:
        reply = ask(server, "openai/gpt-4o")
        assert reply.status_code == 200, reply.text
        assert reply.headers["x-litellm-model-name"] == "openai/gpt-4o"


def test_a_configuration_in_the_working_directory_needs_no_naming(tmp_path, simulator):
    (tmp_path / "config.yaml").write_text(KEYLESS.format(sim=simulator.url))
    port = servers.free_port()
    command = [servers.binary(), "--port", str(port)]
    log = tmp_path / "unnamed.log"
    with servers.running(command, port, "/health/liveliness", log, servers.clean_environment(), cwd=tmp_path) as server:
        assert ask(server).status_code == 200
        listed = httpx.get(f"{server.url}/v1/models", trust_env=False).json()["data"]
        # The built-in models are those of a start without any configuration.
        assert not any(model["id"].startswith("simulated/") for model in listed)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_a_master_key_only_the_loopback_is_bound(tmp_path, simulator, host):
    (tmp_path / "config.yaml").write_text(KEYLESS.format(sim=simulator.url))
    done = run("serve", "--config", "config.yaml", "--host", host, "--port", "0", cwd=tmp_path)
    assert done.returncode != 0
    assert "master_key" in done.stdout + done.stderr


def test_an_empty_master_key_is_refused(tmp_path, simulator):
    text = KEYLESS.format(sim=simulator.url) + 'general_settings: {master_key: ""}\n'
    (tmp_path / "config.yaml").write_text(text)
    done = run("serve", "--config", "config.yaml", "--port", "0", cwd=tmp_path)
    assert done.returncode != 0
    assert "master_key" in done.stdout + done.stderr


def test_litellms_own_spelling_of_the_command_line_works(tmp_path, simulator):
    (tmp_path / "config.yaml").write_text(KEYLESS.format(sim=simulator.url))
    port = servers.free_port()
    command = [servers.binary(), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path / "spelling.log"
    with servers.running(command, port, "/health/liveliness", log, servers.clean_environment(), cwd=tmp_path) as server:
        assert ask(server).status_code == 200


def test_help_and_version_teach(tmp_path):
    text = run("--help", cwd=tmp_path).stdout
    for word in ("serve", "check", "demo", "--config"):
        assert word in text
    assert re.search(r"\d+\.\d+\.\d+", run("--version", cwd=tmp_path).stdout)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "config.yaml:"),
        ("model_list:\n  - model_name: m\n    litellm_params: {model: nosuchprovider/x}\n", "nosuchprovider"),
        ("model_list: 7\n", "model_list"),
        ("model_list: []\nmodel_list: []\n", "config.yaml:2"),
        ("router_settings: {routing_strategy: simple-shufle}\n", "simple-shuffle"),
        ("include: [missing.yaml]\n", "missing.yaml"),
        ("general_settings: {master_key: os.environ/NOT_SET_HERE}\n", "NOT_SET_HERE"),
        ("router_settings: {num_retries: many}\n", "num_retries"),
        ("a: &a [x]\nb: [*a, *a]\nmodel_list: [*nowhere]\n", "config.yaml:"),
    ],
)
def test_check_names_the_place_and_fails(tmp_path, text, said):
    (tmp_path / "config.yaml").write_text(text)
    done = run("check", "--config", "config.yaml", cwd=tmp_path)
    assert done.returncode != 0, done.stdout
    assert said in done.stdout + done.stderr
    assert "panicked" not in done.stderr


def test_check_warns_of_unknown_keys_and_passes(tmp_path):
    (tmp_path / "config.yaml").write_text("router_settings:\n  num_retrys: 3\n")
    done = run("check", "--config", "config.yaml", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "config.yaml:2" in said and "num_retries" in said


def test_an_alias_bomb_is_an_error_and_no_memory(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "config.yaml").write_text("\n".join(lines) + "\n")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    done = subprocess.run(
        [servers.binary(), "check", "--config", "config.yaml"],
        cwd=tmp_path, env=servers.clean_environment(), capture_output=True, text=True, timeout=20, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode not in (0, -signal.SIGABRT, -signal.SIGKILL), done.stderr
    assert "config.yaml:" in done.stdout + done.stderr


def test_an_end_drains_the_streams_in_flight(tmp_path, simulator):
    config = (
        'model_list:\n  - model_name: slow\n    litellm_params: {model: "openai/sim-tokens-20+pace-50ms", '
        f'api_base: "{simulator.url}/v1", api_key: k}}\n'
    )
    with servers.gateway(tmp_path, config) as server:
        body = {"model": "slow", "stream": True, "messages": say("hi")}
        with httpx.stream(
            "POST", server.url + "/v1/chat/completions", json=body, timeout=30, trust_env=False
        ) as reply:
            lines = reply.iter_lines()
            assert next(lines).startswith("data: ")
            server.process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert "data: [DONE]" in rest
        assert server.process.wait(10) == 0


def test_a_caller_who_hangs_up_frees_the_providers_connection(tmp_path):
    """The provider here is a socket of the test's own: it sees the end of the connection, or not."""
    with socket.create_server(("127.0.0.1", 0)) as provider:
        port = provider.getsockname()[1]
        with servers.gateway(tmp_path, KEYLESS.format(sim=f"http://127.0.0.1:{port}")) as server:
            body = json.dumps({"model": "m", "stream": True, "messages": say("hi")}).encode()
            caller = socket.create_connection(("127.0.0.1", server.port))
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            caller.sendall(head.encode() + body)
            provider.settimeout(10)
            connection, _ = provider.accept()
            with connection:
                connection.settimeout(10)
                assert connection.recv(65536).startswith(b"POST /v1/chat/completions")
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                caller.close()
                seen = b"x"
                while seen:
                    seen = connection.recv(65536)


def status_of(server) -> int:
    return httpx.get(server.url + "/health/liveliness", timeout=5, trust_env=False).status_code


def cpu_seconds(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_running_out_of_file_descriptors_is_a_pause_and_not_a_spin(tmp_path, simulator):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with servers.gateway(tmp_path, KEYLESS.format(sim=simulator.url), preexec_fn=limit) as server:
        held = []
        try:
            for _ in range(300):
                held.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            before, start = cpu_seconds(server.process.pid), time.monotonic()
            time.sleep(1.5)
            share = (cpu_seconds(server.process.pid) - before) / (time.monotonic() - start)
            assert share < 0.2, f"{share:.0%} of a core while there is nothing to do"
        finally:
            for connection in held:
                connection.close()
        end = time.monotonic() + 5
        while True:
            try:
                assert status_of(server) == 200
                break
            except httpx.HTTPError:
                assert time.monotonic() < end, "it does not recover"


def config_with(simulator, group: str) -> str:
    return (
        f"model_list:\n"
        f"  - model_name: always\n"
        f'    litellm_params: {{model: "openai/always", api_base: "{simulator.url}/v1", api_key: k}}\n'
        f"  - model_name: {group}\n"
        f'    litellm_params: {{model: "openai/{group}", api_base: "{simulator.url}/v1", api_key: k}}\n'
    )


def wait_until(true, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_reloads_under_load_fail_no_request(tmp_path, simulator):
    """Valid files, broken files, half-written files; by signal and by the file's change."""
    rounds = 50 if is_long() else 12
    file = tmp_path / "live.yaml"
    file.write_text(config_with(simulator, "group-0"))
    with servers.gateway(tmp_path, file) as server:
        stop, failed, served = threading.Event(), [], []

        def load() -> None:
            with httpx.Client(trust_env=False, timeout=30) as http:
                while not stop.is_set():
                    body = {"model": "always", "messages": say("hi")}
                    reply = http.post(server.url + "/v1/chat/completions", json=body)
                    (served if reply.status_code == 200 else failed).append(reply.text)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, rounds):
                text = config_with(simulator, f"group-{number}")
                file.write_text(text[: len(text) // 2])
                file.write_text("model_list: {broken")
                if number % 2:
                    server.process.send_signal(signal.SIGHUP)
                assert ask(server, f"group-{number - 1}").status_code == 200, "the last good configuration is kept"
                file.write_text(text)
                if number % 3:
                    server.process.send_signal(signal.SIGHUP)
                wait_until(lambda n=number: ask(server, f"group-{n}").status_code == 200)
                assert ask(server, f"group-{number - 1}").status_code == 400
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failed, failed[:3]
        assert served


def test_a_broken_file_is_named_in_the_log(tmp_path, simulator):
    file = tmp_path / "live.yaml"
    file.write_text(config_with(simulator, "one"))
    with servers.gateway(tmp_path, file) as server:
        file.write_text("router_settings: {num_retries: many}\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "num_retries" in server.log_text())
        assert "live.yaml:1" in server.log_text()
        assert ask(server, "one").status_code == 200


def test_a_stream_in_flight_outlives_a_reload_that_removes_its_model(tmp_path, simulator):
    file = tmp_path / "live.yaml"
    file.write_text(config_with(simulator, "sim-tokens-20+pace-50ms"))
    with servers.gateway(tmp_path, file) as server:
        body = {"model": "sim-tokens-20+pace-50ms", "stream": True, "messages": say("hi")}
        with httpx.stream(
            "POST", server.url + "/v1/chat/completions", json=body, timeout=30, trust_env=False
        ) as reply:
            lines = reply.iter_lines()
            next(lines)
            file.write_text(config_with(simulator, "other"))
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: ask(server, "other").status_code == 200)
            assert "data: [DONE]" in list(lines)
