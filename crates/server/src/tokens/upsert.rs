//! Users and teams that tokens name and that are not there yet (`user_id_upsert`, `team_id_upsert`), and users' places in the
//! teams that their tokens say.
//!
//! **Invariant:** who is made here is made by the operator's settings and a token that was checked, with the defaults of the
//! configuration, and is audited in the transaction that makes it. **Invariant:** who cannot be made now is not let in.

use super::Asked;
use super::passport::Passport;
use super::rules::Rules;
use crate::admin::{Author, Change, DEFAULT_USER, fresh_id};
use crate::error::Rejection;
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_config::NewRecords;
use tollgate_identity::form::member::{Seat, Terms, Who};
use tollgate_identity::form::{self, BadForm, Context, Draft};
use tollgate_identity::jwt::{BadIdentity, Identity, user_named};
use tollgate_identity::role::Role;
use tollgate_identity::{Directory, Document, Kind, member_id};
use tollgate_ledger::CommitError;
use tollgate_policy::clock::Wall;
use tollgate_store::StoreError;
use tollgate_store::books::RecordChange;

/// How often it is looked again after others have made the same.
const TRIES_MAX: usize = 3;

/// Whom a token stands for; who is not there is made, where that is wanted.
///
/// # Errors
/// Where it stands for nobody, or nobody can be made now.
pub(super) async fn passport(
    asked: &Asked<'_>,
    rules: &Arc<Rules>,
    identity: Identity,
) -> Result<Passport, Rejection> {
    let ledger = asked.worker.gateway.ledger();
    let mut has_asked = false;
    for _ in 0..TRIES_MAX {
        // The change before the records: what comes between is looked at once more.
        let as_of = ledger.revision();
        let (missing, found) = {
            let directory = ledger.directory();
            match rules.mapping.resolved(&identity, &directory) {
                Ok(identity) => {
                    let missing = missing(rules, &identity, &directory);
                    (missing, Passport::new(rules, identity, &directory, as_of))
                }
                Err(bad) => (Missing::default(), Err(bad)),
            }
        };
        if missing.is_empty() {
            match found {
                Ok(passport) => return Ok(passport),
                Err(bad) if has_asked => return Err(Rejection::token_is_nobodys(&bad)),
                Err(_) => {}
            }
        }
        if !has_asked {
            // It may be another gateway's work of this moment.
            ledger.catch_up().await.map_err(|_| Rejection::keys_unavailable())?;
            has_asked = true;
            if ledger.revision() != as_of || missing.is_empty() {
                continue;
            }
        }
        let change = change(asked, &identity, missing).map_err(|bad| {
            tracing::warn!(%bad, "nobody could be made of a token");
            Rejection::token_is_nobodys(&BadIdentity::Id("subject"))
        })?;
        match ledger.commit(change).await {
            Ok(_) => {}
            // Somebody else has made them.
            Err(CommitError::Books(StoreError::Conflict { .. })) => has_asked = false,
            Err(error) => {
                tracing::warn!(%error, "who a token names could not be made");
                return Err(Rejection::keys_unavailable());
            }
        }
    }
    Err(Rejection::keys_unavailable())
}

/// Who has to be made.
#[derive(Debug, Default)]
struct Missing {
    user: Option<String>,
    team: Option<String>,
    /// The user, and the teams with what they say, in which it has no place yet.
    places: Option<(String, Vec<(String, Document)>)>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.user.is_none() && self.team.is_none() && self.places.is_none()
    }
}

fn missing(rules: &Rules, identity: &Identity, directory: &Directory) -> Missing {
    let mut missing = Missing::default();
    if identity.role == Some(Role::ProxyAdmin) {
        return missing;
    }
    let known = identity.user.as_deref().and_then(|id| user_named(directory, id));
    let is_new = known.is_none() && rules.mapping.user_id_upsert;
    // The master key's own name is nobody's.
    missing.user = identity.user.clone().filter(|id| is_new && id != DEFAULT_USER);
    let first = identity.teams.first().filter(|_| identity.has_one_team);
    let is_gone = |id: &&String| directory.get(Kind::Team, id).is_none();
    missing.team = first.filter(is_gone).filter(|_| rules.mapping.team_id_upsert).cloned();
    let user = known.map(|user| user.id.as_ref().to_owned()).or_else(|| missing.user.clone());
    let Some(user) = user else { return missing };
    let teams = identity.teams.iter().filter_map(|id| directory.get(Kind::Team, id));
    let is_without = |id: &str| directory.get(Kind::Member, &member_id(id, &user)).is_none();
    let teams = teams.filter(|team| is_without(&team.id));
    let teams: Vec<_> = teams.map(|team| (team.id.as_ref().to_owned(), team.document())).collect();
    if !teams.is_empty() || missing.team.is_some() {
        missing.places = Some((user, teams));
    }
    missing
}

/// The change by which they are made, with its audit.
fn change(asked: &Asked<'_>, identity: &Identity, missing: Missing) -> Result<RecordChange, BadForm> {
    let now = asked.worker.gateway.ledger().clock().wall();
    let actor = identity.user.as_deref().unwrap_or(&identity.digest);
    let context = Context { now, actor, is_admin: true, is_operator: true, fresh: &fresh_id };
    let mut drafts = Vec::new();
    if let Some(id) = missing.user {
        drafts.push(new_user(&id, identity.email.as_deref(), asked.new_records, &context)?);
    }
    let mut new_teams = Vec::new();
    if let Some(id) = missing.team {
        let body = Map::from_iter([("team_id".to_owned(), Value::from(id))]);
        let made = form::team::new_with_defaults(&body, &asked.new_records.teams, &context)?;
        new_teams.push((made.team.id.clone(), made.team.document.clone()));
        drafts.push(made.team);
        drafts.extend(made.budget);
    }
    if let Some((user, teams)) = missing.places {
        for (team, document) in teams.iter().chain(&new_teams) {
            let who = Who { id: Some(user.clone()), email: None };
            let seat = Seat { who, role: "user".to_owned() };
            let made = form::member::new((team, document), &user, (&seat, 0), &Terms::default(), &context)?;
            drafts.push(made.record);
            drafts.extend(made.others);
        }
    }
    Ok(written(now, (actor, &identity.digest), drafts))
}

/// The change by which these are made, with its audit, by this actor with this token.
pub(super) fn written(now: Wall, (actor, key): (&str, &str), drafts: Vec<Draft>) -> RecordChange {
    let author = Author { at: now, actor: actor.to_owned(), key: key.to_owned() };
    drafts.into_iter().fold(Change::new("created"), Change::make).written(&author)
}

fn new_user(
    id: &str,
    email: Option<&str>,
    new: &NewRecords,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut usual = new.users.clone();
    // Its teams are those that its tokens say.
    usual.retain(|name, _| name != "teams" && name != "organizations");
    let mut body = Map::from_iter([("user_id".to_owned(), Value::from(id))]);
    body.extend(email.map(|email| ("user_email".to_owned(), Value::from(email))));
    Ok(form::user::new_with_defaults(&body, &usual, &new.internal_users, context)?.user)
}
