//! Whole answers of Gemini, in the shapes of Google's reference.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Issuer, MediaSource, Native, Part, Signature, StopReason, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::gemini::decode_reply;
use tollgate_dialect::wire::{Dialect, Reading, ReplyFault};

fn decode(reply: &Value) -> Result<ChatReply, ReplyFault> {
    decode_reply(reply.to_string().as_bytes(), &Reading { id_seed: 7, ..Reading::default() })
}

/// An answer of one candidate with these parts.
fn answer(parts: Value, finish: &str) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}]})
}

/// The parts of the answer's only choice.
fn check_parts(parts: Value, expect: Vec<Part>) {
    let reply = decode(&answer(parts.clone(), "STOP")).unwrap();
    assert_eq!(reply.choices.len(), 1);
    assert_eq!(reply.choices[0].parts, expect, "{parts}");
}

fn check_usage(metadata: Value, expect: Usage) {
    let mut reply = answer(json!([{"text": "x"}]), "STOP");
    reply["usageMetadata"] = metadata.clone();
    assert_eq!(decode(&reply).unwrap().usage, expect, "{metadata}");
}

fn google(text: &str) -> Signature {
    Signature::new(Issuer::Google, text)
}

fn thought(text: &str, signature: Option<&str>) -> Part {
    Part::Reasoning { text: text.to_owned(), signature: signature.map(google) }
}

