//! Objects that are kept between requests, and pages of them.
//!
//! Owns: [`Shelf`], [`Owner`], pages of lists. Leaves to others: what is kept.
//!
//! **Invariant:** a shelf holds at most [`KEPT_MAX`] objects, the oldest of which goes first; an object is seen only by
//! the credential and deployment that made it.

use crate::ask::text_at;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::surface::query_value;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most objects of a kind.
const KEPT_MAX: usize = 1_000;
/// Objects on a page unless the query says otherwise.
const PAGE_DEFAULT: usize = 20;

/// Whose an object is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    deployment: Option<String>,
    credential: String,
}

impl Owner {
    /// The owner of what a request makes. Tokens of Entra change, the one behind them does not.
    pub(crate) fn of(asked: &Asked) -> Owner {
        let key = asked.head.headers.contains_key("api-key");
        let token = asked.surface() == crate::surface::Surface::Azure && !key;
        let credential = asked.credential.clone().filter(|_| !token);
        Owner { deployment: asked.route.deployment.clone(), credential: credential.unwrap_or_default() }
    }
}

#[derive(Debug)]
struct Kept<T> {
    owner: Owner,
    id: String,
    object: T,
}

/// Objects of a kind.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    kept: Mutex<VecDeque<Kept<T>>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf { kept: Mutex::default() }
    }
}

impl<T: Clone> Shelf<T> {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept<T>>> {
        // A panic elsewhere leaves objects that are still good to read.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an object.
    pub(crate) fn add(&self, owner: &Owner, id: &str, object: T) {
        let mut kept = self.lock();
        kept.push_back(Kept { owner: owner.clone(), id: id.to_owned(), object });
        while kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }

    /// The object of this id.
    pub(crate) fn get(&self, owner: &Owner, id: &str) -> Option<T> {
        self.change(owner, id, |object| object.clone())
    }

    /// Changes the object of this id.
    pub(crate) fn change<R>(&self, owner: &Owner, id: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut kept = self.lock();
        let found = kept.iter_mut().find(|kept| kept.id == id && kept.owner == *owner);
        found.map(|kept| change(&mut kept.object))
    }

    /// Lets the object of this id go.
    pub(crate) fn remove(&self, owner: &Owner, id: &str) -> Option<T> {
        let mut kept = self.lock();
        let at = kept.iter().position(|kept| kept.id == id && kept.owner == *owner)?;
        kept.remove(at).map(|kept| kept.object)
    }

    /// Lets the oldest go until all that is kept weighs no more than this.
    pub(crate) fn lighten(&self, weight: impl Fn(&T) -> usize, max: usize) {
        let mut kept = self.lock();
        let mut all: usize = kept.iter().map(|kept| weight(&kept.object)).sum();
        while all > max
            && let Some(oldest) = kept.pop_front()
        {
            all -= weight(&oldest.object);
        }
    }

    /// Everything of this owner, newest first.
    pub(crate) fn list(&self, owner: &Owner) -> Vec<T> {
        self.lock().iter().rev().filter(|kept| kept.owner == *owner).map(|kept| kept.object.clone()).collect()
    }
}

/// A page of a list whose items come newest first: `limit`, `after`, `before` and `order` of the query, as far as the
/// list takes them.
///
/// # Errors
/// When a value of the query is not one that the API takes.
pub(crate) fn page(newest_first: Vec<Value>, query: &str, limit_max: usize) -> Result<Value, ApiError> {
    let mut items = newest_first;
    match query_value(query, "order").as_deref() {
        None | Some("desc") => {}
        Some("asc") => items.reverse(),
        Some(word) => {
            let message = format!("Invalid value: '{word}'. Supported values are: 'asc' and 'desc'.");
            return Err(ApiError::bad_request(message).param("order").code("invalid_value"));
        }
    }
    let at = |id: &str| items.iter().position(|item| text_at(item, "id") == id);
    let from = query_value(query, "after").map_or(0, |id| at(&id).map_or(items.len(), |at| at + 1));
    let to = query_value(query, "before").and_then(|id| at(&id)).unwrap_or(items.len());
    let within = items.get(from..to.max(from)).unwrap_or_default();
    let limit = limit(query, limit_max)?;
    let data = within.get(..limit.min(within.len())).unwrap_or_default();
    let id = |item: Option<&Value>| item.and_then(|item| item.get("id")).cloned();
    Ok(json!({
        "object": "list",
        "data": data,
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": within.len() > data.len(),
    }))
}

fn limit(query: &str, max: usize) -> Result<usize, ApiError> {
    let Some(text) = query_value(query, "limit") else { return Ok(PAGE_DEFAULT.min(max)) };
    let wrong = |message: String, code| Err(ApiError::bad_request(message).param("limit").code(code));
    match text.parse::<usize>() {
        Err(_) => wrong("Invalid type for 'limit': expected an integer.".to_owned(), "invalid_type"),
        Ok(0) => wrong(
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead."
                .to_owned(),
            "integer_below_min_value",
        ),
        Ok(limit) if limit > max => wrong(
            format!(
                "Invalid 'limit': integer above maximum value. Expected a value <= {max}, but got {limit} instead."
            ),
            "integer_above_max_value",
        ),
        Ok(limit) => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(credential: &str) -> Owner {
        Owner { deployment: None, credential: credential.to_owned() }
    }

    #[test]
    fn an_object_is_seen_by_its_owner_alone() {
        let shelf = Shelf::default();
        shelf.add(&owner("a"), "x", 1);
        assert_eq!((shelf.get(&owner("a"), "x"), shelf.get(&owner("b"), "x")), (Some(1), None));
        assert_eq!((shelf.remove(&owner("b"), "x"), shelf.list(&owner("a"))), (None, vec![1]));
        assert_eq!((shelf.remove(&owner("a"), "x"), shelf.list(&owner("a"))), (Some(1), vec![]));
    }

    #[test]
    fn the_oldest_goes_first() {
        let shelf = Shelf::default();
        for number in 0..=KEPT_MAX {
            shelf.add(&owner("a"), &number.to_string(), number);
        }
        assert_eq!((shelf.get(&owner("a"), "0"), shelf.get(&owner("a"), "1")), (None, Some(1)));
    }

    #[test]
    fn pages_follow_one_another() {
        let items = || ["c", "b", "a"].map(|id| json!({"id": id})).to_vec();
        for (query, ids, more) in [
            ("", "cba", false),
            ("limit=2", "cb", true),
            ("limit=2&after=b", "a", false),
            ("order=asc&limit=1", "a", true),
            ("before=b", "c", false),
            ("after=gone", "", false),
        ] {
            let page = page(items(), query, 100).unwrap();
            let found: String =
                page["data"].as_array().unwrap().iter().map(|item| text_at(item, "id")).collect();
            assert_eq!((found.as_str(), page["has_more"].as_bool()), (ids, Some(more)), "{query}");
        }
        for query in ["limit=0", "limit=101", "limit=x", "order=up"] {
            assert_eq!(page(items(), query, 100).unwrap_err().status, 400, "{query}");
        }
    }
}
