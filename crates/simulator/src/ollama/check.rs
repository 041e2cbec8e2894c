//! The rules of Ollama's request bodies, and its words for a broken one.
//!
//! Owns: the fields as tables, after the types of the official Python package; what the server says of a wrong one.
//! Leaves to others: what a request asks for.
//!
//! **Invariant:** a field that Ollama does not know is passed over, as its server does; one that it knows has the right
//! type.

use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use crate::shape::Shape::{Any, Bool, Either, Int, MapOf, Num, Object, Text};
use crate::shape::{self, Field, Keys, Shape, Step, Violation, Wrong, list, may, must, null};
use crate::surface::Operation;
use serde_json::Value;

const WHOLE: Shape = Int(i64::MIN, i64::MAX);
const NUMBER: Shape = Num(f64::MIN, f64::MAX);
const KEEP_ALIVE: Shape = Either(&[Text, NUMBER]);
const THINK: Shape = Either(&[Bool, Text]);
const FORMAT: Shape = Either(&[Text, Object]);

const TOOL_CALL: Shape = Shape::Closed(&[
    may("id", Text),
    may("function", Shape::Closed(&[may("index", WHOLE), must("name", Text), must("arguments", Object)])),
]);
const MESSAGE: Shape = Shape::Closed(&[
    must("role", Text),
    may("content", Text),
    may("thinking", Text),
    null("images", list(&Text)),
    null("tool_calls", list(&TOOL_CALL)),
    may("tool_name", Text),
    may("tool_call_id", Text),
]);
const TOOL: Shape = Shape::Closed(&[
    may("type", Text),
    must(
        "function",
        Shape::Closed(&[must("name", Text), may("description", Text), may("parameters", MapOf(&Any))]),
    ),
]);

static CHAT: &[Field] = &[
    must("model", Text),
    null("messages", list(&MESSAGE)),
    null("tools", list(&TOOL)),
    null("stream", Bool),
    null("format", FORMAT),
    null("options", Object),
    null("keep_alive", KEEP_ALIVE),
    null("think", THINK),
    null("logprobs", Bool),
    null("top_logprobs", WHOLE),
];

static GENERATE: &[Field] = &[
    must("model", Text),
    null("prompt", Text),
    null("suffix", Text),
    null("system", Text),
    null("template", Text),
    null("context", list(&WHOLE)),
    null("raw", Bool),
    null("images", list(&Text)),
    null("stream", Bool),
    null("format", FORMAT),
    null("options", Object),
    null("keep_alive", KEEP_ALIVE),
    null("think", THINK),
    null("logprobs", Bool),
    null("top_logprobs", WHOLE),
];

static EMBED: &[Field] = &[
    must("model", Text),
    null("input", Either(&[Text, list(&Text)])),
    null("prompt", Text),
    null("truncate", Bool),
    null("dimensions", WHOLE),
    null("options", Object),
    null("keep_alive", KEEP_ALIVE),
];

static SHOW: &[Field] = &[may("model", Text), may("name", Text), null("verbose", Bool)];

/// Options that are whole numbers (Python package, `Options`).
const WHOLE_OPTIONS: [&str; 11] = [
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
    "repeat_last_n",
    "mirostat",
];
/// Options that are numbers.
const NUMBER_OPTIONS: [&str; 10] = [
    "top_p",
    "min_p",
    "tfs_z",
    "typical_p",
    "temperature",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "mirostat_tau",
    "mirostat_eta",
];

/// Checks a body.
pub(super) fn check(body: &Value, operation: Operation) -> Result<(), ApiError> {
    let (fields, name) = match operation {
        Operation::Chat => (CHAT, "ChatRequest"),
        Operation::Completion => (GENERATE, "GenerateRequest"),
        Operation::Embedding => (EMBED, "EmbedRequest"),
        _ => (SHOW, "ShowRequest"),
    };
    let Some(object) = body.as_object() else {
        return Err(ApiError::bad_request("json: cannot unmarshal into the request: an object is wanted"));
    };
    let found = shape::check(object, fields, Keys::Exact);
    if let Some(violation) = found.iter().find(|found| found.wrong != Wrong::Unknown) {
        return Err(spell(violation, name));
    }
    if text_at(body, "model").is_empty() && text_at(body, "name").is_empty() {
        return Err(ApiError::bad_request("model is required"));
    }
    think(body)?;
    if let Some(word) =
        body.get("format").and_then(Value::as_str).filter(|word| !matches!(*word, "" | "json"))
    {
        let message = format!("invalid format: {word:?}; expected \"json\" or a valid JSON Schema object");
        return Err(ApiError::bad_request(message));
    }
    for message in items_at(body, "messages") {
        let role = text_at(message, "role");
        if !["system", "user", "assistant", "tool"].contains(&role) {
            let message =
                format!("invalid role: {role}, role must be one of [system, user, assistant, tool]");
            return Err(ApiError::bad_request(message));
        }
        images(message)?;
    }
    images(body)?;
    options(body.get("options"))
}

