//! The reply to a request that the provider takes.
//!
//! Owns: which surface's reply is made, limits and windows on the way to it, the headers. Leaves to others: the shapes
//! (the surfaces' `reply` modules), the answer itself (`compose`).
//!
//! **Invariant:** every reply, an error too, has the headers that its provider sends with every reply.

use crate::anthropic;
use crate::ask::Ask;
use crate::azure;
use crate::behaviour::Behaviour;
use crate::compose::{Composed, Ids, compose};
use crate::entra;
use crate::error::{self, ApiError, Victim};
use crate::exchange::Asked;
use crate::fault::Fault;
use crate::gemini::{self, reply::Framing};
use crate::limits::{self, Holder, Standing};
use crate::openai::{self, reply::Wanted};
use crate::platform;
use crate::received::Verdict;
use crate::reply::{Content, Event, JSON, Making, Reply, Role, usage_fault};
use crate::server::Shared;
use crate::surface::{Operation, Surface, query_value};
use crate::wire::{self, Turn};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// A reply and what the record says of it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) verdict: Verdict,
    /// Prompt and completion tokens.
    pub(crate) tokens: (u64, u64),
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The reply to a request that passed all checks.
pub(crate) fn answer(shared: &Shared, asked: &Asked, behaviour: &Behaviour, ids: &mut Ids) -> Answered {
    let surface = asked.surface();
    let request_id = request_id(surface, ids);
    let ask = read(shared, asked);
    let mut composed = compose(&ask, behaviour);
    anthropic::cache::apply(shared, asked, behaviour, &mut composed.counts);
    gemini::settle(asked, behaviour, &mut composed);
    let tokens = (composed.counts.prompt, composed.counts.completion);
    let victim = Victim {
        surface,
        model: &asked.model,
        prompt_tokens: ask.prompt_tokens,
        credential: asked.credential.as_deref(),
    };
    let refused = |error: &ApiError, verdict| Answered {
        reply: error_reply(asked, error, &request_id),
        verdict,
        tokens: (0, 0),
    };
    let standing = match behaviour.limit {
        None => Standing::unlimited(),
        Some(limit) => {
            let holder = Holder {
                surface,
                credential: asked.credential.clone().unwrap_or_default(),
                model: asked.model.clone(),
                limit,
            };
            match shared.limits.admit(holder, tokens.0 + tokens.1) {
                Ok(standing) => standing,
                Err(standing) => {
                    let mut answered =
                        refused(&limits::refusal(surface, &asked.model, &standing), Verdict::Limited);
                    answered.reply.headers.extend(standing.headers(surface, now()));
                    return answered;
                }
            }
        }
    };
    if let Some(window) = behaviour.context_window.filter(|window| ask.prompt_tokens > *window) {
        let error = error::context_window(victim, window);
        return refused(&error, Verdict::Rejected(error.message.clone()));
    }
    match &behaviour.fault {
        Some(Fault::Status(fault)) => {
            let mut answered = refused(&error::of_fault(fault, victim), Verdict::Faulted);
            with_own_headers(&mut answered.reply, behaviour);
            return answered;
        }
        Some(Fault::ErrorInOk) => {
            let mut answered = refused(&ApiError::new(500, "The server had an error."), Verdict::Faulted);
            answered.reply.status = 200;
            return answered;
        }
        _ => {}
    }
    let made = match make(shared, asked, &ask, &composed, (behaviour, &mut *ids)) {
        Ok(reply) => reply,
        Err(error) => return refused(&error, Verdict::Rejected(error.message.clone())),
    };
    let mut reply = with_headers(made, surface, &request_id, behaviour.latency.as_millis());
    reply.headers.extend(standing.headers(surface, now()));
    with_own_headers(&mut reply, behaviour);
    let verdict = if behaviour.fault.is_some() { Verdict::Faulted } else { Verdict::Answered };
    Answered { reply, verdict, tokens }
}

/// An error as the surface writes it.
pub(crate) fn error_reply(asked: &Asked, error: &ApiError, request_id: &str) -> Reply {
    let surface = asked.surface();
    let own = wire::of(surface).and_then(|wire| wire.error_reply(asked, error, request_id));
    if let Some(reply) = own {
        return reply;
    }
    let reworded = match asked.route.operation {
        Some(Operation::Platform(op)) => Some(platform::reword(op, error)),
        _ => None,
    };
    let error = reworded.as_ref().unwrap_or(error);
    let mut body = error.body(surface, request_id);
    if asked.route.operation == Some(Operation::StreamGenerate) && framing(asked) == Framing::Array {
        // A stream that is one JSON array is that for an error too.
        body = json!([body]);
    }
    let mut reply = with_headers(Reply::json(&body), surface, request_id, 1);
    reply.status = error.status;
    if let Some(retry_after) = &error.retry_after {
        reply = reply.header("retry-after", retry_after.clone());
    }
    reply
}

