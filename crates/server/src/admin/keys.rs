//! `/key/*`: virtual keys.

use super::change::Change;
use super::desk::random_bits;
use super::{Desk, Outcome, Problem, Served, asks, key_mappings, looks, paging, spent};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tollgate_config::KeyBounds;
use tollgate_identity::form::bounds::Bounds;
use tollgate_identity::form::key::{Deletion, Secret};
use tollgate_identity::form::{self, Context, Draft};
use tollgate_identity::reply::key::{Shown, status};
use tollgate_identity::reply::{self};
use tollgate_identity::role::Role;
use tollgate_identity::secret::{KeyText, Token};
use tollgate_identity::{Kind, Record};

/// Keys that are made are shown to whoever asks for them, once.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/key/generate", |desk| Box::pin(generate(desk)), "Make a virtual key"),
    asks(
        "POST",
        "/key/service-account/generate",
        |desk| Box::pin(generate_for_service(desk)),
        "Make a virtual key of a service account",
    ),
    asks("POST", "/key/update", |desk| Box::pin(update(desk)), "Change a key"),
    asks("POST", "/key/bulk_update", |desk| Box::pin(bulk_update(desk)), "Change several keys"),
    asks("POST", "/team/key/bulk_update", |desk| Box::pin(team_bulk_update(desk)), "Change a team's keys"),
    asks("POST", "/key/block", |desk| Box::pin(block(desk, true)), "Block a key"),
    asks("POST", "/key/unblock", |desk| Box::pin(block(desk, false)), "Let a blocked key through again"),
    asks(
        "POST",
        "/key/regenerate",
        |desk| Box::pin(regenerate_in_body(desk)),
        "Put a new key in place of one",
    ),
    asks(
        "POST",
        "/key/{key}/regenerate",
        |desk| Box::pin(regenerate_in_path(desk)),
        "Put a new key in place of one",
    ),
    asks(
        "POST",
        "/key/{key}/reset_spend",
        |desk| Box::pin(reset_spend(desk)),
        "Set back what a key has spent",
    ),
    asks("POST", "/key/delete", |desk| Box::pin(delete(desk)), "Delete keys"),
    looks("GET", "/key/info", info, "A key"),
    looks("GET", "/key/list", list, "All keys"),
    looks("GET", "/key/aliases", aliases, "The aliases of all keys"),
    looks("POST", "/key/health", health, "Whether the key that asks is good"),
];

/// The most keys of one page, as LiteLLM has it.
const PAGE_MAX: usize = 100;
/// What a list of keys may be ordered by, and the states that may be asked for: LiteLLM's. Keys that are deleted are not kept.
const SORTED_BY: [&str; 6] = ["spend", "max_budget", "created_at", "updated_at", "token", "key_alias"];
const STATUSES: [&str; 4] = ["active", "expired", "revoked", "deleted"];

/// A secret that nobody had before, or the one that is chosen.
pub(super) fn secret(desk: &Desk<'_>, chosen: Option<&str>) -> Result<KeyText, Problem> {
    let Some(chosen) = chosen else { return Ok(KeyText::minted(random_bits()?)) };
    if desk.new_records().mints_all_keys {
        let words = "Custom API key values are disabled by your administrator. Keys must be auto-generated.";
        return Err(Problem::said(403, "permission_error", words));
    }
    let key = KeyText::chosen(chosen, desk.snapshot.master_digest())
        .map_err(|weak| Problem::Bad("key", weak.to_string()))?;
    let token = key.token();
    if desk.known(Kind::Key, token.as_str()).is_some() {
        return Err(Problem::Conflict("Key already exists in the database".to_owned()));
    }
    Ok(key)
}

/// Refuses an alias that another key has, and one that the operator's rule does not let be; what was there before stays.
pub(super) fn check_alias(desk: &Desk<'_>, draft: &Draft, own: Option<&str>) -> Result<(), Problem> {
    let Some(alias) = draft.document.text("key_alias") else { return Ok(()) };
    let directory = desk.ledger().directory();
    let old = own.and_then(|own| directory.get(Kind::Key, own));
    let refused = desk.new_records().alias_rule.refusal(alias);
    if let Some(refused) = refused.filter(|_| old.and_then(|old| old.alias()) != Some(alias)) {
        return Err(Problem::Bad("key_alias", refused));
    }
    let is_taken = |key: &Arc<Record>| {
        key.alias() == Some(alias) && key.id.as_ref() != draft.id && Some(key.id.as_ref()) != own
    };
    if directory.all(Kind::Key).any(is_taken) {
        let message = format!(
            "Key with alias '{alias}' already exists. Unique key aliases across all keys are required."
        );
        return Err(Problem::Bad("key_alias", message));
    }
    Ok(())
}

