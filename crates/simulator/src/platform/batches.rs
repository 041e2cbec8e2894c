//! Batches: a file of requests in, a file of replies out.
//!
//! Owns: their rules, their course, the lines of both files. Leaves to others: each request's own check and reply
//! (`admission`, `answer`), files (`files`).
//!
//! **Invariant:** a batch is validating when made, in progress when first looked at, and complete from then on; every
//! line of its input has one line in its output or its error file.

use super::{About, Request, files, page};
use crate::admission;
use crate::answer;
use crate::ask::text_at;
use crate::compose::Ids;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai::check::spell;
use crate::reply::{Content, Making, Reply};
use crate::responses::check::metadata;
use crate::script::Facts;
use crate::shape::Shape::{Closed, Int, MapOf, ShortText, Text, Word};
use crate::shape::{self, Field, Keys, may, must, null};
use crate::surface::{Operation, route};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

/// Most requests of a batch here; the API takes 50,000.
const REQUESTS_MAX: usize = 2_000;
/// Most batches of a page.
const PAGE_MAX: usize = 100;
/// Seconds of the completion window.
const WINDOW_SECONDS: u64 = 86_400;

const ENDPOINTS: &[&str] = &[
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
];

const FIELDS: &[Field] = &[
    must("completion_window", Word(&["24h"])),
    must("endpoint", Word(ENDPOINTS)),
    must("input_file_id", Text),
    null("metadata", MapOf(&ShortText(512))),
    may(
        "output_expires_after",
        Closed(&[must("anchor", Word(&["created_at"])), must("seconds", Int(3_600, 2_592_000))]),
    ),
];

/// A kept batch.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    object: Value,
    /// What it will have when it is complete.
    outcome: Value,
}

/// Checks a body.
pub(super) fn check(about: &About<'_>) -> Result<(), ApiError> {
    let object = about.body.as_object().cloned().unwrap_or_default();
    if let Some(violation) = shape::check(&object, FIELDS, Keys::Exact).first() {
        return Err(spell(violation));
    }
    metadata(about.body, "metadata")?;
    let id = text_at(about.body, "input_file_id");
    let Some(file) = about.state.files.get(about.owner, id) else {
        return Err(ApiError::bad_request(format!("No such File object: {id}"))
            .param("input_file_id")
            .code("invalid_value"));
    };
    if file.purpose() != "batch" {
        let message =
            format!("Invalid purpose of file '{id}': expected 'batch', but got '{}'.", file.purpose());
        return Err(ApiError::bad_request(message).param("input_file_id").code("invalid_value"));
    }
    Ok(())
}

/// Makes a batch and does its work.
pub(super) fn create(about: &About<'_>, request: Request<'_>, making: &mut Making<'_>) -> Value {
    let body = about.body;
    let (id, now) = (making.ids.hex("batch_", 32), making.created);
    let endpoint = text_at(body, "endpoint");
    let object = json!({
        "id": id,
        "object": "batch",
        "endpoint": endpoint,
        "errors": null,
        "input_file_id": text_at(body, "input_file_id"),
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": null,
        "error_file_id": null,
        "created_at": now,
        "in_progress_at": null,
        "expires_at": now + WINDOW_SECONDS,
        "finalizing_at": null,
        "completed_at": null,
        "failed_at": null,
        "expired_at": null,
        "cancelling_at": null,
        "cancelled_at": null,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata").cloned().unwrap_or_default(),
    });
    let content = about.state.files.get(about.owner, text_at(body, "input_file_id"));
    let lines = content.map(|file| read_lines(&file.content, endpoint)).unwrap_or_else(|| Ok(Vec::new()));
    let outcome = match lines {
        Err(errors) => {
            json!({"status": "failed", "failed_at": now, "errors": {"object": "list", "data": errors}})
        }
        Ok(lines) => work(about, request, &lines, making),
    };
    about.state.batches.add(about.owner, &id, Batch { object: object.clone(), outcome });
    object
}