fn request_id(surface: Surface, ids: &mut Ids) -> String {
    match surface {
        Surface::Anthropic => ids.next("req_01", 22),
        Surface::OpenAi => ids.hex("req_", 32),
        _ => ids.hex("", 32),
    }
}

/// Puts a behaviour's headers in, in place of those that are there by the same name.
fn with_own_headers(reply: &mut Reply, behaviour: &Behaviour) {
    let own = |name: &str| behaviour.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    reply.headers.retain(|(name, _)| !own(name));
    reply.headers.extend(behaviour.headers.iter().cloned());
}

fn with_headers(reply: Reply, surface: Surface, request_id: &str, latency_ms: u128) -> Reply {
    if let Some(wire) = wire::of(surface) {
        return wire.headers(reply, request_id);
    }
    match surface {
        Surface::OpenAi => openai::reply::headers(reply, request_id, latency_ms),
        Surface::Azure => azure::headers(reply, request_id),
        Surface::Anthropic => anthropic::reply::headers(reply, request_id),
        Surface::Gemini => reply.header("server-timing", format!("gfet4t7; dur={latency_ms}")),
        Surface::Entra => {
            reply.header("cache-control", "no-store, no-cache").header("x-ms-request-id", request_id)
        }
        _ => reply,
    }
}

fn read(shared: &Shared, asked: &Asked) -> Ask {
    let (body, model) = (&asked.json, asked.model.as_str());
    if let Some(wire) = wire::of(asked.surface()) {
        return wire.read(asked);
    }
    match asked.route.operation {
        Some(Operation::Chat) => openai::read_chat(body, model),
        Some(Operation::Completion) => openai::read_completion(body, model),
        Some(Operation::Platform(op)) => platform::read(shared, asked, op),
        Some(Operation::Messages) => anthropic::read(body),
        Some(Operation::Generate) => gemini::read(body, model, false),
        Some(Operation::StreamGenerate) => gemini::read(body, model, true),
        Some(Operation::Embedding) => {
            Ask { prompt_tokens: openai::embedding::prompt_tokens(body), ..Ask::default() }
        }
        _ => Ask::default(),
    }
}

/// How a stream of Google's is asked for.
pub(crate) fn framing(asked: &Asked) -> Framing {
    match query_value(asked.query(), "alt").as_deref() {
        Some("sse") => Framing::Events,
        _ => Framing::Array,
    }
}

fn make(
    shared: &Shared,
    asked: &Asked,
    ask: &Ask,
    composed: &Composed,
    (behaviour, ids): (&Behaviour, &mut Ids),
) -> Result<Reply, ApiError> {
    let body = &asked.json;
    let Some(operation) = asked.route.operation else { return Err(ApiError::new(404, "Not found")) };
    let fresh = (operation == Operation::Token).then(|| ids.next("simulated-entra-token-", 43));
    let mut making =
        Making { composed, ids, created: now(), usage_fault: usage_fault(behaviour.fault.as_ref()) };
    if let Some(wire) = wire::of(asked.surface()) {
        let reply = wire.reply(Turn { shared, asked, ask, behaviour }, &mut making)?;
        return Ok(with_error_event(reply, asked, behaviour));
    }
    let wanted = Wanted::new(ask, body);
    let reply = match operation {
        Operation::Chat if ask.stream => {
            let events = openai::reply::chat_events(wanted, &mut making);
            let azure = asked.surface() == Surface::Azure;
            Reply::events(if azure { azure::annotate_events(events) } else { events })
        }
        Operation::Chat => {
            let mut reply = openai::reply::chat(wanted, &mut making);
            if asked.surface() == Surface::Azure {
                azure::annotate(&mut reply);
            }
            Reply::json(&reply)
        }
        Operation::Completion if ask.stream => {
            Reply::events(openai::reply::completion_events(wanted, &mut making))
        }
        Operation::Completion => Reply::json(&openai::reply::completion(wanted, &mut making)),
        Operation::Embedding => {
            let mut reply = openai::embedding::reply(body, &asked.model);
            spoil_usage(&mut reply, &making);
            Reply::json(&reply)
        }
        Operation::Messages if ask.stream => Reply::events(anthropic::reply::events(&ask.model, &mut making)),
        Operation::Messages => Reply::json(&anthropic::reply::message(&ask.model, &mut making)),
        Operation::Generate => Reply::json(&gemini::reply::content(ask, &mut making)),
        Operation::StreamGenerate => gemini_stream(asked, ask, &mut making, behaviour),
        Operation::EmbedContent => Reply::json(&gemini::reply::embedding(body, &asked.model)),
        Operation::BatchEmbedContents => Reply::json(&gemini::reply::embeddings(body, &asked.model)),
        Operation::CountTokens if asked.surface() == Surface::Anthropic => {
            Reply::json(&anthropic::reply::token_count(anthropic::read(body).prompt_tokens))
        }
        Operation::CountTokens => Reply::json(&gemini::reply::token_count(gemini::count_tokens(body))),
        Operation::Cloud(op) => anthropic::batches::make(shared, asked, op, making.ids)?,
        Operation::ListModels | Operation::GetModel => Reply::json(&models(shared, asked, operation)),
        Operation::Platform(op) => {
            let request = platform::Request { shared, asked, ask, behaviour };
            platform::make(request, op, &mut making)?
        }
        Operation::Token => entra_token(shared, asked, &fresh.unwrap_or_default())?,
        _ => return Err(ApiError::new(404, "Not found")),
    };
    Ok(with_error_event(reply, asked, behaviour))
}

