//! Whether a provider would take a request at all.
//!
//! Owns: the order of the checks before a body is looked at, and which body rules apply. Leaves to others: the rules
//! of a body (the surfaces' `check` modules), limits (`limits`).
//!
//! **Invariant:** a request without a good credential learns nothing but that.

use crate::anthropic;
use crate::azure::{self, Credential};
use crate::behaviour::Behaviour;
use crate::clouds::Op;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::gemini;
use crate::openai::check::{Kind, ModelIn};
use crate::openai::{self, bearer};
use crate::platform;
use crate::server::Shared;
use crate::surface::{Operation, Surface, query_value};
use crate::wire::{self, Trouble, Wire};
use http::Method;
use http::request::Parts;
use serde_json::Value;

/// The credential of a request, wherever its surface wants it.
pub(crate) fn credential(surface: Surface, head: &Parts) -> Option<String> {
    let headers = &head.headers;
    match surface {
        Surface::OpenAi => bearer(headers).map(str::to_owned),
        Surface::Azure => Credential::of(headers).map(|credential| credential.text().to_owned()),
        Surface::Anthropic => anthropic::credential(headers).map(str::to_owned),
        Surface::Gemini => gemini::credential(headers, head.uri.query().unwrap_or_default()),
        Surface::Entra => None,
        other => wire::of(other).and_then(|wire| wire.credential(headers)),
    }
}

/// The refusal of a body that is too large.
pub(crate) fn too_large(surface: Surface) -> ApiError {
    if let Some(wire) = wire::of(surface) {
        return wire.error(Trouble::TooLarge);
    }
    ApiError::new(413, "Request exceeds the maximum allowed number of bytes.")
}

/// Checks a request up to its body's last field.
pub(crate) fn check(shared: &Shared, asked: &Asked, behaviour: &Behaviour) -> Result<(), ApiError> {
    if let Some(wire) = wire::of(asked.surface()) {
        return check_wire(wire, shared, asked, behaviour);
    }
    check_credential(shared, asked)?;
    let Some(operation) = asked.route.operation else { return Err(no_route(asked)) };
    if asked.head.method != operation.method() {
        return Err(wrong_method(asked));
    }
    match asked.surface() {
        Surface::Azure => {
            let version = query_value(asked.query(), "api-version");
            azure::check_version(version.as_deref(), asked.head.uri.path().contains("/openai/v1/"))?;
        }
        Surface::Anthropic => {
            anthropic::version(&asked.head.headers)?;
        }
        _ => {}
    }
    if let Operation::Platform(op) = operation {
        return platform::check(shared, asked, op, behaviour);
    }
    if let Operation::Cloud(op) = operation
        && op != Op::CreateBatch
    {
        return Ok(());
    }
    if operation.method() == Method::GET || operation == Operation::Token {
        return Ok(());
    }
    check_json(asked)?;
    if behaviour.lenient { Ok(()) } else { check_body(asked, operation) }
}

/// The same, in the words of a wire.
fn check_wire(
    wire: &dyn Wire,
    shared: &Shared,
    asked: &Asked,
    behaviour: &Behaviour,
) -> Result<(), ApiError> {
    wire.check_credential(shared, asked)?;
    let Some(operation) = asked.route.operation else {
        return Err(wire.error(Trouble::NoRoute { path: asked.head.uri.path() }));
    };
    if asked.head.method != operation.method() {
        return Err(wire.error(Trouble::WrongMethod { method: asked.head.method.as_str() }));
    }
    let token = matches!(operation, Operation::Token | Operation::Cloud(Op::MetadataToken));
    let bare = operation.method() == Method::GET || token || operation == Operation::CancelPrediction;
    if !bare && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&asked.body) {
        return Err(wire.error(Trouble::NotJson { reason: &error.to_string() }));
    }
    if behaviour.lenient { Ok(()) } else { wire.check(asked, operation) }
}

/// Whether a key is one of the good ones.
pub(crate) fn is_good(shared: &Shared, key: &str) -> bool {
    shared.script.read(|script| match &script.keys {
        Some(keys) => keys.iter().any(|good| good == key),
        None => !key.contains("invalid"),
    })
}

