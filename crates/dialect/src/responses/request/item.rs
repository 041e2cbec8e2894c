//! The items of `input`, gathered into messages.
//!
//! Owns which items belong to one turn. Leaves content to [`super::content`]. **Invariant:** two messages that the
//! assistant wrote one after the other stay two; everything else that it did in a row is one message.

use super::content;
use super::namespace::NamespacedCall;
use super::tool::Offered;
use crate::conversation::{Message, Native, Part, Role, Signature};
use crate::json::read::{self, Place};
use crate::responses::seal::{self, Seal};
use crate::wire::{Dialect, RequestError};
use serde_json::{Map, Value, json};

/// What a message of the assistant is to its turn (`commentary`, `final_answer`), which stands before it in the
/// conversation as a part of this dialect alone.
pub(in crate::responses) const PHASE: &str = "phase";

const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

/// What `input` says.
#[derive(Default)]
pub(super) struct Input {
    pub(super) messages: Vec<Message>,
    /// The tools that come as items.
    pub(super) added: Offered,
    /// The calls that name a namespace.
    pub(super) calls: Vec<NamespacedCall>,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Reads `input`.
pub(super) fn read_items(items: Vec<Value>, at: &Place<'_>) -> Result<Input, RequestError> {
    let mut turns = Turns::default();
    for (index, item) in items.into_iter().enumerate() {
        let at = &at.item(index);
        turns.read(read::object(item, at)?, at)?;
    }
    turns.flush();
    Ok(Input { messages: turns.messages, added: turns.added, calls: turns.calls })
}

/// Messages while items come in.
#[derive(Default)]
struct Turns {
    messages: Vec<Message>,
    /// The last item was a message of the assistant.
    assistant_spoke: bool,
    /// A signature whose tool call is to follow.
    call_signature: Option<Signature>,
    added: Offered,
    calls: Vec<NamespacedCall>,
}

impl Turns {
    fn read(&mut self, mut item: Map<String, Value>, at: &Place<'_>) -> Result<(), RequestError> {
        let kind = match item.get("type") {
            None | Some(Value::Null) if item.contains_key("role") => "message".to_owned(),
            None | Some(Value::Null) if item.contains_key("id") => "item_reference".to_owned(),
            None | Some(Value::Null) => return Err(at.member("type").missing()),
            Some(kind) => read::string(kind.clone(), &at.member("type"))?,
        };
        match kind.as_str() {
            "message" => self.message(&mut item, at),
            "function_call" | "custom_tool_call" => self.call(&kind, &mut item, at),
            "function_call_output" | "custom_tool_call_output" => self.output(&mut item, at),
            "reasoning" => self.reasoning(&mut item, at),
            // Which role offers them makes no difference.
            "additional_tools" => {
                let tools = read::require(&mut item, "tools", at)?;
                self.added.read(tools, &at.member("tools"))
            }
            _ => {
                let is_output = kind.ends_with("_output") || kind == "mcp_approval_response";
                let role = if is_output { Role::Tool } else { Role::Assistant };
                let value = Value::Object(item);
                self.push(role, [Part::Native(Native { dialect: Dialect::Responses, value })]);
                Ok(())
            }
        }
    }

    /// Adds parts to the turn that is going on, or begins one.
    fn push(&mut self, role: Role, parts: impl IntoIterator<Item = Part>) {
        if role != Role::Assistant {
            self.flush();
        }
        self.assistant_spoke = false;
        match self.messages.last_mut() {
            Some(last) if last.role == role && matches!(role, Role::Assistant | Role::Tool) => {
                last.parts.extend(parts);
            }
            _ => self.messages.push(Message { role, parts: parts.into_iter().collect(), name: None }),
        }
    }

    /// A call's signature without its call is kept as what it is: proof of reasoning without a text.
    fn flush(&mut self) {
        if let Some(signature) = self.call_signature.take() {
            self.push(Role::Assistant, [Part::Reasoning { text: String::new(), signature: Some(signature) }]);
        }
    }

