//! `/access_group/*` (groups of models by their own name) and `/v1/access_group` (groups by id, which teams and keys refer
//! to).
//!
//! A group is what deployments say (`model_info.access_groups`) and what its record says, together. **Invariant:** to whom
//! a group is assigned is read from those it is assigned to.

use super::change::Change;
use super::{Desk, Outcome, Problem, Served, asks, looks, paging};
use http::StatusCode;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tollgate_config::Deployment;
use tollgate_identity::reply::access_group::{Named, Shown};
use tollgate_identity::secret::Token;
use tollgate_identity::{Document, Kind, Record, form, reply};

/// Those of `/v1` have a second name.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/access_group/new", |desk| Box::pin(new(desk)), "Make a group of models"),
    asks(
        "PUT",
        "/access_group/{access_group}/update",
        |desk| Box::pin(update(desk)),
        "Change the models of a group",
    ),
    asks(
        "DELETE",
        "/access_group/{access_group}/delete",
        |desk| Box::pin(delete(desk)),
        "Delete a group of models",
    ),
    looks("GET", "/access_group/{access_group}/budget", budget, "The budget of a group of models"),
    asks(
        "PUT",
        "/access_group/{access_group}/budget",
        |desk| Box::pin(set_budget(desk)),
        "Give a group of models a budget",
    ),
    asks(
        "DELETE",
        "/access_group/{access_group}/budget",
        |desk| Box::pin(delete_budget(desk)),
        "Take a group of models its budget",
    ),
    looks("GET", "/access_group/{access_group}/info", info, "A group of models"),
    looks("GET", "/access_group/list", list, "All groups of models"),
    looks("GET", "/v1/access_group", list_named, "All access groups"),
    asks("POST", "/v1/access_group", |desk| Box::pin(new_named(desk)), "Make an access group")
        .answers(StatusCode::CREATED),
    looks("GET", "/v1/access_group/{access_group_id}", info_named, "An access group"),
    asks(
        "PUT",
        "/v1/access_group/{access_group_id}",
        |desk| Box::pin(update_named(desk)),
        "Change an access group",
    ),
    asks(
        "DELETE",
        "/v1/access_group/{access_group_id}",
        |desk| Box::pin(delete_named(desk)),
        "Delete an access group",
    )
    .answers(StatusCode::NO_CONTENT),
    looks("GET", "/v1/unified_access_group", list_named, "All access groups"),
    asks("POST", "/v1/unified_access_group", |desk| Box::pin(new_named(desk)), "Make an access group")
        .answers(StatusCode::CREATED),
    looks("GET", "/v1/unified_access_group/{access_group_id}", info_named, "An access group"),
    asks(
        "PUT",
        "/v1/unified_access_group/{access_group_id}",
        |desk| Box::pin(update_named(desk)),
        "Change an access group",
    ),
    asks(
        "DELETE",
        "/v1/unified_access_group/{access_group_id}",
        |desk| Box::pin(delete_named(desk)),
        "Delete an access group",
    )
    .answers(StatusCode::NO_CONTENT),
];

/// What groups of `/v1/access_group` alone have.
const NAME: &str = "access_group_name";
/// LiteLLM's word in a list of models for none.
const NO_MODELS: &str = "no-default-models";

/// Whether a record is a group of `/v1/access_group`.
fn is_named(group: &Record) -> bool {
    group.member(NAME).is_some()
}

fn not_found(name: &str) -> String {
    format!("Access group '{name}' not found")
}

fn missing(name: &str) -> Problem {
    Problem::Missing("access_group", not_found(name))
}

/// The record of a group of models.
fn find(desk: &Desk<'_>, name: &str) -> Result<Arc<Record>, Problem> {
    let found = desk.find(Kind::AccessGroup, name);
    let found = found.map_err(|problem| problem.or_missing("access_group", || not_found(name)))?;
    if is_named(&found) { Err(missing(name)) } else { Ok(found) }
}

