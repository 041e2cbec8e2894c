//! A whole Converse reply as the conversation model has it.

use super::inbound::blocks::{BlockReader, native};
use super::inbound::messages::with_call_signatures;
use super::members::{count, filled_text, items, text};
use super::model::Model;
use super::{errors, stop, usage};
use crate::conversation::{ChatReply, Choice, Part};
use crate::json::read::Place;
use crate::wire::{Reading, ReplyFault};
use serde_json::Value;

/// Reads the body of a successful reply. It names neither itself nor the model: the model is the reading's, the id is
/// left to whoever writes the reply. What Amazon's own tools did is in native parts, a guardrail's trace is passed over.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for what is no reply.
pub fn decode_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = errors::in_reply(&reply) {
        return Err(ReplyFault::Error(error));
    }
    let message = reply.get("output").and_then(|output| output.get("message"));
    let message = message.ok_or(ReplyFault::Malformed("a reply has no message"))?;
    let mut parts = read_content(message, reading)?;
    if let Some(answer_tool) = &reading.answer_tool {
        parts = stop::with_answer(parts, answer_tool);
    }
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let stop = text(&reply, "stopReason").map(|word| stop::settled(stop::read(word), reading, calls_tools));
    let choice = Choice { index: 0, parts, stop, stop_sequence: stop_sequence(&reply), logprobs: None };
    Ok(ChatReply {
        model: reading.model.clone(),
        choices: vec![choice],
        usage: reply.get("usage").map(usage::read).unwrap_or_default(),
        service_tier: service_tier(&reply),
        ..ChatReply::default()
    })
}

/// Reads the reply to a request of counted tokens: `{"inputTokens": n}`.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of a count, [`ReplyFault::Malformed`] for what is no count.
pub fn decode_count_reply(body: &[u8]) -> Result<u64, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    match count(&reply, "inputTokens") {
        Some(tokens) => Ok(tokens),
        None => Err(errors::in_reply(&reply)
            .map_or(ReplyFault::Malformed("a count has no inputTokens"), ReplyFault::Error)),
    }
}

fn read_content(message: &Value, reading: &Reading) -> Result<Vec<Part>, ReplyFault> {
    const MALFORMED: ReplyFault = ReplyFault::Malformed("a content block of the reply is malformed");
    let mut reader = BlockReader::new(Model::of(&reading.model).issuer());
    let mut parts = Vec::new();
    for block in items(message, "content") {
        let members = block.as_object().ok_or(MALFORMED)?;
        // A member that is there tells the block; the service may put others beside it.
        let mut members = members.iter().filter(|(_, value)| !value.is_null());
        let Some((kind, value)) = members.next() else { continue };
        let part = reader.read_part(kind.clone(), value.clone(), &Place::Top("content"));
        parts.push(match part {
            Ok(part) => part,
            // A form of a known block that is not known yet.
            Err(_) if !matches!(kind.as_str(), "text" | "toolUse") => native(kind.clone(), value.clone()),
            Err(_) => return Err(MALFORMED),
        });
    }
    Ok(with_call_signatures(parts))
}

/// Which stop text ended the answer, where the model's own reply says so and was asked for it.
pub(super) fn stop_sequence(holder: &Value) -> Option<String> {
    let fields = holder.get("additionalModelResponseFields")?;
    filled_text(fields, "stop_sequence").map(str::to_owned)
}

/// The tier that served the request.
pub(super) fn service_tier(holder: &Value) -> Option<String> {
    holder.get("serviceTier").and_then(|tier| filled_text(tier, "type")).map(str::to_owned)
}

/// The number of the block that an event of a stream belongs to.
pub(super) fn block_index(event: &Value) -> Result<u64, ReplyFault> {
    count(event, "contentBlockIndex").ok_or(ReplyFault::Malformed("a content block has no index"))
}
