//! Google's Vertex AI: Gemini with its differences, Claude as a raw prediction, predictions, and OpenAI's chat.
//!
//! Owns: its routes, who may call, what differs from the Gemini API. Leaves to others: what both have (`gemini`),
//! Anthropic's rules and replies (`anthropic`), embeddings and images (`predict`), access tokens (`tokens`).
//!
//! **Invariant:** only a bearer token opens it: one that the token services gave out and that has not ended, or a web
//! token that the service account signed for it.

mod predict;
mod tables;
pub(crate) mod tokens;

use crate::admission;
use crate::answer::framing;
use crate::anthropic::{self, Version};
use crate::ask::{Ask, flag_at, text_at};
use crate::aws::{date, now};
use crate::clouds::Op;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::gemini::{self, get, items, reply::Framing};
use crate::jwt;
use crate::openai::check::{Kind, ModelIn};
use crate::openai::{self, bearer, reply::Wanted};
use crate::reply::{Event, JSON, Making, Reply, Role};
use crate::server::Shared;
use crate::surface::{Operation, Surface, percent_decode, query_value};
use crate::tokens::Standing;
use crate::wire::{Found, Trouble, Turn, Wire};
use http::Method;
use serde_json::{Value, json};

/// Vertex AI.
#[derive(Debug)]
pub(crate) struct Vertex;

/// A project whose name has this word in it is closed to the simulated account.
const DENIED: &str = "denied";
/// The model whose prediction is a count of Claude's tokens.
const COUNT_TOKENS: &str = "count-tokens";
const LEARN_MORE: &str =
    "Learn more: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/gemini";

/// `projects/{project}/locations/{location}/{rest}`
struct Resource<'a> {
    project: &'a str,
    location: &'a str,
    rest: &'a str,
}

fn resource(path: &str) -> Option<Resource<'_>> {
    let at = path
        .find("/v1/projects/")
        .map(|at| at + 4)
        .or_else(|| path.find("/v1beta1/projects/").map(|at| at + 9))?;
    let (project, rest) = path.get(at..)?.strip_prefix("projects/")?.split_once("/locations/")?;
    let (location, rest) = rest.split_once('/')?;
    Some(Resource { project, location, rest })
}

