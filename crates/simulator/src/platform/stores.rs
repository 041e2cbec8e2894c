//! Vector stores: stores, their files, search.
//!
//! Owns: their rules, objects and search. Leaves to others: the files themselves (`files`).
//!
//! **Invariant:** a search finds the files that share words with the query, the one that shares most first.

use super::{About, page};
use crate::ask::{items_at, number_at, text_at};
use crate::compose::Ids;
use crate::error::ApiError;
use crate::openai::check::{is_set, spell};
use crate::platform::Op;
use crate::reply::Making;
use crate::responses::check::metadata;
use crate::shape::Shape::{
    Any, Bool, Closed, Either, Int, List, MapOf, Num, Object, ShortText, Tagged, Text, Word,
};
use crate::shape::{self, Field, Keys, Shape, list as list_of, may, must, null};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Most stores or files of a page.
const PAGE_MAX: usize = 100;

const METADATA: Shape = MapOf(&ShortText(512));
const ATTRIBUTES: Shape = MapOf(&Either(&[ShortText(512), Num(f64::MIN, f64::MAX), Bool]));
const CHUNKING: Shape = Tagged {
    tag: "type",
    cases: &[
        ("auto", &[]),
        (
            "static",
            &[must(
                "static",
                Closed(&[
                    must("chunk_overlap_tokens", Int(0, 4_096)),
                    must("max_chunk_size_tokens", Int(100, 4_096)),
                ]),
            )],
        ),
    ],
};
const EXPIRES: Shape = Closed(&[must("anchor", Word(&["last_active_at"])), must("days", Int(1, 365))]);
const COMPARISON: &[Field] = &[must("key", Text), must("value", Any)];
const COMPOUND: &[Field] = &[must("filters", list_of(&Object))];
const FILTERS: Shape = Tagged {
    tag: "type",
    cases: &[
        ("eq", COMPARISON),
        ("ne", COMPARISON),
        ("gt", COMPARISON),
        ("gte", COMPARISON),
        ("lt", COMPARISON),
        ("lte", COMPARISON),
        ("in", COMPARISON),
        ("nin", COMPARISON),
        ("and", COMPOUND),
        ("or", COMPOUND),
    ],
};
const CREATE: &[Field] = &[
    may("chunking_strategy", CHUNKING),
    may("description", Text),
    may("expires_after", EXPIRES),
    may("file_ids", List { of: &Text, min: 0, max: 500 }),
    null("metadata", METADATA),
    may("name", Text),
];
const UPDATE: &[Field] = &[null("expires_after", EXPIRES), null("metadata", METADATA), null("name", Text)];
const SEARCH: &[Field] = &[
    must("query", Either(&[Text, List { of: &Text, min: 1, max: 32 }])),
    may("filters", FILTERS),
    may("max_num_results", Int(1, 50)),
    may(
        "ranking_options",
        Closed(&[
            may("ranker", Word(&["none", "auto", "default-2024-11-15"])),
            may("score_threshold", Num(0.0, 1.0)),
        ]),
    ),
    may("rewrite_query", Bool),
];
const ADD_FILE: &[Field] =
    &[must("file_id", Text), null("attributes", ATTRIBUTES), may("chunking_strategy", CHUNKING)];
const UPDATE_FILE: &[Field] = &[must("attributes", Either(&[ATTRIBUTES, Shape::Null]))];
const FILE_BATCH: &[Field] = &[
    null("attributes", ATTRIBUTES),
    may("chunking_strategy", CHUNKING),
    may("file_ids", List { of: &Text, min: 1, max: 500 }),
    may("files", List { of: &Closed(ADD_FILE), min: 1, max: 500 }),
];

/// A kept store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    object: Value,
    /// Newest first.
    files: Vec<Value>,
    batches: Vec<(Value, Vec<String>)>,
}

