//! The bodies of `/key/*`.
//!
//! Leaves making the key's text and its token to the caller, and asking whether the key stays within its user, team,
//! project and organization.

use super::filled::{KEY_LIMITS, SERVICE_ACCOUNT, set, set_metadata};
pub use super::lifetime::is_rotation_due;
use super::lifetime::{expire, expiry, rotate, schedule, superseded};
use super::row::{Form, On, Row, Want, shared};
use super::{BadForm, Context, Draft, Filled, held, sign, touch};
use crate::document::{Document, money};
use crate::kind::Kind;
use serde_json::{Map, Value};
use tollgate_catalog::PicoDollars;

/// Every form of keys.
pub(super) const FORMS: &[&Form] =
    &[&KEY, &REGENERATE, &DELETE, &BLOCK, &RESET_SPEND, &BULK, &BULK_ITEM, &TEAM_BULK, &TEAM_BULK_FIELDS];

const OWN: &[Row] = &[
    Row::acts("key_alias", Want::Text),
    Row::apart("key", Want::Text),
    Row::apart("duration", Want::Lifetime),
    Row::acts("models", Want::Texts),
    Row::acts("aliases", Want::Names),
    Row::acts("user_id", Want::Text).new_only(),
    Row::acts("user_id", Want::Text).change_only().by_admins(),
    Row::acts("team_id", Want::Text),
    Row::acts("project_id", Want::Text),
    Row::acts("organization_id", Want::Text).new_only(),
    Row::acts("organization_id", Want::Text).change_only().by_admins(),
    Row::acts("budget_id", Want::Text).by_admins(),
    Row::stored("agent_id", Want::Text),
    Row::acts("blocked", Want::Flag).by_admins(),
    Row::acts("allowed_routes", Want::Texts).by_admins(),
    Row::acts("allowed_ips", Want::Texts).new_only(),
    Row::acts("allowed_ips", Want::Texts).change_only().by_admins(),
    Row::stored("permissions", Want::Object).by_admins(),
    Row::acts("access_group_ids", Want::Texts),
    Row::acts("budget_limits", Want::Windows),
    Row::acts("metadata", Want::Object),
    Row::acts("tags", Want::Texts).in_metadata(),
    Row::acts("enforced_params", Want::Texts).in_metadata(),
    Row::apart("auto_rotate", Want::Flag),
    Row::apart("rotation_interval", Want::Cadence),
    Row::stored("config", Want::Object),
    Row::acts("allowed_cache_controls", Want::Texts),
    Row::stored("router_settings", Want::Object),
    Row::stored("rpm_limit_type", RATE_TYPES).in_metadata(),
    Row::stored("tpm_limit_type", RATE_TYPES).in_metadata(),
    Row::apart("key_type", Want::Words(&["default", "llm_api", "management", "read_only"])).new_only(),
    // LiteLLM's page sends back with a change what it was shown.
    Row::apart("token", Want::Text).change_only(),
    Row::unsupported("disabled_callbacks", "is not supported: metadata.litellm_disabled_callbacks keeps it")
        .change_only(),
    Row::unsupported("spend", shared::COUNTED).new_only(),
    shared::SPEND,
    Row::unsupported("send_invite_email", shared::NO_MAIL).new_only(),
    Row::unsupported(
        "budget_fallbacks",
        "is not supported: metadata.budget_tiers.budget_fallback_model says which model answers in place of which",
    ),
    Row::unsupported("tag_rpm_limit", "is not supported: POST /tag/new holds a tag to rpm_limit"),
    Row::unsupported("end_user_budget_id", "is not supported: POST /customer/new gives an end user a budget"),
    Row::unsupported("enable_prompt_caching", "is not supported: a request says itself what is cached"),
    Row::unsupported("throttle_on_budget_exceeded", "is not supported: a spent budget refuses"),
];
const RATE_TYPES: Want = Want::Words(&["guaranteed_throughput", "best_effort_throughput", "dynamic"]);

