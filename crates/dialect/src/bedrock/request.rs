//! A chat request as the path and body of a Converse request. Puts together what the other modules write.

use super::blocks::BlockWriter;
use super::media::DocumentNames;
use super::members::{insert_some, object};
use super::model::{Maker, Model, call_path, count_path};
use super::own::Own;
use super::params::{Refusals, refuse_unsupported, service_tier};
use super::thinking::{self, Thinking};
use super::tools::{self, Ask, ToolPlan};
use super::turns;
use crate::conversation::ChatRequest;
use crate::wire::{EncodeError, EncodeOptions, Outbound, Reading};
use serde_json::{Map, Value};

/// Where Claude tells which stop text ended an answer, as a JSON Pointer into its own reply.
const STOP_SEQUENCE_PATH: &str = "/stop_sequence";

/// Members of Anthropic's that its models take only together with a value of `anthropic_beta`.
const BETA_MEMBERS: [(&str, &str); 1] = [("context_management", "context-management-2025-06-27")];

/// Writes a chat request for `POST /model/{id}/converse`, or `converse-stream` if it is to be streamed.
///
/// System and developer messages become `system`, runs of one speaker become one turn, results go to the front of
/// their turn, prompt-cache marks become cache points. [`CAPABILITIES`](super::CAPABILITIES) says which parameters are
/// taken, translated, left out and refused.
///
/// # Errors
/// [`EncodeError::Unsupported`] names every parameter that this wire or the model does not have, unless they may be
/// dropped; [`EncodeError::Invalid`] names the place of what cannot be written.
pub fn encode_chat(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    let path = call_path(&request.model, request.stream)?;
    let model = Model::of(&request.model);
    let mut refusals = Refusals::new(options);
    refuse_unsupported(request, &mut refusals);
    let own = Own::of(request, model, &mut refusals.lost);
    let names = DocumentNames::default();
    let mut writer = BlockWriter { model, own, lost: &mut refusals.lost, names };
    let conversation = turns::encode_messages(request, &mut writer)?;
    let own = writer.own;
    let is_loop = conversation.is_loop_without_thinking;
    let mut thinking = thinking::plan((request, options), model, &own, is_loop, &mut refusals)?;
    let mut inference = inference(request, options, model, &mut refusals)?;
    thinking::add_sampling((request, options), model, &mut thinking, &mut inference, &mut refusals)?;
    let called = conversation.called.as_slice();
    let ask = Ask { request, options, model, called, is_thinking: thinking.is_on };
    let plan = tools::plan(&ask, &own, &mut refusals)?;

    let mut body = Map::new();
    body.insert("messages".to_owned(), Value::Array(conversation.messages));
    let system = Some(conversation.system).filter(|blocks| !blocks.is_empty());
    insert_some(&mut body, "system", system.map(Value::Array));
    insert_some(&mut body, "toolConfig", plan.config.clone());
    add_rest(&mut inference, &own, "inferenceConfig");
    insert_some(&mut body, "inferenceConfig", filled(inference));
    let answer_tool = plan.answer_tool.clone();
    add_configs(&mut body, &own, plan, thinking);
    let tier = service_tier(request, &mut refusals.lost);
    let mut tier = tier.map(|tier| Map::from_iter([("type".to_owned(), tier.into())])).unwrap_or_default();
    // Without its type the rest of it means nothing.
    if !tier.is_empty() {
        add_rest(&mut tier, &own, "serviceTier");
    }
    insert_some(&mut body, "serviceTier", filled(tier));
    add_members(&mut body, request, model, &own);
    Ok(Outbound {
        path,
        headers: Vec::new(),
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { answer_tool, model: request.model.clone(), ..Reading::default() },
        lost: refusals.finish()?,
    })
}

/// Writes a chat request to have its tokens counted, for `POST /model/{id}/count-tokens`: what shapes the answer is left
/// out.
///
/// # Errors
/// As [`encode_chat`].
pub fn encode_count(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    const COUNTED: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];
    let mut outbound = encode_chat(request, options)?;
    let mut body: Map<String, Value> = serde_json::from_slice(&outbound.body).unwrap_or_default();
    body.retain(|name, _| COUNTED.contains(&name.as_str()));
    let input = object([("input", object([("converse", Value::Object(body))]))]);
    outbound.path = count_path(&request.model)?;
    outbound.body = input.to_string().into_bytes();
    Ok(outbound)
}