#[test]
fn an_answer_as_google_documents_it() {
    let reply = decode(&json!({
        "candidates": [{
            "content": {"parts": [{"text": "AI learns patterns from data."}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
            "avgLogprobs": -0.1,
        }],
        "usageMetadata": {
            "promptTokenCount": 8,
            "candidatesTokenCount": 6,
            "totalTokenCount": 30,
            "thoughtsTokenCount": 16,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "resp-1",
    }));
    let choice = Choice {
        index: 0,
        parts: vec![Part::text("AI learns patterns from data.")],
        stop: Some(StopReason::Stop),
        ..Choice::default()
    };
    let usage = Usage { input_tokens: 8, output_tokens: 22, reasoning_tokens: 16, ..Usage::default() };
    let expect = ChatReply {
        id: "resp-1".to_owned(),
        model: "gemini-2.5-flash".to_owned(),
        choices: vec![choice],
        usage,
        ..ChatReply::default()
    };
    assert_eq!(reply, Ok(expect));
}

#[test]
fn pieces_of_one_text_are_one_part() {
    check_parts(json!([{"text": "Hel"}, {"text": "lo"}, {"text": ""}]), vec![Part::text("Hello")]);
    check_parts(
        json!([{"text": "a", "thought": true}, {"text": "b", "thought": true}, {"text": "c"}]),
        vec![thought("ab", None), Part::text("c")],
    );
    check_parts(json!([]), Vec::new());
}

#[test]
fn a_signature_stays_with_what_it_signs() {
    check_parts(
        json!([{"text": "a", "thought": true, "thoughtSignature": "U0lH"}]),
        vec![thought("a", Some("U0lH"))],
    );
    check_parts(
        json!([{"text": "a", "thought": true, "thoughtSignature": "QQ=="}, {"text": "b", "thought": true, "thoughtSignature": "Qg=="}]),
        vec![thought("a", Some("QQ==")), thought("b", Some("Qg=="))],
    );
    check_parts(
        json!([{"text": "a", "thought": true}, {"text": "b", "thoughtSignature": "U0lH"}]),
        vec![thought("a", None), Part::text("b"), thought("", Some("U0lH"))],
    );
    check_parts(json!([{"text": "", "thoughtSignature": "U0lH"}]), vec![thought("", Some("U0lH"))]);
    let call = |signature: Option<&str>| Part::ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: signature.map(google),
    };
    check_parts(
        json!([
            {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "U0lH"},
            {"functionCall": {"id": "c", "name": "f"}},
        ]),
        vec![call(Some("U0lH")), call(None)],
    );
}

fn ids(reply: &ChatReply) -> Vec<String> {
    let parts = reply.choices.iter().flat_map(|choice| &choice.parts);
    parts
        .filter_map(|part| if let Part::ToolCall { id, .. } = part { Some(id.clone()) } else { None })
        .collect()
}

#[test]
fn calls_end_the_turn_and_get_ids_that_stay_the_same() {
    let parts = json!([
        {"functionCall": {"name": "get_weather", "args": {"city": "Rome", "days": 2}}},
        {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}, "id": "google-1"}},
        {"functionCall": {"name": "get_time"}},
    ]);
    let reply = decode(&answer(parts.clone(), "STOP")).unwrap();
    assert_eq!(reply.choices[0].stop, Some(StopReason::ToolCalls));
    let Part::ToolCall { name, arguments, .. } = &reply.choices[0].parts[0] else { panic!("no call") };
    assert_eq!((name.as_str(), arguments.as_str()), ("get_weather", r#"{"city":"Rome","days":2}"#));

    let made = ids(&reply);
    assert_eq!(made[1], "google-1");
    for id in [&made[0], &made[2]] {
        let digits = id.strip_prefix("call_").unwrap();
        assert_eq!(digits.len(), 24);
        assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    assert_ne!(made[0], made[2]);
    assert_eq!(made, ids(&decode(&answer(parts.clone(), "STOP")).unwrap()));
    let other = Reading { id_seed: 8, ..Reading::default() };
    let others = ids(&decode_reply(answer(parts, "STOP").to_string().as_bytes(), &other).unwrap());
    assert!(made[0] != others[0] && made[2] != others[2]);
}

#[test]
fn pictures_and_sounds_are_parts() {
    let source =
        |media_type: &str| MediaSource::Base64 { media_type: media_type.to_owned(), data: "QUJD".to_owned() };
    check_parts(
        json!([
            {"text": "Here:"},
            {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}},
        ]),
        vec![
            Part::text("Here:"),
            Part::Image { source: source("image/png"), detail: None, cache_control: None },
            Part::Audio { source: source("audio/wav"), format: "wav".to_owned(), transcript: None },
        ],
    );
}

#[test]
fn what_ran_at_google_is_native_and_whole() {
    let code =
        json!({"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "QQ=="});
    let result = json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}});
    let native = |value: &Value| Part::Native(Native { dialect: Dialect::Gemini, value: value.clone() });
    let expect = vec![native(&code), native(&result), Part::text("One.")];
    check_parts(json!([code, result, {"text": "One."}]), expect);
}

#[test]
fn every_finish_reason_has_its_stop_reason() {
    use StopReason::{ContentFilter, Length, MalformedToolCall, Recitation, Stop};
    let table = [
        ("STOP", Stop),
        ("MAX_TOKENS", Length),
        ("SAFETY", ContentFilter),
        ("RECITATION", Recitation),
        ("LANGUAGE", ContentFilter),
        ("OTHER", ContentFilter),
        ("BLOCKLIST", ContentFilter),
        ("PROHIBITED_CONTENT", ContentFilter),
        ("SPII", ContentFilter),
        ("IMAGE_SAFETY", ContentFilter),
        ("IMAGE_PROHIBITED_CONTENT", ContentFilter),
        ("IMAGE_RECITATION", Recitation),
        ("IMAGE_OTHER", ContentFilter),
        ("MODEL_ARMOR", ContentFilter),
        ("MALFORMED_FUNCTION_CALL", MalformedToolCall),
        ("UNEXPECTED_TOOL_CALL", MalformedToolCall),
        ("ESCALATION", ContentFilter),
        ("CONTINUATION", Length),
        ("TOO_MANY_TOOL_CALLS", Stop),
        ("MALFORMED_RESPONSE", Stop),
        ("NO_IMAGE", Stop),
        ("NEWER_THAN_THIS_TABLE", Stop),
    ];
    for (reason, stop) in table {
        let reply = decode(&answer(json!([{"text": "x"}]), reason)).unwrap();
        assert_eq!(reply.choices[0].stop, Some(stop), "{reason}");
    }
    let unspecified = decode(&answer(json!([{"text": "x"}]), "FINISH_REASON_UNSPECIFIED")).unwrap();
    assert_eq!(unspecified.choices[0].stop, None);
}

#[test]
fn a_limit_or_a_filter_stays_what_it_is_beside_a_call() {
    let call = json!([{"functionCall": {"name": "f", "args": {}}}]);
    for (reason, stop) in [("MAX_TOKENS", StopReason::Length), ("SAFETY", StopReason::ContentFilter)] {
        assert_eq!(decode(&answer(call.clone(), reason)).unwrap().choices[0].stop, Some(stop));
    }
}

#[test]
fn a_filtered_candidate_has_no_content() {
    let reply = decode(&json!({"candidates": [{"finishReason": "SAFETY", "safetyRatings": []}]})).unwrap();
    let expect = Choice { stop: Some(StopReason::ContentFilter), ..Choice::default() };
    assert_eq!(reply.choices, [expect]);
}

#[test]
fn a_blocked_prompt_is_a_filtered_choice_that_was_paid_for() {
    let reply = decode(&json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12},
        "modelVersion": "gemini-2.5-pro",
    }))
    .unwrap();
    assert_eq!(reply.choices, [Choice { stop: Some(StopReason::ContentFilter), ..Choice::default() }]);
    assert_eq!(reply.usage, Usage { input_tokens: 12, ..Usage::default() });
}