const KEY_GROUPS: &[&[Row]] =
    &[OWN, shared::BUDGET, shared::RATES, shared::MODEL_RATES, INCREASE, shared::KEPT, shared::UNHELD];
const INCREASE: &[Row] = shared::INCREASE;

static KEY: Form = Form {
    title: "key",
    new_routes: &["POST /key/generate", "POST /key/service-account/generate"],
    change_routes: &["POST /key/update"],
    groups: KEY_GROUPS,
};

static REGENERATE: Form = Form {
    title: "regeneration of a key",
    new_routes: &[],
    change_routes: &["POST /key/regenerate", "POST /key/{key}/regenerate"],
    groups: &[
        &[
            Row::apart("new_key", Want::Text),
            Row::apart("grace_period", Want::Lifetime),
            Row::stored("key_type", Want::Words(&["default", "llm_api", "management", "read_only"]))
                .change_only(),
            Row::unsupported("new_master_key", "is not supported: the master key is in the configuration"),
            Row::unsupported("send_invite_email", shared::NO_MAIL).change_only(),
        ],
        OWN,
        shared::BUDGET,
        shared::RATES,
        shared::MODEL_RATES,
        INCREASE,
        shared::KEPT,
        shared::UNHELD,
    ],
};

static DELETE: Form = Form {
    title: "deletion of keys",
    new_routes: &[],
    change_routes: &["POST /key/delete"],
    groups: &[&[Row::apart("keys", Want::Texts), Row::apart("key_aliases", Want::Texts)]],
};

static BLOCK: Form = Form {
    title: "blocking of a key",
    new_routes: &[],
    change_routes: &["POST /key/block", "POST /key/unblock"],
    groups: &[&[Row::apart("key", Want::Text)]],
};

static RESET_SPEND: Form = Form {
    title: "setting back of what was spent",
    new_routes: &[],
    change_routes: &["POST /key/{key}/reset_spend", "POST /team/{team_id}/member/{user_id}/reset_spend"],
    groups: &[&[Row::apart("reset_to", Want::Money)]],
};

static BULK: Form = Form {
    title: "change of several keys",
    new_routes: &[],
    change_routes: &["POST /key/bulk_update"],
    groups: &[&[Row::apart("keys", Want::Objects)]],
};

static BULK_ITEM: Form = Form {
    title: "each key of a change of several",
    new_routes: &[],
    change_routes: &["POST /key/bulk_update"],
    groups: &[&[
        Row::apart("key", Want::Text),
        Row::acts("budget_id", Want::Text),
        Row::acts("max_budget", Want::Money),
        Row::acts("team_id", Want::Text),
        Row::acts("tags", Want::Texts).in_metadata(),
        Row::unsupported("object_permission", shared::NO_MCP),
    ]],
};

static TEAM_BULK: Form = Form {
    title: "change of keys of a team",
    new_routes: &[],
    change_routes: &["POST /team/key/bulk_update"],
    groups: &[&[
        Row::apart("team_id", Want::Text),
        Row::apart("key_ids", Want::Texts),
        Row::apart("all_keys_in_team", Want::Flag),
        Row::apart("update_fields", Want::Object),
    ]],
};

static TEAM_BULK_FIELDS: Form = Form {
    title: "what a change of keys of a team sets",
    new_routes: &[],
    change_routes: &["POST /team/key/bulk_update"],
    groups: &[
        &[
            Row::acts("budget_id", Want::Text),
            Row::acts("budget_limits", Want::Windows),
            Row::apart("duration", Want::Lifetime),
            Row::acts("tags", Want::Texts).in_metadata(),
            Row::acts("metadata", Want::Object),
            Row::stored("rpm_limit_type", RATE_TYPES).in_metadata(),
            Row::stored("tpm_limit_type", RATE_TYPES).in_metadata(),
        ],
        shared::BUDGET,
        shared::RATES,
        shared::MODEL_RATES,
        INCREASE,
    ],
};

