//! Sums of days taken apart, as LiteLLM's reports have them.
//!
//! Owns the members of a report. Leaves whose days they are to `activity`.
//!
//! **Invariant:** the parts of a breakdown add up to its day, and days to the whole.

use super::Desk;
use super::activity::alias;
use super::spend_row::{model_name, spent};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use tollgate_identity::Kind;
use tollgate_store::books::{DailyRow, EntityKind, Totals};

/// A part, and which keys it is of.
#[derive(Debug, Default)]
struct Part {
    totals: Totals,
    keys: BTreeMap<String, Totals>,
}

impl Part {
    fn add(&mut self, row: &DailyRow) {
        self.totals.add(&row.totals);
        self.keys.entry(row.api_key.clone()).or_default().add(&row.totals);
    }
}

/// One day.
#[derive(Debug, Default)]
struct Day {
    all: Part,
    models: BTreeMap<String, Part>,
    groups: BTreeMap<String, Part>,
    providers: BTreeMap<String, Part>,
    entities: BTreeMap<String, Part>,
}

/// Days taken apart.
#[derive(Debug, Default)]
pub(super) struct Breakdown {
    days: BTreeMap<String, Day>,
    totals: Totals,
    /// The only keys that are named, where not all are.
    named: Option<HashSet<String>>,
}

impl Breakdown {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &DailyRow) {
        self.totals.add(&row.totals);
        let day = self.days.entry(row.day.clone()).or_default();
        day.all.add(row);
        day.models.entry(model_name(&row.provider, &row.model)).or_default().add(row);
        day.groups.entry(row.model_group.clone()).or_default().add(row);
        day.providers.entry(row.provider.clone()).or_default().add(row);
        self.add_entity(row);
    }

    /// Adds a row to whose it is alone.
    pub(super) fn add_entity(&mut self, row: &DailyRow) {
        if !row.entity_id.is_empty() {
            let day = self.days.entry(row.day.clone()).or_default();
            day.entities.entry(row.entity_id.clone()).or_default().add(row);
        }
    }

    /// Names only so many keys, those that spent most, and says how many there are. Sums are of all of them still.
    pub(super) fn keep_keys(&mut self, limit: usize) -> usize {
        let mut keys: BTreeMap<&str, i128> = BTreeMap::new();
        for (key, totals) in self.days.values().flat_map(|day| &day.all.keys) {
            *keys.entry(key).or_default() += totals.spend;
        }
        let count = keys.len();
        let mut ranked: Vec<(&str, i128)> = keys.into_iter().collect();
        ranked.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        self.named = Some(ranked.iter().take(limit).map(|(key, _)| (*key).to_owned()).collect());
        count
    }

    fn keys(&self, desk: &Desk<'_>, part: &Part) -> Value {
        let is_named = |key: &String| self.named.as_ref().is_none_or(|named| named.contains(key));
        let keys = part.keys.iter().filter(|(key, _)| is_named(key));
        let written = keys.map(|(key, totals)| {
            (key.clone(), json!({"metrics": metrics(totals), "metadata": key_metadata(desk, key)}))
        });
        Value::Object(written.collect())
    }

    fn parts(
        &self,
        desk: &Desk<'_>,
        parts: &BTreeMap<String, Part>,
        metadata: impl Fn(&str) -> Value,
    ) -> Value {
        let written = parts.iter().map(|(name, part)| {
            let part = json!({
                "metrics": metrics(&part.totals),
                "metadata": metadata(name),
                "api_key_breakdown": self.keys(desk, part),
            });
            (name.clone(), part)
        });
        Value::Object(written.collect())
    }

    fn day(&self, desk: &Desk<'_>, entity: EntityKind, name: &str, day: &Day) -> Value {
        let nothing = |_: &str| json!({});
        let of_entity = |id: &str| {
            let member = if entity == EntityKind::Team { "team_alias" } else { "alias" };
            alias(desk, entity, id).map_or_else(|| json!({}), |alias| json!({member: alias}))
        };
        json!({
            "date": name,
            "metrics": metrics(&day.all.totals),
            "breakdown": {
                "mcp_servers": {},
                "models": self.parts(desk, &day.models, nothing),
                "model_groups": self.parts(desk, &day.groups, nothing),
                "providers": self.parts(desk, &day.providers, nothing),
                "endpoints": {},
                "api_keys": self.keys(desk, &day.all),
                "entities": self.parts(desk, &day.entities, of_entity),
            },
        })
    }
}

