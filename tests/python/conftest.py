"""What the black-box tests share: one simulator, one gateway before it, clients of both.

The gateway's configuration covers the four provider dialects by wildcard, so that a test chooses a simulated
behaviour by the model's name: `anthropic/sim-tools-2`.
"""

import asyncio
import importlib.util
import json
import os

import httpx
import openai
import pytest

import servers

# Suites whose surface the gateway does not serve yet; a name leaves the list with the commit that serves it.
WAITING: list[str] = []
collect_ignore = [] if os.environ.get("TOLLGATE_TEST_WAITING") == "1" else WAITING
# What a simulator takes is held to the newest packages only, not to those that LiteLLM brings.
collect_ignore_glob = ["test_conformance*.py"] if importlib.util.find_spec("litellm") else []

MASTER_KEY = "sk-black-box-master"
PROVIDERS = ("openai", "azure", "anthropic", "gemini", "bedrock", "cohere", "openai-responses")

CONFIG = """
model_list:
  - model_name: "openai/*"
    litellm_params: {{model: "openai/*", api_base: "{sim}/v1", api_key: "sk-simulated-openai"}}
  - model_name: "azure/*"
    litellm_params:
      model: "azure/*"
      api_base: "{sim}"
      api_version: "2024-10-21"
      api_key: "simulated-azure"
  - model_name: "anthropic/*"
    litellm_params: {{model: "anthropic/*", api_base: "{sim}", api_key: "sk-ant-simulated"}}
  - model_name: "gemini/*"
    litellm_params: {{model: "gemini/*", api_base: "{sim}", api_key: "simulated-gemini"}}
  - model_name: "cohere/*"
    litellm_params: {{model: "cohere/*", api_base: "{sim}/cohere", api_key: "simulated-cohere"}}
  - model_name: "bedrock/*"
    litellm_params:
      model: "bedrock/*"
      api_base: "{sim}"
      aws_region_name: "eu-central-1"
      aws_access_key_id: "AKIASIMULATED0000001"
      aws_secret_access_key: "simulated/secret/of/forty/characters/001"
  - model_name: "openai-responses/*"
    litellm_params: {{model: "openai/responses/*", api_base: "{sim}/v1", api_key: "sk-simulated-openai"}}
  - model_name: "chat"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-simulated-openai"}}
  - model_name: "gpt-4o"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-simulated-openai"}}
  # What Google's tools ask for by themselves may be any provider's model.
  - model_name: "gemini-*"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-simulated-openai"}}
  - model_name: "embed"
    litellm_params:
      model: "openai/text-embedding-3-small"
      api_base: "{sim}/v1"
      api_key: "sk-simulated-openai"
  - model_name: "rank"
    litellm_params: {{model: "cohere/rerank-v3.5", api_base: "{sim}/cohere", api_key: "sk-simulated-cohere"}}
  # Requests that are wrong on purpose; the replay of the record leaves this base path out.
  - model_name: "wrong/*"
    litellm_params: {{model: "openai/*", api_base: "{sim}/d/wrong/v1", api_key: "sk-simulated-openai"}}
  - model_name: "wrong-key"
    litellm_params: {{model: "openai/gpt-4o", api_base: "{sim}/v1", api_key: "sk-invalid"}}
  - model_name: "impatient"
    litellm_params:
      model: "openai/sim-hang"
      api_base: "{sim}/v1"
      api_key: "sk-simulated-openai"
      timeout: 0.5
  - model_name: "impatient-stream"
    litellm_params:
      model: "openai/sim-first-5s"
      api_base: "{sim}/v1"
      api_key: "sk-simulated-openai"
      stream_timeout: 0.5
  - model_name: "nobody-home"
    litellm_params: {{model: "openai/gpt-4o", api_base: "http://127.0.0.1:9/v1", api_key: "sk-simulated-openai"}}
router_settings:
  num_retries: 0
general_settings:
  master_key: "{key}"
"""


def config_of(simulator: str) -> str:
    """The configuration of a gateway before the simulator with this URL."""
    return CONFIG.format(sim=simulator, key=MASTER_KEY)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tollgate")


# Behaviours of more than one part, as rules by name: Gemini's model names have no `+` to join them with.
RULES = {
    "spelt-cached": "prompt-1000+cached-800",
    "spelt-usage": "tokens-7+prompt-50+cached-20",
    "spelt-paced": "tokens-200+pace-5ms",
}


@pytest.fixture(scope="session")
def simulator(folder):
    with servers.simulator(folder) as server:
        rules = [{"model": model, "behave": behaviour} for model, behaviour in RULES.items()]
        reply = httpx.put(server.url + "/sim/rules", json=rules, trust_env=False)
        assert reply.status_code < 300, reply.text
        yield server


def received(simulator) -> list[dict]:
    """Every request that the simulator has received so far."""
    text = httpx.get(simulator.url + "/sim/received", timeout=60, trust_env=False).text
    return [json.loads(line) for line in text.splitlines() if line]


@pytest.fixture(scope="session")
def gateway(folder, simulator):
    with servers.gateway(folder, config_of(simulator.url)) as server:
        yield server
        assert server.process.poll() is None, f"the gateway died:\n{server.log_text()[-4000:]}"


@pytest.fixture(scope="session")
def client(gateway):
    """The official client; its own retries are off, so that a test sees what the gateway does."""
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=MASTER_KEY, max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
def http(gateway):
    """Plain HTTP to the gateway with the master key."""
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return request.param


def say(text: str) -> list[dict]:
    """One message of the user's."""
    return [{"role": "user", "content": text}]


def run(coroutine):
    """Runs a coroutine in a loop of its own."""
    return asyncio.run(coroutine)


def is_long() -> bool:
    return os.environ.get("TOLLGATE_TEST_LONG") == "1"


def pytest_collection_modifyitems(items):
    """The replay of what the simulator recorded comes after everything that makes it record."""
    items.sort(key=lambda item: item.module.__name__ == "test_conformance")


def pytest_terminal_summary(terminalreporter):
    """After a failure, the last lines of every server's log."""
    if not terminalreporter.stats.get("failed") and not terminalreporter.stats.get("error"):
        return
    base = getattr(terminalreporter.config, "_tmp_path_factory", None)
    if base is None:
        return
    for log in sorted(base.getbasetemp().rglob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        if lines:
            terminalreporter.section(f"{log.name}: the last of {len(lines)} lines")
            terminalreporter.line("\n".join(lines[-25:]))
