//! The replies of `/user/*`.

use super::From::{Always, Anywhere, Date, Given, Id, Member, ModelSpend, Money, ResetAt, Spend, Windows};
use super::Or::{List, Null, Object};
use super::key::{self, router_settings};
use super::{Amounts, Clock, Page, Source, Table};
use crate::record::Record;
use serde_json::{Map, Value, json};

const GENERATED: &Table = &[
    ("key_alias", Given(Null)),
    ("duration", Given(Null)),
    ("models", Member(List)),
    ("spend", Spend),
    ("max_budget", Money),
    ("user_id", Id),
    ("team_id", Given(Null)),
    ("agent_id", Given(Null)),
    ("max_parallel_requests", Member(Null)),
    ("metadata", Member(Object)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_limits", Windows),
    ("allowed_cache_controls", Member(List)),
    ("config", Given(Object)),
    ("permissions", Given(Object)),
    ("model_max_budget", Member(Object)),
    ("budget_fallbacks", Always(Object)),
    ("model_rpm_limit", Anywhere(Null)),
    ("model_tpm_limit", Anywhere(Null)),
    ("mcp_rpm_limit", Always(Null)),
    ("tag_rpm_limit", Always(Null)),
    ("guardrails", Anywhere(Null)),
    ("policies", Anywhere(Null)),
    ("prompts", Anywhere(Null)),
    ("blocked", Given(Null)),
    ("aliases", Given(Object)),
    ("object_permission", Always(Null)),
    ("key", Given(Null)),
    ("tpd_limit", Member(Null)),
    ("default_estimated_output_tokens", Anywhere(Null)),
    ("default_estimated_output_tokens_per_model", Anywhere(Null)),
    ("budget_id", Member(Null)),
    ("end_user_budget_id", Always(Null)),
    ("tags", Anywhere(Null)),
    ("disable_global_guardrails", Anywhere(Null)),
    ("enable_prompt_caching", Always(Null)),
    ("throttle_on_budget_exceeded", Always(Null)),
    ("enforced_params", Always(Null)),
    ("allowed_routes", Always(List)),
    ("allowed_passthrough_routes", Always(Null)),
    ("denied_passthrough_routes", Always(Null)),
    ("allowed_vector_store_indexes", Always(Null)),
    ("rpm_limit_type", Anywhere(Null)),
    ("tpm_limit_type", Anywhere(Null)),
    ("router_settings", Given(Object)),
    ("access_group_ids", Always(List)),
    ("key_name", Given(Null)),
    ("key_type", Always(Null)),
    ("expires", Given(Null)),
    ("token_id", Always(Null)),
    ("organization_id", Always(Null)),
    ("project_id", Always(Null)),
    ("litellm_budget_table", Always(Null)),
    ("token", Always(Null)),
    ("created_by", Always(Null)),
    ("updated_by", Always(Null)),
    ("created_at", Given(Null)),
    ("updated_at", Given(Null)),
    ("user_email", Member(Null)),
    ("user_role", Member(Null)),
    ("teams", Given(Null)),
    ("user_alias", Member(Null)),
];

const ROW: &Table = &[
    ("verified_subjects", Always(Null)),
    ("user_id", Id),
    ("user_alias", Member(Null)),
    ("team_id", Always(Null)),
    ("sso_user_id", Member(Null)),
    ("organization_id", Always(Null)),
    ("object_permission_id", Always(Null)),
    ("password_reset_required", Always(Null)),
    ("last_breach_check_at", Always(Null)),
    ("teams", Given(List)),
    ("user_role", Member(Null)),
    ("max_budget", Money),
    ("spend", Spend),
    ("user_email", Member(Null)),
    ("models", Member(List)),
    ("metadata", Member(Object)),
    ("max_parallel_requests", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("allowed_cache_controls", Member(List)),
    ("policies", Anywhere(List)),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("created_at", Date),
    ("updated_at", Date),
    ("litellm_organization_table", Always(Null)),
    ("organization_memberships", Given(Null)),
    ("invitations_created", Always(Null)),
    ("invitations_updated", Always(Null)),
    ("invitations_user", Always(Null)),
    ("object_permission", Always(Null)),
];

const MODEL: &Table = &[
    ("user_id", Id),
    ("user_alias", Member(Null)),
    ("team_id", Always(Null)),
    ("sso_user_id", Member(Null)),
    ("organization_id", Always(Null)),
    ("object_permission_id", Always(Null)),
    ("password_reset_required", Always(Null)),
    ("last_breach_check_at", Always(Null)),
    ("teams", Given(List)),
    ("user_role", Member(Null)),
    ("max_budget", Money),
    ("spend", Spend),
    ("user_email", Member(Null)),
    ("models", Member(List)),
    ("metadata", Member(Object)),
    ("max_parallel_requests", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("allowed_cache_controls", Member(List)),
    ("policies", Anywhere(List)),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("created_at", Date),
    ("updated_at", Date),
    ("organization_memberships", Given(Null)),
    ("object_permission", Always(Null)),
];

const INFO_V2: &Table = &[
    ("user_id", Id),
    ("user_email", Member(Null)),
    ("user_alias", Member(Null)),
    ("user_role", Member(Null)),
    ("spend", Spend),
    ("max_budget", Money),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("models", Member(List)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("metadata", Member(Object)),
    ("created_at", Date),
    ("updated_at", Date),
    ("sso_user_id", Member(Null)),
    ("teams", Given(List)),
    ("object_permission", Always(Null)),
    ("model_max_budget", Member(Object)),
    ("model_max_budget_usage", Always(Object)),
];

/// A user, with what it has spent and its teams.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The user.
    pub user: &'a Record,
    /// What it has spent.
    pub amounts: &'a Amounts,
    /// The ids of its teams.
    pub teams: &'a [&'a str],
}

impl Shown<'_> {
    fn table(&self, table: &Table, memberships: Option<&[Value]>, clock: &Clock<'_>) -> Map<String, Value> {
        let given = [
            ("teams", Value::from(self.teams.to_vec())),
            ("organization_memberships", memberships.map_or(Value::Null, Value::from)),
        ];
        Source::new(self.user, self.amounts, clock).given(&given).object(table)
    }
}

/// `/user/new`: the only reply that has the key itself. `key` is the key as it is kept, and itself; none where none was asked
/// for.
pub fn generated(shown: Shown<'_>, key: Option<(&Record, &str)>, clock: &Clock<'_>) -> Value {
    let kept = key.map_or(shown.user, |(key, _)| key);
    let none = Amounts::default();
    let of_kept = Source::new(kept, &none, clock);
    let of_key = |name: &str| key.and_then(|(key, _)| key.member(name)).unwrap_or_default();
    let given = [
        ("key", key.map_or(Value::Null, |(_, text)| Value::from(text))),
        ("key_name", of_key("key_name")),
        ("key_alias", of_key("key_alias")),
        ("team_id", of_key("team_id")),
        ("agent_id", of_key("agent_id")),
        ("duration", of_key("duration")),
        ("expires", of_kept.value("expires", Date)),
        ("created_at", of_kept.value("created_at", Date)),
        ("updated_at", of_kept.value("updated_at", Date)),
        ("aliases", of_kept.value("aliases", Member(Object))),
        ("config", of_kept.value("config", Member(Object))),
        ("permissions", of_kept.value("permissions", Member(Object))),
        ("blocked", shown.user.member("blocked").unwrap_or_default()),
        ("router_settings", router_settings(kept)),
        ("teams", if shown.teams.is_empty() { Value::Null } else { Value::from(shown.teams.to_vec()) }),
    ];
    Value::Object(Source::new(shown.user, shown.amounts, clock).given(&given).object(GENERATED))
}

/// A key of `/user/info`, with the alias of its team; LiteLLM writes `None` where it has none.
pub fn info_key(key: key::Shown<'_>, team: Option<&Record>, clock: &Clock<'_>) -> Value {
    let mut reply = key::row(key, clock);
    let alias = team.and_then(Record::alias).unwrap_or("None");
    reply.insert("team_alias".to_owned(), Value::from(alias));
    Value::Object(reply)
}

/// `/user/info`: the user, its keys as [`info_key`] writes them, its teams as [`super::team::model`] does, and its places in
/// organizations as [`super::organization::membership`] does.
pub fn info(
    shown: Shown<'_>,
    keys: &[Value],
    teams: &[Value],
    memberships: &[Value],
    clock: &Clock<'_>,
) -> Value {
    let mut user = shown.table(ROW, Some(memberships), clock);
    user.insert("model_max_budget_usage".to_owned(), json!({}));
    json!({"user_id": &*shown.user.id, "user_info": user, "keys": keys, "teams": teams})
}

/// `/v2/user/info`.
pub fn info_v2(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    Value::Object(shown.table(INFO_V2, None, clock))
}

/// `/user/update`.
pub fn updated(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    json!({"user_id": &*shown.user.id, "data": shown.table(ROW, None, clock)})
}

/// A user within another reply.
pub fn model(shown: Shown<'_>, clock: &Clock<'_>) -> Map<String, Value> {
    shown.table(MODEL, None, clock)
}

/// A user of `/user/list`.
pub fn listed(shown: Shown<'_>, keys_count: usize, clock: &Clock<'_>) -> Value {
    let mut reply = model(shown, clock);
    reply.insert("key_count".to_owned(), Value::from(keys_count));
    Value::Object(reply)
}

/// `/user/list`, of users as [`listed`] writes them.
pub fn pages(users: &[Value], page: Page) -> Value {
    json!({
        "users": users,
        "total": page.total,
        "page": page.number,
        "page_size": page.size,
        "total_pages": page.count(),
    })
}

/// One user of a change of several: whom the form named, and what it is now, or why it is not.
pub struct BulkChanged<'a> {
    /// Whom the form named.
    pub user_id: Option<&'a str>,
    /// Whom the form named.
    pub user_email: Option<&'a str>,
    /// The user as [`model`] writes it, or why not.
    pub outcome: Result<Value, String>,
}

