//! A chat request as the body of `POST /api/chat`. Puts together what the other modules write.

use super::params::{self, ADMISSION};
use super::{CHAT_PATH, turns};
use crate::anthropic::schema::rooted_in_object;
use crate::conversation::{ChatRequest, Tool, ToolChoice, allowed, custom};
use crate::gemini::ident::seed_of;
use crate::json::value::{insert, insert_some};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading};
use serde_json::{Map, Value, json};

/// Writes a chat request.
///
/// [`CAPABILITIES`](super::CAPABILITIES) says which parameters are taken, translated, ignored and refused.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that this wire does not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be written: pictures by address above all, since the server
/// fetches nothing.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let narrowed = allowed::narrowed(request);
    let request = narrowed.as_ref().unwrap_or(request);
    let mut lost = Losses::default();
    ADMISSION.admit(request, options, &mut lost)?;
    let mut body = Map::new();
    insert(&mut body, "model", request.model.as_str());
    insert(&mut body, "messages", turns::encode_messages(request, &mut lost)?);
    if !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None) {
        if request.tools.iter().any(|tool| tool.strict == Some(true)) {
            lost.note("strict");
        }
        let tools = request.tools.iter().enumerate().map(|(index, tool)| write_tool(tool, index));
        insert(&mut body, "tools", tools.collect::<Result<Vec<_>, _>>()?);
    }
    params::add_settings(&mut body, request, options);
    insert(&mut body, "stream", request.stream);
    let body = Value::Object(body).to_string().into_bytes();
    let reading = Reading { id_seed: seed_of(&body), model: request.model.clone(), ..Reading::default() };
    Ok(Outbound { path: CHAT_PATH.to_owned(), headers: Vec::new(), body, reading, lost })
}

fn write_tool(tool: &Tool, index: usize) -> Result<Value, EncodeError> {
    let tool = custom::as_function(tool);
    let parameters = rooted_in_object(tool.parameters.as_ref()).map_err(|reason| EncodeError::Invalid {
        param: format!("tools[{index}].function.parameters"),
        message: reason.to_owned(),
    })?;
    let mut function = Map::new();
    insert(&mut function, "name", tool.name);
    insert_some(&mut function, "description", tool.description.filter(|text| !text.is_empty()));
    insert(&mut function, "parameters", parameters);
    Ok(json!({"type": "function", "function": function}))
}
