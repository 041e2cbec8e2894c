//! The relay changes what it must and nothing else: held to the same edits made slowly on trees.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod fast_support;

use bytes::Bytes;
use fast_support::Dice;
use proptest::prelude::*;
use serde_json::{Value as Tree, json};
use tollgate_dialect::conversation::Usage;
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::relay::{OpenAiRelay, RelayOptions};
use tollgate_dialect::wire::{Progress, ReplyFault, Transducer};

/// What came of a stream: every byte passed on, what was learned, and the fault that ended it.
#[derive(Debug, PartialEq)]
struct Relayed {
    text: String,
    progress: Progress,
    fault: Option<ReplyFault>,
}

fn options(client_model: Option<&str>, hide_usage: bool) -> RelayOptions {
    RelayOptions {
        client_model: client_model.map(str::to_owned),
        hide_usage,
        demands_done: false,
        ..RelayOptions::default()
    }
}

fn relay_pieces(pieces: &[&[u8]], options: &RelayOptions) -> (Vec<Bytes>, Relayed) {
    let mut relay = OpenAiRelay::new(options.clone());
    let mut out = Vec::new();
    let mut fault = None;
    for piece in pieces {
        if let Err(error) = relay.push(Bytes::copy_from_slice(piece), &mut out) {
            fault = Some(error);
            break;
        }
    }
    if fault.is_none() {
        fault = relay.finish(&mut out).err();
    }
    let text = String::from_utf8(out.concat()).expect("text");
    (out, Relayed { text, progress: relay.progress().clone(), fault })
}

fn relay(stream: &str, options: &RelayOptions) -> Relayed {
    relay_pieces(&[stream.as_bytes()], options).1
}

/// Relays whole, cut at every place, and byte by byte; all must agree.
fn relay_every_way(stream: &str, options: &RelayOptions) -> Relayed {
    let whole = relay(stream, options);
    let bytes = stream.as_bytes();
    for cut in 0..=bytes.len() {
        let (before, after) = bytes.split_at(cut);
        assert_eq!(relay_pieces(&[before, after], options).1, whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(relay_pieces(&single, options).1, whole, "byte by byte");
    whole
}

fn chunk(delta: &Tree, finish: Option<&str>, usage: Option<&Tree>) -> Tree {
    let mut chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
    });
    if let Some(usage) = usage {
        chunk["usage"] = usage.clone();
    }
    chunk
}

fn usage_chunk() -> Tree {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [],
        "usage": {
            "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0},
        },
    })
}

fn frame(tree: &Tree) -> String {
    format!("data: {tree}\n\n")
}

/// What OpenAI sends when usage was asked for.
fn stream_with_usage() -> String {
    let null = Tree::Null;
    [
        frame(&chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None, Some(&null))),
        frame(&chunk(&json!({"content": "Gr\u{fc}\u{df} \"Gott\""}), None, Some(&null))),
        ": keep-alive\n\n".to_owned(),
        frame(&chunk(&json!({"content": " \u{1f600}\n"}), None, Some(&null))),
        frame(&chunk(&json!({}), Some("stop"), Some(&null))),
        frame(&usage_chunk()),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

/// What OpenAI sends when usage was not asked for.
fn stream_without_usage() -> String {
    stream_with_usage().replace(",\"usage\":null", "").replace(&frame(&usage_chunk()), "")
}

#[test]
fn a_stream_that_needs_no_change_is_passed_on_byte_for_byte() {
    let stream = stream_with_usage();
    let relayed = relay_every_way(&stream, &options(None, false));
    assert_eq!(relayed.text, stream);
    assert_eq!(relayed.fault, None);
    let expect = Usage {
        input_tokens: 11,
        cached_tokens: 4,
        output_tokens: 7,
        reasoning_tokens: 3,
        ..Usage::default()
    };
    assert_eq!(relayed.progress.usage, Some(expect));
    assert!(relayed.progress.content_started && relayed.progress.complete);
    assert_eq!(
        relayed.progress.content_bytes,
        ("Gr\u{fc}\u{df} \"Gott\"".len() + " \u{1f600}\n".len()) as u64
    );
}

#[test]
fn a_chunk_that_needs_no_change_is_the_same_bytes_not_a_copy() {
    let chunk = Bytes::from(stream_with_usage());
    let mut out = Vec::new();
    OpenAiRelay::new(options(None, false)).push(chunk.clone(), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].as_ptr(), out[0].len()), (chunk.as_ptr(), chunk.len()));
    // The model's name is the same already.
    let mut out = Vec::new();
    OpenAiRelay::new(options(Some("gpt-4o-2024-08-06"), false)).push(chunk.clone(), &mut out).unwrap();
    assert_eq!((out.len(), out[0].as_ptr()), (1, chunk.as_ptr()));
}

