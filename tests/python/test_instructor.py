"""Instructor fills a type by way of the official clients at the gateway, with each provider behind it."""

import pytest
from conftest import MASTER_KEY
from scenario import Place

pytestmark = pytest.mark.litellm

ASK = [{"role": "user", "content": "Paris"}]


def over_openai(url: str, mode: str):
    import instructor
    import openai

    client = openai.OpenAI(base_url=url + "/v1", api_key=MASTER_KEY, max_retries=0)
    return instructor.from_openai(client, mode=getattr(instructor.Mode, mode))


def over_anthropic(url: str, mode: str):
    import anthropic
    import instructor

    client = anthropic.Anthropic(base_url=url, api_key=MASTER_KEY, max_retries=0)
    return instructor.from_anthropic(client, mode=getattr(instructor.Mode, mode))


WAYS = {
    "openai tools": lambda url: (over_openai(url, "TOOLS"), {}),
    "openai schema": lambda url: (over_openai(url, "JSON_SCHEMA"), {}),
    "responses tools": lambda url: (over_openai(url, "RESPONSES_TOOLS"), {}),
    "anthropic tools": lambda url: (over_anthropic(url, "ANTHROPIC_TOOLS"), {"max_tokens": 400}),
}


@pytest.fixture(params=list(WAYS))
def way(request, gateway):
    return WAYS[request.param](gateway.url)


def test_a_type_is_filled(way, provider):
    client, more = way
    place = client.create(
        model=f"{provider}/gpt-plain", messages=ASK, response_model=Place, max_retries=0, **more
    )
    assert isinstance(place, Place) and place.name


def test_the_reply_and_its_usage_come_along(way, provider):
    client, more = way
    place, reply = client.create_with_completion(
        model=f"{provider}/gpt-plain", messages=ASK, response_model=Place, max_retries=0, **more
    )
    assert isinstance(place, Place)
    assert reply.usage is not None


def test_a_type_is_filled_as_it_streams(gateway, provider):
    client = over_openai(gateway.url, "TOOLS")
    partial = list(client.create_partial(model=f"{provider}/gpt-plain", messages=ASK, response_model=Place))
    assert Place.model_validate(partial[-1].model_dump()).name