/// A key as it is shown.
pub(super) fn shown<T>(desk: &Desk<'_>, key: &Record, write: impl FnOnce(Shown<'_>) -> T) -> T {
    let amounts = desk.amounts(key);
    let budget = key.parents.budget.as_ref().and_then(|id| desk.known(Kind::Budget, id));
    write(Shown { key, amounts: &amounts, budget: budget.as_deref() })
}

async fn generate(desk: &Desk<'_>) -> Outcome {
    let key = secret(desk, form::key::chosen(&desk.body)?)?;
    let (token, name) = (key.token(), key.name());
    let secret = Secret { token: token.as_str(), name: &name };
    let team = team_of_new(desk);
    let (usual, owner) = (usual(desk, team.as_deref()), desk.owner_of_new_keys());
    let context = desk.context_in(team.as_deref());
    let draft = form::key::new_with_defaults(&desk.body, &usual, owner, secret, &context)?;
    make(desk, draft, &key, &context).await
}

async fn generate_for_service(desk: &Desk<'_>) -> Outcome {
    let key = secret(desk, form::key::chosen(&desk.body)?)?;
    let (token, name) = (key.token(), key.name());
    let secret = Secret { token: token.as_str(), name: &name };
    let team = team_of_new(desk);
    let context = desk.context_in(team.as_deref());
    let usual = &desk.new_records().keys;
    let draft = form::key::of_service_account_with_defaults(&desk.body, usual, secret, &context)?;
    make(desk, draft, &key, &context).await
}

/// What a key has of which its maker says nothing: by the operator, and by the team that it is of.
fn usual(desk: &Desk<'_>, team: Option<&str>) -> Map<String, Value> {
    let mut usual = desk.new_records().keys.clone();
    let team = team.and_then(|team| desk.known(Kind::Team, team));
    let duration = team.and_then(|team| team.document().metadata("team_member_key_duration").cloned());
    usual.extend(duration.map(|duration| ("duration".to_owned(), duration)));
    usual
}

/// The team that the body makes a key of: by itself, by its project, or since the operator says so of all.
fn team_of_new(desk: &Desk<'_>) -> Option<String> {
    let text =
        |body: &Map<String, Value>, name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let of_project = || {
        let project = desk.known(Kind::Project, &text(&desk.body, "project_id")?)?;
        project.parents.team.as_deref().map(str::to_owned)
    };
    text(&desk.body, "team_id").or_else(of_project).or_else(|| text(&desk.new_records().keys, "team_id"))
}

/// The most that a key may have.
pub(super) fn bounds(desk: &Desk<'_>) -> Bounds {
    let KeyBounds { max_budget, budget_duration, duration, max_parallel_requests, tpm_limit, rpm_limit } =
        desk.new_records().key_bounds;
    Bounds { max_budget, budget_duration, duration, max_parallel_requests, tpm_limit, rpm_limit }
}

/// Whether the operator lets who asks make such a key (`key_generation_settings`).
fn may_make(desk: &Desk<'_>, draft: &Draft) -> Result<(), Problem> {
    if desk.actor.is_admin() {
        return Ok(());
    }
    let new = desk.new_records();
    let administers_organizations = desk.actor.organizations.iter().any(|(_, is_admin)| *is_admin);
    let team = draft.document.text("team_id");
    if (new.bars_org_admins && administers_organizations) || (new.needs_team && team.is_none()) {
        return Err(Problem::not_allowed(&desk.actor, desk.row.path));
    }
    let (makers, role) = match draft.document.text("team_id") {
        Some(team) => (&new.team_keys, Some(if desk.administers(Some(team)) { "admin" } else { "user" })),
        None => (&new.personal_keys, desk.actor.role.map(Role::word)),
    };
    let is_one = |roles: &Vec<String>| role.is_some_and(|role| roles.iter().any(|may| may == role));
    if !makers.roles.as_ref().is_none_or(is_one) {
        return Err(Problem::not_allowed(&desk.actor, desk.row.path));
    }
    Ok(form::bounds::require(&desk.body, &makers.required_params)?)
}

