//! One item of an answer, and how it is written.

use super::events::Events;
use crate::conversation::custom::InputReader;
use crate::json::write::{self, Object};
use serde_json::Value;

/// One item.
#[derive(Debug)]
pub(super) enum Item {
    /// What is said.
    Message { id: String, said: Vec<Said> },
    /// What is thought.
    Reasoning(Thought),
    /// What is to be done.
    Call(Call),
    /// An item in this API's own words.
    Whole(Value),
}

/// One piece of a message.
#[derive(Debug)]
pub(super) enum Said {
    Text(Speech),
    Refusal(String),
}

/// A text with its annotations.
#[derive(Debug, Default)]
pub(super) struct Speech {
    pub(super) text: String,
    /// Where it begins in all text of the answer, in characters.
    pub(super) start: u64,
    /// Its length in Unicode scalar values.
    pub(super) chars: u64,
    pub(super) annotations: Vec<Value>,
    pub(super) logprobs: Vec<Value>,
    /// The stretch of text that sources without a span belong to.
    pub(super) cited_from: u64,
    pub(super) cited_to: u64,
}

/// A block of reasoning.
#[derive(Debug, Default)]
pub(super) struct Thought {
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) encrypted: Option<String>,
}

/// A call of a function or of a custom tool.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) call_id: String,
    pub(super) name: String,
    /// Where the tool lies, at a caller who has such.
    pub(super) namespace: Option<String>,
    /// Arguments, or free text.
    pub(super) input: String,
    pub(super) is_custom: bool,
    /// Takes the free text out of the arguments of the function that stands in for the tool.
    pub(super) reader: Option<InputReader>,
    pub(super) is_done: bool,
}

impl Call {
    /// The next piece.
    pub(super) fn say(&mut self, piece: &str, position: usize, events: &mut Events<'_>) {
        if piece.is_empty() || self.is_done {
            return;
        }
        self.input.push_str(piece);
        let kind = if self.is_custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        events.write(kind, |event| {
            event.string("item_id", &self.id);
            event.integer("output_index", position as u64);
            event.string("delta", piece);
        });
    }

    /// The last piece has come.
    pub(super) fn end(&mut self, position: usize, events: &mut Events<'_>) {
        if let Some(mut reader) = self.reader.take() {
            let rest = reader.finish();
            self.say(&rest, position, events);
        }
        self.is_done = true;
        let (kind, member) = if self.is_custom {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        events.write(kind, |event| {
            event.string("item_id", &self.id);
            event.integer("output_index", position as u64);
            if !self.is_custom {
                event.string("name", &self.name);
            }
            event.string(member, &self.input);
        });
    }

    fn write(&self, status: &str, input: &str, out: &mut Object<'_>) {
        out.string("id", &self.id);
        out.string("type", if self.is_custom { "custom_tool_call" } else { "function_call" });
        out.string("status", status);
        out.string(if self.is_custom { "input" } else { "arguments" }, input);
        out.string("call_id", &self.call_id);
        out.string("name", &self.name);
        if let Some(namespace) = &self.namespace {
            out.string("namespace", namespace);
        }
    }
}

impl Said {
    /// Writes the piece as it is now.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut part = Object::open(out);
        match self {
            Self::Text(speech) => {
                part.string("type", "output_text");
                part.list("annotations", &speech.annotations, write::value);
                part.list("logprobs", &speech.logprobs, write::value);
                part.string("text", &speech.text);
            }
            Self::Refusal(text) => {
                part.string("type", "refusal");
                part.string("refusal", text);
            }
        }
        part.close();
    }
}

impl Item {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. } => id,
            Self::Reasoning(thought) => &thought.id,
            Self::Call(call) => &call.id,
            Self::Whole(item) => item.get("id").and_then(Value::as_str).unwrap_or_default(),
        }
    }

    /// Writes the item with all that it has.
    pub(super) fn write(&self, status: &str, out: &mut Vec<u8>) {
        if let Self::Whole(item) = self {
            return write::value(item, out);
        }
        let mut object = Object::open(out);
        match self {
            Self::Message { id, said } => {
                write_message(id, status, &mut object);
                object.list("content", said, Said::write);
                object.string("role", "assistant");
            }
            Self::Reasoning(thought) => thought.write(true, &mut object),
            Self::Call(call) => call.write(status, &call.input, &mut object),
            Self::Whole(_) => {}
        }
        object.close();
    }

    /// Writes the item as it stands when it begins.
    pub(super) fn write_begun(&self, out: &mut Vec<u8>) {
        if let Self::Whole(item) = self {
            return write::value(&begun(item), out);
        }
        let mut object = Object::open(out);
        match self {
            Self::Message { id, .. } => {
                write_message(id, "in_progress", &mut object);
                object.raw("content", "[]");
                object.string("role", "assistant");
            }
            Self::Reasoning(thought) => thought.write(false, &mut object),
            Self::Call(call) => call.write("in_progress", "", &mut object),
            Self::Whole(_) => {}
        }
        object.close();
    }
}

fn write_message(id: &str, status: &str, out: &mut Object<'_>) {
    out.string("id", id);
    out.string("type", "message");
    out.string("status", status);
}

/// A hosted tool's call before it has been made: without its results, where it is one that says how far it is.
fn begun(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(members) = item.as_object_mut()
        && let Some(status) = members.get_mut("status")
    {
        *status = Value::from("in_progress");
        for result in ["result", "results", "outputs", "output"] {
            if let Some(result) = members.get_mut(result) {
                *result = Value::Null;
            }
        }
    }
    item
}

impl Thought {
    fn write(&self, with_summary: bool, out: &mut Object<'_>) {
        out.string("id", &self.id);
        out.string("type", "reasoning");
        let summary = Some(&self.summary).filter(|text| with_summary && !text.is_empty());
        out.list("summary", summary, |text, out| {
            let mut part = Object::open(out);
            part.string("type", "summary_text");
            part.string("text", text);
            part.close();
        });
        if let Some(encrypted) = &self.encrypted {
            out.string("encrypted_content", encrypted);
        }
    }
}
