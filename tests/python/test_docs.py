"""The documentation, held to the program: its examples run, its lists are the program's own.

A block of `bash`, `python` or `yaml` has a mark on the line before it:

    <!-- run [keyed|litellm] [says WORDS] -->   run it against a gateway; WORDS stand in its output
    <!-- check -->                              `tollgate check` finds nothing wrong with it
    <!-- not run: reason -->                    left alone

`docs/configuration.md` is held by a test of the crate that makes it; links are held by the tidiness tests.
"""

import fnmatch
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import servers
from conftest import say

HELD_ELSEWHERE = {"docs/configuration.md"}
TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
MARK = re.compile(r"<!-- (?:(?P<check>check)|run(?: (?P<which>keyed|litellm))?(?: says (?P<says>.+))?|not run: .+) -->")
NEEDS_MARK = {"bash", "sh", "python", "yaml", "javascript"}
ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):4000")
KEY = "sk-my-master-key"


@dataclass
class Block:
    """A fenced block of a page, with its mark."""

    place: str
    language: str
    mark: re.Match | None
    text: str

    def says(self) -> str:
        return (self.mark["says"] or "") if self.mark else ""


def pages() -> list[Path]:
    found = [servers.ROOT / name for name in TOP] + sorted((servers.ROOT / "docs").glob("*.md"))
    return [page for page in found if page.relative_to(servers.ROOT).as_posix() not in HELD_ELSEWHERE]


def blocks_of(page: Path) -> list[Block]:
    found, before, block = [], "", None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if block is None and line.startswith("```"):
            name = f"{page.relative_to(servers.ROOT).as_posix()}:{number}"
            block = Block(name, line[3:].strip(), MARK.fullmatch(before.strip()), "")
        elif block is not None and line.startswith("```"):
            found.append(block)
            block = None
        elif block is not None:
            block.text += line + "\n"
        else:
            before = line
            continue
        before = ""
    return found


BLOCKS = [block for page in pages() for block in blocks_of(page)]


def marked(language: str, kind: str) -> list:
    """The blocks of a language that are to be run or checked; those for the LiteLLM SDK in its own environment."""
    chosen = [block for block in BLOCKS if block.language == language and block.mark]
    chosen = [block for block in chosen if block.mark[0].startswith(f"<!-- {kind}")]
    litellm = pytest.mark.litellm
    return [
        pytest.param(block, id=block.place, marks=[litellm] if block.mark["which"] == "litellm" else [])
        for block in chosen
    ]


def text_of(name: str) -> str:
    return (servers.ROOT / name).read_text()


def code_in(text: str) -> set[str]:
    """Everything that stands between backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


@pytest.fixture(scope="module")
def open_gateway(tmp_path_factory):
    """What the first command of the README starts on a machine without keys."""
    with servers.gateway(tmp_path_factory.mktemp("open"), None, name="docs-open") as server:
        yield server


@pytest.fixture(scope="module")
def keyed_gateway(tmp_path_factory, simulator):
    """The first example of deploy/, with its key, before the simulated OpenAI."""
    file = servers.ROOT / "deploy/examples/openai.yaml"
    env = servers.clean_environment(
        OPENAI_API_KEY="sk-simulated-openai", OPENAI_BASE_URL=simulator.url + "/v1", MASTER_KEY=KEY
    )
    with servers.gateway(tmp_path_factory.mktemp("keyed"), file, name="docs-keyed", env=env) as server:
        yield server


TIERED = """
model_list:
  - {{model_name: first, litellm_params: {{model: openai/sim-error-500, api_base: "{url}/v1", api_key: sk-simulated-one}}}}
  - {{model_name: second, litellm_params: {{model: openai/gpt-4o, api_base: "{url}/v1", api_key: sk-simulated-two}}}}
  - {{model_name: third, litellm_params: {{model: openai/sim-error-500, api_base: "{url}/v1", api_key: sk-simulated-three}}}}
  - {{model_name: fourth, litellm_params: {{model: openai/sim-error-501, api_base: "{url}/v1", api_key: sk-simulated-four}}}}
