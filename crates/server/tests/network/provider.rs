//! The providers: strict, scripted, and always of the same words, whoever answers.
//!
//! Owns what they check of a request and what they do with it. Leaves to others the network between (world) and what must
//! hold in the end (oracle). **Invariant:** what goes out of a provider that is well is the whole answer of that request,
//! or all that follows the turn that it is asked to go on from.

use crate::ledger::Ledger;
use crate::scenario::{Act, Dialect, Draws, PROVIDER_PORT, Scenario, Spec, text};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use turmoil::net::TcpListener;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A provider's host.
#[derive(Clone)]
pub(crate) struct Provider {
    scenario: Arc<Scenario>,
    number: usize,
    ledger: Arc<Ledger>,
    draws: Arc<Mutex<Draws>>,
}

/// A piece of a reply.
enum Piece {
    After(Duration, Bytes),
    /// The connection is closed.
    Abort,
    /// Nothing more comes, and no end.
    Silence,
}

impl Provider {
    pub(crate) fn new(scenario: &Arc<Scenario>, number: usize, ledger: &Arc<Ledger>) -> Self {
        let draws = Draws::new(scenario.seed.wrapping_mul(31).wrapping_add(number as u64));
        let (scenario, ledger) = (Arc::clone(scenario), Arc::clone(ledger));
        Self { scenario, number, ledger, draws: Arc::new(Mutex::new(draws)) }
    }

    /// Serves until its host dies.
    pub(crate) async fn run(self) -> turmoil::Result {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PROVIDER_PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let provider = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| provider.answer(request));
                let builder = hyper::server::conn::http1::Builder::new();
                // How a connection ends is seen at the gateway.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    fn spec(&self) -> &Spec {
        &self.scenario.deployments[self.number]
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            std::future::pending::<()>().await;
            unreachable!("the connection is gone");
        };
        let body = body.to_bytes();
        let asked = match Asked::read(self.spec(), &head, &body) {
            Ok(asked) => asked,
            Err(wrong) => {
                let text = String::from_utf8_lossy(&body).into_owned();
                self.ledger
                    .broken(format!("{} was sent what it cannot read ({wrong}): {text}", self.spec().id));
                return Ok(refusal(self.spec().dialect, 400, None));
            }
        };
        let act = self.act();
        self.ledger.note(format_args!("{} meets call {} with {act:?}", self.spec().id, asked.number));
        let mut wait = Duration::from_millis(self.spec().first_ms);
        match act {
            Act::Silent => std::future::pending().await,
            Act::Refuse { status, retry_after } => {
                return Ok(refusal(self.spec().dialect, status, retry_after));
            }
            Act::Slow(longer) => wait += longer,
            _ => {}
        }
        if !asked.is_stream {
            tokio::time::sleep(wait).await;
            return Ok(self.plain(&asked, act));
        }
        // Some say at once that they will answer, others when they do.
        let says_early = self.draws.lock().unwrap().chance(50);
        if !says_early {
            tokio::time::sleep(std::mem::take(&mut wait)).await;
        }
        Ok(streamed(self.pieces(&asked, act, wait)))
    }

    fn act(&self) -> Act {
        let now = self.ledger.now();
        let mut draws = self.draws.lock().unwrap();
        let troubles = self.spec().troubles.iter();
        let mut now = troubles.filter(|trouble| (trouble.from..trouble.to).contains(&now));
        now.find(|trouble| draws.chance(trouble.percent)).map_or(Act::Well, |trouble| trouble.act)
    }

    fn plain(&self, asked: &Asked, act: Act) -> Response<Body> {
        let json = match self.spec().dialect {
            Dialect::OpenAi => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": asked.rest}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
                "end": true,
            }),
            Dialect::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": asked.rest}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 7, "output_tokens": 9},
                "end": true,
            }),
        };
        let whole = Bytes::from(json.to_string());
        let half = whole.slice(..whole.len() / 2);
        let pieces = match act {
            Act::Cut(_) | Act::ErrorEvent(_) => vec![Piece::After(Duration::ZERO, half), Piece::Abort],
            Act::Stall(_) => vec![Piece::After(Duration::ZERO, half), Piece::Silence],
            Act::EndEarly(_) => vec![Piece::After(Duration::ZERO, half)],
            _ => vec![Piece::After(Duration::ZERO, whole)],
        };
        Response::builder().header("content-type", "application/json").body(body_of(pieces)).unwrap()
    }

    fn pieces(&self, asked: &Asked, act: Act, wait: Duration) -> Vec<Piece> {
        let spec = self.spec();
        let mut events = events(spec, asked);
        let is_content = |at: &usize| events[*at].contains(&asked.mark);
        let content_at: Vec<usize> = (0..events.len()).filter(is_content).collect();
        let cut_at = |pieces: usize| content_at.get(pieces).copied().unwrap_or(events.len() - 2);
        let end = match act {
            Act::Cut(after) => Some((cut_at(after), Some(Piece::Abort))),
            Act::Stall(after) => Some((cut_at(after), Some(Piece::Silence))),
            Act::EndEarly(after) => Some((cut_at(after).min(events.len() - LAST_EVENTS), None)),
            Act::ErrorEvent(after) => Some((cut_at(after), None)),
            _ => None,
        };
        let pace = Duration::from_millis(spec.pace_ms);
        let end = end.map(|(at, piece)| {
            events.truncate(at);
            if let Act::ErrorEvent(_) = act {
                events.push(error_event(spec.dialect));
            }
            piece
        });
        let events = events.into_iter().enumerate();
        let mut pieces: Vec<Piece> = events
            .map(|(at, event)| Piece::After(if at == 0 { wait } else { pace }, Bytes::from(event)))
            .collect();
        pieces.extend(end.flatten());
        pieces
    }
}

