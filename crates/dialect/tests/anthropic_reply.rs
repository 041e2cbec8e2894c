//! Anthropic's whole replies and errors, read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::anthropic::{ANSWER_TOOL, decode_count_reply, decode_error, decode_reply};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, Native, Part, PlaceUnit, Signature, SourcePlace, StopReason, Usage,
};
use tollgate_dialect::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use tollgate_dialect::wire::{Dialect, Reading, ReplyFault};

fn read(body: &Value) -> Result<ChatReply, ReplyFault> {
    decode_reply(body.to_string().as_bytes(), &Reading::default())
}

fn read_answer(body: &Value) -> ChatReply {
    let reading = Reading { answer_tool: Some(ANSWER_TOOL.to_owned()), ..Reading::default() };
    decode_reply(body.to_string().as_bytes(), &reading).unwrap()
}

fn reply(content: Value, stop_reason: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "model": "m", "content": content,
           "stop_reason": stop_reason, "usage": {"input_tokens": 1, "output_tokens": 1}})
}

fn only_choice(reply: ChatReply) -> (Vec<Part>, Option<StopReason>) {
    assert_eq!(reply.choices.len(), 1);
    reply.choices.into_iter().map(|choice| (choice.parts, choice.stop)).next().unwrap()
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Part::ToolCall { id, name, arguments, is_custom: false, signature: None }
}

fn native(value: Value) -> Part {
    Part::Native(Native { dialect: Dialect::Anthropic, value })
}

#[test]
fn a_text_reply_counts_cached_tokens_into_the_prompt() {
    let body = include_bytes!("fixtures/anthropic/reply_text.json");
    let expect = ChatReply {
        id: "msg_01XFDUDYJgAACzvnptvVoYEL".to_owned(),
        model: "claude-sonnet-4-5-20250929".to_owned(),
        choices: vec![Choice {
            parts: vec![Part::text("Hello!")],
            stop: Some(StopReason::Stop),
            ..Choice::default()
        }],
        usage: Usage {
            input_tokens: 2_312,
            cached_tokens: 2_000,
            cache_write_tokens: 200,
            cache_write_1h_tokens: 100,
            output_tokens: 6,
            ..Usage::default()
        },
        service_tier: Some("default".to_owned()),
        ..ChatReply::default()
    };
    assert_eq!(decode_reply(body, &Reading::default()), Ok(expect));
}

#[test]
fn every_block_keeps_its_order_and_those_without_a_part_are_native() {
    let body = include_bytes!("fixtures/anthropic/reply_tools.json");
    let reply = decode_reply(body, &Reading::default()).unwrap();
    let expect = Usage {
        input_tokens: 472,
        output_tokens: 89,
        reasoning_tokens: 20,
        web_search_requests: 2,
        ..Usage::default()
    };
    assert_eq!(reply.usage, expect);
    let (parts, stop) = only_choice(reply);
    let expect = vec![
        Part::Reasoning {
            text: "They ask for two cities.".to_owned(),
            signature: Some(Signature::new(Issuer::Anthropic, "EqQBCgIYAhIM1gbcDa9GJwZA2b3h")),
        },
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "EmwKAhgBEgy3va3pzix") },
        Part::text("I'll look."),
        native(
            json!({"type": "server_tool_use", "id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE", "name": "web_search",
                      "input": {"query": "oslo"}}),
        ),
        native(json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE",
                      "content": []})),
        call("toolu_01A09q90qw90lq917835lq9", "weather", "{\"city\":\"Oslo\",\"days\":1.0}"),
        native(json!({"type": "a_type_of_tomorrow", "anything": {}})),
        call("toolu_02", "now", "{}"),
    ];
    assert_eq!((parts, stop), (expect, Some(StopReason::ToolCalls)));
}

