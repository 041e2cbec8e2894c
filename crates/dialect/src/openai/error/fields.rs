//! Finds the sentence, type, parameter and code in an error body, whatever its shape.

use crate::failure::MESSAGE_BYTES_MAX;
use serde_json::{Map, Value};

/// Longest type, parameter or code that is kept, in bytes; real ones are words.
const WORD_BYTES_MAX: usize = 256;

/// Most entries of a list of errors that are read; the first ones say what is wrong.
const LIST_ITEMS_MAX: usize = 8;

/// What an error body says.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) kind: Option<String>,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
    /// Words for classing only: an inner code, the body of a provider behind the provider.
    inner: String,
}

impl Fields {
    /// Reads a body that is JSON.
    pub(super) fn of_json(value: &Value) -> Self {
        match value {
            Value::Object(members) => Self::of_members(members),
            Value::Array(items) => items.first().map(Self::of_json).unwrap_or_default(),
            Value::String(text) => Self { message: sentence(text), ..Self::default() },
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::default(),
        }
    }

    /// Reads a body that is not JSON: a plain sentence counts, markup does not.
    pub(super) fn of_text(body: &[u8]) -> Self {
        let head = body.get(..MESSAGE_BYTES_MAX).unwrap_or(body);
        let text = match std::str::from_utf8(head) {
            Ok(text) => text,
            // The cut fell into a character.
            Err(error) if error.error_len().is_none() => head
                .get(..error.valid_up_to())
                .and_then(|valid| std::str::from_utf8(valid).ok())
                .unwrap_or_default(),
            Err(_) => return Self::default(),
        };
        let text = text.trim_start_matches('\u{feff}').trim();
        // `{` and `[` begin JSON that was cut; quoting it would quote a body.
        let is_sentence = !text.starts_with(['<', '{', '[']);
        Self { message: if is_sentence { sentence(text) } else { String::new() }, ..Self::default() }
    }

    fn of_members(members: &Map<String, Value>) -> Self {
        match members.get("error") {
            Some(Value::Object(error)) => {
                let mut fields = Self::of_flat(error);
                fields.fill_from(Self::of_flat(members));
                fields
            }
            Some(Value::String(text)) => {
                let mut fields = Self::of_flat(members);
                // OAuth and some gateways put a code into `error` and the sentence beside it.
                if fields.message.is_empty() {
                    fields.message = sentence(text);
                } else {
                    fields.inner.push_str(text);
                }
                fields
            }
            _ => Self::of_flat(members),
        }
    }

    /// Reads the members of one object, the outer one or the one under `error`.
    fn of_flat(members: &Map<String, Value>) -> Self {
        const SENTENCES: [&str; 8] =
            ["message", "detail", "msg", "errors", "error_description", "error_msg", "Message", "reason"];
        let word = |names: &[&str]| names.iter().find_map(|name| word(members.get(*name)?));
        let mut fields = Self {
            message: SENTENCES.iter().find_map(|name| sentence_in(members.get(*name)?)).unwrap_or_default(),
            kind: word(&["type", "status", "error_type", "__type"]).filter(|kind| kind != "error"),
            param: word(&["param"]),
            code: word(&["code", "statusCode", "status_code"]),
            inner: String::new(),
        };
        // Azure's inner code, and the body of the provider behind OpenRouter.
        let inner_error = members.get("innererror").or_else(|| members.get("inner_error"));
        if let Some(code) = inner_error.and_then(|inner| inner.get("code")?.as_str()) {
            fields.inner.push_str(code);
        }
        if let Some(raw) = members.get("metadata").and_then(|metadata| metadata.get("raw")?.as_str()) {
            fields.inner.push_str(cut(raw, MESSAGE_BYTES_MAX));
        }
        if let Some(Value::Array(details)) = members.get("details") {
            let reasons =
                details.iter().take(LIST_ITEMS_MAX).filter_map(|detail| detail.get("reason")?.as_str());
            reasons.for_each(|reason| fields.inner.push_str(cut(reason, WORD_BYTES_MAX)));
        }
        fields
    }

    fn fill_from(&mut self, outer: Self) {
        if self.message.is_empty() {
            self.message = outer.message;
        }
        self.kind = self.kind.take().or(outer.kind);
        self.param = self.param.take().or(outer.param);
        self.code = self.code.take().or(outer.code);
        self.inner.push_str(&outer.inner);
    }

    /// Everything that the body says, in lower case, for classing.
    pub(super) fn words(&self) -> String {
        let parts = [
            self.code.as_deref().unwrap_or_default(),
            self.kind.as_deref().unwrap_or_default(),
            &self.inner,
            &self.message,
        ];
        parts.join("\n").to_lowercase()
    }
}

/// The first `bytes_max` bytes of a text, cut between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('<') { String::new() } else { cut(text, MESSAGE_BYTES_MAX).to_owned() }
}

/// A code or type: a string, or the number that some providers give.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(cut(text, WORD_BYTES_MAX).to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The sentence in a member: itself, one level down, or the entries of a list of errors.
fn sentence_in(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => sentence(text),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().take(LIST_ITEMS_MAX).filter_map(list_item).collect();
            sentence(&texts.join("; "))
        }
        Value::Object(members) => {
            let inner =
                ["message", "detail", "msg", "error"].iter().find_map(|name| match members.get(*name)? {
                    Value::Object(deeper) => deeper.get("message")?.as_str().map(sentence),
                    Value::Array(items) => {
                        let texts: Vec<String> =
                            items.iter().take(LIST_ITEMS_MAX).filter_map(list_item).collect();
                        Some(sentence(&texts.join("; ")))
                    }
                    other => other.as_str().map(sentence),
                });
            inner?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// One entry of a list of errors: a text, or FastAPI's `{loc, msg}`. Its `input`, which echoes the body, is left out.
fn list_item(item: &Value) -> Option<String> {
    if let Some(text) = item.as_str() {
        return Some(text.to_owned());
    }
    let text = item.get("msg").or_else(|| item.get("message"))?.as_str()?;
    let place: Vec<String> = item
        .get("loc")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(word)
        .collect();
    Some(if place.is_empty() { text.to_owned() } else { format!("{}: {text}", place.join(".")) })
}