fn think(body: &Value) -> Result<(), ApiError> {
    match body.get("think").and_then(Value::as_str) {
        None | Some("high" | "medium" | "low" | "max") => Ok(()),
        Some(word) => Err(ApiError::bad_request(format!(
            "invalid think value: {word:?} (must be \"high\", \"medium\", \"low\", \"max\", true, or false)"
        ))),
    }
}

fn images(holder: &Value) -> Result<(), ApiError> {
    for image in items_at(holder, "images").iter().filter_map(Value::as_str) {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        if let Some(at) = image.bytes().position(|byte| !is_letter(byte)) {
            return Err(ApiError::bad_request(format!("illegal base64 data at input byte {at}")));
        }
    }
    Ok(())
}

/// The server finds a wrong option only when it loads the model, and calls it an error of its own.
fn options(options: Option<&Value>) -> Result<(), ApiError> {
    for (name, value) in options.and_then(Value::as_object).into_iter().flatten() {
        let name = name.as_str();
        let wanted = if WHOLE_OPTIONS.contains(&name) {
            value.as_f64().is_none_or(|number| number.fract() != 0.0).then_some("integer")
        } else if NUMBER_OPTIONS.contains(&name) {
            (!value.is_number()).then_some("float32")
        } else if name == "stop" {
            let texts = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
            (!texts).then_some("array of strings")
        } else {
            None
        };
        if let Some(wanted) = wanted.filter(|_| !value.is_null()) {
            return Err(ApiError::new(500, format!("option {name:?} must be of type {wanted}")));
        }
    }
    Ok(())
}

fn spell(violation: &Violation, request: &str) -> ApiError {
    let keys = violation.path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        _ => None,
    });
    let path = keys.collect::<Vec<_>>().join(".");
    ApiError::bad_request(match &violation.wrong {
        Wrong::Missing => format!("{path} is required"),
        Wrong::Type { expected, got } => format!(
            "json: cannot unmarshal {} into Go struct field {request}.{path} of type {}",
            kind_of(got),
            go_type(expected)
        ),
        _ => format!("invalid value for {path}"),
    })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(expected: &str) -> &str {
    match expected {
        "a string" => "string",
        "a boolean" => "bool",
        "an integer" => "int",
        "a decimal" => "float64",
        "an object" => "map[string]interface {}",
        _ => "[]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(extra: &Value) -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    fn refused(extra: Value, status: u16, message: &str) {
        let error = check(&body(&extra), Operation::Chat).unwrap_err();
        assert!(error.status == status && error.message.contains(message), "{extra}: {error:?}");
    }

    #[test]
    fn what_the_package_writes_is_taken_and_what_nobody_knows_is_passed_over() {
        for extra in [
            json!({"odd": 1, "tools": [], "think": "low", "format": {"type": "object"}, "keep_alive": "5m"}),
            json!({"think": true, "format": "json", "keep_alive": 0, "stream": false}),
            json!({"options": {"num_predict": 5, "temperature": 0, "stop": ["a"], "odd": "x"}}),
            json!({"messages": [
                {"role": "user", "content": "x", "images": ["AAAA"]},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
                {"role": "tool", "tool_name": "f", "content": "r"},
            ]}),
        ] {
            assert_eq!(check(&body(&extra), Operation::Chat), Ok(()), "{extra}");
        }
    }

    #[test]
    fn a_wrong_type_is_named_as_the_server_names_it() {
        let said =
            "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string";
        refused(json!({"messages": [{"role": "user", "content": []}]}), 400, said);
        let call =
            json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]});
        refused(
            json!({"messages": [call]}),
            400,
            "ChatRequest.messages.tool_calls.function.arguments of type map",
        );
        refused(json!({"messages": [{"role": "developer", "content": "x"}]}), 400, "invalid role: developer");
        let linked = json!({"role": "user", "content": "x", "images": ["data:image/png;base64,AA"]});
        refused(json!({"messages": [linked]}), 400, "illegal base64 data at input byte 4");
        refused(json!({"think": "none"}), 400, "invalid think value");
        refused(json!({"format": "json_object"}), 400, "invalid format");
        refused(
            json!({"options": {"num_predict": "5"}}),
            500,
            "option \"num_predict\" must be of type integer",
        );
        refused(json!({"options": {"stop": "x"}}), 500, "option \"stop\" must be of type array of strings");
        refused(json!({"model": ""}), 400, "model is required");
    }
}