async fn make(desk: &Desk<'_>, draft: Draft, key: &KeyText, context: &Context<'_>) -> Outcome {
    may_make(desk, &draft)?;
    let draft = bounds(desk).of_new(draft, context)?;
    let _naming = desk.naming().await;
    check_alias(desk, &draft, None)?;
    let made = desk.commit_one(Change::new("created").make(draft)).await?;
    Ok(shown(desk, &made, |shown| reply::key::generated(shown, key.as_str(), &desk.clock())))
}

/// The key that a text names: itself, or its token.
pub(super) fn token_of(text: &str) -> String {
    match Token::named(text) {
        Some(token) => token.as_str().to_owned(),
        None => Token::of(text.as_bytes()).as_str().to_owned(),
    }
}

fn find(desk: &Desk<'_>, named: &str) -> Result<Arc<Record>, Problem> {
    desk.find(Kind::Key, &token_of(named)).map_err(|problem| match problem {
        Problem::Denied(denied) if denied.status() == 404 => Problem::no_key(),
        other => other,
    })
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let named = form::key::subject(&desk.body)?;
    let changed = change(desk, named, &desk.body).await?;
    Ok(shown(desk, &changed, |shown| reply::key::updated(shown, named, &desk.clock())))
}

async fn change(desk: &Desk<'_>, named: &str, body: &Map<String, Value>) -> Result<Arc<Record>, Problem> {
    let old = find(desk, named)?;
    let context = desk.context_in(old.parents.team.as_deref());
    let draft = form::key::change(&old.id, &old.document(), body, &context)?;
    let spend = spent::asked(desk, body)?;
    bounds(desk).of_change(&draft, body)?;
    let _naming = desk.naming().await;
    check_alias(desk, &draft, Some(&old.id))?;
    let changed = desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    spent::set_if_asked(desk, changed, spend).await
}

async fn bulk_update(desk: &Desk<'_>) -> Outcome {
    let mut changed = Vec::new();
    let asked = form::key::bulk(&desk.body, &desk.context())?;
    for (named, body) in asked {
        changed.push(changed_or_why(desk, named, &body).await);
    }
    Ok(reply::key::bulk_updated(changed))
}

async fn team_bulk_update(desk: &Desk<'_>) -> Outcome {
    let asked = form::key::team_bulk(&desk.body, &desk.context())?;
    let team = desk.find(Kind::Team, &asked.team)?;
    let keys = match asked.keys {
        Some(keys) => keys,
        None => {
            let directory = desk.ledger().directory();
            directory.children(Kind::Team, &team.id, Kind::Key).map(|key| key.id.to_string()).collect()
        }
    };
    let mut changed = Vec::new();
    for named in keys {
        let is_teams = find(desk, &named).is_ok_and(|key| key.parents.team.as_deref() == Some(&*team.id));
        changed.push(if is_teams {
            changed_or_why(desk, named, &asked.body).await
        } else {
            (named, Err("is no key of this team".to_owned()))
        });
    }
    Ok(reply::key::bulk_updated(changed))
}

async fn changed_or_why(desk: &Desk<'_>, named: String, body: &Map<String, Value>) -> reply::key::Changed {
    let outcome = match change(desk, &named, body).await {
        Ok(key) => Ok(shown(desk, &key, |shown| reply::key::updated(shown, &named, &desk.clock()))),
        Err(problem) => Err(problem.into_rejection().message().to_owned()),
    };
    (named, outcome)
}

async fn block(desk: &Desk<'_>, is_blocked: bool) -> Outcome {
    let old = find(desk, &form::key::blocking(&desk.body, &desk.context())?)?;
    let draft = |key: &Record| form::key::block(&key.id, &key.document(), is_blocked, &desk.context());
    let action = if is_blocked { "blocked" } else { "unblocked" };
    let mut change = Change::new(action).replace(&old, draft(&old));
    for before in predecessors(desk, &old.id) {
        change = change.replace(&before, draft(&before));
    }
    let changed = desk.commit_one(change).await?;
    let clock = desk.clock();
    Ok(shown(desk, &changed, |shown| {
        if is_blocked {
            reply::key::blocked(shown, &clock)
        } else {
            Value::Object(reply::key::row(shown, &clock))
        }
    }))
}