#[test]
fn every_stop_reason_has_its_meaning() {
    let check = |reason: &str, expect: StopReason| {
        let (_, stop) = only_choice(read(&reply(json!([]), reason)).unwrap());
        assert_eq!(stop, Some(expect), "{reason}");
    };
    check("end_turn", StopReason::Stop);
    check("stop_sequence", StopReason::StopSequence);
    check("pause_turn", StopReason::Pause);
    check("compaction", StopReason::Pause);
    check("max_tokens", StopReason::Length);
    check("model_context_window_exceeded", StopReason::ContextWindow);
    check("tool_use", StopReason::ToolCalls);
    check("refusal", StopReason::Refusal);
    check("a_reason_of_tomorrow", StopReason::Stop);
    let without = json!({"content": [], "stop_reason": null});
    assert_eq!(only_choice(read(&without).unwrap()), (Vec::new(), None));
}

#[test]
fn a_refusal_says_why() {
    let mut body = reply(json!([]), "refusal");
    body["stop_details"] = json!({"type": "refusal", "category": "bio", "explanation": "Not this."});
    let expect = (vec![Part::Refusal("Not this.".to_owned())], Some(StopReason::Refusal));
    assert_eq!(only_choice(read(&body).unwrap()), expect);
}

#[test]
fn the_stop_text_that_hit_is_told() {
    let mut body = reply(json!([]), "stop_sequence");
    body["stop_sequence"] = json!("END");
    let choice = read(&body).unwrap().choices.remove(0);
    assert_eq!((choice.stop, choice.stop_sequence.as_deref()), (Some(StopReason::StopSequence), Some("END")));
}

#[test]
fn the_words_of_a_refusal_that_are_text_as_well_are_read_once() {
    let mut body = reply(json!([{"type": "text", "text": "Not this."}]), "refusal");
    body["stop_details"] = json!({"type": "refusal", "explanation": "Not this."});
    let expect = (vec![Part::Refusal("Not this.".to_owned())], Some(StopReason::Refusal));
    assert_eq!(only_choice(read(&body).unwrap()), expect);
}

#[test]
fn every_kind_of_citation_is_read() {
    let check = |citation: Value, expect: Citation| {
        let text = json!([{"type": "text", "text": "Yes.", "citations": [citation]}]);
        let (parts, _) = only_choice(read(&reply(text, "end_turn")).unwrap());
        let native = Some(Native { dialect: Dialect::Anthropic, value: citation });
        let citations = vec![Citation { native, ..expect }];
        assert_eq!(parts, [Part::Text { text: "Yes.".to_owned(), cache_control: None, citations }]);
    };
    let owned = |text: &str| Some(text.to_owned());
    let place = |unit, start, end| Some(SourcePlace { unit, start, end });
    let of_document = |place| Citation {
        quote: owned("q"),
        title: owned("T"),
        document: Some(1),
        source_id: owned("file_1"),
        place,
        ..Citation::default()
    };
    check(
        json!({"type": "char_location", "cited_text": "q", "document_index": 1, "document_title": "T",
               "start_char_index": 3, "end_char_index": 9, "file_id": "file_1"}),
        of_document(place(PlaceUnit::Characters, 3, 9)),
    );
    check(
        json!({"type": "page_location", "cited_text": "q", "document_index": 1, "document_title": "T",
               "start_page_number": 1, "end_page_number": 2, "file_id": "file_1"}),
        of_document(place(PlaceUnit::Pages, 1, 2)),
    );
    check(
        json!({"type": "content_block_location", "cited_text": "q", "document_index": 1, "document_title": "T",
               "start_block_index": 0, "end_block_index": 1, "file_id": "file_1"}),
        of_document(place(PlaceUnit::Blocks, 0, 1)),
    );
    check(
        json!({"type": "web_search_result_location", "cited_text": "q", "encrypted_index": "e", "title": "T",
               "url": "https://example.org"}),
        Citation {
            quote: owned("q"),
            title: owned("T"),
            url: owned("https://example.org"),
            ..Citation::default()
        },
    );
    let found = |source: &str| {
        json!({"type": "search_result_location", "cited_text": "q", "source": source, "title": null,
               "search_result_index": 0, "start_block_index": 0, "end_block_index": 2})
    };
    let place = place(PlaceUnit::Blocks, 0, 2);
    let quote = owned("q");
    check(
        found("https://example.org/a"),
        Citation { quote: quote.clone(), url: owned("https://example.org/a"), place, ..Citation::default() },
    );
    check(found("kb:7"), Citation { quote, source_id: owned("kb:7"), place, ..Citation::default() });
    check(json!({"type": "of_tomorrow"}), Citation::default());
}

