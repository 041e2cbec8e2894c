//! OpenAI's API beside chat, completions, embeddings and models: what all of its routes share.
//!
//! Owns: reading a body that is JSON or a form, the order of checks, which module serves an operation, the objects
//! that are kept. Leaves to others: each resource (`responses`, `media`, `realtime`, and the modules here).
//!
//! **Invariant:** everything that is kept is in memory and bounded; the oldest goes first.

mod batches;
mod files;
mod form;
mod jobs;
mod keep;
mod routes;
mod stores;

use crate::admission;
use crate::ask::Ask;
use crate::behaviour::Behaviour;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::fault::Fault;
use crate::media::{self, Sent};
use crate::openai::reply::error_event as plain_error_event;
use crate::realtime;
use crate::reply::{Event, Making, Reply};
use crate::responses::{self, Asking, Breaks};
use crate::server::Shared;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

#[cfg(test)]
pub(crate) use form::Part;
pub(crate) use form::{FILE, Form};
pub(crate) use keep::{Owner, Shelf, page};
pub(crate) use routes::{Op, find};

/// What is kept between requests.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) responses: responses::Store,
    files: Shelf<files::File>,
    batches: Shelf<batches::Batch>,
    jobs: Shelf<jobs::Job>,
    stores: Shelf<stores::Store>,
    secrets: Mutex<VecDeque<String>>,
}

/// Most client secrets that are good at once.
const SECRETS_MAX: usize = 1_000;

impl State {
    fn keep_secret(&self, secret: String) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.push_back(secret);
        while secrets.len() > SECRETS_MAX {
            secrets.pop_front();
        }
    }

    /// Whether this is a client secret that was given out, which is good for Realtime alone.
    pub(crate) fn is_secret(&self, key: &str) -> bool {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|secret| secret == key)
    }
}

/// A request about kept objects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    state: &'a State,
    owner: &'a Owner,
    body: &'a Value,
    query: &'a str,
    /// The ids of the path, in order.
    ids: &'a [String],
    form: Option<&'a Form>,
}

impl About<'_> {
    fn id(&self, index: usize) -> &str {
        self.ids.get(index).map(String::as_str).unwrap_or_default()
    }
}

/// The body of an operation as JSON: a form as an object of its fields; null when it is neither.
pub(crate) fn read_body(op: Op, headers: &HeaderMap, body: &Bytes) -> Value {
    if op.takes_form() {
        return Form::read(headers, body).map(|form| form.to_json()).unwrap_or_default();
    }
    let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
    if op.is_of_responses() {
        responses::spell_out(&mut json);
    }
    json
}

/// Whether the API would take the request.
pub(crate) fn check(shared: &Shared, asked: &Asked, op: Op, behaviour: &Behaviour) -> Result<(), ApiError> {
    if behaviour.no_responses && op.is_of_responses() {
        return Err(admission::no_route(asked));
    }
    if op == Op::Realtime {
        return realtime::check(&asked.head.headers);
    }
    if op.method() != Method::POST || op.has_no_body() {
        return Ok(());
    }
    if op.takes_form() {
        check_form(asked)?;
    } else {
        admission::check_json(asked)?;
    }
    if behaviour.lenient {
        return Ok(());
    }
    let (state, owner, body) = (&shared.platform, Owner::of(asked), &asked.json);
    match op {
        Op::CreateResponse | Op::CountInputTokens => {
            responses::check::check(body, &asked.model, &state.responses, &owner)
        }
        Op::CreateConversation | Op::CreateItems => responses::check::check_items(body),
        Op::UpdateConversation => responses::check::check_metadata(body),
        _ if op.is_of_media() => {
            if asked.model.is_empty() && op.needs_model() {
                return Err(ApiError::bad_request("you must provide a model parameter"));
            }
            media::check(op, body, &asked.model)
        }
        _ => {
            let form = Form::read(&asked.head.headers, &asked.body);
            let ids = routes::ids(asked.head.uri.path(), op);
            let about =
                About { state, owner: &owner, body, query: asked.query(), ids: &ids, form: form.as_ref() };
            check_object(op, &about)
        }
    }
}

fn check_object(op: Op, about: &About<'_>) -> Result<(), ApiError> {
    match op {
        Op::UploadFile => about.form.map_or(Ok(()), |form| files::check(about.body, form)),
        Op::CreateBatch => batches::check(about),
        Op::CreateJob => jobs::check(about),
        Op::CreateClientSecret => realtime::check_secret(about.body),
        _ => stores::check(op, about),
    }
}

/// A form that is none is told what is wanted.
fn check_form(asked: &Asked) -> Result<(), ApiError> {
    if Form::read(&asked.head.headers, &asked.body).is_some() {
        return Ok(());
    }
    let given = asked.head.headers.get(http::header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Err(ApiError::bad_request("Could not parse multipart form"));
    }
    let message = format!(
        "Unsupported content type: '{given}'. This API method only accepts 'multipart/form-data' requests, but you \
         specified the header 'Content-Type: {given}'. Please try again with a supported content type."
    );
    Err(ApiError::new(415, message).code("unsupported_content_type"))
}