async fn regenerate_in_body(desk: &Desk<'_>) -> Outcome {
    let named = desk.query.get("key").or_else(|| desk.body.get("key").and_then(Value::as_str));
    let named = named.ok_or_else(|| Problem::Bad("key", "'key' is missing".to_owned()))?;
    regenerate(desk, named).await
}

async fn regenerate_in_path(desk: &Desk<'_>) -> Outcome {
    regenerate(desk, desk.param("key")).await
}

async fn regenerate(desk: &Desk<'_>, named: &str) -> Outcome {
    let old = find(desk, named)?;
    let key = secret(desk, form::key::chosen_anew(&desk.body)?)?;
    let made = replace(desk, &old, &key).await?;
    Ok(shown(desk, &made, |shown| reply::key::generated(shown, key.as_str(), &desk.clock())))
}

/// Puts a key in place of another, with what the body changes of it.
pub(super) async fn replace(
    desk: &Desk<'_>,
    old: &Arc<Record>,
    key: &KeyText,
) -> Result<Arc<Record>, Problem> {
    // Else it would have two in its place, and each all of its budget.
    if old.successor().is_some() {
        return Err(Problem::Conflict("The key has been regenerated already".to_owned()));
    }
    let (token, name) = (key.token(), key.name());
    let secret = Secret { token: token.as_str(), name: &name };
    let context = desk.context_in(old.parents.team.as_deref());
    let spend = spent::asked(desk, &desk.body)?;
    let anew = form::key::regenerate(&old.id, &old.document(), &desk.body, secret, &context)?;
    bounds(desk).of_change(&anew.new, &desk.body)?;
    let _naming = desk.naming().await;
    check_alias(desk, &anew.new, Some(&old.id))?;
    let change = Change::new("regenerated").make(anew.new);
    let mut change = key_mappings::moved(desk, change, (&old.id, token.as_str()));
    for before in predecessors(desk, &old.id) {
        let draft = form::key::succeeded_by(&before.id, &before.document(), token.as_str(), &context);
        change = change.replace(&before, draft);
    }
    for settled in spent::carried_over(desk, old, token.as_str()) {
        change = change.set(settled);
    }
    change = match anew.old {
        Some(kept) => change.replace(old, kept),
        None => change.delete(old),
    };
    let made = desk.commit_one(change).await?;
    spent::set_if_asked(desk, made, spend).await
}

/// The keys that are let through for a while in place of one: those that it was regenerated from.
pub(super) fn predecessors(desk: &Desk<'_>, token: &str) -> Vec<Arc<Record>> {
    let directory = desk.ledger().directory();
    let of = |key: &&Arc<Record>| key.successor() == Some(token);
    directory.all(Kind::Key).filter(of).map(Arc::clone).collect()
}

async fn reset_spend(desk: &Desk<'_>) -> Outcome {
    let key = find(desk, desk.param("key"))?;
    let before = desk.amounts(&key).spend;
    let to = form::key::reset_spend(&desk.body, before, &desk.context())?;
    let key = spent::set(desk, key, to).await?;
    Ok(shown(desk, &key, |shown| reply::key::spend_reset(shown, before, &desk.clock())))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let (asked, found): (Vec<String>, Vec<Arc<Record>>) =
        match form::key::deletion(&desk.body, &desk.context())? {
            Deletion::Keys(keys) => {
                let found = keys.iter().map(|key| find(desk, key)).collect::<Result<_, _>>();
                (keys, found.map_err(|problem| problem.or_no_keys())?)
            }
            Deletion::Aliases(aliases) => {
                let all = desk.all(Kind::Key);
                let of = |alias: &String| all.iter().find(|key| key.alias() == Some(alias)).map(Arc::clone);
                let found: Option<Vec<_>> = aliases.iter().map(of).collect();
                (aliases, found.ok_or_else(Problem::no_keys)?)
            }
        };
    // What is let through in a key's place goes with it.
    let mut all: Vec<Arc<Record>> = Vec::new();
    for key in
        found.iter().flat_map(|key| std::iter::once(Arc::clone(key)).chain(predecessors(desk, &key.id)))
    {
        if !all.iter().any(|other| other.id == key.id) {
            all.push(key);
        }
    }
    desk.commit(all.iter().fold(Change::new("deleted"), Change::delete)).await?;
    Ok(reply::key::deleted(&asked))
}

