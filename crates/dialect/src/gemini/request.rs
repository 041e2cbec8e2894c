//! A chat request as Gemini's `generateContent` takes it.
//!
//! Owns the path and the frame of the body. Leaves turns to `contents`, `generationConfig` to `generation`, schemas to
//! `schema`, the caller's native members to `params`.

use super::contents::{self, Conversation};
use super::generation::generation_config;
use super::ident::{model_resource, seed_of};
use super::params::Natives;
use super::schema::{self, Parameters};
use crate::conversation::{ChatRequest, Tool, ToolChoice};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading};
use serde_json::{Map, Value, json};

/// Most stop sequences in one request (Google's reference for `GenerationConfig`).
pub const STOP_SEQUENCES_MAX: usize = 5;

/// Writes a chat request: `/models/{model}:generateContent`, or `:streamGenerateContent?alt=sse` for a stream.
///
/// The end user and OpenAI's bookkeeping members ([`super::IGNORED_PARAMS`]) are left out; participants' names, cache
/// marks, an image's `detail`, a tool's `strict` and another provider's encrypted reasoning have no place here and are
/// left out too. A seed wider than 32 bits is folded into them.
///
/// # Errors
/// [`EncodeError::Unsupported`] for parameters that Gemini cannot express, unless they may be dropped;
/// [`EncodeError::Invalid`] for a model name that is none, a tool result without its call, a tool call whose arguments
/// are not a JSON object, a file id of another provider, a system message with anything but text in it, or more
/// than [`STOP_SEQUENCES_MAX`] stop sequences (of which the first are kept where parameters may be dropped).
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let path = call_path(&request.model, request.stream)?;
    let mut natives = Natives::sort(&request.extra);
    refuse_fields(request, &mut natives.unsupported);
    if !natives.unsupported.is_empty() && !options.drop_unsupported {
        return Err(EncodeError::Unsupported { params: natives.unsupported });
    }
    let conversation = contents::write(&request.messages, options)?;
    let mut generation = generation_config(request, options)?;
    generation.append(&mut natives.generation);
    if natives.wants_thoughts {
        generation.entry("thinkingConfig").or_insert_with(|| json!({ "includeThoughts": true }));
    }

    let body = body(request, conversation, generation, natives);
    let body = Value::Object(body).to_string().into_bytes();
    Ok(Outbound {
        lost: Losses::default(),
        path,
        headers: Vec::new(),
        reading: Reading { id_seed: seed_of(&body), ..Reading::default() },
        body,
    })
}

/// Where a model is called: its resource and the method, for streams as events.
///
/// # Errors
/// [`EncodeError::Invalid`] for a model name that is none.
pub fn call_path(model: &str, stream: bool) -> Result<String, EncodeError> {
    let resource = model_resource(model)?;
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    Ok(format!("/{resource}:{method}"))
}

/// Fields of the conversation model that Gemini has no word for.
fn refuse_fields(request: &ChatRequest, unsupported: &mut Vec<String>) {
    if request.sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()) {
        unsupported.push("logit_bias".to_owned());
    }
    // With one function only, LiteLLM lets it pass, and so do we: agents set it as a matter of course.
    if request.parallel_tool_calls == Some(false) && request.tools.len() > 1 {
        unsupported.push("parallel_tool_calls".to_owned());
    }
}

fn body(
    request: &ChatRequest,
    conversation: Conversation,
    generation: Map<String, Value>,
    mut natives: Natives,
) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(system) = conversation.system {
        body.insert("systemInstruction".to_owned(), system);
    }
    body.insert("contents".to_owned(), Value::Array(conversation.contents));
    let mut tools = Vec::new();
    if !request.tools.is_empty() {
        let declarations: Vec<Value> = request.tools.iter().map(declaration).collect();
        tools.push(json!({ "functionDeclarations": declarations }));
    }
    tools.append(&mut natives.tools);
    let declares_functions = tools.iter().any(|tool| tool.get("functionDeclarations").is_some());
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    // Google refuses a calling mode where nothing can be called.
    let calling = request.tool_choice.as_ref().map(calling_config).or(natives.calling);
    if let Some(calling) = calling.filter(|_| declares_functions) {
        body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": calling }));
    }
    if !generation.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(generation));
    }
    body.append(&mut natives.top_level);
    body
}

/// A function in Google's schema subset, which every model takes, where that can say all of it; otherwise in JSON
/// Schema, which the subset cannot always express (recursion, unions, maps, values other than text).
fn declaration(tool: &Tool) -> Value {
    let mut declaration = Map::new();
    declaration.insert("name".to_owned(), json!(tool.name));
    if let Some(description) = &tool.description {
        declaration.insert("description".to_owned(), json!(description));
    }
    match tool.parameters.as_ref().map_or(Parameters::Absent, schema::parameters) {
        Parameters::Absent => {}
        Parameters::Subset(subset) => {
            declaration.insert("parameters".to_owned(), subset);
        }
        Parameters::JsonSchema(schema) => {
            declaration.insert("parametersJsonSchema".to_owned(), schema);
        }
    }
    Value::Object(declaration)
}

fn calling_config(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({ "mode": "AUTO" }),
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Function(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    }
}
