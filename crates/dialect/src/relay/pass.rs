//! Replies that are passed on without a dialect's knowledge: pictures, sounds, verdicts, lists, files, and whatever a
//! provider's own path answers.
//!
//! Owns finding the usage on the way past, where there is one under the names that OpenAI, Anthropic or Google use, and
//! the length of a sound.
//! **Invariant:** every byte is passed on as it came.

use crate::base64;
use crate::conversation::Usage;
use crate::framing::{Framing, event_stream};
use crate::json::{Limits, scan};
use crate::openai::read_usage;
use crate::sound;
use crate::wire::{CallerError, Progress, ReplyFault, Transducer};
use bytes::Bytes;
use serde_json::Value;

/// Longest frame of which the usage is looked for, in bytes; pictures come in one frame.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// Longest JSON array (Google's streams without `alt=sse`) that is kept for the usage at its end, in bytes.
const ARRAY_BYTES_MAX: usize = 4 << 20;

/// The usage of a whole JSON reply, where it says one.
pub fn reply_usage(body: &[u8]) -> Option<Usage> {
    let object = scan(body, &Limits::REPLY).ok()?;
    let named = ["usage", "usageMetadata", "meta"].into_iter().find_map(|name| {
        let value = object.get(name)?;
        (!value.is_null()).then_some(value)
    });
    let nested = || {
        let outer =
            ["response", "message", "delta"].into_iter().find_map(|name| object.get(name)?.as_object())?;
        outer.get("usage").filter(|value| !value.is_null())
    };
    if let Some(value) = named.or_else(nested) {
        return any_usage(&serde_json::from_str(value.text()).ok()?);
    }
    // Bedrock wraps the events of other makers' models.
    let wrapped = base64::decode(&object.get("bytes")?.as_str()?)?;
    scan(&wrapped, &Limits::REPLY).ok()?.get("bytes").is_none().then(|| reply_usage(&wrapped)).flatten()
}

