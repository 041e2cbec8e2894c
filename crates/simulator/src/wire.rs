//! A provider's API as one object: what the further providers have in common.
//!
//! Owns: [`Wire`], the list of wires, and which path is whose. Leaves to others: the rules and shapes of each provider
//! (its own module); the order in which they are applied (`admission`, `answer`).
//!
//! **Invariant:** every wire serves its routes below a base path of its surface's name (`/mistral/v1/chat/completions`).
//! Of two wires at most one owns a path without that base.

use crate::admission;
use crate::ask::{Ask, text_at};
use crate::aws;
use crate::bedrock;
use crate::behaviour::Behaviour;
use crate::cohere;
use crate::databricks;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::huggingface;
use crate::mistral;
use crate::ollama;
use crate::openai::bearer;
use crate::replicate;
use crate::reply::{Event, Making, Reply};
use crate::rerank;
use crate::server::Shared;
use crate::surface::{Operation, Route, Surface};
use crate::vertex;
use crate::watsonx;
use http::{HeaderMap, Method};
use serde_json::Value;

/// What a path asks for, and the model that it names.
pub(crate) type Found = (Operation, Option<String>);

/// What is wrong with a request, for a provider to put into its own words.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble<'a> {
    MissingKey,
    WrongKey,
    NoRoute { path: &'a str },
    WrongMethod { method: &'a str },
    NotJson { reason: &'a str },
    TooLarge,
    ContextWindow { tokens: u64, window: u64 },
    ContentPolicy,
    Quota,
    RateLimited,
    Status { code: u16, model: &'a str },
}

impl Trouble<'_> {
    /// The status that most providers answer with.
    pub(crate) fn status(self) -> u16 {
        match self {
            Trouble::MissingKey | Trouble::WrongKey => 401,
            Trouble::NoRoute { .. } => 404,
            Trouble::WrongMethod { .. } => 405,
            Trouble::NotJson { .. } | Trouble::ContextWindow { .. } | Trouble::ContentPolicy => 400,
            Trouble::TooLarge => 413,
            Trouble::Quota | Trouble::RateLimited => 429,
            Trouble::Status { code, .. } => code,
        }
    }

    /// A sentence that says it, for what a provider has no published words for.
    pub(crate) fn sentence(self) -> String {
        match self {
            Trouble::MissingKey => "no API key was supplied".to_owned(),
            Trouble::WrongKey => "invalid API key".to_owned(),
            Trouble::NoRoute { path } => format!("{path} was not found"),
            Trouble::WrongMethod { method } => format!("method {method} is not allowed"),
            Trouble::NotJson { reason } => format!("the request body is not valid JSON: {reason}"),
            Trouble::TooLarge => "the request body is too large".to_owned(),
            Trouble::ContextWindow { tokens, window } => {
                format!("too many tokens: the prompt has {tokens} and the model's context has {window}")
            }
            Trouble::ContentPolicy => "the request was blocked by the content policy".to_owned(),
            Trouble::Quota => "the quota of this account is used up".to_owned(),
            Trouble::RateLimited => "the rate limit was exceeded, please try again later".to_owned(),
            Trouble::Status { code, model } => match code {
                404 => format!("model '{model}' not found"),
                408 | 504 => "the request timed out".to_owned(),
                429 => "too many requests".to_owned(),
                503 | 529 => "the service is overloaded, please try again later".to_owned(),
                500.. => "internal server error".to_owned(),
                _ => "the request was refused".to_owned(),
            },
        }
    }
}

/// A request that was taken, with all that its reply depends on beside the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) asked: &'a Asked,
    pub(crate) ask: &'a Ask,
    pub(crate) behaviour: &'a Behaviour,
}

impl Turn<'_> {
    /// The request's body.
    pub(crate) fn body(&self) -> &Value {
        &self.asked.json
    }

    /// What the request asks for; a request without a route has no turn.
    pub(crate) fn operation(&self) -> Operation {
        self.asked.route.operation.unwrap_or(Operation::Chat)
    }
}

/// A provider's API.
pub(crate) trait Wire: Sync {
    /// The surface that it is.
    fn surface(&self) -> Surface;

