//! Reads the body of `POST /responses` as a conversation.
//!
//! Owns the top level. Leaves items, content and tools to its neighbours in this folder, and stored responses
//! (`previous_response_id`, `conversation`, `store`), which arrive in `native`, to the server.
//!
//! **Invariant:** a member that the conversation model has no field for is in `extra` under its name in chat completions,
//! or in `native` under its own where chat has none.

mod content;
pub(super) mod item;
mod namespace;
mod tool;

use crate::conversation::{ChatRequest, Message, Part, Reasoning, ResponseFormat, Role};
use crate::json::read::{self, Place};
use crate::openai::read_effort;
use crate::wire::{Dialect, RequestError};
use item::Input;
use serde_json::{Map, Value, json};
use tool::Offered;

/// What a caller asks to be included and gets in any case, or by a field of the conversation model.
const INCLUDED: [&str; 2] = ["reasoning.encrypted_content", "message.output_text.logprobs"];

/// Members that mean the same in chat completions and go by the same name.
const SHARED: [&str; 5] =
    ["metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

/// Reads a body.
///
/// `instructions` becomes a system message before all others. Items of the assistant in a row become one message, and so
/// do the outputs of tools. Tools of namespaces, and those that come as an item of the input, are tools like others, each
/// under a name of its own. Items that only this API has (calls of hosted tools, references) are [`Part::Native`], hosted
/// tools are in `extra` under `tools`; web search is there as `web_search_options`, which every wire understands.
/// `null` is the same as absent.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word. For a body that is
/// no JSON object the place is `request_body`.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let mut draft = Draft::default();
    draft.request.dialect = Dialect::Responses;
    for (name, value) in read::body(body)? {
        if !value.is_null() {
            draft.read(name, value)?;
        }
    }
    draft.finish()
}

/// A request while its members come in, in whatever order the caller wrote them.
#[derive(Default)]
struct Draft {
    request: ChatRequest,
    has_model: bool,
    instructions: Option<String>,
    input: Option<Input>,
    offered: Offered,
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
            "input" => self.input = Some(read_input(value, at)?),
            "instructions" => self.instructions = Some(read::string(value, at)?),
            "tools" => self.offered.read(value, at)?,
            "tool_choice" => tool::read_choice(value, at, request)?,
            "parallel_tool_calls" => request.parallel_tool_calls = Some(read::boolean(&value, at)?),
            "temperature" => request.sampling.temperature = Some(read::number(&value, at)?),
            "top_p" => request.sampling.top_p = Some(read::number(&value, at)?),
            "max_output_tokens" => request.sampling.max_tokens = Some(read::natural(&value, at)?),
            "top_logprobs" => {
                let count = read::natural(&value, at)?;
                request.sampling.top_logprobs = Some(count);
                if count > 0 {
                    request.sampling.logprobs = Some(true);
                }
            }
            "text" => read_text(value, at, request)?,
            "reasoning" => read_reasoning(value, at, request)?,
            "include" => read_include(value, at, request)?,
            "user" => request.user = Some(read::string(value, at)?),
            "stream" => {
                request.stream = read::boolean(&value, at)?;
                // A stream of this API always ends with its usage.
                request.include_usage = request.stream;
            }
            _ => self.keep(name, value)?,
        }
        Ok(())
    }

    /// Keeps a member without a field.
    fn keep(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let asks_nothing = match name.as_str() {
            "metadata" => {
                read::object(value.clone(), at)?;
                false
            }
            "service_tier" | "prompt_cache_key" | "prompt_cache_retention" | "safety_identifier" => {
                read::string(value.clone(), at)?;
                false
            }
            "truncation" => read::string(value.clone(), at)? == "disabled",
            "background" => !read::boolean(&value, at)?,
            "store" => {
                read::boolean(&value, at)?;
                false
            }
            "previous_response_id" => {
                read::string(value.clone(), at)?;
                false
            }
            _ => false,
        };
        if SHARED.contains(&name.as_str()) {
            self.request.extra.insert(name, value);
        } else if !asks_nothing {
            self.request.native.insert(name, value);
        }
        Ok(())
    }

    fn finish(self) -> Result<ChatRequest, RequestError> {
        let mut request = self.request;
        if !self.has_model {
            return Err(Place::Top("model").missing());
        }
        let continues = ["previous_response_id", "conversation", "prompt"]
            .iter()
            .any(|name| request.native.contains_key(*name));
        let Input { messages, added, mut calls } = match self.input {
            Some(input) if input.is_empty() && !continues => {
                return Err(Place::Top("input").error("must have at least one item"));
            }
            Some(input) => input,
            None if continues => Input::default(),
            None => return Err(Place::Top("input").missing()),
        };
        let instructions = self.instructions.filter(|text| !text.is_empty());
        let instructions = instructions.map(|text| Message {
            role: Role::System,
            parts: vec![Part::text(text)],
            name: None,
        });
        for call in &mut calls {
            call.message += usize::from(instructions.is_some());
        }
        request.messages = instructions.into_iter().chain(messages).collect();
        let mut offered = self.offered;
        offered.extend(added);
        offered.offer(&calls, &mut request);
        Ok(request)
    }
}