/// `/user/bulk_update`.
pub fn bulk_updated(changed: &[BulkChanged<'_>]) -> Value {
    let result = |row: &BulkChanged<'_>| {
        json!({
            "user_id": row.user_id,
            "user_email": row.user_email,
            "success": row.outcome.is_ok(),
            "error": row.outcome.as_ref().err(),
            "updated_user": row.outcome.as_ref().ok(),
        })
    };
    let done = changed.iter().filter(|row| row.outcome.is_ok()).count();
    json!({
        "results": changed.iter().map(result).collect::<Vec<_>>(),
        "total_requested": changed.len(),
        "successful_updates": done,
        "failed_updates": changed.len() - done,
    })
}

/// `/user/delete`: how many were.
pub fn deleted(count: usize) -> Value {
    Value::from(count)
}

/// `/user/password/change`.
pub fn password_changed(user: &str) -> Value {
    json!({"user_id": user, "message": "Password updated successfully."})
}

/// `/user/available_roles`.
pub fn available_roles() -> Value {
    let role = |description: &str, label: &str| json!({"description": description, "ui_label": label});
    json!({
        "proxy_admin": role("admin over litellm proxy, has all permissions", "Admin (All Permissions)"),
        "proxy_admin_viewer": role("view all keys, view all spend", "Admin (View Only)"),
        "internal_user": role(
            "view/create/delete their own keys, view their own spend",
            "Internal User (Create/Delete/View)",
        ),
        "internal_user_viewer": role("view their own keys, view their own spend", "Internal User (View Only)"),
    })
}
