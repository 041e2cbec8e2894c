//! An attempt as LiteLLM's spend logs show it.
//!
//! Owns the members of a row and their order, in the two forms that there are, and what `metadata` says that no column
//! does. Leaves which attempts are shown to `spend`.
//!
//! **Invariant:** a row has every member of its form, whatever is known of the attempt.

use serde_json::{Map, Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_identity::dollars;
use tollgate_policy::clock::Wall;
use tollgate_store::books::{SessionSum, SpendRow, Status};

/// The form of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `/spend/logs`: with the conversation where it is kept.
    Whole,
    /// `/spend/logs/v2` and `/spend/logs/ui`.
    Listed,
}

/// Members of `metadata` of which nothing is known here, and what stands there; some are overwritten by what a row knows.
const METADATA: &[&str] = &[
    "status",
    "user_agent",
    "max_retries",
    "batch_models",
    "usage_object",
    "user_api_key",
    "actor_agent_id",
    "cost_breakdown",
    "azure_spillover",
    "litellm_call_id",
    "router_metadata",
    "target_agent_id",
    "billing_agent_id",
    "eval_information",
    "routing_decision",
    "attempted_retries",
    "error_information",
    "applied_guardrails",
    "autorouter_savings",
    "user_api_key_alias",
    "attempted_fallbacks",
    "compression_savings",
    "spend_logs_metadata",
    "user_api_key_org_id",
    "agent_execution_mode",
    "internal_call_origin",
    "original_model_group",
    "proxy_server_request",
    "requester_ip_address",
    "user_api_key_team_id",
    "user_api_key_user_id",
    "batch_failed_requests",
    "guardrail_information",
    "litellm_roi_estimator",
    "model_map_information",
    "mcp_tool_call_metadata",
    "verified_human_user_id",
    "additional_usage_values",
    "cold_storage_object_key",
    "used_client_oauth_token",
    "user_api_key_project_id",
    "user_api_key_team_alias",
    "litellm_overhead_time_ms",
    "batch_successful_requests",
    "user_api_key_project_alias",
    "autorouter_savings_estimate",
    "vector_store_request_metadata",
    "litellm_gateway_injected_cache",
    "autorouter_baseline_observation",
];

/// The provider's model as LiteLLM writes it: `openai/gpt-4o`.
pub(super) fn model_name(provider: &str, model: &str) -> String {
    if provider.is_empty() || model.is_empty() { model.to_owned() } else { format!("{provider}/{model}") }
}

/// An amount in picodollars as a number.
pub(super) fn spent(amount: i128) -> Value {
    dollars(PicoDollars(amount))
}

fn date(micros: i64, form: Form) -> Value {
    let written = Wall::from_micros(micros).rfc3339();
    match form {
        Form::Whole => Value::from(written),
        Form::Listed => Value::from(written.replace("000Z", "+00:00")),
    }
}

/// What is nothing where it is empty.
fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::from(text) }
}

fn usage_object(row: &SpendRow) -> Value {
    if row.total_tokens == 0 {
        return json!({});
    }
    json!({
        "total_tokens": row.total_tokens,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "prompt_tokens_details": {
            "audio_tokens": row.audio_input_tokens,
            "image_tokens": row.image_input_tokens,
            "cached_tokens": row.cache_read_tokens,
            "cache_creation_tokens": row.cache_write_tokens,
        },
        "completion_tokens_details": {
            "audio_tokens": row.audio_output_tokens,
            "image_tokens": row.image_output_tokens,
            "reasoning_tokens": row.reasoning_tokens,
        },
    })
}

/// What the price was made of, as LiteLLM tells it: what a cache gave or took is input.
fn cost_breakdown(parts: &Value, total: i128) -> Value {
    let part = |place: usize| i128::from(parts.get(place).and_then(Value::as_i64).unwrap_or_default());
    json!({
        "input_cost": spent(part(1) + part(3) + part(4)),
        "output_cost": spent(part(2)),
        "total_cost": spent(total),
        "tool_usage_cost": spent(part(5)),
        "original_cost": spent(part(0)),
        "discount_amount": spent(part(6)),
        "margin_total_amount": spent(part(7)),
    })
}

