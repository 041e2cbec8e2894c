//! What OpenAI's chat replies and streams say.

use super::*;
use crate::behaviour::{Answer, Behaviour, TokenCounts};
use crate::compose::{Ids, compose};
use crate::fault::UsageFault;
use crate::openai::read_chat;
use crate::reply::Content;

fn made(body: &Value, behaviour: &Behaviour, fault: Option<UsageFault>) -> (Value, Vec<Value>, String) {
    let ask = read_chat(body, "m");
    let composed = compose(&ask, behaviour);
    let wanted = Wanted::new(&ask, body);
    let mut ids = Ids::new(1);
    let mut making = Making { composed: &composed, ids: &mut ids, created: 5, usage_fault: fault };
    let plain = chat(wanted, &mut making);
    let Content::Events(events) = Reply::events(chat_events(wanted, &mut making)).content else {
        unreachable!()
    };
    let mut frames: Vec<String> = events
        .iter()
        .map(|event| String::from_utf8(event.bytes.to_vec()).unwrap())
        .map(|frame| frame.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap().to_owned())
        .collect();
    let end = frames.pop().unwrap();
    (plain, frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect(), end)
}

fn joined(frames: &[Value], pointer: &str) -> String {
    frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
}

fn asking(extra: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn a_stream_says_what_the_plain_reply_says() {
    let (plain, frames, end) = made(&asking(json!({})), &Behaviour::new().reasoning("because"), None);
    let text = plain["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(joined(&frames, "/choices/0/delta/content"), text);
    assert_eq!(joined(&frames, "/choices/0/delta/reasoning_content"), "because");
    assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(frames.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert_eq!(end, "[DONE]");
    assert!(frames.iter().all(|frame| frame.get("usage").is_none()));
}

#[test]
fn parallel_tool_calls_stream_by_index_with_whole_arguments() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}});
    let body = asking(json!({"tools": [tool]}));
    let (plain, frames, _) = made(&body, &Behaviour::new().answer(Answer::CallTools(2)), None);
    let calls = plain["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(plain["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(plain["choices"][0]["message"]["content"], Value::Null);
    for index in [0, 1] {
        let deltas: Vec<&Value> = frames
            .iter()
            .filter_map(|frame| frame.pointer("/choices/0/delta/tool_calls/0"))
            .filter(|delta| delta["index"] == index)
            .collect();
        let arguments: String =
            deltas.iter().map(|delta| delta["function"]["arguments"].as_str().unwrap()).collect();
        assert_eq!(arguments, r#"{"q":"hi"}"#);
        assert!(deltas[0]["id"].as_str().unwrap().starts_with("call_"));
    }
}

#[test]
fn usage_comes_in_a_last_chunk_without_choices_and_is_null_before() {
    let body = asking(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let (plain, frames, _) = made(&body, &Behaviour::new(), None);
    let last = frames.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &plain["usage"]));
    assert!(
        frames[..frames.len() - 1]
            .iter()
            .all(|frame| frame["usage"] == Value::Null && frame.get("usage").is_some())
    );
    let (_, twice, _) = made(&body, &Behaviour::new(), Some(UsageFault::Twice));
    let counts: Vec<&Value> = twice.iter().filter(|frame| frame["choices"] == json!([])).collect();
    assert_eq!(counts.len(), 2);
    assert_eq!(counts[1]["usage"], plain["usage"]);
    let (_, none, _) = made(&body, &Behaviour::new(), Some(UsageFault::Missing));
    assert!(none.iter().all(|frame| frame["choices"] != json!([])));
}

#[test]
fn cached_and_reasoning_tokens_are_told_apart() {
    let tokens = TokenCounts {
        prompt: Some(100),
        cached: Some(64),
        completion: Some(9),
        reasoning: Some(4),
        cache_written: None,
    };
    let (plain, _, _) = made(&asking(json!({})), &Behaviour::new().tokens(tokens), None);
    let usage = &plain["usage"];
    assert_eq!(usage["total_tokens"], 109);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 64);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 4);
}

