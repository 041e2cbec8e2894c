//! How many tokens a request has: Anthropic's and Google's endpoints for callers of their dialects, and LiteLLM's counter.
//!
//! Owns who counts and in which shape it is told. Leaves reading requests to the dialects. **Invariant:** a count says
//! where it comes from: the provider, or an estimate made here.

mod local;
mod provider;

use crate::auth::Caller;
use crate::error::Rejection;
use crate::pipeline::{Call, json_response, receive};
use crate::reply::GatewayBody;
use crate::routes::Route;
use crate::routing::Wish;
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::target::Target;
use crate::toll::{CountToll, Toll};
use crate::worker::Worker;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use local::{Count, Countable};
use provider::NoCount;
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_dialect::conversation::ChatRequest;
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::wire::RequestError;
use tollgate_dialect::{anthropic, gemini, openai};
use tollgate_policy::ask::Requirements;
use tollgate_policy::choice::unmet;

/// A count and its origin.
struct Counted {
    count: Count,
    /// The provider's counter, where it counted.
    by_provider: Option<&'static str>,
}

impl Counted {
    fn source(&self) -> &'static str {
        if self.by_provider.is_some() { "provider" } else { "local_estimate" }
    }

    /// LiteLLM's names; an estimate by a vocabulary that is not the model's says so.
    fn tokenizer(&self) -> &'static str {
        match self.by_provider {
            Some(name) => name,
            None if self.count.is_exact => "openai_tokenizer",
            None => "estimate",
        }
    }
}

/// Answers a request for a count.
pub(crate) async fn answer(
    worker: &Worker,
    snapshot: &Snapshot,
    (route, model, call): (Route, Option<String>, &Call),
    request: Request<Incoming>,
) -> Result<Response<GatewayBody>, Rejection> {
    let (head, body) = request.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| !receive::is_json(kind)) {
        return Err(Rejection::wrong_content_type());
    }
    let body = receive::read_body(&head.headers, body, snapshot.receive_limits()).await?;
    let wish = wish(&call.caller, &head.headers, &body)?;
    let requirements = snapshot.requirements(&wish);
    let asking = Asking { worker, snapshot, call, headers: &head.headers, wish, requirements };
    match route {
        Route::MessagesCount => asking.messages(&body).await,
        Route::GeminiCount => asking.contents(&body, &model.unwrap_or_default()).await,
        _ => {
            let asks_provider = head.uri.query().is_some_and(|query| {
                query.split('&').any(|pair| pair.eq_ignore_ascii_case("call_endpoint=true"))
            });
            asking.anything(&body, asks_provider).await
        }
    }
}

/// What counting takes.
struct Asking<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    call: &'a Call,
    headers: &'a HeaderMap,
    /// What the request says for the gateway.
    wish: Wish,
    /// What a deployment must fulfil to see the prompt.
    requirements: Requirements,
}

/// What a request says for the gateway. A body that cannot be read is refused by those who read it in full.
fn wish(caller: &Caller, headers: &HeaderMap, body: &[u8]) -> Result<Wish, Rejection> {
    let object = scan(body, &Limits::REQUEST).or_else(|_| scan(b"{}", &Limits::REQUEST));
    let object = object.map_err(|error| Rejection::bad_json(&error.to_string()))?;
    Ok(Wish::read("", headers, &object)?.marked(caller))
}

