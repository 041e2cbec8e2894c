//! Writes a conversation as the body of `POST /responses`.
//!
//! Owns the top level and what of a chat this API cannot say. Leaves items and tools to its neighbours in this folder.
//! **Invariant:** a request that [`super::decode_request`] gave is written so that it reads back the same, whatever of it
//! OpenAI itself would take.

mod item;
mod tool;

use super::params::CAPABILITIES;
use crate::conversation::{ChatRequest, Message, Part, Reasoning, ResponseFormat, Role};
use crate::openai::{effort_word, nearest_effort, number};
use crate::wire::{Dialect, EncodeError, EncodeOptions, Losses, Outbound, Support, support};
use serde_json::{Map, Value, json};

/// The path after the base URL.
pub const RESPONSES_PATH: &str = "/responses";

/// Fewest tokens that the API lets an answer be limited to.
const MAX_OUTPUT_TOKENS_MIN: u64 = 16;

/// Members of `extra` that go out as they are.
const SHARED: [&str; 5] =
    ["metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

/// Writes the request.
///
/// The response is not stored at OpenAI unless the caller says so: what is kept, the gateway keeps. So the reasoning is
/// asked for in its encrypted form, which can be sent back. A first system message goes out as `instructions`.
///
/// # Errors
/// [`EncodeError::Unsupported`] for parameters that this API does not have, unless
/// [`drop_unsupported`](EncodeOptions::drop_unsupported) is set. [`EncodeError::Invalid`] for a part that has no form in
/// its message.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let mut lost = Losses::default();
    let refused: Vec<&str> = refused_params(request)
        .into_iter()
        .filter(|name| !options.allowed_params.iter().any(|allowed| allowed == name))
        .collect();
    if !refused.is_empty() && !options.drop_unsupported {
        return Err(EncodeError::Unsupported { params: refused.into_iter().map(str::to_owned).collect() });
    }
    refused.into_iter().for_each(|name| lost.note(name.to_owned()));
    let mut body = Map::new();
    insert(&mut body, "model", request.model.as_str());
    let stores = stores(request);
    let (instructions, messages) = split_instructions(&request.messages);
    if let Some(text) = instructions {
        insert(&mut body, "instructions", text);
    }
    let first = request.messages.len() - messages.len();
    let is_own = request.dialect == Dialect::Responses;
    let input = item::write_items(
        messages,
        &item::Terms { first, is_own, stores, tools: &request.tools },
        &mut lost,
    )?;
    insert(&mut body, "input", input);
    tool::write_tools(request, &mut body, &mut lost);
    write_sampling(request, &mut body, &mut lost);
    write_text(request, &mut body);
    write_reasoning(request, &mut body, &mut lost);
    write_rest(request, stores, &mut body, &mut lost);
    Ok(Outbound {
        path: RESPONSES_PATH.to_owned(),
        body: Value::Object(body).to_string().into_bytes(),
        lost,
        ..Outbound::default()
    })
}

fn insert(body: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    body.insert(name.to_owned(), value.into());
}

fn insert_some(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        insert(body, name, value);
    }
}