router_settings: {{num_retries: 0, fallbacks: [{{third: [fourth]}}]}}
litellm_settings: {{cache: true, cache_params: {{type: disk, disk_cache_dir: "{folder}"}}}}
tollgate_settings: {{database_file: ":memory:", tiers: [first, second]}}
"""


@pytest.fixture(scope="module")
def tiered_gateway(tmp_path_factory, simulator):
    """Two tiers, of which the first fails, and a chain that fails to its end."""
    folder = tmp_path_factory.mktemp("tiered")
    with servers.gateway(folder, TIERED.format(url=simulator.url, folder=folder / "answers"), name="docs-tiered") as server:
        yield server


def run_block(block: Block, command: list[str], request, **env: str) -> None:
    server = request.getfixturevalue("keyed_gateway" if block.mark["which"] == "keyed" else "open_gateway")
    text = ADDRESS.sub(f"127.0.0.1:{server.port}", block.text)
    done = subprocess.run(
        [*command, text], cwd=servers.ROOT, env=servers.clean_environment(**env),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{block.place}\n{said}"
    assert block.says() in said, f"{block.place} does not say {block.says()}:\n{said}"


def test_every_example_is_run_or_says_why_not():
    missing = [block.place for block in BLOCKS if block.language in NEEDS_MARK and not block.mark]
    assert not missing, missing


def test_there_are_examples():
    for language, kind, least in (("bash", "run", 5), ("python", "run", 4), ("yaml", "check", 4)):
        assert len(marked(language, kind)) >= least, (language, kind)


@pytest.mark.parametrize("block", marked("bash", "run"))
def test_a_command_of_the_pages_works(block, request, tmp_path):
    # An HTTP error is a failed command here, and nothing waits for ever.
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 30\nnoproxy = *\n")
    path = f"{Path(servers.binary()).parent}:{os.environ['PATH']}"
    env = secrets(text_of("deploy/examples/groups.yaml"))
    run_block(block, ["bash", "-euo", "pipefail", "-c"], request, PATH=path, CURL_HOME=str(tmp_path), **env)


@pytest.mark.parametrize("block", marked("python", "run"))
def test_a_program_of_the_pages_works(block, request):
    run_block(block, [sys.executable, "-c"], request)


QUERIES = [
    pytest.param(found[1], found[2], id=block.place)
    for block in BLOCKS
    if (found := re.fullmatch(r'(sqlite3|psql) \S+ (?:-c )?"([^.].*)"\n', block.text))
]


@pytest.mark.parametrize(("client", "query"), QUERIES)
def test_a_query_of_the_pages_runs_on_a_database(client, query, keyed_gateway, tmp_path, monkeypatch):
    assert chat(keyed_gateway, "gpt-4o-mini", KEY).status_code == 200
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("tollgate.db")) as copy:
        with closing(sqlite3.connect(keyed_gateway.log.parent / "tollgate.db")) as file:
            file.backup(copy)
        # PostgreSQL's tables have the same columns, in a schema of their own.
        if client == "psql":
            copy.execute("ATTACH 'tollgate.db' AS tollgate")
        copy.executescript(query)


def test_there_are_queries():
    assert len(QUERIES) >= 4


def secrets(text: str) -> dict[str, str]:
    """A value for every variable that a configuration names."""
    return {name: "sk-" + name.lower() for name in re.findall(r"os\.environ/(\w+)", text)}


def check(file: Path) -> subprocess.CompletedProcess:
    command = [servers.binary(), "check", "--config", str(file)]
    env = servers.clean_environment(**secrets(file.read_text()))
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("block", marked("yaml", "check"))
def test_a_configuration_of_the_pages_is_a_good_one(block, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(block.text)
    done = check(file)
    assert done.returncode == 0 and "0 warnings" in done.stdout, f"{block.place}\n{done.stdout}{done.stderr}"
    assert "not yet active" not in done.stdout, f"{block.place}\n{done.stdout}"


@pytest.mark.parametrize("file", sorted(path.name for path in (servers.ROOT / "deploy/examples").glob("*.yaml")))
def test_a_configuration_of_deploy_is_a_good_one(file):
    path = servers.ROOT / "deploy/examples" / file
    env = secrets(path.read_text())
    if file == "every-provider.yaml":
        env["OPENAI_API_KEY"] = "sk-any"
    command = [servers.binary(), "check", "--config", str(path)]
    done = subprocess.run(
        command, env=servers.clean_environment(**env), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0 and "0 warnings" in done.stdout, done.stdout + done.stderr
    assert "not yet active" not in done.stdout, done.stdout


def test_the_examples_of_deploy_name_every_variable_that_they_want():
    for path in (servers.ROOT / "deploy/examples").glob("*.yaml"):
        wants = " ".join(line for line in path.read_text().splitlines() if line.startswith("#"))
        for name in secrets(path.read_text()):
            assert name in wants, f"{path.name} does not say that it wants {name}"


# The methods of paths that pass through.
PASSING = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def routes_of_the_page() -> set[tuple[str, str]]:
    pages = text_of("docs/openai-compat.md") + text_of("docs/admin-api.md")
    rows = re.findall(r"^\| (\w+) \| (.+?) \|(.*?)\| (?:yes|no) \|$", pages, re.M)
    return {
        (method, path)
        for methods, first, others in rows
        for method in (PASSING if methods == "any" else [methods])
        for path in code_in(first) | code_in(others)
    }


def test_the_page_of_routes_lists_exactly_the_routes(open_gateway):
    described = httpx.get(open_gateway.url + "/openapi.json", trust_env=False).json()["paths"]
    served = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert routes_of_the_page() == served


def test_the_page_of_routes_says_who_needs_a_key(open_gateway):
    described = httpx.get(open_gateway.url + "/openapi.json", trust_env=False).json()["paths"]
    rows = re.findall(r"^\| (GET|POST|DELETE) \| `(.+?)` \|.*?\| (yes|no) \|$", text_of("docs/openai-compat.md"), re.M)
    assert rows
    for method, path, key in rows:
        assert ("security" in described[path][method.lower()]) == (key == "yes"), path


def chat(server, model: str, key: str = "", **more) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = {"model": model, "messages": say("hi"), **more}
    url = server.url + "/v1/chat/completions"
    return httpx.post(url, headers=headers, json=body, timeout=30, trust_env=False)


def is_listed(name: str, listed: set[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, re.sub(r"{\w+}", "*", entry)) for entry in listed)


def test_the_page_of_headers_lists_every_header_of_a_reply(open_gateway, keyed_gateway):
    listed = {name.lower() for name in code_in(text_of("docs/headers.md"))}
    listed |= {name.split(":")[0] for name in listed}
    plain = {"content-type", "content-length", "date", "transfer-encoding", "cache-control"}
    for reply in (
        chat(open_gateway, "simulated/gpt-4o-mini"),
        chat(open_gateway, "simulated/gpt-4o-mini", stream=True),
        chat(open_gateway, "simulated/gpt-4o-mini", fallbacks=["x"]),
        chat(open_gateway, "simulated/sim-error-500", num_retries=1),
        chat(open_gateway, "simulated/sim-error-429", num_retries=0),
        chat(open_gateway, "simulated/sim-hang", timeout=0.2, num_retries=0),
        chat(open_gateway, "nope"),
        chat(keyed_gateway, "gpt-4o-mini", key_of(keyed_gateway, max_budget=1, rpm_limit=9, tpm_limit=90000)),
        chat(keyed_gateway, "gpt-4o-mini", key_of(keyed_gateway, model_rpm_limit={"gpt-4o-mini": 9})),
        chat(keyed_gateway, "gpt-4o-mini", key_of(keyed_gateway, max_parallel_requests=2), stream=True),
        chat(keyed_gateway, "gpt-4o-mini", key_of(keyed_gateway, max_budget=0.001), max_tokens=10_000),
        chat(keyed_gateway, "gpt-4o-mini", key_of(keyed_gateway, max_budget=0.0000001)),
        chat(keyed_gateway, "gpt-4o-mini", key_of(keyed_gateway, tpm_limit=1)),
        chat(keyed_gateway, "another", key_of(keyed_gateway, models=["gpt-4o"])),
    ):
        unlisted = [name for name in reply.headers if name not in plain and not is_listed(name, listed)]
        assert not unlisted, unlisted


def described_metrics() -> dict[str, tuple[str, set[str]]]:
    """Name, kind and labels of every row."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\| ", text_of("docs/metrics.md"), re.M)
    deployment = {"requested_model", "model", "model_id", "api_provider"}
    labels = {name: code_in(cell) | (deployment if "deployment" in cell else set()) for name, _, cell in rows}
    return {name: (kind, labels[name]) for name, kind, _ in rows}


