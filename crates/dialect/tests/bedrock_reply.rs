//! Converse replies, read from a provider and written for a caller.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::bedrock::{decode_count_reply, decode_reply, encode_reply};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, MediaSource, Native, Part, PlaceUnit, Signature, SourcePlace,
    StopReason, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::wire::{Dialect, Losses, Reading, ReplyFacts, ReplyFault};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-lite-v1:0";

fn of(model: &str) -> Reading {
    Reading { model: model.to_owned(), ..Reading::default() }
}

fn body(content: Value, stop: &str) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
        "metrics": {"latencyMs": 120},
    })
}

fn decode(body: Value, reading: &Reading) -> ChatReply {
    decode_reply(body.to_string().as_bytes(), reading).unwrap()
}

fn parts(content: Value, reading: &Reading) -> Vec<Part> {
    decode(body(content, "end_turn"), reading).choices.remove(0).parts
}

fn reply(parts: Vec<Part>, stop: StopReason) -> ChatReply {
    let choice = Choice { parts, stop: Some(stop), ..Choice::default() };
    ChatReply { choices: vec![choice], ..ChatReply::default() }
}

fn encode(reply: &ChatReply) -> (Value, Vec<String>) {
    let mut lost = Losses::default();
    let bytes = encode_reply(reply, &ReplyFacts::default(), &mut lost);
    (serde_json::from_slice(&bytes).unwrap(), lost.names().map(str::to_owned).collect())
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature: None,
    }
}

#[test]
fn a_whole_reply_is_read() {
    let mut whole = body(
        json!([
            {"reasoningContent": {"reasoningText": {"text": "so", "signature": "EqQB"}}},
            {"reasoningContent": {"redactedContent": "aGk="}},
            {"text": "hi"},
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1.0}}},
        ]),
        "tool_use",
    );
    whole["usage"] = json!({
        "inputTokens": 3, "outputTokens": 4, "totalTokens": 37, "cacheReadInputTokens": 10,
        "cacheWriteInputTokens": 20, "cacheDetails": [{"ttl": "1h", "inputTokens": 15}],
    });
    whole["serviceTier"] = json!({"type": "flex"});
    whole["trace"] = json!({"guardrail": {}});
    let found = decode(whole, &of(CLAUDE));
    assert_eq!((found.id.as_str(), found.model.as_str()), ("", CLAUDE));
    assert_eq!(found.service_tier.as_deref(), Some("flex"));
    assert_eq!(
        found.usage,
        Usage {
            input_tokens: 33,
            cached_tokens: 10,
            cache_write_tokens: 5,
            cache_write_1h_tokens: 15,
            output_tokens: 4,
            ..Usage::default()
        }
    );
    let signed = |text: &str| Signature::new(Issuer::Anthropic, text);
    assert_eq!(
        found.choices[0].parts,
        [
            Part::Reasoning { text: "so".to_owned(), signature: Some(signed("EqQB")) },
            Part::RedactedReasoning { data: signed("aGk=") },
            Part::text("hi"),
            call("t", r#"{"a":1.0}"#),
        ]
    );
    assert_eq!(found.choices[0].stop, Some(StopReason::ToolCalls));
}

#[test]
fn reasoning_is_signed_by_the_models_maker() {
    let content = || json!([{"reasoningContent": {"reasoningText": {"text": "so", "signature": "x"}}}]);
    for (model, issuer) in [(CLAUDE, Issuer::Anthropic), (NOVA, Issuer::Amazon), ("", Issuer::Amazon)] {
        let signature = Some(Signature::new(issuer, "x"));
        assert_eq!(parts(content(), &of(model)), [Part::Reasoning { text: "so".to_owned(), signature }]);
    }
}

