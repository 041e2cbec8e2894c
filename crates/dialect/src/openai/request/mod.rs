//! Requests of OpenAI's surface, read into the conversation model and written from it.
//!
//! Owns the top level of each body. Leaves messages, parts and tools to its neighbours in this folder, and what a
//! gateway reads for itself (`fallbacks`, `metadata.tags`, ...), which arrives in `extra`, to the server crate.
//!
//! **Invariant:** a top-level member that the conversation model has no field for is in `extra`, unchanged, so that
//! whoever writes the request for another wire can say that it cannot be expressed.

mod completions;
mod embeddings;
mod encode;
mod message;
mod part;
mod sampling;
mod tool;

pub use completions::decode_completions;
pub use embeddings::{decode_embeddings, encode_embedding_request};
pub use encode::{CHAT_PATH, Extensions, encode_chat};
pub(crate) use encode::{data_url, effort_word, nearest_effort, number, with_documents_as_text};
pub(crate) use part::{audio_media_type, read_source};

use super::read::{self, Place};
use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat, Tool, ToolChoice};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// The words of `reasoning_effort`, from OpenAI's published types, with what they mean here.
const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::None),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::XHigh),
    ("max", Effort::Max),
];

/// Reads a `chat/completions` body.
///
/// Takes OpenAI's published form (legacy `functions` included) and what LiteLLM adds to it: `thinking`, `top_k`,
/// `cache_control`, `reasoning_content`, `thinking_blocks`, Gemini's thought signatures on tool calls. `null` is the
/// same as absent. Tools and tool choices that the model has no field for (hosted tools, OpenAI's `allowed_tools`) are kept
/// in `extra` under their member's name.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word. For a body that is
/// no JSON object the place is `request_body`.
pub fn decode_chat(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let mut draft = Draft::default();
    for (name, value) in read::body(body)? {
        if !value.is_null() {
            draft.read(name, value)?;
        }
    }
    draft.finish()
}

/// A chat request while its members come in, in whatever order the caller wrote them.
#[derive(Default)]
struct Draft {
    request: ChatRequest,
    messages: Option<Value>,
    has_model: bool,
    max_tokens: Option<u64>,
    effort: Option<Effort>,
    thinking: Option<Reasoning>,
    functions: Vec<Tool>,
    function_choice: Option<ToolChoice>,
}