def with_budgets(gateway) -> None:
    """Somebody of each kind has a budget that begins anew."""
    terms = {"max_budget": 5, "budget_duration": "30d"}
    for path, body in (
        ("/key/generate", {"key_alias": "budgeted"}),
        ("/team/new", {"team_id": "budgeted", "team_alias": "budgeted"}),
        ("/user/new", {"user_id": "budgeted", "auto_create_key": False}),
        ("/organization/new", {"organization_id": "budgeted", "organization_alias": "budgeted", "models": []}),
    ):
        reply = httpx.post(gateway.url + path, json=body | terms, trust_env=False)
        assert reply.status_code in (200, 400, 409), reply.text


def test_the_page_of_metrics_lists_exactly_the_metrics_and_their_labels(open_gateway, tiered_gateway):
    with_budgets(open_gateway)
    assert chat(open_gateway, "simulated/gpt-4o-mini").status_code == 200
    assert chat(open_gateway, "simulated/gpt-4o-mini", stream=True).status_code == 200
    assert chat(open_gateway, "simulated/sim-error-500", num_retries=0).status_code == 500
    text = httpx.get(open_gateway.url + "/metrics", trust_env=False).text
    # Some count only what a configuration of more than one group has, or one with a cache.
    assert chat(tiered_gateway, "first").status_code == 200
    told = [chat(tiered_gateway, "second").headers["x-tollgate-cache"] for _ in range(2)]
    assert told == ["miss", "exact"]
    assert chat(tiered_gateway, "third").status_code >= 500
    text += httpx.get(tiered_gateway.url + "/metrics", trust_env=False).text
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    described = described_metrics()
    assert kinds == {name: kind for name, (kind, _) in described.items()}
    for name, (_, labels) in described.items():
        line = re.search(rf"^{name}(?:_total|_count)?(?:{{(.*?)}})? \S+$", text, re.M)
        assert line, f"{name} has no series"
        found = set(re.findall(r'(\w+)="', line[1] or ""))
        assert found == labels, name


