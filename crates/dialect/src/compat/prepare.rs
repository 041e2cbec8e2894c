//! A conversation made ready for servers that read less of OpenAI's form than OpenAI does.
//!
//! **Invariant:** right behind an assistant's message with calls stand the results of all of them and nothing else.

use crate::conversation::{ChatRequest, Issuer, Message, Part, Role, custom};
use crate::json::value::text;
use crate::wire::{EncodeError, Losses};
use std::collections::HashMap;

/// What stands where a server demands a turn that the caller has not (LiteLLM's placeholder).
const PLACEHOLDER: &str = ".";

/// What a server reads of a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Names of participants.
    pub(crate) names: bool,
    /// Anthropic's marks for its prompt cache.
    pub(crate) cache_marks: bool,
    /// Earlier thoughts.
    pub(crate) thoughts: Thoughts,
    /// Files that are no text, and sounds.
    pub(crate) media: Media,
    /// Ids of calls have nine letters and digits, nobody but the assistant speaks after a tool, and only a user or a tool
    /// has the last word (Mistral's rules).
    pub(crate) is_orderly: bool,
}

/// Which earlier thoughts go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thoughts {
    /// None.
    Nothing,
    /// Those that nobody signed.
    Unsigned,
    /// Those that Anthropic signed.
    Anthropic,
}

/// What beside text and pictures a server takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// Nothing.
    Nothing,
    /// Sounds.
    Sounds,
    /// Documents and sounds.
    Documents,
}

/// The request with a conversation that the server reads.
///
/// # Errors
/// [`EncodeError::Invalid`] names the place of what the server does not take in, and calls without a result.
pub(crate) fn prepare(
    request: &ChatRequest,
    manner: Manner,
    lost: &mut Losses,
) -> Result<ChatRequest, EncodeError> {
    let mut prepared = request.clone();
    prepared.tools = request.tools.iter().map(custom::as_function).collect();
    // Told already, by the table.
    prepared.native.clear();
    let mut messages = Vec::with_capacity(request.messages.len());
    for (index, message) in std::mem::take(&mut prepared.messages).into_iter().enumerate() {
        messages.push(Preparer { manner, lost, index }.message(message)?);
    }
    messages.retain(|message| !message.parts.is_empty());
    let mut messages = in_order(messages)?;
    if manner.is_orderly {
        messages = orderly(messages, lost);
        shorten_ids(&mut messages);
    }
    prepared.messages = messages;
    Ok(prepared)
}

fn invalid(param: String, message: &str) -> EncodeError {
    EncodeError::Invalid { param, message: message.to_owned() }
}

struct Preparer<'l> {
    manner: Manner,
    lost: &'l mut Losses,
    index: usize,
}

impl Preparer<'_> {
    fn message(&mut self, mut message: Message) -> Result<Message, EncodeError> {
        if message.role == Role::Developer {
            message.role = Role::System;
        }
        if message.name.is_some() && !self.manner.names {
            self.lost.note("name");
            message.name = None;
        }
        let place = format!("messages[{}]", self.index);
        message.parts = self.parts(message.parts, message.role, &place)?;
        Ok(message)
    }

    fn parts(&mut self, parts: Vec<Part>, role: Role, place: &str) -> Result<Vec<Part>, EncodeError> {
        let mut kept = Vec::with_capacity(parts.len());
        for (position, part) in parts.into_iter().enumerate() {
            kept.extend(self.part(part, role, &format!("{place}.content[{position}]"))?);
        }
        Ok(kept)
    }

    fn part(&mut self, part: Part, role: Role, place: &str) -> Result<Option<Part>, EncodeError> {
        let part = self.unmarked(part);
        Ok(match part {
            Part::Text { text, .. } if text.is_empty() && role == Role::Assistant => None,
            Part::Refusal(words) => Some(Part::text(words)),
            Part::Reasoning { .. } | Part::RedactedReasoning { .. } => self.thought(part),
            Part::ToolCall { id, name, arguments, is_custom, signature } => {
                if signature.is_some() {
                    self.lost.note("reasoning");
                }
                let arguments = if is_custom { custom::wrap_input(&arguments) } else { arguments };
                let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
                Some(Part::ToolCall { id, name, arguments, is_custom: false, signature: None })
            }
            Part::ToolResult { call_id, content, is_error, .. } => {
                if is_error {
                    self.lost.note("is_error");
                }
                let content = self.parts(content, Role::Tool, place)?;
                Some(Part::ToolResult { call_id, content, is_error: false, cache_control: None })
            }
            Part::File { .. } => self.file(part, place)?,
            Part::Audio { transcript, .. } if role == Role::Assistant => {
                self.lost.note("audio");
                transcript.map(Part::text)
            }
            Part::Audio { .. } if self.manner.media == Media::Nothing => {
                return Err(invalid(format!("{place}.input_audio"), "this provider's models do not listen"));
            }
            Part::Native(native) => {
                self.lost.note(text(&native.value, "type").unwrap_or("content").to_owned());
                None
            }
            other => Some(other),
        })
    }

    /// The part without a mark for the prompt cache, where the server has no word for one.
    fn unmarked(&mut self, mut part: Part) -> Part {
        if let Part::Text { cache_control, .. }
        | Part::Image { cache_control, .. }
        | Part::File { cache_control, .. }
        | Part::ToolResult { cache_control, .. } = &mut part
            && cache_control.is_some()
            && !self.manner.cache_marks
        {
            self.lost.note("cache_control");
            *cache_control = None;
        }
        part
    }

    fn thought(&mut self, part: Part) -> Option<Part> {
        let signature = match &part {
            Part::Reasoning { signature, .. } => signature.as_ref(),
            Part::RedactedReasoning { data } => Some(data),
            _ => None,
        };
        let is_kept = match (self.manner.thoughts, signature) {
            (Thoughts::Unsigned, None) => true,
            (Thoughts::Anthropic, Some(signature)) => signature.issuer == Issuer::Anthropic,
            _ => false,
        };
        if !is_kept {
            self.lost.note("reasoning");
        }
        is_kept.then_some(part)
    }

    /// A document of text is what it says.
    fn file(&mut self, part: Part, place: &str) -> Result<Option<Part>, EncodeError> {
        let Part::File { source, filename, context, citations, cache_control } = part else {
            return Ok(None);
        };
        if citations {
            self.lost.note("citations");
        }
        if let Some(words) = crate::cohere::words_of(&source) {
            let head = filename.iter().chain(&context).filter(|line| !line.is_empty()).map(String::as_str);
            let lines: Vec<&str> = head.chain([words.as_ref()]).collect();
            return Ok(Some(Part::Text { text: lines.join("\n"), cache_control, citations: Vec::new() }));
        }
        if self.manner.media == Media::Documents {
            return Ok(Some(Part::File { source, filename, context, citations: false, cache_control }));
        }
        Err(invalid(format!("{place}.file"), "this provider's models read text and pictures, not files"))
    }
}

