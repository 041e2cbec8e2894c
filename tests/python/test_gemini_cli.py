"""Gemini CLI on every provider: it reads a file, edits it and says so, streamed, in three turns."""

import agents
import pytest
from agent_stage import GROUP, KEY, check_the_loop, house, stage  # noqa: F401, fixtures

pytestmark = pytest.mark.agents

TASK = "Replace old by brave new in note.txt."
SAY = {"text": "The note is new, my friend."}


def steps(place) -> list[dict]:
    """The simulated model's turns, in the agent's own tools."""
    edit = {
        "file_path": str(place.note),
        "instruction": "Replace old by brave new.",
        "old_string": "hello old world",
        "new_string": "hello brave new world",
    }
    return [
        {"calls": [{"name": "read_file", "arguments": {"file_path": "note.txt"}}]},
        {"calls": [{"name": "replace", "arguments": edit}]},
        SAY,
    ]


def test_it_reads_and_edits_a_file(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    stage.play(steps(place))
    ended = agents.gemini(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    result = ended.whole()
    assert result["response"] == SAY["text"]
    assert (result["stats"]["tools"]["totalSuccess"], result["stats"]["tools"]["totalFail"]) == (2, 0)
    [model] = result["stats"]["models"].values()
    assert (model["api"]["totalRequests"], model["api"]["totalErrors"]) == (3, 0)
    assert model["tokens"]["prompt"] > 1000 and model["tokens"]["candidates"] > 0
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["hello old world", "Successfully modified"])


def test_two_tools_of_one_turn_both_run(stage, tmp_path, provider):  # noqa: F811
    place = agents.workplace(tmp_path)
    look, edit, say = steps(place)
    stage.play([{"calls": look["calls"] + edit["calls"]}, say])
    ended = agents.gemini(place, stage.url, KEY, f"{provider}/{GROUP}", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert ended.whole()["stats"]["tools"]["totalSuccess"] == 2
    assert place.note.read_text() == "hello brave new world\n"
    check_the_loop(stage, provider, ["Successfully modified"])


def test_its_router_gets_the_json_that_it_asks_for(stage, tmp_path):  # noqa: F811
    """Without a model it asks a small one, plainly and for JSON, how hard the task is; then it streams."""
    place = agents.workplace(tmp_path)
    ended = agents.gemini(place, stage.url, KEY, "auto", TASK)
    assert ended.status == 0, ended.output + ended.errors
    assert "NumericalClassifierStrategy failed" not in ended.errors
    assert TASK in ended.whole()["response"]


def test_a_refused_key_is_said(stage, tmp_path):  # noqa: F811
    ended = agents.gemini(agents.workplace(tmp_path), stage.url, "sk-invalid", f"openai/{GROUP}", TASK)
    assert ended.status != 0


def test_a_providers_error_is_said(stage, tmp_path):  # noqa: F811
    stage.play([{"behave": "error-400"}])
    ended = agents.gemini(agents.workplace(tmp_path), stage.url, KEY, f"anthropic/{GROUP}", TASK)
    assert ended.status != 0