/// A report: days, the newest first, and their sum. `told` is what it says of pages.
pub(super) fn whole(desk: &Desk<'_>, breakdown: &Breakdown, entity: EntityKind, told: &Value) -> Value {
    let days = breakdown.days.iter().rev();
    let days = days.map(|(name, day)| breakdown.day(desk, entity, name, day)).collect::<Vec<_>>();
    let totals = &breakdown.totals;
    json!({
        "results": days,
        "metadata": {
            "total_spend": spent(totals.spend),
            "total_flat_cost": 0.0,
            "total_prompt_tokens": totals.prompt_tokens,
            "total_completion_tokens": totals.completion_tokens,
            "total_tokens": totals.total_tokens,
            "total_api_requests": totals.requests,
            "total_successful_requests": totals.successes,
            "total_failed_requests": totals.failures,
            "total_cache_read_input_tokens": totals.cache_read_tokens,
            "total_cache_creation_input_tokens": totals.cache_write_tokens,
            "total_compression_saved_tokens": 0,
            "total_compression_savings_spend": 0.0,
            "total_prompt_caching_savings_spend": 0.0,
            "total_gateway_injected_caching_savings_spend": 0.0,
            "total_autorouter_savings_spend": 0.0,
            "total_response_time_ms": totals.response_ms,
            "total_timed_requests": totals.successes,
            "page": told["page"],
            "total_pages": told["total_pages"],
            "has_more": told["has_more"],
            "api_key_limit": told.get("api_key_limit"),
            "total_api_keys": told.get("total_api_keys"),
            "entity_total_api_keys": null,
        },
    })
}

/// Sums as LiteLLM's reports have them. What it alone does (compressing prompts, routing by itself) saves nothing here.
pub(super) fn metrics(totals: &Totals) -> Value {
    json!({
        "spend": spent(totals.spend),
        "flat_cost": 0.0,
        "prompt_tokens": totals.prompt_tokens,
        "completion_tokens": totals.completion_tokens,
        "cache_read_input_tokens": totals.cache_read_tokens,
        "cache_creation_input_tokens": totals.cache_write_tokens,
        "compression_saved_tokens": 0,
        "compression_savings_spend": 0.0,
        "prompt_caching_savings_spend": 0.0,
        "gateway_injected_caching_savings_spend": 0.0,
        "autorouter_savings_spend": 0.0,
        "total_tokens": totals.total_tokens,
        "successful_requests": totals.successes,
        "failed_requests": totals.failures,
        "api_requests": totals.requests,
        "total_response_time_ms": totals.response_ms,
        "timed_requests": totals.successes,
    })
}

/// The same of one key in a list of keys.
pub(super) fn key_metrics(totals: &Totals) -> Value {
    json!({
        "spend": spent(totals.spend),
        "prompt_tokens": totals.prompt_tokens,
        "completion_tokens": totals.completion_tokens,
        "total_tokens": totals.total_tokens,
        "api_requests": totals.requests,
        "successful_requests": totals.successes,
        "failed_requests": totals.failures,
        "cache_read_input_tokens": totals.cache_read_tokens,
        "cache_creation_input_tokens": totals.cache_write_tokens,
    })
}

/// Whose a key is; of one that is gone, that it is.
pub(super) fn key_metadata(desk: &Desk<'_>, key: &str) -> Value {
    let found = desk.known(Kind::Key, key);
    let user = found.as_ref().and_then(|key| key.parents.user.clone());
    let record = user.as_deref().and_then(|user| desk.known(Kind::User, user));
    let mut written = Map::with_capacity(5);
    written.insert("key_alias".to_owned(), found.as_ref().and_then(|key| key.alias()).into());
    written.insert("team_id".to_owned(), found.as_ref().and_then(|key| key.parents.team.as_deref()).into());
    written.insert("user_id".to_owned(), user.as_deref().into());
    let email = record.as_ref().and_then(|user| user.text("user_email"));
    written.insert("user_email".to_owned(), email.into());
    written.insert("key_exists".to_owned(), Value::Bool(found.is_some()));
    Value::Object(written)
}