    /// What a path, without the provider's base path, asks for.
    fn route(&self, method: &Method, path: &str) -> Option<Found>;

    /// Whether the path is this provider's without its base path too.
    fn owns(&self, path: &str) -> bool;

    /// The credential of a request.
    fn credential(&self, headers: &HeaderMap) -> Option<String> {
        bearer(headers).map(str::to_owned)
    }

    /// The model that a request is for.
    fn model(&self, _shared: &Shared, route: &Route, body: &Value) -> String {
        route.subject.clone().unwrap_or_else(|| text_at(body, "model").to_owned())
    }

    /// The behaviour of a request that only goes on with an earlier one, and so meets no rule of its own.
    fn settled(&self, _shared: &Shared, _asked: &Asked) -> Option<Behaviour> {
        None
    }

    /// Whether faults of transport are kept for a later request.
    fn spares(&self, _asked: &Asked) -> bool {
        false
    }

    /// Checks who asks; a token endpoint is open.
    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        if asked.route.operation == Some(Operation::Token) {
            return Ok(());
        }
        match asked.credential.as_deref() {
            None => Err(self.error(Trouble::MissingKey)),
            Some(key) if admission::is_good(shared, key) => Ok(()),
            Some(_) => Err(self.error(Trouble::WrongKey)),
        }
    }

    /// Checks the query and the body of a request whose route and credential are good.
    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError>;

    /// Reads what a request asks for.
    fn read(&self, asked: &Asked) -> Ask;

    /// The reply to a request that was taken.
    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError>;

    /// The provider's error for a trouble.
    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        ApiError::new(trouble.status(), trouble.sentence())
    }

    /// The body of an error.
    fn error_body(&self, error: &ApiError, request_id: &str) -> Value;

    /// The frame that ends a stream with an error.
    fn error_event(&self, error: &ApiError) -> Event;

    /// The same, where it depends on how the stream was asked for.
    fn error_event_for(&self, _asked: &Asked, error: &ApiError) -> Event {
        self.error_event(error)
    }

    /// The whole reply of an error, where it is more than JSON under a status.
    fn error_reply(&self, _asked: &Asked, _error: &ApiError, _request_id: &str) -> Option<Reply> {
        None
    }

    /// Adds the headers that the provider sends with every reply.
    fn headers(&self, reply: Reply, _request_id: &str) -> Reply {
        reply
    }
}

/// Every wire.
static WIRES: &[&dyn Wire] = &[
    // A container's keys lie below `/v2/`, the rest of which is Cohere's.
    &aws::AwsKeys,
    &aws::sagemaker::SageMaker,
    &bedrock::Bedrock,
    &vertex::tokens::GoogleTokens,
    &vertex::Vertex,
    &cohere::Cohere,
    &rerank::JINA,
    &rerank::VOYAGE,
    &rerank::TOGETHER,
    &rerank::INFINITY,
    &ollama::Ollama,
    &mistral::Mistral,
    &huggingface::HuggingFace,
    &databricks::Databricks,
    &watsonx::Watsonx,
    &replicate::Replicate,
];

/// The wire of a surface; `None` for those that have modules of their own in every stage.
pub(crate) fn of(surface: Surface) -> Option<&'static dyn Wire> {
    WIRES.iter().copied().find(|wire| wire.surface() == surface)
}

/// Whose a path is: by its base path, or because it is one wire's own.
pub(crate) fn route(method: &Method, path: &str) -> Option<(Surface, Option<Operation>, Option<String>)> {
    let found = |wire: &'static dyn Wire, path: &str| {
        let (operation, subject) =
            wire.route(method, path).map_or((None, None), |(operation, subject)| (Some(operation), subject));
        (wire.surface(), operation, subject)
    };
    let based = WIRES.iter().find_map(|wire| {
        let rest = path.strip_prefix('/')?.strip_prefix(wire.surface().name())?;
        rest.starts_with('/').then(|| found(*wire, rest))
    });
    based.or_else(|| WIRES.iter().find(|wire| wire.owns(path)).map(|wire| found(*wire, path)))
}
