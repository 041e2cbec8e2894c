//! Writes a chat request in OpenAI's form: the top level. Leaves messages to [`messages`] and tools to [`tools`].
//!
//! Owns what OpenAI's published form cannot hold and how the nearest thing is said. **Invariant:** with
//! [`Extensions::Include`], a request that [`super::decode_chat`] gave is written so that it reads back the same.

mod messages;
mod tools;

pub(crate) use messages::{data_url, with_documents_as_text};

use super::EFFORTS;
use crate::conversation::{CacheControl, ChatRequest, Effort, Reasoning, ResponseFormat, Sampling};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound};
use serde_json::{Map, Number, Value, json};

/// The path after the base URL.
pub const CHAT_PATH: &str = "/chat/completions";

/// Whether LiteLLM's names beyond OpenAI's published types may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extensions {
    /// The receiver reads them (another gateway, a test of parity).
    Include,
    /// The receiver is OpenAI or as strict as OpenAI. Cache marks, earlier reasoning and thought signatures mean
    /// nothing there: they are left out and named as lost; a budget of reasoning becomes the nearest effort.
    Omit,
}

/// Writes a `chat/completions` request.
///
/// # Errors
/// [`EncodeError::Unsupported`] for `top_k` where extensions are omitted, and for hosted tools of another maker, unless
/// [`drop_unsupported`](EncodeOptions::drop_unsupported) is set. [`EncodeError::Invalid`] for a part that has no form
/// in its message: a sound that is an address, a picture that is a file id, a tool's answer outside a tool's message.
pub fn encode_chat(
    request: &ChatRequest,
    extensions: Extensions,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    let mut lost = Losses::default();
    let refused = refused_params(request, extensions, options);
    if !refused.is_empty() && !options.drop_unsupported {
        return Err(EncodeError::Unsupported { params: refused.into_iter().map(str::to_owned).collect() });
    }
    refused.into_iter().for_each(|name| lost.note(name));
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model));
    let messages = messages::write_messages(&request.messages, extensions, &mut lost)?;
    body.insert("messages".to_owned(), Value::Array(messages));
    tools::write_tools(request, extensions, &mut body, &mut lost);
    write_sampling(&request.sampling, &mut body);
    if let (Some(top_k), Extensions::Include) = (request.sampling.top_k, extensions) {
        insert(&mut body, "top_k", top_k);
    }
    if let Some(format) = &request.response_format {
        insert(&mut body, "response_format", response_format(format));
    }
    if let Some(reasoning) = &request.reasoning {
        write_reasoning(reasoning, extensions, &mut body, &mut lost);
    }
    if request.show_reasoning == Some(true) && extensions == Extensions::Omit {
        // Of this API's reasoning, tokens alone are seen.
        lost.note("reasoning.summary");
    }
    if request.stream {
        insert(&mut body, "stream", true);
    }
    if let Some(user) = &request.user {
        insert(&mut body, "user", user.as_str());
    }
    write_extra(request, &mut body);
    request.native.keys().for_each(|name| lost.note(name.clone()));
    Ok(Outbound {
        path: CHAT_PATH.to_owned(),
        body: Value::Object(body).to_string().into_bytes(),
        lost,
        ..Outbound::default()
    })
}

/// The parameters that the request gives and this wire does not have.
fn refused_params(
    request: &ChatRequest,
    extensions: Extensions,
    options: &EncodeOptions,
) -> Vec<&'static str> {
    if extensions == Extensions::Include {
        return Vec::new();
    }
    let given = [("top_k", request.sampling.top_k.is_some()), ("tools", tools::has_foreign(request))];
    let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    given.filter(|name| !options.allowed_params.iter().any(|allowed| allowed == name)).collect()
}

fn insert(body: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    body.insert(name.to_owned(), value.into());
}

fn insert_some(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        insert(body, name, value);
    }
}

/// A number as its caller would write it: without a fraction where it has none.
pub(crate) fn number(value: f64) -> Value {
    // Up to here every whole double is an exact integer (2^53).
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX && !(value == 0.0 && value.is_sign_negative()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within +-2^53")]
        return Value::Number(Number::from(value as i64));
    }
    json!(value)
}

