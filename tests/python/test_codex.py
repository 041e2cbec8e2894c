"""Codex on every provider: it reads a file, edits it and says so, streamed, in three turns."""

import agents
import pytest
from agent_stage import GROUP, KEY, check_the_loop, house, stage  # noqa: F401, fixtures

pytestmark = pytest.mark.agents

TASK = "Replace old by brave new in note.txt."
READ = {"calls": [{"name": "exec_command", "arguments": {"cmd": "cat note.txt"}}]}
EDIT = {"calls": [{"name": "exec_command", "arguments": {"cmd": "sed -i 's/old/brave new/' note.txt && echo edited"}}]}
SAY = {"text": "The note is new, my friend."}
PATCH = """*** Begin Patch
*** Update File: note.txt
@@
-hello old world
+hello brave new world
*** End Patch
"""


def items(ended: agents.Ended, kind: str) -> list[dict]:
    """The finished items of a kind, in order."""
    done = [line["item"] for line in ended.lines() if line["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


def test_it_reads_and_edits_a_file(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    stage.play([READ, EDIT, SAY])
    ended = agents.codex(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    commands = items(ended, "command_execution")
    assert [(command["status"], command["exit_code"]) for command in commands] == [("completed", 0)] * 2
    said = [item["text"] for item in items(ended, "agent_message")]
    # Cohere's models say before each call what they plan.
    assert (said[-1:] if provider == "cohere" else said) == [SAY["text"]]
    [completed] = [line for line in ended.lines() if line["type"] == "turn.completed"]
    assert completed["usage"]["input_tokens"] > 1000 and completed["usage"]["output_tokens"] > 0
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["hello old world", "edited"])


def test_two_commands_of_one_turn_both_run(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    stage.play([{"calls": READ["calls"] + EDIT["calls"]}, SAY])
    ended = agents.codex(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert len(items(ended, "command_execution")) == 2
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["edited"])


def test_reasoning_goes_round_the_loop(stage, tmp_path, provider):  # noqa: F811
    """What the model thought comes back to it unharmed: a provider that signs its thoughts would refuse it else."""
    place = agents.workplace(tmp_path)
    stage.play([READ | {"behave": "reason"}, EDIT | {"behave": "reason"}, SAY])
    ended = agents.codex(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["hello old world", "edited"])


def test_its_own_tool_of_free_text_is_called(stage, tmp_path, provider):  # noqa: F811
    """A model that Codex knows is offered `apply_patch`, whose input is no JSON; few providers have such tools."""
    place = agents.workplace(tmp_path)
    stage.play([READ, {"calls": [{"name": "apply_patch", "arguments": {"input": PATCH}}]}, SAY])
    ended = agents.codex(place, stage.url, KEY, f"{provider}/gpt-5.5-play", TASK)
    assert ended.status == 0, ended.output + ended.errors
    [change] = items(ended, "file_change")
    assert (change["status"], [file["kind"] for file in change["changes"]]) == ("completed", ["update"])
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["hello old world", "Updated the following files"])


def test_tools_that_come_as_items_of_the_input_are_offered(stage, tmp_path, provider):  # noqa: F811
    """To the newest models Codex gives its tools in namespaces within the input, and a tool that takes JavaScript."""
    place = agents.workplace(tmp_path)
    script = "text((await tools.exec_command({cmd: 'cat note.txt'})).output)"
    stage.play([{"calls": [{"name": "exec", "arguments": {"input": script}}]}, SAY])
    ended = agents.codex(place, stage.url, KEY, f"{provider}/gpt-5.6-sol-play", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert [item["text"] for item in items(ended, "agent_message")] == [SAY["text"]]
    check_the_loop(stage, provider, ["hello old world"])


def test_a_refused_key_is_said(stage, tmp_path):  # noqa: F811
    ended = agents.codex(agents.workplace(tmp_path), stage.url, "sk-invalid", f"openai/{GROUP}", TASK)
    assert ended.status != 0
    assert "401" in ended.output


def test_a_providers_error_is_said(stage, tmp_path, provider):  # noqa: F811
    stage.play([{"behave": "error-400"}])
    ended = agents.codex(agents.workplace(tmp_path), stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status != 0
    assert [line for line in ended.lines() if line["type"] == "turn.failed"]