#[test]
fn several_candidates_keep_their_numbers() {
    let candidate = |text: &str| json!({"content": {"parts": [{"text": text}]}, "finishReason": "STOP"});
    let mut second = candidate("two");
    second["index"] = json!(1);
    let reply = decode(&json!({"candidates": [candidate("one"), second]})).unwrap();
    let indices: Vec<u64> = reply.choices.iter().map(|choice| choice.index).collect();
    assert_eq!(indices, [0, 1]);
    assert_eq!(reply.choices[1].parts, [Part::text("two")]);
}

#[test]
fn calls_of_different_candidates_have_different_ids() {
    let candidate =
        |index: u64| json!({"content": {"parts": [{"functionCall": {"name": "f"}}]}, "index": index});
    let made = ids(&decode(&json!({"candidates": [candidate(0), candidate(1)]})).unwrap());
    assert_eq!(made.len(), 2);
    assert_ne!(made[0], made[1]);
}

#[test]
fn usage_counts_every_token_once() {
    check_usage(
        json!({
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 600,
            "toolUsePromptTokenCount": 50,
            "candidatesTokenCount": 70,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 1150,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 700},
                {"modality": "IMAGE", "tokenCount": 258},
                {"modality": "AUDIO", "tokenCount": 42},
            ],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "IMAGE", "tokenCount": 10}],
            "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}],
        }),
        Usage {
            input_tokens: 1050,
            cached_tokens: 600,
            tool_prompt_tokens: 50,
            input_audio_tokens: 43,
            input_image_tokens: 258,
            output_tokens: 100,
            reasoning_tokens: 30,
            output_image_tokens: 10,
            ..Usage::default()
        },
    );
}

#[test]
fn thoughts_that_the_candidates_count_holds_are_not_added_again() {
    let counts = |candidates: u64, total: u64| json!({"promptTokenCount": 10, "candidatesTokenCount": candidates, "thoughtsTokenCount": 30, "totalTokenCount": total});
    let usage =
        |output_tokens| Usage { input_tokens: 10, output_tokens, reasoning_tokens: 30, ..Usage::default() };
    check_usage(counts(70, 110), usage(100));
    check_usage(counts(70, 80), usage(70));
    check_usage(json!({"promptTokenCount": 10, "thoughtsTokenCount": 30, "totalTokenCount": 40}), usage(30));
    check_usage(
        json!({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 30}),
        usage(35),
    );
}