/// Checks a body.
pub(super) fn check(op: Op, about: &About<'_>) -> Result<(), ApiError> {
    let fields = match op {
        Op::CreateStore => CREATE,
        Op::UpdateStore => UPDATE,
        Op::SearchStore => SEARCH,
        Op::AddStoreFile => ADD_FILE,
        Op::UpdateStoreFile => UPDATE_FILE,
        _ => FILE_BATCH,
    };
    let object = about.body.as_object().cloned().unwrap_or_default();
    if let Some(violation) = shape::check(&object, fields, Keys::Exact).first() {
        return Err(spell(violation));
    }
    metadata(about.body, "metadata")?;
    if op == Op::CreateFileBatch && is_set(about.body, "file_ids") == is_set(about.body, "files") {
        let message = "Exactly one of 'file_ids' and 'files' must be provided.";
        return Err(ApiError::bad_request(message).param("file_ids"));
    }
    if op != Op::CreateStore {
        change(about, |_| ())?;
    }
    for id in file_ids(about.body) {
        if about.state.files.get(about.owner, &id).is_none() {
            return Err(ApiError::new(404, format!("No such File object: {id}")).param("file_id").code(""));
        }
    }
    Ok(())
}

/// The files that a body names.
fn file_ids(body: &Value) -> Vec<String> {
    let listed = items_at(body, "file_ids").iter().filter_map(Value::as_str);
    let described = items_at(body, "files").iter().map(|file| text_at(file, "file_id"));
    let one = Some(text_at(body, "file_id")).filter(|id| !id.is_empty());
    listed.chain(described).chain(one).map(str::to_owned).collect()
}

fn change<R>(about: &About<'_>, change: impl FnOnce(&mut Store) -> R) -> Result<R, ApiError> {
    let id = about.id(0);
    let changed = about.state.stores.change(about.owner, id, change);
    changed.ok_or_else(|| ApiError::new(404, format!("Vector store with id '{id}' not found.")).code(""))
}

fn no_file(about: &About<'_>) -> ApiError {
    let (store, file) = (about.id(0), about.id(1));
    ApiError::new(404, format!("No file found with id '{file}' in vector store '{store}'.")).code("")
}

