"""Tokens counted before a request, by the official packages, for each provider's models."""

import pytest
from test_anthropic_client import OFFERED, claude, user  # noqa: F401, a fixture
from test_genai_client import gemini  # noqa: F401, a fixture

pytestmark = pytest.mark.both


def test_anthropics_count(claude, provider):  # noqa: F811
    model = f"{provider}/gpt-plain"
    few = claude.messages.count_tokens(model=model, messages=[user("hi")])
    many = claude.messages.count_tokens(
        model=model, messages=[user("hi, " * 100)], system="be terse", tools=OFFERED
    )
    assert 0 < few.input_tokens < many.input_tokens


def test_googles_count(gemini, provider):  # noqa: F811
    few = gemini.models.count_tokens(model=f"{provider}/gpt-plain", contents="hi")
    many = gemini.models.count_tokens(model=f"{provider}/gpt-plain", contents="hi, " * 100)
    assert 0 < few.total_tokens < many.total_tokens
