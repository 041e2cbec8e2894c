//! Pairs tool calls with their results and gives both the id that the wire takes.
//!
//! **Invariant:** the ids given out are unique in the request, match `^[a-zA-Z0-9_-]+$`, are the same for the same
//! request, and are the caller's own wherever those already fit.

use crate::wire::EncodeError;
use std::collections::{HashMap, HashSet, VecDeque};

/// The ids of one request.
#[derive(Debug, Default)]
pub(super) struct ToolIds {
    used: HashSet<String>,
    /// Grows with each try, so that a request full of equal ids stays linear.
    next_suffix: u64,
    /// Calls of the present assistant turn that no result has answered, by the caller's id.
    open: HashMap<String, VecDeque<OpenCall>>,
}

#[derive(Debug)]
struct OpenCall {
    message: usize,
    id: String,
}

impl ToolIds {
    /// A call of the assistant turn now being written; gives the id to send.
    pub(super) fn call(&mut self, caller_id: &str, message: usize) -> String {
        let id = self.unique(&sanitised(caller_id));
        self.open.entry(caller_id.to_owned()).or_default().push_back(OpenCall { message, id: id.clone() });
        id
    }

    /// A result; gives the id of the call that it answers.
    pub(super) fn result(&mut self, caller_id: &str, message: usize) -> Result<String, EncodeError> {
        let answered = self.open.get_mut(caller_id).and_then(VecDeque::pop_front);
        answered.map(|call| call.id).ok_or_else(|| EncodeError::Invalid {
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
        let unanswered = self.open.values().flatten().map(|call| call.message).min();
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
            id = format!("{base}_{}", self.next_suffix);
        }
        id
    }
}

/// Every character that the wire does not take becomes `_`.
fn sanitised(id: &str) -> String {
    if id.is_empty() {
        return "call".to_owned();
    }
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    id.chars().map(|character| if is_allowed(character) { character } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::ToolIds;

    #[test]
    fn ids_that_fit_are_kept_and_others_are_made_to_fit() {
        let mut ids = ToolIds::default();
        let mut check = |caller: &str, expect: &str| assert_eq!(ids.call(caller, 0), expect, "{caller}");
        check("toolu_01-A", "toolu_01-A");
        check("call.1", "call_1");
        check("call:1", "call_1_1");
        check("", "call");
        check("é", "_");
        check("toolu_01-A", "toolu_01-A_2");
    }

    #[test]
    fn equal_ids_are_answered_in_their_order() {
        let mut ids = ToolIds::default();
        assert_eq!((ids.call("c", 1), ids.call("c", 1)), ("c".to_owned(), "c_1".to_owned()));
        assert_eq!(ids.result("c", 2).unwrap(), "c");
        assert_eq!(ids.result("c", 3).unwrap(), "c_1");
        assert!(ids.result("c", 4).is_err());
        ids.require_all_answered().unwrap();
    }

    #[test]
    fn a_call_without_an_answer_names_its_message() {
        let mut ids = ToolIds::default();
        ids.call("a", 3);
        ids.call("b", 5);
        ids.result("a", 6).unwrap();
        assert!(ids.require_all_answered().unwrap_err().to_string().starts_with("messages[5].tool_calls"));
        ids.require_all_answered().unwrap();
    }

    #[test]
    fn many_equal_ids_stay_distinct() {
        let mut ids = ToolIds::default();
        let given: std::collections::HashSet<String> = (0..5_000).map(|_| ids.call("x", 0)).collect();
        assert_eq!(given.len(), 5_000);
    }
}
