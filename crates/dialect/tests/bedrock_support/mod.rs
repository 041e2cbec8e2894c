//! Converse streams to test with, and their reader.

#![allow(dead_code, reason = "every test file uses a part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

pub(crate) mod settings;

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::bedrock::StreamDecoder;
use tollgate_dialect::conversation::{StopReason, StreamEvent, Usage};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::framing::event_stream::write_event;
use tollgate_dialect::wire::{EventDecoder, Reading, ReplyFault};

pub(crate) const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

pub(crate) fn of(model: &str) -> Reading {
    Reading { model: model.to_owned(), ..Reading::default() }
}

/// A stream of events, by their names and payloads.
pub(crate) fn stream(events: &[(&str, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, payload) in events {
        write_event(name, payload.to_string().as_bytes(), &mut bytes);
    }
    bytes
}

pub(crate) fn start() -> (&'static str, Value) {
    ("messageStart", json!({"role": "assistant", "p": "abcd"}))
}

pub(crate) fn block(index: u64, start: Value) -> (&'static str, Value) {
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": start}))
}

pub(crate) fn delta(index: u64, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "ab"}))
}

pub(crate) fn end(index: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

pub(crate) fn stop(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({"stopReason": reason}))
}

pub(crate) fn metadata() -> (&'static str, Value) {
    let usage = json!({
        "inputTokens": 3, "outputTokens": 4, "totalTokens": 37, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 20,
    });
    ("metadata", json!({"usage": usage, "metrics": {"latencyMs": 9}}))
}

pub(crate) fn usage() -> Usage {
    Usage {
        input_tokens: 33,
        cached_tokens: 10,
        cache_write_tokens: 20,
        output_tokens: 4,
        ..Usage::default()
    }
}

/// What a stream says, cut into chunks of this size, and how it ended.
pub(crate) fn read(
    bytes: &[u8],
    reading: &Reading,
    size: usize,
) -> (Vec<StreamEvent>, Result<bool, ReplyFault>) {
    let mut framing = Framing::event_stream();
    let mut decoder = StreamDecoder::new(reading.clone());
    let mut events = Vec::new();
    for chunk in bytes.chunks(size.max(1)) {
        framing.push(Bytes::copy_from_slice(chunk));
        loop {
            match framing.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(fault) = decoder.read(&frame, &mut events) {
                        return (events, Err(fault));
                    }
                }
                Ok(None) => break,
                Err(fault) => return (events, Err(fault)),
            }
        }
    }
    (events, Ok(decoder.is_complete()))
}

pub(crate) fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

pub(crate) fn finish(stop: StopReason) -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop, stop_sequence: None }
}

pub(crate) fn call(index: u64, id: &str) -> StreamEvent {
    StreamEvent::ToolCallStart {
        choice: 0,
        index,
        id: id.to_owned(),
        name: "f".to_owned(),
        is_custom: false,
        signature: None,
    }
}

pub(crate) fn arguments(index: u64, delta: &str) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index, delta: delta.to_owned() }
}

pub(crate) fn messages(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut framing = Framing::event_stream();
    framing.push(Bytes::copy_from_slice(bytes));
    let mut messages = Vec::new();
    while let Some(frame) = framing.next_frame().unwrap() {
        messages.push((frame.event.unwrap().to_owned(), serde_json::from_slice(&frame.data).unwrap()));
    }
    messages
}

pub(crate) fn long_stream() -> Vec<u8> {
    stream(&[
        start(),
        delta(0, json!({"text": "hello"})),
        end(0),
        ("tomorrow", json!({"x": 1})),
        block(1, json!({"toolUse": {"toolUseId": "t", "name": "f"}})),
        delta(1, json!({"toolUse": {"input": "{\"a\":1}"}})),
        end(1),
        stop("tool_use"),
        metadata(),
    ])
}
