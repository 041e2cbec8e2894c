//! Calls of a streamed answer, put one after the other.
//!
//! Some providers let calls overlap; the blocks of Anthropic and of Converse never do. The first call goes on as it comes, a later one waits
//! until the arguments of the one before are whole, or until something else is said.
//!
//! **Invariant:** every piece of every call comes out, under its call, in its order.

use super::arguments::Follower;
use crate::conversation::{Signature, custom};
use std::collections::VecDeque;

/// Most text of waiting calls, in bytes; above it the call before counts as whole.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// What is to be written.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// A block begins, after one with the signature if there is one.
    Start { id: String, name: String, signature: Option<Signature> },
    /// A piece of its input.
    Arguments(String),
    /// It ends.
    Stop,
}

/// A call that waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// Its number within the answer.
    pub(crate) number: u64,
    /// Its id.
    pub(crate) id: String,
    /// The tool.
    pub(crate) name: String,
    /// The tool takes free text.
    pub(crate) is_custom: bool,
    /// Google's signature on it.
    pub(crate) signature: Option<Signature>,
    /// What of its arguments came while it waited.
    pub(crate) arguments: String,
}

/// The call that is being written.
#[derive(Debug)]
struct Current {
    number: u64,
    follower: Follower,
    /// The free text of a custom tool, which becomes JSON when it is whole.
    free_text: Option<String>,
}

/// The calls of one answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    current: Option<Current>,
    waiting: VecDeque<Call>,
    waiting_bytes: usize,
}

impl Calls {
    /// A call begins.
    pub(crate) fn begin(&mut self, call: Call) -> Vec<Step> {
        self.waiting.push_back(call);
        let mut steps = Vec::new();
        self.advance(&mut steps);
        steps
    }

    /// A piece of a call's arguments.
    pub(crate) fn push(&mut self, number: u64, piece: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        match &mut self.current {
            Some(current) if current.number == number => current.take(piece, &mut steps),
            _ => {
                if let Some(call) = self.waiting.iter_mut().find(|call| call.number == number) {
                    call.arguments.push_str(piece);
                    self.waiting_bytes += piece.len();
                }
            }
        }
        self.advance(&mut steps);
        steps
    }

    /// Something else comes: whatever was begun is whole.
    pub(crate) fn flush(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while self.current.is_some() || !self.waiting.is_empty() {
            self.next(&mut steps);
        }
        steps
    }

    /// Goes on to the calls that may be written now.
    fn advance(&mut self, steps: &mut Vec<Step>) {
        while !self.waiting.is_empty() {
            let is_whole = self.current.as_ref().is_none_or(|current| current.follower.is_whole());
            if !is_whole && self.waiting_bytes <= WAITING_BYTES_MAX {
                return;
            }
            self.next(steps);
        }
    }

    /// Ends the current call and begins the next, if there are any.
    fn next(&mut self, steps: &mut Vec<Step>) {
        if let Some(current) = self.current.take() {
            steps.extend(current.free_text.map(|text| Step::Arguments(custom::wrap_input(&text))));
            steps.push(Step::Stop);
        }
        let Some(call) = self.waiting.pop_front() else { return };
        self.waiting_bytes = self.waiting_bytes.saturating_sub(call.arguments.len());
        steps.push(Step::Start { id: call.id, name: call.name, signature: call.signature });
        let mut current = Current {
            number: call.number,
            follower: Follower::default(),
            free_text: call.is_custom.then(String::new),
        };
        current.take(&call.arguments, steps);
        self.current = Some(current);
    }
}

impl Current {
    fn take(&mut self, piece: &str, steps: &mut Vec<Step>) {
        match &mut self.free_text {
            Some(text) => text.push_str(piece),
            None if piece.is_empty() => {}
            None => {
                self.follower.push(piece);
                steps.push(Step::Arguments(piece.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, Calls, Step};

    fn written(steps: &[Step]) -> String {
        steps
            .iter()
            .map(|step| match step {
                Step::Start { id, .. } => format!("<{id}:"),
                Step::Arguments(piece) => piece.clone(),
                Step::Stop => ">".to_owned(),
            })
            .collect()
    }

    fn begin(calls: &mut Calls, number: u64, is_custom: bool) -> String {
        written(&calls.begin(Call { number, id: number.to_string(), is_custom, ..Call::default() }))
    }

    #[test]
    fn calls_in_a_row_go_on_as_they_come() {
        let mut calls = Calls::default();
        assert_eq!(begin(&mut calls, 0, false), "<0:");
        assert_eq!(written(&calls.push(0, "{\"a\":")), "{\"a\":");
        assert_eq!(written(&calls.push(0, "1}")), "1}");
        assert_eq!(begin(&mut calls, 1, false), "><1:");
        assert_eq!(written(&calls.flush()), ">");
        assert_eq!(written(&calls.flush()), "");
    }

    #[test]
    fn a_call_that_overlaps_waits_for_the_one_before() {
        let mut calls = Calls::default();
        begin(&mut calls, 0, false);
        assert_eq!(begin(&mut calls, 1, false), "");
        assert_eq!(written(&calls.push(1, "{\"b\":")), "");
        assert_eq!(begin(&mut calls, 2, false), "");
        assert_eq!(written(&calls.push(0, "{}")), "{}><1:{\"b\":");
        assert_eq!(written(&calls.push(2, "{\"c\":3}")), "");
        assert_eq!(written(&calls.push(1, "2}")), "2}><2:{\"c\":3}");
        assert_eq!(written(&calls.flush()), ">");
    }

    #[test]
    fn a_call_without_arguments_ends_with_the_answer() {
        let mut calls = Calls::default();
        begin(&mut calls, 0, false);
        begin(&mut calls, 1, false);
        calls.push(1, "{}");
        assert_eq!(written(&calls.flush()), "><1:{}>");
        assert_eq!(written(&calls.push(1, "late")), "");
    }

    #[test]
    fn free_text_becomes_an_object_when_it_is_whole() {
        let mut calls = Calls::default();
        begin(&mut calls, 0, true);
        assert_eq!(written(&calls.push(0, "{}")), "");
        assert_eq!(written(&calls.flush()), "{\"input\":\"{}\"}>");
    }
}