impl Wire for Vertex {
    fn surface(&self) -> Surface {
        Surface::Vertex
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let rest = resource(path)?.rest;
        if rest == "endpoints/openapi/chat/completions" {
            return Some((Operation::Chat, None));
        }
        let (publisher, rest) = rest.strip_prefix("publishers/")?.split_once("/models/")?;
        let (model, method) = rest.rsplit_once(':')?;
        let operation = match (publisher, method) {
            ("google", "generateContent") => Operation::Generate,
            ("google", "streamGenerateContent") => Operation::StreamGenerate,
            ("google", "countTokens") => Operation::CountTokens,
            ("google", "predict") => Operation::Cloud(Op::Predict),
            ("anthropic", "rawPredict") => Operation::Cloud(Op::RawPredict),
            ("anthropic", "streamRawPredict") => Operation::Cloud(Op::StreamRawPredict),
            _ => return None,
        };
        Some((operation, Some(percent_decode(model))))
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/v1/projects/") || path.starts_with("/v1beta1/projects/")
    }

    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        let headers = &asked.head.headers;
        let Some(token) = bearer(headers) else {
            let key = headers.contains_key("x-goog-api-key") || query_value(asked.query(), "key").is_some();
            return Err(if key { no_api_keys() } else { missing_token() });
        };
        let listed = shared.script.read(|script| script.keys.is_some()) && admission::is_good(shared, token);
        match shared.clouds.google_tokens.standing(token) {
            Standing::Good => {}
            _ if listed || is_self_signed(token) => {}
            standing => return Err(bad_token(standing)),
        }
        match resource(asked.head.uri.path()) {
            Some(resource) if resource.project.contains(DENIED) => Err(no_permission(&resource)),
            _ => Ok(()),
        }
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        let (body, model) = (&asked.json, asked.model.as_str());
        match operation {
            Operation::Generate | Operation::StreamGenerate => generate(body, model).map_err(reworded),
            Operation::CountTokens => {
                gemini::check::fields(body, tables::COUNT)?;
                if items(body, "contents").is_empty() && items(body, "instances").is_empty() {
                    return Err(ApiError::bad_request(format!(
                        "Unable to submit request because at least one contents field is required. {LEARN_MORE}"
                    )));
                }
                roles(body)
            }
            Operation::Cloud(Op::Predict) => predict::check(body, model),
            Operation::Chat => {
                let (publisher, _) = text_at(body, "model").split_once('/').unwrap_or_default();
                if publisher.is_empty() {
                    return Err(ApiError::bad_request(format!(
                        "Malformed publisher model `{}`: expected `publisher/model`.",
                        text_at(body, "model")
                    )));
                }
                openai::check::check(body, Kind::Chat, ModelIn::Body, text_at(body, "model"))
            }
            _ => {
                let streams = operation == Operation::Cloud(Op::StreamRawPredict);
                let (inner, version) = claude(body, model, streams)?;
                if model == COUNT_TOKENS {
                    anthropic::check::check_count(&inner, version)
                } else {
                    anthropic::check::check(&inner, version)
                }
            }
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let (body, model) = (&asked.json, asked.model.as_str());
        match asked.route.operation {
            Some(Operation::Generate) => gemini::read(body, model, false),
            Some(Operation::StreamGenerate) => gemini::read(body, model, true),
            Some(Operation::Chat) => openai::read_chat(body, model),
            Some(Operation::Cloud(Op::Predict)) => {
                Ask { prompt_tokens: predict::prompt_tokens(body), ..Ask::default() }
            }
            Some(Operation::Cloud(_)) => Ask { model: plain_name(model).to_owned(), ..anthropic::read(body) },
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let (body, ask) = (turn.body(), turn.ask);
        Ok(match turn.operation() {
            Operation::Generate => {
                let mut content = gemini::reply::content(ask, making);
                finish(&mut content, true);
                Reply::json(&content)
            }
            Operation::StreamGenerate => stream(turn, making),
            Operation::CountTokens => {
                let tokens = gemini::count_tokens(body);
                Reply::json(&json!({
                    "totalTokens": tokens,
                    "totalBillableCharacters": tokens * 4,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
                }))
            }
            Operation::Cloud(Op::Predict) => Reply::json(&predict::reply(body, &turn.asked.model)),
            Operation::Chat if ask.stream => {
                Reply::events(openai::reply::chat_events(Wanted::new(ask, body), making))
            }
            Operation::Chat => Reply::json(&openai::reply::chat(Wanted::new(ask, body), making)),
            _ if turn.asked.model == COUNT_TOKENS => {
                Reply::json(&anthropic::reply::token_count(ask.prompt_tokens))
            }
            Operation::Cloud(Op::StreamRawPredict) => {
                Reply::events(anthropic::reply::events(&ask.model, making))
            }
            _ => Reply::json(&anthropic::reply::message(&ask.model, making)),
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let message = match trouble {
            Trouble::NotJson { reason } => format!("Invalid JSON payload received. {reason}"),
            Trouble::ContextWindow { tokens, window } => format!(
                "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window})."
            ),
            Trouble::ContentPolicy => {
                "The prompt could not be submitted. This prompt contains sensitive words that violate Google's \
                 Responsible AI practices. Try rephrasing the prompt."
                    .to_owned()
            }
            Trouble::Quota | Trouble::RateLimited | Trouble::Status { code: 429, .. } => {
                "Resource exhausted. Please try again later. Please refer to \
                 https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
                    .to_owned()
            }
            Trouble::Status { code: 401, .. } => return bad_token(Standing::Unknown),
            Trouble::Status { code: 404, model } => format!(
                "Publisher Model `publishers/google/models/{model}` was not found or your project does not have access \
                 to it. Please ensure you are using a valid model version. For more information, see: \
                 https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions"
            ),
            Trouble::Status { code: 500, .. } => "Internal error encountered.".to_owned(),
            Trouble::Status { code: 503, .. } => "The service is currently unavailable.".to_owned(),
            Trouble::Status { code: 529, .. } => "Overloaded".to_owned(),
            other => other.sentence(),
        };
        let google = matches!(
            trouble,
            Trouble::NoRoute { .. } | Trouble::WrongMethod { .. } | Trouble::NotJson { .. }
        );
        let error = ApiError::new(trouble.status(), message);
        if google { error.of_gateway() } else { error }
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        error.google_body()
    }

    fn error_reply(&self, asked: &Asked, error: &ApiError, request_id: &str) -> Option<Reply> {
        let of_claude =
            matches!(asked.route.operation, Some(Operation::Cloud(Op::RawPredict | Op::StreamRawPredict)));
        // Google's own gate answers before the model does.
        let of_gate = error.of_gateway || matches!(error.status, 401 | 403 | 404 | 429);
        let body = match asked.route.operation {
            _ if of_claude && !of_gate => error.body(Surface::Anthropic, request_id),
            Some(Operation::Chat) => json!([error.google_body()]),
            Some(Operation::StreamGenerate) if framing(asked) == Framing::Array => {
                json!([error.google_body()])
            }
            _ => error.google_body(),
        };
        let reply = Reply { status: error.status, ..Reply::json(&body) };
        Some(match &error.retry_after {
            Some(retry_after) => reply.header("retry-after", retry_after.clone()),
            None => reply,
        })
    }

    fn error_event(&self, error: &ApiError) -> Event {
        gemini::reply::error_event(&error.google_body(), Framing::Events)
    }

    fn error_event_for(&self, asked: &Asked, error: &ApiError) -> Event {
        match asked.route.operation {
            Some(Operation::Cloud(_)) => anthropic::reply::error_event(&error.body(Surface::Anthropic, "")),
            Some(Operation::Chat) => openai::reply::error_event(&error.google_body()),
            _ => gemini::reply::error_event(&error.google_body(), framing(asked)),
        }
    }

    fn headers(&self, reply: Reply, _request_id: &str) -> Reply {
        reply.header("vary", "Origin").header("server", "scaffolding on HTTPServer2")
    }
}

/// Whether a token is one that the service account signed for this very API.
fn is_self_signed(token: &str) -> bool {
    let Ok(claims) = jwt::verify(token, now()) else { return false };
    let audience = text_at(&claims, "aud");
    let meant = audience.starts_with("https://")
        && audience.trim_end_matches('/').ends_with("aiplatform.googleapis.com");
    let scoped = text_at(&claims, "scope").split(' ').any(|scope| scope.ends_with("/auth/cloud-platform"));
    text_at(&claims, "iss") == tokens::account_email() && (meant || scoped)
}

fn unauthenticated(message: &str, reason: &'static str) -> ApiError {
    let mut error = ApiError::new(401, message).of_gateway();
    error.details = Some(Box::new(json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "aiplatform.googleapis.com"},
    }])));
    error
}