def options_of(*command: str) -> set[str]:
    done = subprocess.run([servers.binary(), *command, "--help"], capture_output=True, text=True, timeout=20)
    return set(re.findall(r"^ +(?:-\w, +)?(--[\w-]+)", done.stdout, re.M)) - {"--help", "--version"}


def test_the_page_of_the_command_line_has_every_command_and_option():
    page = text_of("docs/command-line.md")
    top = subprocess.run([servers.binary(), "--help"], capture_output=True, text=True, timeout=20).stdout
    commands = re.findall(r"^  ([a-z]+) ", top.split("Commands:")[1].split("Options:")[0], re.M)
    for command in set(commands) - {"help"}:
        assert f"## `{command}`" in page, command
        for option in options_of(command):
            assert re.search(rf"{option}\b", page), f"{command} {option}"


ERRORS = (
    ("no key", "keyed", lambda server: chat(server, "gpt-4o")),
    ("not ours", "keyed", lambda server: chat(server, "gpt-4o", "nothing-of-ours")),
    ("unknown key", "keyed", lambda server: chat(server, "gpt-4o", "sk-unknown")),
    ("no path", "open", lambda server: httpx.get(server.url + "/nowhere", trust_env=False)),
    ("method", "open", lambda server: httpx.get(server.url + "/v1/embeddings", trust_env=False)),
    ("not implemented", "open", lambda server: httpx.post(server.url + "/v1/threads", json={}, trust_env=False)),
    ("media type", "open", lambda server: raw(server, b"{}", "text/plain")),
    ("not JSON", "open", lambda server: raw(server, b"{", "application/json")),
    ("no messages", "open", lambda server: raw(server, b'{"model": "gpt-4o"}', "application/json")),
    ("wrong value", "open", lambda server: chat(server, "gpt-4o", stream="yes")),
    ("operator's", "open", lambda server: chat(server, "gpt-4o", api_base="http://127.0.0.1:1")),
    ("unknown model", "open", lambda server: chat(server, "nope")),
    ("no such model", "open", lambda server: httpx.get(server.url + "/v1/models/nope", trust_env=False)),
    ("cannot express", "open", lambda server: chat(server, "claude-sonnet-4-5", seed=7)),
    ("provider's 400", "open", lambda server: chat(server, "simulated/sim-error-400")),
    ("too long", "open", lambda server: chat(server, "simulated/sim-context")),
    ("policy", "open", lambda server: chat(server, "simulated/sim-policy")),
    ("provider's 401", "open", lambda server: chat(server, "simulated/sim-error-401")),
    ("provider's 403", "open", lambda server: chat(server, "simulated/sim-error-403")),
    ("provider's 404", "open", lambda server: chat(server, "simulated/sim-error-404")),
    ("provider's 429", "open", lambda server: chat(server, "simulated/sim-error-429", num_retries=0)),
    ("provider's 408", "open", lambda server: chat(server, "simulated/sim-error-408", num_retries=0)),
    ("provider's 503", "open", lambda server: chat(server, "simulated/sim-error-503", num_retries=0)),
    ("provider's 502", "open", lambda server: chat(server, "simulated/sim-error-502", num_retries=0)),
    ("provider's 500", "open", lambda server: chat(server, "simulated/sim-error-500", num_retries=0)),
    ("our time limit", "open", lambda server: chat(server, "simulated/sim-hang", timeout=0.2, num_retries=0)),
    ("HTML", "open", lambda server: chat(server, "simulated/sim-html", num_retries=0)),
    ("blocked", "keyed", lambda server: chat(server, "gpt-4o", key_of(server, blocked=True))),
    ("not for the route", "keyed", lambda server: chat(server, "gpt-4o", key_of(server, allowed_routes=["/key/info"]))),
    ("not from there", "keyed", lambda server: chat(server, "gpt-4o", key_of(server, allowed_ips=["192.0.2.1"]))),
    ("not this model", "keyed", lambda server: chat(server, "gpt-4o", key_of(server, models=["another"]))),
    ("limit", "keyed", lambda server: chat(server, "gpt-4o-mini", key_of(server, tpm_limit=1))),
    ("budget", "keyed", lambda server: chat(server, "gpt-4o-mini", key_of(server, max_budget=0.0000001))),
    ("not an administrator", "keyed", lambda server: admin(server, "/team/new", key_of(server))),
    ("nobody's key", "keyed", lambda server: admin(server, "/key/0000/reset_spend", reset_to=0)),
    ("no member", "keyed", lambda server: admin(server, "/key/generate", max_bugdet=1)),
    ("refused member", "keyed", lambda server: admin(server, "/key/generate", object_permission={"agents": ["a"]})),
    ("wrong member", "keyed", lambda server: admin(server, "/key/generate", rpm_limit="many")),
    ("administrators' member", "keyed", lambda server: by_user(server, allowed_routes=["/key/info"])),
    ("more than the user", "keyed", lambda server: by_user(server, max_budget=2)),
)