/// The parameters that the request gives and [`CAPABILITIES`] refuses.
fn refused_params(request: &ChatRequest) -> Vec<&str> {
    let sampling = &request.sampling;
    let given = [
        ("stop", !sampling.stop.is_empty()),
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("n", sampling.n.is_some_and(|n| n > 1)),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("top_k", sampling.top_k.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    let is_own = request.dialect == Dialect::Responses;
    let extra = request.extra.iter().filter(|(name, value)| is_refused(name, value, is_own));
    given.chain(extra.map(|(name, _)| name.as_str())).collect()
}

fn is_refused(name: &str, value: &Value, is_own: bool) -> bool {
    match name {
        "tools" => value.as_array().into_iter().flatten().any(|tool| tool::hosted(tool, is_own).is_none()),
        "modalities" => {
            let speaks_text = |modality: &Value| modality == "text";
            !value.as_array().is_some_and(|modalities| modalities.iter().all(speaks_text))
        }
        _ => support(CAPABILITIES, name) == Support::Refuses,
    }
}

/// Whether OpenAI is to keep the response.
fn stores(request: &ChatRequest) -> bool {
    let said = if request.dialect == Dialect::Responses { &request.native } else { &request.extra };
    said.get("store").and_then(Value::as_bool).unwrap_or(false)
}

/// Takes a first system message of plain text apart from the others.
fn split_instructions(messages: &[Message]) -> (Option<&str>, &[Message]) {
    match messages {
        [Message { role: Role::System, parts, name: None }, rest @ ..] => match parts.as_slice() {
            [Part::Text { text, cache_control: None, .. }] if !text.is_empty() => (Some(text), rest),
            _ => (None, messages),
        },
        _ => (None, messages),
    }
}

/// Models that do not reason refuse to be asked for it ("Encrypted content is not supported with this model."). The
/// families are OpenAI's; any other model is asked, since nothing is lost by it.
fn never_reasons(model: &str) -> bool {
    ["gpt-4", "gpt-3.5", "chatgpt-4o"].iter().any(|family| model.starts_with(family))
}

fn write_sampling(request: &ChatRequest, body: &mut Map<String, Value>, lost: &mut Losses) {
    let sampling = &request.sampling;
    insert_some(body, "temperature", sampling.temperature.map(number));
    insert_some(body, "top_p", sampling.top_p.map(number));
    if let Some(limit) = sampling.max_tokens {
        insert(body, "max_output_tokens", limit.max(MAX_OUTPUT_TOKENS_MIN));
        if limit < MAX_OUTPUT_TOKENS_MIN {
            lost.note("max_tokens");
        }
    }
    insert_some(body, "top_logprobs", sampling.top_logprobs);
    if request.stream {
        insert(body, "stream", true);
    }
    insert_some(body, "user", request.user.as_deref());
}

fn write_text(request: &ChatRequest, body: &mut Map<String, Value>) {
    let mut text = Map::new();
    if let Some(format) = &request.response_format {
        insert(&mut text, "format", text_format(format));
    }
    insert_some(&mut text, "verbosity", request.extra.get("verbosity").cloned());
    if !text.is_empty() {
        insert(body, "text", text);
    }
}

fn text_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let mut out = Map::new();
            insert(&mut out, "type", "json_schema");
            insert(&mut out, "name", name.as_str());
            insert_some(&mut out, "description", description.as_deref());
            insert(&mut out, "schema", schema.clone());
            insert_some(&mut out, "strict", *strict);
            Value::Object(out)
        }
    }
}

fn write_reasoning(request: &ChatRequest, body: &mut Map<String, Value>, lost: &mut Losses) {
    let mut reasoning = Map::new();
    let effort = match request.reasoning {
        Some(Reasoning::Effort(effort)) => Some(effort),
        Some(Reasoning::Budget(tokens)) => Some(nearest_effort(tokens)),
        // Models that reason by default differ in whether they take `none`; saying nothing is always accepted.
        Some(Reasoning::Disabled) => {
            lost.note("thinking");
            None
        }
        // What is as much as the model finds fit is what it does unasked.
        Some(Reasoning::Adaptive) | None => None,
    };
    insert_some(&mut reasoning, "effort", effort.map(effort_word));
    if request.show_reasoning == Some(true) && !never_reasons(&request.model) {
        insert(&mut reasoning, "summary", "auto");
    }
    if let (Dialect::Responses, Some(Value::Object(rest))) =
        (request.dialect, request.native.get("reasoning"))
    {
        reasoning.extend(rest.clone());
    }
    if !reasoning.is_empty() {
        insert(body, "reasoning", reasoning);
    }
}

fn write_rest(request: &ChatRequest, stores: bool, body: &mut Map<String, Value>, lost: &mut Losses) {
    let mut include = Vec::new();
    if !stores && !never_reasons(&request.model) {
        include.push(json!("reasoning.encrypted_content"));
    }
    if request.sampling.logprobs == Some(true) {
        include.push(json!("message.output_text.logprobs"));
    }
    for name in SHARED {
        insert_some(body, name, request.extra.get(name).cloned());
    }
    insert(body, "store", stores);
    for (name, value) in &request.native {
        match (request.dialect, name.as_str()) {
            (Dialect::Responses, "include") => {
                include.extend(value.as_array().into_iter().flatten().cloned());
            }
            (Dialect::Responses, "reasoning" | "store") => {}
            (Dialect::Responses, _) => insert(body, name, value.clone()),
            _ => lost.note(name.clone()),
        }
    }
    if !include.is_empty() {
        insert(body, "include", include);
    }
}
