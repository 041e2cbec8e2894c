//! A chat request as Gemini's `generateContent` takes it.
//!
//! Owns the path and the frame of the body. Leaves turns to `contents`, `generationConfig` to `generation`, schemas to
//! `schema`, the caller's native members to `params`.

use super::contents::{self, Conversation, Target};
use super::generation::generation_config;
use super::host::Host;
use super::ident::{model_resource, seed_of};
use super::own::{DECLARATIONS, GENERATION, Own, SEARCH, SEARCH_RETRIEVAL, TOOL_CONFIG};
use super::params::{CAPABILITIES, Natives};
use super::schema::{self, Parameters};
use crate::conversation::{ChatRequest, Tool, ToolChoice, ToolKind, custom};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading, note_ignored};
use serde_json::{Map, Value, json};

/// Most stop sequences in one request (Google's reference for `GenerationConfig`).
pub const STOP_SEQUENCES_MAX: usize = 5;

/// Writes a chat request for AI Studio: `/models/{model}:generateContent`, or `:streamGenerateContent?alt=sse` for a
/// stream.
///
/// OpenAI's bookkeeping members are left out ([`super::CAPABILITIES`]); participants' names, cache marks, an image's
/// `detail`, a document's context and other makers' signed reasoning have no place here and are noted as lost. A seed
/// wider than 32 bits is folded into them. Functions that are all strict are called in the mode `VALIDATED`.
///
/// # Errors
/// [`EncodeError::Unsupported`] for parameters that Gemini cannot express, unless they may be dropped;
/// [`EncodeError::Invalid`] for a model name that is none, a tool result without its call, a tool call whose arguments
/// are not a JSON object, a file id of another provider, a system message with anything but text in it, or more
/// than [`STOP_SEQUENCES_MAX`] stop sequences (of which the first are kept where parameters may be dropped).
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    encode_chat_for(Host::AiStudio, request, options)
}

/// Writes a chat request for one of Google's two hosts; at Vertex the path is
/// `/publishers/google/models/{model}:generateContent`, below the project's and location's own.
///
/// # Errors
/// As [`encode_chat`]; at Vertex also for a file of AI Studio's.
pub fn encode_chat_for(
    host: Host,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    let path = call_path_for(host, &request.model, request.stream)?;
    let (body, lost) = body(host, request, options)?;
    let body = Value::Object(body).to_string().into_bytes();
    let reading = Reading { id_seed: seed_of(&body), ..Reading::default() };
    Ok(Outbound { path, headers: Vec::new(), body, reading, lost })
}

/// Where a model is called at AI Studio: its resource and the method, for streams as events.
///
/// # Errors
/// [`EncodeError::Invalid`] for a model name that is none.
pub fn call_path(model: &str, stream: bool) -> Result<String, EncodeError> {
    call_path_for(Host::AiStudio, model, stream)
}

/// As [`call_path`], for one of Google's two hosts.
///
/// # Errors
/// [`EncodeError::Invalid`] for a model name that is none.
pub fn call_path_for(host: Host, model: &str, stream: bool) -> Result<String, EncodeError> {
    let resource = model_resource(host, model)?;
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    Ok(format!("/{resource}:{method}"))
}

/// The members of a `GenerateContentRequest`, and what has no place in it.
///
/// # Errors
/// As [`encode_chat`].
pub(super) fn body(
    host: Host,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<(Map<String, Value>, Losses), EncodeError> {
    let mut natives = Natives::sort(&request.extra, host, options);
    refuse_fields(request, options, &mut natives.unsupported);
    if !natives.unsupported.is_empty() && !options.drop_unsupported {
        return Err(EncodeError::Unsupported { params: natives.unsupported });
    }
    let mut lost = std::mem::take(&mut natives.lost);
    for name in std::mem::take(&mut natives.unsupported) {
        lost.note(name);
    }
    if request.parallel_tool_calls == Some(false) && request.tools.len() == 1 {
        lost.note("parallel_tool_calls");
    }
    let own = Own::new(request, host, &mut lost);
    let is_sent = |name: &str| {
        (name == "store" && own.takes(name)) || options.allowed_params.iter().any(|allowed| allowed == name)
    };
    note_ignored(CAPABILITIES, request, is_sent, &mut lost);
    let conversation = contents::write(&request.messages, Target::new(host, options, own), &mut lost)?;
    let mut generation = generation_config(request, options, &mut lost)?;
    generation.append(&mut natives.generation);
    if natives.wants_thoughts {
        generation.entry("thinkingConfig").or_insert_with(|| json!({ "includeThoughts": true }));
    }
    generation.extend(own.members(GENERATION));
    Ok((assemble(request, own, (conversation, generation, natives), &mut lost), lost))
}

/// Fields of the conversation model that Gemini has no word for.
fn refuse_fields(request: &ChatRequest, options: &EncodeOptions, unsupported: &mut Vec<String>) {
    let mut refuse = |name: &str| {
        if !options.allowed_params.iter().any(|allowed| allowed == name) {
            unsupported.push(name.to_owned());
        }
    };
    if request.sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()) {
        refuse("logit_bias");
    }
    // With one function only, LiteLLM lets it pass, and so do we: agents set it as a matter of course.
    if request.parallel_tool_calls == Some(false) && request.tools.len() > 1 {
        refuse("parallel_tool_calls");
    }
}