impl Draft {
    fn read(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let request = &mut self.request;
        match name.as_str() {
            "model" => {
                request.model = read::filled_string(value, at)?;
                self.has_model = true;
            }
            "messages" => self.messages = Some(value),
            "tools" => tool::read_tools(value, at, request)?,
            "functions" => self.functions = tool::read_functions(value, at)?,
            "tool_choice" => match tool::read_choice(value, at)? {
                tool::Choice::Known(choice) => request.tool_choice = Some(choice),
                tool::Choice::Foreign(choice) => {
                    request.extra.insert(name, choice);
                }
            },
            "function_call" => self.function_choice = Some(tool::read_function_choice(value, at)?),
            "parallel_tool_calls" => request.parallel_tool_calls = Some(read::boolean(&value, at)?),
            "response_format" => request.response_format = Some(read_response_format(value, at)?),
            "reasoning_effort" => self.effort = Some(read_effort(value, at)?),
            "thinking" => match read_thinking(&value, at)? {
                Some(reasoning) => self.thinking = Some(reasoning),
                None => {
                    request.extra.insert(name, value);
                }
            },
            "max_tokens" => self.max_tokens = Some(read::natural(&value, at)?),
            "max_completion_tokens" => request.sampling.max_tokens = Some(read::natural(&value, at)?),
            "logprobs" => request.sampling.logprobs = Some(read::boolean(&value, at)?),
            "top_logprobs" => request.sampling.top_logprobs = Some(read::natural(&value, at)?),
            "user" => request.user = Some(read::string(value, at)?),
            "stream" => request.stream = read::boolean(&value, at)?,
            "stream_options" => read_stream_options(value, at, request)?,
            _ => {
                if let Some(value) = sampling::read(&mut request.sampling, value, at)? {
                    request.extra.insert(name, value);
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ChatRequest, RequestError> {
        let mut request = self.request;
        if !self.has_model {
            return Err(Place::Top("model").missing());
        }
        let at = &Place::Top("messages");
        request.messages = message::read_messages(self.messages.ok_or_else(|| at.missing())?, at)?;
        request.tools.extend(self.functions);
        request.tool_choice = request.tool_choice.or(self.function_choice);
        // `max_completion_tokens` replaces the deprecated `max_tokens`; `thinking` says more than a level does.
        request.sampling.max_tokens = request.sampling.max_tokens.or(self.max_tokens);
        request.reasoning = self.thinking.or(self.effort.map(Reasoning::Effort));
        Ok(request)
    }
}

/// Reads a word of `reasoning_effort`.
pub(crate) fn read_effort(value: Value, at: &Place<'_>) -> Result<Effort, RequestError> {
    let word = read::string(value, at)?;
    EFFORTS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, effort)| *effort)
        .ok_or_else(|| at.unknown_word(&word, &EFFORTS.map(|(known, _)| known)))
}

/// Anthropic's `thinking` as LiteLLM takes it; `None` for a kind that the model has no field for.
fn read_thinking(value: &Value, at: &Place<'_>) -> Result<Option<Reasoning>, RequestError> {
    let mut members = read::object(value.clone(), at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    match kind.as_str() {
        "enabled" => {
            let budget = read::require(&mut members, "budget_tokens", at)?;
            Ok(Some(Reasoning::Budget(read::natural(&budget, &at.member("budget_tokens"))?)))
        }
        "disabled" => Ok(Some(Reasoning::Disabled)),
        "adaptive" => Ok(Some(Reasoning::Adaptive)),
        _ => Ok(None),
    }
}

/// Takes `include_usage` out; anything else that OpenAI puts there (`include_obfuscation`) stays in `extra`.
fn read_stream_options(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut members = read::object(value, at)?;
    request.include_usage = read::take_boolean(&mut members, "include_usage", at)?.unwrap_or(false);
    members.retain(|_, option| !option.is_null());
    if !members.is_empty() {
        request.extra.insert("stream_options".to_owned(), Value::Object(members));
    }
    Ok(())
}

fn read_response_format(value: Value, at: &Place<'_>) -> Result<ResponseFormat, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    match kind.as_str() {
        "text" => Ok(ResponseFormat::Text),
        // LiteLLM's older way to give a schema, for Gemini and Anthropic.
        "json_object" => match read::take(&mut members, "response_schema") {
            Some(schema) => Ok(ResponseFormat::JsonSchema {
                name: "response_schema".to_owned(),
                description: None,
                schema: Value::Object(read::object(schema, &at.member("response_schema"))?),
                strict: None,
            }),
            None => Ok(ResponseFormat::JsonObject),
        },
        "json_schema" => {
            let format = read::require(&mut members, "json_schema", at)?;
            read_json_schema(format, &at.member("json_schema"))
        }
        other => Err(at.member("type").unknown_word(other, &["text", "json_object", "json_schema"])),
    }
}

fn read_json_schema(value: Value, at: &Place<'_>) -> Result<ResponseFormat, RequestError> {
    let mut members = read::object(value, at)?;
    let schema = match read::take(&mut members, "schema") {
        Some(schema) => read::object(schema, &at.member("schema"))?,
        // OpenAI's types leave it optional: any JSON object fits.
        None => Map::new(),
    };
    Ok(ResponseFormat::JsonSchema {
        name: read::require_string(&mut members, "name", at)?,
        description: read::take_string(&mut members, "description", at)?,
        schema: Value::Object(schema),
        strict: read::take_boolean(&mut members, "strict", at)?,
    })
}
