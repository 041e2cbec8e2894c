//! The conversation as this wire wants it: instructions apart, then user and assistant turns that alternate.
//!
//! **Invariant:** the first turn is the user's, roles alternate but for instructions in their place, results stand first
//! in their turn and answer the calls of the turn before, no text is blank, a turn with a document has a text, and a
//! closing assistant turn does not end in white space.

use super::blocks::{BlockWriter, Call, Place};
use super::members::object;
use super::tool_ids::ToolIds;
use crate::conversation::{ChatRequest, Message, Part, Role};
use crate::wire::{Dialect, EncodeError};
use serde_json::Value;
use std::collections::HashSet;

/// What stands where the wire demands a text and the caller has none (LiteLLM's placeholder).
const PLACEHOLDER: &str = ".";

/// The messages of a request, written for the wire.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// `system`.
    pub(super) system: Vec<Value>,
    /// `messages`.
    pub(super) messages: Vec<Value>,
    /// Functions that past turns call, each once, in order.
    pub(super) called: Vec<String>,
    /// A tool loop is under way whose first turn has no reasoning. With a budget for it Claude refuses to go on from
    /// there.
    pub(super) is_loop_without_thinking: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
    System,
}

#[derive(Debug)]
struct Turn {
    speaker: Speaker,
    /// `toolResult` blocks and their cache points; they go before everything else.
    results: Vec<Value>,
    blocks: Vec<Value>,
}

impl Turn {
    fn new(speaker: Speaker) -> Self {
        Self { speaker, results: Vec::new(), blocks: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.blocks.is_empty()
    }

    fn has(&self, kind: &str) -> bool {
        self.blocks.iter().any(|block| block.get(kind).is_some())
    }

    fn starts_with_thinking(&self) -> bool {
        self.blocks.first().is_some_and(|block| block.get("reasoningContent").is_some())
    }

    fn encode(mut self) -> Value {
        let role = match self.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::System => "system",
        };
        if self.is_empty() || (self.has("document") && !self.has("text")) {
            self.blocks.insert(0, object([("text", PLACEHOLDER.into())]));
        }
        let mut content = self.results;
        content.extend(self.blocks);
        object([("role", role.into()), ("content", Value::Array(content))])
    }
}

/// Writes the caller's messages with `writer`.
///
/// Instructions at the beginning become `system`. Later ones stay in their place for a caller of this dialect, which
/// knows that the model takes them there; those of others are lifted, and that is noted.
///
/// # Errors
/// [`EncodeError`] names the message and part that cannot be written.
pub(super) fn encode_messages(
    request: &ChatRequest,
    writer: &mut BlockWriter<'_, '_>,
) -> Result<Conversation, EncodeError> {
    if request.messages.is_empty() {
        let message = "at least one message is needed".to_owned();
        return Err(EncodeError::Invalid { param: "messages".to_owned(), message });
    }
    let mut builder = Builder::new(request.dialect == Dialect::Bedrock);
    for (index, message) in request.messages.iter().enumerate() {
        if message.name.is_some() {
            writer.lost.note("name");
        }
        match message.role {
            Role::System | Role::Developer => builder.instructions(message, index, writer)?,
            Role::User | Role::Tool => builder.user(message, index, writer)?,
            Role::Assistant => builder.assistant(message, index, writer)?,
        }
    }
    builder.finish()
}

#[derive(Debug)]
struct Builder<'m> {
    /// Instructions within the conversation stay there.
    keeps_places: bool,
    system: Vec<Value>,
    turns: Vec<Turn>,
    /// Instructions that came between calls and their results, for which nothing may stand there.
    waiting: Vec<Turn>,
    ids: ToolIds,
    called: Vec<&'m str>,
    called_before: HashSet<&'m str>,
}

impl<'m> Builder<'m> {
    fn new(keeps_places: bool) -> Self {
        Self {
            keeps_places,
            system: Vec::new(),
            turns: Vec::new(),
            waiting: Vec::new(),
            ids: ToolIds::default(),
            called: Vec::new(),
            called_before: HashSet::new(),
        }
    }

    fn instructions(
        &mut self,
        message: &Message,
        index: usize,
        writer: &mut BlockWriter<'_, '_>,
    ) -> Result<(), EncodeError> {
        let mut blocks = Vec::with_capacity(message.parts.len());
        for (place, part) in places(message, index) {
            let written = writer.content(part, place)?;
            let is_text = matches!(part, Part::Text { .. } | Part::Native(_));
            if !is_text && written.iter().any(|block| block.get("guardContent").is_none()) {
                return Err(place.invalid("", "instructions can only be text"));
            }
            blocks.extend(written);
        }
        if self.turns.is_empty() || !self.keeps_places {
            if !self.turns.is_empty() && !blocks.is_empty() {
                writer.lost.note("system_position");
            }
            self.system.extend(blocks);
        } else if !blocks.is_empty() {
            let turn = Turn { blocks, ..Turn::new(Speaker::System) };
            if self.ids.has_open() { self.waiting.push(turn) } else { self.turns.push(turn) }
        }
        Ok(())
    }

