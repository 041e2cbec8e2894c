//! A caller's Converse request, read into the conversation model.
//!
//! Owns the top level of the body. Leaves messages, blocks, tools and the model's own parameters to its neighbours in
//! this folder, and the model and `stream`, which stand in the path, to the server.
//!
//! **Invariant:** nothing that the caller says is forgotten: a member that the model has no field for is in `native`
//! (blocks under `content.` and their kind) and comes out again where Bedrock answers.

pub(super) mod blocks;
mod fields;
pub(super) mod messages;
pub(super) mod tools;

use super::reasoning_blocks::HOME;
use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use blocks::BlockReader;
use serde_json::{Map, Value};

/// The name that a schema gets where OpenAI's wire wants one and the caller gave none.
const FORMAT_NAME: &str = "response";

/// The words of `effort` in `outputConfig`, from the service model.
pub(super) const EFFORTS: [(&str, Effort); 5] = [
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::XHigh),
    ("max", Effort::Max),
];

/// Reads the body of `POST /model/{id}/converse` and `/converse-stream`; `model` and `stream` are left to the server.
///
/// Takes what AWS's service model has; `null` is the same as absent. `system` becomes the first message, system messages
/// within the conversation stay where they stand; results of tools become a message of their own. `serviceTier` is in
/// `extra` by OpenAI's name, Amazon's search tool as `web_search_options`; `additionalModelRequestFields` fill the
/// fields that they mean (thinking, effort, top k), and what is left of them stays in `native`.
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

/// A request while its members come in, in whatever order the caller wrote them.
#[derive(Default)]
struct Draft {
    request: ChatRequest,
    messages: Option<Value>,
    system: Option<Value>,
    fields: fields::Fields,
    /// `outputConfig.effort`.
    effort: Option<Effort>,
}

impl Draft {
    fn read(&mut self, name: String, value: Value) -> Result<(), RequestError> {
        match name.as_str() {
            "messages" => self.messages = Some(value),
            "system" => self.system = Some(value),
            "inferenceConfig" => self.read_inference(value)?,
            "toolConfig" => tools::read_config(value, &mut self.request)?,
            "additionalModelRequestFields" => self.fields.read(value)?,
            "outputConfig" => self.read_output(value)?,
            "serviceTier" => self.read_tier(value)?,
            _ => {
                self.request.native.insert(name, value);
            }
        }
        Ok(())
    }

    fn read_inference(&mut self, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top("inferenceConfig");
        let mut members = read::object(value, at)?;
        let sampling = &mut self.request.sampling;
        if let Some(limit) = read::take(&mut members, "maxTokens") {
            sampling.max_tokens = Some(read::natural(&limit, &at.member("maxTokens"))?);
        }
        if let Some(number) = read::take(&mut members, "temperature") {
            sampling.temperature = Some(read::number(&number, &at.member("temperature"))?);
        }
        if let Some(number) = read::take(&mut members, "topP") {
            sampling.top_p = Some(read::number(&number, &at.member("topP"))?);
        }
        if let Some(stop) = read::take(&mut members, "stopSequences") {
            let place = at.member("stopSequences");
            let texts = read::list(stop, &place)?.into_iter().enumerate();
            let texts = texts.map(|(index, text)| read::string(text, &place.item(index)));
            sampling.stop = texts.collect::<Result<_, _>>()?;
        }
        self.keep("inferenceConfig", members);
        Ok(())
    }

    fn read_output(&mut self, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top("outputConfig");
        let mut members = read::object(value, at)?;
        if let Some(word) = read::take_string(&mut members, "effort", at)? {
            self.effort = Some(effort_of(&word, &at.member("effort"))?);
        }
        if let Some(format) = read::take(&mut members, "textFormat") {
            self.request.response_format = Some(read_format(format, &at.member("textFormat"))?);
        }
        self.keep("outputConfig", members);
        Ok(())
    }

    fn read_tier(&mut self, value: Value) -> Result<(), RequestError> {
        let at = &Place::Top("serviceTier");
        let mut members = read::object(value, at)?;
        let tier = read::require_string(&mut members, "type", at)?;
        self.request.extra.insert("service_tier".to_owned(), tier.into());
        self.keep("serviceTier", members);
        Ok(())
    }

    /// Keeps what is left of a member.
    fn keep(&mut self, name: &str, mut members: Map<String, Value>) {
        members.retain(|_, value| !value.is_null());
        if !members.is_empty() {
            self.request.native.insert(name.to_owned(), Value::Object(members));
        }
    }

    fn finish(mut self) -> Result<ChatRequest, RequestError> {
        let effort = self.effort;
        let fields = std::mem::take(&mut self.fields).fill(&mut self.request);
        self.keep("additionalModelRequestFields", fields);
        if let Some(effort) = effort {
            self.add_effort(effort);
        }
        let mut request = self.request;
        request.dialect = Dialect::Bedrock;
        let mut reader = BlockReader::new(HOME);
        if let Some(system) = self.system {
            request.messages.extend(messages::read_system(system, &mut reader)?);
        }
        let messages = self.messages.ok_or_else(|| Place::Top("messages").missing())?;
        request.messages.extend(messages::read_messages(messages, &mut reader)?);
        request.native.extend(reader.into_kept());
        Ok(request)
    }

    /// An effort says more than "adaptive" does. Beside a budget, or beside thinking that is off, it means the length
    /// of the answer, which only this dialect and Anthropic's have.
    fn add_effort(&mut self, effort: Effort) {
        if !matches!(self.request.reasoning, Some(Reasoning::Budget(_) | Reasoning::Disabled)) {
            self.request.reasoning = Some(Reasoning::Effort(effort));
            return;
        }
        let config = self.request.native.entry("outputConfig").or_insert_with(|| Map::new().into());
        let word = EFFORTS.iter().find(|(_, known)| *known == effort).map(|(word, _)| *word);
        if let (Value::Object(config), Some(word)) = (config, word) {
            config.insert("effort".to_owned(), word.into());
        }
    }
}

fn effort_of(word: &str, at: &Place<'_>) -> Result<Effort, RequestError> {
    let known = EFFORTS.iter().find(|(known, _)| *known == word).map(|(_, effort)| *effort);
    known.ok_or_else(|| at.unknown_word(word, &EFFORTS.map(|(known, _)| known)))
}

/// Reads `outputConfig.textFormat`; its schema is JSON in a string.
fn read_format(value: Value, at: &Place<'_>) -> Result<ResponseFormat, RequestError> {
    let mut members = read::object(value, at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    if kind != "json_schema" {
        return Err(at.member("type").unknown_word(&kind, &["json_schema"]));
    }
    let structure_place = at.member("structure");
    let mut structure = read::object(read::require(&mut members, "structure", at)?, &structure_place)?;
    let place = structure_place.member("jsonSchema");
    let schema = read::require(&mut structure, "jsonSchema", &structure_place)?;
    let mut definition = read::object(schema, &place)?;
    let text = read::require_string(&mut definition, "schema", &place)?;
    let schema = match serde_json::from_str(&text) {
        Ok(schema @ Value::Object(_)) => schema,
        _ => return Err(place.member("schema").error("must be the text of a JSON Schema object")),
    };
    let name = read::take_string(&mut definition, "name", &place)?;
    Ok(ResponseFormat::JsonSchema {
        name: name.unwrap_or_else(|| FORMAT_NAME.to_owned()),
        description: read::take_string(&mut definition, "description", &place)?,
        schema,
        strict: None,
    })
}
