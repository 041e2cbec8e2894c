//! Whole answers for callers of `generateContent`, whoever gave them. `fixtures/gemini/answer.json` is held against the
//! types of Google's own package.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Embedding, EmbeddingReply, Issuer, MediaSource, Native, Part, Signature,
    StopReason, Usage,
};
use tollgate_dialect::gemini::{
    decode_reply, encode_batch_embed_reply, encode_count, encode_embed_reply, encode_error, encode_reply,
};
use tollgate_dialect::wire::{CallerError, Dialect, Losses, Reading, ReplyFacts};

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "my-model".to_owned(),
        created: 1,
        fallback_id: "9f1c2d3e-aaaa-4bbb-8ccc-0123456789ab".to_owned(),
        ..ReplyFacts::default()
    }
}

fn write(reply: &ChatReply) -> (Value, Vec<String>) {
    let mut lost = Losses::default();
    let body = encode_reply(reply, &facts(), &mut lost);
    (serde_json::from_slice(&body).unwrap(), lost.names().map(str::to_owned).collect())
}

fn answer(parts: Vec<Part>) -> ChatReply {
    let choice = Choice { parts, stop: Some(StopReason::Stop), ..Choice::default() };
    ChatReply { choices: vec![choice], ..ChatReply::default() }
}

/// The parts that are written for these, and what is lost.
fn check(parts: Vec<Part>, expect: Value, lost: &[&str]) {
    let (body, noted) = write(&answer(parts));
    assert_eq!(body["candidates"][0]["content"]["parts"], expect);
    assert_eq!(noted, lost, "{expect}");
}

fn signed(issuer: Issuer, text: &str) -> Option<Signature> {
    Some(Signature::new(issuer, text))
}

fn thought(text: &str, signature: Option<Signature>) -> Part {
    Part::Reasoning { text: text.to_owned(), signature }
}

fn call(id: &str, arguments: &str, signature: Option<Signature>) -> Part {
    let (id, arguments) = (id.to_owned(), arguments.to_owned());
    Part::ToolCall { id, name: "f".to_owned(), arguments, is_custom: false, signature }
}

fn picture(source: MediaSource) -> Part {
    Part::Image { source, detail: None, cache_control: None }
}

fn png() -> MediaSource {
    MediaSource::Base64 { media_type: "image/png".to_owned(), data: "QUJD".to_owned() }
}

fn web(span: Option<(u64, u64)>, url: &str) -> Citation {
    Citation { span, url: Some(url.to_owned()), title: Some("T".to_owned()), ..Citation::default() }
}