#[test]
fn usage_that_the_caller_did_not_ask_for_leaves_no_trace() {
    let relayed = relay_every_way(&stream_with_usage(), &options(None, true));
    assert_eq!(relayed.text, stream_without_usage());
    assert_eq!(relayed.progress.usage.unwrap().input_tokens, 11);
}

#[test]
fn the_model_is_called_by_the_callers_name_in_every_chunk() {
    let relayed = relay_every_way(&stream_with_usage(), &options(Some("my \"alias\""), false));
    assert_eq!(relayed.text, stream_with_usage().replace("gpt-4o-2024-08-06", "my \\\"alias\\\""));
    let relayed = relay_every_way(&stream_with_usage(), &options(Some("alias"), true));
    assert_eq!(relayed.text, stream_without_usage().replace("gpt-4o-2024-08-06", "alias"));
}

#[test]
fn one_piece_at_most_comes_of_a_chunk() {
    let stream = stream_with_usage();
    for (model, hide_usage) in [(None, false), (None, true), (Some("alias"), true)] {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(100).collect();
        let (out, _) = relay_pieces(&pieces, &options(model, hide_usage));
        assert!(out.len() <= pieces.len(), "{} of {}", out.len(), pieces.len());
        assert!(out.iter().all(|piece| !piece.is_empty()));
    }
}

