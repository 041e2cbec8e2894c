//! A tiny real call to one deployment, for health checks: the same road as a caller's request.
//!
//! Owns the question for each kind of model. Leaves when to ask, and what follows, to `checks`. **Invariant:** a question
//! costs a few tokens; a kind of model that has no such question is not asked.

use super::attempt::{self, AttemptFailure, CallLimits};
use super::receive;
use super::staged::Staged;
use super::wasted::Wasted;
use super::{Call, outbound};
use crate::error::Rejection;
use crate::routes::PathModel;
use crate::surface::Surface;
use crate::target::Target;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_catalog::Mode;
use tollgate_policy::failure::FailureKind;
use tollgate_upstream::Client;

/// Tokens of a question and its answer, at most.
pub(crate) const PROBE_TOKENS: u64 = 32;

/// What a deployment is asked: LiteLLM's sum, and a limit that every model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Chat,
    Completion,
    Embedding,
    Ranking,
    Moderation,
}

impl Question {
    /// The question for a kind of model; pictures, sounds and sessions cost too much to be asked for nothing.
    pub(crate) fn of(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Chat | Mode::Responses | Mode::Unknown => Some(Self::Chat),
            Mode::Completion => Some(Self::Completion),
            Mode::Embedding => Some(Self::Embedding),
            Mode::Rerank => Some(Self::Ranking),
            Mode::Moderation => Some(Self::Moderation),
            Mode::ImageGeneration
            | Mode::ImageEdit
            | Mode::AudioTranscription
            | Mode::AudioSpeech
            | Mode::VideoGeneration
            | Mode::Realtime
            | Mode::Search
            | Mode::Ocr
            | Mode::Evaluation
            | Mode::Extraction
            | Mode::Guardrail
            | Mode::VectorStore => None,
        }
    }

    fn body(self) -> (Surface, &'static str) {
        match self {
            Self::Chat => (
                Surface::Chat,
                r#"{"model":"m","messages":[{"role":"user","content":"What's 1 + 1?"}],"max_tokens":16}"#,
            ),
            Self::Completion => {
                (Surface::Completions, r#"{"model":"m","prompt":"What's 1 + 1?","max_tokens":16}"#)
            }
            Self::Embedding => (Surface::Embeddings, r#"{"model":"m","input":["What's 1 + 1?"]}"#),
            Self::Ranking => (Surface::Rerank, r#"{"model":"m","query":"1 + 1","documents":["2","3"]}"#),
            Self::Moderation => (Surface::Moderation, r#"{"model":"m","input":"What's 1 + 1?"}"#),
        }
    }
}

/// The reply's headers, or what went wrong. A deployment that fails on purpose fails its checks as well.
pub(crate) async fn probe(
    client: &Arc<Client>,
    target: &Arc<Target>,
    question: Question,
    limit: Duration,
) -> Result<HeaderMap, AttemptFailure> {
    let limits = CallLimits {
        deadline: Instant::now() + limit,
        connect: limit,
        attempt: limit,
        idle: limit,
        stream: false,
        is_fallback: false,
        checks_quality: false,
    };
    let asking = ask(client, target, question, limits);
    match Staged::draw(target, limits) {
        None => asking.await,
        Some(staged) => {
            let speech = target.speech_for(question.body().0);
            Box::pin(staged.check((target, speech, limits), asking)).await
        }
    }
}

async fn ask(
    client: &Arc<Client>,
    target: &Arc<Target>,
    question: Question,
    limits: CallLimits,
) -> Result<HeaderMap, AttemptFailure> {
    let (surface, body) = question.body();
    let body = Bytes::from_static(body.as_bytes());
    let headers = HeaderMap::new();
    let call = Call::new(surface, PathModel::default(), &headers, Instant::now());
    let received = receive::read(&body, &call, &headers).map_err(not_expressible)?;
    let mut prepared = outbound::prepare(&received, call.surface, target).map_err(not_expressible)?;
    let unreachable = |failure: tollgate_upstream::Failure| attempt::from_failure(&failure, target, limits);
    let authorized = target.authorization.put_on(&mut prepared, &target.endpoint, client).await;
    authorized.map_err(|failure| attempt::from_credential(&failure, target, limits))?;
    let timeouts = limits.timeouts();
    let (outgoing, plan) = prepared.outgoing(timeouts);
    let reply = client.send(&target.endpoint, outgoing).await.map_err(unreachable)?;
    if reply.status.is_success() {
        // Read to its end, so that the connection serves again.
        reply.body.collect().await.map_err(unreachable)?;
        return Ok(reply.headers);
    }
    Err(attempt::from_error_reply(reply, plan.speech, target, timeouts).await)
}

fn not_expressible(rejection: Rejection) -> AttemptFailure {
    AttemptFailure {
        kind: FailureKind::NotExpressible,
        retry_after: None,
        rejection,
        class: "bad_request",
        detail: "the question cannot be written for this deployment".to_owned(),
        names_model: false,
        wasted: Wasted::Nothing,
    }
}