fn check_credential(shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
    let surface = asked.surface();
    if surface == Surface::Entra {
        return Ok(());
    }
    let Some(key) = asked.credential.as_deref() else {
        return Err(match surface {
            Surface::Azure => azure::denied(),
            Surface::Anthropic => anthropic::missing_key(),
            Surface::Gemini => gemini::missing_key(),
            _ => openai::missing_key(),
        });
    };
    if surface == Surface::Azure
        && let Some(Credential::Bearer(token)) = Credential::of(&asked.head.headers)
        && shared.script.read(|script| script.entra.is_some())
    {
        return if shared.issued.is_good(token) { Ok(()) } else { Err(azure::bad_token()) };
    }
    let is_session = asked.route.operation == Some(Operation::Platform(platform::Op::Realtime));
    if is_good(shared, key) || (is_session && shared.platform.is_secret(key)) {
        return Ok(());
    }
    Err(match surface {
        Surface::Azure => azure::denied(),
        Surface::Anthropic => anthropic::wrong_key(),
        Surface::Gemini => gemini::wrong_key(),
        _ => openai::wrong_key(key),
    })
}

pub(crate) fn no_route(asked: &Asked) -> ApiError {
    let path = asked.head.uri.path();
    match asked.surface() {
        Surface::Azure => ApiError::new(404, "Resource not found").of_gateway(),
        Surface::Anthropic => ApiError::new(404, format!("Not found: {path}")),
        Surface::Gemini => ApiError::new(404, format!("Requested entity was not found: {path}")),
        _ => ApiError::new(404, format!("Invalid URL ({} {path})", asked.head.method)).code(""),
    }
}

fn wrong_method(asked: &Asked) -> ApiError {
    let method = &asked.head.method;
    ApiError::new(405, format!("Not allowed to {method} on {}.", asked.head.uri.path()))
        .code(if asked.surface() == Surface::OpenAi { "method_not_supported" } else { "" })
}

pub(crate) fn check_json(asked: &Asked) -> Result<(), ApiError> {
    let surface = asked.surface();
    if matches!(surface, Surface::OpenAi | Surface::Azure) {
        let given = asked.head.headers.get(http::header::CONTENT_TYPE);
        let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !given.to_ascii_lowercase().starts_with("application/json") {
            return Err(ApiError::new(
                415,
                format!(
                    "Unsupported content type: '{given}'. This API method only accepts 'application/json' requests, \
                     but you specified the header 'Content-Type: {given}'. Please try again with a supported content \
                     type."
                ),
            )
            .code("unsupported_content_type"));
        }
    }
    let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&asked.body) else { return Ok(()) };
    Err(ApiError::bad_request(match surface {
        Surface::Anthropic => format!("The request body is not valid JSON: {error}"),
        Surface::Gemini => format!("Invalid JSON payload received. {error}"),
        _ => "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP \
              library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
            .to_owned(),
    }))
}

fn check_body(asked: &Asked, operation: Operation) -> Result<(), ApiError> {
    let (body, model): (&Value, &str) = (&asked.json, &asked.model);
    let model_in = if asked.route.subject.is_some() { ModelIn::Path } else { ModelIn::Body };
    match operation {
        Operation::Chat => openai::check::check(body, Kind::Chat, model_in, model),
        Operation::Completion => openai::check::check(body, Kind::Completion, model_in, model),
        Operation::Embedding => openai::check::check(body, Kind::Embedding, model_in, model),
        Operation::Messages => {
            anthropic::check_betas(body, &asked.head.headers)?;
            anthropic::check::check(body, anthropic::version(&asked.head.headers)?)
        }
        Operation::CountTokens if asked.surface() == Surface::Anthropic => {
            anthropic::check_betas(body, &asked.head.headers)?;
            anthropic::check::check_count(body, anthropic::version(&asked.head.headers)?)
        }
        Operation::CountTokens => gemini::check::check_count(body),
        Operation::Generate | Operation::StreamGenerate => gemini::check::check_generate(body, model),
        Operation::EmbedContent => gemini::check::check_embed(body),
        Operation::Cloud(_) => anthropic::batches::check(asked),
        Operation::BatchEmbedContents => gemini::check::check_embed_many(body, model),
        _ => Ok(()),
    }
}
