"""A simulator and a gateway for the agents alone, whose models play what a test wrote down, turn by turn.

Leaves to `agents.py` how the agents are run, and to the tests what is played.
"""

from dataclasses import dataclass

import conftest
import httpx
import pytest
import servers

KEY = conftest.MASTER_KEY
# The model of the play, the same at every provider. Anthropic's models take what Claude Code writes from this one on.
GROUP = "claude-opus-5-play"
# The catalogue does not know the name; what the model takes it knows by the base model.
PLAYED = """
  - model_name: "anthropic/{group}"
    litellm_params: {{model: "anthropic/{group}", api_base: "{sim}", api_key: "sk-ant-simulated"}}
    model_info: {{base_model: "claude-opus-5"}}
  - model_name: "bedrock/{group}"
    litellm_params:
      model: "bedrock/{group}"
      api_base: "{sim}"
      aws_region_name: "eu-central-1"
      aws_access_key_id: "AKIASIMULATED0000001"
      aws_secret_access_key: "simulated/secret/of/forty/characters/001"
    model_info: {{base_model: "anthropic.claude-opus-5"}}
"""


def config_of(simulator: str) -> str:
    """The configuration of all tests, with the played models of Anthropic's told what they are."""
    models = "model_list:" + PLAYED.format(group=GROUP, sim=simulator).rstrip()
    return conftest.config_of(simulator).replace("model_list:", models, 1)


@dataclass
class Stage:
    """Where the agents go, and the simulated models behind it."""

    url: str
    simulator: servers.Server

    def play(self, steps: list[dict]) -> None:
        """Each step is one answer: `calls`, `text` or `behave`; the last one stays."""
        rules = [{"times": 1} | step for step in steps[:-1]]
        reply = httpx.put(self.simulator.url + "/sim/rules", json=[*rules, steps[-1]], trust_env=False)
        assert reply.status_code < 300, reply.text

    def clear(self) -> None:
        for path in ("/sim/rules", "/sim/received"):
            httpx.delete(self.simulator.url + path, trust_env=False)

    def records(self) -> list[dict]:
        return conftest.received(self.simulator)

    def bodies(self) -> list[dict]:
        return [record["body"] for record in self.records()]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents")
    with servers.simulator(folder) as simulator:
        with servers.gateway(folder, config_of(simulator.url)) as gateway:
            yield Stage(gateway.url, simulator)


@pytest.fixture
def stage(house):
    """Without a play, the simulated models answer as their names say."""
    house.clear()
    return house


def check_the_loop(stage: Stage, provider: str, results: list[str]) -> None:
    """One request a turn reached the provider, none was refused, and each tool's result came back in its turn."""
    records = stage.records()
    surface = provider.partition("-")[0]
    said = [(record["surface"], record["verdict"], record["reason"]) for record in records]
    assert said == [(surface, "answered", None)] * (len(results) + 1)
    for record, result in zip(records[1:], results, strict=True):
        assert result in str(record["body"]), f"{result!r} did not reach the model"