#[test]
fn several_choices_and_log_probabilities_are_given_when_asked_for() {
    let (plain, frames, _) = made(
        &asking(json!({"n": 2, "logprobs": true, "top_logprobs": 2})),
        &Behaviour::new().text("abcdefg"),
        None,
    );
    assert_eq!(plain["choices"].as_array().unwrap().len(), 2);
    let tokens = plain["choices"][1]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(
        tokens.iter().map(|token| token["token"].as_str().unwrap()).collect::<Vec<_>>(),
        ["abcd", "efg"]
    );
    assert_eq!(tokens[0]["top_logprobs"].as_array().unwrap().len(), 2);
    let second: Vec<&Value> = frames.iter().filter(|frame| frame["choices"][0]["index"] == 1).collect();
    assert_eq!(second.len(), 1 + 2 + 1);
    assert_eq!(plain["usage"]["completion_tokens"], 4);
}

#[test]
fn a_refusal_stands_in_its_own_member() {
    let refusing = Behaviour { refusal: true, ..Behaviour::new() };
    let (plain, frames, _) = made(&asking(json!({"logprobs": true})), &refusing, None);
    let message = &plain["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    assert_eq!(json!(joined(&frames, "/choices/0/delta/refusal")), message["refusal"]);
    let logprobs = &plain["choices"][0]["logprobs"];
    assert_eq!((&logprobs["content"], logprobs["refusal"].is_array()), (&Value::Null, true));
}

#[test]
fn cited_pages_cover_the_text() {
    let citing = Behaviour { citations: 2, ..Behaviour::new().text("abcdefg") };
    let (plain, frames, _) = made(&asking(json!({})), &citing, None);
    let notes = &plain["choices"][0]["message"]["annotations"];
    let spans: Vec<(u64, u64)> = notes
        .as_array()
        .unwrap()
        .iter()
        .map(|note| {
            let page = &note["url_citation"];
            (page["start_index"].as_u64().unwrap(), page["end_index"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(spans, [(0, 3), (3, 7)]);
    let streamed = frames.iter().find_map(|frame| frame.pointer("/choices/0/delta/annotations"));
    assert_eq!(streamed, Some(notes));
}

#[test]
fn a_custom_tool_is_called_with_plain_text() {
    let body = asking(json!({"tools": [{"type": "custom", "custom": {"name": "shout"}}]}));
    let (plain, frames, _) = made(&body, &Behaviour::new().answer(Answer::CallTools(1)), None);
    let call = &plain["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["custom"]),
        (&json!("custom"), &json!({"name": "shout", "input": "hi"}))
    );
    assert_eq!(joined(&frames, "/choices/0/delta/tool_calls/0/custom/input"), "hi");
}

#[test]
fn a_spoken_answer_has_its_transcript_and_counts_its_sound() {
    let audio = json!({"voice": "alloy", "format": "pcm16"});
    let heard = json!([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]);
    let body = asking(json!({"modalities": ["text", "audio"], "audio": audio,
        "messages": [{"role": "user", "content": heard}]}));
    let (plain, frames, _) = made(&body, &Behaviour::new().text("abcdefg"), None);
    let message = &plain["choices"][0]["message"];
    assert_eq!((&message["content"], &message["audio"]["transcript"]), (&Value::Null, &json!("abcdefg")));
    assert_eq!(joined(&frames, "/choices/0/delta/audio/transcript"), "abcdefg");
    assert!(frames.iter().any(|frame| frame.pointer("/choices/0/delta/audio/expires_at").is_some()));
    let usage = &plain["usage"];
    assert_eq!(usage["completion_tokens_details"]["audio_tokens"], 2);
    assert_eq!(usage["prompt_tokens_details"]["audio_tokens"], 85);
}

#[test]
fn the_tier_that_was_asked_for_is_named() {
    for (asked, tier) in [
        (json!({}), "default"),
        (json!({"service_tier": "auto"}), "default"),
        (json!({"service_tier": "flex"}), "flex"),
    ] {
        let (plain, frames, _) = made(&asking(asked), &Behaviour::new(), None);
        assert_eq!((&plain["service_tier"], &frames[0]["service_tier"]), (&json!(tier), &json!(tier)));
    }
}