#[test]
fn a_count_is_a_number_or_a_fault() {
    assert_eq!(decode_count_reply(b"{\"input_tokens\": 0}"), Ok(0));
    assert_eq!(decode_count_reply(b"{\"input_tokens\": 2095, \"context_management\": {}}"), Ok(2_095));
    for body in ["", "{}", "{\"input_tokens\": \"1\"}", "[]"] {
        assert!(matches!(decode_count_reply(body.as_bytes()), Err(ReplyFault::Malformed(_))), "{body}");
    }
    let error = br#"{"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}"#;
    assert!(matches!(decode_count_reply(error), Err(ReplyFault::Error(error)) if error.status == 404));
}

#[test]
fn the_answer_tools_input_is_the_answer() {
    let text = json!({"type": "text", "text": "Here it is:"});
    let answer =
        |age: u64| json!({"type": "tool_use", "id": "t", "name": ANSWER_TOOL, "input": {"age": age}});
    let other = json!({"type": "tool_use", "id": "w", "name": "weather", "input": {}});
    let check = |content: Value, reason: &str, parts: Vec<Part>, stop: StopReason| {
        assert_eq!(only_choice(read_answer(&reply(content, reason))), (parts, Some(stop)));
    };
    let json_text = || Part::text("{\"age\":7}");
    check(json!([text, answer(7)]), "tool_use", vec![json_text()], StopReason::Stop);
    check(json!([answer(7), answer(8)]), "tool_use", vec![json_text()], StopReason::Stop);
    check(json!([answer(7)]), "max_tokens", vec![json_text()], StopReason::Length);
    let both = vec![json_text(), call("w", "weather", "{}")];
    check(json!([answer(7), other]), "tool_use", both, StopReason::ToolCalls);
    check(json!([other]), "tool_use", vec![call("w", "weather", "{}")], StopReason::ToolCalls);
    check(json!([text]), "end_turn", vec![Part::text("Here it is:")], StopReason::Stop);
}

#[test]
fn without_a_stand_in_a_tool_of_that_name_is_a_tool() {
    let content = json!([{"type": "tool_use", "id": "t", "name": ANSWER_TOOL, "input": {}}]);
    let expect = (vec![call("t", ANSWER_TOOL, "{}")], Some(StopReason::ToolCalls));
    assert_eq!(only_choice(read(&reply(content, "tool_use")).unwrap()), expect);
}