/// A new key's secret, as far as a record may know it.
#[derive(Debug, Clone, Copy)]
pub struct Secret<'a> {
    /// LiteLLM's `token`: the SHA-256 of the key in hexadecimal. It is the id of the record.
    pub token: &'a str,
    /// LiteLLM's `key_name`: `sk-...` and the last four letters.
    pub name: &'a str,
}

/// The key that the body chooses itself; none where one is to be drawn.
///
/// # Errors
/// Where it is no text.
pub fn chosen(body: &Map<String, Value>) -> Result<Option<&str>, BadForm> {
    chosen_as("key", body)
}

fn chosen_as<'a>(name: &str, body: &'a Map<String, Value>) -> Result<Option<&'a str>, BadForm> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(BadForm::wrong(name, "is wrong: it is a text")),
    }
}

/// A new key (`/key/generate`). It belongs to `owner` where the body names no user.
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn new(
    body: &Map<String, Value>,
    owner: Option<&str>,
    secret: Secret<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    new_with_defaults(body, &Map::new(), owner, secret, context)
}

/// The same, which has of the operator's defaults what the body does not say.
///
/// # Errors
/// As for [`new`].
pub fn new_with_defaults(
    body: &Map<String, Value>,
    defaults: &Map<String, Value>,
    owner: Option<&str>,
    secret: Secret<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let asked = body.get("user_id").and_then(Value::as_str).filter(|user| !user.is_empty());
    if asked.is_some_and(|user| user != context.actor) && !context.is_admin {
        return Err(BadForm::forbidden("user_id"));
    }
    let mut filled = KEY.read_with_defaults(body, defaults, context)?;
    let mut document = Document::default();
    set(&mut document, "token", Value::from(secret.token));
    set(&mut document, "key_name", Value::from(secret.name));
    if asked.is_none() {
        let usual = filled.take_text("user_id");
        set(&mut document, "user_id", owner.map(str::to_owned).or(usual).map_or(Value::Null, Value::from));
    }
    let key_type = filled.take_text("key_type").unwrap_or_else(|| "default".to_owned());
    if key_type == "management" && !context.is_admin {
        return Err(BadForm::forbidden("key_type"));
    }
    let routes = match key_type.as_str() {
        "llm_api" => Some("llm_api_routes"),
        "management" => Some("management_routes"),
        "read_only" => Some("info_routes"),
        _ => None,
    };
    write(filled, &mut document, context)?;
    if let Some(routes) = routes {
        set(&mut document, "allowed_routes", Value::from(vec![routes]));
    }
    set(&mut document, "key_type", Value::from(key_type));
    sign(&mut document, context);
    Draft::checked(Kind::Key, secret.token, document)
}

/// A new key of a service account (`/key/service-account/generate`): of a team, and of no user.
///
/// # Errors
/// As for [`new`], and where no team is named.
pub fn of_service_account(
    body: &Map<String, Value>,
    secret: Secret<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    of_service_account_with_defaults(body, &Map::new(), secret, context)
}

/// The same, which has of the operator's defaults what the body does not say.
///
/// # Errors
/// As for [`of_service_account`].
pub fn of_service_account_with_defaults(
    body: &Map<String, Value>,
    defaults: &Map<String, Value>,
    secret: Secret<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    if body.get("user_id").is_some_and(|user| !user.is_null()) {
        return Err(BadForm::wrong("user_id", "cannot be given: a service account's key belongs to no user"));
    }
    let mut draft = new_with_defaults(body, defaults, None, secret, context)?;
    draft.document.0.shift_remove("user_id");
    if draft.document.text("team_id").is_none() {
        return Err(BadForm::missing("team_id"));
    }
    if draft.document.metadata(SERVICE_ACCOUNT).is_none() {
        let alias = draft.document.text("key_alias").map(str::to_owned);
        let name = alias.unwrap_or_else(|| (context.fresh)());
        set_metadata(&mut draft.document, SERVICE_ACCOUNT, Value::from(name));
    }
    Ok(draft)
}

/// The key that a body asks to be changed, as it says it: the key itself or its token.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    chosen(body)?.ok_or_else(|| BadForm::missing("key"))
}