fn full_reply() -> ChatReply {
    let cited = Part::Text {
        text: "Grüße aus Rom.".to_owned(),
        cache_control: None,
        citations: vec![web(Some((0, 5)), "https://a.example"), web(None, "https://b.example")],
    };
    let first = Choice {
        index: 0,
        parts: vec![
            thought("Hm.", signed(Issuer::Anthropic, "EqQB")),
            cited,
            picture(png()),
            call("toolu_1", r#"{"city": "Rome", "days": 2}"#, None),
            call("toolu_2", "", signed(Issuer::Google, "QQ==")),
        ],
        stop: Some(StopReason::ToolCalls),
        stop_sequence: None,
        logprobs: Some(json!({"content": [
            {"token": "G", "logprob": -0.5, "bytes": [71], "top_logprobs": [{"token": "H", "logprob": -1.5, "bytes": [72]}]},
        ], "refusal": null})),
    };
    let second = Choice {
        index: 1,
        parts: vec![Part::Refusal("No.".to_owned())],
        stop: Some(StopReason::Length),
        ..Choice::default()
    };
    ChatReply {
        id: "msg_01XFDUDYJgAACzvnptvVoYEL".to_owned(),
        model: "claude".to_owned(),
        choices: vec![first, second],
        usage: Usage {
            input_tokens: 100,
            cached_tokens: 40,
            tool_prompt_tokens: 10,
            input_image_tokens: 20,
            output_tokens: 50,
            reasoning_tokens: 30,
            output_image_tokens: 5,
            ..Usage::default()
        },
        service_tier: Some("priority".to_owned()),
        ..ChatReply::default()
    }
}

#[test]
fn a_full_answer_is_written_byte_for_byte() {
    let mut lost = Losses::default();
    let body = encode_reply(&full_reply(), &facts(), &mut lost);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let written = serde_json::to_string_pretty(&body).unwrap() + "\n";
    let path = format!("{}/tests/fixtures/gemini/answer.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert_eq!(written, std::fs::read_to_string(&path).unwrap());
    assert!(lost.is_empty());
}

#[test]
fn an_answer_has_googles_id_or_one_of_the_gateway() {
    for (id, expect) in [
        ("7j6naK3tD9qOmtkPkfGXoAI", "7j6naK3tD9qOmtkPkfGXoAI"),
        ("aB-_cdefghijklmnop", "aB-_cdefghijklmnop"),
        ("chatcmpl-ABCDEFGHIJKLMNOP", "9f1c2d3e-aaaa-4bbb-8ccc-0123456789ab"),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "9f1c2d3e-aaaa-4bbb-8ccc-0123456789ab"),
        ("", "9f1c2d3e-aaaa-4bbb-8ccc-0123456789ab"),
    ] {
        let (body, _) = write(&ChatReply { id: id.to_owned(), ..answer(vec![Part::text("x")]) });
        assert_eq!(body["responseId"], expect);
        assert_eq!(body["modelVersion"], "my-model");
    }
}

#[test]
fn every_stop_reason_has_its_finish_reason() {
    use StopReason as Stop;
    for (stop, expect) in [
        (Stop::Stop, "STOP"),
        (Stop::StopSequence, "STOP"),
        (Stop::ToolCalls, "STOP"),
        (Stop::Length, "MAX_TOKENS"),
        (Stop::ContextWindow, "MAX_TOKENS"),
        (Stop::Pause, "MAX_TOKENS"),
        (Stop::ContentFilter, "SAFETY"),
        (Stop::Refusal, "SAFETY"),
        (Stop::Recitation, "RECITATION"),
        (Stop::MalformedToolCall, "MALFORMED_FUNCTION_CALL"),
    ] {
        let choice = Choice { parts: vec![Part::text("x")], stop: Some(stop), ..Choice::default() };
        let (body, _) = write(&ChatReply { choices: vec![choice], ..ChatReply::default() });
        assert_eq!(body["candidates"][0]["finishReason"], expect, "{stop:?}");
    }
}

#[test]
fn signatures_stand_on_what_they_sign() {
    check(
        vec![Part::text("a"), thought("", signed(Issuer::Google, "QQ==")), Part::text("b")],
        json!([{"text": "a", "thoughtSignature": "QQ=="}, {"text": "b"}]),
        &[],
    );
    check(
        vec![thought("", signed(Issuer::Google, "QQ=="))],
        json!([{"text": "", "thoughtSignature": "QQ=="}]),
        &[],
    );
    check(
        vec![thought("h", signed(Issuer::Google, "QQ==")), thought("i", None)],
        json!([{"text": "h", "thought": true, "thoughtSignature": "QQ=="}, {"text": "i", "thought": true}]),
        &[],
    );
    check(
        vec![picture(png()), thought("", signed(Issuer::Google, "QQ=="))],
        json!([{"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "QQ=="}]),
        &[],
    );
}

#[test]
fn media_and_native_parts_are_written_or_told_to_be_lost() {
    let sound = |source, transcript: Option<&str>| Part::Audio {
        source,
        format: "pcm16".to_owned(),
        transcript: transcript.map(str::to_owned),
    };
    let samples = MediaSource::Base64 { media_type: String::new(), data: "QUJD".to_owned() };
    check(
        vec![sound(samples, Some("hi")), picture(MediaSource::Url("https://example.com/a.png".to_owned()))],
        json!([
            {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "QUJD"}},
            {"text": "hi"},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
        ]),
        &[],
    );
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    let native = |dialect, value: Value| Part::Native(Native { dialect, value });
    check(
        vec![
            native(Dialect::Gemini, code.clone()),
            native(Dialect::Anthropic, json!({"type": "server_tool_use", "id": "x"})),
            picture(MediaSource::FileId("file-1".to_owned())),
            Part::text("x"),
        ],
        json!([code, {"text": "x"}]),
        &["server_tool_use", "images"],
    );
}

#[test]
fn a_call_that_cannot_be_read_ends_the_answer_as_malformed() {
    for (arguments, stop, expect) in [
        ("{\"a\":", StopReason::ToolCalls, "MALFORMED_FUNCTION_CALL"),
        ("[1]", StopReason::Stop, "MALFORMED_FUNCTION_CALL"),
        ("{\"a\":", StopReason::Length, "MAX_TOKENS"),
    ] {
        let choice =
            Choice { parts: vec![call("c", arguments, None)], stop: Some(stop), ..Choice::default() };
        let (body, lost) = write(&ChatReply { choices: vec![choice], ..ChatReply::default() });
        let candidate = &body["candidates"][0];
        assert_eq!(candidate["finishReason"], expect);
        assert_eq!(candidate["finishMessage"], format!("Malformed function call: f({arguments})"));
        assert_eq!(candidate["content"], json!({"role": "model"}));
        assert_eq!(lost, ["tool_calls"]);
    }
    check(
        vec![call("c", "null", None)],
        json!([{"functionCall": {"id": "c", "name": "f", "args": {}}}]),
        &[],
    );
}

#[test]
fn a_custom_tools_input_is_an_argument() {
    let part = Part::ToolCall {
        id: "c".to_owned(),
        name: "patch".to_owned(),
        arguments: "{\"x\":1}".to_owned(),
        is_custom: true,
        signature: None,
    };
    let expect = json!([{"functionCall": {"id": "c", "name": "patch", "args": {"input": "{\"x\":1}"}}}]);
    check(vec![part], expect, &[]);
}

#[test]
fn what_google_has_no_count_or_word_for_is_told_to_be_lost() {
    let choice = Choice {
        parts: vec![Part::text("x")],
        stop: Some(StopReason::StopSequence),
        stop_sequence: Some("END".to_owned()),
        ..Choice::default()
    };
    let usage = Usage {
        input_tokens: 9,
        cache_write_tokens: 4,
        web_search_requests: 1,
        web_fetch_requests: 1,
        ..Usage::default()
    };
    let (_, lost) = write(&ChatReply {
        choices: vec![choice],
        usage,
        service_tier: Some("batch".to_owned()),
        system_fingerprint: Some("fp".to_owned()),
        ..ChatReply::default()
    });
    let expect = [
        "usage.cache_write_tokens",
        "usage.web_search_requests",
        "usage.web_fetch_requests",
        "stop_sequence",
        "service_tier",
        "system_fingerprint",
    ];
    assert_eq!(lost, expect);
}

#[test]
fn citations_come_back_with_their_spans() {
    let text = "Grüße \u{1f600} aus Rom.";
    let citations = vec![web(Some((0, 5)), "https://a.example"), web(Some((8, 11)), "https://b.example")];
    let part = Part::Text { text: text.to_owned(), cache_control: None, citations };
    let (body, _) = write(&answer(vec![part]));
    let supports = &body["candidates"][0]["groundingMetadata"]["groundingSupports"];
    let segment =
        |start: u64, end: u64, text: &str| json!({"startIndex": start, "endIndex": end, "text": text});
    assert_eq!(supports[0], json!({"segment": segment(0, 7, "Grüße"), "groundingChunkIndices": [0]}));
    assert_eq!(supports[1], json!({"segment": segment(13, 16, "aus"), "groundingChunkIndices": [1]}));

    let back = decode_reply(body.to_string().as_bytes(), &Reading::default()).unwrap();
    let Part::Text { citations, .. } = &back.choices[0].parts[0] else { panic!("no text") };
    let spans: Vec<_> = citations.iter().map(|citation| (citation.span, citation.url.as_deref())).collect();
    assert_eq!(
        spans,
        [(Some((0, 5)), Some("https://a.example")), (Some((8, 11)), Some("https://b.example"))]
    );
}

#[test]
fn googles_own_citations_come_out_in_its_own_words() {
    let grounding = json!({
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A", "domain": "a.example"}},
            {"retrievedContext": {"uri": "gs://b/doc.pdf", "title": "B", "text": "words", "pageNumber": 3}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 5, "text": "Hello"}, "groundingChunkIndices": [0, 1]},
        ],
    });
    let cited = json!({"citations": [{"startIndex": 6, "endIndex": 11, "uri": "https://c.example", "license": "mit"}]});
    let body = json!({"candidates": [{
        "content": {"parts": [{"text": "Hello there"}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
        "groundingMetadata": grounding,
        "citationMetadata": cited,
    }]});
    let reply = decode_reply(body.to_string().as_bytes(), &Reading::default()).unwrap();
    let Part::Text { citations, .. } = &reply.choices[0].parts[0] else { panic!("no text") };
    assert_eq!(citations[1].quote.as_deref(), Some("words"));
    assert_eq!(citations[1].source_id.as_deref(), Some("gs://b/doc.pdf"));
    assert_eq!(citations[2].span, Some((6, 11)));
    let (back, lost) = write(&reply);
    assert_eq!(back["candidates"][0]["groundingMetadata"], grounding);
    assert_eq!(back["candidates"][0]["citationMetadata"], cited);
    assert!(lost.is_empty());
}

#[test]
fn a_filtered_answer_has_no_parts() {
    let choice = Choice { stop: Some(StopReason::ContentFilter), ..Choice::default() };
    let (body, _) = write(&ChatReply { choices: vec![choice], ..ChatReply::default() });
    let expect = json!({"content": {"role": "model"}, "finishReason": "SAFETY", "index": 0});
    assert_eq!(body["candidates"][0], expect);
}

#[test]
fn counts_and_vectors_have_googles_form() {
    assert_eq!(encode_count(31), br#"{"totalTokens":31}"#);
    let reply = EmbeddingReply {
        model: "m".to_owned(),
        data: vec![Embedding(vec![0.5, -1.0]), Embedding(vec![0.25])],
        usage: Usage { input_tokens: 4, ..Usage::default() },
    };
    assert_eq!(
        encode_embed_reply(&reply),
        br#"{"embedding":{"values":[0.5,-1.0]},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"#
    );
    let batch: Value = serde_json::from_slice(&encode_batch_embed_reply(&reply)).unwrap();
    assert_eq!(batch["embeddings"], json!([{"values": [0.5, -1.0]}, {"values": [0.25]}]));
}

#[test]
fn every_status_has_googles_word() {
    let error =
        |status| CallerError { status, kind: None, message: "m", param: None, code: None, request_id: None };
    for (status, word) in [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (402, "PERMISSION_DENIED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (408, "DEADLINE_EXCEEDED"),
        (409, "ALREADY_EXISTS"),
        (413, "INVALID_ARGUMENT"),
        (422, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (529, "UNAVAILABLE"),
    ] {
        let body = String::from_utf8(encode_error(&error(status))).unwrap();
        assert_eq!(body, format!(r#"{{"error":{{"code":{status},"message":"m","status":"{word}"}}}}"#));
    }
    let error = CallerError {
        status: 400,
        kind: Some("invalid_request_error"),
        message: "is wrong",
        param: Some("contents[0]"),
        code: None,
        request_id: None,
    };
    let body: Value = serde_json::from_slice(&encode_error(&error)).unwrap();
    let violation = json!([{"field": "contents[0]", "description": "is wrong"}]);
    assert_eq!(body["error"]["details"][0]["fieldViolations"], violation);
    assert_eq!(body["error"]["details"][1]["reason"], "invalid_request_error");
    let named = encode_error(&CallerError { request_id: Some("r"), ..error });
    let body: Value = serde_json::from_slice(&named).unwrap();
    assert_eq!(body["error"]["details"][2]["requestId"], "r");
}