/// The requests of a file; or what is wrong with its lines.
fn read_lines(content: &Bytes, endpoint: &str) -> Result<Vec<Value>, Vec<Value>> {
    let mut lines: Vec<Value> = Vec::new();
    let mut errors = Vec::new();
    let mut fault = |line: usize, code: &str, message: String, param: Option<&str>| {
        errors.push(json!({"code": code, "message": message, "param": param, "line": line}));
    };
    let texts = content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    for (index, text) in texts.enumerate() {
        let number = index + 1;
        let Ok(line) = serde_json::from_slice::<Value>(text) else {
            fault(number, "invalid_json_line", "This line is not parseable as valid JSON.".to_owned(), None);
            continue;
        };
        let custom_id = text_at(&line, "custom_id");
        if custom_id.is_empty() {
            fault(
                number,
                "missing_required_parameter",
                "Missing required parameter: 'custom_id'.".to_owned(),
                Some("custom_id"),
            );
        } else if lines.iter().any(|other| text_at(other, "custom_id") == custom_id) {
            let message = format!("The custom_id '{custom_id}' is duplicated.");
            fault(number, "duplicate_custom_id", message, Some("custom_id"));
        } else if text_at(&line, "method") != "POST" {
            fault(number, "invalid_method", "The method must be 'POST'.".to_owned(), Some("method"));
        } else if text_at(&line, "url") != endpoint {
            let message = "The URL provided for this request does not match the batch endpoint.".to_owned();
            fault(number, "mismatched_endpoint", message, Some("url"));
        } else if !line.get("body").is_some_and(Value::is_object) {
            fault(
                number,
                "missing_required_parameter",
                "Missing required parameter: 'body'.".to_owned(),
                Some("body"),
            );
        }
        lines.push(line);
    }
    if lines.is_empty() {
        fault(0, "empty_batch", "The batch has no requests.".to_owned(), None);
    } else if lines.len() > REQUESTS_MAX {
        fault(0, "too_many_tasks", format!("A batch has at most {REQUESTS_MAX} requests."), None);
    }
    if errors.is_empty() { Ok(lines) } else { Err(errors) }
}

/// Answers every request; the outcome of the batch.
fn work(about: &About<'_>, request: Request<'_>, lines: &[Value], making: &mut Making<'_>) -> Value {
    let (mut good, mut bad) = (String::new(), String::new());
    let (mut completed, mut failed) = (0, 0);
    let mut input = 0;
    let mut output = 0;
    for line in lines {
        let (reply, tokens) = one(request, line, making.ids);
        let body = match &reply.content {
            Content::Whole(bytes) => serde_json::from_slice::<Value>(bytes).unwrap_or_default(),
            Content::Events(_) => Value::Null,
        };
        let written = json!({
            "id": making.ids.hex("batch_req_", 32),
            "custom_id": text_at(line, "custom_id"),
            "response": {"status_code": reply.status, "request_id": making.ids.hex("", 32), "body": body},
            "error": null,
        });
        if reply.status < 400 {
            good.push_str(&format!("{written}\n"));
            completed += 1;
            (input, output) = (input + tokens.0, output + tokens.1);
        } else {
            bad.push_str(&format!("{written}\n"));
            failed += 1;
        }
    }
    let now = making.created;
    let mut file = |suffix: &str, text: String| {
        let name = format!("batch_{suffix}.jsonl");
        let kept = (!text.is_empty())
            .then(|| files::keep(about, making.ids, now, (&name, "batch_output"), text.into()));
        kept.map(|object| text_at(&object, "id").to_owned())
    };
    let (output_file, error_file) = (file("output", good), file("error", bad));
    json!({
        "status": "completed",
        "output_file_id": output_file,
        "error_file_id": error_file,
        "in_progress_at": now,
        "finalizing_at": now,
        "completed_at": now,
        "request_counts": {"total": lines.len(), "completed": completed, "failed": failed},
        "usage": {
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input + output,
        },
    })
}