/// The deployments that say that they are in a group, and those that its record names.
fn deployments<'a>(desk: &'a Desk<'_>, group: &Record) -> Vec<&'a Deployment> {
    let document = group.document();
    let has = |member: &str, name: &str| document.texts(member).any(|own| own == name);
    let is_in = |deployment: &&Deployment| {
        deployment.access_groups.iter().any(|name| **name == *group.id)
            || has("models", &deployment.model_name)
            || has("model_ids", &deployment.id)
    };
    desk.snapshot.config().deployments.iter().filter(is_in).collect()
}

/// A group that only deployments name, as a record without models of its own.
fn configured(desk: &Desk<'_>, name: &str) -> Option<Record> {
    let mut all = desk.snapshot.config().deployments.iter();
    all.find(|deployment| deployment.access_groups.iter().any(|group| group == name))?;
    Record::read(Kind::AccessGroup, name, 0, &Document::default()).ok()
}

/// A group by its record, else by the deployments that name it.
fn find_any(desk: &Desk<'_>, name: &str) -> Result<Arc<Record>, Problem> {
    match find(desk, name) {
        Err(Problem::Missing(..)) => configured(desk, name).map(Arc::new).ok_or_else(|| missing(name)),
        found => found,
    }
}

/// Refuses to change what the configuration alone says.
fn find_to_change(desk: &Desk<'_>) -> Result<Arc<Record>, Problem> {
    let name = desk.param("access_group");
    find(desk, name).map_err(|problem| match problem {
        Problem::Missing(..) if configured(desk, name).is_some() => {
            let message = format!("Access group '{name}' is written in the configuration, and changed there");
            Problem::Bad("access_group", message)
        }
        other => other,
    })
}

/// Refuses names of models that there are not.
fn check_models(desk: &Desk<'_>, document: &Document) -> Result<(), Problem> {
    let groups = desk.snapshot.names();
    let deployments = &desk.snapshot.config().deployments;
    let names = document.texts("models").filter(|name| *name != NO_MODELS && !groups.contains(name));
    let ids = document.texts("model_ids");
    let ids = ids.filter(|id| !deployments.iter().any(|deployment| deployment.id == *id));
    let unknown: Vec<&str> = names.chain(ids).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Problem::Missing("model_names", format!("Model(s) not found: {}", unknown.join(", "))))
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let draft = form::access_group::new(&desk.body, &desk.context())?;
    check_models(desk, &draft.document)?;
    if desk.snapshot.names().contains(&draft.id.as_str()) {
        // Whoever may use that model would be given those of the group.
        let message = format!("Access group '{}' has the name of a model", draft.id);
        return Err(Problem::Conflict(message));
    }
    if desk.known(Kind::AccessGroup, &draft.id).is_some() || configured(desk, &draft.id).is_some() {
        return Err(Problem::Conflict(format!("Access group '{}' already exists", draft.id)));
    }
    let made = desk.commit_one(Change::new("created").make(draft)).await?;
    Ok(reply::access_group::made(&made, deployments(desk, &made).len()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let old = find_to_change(desk)?;
    let draft = form::access_group::change(&old.id, &old.document(), &desk.body, &desk.context())?;
    check_models(desk, &draft.document)?;
    let changed = desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    Ok(reply::access_group::made(&changed, deployments(desk, &changed).len()))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let group = find_to_change(desk)?;
    let count = deployments(desk, &group).len();
    desk.commit(Change::new("deleted").delete(&group)).await?;
    Ok(reply::access_group::deleted(&group.id, count))
}

fn shown<T>(desk: &Desk<'_>, group: &Record, write: impl FnOnce(Shown<'_>) -> T) -> T {
    let (amounts, budget) = (desk.amounts(group), desk.budget_of(group));
    write(Shown { group, amounts: &amounts, budget: budget.as_deref() })
}