fn read_input(value: Value, at: &Place<'_>) -> Result<Input, RequestError> {
    match value {
        Value::String(text) => {
            let message = Message { role: Role::User, parts: vec![Part::text(text)], name: None };
            Ok(Input { messages: vec![message], ..Input::default() })
        }
        Value::Array(items) => item::read_items(items, at),
        other => Err(read::neither_string_nor_list(&other, "items", at)),
    }
}

/// Reads `text`: the form of the answer and its verbosity.
fn read_text(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut members = read::object(value, at)?;
    if let Some(format) = read::take(&mut members, "format") {
        request.response_format = Some(read_format(format, &at.member("format"))?);
    }
    if let Some(verbosity) = read::take_string(&mut members, "verbosity", at)? {
        request.extra.insert("verbosity".to_owned(), json!(verbosity));
    }
    Ok(())
}

fn read_format(value: Value, at: &Place<'_>) -> Result<ResponseFormat, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    match kind.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::JsonObject),
        "json_schema" => Ok(ResponseFormat::JsonSchema {
            name: read::require_string(&mut members, "name", at)?,
            description: read::take_string(&mut members, "description", at)?,
            schema: Value::Object(read::object(
                read::require(&mut members, "schema", at)?,
                &at.member("schema"),
            )?),
            strict: read::take_boolean(&mut members, "strict", at)?,
        }),
        other => Err(at.member("type").unknown_word(other, &["text", "json_object", "json_schema"])),
    }
}

/// Reads `reasoning`. A summary is asked for by a word; a word other than `auto`, and what else stands there, is kept.
fn read_reasoning(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut members = read::object(value, at)?;
    members.retain(|_, value| !value.is_null());
    if let Some(effort) = read::take(&mut members, "effort") {
        request.reasoning = Some(Reasoning::Effort(read_effort(effort, &at.member("effort"))?));
    }
    let deprecated = read::take_string(&mut members, "generate_summary", at)?;
    if let Some(summary) = read::take_string(&mut members, "summary", at)?.or(deprecated) {
        request.show_reasoning = Some(true);
        if summary != "auto" {
            members.insert("summary".to_owned(), json!(summary));
        }
    }
    if !members.is_empty() {
        request.native.insert("reasoning".to_owned(), Value::Object(members));
    }
    Ok(())
}

fn read_include(value: Value, at: &Place<'_>, request: &mut ChatRequest) -> Result<(), RequestError> {
    let mut rest = Vec::new();
    for (index, item) in read::list(value, at)?.into_iter().enumerate() {
        let word = read::string(item, &at.item(index))?;
        if word == "message.output_text.logprobs" {
            request.sampling.logprobs = Some(true);
        }
        if !INCLUDED.contains(&word.as_str()) {
            rest.push(word);
        }
    }
    if !rest.is_empty() {
        request.native.insert("include".to_owned(), json!(rest));
    }
    Ok(())
}

/// Puts a value into `extra` under a name of chat completions.
fn keep_extra(request: &mut ChatRequest, name: &str, value: impl Into<Value>) {
    request.extra.insert(name.to_owned(), value.into());
}

/// The string at a member, where it is one.
fn word<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}