fn info(desk: &Desk<'_>) -> Outcome {
    let own = desk.caller.holder().map(|holder| holder.key.id.to_string());
    let named = desk.query.get("key").map(str::to_owned).or(own);
    let named = named.ok_or_else(|| Problem::Bad("key", "'key' is missing".to_owned()))?;
    let key = find(desk, &named)?;
    Ok(shown(desk, &key, |shown| reply::key::info(shown, &named, &desk.clock())))
}

fn health(_desk: &Desk<'_>) -> Outcome {
    Ok(reply::key::health())
}

/// The keys that a list asks for, in its order.
fn listed(desk: &Desk<'_>) -> Result<Vec<Arc<Record>>, Problem> {
    let query = &desk.query;
    query.check_order(&SORTED_BY, Problem::query_as_python)?;
    if query.get("status").is_some_and(|status| !STATUSES.contains(&status)) {
        let words = "Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.";
        return Err(Problem::query_as_python(words));
    }
    let is = |wanted: Option<&str>, has: Option<&str>| wanted.is_none_or(|wanted| has == Some(wanted));
    let is_loose = query.flag("substring_matching")?.unwrap_or(false);
    let alias_fits = |key: &Record| match query.get("key_alias") {
        None => true,
        Some(wanted) if is_loose => key.alias().is_some_and(|alias| contains(alias, wanted)),
        Some(wanted) => key.alias() == Some(wanted),
    };
    let search_fits = |key: &Record| {
        query.get("search").is_none_or(|text| {
            let places = [key.alias(), Some(&*key.id), key.parents.user.as_deref()];
            places.into_iter().flatten().any(|place| contains(place, text))
                || key.text("key_name").is_some_and(|name| contains(&name, text))
        })
    };
    let clock = desk.clock();
    let mut keys = desk.all(Kind::Key);
    keys.retain(|key| {
        let parents = &key.parents;
        is(query.get("user_id"), parents.user.as_deref())
            && is(query.get("team_id"), parents.team.as_deref())
            && is(query.get("project_id"), parents.project.as_deref())
            && is(query.get("organization_id"), parents.organization.as_deref())
            && query.get("key_hash").is_none_or(|hash| *key.id == *token_of(hash))
            && query.get("status").is_none_or(|wanted| status(key, &clock) == wanted)
            && alias_fits(key)
            && search_fits(key)
    });
    paging::sort(&mut keys, query, |key, by| match by {
        "spend" => paging::SortKey::Money(desk.amounts(key).spend),
        "token" => paging::SortKey::Text(Some(key.id.to_string())),
        name => paging::SortKey::of_member(key, name),
    });
    Ok(keys)
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn list(desk: &Desk<'_>) -> Outcome {
    let keys = listed(desk)?;
    let (page, keys) = paging::page(&desk.query, ("page", "size"), (10, Some(PAGE_MAX)), keys)?;
    let is_full = desk.query.flag("return_full_object")?.unwrap_or(false);
    let shows_user = desk.query.all("expand").any(|what| what.split(',').any(|what| what == "user"));
    let rows = keys.iter().map(|key| {
        if !is_full {
            return Value::from(&*key.id);
        }
        let user = key.parents.user.as_ref().filter(|_| shows_user).and_then(|id| desk.known(Kind::User, id));
        let user = user.map(|user| json!({"user_id": &*user.id, "user_email": user.text("user_email")}));
        let given: &[(&'static str, Value)] = &[("user", user.unwrap_or_default())];
        shown(desk, key, |shown| reply::key::view(shown, given, &desk.clock()))
    });
    Ok(reply::key::list(&rows.collect::<Vec<_>>(), page))
}

fn aliases(desk: &Desk<'_>) -> Outcome {
    let search = desk.query.get("search");
    let team = desk.query.get("team_id");
    let mut aliases: Vec<String> = desk
        .all(Kind::Key)
        .iter()
        .filter(|key| team.is_none_or(|team| key.parents.team.as_deref() == Some(team)))
        .filter_map(|key| key.alias().map(str::to_owned))
        .filter(|alias| search.is_none_or(|part| contains(alias, part)))
        .collect();
    aliases.sort_unstable();
    aliases.dedup();
    let (page, aliases) = paging::page(&desk.query, ("page", "size"), (50, Some(PAGE_MAX)), aliases)?;
    Ok(reply::key::aliases(&aliases.iter().map(String::as_str).collect::<Vec<_>>(), page))
}