/// A key, changed (`/key/update`).
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn change(
    token: &str,
    document: &Document,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    held::hold_restrictions(body, document, context)?;
    let mut filled = KEY.read_over(On::Change, body, document, context)?;
    if filled.take_text("token").is_some_and(|named| named != token) {
        return Err(BadForm::wrong("token", "cannot be changed"));
    }
    changed(token, document.clone(), filled, context)
}

fn changed(
    token: &str,
    mut document: Document,
    mut filled: Filled,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    filled.hold(&KEY_LIMITS, &document, context)?;
    held::hold_models(&filled, &document, context)?;
    write(filled, &mut document, context)?;
    set(&mut document, "settings_updated_at", context.stamp());
    touch(&mut document, context);
    Draft::checked(Kind::Key, token, document)
}

/// A key, blocked or let through again (`/key/block`, `/key/unblock`).
pub fn block(token: &str, document: &Document, is_blocked: bool, context: &Context<'_>) -> Draft {
    let mut document = super::block(document, is_blocked, context);
    set(&mut document, "settings_updated_at", context.stamp());
    Draft { kind: Kind::Key, id: token.to_owned(), document }
}

fn write(mut filled: Filled, document: &mut Document, context: &Context<'_>) -> Result<(), BadForm> {
    filled.take("key");
    if let Some(duration) = filled.take("duration") {
        expire(document, duration, context)?;
    }
    let rotation = filled.split(&["auto_rotate", "rotation_interval"]);
    filled.fill(document, context)?;
    rotate(rotation, document, context)
}

/// A key that takes another's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Regenerated {
    /// The new key.
    pub new: Draft,
    /// The old one, where it is still let through for a while: it says in `superseded_by` whose place it has.
    pub old: Option<Draft>,
}

/// The key that a regeneration chooses itself; none where one is to be drawn.
///
/// # Errors
/// Where it is no text.
pub fn chosen_anew(body: &Map<String, Value>) -> Result<Option<&str>, BadForm> {
    chosen_as("new_key", body)
}

/// A key in place of another (`/key/regenerate`), with what the body changes of it. With `grace_period` the old one is let
/// through for so long.
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn regenerate(
    token: &str,
    document: &Document,
    body: &Map<String, Value>,
    secret: Secret<'_>,
    context: &Context<'_>,
) -> Result<Regenerated, BadForm> {
    held::hold_restrictions(body, document, context)?;
    let mut filled = REGENERATE.read_over(On::Change, body, document, context)?;
    filled.take("new_key");
    filled.take("token");
    let grace = filled.take_text("grace_period");
    let mut new = changed(secret.token, document.clone(), filled, context)?;
    set(&mut new.document, "token", Value::from(secret.token));
    set(&mut new.document, "key_name", Value::from(secret.name));
    let rotations = document.count("rotation_count")?.unwrap_or_default();
    set(&mut new.document, "rotation_count", Value::from(rotations.saturating_add(1)));
    set(&mut new.document, "last_rotation_at", context.stamp());
    schedule(&mut new.document, context)?;
    let old = match grace {
        None => None,
        Some(grace) => {
            let until = expiry("grace_period", Some(&grace), context.now)?;
            let until = until.ok_or_else(|| BadForm::wrong("grace_period", "has no end"))?;
            let mut old = superseded(document, until, secret.token)?;
            touch(&mut old, context);
            Some(Draft::checked(Kind::Key, token, old)?)
        }
    };
    Ok(Regenerated { new, old })
}

/// A key that is still let through in place of another, which has got a successor itself.
pub fn succeeded_by(token: &str, document: &Document, successor: &str, context: &Context<'_>) -> Draft {
    let mut document = document.clone();
    set(&mut document, "superseded_by", Value::from(successor));
    touch(&mut document, context);
    Draft { kind: Kind::Key, id: token.to_owned(), document }
}