impl Asking<'_> {
    /// `POST /v1/messages/count_tokens`.
    async fn messages(&self, body: &Bytes) -> Result<Response<GatewayBody>, Rejection> {
        let path = "/v1/messages/count_tokens";
        let request = anthropic::decode_count_request(body).map_err(|error| invalid(path, &error))?;
        let target = self.target(&request.model).ok_or_else(|| {
            Rejection::unknown_model(path, (!request.model.is_empty()).then_some(&request.model))
        })?;
        let toll = self.enter(target.metrics.group())?;
        let counted = self.count(&request, &target, &toll).await?;
        let tokens = counted.count.tokens;
        let told = json!({"input_tokens": tokens, "litellm_count_source": counted.source()});
        Ok(self.reply(told.to_string(), &toll))
    }

    /// `POST /v1beta/models/{model}:countTokens`.
    async fn contents(&self, body: &Bytes, model: &str) -> Result<Response<GatewayBody>, Rejection> {
        let path = "/countTokens";
        let request = gemini::decode_count_request(body).map_err(|error| invalid(path, &error))?;
        let target = self.target(model).ok_or_else(|| Rejection::unknown_model(path, Some(model)))?;
        let toll = self.enter(target.metrics.group())?;
        let counted = self.count(&request, &target, &toll).await?;
        Ok(self.reply(gemini::encode_count(counted.count.tokens), &toll))
    }

    /// `POST /utils/token_counter`.
    async fn anything(&self, body: &Bytes, asks_provider: bool) -> Result<Response<GatewayBody>, Rejection> {
        let path = "/utils/token_counter";
        let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(body) else {
            return Err(Rejection::bad_json("expected an object"));
        };
        let Some(model) = members.get("model").and_then(Value::as_str) else {
            return Err(Rejection::missing(path, "model"));
        };
        let is_there = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
        let target = self.target(model);
        let used = target.as_ref().map_or(model, |target| target.model.as_str());
        let toll = self.enter(target.as_ref().map_or("", |target| target.metrics.group()))?;
        let request = if is_there("messages") {
            Some(openai::decode_chat(body).map_err(|error| invalid(path, &error))?)
        } else if is_there("contents") {
            Some(contents_of(&members).map_err(|error| invalid(path, &error))?)
        } else {
            None
        };
        let counted = match (&request, &target) {
            (Some(request), Some(target)) if asks_provider => self.count(request, target, &toll).await?,
            (Some(request), _) => counted_here(Countable::of(request), used).await,
            (None, _) if is_there("prompt") => {
                let texts = texts_of(members.get("prompt"));
                let texts = texts.ok_or_else(|| Rejection::invalid(path, "prompt", "expected text"))?;
                counted_here(Countable::of_texts(texts), used).await
            }
            (None, _) => {
                let words = "prompt or messages or contents must be provided";
                return Err(Rejection::invalid(path, "messages", words));
            }
        };
        let told = json!({
            "total_tokens": counted.count.tokens,
            "request_model": model,
            "model_used": used,
            "tokenizer_type": counted.tokenizer(),
            "count_source": counted.source(),
            "original_response": counted.by_provider.map(|_| json!({"input_tokens": counted.count.tokens})),
            "error": false,
            "error_message": null,
            "status_code": null,
        });
        Ok(self.reply(told.to_string(), &toll))
    }

    /// Lets it in by the limits of everybody whom a call of this group would be charged to.
    fn enter(&self, group: &str) -> Result<CountToll, Rejection> {
        CountToll::enter(self.worker.gateway.ledger(), self.snapshot, (self.call, &self.wish), group)
    }

    fn reply(&self, body: impl Into<Bytes>, toll: &CountToll) -> Response<GatewayBody> {
        let mut response = json_response(body);
        response.headers_mut().extend(toll.headers(self.snapshot));
        response
    }

    /// One of the deployments that answer to a name that the caller may use.
    fn target(&self, model: &str) -> Option<Arc<Target>> {
        let gateway = &self.worker.gateway;
        let meant = self.snapshot.meant(&self.call.caller, model, gateway.ledger())?;
        let group = self.snapshot.group(gateway.metrics(), &meant)?;
        let may_see = |target: &&Arc<Target>| unmet(&self.requirements, &target.profile).is_none();
        let targets = group.targets();
        targets.iter().find(may_see).or_else(|| targets.first()).map(Arc::clone)
    }

    /// By the provider where it counts, else here. Nothing goes there for who has nothing left to spend, were it free.
    async fn count(
        &self,
        request: &ChatRequest,
        target: &Arc<Target>,
        toll: &CountToll,
    ) -> Result<Counted, Rejection> {
        let (ledger, payer) = (self.worker.gateway.ledger(), (&self.call.caller, &self.wish));
        let is_spent = Toll::is_spent(ledger, self.snapshot, payer, target.metrics.group());
        if is_spent || unmet(&self.requirements, &target.profile).is_some() {
            return Ok(counted_here(Countable::of(request), &target.model).await);
        }
        let by_provider = provider::name(target.speech);
        let betas = self.headers.get("anthropic-beta");
        match provider::count(self.worker, target, request, betas).await {
            Ok(tokens) => {
                toll.note(target, None);
                Ok(Counted { count: Count { tokens, is_exact: true }, by_provider })
            }
            Err(NoCount::Refused(rejection)) => {
                toll.note(target, Some(&rejection));
                Err(rejection)
            }
            Err(NoCount::Unavailable) => Ok(counted_here(Countable::of(request), &target.model).await),
        }
    }
}

/// Counts a conversation's tokens here.
pub(crate) async fn count_here(request: &ChatRequest, model: &str) -> u64 {
    counted_here(Countable::of(request), model).await.count.tokens
}

/// The most tokens that a conversation has: its count by the model's own vocabulary, else one for each byte of its text.
/// `None` where not all of it is text.
pub(crate) async fn most_here(request: &ChatRequest, model: &str) -> Option<u64> {
    let countable = Countable::of(request);
    let most = countable.tokens_max()?;
    let count = local::count(countable, model).await;
    Some(if count.is_exact { count.tokens } else { most })
}

async fn counted_here(countable: Countable, model: &str) -> Counted {
    Counted { count: local::count(countable, model).await, by_provider: None }
}

fn invalid(path: &str, error: &RequestError) -> Rejection {
    Rejection::invalid(path, &error.param, &error.message)
}

/// A request of Google's form within LiteLLM's.
fn contents_of(members: &serde_json::Map<String, Value>) -> Result<ChatRequest, RequestError> {
    const COUNTED: [&str; 3] = ["contents", "systemInstruction", "tools"];
    let members = COUNTED.iter().filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone())));
    let body: serde_json::Map<String, Value> = members.collect();
    gemini::decode_count_request(Value::Object(body).to_string().as_bytes())
}

/// A text, or several.
fn texts_of(prompt: Option<&Value>) -> Option<Vec<String>> {
    match prompt? {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Whether a route asks for a count.
pub(crate) fn serves(route: Route) -> bool {
    matches!(route, Route::TokenCounter | Route::MessagesCount | Route::GeminiCount)
}

/// In whose words a count's failures are told.
pub(crate) fn voice(route: Route) -> Option<Surface> {
    match route {
        Route::MessagesCount => Some(Surface::Messages),
        Route::GeminiCount => Some(Surface::GenerateContent),
        _ => None,
    }
}