#[test]
fn searches_are_counted_for_those_who_bill_them() {
    let mut reply = answer(json!([{"text": "x"}]), "STOP");
    reply["candidates"][0]["groundingMetadata"] =
        json!({"webSearchQueries": ["a", "b"], "groundingChunks": []});
    assert_eq!(decode(&reply).unwrap().usage.web_search_requests, 2);
}

#[test]
fn log_probabilities_take_openais_form() {
    let mut reply = answer(json!([{"text": "Hé"}]), "STOP");
    reply["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates": [{"token": "H", "tokenId": 1, "logProbability": -0.5}, {"token": "é", "tokenId": 2}],
        "topCandidates": [{"candidates": [{"token": "H", "logProbability": -0.5}, {"token": "J", "logProbability": -1.5}]}],
    });
    let expect = json!({
        "content": [
            {"token": "H", "logprob": -0.5, "bytes": [72], "top_logprobs": [
                {"token": "H", "logprob": -0.5, "bytes": [72]},
                {"token": "J", "logprob": -1.5, "bytes": [74]},
            ]},
            {"token": "é", "logprob": 0.0, "bytes": [195, 169], "top_logprobs": []},
        ],
        "refusal": null,
    });
    assert_eq!(decode(&reply).unwrap().choices[0].logprobs, Some(expect));
}

#[test]
fn an_error_in_the_place_of_an_answer_is_an_error() {
    let error =
        json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    for body in [error.clone(), json!([error])] {
        let Err(ReplyFault::Error(error)) = decode(&body) else { panic!("{body} passed") };
        assert_eq!((error.class, error.status), (FailureClass::Overloaded, 503));
        assert_eq!(error.message, "The model is overloaded.");
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    let bodies: &[&[u8]] = &[
        b"",
        b"<html>502</html>",
        b"{\"candidates\":[",
        b"null",
        b"[]",
        b"[{}]",
        b"{}",
        b"\"text\"",
        b"{\"candidates\":[]}",
        b"{\"candidates\":{}}",
        b"{\"candidates\":[1]}",
        b"{\"candidates\":[{\"content\":[]}]}",
        b"{\"candidates\":[{\"content\":{\"parts\":{}}}]}",
        b"{\"candidates\":[{\"content\":{\"parts\":[\"x\"]}}]}",
        b"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":5}]}}]}",
        b"{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}",
        b"{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":[]}}]}}]}",
        b"{\"candidates\":[{\"index\":-1}]}",
        b"{\"candidates\":[{\"finishReason\":2}]}",
        b"{\"promptFeedback\":{\"blockReason\":\"BLOCKED_REASON_UNSPECIFIED\"}}",
        b"\xff\xfe{}",
    ];
    for body in bodies {
        let fault = decode_reply(body, &Reading::default());
        assert!(matches!(fault, Err(ReplyFault::Malformed(_))), "{}", String::from_utf8_lossy(body));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_fail_otherwise_than_by_a_fault(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_reply(&body, &Reading::default()).is_err());
    }

    #[test]
    fn a_damaged_answer_never_panics(at in 0usize..600, byte in any::<u8>(), cut in 0usize..600) {
        let reply = json!({
            "candidates": [{
                "content": {"parts": [
                    {"text": "a", "thought": true, "thoughtSignature": "QQ=="},
                    {"functionCall": {"name": "f", "args": {"x": [1, 2.5, null]}, "id": "1"}},
                    {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
                ]},
                "finishReason": "STOP",
                "logprobsResult": {"chosenCandidates": [{"token": "H"}], "topCandidates": [{"candidates": []}]},
            }],
            "usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
        });
        let mut body = reply.to_string().into_bytes();
        let length = body.len();
        body[at % length] = byte;
        body.truncate(length - cut % 3);
        let _ = decode_reply(&body, &Reading::default());
    }
}
