//! Replies of Converse, and that a stream says what the plain reply says.

use super::*;
use crate::ask::{Ask, Tool};
use crate::behaviour::{Answer, Behaviour, TokenCounts};
use crate::compose::{Ids, compose};
use crate::extras::{Document, DocumentKind, Extras};

fn made(behaviour: &Behaviour, documents: Vec<Document>) -> (Value, Vec<(String, Value)>) {
    let schema = json!({"type": "object", "properties": {"q": {"type": "string"}}});
    let ask = Ask {
        last_user: "hi".to_owned(),
        parallel: true,
        choices: 1,
        prompt_tokens: 100,
        tools: vec![Tool { name: "f".to_owned(), schema }],
        documents,
        ..Ask::default()
    };
    let composed = compose(&ask, behaviour);
    let mut ids = Ids::new(1);
    let mut making = Making { composed: &composed, ids: &mut ids, created: 0, usage_fault: None };
    let body =
        json!({"additionalModelResponseFieldPaths": ["/stop_sequence"], "serviceTier": {"type": "flex"}});
    let plain = message(&body, &mut making);
    let events = events(&body, &mut making).iter().map(|event| read(&event.bytes)).collect();
    (plain, events)
}

/// The type and the payload of a frame.
fn read(frame: &[u8]) -> (String, Value) {
    let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()) as usize;
    let payload = &frame[12 + number(4)..frame.len() - 4];
    // The first header is the event's type: a name of 11 letters, a kind, a length.
    let length = usize::from(frame[26]);
    (String::from_utf8_lossy(&frame[27..27 + length]).into_owned(), serde_json::from_slice(payload).unwrap())
}

fn joined(events: &[(String, Value)], index: usize, pointer: &str) -> String {
    let deltas = events.iter().filter(|(_, data)| data["contentBlockIndex"] == index);
    deltas.filter_map(|(_, data)| data.pointer(pointer).and_then(Value::as_str)).collect()
}

#[test]
fn a_stream_put_together_is_the_plain_reply() {
    let behaviour = Behaviour::new().reasoning("because").answer(Answer::CallTools(2));
    let (plain, events) = made(&behaviour, Vec::new());
    assert_eq!(plain["stopReason"], "tool_use");
    assert_eq!(joined(&events, 0, "/delta/reasoningContent/text"), "because");
    assert!(crate::signature::is_good(&joined(&events, 0, "/delta/reasoningContent/signature"), "because"));
    assert_eq!(joined(&events, 1, "/delta/toolUse/input"), r#"{"q":"hi"}"#);
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let call = ["contentBlockStart", "contentBlockDelta", "contentBlockStop"];
    let expect: Vec<&str> = ["messageStart", "contentBlockDelta", "contentBlockStop"]
        .into_iter()
        .chain(call)
        .chain(call)
        .chain(["messageStop", "metadata"])
        .collect();
    assert_eq!(names, expect);
    assert!(events.iter().all(|(_, data)| data["p"].is_string()));
    assert_eq!(events.last().unwrap().1["usage"], plain["usage"]);
    assert_eq!(plain["serviceTier"]["type"], "flex");
}

#[test]
fn cached_tokens_are_not_input_tokens() {
    let tokens = TokenCounts { cached: Some(60), cache_written: Some(30), ..TokenCounts::default() };
    let extras = Extras { cache_written_1h: Some(10), ..Extras::default() };
    let (plain, _) = made(&Behaviour::new().tokens(tokens).extras(extras), Vec::new());
    let usage = &plain["usage"];
    assert_eq!((&usage["inputTokens"], &usage["cacheReadInputTokens"]), (&json!(10), &json!(60)));
    let details = json!([{"ttl": "5m", "inputTokens": 20}, {"ttl": "1h", "inputTokens": 10}]);
    assert_eq!((&usage["cacheWriteInputTokens"], &usage["cacheDetails"]), (&json!(30), &details));
}

#[test]
fn redacted_thoughts_citations_and_any_reason_to_stop_come_on_demand() {
    let extras =
        Extras { redacted: true, stop_word: Some("guardrail_intervened".to_owned()), ..Extras::default() };
    let document = Document::new(0, Some("d"), "quoted words", DocumentKind::Text);
    let (plain, events) = made(&Behaviour::new().extras(extras), vec![document]);
    let content = &plain["output"]["message"]["content"];
    assert!(crate::anthropic::blocks::is_redacted(
        content[0]["reasoningContent"]["redactedContent"].as_str().unwrap()
    ));
    assert_eq!(content[1]["citationsContent"]["citations"][0]["location"]["documentChar"]["end"], 12);
    assert_eq!(plain["stopReason"], "guardrail_intervened");
    let cited = events.iter().find_map(|(_, data)| data.pointer("/delta/citation/title")).unwrap();
    assert_eq!(cited, "d");
    assert!(crate::anthropic::blocks::is_redacted(&joined(
        &events,
        0,
        "/delta/reasoningContent/redactedContent"
    )));
}
