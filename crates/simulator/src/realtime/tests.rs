//! What a Realtime session takes and says.

use super::*;
use crate::ask::text_at;
use crate::behaviour::Answer;
use crate::openai::embedding::base64;
use crate::reply::Role;

fn session(behaviour: Behaviour) -> Session {
    let mut session = Session::new("gpt-realtime", false, behaviour, Ids::new(1));
    session.outbox.clear();
    session
}

fn said(session: &mut Session, event: &Value) -> Vec<Value> {
    session.receive(&event.to_string());
    let said: Vec<Value> = session.outbox.drain(..).map(|said| said.event).collect();
    if said.iter().any(|event| text_at(event, "type") == "response.done") {
        session.active = None;
    }
    said
}

fn types(said: &[Value]) -> Vec<&str> {
    said.iter().map(|event| text_at(event, "type")).collect()
}

fn message(text: &str) -> Value {
    let item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    json!({"type": "conversation.item.create", "item": item})
}

fn text_only() -> Value {
    json!({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
}

fn sound(byte: u8, ms: usize) -> Value {
    json!({"type": "input_audio_buffer.append", "audio": base64(&vec![byte; ms * session::BYTES_A_MS])})
}

fn refused(event: Value, param: &str, code: &str) {
    let mut session = session(Behaviour::new());
    let said = said(&mut session, &event);
    let error = &said[0]["error"];
    assert_eq!(
        (types(&said), text_at(error, "param"), text_at(error, "code")),
        (vec!["error"], param, code),
        "{event}"
    );
}

#[test]
fn a_session_begins_with_its_settings_and_takes_others() {
    let session_made = Session::new("m", false, Behaviour::new(), Ids::new(1));
    let first = &session_made.outbox[0];
    assert_eq!((first.role, text_at(&first.event, "type")), (Role::Opening, "session.created"));
    let mut session = session(Behaviour::new());
    let update = json!({"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": "ash"}}}});
    let updated = said(&mut session, &update);
    let voice = &updated[0]["session"]["audio"]["output"];
    assert_eq!((&voice["voice"], &voice["speed"]), (&json!("ash"), &json!(1.0)));
}

#[test]
fn a_response_in_text_adds_up() {
    let mut session = session(Behaviour::new().text("abcdefg"));
    said(&mut session, &text_only());
    assert_eq!(
        types(&said(&mut session, &message("hi"))),
        ["conversation.item.added", "conversation.item.done"]
    );
    let events = said(&mut session, &json!({"type": "response.create"}));
    assert_eq!(
        types(&events),
        [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
            "rate_limits.updated"
        ]
    );
    let done = &events[10]["response"];
    assert_eq!((&done["status"], &done["usage"]["output_tokens"]), (&json!("completed"), &json!(2)));
    assert_eq!(done["output"][0]["content"][0], json!({"type": "output_text", "text": "abcdefg"}));
    assert_eq!(session.items.len(), 2);
}

#[test]
fn a_spoken_response_has_sound_and_transcript() {
    let mut session = session(Behaviour::new());
    said(&mut session, &message("hi"));
    let events = said(&mut session, &json!({"type": "response.create"}));
    let joined = |kind: &str| -> String {
        events
            .iter()
            .filter(|event| text_at(event, "type") == kind)
            .map(|event| text_at(event, "delta"))
            .collect()
    };
    assert_eq!(
        joined("response.output_audio_transcript.delta"),
        "Hello from gpt-realtime, a simulated model. You said: hi"
    );
    assert!(!joined("response.output_audio.delta").is_empty());
}

#[test]
fn a_function_is_called_and_its_output_goes_on() {
    let mut session = session(Behaviour::new().answer(Answer::CallTools(1)));
    let tool = json!({"type": "function", "name": "f", "parameters": {"type": "object"}});
    said(&mut session, &json!({"type": "session.update", "session": {"type": "realtime", "tools": [tool]}}));
    said(&mut session, &message("hi"));
    let events = said(&mut session, &json!({"type": "response.create"}));
    let done = events
        .iter()
        .find(|event| text_at(event, "type") == "response.function_call_arguments.done")
        .unwrap();
    let output = json!({"type": "function_call_output", "call_id": done["call_id"], "output": "rain"});
    said(&mut session, &json!({"type": "conversation.item.create", "item": output}));
    let events =
        said(&mut session, &json!({"type": "response.create", "response": {"output_modalities": ["text"]}}));
    let text = events.iter().find(|event| text_at(event, "type") == "response.output_text.done").unwrap();
    assert_eq!(text["text"], "The tool says: rain");
}

