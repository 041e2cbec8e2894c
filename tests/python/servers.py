"""Starts and stops the programs under test.

Owns: free ports, waiting until a server answers, logs. Leaves to conftest.py which servers the tests share.
Invariant: every process that was started here is gone when its `with` block ends, whatever the tests did.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 10


def binary() -> str:
    """The debug build, unless TOLLGATE_BIN names another."""
    path = os.environ.get("TOLLGATE_BIN", str(ROOT / "target/debug/tollgate"))
    assert os.path.exists(path), f"{path} does not exist: cargo build -p tollgate"
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def clean_environment(**extra: str) -> dict[str, str]:
    """Ours without anything that would configure a provider or a proxy."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "RUST_BACKTRACE")
    return {name: os.environ[name] for name in keep if name in os.environ} | extra


@dataclass
class Server:
    """A running program that serves HTTP on the loopback."""

    process: subprocess.Popen
    port: int
    log: Path
    ready_seconds: float = 0.0
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """Asks it to end, insists after a while; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def answers(url: str) -> bool:
    """Whether the server answers at all; any status will do."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def running(command: list[str], port: int, ready_path: str, log: Path, env: dict[str, str], **options):
    """The program, from when it answers `ready_path` until the block ends."""
    start = time.monotonic()
    with open(log, "wb") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env, **options
        )
    server = Server(process, port, log)
    try:
        while not answers(server.url + ready_path):
            status = process.poll()
            assert status is None, f"{command} ended with {status}:\n{server.log_text()}"
            late = time.monotonic() - start > READY_SECONDS_MAX
            assert not late, f"{command} did not answer {ready_path}:\n{server.log_text()}"
            time.sleep(0.01)
        server.ready_seconds = time.monotonic() - start
        yield server
    finally:
        server.stop()


def gateway(folder: Path, config: str | Path | None, *, name: str = "gateway", args=(), env=None, **options):
    """Tollgate with a configuration text or file, or without any."""
    port = free_port()
    command = [binary(), "serve", "--host", "127.0.0.1", "--port", str(port), *args]
    if isinstance(config, str):
        file = folder / f"{name}.yaml"
        file.write_text(config)
        config = file
    if config is not None:
        command += ["--config", str(config)]
    log = folder / f"{name}.log"
    return running(
        command, port, "/health/liveliness", log, env or clean_environment(), cwd=folder, **options
    )


def simulator(folder: Path, *, name: str = "simulator", args=()):
    """The strict stand-ins for the providers; the record of what they received is `simulator.jsonl`."""
    port = free_port()
    record = folder / f"{name}.jsonl"
    command = [binary(), "simulator", "--port", str(port), "--record", str(record), *args]
    return running(command, port, "/v1/models", folder / f"{name}.log", clean_environment(), cwd=folder)
