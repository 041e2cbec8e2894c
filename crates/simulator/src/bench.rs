//! The fast mode: canned replies at the least cost, so that a benchmark measures what stands before it.
//!
//! Owns: [`Bench`], the canned replies and their serving. Leaves to others: the shapes, which are those of the good
//! replies.
//!
//! **Invariant:** a request is neither parsed nor recorded. Whether a stream is wanted is read off the first and last
//! bytes of the body, off the path at Gemini, or said in advance.

use crate::ask::{Ask, TOKEN_CHARS};
use crate::behaviour::{Answer, Behaviour};
use crate::compose::{Ids, compose};
use crate::openai::{embedding, reply::Wanted};
use crate::reply::{Content, EVENT_STREAM, JSON, Making, Reply, Role};
use crate::{anthropic, gemini, openai};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use memchr::memmem;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How far from either end of a piece of the body the wish for a stream is looked for.
const LOOK: usize = 2_048;

/// What the canned replies are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bench {
    /// Tokens of the answer, plain or streamed.
    pub tokens: u64,
    /// Tokens of the prompt that the reply reports.
    pub prompt_tokens: u64,
    /// Time to the first byte.
    pub latency: Duration,
    /// Pause before each token of a stream.
    pub pace: Duration,
    /// Without a pace: every event goes out in a write of its own.
    pub separate_writes: bool,
    /// Streams (or not) whatever the request says. `None`: as it says within the first and last 2 KiB of each piece
    /// of its body.
    pub stream: Option<bool>,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            tokens: 8,
            prompt_tokens: 16,
            latency: Duration::ZERO,
            pace: Duration::ZERO,
            separate_writes: false,
            stream: None,
        }
    }
}

/// The replies of one surface.
#[derive(Debug)]
pub(crate) struct Pair {
    plain: Bytes,
    stream: Vec<CannedEvent>,
}

#[derive(Debug, Clone)]
struct CannedEvent {
    bytes: Bytes,
    is_content: bool,
}

/// All canned replies.
#[derive(Debug)]
pub(crate) struct Canned {
    bench: Bench,
    chat: Arc<Pair>,
    messages: Arc<Pair>,
    generate: Arc<Pair>,
    embedding: Bytes,
}

impl Canned {
    pub(crate) fn new(bench: &Bench) -> Canned {
        let behaviour = Behaviour::new().answer(Answer::Tokens(bench.tokens));
        let ask = Ask {
            model: "bench".to_owned(),
            prompt_tokens: bench.prompt_tokens,
            choices: 1,
            stream: true,
            include_usage: true,
            ..Ask::default()
        };
        let composed = compose(&ask, &behaviour);
        let mut ids = Ids::new(0);
        let mut making =
            Making { composed: &composed, ids: &mut ids, created: 1_700_000_000, usage_fault: None };
        let wanted = Wanted::new(&ask, &Value::Null);
        let chat = openai::reply::chat(wanted, &mut making);
        let chat = pair(&chat, Reply::events(openai::reply::chat_events(wanted, &mut making)));
        let message = anthropic::reply::message("bench", &mut making);
        let messages = pair(&message, Reply::events(anthropic::reply::events("bench", &mut making)));
        let content = gemini::reply::content(&ask, &mut making);
        let chunks = gemini::reply::chunks(&ask, &mut making);
        let events = gemini::reply::framed(&chunks, gemini::reply::Framing::Events);
        let generate = pair(&content, Reply::events(events));
        let chars =
            usize::try_from(bench.prompt_tokens).unwrap_or(1).saturating_mul(TOKEN_CHARS).min(1 << 20);
        let embedding = embedding::reply(&json!({"input": "x".repeat(chars), "dimensions": 64}), "bench");
        Canned { bench: bench.clone(), chat, messages, generate, embedding: embedding.to_string().into() }
    }
}

fn pair(plain: &Value, stream: Reply) -> Arc<Pair> {
    let events = match stream.content {
        Content::Events(events) => events,
        Content::Whole(_) => Vec::new(),
    };
    let stream = events
        .into_iter()
        .map(|event| CannedEvent { bytes: event.bytes, is_content: event.role == Role::Content });
    Arc::new(Pair { plain: plain.to_string().into(), stream: stream.collect() })
}

