//! `/model/*`: deployments that are made while the gateway runs, and served from the next request on.
//!
//! Leaves what a deployment may say to the configuration, which reads it as it reads one of the files, and serving it to the
//! snapshot, which is made anew when a record changes. **Invariant:** what could not be served is not kept. **Invariant:**
//! whoever administers a team alone brings the team's own key to the team's own deployment: it reaches no variable, no
//! credential and no private address of the gateway's, and no price is theirs to set.

use super::sealing::Sealing;
use super::{Change, Desk, Outcome, Problem, Served, asks, desk, looks, paging};
use crate::info::models::deployment_info;
use crate::made::{GUARDED, Stored};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tollgate_config::Deployment;
use tollgate_identity::access::Right;
use tollgate_identity::form::{BadForm, Draft, model as form};
use tollgate_identity::reply::model as reply;
use tollgate_identity::{Kind, Record};

/// The routes of deployments. `/model/info` and `/model_group/info` are every caller's, and stand with the other lists.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/model/new", |desk| Box::pin(new(desk)), "Make a deployment"),
    asks("POST", "/model/update", |desk| Box::pin(update(desk)), "Change a deployment"),
    asks("PATCH", "/model/{model_id}/update", |desk| Box::pin(patch(desk)), "Change a deployment"),
    asks("POST", "/model/delete", |desk| Box::pin(delete(desk)), "Delete a deployment"),
    asks("POST", "/model/block", |desk| Box::pin(block(desk, true)), "Send a deployment nothing"),
    asks("POST", "/model/unblock", |desk| Box::pin(block(desk, false)), "Let a deployment through again"),
    looks("GET", "/v2/model/info", info, "Every deployment, in pages"),
];

/// Where LiteLLM's pages of deployments are as long as all of them may be.
const PAGE: usize = 50;
/// What whoever administers a team may say of its deployments.
const OF_TEAMS: [&str; 17] = [
    "model",
    "custom_llm_provider",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "organization",
    "rpm",
    "tpm",
    "weight",
    "order",
    "timeout",
    "stream_timeout",
    "num_retries",
    "max_retries",
    "max_parallel_requests",
    "tags",
];
/// Those of them that say where a key goes.
const DESTINATION: [&str; 4] = ["model", "custom_llm_provider", "api_base", "base_url"];
/// What they may say in `model_info`.
const INFO_OF_TEAMS: [&str; 5] = ["id", "team_id", "mode", "description", "db_model"];

/// A deployment of this id, whether the files have it or a record does.
fn is_in_files<'a>(desk: &'a Desk<'_>, id: &str) -> Option<&'a Deployment> {
    desk.snapshot.config().deployments.iter().find(|one| one.id == id && !one.is_made)
}