def admin(server, path: str, key: str | None = None, **body) -> httpx.Response:
    """A call of the admin API: by the operator, or by whoever's key it is."""
    headers = {"authorization": f"Bearer {key or KEY}"}
    return httpx.post(server.url + path, headers=headers, json=body, timeout=30, trust_env=False)


def key_of(server, **body) -> str:
    return admin(server, "/key/generate", **body).json()["key"]


def by_user(server, **body) -> httpx.Response:
    """A user who may spend a dollar makes a key."""
    key = admin(server, "/user/new", user_role="internal_user", max_budget=1).json()["key"]
    return admin(server, "/key/generate", key, **body)


def raw(server, body: bytes, kind: str) -> httpx.Response:
    url = server.url + "/v1/chat/completions"
    return httpx.post(url, content=body, headers={"content-type": kind}, timeout=30, trust_env=False)


def described_errors() -> list[tuple[str, str, str]]:
    """Status, type and opening words of every row of the two tables."""
    rows = re.findall(
        r"^\| [^|]+ \| ([^|]+) \| `(\w+)` \|(?: [^|]*\|)? (`+)(.+?)\3 \|$", text_of("docs/errors.md"), re.M
    )
    return [(status, kind, opening.strip()) for status, kind, _, opening in rows]


@pytest.mark.parametrize(("which", "provoke"), [pytest.param(*row[1:], id=row[0]) for row in ERRORS])
def test_an_error_is_a_row_of_the_page_of_errors(which, provoke, request):
    reply = provoke(request.getfixturevalue(f"{which}_gateway"))
    error = reply.json()["error"]
    fitting = [
        row
        for row in described_errors()
        if error["message"].startswith(row[2]) and error["type"] == row[1] and str(reply.status_code) in row[0]
        or row[0].startswith("the provider's 4xx") and reply.status_code == 400 and error["message"].startswith(row[2])
    ]
    assert fitting, f"{reply.status_code} {error}"