fn write_sampling(sampling: &Sampling, body: &mut Map<String, Value>) {
    insert_some(body, "temperature", sampling.temperature.map(number));
    insert_some(body, "top_p", sampling.top_p.map(number));
    insert_some(body, "max_completion_tokens", sampling.max_tokens);
    match sampling.stop.as_slice() {
        [] => {}
        [one] => insert(body, "stop", one.as_str()),
        several => insert(body, "stop", several),
    }
    insert_some(body, "seed", sampling.seed);
    insert_some(body, "presence_penalty", sampling.presence_penalty.map(number));
    insert_some(body, "frequency_penalty", sampling.frequency_penalty.map(number));
    insert_some(body, "n", sampling.n);
    insert_some(body, "logprobs", sampling.logprobs);
    insert_some(body, "top_logprobs", sampling.top_logprobs);
    insert_some(body, "logit_bias", sampling.logit_bias.clone());
}

/// Writes Anthropic's cache mark where its name may be written.
fn write_mark(
    mark: Option<&CacheControl>,
    extensions: Extensions,
    out: &mut Map<String, Value>,
    lost: &mut Losses,
) {
    match (mark, extensions) {
        (None, _) => {}
        (Some(_), Extensions::Omit) => lost.note("cache_control"),
        (Some(mark), Extensions::Include) => {
            let mut members = Map::new();
            insert(&mut members, "type", "ephemeral");
            insert_some(&mut members, "ttl", mark.ttl.as_deref());
            insert(out, "cache_control", members);
        }
    }
}

fn response_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let mut members = Map::new();
            insert(&mut members, "name", name.as_str());
            insert_some(&mut members, "description", description.as_deref());
            insert(&mut members, "schema", schema.clone());
            insert_some(&mut members, "strict", *strict);
            json!({"type": "json_schema", "json_schema": members})
        }
    }
}

fn write_reasoning(
    reasoning: &Reasoning,
    extensions: Extensions,
    body: &mut Map<String, Value>,
    lost: &mut Losses,
) {
    match (reasoning, extensions) {
        (Reasoning::Effort(effort), _) => insert(body, "reasoning_effort", effort_word(*effort)),
        (Reasoning::Budget(tokens), Extensions::Include) => {
            insert(body, "thinking", json!({"type": "enabled", "budget_tokens": tokens}));
        }
        (Reasoning::Adaptive, Extensions::Include) => insert(body, "thinking", json!({"type": "adaptive"})),
        (Reasoning::Disabled, Extensions::Include) => insert(body, "thinking", json!({"type": "disabled"})),
        (Reasoning::Budget(tokens), Extensions::Omit) => {
            insert(body, "reasoning_effort", effort_word(nearest_effort(*tokens)));
        }
        // Models that reason by default differ in whether they take `none`; saying nothing is always accepted.
        (Reasoning::Disabled, Extensions::Omit) => lost.note("thinking"),
        // What is as much as the model finds fit is what it does unasked.
        (Reasoning::Adaptive, Extensions::Omit) => {}
    }
}

/// The word of `reasoning_effort`.
pub(crate) fn effort_word(effort: Effort) -> &'static str {
    EFFORTS.iter().find(|(_, known)| *known == effort).map_or("medium", |(word, _)| word)
}

/// LiteLLM gives low, medium and high 1,024, 2,048 and 4,096 tokens; read backwards.
pub(crate) fn nearest_effort(budget_tokens: u64) -> Effort {
    match budget_tokens {
        0..=1_024 => Effort::Low,
        1_025..=2_048 => Effort::Medium,
        _ => Effort::High,
    }
}

fn write_extra(request: &ChatRequest, body: &mut Map<String, Value>) {
    for (name, value) in &request.extra {
        if !["tools", "stream_options", "web_search_options"].contains(&name.as_str()) {
            insert(body, name, value.clone());
        }
    }
    let mut stream_options = match request.extra.get("stream_options") {
        Some(Value::Object(rest)) => rest.clone(),
        _ => Map::new(),
    };
    if request.include_usage {
        insert(&mut stream_options, "include_usage", true);
    }
    if !stream_options.is_empty() {
        insert(body, "stream_options", stream_options);
    }
}

#[cfg(test)]
mod tests {
    use super::{EFFORTS, effort_word, number};

    #[test]
    fn numbers_are_written_as_their_caller_would() {
        let check = |value: f64, expect: &str| assert_eq!(number(value).to_string(), expect);
        check(0.7, "0.7");
        check(1.0, "1");
        check(0.0, "0");
        check(-2.0, "-2");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e300, "1e+300");
    }

    #[test]
    fn every_effort_has_its_word() {
        for (word, effort) in EFFORTS {
            assert_eq!(effort_word(effort), word);
        }
    }
}
