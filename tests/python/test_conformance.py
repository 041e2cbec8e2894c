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
    from openai.types import audio, responses
    from openai.types.chat import completion_create_params as chat

    openai_chat = strict(chat.CompletionCreateParams)
    openai_completion = strict(openai.types.CompletionCreateParams)
    openai_embedding = strict(openai.types.EmbeddingCreateParams)
    messages = strict(anthropic.types.MessageCreateParams)

    def typed(validator):
        def check(path: str, body: dict) -> None:
            body = as_typed(body)
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
        (r"/responses$", typed(strict(responses.ResponseCreateParams))),
        (r"/images/generations$", typed(strict(openai.types.ImageGenerateParams))),
        (r"/images/edits$", check_form(openai.types.ImageEditParams)),
        (r"/images/variations$", check_form(openai.types.ImageCreateVariationParams)),
        (r"/audio/speech$", typed(strict(audio.SpeechCreateParams))),
        (r"/audio/transcriptions$", check_form(audio.TranscriptionCreateParams)),
        (r"/audio/translations$", check_form(audio.TranslationCreateParams)),
        (r"/moderations$", typed(strict(openai.types.ModerationCreateParams))),
        (r"/v2/(chat|rerank|embed)$", check_cohere),
        (r"/converse(-stream)?$", check_converse),
        (r"/model/[^/]+/count-tokens$", check_bedrock_count),
        (r"/model/amazon\.titan-embed-text-v2[^/]*/invoke$", check_titan),
        (r"/v1/messages$", check_messages(messages)),
        (r"/v1/messages/count_tokens$", typed(strict(anthropic.types.MessageCountTokensParams))),
        (r":countTokens$", check_count),
        (r":(stream)?[gG]enerateContent$", check_generate),
        (r":batchEmbedContents$", check_batch_embed),
        (r":embedContent$", check_embed),
    ]


def as_typed(body: dict) -> dict:
    """OpenAI takes back what it said as it was, though its types leave some of it out: the `annotations` of a chat's
    message, the `status` of a custom tool's call."""

    def without(records, name: str, member: str, value: str):
        if not isinstance(records, list):
            return records
        return [
            {key: kept for key, kept in record.items() if key != name or record.get(member) != value}
            for record in records
        ]

    typed = dict(body)
    if "messages" in body:
        typed["messages"] = without(body["messages"], "annotations", "role", "assistant")
    if "input" in body and any(isinstance(item, dict) for item in body["input"]):
        typed["input"] = without(body["input"], "status", "type", "custom_tool_call")
        typed["input"] = [with_detail(item) for item in typed["input"]]
    return typed


def with_detail(item: dict) -> dict:
    """A picture's `detail` may be left out, as OpenAI's guides do it, though its type has it required."""
    if not isinstance(item.get("content"), list):
        return item
    pictures = [{"detail": "auto"} | part if part.get("type") == "input_image" else part for part in item["content"]]
    return item | {"content": pictures}


def check_members(body: dict, kinds: dict) -> None:
    """Each member of a Gemini body against its type of the package; all of those forbid extra members."""
    from pydantic import TypeAdapter

    unknown = set(body) - set(kinds)
    assert not unknown, f"unknown members {sorted(unknown)}"
    for name, value in body.items():
        TypeAdapter(kinds[name]).validate_json(json.dumps(value))


def check_count(_path: str, body: dict) -> None:
    """A whole request of the other kind, which names its model here."""
    assert set(body) == {"generateContentRequest"}
    request = dict(body["generateContentRequest"])
    assert request.pop("model").startswith("models/")
    check_generate(_path, request)


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


def check_form(kind):
    """The names of a form's parts against the members of a TypedDict, or of a union of them."""
    from typing import get_args

    members = set()
    for alternative in get_args(kind) or (kind,):
        members |= set(alternative.__annotations__)

    def check(_path: str, body: dict) -> None:
        names = {part["name"].removesuffix("[]") for part in body["form"]}
        assert names <= members, f"unknown parts {sorted(names - members)}"
        assert all(part.get("filename") for part in body["form"] if part["name"] in ("file", "image", "mask"))

    return check


def check_cohere(path: str, body: dict) -> None:
    """Cohere's package has no types of whole bodies: a body's members are the arguments of the call."""
    import inspect

    import cohere.v2.client

    call = getattr(cohere.v2.client.V2Client, path.rpartition("/")[2])
    known = set(inspect.signature(call).parameters) | {"stream"}
    assert set(body) <= known, f"unknown members {sorted(set(body) - known)}"
    missing = {"model"} - set(body)
    assert not missing


# What Amazon's guide to Titan's text embeddings has; no package has a type for bodies of single models.
TITAN = {"inputText": str, "dimensions": int, "normalize": bool, "embeddingTypes": list}


def check_titan(_path: str, body: dict) -> None:
    assert "inputText" in body
    assert all(isinstance(value, TITAN[name]) for name, value in body.items())


def check_bedrock_count(_path: str, body: dict) -> None:
    check_service("CountTokens", body)


def check_converse(path: str, body: dict) -> None:
    check_service("ConverseStream" if path.endswith("-stream") else "Converse", body)


def check_service(name: str, body: dict) -> None:
    """A body against the model of the service that botocore carries."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    model = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
    shape = model.operation_model(name).input_shape
    report = ParamValidator().validate({**body, "modelId": "m"}, shape)
    assert not report.has_errors(), report.generate_report()
    assert set(body) <= set(shape.members), f"unknown members {sorted(set(body) - set(shape.members))}"


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


# Where a check looks at the path.
EXAMPLES = {r"/v2/(chat|rerank|embed)$": "/v2/chat", r"/converse(-stream)?$": "/model/m/converse"}


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
        (r"/responses$", {"model": "m", "input": "hi"}),
        (r"/v2/(chat|rerank|embed)$", {"model": "m", "messages": say}),
        (r"/converse(-stream)?$", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
        (r"/audio/translations$", {"form": [{"name": "file", "filename": "a.wav"}, {"name": "model"}]}),
        (r"/v1/messages/count_tokens$", {"model": "m", "messages": say}),
        (r":countTokens$", {"generateContentRequest": {"model": "models/m", "contents": parts}}),
        (r"/model/[^/]+/count-tokens$", {"input": {"converse": {"messages": []}}}),
    ]
    for pattern, body in good:
        check[pattern](EXAMPLES.get(pattern, "/x"), body)
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
        (r"/responses$", {"model": "m", "input": "hi", "messages": say}),
        (r"/v2/(chat|rerank|embed)$", {"model": "m", "messages": say, "n": 2}),
        (r"/converse(-stream)?$", {"messages": [{"role": "user", "content": "hi"}]}),
        (r"/converse(-stream)?$", {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "model": "m"}),
        (r"/audio/translations$", {"form": [{"name": "file", "filename": "a.wav"}, {"name": "voice"}]}),
        (r"/v1/messages/count_tokens$", {"model": "m", "messages": say, "max_tokens": 5}),
        (r":countTokens$", {"contents": parts}),
        (r"/model/[^/]+/count-tokens$", {"input": {"converse": {"messages": [{"role": "user", "text": "hi"}]}}}),
    ]
    for pattern, body in bad:
        with pytest.raises(Exception):  # noqa: B017, each package has its own
            check[pattern](EXAMPLES.get(pattern, "/x"), body)