fn metadata(row: &SpendRow) -> Value {
    let mut kept: Map<String, Value> = serde_json::from_str(&row.metadata).unwrap_or_default();
    if let Some(parts) = kept.shift_remove("tollgate_cost_parts") {
        kept.insert("cost_breakdown".to_owned(), cost_breakdown(&parts, row.cost));
    }
    let known = [
        ("status", Value::from(row.status.as_str())),
        ("usage_object", usage_object(row)),
        ("user_api_key", Value::from(row.api_key.as_str())),
        ("litellm_call_id", Value::from(row.call_id.as_str())),
        ("applied_guardrails", json!([])),
        ("user_api_key_org_id", or_null(&row.organization_id)),
        ("requester_ip_address", or_null(&row.requester_ip)),
        ("user_api_key_team_id", or_null(&row.team_id)),
        ("user_api_key_user_id", or_null(&row.user_id)),
        ("user_api_key_project_id", or_null(&row.project_id)),
        ("litellm_roi_estimator", Value::Bool(false)),
        (
            "model_map_information",
            json!({"model_map_key": model_name("", &row.model), "model_map_value": null}),
        ),
        ("additional_usage_values", json!({})),
    ];
    let mut written = Map::with_capacity(METADATA.len() + 4);
    for name in METADATA {
        let value = kept.shift_remove(*name);
        let known = || known.iter().find(|known| known.0 == *name).map(|known| known.1.clone());
        written.insert((*name).to_owned(), value.or_else(known).unwrap_or_default());
    }
    written.extend(kept);
    for (name, is_so) in [
        ("tollgate_estimated", row.estimated),
        ("tollgate_recovered", row.recovered),
        ("tollgate_unpriced", row.unpriced),
        ("tollgate_overhead", row.overhead),
    ] {
        if is_so {
            written.insert(name.to_owned(), Value::Bool(true));
        }
    }
    Value::Object(written)
}

/// What was said, where it is kept.
fn said(text: &str) -> Value {
    if text.is_empty() { json!({}) } else { serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)) }
}

/// The row.
pub(super) fn write(row: &SpendRow, form: Form) -> Map<String, Value> {
    let is_whole = form == Form::Whole;
    let mut written = Map::with_capacity(48);
    let mut put = |name: &str, value: Value| {
        written.insert(name.to_owned(), value);
    };
    let is_failure = row.status == Status::Failure && row.first_token_at == 0;
    let first = if row.first_token_at == 0 { row.ended_at } else { row.first_token_at };
    put("request_id", Value::from(row.request_id.as_str()));
    put("call_type", Value::from(row.call_type.as_str()));
    put("api_key", Value::from(row.api_key.as_str()));
    put("spend", spent(row.cost));
    put("total_tokens", Value::from(row.total_tokens));
    put("prompt_tokens", Value::from(row.prompt_tokens));
    put("completion_tokens", Value::from(row.completion_tokens));
    put("startTime", date(row.started_at, form));
    put("endTime", date(row.ended_at, form));
    if is_whole {
        put("request_duration_ms", Value::from(row.duration_ms()));
    }
    put("completionStartTime", date(first, form));
    put("model", Value::from(model_name(&row.provider, &row.model)));
    put("model_id", Value::from(row.model_id.as_str()));
    // Of what was never sent no group has answered.
    let group = if is_failure && row.model_id.is_empty() { "" } else { &row.model_group };
    put("model_group", Value::from(group));
    put("custom_llm_provider", Value::from(row.provider.as_str()));
    put("api_base", Value::from(row.api_base.as_str()));
    put("user", Value::from(row.user_id.as_str()));
    put("metadata", metadata(row));
    put("cache_hit", Value::from(if row.cache_hit { "True" } else { "False" }));
    put("cache_key", Value::from(if row.cache_key.is_empty() { "Cache OFF" } else { &row.cache_key }));
    put("request_tags", Value::from(row.tags.clone()));
    put("team_id", Value::from(row.team_id.as_str()));
    put("organization_id", Value::from(row.organization_id.as_str()));
    put("end_user", Value::from(row.end_user.as_str()));
    put("requester_ip_address", or_null(&row.requester_ip));
    if is_whole {
        put("messages", said(&row.messages));
        put("response", said(&row.response));
    }
    // An attempt without a session is one by itself.
    put(
        "session_id",
        Value::from(if row.session_id.is_empty() { &row.call_id } else { &row.session_id }.as_str()),
    );
    put("status", Value::from(row.status.as_str()));
    put("mcp_namespaced_tool_name", or_null(&row.tool_name));
    if is_whole {
        put("billing_agent_id", Value::Null);
    }
    put("agent_id", or_null(&row.agent_id));
    if is_whole {
        put("proxy_server_request", said(&row.proxy_request));
    }
    put("litellm_call_id", Value::from(row.call_id.as_str()));
    if is_whole {
        put("created_at", date(row.ended_at, form));
        put("updated_at", date(row.ended_at, form));
    } else {
        put("request_duration_ms", Value::from(row.duration_ms()));
    }
    written
}