fn entra_token(shared: &Shared, asked: &Asked, fresh: &str) -> Result<Reply, ApiError> {
    let form = String::from_utf8_lossy(&asked.body);
    let tenant = asked.route.subject.as_deref().unwrap_or_default();
    let client = shared.script.read(|script| script.entra.clone());
    Ok(Reply::json(&entra::answer(&form, tenant, client.as_ref(), &shared.issued, fresh)?))
}

fn spoil_usage(reply: &mut Value, making: &Making<'_>) {
    let Some(fields) = reply.as_object_mut() else { return };
    if let Some(usage) = fields.shift_remove("usage").and_then(|usage| making.usage(usage)) {
        fields.insert("usage".to_owned(), usage);
    }
}

fn gemini_stream(asked: &Asked, ask: &Ask, making: &mut Making<'_>, behaviour: &Behaviour) -> Reply {
    let mut chunks = gemini::reply::chunks(ask, making);
    if behaviour.fault == Some(Fault::NoDone)
        && let Some((role, last)) = chunks.pop()
    {
        chunks.push((role, gemini::reply::without_finish(last)));
    }
    let framing = framing(asked);
    let reply = Reply::events(gemini::reply::framed(&chunks, framing));
    match framing {
        Framing::Events => reply,
        Framing::Array => Reply { content_type: JSON, ..reply },
    }
}

/// Ends a stream with the provider's error event, when that is the fault.
fn with_error_event(reply: Reply, asked: &Asked, behaviour: &Behaviour) -> Reply {
    if matches!(asked.route.operation, Some(Operation::Platform(op)) if platform::breaks_by_itself(op)) {
        return reply;
    }
    let (after, code) = match behaviour.fault {
        Some(Fault::ErrorEvent { after, code }) => (after, code),
        Some(Fault::Failed { after }) => (after, 500),
        _ => return reply,
    };
    let Content::Events(events) = reply.content else { return reply };
    let mut left = after;
    let good = events.into_iter().take_while(|event| {
        let fits = match event.role {
            Role::Opening => true,
            Role::Content => left > 0,
            Role::Closing | Role::End => false,
        };
        left -= usize::from(fits && event.role == Role::Content);
        fits
    });
    let mut events: Vec<Event> = good.collect();
    events.push(error_event(asked, code));
    Reply { content: Content::Events(events), ..reply }
}

fn error_event(asked: &Asked, code: u16) -> Event {
    let victim = Victim { surface: asked.surface(), model: &asked.model, prompt_tokens: 0, credential: None };
    let fault = crate::fault::StatusFault { code, ..Default::default() };
    let error = error::of_fault(&fault, victim);
    if let Some(wire) = wire::of(asked.surface()) {
        return wire.error_event_for(asked, &error);
    }
    let body = error.body(asked.surface(), "");
    if matches!(asked.route.operation, Some(Operation::Platform(_))) {
        return platform::error_event(&body);
    }
    match asked.surface() {
        Surface::Anthropic => anthropic::reply::error_event(&body),
        Surface::Gemini => gemini::reply::error_event(&body, framing(asked)),
        _ => openai::reply::error_event(&body),
    }
}

fn models(shared: &Shared, asked: &Asked, operation: Operation) -> Value {
    let models = shared.script.read(|script| script.models.clone());
    match (asked.surface(), operation) {
        (Surface::Anthropic, Operation::GetModel) => anthropic::reply::one_model(&asked.model),
        (Surface::Anthropic, _) => anthropic::reply::models(&models),
        (Surface::Gemini, Operation::GetModel) => gemini::reply::one_model(&asked.model),
        (Surface::Gemini, _) => gemini::reply::models(&models),
        (_, Operation::GetModel) => openai::reply::one_model(&asked.model),
        _ => openai::reply::models(&models),
    }
}
