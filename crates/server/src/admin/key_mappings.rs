//! `/jwt/key/mapping/*`: claims of an identity provider's tokens that stand for keys.

use super::change::Change;
use super::{Desk, Outcome, Problem, Served, asks, keys, looks, paging};
use serde_json::json;
use std::sync::Arc;
use tollgate_identity::form::{self, Draft};
use tollgate_identity::reply::{self};
use tollgate_identity::{Kind, Record};

/// The routes of mappings.
pub(super) const ROUTES: &[Served] = &[
    asks(
        "POST",
        "/jwt/key/mapping/new",
        |desk| Box::pin(create(desk)),
        "Let tokens with a claim stand for a key",
    ),
    asks(
        "POST",
        "/jwt/key/mapping/update",
        |desk| Box::pin(update(desk)),
        "Change for which key a claim stands",
    ),
    asks("POST", "/jwt/key/mapping/delete", |desk| Box::pin(delete(desk)), "Let a claim stand for no key"),
    looks("GET", "/jwt/key/mapping/list", list, "Claims that stand for keys"),
    looks("GET", "/jwt/key/mapping/info", info, "A claim that stands for a key"),
];

/// Mappings of one page, and the most of them, as LiteLLM has it.
const PAGE: (usize, Option<usize>) = (50, Some(100));

fn find(desk: &Desk<'_>, id: &str) -> Result<Arc<Record>, Problem> {
    let missing = || "Mapping not found".to_owned();
    desk.find(Kind::KeyMapping, id).map_err(|problem| problem.or_missing("id", missing))
}

/// Refuses a key that is not there.
fn check_key(desk: &Desk<'_>, draft: &Draft) -> Result<(), Problem> {
    let token = draft.document.text("mapped_token").unwrap_or_default();
    match desk.known(Kind::Key, token) {
        Some(_) => Ok(()),
        None => {
            let message = "The provided key does not match an existing virtual key.";
            Err(Problem::Bad("key", message.to_owned()))
        }
    }
}

async fn create(desk: &Desk<'_>) -> Outcome {
    let draft = form::key_mapping::new(&desk.body, keys::token_of, &desk.context())?;
    if desk.known(Kind::KeyMapping, &draft.id).is_some() {
        let text = |name: &str| draft.document.text(name).unwrap_or_default().to_owned();
        let (claim, value) = (text("jwt_claim_name"), text("jwt_claim_value"));
        return Err(Problem::Conflict(format!("A mapping for claim '{claim}' = '{value}' already exists.")));
    }
    check_key(desk, &draft)?;
    let made = desk.commit_one(Change::new("created").make(draft)).await?;
    Ok(reply::key_mapping::row(&made, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let old = find(desk, form::key_mapping::subject(&desk.body)?)?;
    let context = desk.context();
    let draft = form::key_mapping::change(&old.id, &old.document(), &desk.body, keys::token_of, &context)?;
    check_key(desk, &draft)?;
    let changed = desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    Ok(reply::key_mapping::row(&changed, &desk.clock()))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let mapping = find(desk, &form::key_mapping::deletion(&desk.body, &desk.context())?)?;
    desk.commit(Change::new("deleted").delete(&mapping)).await?;
    Ok(json!({"status": "success"}))
}

fn list(desk: &Desk<'_>) -> Outcome {
    let mut all = desk.all(Kind::KeyMapping);
    paging::oldest_first(&mut all);
    all.reverse();
    let (page, rows) = paging::page(&desk.query, ("page", "size"), PAGE, all)?;
    let rows: Vec<_> = rows.iter().map(|mapping| reply::key_mapping::row(mapping, &desk.clock())).collect();
    Ok(reply::key_mapping::list(&rows, &page))
}

fn info(desk: &Desk<'_>) -> Outcome {
    let id = desk.query.get("id").ok_or_else(|| Problem::Bad("id", "'id' is missing".to_owned()))?;
    Ok(reply::key_mapping::row(&*find(desk, id)?, &desk.clock()))
}

/// A change that takes the mappings of a key along to the one that takes its place.
pub(super) fn moved(desk: &Desk<'_>, mut change: Change, (old, new): (&str, &str)) -> Change {
    let directory = desk.ledger().directory();
    let of_old = |mapping: &&Arc<Record>| mapping.text("mapped_token").as_deref() == Some(old);
    for mapping in directory.all(Kind::KeyMapping).filter(of_old) {
        let draft = form::key_mapping::moved(&mapping.id, &mapping.document(), new, &desk.context());
        change = change.replace(mapping, draft);
    }
    change
}