    fn message(&mut self, item: &mut Map<String, Value>, at: &Place<'_>) -> Result<(), RequestError> {
        let role = read::require_string(item, "role", at)?;
        let role = match role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            other => return Err(at.member("role").unknown_word(other, &ROLES)),
        };
        let mut parts =
            content::read_content(role, read::require(item, "content", at)?, &at.member("content"))?;
        if role != Role::Assistant {
            self.flush();
            self.assistant_spoke = false;
            self.messages.push(Message { role, parts, name: None });
            return Ok(());
        }
        let phase = read::take_string(item, "phase", at)?;
        // Clients send back what was empty; it says nothing, and some providers refuse it.
        parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
        if let Some(phase) = phase.filter(|_| !parts.is_empty()) {
            let value = json!({"type": PHASE, PHASE: phase});
            parts.insert(0, Part::Native(Native { dialect: Dialect::Responses, value }));
        }
        self.flush();
        if self.assistant_spoke && !parts.is_empty() {
            self.messages.push(Message { role, parts, name: None });
        } else if !parts.is_empty() {
            self.push(role, parts);
        }
        self.assistant_spoke = true;
        Ok(())
    }

    fn call(
        &mut self,
        kind: &str,
        item: &mut Map<String, Value>,
        at: &Place<'_>,
    ) -> Result<(), RequestError> {
        let is_custom = kind == "custom_tool_call";
        let arguments = if is_custom { "input" } else { "arguments" };
        let namespace = read::take_string(item, "namespace", at)?;
        let call = Part::ToolCall {
            id: read::require_string(item, "call_id", at)?,
            name: read::require_string(item, "name", at)?,
            arguments: read::require_string(item, arguments, at)?,
            is_custom,
            signature: self.call_signature.take(),
        };
        self.push(Role::Assistant, [call]);
        if let Some(namespace) = namespace {
            let message = self.messages.len().saturating_sub(1);
            let part = self.messages.last().map_or(0, |message| message.parts.len().saturating_sub(1));
            self.calls.push(NamespacedCall { message, part, namespace });
        }
        Ok(())
    }

    fn output(&mut self, item: &mut Map<String, Value>, at: &Place<'_>) -> Result<(), RequestError> {
        let output = read::require(item, "output", at)?;
        let result = Part::ToolResult {
            call_id: read::require_string(item, "call_id", at)?,
            content: content::read_content(Role::Tool, output, &at.member("output"))?,
            is_error: false,
            cache_control: None,
        };
        self.push(Role::Tool, [result]);
        Ok(())
    }

    fn reasoning(&mut self, item: &mut Map<String, Value>, at: &Place<'_>) -> Result<(), RequestError> {
        let id = read::take_string(item, "id", at)?.unwrap_or_default();
        let mut text = read_texts(item, "summary", at)?;
        let content = read_texts(item, "content", at)?;
        if text.is_empty() {
            text = content;
        }
        let encrypted = read::take_string(item, "encrypted_content", at)?.filter(|text| !text.is_empty());
        let signature = match encrypted.map(|encrypted| seal::open(&id, &encrypted)) {
            Some(Seal::Reasoning(signature)) => Some(signature),
            Some(Seal::Redacted(data)) => {
                self.flush();
                self.push(Role::Assistant, [Part::RedactedReasoning { data }]);
                return Ok(());
            }
            Some(Seal::Call(signature)) => {
                self.flush();
                self.call_signature = Some(signature);
                return Ok(());
            }
            // Kept where it was made; there the id alone says which it is.
            None if !id.is_empty() => Some(seal::own(&id, "")),
            None => None,
        };
        self.flush();
        if !text.is_empty() || signature.is_some() {
            self.push(Role::Assistant, [Part::Reasoning { text, signature }]);
        }
        Ok(())
    }
}

/// The texts of a list of `{type, text}`, with an empty line between them.
fn read_texts(item: &mut Map<String, Value>, name: &str, at: &Place<'_>) -> Result<String, RequestError> {
    let Some(value) = read::take(item, name) else { return Ok(String::new()) };
    let place = at.member(name);
    let mut texts = Vec::new();
    for (index, entry) in read::list(value, &place)?.into_iter().enumerate() {
        let place = place.item(index);
        texts.push(read::require_string(&mut read::object(entry, &place)?, "text", &place)?);
    }
    Ok(texts.join("\n\n"))
}
