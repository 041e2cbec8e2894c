//! A chat request as the body and headers of a Messages request. Puts together what the other modules write.

use super::blocks::BlockWriter;
use super::host::Host;
use super::members::object;
use super::own::Own;
use super::params::{add_native_members, betas, require_supported};
use super::tools::Past;
use super::{COUNT_PATH, MESSAGES_PATH, reasoning, tools, turns};
use crate::conversation::{ChatRequest, allowed};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading};
use serde_json::{Map, Value};

/// The members that counting takes (`MessageCountTokensParams` of Anthropic's published types, the beta ones included).
const COUNTED: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "compaction",
    "context_management",
    "mcp_servers",
    "speed",
    "user_profile_id",
];

/// Writes a chat request for `POST /v1/messages`.
///
/// System and developer messages become `system`, runs of one speaker become one turn, results go to the front of
/// their turn. [`CAPABILITIES`](super::CAPABILITIES) says which parameters are taken, translated, ignored and refused.
///
/// # Errors
/// [`EncodeError::Unsupported`] names all parameters that this wire does not have, unless they may be dropped;
/// [`EncodeError::Invalid`] names the place of what cannot be written.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    encode_chat_for(Host::Anthropic, request, options)
}

/// Writes a chat request for one of the hosts of Anthropic's models. For others than Anthropic the path is empty: it
/// holds the model's name, and is the caller's to write.
///
/// # Errors
/// As [`encode_chat`].
pub fn encode_chat_for(
    host: Host,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    let mut draft = draft(request, options)?;
    let headers = host.fit(&mut draft.body, &draft.betas);
    Ok(Outbound {
        path: if host == Host::Anthropic { MESSAGES_PATH.to_owned() } else { String::new() },
        headers,
        body: Value::Object(draft.body).to_string().into_bytes(),
        reading: Reading { answer_tool: draft.answer_tool, ..Reading::default() },
        lost: draft.lost,
    })
}

/// Writes a chat request for `POST /v1/messages/count_tokens`: the same tokens, without what shapes the answer.
///
/// # Errors
/// As [`encode_chat`].
pub fn encode_count(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    // What cannot be said about the answer has no tokens.
    let options = EncodeOptions { drop_unsupported: true, ..options.clone() };
    let mut draft = draft(request, &options)?;
    draft.body.retain(|name, _| COUNTED.contains(&name.as_str()));
    let headers = Host::Anthropic.fit(&mut draft.body, &draft.betas);
    Ok(Outbound {
        path: COUNT_PATH.to_owned(),
        headers,
        body: Value::Object(draft.body).to_string().into_bytes(),
        reading: Reading::default(),
        lost: Losses::default(),
    })
}

/// A request before it is known where it goes.
struct Draft {
    body: Map<String, Value>,
    betas: Vec<&'static str>,
    answer_tool: Option<String>,
    lost: Losses,
}

fn draft(request: &ChatRequest, options: &EncodeOptions) -> Result<Draft, EncodeError> {
    let narrowed = allowed::narrowed(request);
    let request = narrowed.as_ref().unwrap_or(request);
    let mut lost = Losses::default();
    require_supported(request, options, &mut lost)?;
    let own = Own::of(request, &mut lost);
    let writer = BlockWriter { own: Own::of(request, &mut lost), lost: &mut lost, names_files: false };
    let conversation = turns::encode_messages(request, writer)?;
    let thinking = reasoning::plan(request, options, conversation.is_loop_without_thinking, &mut lost)?;
    let past = Past { called: &conversation.called, is_thinking: thinking.is_on, own: &own };
    let plan = tools::plan(request, options, &past, &mut lost)?;

    let mut body = object([
        ("model", request.model.as_str().into()),
        ("max_tokens", thinking.max_tokens.into()),
        ("messages", Value::Array(conversation.messages)),
    ]);
    insert_some(&mut body, "system", conversation.system);
    insert_some(&mut body, "tools", (!plan.tools.is_empty()).then_some(Value::Array(plan.tools)));
    insert_some(&mut body, "tool_choice", plan.choice);
    insert_some(&mut body, "stop_sequences", stop_sequences(&request.sampling.stop, options, &mut lost)?);
    reasoning::add_sampling(&mut body, request, options, thinking.is_on, &mut lost)?;
    insert_some(&mut body, "thinking", thinking.config.map(Value::Object));
    insert_some(&mut body, "output_config", output_config(thinking.effort, plan.format));
    add_native_members(&mut body, request, &own, &mut lost);
    if request.stream {
        body.insert("stream".to_owned(), true.into());
    }
    let betas = betas(request, conversation.names_files);
    Ok(Draft { body, betas, answer_tool: plan.answer_tool, lost })
}

fn insert_some(body: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

/// Texts that end the answer. The API refuses those of white space only, which OpenAI's clients like to send (`"\n"`).
fn stop_sequences(
    stop: &[String],
    options: &EncodeOptions,
    lost: &mut Losses,
) -> Result<Option<Value>, EncodeError> {
    let mut kept = Vec::with_capacity(stop.len());
    for (index, text) in stop.iter().enumerate() {
        if !text.trim().is_empty() {
            kept.push(Value::from(text.as_str()));
        } else if options.drop_unsupported {
            lost.note("stop");
        } else {
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
