//! The last tier without a model: an answer that the operator wrote down.
//!
//! Owns the question that is looked for and the form of the answer. Leaves finding to `policy::faq`. **Invariant:** a
//! canned answer costs nothing, counts no tokens, and is labelled as what it is.

use super::caller;
use super::respond::{self, content_type};
use super::walk::Errand;
use crate::reply::{GatewayBody, ReplyHeaders, X_TOLLGATE_ROUTE};
use crate::routing::{CannedAnswers, Leg};
use http::header::HeaderValue;
use http::{Response, StatusCode};
use tollgate_dialect::conversation::{ChatReply, Choice, Part, Role, StopReason, StreamEvent};
use tollgate_dialect::wire::Losses;

/// The name of the model of canned answers.
const MODEL: &str = "canned";

/// The answer to the last question of the conversation; none where nothing that was written down is like it. A
/// conversation without a question in words gets the answer that is for everything.
pub(crate) fn answer(errand: Errand<'_>, canned: &CannedAnswers) -> Option<String> {
    let surface = errand.call.surface;
    let conversation = errand.received.conversation(surface).ok().filter(|_| surface.is_conversation())?;
    let question = conversation.messages.iter().rev().find(|message| message.role == Role::User);
    let texts = question.iter().flat_map(|question| &question.parts).filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    canned.answer(&texts.collect::<Vec<_>>().join(" ")).map(str::to_owned)
}

/// The reply that carries it.
pub(super) fn respond(errand: Errand<'_>, leg: &Leg, text: &str) -> Response<GatewayBody> {
    let Errand { call, received, .. } = errand;
    let facts = respond::facts(call, received);
    let body = if received.stream {
        let (mut encoder, _) = caller::stream_encoder(call.surface, facts, received);
        let mut out = Vec::new();
        let events = [
            StreamEvent::Start { id: String::new(), model: MODEL.to_owned() },
            StreamEvent::Text { choice: 0, delta: text.to_owned() },
            StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None },
        ];
        encoder.encode(&events, &mut out);
        encoder.finish(&mut out);
        out
    } else {
        let reply = ChatReply {
            model: MODEL.to_owned(),
            choices: vec![Choice {
                index: 0,
                parts: vec![Part::text(text)],
                stop: Some(StopReason::Stop),
                ..Choice::default()
            }],
            ..ChatReply::default()
        };
        caller::encode_reply((call.surface, received), &reply, &facts, &mut Losses::default())
    };
    let mut headers = ReplyHeaders::canned(&call.id);
    headers.add(X_TOLLGATE_ROUTE, HeaderValue::from_static("deployment=none; strategy=canned; reason=faq"));
    headers.tier(leg.tier.as_ref()).fallbacks(leg.depth);
    let mut map = headers.into_map();
    content_type(&mut map, call.surface, received);
    let mut response = Response::new(GatewayBody::whole(body));
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = map;
    response
}
