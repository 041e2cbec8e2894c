"""The realtime API over a WebSocket, by the official openai package."""

import openai
import pytest
from conftest import MASTER_KEY

MODEL = "openai/gpt-realtime"
FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def said(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def until_done(connection) -> list:
    """The events of one response, to its end."""
    events = []
    for event in connection:
        events.append(event)
        if event.type in ("response.done", "error"):
            return events
    raise AssertionError("the connection ended within a response")


def test_a_conversation_in_words(client):
    with client.realtime.connect(model=MODEL) as connection:
        assert next(iter(connection)).type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        for number in (1, 2):
            connection.conversation.item.create(item=said(f"good morning {number}"))
            connection.response.create()
            events = until_done(connection)
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            assert f"good morning {number}" in text
            assert events[-1].response.status == "completed"
            assert events[-1].response.usage.total_tokens > 0


def test_a_tool_goes_round(client):
    with client.realtime.connect(model=MODEL) as connection:
        session = {"type": "realtime", "output_modalities": ["text"], "tools": [FUNCTION], "tool_choice": "required"}
        connection.session.update(session=session)
        connection.conversation.item.create(item=said("weather in Paris?"))
        connection.response.create()
        [call] = until_done(connection)[-1].response.output
        assert (call.type, call.name) == ("function_call", "get_weather")
        connection.session.update(session=session | {"tool_choice": "auto"})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        connection.conversation.item.create(item=result)
        connection.response.create()
        text = "".join(
            event.delta for event in until_done(connection) if event.type == "response.output_text.delta"
        )
        assert "sunny" in text


def test_a_wrong_event_is_answered_with_an_error_and_the_session_goes_on(client):
    with client.realtime.connect(model=MODEL) as connection:
        assert next(iter(connection)).type == "session.created"
        connection.send({"type": "no.such.event"})
        assert next(iter(connection)).type == "error"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        assert next(iter(connection)).type == "session.updated"


def test_a_wrong_key_is_refused(gateway):
    import websockets

    with openai.OpenAI(base_url=gateway.url + "/v1", api_key="sk-invalid", max_retries=0) as client:
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            client.realtime.connect(model=MODEL).enter()
    assert caught.value.response.status_code == 401


def test_the_key_may_be_a_browsers_subprotocol(gateway):
    """A page cannot set headers on a WebSocket, so OpenAI takes the key among the subprotocols."""
    from websockets.sync.client import connect

    url = gateway.url.replace("http", "ws") + f"/v1/realtime?model={MODEL}"
    protocols = ["realtime", f"openai-insecure-api-key.{MASTER_KEY}"]
    with connect(url, subprotocols=protocols) as connection:
        assert "session.created" in connection.recv(timeout=10)
        assert connection.subprotocol == "realtime"
