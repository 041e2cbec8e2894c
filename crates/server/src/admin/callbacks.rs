//! `/team/{team_id}/callback`: who is told of a team's requests. Kept and shown; nothing calls them yet, and the replies
//! say so.

use super::sealing::Sealing;
use super::seats::{find_team, team_shown};
use super::{Change, Desk, Outcome, Problem, Served, asks, looks};
use serde_json::{Map, Value, json};
use tollgate_identity::form::{callback as form, is_secret};
use tollgate_identity::secret::Vault;
use tollgate_identity::{Document, reply};

/// The routes of teams' callbacks.
pub(super) const ROUTES: &[Served] = &[
    looks("GET", "/team/{team_id}/callback", list, "A team's callbacks, secrets masked; not called yet"),
    asks(
        "POST",
        "/team/{team_id}/callback",
        |desk| Box::pin(add(desk)),
        "Keep a callback of a team; not called yet",
    ),
    asks(
        "DELETE",
        "/team/{team_id}/callback/{callback_name}",
        |desk| Box::pin(delete(desk)),
        "Delete a team's callbacks of a name",
    ),
];

/// What LiteLLM shows in a secret's place here.
const MASK: &str = "***REDACTED***";
const NOT_CALLED: &str = "Kept. Tollgate calls no callbacks yet.";

/// The names of the callbacks that are told of requests that ended so.
fn names(document: &Document, ending: &str) -> Vec<Value> {
    let all = form::of_team(document);
    let of = all.iter().filter(|callback| form::is_told_of(callback, ending));
    of.filter_map(|callback| callback.get("callback_name").cloned()).collect()
}

/// The variables of all callbacks together, as LiteLLM shows them.
fn variables(document: &Document) -> Map<String, Value> {
    let mut all = Map::new();
    for callback in form::of_team(document) {
        let vars = callback.get("callback_vars").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, value) in vars {
            let is_hidden = is_secret(&name) || value.as_str().is_some_and(Vault::is_sealed);
            all.insert(name, if is_hidden { Value::from(MASK) } else { value });
        }
    }
    all
}

fn list(desk: &Desk<'_>) -> Outcome {
    let team = find_team(desk, desk.param("team_id"))?;
    Ok(json!({
        "status": "success",
        "message": NOT_CALLED,
        "data": {
            "team_id": &*team.id,
            "success_callbacks": names(&team.document(), "success"),
            "failure_callbacks": names(&team.document(), "failure"),
            "callback_vars": variables(&team.document()),
        },
    }))
}

async fn add(desk: &Desk<'_>) -> Outcome {
    let team = find_team(desk, desk.param("team_id"))?;
    let sealing = Sealing::of(desk, &team.id);
    let seal = |member: &str, text: &str| sealing.seal(member, text);
    let context = desk.context_in(Some(&team.id));
    let draft = form::with(&team.id, &team.document(), &desk.body, &seal, &context)?;
    let changed = desk.commit_one(Change::new("updated").replace(&team, draft)).await?;
    let row = team_shown(desk, &changed, |shown| reply::team::row(shown, &desk.clock()));
    Ok(json!({"status": "success", "message": NOT_CALLED, "data": row}))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let (id, name) = (desk.param("team_id"), desk.param("callback_name"));
    let team = find_team(desk, id)?;
    let draft = form::without(&team.id, &team.document(), name, &desk.context_in(Some(&team.id)))?;
    let missing = || {
        let message = format!("callback_name = {name} is not registered for team_id = {id}.");
        Problem::Missing("callback_name", message)
    };
    let change = Change::new("updated").replace(&team, draft.ok_or_else(missing)?);
    let changed = desk.commit_one(change).await?;
    Ok(json!({
        "status": "success",
        "message": format!("Callback {name} removed for team {id}"),
        "data": {
            "team_id": id,
            "success_callbacks": names(&changed.document(), "success"),
            "failure_callbacks": names(&changed.document(), "failure"),
        },
    }))
}
