//! The replies of `/key/*`.

use super::From::{
    Always, Anywhere, Date, Given, Id, LastUse, Member, ModelSpend, Money, Named, ResetAt, Spend, TotalSpend,
    Windows,
};
use super::Or::{False, List, Null, Object, Zero};
use super::{Amounts, Clock, Dates, Page, Source, Table, amount, budget};
use crate::document::dollars;
use crate::record::Record;
use serde_json::{Map, Value, json};
use tollgate_catalog::PicoDollars;

const GENERATED: &Table = &[
    ("key_alias", Member(Null)),
    ("duration", Member(Null)),
    ("models", Member(List)),
    ("spend", Spend),
    ("max_budget", Money),
    ("user_id", Member(Null)),
    ("team_id", Member(Null)),
    ("agent_id", Member(Null)),
    ("max_parallel_requests", Member(Null)),
    ("metadata", Member(Object)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_limits", Windows),
    ("allowed_cache_controls", Member(List)),
    ("config", Member(Object)),
    ("permissions", Member(Object)),
    ("model_max_budget", Member(Object)),
    ("budget_fallbacks", Always(Object)),
    ("model_rpm_limit", Anywhere(Null)),
    ("model_tpm_limit", Anywhere(Null)),
    ("mcp_rpm_limit", Always(Null)),
    ("tag_rpm_limit", Always(Null)),
    ("guardrails", Anywhere(Null)),
    ("policies", Anywhere(Null)),
    ("prompts", Anywhere(Null)),
    ("blocked", Member(Null)),
    ("aliases", Member(Object)),
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
    ("enforced_params", Anywhere(Null)),
    ("allowed_routes", Member(List)),
    ("allowed_passthrough_routes", Always(Null)),
    ("denied_passthrough_routes", Always(Null)),
    ("allowed_vector_store_indexes", Always(Null)),
    ("rpm_limit_type", Anywhere(Null)),
    ("tpm_limit_type", Anywhere(Null)),
    ("router_settings", Given(Object)),
    ("access_group_ids", Member(List)),
    ("key_name", Member(Null)),
    ("key_type", Member(Null)),
    ("expires", Date),
    ("token_id", Id),
    ("organization_id", Member(Null)),
    ("project_id", Member(Null)),
    ("litellm_budget_table", Given(Null)),
    ("token", Id),
    ("created_by", Member(Null)),
    ("updated_by", Member(Null)),
    ("created_at", Date),
    ("updated_at", Date),
];

/// A key as its row is, after its token.
pub(super) const ROW: &Table = &[
    ("key_name", Member(Null)),
    ("key_alias", Member(Null)),
    ("soft_budget_cooldown", Always(False)),
    ("spend", Spend),
    ("total_spend", TotalSpend),
    ("expires", Date),
    ("models", Member(List)),
    ("aliases", Member(Object)),
    ("config", Member(Object)),
    ("router_settings", Member(Object)),
    ("user_id", Member(Null)),
    ("team_id", Member(Null)),
    ("agent_id", Member(Null)),
    ("project_id", Member(Null)),
    ("permissions", Member(Object)),
    ("max_parallel_requests", Member(Null)),
    ("metadata", Member(Object)),
    ("blocked", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("tpd_limit", Member(Null)),
    ("max_budget", Money),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("allowed_cache_controls", Member(List)),
    ("allowed_routes", Member(List)),
    ("key_type", Member(Null)),
    ("policies", Anywhere(List)),
    ("access_group_ids", Member(List)),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("budget_fallbacks", Always(Object)),
    ("budget_id", Member(Null)),
    ("organization_id", Member(Null)),
    ("object_permission_id", Always(Null)),
    ("created_at", Date),
    ("created_by", Member(Null)),
    ("updated_at", Date),
    ("updated_by", Member(Null)),
    ("settings_updated_at", Date),
    ("last_active", LastUse),
    ("rotation_count", Member(Zero)),
    ("auto_rotate", Member(False)),
    ("rotation_interval", Member(Null)),
    ("last_rotation_at", Date),
    ("key_rotation_at", Date),
    ("budget_limits", Windows),
    ("litellm_budget_table", Given(Null)),
    ("litellm_organization_table", Given(Null)),
    ("litellm_project_table", Given(Null)),
    ("object_permission", Always(Null)),
    ("jwt_key_mappings", Always(Null)),
];

const TOKEN: &Table = &[
    ("token", Id),
    ("key_name", Member(Null)),
    ("key_alias", Member(Null)),
    ("spend", Spend),
    ("total_spend", TotalSpend),
    ("max_budget", Money),
    ("expires", Date),
    ("models", Member(List)),
    ("aliases", Member(Object)),
    ("config", Member(Object)),
    ("user_id", Member(Null)),
    ("team_id", Member(Null)),
    ("agent_id", Member(Null)),
    ("project_id", Member(Null)),
    ("max_parallel_requests", Member(Null)),
    ("metadata", Member(Object)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("tpd_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("allowed_cache_controls", Member(List)),
    ("allowed_routes", Member(List)),
    ("key_type", Member(Null)),
    ("permissions", Member(Object)),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("budget_fallbacks", Always(Object)),
    ("soft_budget_cooldown", Always(False)),
    ("blocked", Member(Null)),
    ("litellm_budget_table", Given(Null)),
    ("budget_id", Member(Null)),
    ("org_id", Named("organization_id", Null)),
    ("created_at", Date),
    ("created_by", Member(Null)),
    ("updated_at", Date),
    ("updated_by", Member(Null)),
    ("settings_updated_at", Date),
    ("last_active", LastUse),
    ("object_permission_id", Always(Null)),
    ("object_permission", Always(Null)),
    ("access_group_ids", Member(List)),
    ("rotation_count", Member(Zero)),
    ("auto_rotate", Member(False)),
    ("rotation_interval", Member(Null)),
    ("last_rotation_at", Date),
    ("key_rotation_at", Date),
    ("router_settings", Member(Object)),
    ("budget_limits", Windows),
];

const VIEW: &Table = &[
    ("team_spend", Always(Null)),
    ("team_alias", Given(Null)),
    ("team_tpm_limit", Always(Null)),
    ("team_rpm_limit", Always(Null)),
    ("team_tpd_limit", Always(Null)),
    ("team_max_budget", Always(Null)),
    ("team_soft_budget", Always(Null)),
    ("team_model_max_budget", Always(Null)),
    ("team_models", Always(List)),
    ("team_blocked", Always(False)),
    ("soft_budget", Money),
    ("team_model_aliases", Always(Null)),
    ("team_member", Always(Null)),
    ("team_metadata", Always(Null)),
    ("team_object_permission_id", Always(Null)),
    ("team_member_spend", Always(Null)),
    ("team_member_tpm_limit", Always(Null)),
    ("team_member_rpm_limit", Always(Null)),
    ("end_user_id", Always(Null)),
    ("end_user_tpm_limit", Always(Null)),
    ("end_user_rpm_limit", Always(Null)),
    ("end_user_tpd_limit", Always(Null)),
    ("end_user_max_budget", Always(Null)),
    ("end_user_model_max_budget", Always(Null)),
    ("organization_alias", Always(Null)),
    ("organization_max_budget", Always(Null)),
    ("organization_tpm_limit", Always(Null)),
    ("organization_rpm_limit", Always(Null)),
    ("organization_metadata", Always(Null)),
    ("project_alias", Always(Null)),
    ("project_metadata", Always(Null)),
    ("last_refreshed_at", Always(Null)),
    ("api_key", Always(Null)),
    ("user_role", Always(Null)),
    ("allowed_model_region", Always(Null)),
    ("parent_otel_span", Always(Null)),
    ("rpm_limit_per_model", Always(Null)),
    ("tpm_limit_per_model", Always(Null)),
    ("user_tpm_limit", Always(Null)),
    ("user_rpm_limit", Always(Null)),
    ("user_email", Given(Null)),
    ("user_spend", Always(Null)),
    ("user_max_budget", Always(Null)),
    ("user_model_max_budget", Always(Null)),
    ("request_route", Always(Null)),
    ("is_session_token", Always(False)),
    ("user", Given(Null)),
    ("created_by_user", Given(Null)),
    ("end_user_object_permission", Always(Null)),
    ("team_object_permission", Always(Null)),
    ("jwt_claims", Always(Null)),
];

/// LiteLLM fills `router_settings` in when it makes a key, and only then.
const ROUTER_SETTINGS: &[&str] = &[
    "routing_strategy_args",
    "routing_strategy",
    "routing_groups",
    "retry_policy",
    "model_group_retry_policy",
    "model_group_affinity_config",
    "allowed_fails",
    "cooldown_time",
    "num_retries",
    "timeout",
    "max_retries",
    "retry_after",
    "fallbacks",
    "context_window_fallbacks",
    "model_group_alias",
    "enable_tag_filtering",
    "weights",
    "tag_routing_prefix",
    "optional_pre_call_checks",
];

/// A key, with what it has spent and the budget that it refers to.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The key.
    pub key: &'a Record,
    /// What it has spent.
    pub amounts: &'a Amounts,
    /// The budget of its `budget_id`.
    pub budget: Option<&'a Record>,
}

impl Shown<'_> {
    /// The budget that the key refers to. LiteLLM keeps a key's soft budget in one, and its page looks for it there.
    fn budget_table(&self, clock: &Clock<'_>) -> Value {
        match self.budget {
            Some(budget) => budget::table(budget, clock),
            None if self.key.member("soft_budget").is_some() => budget::soft(self.key),
            None => Value::Null,
        }
    }

    fn table(&self, table: &Table, clock: &Clock<'_>, dates: Dates) -> Map<String, Value> {
        let given = [("litellm_budget_table", self.budget_table(clock))];
        let source = Source::new(self.key, self.amounts, clock).dated(dates).given(&given);
        let mut reply = source.object(table);
        self.put_networks(&mut reply);
        reply
    }

    /// Ours, and only where it says something: LiteLLM's keys have no such member.
    fn put_networks(&self, reply: &mut Map<String, Value>) {
        if let Some(ips) = self.key.member("allowed_ips") {
            reply.insert("allowed_ips".to_owned(), ips);
        }
    }
}

/// `/key/generate`, `/key/service-account/generate`, `/key/{key}/regenerate`: the only reply that has the key itself.
pub fn generated(shown: Shown<'_>, key: &str, clock: &Clock<'_>) -> Value {
    let given = [
        ("key", Value::from(key)),
        ("router_settings", router_settings(shown.key)),
        ("litellm_budget_table", shown.budget_table(clock)),
    ];
    let mut reply = Source::new(shown.key, shown.amounts, clock).given(&given).object(GENERATED);
    shown.put_networks(&mut reply);
    Value::Object(reply)
}

/// The settings of a key's router, all of them.
pub(super) fn router_settings(key: &Record) -> Value {
    let (mut settings, kept) = (Map::new(), key.member("router_settings"));
    for &name in ROUTER_SETTINGS {
        let nothing = if name == "model_group_alias" { json!({}) } else { Value::Null };
        let own = kept.as_ref().and_then(|settings| settings.get(name));
        settings.insert(name.to_owned(), own.cloned().unwrap_or(nothing));
    }
    Value::Object(settings)
}

/// Whether a key is let through: `active`, `revoked` (blocked), `expired`.
pub fn status(key: &Record, clock: &Clock<'_>) -> &'static str {
    match key.expires {
        _ if key.is_blocked => "revoked",
        Some(expires) if expires <= clock.now => "expired",
        _ => "active",
    }
}

/// `/key/info`. `asked` is the key as it was asked for: itself or its token.
pub fn info(shown: Shown<'_>, asked: &str, clock: &Clock<'_>) -> Value {
    let mut info = shown.table(ROW, clock, Dates::Offset);
    info.insert("status".to_owned(), Value::from(status(shown.key, clock)));
    json!({"key": asked, "info": info})
}

/// `/v2/key/info`: the keys as they were asked for, and what [`info`] tells of each that there is.
pub fn info_of_several(asked: &[String], shown: &[Shown<'_>], clock: &Clock<'_>) -> Value {
    let info = |shown: &Shown<'_>| {
        let mut info = shown.table(ROW, clock, Dates::Offset);
        info.insert("status".to_owned(), Value::from(status(shown.key, clock)));
        Value::Object(info)
    };
    json!({"key": asked, "info": shown.iter().map(info).collect::<Vec<_>>()})
}

/// `/key/update`.
pub fn updated(shown: Shown<'_>, asked: &str, clock: &Clock<'_>) -> Value {
    let mut reply = Map::new();
    reply.insert("key".to_owned(), Value::from(asked));
    reply.insert("token".to_owned(), Value::from(&*shown.key.id));
    reply.extend(shown.table(ROW, clock, Dates::Offset));
    Value::Object(reply)
}

/// `/key/block`.
pub fn blocked(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    Value::Object(shown.table(TOKEN, clock, Dates::Zulu))
}

/// `/key/unblock`; also a key within another reply.
pub fn row(shown: Shown<'_>, clock: &Clock<'_>) -> Map<String, Value> {
    let mut reply = Map::new();
    reply.insert("token".to_owned(), Value::from(&*shown.key.id));
    reply.extend(shown.table(ROW, clock, Dates::Zulu));
    reply
}

/// A key of `/key/list?return_full_object=true`. `given` are members that were asked for beside: `user`, `created_by_user`.
pub fn view(shown: Shown<'_>, given: &[(&'static str, Value)], clock: &Clock<'_>) -> Value {
    let mut reply = shown.table(TOKEN, clock, Dates::Zulu);
    Source::new(shown.key, shown.amounts, clock).given(given).write(VIEW, &mut reply);
    if let Some(ips) = reply.shift_remove("allowed_ips") {
        reply.insert("allowed_ips".to_owned(), ips);
    }
    Value::Object(reply)
}

/// `/key/list`: tokens, or keys as [`view`] writes them.
pub fn list(keys: &[Value], page: Page) -> Value {
    json!({
        "keys": keys,
        "total_count": page.total,
        "current_page": page.number,
        "total_pages": page.count(),
    })
}

/// `/key/aliases`.
pub fn aliases(aliases: &[&str], page: Page) -> Value {
    json!({
        "aliases": aliases,
        "total_count": page.total,
        "current_page": page.number,
        "total_pages": page.count(),
        "size": page.size,
    })
}

/// `/key/delete`: the keys as they were asked for.
pub fn deleted(asked: &[String]) -> Value {
    json!({"deleted_keys": asked})
}

/// `/key/health`.
pub fn health() -> Value {
    json!({"key": "healthy", "logging_callbacks": null})
}

/// `/key/{key}/reset_spend`.
pub fn spend_reset(shown: Shown<'_>, before: PicoDollars, clock: &Clock<'_>) -> Value {
    let source = Source::new(shown.key, shown.amounts, clock);
    json!({
        "key_hash": &*shown.key.id,
        "spend": dollars(shown.amounts.spend),
        "previous_spend": dollars(before),
        "max_budget": amount(&shown.key.document(), "max_budget"),
        "budget_reset_at": source.value("budget_reset_at", ResetAt),
    })
}

/// One key of a change of several: as it was asked for, and what it is now, or why it is not.
pub type Changed = (String, Result<Value, String>);

/// `/key/bulk_update`, `/team/key/bulk_update`.
pub fn bulk_updated(changed: Vec<Changed>) -> Value {
    let total = changed.len();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (key, outcome) in changed {
        match outcome {
            Ok(info) => done.push(json!({"key": key, "key_info": info})),
            Err(reason) => failed.push(json!({"key": key, "key_info": null, "failed_reason": reason})),
        }
    }
    json!({"total_requested": total, "successful_updates": done, "failed_updates": failed})
}