fn filled(members: Map<String, Value>) -> Option<Value> {
    (!members.is_empty()).then_some(Value::Object(members))
}

/// Puts back what the caller of this dialect said of a member beyond the model; what was written stands.
fn add_rest(members: &mut Map<String, Value>, own: &Own<'_>, name: &str) {
    for (name, value) in own.rest_of(name) {
        if !members.contains_key(name) {
            members.insert(name.clone(), value.clone());
        }
    }
}

/// The limit and the texts that end the answer. Claude refuses such texts of white space only, which OpenAI's clients
/// like to send (`"\n"`).
fn inference(
    request: &ChatRequest,
    options: &EncodeOptions,
    model: Model<'_>,
    refusals: &mut Refusals<'_>,
) -> Result<Map<String, Value>, EncodeError> {
    let mut inference = Map::new();
    insert_some(&mut inference, "maxTokens", request.sampling.max_tokens.map(Value::from));
    let mut kept = Vec::with_capacity(request.sampling.stop.len());
    for (index, text) in request.sampling.stop.iter().enumerate() {
        let is_refused = text.is_empty() || (text.trim().is_empty() && model.maker == Maker::Anthropic);
        if !is_refused {
            kept.push(Value::from(text.as_str()));
        } else if options.drop_unsupported {
            refusals.lost.note("stop");
        } else {
            return Err(EncodeError::Invalid {
                param: format!("stop[{index}]"),
                message: "must hold more than white space for this provider".to_owned(),
            });
        }
    }
    if !kept.is_empty() {
        inference.insert("stopSequences".to_owned(), Value::Array(kept));
    }
    Ok(inference)
}

/// Adds the model's own parameters and the form of the answer.
fn add_configs(body: &mut Map<String, Value>, own: &Own<'_>, plan: ToolPlan, thinking: Thinking) {
    let mut fields = thinking.fields;
    insert_some(&mut fields, "tool_choice", plan.own_choice);
    for (name, value) in &own.fields {
        match (fields.get_mut(*name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) if *name == "output_config" => {
                ours.extend(theirs.clone());
            }
            (Some(_), _) => {}
            (None, Value::String(beta)) if *name == "anthropic_beta" => {
                let betas = beta.split(',').map(|beta| Value::from(beta.trim())).collect();
                fields.insert((*name).clone(), Value::Array(betas));
            }
            (None, value) => {
                fields.insert((*name).clone(), (*value).clone());
            }
        }
    }
    add_rest(&mut fields, own, "additionalModelRequestFields");
    for (_, beta) in BETA_MEMBERS.iter().filter(|(name, _)| own.fields.iter().any(|(known, _)| known == name))
    {
        let betas = fields.entry("anthropic_beta").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(betas) = betas
            && !betas.iter().any(|known| known == beta)
        {
            betas.push((*beta).into());
        }
    }
    insert_some(body, "additionalModelRequestFields", filled(fields));
    let mut output = Map::new();
    insert_some(&mut output, "textFormat", plan.format);
    add_rest(&mut output, own, "outputConfig");
    insert_some(body, "outputConfig", filled(output));
}

/// Adds Converse's own members, as the caller wrote them.
fn add_members(body: &mut Map<String, Value>, request: &ChatRequest, model: Model<'_>, own: &Own<'_>) {
    for (name, value) in &own.members {
        let mut value = (*value).clone();
        if let (Value::Object(config), false) = (&mut value, request.stream) {
            // A stream alone has it.
            config.shift_remove("streamProcessingMode");
        }
        body.insert((*name).clone(), value);
    }
    if model.maker == Maker::Anthropic && !request.sampling.stop.is_empty() {
        let paths =
            body.entry("additionalModelResponseFieldPaths").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(paths) = paths
            && !paths.iter().any(|path| path == STOP_SEQUENCE_PATH)
        {
            paths.push(STOP_SEQUENCE_PATH.into());
        }
    }
}
