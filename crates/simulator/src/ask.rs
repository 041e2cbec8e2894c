//! What a request asks for, whatever wire it came on.
//!
//! Owns: [`Ask`], and the counting of tokens. Leaves to others: reading it from a body (each surface's own module), and
//! answering it (`compose`).
//!
//! **Invariant:** tokens are counted from characters alone, four to a token, rounded up: the same text always has the
//! same count, and a stream of it has as many content events.

use crate::extras::Document;
use serde_json::Value;

/// Characters in a token.
pub(crate) const TOKEN_CHARS: usize = 4;
/// What a message costs beside its text.
const MESSAGE_TOKENS: u64 = 4;
/// What an image, a file or a piece of audio counts for.
pub(crate) const ATTACHMENT_TOKENS: u64 = 85;

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) prompt_tokens: u64,
    /// Text of the last message of the user.
    pub(crate) last_user: String,
    /// The beginning of the answer, where the conversation ends with one.
    pub(crate) begun: Option<String>,
    /// Text of the tool results that end the conversation, if it ends with some.
    pub(crate) tool_result: Option<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    /// More than one call at once is allowed.
    pub(crate) parallel: bool,
    /// The schema that the answer must have.
    pub(crate) schema: Option<Value>,
    /// The answer must be JSON.
    pub(crate) json: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    /// How many answers.
    pub(crate) choices: usize,
    pub(crate) stream: bool,
    /// Usage is wanted at the end of a stream (OpenAI alone asks).
    pub(crate) include_usage: bool,
    pub(crate) thinking: Thinking,
    /// The request has a tool with which the provider searches the web.
    pub(crate) searches: bool,
    /// How many alternatives of each token are to be told with its probability (Gemini).
    pub(crate) logprobs: Option<usize>,
    /// The modality of each attachment (Gemini).
    pub(crate) attached: Vec<&'static str>,
    /// An image is wanted (Gemini).
    pub(crate) wants_image: bool,
    /// Documents that the answer is to cite.
    pub(crate) documents: Vec<Document>,
}

/// A tool that the request declares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// Whether the answer must, may or must not call tools.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum ToolChoice {
    #[default]
    Free,
    Any,
    Named(String),
    Never,
}

/// Whether the request asks for reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Thinking {
    #[default]
    Off,
    /// Reasoning is counted and not shown.
    Hidden,
    /// Reasoning is shown.
    Shown,
}

/// The number of tokens in a text.
pub(crate) fn tokens_of(text: &str) -> u64 {
    // Almost every prompt is ASCII, where characters are bytes.
    let chars = if text.is_ascii() { text.len() } else { text.chars().count() };
    chars.div_ceil(TOKEN_CHARS) as u64
}

/// The tokens of a text, each as the text that it stands for.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut out = Vec::with_capacity(text.len() / TOKEN_CHARS + 1);
    while !rest.is_empty() {
        let end = rest.char_indices().nth(TOKEN_CHARS).map_or(rest.len(), |(at, _)| at);
        let (piece, tail) = rest.split_at(end);
        out.push(piece);
        rest = tail;
    }
    out
}

/// Counts a prompt, message by message.
#[derive(Debug, Default)]
pub(crate) struct PromptCount {
    pub(crate) tokens: u64,
}

impl PromptCount {
    /// Counts a message's own cost.
    pub(crate) fn message(&mut self) {
        self.tokens += MESSAGE_TOKENS;
    }

    /// Counts text.
    pub(crate) fn text(&mut self, text: &str) {
        self.tokens += tokens_of(text);
    }

    /// Counts an image, a file or a piece of audio.
    pub(crate) fn attachment(&mut self) {
        self.tokens += ATTACHMENT_TOKENS;
    }

    /// Counts a JSON value as its text.
    pub(crate) fn json(&mut self, value: &Value) {
        self.text(&value.to_string());
    }
}

/// The text of a field, or nothing.
pub(crate) fn text_at<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list field, or none.
pub(crate) fn items_at<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A whole number field.
pub(crate) fn number_at(value: &Value, key: &str) -> Option<u64> {
    value.get(key).and_then(Value::as_u64)
}

/// A flag, false when absent.
pub(crate) fn flag_at(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// The texts of a field that is one text or a list of them.
pub(crate) fn texts_at(value: &Value, key: &str) -> Vec<String> {
    match value.get(key) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_four_characters() {
        for (text, tokens) in [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("äöüß", 1), ("日本語です", 2)]
        {
            assert_eq!(tokens_of(text), tokens, "{text}");
            assert_eq!(pieces(text).len() as u64, tokens, "{text}");
            assert_eq!(pieces(text).concat(), text);
        }
    }
}
