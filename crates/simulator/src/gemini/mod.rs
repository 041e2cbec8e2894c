//! The Gemini surface: what it accepts, what a request asks for, what it replies.
//!
//! Owns: reading a body into an [`Ask`]; credentials. Leaves to others: `check` the rules of a body, `reply` the shapes
//! of replies.
//!
//! **Invariant:** fields are read in `camelCase` and `snake_case` alike, as Google's JSON has them.

pub(crate) mod check;
mod details;
pub(crate) mod reply;
pub(crate) mod tables;
mod turns;

use crate::ask::{Ask, PromptCount, Thinking, Tool, ToolChoice};
use crate::behaviour::Behaviour;
use crate::compose::Composed;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::surface::{Operation, query_value};
use http::HeaderMap;
use serde_json::{Value, json};

/// Tokens of a content that was cached before.
const CACHED_TOKENS: u64 = 2_048;
/// What the signature of a thought is made for.
const THOUGHT: &str = "thought";
/// Signatures that the API lets through for calls that it did not make (thought signatures guide).
const UNSIGNED: [&str; 2] = ["context_engineering_is_the_way_to_go", "skip_thought_signature_validator"];

/// A field by its `camelCase` name, in either spelling.
pub(crate) fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    let found = object.get(name).or_else(|| {
        object
            .iter()
            .find(|(key, _)| key.contains('_') && crate::shape::camel(key) == name)
            .map(|(_, value)| value)
    });
    found.filter(|value| !value.is_null())
}

/// A field of text, or nothing.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    get(value, name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list field, or none.
pub(crate) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    get(value, name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The key: `x-goog-api-key`, `?key=`, or a bearer token.
pub(crate) fn credential(headers: &HeaderMap, query: &str) -> Option<String> {
    let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let key = header.or_else(|| query_value(query, "key")).filter(|key| !key.is_empty());
    key.or_else(|| crate::openai::bearer(headers).map(str::to_owned))
}

/// The refusal of a request without a key.
pub(crate) fn missing_key() -> ApiError {
    ApiError::new(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or \
         other form of API consumer identity to call this API.",
    )
}

/// The refusal of a wrong key.
pub(crate) fn wrong_key() -> ApiError {
    let mut error = ApiError::bad_request("API key not valid. Please pass a valid API key.");
    error.details = Some(Box::new(json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }])));
    error
}

/// Reads what a request to generate asks for.
pub(crate) fn read(body: &Value, model: &str, stream: bool) -> Ask {
    let mut ask = Ask { model: model.to_owned(), stream, parallel: true, ..Ask::default() };
    let mut count = PromptCount { tokens: 3 };
    if let Some(system) = get(body, "systemInstruction") {
        content(system, &mut count);
    }
    for message in items(body, "contents") {
        count.message();
        let (said, result) = content(message, &mut count);
        if text(message, "role") == "model" {
            ask.tool_result = None;
        } else {
            (ask.last_user, ask.tool_result) = (said, result);
        }
    }
    for tool in items(body, "tools") {
        for function in items(tool, "functionDeclarations") {
            count.json(function);
            let schema = get(function, "parameters").or_else(|| get(function, "parametersJsonSchema"));
            let schema = schema.cloned().unwrap_or_else(|| json!({"type": "OBJECT"}));
            ask.tools.push(Tool { name: text(function, "name").to_owned(), schema });
        }
    }
    if get(body, "cachedContent").is_some() {
        count.tokens += CACHED_TOKENS;
    }
    ask.prompt_tokens = count.tokens;
    let searches = ["googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"];
    ask.searches =
        items(body, "tools").iter().any(|tool| searches.iter().any(|name| get(tool, name).is_some()));
    ask.attached = attached(body);
    let none = Value::Null;
    let config =
        get(body, "toolConfig").and_then(|config| get(config, "functionCallingConfig")).unwrap_or(&none);
    let allowed = items(config, "allowedFunctionNames").first().and_then(Value::as_str);
    ask.tool_choice = match (text(config, "mode").to_ascii_uppercase().as_str(), allowed) {
        ("ANY", Some(name)) => ToolChoice::Named(name.to_owned()),
        ("ANY", None) => ToolChoice::Any,
        ("NONE", _) => ToolChoice::Never,
        _ => ToolChoice::Free,
    };
    generation(get(body, "generationConfig").unwrap_or(&none), &mut ask);
    ask
}

