"""Every body that the simulator received, held against the request types of the official packages.

Runs last (conftest.py sees to it). TypedDicts are checked with extra members forbidden and types strict, so that a
member that the provider does not know, or a number in quotes, is a failure here as it would be there.
"""

import json
import re
from collections import Counter

import pytest
from conftest import received

SURFACES = {"openai", "azure", "anthropic", "gemini"}
# Requests that tests make wrong on purpose go through this base path.
WRONG = "/d/wrong/"


def strict(kind):
    """A validator for a TypedDict type that forbids extra members and looks into every list."""
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

    def tighten(node):
        if isinstance(node, list):
            return [tighten(item) for item in node]
        if isinstance(node, tuple):
            return tuple(tighten(item) for item in node)
        if not isinstance(node, dict):
            return node
        node = {key: tighten(value) for key, value in node.items()}
        if node.get("type") == "typed-dict":
            node["extra_behavior"] = "forbid"
        if node.get("type") == "generator":
            # An Iterable is otherwise checked only while it is read.
            node = {"type": "list", "items_schema": node.get("items_schema", {"type": "any"})}
        return node

    return SchemaValidator(tighten(TypeAdapter(kind).core_schema))


@pytest.fixture(scope="module")
def validators():
    """From a surface and the end of a path to the function that raises on a wrong body."""
    import anthropic.types
    import openai.types
    from openai.types.chat import completion_create_params as chat

    openai_chat = strict(chat.CompletionCreateParams)
    openai_completion = strict(openai.types.CompletionCreateParams)
    openai_embedding = strict(openai.types.EmbeddingCreateParams)
    messages = strict(anthropic.types.MessageCreateParams)

    def typed(validator):
        def check(path: str, body: dict) -> None:
            body = without_annotations(body)
            deployment = re.search(r"/openai/deployments/([^/]+)/", path)
            if deployment and "model" not in body:
                # Azure's older surface has the model in the path alone.
                body = {**body, "model": deployment.group(1)}
            validator.validate_json(json.dumps(body), strict=True)

        return check

    return [
        (r"/chat/completions$", typed(openai_chat)),
        (r"/completions$", typed(openai_completion)),
        (r"/embeddings$", typed(openai_embedding)),
        (r"/v1/messages$", check_messages(messages)),
        (r":(stream)?[gG]enerateContent$", check_generate),
        (r":batchEmbedContents$", check_batch_embed),
        (r":embedContent$", check_embed),
    ]


def without_annotations(body: dict) -> dict:
    """OpenAI takes back its own messages as they were, `annotations` included, though its types do not list them."""
    if not isinstance(body.get("messages"), list):
        return body
    messages = [
        {name: value for name, value in message.items() if name != "annotations" or message.get("role") != "assistant"}
        for message in body["messages"]
    ]
    return {**body, "messages": messages}


def check_members(body: dict, kinds: dict) -> None:
    """Each member of a Gemini body against its type of the package; all of those forbid extra members."""
    from pydantic import TypeAdapter

    unknown = set(body) - set(kinds)
    assert not unknown, f"unknown members {sorted(unknown)}"
    for name, value in body.items():
        TypeAdapter(kinds[name]).validate_json(json.dumps(value))


def check_generate(_path: str, body: dict) -> None:
    from google.genai import types

    check_members(
        body,
        {
            "contents": list[types.Content],
            "systemInstruction": types.Content,
            "tools": list[types.Tool],
            "toolConfig": types.ToolConfig,
            "safetySettings": list[types.SafetySetting],
            "generationConfig": types.GenerationConfig,
            "cachedContent": str,
            "labels": dict[str, str],
        },
    )
    assert body["contents"], "contents are required"


def check_embed(_path: str, body: dict) -> None:
    from google.genai import types

    check_members(
        body, {"model": str, "content": types.Content, "taskType": str, "title": str, "outputDimensionality": int}
    )


def check_batch_embed(path: str, body: dict) -> None:
    assert set(body) == {"requests"}
    for request in body["requests"]:
        check_embed(path, request)
        assert request["model"].startswith("models/")


# Sampling parameters left the newest types with the models that refuse them (API version 2026-10-21); version
# 2023-06-01, which the gateway speaks, takes them for the models before.
SAMPLING = {"temperature": float, "top_p": float, "top_k": int}


def check_messages(validator):
    def check(_path: str, body: dict) -> None:
        for name, kind in SAMPLING.items():
            value = body.get(name, kind())
            assert isinstance(value, kind | int) and not isinstance(value, bool), f"{name}: {value!r}"
        rest = {name: value for name, value in body.items() if name not in SAMPLING}
        validator.validate_json(json.dumps(rest), strict=True)

    return check


def test_every_body_conforms_to_the_official_request_types(simulator, gateway, validators):
    records = [record for record in received(simulator) if record.get("body") and WRONG not in record["path"]]
    problems, checked = Counter(), Counter()
    for record in records:
        path = record["path"].partition("?")[0]
        check = next((check for pattern, check in validators if re.search(pattern, path)), None)
        if check is None:
            problems[f"{record['surface']} {path}: no official type is known for this path"] += 1
            continue
        checked[record["surface"]] += 1
        try:
            check(path, record["body"])
        except Exception as error:
            problems[f"{record['surface']} {path}: {error}\n  {json.dumps(record['body'])[:1500]}"] += 1
    assert not problems, f"{len(problems)} kinds of wrong bodies:\n" + "\n".join(list(problems)[:20])
    missing = SURFACES - set(checked)
    assert not missing, f"nothing was recorded on {missing}, only {dict(checked)}"


def test_the_validators_do_reject(validators):
    """A replay that accepts anything would prove nothing."""
    check = {pattern: function for pattern, function in validators}
    say = [{"role": "user", "content": "hi"}]
    parts = [{"role": "user", "parts": [{"text": "hi"}]}]
    good = [
        (r"/chat/completions$", {"model": "m", "messages": say}),
        (r"/v1/messages$", {"model": "m", "max_tokens": 5, "messages": say}),
        (r":(stream)?[gG]enerateContent$", {"contents": parts}),
        (r"/embeddings$", {"model": "m", "input": "hi"}),
    ]
    for pattern, body in good:
        check[pattern]("/x", body)
    bad = [
        (r"/chat/completions$", {"model": "m", "messages": say, "thinking": {}}),
        (r"/chat/completions$", {"model": "m", "messages": [{"role": "user", "text": "hi"}]}),
        (r"/chat/completions$", {"model": "m", "messages": say, "temperature": "1"}),
        (r"/v1/messages$", {"model": "m", "messages": say}),
        (r"/v1/messages$", {"model": "m", "max_tokens": 5, "messages": say, "temperature": "1"}),
        (r"/v1/messages$", {"model": "m", "max_tokens": 5, "messages": say, "stop": ["x"]}),
        (r":(stream)?[gG]enerateContent$", {"contents": parts, "model": "m"}),
        (r":(stream)?[gG]enerateContent$", {"contents": [{"role": "user", "text": "hi"}]}),
        (r"/embeddings$", {"model": "m", "input": "hi", "type": "x"}),
    ]
    for pattern, body in bad:
        with pytest.raises(Exception):  # noqa: B017, each package has its own
            check[pattern]("/x", body)
