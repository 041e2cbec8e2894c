//! `/invitation/*`: links by which users set their own passwords.
//!
//! **Invariant:** an invitation's id is drawn from the system's own source: who knows it may take it up.

use super::change::Change;
use super::desk::random_bits;
use super::{Desk, Outcome, Problem, Served, asks, looks};
use std::sync::Arc;
use tollgate_identity::form::{self, Context};
use tollgate_identity::reply::{self};
use tollgate_identity::{Kind, Record};

/// The routes of invitations.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/invitation/new", |desk| Box::pin(create(desk)), "Invite a user"),
    looks("GET", "/invitation/info", info, "An invitation"),
    asks(
        "POST",
        "/invitation/update",
        |desk| Box::pin(update(desk)),
        "Say whether an invitation is accepted",
    ),
    asks("POST", "/invitation/delete", |desk| Box::pin(delete(desk)), "Take an invitation back"),
];

/// A UUID (RFC 9562, version 4) that nobody guesses.
fn unguessable_id() -> Result<String, Problem> {
    let mut digits: Vec<char> = random_bits()?
        .iter()
        .take(16)
        .flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>())
        .collect();
    if let Some(version) = digits.get_mut(12) {
        *version = '4';
    }
    if let Some(variant) = digits.get_mut(16) {
        *variant = '8';
    }
    let mut id = String::with_capacity(36);
    for (place, digit) in digits.into_iter().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    Ok(id)
}

async fn create(desk: &Desk<'_>) -> Outcome {
    let id = unguessable_id()?;
    let fresh = move || id.clone();
    let context = Context { fresh: &fresh, ..desk.context() };
    let draft = form::invitation::new(&desk.body, &context)?;
    desk.find(Kind::User, draft.document.text("user_id").unwrap_or_default())?;
    let made = desk.commit_one(Change::new("created").make(draft)).await?;
    Ok(reply::invitation::row(&made, &desk.clock()))
}

fn find(desk: &Desk<'_>, id: &str) -> Result<Arc<Record>, Problem> {
    let missing = || "Invitation id does not exist in the database.".to_owned();
    desk.find(Kind::Invitation, id).map_err(|problem| problem.or_missing("invitation_id", missing))
}

fn info(desk: &Desk<'_>) -> Outcome {
    let id = desk.query.get("invitation_id");
    let id = id.ok_or_else(|| Problem::Bad("invitation_id", "'invitation_id' is missing".to_owned()))?;
    Ok(reply::invitation::row(&*find(desk, id)?, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let (id, is_accepted) = form::invitation::acceptance(&desk.body, &desk.context())?;
    let old = find(desk, &id)?;
    let draft = form::invitation::accept(&old.id, &old.document(), is_accepted, &desk.context());
    let changed = desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    Ok(reply::invitation::row(&changed, &desk.clock()))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let invitation = find(desk, &form::invitation::deletion(&desk.body, &desk.context())?)?;
    desk.commit(Change::new("deleted").delete(&invitation)).await?;
    Ok(reply::invitation::row(&invitation, &desk.clock()))
}
