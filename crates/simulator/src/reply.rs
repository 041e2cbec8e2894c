//! A reply before it is sent: head and body, or head and events.
//!
//! Owns: [`Reply`] and [`Event`], and what is wrong with token counts on demand. Leaves to others: the shapes (each
//! surface's own module), faults of transport (`delivery`).
//!
//! **Invariant:** an event is one whole frame of its wire, and one that is `Content` carries one token.

use crate::behaviour::Finish;
use crate::compose::{Composed, Ids};
use crate::fault::{Fault, UsageFault};
use bytes::Bytes;
use serde_json::{Number, Value};

/// `application/json`
pub(crate) const JSON: &str = "application/json";
/// The type of a stream of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// A reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Beside the content type, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Content,
}

/// A reply's body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Whole(Bytes),
    Events(Vec<Event>),
}

/// One frame of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) bytes: Bytes,
    pub(crate) role: Role,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Before the first content of a part of the answer.
    Opening,
    /// One token.
    Content,
    /// After the content: the reason to stop, token counts.
    Closing,
    /// The mark that nothing follows.
    End,
}

impl Reply {
    /// A 200 with a JSON body.
    pub(crate) fn json(body: &Value) -> Reply {
        Reply {
            status: 200,
            content_type: JSON,
            headers: Vec::new(),
            content: Content::Whole(body.to_string().into()),
        }
    }

    /// A 200 with a stream of server-sent events.
    pub(crate) fn events(events: Vec<Event>) -> Reply {
        Reply {
            status: 200,
            content_type: EVENT_STREAM,
            headers: vec![("cache-control".to_owned(), "no-cache".to_owned())],
            content: Content::Events(events),
        }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Event {
    /// A frame with data alone, as OpenAI writes it.
    pub(crate) fn data(role: Role, data: &Value) -> Event {
        Event { bytes: format!("data: {data}\n\n").into(), role }
    }

    /// A frame with a name and data, as Anthropic writes it.
    pub(crate) fn named(role: Role, name: &str, data: &Value) -> Event {
        Event { bytes: format!("event: {name}\ndata: {data}\n\n").into(), role }
    }
}

/// What the making of a reply needs beside the answer.
#[derive(Debug)]
pub(crate) struct Making<'a> {
    pub(crate) composed: &'a Composed,
    pub(crate) ids: &'a mut Ids,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) usage_fault: Option<UsageFault>,
}

impl Making<'_> {
    /// The token counts as they are to be reported; `None`: not at all.
    pub(crate) fn usage(&self, usage: Value) -> Option<Value> {
        match self.usage_fault {
            None | Some(UsageFault::Twice) => Some(usage),
            Some(UsageFault::Missing) => None,
            Some(UsageFault::Zero) => Some(replace_numbers(usage, &|_| Number::from(0))),
            Some(UsageFault::Negative) => {
                Some(replace_numbers(usage, &|count| Number::from(-1 - count.as_i64().unwrap_or(0))))
            }
            Some(UsageFault::Huge) => Some(replace_numbers(usage, &|_| Number::from(u64::MAX))),
        }
    }

    /// The smaller counts that come before the right ones, when they are to come twice.
    pub(crate) fn first_usage(&self, usage: &Value) -> Option<Value> {
        let twice = self.usage_fault == Some(UsageFault::Twice);
        let half = |count: &Number| Number::from(count.as_u64().unwrap_or(0) / 2);
        twice.then(|| replace_numbers(usage.clone(), &half))
    }

    /// Why the answer ended.
    pub(crate) fn finish(&self) -> Finish {
        self.composed.finish()
    }
}

impl<'a> Making<'a> {
    /// The word for why the answer ended: the behaviour's own, or the usual one.
    pub(crate) fn word(&self, usual: &'a str) -> &'a str {
        self.composed.extras.stop_word.as_deref().unwrap_or(usual)
    }
}

fn replace_numbers(value: Value, with: &impl Fn(&Number) -> Number) -> Value {
    match value {
        Value::Number(number) => Value::Number(with(&number)),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, value)| (key, replace_numbers(value, with))).collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| replace_numbers(item, with)).collect())
        }
        other => other,
    }
}

/// The fault of a behaviour that concerns token counts.
pub(crate) fn usage_fault(fault: Option<&Fault>) -> Option<UsageFault> {
    match fault {
        Some(Fault::Usage(fault)) => Some(*fault),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(fault: Option<UsageFault>, expect: Option<Value>) {
        let composed = Composed::default();
        let mut ids = Ids::new(0);
        let making = Making { composed: &composed, ids: &mut ids, created: 0, usage_fault: fault };
        assert_eq!(making.usage(json!({"a": 5, "b": {"c": 0}})), expect, "{fault:?}");
    }

    #[test]
    fn token_counts_go_wrong_on_demand() {
        check(None, Some(json!({"a": 5, "b": {"c": 0}})));
        check(Some(UsageFault::Twice), Some(json!({"a": 5, "b": {"c": 0}})));
        check(Some(UsageFault::Missing), None);
        check(Some(UsageFault::Zero), Some(json!({"a": 0, "b": {"c": 0}})));
        check(Some(UsageFault::Negative), Some(json!({"a": -6, "b": {"c": -1}})));
        check(Some(UsageFault::Huge), Some(json!({"a": u64::MAX, "b": {"c": u64::MAX}})));
    }
}
