//! What a prediction says of itself.

use super::is_too_long;
use super::stream::LAST_LOOK;
use crate::conversation::{ChatReply, Choice, Part, StopReason, Usage};
use crate::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use crate::json::value::{count, filled_text, owned_text, text};
use crate::wire::{Reading, ReplyFault};
use serde_json::{Map, Value};

/// A prediction as it was seen last.
#[derive(Debug, Clone)]
pub struct Prediction {
    value: Value,
}

impl Prediction {
    /// Reads the body that making it, or looking at it, gave.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] for what is no prediction.
    pub fn read(body: &[u8]) -> Result<Self, ReplyFault> {
        let value: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
        if text(&value, "id").is_none() || text(&value, "status").is_none() {
            return Err(ReplyFault::Malformed("a prediction has no id or no status"));
        }
        Ok(Self { value })
    }

    /// Nothing more will come.
    pub fn is_over(&self) -> bool {
        !matches!(text(&self.value, "status"), Some("starting" | "processing"))
    }

    fn url(&self, name: &str) -> Option<&str> {
        self.value.get("urls").and_then(|urls| filled_text(urls, name))
    }

    /// Where to look at it.
    pub fn get_url(&self) -> Option<&str> {
        self.url("get")
    }

    /// Where to read it as it is made; only for a request that asked for it and a model that can.
    pub fn stream_url(&self) -> Option<&str> {
        self.url("stream")
    }

    /// Where to end it.
    pub fn cancel_url(&self) -> Option<&str> {
        self.url("cancel")
    }

    /// The tokens that were counted, where the model counts.
    pub fn usage(&self) -> Option<Usage> {
        let metrics = self.value.get("metrics")?;
        let (input, output) = (count(metrics, "input_token_count"), count(metrics, "output_token_count"));
        if input.is_none() && output.is_none() {
            return None;
        }
        let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
        Some(Usage { input_tokens, output_tokens, ..Usage::default() })
    }

    /// This look as an event behind those of the stream: [`StreamDecoder`](super::StreamDecoder) takes the tokens from
    /// it, and the answer where no event has told any.
    pub fn last_look(&self) -> Vec<u8> {
        const TOLD: [&str; 5] = ["id", "status", "output", "error", "metrics"];
        let members =
            TOLD.iter().filter_map(|name| Some(((*name).to_owned(), self.value.get(name)?.clone())));
        let told = Value::Object(members.collect::<Map<String, Value>>());
        format!("event: {LAST_LOOK}\ndata: {told}\n\n").into_bytes()
    }

    /// The answer of a prediction that is over. Replicate does not say why a model stopped.
    ///
    /// # Errors
    /// [`ReplyFault::Error`] for one that failed, was canceled or is not over; [`ReplyFault::Malformed`] for an output
    /// that is no text.
    pub fn into_reply(self, reading: &Reading) -> Result<ChatReply, ReplyFault> {
        let error = match text(&self.value, "status") {
            Some("succeeded") => None,
            Some("canceled" | "aborted") => {
                Some(stopped("the prediction was canceled", FailureClass::Server))
            }
            Some("starting" | "processing") => {
                Some(stopped("the prediction is not over", FailureClass::Timeout))
            }
            _ => Some(failed(text(&self.value, "error").unwrap_or("the prediction failed"))),
        };
        if let Some(error) = error {
            return Err(ReplyFault::Error(error));
        }
        let words = match self.value.get("output") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(words)) => words.clone(),
            Some(Value::Array(pieces)) => pieces.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(ReplyFault::Malformed("the output of the model is no text")),
        };
        Ok(ChatReply {
            id: owned_text(&self.value, "id"),
            model: reading.model.clone(),
            choices: vec![Choice {
                parts: vec![Part::text(words)],
                stop: Some(StopReason::Stop),
                ..Choice::default()
            }],
            usage: self.usage().unwrap_or_default(),
            ..ChatReply::default()
        })
    }
}

fn stopped(message: &str, class: FailureClass) -> ProviderError {
    let status = if class == FailureClass::Timeout { 504 } else { 500 };
    ProviderError { class, status, message: message.to_owned(), ..ProviderError::default() }
}

/// A failure in a model's own words.
pub(super) fn failed(sentence: &str) -> ProviderError {
    const FLAGGED: [&str; 3] = ["nsfw", "flagged as sensitive", "(e005)"];
    let words = sentence.to_ascii_lowercase();
    let (class, status) = if FLAGGED.iter().any(|said| words.contains(said)) {
        (FailureClass::ContentPolicy, 400)
    } else if is_too_long(&words) {
        (FailureClass::ContextWindow, 400)
    } else {
        (FailureClass::Server, 500)
    };
    let is_end = |end: &usize| sentence.is_char_boundary(*end);
    let end = (0..=sentence.len().min(MESSAGE_BYTES_MAX)).rev().find(is_end).unwrap_or(0);
    let message = sentence.get(..end).unwrap_or_default().to_owned();
    ProviderError { class, status, message, ..ProviderError::default() }
}
