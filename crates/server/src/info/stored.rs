//! Stored responses: looked at, listed, deleted. Kept by the Responses surface, found by their owner alone.

use crate::error::Rejection;
use crate::gateway::Gateway;
use crate::pipeline::json_response;
use crate::pipeline::thread::{now_seconds, unavailable};
use crate::reply::GatewayBody;
use http::Response;
use serde_json::{Value, json};
use tollgate_store::{Durability, Owner, Store};

/// Most items of a list, and how many where nothing is said (OpenAI's figures).
const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 20;

async fn store(gateway: &Gateway) -> Result<&Store, Rejection> {
    gateway.store().get().await.map_err(|error| unavailable(&error))
}

/// `GET /v1/responses/{id}`.
pub(crate) async fn get(
    gateway: &Gateway,
    owner: &Owner,
    id: &str,
) -> Result<Response<GatewayBody>, Rejection> {
    let found = store(gateway).await?.responses().get(owner, id, now_seconds()).await;
    let row = found.map_err(|error| unavailable(&error))?.ok_or_else(|| Rejection::no_such_response(id))?;
    Ok(json_response(row.response))
}

/// `DELETE /v1/responses/{id}`.
pub(crate) async fn delete(
    gateway: &Gateway,
    owner: &Owner,
    id: &str,
) -> Result<Response<GatewayBody>, Rejection> {
    let responses = store(gateway).await?.responses();
    let deleted = responses.delete(owner, id, now_seconds(), Durability::Process).await;
    if !deleted.map_err(|error| unavailable(&error))? {
        return Err(Rejection::no_such_response(id));
    }
    Ok(json_response(json!({"id": id, "object": "response", "deleted": true}).to_string()))
}

/// `POST /v1/responses/{id}/cancel`: nothing runs in the background that could be cancelled.
pub(crate) async fn cancel(
    gateway: &Gateway,
    owner: &Owner,
    id: &str,
) -> Result<Response<GatewayBody>, Rejection> {
    get(gateway, owner, id).await?;
    Err(Rejection::not_cancellable())
}

/// `GET /v1/responses/{id}/input_items`: newest first unless `order=asc`, from after `after`, at most `limit`.
pub(crate) async fn input_items(
    gateway: &Gateway,
    owner: &Owner,
    id: &str,
    query: &str,
) -> Result<Response<GatewayBody>, Rejection> {
    let found = store(gateway).await?.responses().input_items(owner, id, now_seconds()).await;
    let bytes = found.map_err(|error| unavailable(&error))?.ok_or_else(|| Rejection::no_such_response(id))?;
    let items: Vec<Value> = serde_json::from_slice(&bytes).map_err(|_| Rejection::internal())?;
    page(items, query).map(|page| json_response(page.to_string()))
}

fn page(mut items: Vec<Value>, query: &str) -> Result<Value, Rejection> {
    let parameter = |name: &str| super::parameter(query, name);
    let invalid = |name: &str, reason: &str| Rejection::invalid("/responses", name, reason);
    let limit = match parameter("limit") {
        None => LIMIT_DEFAULT,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
            _ => return Err(invalid("limit", "expected a whole number from 1 to 100")),
        },
    };
    match parameter("order").as_deref() {
        None | Some("desc") => items.reverse(),
        Some("asc") => {}
        Some(_) => return Err(invalid("order", "expected 'asc' or 'desc'")),
    }
    let id_of = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
    if let Some(after) = parameter("after") {
        let place = items.iter().position(|item| id_of(item).as_deref() == Some(&after));
        let place = place.ok_or_else(|| invalid("after", "no such item"))?;
        items.drain(..=place);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(json!({
        "object": "list",
        "first_id": items.first().and_then(id_of),
        "last_id": items.last().and_then(id_of),
        "has_more": has_more,
        "data": items,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(query: &str) -> Result<(Vec<String>, bool), String> {
        let items = (0..5).map(|number| json!({"id": format!("i{number}")})).collect();
        let page = page(items, query).map_err(|rejection| rejection.message().to_owned())?;
        let ids = page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        Ok((ids.collect(), page["has_more"].as_bool().unwrap()))
    }

    #[test]
    fn a_page_is_ordered_cut_and_continued() {
        let check = |query: &str, expect: &[&str], has_more: bool| {
            assert_eq!(
                ids(query),
                Ok((expect.iter().map(|id| (*id).to_owned()).collect(), has_more)),
                "{query}"
            );
        };
        check("", &["i4", "i3", "i2", "i1", "i0"], false);
        check("order=asc&limit=2", &["i0", "i1"], true);
        check("order=asc&limit=2&after=i1", &["i2", "i3"], true);
        check("after=i1", &["i0"], false);
        assert!(ids("limit=0").is_err() && ids("limit=101").is_err() && ids("order=x").is_err());
        assert!(ids("after=nobody").is_err());
    }
}