fn assemble(
    request: &ChatRequest,
    own: Own<'_>,
    (conversation, generation, mut natives): (Conversation, Map<String, Value>, Natives),
    lost: &mut Losses,
) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(system) = conversation.system {
        body.insert("systemInstruction".to_owned(), system);
    }
    body.insert("contents".to_owned(), Value::Array(conversation.contents));
    let tools = tools(request, own, &mut natives, lost);
    let declares_functions = tools.iter().any(|tool| tool.get("functionDeclarations").is_some());
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    // Google refuses a calling mode where nothing can be called.
    let calling = calling_config(request, lost).or(natives.calling).filter(|_| declares_functions);
    let mut config = Map::new();
    config.extend(calling.map(|calling| ("functionCallingConfig".to_owned(), calling)));
    config.extend(own.members(TOOL_CONFIG));
    if !config.is_empty() {
        body.insert("toolConfig".to_owned(), Value::Object(config));
    }
    if !generation.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(generation));
    }
    body.append(&mut natives.top_level);
    // Whether an answer is kept is Google's question as well as OpenAI's, but only its own callers mean Google's store.
    if let (true, Some(store)) = (own.takes("store"), request.extra.get("store")) {
        body.insert("store".to_owned(), store.clone());
    }
    body.extend(own.top_level().map(|(name, value)| (name.clone(), value.clone())));
    body
}

fn tools(request: &ChatRequest, own: Own<'_>, natives: &mut Natives, lost: &mut Losses) -> Vec<Value> {
    let mut tools = Vec::new();
    if !request.tools.is_empty() {
        let declarations: Vec<Value> = request.tools.iter().map(|tool| declaration(tool, own)).collect();
        tools.push(json!({ "functionDeclarations": declarations }));
    }
    if request.tools.iter().any(|tool| tool.cache_control.is_some()) {
        lost.note("cache_control");
    }
    tools.append(&mut natives.tools);
    let has_search = tools.iter().any(|tool| tool.get(SEARCH).is_some());
    if natives.searches && !has_search {
        tools.push(match (own.search(SEARCH), own.search(SEARCH_RETRIEVAL)) {
            (None, Some(older)) => json!({ SEARCH_RETRIEVAL: older }),
            (Some(members), _) => json!({ SEARCH: members }),
            (None, None) => json!({ SEARCH: {} }),
        });
    }
    tools
}

/// A function in Google's schema subset, which every model takes, where that can say all of it; otherwise in JSON
/// Schema, which the subset cannot always express (recursion, unions, maps, values other than text).
fn declaration(tool: &Tool, own: Own<'_>) -> Value {
    let stand_in;
    let tool = match tool.kind {
        ToolKind::Function => tool,
        ToolKind::Custom { .. } => {
            stand_in = custom::as_function(tool);
            &stand_in
        }
    };
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
    own.complete(DECLARATIONS, &tool.name, &mut declaration);
    Value::Object(declaration)
}

/// How functions are to be called. Google holds arguments to their schemas in the modes `ANY` and `VALIDATED`, the second
/// of which leaves the model as free as `AUTO`; it is one mode for all functions.
fn calling_config(request: &ChatRequest, lost: &mut Losses) -> Option<Value> {
    let is_strict = |tool: &Tool| tool.strict == Some(true);
    let is_free = matches!(request.tool_choice, None | Some(ToolChoice::Auto));
    if is_free && request.tools.iter().any(is_strict) && !request.extra.contains_key("tool_choice") {
        if request.tools.iter().all(is_strict) {
            return Some(json!({ "mode": "VALIDATED" }));
        }
        lost.note("strict");
    }
    Some(match request.tool_choice.as_ref()? {
        ToolChoice::Auto => json!({ "mode": "AUTO" }),
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Function(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    })
}