fn file_object(about: &About<'_>, store: &str, id: &str, now: u64) -> Value {
    let described = items_at(about.body, "files").iter().find(|file| text_at(file, "file_id") == id);
    let given =
        |name: &str| described.and_then(|file| file.get(name)).or_else(|| about.body.get(name)).cloned();
    let auto =
        json!({"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}});
    let chunking =
        given("chunking_strategy").filter(|strategy| text_at(strategy, "type") == "static").unwrap_or(auto);
    let bytes = about.state.files.get(about.owner, id).map_or(0, |file| file.content.len());
    json!({
        "id": id,
        "object": "vector_store.file",
        "created_at": now,
        "usage_bytes": bytes,
        "vector_store_id": store,
        "status": "completed",
        "last_error": null,
        "attributes": given("attributes").filter(|given| !given.is_null()).unwrap_or_else(|| json!({})),
        "chunking_strategy": chunking,
    })
}

fn counts(files: usize) -> Value {
    json!({"in_progress": 0, "completed": files, "failed": 0, "cancelled": 0, "total": files})
}

impl Store {
    fn add(&mut self, file: Value) {
        self.files.retain(|kept| text_at(kept, "id") != text_at(&file, "id"));
        self.files.insert(0, file);
        self.recount();
    }

    fn recount(&mut self) {
        let bytes: u64 = self.files.iter().filter_map(|file| number_at(file, "usage_bytes")).sum();
        let counts = counts(self.files.len());
        if let Some(fields) = self.object.as_object_mut() {
            fields.insert("usage_bytes".to_owned(), json!(bytes));
            fields.insert("file_counts".to_owned(), counts);
        }
    }

    fn file(&mut self, id: &str) -> Option<&mut Value> {
        self.files.iter_mut().find(|file| text_at(file, "id") == id)
    }
}

fn create(about: &About<'_>, making: &mut Making<'_>) -> Value {
    let (id, now, body) = (making.ids.hex("vs_", 32), making.created, about.body);
    let expires = body.get("expires_after").cloned().unwrap_or_default();
    let days = number_at(&expires, "days").map(|days| now + days * 86_400);
    let metadata = body.get("metadata").filter(|metadata| !metadata.is_null()).cloned();
    let object = json!({
        "id": id,
        "object": "vector_store",
        "created_at": now,
        "name": text_at(body, "name"),
        "description": body.get("description"),
        "usage_bytes": 0,
        "file_counts": counts(0),
        "status": "completed",
        "expires_after": expires,
        "expires_at": days,
        "last_active_at": now,
        "metadata": metadata.unwrap_or_else(|| json!({})),
    });
    let mut store = Store { object, files: Vec::new(), batches: Vec::new() };
    for file in file_ids(body) {
        store.add(file_object(about, &id, &file, now));
    }
    let object = store.object.clone();
    about.state.stores.add(about.owner, &id, store);
    object
}

/// Answers a request about a store.
pub(super) fn answer(op: Op, about: &About<'_>, making: &mut Making<'_>) -> Result<Value, ApiError> {
    let store_id = about.id(0);
    match op {
        Op::CreateStore => Ok(create(about, making)),
        Op::ListStores => {
            let stores = about.state.stores.list(about.owner);
            page(stores.into_iter().map(|store| store.object).collect(), about.query, PAGE_MAX)
        }
        Op::GetStore => change(about, |store| store.object.clone()),
        Op::UpdateStore => change(about, |store| {
            if let (Some(fields), Some(given)) = (store.object.as_object_mut(), about.body.as_object()) {
                fields.extend(given.clone());
            }
            store.object.clone()
        }),
        Op::DeleteStore => {
            change(about, |_| ())?;
            about.state.stores.remove(about.owner, store_id);
            Ok(json!({"id": store_id, "object": "vector_store.deleted", "deleted": true}))
        }
        Op::SearchStore => search(about),
        _ => answer_file(op, about, making),
    }
}

fn answer_file(op: Op, about: &About<'_>, making: &mut Making<'_>) -> Result<Value, ApiError> {
    let (store_id, file_id) = (about.id(0), about.id(1));
    match op {
        Op::AddStoreFile => {
            let file = file_object(about, store_id, text_at(about.body, "file_id"), making.created);
            change(about, |store| store.add(file.clone()))?;
            Ok(file)
        }
        Op::ListStoreFiles => page(change(about, |store| store.files.clone())?, about.query, PAGE_MAX),
        Op::GetStoreFile => {
            change(about, |store| store.file(file_id).cloned())?.ok_or_else(|| no_file(about))
        }
        Op::UpdateStoreFile => {
            let attributes = about.body.get("attributes").cloned().unwrap_or_default();
            let changed = change(about, |store| {
                let file = store.file(file_id)?;
                file.as_object_mut()?.insert("attributes".to_owned(), attributes);
                Some(file.clone())
            })?;
            changed.ok_or_else(|| no_file(about))
        }
        Op::RemoveStoreFile => {
            change(about, |store| store.file(file_id).cloned())?.ok_or_else(|| no_file(about))?;
            change(about, |store| {
                store.files.retain(|file| text_at(file, "id") != file_id);
                store.recount();
            })?;
            Ok(json!({"id": file_id, "object": "vector_store.file.deleted", "deleted": true}))
        }
        Op::StoreFileContent => {
            change(about, |store| store.file(file_id).cloned())?.ok_or_else(|| no_file(about))?;
            let text = text_of(about, file_id);
            Ok(json!({
                "object": "vector_store.file_content.page",
                "data": [{"type": "text", "text": text}],
                "has_more": false,
                "next_page": null,
            }))
        }
        _ => answer_file_batch(op, about, making.ids, making.created),
    }
}

fn answer_file_batch(op: Op, about: &About<'_>, ids: &mut Ids, now: u64) -> Result<Value, ApiError> {
    let store_id = about.id(0);
    if op == Op::CreateFileBatch {
        let files = file_ids(about.body);
        let objects: Vec<Value> = files.iter().map(|id| file_object(about, store_id, id, now)).collect();
        let batch = json!({
            "id": ids.hex("vsfb_", 32),
            "object": "vector_store.files_batch",
            "created_at": now,
            "vector_store_id": store_id,
            "status": "completed",
            "file_counts": counts(files.len()),
        });
        change(about, |store| {
            objects.into_iter().for_each(|file| store.add(file));
            store.batches.push((batch.clone(), files));
        })?;
        return Ok(batch);
    }
    let found = change(about, |store| {
        let found = store.batches.iter().find(|(batch, _)| text_at(batch, "id") == about.id(1))?.clone();
        let files = store.files.iter().filter(|file| found.1.iter().any(|id| id == text_at(file, "id")));
        Some((found.0, files.cloned().collect::<Vec<_>>()))
    })?;
    let (batch, files) = found.ok_or_else(|| {
        ApiError::new(404, format!("No vector store file batch found with id '{}'.", about.id(1))).code("")
    })?;
    if op == Op::ListFileBatch { page(files, about.query, PAGE_MAX) } else { Ok(batch) }
}

fn text_of(about: &About<'_>, id: &str) -> String {
    let file = about.state.files.get(about.owner, id);
    file.map(|file| String::from_utf8_lossy(&file.content).into_owned()).unwrap_or_default()
}

fn words(text: &str) -> HashSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn search(about: &About<'_>) -> Result<Value, ApiError> {
    let body = about.body;
    let queries: Vec<&str> = match body.get("query") {
        Some(Value::Array(queries)) => queries.iter().filter_map(Value::as_str).collect(),
        query => vec![query.and_then(Value::as_str).unwrap_or_default()],
    };
    let wanted = words(&queries.join(" "));
    let threshold = body.pointer("/ranking_options/score_threshold").and_then(Value::as_f64).unwrap_or(0.0);
    let mut found: Vec<(f64, Value)> = Vec::new();
    for file in change(about, |store| store.files.clone())? {
        let attributes = file.get("attributes").cloned().unwrap_or_default();
        if body.get("filters").is_some_and(|filter| !fits(&attributes, filter)) {
            continue;
        }
        let id = text_at(&file, "id");
        let text = text_of(about, id);
        let shared = wanted.intersection(&words(&text)).count();
        #[expect(clippy::cast_precision_loss, reason = "a query has fewer than 2^52 words")]
        let score = shared as f64 / wanted.len().max(1) as f64;
        let name = about.state.files.get(about.owner, id).map(|file| file.name().to_owned());
        if shared > 0 && score >= threshold {
            found.push((
                score,
                json!({"file_id": id, "filename": name, "score": score, "attributes": attributes,
                    "content": [{"type": "text", "text": text}]}),
            ));
        }
    }
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let most = number_at(body, "max_num_results").and_then(|most| usize::try_from(most).ok()).unwrap_or(10);
    let data: Vec<Value> = found.into_iter().take(most).map(|(_, result)| result).collect();
    Ok(json!({
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": data,
        "has_more": false,
        "next_page": null,
    }))
}

/// Whether a file's attributes fit a filter.
fn fits(attributes: &Value, filter: &Value) -> bool {
    let kind = text_at(filter, "type");
    let filters = items_at(filter, "filters");
    let (have, want) = (attributes.get(text_at(filter, "key")), filter.get("value"));
    let order = || {
        have.and_then(Value::as_f64)
            .zip(want.and_then(Value::as_f64))
            .map(|(have, want)| have.total_cmp(&want))
    };
    let among =
        || want.and_then(Value::as_array).is_some_and(|among| among.iter().any(|one| Some(one) == have));
    match kind {
        "and" => filters.iter().all(|filter| fits(attributes, filter)),
        "or" => filters.iter().any(|filter| fits(attributes, filter)),
        "eq" => have == want,
        "ne" => have != want,
        "gt" => order().is_some_and(std::cmp::Ordering::is_gt),
        "gte" => order().is_some_and(std::cmp::Ordering::is_ge),
        "lt" => order().is_some_and(std::cmp::Ordering::is_lt),
        "lte" => order().is_some_and(std::cmp::Ordering::is_le),
        "in" => among(),
        _ => !among(),
    }
}