/// Answers one request as if it had come by itself.
fn one(request: Request<'_>, line: &Value, ids: &mut Ids) -> (Reply, (u64, u64)) {
    let body = line.get("body").cloned().unwrap_or_default();
    let asked = as_asked(request.asked, text_at(line, "url"), body);
    let refused = |error: &ApiError| (answer::error_reply(&asked, error, ""), (0, 0));
    if asked.json.get("stream").is_some_and(|stream| stream != &Value::Bool(false)) {
        return refused(&ApiError::bad_request("Streaming is not supported in a batch.").param("stream"));
    }
    let facts = Facts {
        surface: asked.surface(),
        model: &asked.model,
        deployment: asked.route.deployment.as_deref(),
        credential: asked.credential.as_deref(),
    };
    let behaviour = match request.shared.script.decide(&facts) {
        Ok((behaviour, _)) => behaviour,
        Err(error) => {
            return refused(&ApiError::new(404, format!("The model name is not understood at {error}.")));
        }
    };
    if let Err(error) = admission::check(request.shared, &asked, &behaviour) {
        return refused(&error);
    }
    let answered = answer::answer(request.shared, &asked, &behaviour, ids);
    (answered.reply, answered.tokens)
}

fn as_asked(of: &Asked, url: &str, body: Value) -> Asked {
    let mut head = of.head.clone();
    head.method = Method::POST;
    head.uri = url.parse().unwrap_or_default();
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let bytes = Bytes::from(body.to_string());
    let mut route = route(&head.method, head.uri.path(), &head.headers);
    route.surface = of.route.surface;
    route.deployment.clone_from(&of.route.deployment);
    let json = match route.operation {
        Some(Operation::Platform(op)) => super::read_body(op, &head.headers, &bytes),
        _ => body,
    };
    let model = text_at(&json, "model").to_owned();
    Asked { head, body: bytes, json, route, model, credential: of.credential.clone() }
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(404, format!("No batch found with id '{id}'.")).code("")
}

fn put(object: &mut Value, fields: &Value) {
    if let (Some(object), Some(fields)) = (object.as_object_mut(), fields.as_object()) {
        object.extend(fields.clone());
    }
}

/// A kept batch, which gets on each time.
pub(super) fn get(about: &About<'_>, now: u64) -> Result<Value, ApiError> {
    let id = about.id(0);
    let seen = about.state.batches.change(about.owner, id, |batch| {
        match text_at(&batch.object, "status") {
            "validating" if text_at(&batch.outcome, "status") == "failed" => {
                put(&mut batch.object, &batch.outcome);
            }
            "validating" => {
                let counts = batch.outcome.get("request_counts").and_then(|counts| counts.get("total"));
                let counts = json!({"total": counts, "completed": 0, "failed": 0});
                put(
                    &mut batch.object,
                    &json!({"status": "in_progress", "in_progress_at": now, "request_counts": counts}),
                );
            }
            "in_progress" => put(&mut batch.object, &batch.outcome),
            "cancelling" => put(&mut batch.object, &json!({"status": "cancelled", "cancelled_at": now})),
            _ => {}
        }
        batch.object.clone()
    });
    seen.ok_or_else(|| not_found(id))
}

/// Cancels a batch that is not over.
pub(super) fn cancel(about: &About<'_>, now: u64) -> Result<Value, ApiError> {
    let id = about.id(0);
    let cancelled = about.state.batches.change(about.owner, id, |batch| {
        let status = text_at(&batch.object, "status");
        if !["validating", "in_progress"].contains(&status) {
            return Err(ApiError::new(409, format!("Cannot cancel a batch with status '{status}'.")).code(""));
        }
        put(&mut batch.object, &json!({"status": "cancelling", "cancelling_at": now}));
        Ok(batch.object.clone())
    });
    cancelled.ok_or_else(|| not_found(id))?
}

/// A page of batches.
pub(super) fn list(about: &About<'_>) -> Result<Value, ApiError> {
    let batches = about.state.batches.list(about.owner);
    page(batches.into_iter().map(|batch| batch.object).collect(), about.query, PAGE_MAX)
}
