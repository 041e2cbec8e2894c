//! Conversations: lists of items that responses continue.
//!
//! Owns: the operations on them. Leaves to others: what an item may be (`check`), what a response adds (`store`).
//!
//! **Invariant:** an item of a conversation has an id, and one that was deleted is not found again.

use super::store::{Conversation, Store, listed};
use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use crate::platform::{Op, Owner, page};
use crate::reply::{Making, Reply};
use serde_json::{Value, json};

/// Most items of a page.
const PAGE_MAX: usize = 100;

/// A request about a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) store: &'a Store,
    pub(crate) owner: &'a Owner,
    pub(crate) body: &'a Value,
    pub(crate) query: &'a str,
    /// The ids of the path: the conversation's, the item's.
    pub(crate) ids: &'a [String],
}

impl About<'_> {
    fn id(&self, index: usize) -> &str {
        self.ids.get(index).map(String::as_str).unwrap_or_default()
    }

    fn change<R>(&self, change: impl FnOnce(&mut Conversation) -> R) -> Result<R, ApiError> {
        let id = self.id(0);
        let changed = self.store.conversations.change(self.owner, id, change);
        changed.ok_or_else(|| ApiError::new(404, format!("Conversation with id '{id}' not found.")).code(""))
    }

    fn item_not_found(&self) -> ApiError {
        ApiError::new(404, format!("Item with id '{}' not found.", self.id(1))).code("")
    }
}

/// Answers a request about a conversation.
pub(crate) fn answer(op: Op, about: About<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
    let object = match op {
        Op::CreateConversation => create(about, making),
        Op::UpdateConversation => {
            let metadata = about.body.get("metadata").cloned().unwrap_or_default();
            about.change(|kept| {
                if let Some(fields) = kept.object.as_object_mut() {
                    fields.insert("metadata".to_owned(), metadata);
                }
                kept.object.clone()
            })?
        }
        Op::DeleteConversation => {
            about.change(|_| ())?;
            about.store.conversations.remove(about.owner, about.id(0));
            json!({"id": about.id(0), "object": "conversation.deleted", "deleted": true})
        }
        Op::CreateItems => {
            let added = new_items(about.body, making);
            about.change(|kept| kept.items.extend(added.iter().cloned()))?;
            page(added.into_iter().rev().collect(), "order=asc", PAGE_MAX)?
        }
        Op::ListItems => {
            let items = about.change(|kept| kept.items.iter().rev().cloned().collect::<Vec<_>>())?;
            page(items, about.query, PAGE_MAX)?
        }
        Op::GetItem => {
            let found = about
                .change(|kept| kept.items.iter().find(|item| text_at(item, "id") == about.id(1)).cloned())?;
            found.ok_or_else(|| about.item_not_found())?
        }
        Op::DeleteItem => about.change(|kept| {
            let before = kept.items.len();
            kept.items.retain(|item| text_at(item, "id") != about.id(1));
            if kept.items.len() == before { Err(about.item_not_found()) } else { Ok(kept.object.clone()) }
        })??,
        _ => about.change(|kept| kept.object.clone())?,
    };
    Ok(Reply::json(&object))
}

fn new_items(body: &Value, making: &mut Making<'_>) -> Vec<Value> {
    items_at(body, "items").iter().map(|item| listed(item, making.ids)).collect()
}

fn create(about: About<'_>, making: &mut Making<'_>) -> Value {
    let id = making.ids.hex("conv_", 48);
    let metadata = about.body.get("metadata").filter(|metadata| metadata.is_object()).cloned();
    let object = json!({
        "id": id,
        "object": "conversation",
        "created_at": making.created,
        "metadata": metadata.unwrap_or_else(|| json!({})),
    });
    let items = new_items(about.body, making);
    about.store.conversations.add(about.owner, &id, Conversation { object: object.clone(), items });
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{Composed, Ids};
    use crate::reply::Content;

    fn done(store: &Store, op: Op, ids: &[&str], body: Value) -> Result<Value, u16> {
        let (owner, composed, mut random) =
            (Owner::default(), Composed::default(), Ids::new(ids.len() as u64));
        let mut making = Making { composed: &composed, ids: &mut random, created: 1, usage_fault: None };
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let about = About { store, owner: &owner, body: &body, query: "", ids: &ids };
        let reply = answer(op, about, &mut making).map_err(|error| error.status)?;
        let Content::Whole(bytes) = reply.content else { unreachable!() };
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn a_conversation_lives_until_it_is_deleted() {
        let store = Store::default();
        let item = json!({"type": "message", "role": "user", "content": "x"});
        let made =
            done(&store, Op::CreateConversation, &[], json!({"items": [item], "metadata": {"a": "b"}}))
                .unwrap();
        let id = made["id"].as_str().unwrap();
        assert_eq!(done(&store, Op::GetConversation, &[id], Value::Null), Ok(made.clone()));
        let more = done(&store, Op::CreateItems, &[id], json!({"items": [item]})).unwrap();
        let item_id = more["data"][0]["id"].as_str().unwrap();
        let list = done(&store, Op::ListItems, &[id], Value::Null).unwrap();
        assert_eq!((list["data"].as_array().unwrap().len(), &list["first_id"]), (2, &json!(item_id)));
        assert_eq!(done(&store, Op::GetItem, &[id, item_id], Value::Null).unwrap()["role"], "user");
        assert!(done(&store, Op::DeleteItem, &[id, item_id], Value::Null).is_ok());
        assert_eq!(done(&store, Op::GetItem, &[id, item_id], Value::Null), Err(404));
        let changed = done(&store, Op::UpdateConversation, &[id], json!({"metadata": {"c": "d"}})).unwrap();
        assert_eq!(changed["metadata"], json!({"c": "d"}));
        assert_eq!(done(&store, Op::DeleteConversation, &[id], Value::Null).unwrap()["deleted"], true);
        assert_eq!(done(&store, Op::GetConversation, &[id], Value::Null), Err(404));
    }
}
