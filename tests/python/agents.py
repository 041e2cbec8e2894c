"""Runs the command-line agents without a person: Claude Code, Codex, Gemini CLI.

Owns: where the programs are, the environment and the settings with which each goes to the gateway and nowhere else,
how their output is read. Leaves to the tests what the simulated model makes them do.
Invariant: an agent sees an empty home, the folder that it works in, and no variable of ours.
"""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import servers

SECONDS_MAX = 120


def packages() -> Path:
    """The folder of the npm packages."""
    folder = Path(os.environ.get("TOLLGATE_AGENT_PACKAGES", servers.ROOT / "target/test-env/agents"))
    assert folder.exists(), f"{folder} does not exist: cargo xtask setup"
    return folder / "node_modules"


def claude_program() -> list[str]:
    """The platform's own package holds the program; the main one would fetch it with an install script."""
    machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    return [str(packages() / f"@anthropic-ai/claude-code-{platform.system().lower()}-{machine}" / "claude")]


def codex_program() -> list[str]:
    return ["node", str(packages() / "@openai/codex/bin/codex.js")]


def gemini_program() -> list[str]:
    return ["node", str(packages() / "@google/gemini-cli/bundle/gemini.js")]


@dataclass
class Workplace:
    """An empty home, and a folder with one file to work on."""

    home: Path
    folder: Path

    @property
    def note(self) -> Path:
        return self.folder / "note.txt"


def workplace(base: Path) -> Workplace:
    place = Workplace(base / "home", base / "work")
    place.home.mkdir(parents=True)
    place.folder.mkdir()
    place.note.write_text("hello old world\n")
    return place


@dataclass
class Ended:
    """How an agent ended: its status, its JSON output line by line, and everything that it said."""

    status: int
    output: str
    errors: str

    def whole(self) -> dict:
        """The output as one JSON object, after what the program may print before it."""
        return json.loads(self.output[self.output.index("{") :])

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]


def run(command: list[str], place: Workplace, **env: str) -> Ended:
    """Runs to the end; nothing of our environment but PATH is seen."""
    # Calls out that the programs would make on their own account have nowhere to go.
    quiet = {"HOME": str(place.home), "PATH": os.environ["PATH"], "NO_COLOR": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        command,
        cwd=place.folder,
        env=quiet | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def claude(place: Workplace, url: str, key: str, model: str, task: str) -> Ended:
    """Claude Code, told once what to do, allowed to read and edit."""
    arguments = ["-p", task, "--model", model, "--output-format", "json", "--allowedTools", "Read,Edit"]
    return run(
        claude_program() + arguments,
        place,
        ANTHROPIC_BASE_URL=url,
        ANTHROPIC_AUTH_TOKEN=key,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        CLAUDE_CODE_MAX_RETRIES="0",
        DISABLE_AUTOUPDATER="1",
    )


CODEX_SETTINGS = """
model_provider = "tollgate"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.tollgate]
name = "Tollgate"
base_url = "{url}/v1"
env_key = "TOLLGATE_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def codex(place: Workplace, url: str, key: str, model: str, task: str) -> Ended:
    """Codex, told once what to do, without its sandbox: the machine may not allow one."""
    settings = place.home / ".codex/config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(CODEX_SETTINGS.format(url=url))
    arguments = ["exec", "--model", model, "--skip-git-repo-check", "--json"]
    arguments += ["--dangerously-bypass-approvals-and-sandbox", task]
    return run(codex_program() + arguments, place, TOLLGATE_API_KEY=key)


GEMINI_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
}


def gemini(place: Workplace, url: str, key: str, model: str, task: str) -> Ended:
    """Gemini CLI, told once what to do, with every tool allowed."""
    settings = place.home / ".gemini/settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps(GEMINI_SETTINGS))
    arguments = ["--model", model, "--approval-mode", "yolo", "--output-format", "json", "--prompt", task]
    return run(gemini_program() + arguments, place, GEMINI_API_KEY=key, GOOGLE_GEMINI_BASE_URL=url)
