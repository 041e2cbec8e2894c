//! What can go wrong at a provider, as data.
//!
//! Owns: [`Fault`] and its parts. Leaves to others: carrying one out (`delivery`), its spelling in a model name
//! (`names`).
//!
//! **Invariant:** counts of events are counts of events that carry content (one token each). The frames that a wire
//! sends before its first content (OpenAI's role chunk, Anthropic's `message_start`) are sent and not counted, so the
//! same fault cuts every wire after the same number of tokens. On a reply that is no stream, "after k events" is half
//! way through the body.

use std::time::Duration;

/// Something that goes wrong with a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// An error reply in the provider's own shape.
    Status(StatusFault),
    /// A web page in place of the reply, as a proxy before the provider would send it.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// No body.
    Empty {
        /// The HTTP status.
        status: u16,
    },
    /// The right body under `content-type: text/html`.
    WrongContentType,
    /// The first half of the body, with a content length that fits it. On a stream, the last event is cut in half.
    TruncatedJson,
    /// Bytes in the body that are no UTF-8.
    BadUtf8,
    /// An event whose data is no JSON, then the rest of the stream. A plain reply is cut in half.
    MalformedEvent {
        /// Content events before it.
        after: usize,
    },
    /// The provider's error event inside a stream that began well, and its end. A plain reply stays good.
    ErrorEvent {
        /// Content events before it.
        after: usize,
        /// The status that the error stands for.
        code: u16,
    },
    /// A 200 whose body is the provider's error object.
    ErrorInOk,
    /// A response that fails after it began: of the Responses API a 200 with the status `failed` or a stream that ends
    /// with `response.failed`; of any other stream as `ErrorEvent` of a 500.
    Failed {
        /// Content events before it.
        after: usize,
    },
    /// The connection is reset (RST).
    Reset(ResetPoint),
    /// The connection ends early without a reset.
    Cut {
        /// Content events before it.
        after: usize,
        /// How the end looks on the wire.
        ending: CutEnding,
    },
    /// A WebSocket is closed with this code; on other replies nothing.
    Close {
        /// Content events before it.
        after: usize,
        /// The close code (RFC 6455, section 7.4).
        code: u16,
    },
    /// Silence on an open connection.
    Stall {
        /// Content events before it.
        after: usize,
    },
    /// No byte of a reply, ever.
    Hang,
    /// The connection is reset at once: no latency, no check of the request.
    Refuse,
    /// The head at once, the first content this much later.
    SlowFirstEvent(Duration),
    /// What the reply says of tokens is wrong.
    Usage(UsageFault),
    /// A stream without its end mark (`[DONE]`, `message_stop`, Gemini's `finishReason`), the transfer itself complete.
    NoDone,
    /// The body is gzip, whether or not the request accepts that.
    Gzip,
    /// A small gzip body that unpacks to very much.
    GzipBomb {
        /// Size when unpacked, in bytes; rounded up to whole MiB.
        bytes: u64,
    },
    /// Headers that never end.
    EndlessHeaders,
    /// A body that never ends.
    EndlessBody,
    /// One header of this size before the good reply.
    HugeHeaders {
        /// Size of the header's value in bytes.
        bytes: usize,
    },
    /// A redirect.
    Redirect {
        /// The HTTP status, 301 to 308.
        status: u16,
        /// The `location`.
        location: String,
    },
    /// A content length that is off by this much (positive: more is promised than comes). The connection closes after.
    ContentLengthLies {
        /// Promised minus sent, in bytes.
        by: i64,
    },
    /// The right reply, every byte of the body in a chunk and a write of its own.
    OneByteChunks,
}

/// An error reply in the provider's own shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusFault {
    /// The HTTP status.
    pub code: u16,
    /// The value of `retry-after`, sent as it is.
    pub retry_after: Option<String>,
    /// The message in place of the provider's usual one; `{key}` in it stands for the credential that came.
    pub message: Option<String>,
    /// What kind of error, where one status has several.
    pub reason: Reason,
}

/// What kind of error, where one status has several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reason {
    /// The usual one for the status.
    #[default]
    Usual,
    /// The prompt does not fit the context window (400).
    ContextWindow,
    /// The provider's policy refuses the prompt (400).
    ContentPolicy,
    /// The account has no money left (429 at OpenAI, 400 at Anthropic).
    Quota,
}

/// Where a connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetPoint {
    /// After the request, before any byte of the reply.
    BeforeHead,
    /// After the head.
    AfterHead,
    /// After this many content events.
    AfterEvents(usize),
}

/// How an early end looks on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutEnding {
    /// The transfer is complete (final chunk), the stream in it is not.
    Terminated,
    /// The connection closes in the middle of a chunked transfer.
    Unterminated,
    /// The reply has neither length nor chunks and ends where the connection closes.
    CloseDelimited,
}

/// What is wrong with the token counts of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageFault {
    /// There are none.
    Missing,
    /// A stream has them twice, the first time with smaller numbers; the last ones are right.
    Twice,
    /// All are zero.
    Zero,
    /// All are below zero.
    Negative,
    /// All are `u64::MAX`.
    Huge,
}

impl Fault {
    /// An error reply of this status in the provider's shape.
    #[must_use]
    pub fn status(code: u16) -> Fault {
        Fault::Status(StatusFault { code, ..StatusFault::default() })
    }

    /// An error reply of this status with this `retry-after`.
    #[must_use]
    pub fn status_retry_after(code: u16, retry_after: impl Into<String>) -> Fault {
        Fault::Status(StatusFault { code, retry_after: Some(retry_after.into()), ..StatusFault::default() })
    }

    /// A refusal of this kind with the status that the provider uses for it.
    #[must_use]
    pub fn refusal(reason: Reason) -> Fault {
        let code = if reason == Reason::Quota { 429 } else { 400 };
        Fault::Status(StatusFault { code, reason, ..StatusFault::default() })
    }

    /// A cut in the middle of a chunked transfer after this many content events.
    #[must_use]
    pub fn cut(after: usize) -> Fault {
        Fault::Cut { after, ending: CutEnding::Unterminated }
    }
}
