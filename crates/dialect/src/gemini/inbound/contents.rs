//! A caller's `contents`: who speaks, which call a result answers, and which pieces belong together.
//!
//! Leaves parts to `part`. Clients that stream keep each chunk as a content of its own, and clients may drop ids and
//! thoughts. **Invariant:** every call has an id, the same whenever the same history is read; a result has the id of
//! the call that it answers. **Invariant:** a message of results holds nothing else.

use super::members;
use super::part::{self, Call, Outcome, Read};
use crate::conversation::{Message, Part, Role};
use crate::gemini::ident::{call_id, seed_of};
use crate::gemini::own::{Asides, CALLS, RESULTS};
use crate::gemini::seal::Seal;
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Value, json};

/// Google's roles; `function` is what its first package called the one who gives results.
const ROLES: [&str; 3] = ["user", "model", "function"];

/// Reads `contents`.
pub(super) fn read(value: Value, at: &Place<'_>, asides: &mut Asides) -> Result<Vec<Message>, RequestError> {
    let contents = match value {
        Value::String(text) => vec![json!({ "parts": [{ "text": text }] })],
        other => members::one_or_many(other),
    };
    let mut turns = Turns { messages: Vec::new(), calls: Vec::new(), asides, follows_model: false };
    for (index, content) in contents.into_iter().enumerate() {
        turns.read_content(content, index, &at.item(index))?;
    }
    if turns.messages.is_empty() {
        return Err(at.error("must have at least one content with a part"));
    }
    Ok(turns.messages)
}

/// Reads parts that have to be texts, as instructions are; Google's own kinds pass.
pub(super) fn read_text_parts(
    value: Value,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Vec<Part>, RequestError> {
    let mut parts = Vec::new();
    for (index, item) in members::one_or_many(value).into_iter().enumerate() {
        let at = &at.item(index);
        let item = match item {
            Value::String(text) => json!({ "text": text }),
            other => other,
        };
        for read in part::read(item, at, asides)? {
            match read {
                Read::Part(part @ (Part::Text { .. } | Part::Native(_))) => parts.push(part),
                _ => return Err(at.error("must be text in instructions")),
            }
        }
    }
    Ok(parts)
}

/// A call that was met.
struct Met {
    id: String,
    name: String,
    /// The caller gave no id.
    is_made: bool,
    is_answered: bool,
}

struct Turns<'a> {
    messages: Vec<Message>,
    calls: Vec<Met>,
    asides: &'a mut Asides,
    /// The content before this one was the model's.
    follows_model: bool,
}

