//! A caller's chat request, read into the conversation model.
//!
//! Owns the top level of the body. Leaves messages and tools to its neighbours in this folder.
//!
//! **Invariant:** nothing that the caller says is forgotten: a member that the model has no field for is in `native` and
//! comes out again where Cohere answers. `null` is the same as absent.

pub(super) mod messages;
mod tools;

use super::documents::{self, DOCUMENT_IDS, TOOL_DOCUMENT_IDS};
use crate::anthropic::schema::is_closed;
use crate::conversation::{ChatRequest, Message, Part, Reasoning, ResponseFormat, Role};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use serde_json::{Map, Value};

/// The name that a schema gets where OpenAI's wire wants one and Cohere's has none.
const FORMAT_NAME: &str = "response";

/// Reads the body of `POST /v2/chat`.
///
/// Documents of the request become files at the front of the user's last message, `tool_plan` a text before the calls.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word. For a body that is
/// no JSON object the place is `request_body`.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let mut draft = Draft::default();
    for (name, value) in read::body(body)? {
        if !value.is_null() {
            draft.read(name, value)?;
        }
    }
    draft.finish()
}

/// Ids of documents in their order, `None` where there was none.
type Ids = Vec<Option<String>>;

/// A request while its members come in, in whatever order the caller wrote them.
#[derive(Default)]
struct Draft {
    request: ChatRequest,
    messages: Option<Value>,
    documents: Option<Value>,
    citation_mode: Option<String>,
    is_strict: bool,
    has_model: bool,
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
            "documents" => self.documents = Some(value),
            "citation_options" => self.read_citation_options(name, value)?,
            "stream" => request.stream = read::boolean(&value, at)?,
            "max_tokens" => sampling.max_tokens = Some(read::natural(&value, at)?),
            "temperature" => sampling.temperature = Some(read::number(&value, at)?),
            "p" => sampling.top_p = Some(read::number(&value, at)?),
            // 0 switches it off.
            "k" => sampling.top_k = Some(read::natural(&value, at)?).filter(|k| *k > 0),
            "seed" => sampling.seed = Some(read::integer(&value, at)?),
            "frequency_penalty" => sampling.frequency_penalty = Some(read::number(&value, at)?),
            "presence_penalty" => sampling.presence_penalty = Some(read::number(&value, at)?),
            "logprobs" => sampling.logprobs = Some(read::boolean(&value, at)?),
            "stop_sequences" => {
                let items = read::list(value, at)?.into_iter().enumerate();
                let texts = items.map(|(index, item)| read::string(item, &at.item(index)));
                sampling.stop = texts.collect::<Result<_, _>>()?;
            }
            "response_format" => request.response_format = Some(read_format(value, at)?),
            "tools" => request.tools = tools::read_tools(value, at)?,
            "tool_choice" => request.tool_choice = Some(tools::read_choice(value, at)?),
            "strict_tools" => self.is_strict = read::boolean(&value, at)?,
            "thinking" => request.reasoning = Some(read_thinking(value, at)?),
            _ => {
                request.native.insert(name, value);
            }
        }
        Ok(())
    }

    fn read_citation_options(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top(&name);
        let mut members = read::object(value.clone(), at)?;
        self.citation_mode =
            read::take_string(&mut members, "mode", at)?.map(|mode| mode.to_ascii_uppercase());
        self.request.native.insert(name, value);
        Ok(())
    }

    fn finish(mut self) -> Result<ChatRequest, RequestError> {
        if !self.has_model {
            return Err(Place::Top("model").missing());
        }
        if self.is_strict {
            self.request.tools.iter_mut().for_each(|tool| tool.strict = Some(true));
        }
        let mut request = self.request;
        request.dialect = Dialect::Cohere;
        let is_cited = !matches!(self.citation_mode.as_deref(), Some("OFF" | "DISABLED"));
        let at = &Place::Top("messages");
        let messages = self.messages.ok_or_else(|| at.missing())?;
        let mut tool_ids = Ids::new();
        request.messages = messages::read_messages(messages, at, is_cited, &mut tool_ids)?;
        let mut ids = Ids::new();
        if let Some(documents) = self.documents {
            let parts = read_documents(documents, is_cited, &mut ids)?;
            add_documents(&mut request.messages, parts);
        }
        keep_ids(&mut request.native, DOCUMENT_IDS, &ids);
        keep_ids(&mut request.native, TOOL_DOCUMENT_IDS, &tool_ids);
        // Whether documents are cited is said by the documents themselves.
        let is_plain = matches!(self.citation_mode.as_deref(), None | Some("ENABLED" | "OFF" | "DISABLED"));
        if is_plain && !ids.is_empty() {
            request.native.remove("citation_options");
        }
        Ok(request)
    }
}

fn keep_ids(native: &mut Map<String, Value>, name: &str, ids: &Ids) {
    if ids.iter().any(Option::is_some) {
        let ids = ids.iter().map(|id| id.as_deref().map_or(Value::Null, Value::from));
        native.insert(name.to_owned(), ids.collect());
    }
}

fn read_documents(value: Value, is_cited: bool, ids: &mut Ids) -> Result<Vec<Part>, RequestError> {
    let at = &Place::Top("documents");
    let items = read::list(value, at)?.into_iter().enumerate();
    items
        .map(|(index, item)| {
            let (part, id) = documents::read(item, is_cited, &at.item(index))?;
            ids.push(id);
            Ok(part)
        })
        .collect()
}

/// Documents stand before the words of the user's last message, which they are there for.
fn add_documents(messages: &mut Vec<Message>, parts: Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    match messages.iter_mut().rev().find(|message| message.role == Role::User) {
        Some(message) => {
            message.parts.splice(0..0, parts);
        }
        None => messages.push(Message { role: Role::User, parts, name: None }),
    }
}

fn read_format(value: Value, at: &Place<'_>) -> Result<ResponseFormat, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    match kind.as_str() {
        "text" => return Ok(ResponseFormat::Text),
        "json_object" => {}
        _ => return Err(at.member("type").unknown_word(&kind, &["text", "json_object"])),
    }
    // `schema` is the name of the first version, which some clients still write.
    let schema = ["json_schema", "schema"]
        .into_iter()
        .find_map(|name| read::take(&mut members, name).map(|schema| (name, schema)));
    let Some((name, schema)) = schema else { return Ok(ResponseFormat::JsonObject) };
    let schema = Value::Object(read::object(schema, &at.member(name))?);
    let strict = is_closed(&schema).then_some(true);
    Ok(ResponseFormat::JsonSchema { name: FORMAT_NAME.to_owned(), description: None, schema, strict })
}

fn read_thinking(value: Value, at: &Place<'_>) -> Result<Reasoning, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    let budget = read::take(&mut members, "token_budget")
        .map(|budget| read::natural(&budget, &at.member("token_budget")))
        .transpose()?;
    match (kind.as_str(), budget) {
        ("disabled", _) => Ok(Reasoning::Disabled),
        ("enabled", Some(tokens)) => Ok(Reasoning::Budget(tokens)),
        ("enabled", None) => Ok(Reasoning::Adaptive),
        _ => Err(at.member("type").unknown_word(&kind, &["enabled", "disabled"])),
    }
}