/// Reads a usage by whichever names it uses.
fn any_usage(value: &Value) -> Option<Usage> {
    if let Some(usage) = read_usage(value) {
        return Some(usage);
    }
    let members = value.as_object()?;
    let count = |name: &str| members.get(name).and_then(Value::as_u64);
    let detail = |group: &str, name: &str| members.get(group)?.get(name).and_then(Value::as_u64).or(Some(0));
    if count("promptTokenCount").is_some() {
        let thoughts = count("thoughtsTokenCount").unwrap_or(0);
        let tools = count("toolUsePromptTokenCount").unwrap_or(0);
        return Some(Usage {
            input_tokens: count("promptTokenCount").unwrap_or(0).saturating_add(tools),
            cached_tokens: count("cachedContentTokenCount").unwrap_or(0),
            tool_prompt_tokens: tools,
            output_tokens: count("candidatesTokenCount").unwrap_or(0).saturating_add(thoughts),
            reasoning_tokens: thoughts,
            ..Usage::default()
        });
    }
    // Cohere counts what it bills and what there was; the first is what costs.
    if let Some(counts) = ["billed_units", "tokens"].into_iter().find_map(|name| members.get(name)) {
        let count = |name: &str| counts.get(name).and_then(Value::as_u64);
        let (input, output) = (count("input_tokens"), count("output_tokens"));
        return (input.is_some() || output.is_some()).then(|| Usage {
            input_tokens: input.unwrap_or(0),
            output_tokens: output.unwrap_or(0),
            ..Usage::default()
        });
    }
    if let Some(input) = count("inputTokens") {
        let (read, written) = (count("cacheReadInputTokens"), count("cacheWriteInputTokens"));
        let (read, written) = (read.unwrap_or(0), written.unwrap_or(0));
        return Some(Usage {
            input_tokens: input.saturating_add(read).saturating_add(written),
            cached_tokens: read,
            cache_write_tokens: written,
            output_tokens: count("outputTokens").unwrap_or(0),
            ..Usage::default()
        });
    }
    let (input, output) = (count("input_tokens"), count("output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    // Anthropic's prompt count leaves the cache's tokens out; OpenAI's includes them.
    let read = count("cache_read_input_tokens").unwrap_or(0);
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    let hour = detail("cache_creation", "ephemeral_1h_input_tokens").unwrap_or(0).min(written);
    let cached = detail("input_tokens_details", "cached_tokens").unwrap_or(0);
    Some(Usage {
        input_tokens: input.unwrap_or(0).saturating_add(read).saturating_add(written),
        cached_tokens: read.max(cached),
        cache_write_tokens: written - hour,
        cache_write_1h_tokens: hour,
        input_audio_tokens: detail("input_token_details", "audio_tokens").unwrap_or(0),
        input_image_tokens: detail("input_tokens_details", "image_tokens").unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        reasoning_tokens: detail("output_tokens_details", "reasoning_tokens").unwrap_or(0),
        output_image_tokens: detail("output_tokens_details", "image_tokens").unwrap_or(0),
        ..Usage::default()
    })
}

/// How the usage of a stream is found.
#[derive(Debug)]
enum Look {
    /// In one of its frames.
    Frames(Framing),
    /// In the last element of the JSON array that it is.
    Array(Vec<u8>),
    /// In its length.
    Sound(Box<sound::Passing>),
    /// Not at all.
    Not,
}

/// Passes a reply on as it comes.
#[derive(Debug)]
pub struct PassRelay {
    look: Look,
    progress: Progress,
}

impl PassRelay {
    /// A relay at the beginning of a reply, which is a stream of events or bytes of another kind.
    pub fn new(is_event_stream: bool) -> Self {
        Self::for_type(if is_event_stream { b"text/event-stream" } else { b"" })
    }

    /// A relay at the beginning of a reply of this content type.
    pub fn for_type(content_type: &[u8]) -> Self {
        let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let kind = kind.to_ascii_lowercase();
        let look = match kind.as_slice() {
            b"text/event-stream" => Look::Frames(Framing::events_with_cap(FRAME_BYTES_MAX)),
            b"application/x-ndjson" | b"application/stream+json" => Look::Frames(Framing::lines()),
            b"application/json" => Look::Array(Vec::new()),
            other if other == event_stream::CONTENT_TYPE.as_bytes() => Look::Frames(Framing::event_stream()),
            other => std::str::from_utf8(other)
                .ok()
                .and_then(sound::Passing::of_type)
                .map_or(Look::Not, |sound| Look::Sound(Box::new(sound))),
        };
        Self { look, progress: Progress::default() }
    }

    fn look(&mut self, chunk: Bytes) {
        match &mut self.look {
            Look::Not => return,
            Look::Array(held) if held.len() + chunk.len() <= ARRAY_BYTES_MAX => {
                held.extend_from_slice(&chunk);
                return;
            }
            // What is too long to look into is still passed on.
            Look::Array(_) => {
                self.look = Look::Not;
                return;
            }
            Look::Sound(sound) => {
                sound.push(&chunk);
                self.progress.sound_ms = sound.length_ms();
                return;
            }
            Look::Frames(framing) => framing.push(chunk),
        }
        while let Look::Frames(framing) = &mut self.look {
            match framing.next_frame() {
                Ok(Some(frame)) => {
                    if let Some(usage) = frame_usage(&frame.data) {
                        self.progress.usage = Some(merge(self.progress.usage, usage));
                    }
                }
                Ok(None) => return,
                Err(_) => self.look = Look::Not,
            }
        }
    }

    /// The usage at the end of a JSON array, or of the one value that it was after all.
    fn look_back(&mut self) {
        let Look::Array(held) = std::mem::replace(&mut self.look, Look::Not) else { return };
        // An array is a member's value to the scan, which knows objects alone.
        let whole = [b"{\"a\":", held.as_slice(), b"}"].concat();
        let Ok(object) = scan(&whole, &Limits::REPLY) else { return };
        let Some(value) = object.get("a") else { return };
        let last = value.array_items().last();
        let usage = last.map_or_else(|| reply_usage(&held), |item| reply_usage(item.raw()));
        self.progress.usage = usage.or(self.progress.usage);
    }
}

/// Most frames have none, and are not parsed.
fn frame_usage(data: &[u8]) -> Option<Usage> {
    let names: [&[u8]; 2] = [b"\"usage", b"\"bytes\""];
    let may_have = names.into_iter().any(|name| memchr::memmem::find(data, name).is_some());
    may_have.then(|| reply_usage(data)).flatten()
}

/// Counts of a stream are cumulative; Anthropic tells the prompt first and the answer last.
fn merge(before: Option<Usage>, now: Usage) -> Usage {
    match before {
        Some(before) if now.input_tokens == 0 => {
            let output_tokens = now.output_tokens.max(before.output_tokens);
            Usage { output_tokens, reasoning_tokens: now.reasoning_tokens, ..before }
        }
        _ => now,
    }
}

impl Transducer for PassRelay {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.progress.content_started |= !chunk.is_empty();
        self.look(chunk.clone());
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.look_back();
        self.progress.complete = true;
        Ok(())
    }

    /// Nothing can be said within bytes of an unknown kind: the connection is closed instead.
    fn fail(&mut self, _: &CallerError<'_>, _: &mut Vec<Bytes>) {}

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_under_every_makers_names() {
        let check = |body: &str, expect: Option<(u64, u64, u64)>| {
            let usage = reply_usage(body.as_bytes());
            let counts = usage.map(|usage| (usage.input_tokens, usage.cached_tokens, usage.output_tokens));
            assert_eq!(counts, expect, "{body}");
        };
        check(r#"{"usage":{"prompt_tokens":3,"completion_tokens":2}}"#, Some((3, 0, 2)));
        check(
            r#"{"usage":{"input_tokens":3,"output_tokens":2,"input_tokens_details":{"cached_tokens":1}}}"#,
            Some((3, 1, 2)),
        );
        check(
            r#"{"usage":{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":2}}"#,
            Some((15, 5, 2)),
        );
        check(
            r#"{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"thoughtsTokenCount":4}}"#,
            Some((3, 0, 6)),
        );
        check(
            r#"{"usage":{"inputTokens":3,"outputTokens":2,"cacheReadInputTokens":4,"cacheWriteInputTokens":1}}"#,
            Some((8, 4, 2)),
        );
        check(
            r#"{"usage":{"billed_units":{"input_tokens":3,"output_tokens":2},"tokens":{"input_tokens":70}}}"#,
            Some((3, 0, 2)),
        );
        check(r#"{"meta":{"billed_units":{"search_units":1}}}"#, None);
        check(r#"{"delta":{"usage":{"tokens":{"input_tokens":3,"output_tokens":2}}}}"#, Some((3, 0, 2)));
        // {"usage":{"input_tokens":5}}
        check(r#"{"bytes":"eyJ1c2FnZSI6eyJpbnB1dF90b2tlbnMiOjV9fQ==","p":"ab"}"#, Some((5, 0, 0)));
        check(r#"{"bytes":"%"}"#, None);
        check(r#"{"response":{"usage":{"input_tokens":1,"output_tokens":1}}}"#, Some((1, 0, 1)));
        check(r#"{"usage":null}"#, None);
        check(r#"{"data":[]}"#, None);
        check("no json", None);
    }

    #[test]
    fn a_stream_is_passed_on_byte_for_byte_and_its_usage_read_however_it_is_cut() {
        let text = concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
            "data: {\"type\":\"x\"}\n\n",
            "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4}}\n\n",
        );
        for size in 1..=text.len() {
            let mut relay = PassRelay::new(true);
            let mut out = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                relay.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
            }
            relay.finish(&mut out).unwrap();
            assert_eq!(out.concat(), text.as_bytes());
            let usage = relay.progress().usage.unwrap();
            assert_eq!((usage.input_tokens, usage.output_tokens), (9, 4), "{size}");
        }
    }

    /// The usage of a stream of this type, which is the same however the stream is cut.
    fn stream_usage(kind: &str, bytes: &[u8]) -> Option<(u64, u64)> {
        let counts: Vec<_> = [1, 2, 7, 64, bytes.len()]
            .into_iter()
            .map(|size| {
                let mut relay = PassRelay::for_type(kind.as_bytes());
                let mut out = Vec::new();
                for chunk in bytes.chunks(size) {
                    relay.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
                }
                relay.finish(&mut out).unwrap();
                assert_eq!(out.concat(), bytes, "{kind}");
                relay.progress().usage.map(|usage| (usage.input_tokens, usage.output_tokens))
            })
            .collect();
        assert!(counts.iter().all(|count| *count == counts[0]), "{kind}: {counts:?}");
        counts[0]
    }

    #[test]
    fn usage_is_found_in_every_kind_of_stream() {
        let array = br#"[{"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1}},
            {"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":9}}]"#;
        assert_eq!(stream_usage("application/json; charset=UTF-8", array), Some((3, 9)));
        assert_eq!(stream_usage("application/json", br#"{"usage":{"input_tokens":1}}"#), Some((1, 0)));
        assert_eq!(stream_usage("application/json", b"[]"), None);
        assert_eq!(stream_usage("application/json", b"[1,"), None);
        let mut amazon = Vec::new();
        event_stream::write_event("messageStart", br#"{"role":"assistant"}"#, &mut amazon);
        event_stream::write_event(
            "metadata",
            br#"{"usage":{"inputTokens":3,"outputTokens":2}}"#,
            &mut amazon,
        );
        assert_eq!(stream_usage(event_stream::CONTENT_TYPE, &amazon), Some((3, 2)));
        assert_eq!(stream_usage(event_stream::CONTENT_TYPE, b"no such stream at all"), None);
        let lines = b"{\"a\":1}\n{\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}\n";
        assert_eq!(stream_usage("application/x-ndjson", lines), Some((4, 2)));
        assert_eq!(stream_usage("audio/mpeg", lines), None);
    }

    #[test]
    fn an_array_that_is_too_long_to_keep_is_passed_on_without_its_usage() {
        let mut relay = PassRelay::for_type(b"application/json");
        let mut out = Vec::new();
        for _ in 0..5 {
            relay.push(Bytes::from(vec![b' '; 1 << 20]), &mut out).unwrap();
        }
        assert!(matches!(relay.look, Look::Not));
        assert_eq!(out.iter().map(Bytes::len).sum::<usize>(), 5 << 20);
    }
}
