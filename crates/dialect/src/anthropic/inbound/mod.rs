//! A caller's Messages request, read into the conversation model.
//!
//! Owns the top level of the body. Leaves messages, blocks and tools to its neighbours in this folder, and headers
//! (`anthropic-beta`) to the server.
//!
//! **Invariant:** nothing that the caller says is forgotten: a member that the model has no field for is in `native`,
//! a member of a tool or a block under a name with a dot ([`asides`]), and comes out again where Anthropic answers.

pub(super) mod asides;
mod blocks;
mod messages;
mod tools;

use super::reasoning::{EFFORTS, effort_word};
use super::schema::is_closed;
use crate::conversation::{ChatRequest, Effort, Message, Part, Reasoning, ResponseFormat, Role};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use asides::Asides;
use serde_json::{Map, Value};

/// The name that a schema gets where OpenAI's wire wants one and Anthropic's has none.
const FORMAT_NAME: &str = "response";

/// Reads the body of `POST /v1/messages`.
///
/// Takes the published types of Anthropic's package, the beta ones included; `null` is the same as absent. Instructions
/// become the first message; those within the conversation stay where they stand. Results of tools become a message of
/// their own. `service_tier`, web search and Anthropic's own tools are in `extra` by OpenAI's names.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word. For a body that is
/// no JSON object the place is `request_body`.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let request = decode(body)?;
    if request.sampling.max_tokens.is_none() {
        return Err(Place::Top("max_tokens").missing());
    }
    Ok(request)
}

/// Reads the body of `POST /v1/messages/count_tokens`, which is a request without the members that shape the answer.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_count_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    decode(body)
}

fn decode(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let mut draft = Draft::default();
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
    asides: Asides,
    messages: Option<Value>,
    system: Option<Value>,
    has_model: bool,
    thinking: Option<Reasoning>,
    effort: Option<Effort>,
}

impl Draft {
    fn read(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let request = &mut self.request;
        let sampling = &mut request.sampling;
        match name.as_str() {
            "model" => {
                request.model = read::filled_string(value, at)?;
                self.has_model = true;
            }
            "messages" => self.messages = Some(value),
            "system" => self.system = Some(value),
            "max_tokens" => sampling.max_tokens = Some(read::natural(&value, at)?),
            "temperature" => sampling.temperature = Some(read::number(&value, at)?),
            "top_p" => sampling.top_p = Some(read::number(&value, at)?),
            "top_k" => sampling.top_k = Some(read::natural(&value, at)?),
            "stop_sequences" => sampling.stop = strings(value, at)?,
            "stream" => request.stream = read::boolean(&value, at)?,
            "tools" => tools::read_tools(value, at, request, &mut self.asides)?,
            "tool_choice" => tools::read_choice(value, at, request)?,
            "thinking" => self.read_thinking(name, value)?,
            "output_config" => self.read_output_config(name, value)?,
            // The name that the format had while it was a beta.
            "output_format" => request.response_format = Some(read_format(value, at)?),
            "metadata" => self.read_metadata(name, value)?,
            "service_tier" => {
                let tier = read::string(value, at)?;
                let tier = if tier == "standard_only" { "default".to_owned() } else { tier };
                request.extra.insert(name, tier.into());
            }
            _ => {
                request.native.insert(name, value);
            }
        }
        Ok(())
    }

    /// What the model cannot hold of it (`between_tools`, a display of tomorrow) stays in `native` as well.
    fn read_thinking(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let mut members = read::object(value.clone(), at)?;
        let kind = read::require_string(&mut members, "type", at)?;
        let display = read::take_string(&mut members, "display", at)?;
        let mut is_whole = true;
        match kind.as_str() {
            "enabled" => {
                let budget = read::require(&mut members, "budget_tokens", at)?;
                let budget = read::natural(&budget, &at.member("budget_tokens"))?;
                self.thinking = Some(Reasoning::Budget(budget));
            }
            "disabled" => self.thinking = Some(Reasoning::Disabled),
            "adaptive" => self.thinking = Some(Reasoning::Adaptive),
            _ => is_whole = false,
        }
        match display.as_deref() {
            None => {}
            Some("summarized") => self.request.show_reasoning = Some(true),
            Some("omitted") => self.request.show_reasoning = Some(false),
            Some(_) => is_whole = false,
        }
        members.retain(|_, value| !value.is_null());
        if !is_whole || !members.is_empty() {
            self.request.native.insert(name, value);
        }
        Ok(())
    }

