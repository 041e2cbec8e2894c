//! A conversation as one prompt, for models behind interfaces that take no messages.
//!
//! **Invariant:** a conversation of one user's message is that message, letter by letter; of several, each turn is
//! told by its speaker, and the prompt ends where the assistant speaks next.

use crate::conversation::{ChatRequest, MediaSource, Message, Part, Role};
use crate::json::value::text;
use crate::wire::{EncodeError, Losses};

/// What is to be said to the model.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// Instructions of the operator, apart.
    pub(crate) instructions: Option<String>,
    /// The turns.
    pub(crate) text: String,
    /// Pictures by their addresses or as data URIs, in order.
    pub(crate) pictures: Vec<String>,
}

impl Prompt {
    /// Writes the prompt of a request.
    ///
    /// # Errors
    /// [`EncodeError::Invalid`] names the place of what is neither text nor a picture: sounds, files, calls of tools and
    /// their results.
    pub(crate) fn of(request: &ChatRequest, lost: &mut Losses) -> Result<Self, EncodeError> {
        let mut prompt = Self::default();
        let mut instructions: Vec<String> = Vec::new();
        let mut turns: Vec<(Role, String)> = Vec::new();
        for (index, message) in request.messages.iter().enumerate() {
            if message.name.is_some() {
                lost.note("name");
            }
            let words = prompt.words(message, index, lost)?;
            match message.role {
                Role::System | Role::Developer => {
                    if !turns.is_empty() {
                        lost.note("system_position");
                    }
                    instructions.push(words);
                }
                role => turns.push((role, words)),
            }
        }
        prompt.instructions = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
        prompt.text = match turns.as_slice() {
            [(Role::User, words)] => words.clone(),
            turns => written(turns),
        };
        if prompt.text.is_empty() && prompt.instructions.is_none() {
            return Err(EncodeError::Invalid {
                param: "messages".to_owned(),
                message: "at least one message with text is needed".to_owned(),
            });
        }
        Ok(prompt)
    }

    /// Instructions and turns in one text.
    pub(crate) fn with_instructions(&self) -> String {
        match &self.instructions {
            Some(instructions) => format!("{instructions}\n\n{}", self.text),
            None => self.text.clone(),
        }
    }

    fn words(&mut self, message: &Message, index: usize, lost: &mut Losses) -> Result<String, EncodeError> {
        let mut lines = Vec::with_capacity(message.parts.len());
        for (position, part) in message.parts.iter().enumerate() {
            let invalid = |what: &str| EncodeError::Invalid {
                param: format!("messages[{index}].content[{position}]"),
                message: format!("this provider's models take a prompt of text, not {what}"),
            };
            match part {
                Part::Text { text, cache_control, .. } => {
                    if cache_control.is_some() {
                        lost.note("cache_control");
                    }
                    lines.push(text.clone());
                }
                Part::Refusal(words) => lines.push(words.clone()),
                Part::Image { source: MediaSource::Url(url), .. } => self.pictures.push(url.clone()),
                Part::Image { source: MediaSource::Base64 { media_type, data }, .. } => {
                    self.pictures.push(format!("data:{media_type};base64,{data}"));
                }
                Part::File { source, filename, .. } => {
                    let words = crate::cohere::words_of(source).ok_or_else(|| invalid("files"))?;
                    lines.extend(filename.clone().filter(|name| !name.is_empty()));
                    lines.push(words.into_owned());
                }
                Part::Reasoning { .. } | Part::RedactedReasoning { .. } => lost.note("reasoning"),
                Part::Native(native) => {
                    lost.note(text(&native.value, "type").unwrap_or("content").to_owned());
                }
                Part::Audio { transcript: Some(words), .. } => lines.push(words.clone()),
                Part::Audio { .. } => return Err(invalid("sounds")),
                Part::Image { .. } => return Err(invalid("stored pictures")),
                Part::ToolCall { .. } | Part::ToolResult { .. } => return Err(invalid("calls of tools")),
            }
        }
        Ok(lines.join("\n"))
    }
}

fn written(turns: &[(Role, String)]) -> String {
    let speaker = |role: Role| if role == Role::Assistant { "Assistant" } else { "User" };
    let mut text = String::new();
    for (position, (role, words)) in turns.iter().enumerate() {
        if position > 0 {
            text.push_str("\n\n");
        }
        text.push_str(&format!("{}: {words}", speaker(*role)));
    }
    // An answer that has begun goes on; else it begins.
    if turns.last().is_some_and(|(role, _)| *role != Role::Assistant) {
        text.push_str("\n\nAssistant:");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, text: &str) -> Message {
        Message { role, parts: vec![Part::text(text)], name: None }
    }

    fn prompt(messages: Vec<Message>) -> (Prompt, Vec<String>) {
        let mut lost = Losses::default();
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let prompt = Prompt::of(&request, &mut lost).unwrap();
        (prompt, lost.names().map(str::to_owned).collect())
    }

    #[test]
    fn one_question_is_the_prompt_itself() {
        let (prompt, lost) = prompt(vec![message(Role::System, "Be kind."), message(Role::User, "Who?\n")]);
        assert_eq!((prompt.instructions.as_deref(), prompt.text.as_str()), (Some("Be kind."), "Who?\n"));
        assert_eq!(prompt.with_instructions(), "Be kind.\n\nWho?\n");
        assert!(lost.is_empty());
    }

    #[test]
    fn several_turns_are_told_by_their_speakers() {
        let turns = |last: Role| {
            prompt(vec![
                message(Role::User, "a"),
                message(Role::Assistant, "b"),
                message(Role::System, "c"),
                message(last, "d"),
            ])
        };
        let (asked, lost) = turns(Role::User);
        assert_eq!(asked.text, "User: a\n\nAssistant: b\n\nUser: d\n\nAssistant:");
        assert_eq!(lost, ["system_position"]);
        assert_eq!(turns(Role::Assistant).0.text, "User: a\n\nAssistant: b\n\nAssistant: d");
    }
}
