//! Message batches: created, listed, looked at, cancelled, read and deleted.
//!
//! Owns: their routes, form, life and results (Message Batches reference). Leaves to others: what each request's params
//! must be (`check`) and are answered with (`reply`).
//!
//! **Invariant:** a batch is its credential's alone. It ends once the longest latency among its requests is over; what
//! its results are depends on its requests and the seed, not on when they are read.

use super::{Version, check, reply, version};
use crate::ask::{items_at, text_at};
use crate::aws::{date, now};
use crate::clouds::Op;
use crate::compose::{Ids, compose};
use crate::error::{self, ApiError, Victim};
use crate::exchange::Asked;
use crate::fault::Fault;
use crate::names;
use crate::reply::{Content, Making, Reply};
use crate::server::Shared;
use crate::shape::is_name;
use crate::surface::{Surface, query_value};
use http::Method;
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Most batches kept; the oldest goes first.
const BATCHES_MAX: usize = 1_000;
/// Most requests of a batch (reference).
const REQUESTS_MAX: usize = 100_000;
/// How long a batch may take (seconds).
const EXPIRES_SECONDS: u64 = 86_400;
/// Batches of a page, and the most that may be asked for.
const PAGE: (usize, usize) = (20, 1_000);

/// Every batch that is kept, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    kept: Mutex<VecDeque<Batch>>,
}

#[derive(Debug, Clone)]
struct Batch {
    id: String,
    owner: String,
    created: u64,
    ends: Instant,
    cancelled: Option<u64>,
    /// Custom ids with their results.
    results: Vec<(String, Value)>,
}

/// The operation of a path below `/v1/messages/`.
pub(crate) fn find(method: &Method, tail: &str) -> Option<Op> {
    let rest = tail.strip_prefix("messages/batches")?;
    let Some(rest) = rest.strip_prefix('/') else {
        let list = if method == Method::GET { Op::ListBatches } else { Op::CreateBatch };
        return rest.is_empty().then_some(list);
    };
    match rest.split_once('/') {
        None if method == Method::DELETE => Some(Op::DeleteBatch),
        None => Some(Op::GetBatch),
        Some((_, "cancel")) => Some(Op::CancelBatch),
        Some((_, "results")) => Some(Op::BatchResults),
        Some(_) => None,
    }
}

/// The base of a request's path, and the id in it.
fn place(path: &str) -> (&str, &str) {
    let at = path.find("/messages/batches").map_or(path.len(), |at| at + "/messages/batches".len());
    let (base, rest) = path.split_at_checked(at).unwrap_or((path, ""));
    (base, rest.trim_start_matches('/').split('/').next().unwrap_or_default())
}