def test_the_page_of_errors_has_all_rows():
    assert len(described_errors()) >= 30


BOUNDED = """
model_list:
  - {{model_name: gpt-4o, litellm_params: {{model: openai/gpt-4o, api_base: "{url}/v1", api_key: sk-one}}}}
  - model_name: claude-sonnet-4-5
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "{url}", api_key: sk-two}}
  - model_name: gemini-2.5-flash
    litellm_params: {{model: gemini/gemini-2.5-flash, api_base: "{url}/v1beta", api_key: sk-three}}
general_settings: {{master_key: "{key}"}}
tollgate_settings: {{database_file: ":memory:", budget_maximum: refuse}}
"""
ENGLISH = (
    "The committee met on Tuesday to consider the proposal for a new library in the northern district, and heard from "
    "residents who worried about traffic, noise and the loss of an old orchard behind the school. "
)
GERMAN = (
    "Der Ausschuss beriet am Dienstag über den Vorschlag, im nördlichen Bezirk eine neue Bücherei zu bauen, und hörte "
    "Anwohner an, die sich um Verkehr, Lärm und den Verlust eines alten Obstgartens hinter der Schule sorgten. "
)


@pytest.fixture(scope="module")
def bounded_gateway(tmp_path_factory, simulator):
    """Budgets refuse what they do not cover, as the table of the bound's slack was made."""
    config = BOUNDED.format(url=simulator.url, key=KEY)
    with servers.gateway(tmp_path_factory.mktemp("bounded"), config, name="docs-bounded") as server:
        yield server


def slack_rows() -> list[tuple[str, ...]]:
    """Prompt, maximum, model, and the amounts of a row in US dollars."""
    section = text_of("docs/budgets.md").split("## What the bound costs")[1].split("\n## ")[0]
    row = r"^\| (.+?) \| (\w+) \| (\S+) \| \$([\d.]+) \| \$([\d.]+).*? \| \$([\d.]+) \|$"
    return re.findall(row, section, re.M)


def prompt_of(name: str) -> str:
    """The prompt of a row: a word, or so many bytes of a language."""
    language, length = re.fullmatch(r"(?:`Hello`|(\w+), ([\d,]+) bytes)", name).groups()
    if language is None:
        return "Hello"
    text = {"English": ENGLISH, "German": GERMAN}[language]
    return text * round(int(length.replace(",", "")) / len(text.encode()))


@pytest.mark.parametrize("row", slack_rows(), ids=lambda row: " ".join(row[:3]))
def test_the_bound_costs_what_the_page_says(bounded_gateway, row):
    name, most, model, left, costs, slack = row
    prompt = prompt_of(name)
    if "bytes" in name:
        assert f"{len(prompt.encode()):,}" in name
    assert Decimal(left) - Decimal(costs) == Decimal(slack)
    body = {"model": model, "messages": say(prompt), **({} if most == "none" else {"max_tokens": int(most)})}
    statuses = []
    for budget in (Decimal(left) - Decimal("0.000002"), Decimal(left) + Decimal("0.000002")):
        key = key_of(bounded_gateway, max_budget=str(budget))
        statuses.append(admin(bounded_gateway, "/v1/chat/completions", key, **body).status_code)
    assert statuses == [422, 200]
    counted = admin(bounded_gateway, "/utils/token_counter", model="gpt-4o", messages=say(prompt)).json()
    prices = {"gpt-4o": (2.5, 10), "claude-sonnet-4-5": (3, 15), "gemini-2.5-flash": (0.3, 2.5)}[model]
    answer = 16_384 if most == "none" else int(most)
    whole = (counted["total_tokens"] * prices[0] + answer * prices[1]) / 1e6
    assert abs(whole - float(costs)) < 1e-6


def test_the_number_of_providers_is_the_same_everywhere():
    rows = text_of("docs/providers.md").split("<!-- providers:")[1].count("\n| `")
    for page in ("README.md", "CHANGELOG.md", "docs/providers.md"):
        assert re.search(rf"\b{rows}\b \[?providers", text_of(page), re.I), f"{page} does not say {rows} providers"


def test_the_pages_are_all_in_the_index():
    index = text_of("docs/index.md")
    for page in (servers.ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name
