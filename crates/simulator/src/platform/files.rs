//! Files: uploaded, listed, read, deleted.
//!
//! Owns: their rules and objects. Leaves to others: forms (`form`), who uses a file (`batches`, `jobs`, `stores`).
//!
//! **Invariant:** a file's content is kept as long as the file is, and all of them together weigh at most
//! [`CONTENT_BYTES_MAX`]; the oldest goes first.

use super::{About, page};
use crate::ask::text_at;
use crate::compose::Ids;
use crate::error::ApiError;
use crate::openai::check::spell;
use crate::platform::{FILE, Form};
use crate::reply::{Content, Making, Reply};
use crate::shape::Shape::{Closed, Int, Object, Word};
use crate::shape::{self, Field, Keys, may, must};
use crate::surface::query_value;
use bytes::Bytes;
use serde_json::{Value, json};

/// Bytes of all files together.
const CONTENT_BYTES_MAX: usize = 256 << 20;
/// Most files of a page.
const PAGE_MAX: usize = 10_000;

const PURPOSES: &[&str] = &["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

const FIELDS: &[Field] = &[
    must("file", Closed(&[must(FILE, Object)])),
    must("purpose", Word(PURPOSES)),
    may(
        "expires_after",
        Closed(&[must("anchor", Word(&["created_at"])), must("seconds", Int(3_600, 2_592_000))]),
    ),
];

/// A kept file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) object: Value,
    pub(crate) content: Bytes,
}

impl File {
    pub(super) fn purpose(&self) -> &str {
        text_at(&self.object, "purpose")
    }

    pub(super) fn name(&self) -> &str {
        text_at(&self.object, "filename")
    }
}

/// Checks an upload.
pub(super) fn check(body: &Value, form: &Form) -> Result<(), ApiError> {
    let object = body.as_object().cloned().unwrap_or_default();
    if let Some(violation) = shape::check(&object, FIELDS, Keys::Exact).first() {
        return Err(spell(violation));
    }
    let Some(file) = form.files("file").first().copied() else { return Ok(()) };
    if file.body.is_empty() {
        return Err(ApiError::bad_request("File is empty.").param("file"));
    }
    let purpose = text_at(body, "purpose");
    if !["batch", "fine-tune"].contains(&purpose) {
        return Ok(());
    }
    if purpose == "batch" && !file.filename.as_deref().unwrap_or_default().ends_with(".jsonl") {
        return Err(ApiError::bad_request("Invalid file format for Batch API. Must be .jsonl").param("file"));
    }
    let lines = file.body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    for (index, line) in lines.enumerate() {
        if !serde_json::from_slice::<Value>(line).is_ok_and(|line| line.is_object()) {
            return Err(ApiError::bad_request(format!(
                "Expected file to have JSONL format, where every line is a valid JSON dictionary. Line {} is not a \
                 dictionary.",
                index + 1
            ))
            .param("file"));
        }
    }
    Ok(())
}

/// Keeps a file of any purpose, those of the provider itself too.
pub(super) fn keep(
    about: &About<'_>,
    ids: &mut Ids,
    created: u64,
    named: (&str, &str),
    content: Bytes,
) -> Value {
    let id = ids.next("file-", 22);
    let expires = about.body.pointer("/expires_after/seconds").map(|seconds| match seconds {
        Value::String(text) => text.parse().unwrap_or(0),
        number => number.as_u64().unwrap_or(0),
    });
    let object = json!({
        "id": id,
        "object": "file",
        "bytes": content.len(),
        "created_at": created,
        "filename": named.0,
        "purpose": named.1,
        "status": "processed",
        "expires_at": expires.map(|seconds: u64| created + seconds),
        "status_details": null,
    });
    about.state.files.add(about.owner, &id, File { object: object.clone(), content });
    about.state.files.lighten(|file| file.content.len(), CONTENT_BYTES_MAX);
    object
}

/// Keeps what was uploaded.
pub(super) fn upload(about: &About<'_>, making: &mut Making<'_>) -> Value {
    let file = about.form.and_then(|form| form.files("file").first().copied());
    let name = file.and_then(|file| file.filename.clone()).unwrap_or_default();
    let content = file.map(|file| file.body.clone()).unwrap_or_default();
    let purpose = text_at(about.body, "purpose").to_owned();
    keep(about, making.ids, making.created, (&name, &purpose), content)
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(404, format!("No such File object: {id}")).param("id").code("")
}

/// A kept file.
pub(super) fn get(about: &About<'_>, id: &str) -> Result<File, ApiError> {
    about.state.files.get(about.owner, id).ok_or_else(|| not_found(id))
}

/// A page of files, of one purpose when the query says so.
pub(super) fn list(about: &About<'_>) -> Result<Value, ApiError> {
    let purpose = query_value(about.query, "purpose");
    let files = about.state.files.list(about.owner).into_iter();
    let wanted = files.filter(|file| purpose.as_deref().is_none_or(|purpose| purpose == file.purpose()));
    page(wanted.map(|file| file.object).collect(), about.query, PAGE_MAX)
}

/// A file's content.
pub(super) fn content(about: &About<'_>) -> Result<Reply, ApiError> {
    let file = get(about, about.id(0))?;
    if ["assistants", "user_data", "vision"].contains(&file.purpose()) {
        let message = format!("Not allowed to download files of purpose: {}", file.purpose());
        return Err(ApiError::bad_request(message));
    }
    let disposition = format!("attachment; filename=\"{}\"", file.name().replace(['"', '\r', '\n'], "_"));
    Ok(Reply {
        status: 200,
        content_type: "application/octet-stream",
        headers: vec![("content-disposition".to_owned(), disposition)],
        content: Content::Whole(file.content),
    })
}

/// Lets a file go.
pub(super) fn delete(about: &About<'_>) -> Result<Value, ApiError> {
    let id = about.id(0);
    about.state.files.remove(about.owner, id).ok_or_else(|| not_found(id))?;
    Ok(json!({"id": id, "object": "file", "deleted": true}))
}
