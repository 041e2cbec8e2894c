//! The provider stand-in of the benchmark: as few system calls per answer as a provider can need.
//!
//! Answers every POST as OpenAI's chat completions would, plain or streamed, with fixed words and a true usage, or as
//! the wire of `crossed.rs` whose path it has. It judges nothing about the request; the strict stand-ins for tests are the simulator crate's.
//!
//! **Invariant**: the answer depends on the request's bytes alone (the time that it takes may depend on how many came
//! before: `tail.rs`), and a streamed token is a write of its own, as it is with a provider that generates it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior};

use super::crossed::Wire;
use super::tail::Tail;
use super::wire;

/// Tokens in a stream that has no pace.
pub(crate) const TOKENS: usize = 8;

/// The words of the plain answer; their number is its `completion_tokens`.
const WORDS: [&str; TOKENS] = ["One", " small", " answer", " of", " just", " eight", " tokens", "."];

/// Bytes of a request in which its model is looked for.
const START_BYTES: usize = 2048;

/// Requests so far whose model has a tail.
static WITH_TAIL: AtomicU64 = AtomicU64::new(0);

/// Serves `--port N` on loopback until it is killed.
///
/// # Errors
/// On a missing or unusable port.
pub(crate) fn run(args: &[String]) -> Result<bool, String> {
    let port = match args {
        [flag, port] if flag == "--port" => {
            port.parse::<u16>().map_err(|error| format!("--port: {error}"))?
        }
        _ => return Err("usage: cargo xtask upstream --port N".to_owned()),
    };
    super::runtime()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
        serve(listener).await
    })
}

/// Accepts connections for ever.
async fn serve(listener: TcpListener) -> Result<bool, String> {
    let plain = plain_reply();
    loop {
        let (socket, _) = listener.accept().await.map_err(|error| format!("cannot accept: {error}"))?;
        // A task per connection; their number is the load generator's, at most some hundreds.
        tokio::spawn(connection(socket, plain.clone()));
    }
}

async fn connection(mut socket: TcpStream, plain: Vec<u8>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let Some(length) = wire::read_message(&mut socket, &mut buffer).await? else { return Ok(()) };
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(tail) =
            Tail::of_request(request.get(..request.len().min(START_BYTES)).unwrap_or_default())
        {
            tokio::time::sleep(tail.delay(WITH_TAIL.fetch_add(1, Ordering::Relaxed))).await;
        }
        match Answer::to(request) {
            Answer::Plain => socket.write_all(&plain).await?,
            Answer::Stream { pace, tokens } => stream(&mut socket, pace, tokens).await?,
            Answer::Other(wire, streams) => {
                for part in wire.answer(streams) {
                    socket.write_all(&part).await?;
                }
            }
        }
        buffer.drain(..length);
    }
}

/// What a request is answered with.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Plain,
    Stream {
        pace: Duration,
        tokens: usize,
    },
    /// Another wire's answer, plain or streamed.
    Other(Wire, bool),
}

impl Answer {
    /// `"stream":true` is looked for at both ends of the request, so that a large prompt is not searched.
    /// A model called `pace-MS-TOKENS` sets the stream's pace and length.
    fn to(request: &[u8]) -> Self {
        let start = request.get(..request.len().min(START_BYTES)).unwrap_or_default();
        let end = request.get(request.len().saturating_sub(512)..).unwrap_or_default();
        let streams = |part: &[u8]| {
            memmem::find(part, b"\"stream\":true")
                .or_else(|| memmem::find(part, b"\"stream\": true"))
                .is_some()
        };
        let streams = streams(start) || streams(end);
        if let Some((wire, streams)) = Wire::of_request(start, streams) {
            return Self::Other(wire, streams);
        }
        if !streams {
            return Self::Plain;
        }
        let (pace, tokens) = paced(start).unwrap_or((Duration::ZERO, TOKENS));
        Self::Stream { pace, tokens }
    }
}