/// What a row of `/spend/logs/ui` says of its session beside.
pub(super) fn add_session(written: &mut Map<String, Value>, row: &SpendRow, sum: Option<&SessionSum>) {
    let alone = SessionSum {
        totals: tollgate_store::books::Totals::of(row),
        duration_ms: u64::try_from(row.duration_ms()).unwrap_or_default(),
        cache_hits: u64::from(row.cache_hit),
        models: [row.model.clone()].into_iter().collect(),
        ..SessionSum::default()
    };
    let sum = sum.unwrap_or(&alone);
    let totals = &sum.totals;
    for (name, value) in [
        ("session_total_count", Value::from(totals.requests)),
        ("session_total_spend", spent(totals.spend)),
        ("session_total_duration_ms", Value::from(sum.duration_ms)),
        ("session_cache_hit_count", Value::from(sum.cache_hits)),
        ("session_llm_count", Value::from(totals.requests)),
        ("session_agent_count", Value::from(0)),
        ("session_total_prompt_tokens", Value::from(totals.prompt_tokens)),
        ("session_total_completion_tokens", Value::from(totals.completion_tokens)),
        ("session_total_tokens", Value::from(totals.total_tokens)),
        ("session_models", sum.models.iter().map(String::as_str).collect()),
        ("session_models_truncated", Value::Bool(false)),
    ] {
        written.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The members of LiteLLM's rows as they were recorded, in their order.
    const WHOLE: &str = "request_id call_type api_key spend total_tokens prompt_tokens completion_tokens startTime \
         endTime request_duration_ms completionStartTime model model_id model_group custom_llm_provider api_base user \
         metadata cache_hit cache_key request_tags team_id organization_id end_user requester_ip_address messages \
         response session_id status mcp_namespaced_tool_name billing_agent_id agent_id proxy_server_request \
         litellm_call_id created_at updated_at";
    const LISTED: &str = "request_id call_type api_key spend total_tokens prompt_tokens completion_tokens startTime \
         endTime completionStartTime model model_id model_group custom_llm_provider api_base user metadata cache_hit \
         cache_key request_tags team_id organization_id end_user requester_ip_address session_id status \
         mcp_namespaced_tool_name agent_id litellm_call_id request_duration_ms";

    #[test]
    fn rows_have_the_members_that_were_recorded_in_their_order() {
        for (form, members) in [(Form::Whole, WHOLE), (Form::Listed, LISTED)] {
            let written = write(&SpendRow::default(), form);
            let names: Vec<&str> = written.keys().map(String::as_str).collect();
            assert_eq!(names, members.split_whitespace().collect::<Vec<_>>(), "{form:?}");
        }
    }

    #[test]
    fn what_is_kept_of_an_attempt_stands_in_its_metadata_and_the_rest_is_null() {
        let row = SpendRow {
            metadata: r#"{"user_api_key_alias":"a","own":1}"#.to_owned(),
            prompt_tokens: 3,
            total_tokens: 3,
            team_id: "t".to_owned(),
            estimated: true,
            ..SpendRow::default()
        };
        let metadata = metadata(&row);
        assert_eq!(metadata["user_api_key_alias"], "a");
        assert_eq!(metadata["user_api_key_team_id"], "t");
        assert_eq!(metadata["user_api_key_user_id"], Value::Null);
        assert_eq!(metadata["usage_object"]["prompt_tokens"], 3);
        assert_eq!((&metadata["own"], &metadata["tollgate_estimated"]), (&json!(1), &json!(true)));
        let written = write(&row, Form::Listed);
        assert_eq!(written["startTime"], "1970-01-01T00:00:00.000+00:00");
        assert_eq!(write(&row, Form::Whole)["startTime"], "1970-01-01T00:00:00.000000Z");
    }
}