#[test]
fn speech_and_silence_make_a_turn() {
    let mut session = session(Behaviour::new().text("yes"));
    let transcription = json!({"type": "session.update", "session": {"type": "realtime",
        "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}});
    said(&mut session, &transcription);
    assert_eq!(types(&said(&mut session, &sound(1, 200))), ["input_audio_buffer.speech_started"]);
    let events = said(&mut session, &sound(0, 100));
    assert_eq!(
        types(&events)[..7],
        [
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.created"
        ]
    );
    assert_eq!(events[5]["transcript"], "300 ms of sound");
}

#[test]
fn sound_is_committed_by_hand_when_turns_are_not_detected() {
    let mut session = session(Behaviour::new());
    let update = json!({"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": null}}}});
    said(&mut session, &update);
    assert!(said(&mut session, &sound(1, 150)).is_empty());
    let events = said(&mut session, &json!({"type": "input_audio_buffer.commit"}));
    assert_eq!(types(&events)[0], "input_audio_buffer.committed");
    said(&mut session, &sound(1, 150));
    assert_eq!(
        types(&said(&mut session, &json!({"type": "input_audio_buffer.clear"}))),
        ["input_audio_buffer.cleared"]
    );
    let empty = said(&mut session, &json!({"type": "input_audio_buffer.commit"}));
    assert_eq!(empty[0]["error"]["code"], "input_audio_buffer_commit_empty");
}

#[test]
fn items_are_placed_found_and_deleted() {
    let mut session = session(Behaviour::new());
    let mut first = message("one");
    first["item"]["id"] = json!("a");
    said(&mut session, &first);
    let mut before = message("zero");
    before["previous_item_id"] = json!("root");
    let added = said(&mut session, &before);
    assert_eq!(added[0]["previous_item_id"], Value::Null);
    assert_eq!(session.items[1]["id"], "a");
    let about = |kind: &str| json!({"type": kind, "item_id": "a"});
    assert_eq!(said(&mut session, &about("conversation.item.retrieve"))[0]["item"]["id"], "a");
    assert_eq!(types(&said(&mut session, &about("conversation.item.delete"))), ["conversation.item.deleted"]);
    let gone = said(&mut session, &about("conversation.item.delete"));
    assert_eq!(gone[0]["error"]["code"], "item_delete_invalid_item_id");
}

#[test]
fn what_is_wrong_is_answered_with_an_error_that_names_it() {
    refused(json!({"type": "response.make"}), "type", "invalid_value");
    refused(json!({"event_id": "e"}), "type", "missing_required_parameter");
    refused(json!({"type": "session.update", "session": {}}), "session.type", "missing_required_parameter");
    refused(
        json!({"type": "session.update", "session": {"type": "realtime", "volume": 1}}),
        "session.volume",
        "unknown_parameter",
    );
    refused(json!({"type": "input_audio_buffer.append", "audio": "*"}), "audio", "invalid_value");
    refused(json!({"type": "response.cancel"}), "", "response_cancel_not_active");
    let output = json!({"type": "function_call_output", "call_id": "c", "output": ""});
    refused(
        json!({"type": "conversation.item.create", "item": output}),
        "item.call_id",
        "invalid_tool_call_id",
    );
    let wrong =
        json!({"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]});
    refused(
        json!({"type": "conversation.item.create", "item": wrong}),
        "item.content[0].type",
        "invalid_value",
    );
    let mut lost = message("x");
    lost["previous_item_id"] = json!("z");
    refused(lost, "previous_item_id", "item_create_invalid_previous_item_id");
    let mut session = session(Behaviour::new());
    session.receive("{");
    assert_eq!(session.outbox[0].event["error"]["code"], "invalid_json");
}

#[test]
fn one_response_at_a_time_and_it_may_be_cancelled() {
    let mut session = session(Behaviour::new());
    session.receive(r#"{"type": "response.create"}"#);
    session.receive(r#"{"type": "response.create", "event_id": "second"}"#);
    let error = session.outbox.back().unwrap().event["error"].clone();
    assert_eq!(
        (text_at(&error, "code"), text_at(&error, "event_id")),
        ("conversation_already_has_active_response", "second")
    );
    session.outbox.clear();
    session.receive(r#"{"type": "response.cancel"}"#);
    let done = &session.outbox[0].event["response"];
    assert_eq!((text_at(done, "status"), session.outbox.len()), ("cancelled", 1));
}

#[test]
fn the_beta_has_other_names() {
    let mut session = Session::new("m", true, Behaviour::new(), Ids::new(1));
    session.outbox.clear();
    assert_eq!(types(&said(&mut session, &message("hi"))), ["conversation.item.created"]);
    let events = said(&mut session, &json!({"type": "response.create"}));
    assert!(types(&events).contains(&"response.audio_transcript.delta"));
    assert!(types(&events).contains(&"response.audio.delta"));
}

#[test]
fn a_handshake_must_be_one() {
    let mut headers = HeaderMap::new();
    assert_eq!(check(&headers).unwrap_err().status, 426);
    for (name, value) in [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAA"),
        ("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    assert_eq!((check(&headers), protocol_key(&headers)), (Ok(()), Some("sk-1")));
}
