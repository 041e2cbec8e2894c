//! The bodies of `/user/*`.
//!
//! Leaves finding users by their e-mail, and hashing passwords, to the caller.

use super::filled::{GIVEN, set};
use super::member::{ROLES, Seat, Terms, Who};
use super::row::{Form, On, Row, Want, shared};
use super::values::{is_empty, is_same};
use super::{BadForm, Context, Draft, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of users.
pub(super) const FORMS: &[&Form] = &[&USER, &TEAM, &BULK, &DELETE, &PASSWORD];

/// LiteLLM's roles of users.
const USER_ROLES: Want =
    Want::Words(&["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]);
/// What a user has where nothing is said.
const USUAL_ROLE: &str = "internal_user";
/// What of a key that is made with a user is the key's.
const OF_KEY: &[&str] = &["key_alias", "duration", "aliases", "config", "permissions", "agent_id", "team_id"];
/// What users may change of themselves.
const OWN_ACCOUNT: &[&str] = &["user_id", "user_alias", "password"];
/// What null resets; elsewhere it leaves what is there, as LiteLLM does.
const RESET_BY_NULL: &[&str] = &[
    "max_budget",
    "budget_duration",
    "rpm_limit",
    "tpm_limit",
    "rpd_limit",
    "tpd_limit",
    "model_max_budget",
    "soft_budget",
    "max_parallel_requests",
    "budget_limits",
    "temp_budget_increase",
    "temp_budget_expiry",
    "model_rpm_limit",
    "model_tpm_limit",
    "model_itpm_limit",
    "model_otpm_limit",
];

const OWN: &[Row] = &[
    Row::apart("user_id", Want::Text),
    Row::acts("user_email", Want::Text),
    Row::acts("user_alias", Want::Text),
    Row::acts("user_role", USER_ROLES).by_admins(),
    Row::acts("sso_user_id", Want::Text).by_admins(),
    Row::acts("models", Want::Texts),
    Row::acts("blocked", Want::Flag).by_admins(),
    Row::acts("budget_limits", Want::Windows),
    Row::acts("metadata", Want::Object),
    Row::apart("teams", Want::Any).new_only(),
    Row::apart("organizations", Want::Texts).new_only(),
    Row::apart("auto_create_key", Want::Flag).new_only(),
    Row::apart("key_alias", Want::Text).new_only(),
    Row::apart("duration", Want::Lifetime).new_only(),
    Row::apart("aliases", Want::Names).new_only(),
    Row::apart("config", Want::Object).new_only(),
    Row::apart("permissions", Want::Object).new_only().without_effect(),
    Row::apart("agent_id", Want::Text).new_only(),
    Row::apart("team_id", Want::Text).new_only(),
    Row::stored("allowed_cache_controls", Want::Texts),
    Row::apart("password", Want::Text).change_only(),
    Row::unsupported("password", "is not taken with a new user: POST /user/update sets it").new_only(),
    Row::unsupported("send_invite_email", shared::NO_MAIL).new_only(),
    Row::unsupported("key_alias", OF_A_KEY).change_only(),
    Row::unsupported("duration", OF_A_KEY).change_only(),
    Row::unsupported("aliases", OF_A_KEY).change_only(),
    Row::unsupported("config", OF_A_KEY).change_only(),
    Row::unsupported("permissions", OF_A_KEY).change_only(),
    Row::unsupported("agent_id", OF_A_KEY).change_only(),
    Row::unsupported("team_id", "is not a user's: POST /team/member_add adds it to a team").change_only(),
    Row::unsupported("spend", shared::COUNTED).new_only(),
    shared::SPEND,
    Row::unsupported(
        "budget_fallbacks",
        "is not supported: metadata.budget_tiers.budget_fallback_model says which model answers in place of which",
    ),
    Row::unsupported("tag_rpm_limit", "is not supported: POST /tag/new holds a tag to rpm_limit"),
];
const OF_A_KEY: &str = "is a key's: POST /key/update sets it";

static USER: Form = Form {
    title: "user",
    new_routes: &["POST /user/new"],
    change_routes: &["POST /user/update", "POST /user/bulk_update"],
    groups: &[
        OWN,
        shared::BUDGET,
        shared::RATES,
        shared::MODEL_RATES,
        shared::INCREASE,
        shared::KEPT,
        shared::UNHELD,
    ],
};

static TEAM: Form = Form {
    title: "each team of a new user",
    new_routes: &["POST /user/new"],
    change_routes: &[],
    groups: &[&[
        Row::apart("team_id", Want::Text),
        Row::apart("max_budget_in_team", Want::Money),
        Row::apart("user_role", ROLES),
    ]],
};

static BULK: Form = Form {
    title: "change of several users",
    new_routes: &[],
    change_routes: &["POST /user/bulk_update"],
    groups: &[&[
        Row::apart("users", Want::Objects),
        Row::apart("all_users", Want::Flag),
        Row::apart("user_updates", Want::Object),
    ]],
};

static DELETE: Form = Form {
    title: "deletion of users",
    new_routes: &[],
    change_routes: &["POST /user/delete"],
    groups: &[&[Row::apart("user_ids", Want::Texts)]],
};

static PASSWORD: Form = Form {
    title: "change of a password",
    new_routes: &[],
    change_routes: &["POST /user/password/change"],
    groups: &[&[Row::apart("current_password", Want::Text), Row::apart("new_password", Want::Text)]],
};

/// A user, with what comes with it.
#[derive(Debug, Clone)]
pub struct User {
    /// The user.
    pub user: Draft,
    /// The body of the key that is made with it (`/key/generate`); none where no key is asked for.
    pub key: Option<Map<String, Value>>,
    /// The teams that it is put in, as whom, and what it may spend there.
    pub teams: Vec<(String, Seat, Terms)>,
    /// The organizations that it is put in.
    pub organizations: Vec<String>,
}

/// A new user (`/user/new`).
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<User, BadForm> {
    new_with_defaults(body, &Map::new(), &Map::new(), context)
}

/// The same, which has of the operator's defaults what the body does not say, unless it is to be an administrator. What is
/// called an internal user has of `of_internal_users` too.
///
/// # Errors
/// As for [`new`].
pub fn new_with_defaults(
    body: &Map<String, Value>,
    defaults: &Map<String, Value>,
    of_internal_users: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<User, BadForm> {
    let role =
        |members: &Map<String, Value>| members.get("user_role").and_then(Value::as_str).map(str::to_owned);
    let asked = role(body).filter(|role| !role.is_empty());
    let mut usual = if asked.as_deref() == Some("proxy_admin") { Map::new() } else { defaults.clone() };
    if asked.or_else(|| role(&usual)).as_deref() == Some(USUAL_ROLE) {
        for (name, value) in of_internal_users {
            usual.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let mut filled = USER.read_with_defaults(body, &usual, context)?;
    if !context.is_operator {
        // What the operator gives every user is not another's to give.
        let all = Context { is_admin: true, is_operator: true, ..*context };
        let usual = USER.read(On::New, &usual, &all)?;
        let is_other = |name: &&&str| {
            let given = usual.get(name).filter(|value| !is_empty(value));
            given.is_some_and(|given| filled.get(name).is_none_or(|value| !is_same(value, given)))
        };
        if let Some(name) = GIVEN.iter().copied().flatten().find(is_other) {
            return Err(BadForm::forbidden(*name));
        }
    }
    let id = filled.take_text("user_id").unwrap_or_else(|| (context.fresh)());
    let mut key = Map::new();
    key.insert("user_id".to_owned(), Value::from(id.as_str()));
    for &name in OF_KEY {
        key.extend(filled.take(name).map(|value| (name.to_owned(), value)));
    }
    let has_key = filled.take_flag("auto_create_key").unwrap_or(true);
    let teams = teams(&id, filled.take("teams").as_ref(), context)?;
    let organizations = filled.take_texts("organizations");
    if filled.get("user_role").is_none_or(Value::is_null) {
        filled.take("user_role");
    }
    let mut document = Document::default();
    set(&mut document, "user_id", Value::from(id.as_str()));
    set(&mut document, "user_role", Value::from(USUAL_ROLE));
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    let user = Draft::checked(Kind::User, &id, document)?;
    Ok(User { user, key: has_key.then_some(key), teams, organizations })
}

/// A user that is made because somebody named it: as a member of a team, or as who asks.
///
/// # Errors
/// Where the id cannot be one.
pub fn named(who: &Who, context: &Context<'_>) -> Result<Draft, BadForm> {
    let id = who.id.clone().unwrap_or_else(|| (context.fresh)());
    let mut document = Document::default();
    set(&mut document, "user_id", Value::from(id.as_str()));
    set(&mut document, "user_role", Value::from(USUAL_ROLE));
    set(&mut document, "user_email", who.email.as_deref().map_or(Value::Null, Value::from));
    sign(&mut document, context);
    Draft::checked(Kind::User, &id, document)
}

fn teams(
    user: &str,
    list: Option<&Value>,
    context: &Context<'_>,
) -> Result<Vec<(String, Seat, Terms)>, BadForm> {
    let Some(list) = list.filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let wrong = || BadForm::wrong("teams", "is wrong: it is a list of team ids, or of objects with team_id");
    let items = list.as_array().filter(|items| items.len() <= super::values::ITEMS_MAX).ok_or_else(wrong)?;
    let team = |(at, item): (usize, &Value)| {
        let within = |mut bad: BadForm| {
            bad.member = format!("teams[{at}].{}", bad.member);
            bad
        };
        let seat =
            |role: &str| Seat { who: Who { id: Some(user.to_owned()), email: None }, role: role.to_owned() };
        match item {
            Value::String(team) => Ok((team.clone(), seat("user"), Terms::default())),
            Value::Object(body) => {
                let mut filled = TEAM.read(On::New, body, context).map_err(within)?;
                let team = filled.take_needed("team_id").map_err(within)?;
                let role = filled.take_text("user_role").unwrap_or_else(|| "user".to_owned());
                Ok((team, seat(&role), Terms::take(&mut filled)))
            }
            _ => Err(wrong()),
        }
    };
    items.iter().enumerate().map(team).collect()
}

/// The user that a body asks to be changed: its id counts before its e-mail.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<Who, BadForm> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let who = Who { id: text("user_id").map(str::to_owned), email: text("user_email").map(str::to_owned) };
    if who.id.is_none() && who.email.is_none() {
        return Err(BadForm::missing("user_id"));
    }
    Ok(who)
}

/// A user, changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The user.
    pub user: Draft,
    /// The password that it has from now on, as it was sent. It is in no document.
    pub password: Option<String>,
}

/// A user, changed (`/user/update`). Who is no administrator changes of itself only its alias and its password; who
/// administers its organizations does not set what it may spend by itself.
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn change(
    id: &str,
    document: &Document,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Changed, BadForm> {
    let mut filled = USER.read_over(On::Change, body, document, context)?;
    if filled.take_text("user_id").is_some_and(|named| named != id) {
        return Err(BadForm::wrong("user_id", "is another user's"));
    }
    if filled.get("user_email").and_then(Value::as_str) == document.text("user_email") {
        filled.take("user_email");
    }
    let password = filled.take_text("password");
    filled.leave_nulls_but(RESET_BY_NULL);
    if !context.is_admin {
        let barred = filled.names().find(|name| {
            let is_reset =
                filled.get(name).is_some_and(Value::is_null) && document.get_anywhere(name).is_none();
            !OWN_ACCOUNT.contains(name) && !is_reset
        });
        if let Some(barred) = barred {
            return Err(BadForm::forbidden(barred));
        }
    }
    filled.hold(&GIVEN, document, &context.of_operator())?;
    let mut document = document.clone();
    filled.fill(&mut document, &context.of_operator())?;
    touch(&mut document, context);
    Ok(Changed { user: Draft::checked(Kind::User, id, document)?, password })
}

/// Which users change, and how.
#[derive(Debug, Clone, PartialEq)]
pub enum Bulk {
    /// Each by a body of its own.
    Each(Vec<Map<String, Value>>),
    /// All by the same.
    All(Map<String, Value>),
}

/// Reads `/user/bulk_update`. What is wrong with one user's body is said when it is changed.
///
/// # Errors
/// Where it names no users.
pub fn bulk(body: &Map<String, Value>, context: &Context<'_>) -> Result<Bulk, BadForm> {
    let mut filled = BULK.read(On::Change, body, context)?;
    let users = filled.take("users").unwrap_or_default();
    let users: Vec<_> =
        users.as_array().into_iter().flatten().filter_map(Value::as_object).cloned().collect();
    let updates = filled.take("user_updates");
    match (users.is_empty(), filled.take_flag("all_users").unwrap_or(false), updates) {
        (false, false, None | Some(Value::Null)) => Ok(Bulk::Each(users)),
        (true, true, Some(Value::Object(body))) => {
            if let Some(name) =
                ["user_id", "user_email", "password"].iter().find(|name| body.contains_key(**name))
            {
                return Err(BadForm::wrong(
                    format!("user_updates.{name}"),
                    "cannot be the same of all users",
                ));
            }
            Ok(Bulk::All(body))
        }
        (true, true, _) => Err(BadForm::missing("user_updates")),
        (true, false, _) => Err(BadForm::missing("users")),
        (false, ..) => Err(BadForm::wrong("users", "cannot be given beside all_users and user_updates")),
    }
}

/// Reads `/user/delete`.
///
/// # Errors
/// Where it names no users.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    DELETE.read(On::Change, body, context)?.take_some("user_ids")
}

/// Reads `/user/password/change`: the password there is, and the one there shall be.
///
/// # Errors
/// Where one is missing.
pub fn password(body: &Map<String, Value>, context: &Context<'_>) -> Result<(String, String), BadForm> {
    let mut filled = PASSWORD.read(On::Change, body, context)?;
    Ok((filled.take_needed("current_password")?, filled.take_needed("new_password")?))
}