fn missing_token() -> ApiError {
    unauthenticated(
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other \
         valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        "CREDENTIALS_MISSING",
    )
}

fn no_api_keys() -> ApiError {
    unauthenticated(
        "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that \
         assert a principal. See https://cloud.google.com/docs/authentication",
        "CREDENTIALS_MISSING",
    )
}

/// The refusal of a token that is not good.
fn bad_token(standing: Standing) -> ApiError {
    let reason =
        if standing == Standing::Ended { "ACCESS_TOKEN_EXPIRED" } else { "ACCESS_TOKEN_TYPE_UNSUPPORTED" };
    unauthenticated(
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        reason,
    )
}

fn no_permission(resource: &Resource<'_>) -> ApiError {
    let Resource { project, location, rest } = resource;
    let name = rest.split(':').next().unwrap_or_default();
    let resource = format!("projects/{project}/locations/{location}/{name}");
    let mut error = ApiError::new(
        403,
        format!(
            "Permission 'aiplatform.endpoints.predict' denied on resource '//aiplatform.googleapis.com/{resource}' (or \
             it may not exist)."
        ),
    )
    .of_gateway();
    error.details = Some(Box::new(json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "IAM_PERMISSION_DENIED",
        "domain": "aiplatform.googleapis.com",
        "metadata": {"resource": resource, "permission": "aiplatform.endpoints.predict"},
    }])));
    error
}

fn generate(body: &Value, model: &str) -> Result<(), ApiError> {
    gemini::check::check_members(body, model, tables::GENERATE)?;
    roles(body)?;
    let blobs = items(body, "contents").iter().flat_map(|content| items(content, "parts"));
    let files = blobs.filter_map(|part| get(part, "fileData"));
    if files.clone().any(|file| gemini::text(file, "mimeType").is_empty()) {
        return Err(ApiError::bad_request(format!(
            "Unable to submit request because it must have a mimeType parameter. Add a mimeType parameter and try \
             again. {LEARN_MORE}"
        )));
    }
    Ok(())
}

