"""Claude Code on every provider: it reads a file, edits it and says so, streamed, in three turns."""

import agents
import pytest
from agent_stage import GROUP, KEY, check_the_loop, house, stage  # noqa: F401, fixtures

pytestmark = pytest.mark.agents

TASK = "Replace old by brave new in note.txt."


def steps(place) -> list[dict]:
    """The simulated model's turns, in the agent's own tools."""
    note = str(place.note)
    return [
        {"calls": [{"name": "Read", "arguments": {"file_path": note}}]},
        {
            "calls": [
                {"name": "Edit", "arguments": {"file_path": note, "old_string": "old", "new_string": "brave new"}}
            ]
        },
        {"text": "The note is new, my friend."},
    ]


def test_it_reads_and_edits_a_file(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    stage.play(steps(place))
    ended = agents.claude(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    result = ended.whole()
    assert (result["subtype"], result["is_error"]) == ("success", False)
    assert result["result"] == "The note is new, my friend."
    assert result["num_turns"] == 3
    assert result["permission_denials"] == []
    usage = result["usage"]
    # What was written to the prompt cache or read from it is no part of the input here.
    read = usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]
    assert read > 1000 and usage["output_tokens"] > 0
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["hello old world", "has been updated"])


def test_a_failed_tool_is_tried_again(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    read, edit, text = steps(place)
    wrong = {"calls": [{"name": "Edit", "arguments": edit["calls"][0]["arguments"] | {"old_string": "ancient"}}]}
    stage.play([read, wrong, edit, text])
    ended = agents.claude(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert ended.whole()["num_turns"] == 4
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["hello old world", "String to replace not found", "has been updated"])


def test_two_tools_of_one_turn_both_run(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    other = place.folder / "other.txt"
    other.write_text("another file\n")
    both = [place.note, other]
    calls = [{"name": "Read", "arguments": {"file_path": str(file)}} for file in both]
    stage.play([{"calls": calls}, {"text": "Read both."}])
    ended = agents.claude(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert ended.whole()["result"] == "Read both."
    check_the_loop(stage, provider, ["hello old world"])
    assert "another file" in str(stage.bodies()[-1])


def test_a_refused_key_is_said(stage, tmp_path):  # noqa: F811
    ended = agents.claude(agents.workplace(tmp_path), stage.url, "sk-invalid", f"openai/{GROUP}", TASK)
    result = ended.whole()
    assert result["is_error"] is True
    assert result["api_error_status"] == 401


def test_a_providers_error_is_said(stage, tmp_path, provider):  # noqa: F811
    stage.play([{"behave": "error-400"}])
    ended = agents.claude(agents.workplace(tmp_path), stage.url, KEY, f"{provider}/{GROUP}", TASK)
    result = ended.whole()
    assert result["is_error"] is True
    assert result["api_error_status"] == 400