fn paced(request: &[u8]) -> Option<(Duration, usize)> {
    let at = memmem::find(request, b"\"pace-")?;
    let name = request.get(at + 6..)?;
    let name = std::str::from_utf8(name.get(..memchr::memchr(b'"', name)?)?).ok()?;
    let (milliseconds, tokens) = name.split_once('-')?;
    Some((Duration::from_millis(milliseconds.parse().ok()?), tokens.parse().ok()?))
}

fn plain_reply() -> Vec<u8> {
    let text = WORDS.concat();
    let body = format!(
        "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\
         \"model\":\"bench\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
         \"content\":\"{text}\",\"refusal\":null}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{TOKENS},\"total_tokens\":17,\
         \"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0,\
         \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}},\
         \"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\"}}"
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n\
         openai-processing-ms: 5\r\nopenai-version: 2020-10-01\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    x-accel-buffering: no\r\nx-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n";

const STREAM_END: &str = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
    \"created\":1700000000,\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\
    \"completion_tokens\":8,\"total_tokens\":17}}\n\ndata: [DONE]\n\n";

/// Writes the head with the first token, then a token each `pace`. A paced token says when it was written.
async fn stream(socket: &mut TcpStream, pace: Duration, tokens: usize) -> std::io::Result<()> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(STREAM_HEAD);
    let mut ticks = (!pace.is_zero()).then(|| {
        let mut ticks = tokio::time::interval_at(Instant::now() + pace, pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    for number in 0..tokens {
        let word = match &mut ticks {
            Some(ticks) => {
                ticks.tick().await;
                format!("@{}", now_ns())
            }
            None => WORDS.get(number % TOKENS).copied().unwrap_or_default().to_owned(),
        };
        chunk(&mut out, &event(&word, number + 1 == tokens));
        socket.write_all(&out).await?;
        out.clear();
    }
    chunk(&mut out, STREAM_END);
    out.extend_from_slice(b"0\r\n\r\n");
    socket.write_all(&out).await
}

fn event(word: &str, last: bool) -> String {
    let reason = if last { "\"stop\"" } else { "null" };
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"bench\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\"{word}\"}},\"logprobs\":null,\"finish_reason\":{reason}}}],\
         \"usage\":null}}\n\n"
    )
}

/// A chunk of HTTP's chunked framing (RFC 9112, section 7.1).
pub(crate) fn chunk(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:x}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Nanoseconds since 1970, the clock that both ends of a paced stream share.
pub(crate) fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_chooses_the_answer() {
        let check = |body: &str, expect: Answer| assert_eq!(Answer::to(body.as_bytes()), expect, "{body}");
        check(r#"{"model":"bench","messages":[]}"#, Answer::Plain);
        let stream = |ms, tokens| Answer::Stream { pace: Duration::from_millis(ms), tokens };
        check(r#"{"model":"bench","stream":true}"#, stream(0, TOKENS));
        check(r#"{"model":"pace-50-100","stream": true}"#, stream(50, 100));
        let large = format!(r#"{{"model":"bench","prompt":"{}","stream":true}}"#, "x".repeat(9000));
        check(&large, stream(0, TOKENS));
    }

    #[test]
    fn the_plain_reply_says_its_own_length() {
        let reply = plain_reply();
        assert_eq!(wire::message_length(&reply), Some(reply.len()));
        let at = memmem::find(&reply, b"\r\n\r\n").unwrap() + 4;
        let body: serde_json::Value = serde_json::from_slice(&reply[at..]).unwrap();
        assert_eq!(body["usage"]["completion_tokens"], TOKENS);
    }

    #[test]
    fn a_streamed_event_is_one_json_line() {
        let text = event(" word", true);
        let json: serde_json::Value =
            serde_json::from_str(text.strip_prefix("data: ").unwrap().trim_end()).unwrap();
        assert_eq!(json["choices"][0]["delta"]["content"], " word");
        assert_eq!(json["choices"][0]["finish_reason"], "stop");
    }
}
