//! The response object: of a plain reply, and in the events that carry one.
//!
//! **Invariant:** `model` is the caller's name for it, and the id and the time are always there.

use super::echo::Echo;
use super::output::Output;
use super::usage;
use crate::conversation::{StopReason, Usage};
use crate::json::write::Object;
use crate::wire::{CallerError, ReplyFacts};
use std::borrow::Cow;

/// How far a response is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Status<'a> {
    InProgress,
    Completed,
    /// Cut short, for this reason.
    Incomplete(&'static str),
    /// Broken off.
    Failed(&'a CallerError<'a>),
}

/// What a response object is written from.
pub(super) struct Response<'a> {
    pub(super) facts: &'a ReplyFacts,
    pub(super) echo: &'a Echo,
    /// The provider's id; empty where it gives none.
    pub(super) provider_id: &'a str,
    pub(super) created: u64,
    pub(super) status: Status<'a>,
    pub(super) output: Option<&'a Output>,
    pub(super) usage: Option<&'a Usage>,
    pub(super) service_tier: Option<&'a str>,
}

impl<'a> Status<'a> {
    /// How an answer that ended for this reason counts.
    pub(super) fn of(stop: Option<StopReason>, refuses: bool) -> Self {
        match stop {
            Some(StopReason::Length | StopReason::ContextWindow) => Self::Incomplete("max_output_tokens"),
            // A refusal in words is a complete answer.
            Some(StopReason::Refusal) if refuses => Self::Completed,
            Some(StopReason::ContentFilter | StopReason::Recitation | StopReason::Refusal) => {
                Self::Incomplete("content_filter")
            }
            _ => Self::Completed,
        }
    }

    /// The answer was cut short.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Incomplete(_) | Self::Failed(_))
    }

    /// The word of `status`; the event of the stream is named after it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }
}

/// The id of a response: the provider's where it is one of this API.
pub(super) fn response_id<'a>(facts: &ReplyFacts, provider_id: &'a str) -> Cow<'a, str> {
    if provider_id.starts_with("resp_") {
        Cow::Borrowed(provider_id)
    } else {
        Cow::Owned(format!("resp_{}", facts.fallback_id))
    }
}

impl Response<'_> {
    /// Appends the object.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.string("id", &response_id(self.facts, self.provider_id));
        object.string("object", "response");
        object.integer("created_at", self.created);
        object.string("status", self.status.word());
        self.echo.write(&mut object, |name, object| self.write_own(name, object));
        object.close();
    }

    fn write_own(&self, name: &str, object: &mut Object<'_>) {
        match name {
            "error" => match self.status {
                Status::Failed(error) => object.object("error", |object| {
                    object.string("code", &error_code(error));
                    object.string("message", error.message);
                }),
                _ => object.raw("error", "null"),
            },
            "incomplete_details" => match self.status {
                Status::Incomplete(reason) => {
                    object.object("incomplete_details", |object| object.string("reason", reason));
                }
                _ => object.raw("incomplete_details", "null"),
            },
            "model" => object.string("model", &self.facts.client_model),
            "output" => match self.output {
                Some(output) => output.write(object.member("output")),
                None => object.raw("output", "[]"),
            },
            "service_tier" => match (self.service_tier, self.echo.get("service_tier")) {
                (Some(tier), _) => object.string("service_tier", tier),
                (None, Some(tier)) => object.value("service_tier", tier),
                (None, None) => object.raw("service_tier", r#""auto""#),
            },
            "usage" => match self.usage {
                Some(counts) => usage::write(counts, object.member("usage")),
                None => object.raw("usage", "null"),
            },
            _ => {}
        }
    }
}

/// The word for an error within a response, of those that OpenAI's types know where the error has none of its own.
fn error_code(error: &CallerError<'_>) -> String {
    let own = error.code.filter(|code| !code.bytes().all(|byte| byte.is_ascii_digit()));
    let word = own.unwrap_or(match error.status {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    });
    word.to_owned()
}