fn row(desk: &Desk<'_>, group: &Record) -> Value {
    let deployments = deployments(desk, group);
    let models: BTreeSet<&str> =
        deployments.iter().map(|deployment| deployment.model_name.as_str()).collect();
    let models: Vec<&str> = models.into_iter().collect();
    shown(desk, group, |shown| reply::access_group::info(shown, &models, deployments.len(), &desk.clock()))
}

fn info(desk: &Desk<'_>) -> Outcome {
    let group = find_any(desk, desk.param("access_group"))?;
    Ok(row(desk, &group))
}

fn list(desk: &Desk<'_>) -> Outcome {
    let mut groups: BTreeMap<String, Arc<Record>> = BTreeMap::new();
    for group in desk.all(Kind::AccessGroup).into_iter().filter(|group| !is_named(group)) {
        groups.insert(group.id.to_string(), group);
    }
    for name in desk.snapshot.config().deployments.iter().flat_map(|deployment| &deployment.access_groups) {
        if !groups.contains_key(name.as_str()) {
            groups.extend(configured(desk, name).map(|group| (name.clone(), Arc::new(group))));
        }
    }
    let rows: Vec<Value> = groups.values().map(|group| row(desk, group)).collect();
    Ok(reply::access_group::list(&rows))
}

fn budget(desk: &Desk<'_>) -> Outcome {
    let group = find_any(desk, desk.param("access_group"))?;
    Ok(shown(desk, &group, |shown| reply::access_group::budget(shown, &desk.clock())))
}

/// A group that only deployments name gets a record for its budget.
async fn set_budget(desk: &Desk<'_>) -> Outcome {
    let old = find_any(desk, desk.param("access_group"))?;
    let own_budget = desk.own_budget(&old);
    let limits = own_budget.as_ref().map(|budget| budget.document());
    let own = own_budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let drafts =
        form::access_group::change_budget(&old.id, &old.document(), own, &desk.body, &desk.context())?;
    let known = desk.known(Kind::AccessGroup, &old.id);
    let change = Change::new("updated").put(drafts, known.as_ref(), own_budget.as_ref());
    let changed = desk.commit_one(change).await?;
    Ok(shown(desk, &changed, |shown| reply::access_group::budget(shown, &desk.clock())))
}

async fn delete_budget(desk: &Desk<'_>) -> Outcome {
    let group = find_any(desk, desk.param("access_group"))?;
    let had_one = group.parents.budget.is_some();
    if had_one {
        let draft = form::access_group::without_budget(&group.id, &group.document(), &desk.context());
        desk.commit(Change::new("updated").replace(&group, draft)).await?;
    }
    Ok(reply::access_group::budget_deleted(&group.id, had_one))
}

fn find_named(desk: &Desk<'_>) -> Result<Arc<Record>, Problem> {
    let id = desk.param("access_group_id");
    let found = desk.find(Kind::AccessGroup, id);
    let found = found.map_err(|problem| problem.or_missing("access_group_id", || not_found(id)))?;
    if is_named(&found) { Ok(found) } else { Err(Problem::Missing("access_group_id", not_found(id))) }
}

/// Those of a kind who have a group.
fn assigned(desk: &Desk<'_>, group: &str, kind: Kind) -> Vec<Arc<Record>> {
    let directory = desk.ledger().directory();
    let has = |record: &&Arc<Record>| record.reach.groups.iter().any(|own| **own == *group);
    let mut all: Vec<Arc<Record>> = directory.all(kind).filter(has).map(Arc::clone).collect();
    paging::oldest_first(&mut all);
    all
}

fn named_row(desk: &Desk<'_>, group: &Record) -> Value {
    let (teams, keys) = (assigned(desk, &group.id, Kind::Team), assigned(desk, &group.id, Kind::Key));
    let (teams, keys) = (names(&teams), names(&keys));
    reply::access_group::named(group, &teams, &keys, &desk.clock())
}

fn names(records: &[Arc<Record>]) -> Vec<Named<'_>> {
    records.iter().map(|record| (&*record.id, record.alias())).collect()
}