/// The record of a deployment; of one that the files have it is said so.
fn find(desk: &Desk<'_>, id: &str) -> Result<Arc<Record>, Problem> {
    let found = desk.find(Kind::Model, id);
    if found.is_err() && desk.actor.is_admin() && is_in_files(desk, id).is_some() {
        let message = format!("Model id = {id} is in the configuration's file: it is changed there");
        return Err(Problem::Bad("model_id", message));
    }
    found
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let id = form::id_of(&desk.body).map_or_else(desk::fresh_id, str::to_owned);
    if desk.known(Kind::Model, &id).is_some() || is_in_files(desk, &id).is_some() {
        return Err(Problem::Conflict(format!("Model id = {id} already exists")));
    }
    let sealing = Sealing::of(desk, &id);
    let draft = form::new(&id, &desk.body, &|member, text| sealing.seal(member, text), &desk.context())?;
    let made = keep(desk, draft, None).await?;
    Ok(reply::row(&made, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let id = form::changed_id_of(&desk.body).ok_or_else(|| BadForm::missing("model_info.id"))?;
    change(desk, id).await
}

async fn patch(desk: &Desk<'_>) -> Outcome {
    change(desk, desk.param("model_id")).await
}

async fn change(desk: &Desk<'_>, id: &str) -> Outcome {
    let old = find(desk, id)?;
    let sealing = Sealing::of(desk, id);
    let seal = |member: &str, text: &str| sealing.seal(member, text);
    let draft = form::change(id, &old.document(), &desk.body, &seal, &desk.context())?;
    let changed = keep(desk, draft, Some(&old)).await?;
    Ok(reply::row(&changed, &desk.clock()))
}

/// Keeps a deployment that can be served.
async fn keep(desk: &Desk<'_>, mut draft: Draft, old: Option<&Arc<Record>>) -> Result<Arc<Record>, Problem> {
    if !desk.actor.is_admin() {
        refuse_beyond_team(&desk.body, old)?;
        if old.is_none() || says_destination(&desk.body) {
            draft.document.0.insert(GUARDED.to_owned(), Value::Bool(true));
        }
    } else if says_destination(&desk.body) || params(&desk.body).any(|(name, _)| !OF_TEAMS.contains(&&**name))
    {
        draft.document.0.shift_remove(GUARDED);
    }
    if let Some(team) = team_of(&draft)
        && desk.in_right(Right::TeamSee, (Kind::Team, team)).is_err()
    {
        return Err(Problem::Missing("model_info.team_id", format!("Team id = {team} does not exist")));
    }
    if old.is_none() {
        // Before it is tried out, so that nobody learns by trying what they may not make.
        desk.may_make(&draft)?;
    }
    try_out(desk, &draft)?;
    let change = match old {
        None => Change::new("created").make(draft),
        Some(old) => Change::new("updated").replace(old, draft),
    };
    desk.commit_one(change).await
}

/// Refuses what could not be served, as the configuration's own check would, with the member's name.
pub(super) fn try_out(desk: &Desk<'_>, draft: &Draft) -> Result<(), Problem> {
    let record =
        Record::read(draft.kind, &draft.id, 1, &draft.document).map_err(|bad| Problem::Form(bad.into()))?;
    let stored = Stored::of(&desk.ledger().directory());
    let gateway = &desk.worker.gateway;
    let before = gateway.try_out(&stored);
    // What was wrong before is none of this one's doing.
    let is_new = |unfit: &&crate::made::Unfit| *unfit.id == *draft.id || !before.contains(unfit);
    match gateway.try_out(&stored.with(record)).iter().find(is_new) {
        None => Ok(()),
        Some(unfit) => Err(BadForm::wrong(unfit.member.clone(), unfit.reason.clone()).into()),
    }
}

fn params(body: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    body.get("litellm_params").and_then(Value::as_object).into_iter().flatten()
}

/// Whether a body says where requests go.
fn says_destination(body: &Map<String, Value>) -> bool {
    params(body).any(|(name, _)| DESTINATION.contains(&&**name))
}

fn team_of(draft: &Draft) -> Option<&str> {
    draft.document.get("model_info")?.get("team_id")?.as_str().filter(|team| !team.is_empty())
}

/// Refuses what is not for whoever administers a team to say of its deployments.
fn refuse_beyond_team(body: &Map<String, Value>, old: Option<&Arc<Record>>) -> Result<(), Problem> {
    let members = |name: &str| body.get(name).and_then(Value::as_object).into_iter().flatten();
    let beyond = |name: &str, allowed: &[&str]| {
        let other =
            members(name).map(|(member, _)| member).find(|member| !allowed.contains(&member.as_str()))?;
        Some(BadForm::forbidden(format!("{name}.{other}")))
    };
    let beyond = beyond("litellm_params", &OF_TEAMS).or_else(|| beyond("model_info", &INFO_OF_TEAMS));
    let blocked = || body.contains_key("blocked").then(|| BadForm::forbidden("blocked"));
    if let Some(beyond) = beyond.or_else(blocked) {
        return Err(beyond.into());
    }
    let key = params(body).find(|(member, _)| *member == "api_key").map(|(_, value)| value);
    let moves = says_destination(body);
    if moves && old.is_some_and(|old| !old.document().flag(GUARDED)) {
        // Whoever made it may have given it more than a key.
        return Err(BadForm::forbidden("litellm_params").into());
    }
    let is_own_key =
        key.and_then(Value::as_str).is_some_and(|key| !key.trim().is_empty() && !key.contains("****"));
    if (old.is_none() || moves) && !is_own_key {
        // A key that is kept would go where somebody says who never knew it.
        return Err(BadForm::wrong("litellm_params.api_key", "is to be given with where it goes").into());
    }
    let named = body.get("model_info").and_then(|info| info.get("team_id"));
    let is_of =
        |old: &Arc<Record>| old.member("model_info").as_ref().and_then(|info| info.get("team_id")) == named;
    if named.is_some() && old.is_some_and(|old| !is_of(old)) {
        return Err(BadForm::forbidden("model_info.team_id").into());
    }
    Ok(())
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let id = form::deletion(&desk.body, &desk.context())?;
    let old = find(desk, &id)?;
    desk.commit(Change::new("deleted").delete(&old)).await?;
    Ok(reply::deleted(&id))
}

async fn block(desk: &Desk<'_>, is_blocked: bool) -> Outcome {
    let old = find(desk, &form::blocking(&desk.body, &desk.context())?)?;
    let draft = form::block(&old.id, &old.document(), is_blocked, &desk.context());
    let action = if is_blocked { "blocked" } else { "unblocked" };
    let changed = desk.commit_one(Change::new(action).replace(&old, draft)).await?;
    Ok(reply::row(&changed, &desk.clock()))
}

fn info(desk: &Desk<'_>) -> Outcome {
    let query = &desk.query;
    let wanted = |of: &str, has: &str| query.get(of).is_none_or(|wanted| wanted == has);
    let search = query.get("search").map(str::to_lowercase);
    let shown = |one: &&Deployment| {
        let is_seen = desk.snapshot.shown(&desk.caller, &one.model_name, desk.ledger()).is_some();
        let team = one.team.as_ref().map_or("", |(team, _)| team);
        is_seen
            && wanted("model", one.public_name())
            && wanted("modelId", &one.id)
            && wanted("teamId", team)
            && search.as_ref().is_none_or(|part| one.public_name().to_lowercase().contains(part))
    };
    let all: Vec<&Deployment> = desk.snapshot.config().deployments.iter().filter(shown).collect();
    let (page, rows) = paging::page(query, ("page", "size"), (PAGE, None), all)?;
    let rows: Vec<Value> = rows.iter().map(|one| deployment_info(desk.snapshot, one)).collect();
    Ok(json!({
        "data": rows,
        "total_count": page.total,
        "current_page": page.number,
        "total_pages": page.total.div_ceil(page.size),
        "size": page.size,
    }))
}
