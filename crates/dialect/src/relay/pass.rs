//! Replies that are passed on without a dialect's knowledge: pictures, sounds, verdicts, lists, files, and whatever a
//! provider's own path answers.
//!
//! Owns finding the usage on the way past, where there is one under the names that OpenAI, Anthropic or Google use.
//! **Invariant:** every byte is passed on as it came.

use crate::conversation::Usage;
use crate::json::{Limits, scan};
use crate::openai::read_usage;
use crate::sse::Framer;
use crate::wire::{CallerError, Progress, ReplyFault, Transducer};
use bytes::Bytes;
use serde_json::Value;

/// Longest frame of which the usage is looked for, in bytes; pictures come in one frame.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// The usage of a whole JSON reply, where it says one.
pub fn reply_usage(body: &[u8]) -> Option<Usage> {
    let object = scan(body, &Limits::REPLY).ok()?;
    let named = ["usage", "usageMetadata"].into_iter().find_map(|name| {
        let value = object.get(name)?;
        (!value.is_null()).then_some(value)
    });
    let nested = || {
        let outer = ["response", "message"].into_iter().find_map(|name| object.get(name)?.as_object())?;
        outer.get("usage").filter(|value| !value.is_null())
    };
    let value: Value = serde_json::from_str(named.or_else(nested)?.text()).ok()?;
    any_usage(&value)
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

/// Passes a reply on as it comes.
#[derive(Debug)]
pub struct PassRelay {
    /// For a stream of events, to look into.
    framer: Option<Framer>,
    progress: Progress,
}

impl PassRelay {
    /// A relay at the beginning of a reply, which is a stream of events or bytes of another kind.
    pub fn new(is_event_stream: bool) -> Self {
        let framer = is_event_stream.then(|| Framer::with_cap(FRAME_BYTES_MAX));
        Self { framer, progress: Progress::default() }
    }

    fn look(&mut self) {
        let Some(framer) = &mut self.framer else { return };
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    let has_usage = memchr::memmem::find(&frame.data, b"\"usage").is_some();
                    if let Some(usage) = has_usage.then(|| reply_usage(&frame.data)).flatten() {
                        self.progress.usage = Some(merge(self.progress.usage, usage));
                    }
                }
                Ok(None) => return,
                // What is too long to look into is still passed on.
                Err(_) => {
                    self.framer = None;
                    return;
                }
            }
        }
    }
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
        if let Some(framer) = &mut self.framer {
            framer.push(chunk.clone());
            self.look();
        }
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
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
}
