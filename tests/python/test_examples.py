"""Configurations as LiteLLM users have them, unchanged: `check` accepts them, `serve` starts and answers with them."""

import subprocess

import httpx
import pytest
import servers
from conftest import say

EXAMPLES = servers.ROOT / "tests/fixtures/examples"
FILES = sorted(file.name for file in EXAMPLES.glob("*.yaml"))
SECRETS = {
    "OPENAI_API_KEY": "sk-simulated-openai",
    "AZURE_API_KEY": "simulated-azure",
    "ANTHROPIC_API_KEY": "sk-ant-simulated",
    "GEMINI_API_KEY": "simulated-gemini",
    "GATEWAY_MASTER_KEY": "sk-gateway-master-key",
}


def check(file: str, **env: str) -> subprocess.CompletedProcess:
    command = [servers.binary(), "check", "--config", str(EXAMPLES / file)]
    return subprocess.run(command, env=servers.clean_environment(**env), capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("file", FILES)
def test_check_accepts_it(file):
    done = check(file, **SECRETS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES)
def test_check_names_every_variable_that_is_not_set(file):
    text = (EXAMPLES / file).read_text()
    wanted = {name for name in SECRETS if f'os.environ/{name}"' in text}
    done = check(file)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for name in wanted:
        assert name in said
    assert f"{file}:" in said, "errors name file and line"


def ask(server, group: str) -> httpx.Response:
    return httpx.post(
        server.url + "/v1/chat/completions",
        headers={"authorization": "Bearer sk-gateway-master-key"},
        json={"model": group, "messages": say("good morning")},
        timeout=30,
        trust_env=False,
    )


def served(folder, simulator, file):
    """The gateway with the example as it stands; only the providers' base URLs are elsewhere, and its PostgreSQL,
    which nobody has at that address, is SQLite."""
    text = (EXAMPLES / file).read_text()
    path = EXAMPLES / file
    if "database_url:" in text:
        path = folder / file
        path.write_text("".join(line for line in text.splitlines(True) if "database_url:" not in line))
    env = servers.clean_environment(
        OPENAI_BASE_URL=simulator.url + "/v1",
        ANTHROPIC_BASE_URL=simulator.url,
        GEMINI_API_BASE=simulator.url,
        **SECRETS,
    )
    return servers.gateway(folder, path, name=file, env=env)


@pytest.mark.parametrize(
    ("file", "groups"),
    [
        ("seed_proxy.yaml", ["gpt-4o-mini", "claude-sonnet"]),
        ("seed_router.yaml", ["primary-chat", "fallback-chat", "long-context-chat"]),
        ("teams.yaml", ["openai/gpt-4o", "gpt-4", "claude"]),
    ],
)
def test_it_serves_its_groups(tmp_path, simulator, file, groups):
    with served(tmp_path, simulator, file) as server:
        for group in groups:
            reply = ask(server, group)
            assert reply.status_code == 200, f"{group}: {reply.text}"
            assert reply.json()["model"] == group
            assert "good morning" in reply.json()["choices"][0]["message"]["content"]
        listed = httpx.get(
            server.url + "/v1/models",
            headers={"authorization": "Bearer sk-gateway-master-key"},
            trust_env=False,
        ).json()
        names = {model["id"] for model in listed["data"]}
        assert set(groups) - {"openai/gpt-4o"} <= names


def test_three_providers_under_one_name_all_answer(tmp_path, simulator):
    with served(tmp_path, simulator, "seed_router.yaml") as server:
        seen = {ask(server, "primary-chat").headers["x-litellm-model-name"] for _ in range(60)}
    assert len(seen) == 3, seen


def test_a_deployment_that_cannot_be_reached_is_retried_on_its_sibling(tmp_path, simulator):
    """The file's Azure address does not exist here; its group answers all the same from the other deployment."""
    with served(tmp_path, simulator, "seed_proxy.yaml") as server:
        for _ in range(6):
            reply = ask(server, "gpt-4o")
            assert reply.status_code == 200, reply.text
            assert reply.headers["x-litellm-model-name"] == "openai/gpt-4o"


def test_the_master_key_of_the_file_is_asked_for(tmp_path, simulator):
    with served(tmp_path, simulator, "seed_proxy.yaml") as server:
        reply = httpx.post(server.url + "/v1/chat/completions", json={"model": "gpt-4o-mini"}, trust_env=False)
        assert reply.status_code == 401