fn list_named(desk: &Desk<'_>) -> Outcome {
    let mut groups = desk.all(Kind::AccessGroup);
    groups.retain(|group| is_named(group));
    paging::oldest_first(&mut groups);
    Ok(groups.iter().map(|group| named_row(desk, group)).collect())
}

fn info_named(desk: &Desk<'_>) -> Outcome {
    let group = find_named(desk)?;
    Ok(named_row(desk, &group))
}

/// Refuses a name that another group has.
fn check_name(desk: &Desk<'_>, draft: &form::Draft) -> Result<(), Problem> {
    let Some(name) = draft.document.text(NAME) else { return Ok(()) };
    let mut others = desk.all(Kind::AccessGroup).into_iter().filter(|group| *group.id != *draft.id);
    if others.any(|group| group.text(NAME).as_deref() == Some(name)) {
        return Err(Problem::Conflict(format!("Access group with name '{name}' already exists")));
    }
    Ok(())
}

/// Assigns a group to those of a kind whom the body names, and takes it from all others; a body that says nothing of them
/// leaves them.
fn assign(desk: &Desk<'_>, mut change: Change, group: &str, kind: Kind) -> Result<Change, Problem> {
    let member = if kind == Kind::Team { "assigned_team_ids" } else { "assigned_key_ids" };
    let Some(named) = desk.body.get(member).and_then(Value::as_array) else { return Ok(change) };
    let mut wanted = BTreeSet::new();
    for name in named.iter().filter_map(Value::as_str) {
        let token = Token::named(name).filter(|_| kind == Kind::Key);
        let id = token.as_ref().map_or(name, Token::as_str);
        let record = desk.known(kind, id);
        let record = record.ok_or_else(|| {
            let noun = if kind == Kind::Team { "Team" } else { "Key" };
            Problem::Missing(member, format!("{noun}={name} not found"))
        })?;
        if wanted.insert(Arc::clone(&record.id)) && !record.reach.groups.iter().any(|own| **own == *group) {
            change =
                change.replace(&record, form::access_group::assigned(&record, group, true, &desk.context()));
        }
    }
    for record in assigned(desk, group, kind).iter().filter(|record| !wanted.contains(&record.id)) {
        change = change.replace(record, form::access_group::assigned(record, group, false, &desk.context()));
    }
    Ok(change)
}

async fn new_named(desk: &Desk<'_>) -> Outcome {
    let draft = form::access_group::new_named(&desk.body, &desk.context())?;
    check_models(desk, &draft.document)?;
    check_name(desk, &draft)?;
    let id = draft.id.clone();
    let change = Change::new("created").make(draft);
    let change = assign(desk, change, &id, Kind::Team)?;
    let made = desk.commit_one(assign(desk, change, &id, Kind::Key)?).await?;
    Ok(named_row(desk, &made))
}

async fn update_named(desk: &Desk<'_>) -> Outcome {
    let old = find_named(desk)?;
    let draft = form::access_group::change_named(&old.id, &old.document(), &desk.body, &desk.context())?;
    check_models(desk, &draft.document)?;
    check_name(desk, &draft)?;
    let change = Change::new("updated").replace(&old, draft);
    let change = assign(desk, change, &old.id, Kind::Team)?;
    let changed = desk.commit_one(assign(desk, change, &old.id, Kind::Key)?).await?;
    Ok(named_row(desk, &changed))
}

/// Whoever had it has it no longer.
async fn delete_named(desk: &Desk<'_>) -> Outcome {
    let group = find_named(desk)?;
    let mut change = Change::new("deleted").delete(&group);
    for kind in [Kind::Team, Kind::Key] {
        for record in assigned(desk, &group.id, kind) {
            let draft = form::access_group::assigned(&record, &group.id, false, &desk.context());
            change = change.replace(&record, draft);
        }
    }
    desk.commit(change).await?;
    Ok(Value::Null)
}