    fn read_output_config(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let mut members = read::object(value, at)?;
        if let Some(word) = read::take_string(&mut members, "effort", at)? {
            let known = EFFORTS.iter().find(|(known, _)| *known == word);
            let words = EFFORTS.map(|(known, _)| known);
            let (_, effort) = known.ok_or_else(|| at.member("effort").unknown_word(&word, &words))?;
            self.effort = Some(*effort);
        }
        if let Some(format) = read::take(&mut members, "format") {
            self.request.response_format = Some(read_format(format, &at.member("format"))?);
        }
        members.retain(|_, value| !value.is_null());
        if !members.is_empty() {
            self.request.native.insert(name, Value::Object(members));
        }
        Ok(())
    }

    fn read_metadata(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let mut members = read::object(value, at)?;
        self.request.user = read::take_string(&mut members, "user_id", at)?;
        members.retain(|_, value| !value.is_null());
        if !members.is_empty() {
            self.request.native.insert(name, Value::Object(members));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ChatRequest, RequestError> {
        if !self.has_model {
            return Err(Place::Top("model").missing());
        }
        self.join_effort();
        let mut request = self.request;
        request.dialect = Dialect::Anthropic;
        if let Some(system) = self.system {
            request.messages.extend(read_system(system, &mut self.asides)?);
        }
        let at = &Place::Top("messages");
        let messages = self.messages.ok_or_else(|| at.missing())?;
        request.messages.extend(messages::read_messages(messages, at, &mut self.asides)?);
        request.native.extend(self.asides.into_members());
        Ok(request)
    }

    /// An effort says more than "adaptive" does. Beside a budget, or beside thinking that is off, it means the length
    /// of the answer, which only Anthropic has.
    fn join_effort(&mut self) {
        self.request.reasoning = match (self.thinking.take(), self.effort) {
            (Some(thinking @ (Reasoning::Budget(_) | Reasoning::Disabled)), Some(effort)) => {
                let config = self.request.native.entry("output_config").or_insert_with(|| Map::new().into());
                if let (Value::Object(config), Some(word)) = (config, effort_word(effort)) {
                    config.insert("effort".to_owned(), word.into());
                }
                Some(thinking)
            }
            (_, Some(effort)) => Some(Reasoning::Effort(effort)),
            (thinking, None) => thinking,
        };
    }
}

fn strings(value: Value, at: &Place<'_>) -> Result<Vec<String>, RequestError> {
    let items = read::list(value, at)?.into_iter().enumerate();
    items.map(|(index, item)| read::string(item, &at.item(index))).collect()
}

fn read_system(value: Value, asides: &mut Asides) -> Result<Option<Message>, RequestError> {
    let at = &Place::Top("system");
    let parts = match value {
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => vec![Part::text(text)],
        Value::Array(blocks) => blocks::read_blocks(blocks, at, asides)?,
        other => return Err(read::neither_string_nor_list(&other, "blocks", at)),
    };
    messages::require_text(&parts, at)?;
    Ok((!parts.is_empty()).then_some(Message { role: Role::System, parts, name: None }))
}

fn read_format(value: Value, at: &Place<'_>) -> Result<ResponseFormat, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    if kind != "json_schema" {
        return Err(at.member("type").unknown_word(&kind, &["json_schema"]));
    }
    let schema = read::object(read::require(&mut members, "schema", at)?, &at.member("schema"))?;
    let schema = Value::Object(schema);
    let strict = is_closed(&schema).then_some(true);
    Ok(ResponseFormat::JsonSchema { name: FORMAT_NAME.to_owned(), description: None, schema, strict })
}