#[test]
fn which_stop_text_hit_is_told() {
    let mut stopped = body(json!([{"text": "a"}]), "stop_sequence");
    stopped["additionalModelResponseFields"] = json!({"stop_sequence": "END"});
    let choice = decode(stopped, &of(CLAUDE)).choices.remove(0);
    assert_eq!((choice.stop, choice.stop_sequence.as_deref()), (Some(StopReason::StopSequence), Some("END")));
    let mut ended = body(json!([{"text": "a"}]), "end_turn");
    ended["additionalModelResponseFields"] = json!({"stop_sequence": null});
    assert_eq!(decode(ended, &of(CLAUDE)).choices[0].stop_sequence, None);
}

#[test]
fn an_answer_that_calls_tools_has_not_simply_ended() {
    let content = json!([{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]);
    assert_eq!(decode(body(content, "end_turn"), &of(NOVA)).choices[0].stop, Some(StopReason::ToolCalls));
}

#[test]
fn the_answer_tools_input_is_the_answer() {
    let reading = Reading { answer_tool: Some("json_tool_call".to_owned()), ..of(CLAUDE) };
    let answer = |n: u64| json!({"toolUse": {"toolUseId": "t", "name": "json_tool_call", "input": {"n": n}}});
    let found = decode(body(json!([{"text": "here"}, answer(1), answer(2)]), "tool_use"), &reading);
    assert_eq!(found.choices[0].parts, [Part::text(r#"{"n":1}"#)]);
    assert_eq!(found.choices[0].stop, Some(StopReason::Stop));
    let other = json!([{"text": "no"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]);
    let found = decode(body(other, "tool_use"), &reading);
    assert_eq!(found.choices[0].parts, [Part::text("no"), call("t", "{}")]);
    assert_eq!(found.choices[0].stop, Some(StopReason::ToolCalls));
}

#[test]
fn what_amazons_tools_did_and_new_blocks_are_kept_whole() {
    for block in [
        json!({"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}),
        json!({"toolResult": {"toolUseId": "t", "content": [], "type": "x"}}),
        json!({"tomorrow": {"a": 1}}),
        json!({"image": {"format": "avif", "source": {"bytes": "aGk="}}}),
    ] {
        let native = Part::Native(Native { dialect: Dialect::Bedrock, value: block.clone() });
        assert_eq!(parts(json!([block]), &of(NOVA)), [native]);
    }
}

#[test]
fn citations_come_with_their_text() {
    let citation = json!({
        "title": "T", "sourceContent": [{"text": "q"}],
        "location": {"documentChar": {"documentIndex": 1, "start": 2, "end": 5}},
    });
    let content = json!([{"citationsContent": {"content": [{"text": "so"}], "citations": [citation]}}]);
    let expect = Citation {
        title: Some("T".to_owned()),
        quote: Some("q".to_owned()),
        document: Some(1),
        place: Some(SourcePlace { unit: PlaceUnit::Characters, start: 2, end: 5 }),
        native: Some(Native { dialect: Dialect::Bedrock, value: citation }),
        ..Citation::default()
    };
    let expect = Part::Text { text: "so".to_owned(), cache_control: None, citations: vec![expect] };
    let expect = vec![expect];
    assert_eq!(parts(content.clone(), &of(CLAUDE)), expect);
    assert_eq!(encode(&reply(expect, StopReason::Stop)).0["output"]["message"]["content"], content);
}

#[test]
fn what_is_no_reply_is_told() {
    let fault = |text: &str| decode_reply(text.as_bytes(), &of(CLAUDE)).unwrap_err();
    for text in ["", "[]", "{}", r#"{"output":{}}"#, r#"{"output":{"message":{"content":["x"]}}}"#] {
        assert!(matches!(fault(text), ReplyFault::Malformed(_)), "{text}");
    }
    let call = r#"{"output":{"message":{"content":[{"toolUse":{"name":"f","input":{}}}]}}}"#;
    assert!(matches!(fault(call), ReplyFault::Malformed(_)));
    let error = r#"{"__type":"com.amazon#ThrottlingException","message":"slow down"}"#;
    match fault(error) {
        ReplyFault::Error(error) => {
            assert_eq!((error.class, error.status), (FailureClass::RateLimit, 429));
            assert_eq!(error.message, "slow down");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_gets_every_member_that_a_reply_has() {
    let mut answer = reply(vec![Part::text("hi"), call("t", "")], StopReason::StopSequence);
    answer.choices[0].stop_sequence = Some("END".to_owned());
    answer.service_tier = Some("default".to_owned());
    answer.usage = Usage {
        input_tokens: 100,
        cached_tokens: 10,
        cache_write_tokens: 20,
        cache_write_1h_tokens: 30,
        output_tokens: 7,
        ..Usage::default()
    };
    let (found, lost) = encode(&answer);
    assert_eq!(
        found,
        json!({
            "output": {"message": {"role": "assistant", "content": [
                {"text": "hi"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}},
            ]}},
            "stopReason": "stop_sequence",
            "usage": {
                "inputTokens": 40, "outputTokens": 7, "totalTokens": 107, "cacheReadInputTokens": 10,
                "cacheWriteInputTokens": 50,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 20}],
            },
            "metrics": {"latencyMs": 0},
            "additionalModelResponseFields": {"stop_sequence": "END"},
            "serviceTier": {"type": "default"},
        })
    );
    assert!(lost.is_empty());
}

#[test]
fn what_a_caller_cannot_be_told_is_named() {
    let check = |part: Part, expect: Value, expect_lost: &[&str]| {
        let (found, lost) = encode(&reply(vec![part.clone()], StopReason::Stop));
        assert_eq!(found["output"]["message"]["content"], expect, "{part:?}");
        assert_eq!(lost, expect_lost, "{part:?}");
    };
    check(Part::Refusal("no".to_owned()), json!([{"text": "no"}]), &[]);
    check(Part::text(""), json!([]), &[]);
    check(
        call("t", "not json"),
        json!([{"toolUse": {"toolUseId": "t", "name": "f", "input": "not json"}}]),
        &[],
    );
    let custom = Part::ToolCall {
        id: "t".to_owned(),
        name: "f".to_owned(),
        arguments: "free".to_owned(),
        is_custom: true,
        signature: None,
    };
    check(custom, json!([{"toolUse": {"toolUseId": "t", "name": "f", "input": {"input": "free"}}}]), &[]);
    let image = |source| Part::Image { source, detail: None, cache_control: None };
    let bytes = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "aGk=".to_owned() };
    check(image(bytes), json!([{"image": {"format": "png", "source": {"bytes": "aGk="}}}]), &[]);
    check(image(MediaSource::Url("https://example.org".to_owned())), json!([]), &["image"]);
    let sound = Part::Audio {
        source: MediaSource::FileId("a".to_owned()),
        format: "wav".to_owned(),
        transcript: Some("hello".to_owned()),
    };
    check(sound, json!([{"text": "hello"}]), &["audio"]);
    let foreign = Native { dialect: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) };
    check(Part::Native(foreign), json!([]), &["server_tool_use"]);
    let mut two = reply(vec![Part::text("a")], StopReason::Stop);
    two.choices.push(Choice { index: 1, parts: vec![Part::text("b")], ..Choice::default() });
    assert_eq!(encode(&two).1, ["n"]);
    let mut tier = reply(vec![Part::text("a")], StopReason::Stop);
    tier.service_tier = Some("scale".to_owned());
    assert_eq!(encode(&tier).1, ["service_tier"]);
}

#[test]
fn signatures_of_other_makers_travel_through() {
    for issuer in [Issuer::Anthropic, Issuer::Google, Issuer::OpenAi, Issuer::Amazon] {
        let signature = Signature::new(issuer, "abcd");
        let said = vec![
            Part::Reasoning { text: "so".to_owned(), signature: Some(signature.clone()) },
            Part::RedactedReasoning { data: signature },
            Part::text("hi"),
        ];
        let (found, _) = encode(&reply(said.clone(), StopReason::Stop));
        assert_eq!(decode(found, &of(CLAUDE)).choices[0].parts, said, "{issuer:?}");
    }
    let signed = Part::ToolCall {
        id: "t".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: Some(Signature::new(Issuer::Google, "G")),
    };
    let (found, _) = encode(&reply(vec![signed.clone()], StopReason::ToolCalls));
    assert_eq!(decode(found, &of(CLAUDE)).choices[0].parts, [signed]);
}

#[test]
fn a_count_of_tokens_is_read() {
    assert_eq!(decode_count_reply(br#"{"inputTokens":12}"#), Ok(12));
    assert!(matches!(decode_count_reply(b"{}"), Err(ReplyFault::Malformed(_))));
    assert!(matches!(decode_count_reply(br#"{"message":"no"}"#), Err(ReplyFault::Error(_))));
}

fn any_part() -> impl Strategy<Value = Part> {
    let signature = || {
        ("[a-zA-Z0-9+/]{1,9}", 0..3_usize).prop_map(|(text, issuer)| {
            let issuer = [Issuer::Anthropic, Issuer::OpenAi, Issuer::Amazon][issuer];
            Signature::new(issuer, text)
        })
    };
    let arguments =
        prop_oneof![Just("{}".to_owned()), Just(r#"{"a":[1,"é",null],"b":{"c":0.5}}"#.to_owned())];
    let citation = ("\\PC{1,9}", 0..9_u64, 0..3_usize).prop_map(|(title, start, unit)| Citation {
        title: Some(title),
        document: Some(start),
        place: Some(SourcePlace {
            unit: [PlaceUnit::Characters, PlaceUnit::Pages, PlaceUnit::Blocks][unit],
            start,
            end: start + 1,
        }),
        ..Citation::default()
    });
    prop_oneof![
        "\\PC{1,12}".prop_map(Part::text),
        ("\\PC{1,9}", prop::collection::vec(citation, 1..3)).prop_map(|(text, citations)| Part::Text {
            text,
            cache_control: None,
            citations
        }),
        ("\\PC{0,9}", prop::option::of(signature()))
            .prop_map(|(text, signature)| Part::Reasoning { text, signature }),
        signature().prop_map(|data| Part::RedactedReasoning { data }),
        ("[a-z0-9_.:-]{1,9}", arguments).prop_map(|(id, arguments)| call(&id, &arguments)),
    ]
}

/// Citations know their own words once they have been read.
fn without_words(mut parts: Vec<Part>) -> Vec<Part> {
    for part in &mut parts {
        if let Part::Text { citations, .. } = part {
            citations.iter_mut().for_each(|citation| citation.native = None);
        }
    }
    parts
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(
        parts in prop::collection::vec(any_part(), 0..6),
        counts in prop::collection::vec(0..1_000_u64, 5),
        stop in 0..8_usize,
    ) {
        let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        let stops = [
            StopReason::StopSequence, StopReason::Length, StopReason::ContextWindow, StopReason::ContentFilter,
            StopReason::Refusal, StopReason::MalformedToolCall, StopReason::ToolCalls, StopReason::Stop,
        ];
        let stop = if calls_tools && stops[stop] == StopReason::Stop { StopReason::ToolCalls } else { stops[stop] };
        let mut answer = reply(parts, stop);
        answer.usage = Usage {
            input_tokens: counts.iter().take(4).sum(),
            cached_tokens: counts[0],
            cache_write_tokens: counts[1],
            cache_write_1h_tokens: counts[2],
            output_tokens: counts[4],
            ..Usage::default()
        };
        answer.model = CLAUDE.to_owned();
        let (written, lost) = encode(&answer);
        prop_assert!(lost.is_empty());
        let mut found = decode(written, &of(CLAUDE));
        found.choices[0].parts = without_words(std::mem::take(&mut found.choices[0].parts));
        prop_assert_eq!(found, answer);
    }
}
