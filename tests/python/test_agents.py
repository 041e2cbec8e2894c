"""The agents are there in the versions that the tests were written with, and start without a login."""

import json

import agents
import pytest
import servers

pytestmark = pytest.mark.agents

PROGRAMS = {
    "@anthropic-ai/claude-code": agents.claude_program,
    "@openai/codex": agents.codex_program,
    "@google/gemini-cli": agents.gemini_program,
}


@pytest.mark.parametrize("package", list(PROGRAMS))
def test_an_agent_starts_in_its_pinned_version(tmp_path, package):
    pinned = json.loads((servers.ROOT / "tests/node/agents/package.json").read_text())["dependencies"][package]
    ended = agents.run(PROGRAMS[package]() + ["--version"], agents.workplace(tmp_path))
    assert ended.status == 0, ended.errors
    assert pinned in ended.output