impl Turns<'_> {
    fn read_content(&mut self, value: Value, index: usize, at: &Place<'_>) -> Result<(), RequestError> {
        let mut content = members::read(value, at)?;
        let role = read::take_string(&mut content, "role", at)?.unwrap_or_default().to_ascii_lowercase();
        let place = at.member("parts");
        let parts = match read::take(&mut content, "parts") {
            None => Vec::new(),
            Some(Value::String(text)) => vec![json!({ "text": text })],
            Some(parts) => members::one_or_many(parts),
        };
        let mut said = Vec::with_capacity(parts.len());
        for (number, part) in parts.into_iter().enumerate() {
            let place = place.item(number);
            for read in part::read(part, &place, self.asides)? {
                said.push((number, read));
            }
        }
        match role.as_str() {
            // A content without a role is the user's.
            "" | "user" | "function" => self.push_user(said, &place)?,
            "model" => self.push_model(said, index, &place)?,
            other => return Err(at.member("role").unknown_word(other, &ROLES)),
        }
        self.follows_model = role == "model";
        Ok(())
    }

    fn push_user(&mut self, said: Vec<(usize, Read)>, at: &Place<'_>) -> Result<(), RequestError> {
        let mut is_first = true;
        for (number, read) in said {
            let (role, part, name) = match read {
                Read::Part(part) => (Role::User, part, None),
                // Only what the model said is signed.
                Read::Signature(_) => continue,
                Read::Result(outcome) => {
                    let (part, name) = self.result(outcome);
                    (Role::Tool, part, name)
                }
                Read::Call(_) => {
                    return Err(at.item(number).member("functionCall").error("is the model's to say"));
                }
            };
            let last =
                self.messages.last_mut().filter(|last| !is_first && last.role == role && last.name == name);
            match last {
                Some(last) => last.parts.push(part),
                None => self.messages.push(Message { role, parts: vec![part], name }),
            }
            is_first = false;
        }
        Ok(())
    }

    /// The result of a call; the function's name where no call is known that it answers.
    fn result(&mut self, outcome: Outcome) -> (Part, Option<String>) {
        let (id, is_orphan) = self.answered(&outcome);
        let text = outcome.text();
        self.asides.keep(RESULTS, &id, outcome.rest);
        let mut content = if text.is_empty() { Vec::new() } else { vec![Part::text(text)] };
        content.extend(outcome.media);
        let part = Part::ToolResult { call_id: id, content, is_error: outcome.is_error, cache_control: None };
        (part, is_orphan.then_some(outcome.name))
    }

    /// The id of the call that a result answers: the one that it names, else that of the first call of its function that
    /// has no answer yet, and whether there is none.
    fn answered(&mut self, outcome: &Outcome) -> (String, bool) {
        let given = outcome.id.as_deref();
        let by_id = given.and_then(|id| self.calls.iter().rposition(|call| call.id == id));
        let place = by_id.or_else(|| {
            self.calls.iter().position(|call| {
                // A call with an id of the caller's is answered by that id, if by any.
                !call.is_answered && call.name == outcome.name && (call.is_made || given.is_none())
            })
        });
        match place.and_then(|place| self.calls.get_mut(place)) {
            Some(call) => {
                call.is_answered = true;
                (call.id.clone(), false)
            }
            None => {
                let made = || call_id(seed_of(outcome.name.as_bytes()), u64::MAX, self.messages.len() as u64);
                (given.map_or_else(made, str::to_owned), true)
            }
        }
    }

    fn push_model(
        &mut self,
        said: Vec<(usize, Read)>,
        index: usize,
        at: &Place<'_>,
    ) -> Result<(), RequestError> {
        let mut parts = match self.messages.pop_if(|last| self.follows_model && last.role == Role::Assistant)
        {
            Some(last) => last.parts,
            None => Vec::new(),
        };
        let mut is_first = !parts.is_empty();
        for (number, read) in said {
            match read {
                Read::Part(part) => push_said(part, is_first, &mut parts),
                Read::Signature(signature) => {
                    parts.push(Part::Reasoning { text: String::new(), signature: Some(signature) });
                }
                Read::Call(call) => self.push_call(call, (index, number), &mut parts),
                Read::Result(_) => {
                    return Err(at.item(number).member("functionResponse").error("is the user's to say"));
                }
            }
            is_first = false;
        }
        if !parts.is_empty() {
            self.messages.push(Message { role: Role::Assistant, parts, name: None });
        }
        Ok(())
    }

    fn push_call(&mut self, call: Call, place: (usize, usize), parts: &mut Vec<Part>) {
        let is_made = call.id.is_none();
        let id =
            call.id.unwrap_or_else(|| call_id(seed_of(call.name.as_bytes()), place.0 as u64, place.1 as u64));
        self.asides.keep(CALLS, &id, call.rest);
        let signature = match call.seal {
            Some(Seal::Signature(signature)) => Some(signature),
            Some(Seal::Thoughts(thoughts)) => {
                restore_thoughts(thoughts, parts);
                None
            }
            Some(Seal::Redacted(_)) | None => None,
        };
        self.calls.push(Met { id: id.clone(), name: call.name.clone(), is_made, is_answered: false });
        parts.push(Part::ToolCall {
            id,
            name: call.name,
            arguments: call.arguments,
            is_custom: false,
            signature,
        });
    }
}

/// Adds what the model said. Pieces of one thought are one, and so is a text that goes on from the content before.
fn push_said(part: Part, continues: bool, parts: &mut Vec<Part>) {
    match (part, parts.last_mut()) {
        (Part::Text { text, citations, .. }, Some(Part::Text { text: before, citations: cited, .. }))
            if continues =>
        {
            before.push_str(&text);
            cited.extend(citations);
        }
        // An empty part at the end of a stream says nothing.
        (Part::Text { text, .. }, Some(_)) if text.is_empty() && continues => {}
        (
            Part::Reasoning { text, signature },
            Some(Part::Reasoning { text: before, signature: none @ None }),
        ) => {
            before.push_str(&text);
            *none = signature;
        }
        (part, _) => parts.push(part),
    }
}

/// Puts thoughts that a call brought back before it, unless the client sent them itself: after the call before this one,
/// where the model had them.
fn restore_thoughts(thoughts: Vec<Part>, parts: &mut Vec<Part>) {
    let is_call = |part: &Part| matches!(part, Part::ToolCall { .. });
    let mut place = parts.iter().rposition(is_call).map_or(0, |call| call + 1);
    for thought in thoughts {
        let is_there = parts.iter().any(|part| match (part, &thought) {
            (
                Part::Reasoning { signature: Some(own), .. },
                Part::Reasoning { signature: Some(brought), .. },
            ) => own == brought,
            (part, thought) => part == thought,
        });
        if !is_there {
            parts.insert(place, thought);
            place += 1;
        }
    }
}