#[test]
fn counts_are_read_in_every_shape() {
    let check = |usage: Value, expect: Usage| {
        let body = json!({"content": [], "usage": usage});
        assert_eq!(read(&body).unwrap().usage, expect, "{usage}");
    };
    let none = Usage::default;
    check(json!(null), none());
    check(json!({}), none());
    check(json!({"input_tokens": null, "output_tokens": -1}), none());
    check(
        json!({"input_tokens": 1, "cache_creation_input_tokens": 5, "cache_creation": null}),
        Usage { input_tokens: 6, cache_write_tokens: 5, ..none() },
    );
    check(
        json!({"cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}}),
        Usage { input_tokens: 5, cache_write_tokens: 2, cache_write_1h_tokens: 3, ..none() },
    );
    check(
        json!({"cache_creation_input_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 3}}),
        Usage { input_tokens: 2, cache_write_1h_tokens: 2, ..none() },
    );
    check(
        json!({"input_tokens": 10, "output_tokens": 4, "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 7},
            {"type": "message", "input_tokens": 10, "output_tokens": 4}]}),
        Usage { input_tokens: 117, cached_tokens: 7, output_tokens: 24, ..none() },
    );
    check(
        json!({"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2}}),
        Usage { web_search_requests: 3, web_fetch_requests: 2, ..none() },
    );
    check(
        json!({"input_tokens": u64::MAX, "cache_read_input_tokens": 1}),
        Usage { input_tokens: u64::MAX, cached_tokens: 1, ..none() },
    );
}

/// The top level of a reply with iterations, and these.
fn iterated(iterations: Value) -> Usage {
    let usage = json!({"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 4, "iterations": iterations});
    read(&json!({"content": [], "usage": usage})).unwrap().usage
}

#[test]
fn iterations_that_the_top_level_counts_are_not_counted_twice() {
    let message = |kind: &str| {
        json!({"type": kind, "input_tokens": 5, "cache_read_input_tokens": 5,
                                      "output_tokens": 2, "cache_creation_input_tokens": 0})
    };
    let expect = Usage { input_tokens: 15, cached_tokens: 5, output_tokens: 4, ..Usage::default() };
    for iterations in [
        json!(null),
        json!([]),
        json!([message("message"), message("message")]),
        json!([message("message"), message("fallback_message")]),
        json!([message("of_tomorrow")]),
    ] {
        assert_eq!(iterated(iterations.clone()), expect, "{iterations}");
    }
}

#[test]
fn several_compactions_and_an_advisor_add_to_the_top_level() {
    let beside = |kind: &str| {
        json!({"type": kind, "input_tokens": 100, "cache_read_input_tokens": 7,
                                     "cache_creation_input_tokens": 30, "output_tokens": 20,
                                     "cache_creation": {"ephemeral_5m_input_tokens": 10,
                                                        "ephemeral_1h_input_tokens": 20}})
    };
    let iterations = json!([beside("compaction"), {"type": "message", "input_tokens": 10, "output_tokens": 4},
                            beside("compaction"), beside("advisor_message")]);
    let expect = Usage {
        input_tokens: 15 + 3 * 137,
        cached_tokens: 5 + 3 * 7,
        cache_write_tokens: 3 * 10,
        cache_write_1h_tokens: 3 * 20,
        output_tokens: 4 + 3 * 20,
        ..Usage::default()
    };
    assert_eq!(iterated(iterations), expect);
}

#[test]
fn what_is_no_reply_is_malformed() {
    let check = |body: &str| {
        let fault = decode_reply(body.as_bytes(), &Reading::default());
        assert!(matches!(fault, Err(ReplyFault::Malformed(_))), "{body}: {fault:?}");
    };
    check("");
    check("<html>502</html>");
    check("{\"content\": [");
    check("null");
    check("[]");
    check("{}");
    check("{\"content\": \"text\"}");
    check("{\"content\": [{}]}");
    check("{\"content\": [{\"type\": \"tool_use\", \"name\": \"f\"}]}");
    check("{\"content\": [{\"type\": \"tool_use\", \"id\": \"a\"}]}");
    check(&"[".repeat(100_000));
    assert!(decode_reply(b"{\"content\": [\"\xff\"]}", &Reading::default()).is_err());
}

#[test]
fn an_error_in_the_place_of_an_answer_is_an_error() {
    let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let expect = ProviderError {
        class: FailureClass::Overloaded,
        status: 529,
        message: "Overloaded".to_owned(),
        kind: Some("overloaded_error".to_owned()),
        ..ProviderError::default()
    };
    assert_eq!(read(&body), Err(ReplyFault::Error(expect)));
    let unknown = json!({"type": "error", "error": {"type": "x", "message": "y"}});
    assert!(matches!(read(&unknown), Err(ReplyFault::Error(error)) if error.status == 500));
    let bare = json!({"type": "error"});
    assert!(matches!(read(&bare), Err(ReplyFault::Error(error)) if error.class == FailureClass::Server));
}

#[test]
fn errors_have_their_class() {
    let check = |status: u16, kind: &str, message: &str, expect: FailureClass| {
        let body =
            json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"});
        let error = decode_error(status, body.to_string().as_bytes());
        assert_eq!((error.class, error.status), (expect, status), "{status} {kind} {message}");
        assert_eq!((error.message.as_str(), error.kind.as_deref()), (message, Some(kind)));
    };
    check(400, "invalid_request_error", "max_tokens: Field required", FailureClass::BadRequest);
    check(401, "authentication_error", "invalid x-api-key", FailureClass::Authentication);
    check(402, "billing_error", "Payment overdue", FailureClass::Permission);
    check(403, "permission_error", "No access to this model", FailureClass::Permission);
    check(404, "not_found_error", "model: claude-0", FailureClass::NotFound);
    check(409, "conflict_error", "In use", FailureClass::BadRequest);
    check(413, "request_too_large", "Request exceeds the maximum size", FailureClass::TooLarge);
    check(429, "rate_limit_error", "This request would exceed your limit", FailureClass::RateLimit);
    check(429, "api_error", "Slow down", FailureClass::RateLimit);
    check(500, "api_error", "Internal server error", FailureClass::Server);
    check(504, "timeout_error", "Timed out", FailureClass::Timeout);
    check(529, "overloaded_error", "Overloaded", FailureClass::Overloaded);
    let window = "prompt is too long: 200251 tokens > 200000 maximum";
    check(400, "invalid_request_error", window, FailureClass::ContextWindow);
    check(413, "request_too_large", "Prompt is too long", FailureClass::ContextWindow);
    let both = "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000";
    check(400, "invalid_request_error", both, FailureClass::ContextWindow);
    let policy = "Output blocked by content filtering policy";
    check(400, "invalid_request_error", policy, FailureClass::ContentPolicy);
    let credit = "Your credit balance is too low to access the Anthropic API.";
    check(400, "invalid_request_error", credit, FailureClass::Permission);
    // The words of a policy in another error's sentence do not change what it is.
    check(500, "api_error", "content filtering policy", FailureClass::Server);
    check(418, "error_of_tomorrow", "?", FailureClass::BadRequest);
    check(599, "error_of_tomorrow", "?", FailureClass::Server);
}

#[test]
fn errors_that_are_not_anthropics_are_judged_by_status_and_not_quoted() {
    let check = |status: u16, body: &str, expect: FailureClass| {
        let error = decode_error(status, body.as_bytes());
        assert_eq!((error.class, error.status, error.kind), (expect, status, None), "{status} {body}");
        assert!(!error.message.contains("secret"), "{}", error.message);
    };
    check(400, "secret", FailureClass::BadRequest);
    check(401, "", FailureClass::Authentication);
    check(402, "{}", FailureClass::Permission);
    check(403, "[]", FailureClass::Permission);
    check(404, "null", FailureClass::NotFound);
    check(408, "{\"error\": {\"secret\": 1}}", FailureClass::Timeout);
    check(413, "<html>secret</html>", FailureClass::TooLarge);
    check(429, "{\"error\": 1}", FailureClass::RateLimit);
    check(500, "{\"message\": \"secret\"}", FailureClass::Server);
    check(502, "<html>secret</html>", FailureClass::Server);
    check(503, "secret", FailureClass::Overloaded);
    check(504, "secret", FailureClass::Timeout);
    check(529, "secret", FailureClass::Overloaded);
}

#[test]
fn a_bare_sentence_and_a_code_are_read() {
    let error = decode_error(400, br#"{"error": "model not loaded"}"#);
    assert_eq!((error.message.as_str(), error.kind), ("model not loaded", None));
    let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "x",
                      "details": {"error_code": "enforced_spend_limit_reached"}}});
    let error = decode_error(429, body.to_string().as_bytes());
    assert_eq!(error.code.as_deref(), Some("enforced_spend_limit_reached"));
}

#[test]
fn a_long_sentence_is_cut_between_characters() {
    let body = json!({"error": {"type": "api_error", "message": "é".repeat(MESSAGE_BYTES_MAX)}});
    assert_eq!(decode_error(500, body.to_string().as_bytes()).message, "é".repeat(MESSAGE_BYTES_MAX / 2));
    let body = json!({"error": {"message": format!("x{}", "é".repeat(MESSAGE_BYTES_MAX))}});
    assert_eq!(decode_error(500, body.to_string().as_bytes()).message.len(), MESSAGE_BYTES_MAX - 1);
}