fn generation(config: &Value, ask: &mut Ask) {
    let schema = ["responseSchema", "responseJsonSchema"].into_iter().find_map(|name| get(config, name));
    ask.schema = schema.cloned();
    ask.json = text(config, "responseMimeType") == "application/json";
    ask.max_tokens = get(config, "maxOutputTokens").and_then(Value::as_u64);
    ask.stop = items(config, "stopSequences").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let choices = get(config, "candidateCount").and_then(Value::as_u64).unwrap_or(1);
    ask.choices = usize::try_from(choices).unwrap_or(1).clamp(1, 8);
    let modalities = items(config, "responseModalities").iter().filter_map(Value::as_str);
    ask.wants_image = modalities.into_iter().any(|modality| modality.eq_ignore_ascii_case("IMAGE"));
    if get(config, "responseLogprobs") == Some(&Value::Bool(true)) {
        let alternatives = get(config, "logprobs").and_then(Value::as_u64).unwrap_or(1);
        ask.logprobs = Some(usize::try_from(alternatives).unwrap_or(1));
    }
    if let Some(thinking) = get(config, "thinkingConfig") {
        let shown = get(thinking, "includeThoughts").and_then(Value::as_bool).unwrap_or(false);
        let off = get(thinking, "thinkingBudget").and_then(Value::as_i64) == Some(0);
        ask.thinking = match (off, shown) {
            (true, _) => Thinking::Off,
            (false, true) => Thinking::Shown,
            (false, false) => Thinking::Hidden,
        };
    }
}

/// The modality of every attachment of a request.
fn attached(body: &Value) -> Vec<&'static str> {
    let parts = items(body, "contents").iter().flat_map(|content| items(content, "parts"));
    let files = parts.filter_map(|part| get(part, "inlineData").or_else(|| get(part, "fileData")));
    files.map(|file| details::modality(text(file, "mimeType"))).collect()
}

/// Puts into an answer's counts what a cached content holds and what an image costs, unless the behaviour sets them.
pub(crate) fn settle(asked: &Asked, behaviour: &Behaviour, composed: &mut Composed) {
    if !matches!(asked.route.operation, Some(Operation::Generate | Operation::StreamGenerate)) {
        return;
    }
    if get(&asked.json, "cachedContent").is_some() && behaviour.tokens.cached.is_none() {
        composed.counts.cached = CACHED_TOKENS.min(composed.counts.prompt);
    }
    if composed.image && behaviour.tokens.completion.is_none() {
        composed.counts.completion += details::IMAGE_TOKENS;
    }
}

/// The text of a content, and that of its function responses.
fn content(message: &Value, count: &mut PromptCount) -> (String, Option<String>) {
    let mut said = String::new();
    let mut result: Option<String> = None;
    for part in items(message, "parts") {
        if let Some(words) = get(part, "text").and_then(Value::as_str) {
            count.text(words);
            said.push_str(words);
        } else if let Some(call) = get(part, "functionCall") {
            count.json(call);
        } else if let Some(response) = get(part, "functionResponse") {
            count.json(response);
            let response = get(response, "response").unwrap_or(&Value::Null);
            result.get_or_insert_default().push_str(&response.to_string());
        } else {
            count.attachment();
        }
    }
    (said, result)
}

/// The tokens of the contents of a request to count them.
pub(crate) fn count_tokens(body: &Value) -> u64 {
    let inner = get(body, "generateContentRequest").unwrap_or(body);
    read(inner, "", false).prompt_tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_request_is_read_in_both_spellings() {
        for body in [
            json!({
                "systemInstruction": {"parts": [{"text": "abcd"}]},
                "contents": [{"role": "user", "parts": [{"text": "hi"}, {"inlineData": {}}]}],
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
                "generationConfig": {"maxOutputTokens": 5, "stopSequences": ["x"], "thinkingConfig": {"includeThoughts": true}},
            }),
            json!({
                "system_instruction": {"parts": [{"text": "abcd"}]},
                "contents": [{"parts": [{"text": "hi"}, {"inline_data": {}}]}],
                "tools": [{"function_declarations": [{"name": "f"}]}],
                "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
                "generation_config": {"max_output_tokens": 5, "stop_sequences": ["x"], "thinking_config": {"include_thoughts": true}},
            }),
        ] {
            let ask = read(&body, "g", false);
            assert_eq!((ask.last_user.as_str(), ask.max_tokens), ("hi", Some(5)));
            assert_eq!(ask.tool_choice, ToolChoice::Named("f".to_owned()));
            assert_eq!((ask.thinking, ask.stop.len()), (Thinking::Shown, 1));
            assert_eq!(ask.prompt_tokens, 3 + 1 + 4 + 1 + 85 + 3);
        }
    }

    #[test]
    fn the_key_may_stand_in_a_header_or_in_the_query() {
        let mut headers = HeaderMap::new();
        assert_eq!(credential(&headers, "alt=sse"), None);
        assert_eq!(credential(&headers, "alt=sse&key=q").as_deref(), Some("q"));
        headers.insert("x-goog-api-key", HeaderValue::from_static("h"));
        assert_eq!(credential(&headers, "key=q").as_deref(), Some("h"));
    }
}