/// Checks the form of a request to create a batch; each request's params are looked at later.
pub(crate) fn check(asked: &Asked) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::bad_request(message));
    let body = &asked.json;
    if let Some(key) =
        body.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| *key != "requests")
    {
        return refuse(format!("{key}: Extra inputs are not permitted"));
    }
    let Some(requests) = body.get("requests").and_then(Value::as_array) else {
        return refuse("requests: Field required".to_owned());
    };
    if requests.is_empty() || requests.len() > REQUESTS_MAX {
        return refuse("requests: List should have at least 1 item and at most 100000 items".to_owned());
    }
    let mut ids = HashSet::new();
    for (index, request) in requests.iter().enumerate() {
        let id = text_at(request, "custom_id");
        if request.get("custom_id").is_none() {
            return refuse(format!("requests.{index}.custom_id: Field required"));
        }
        if id.len() > 64 || !is_name(id) {
            return refuse(format!(
                "requests.{index}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            ));
        }
        if !request.get("params").is_some_and(Value::is_object) {
            return refuse(format!("requests.{index}.params: Field required"));
        }
        if !ids.insert(id) {
            return refuse(format!("requests: custom_id `{id}` is not unique within the batch"));
        }
    }
    Ok(())
}

/// Answers a request on batches.
pub(crate) fn make(shared: &Shared, asked: &Asked, op: Op, ids: &mut Ids) -> Result<Reply, ApiError> {
    let owner = asked.credential.clone().unwrap_or_default();
    let (base, id) = place(asked.head.uri.path());
    let host = asked.head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let base = format!("http://{}{base}", host.unwrap_or_default());
    let mut kept = shared.clouds.batches.kept.lock().unwrap_or_else(PoisonError::into_inner);
    if op == Op::CreateBatch {
        let batch = create(asked, owner, version(&asked.head.headers)?, ids);
        // The API says so of every new batch, however short.
        let shown = batch.shown(&base, false);
        if kept.len() >= BATCHES_MAX {
            kept.pop_front();
        }
        kept.push_back(batch);
        return Ok(Reply::json(&shown));
    }
    if op == Op::ListBatches {
        let mine: Vec<&Batch> = kept.iter().rev().filter(|batch| batch.owner == owner).collect();
        return list(&mine, asked.query(), &base);
    }
    let missing = || ApiError::new(404, format!("Message batch {id} not found."));
    let at = kept.iter().position(|batch| batch.id == id && batch.owner == owner).ok_or_else(missing)?;
    let batch = kept.get_mut(at).ok_or_else(missing)?;
    let ended = batch.is_over();
    match op {
        Op::CancelBatch if ended => {
            Err(ApiError::bad_request(format!("Batch {id} cannot be canceled because it has already ended.")))
        }
        Op::CancelBatch => {
            let shown = batch.cancel(&base);
            Ok(Reply::json(&shown))
        }
        Op::DeleteBatch if !ended => Err(ApiError::bad_request(format!(
            "Batch {id} cannot be deleted while it is still processing. Cancel it first."
        ))),
        Op::DeleteBatch => {
            let reply = Reply::json(&json!({"id": id, "type": "message_batch_deleted"}));
            kept.remove(at);
            Ok(reply)
        }
        Op::BatchResults if !ended => {
            Err(ApiError::new(404, format!("Results of batch {id} are not available until it has ended.")))
        }
        Op::BatchResults => Ok(batch.lines()),
        _ => Ok(Reply::json(&batch.shown(&base, ended))),
    }
}

fn create(asked: &Asked, owner: String, version: Version, ids: &mut Ids) -> Batch {
    let mut latest = Duration::ZERO;
    let results = items_at(&asked.json, "requests").iter().map(|request| {
        let params = request.get("params").unwrap_or(&Value::Null);
        let result = match answered(params, version, &mut latest, ids) {
            Ok(message) => json!({"type": "succeeded", "message": message}),
            Err(error) => {
                json!({"type": "errored", "error": error.body(Surface::Anthropic, &ids.next("req_01", 22))})
            }
        };
        (text_at(request, "custom_id").to_owned(), result)
    });
    let results = results.collect();
    Batch {
        id: ids.next("msgbatch_", 24),
        owner,
        created: now(),
        ends: Instant::now() + latest,
        cancelled: None,
        results,
    }
}

/// The message that one request is answered with.
fn answered(
    params: &Value,
    version: Version,
    latest: &mut Duration,
    ids: &mut Ids,
) -> Result<Value, ApiError> {
    let model = text_at(params, "model");
    let spelt = names::read_model_name(model)
        .map_err(|error| ApiError::new(404, format!("The model name is not understood at {error}.")))?;
    let behaviour = spelt.behaviour;
    *latest = (*latest).max(behaviour.latency);
    if !behaviour.lenient {
        check::check(params, version)?;
    }
    let ask = super::read(params);
    if let Some(Fault::Status(fault)) = &behaviour.fault {
        let victim =
            Victim { surface: Surface::Anthropic, model, prompt_tokens: ask.prompt_tokens, credential: None };
        return Err(error::of_fault(fault, victim));
    }
    let composed = compose(&ask, &behaviour);
    let mut making = Making { composed: &composed, ids, created: now(), usage_fault: None };
    Ok(reply::message_of_tier(&ask.model, "batch", &mut making))
}

fn list(mine: &[&Batch], query: &str, base: &str) -> Result<Reply, ApiError> {
    let limit = match query_value(query, "limit").map(|limit| limit.parse::<usize>()) {
        None => PAGE.0,
        Some(Ok(limit)) if (1..=PAGE.1).contains(&limit) => limit,
        Some(_) => return Err(ApiError::bad_request("limit: Input should be between 1 and 1000")),
    };
    let position = |name: &str| {
        let id = query_value(query, name)?;
        mine.iter().position(|batch| batch.id == id)
    };
    let (page, more) = match (position("after_id"), position("before_id")) {
        (_, Some(before)) => {
            let from = before.saturating_sub(limit);
            (mine.get(from..before).unwrap_or_default(), from > 0)
        }
        (after, None) => {
            let rest = mine.get(after.map_or(0, |at| at + 1)..).unwrap_or_default();
            (rest.get(..limit.min(rest.len())).unwrap_or_default(), rest.len() > limit)
        }
    };
    let data: Vec<Value> = page.iter().map(|batch| batch.shown(base, batch.is_over())).collect();
    Ok(Reply::json(&json!({
        "data": data,
        "has_more": more,
        "first_id": page.first().map(|batch| &batch.id),
        "last_id": page.last().map(|batch| &batch.id),
    })))
}

impl Batch {
    fn is_over(&self) -> bool {
        Instant::now() >= self.ends || self.cancelled.is_some()
    }

    /// Every request that was not answered yet is cancelled.
    fn cancel(&mut self, base: &str) -> Value {
        self.cancelled = Some(now());
        for (_, result) in &mut self.results {
            *result = json!({"type": "canceled"});
        }
        let mut shown = self.shown(base, false);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("processing_status".to_owned(), json!("canceling"));
        }
        shown
    }

    fn count(&self, kind: &str) -> usize {
        self.results.iter().filter(|(_, result)| text_at(result, "type") == kind).count()
    }

    fn shown(&self, base: &str, ended: bool) -> Value {
        let counted = |kind: &str| if ended { self.count(kind) } else { 0 };
        let time = |seconds: u64| date::extended(seconds);
        json!({
            "id": self.id,
            "type": "message_batch",
            "processing_status": if ended { "ended" } else { "in_progress" },
            "request_counts": {
                "processing": if ended { 0 } else { self.results.len() },
                "succeeded": counted("succeeded"),
                "errored": counted("errored"),
                "canceled": counted("canceled"),
                "expired": 0,
            },
            "created_at": time(self.created),
            "ended_at": ended.then(|| time(now())),
            "expires_at": time(self.created + EXPIRES_SECONDS),
            "archived_at": null,
            "cancel_initiated_at": self.cancelled.map(time),
            "results_url": ended.then(|| format!("{base}/{}/results", self.id)),
        })
    }

    /// The results, the last request's first: the API promises no order.
    fn lines(&self) -> Reply {
        let line =
            |(id, result): &(String, Value)| json!({"custom_id": id, "result": result}).to_string() + "\n";
        let text: String = self.results.iter().rev().map(line).collect();
        let reply = Reply { content: Content::Whole(text.into()), ..Reply::json(&Value::Null) };
        Reply { content_type: "application/x-jsonl", ..reply }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_an_operation() {
        for (method, tail, op) in [
            (Method::POST, "messages/batches", Some(Op::CreateBatch)),
            (Method::GET, "messages/batches", Some(Op::ListBatches)),
            (Method::GET, "messages/batches/b", Some(Op::GetBatch)),
            (Method::DELETE, "messages/batches/b", Some(Op::DeleteBatch)),
            (Method::POST, "messages/batches/b/cancel", Some(Op::CancelBatch)),
            (Method::GET, "messages/batches/b/results", Some(Op::BatchResults)),
            (Method::GET, "messages/batches/b/other", None),
            (Method::POST, "messages", None),
        ] {
            assert_eq!(find(&method, tail), op, "{method} {tail}");
        }
        assert_eq!(place("/d/x/v1/messages/batches/b/results"), ("/d/x/v1/messages/batches", "b"));
    }

    fn batch(id: &str) -> Batch {
        let results = vec![
            ("a".to_owned(), json!({"type": "succeeded"})),
            ("b".to_owned(), json!({"type": "errored"})),
        ];
        let ends = Instant::now();
        Batch { id: id.to_owned(), owner: String::new(), created: 0, ends, cancelled: None, results }
    }

    #[test]
    fn what_is_shown_changes_with_the_end() {
        let mut one = batch("m");
        let before = one.shown("u", false);
        assert_eq!(
            (&before["request_counts"]["processing"], &before["results_url"]),
            (&json!(2), &Value::Null)
        );
        let after = one.shown("u", true);
        assert_eq!(
            (&after["request_counts"]["errored"], &after["results_url"]),
            (&json!(1), &json!("u/m/results"))
        );
        assert_eq!(one.cancel("u")["processing_status"], "canceling");
        assert_eq!(one.shown("u", true)["request_counts"]["canceled"], 2);
    }

    #[test]
    fn pages_go_both_ways() {
        let all = [batch("3"), batch("2"), batch("1")];
        let mine: Vec<&Batch> = all.iter().collect();
        for (query, ids, more) in [
            ("", vec!["3", "2", "1"], false),
            ("limit=2", vec!["3", "2"], true),
            ("limit=2&after_id=2", vec!["1"], false),
            ("limit=1&before_id=1", vec!["2"], true),
        ] {
            let Content::Whole(bytes) = list(&mine, query, "").unwrap().content else { unreachable!() };
            let page: Value = serde_json::from_slice(&bytes).unwrap();
            let found: Vec<&str> =
                page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
            assert_eq!((found, &page["has_more"]), (ids, &json!(more)), "{query}");
        }
        assert!(list(&mine, "limit=0", "").is_err());
    }
}
