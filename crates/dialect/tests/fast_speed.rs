//! Figures of the fast road, printed on demand:
//! `cargo test --release -p tollgate-dialect --test fast_speed -- --ignored --nocapture`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test that cannot go on says so")]

use bytes::Bytes;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::relay::{OpenAiRelay, RelayOptions, RequestEdits, plan_request, relay_reply};
use tollgate_dialect::wire::Transducer;

/// Nanoseconds of one call: the best of several batches, which is what undisturbed work takes.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let mut calls = 1_u32;
    let batch = |calls: u32, call: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed()
    };
    while batch(calls, &mut call) < Duration::from_millis(5) {
        calls *= 2;
    }
    (0..15).map(|_| batch(calls, &mut call).as_nanos() as f64 / f64::from(calls)).fold(f64::MAX, f64::min)
}

fn report(what: &str, bytes: usize, nanoseconds: f64) {
    println!("{what:<48} {bytes:>9} bytes {nanoseconds:>12.0} ns {:>7.2} GB/s", bytes as f64 / nanoseconds);
}

fn request(prompt: &str) -> Bytes {
    let content = serde_json::to_string(prompt).unwrap();
    Bytes::from(format!(
        r#"{{"model":"alias","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":{content}}}],"temperature":0.2,"stream":true}}"#
    ))
}

#[test]
#[ignore = "prints figures; means something in release mode only"]
fn bodies() {
    let prose = "The quick brown fox jumps over the lazy dog and runs on.\nIt said \"hello\" twice. ";
    let bodies = [
        ("scan: chat request", request("What is the capital of France?")),
        ("scan: 200 KB of letters", request(&"word ".repeat(40_000))),
        ("scan: 200 KB of prose with quotes and lines", request(&prose.repeat(200_000 / prose.len()))),
        ("scan: 200 KB of Greek", request(&"\u{3bb}\u{3cc}\u{3b3}\u{3bf}\u{3c2} ".repeat(18_000))),
    ];
    let edits = RequestEdits { model: Some("gpt-4o-mini"), include_usage: true, ..RequestEdits::default() };
    for (what, body) in &bodies {
        report(what, body.len(), nanoseconds(|| drop(black_box(scan(body, &Limits::REQUEST)))));
        let planned = nanoseconds(|| {
            let object = scan(body, &Limits::REQUEST).unwrap();
            drop(black_box(plan_request(&object, &edits, body)));
        });
        report("  with model and usage spliced", body.len(), planned);
    }
    let numbers: Vec<String> =
        (0..1_536).map(|number| format!("-0.0{}", 1_234_567 + number * 7_919)).collect();
    let embedding = Bytes::from(format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{}]}}],"model":"e","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#,
        numbers.join(",")
    ));
    report(
        "reply: embedding of 1,536",
        embedding.len(),
        nanoseconds(|| drop(black_box(relay_reply(&embedding, None)))),
    );
    let reply = Bytes::from_static(
        br#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Paris is the capital of France.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":7,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}"#,
    );
    report("reply: chat", reply.len(), nanoseconds(|| drop(black_box(relay_reply(&reply, None)))));
    report(
        "reply: chat, renamed",
        reply.len(),
        nanoseconds(|| drop(black_box(relay_reply(&reply, Some("alias"))))),
    );
}

#[test]
#[ignore = "prints figures; means something in release mode only"]
fn frames() {
    let frame = Bytes::from_static(
        b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\
          \"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hello\"},\"logprobs\":null,\
          \"finish_reason\":null}],\"usage\":null}\n\n",
    );
    let joined = Bytes::from(frame.repeat(8));
    let check = |what: &str, client_model: Option<&str>, hide_usage: bool| {
        let options = RelayOptions {
            client_model: client_model.map(str::to_owned),
            hide_usage,
            demands_done: false,
            ..RelayOptions::default()
        };
        let mut relay = OpenAiRelay::new(options);
        let mut out = Vec::with_capacity(8);
        let mut push = |chunk: &Bytes| {
            relay.push(chunk.clone(), &mut out).unwrap();
            black_box(&mut out).clear();
        };
        let alone = nanoseconds(|| push(&frame));
        report(what, frame.len(), alone);
        report("  of eight in one chunk", frame.len(), nanoseconds(|| push(&joined)) / 8.0);
    };
    check("frame: as it came", None, false);
    check("frame: usage hidden", None, true);
    check("frame: model renamed", Some("alias"), false);
    check("frame: model renamed, usage hidden", Some("alias"), true);
}