/// Every content says whose it is.
fn roles(body: &Value) -> Result<(), ApiError> {
    match items(body, "contents").iter().find(|content| gemini::text(content, "role").is_empty()) {
        Some(_) => Err(ApiError::bad_request("Please use a valid role: user, model.")),
        None => Ok(()),
    }
}

/// Vertex AI says in sentences what the Gemini API says by the name of a member.
fn reworded(error: ApiError) -> ApiError {
    match error.message.strip_prefix("* GenerateContentRequest.") {
        Some(what) => {
            let message = format!(
                "Unable to submit request because {}. {LEARN_MORE}",
                what.trim_end().trim_end_matches('.')
            );
            ApiError { message, ..error }
        }
        None => error,
    }
}

/// The body of a raw prediction as Anthropic's own API has it, and the version that it names.
fn claude(body: &Value, model: &str, streams: bool) -> Result<(Value, Version), ApiError> {
    let version = match body.get("anthropic_version").map(|version| version.as_str().unwrap_or_default()) {
        None => return Err(ApiError::bad_request("anthropic_version: Field required")),
        Some("vertex-2023-10-16") => Version::V2023,
        // The official package sends the API's own version since its major of that day.
        Some("2026-10-21") => Version::V2026,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "anthropic_version: \"{other}\" is not a valid version"
            )));
        }
    };
    let counts = model == COUNT_TOKENS;
    if !counts && body.get("model").is_some() {
        return Err(ApiError::bad_request("model: Extra inputs are not permitted"));
    }
    if streams != flag_at(body, "stream") {
        return Err(ApiError::bad_request(if streams {
            "stream: streamRawPredict wants `stream` to be true"
        } else {
            "stream: rawPredict does not stream, use streamRawPredict"
        }));
    }
    let mut inner = body.clone();
    if let Some(fields) = inner.as_object_mut() {
        fields.shift_remove("anthropic_version");
        if fields.shift_remove("anthropic_beta").is_some_and(|beta| !beta.is_array()) {
            return Err(ApiError::bad_request("anthropic_beta: Input should be a valid list"));
        }
        if !counts {
            fields.insert("model".to_owned(), json!(plain_name(model)));
        }
    }
    Ok((inner, version))
}

/// `claude-sonnet-4-5`, of `claude-sonnet-4-5@20250929`.
fn plain_name(model: &str) -> &str {
    model.split('@').next().unwrap_or(model)
}

/// Adds what every reply of Vertex AI has; token counts come in the last of a stream alone.
fn finish(content: &mut Value, last: bool) {
    let Some(fields) = content.as_object_mut() else { return };
    let traffic = json!("ON_DEMAND");
    match fields.get_mut("usageMetadata").and_then(Value::as_object_mut) {
        Some(usage) if last => {
            usage.insert("trafficType".to_owned(), traffic);
        }
        Some(usage) => {
            usage.clear();
            usage.insert("trafficType".to_owned(), traffic);
        }
        None => {}
    }
    let stamp = date::extended(now()).replace('Z', ".000000Z");
    fields.insert("createTime".to_owned(), json!(stamp));
}

/// A stream: its last chunk carries the reason to stop and the counts, and no text.
fn stream(turn: Turn<'_>, making: &mut Making<'_>) -> Reply {
    let mut chunks = gemini::reply::chunks(turn.ask, making);
    if let Some((role, last)) = chunks.pop() {
        let mut end = last.clone();
        for candidate in end.get_mut("candidates").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(content) = candidate.get_mut("content") {
                *content = json!({"role": "model", "parts": [{"text": ""}]});
            }
        }
        chunks.push((role, gemini::reply::without_finish(last)));
        chunks.push((Role::End, end));
    }
    for (role, chunk) in &mut chunks {
        finish(chunk, *role == Role::End);
    }
    let framing = framing(turn.asked);
    let reply = Reply::events(gemini::reply::framed(&chunks, framing));
    match framing {
        Framing::Events => reply,
        Framing::Array => Reply { content_type: JSON, ..reply },
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
