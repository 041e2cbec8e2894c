//! Whole replies and errors: read or malformed; what is read can be written for every caller; and what is written in the
//! provider's own dialect is read as the same again.

use super::wires::{self, Wire};
use serde_json::Value;
use tollgate_dialect::conversation::ChatReply;
use tollgate_dialect::failure::{MESSAGE_BYTES_MAX, ProviderError};
use tollgate_dialect::relay::{relay_reply, rename_reply, reply_usage};
use tollgate_dialect::wire::{CallerError, Losses, ReplyFault};
use tollgate_dialect::{anthropic, gemini};

/// Statuses of errors, and of an error that came in the place of an answer.
const STATUSES: [u16; 7] = [200, 400, 401, 404, 429, 500, 529];

/// A reply of this wire.
pub(crate) fn check(wire: &Wire, body: &[u8]) {
    let bytes = bytes::Bytes::copy_from_slice(body);
    let _ = relay_reply(&bytes, Some("alias"));
    let _ = (reply_usage(body), rename_reply(&bytes, &["model"], "alias"));
    let _ = (anthropic::decode_count_reply(body), gemini::decode_count(body));
    let reply = match (wire.decode_reply)(body) {
        Ok(reply) => reply,
        Err(ReplyFault::Malformed(rule)) => return assert!(!rule.is_empty()),
        Err(ReplyFault::Error(error)) => return check_provider_error(&error),
        Err(ReplyFault::Disagrees) => unreachable!("a reply has nothing to agree with"),
    };
    for caller in wires::ALL {
        let written = write(caller, &reply);
        let text = String::from_utf8_lossy(&written);
        let outcome = (caller.decode_reply)(&written);
        // Cohere has no other word for a filter than an error's.
        let is_readable = matches!(outcome, Ok(_) | Err(ReplyFault::Error(_)));
        assert!(is_readable, "{} is written what it cannot read: {outcome:?}\n{text}", caller.name);
    }
    if !wire.is_of_callers {
        return;
    }
    let once_more = |body: &[u8]| (wire.decode_reply)(body).map(|reply| write(wire, &reply));
    let Ok(second) = once_more(&write(wire, &reply)) else { return };
    let third = once_more(&second).expect("its own dialect");
    assert_eq!(String::from_utf8_lossy(&second), String::from_utf8_lossy(&third), "{}", wire.name);
}

fn write(caller: &Wire, reply: &ChatReply) -> Vec<u8> {
    let mut losses = Losses::default();
    (caller.encode_reply)(reply, &mut losses)
}

/// An error body of this wire.
pub(crate) fn check_error(wire: &Wire, body: &[u8]) {
    for status in STATUSES {
        let error = (wire.decode_error)(status, body);
        check_provider_error(&error);
        let told = CallerError {
            status,
            kind: error.kind.as_deref(),
            message: &error.message,
            param: error.param.as_deref(),
            code: error.code.as_deref(),
            request_id: None,
        };
        for caller in wires::ALL {
            let written = (caller.encode_error)(&told);
            let text = String::from_utf8_lossy(&written);
            assert!(serde_json::from_slice::<Value>(&written).is_ok(), "{}: {text}", caller.name);
            let again = (caller.decode_error)(status, &written);
            if !error.message.trim().is_empty() {
                assert_eq!(again.message.trim(), error.message.trim(), "{}: {text}", caller.name);
            }
        }
    }
}

fn check_provider_error(error: &ProviderError) {
    assert!(error.message.len() <= MESSAGE_BYTES_MAX, "{} bytes", error.message.len());
}