/// Which keys are to be deleted: by key or token, or by alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The keys themselves, or their tokens.
    Keys(Vec<String>),
    /// Their aliases.
    Aliases(Vec<String>),
}

/// Reads `/key/delete`.
///
/// # Errors
/// Where it names no keys, or both keys and aliases.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<Deletion, BadForm> {
    let mut filled = DELETE.read(On::Change, body, context)?;
    match (filled.take_texts("keys"), filled.take_texts("key_aliases")) {
        (keys, aliases) if keys.is_empty() && aliases.is_empty() => Err(BadForm::missing("keys")),
        (keys, aliases) if aliases.is_empty() => Ok(Deletion::Keys(keys)),
        (keys, aliases) if keys.is_empty() => Ok(Deletion::Aliases(aliases)),
        _ => Err(BadForm::wrong("key_aliases", "cannot be given beside keys")),
    }
}

/// Reads `/key/block` and `/key/unblock`: the key or its token.
///
/// # Errors
/// Where it names none.
pub fn blocking(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    BLOCK.read(On::Change, body, context)?.take_needed("key")
}

/// Reads what was spent from now on (`reset_spend` of a key or of a member). `spent` is what it is.
///
/// # Errors
/// Where it is no amount, or more than was spent.
pub fn reset_spend(
    body: &Map<String, Value>,
    spent: PicoDollars,
    context: &Context<'_>,
) -> Result<PicoDollars, BadForm> {
    let value = RESET_SPEND.read(On::Change, body, context)?.take("reset_to").unwrap_or_default();
    if value.is_null() {
        return Err(BadForm::missing("reset_to"));
    }
    let amount = money("reset_to", &value)?;
    if amount > spent {
        return Err(BadForm::wrong("reset_to", "is more than was spent"));
    }
    Ok(amount)
}

/// A key, and what is to be changed of it.
pub type KeyChange = (String, Map<String, Value>);

/// Reads `/key/bulk_update`: each key with the body of its own change. What is wrong with one is said when it is changed.
///
/// # Errors
/// Where it is no list of keys, or a key has a member that there is not.
pub fn bulk(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<KeyChange>, BadForm> {
    let keys = BULK.read(On::Change, body, context)?.take("keys").unwrap_or_default();
    let items = keys.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return Err(BadForm::missing("keys"));
    }
    let item = |(at, item): (usize, &Value)| {
        let within = |bad: BadForm| bad.within(&format!("keys[{at}]"));
        let item = item.as_object().cloned().unwrap_or_default();
        BULK_ITEM.read(On::Change, &item, context).map_err(within)?;
        Ok((subject(&item).map_err(within)?.to_owned(), item))
    };
    items.iter().enumerate().map(item).collect()
}

/// The keys of a team that are to be changed, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamChange {
    /// The team.
    pub team: String,
    /// The keys or tokens; none for all of the team.
    pub keys: Option<Vec<String>>,
    /// The body of the change of each.
    pub body: Map<String, Value>,
}

/// Reads `/team/key/bulk_update`.
///
/// # Errors
/// Where it names no team or no keys, or something is set that cannot be.
pub fn team_bulk(body: &Map<String, Value>, context: &Context<'_>) -> Result<TeamChange, BadForm> {
    let mut filled = TEAM_BULK.read(On::Change, body, context)?;
    let team = filled.take_needed("team_id")?;
    let keys = filled.take_texts("key_ids");
    let are_all = filled.take_flag("all_keys_in_team").unwrap_or(false);
    let Some(Value::Object(body)) = filled.take("update_fields") else {
        return Err(BadForm::missing("update_fields"));
    };
    TEAM_BULK_FIELDS.read(On::Change, &body, context).map_err(|bad| bad.within("update_fields"))?;
    match (keys.is_empty(), are_all) {
        (true, false) => Err(BadForm::missing("key_ids")),
        (false, true) => Err(BadForm::wrong("key_ids", "cannot be given beside all_keys_in_team")),
        (_, are_all) => Ok(TeamChange { team, keys: (!are_all).then_some(keys), body }),
    }
}
