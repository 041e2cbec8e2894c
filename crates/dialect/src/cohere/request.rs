//! A chat request as the body of `POST /v2/chat`. Puts together what the other modules write.

use super::{CHAT_PATH, params, tools, turns};
use crate::admit::Bounds;
use crate::conversation::{ChatRequest, allowed};
use crate::json::value::{insert, insert_some};
use crate::wire::{Dialect, EncodeError, EncodeOptions, Losses, Outbound, Reading};
use serde_json::{Map, Value, json};

/// Writes a chat request.
///
/// Documents of text become `documents`, or text where the answer must be JSON, beside which Cohere takes none.
/// [`CAPABILITIES`](super::CAPABILITIES) says which parameters are taken, translated, ignored and refused.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that this wire does not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be written.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let narrowed = allowed::narrowed(request);
    let request = narrowed.as_ref().unwrap_or(request);
    let mut lost = Losses::default();
    params::ADMISSION.admit(request, options, &mut lost)?;
    let plan = tools::plan(request, &mut lost)?;
    let conversation = turns::encode_messages(request, plan.format.is_some(), &mut lost)?;

    let mut body = Map::new();
    insert(&mut body, "model", request.model.as_str());
    insert(&mut body, "messages", conversation.messages);
    if !plan.tools.is_empty() {
        insert(&mut body, "tools", plan.tools);
    }
    insert_some(&mut body, "tool_choice", plan.choice);
    insert_some(&mut body, "strict_tools", plan.is_strict.then_some(true));
    insert_some(&mut body, "response_format", plan.format);
    if !conversation.documents.is_empty() {
        insert(&mut body, "documents", conversation.documents);
        // Cohere cites unless told not to.
        if !conversation.wants_citations {
            insert(&mut body, "citation_options", json!({"mode": "OFF"}));
        }
    }
    params::add_sampling(&mut body, &request.sampling, &mut Bounds { options, lost: &mut lost })?;
    insert_some(&mut body, "thinking", params::thinking(request.reasoning.as_ref()));
    params::add_native_members(&mut body, request);
    // Cohere's callers leave it out, as it is the default.
    if request.stream || request.dialect != Dialect::Cohere {
        insert(&mut body, "stream", request.stream);
    }
    Ok(Outbound {
        path: CHAT_PATH.to_owned(),
        headers: Vec::new(),
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading {
            answer_tool: plan.answer_tool,
            model: request.model.clone(),
            ..Reading::default()
        },
        lost,
    })
}
