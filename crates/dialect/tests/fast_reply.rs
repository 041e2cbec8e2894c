//! Plain replies on the fast road: what is refused, what is read, what is changed.

#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]

use bytes::Bytes;
use serde_json::{Value as Tree, json};
use tollgate_dialect::conversation::Usage;
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::relay::{ReplyView, relay_reply};
use tollgate_dialect::wire::ReplyFault;

fn view(body: &str, client_model: Option<&str>) -> ReplyView {
    relay_reply(&Bytes::copy_from_slice(body.as_bytes()), client_model).expect(body)
}

fn chat_reply() -> Tree {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi \"model\": x"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 3},
        },
        "service_tier": "default",
    })
}

#[test]
fn a_reply_is_passed_on_untouched_and_its_usage_is_read() {
    // OpenAI indents its replies.
    let body = Bytes::from(serde_json::to_string_pretty(&chat_reply()).unwrap());
    let view = relay_reply(&body, None).unwrap();
    assert!(view.body.is_unchanged());
    assert_eq!(view.body.to_bytes().as_ptr(), body.as_ptr());
    let expect = Usage {
        input_tokens: 100,
        cached_tokens: 40,
        input_audio_tokens: 5,
        output_tokens: 20,
        reasoning_tokens: 12,
        output_audio_tokens: 3,
        ..Usage::default()
    };
    assert_eq!(view.usage, Some(expect));
    assert!(!view.is_usage_malformed);
    assert_eq!(view.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(view.service_tier.as_deref(), Some("default"));
}

#[test]
fn the_model_is_called_by_the_callers_name_and_nothing_else_changes() {
    let body = serde_json::to_string_pretty(&chat_reply()).unwrap();
    let named = view(&body, Some("my alias"));
    assert_eq!(named.body.to_bytes(), body.replace("gpt-4o-2024-08-06", "my alias"));
    assert_eq!(named.body.len(), named.body.to_bytes().len());
    assert!(!named.body.is_unchanged());
    assert!(view(&body, Some("gpt-4o-2024-08-06")).body.is_unchanged());
    // A reply that names no model gets none.
    assert!(view(r#"{"choices":[]}"#, Some("alias")).body.is_unchanged());
}

#[test]
fn a_list_of_embeddings_of_any_length_is_a_reply() {
    let vector: Vec<String> = (0..300_000).map(|number| format!("{}e-3", number % 1_000)).collect();
    let body = format!(
        r#"{{"object":"list","data":[{{"embedding":[{}],"index":0}}],"model":"e","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#,
        vector.join(",")
    );
    let view = view(&body, None);
    assert_eq!(view.usage, Some(Usage { input_tokens: 8, ..Usage::default() }));
    assert!(view.body.is_unchanged());
}

#[test]
fn what_is_no_reply_is_malformed() {
    let check = |body: &[u8]| {
        let fault = relay_reply(&Bytes::copy_from_slice(body), Some("a")).expect_err("no reply");
        assert!(matches!(fault, ReplyFault::Malformed(_)), "{fault:?}");
    };
    check(b"");
    check(b"<html>Bad gateway</html>");
    check(b"[]");
    check(b"null");
    check(b"{}");
    check(br#"{"choices":null}"#);
    check(br#"{"choices":{}}"#);
    check(br#"{"choices":[{"message":{"content":"cut he"#);
    check(br#"{"choices":[]} {"choices":[]}"#);
    check(b"{\"choices\":[\"\xFF\"]}");
    check(br#"{"choices":[],"usage":{},"us\u0061ge":{}}"#);
    check(format!(r#"{{"choices":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)).as_bytes());
}

#[test]
fn an_error_with_the_status_of_success_is_the_providers_error() {
    let check = |body: &str, class: FailureClass, message: &str| match relay_reply(
        &Bytes::copy_from_slice(body.as_bytes()),
        None,
    ) {
        Err(ReplyFault::Error(error)) => {
            assert_eq!((error.class, error.message.as_str()), (class, message), "{body}");
        }
        other => panic!("{body}: {other:?}"),
    };
    check(r#"{"error":{"message":"Slow down.","code":429}}"#, FailureClass::RateLimit, "Slow down.");
    check(r#"{"error":"Broken.","choices":[]}"#, FailureClass::Server, "Broken.");
    check(r#"{"\u0065rror":{"message":"Hidden."}}"#, FailureClass::Server, "Hidden.");
    check(r#"{"object":"error","message":"Old form.","code":404}"#, FailureClass::NotFound, "Old form.");
    assert!(relay_reply(&Bytes::from_static(br#"{"error":null,"choices":[]}"#), None).is_ok());
}

#[test]
fn a_usage_that_cannot_be_is_unknown_and_said_to_be_so() {
    let check = |usage: &str, expect: Option<(u64, u64)>, is_malformed: bool| {
        let view = view(&format!(r#"{{"choices":[],"usage":{usage}}}"#), None);
        let found = view.usage.map(|usage| (usage.input_tokens, usage.output_tokens));
        assert_eq!((found, view.is_usage_malformed), (expect, is_malformed), "{usage}");
    };
    check("null", None, false);
    check(r#"{"prompt_tokens":3,"completion_tokens":2}"#, Some((3, 2)), false);
    check(r#"{"prompt_tokens":3.0,"completion_tokens":2}"#, Some((3, 2)), false);
    check(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#, Some((0, 0)), false);
    check(r#"{"prompt_tokens":3,"completion_tokens":2,"queue_time":0.25,"cost":-1}"#, Some((3, 2)), false);
    check(r#"{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":null}"#, Some((3, 2)), false);
    check("{}", None, true);
    check("7", None, true);
    check("[]", None, true);
    check(r#"{"prompt_tokens":-3,"completion_tokens":2}"#, None, true);
    check(r#"{"prompt_tokens":3.5,"completion_tokens":2}"#, None, true);
    check(r#"{"prompt_tokens":1e30,"completion_tokens":2}"#, None, true);
    check(r#"{"prompt_tokens":18446744073709551616,"completion_tokens":2}"#, None, true);
    check(r#"{"prompt_tokens":20000000000,"completion_tokens":2}"#, None, true);
    check(r#"{"prompt_tokens":"3","completion_tokens":2}"#, None, true);
    check(r#"{"prompt_tokens":3,"prompt_tokens":4,"completion_tokens":2}"#, None, true);
    check(
        r#"{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":-1}}"#,
        None,
        true,
    );
}

#[test]
fn counts_that_providers_name_otherwise_are_read() {
    let check = |usage: &str, expect: Usage| {
        assert_eq!(
            view(&format!(r#"{{"choices":[],"usage":{usage}}}"#), None).usage,
            Some(expect),
            "{usage}"
        );
    };
    let base = Usage { input_tokens: 50, output_tokens: 5, ..Usage::default() };
    check(
        r#"{"prompt_tokens":50,"completion_tokens":5,"prompt_cache_hit_tokens":30,"prompt_cache_miss_tokens":20}"#,
        Usage { cached_tokens: 30, ..base },
    );
    check(
        r#"{"prompt_tokens":50,"completion_tokens":5,"cache_creation_input_tokens":20,"cache_read_input_tokens":10}"#,
        Usage { cached_tokens: 10, cache_write_tokens: 20, ..base },
    );
}