/// What a request asks of a model, where it asks one.
pub(crate) fn read(shared: &Shared, asked: &Asked, op: Op) -> Ask {
    match op {
        Op::CreateResponse | Op::CountInputTokens => {
            let items = shared.platform.responses.seen(&Owner::of(asked), &asked.json);
            responses::read(&asked.json, &items, &asked.model)
        }
        _ if op.is_of_media() => media::read(op, &asked.json, &asked.model),
        _ => Ask::default(),
    }
}

/// An error in the words of the operation that it answers.
pub(crate) fn reword(op: Op, error: &ApiError) -> ApiError {
    let mut error = error.clone();
    if op == Op::CreateResponse && error.code == Some("context_length_exceeded") {
        "Your input exceeds the context window of this model. Please adjust your input and try again."
            .clone_into(&mut error.message);
        error.param = Some("input".to_owned());
    }
    error
}

/// What the reply to a request is made of.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) asked: &'a Asked,
    pub(crate) ask: &'a Ask,
    pub(crate) behaviour: &'a Behaviour,
}

/// The reply.
pub(crate) fn make(request: Request<'_>, op: Op, making: &mut Making<'_>) -> Result<Reply, ApiError> {
    let Request { shared, asked, ask, behaviour } = request;
    let owner = &Owner::of(asked);
    let store = &shared.platform.responses;
    let ids = routes::ids(asked.head.uri.path(), op);
    let id = ids.first().map(String::as_str).unwrap_or_default();
    match op {
        Op::CreateResponse => {
            let breaks = breaks(behaviour);
            Ok(responses::create(Asking { store, owner, body: &asked.json, ask, breaks }, making))
        }
        Op::CountInputTokens => Ok(responses::token_count(ask)),
        Op::GetResponse => responses::get(store, owner, id),
        Op::DeleteResponse => responses::delete(store, owner, id),
        Op::CancelResponse => responses::cancel(store, owner, id),
        Op::ListInputItems => responses::input_items(store, owner, id, asked.query()),
        _ if op.is_of_responses() => {
            let about = responses::conversations::About {
                store,
                owner,
                body: &asked.json,
                query: asked.query(),
                ids: &ids,
            };
            responses::conversations::answer(op, about, making)
        }
        _ if op.is_of_media() => {
            let form = Form::read(&asked.head.headers, &asked.body);
            let sent = Sent { body: &asked.json, form: form.as_ref(), model: &asked.model };
            Ok(media::make(op, sent, ask, making))
        }
        _ => {
            let form = Form::read(&asked.head.headers, &asked.body);
            let state = &shared.platform;
            let about = About {
                state,
                owner,
                body: &asked.json,
                query: asked.query(),
                ids: &ids,
                form: form.as_ref(),
            };
            if op == Op::FileContent {
                return files::content(&about);
            }
            make_object(request, op, &about, making).map(|object| Reply::json(&object))
        }
    }
}

fn make_object(
    request: Request<'_>,
    op: Op,
    about: &About<'_>,
    making: &mut Making<'_>,
) -> Result<Value, ApiError> {
    match op {
        Op::UploadFile => Ok(files::upload(about, making)),
        Op::ListFiles => files::list(about),
        Op::GetFile => files::get(about, about.id(0)).map(|file| file.object),
        Op::DeleteFile => files::delete(about),
        Op::CreateBatch => Ok(batches::create(about, request, making)),
        Op::ListBatches => batches::list(about),
        Op::GetBatch => batches::get(about, making.created),
        Op::CancelBatch => batches::cancel(about, making.created),
        Op::CreateJob => Ok(jobs::create(about, making)),
        Op::ListJobs => jobs::list(about),
        Op::GetJob => jobs::get(about, making),
        Op::CancelJob => {
            jobs::become_status(about, "cancelled", &["validating_files", "queued", "running", "paused"])
        }
        Op::PauseJob => jobs::become_status(about, "paused", &["queued", "running"]),
        Op::ResumeJob => jobs::become_status(about, "running", &["paused"]),
        Op::JobEvents => jobs::events(about),
        Op::JobCheckpoints => jobs::checkpoints(about),
        Op::CreateClientSecret => {
            let (secret, object) = realtime::secret(about.body, making);
            about.state.keep_secret(secret);
            Ok(object)
        }
        Op::Realtime => Err(admission::no_route(request.asked)),
        _ => stores::answer(op, about, making),
    }
}

fn breaks(behaviour: &Behaviour) -> Option<Breaks> {
    match behaviour.fault {
        Some(Fault::ErrorEvent { after, code }) => Some(Breaks::Error { after, status: code }),
        Some(Fault::Failed { after }) => Some(Breaks::Failed { after }),
        _ => None,
    }
}

/// Whether the operation's own stream carries the errors that a fault puts into it.
pub(crate) fn breaks_by_itself(op: Op) -> bool {
    op == Op::CreateResponse
}

/// The error event of a stream that fails after it began.
pub(crate) fn error_event(body: &Value) -> Event {
    plain_error_event(body)
}
