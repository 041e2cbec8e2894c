//! OpenAI's images, audio and moderation.
//!
//! Owns: which module serves which operation, what their checks share. Leaves to others: each of them.
//!
//! **Invariant:** images and sounds are made up and small, but whole files of the format that they claim to be.

mod images;
mod moderation;
mod sound;
mod speech;
mod tables;
mod transcription;

pub(crate) use images::PIXEL;
pub(crate) use sound::silence;

use crate::ask::{Ask, flag_at, text_at, tokens_of};
use crate::error::ApiError;
use crate::openai::check::spell;
use crate::platform::{FILE, Form, Op};
use crate::reply::{Making, Reply};
use crate::shape::{self, Field, Keys, Step, Violation, Wrong};
use serde_json::Value;

/// What the reply to a request is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) body: &'a Value,
    pub(crate) form: Option<&'a Form>,
    pub(crate) model: &'a str,
}

/// Checks the fields of a body against a table.
fn fields(body: &Value, table: &'static [Field]) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request("We expected a JSON object in the request body."));
    };
    // Azure has the model in the path; that there is one at all was seen to before.
    let no_model = [Step::Key("model".to_owned())];
    let found = shape::check(object, table, Keys::Exact);
    match found.iter().find(|found| found.wrong != Wrong::Missing || found.path != no_model) {
        None => Ok(()),
        Some(violation) => Err(of_file(violation).unwrap_or_else(|| spell(violation))),
    }
}

/// A field that should have been a file.
fn of_file(violation: &Violation) -> Option<ApiError> {
    let Wrong::Type { got, .. } = &violation.wrong else { return None };
    let param = crate::openai::check::param_of(&violation.path);
    let takes_file =
        ["file", "image", "mask", "markup"].contains(&param.split('[').next().unwrap_or_default());
    (takes_file && got.is_string()).then(|| {
        let message = format!("Invalid type for '{param}': expected a file, but got a string instead.");
        ApiError::bad_request(message).param(param).code("invalid_type")
    })
}

/// Checks a body.
pub(crate) fn check(op: Op, body: &Value, model: &str) -> Result<(), ApiError> {
    match op {
        Op::GenerateImage => images::check_generate(body, model),
        Op::EditImage => images::check_edit(body, model),
        Op::VaryImage => images::check_variation(body, model),
        Op::Speak => speech::check(body, model),
        Op::Transcribe => transcription::check(body, model),
        Op::Translate => transcription::check_translation(body, model),
        _ => moderation::check(body, model),
    }
}

/// Reads what a body asks for.
pub(crate) fn read(op: Op, body: &Value, model: &str) -> Ask {
    let said = match op {
        Op::Speak | Op::Moderate => text_at(body, "input"),
        Op::Transcribe | Op::Translate => body
            .pointer("/file")
            .and_then(|file| file.get(FILE))
            .map(|file| text_at(file, "filename"))
            .unwrap_or_default(),
        _ => text_at(body, "prompt"),
    };
    let mut ask = Ask {
        model: model.to_owned(),
        choices: 1,
        last_user: said.to_owned(),
        prompt_tokens: tokens_of(said),
        stream: flag_at(body, "stream"),
        ..Ask::default()
    };
    if !matches!(op, Op::Transcribe | Op::Translate) {
        // What is made is no text.
        ask.max_tokens = Some(0);
    }
    ask
}

/// The reply.
pub(crate) fn make(op: Op, sent: Sent<'_>, ask: &Ask, making: &mut Making<'_>) -> Reply {
    match op {
        Op::GenerateImage | Op::EditImage | Op::VaryImage => images::make(op, sent, making),
        Op::Speak => speech::make(sent, making),
        Op::Transcribe | Op::Translate => transcription::make(op, sent, ask, making),
        _ => moderation::make(sent, making),
    }
}

/// The refusal of a parameter that the model does not know.
fn unknown(name: &str) -> ApiError {
    ApiError::bad_request(format!("Unknown parameter: '{name}'.")).param(name).code("unknown_parameter")
}

/// The refusal of a value that the model does not take.
fn wrong_value(name: &str, value: &str, takes: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid value: '{value}'. Supported values are: {takes}."))
        .param(name)
        .code("invalid_value")
}

/// The refusal of a text that is too long.
fn too_long(name: &str, max: usize, len: usize) -> ApiError {
    let message = format!(
        "Invalid '{name}': string too long. Expected a string with maximum length {max}, but got a string with length \
         {len} instead."
    );
    ApiError::bad_request(message).param(name).code("string_above_max_length")
}

#[cfg(test)]
mod tests;
