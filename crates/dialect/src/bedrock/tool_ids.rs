//! Pairs tool calls with their results and gives both the id that the wire takes.
//!
//! **Invariant:** the ids given out are unique in the request, match `[a-zA-Z0-9_.:-]{1,64}` (`ToolUseId` of the service
//! model), are the same for the same request, and are the caller's own wherever those already fit.

use crate::wire::EncodeError;
use std::collections::{HashMap, HashSet, VecDeque};

/// Longest id, in characters.
const ID_CHARS_MAX: usize = 64;

/// The ids of one request.
#[derive(Debug, Default)]
pub(super) struct ToolIds {
    used: HashSet<String>,
    /// Grows with each try, so that a request full of equal ids stays linear.
    next_suffix: u64,
    /// Calls of the present assistant turn that no result has answered, by the caller's id: their message, and the id
    /// that was sent.
    open: HashMap<String, VecDeque<(usize, String)>>,
}

impl ToolIds {
    /// A call of the assistant turn now being written; gives the id to send.
    pub(super) fn call(&mut self, caller_id: &str, message: usize) -> String {
        let id = self.unique(&sanitised(caller_id));
        self.open.entry(caller_id.to_owned()).or_default().push_back((message, id.clone()));
        id
    }

    /// A result; gives the id of the call that it answers.
    pub(super) fn result(&mut self, caller_id: &str, message: usize) -> Result<String, EncodeError> {
        let answered = self.open.get_mut(caller_id).and_then(VecDeque::pop_front);
        answered.map(|(_, id)| id).ok_or_else(|| EncodeError::Invalid {
            param: format!("messages[{message}].tool_call_id"),
            message: "answers no tool call of the assistant turn before it".to_owned(),
        })
    }

    /// Calls wait for their results.
    pub(super) fn has_open(&self) -> bool {
        self.open.values().any(|calls| !calls.is_empty())
    }

    /// The turn of results is over: every call must have its answer.
    pub(super) fn require_all_answered(&mut self) -> Result<(), EncodeError> {
        let unanswered = self.open.values().flatten().map(|(message, _)| *message).min();
        self.open.clear();
        unanswered.map_or(Ok(()), |message| {
            Err(EncodeError::Invalid {
                param: format!("messages[{message}].tool_calls"),
                message: "each tool call must be answered by a tool message before the next turn".to_owned(),
            })
        })
    }

    fn unique(&mut self, base: &str) -> String {
        let mut id = base.to_owned();
        while !self.used.insert(id.clone()) {
            self.next_suffix += 1;
            let suffix = format!("_{}", self.next_suffix);
            let room = ID_CHARS_MAX.saturating_sub(suffix.len());
            id = format!("{}{suffix}", base.get(..room.min(base.len())).unwrap_or(base));
        }
        id
    }
}

/// Every character that the wire does not take becomes `_`; what is too long is cut.
fn sanitised(id: &str) -> String {
    if id.is_empty() {
        return "call".to_owned();
    }
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | ':');
    id.chars()
        .take(ID_CHARS_MAX)
        .map(|character| if is_allowed(character) { character } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_fit_are_kept_and_others_are_made_to_fit() {
        let mut ids = ToolIds::default();
        let mut check = |caller: &str, expect: &str| assert_eq!(ids.call(caller, 0), expect, "{caller}");
        check("tooluse_01-A", "tooluse_01-A");
        check("call.1:2", "call.1:2");
        check("call/1", "call_1");
        check("", "call");
        check("é", "_");
        check("tooluse_01-A", "tooluse_01-A_1");
        let long = "x".repeat(70);
        check(&long, &"x".repeat(64));
        check(&long, &format!("{}_2", "x".repeat(62)));
    }

    #[test]
    fn equal_ids_are_answered_in_their_order() {
        let mut ids = ToolIds::default();
        assert_eq!((ids.call("c", 1), ids.call("c", 1)), ("c".to_owned(), "c_1".to_owned()));
        assert_eq!(ids.result("c", 2).unwrap(), "c");
        assert!(ids.has_open());
        assert_eq!(ids.result("c", 3).unwrap(), "c_1");
        assert!(ids.result("c", 4).is_err());
        ids.require_all_answered().unwrap();
        ids.call("a", 5);
        assert!(ids.require_all_answered().unwrap_err().to_string().starts_with("messages[5].tool_calls"));
    }
}
