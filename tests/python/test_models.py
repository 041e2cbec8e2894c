"""Models as each official package lists them."""

import pytest
from test_anthropic_client import claude  # noqa: F401, a fixture
from test_genai_client import gemini  # noqa: F401, a fixture

pytestmark = pytest.mark.both


def test_anthropics_client_lists_models(claude):  # noqa: F811
    listed = {model.id: model for model in claude.models.list()}
    assert {"chat", "embed"} <= set(listed)
    assert (listed["chat"].type, listed["chat"].display_name) == ("model", "chat")
    assert claude.models.retrieve("chat").id == "chat"


def test_googles_client_lists_models(gemini):  # noqa: F811
    listed = {model.name: model for model in gemini.models.list()}
    assert {"models/chat", "models/embed"} <= set(listed)
    assert "generateContent" in listed["models/chat"].supported_actions
    assert "embedContent" in listed["models/embed"].supported_actions
    assert gemini.models.get(model="chat").name == "models/chat"
