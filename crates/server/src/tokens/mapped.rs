//! Tokens that stand for a key that was given out, by a claim (`virtual_key_claim_field`).
//!
//! **Invariant:** a claim that stands for a key gives what that key gives, and nothing where the key is gone.

use super::rules::Rules;
use super::{Asked, upsert};
use crate::admin::{fresh_id, random_bits};
use crate::auth::Caller;
use crate::error::Rejection;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tollgate_config::Unregistered;
use tollgate_identity::form::key::Secret;
use tollgate_identity::form::{self, BadForm, Context, Draft, key_mapping};
use tollgate_identity::jwt::{BadIdentity, Claims, Identity};
use tollgate_identity::role::Role;
use tollgate_identity::secret::KeyText;
use tollgate_identity::{Directory, Kind};
use tollgate_ledger::CommitError;
use tollgate_store::StoreError;

/// Who calls with a token whose claim stands for a key; none where tokens stand for keys in no such way, or this one need
/// not.
///
/// # Errors
/// Where it has to stand for a key and does not, or the key is gone.
pub(super) async fn caller(
    asked: &Asked<'_>,
    rules: &Arc<Rules>,
    claims: &Claims,
) -> Result<Option<Caller>, Rejection> {
    let Some(field) = rules.virtual_key.as_deref() else { return Ok(None) };
    let ledger = asked.worker.gateway.ledger();
    let value = claims.text(field);
    let find = || {
        let directory = ledger.directory();
        let token = key_of(&directory, field, value.as_deref()?, claims.issuer())?;
        Some(directory.holder(&token).ok_or_else(|| Rejection::unknown_key(&token)))
    };
    if let Some(found) = find() {
        return Ok(Some(Caller::of_key(found?, asked.address)));
    }
    if rules.unregistered == Unregistered::Fallback {
        return Ok(None);
    }
    let identity = rules.mapping.identity(claims);
    if identity.as_ref().is_ok_and(|identity| identity.role == Some(Role::ProxyAdmin)) {
        return Ok(None);
    }
    // It may be another gateway's work of this moment.
    ledger.catch_up().await.map_err(|_| Rejection::keys_unavailable())?;
    if let Some(found) = find() {
        return Ok(Some(Caller::of_key(found?, asked.address)));
    }
    let refused = || Rejection::unmapped(field, value.as_deref());
    let value = value.as_deref().filter(|_| rules.unregistered == Unregistered::AutoRegister);
    let value = value.ok_or_else(refused)?;
    let identity = identity.map_err(|bad| Rejection::token_is_nobodys(&bad))?;
    register(asked, rules, identity, (field, value)).await?;
    find().transpose()?.map(|holder| Some(Caller::of_key(holder, asked.address))).ok_or_else(refused)
}

/// The token of the key that a claim stands for: of this issuer, else of any.
fn key_of(directory: &Directory, field: &str, value: &str, issuer: Option<&str>) -> Option<String> {
    let of = |issuer: Option<&str>| {
        let mapping = directory.get(Kind::KeyMapping, &key_mapping::id_of(field, value, issuer))?;
        Some(mapping.document()).filter(|document| document.flag("is_active"))
    };
    let document = issuer.and_then(|issuer| of(Some(issuer))).or_else(|| of(None))?;
    document.text("mapped_token").map(str::to_owned)
}

/// Makes a key for a claim that stands for none yet, of the token's user and team.
async fn register(
    asked: &Asked<'_>,
    rules: &Arc<Rules>,
    identity: Identity,
    claim: (&str, &str),
) -> Result<(), Rejection> {
    let ledger = asked.worker.gateway.ledger();
    let passport = upsert::passport(asked, rules, identity).await?;
    let identity = &passport.identity;
    let actor = identity.user.as_deref().unwrap_or(&identity.digest).to_owned();
    let now = ledger.clock().wall();
    let context = Context { now, actor: &actor, is_admin: true, is_operator: true, fresh: &fresh_id };
    let own = passport.within.first().unwrap_or(&passport.alone);
    let parents = (own.parents.team.as_deref(), own.parents.organization.as_deref());
    let bits = random_bits().map_err(|_| Rejection::internal())?;
    let drafts = drafts(asked, identity, (parents, claim), (KeyText::minted(bits), &context));
    let drafts = drafts.map_err(|bad| {
        tracing::warn!(%bad, "no key could be made for a token");
        Rejection::token_is_nobodys(&BadIdentity::Id("subject"))
    })?;
    match ledger.commit(upsert::written(context.now, (&actor, &identity.digest), drafts)).await {
        // Somebody else has made it.
        Ok(_) | Err(CommitError::Books(StoreError::Conflict { .. })) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "a key for a token could not be made");
            Err(Rejection::keys_unavailable())
        }
    }
}

type Parents<'a> = (Option<&'a str>, Option<&'a str>);

/// The key, whose text nobody sees, and the mapping to it.
fn drafts(
    asked: &Asked<'_>,
    identity: &Identity,
    ((team, organization), (field, value)): (Parents<'_>, (&str, &str)),
    (key, context): (KeyText, &Context<'_>),
) -> Result<Vec<Draft>, BadForm> {
    let body = json!({
        "user_id": identity.user,
        "team_id": team,
        "organization_id": organization,
        "models": identity.models,
        "allowed_routes": identity.routes,
        "metadata": {"jwt_claim": format!("{field}={value}")},
    });
    let is_said = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    let body: Map<String, Value> = body
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| is_said(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let (token, name) = (key.token(), key.name());
    let secret = Secret { token: token.as_str(), name: &name };
    let made = form::key::new_with_defaults(&body, &asked.new_records.keys, None, secret, context)?;
    let mapping = Map::from_iter([
        ("jwt_claim_name".to_owned(), Value::from(field)),
        ("jwt_claim_value".to_owned(), Value::from(value)),
        ("token".to_owned(), Value::from(token.as_str())),
    ]);
    Ok(vec![made, key_mapping::new(&mapping, str::to_owned, context)?])
}