/// How many events of a stream follow its content: what ends it, at least.
const LAST_EVENTS: usize = 3;

/// A request, as a provider reads it.
struct Asked {
    number: u64,
    is_stream: bool,
    /// What is to be answered.
    rest: String,
    /// By which a piece of content is known.
    mark: String,
}

impl Asked {
    fn read(spec: &Spec, head: &http::request::Parts, body: &[u8]) -> Result<Self, String> {
        let (path, key, model) = match spec.dialect {
            Dialect::OpenAi => ("v1/chat/completions", "authorization", "gpt-4o"),
            Dialect::Anthropic => ("v1/messages", "x-api-key", "claude-sonnet-4-5"),
        };
        let expect = |is_so: bool, what: &str| if is_so { Ok(()) } else { Err(what.to_owned()) };
        expect(head.uri.path() == format!("/d/{}/{path}", spec.id), "path")?;
        let shown = head.headers.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default();
        expect(shown.trim_start_matches("Bearer ") == format!("sk-of-{}", spec.id), "key")?;
        let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        expect(json["model"] == model, "model")?;
        let mut messages = json["messages"].as_array().cloned().unwrap_or_default();
        let said = |message: &Value| match &message["content"] {
            Value::String(text) => text.clone(),
            blocks => blocks[0]["text"].as_str().unwrap_or_default().to_owned(),
        };
        let last = messages.pop().unwrap_or_default();
        let (question, begun) = if last["role"] == "assistant" {
            (messages.pop().unwrap_or_default(), said(&last))
        } else {
            (last, String::new())
        };
        expect(messages.is_empty(), "messages")?;
        let question = said(&question);
        let number_of = |name: &str| -> Option<u64> {
            let (_, rest) = question.split_once(name)?;
            rest.split(' ').next()?.parse().ok()
        };
        let (Some(number), Some(words)) = (number_of("number="), number_of("words=")) else {
            return Err("question".to_owned());
        };
        let whole = text(number, words);
        let rest = whole.strip_prefix(&begun).ok_or("a turn to go on from that nobody has begun")?.to_owned();
        let mark = match spec.dialect {
            Dialect::OpenAi => "\"content\":".to_owned(),
            Dialect::Anthropic => "text_delta".to_owned(),
        };
        Ok(Self { number, is_stream: json["stream"] == true, rest, mark })
    }
}

fn event(name: Option<&str>, json: &Value) -> String {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {json}\n\n")
}

/// A whole stream.
fn events(spec: &Spec, asked: &Asked) -> Vec<String> {
    let bytes = asked.rest.as_bytes();
    let pieces = bytes.chunks(spec.piece_bytes).map(|piece| String::from_utf8_lossy(piece).into_owned());
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice]
        });
        event(None, &chunk)
    };
    match spec.dialect {
        Dialect::OpenAi => {
            let mut events = vec![chunk(json!({"role": "assistant"}), None)];
            events.extend(pieces.map(|piece| chunk(json!({"content": piece}), None)));
            events.push(chunk(json!({}), Some("stop")));
            let usage = json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [],
                "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
            });
            events.push(event(None, &usage));
            events.push("data: [DONE]\n\n".to_owned());
            events
        }
        Dialect::Anthropic => {
            let message = json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 1},
            });
            let start = json!({"type": "message_start", "message": message});
            let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
            let mut events =
                vec![event(Some("message_start"), &start), event(Some("content_block_start"), &block)];
            events.extend(pieces.map(|piece| {
                let delta = json!({"type": "text_delta", "text": piece});
                event(
                    Some("content_block_delta"),
                    &json!({"type": "content_block_delta", "index": 0, "delta": delta}),
                )
            }));
            events
                .push(event(Some("content_block_stop"), &json!({"type": "content_block_stop", "index": 0})));
            let delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
            let end = json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}});
            events.push(event(Some("message_delta"), &end));
            events.push(event(Some("message_stop"), &json!({"type": "message_stop"})));
            events
        }
    }
}

fn error_event(dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenAi => event(
            None,
            &json!({"error": {"message": "The server had an error", "type": "server_error", "code": null}}),
        ),
        Dialect::Anthropic => {
            let error = json!({"type": "overloaded_error", "message": "Overloaded"});
            event(Some("error"), &json!({"type": "error", "error": error}))
        }
    }
}

fn refusal(dialect: Dialect, status: u16, retry_after: Option<u64>) -> Response<Body> {
    let json = match dialect {
        Dialect::OpenAi => {
            json!({"error": {"message": "no", "type": "error", "param": null, "code": null}, "end": true})
        }
        Dialect::Anthropic => {
            json!({"type": "error", "error": {"type": "api_error", "message": "no"}, "end": true})
        }
    };
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds.to_string());
    }
    let whole = Full::new(Bytes::from(json.to_string()));
    response.body(whole.map_err(|never| match never {}).boxed_unsync()).unwrap()
}

fn streamed(pieces: Vec<Piece>) -> Response<Body> {
    Response::builder().header("content-type", "text/event-stream").body(body_of(pieces)).unwrap()
}

fn body_of(pieces: Vec<Piece>) -> Body {
    let frames = stream::unfold(VecDeque::from(pieces), |mut pieces| async move {
        match pieces.pop_front()? {
            Piece::After(wait, bytes) => {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                Some((Ok(Frame::data(bytes)), pieces))
            }
            Piece::Abort => Some((Err(io::Error::other("cut")), pieces)),
            Piece::Silence => std::future::pending().await,
        }
    });
    StreamBody::new(frames).boxed_unsync()
}
