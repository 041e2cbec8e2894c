//! Speech from text.
//!
//! Owns: its rules and replies. Leaves to others: the sound itself (`sound`).
//!
//! **Invariant:** the pieces of a stream put together are the sound that a plain reply has.

use super::{Sent, fields, sound, tables, too_long, wrong_value};
use crate::ask::{pieces, text_at, tokens_of};
use crate::error::ApiError;
use crate::openai::check::is_set;
use crate::openai::embedding::base64;
use crate::reply::{Content, Event, Making, Reply, Role};
use bytes::Bytes;
use serde_json::{Value, json};

/// Longest input, in characters (speech reference).
const INPUT_CHARS_MAX: usize = 4_096;
/// Milliseconds of speech for a token of text, and tokens of a second of speech.
const TOKEN_MS: u64 = 250;
const TOKENS_A_SECOND: u64 = 20;
/// Most pieces of a stream.
const PIECES_MAX: usize = 16;

const VOICES: &[&str] = &[
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin",
    "cedar",
];

/// Checks a body.
pub(super) fn check(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::SPEECH)?;
    let input = text_at(body, "input").chars().count();
    if input > INPUT_CHARS_MAX {
        return Err(too_long("input", INPUT_CHARS_MAX, input));
    }
    if input == 0 {
        let message = "Invalid 'input': empty string. Expected a string with minimum length 1, but got an empty string \
                       instead.";
        return Err(ApiError::bad_request(message).param("input").code("empty_string"));
    }
    if let Some(voice) = body.get("voice").and_then(Value::as_str).filter(|voice| !VOICES.contains(voice)) {
        let takes: Vec<String> = VOICES.iter().map(|voice| format!("'{voice}'")).collect();
        return Err(wrong_value("voice", voice, &takes.join(", ")));
    }
    if model.starts_with("tts-1") {
        for name in ["instructions", "stream_format"] {
            if is_set(body, name) && text_at(body, name) != "audio" {
                let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
                return Err(ApiError::bad_request(message).param(name).code("unsupported_parameter"));
            }
        }
    }
    Ok(())
}

/// The reply: sound, or events with it.
pub(super) fn make(sent: Sent<'_>, making: &Making<'_>) -> Reply {
    let text = text_at(sent.body, "input");
    let format = match text_at(sent.body, "response_format") {
        "" => "mp3",
        format => format,
    };
    let ms = TOKEN_MS * pieces(text).len() as u64;
    let sound = Bytes::from(sound::silence(format, ms));
    let size = sound.len().div_ceil(PIECES_MAX).max(1);
    let slices = (0..sound.len()).step_by(size).map(|at| sound.slice(at..(at + size).min(sound.len())));
    if text_at(sent.body, "stream_format") == "sse" {
        let delta = |slice: Bytes| {
            Event::data(Role::Content, &json!({"type": "speech.audio.delta", "audio": base64(&slice)}))
        };
        let mut events: Vec<Event> = slices.map(delta).collect();
        let (input, output) = (tokens_of(text), ms * TOKENS_A_SECOND / 1_000);
        let usage = making
            .usage(json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output}));
        events.push(Event::data(Role::End, &json!({"type": "speech.audio.done", "usage": usage})));
        return Reply::events(events);
    }
    let events = slices.map(|bytes| Event { bytes, role: Role::Content }).collect();
    Reply {
        status: 200,
        content_type: sound::content_type(format),
        headers: Vec::new(),
        content: Content::Events(events),
    }
}