    fn user(
        &mut self,
        message: &Message,
        index: usize,
        writer: &mut BlockWriter<'_, '_>,
    ) -> Result<(), EncodeError> {
        self.open_turn(Speaker::User)?;
        let (mut results, mut blocks) = (Vec::new(), Vec::new());
        for (place, part) in places(message, index) {
            match part {
                Part::ToolResult { call_id, .. } => {
                    let id = self.ids.result(call_id, index)?;
                    results.extend(writer.tool_result(id, part, place)?);
                }
                _ if message.role == Role::Tool => {
                    return Err(place.invalid("", "a tool message can only hold results"));
                }
                part => blocks.extend(writer.content(part, place)?),
            }
        }
        self.append(results, blocks);
        Ok(())
    }

    fn assistant(
        &mut self,
        message: &'m Message,
        index: usize,
        writer: &mut BlockWriter<'_, '_>,
    ) -> Result<(), EncodeError> {
        self.open_turn(Speaker::Assistant)?;
        let mut blocks = Vec::new();
        for (place, part) in places(message, index) {
            match part {
                Part::Text { .. } | Part::Refusal(_) | Part::Native(_) => {
                    blocks.extend(writer.content(part, place)?);
                }
                // What was said aloud goes back as the words that it was.
                Part::Audio { transcript, .. } => {
                    writer.lost.note("audio");
                    let words = Part::text(transcript.clone().unwrap_or_default());
                    blocks.extend(writer.content(&words, place)?);
                }
                Part::Reasoning { text, signature } => {
                    blocks.extend(writer.reasoning(text, signature.as_ref()));
                }
                Part::RedactedReasoning { data } => blocks.extend(writer.redacted(data)),
                Part::ToolCall { id, name, arguments, is_custom, signature } => {
                    if self.called_before.insert(name) {
                        self.called.push(name);
                    }
                    if signature.is_some() {
                        writer.lost.note("reasoning");
                    }
                    let call = Call { name, arguments, is_custom: *is_custom };
                    blocks.push(writer.tool_use(self.ids.call(id, index), call, place)?);
                }
                Part::Image { .. } | Part::File { .. } | Part::ToolResult { .. } => {
                    return Err(place.invalid("", "does not belong in an assistant message"));
                }
            }
        }
        self.append(Vec::new(), blocks);
        Ok(())
    }

    /// Makes the last turn the speaker's: goes on with it, or begins one. An assistant turn in which nothing was left
    /// to say is forgotten; a user turn stays, because without it the assistant's turn before would be continued.
    fn open_turn(&mut self, speaker: Speaker) -> Result<(), EncodeError> {
        if self.turns.last().is_some_and(|turn| turn.speaker == speaker) {
            return Ok(());
        }
        if speaker == Speaker::Assistant {
            self.ids.require_all_answered()?;
            self.turns.append(&mut self.waiting);
        }
        self.turns.pop_if(|turn| turn.speaker == Speaker::Assistant && turn.is_empty());
        if self.turns.last().is_none_or(|turn| turn.speaker != speaker) {
            self.turns.push(Turn::new(speaker));
        }
        Ok(())
    }

    /// Adds to the turn that was opened.
    fn append(&mut self, results: Vec<Value>, blocks: Vec<Value>) {
        if let Some(turn) = self.turns.last_mut() {
            turn.results.extend(results);
            turn.blocks.extend(blocks);
        }
    }

    fn finish(mut self) -> Result<Conversation, EncodeError> {
        self.ids.require_all_answered()?;
        self.turns.append(&mut self.waiting);
        self.turns.pop_if(|turn| turn.speaker == Speaker::Assistant && turn.is_empty());
        if self.turns.first().is_none_or(|turn| turn.speaker != Speaker::User) {
            self.turns.insert(0, Turn::new(Speaker::User));
        }
        if let Some(closing) = self.turns.last_mut().filter(|turn| turn.speaker == Speaker::Assistant) {
            trim_end(closing);
        }
        Ok(Conversation {
            system: self.system,
            is_loop_without_thinking: is_loop_without_thinking(&self.turns),
            messages: self.turns.into_iter().map(Turn::encode).collect(),
            called: self.called.into_iter().map(str::to_owned).collect(),
        })
    }
}

fn places(message: &Message, index: usize) -> impl Iterator<Item = (Place, &Part)> {
    let place = move |part| Place { message: index, part, nested: None };
    message.parts.iter().enumerate().map(move |(part, content)| (place(part), content))
}

/// Claude refuses a closing assistant text that ends in white space.
fn trim_end(turn: &mut Turn) {
    let last = turn.blocks.last_mut().and_then(|block| block.get_mut("text"));
    if let Some(Value::String(text)) = last {
        text.truncate(text.trim_end().len());
    }
}

/// Whether the tool loop at the end of the conversation, if there is one, began without reasoning.
fn is_loop_without_thinking(turns: &[Turn]) -> bool {
    let mut first_of_loop = None;
    let spoken: Vec<&Turn> = turns.iter().filter(|turn| turn.speaker != Speaker::System).collect();
    for pair in spoken.rchunks(2) {
        match pair {
            [asked, answered] if asked.has("toolUse") && !answered.results.is_empty() => {
                first_of_loop = Some(*asked);
            }
            _ => break,
        }
    }
    first_of_loop.is_some_and(|turn| !turn.starts_with_thinking())
}