#[test]
fn members_are_edited_wherever_they_stand_and_however_they_are_spelt() {
    let check = |data: &str, expect: &str| {
        let stream = format!("data: {data}\n\ndata: [DONE]\n\n");
        let relayed = relay(&stream, &options(Some("a"), true));
        let expect = if expect.is_empty() { String::new() } else { format!("data: {expect}\n\n") };
        assert_eq!(relayed.text, format!("{expect}data: [DONE]\n\n"), "{data}");
        assert_eq!(relayed.fault, None, "{data}");
    };
    let choices = r#""choices":[{"index":0}]"#;
    check(&format!(r#"{{"usage":null,"model":"b",{choices}}}"#), &format!(r#"{{"model":"a",{choices}}}"#));
    check(&format!(r#"{{"model":"b","usage":null,{choices}}}"#), &format!(r#"{{"model":"a",{choices}}}"#));
    check(&format!(r#"{{{choices},"model":"b","usage":null}}"#), &format!(r#"{{{choices},"model":"a"}}"#));
    check(
        &format!(r#"{{{choices} , "usage" : null , "model" : "b" }}"#),
        &format!(r#"{{{choices} , "model" : "a" }}"#),
    );
    check(&format!(r#"{{ "usage":{{}} , {choices}}}"#), &format!("{{ {choices}}}"));
    check(
        &format!(r#"{{"us\u0061ge":null,"\u006dodel":"b",{choices}}}"#),
        &format!(r#"{{"\u006dodel":"a",{choices}}}"#),
    );
    check(r#"{"usage":null}"#, "{}");
    check(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#, "");
    check(r#"{"choices":[ ],"usage":{}}"#, "");
    // Azure's first chunk has no choices, and tells about its filter.
    check(
        r#"{"choices":[],"model":"","prompt_filter_results":[],"usage":null}"#,
        r#"{"choices":[],"model":"a","prompt_filter_results":[]}"#,
    );
    // Text that looks like a member is text.
    let quoting = r#"{"choices":[{"delta":{"content":"\"usage\":null,\"model\":\"b\",\"error\":1"}}]}"#;
    check(quoting, quoting);
    let nested = r#"{"choices":[{"delta":{"model":"b","usage":null,"error":{}}}],"x":{"model":"b"}}"#;
    check(nested, nested);
}

#[test]
fn the_last_usage_counts_and_an_explicit_zero_is_kept() {
    let check = |usages: &[&str], expect: Option<(u64, u64)>| {
        let frames: String = usages
            .iter()
            .map(|usage| format!("data: {{\"choices\":[{{}}],\"usage\":{usage}}}\n\n"))
            .collect();
        let relayed = relay(&format!("{frames}data: [DONE]\n\n"), &options(None, false));
        let found = relayed.progress.usage.map(|usage| (usage.input_tokens, usage.output_tokens));
        assert_eq!(found, expect, "{usages:?}");
    };
    let (one, two) =
        (r#"{"prompt_tokens":5,"completion_tokens":1}"#, r#"{"prompt_tokens":5,"completion_tokens":2}"#);
    check(&[one, two], Some((5, 2)));
    check(&[one, "null"], Some((5, 1)));
    check(&[r#"{"prompt_tokens":0,"completion_tokens":0}"#], Some((0, 0)));
    check(&[one, r#"{"prompt_tokens":0,"completion_tokens":0}"#], Some((0, 0)));
    check(&["null"], None);
    check(&[r#"{"prompt_tokens":-5,"completion_tokens":1}"#], None);
    check(&[r#"{"prompt_tokens":1.5,"completion_tokens":1}"#], None);
    check(&[r#"{"prompt_tokens":1e300,"completion_tokens":1}"#], None);
    check(&[r#"{"prompt_tokens":"5","completion_tokens":1}"#], None);
    check(&[one, r#"{"prompt_tokens":99999999999999,"completion_tokens":1}"#], Some((5, 1)));
}

#[test]
fn what_the_caller_sees_as_content_starts_the_answer() {
    let check = |choice: Tree, content_started: bool, content_bytes: u64| {
        let stream = frame(&json!({"choices": [&choice]}));
        let progress = relay(&stream, &options(None, false)).progress;
        assert_eq!(
            (progress.content_started, progress.content_bytes),
            (content_started, content_bytes),
            "{choice}"
        );
    };
    check(json!({"delta": {"role": "assistant", "content": ""}}), false, 0);
    check(json!({"delta": {"role": "assistant", "content": null, "tool_calls": []}}), false, 0);
    check(json!({"delta": {}, "finish_reason": "stop"}), false, 0);
    check(json!({"delta": null}), false, 0);
    check(json!({"delta": {"content": "h\u{e9}\n"}}), true, 4);
    check(json!({"delta": {"reasoning_content": "hm"}}), true, 2);
    check(json!({"delta": {"reasoning": "hmm"}}), true, 3);
    check(json!({"delta": {"refusal": "no"}}), true, 2);
    check(
        json!({"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}}),
        true,
        0,
    );
    check(json!({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\""}}]}}), true, 4);
    check(json!({"delta": {"function_call": {"name": "f", "arguments": "{}"}}}), true, 2);
    check(json!({"delta": {"content": [{"type": "text"}]}}), true, r#"{"type":"text"}"#.len() as u64);
    check(json!({"delta": {"audio": {"data": "AAAA"}}}), true, 0);
    check(json!({"text": "once"}), true, 4);
    check(json!({"text": ""}), false, 0);
}

#[test]
fn an_error_in_the_stream_is_the_providers_error_and_is_not_passed_on() {
    let first = frame(&chunk(&json!({"content": "a"}), None, None));
    let check = |error: &str, class: FailureClass| {
        let relayed = relay_every_way(&format!("{first}{error}"), &options(None, false));
        assert_eq!(relayed.text, first, "what came before is passed on");
        match relayed.fault {
            Some(ReplyFault::Error(error)) => {
                assert_eq!((error.class, error.message.as_str()), (class, "Slow down."));
            }
            other => panic!("{error}: {other:?}"),
        }
    };
    let rate = r#"{"message":"Slow down.","type":"rate_limit_error"}"#;
    check(&format!("data: {{\"error\":{rate}}}\n\n"), FailureClass::RateLimit);
    check(&format!("event: error\ndata: {{\"error\":{rate}}}\n\n"), FailureClass::RateLimit);
    check(&format!("event: error\ndata: {rate}\n\n"), FailureClass::RateLimit);
    check("data: {\"error\":{\"message\":\"Slow down.\",\"code\":429}}\n\n", FailureClass::RateLimit);
    check(
        "data: {\"object\":\"error\",\"message\":\"Slow down.\",\"code\":503}\n\n",
        FailureClass::Overloaded,
    );
    check("data: {\"error\":{\"message\":\"Slow down.\"},\"choices\":[]}", FailureClass::Server);
}

#[test]
fn an_error_of_null_is_no_error() {
    let stream = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"error\":null}\n\ndata: [DONE]\n\n";
    assert_eq!(relay(stream, &options(None, false)).fault, None);
}

#[test]
fn what_is_no_chunk_is_malformed_and_is_not_passed_on() {
    let first = frame(&chunk(&json!({"content": "a"}), None, None));
    let check = |bad: &str| {
        let relayed =
            relay_every_way(&format!("{first}{bad}{first}"), &options(Some("gpt-4o-2024-08-06"), true));
        assert_eq!(relayed.text, first, "{bad}");
        assert!(matches!(relayed.fault, Some(ReplyFault::Malformed(_))), "{bad}: {:?}", relayed.fault);
    };
    check("data: <html>\n\n");
    check("data: {\"choices\":[\n\n");
    check("data: {\"choices\":[]}}\n\n");
    check("data: [1]\n\n");
    check("data: null\n\n");
    check("data: DONE\n\n");
    check("data: {\"model\":\"a\",\"model\":\"b\"}\n\n");
    check("data: {\"usage\":null,\"us\\u0061ge\":{}}\n\n");
    check(&format!("data: {{\"a\":{}1{}}}\n\n", "[".repeat(200), "]".repeat(200)));
}

#[test]
fn a_chunk_that_is_not_utf_8_is_malformed() {
    let (out, relayed) = relay_pieces(&[b"data: {\"a\":\"\xFF\"}\n\n"], &options(None, false));
    assert!(out.is_empty());
    assert!(matches!(relayed.fault, Some(ReplyFault::Malformed(_))));
}

#[test]
fn a_stream_without_its_end_mark_is_completed_only_after_a_finish_reason() {
    let text = frame(&chunk(&json!({"content": "a"}), None, None));
    let stop = frame(&chunk(&json!({}), Some("stop"), None));
    let early = Some(ReplyFault::Malformed("the stream ended early"));
    let done = "data: [DONE]\n\n";
    let check = |stream: String, expect: String, fault: &Option<ReplyFault>| {
        let relayed = relay_every_way(&stream, &options(None, false));
        assert_eq!((relayed.text, &relayed.fault), (expect, fault), "{stream}");
        assert_eq!(relayed.progress.complete, fault.is_none());
    };
    check(text.clone(), text.clone(), &early);
    check(String::new(), String::new(), &early);
    check("<html>Bad gateway</html>".to_owned(), String::new(), &early);
    check(format!("{text}{stop}"), format!("{text}{stop}{done}"), &None);
    // Cut within the next frame: the half of it is not passed on.
    check(format!("{text}{stop}data: {{\"cho"), format!("{text}{stop}{done}"), &None);
    check(format!("{text}data: {{\"cho"), text.clone(), &early);
    // Some providers say an empty reason all along.
    let empty = frame(&chunk(&json!({"content": "a"}), Some(""), None));
    check(empty.clone(), empty, &early);
    // Of two answers both have to have theirs.
    let second = |finish| frame(&json!({"choices": [{"index": 1, "delta": {}, "finish_reason": finish}]}));
    let (speaks, stops) = (second(None::<&str>), second(Some("length")));
    check(format!("{speaks}{stop}"), format!("{speaks}{stop}"), &early);
    check(format!("{text}{stops}"), format!("{text}{stops}"), &early);
    check(format!("{speaks}{stop}{stops}"), format!("{speaks}{stop}{stops}{done}"), &None);
    let strict = RelayOptions { demands_done: true, ..options(None, false) };
    assert_eq!(relay(&format!("{text}{stop}"), &strict).fault, early);
}

#[test]
fn a_usage_counts_all_of_an_answer_where_no_content_follows_it() {
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 2});
    let (text, empty) = (json!({"content": "a"}), json!({}));
    let told = frame(&chunk(&empty, None, Some(&usage)));
    let along = frame(&chunk(&text, None, Some(&usage)));
    let (said, stop) = (frame(&chunk(&text, None, None)), frame(&chunk(&empty, Some("stop"), None)));
    let check = |stream: String, expect: bool| {
        let relayed = relay_every_way(&stream, &options(None, false));
        assert_eq!(relayed.progress.usage_is_last, expect, "{stream}");
    };
    check(said.clone(), false);
    check(format!("{said}{stop}{told}"), true);
    check(format!("{told}{said}{stop}"), false);
    check(format!("{said}{along}{stop}"), true);
}

#[test]
fn a_last_frame_without_its_blank_line_counts_and_is_closed() {
    let stop = chunk(&json!({}), Some("stop"), None);
    let check = |stream: String, expect: String| {
        let relayed = relay_every_way(&stream, &options(None, false));
        assert_eq!((relayed.text, relayed.fault), (expect, None), "{stream:?}");
    };
    let first = frame(&stop);
    check(format!("{first}data: [DONE]"), format!("{first}data: [DONE]\n\n"));
    check(format!("{first}data: [DONE]\n"), format!("{first}data: [DONE]\n\n"));
    check(format!("{first}data: [DONE]\r\n"), format!("{first}data: [DONE]\r\n\n"));
    check(format!("{first}data: [DONE]\r"), format!("{first}data: [DONE]\r\n\n"));
    check(format!("data: {stop}"), format!("data: {stop}\n\ndata: [DONE]\n\n"));
}

#[test]
fn nothing_is_passed_on_after_the_end_mark() {
    let stop = frame(&chunk(&json!({}), Some("stop"), None));
    let expect = format!("{stop}data: [DONE]\n\n");
    let relayed = relay_every_way(
        &format!("{expect}\n\n: late\n\ndata: {{\"error\":1}}\n\ndata: junk"),
        &options(None, false),
    );
    assert_eq!((relayed.text, relayed.fault), (expect, None));
}

#[test]
fn comments_and_empty_frames_are_passed_on() {
    let stream = format!(": OPENROUTER PROCESSING\n\n:\n\ndata:\n\ndata: \n\n{}", stream_without_usage());
    assert_eq!(relay_every_way(&stream, &options(None, true)).text, stream);
}

#[test]
fn every_kind_of_line_end_is_kept() {
    for end in ["\r\n", "\r", "\n"] {
        let stream = stream_with_usage().replace('\n', end);
        let relayed = relay_every_way(&stream, &options(None, false));
        assert_eq!((relayed.text.as_str(), relayed.fault), (stream.as_str(), None), "{end:?}");
        let relayed = relay_every_way(&stream, &options(Some("a"), true));
        let expect = stream_without_usage().replace("gpt-4o-2024-08-06", "a").replace('\n', end);
        assert_eq!(relayed.text, expect, "{end:?}");
    }
}

#[test]
fn data_over_several_lines_are_written_as_one_where_they_are_edited() {
    let stream = "event: x\ndata: {\"model\":\ndata: \"b\",\ndata: \"choices\":[]}\n\ndata: [DONE]\n\n";
    assert_eq!(relay_every_way(stream, &options(None, true)).text, stream);
    let expect = "event: x\ndata: {\"model\": \"a\", \"choices\":[]}\n\ndata: [DONE]\n\n";
    assert_eq!(relay_every_way(stream, &options(Some("a"), true)).text, expect);
}

#[test]
fn text_completions_are_relayed_too() {
    let stream = "data: {\"object\":\"text_completion\",\"model\":\"b\",\"choices\":[{\"text\":\"Hi\",\"index\":0,\
                  \"finish_reason\":\"length\"}],\"usage\":null}\n\n";
    let relayed = relay_every_way(stream, &options(Some("a"), true));
    let expect = stream.replace("\"b\"", "\"a\"").replace(",\"usage\":null", "");
    assert_eq!(relayed.text, format!("{expect}data: [DONE]\n\n"));
    assert_eq!(relayed.progress.content_bytes, 2);
}

/// The slow road: every frame read as a tree, edited there, compared as a tree.
fn edited_slowly(stream: &str, client_model: Option<&str>, hide_usage: bool) -> Vec<Tree> {
    let mut trees = Vec::new();
    for block in stream.split("\n\n").filter_map(|block| block.strip_prefix("data: ")) {
        let Ok(mut tree) = serde_json::from_str::<Tree>(block) else { continue };
        let is_usage_only = tree["choices"].as_array().is_some_and(Vec::is_empty) && !tree["usage"].is_null();
        if hide_usage && is_usage_only {
            continue;
        }
        let members = tree.as_object_mut().unwrap();
        if hide_usage {
            members.shift_remove("usage");
        }
        if let (Some(model), Some(name)) = (members.get_mut("model"), client_model) {
            *model = name.into();
        }
        trees.push(tree);
    }
    trees
}

fn any_chunk() -> impl Strategy<Value = Tree> {
    let delta = prop_oneof![
        any::<String>().prop_map(|text| json!({"content": text})),
        any::<String>()
            .prop_map(|text| json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})),
        Just(json!({"role": "assistant", "content": ""})),
        Just(json!({})),
    ];
    let usage = prop_oneof![
        Just(None),
        Just(Some(Tree::Null)),
        (0..1_000_u64).prop_map(|count| Some(json!({"prompt_tokens": 1, "completion_tokens": count}))),
    ];
    let order = prop::sample::select(vec![
        ["model", "choices", "usage"],
        ["usage", "model", "choices"],
        ["choices", "usage", "model"],
    ]);
    (delta, usage, any::<bool>(), any::<bool>(), order).prop_map(
        |(delta, usage, has_model, has_choice, order)| {
            let mut members = serde_json::Map::new();
            for name in order {
                let member = match name {
                    "model" if has_model => json!("provider-model"),
                    "choices" if has_choice => json!([{"index": 0, "delta": delta}]),
                    "choices" => json!([]),
                    "usage" => match usage.clone() {
                        Some(usage) => usage,
                        None => continue,
                    },
                    _ => continue,
                };
                members.insert(name.to_owned(), member);
            }
            Tree::Object(members)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_fast_road_reads_as_the_slow_road_in_any_cutting(
        chunks in prop::collection::vec(any_chunk(), 0..8),
        client_model in prop::option::of(any::<String>()),
        hide_usage in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let stream: String = chunks.iter().map(frame).chain(["data: [DONE]\n\n".to_owned()]).collect();
        let options = options(client_model.as_deref(), hide_usage);
        let whole = relay(&stream, &options);
        prop_assert_eq!(&whole.fault, &None);
        let found = edited_slowly(&whole.text, None, false);
        prop_assert_eq!(found, edited_slowly(&stream, client_model.as_deref(), hide_usage));
        let mut dice = Dice(seed);
        let mut rest = stream.as_bytes();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + dice.roll(90)).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(relay_pieces(&pieces, &options).1, whole);
    }

    #[test]
    fn no_stream_at_all_makes_the_relay_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200_usize) {
        let (before, after) = bytes.split_at(cut.min(bytes.len()));
        let mut relay = OpenAiRelay::new(options(Some("a"), true));
        let mut out = Vec::new();
        let _ = relay.push(Bytes::copy_from_slice(before), &mut out);
        let _ = relay.push(Bytes::copy_from_slice(after), &mut out);
        let _ = relay.finish(&mut out);
    }
}

#[test]
fn azures_opening_chunk_is_dropped_where_that_is_asked_for_and_usage_is_not() {
    let opening = b"data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[]}\n\n";
    let usage = b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    for (drops_choiceless, expected) in [(true, vec![&usage[..]]), (false, vec![&opening[..], &usage[..]])] {
        let mut relay = OpenAiRelay::new(RelayOptions { drops_choiceless, ..RelayOptions::default() });
        let mut out = Vec::new();
        for chunk in [&opening[..], &usage[..]] {
            relay.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
        }
        assert_eq!(out.concat(), expected.concat());
    }
}

#[test]
fn the_tier_that_serves_a_stream_is_learned() {
    let chunk = |tier: &str| {
        format!("data: {{\"service_tier\":{tier},\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\n")
    };
    let tier = |stream: &str| relay(stream, &options(None, false)).progress.service_tier;
    assert_eq!(tier(&chunk("null")), None);
    assert_eq!(tier(&chunk("7")), None);
    let quoted = chunk("\"a\\\"b\"");
    assert_eq!(tier(&quoted).as_deref(), Some("a\"b"));
    let stream = [chunk("\"auto\""), chunk("\"flex\""), chunk("\"flex\""), chunk("null")].concat();
    assert_eq!(tier(&stream).as_deref(), Some("flex"), "the last word counts");
}

#[test]
fn pictures_and_calls_of_custom_tools_are_content() {
    let delta = |delta: &str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
    let check = |delta_json: &str, expect: (bool, u64)| {
        let progress = relay(&delta(delta_json), &options(None, false)).progress;
        assert_eq!((progress.content_started, progress.content_bytes), expect, "{delta_json}");
    };
    check(r#"{"images":[{"type":"image_url"}]}"#, (true, 0));
    check(r#"{"images":[]}"#, (false, 0));
    check(r#"{"images":null}"#, (false, 0));
    check(r#"{"tool_calls":[{"index":0,"custom":{"name":"f","input":"ls"}}]}"#, (true, 2));
}
