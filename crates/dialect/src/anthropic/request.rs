//! A chat request as the body and headers of a Messages request. Puts together what the other modules write.

use super::members::object;
use super::params::{add_native_members, betas, require_supported};
use super::{API_VERSION, MESSAGES_PATH, reasoning, tools, turns};
use crate::conversation::ChatRequest;
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading};
use serde_json::{Map, Value};

/// Writes a chat request for `POST /v1/messages`.
///
/// System and developer messages become `system`, runs of one speaker become one turn, results go to the front of
/// their turn. [`params`](super::params) says which parameters are taken, translated, dropped and refused.
///
/// # Errors
/// [`EncodeError::Unsupported`] names everything that this wire does not have (content such as audio even where
/// parameters may be dropped); [`EncodeError::Invalid`] names the place of what cannot be written.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    require_supported(request, options)?;
    let conversation = turns::encode_messages(&request.messages)?;
    let thinking = reasoning::plan(request, options, conversation.is_loop_without_thinking)?;
    let plan = tools::plan(request, options, &conversation.called, thinking.is_on)?;

    let mut body = object([
        ("model", request.model.as_str().into()),
        ("max_tokens", thinking.max_tokens.into()),
        ("messages", Value::Array(conversation.messages)),
    ]);
    insert_some(&mut body, "system", conversation.system);
    insert_some(&mut body, "tools", (!plan.tools.is_empty()).then_some(Value::Array(plan.tools)));
    insert_some(&mut body, "tool_choice", plan.choice);
    insert_some(&mut body, "stop_sequences", stop_sequences(&request.sampling.stop, options)?);
    reasoning::add_sampling(&mut body, request, options, thinking.is_on)?;
    insert_some(&mut body, "thinking", thinking.config);
    insert_some(&mut body, "output_config", output_config(thinking.effort, plan.format));
    add_native_members(&mut body, request);
    if request.stream {
        body.insert("stream".to_owned(), true.into());
    }

    let mut headers = vec![("anthropic-version", API_VERSION.to_owned())];
    let betas = betas(&request.extra, conversation.names_files);
    if !betas.is_empty() {
        headers.push(("anthropic-beta", betas.join(",")));
    }
    Ok(Outbound {
        lost: Losses::default(),
        path: MESSAGES_PATH.to_owned(),
        headers,
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { answer_tool: plan.answer_tool, ..Reading::default() },
    })
}

fn insert_some(body: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

/// Texts that end the answer. The API refuses those of white space only, which OpenAI's clients like to send (`"\n"`).
fn stop_sequences(stop: &[String], options: &EncodeOptions) -> Result<Option<Value>, EncodeError> {
    let mut kept = Vec::with_capacity(stop.len());
    for (index, text) in stop.iter().enumerate() {
        if !text.trim().is_empty() {
            kept.push(Value::from(text.as_str()));
        } else if !options.drop_unsupported {
            return Err(EncodeError::Invalid {
                param: format!("stop[{index}]"),
                message: "must hold more than white space for this provider".to_owned(),
            });
        }
    }
    Ok((!kept.is_empty()).then_some(Value::Array(kept)))
}

fn output_config(effort: Option<&'static str>, format: Option<Value>) -> Option<Value> {
    let mut config = Map::new();
    insert_some(&mut config, "effort", effort.map(Value::from));
    insert_some(&mut config, "format", format);
    (!config.is_empty()).then_some(Value::Object(config))
}