/// Puts what came between calls and their results behind the results.
fn in_order(messages: Vec<Message>) -> Result<Vec<Message>, EncodeError> {
    let mut ordered: Vec<Message> = Vec::with_capacity(messages.len());
    let mut waiting: Vec<Message> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let unanswered = || {
        invalid(
            "messages".to_owned(),
            "each tool call must be answered by a tool message before the next turn",
        )
    };
    for message in messages {
        let calls = message.parts.iter().filter_map(|part| match part {
            Part::ToolCall { id, .. } => Some(id.clone()),
            _ => None,
        });
        match message.role {
            Role::Assistant if !open.is_empty() => return Err(unanswered()),
            Role::Assistant => {
                open = calls.collect();
                ordered.push(message);
            }
            Role::Tool => {
                for part in &message.parts {
                    if let Part::ToolResult { call_id, .. } = part
                        && let Some(position) = open.iter().position(|id| id == call_id)
                    {
                        open.remove(position);
                    }
                }
                ordered.push(message);
                if open.is_empty() {
                    ordered.append(&mut waiting);
                }
            }
            _ if open.is_empty() => ordered.push(message),
            _ => waiting.push(message),
        }
    }
    if open.is_empty() { Ok(ordered) } else { Err(unanswered()) }
}

/// Mistral's order: after a tool speaks the assistant, and the last word is not the system's.
fn orderly(messages: Vec<Message>, lost: &mut Losses) -> Vec<Message> {
    let mut ordered: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        let is_after_tool = ordered.last().is_some_and(|last| last.role == Role::Tool);
        if is_after_tool && !matches!(message.role, Role::Tool | Role::Assistant) {
            ordered.push(Message { role: Role::Assistant, parts: vec![Part::text(PLACEHOLDER)], name: None });
        }
        ordered.push(message);
    }
    if let Some(last) = ordered.last_mut().filter(|last| last.role == Role::System) {
        lost.note("system_position");
        last.role = Role::User;
    }
    ordered
}

/// Gives every call an id of nine letters and digits: its own where it has that form, else one made of it.
fn shorten_ids(messages: &mut [Message]) {
    let mut given: HashMap<String, String> = HashMap::new();
    let mut taken: Vec<String> = Vec::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        let id = match part {
            Part::ToolCall { id, .. } => id,
            Part::ToolResult { call_id, .. } => call_id,
            _ => continue,
        };
        let short = given.entry(id.clone()).or_insert_with(|| {
            let mut salt = 0;
            let mut short = short_id(id, salt);
            while taken.contains(&short) {
                salt += 1;
                short = short_id(id, salt);
            }
            taken.push(short.clone());
            short
        });
        id.clone_from(short);
    }
}

/// Nine letters and digits that stand for an id.
fn short_id(id: &str, salt: u64) -> String {
    const LENGTH: usize = 9;
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if salt == 0 && id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let mut number = crate::gemini::ident::seed_of(id.as_bytes()).wrapping_add(salt);
    let mut short = String::with_capacity(LENGTH);
    for _ in 0..LENGTH {
        let place = usize::try_from(number % LETTERS.len() as u64).unwrap_or(0);
        short.push(LETTERS.get(place).copied().map_or('0', char::from));
        number /= LETTERS.len() as u64;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::short_id;

    #[test]
    fn ids_are_kept_where_they_fit_and_made_of_themselves_elsewhere() {
        assert_eq!(short_id("abcDEF123", 0), "abcDEF123");
        for id in ["call_0fypS1hVX", "", "é", "toolu_01", "abcdefgh-"] {
            let short = short_id(id, 0);
            assert_eq!(short.len(), 9, "{id}");
            assert!(short.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{short}");
            assert_eq!(short, short_id(id, 0));
            assert_ne!(short, short_id(id, 1));
        }
        assert_ne!(short_id("call_a", 0), short_id("call_b", 0));
    }
}
