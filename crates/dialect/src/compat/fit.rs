//! Small changes of a body that was written in OpenAI's form.

use crate::admit::{Admission, Bounds};
use crate::json::value::{insert, text};
use crate::openai::{effort_word, nearest_effort};
use crate::wire::{EncodeError, EncodeOptions, Losses, Support, support};
use serde_json::{Map, Value};

/// Members that every body has, whatever the table of parameters says.
const FRAME: [&str; 3] = ["model", "messages", "stream"];

/// A body that is being fitted.
pub(crate) struct Body<'a> {
    /// Its members.
    pub(crate) members: &'a mut Map<String, Value>,
    /// Whether what has no equal may be left out.
    pub(crate) options: &'a EncodeOptions,
    /// What was.
    pub(crate) lost: &'a mut Losses,
}

impl Body<'_> {
    /// The messages of one role.
    pub(crate) fn messages_of(&mut self, role: &str) -> impl Iterator<Item = &mut Map<String, Value>> {
        self.messages().filter(move |message| message.get("role").and_then(Value::as_str) == Some(role))
    }

    /// All messages.
    pub(crate) fn messages(&mut self) -> impl Iterator<Item = &mut Map<String, Value>> {
        let messages = self.members.get_mut("messages").and_then(Value::as_array_mut);
        messages.into_iter().flatten().filter_map(Value::as_object_mut)
    }

    /// A number within its bounds, or nothing.
    ///
    /// # Errors
    /// [`EncodeError::Invalid`] for another, unless it may be dropped.
    pub(crate) fn bound(&mut self, param: &'static str, bounds: (f64, f64)) -> Result<(), EncodeError> {
        let value = self.members.get(param).and_then(Value::as_f64);
        let kept = Bounds { options: self.options, lost: self.lost }.within(param, value, bounds)?;
        if value.is_some() && kept.is_none() {
            self.members.shift_remove(param);
        }
        Ok(())
    }

    /// Lets go of every parameter that the table does not take and the operator did not let through.
    pub(crate) fn keep_known(&mut self, admission: Admission) {
        let options = self.options;
        self.members.retain(|name, _| {
            FRAME.contains(&name.as_str())
                || admission.native.contains(&name.as_str())
                || matches!(support(admission.capabilities, name), Support::Takes | Support::Translates)
                || options.allowed_params.iter().any(|allowed| allowed == name)
        });
    }
}

/// Gives a member another name.
pub(crate) fn rename(members: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = members.shift_remove(from) {
        insert(members, to, value);
    }
}

/// `stop` as a list of at most this many texts.
///
/// # Errors
/// [`EncodeError::Invalid`] for more, unless they may be dropped.
pub(crate) fn list_stop(body: &mut Body<'_>, most: usize) -> Result<(), EncodeError> {
    let texts: Vec<String> = match body.members.shift_remove("stop") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return Ok(()),
    };
    let kept = Bounds { options: body.options, lost: body.lost }.texts("stop", &texts, most)?;
    if !kept.is_empty() {
        insert(body.members, "stop", kept);
    }
    Ok(())
}

/// LiteLLM's `thinking` as an effort, which is what those know who do not know budgets. `none` is the word for no
/// thinking, if there is one.
pub(crate) fn effort_of_thinking(body: &mut Body<'_>, none: Option<&'static str>) {
    let Some(thinking) = body.members.shift_remove("thinking") else { return };
    let effort = match (text(&thinking, "type"), thinking.get("budget_tokens").and_then(Value::as_u64)) {
        (Some("disabled"), _) => none,
        (_, Some(tokens)) => Some(effort_word(nearest_effort(tokens))),
        // As much as the model finds fit is what it does unasked.
        _ => return,
    };
    match effort {
        Some(word) => insert(body.members, "reasoning_effort", word),
        None => body.lost.note("thinking"),
    }
}

/// A content of text parts as one text.
pub(crate) fn join_texts(message: &mut Map<String, Value>) {
    if let Some(Value::Array(parts)) = message.get("content") {
        let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
        let joined = texts.collect::<Vec<_>>().join("\n");
        insert(message, "content", joined);
    }
}

/// Lets go of members without a value.
pub(crate) fn remove_nulls(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
}