/// Serves one request.
pub(crate) async fn serve(
    canned: Arc<Canned>,
    request: Request<Incoming>,
) -> Result<Response<CannedBody>, hyper::Error> {
    let path = request.uri().path();
    let (pair, by_path) = if path.ends_with("/embeddings") {
        (None, Some(false))
    } else if path.ends_with("/messages") {
        (Some(Arc::clone(&canned.messages)), None)
    } else if path.contains(":streamGenerateContent") {
        (Some(Arc::clone(&canned.generate)), Some(true))
    } else if path.contains(":generateContent") {
        (Some(Arc::clone(&canned.generate)), Some(false))
    } else {
        (Some(Arc::clone(&canned.chat)), None)
    };
    let said = drain(request.into_body()).await?;
    let stream = canned.bench.stream.or(by_path).unwrap_or(said);
    if !canned.bench.latency.is_zero() {
        tokio::time::sleep(canned.bench.latency).await;
    }
    let body = match pair {
        None => CannedBody::Whole(Some(canned.embedding.clone())),
        Some(pair) if !stream => CannedBody::Whole(Some(pair.plain.clone())),
        Some(pair) => CannedBody::stream(pair, &canned.bench),
    };
    let content_type = if matches!(body, CannedBody::Whole(_)) { JSON } else { EVENT_STREAM };
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Reads the body to its end and says whether it wishes for a stream.
async fn drain(body: Incoming) -> Result<bool, hyper::Error> {
    let mut body = std::pin::pin!(body);
    let mut found = false;
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Some(data) = frame?.data_ref() {
            found |= wishes_stream(data);
        }
    }
    Ok(found)
}

fn wishes_stream(data: &[u8]) -> bool {
    let said = |piece: &[u8]| {
        memmem::find(piece, b"\"stream\":true").is_some()
            || memmem::find(piece, b"\"stream\": true").is_some()
    };
    let (head, rest) = data.split_at(data.len().min(LOOK));
    let (_, tail) = rest.split_at(rest.len().saturating_sub(LOOK));
    said(head) || said(tail)
}

/// A canned body.
#[derive(Debug)]
pub(crate) enum CannedBody {
    Whole(Option<Bytes>),
    Stream {
        pair: Arc<Pair>,
        next: usize,
        pace: Duration,
        waits: Option<Pin<Box<Sleep>>>,
        /// After each event, yield once, so that hyper flushes it.
        separate: bool,
        yields: bool,
    },
}

impl CannedBody {
    fn stream(pair: Arc<Pair>, bench: &Bench) -> CannedBody {
        let pace = bench.pace;
        let waits = (!pace.is_zero()).then(|| Box::pin(sleep_until(Instant::now() + pace)));
        CannedBody::Stream { pair, next: 0, pace, waits, separate: bench.separate_writes, yields: false }
    }
}

impl Body for CannedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            CannedBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            CannedBody::Stream { pair, next, pace, waits, separate, yields } => {
                if std::mem::take(yields) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let Some(event) = pair.stream.get(*next) else { return Poll::Ready(None) };
                if let (true, Some(waits)) = (event.is_content, waits) {
                    ready!(waits.as_mut().poll(cx));
                    let at = waits.deadline() + *pace;
                    waits.as_mut().reset(at);
                }
                *next += 1;
                *yields = *separate;
                Poll::Ready(Some(Ok(Frame::data(event.bytes.clone()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            CannedBody::Whole(bytes) => bytes.is_none(),
            CannedBody::Stream { pair, next, .. } => *next >= pair.stream.len(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            CannedBody::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            CannedBody::Whole(None) => SizeHint::with_exact(0),
            CannedBody::Stream { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_for_a_stream_is_found_at_either_end() {
        let filler = "x".repeat(100_000);
        for (body, expect) in [
            (r#"{"stream":true}"#.to_owned(), true),
            (r#"{"stream": true,"#.to_owned() + &filler, true),
            (filler.clone() + r#","stream":true}"#, true),
            (r#"{"stream":false}"#.to_owned(), false),
            (filler.clone(), false),
        ] {
            assert_eq!(wishes_stream(body.as_bytes()), expect);
        }
    }

    #[test]
    fn canned_replies_have_the_tokens_asked_for() {
        let canned = Canned::new(&Bench { tokens: 20, prompt_tokens: 300, ..Bench::default() });
        let plain: Value = serde_json::from_slice(&canned.chat.plain).unwrap();
        assert_eq!(
            (&plain["usage"]["completion_tokens"], &plain["usage"]["prompt_tokens"]),
            (&json!(20), &json!(300))
        );
        for pair in [&canned.chat, &canned.messages, &canned.generate] {
            assert_eq!(pair.stream.iter().filter(|event| event.is_content).count(), 20);
        }
        let embedding: Value = serde_json::from_slice(&canned.embedding).unwrap();
        assert_eq!(embedding["usage"]["prompt_tokens"], 300);
    }
}
