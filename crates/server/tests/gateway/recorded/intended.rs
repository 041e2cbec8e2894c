//! What is meant to differ from LiteLLM's replies, and why.
//!
//! **Invariant:** each row explains something that differs.

use super::compare::is_like;
use super::exchange::Exchange;

/// A row.
pub(super) struct Intended {
    /// Recordings by their names, with `|` between them and `*` for anything.
    pub(super) replies: &'static str,
    /// Where, as a difference says it; `*` for anything.
    pub(super) place: &'static str,
    pub(super) why: &'static str,
}

impl Intended {
    pub(super) fn is_for(&self, exchange: &Exchange) -> bool {
        self.replies.split('|').any(|pattern| is_like(pattern, exchange.name))
    }
}

const fn row(replies: &'static str, place: &'static str, why: &'static str) -> Intended {
    Intended { replies, place, why }
}

const LICENCE: &str = "LiteLLM asks for a licence.";
const OUTSIDE: &str = "Not there yet: 501.";
const REFUSED: &str = "A call that is refused has the headers of any other failed call.";
const NOISE: &str = "LiteLLM's sums of floats are a little off; here amounts are exact.";
const LATE: &str =
    "LiteLLM writes rows some time after it answers: most of the session was not in its sums yet.";
const WHOLE: &str = "An amount has a fraction in every reply; LiteLLM leaves it out of whole ones in some.";
const MOVES: &str = "It says when somebody changed the record; LiteLLM's moves with what is spent too.";
const LAST_USE: &str = "It says when a key was last let in; LiteLLM writes it down some seconds later, and for keys that it refused.";
const MASTER: &str = "The master key is nobody's: no user is made for it.";
const OWN_BUDGET: &str = "A member's own budget goes with the member.";
const NOBODY: &str = "Nobody was asked, so that no provider is named; the model that was meant is.";
const ENDS: &str = "It is done; LiteLLM's fails, or asks for another of its images.";
const LIMITED: &str = "Calls that a limit refused count; LiteLLM counts those of deployments.";
const ABSENT: &str = "That there is none is no fault of the gateway's.";
const MADE_WITH: &str = "LiteLLM forgets them for a key that is made with a user.";
const SEALED: &str =
    "LiteLLM shows what it keeps, sealed; here what is secret is `*****`, the rest can be read.";
const ANY_ORDER: &str = "LiteLLM's order of those that are alike is any, or that of a set.";

const REFUSALS: &str = "err_key_model_denied|err_team_model_denied|err_budget_*|err_customer_blocked";
const NOT_THERE: &str =
    "guardrails_list|prompts_list|health_*|public_model_hub|model_metrics|model_streaming_metrics";
const MODELS: &str = "model_new|model_update|model_patch";
const ROWS: &str = "spend_logs_ui|spend_logs_v2";
const LIMITS: &str = "err_429_*";

/// All of them.
pub(super) const INTENDED: &[Intended] = &[
    row("*", "+header x-tollgate-*", "What Tollgate adds has names of its own."),
    row(
        "*",
        "+header access-control-allow-origin",
        "The same reply whoever asks; LiteLLM has it where a request has an `Origin`.",
    ),
    row("*", "+header x-litellm-version", "The version is there on errors and on the admin API too."),
    row("*", "!header vary", "Replies are not compressed, and do not depend on `Accept-Encoding`."),
    row("key_generate|key_gen_expired", "~body.duration", "LiteLLM loses it on its way."),
    row("key_regenerate", "status", LICENCE),
    row("key_regenerate", "-body.error", LICENCE),
    row("key_regenerate", "+body.*", LICENCE),
    row("organization_*", "status", LICENCE),
    row("organization_new", "-body.detail", LICENCE),
    row("organization_new", "+body.*", LICENCE),
    row("organization_list", "~body", LICENCE),
    row("g_global_spend_report", "status", LICENCE),
    row("g_global_spend_report", "~body", LICENCE),
    row("audit", "+body.audit_logs[*]", LICENCE),
    row("audit", "!body.total*", LICENCE),
    row(REFUSALS, "+header x-litellm-call-id", REFUSED),
    row(REFUSALS, "+header x-litellm-response-cost", REFUSED),
    row(REFUSALS, "+header x-litellm-key-spend", REFUSED),
    row("err_budget_key", "+header x-litellm-key-max-budget", REFUSED),
    row("err_budget_team|err_429_*", "+header x-ratelimit-*", REFUSED),
    row("err_budget_*|err_customer_blocked", "!body.error.message", NOISE),
    row(LIMITS, "!header retry-after", "It says when there is room; LiteLLM's is always 60."),
    row(
        "err_429_key_parallel",
        "-header reset_at",
        "A place comes free when a call ends, and nobody knows when.",
    ),
    row(
        "err_429_key_parallel",
        "!body.error.message",
        "A place comes free when a call ends, and nobody knows when.",
    ),
    row("customer_block|customer_unblock", "status", ENDS),
    row("customer_block", "+header *", ENDS),
    row("customer_block", "-body.error", ENDS),
    row("customer_unblock", "-body.detail", ENDS),
    row("customer_block|customer_unblock", "+body.blocked_users", ENDS),
    row(
        "tag_list",
        "-body[*]",
        "Only tags that somebody made; LiteLLM adds the callers' `User-Agent` to them.",
    ),
    row("team_list|team_list_v2|user_list|spend_keys|spend_users", "!body*.updated_at", MOVES),
    row("spend_keys", "!body*.last_active", LAST_USE),
    row("spend_keys", "~body*.last_active", LAST_USE),
    row("team_model_add", "!body.models[*]", ANY_ORDER),
    row("spend_keys|spend_users|g_global_spend_teams", "^body*", ANY_ORDER),
    row("user_info|spend_keys", "~body*.key_type", MADE_WITH),
    row("user_info|spend_keys", "~body*.created_by", MADE_WITH),
    row("user_info|spend_keys", "~body*.updated_by", MADE_WITH),
    row("user_list", "-body.users[*]", MASTER),
    row("user_list", "!body.total", MASTER),
    row("spend_users", "-body[1]", MASTER),
    row("budget_list", "-body[*]", OWN_BUDGET),
    row(
        "spend_users",
        "-body[*].key_aliases[0]",
        "A user without keys has none; LiteLLM's join leaves a null there.",
    ),
    row("spend_users|spend_logs_*", "~body*.spend", WHOLE),
    row(ROWS, "!body.data[*].custom_llm_provider", NOBODY),
    row(ROWS, "!body.data[*].metadata.error_information.llm_provider", NOBODY),
    row(ROWS, "!body.data[*].metadata.model_map_information.model_map_key", NOBODY),
    row(ROWS, "!body.data[*].metadata.error_information.error_message", NOISE),
    row(
        ROWS,
        "!body.data[*].session_id",
        "A call without a session's id is a session of its own, with the call's id.",
    ),
    row(ROWS, "!body.data[*]*_duration_ms", "It took as long as it took."),
    row(
        ROWS,
        "!body.total*",
        "A call with an unknown key, or with one that is blocked or over, leaves no row.",
    ),
    row("spend_logs_summary", "!body[0].*", LATE),
    row("spend_logs_summary", "-body[0].*", LATE),
    row("spend_logs_summary", "+body[0].*", LATE),
    row("spend_logs_summary", "^body[0]", LATE),
    row("g_global_spend", "!body.spend", LATE),
    row("g_global_spend_logs|g_global_spend_provider", "!body[0].spend", LATE),
    row("g_global_spend_keys", "!body[*].api_key", LATE),
    row("g_global_spend_keys", "!body[*].key_name", LATE),
    row("g_global_spend_keys", "~body[*].key_name", LATE),
    row("g_global_spend_keys", "!body[*].total_spend", LATE),
    row("g_global_spend_keys|g_global_spend_models", "~body[*].total_spend", WHOLE),
    row("g_global_spend_models", "!body[*].model", LATE),
    row("g_global_spend_models", "!body[*].total_spend", LATE),
    row("g_global_spend_models", "-body[*]", LATE),
    row("g_global_spend_teams", "!body.daily_spend[0].*", LATE),
    row("g_global_spend_teams", "!body.total_spend_per_team[*].total_spend", LATE),
    row("g_global_spend_teams", "~body.*", WHOLE),
    row("global_spend_end_users", "!body[*].total_count", LATE),
    row("global_spend_end_users", "!body[*].total_spend", LATE),
    row("global_spend_end_users", "~body[*].total_spend", WHOLE),
    row("g_global_activity|g_global_activity_model", "!body*_requests", LATE),
    row("g_global_activity|g_global_activity_model", "!body*_tokens", LATE),
    row("g_global_activity_model", "-body[*]", LATE),
    row("g_global_activity_model", "^body", LATE),
    row("g_global_activity_exceptions", "+body.daily_data[0]", LIMITED),
    row("g_global_activity_exceptions", "!body.sum_num_rate_limit_exceptions", LIMITED),
    row("spend_calculate", "!body.cost", "By the first deployment of the group; LiteLLM takes any of them."),
    row("g_global_predict_spend_logs", "-body.detail", "Errors have one shape."),
    row("g_global_predict_spend_logs", "+body.error", "Errors have one shape."),
    row("g_provider_budgets", "status", ABSENT),
    row("g_provider_budgets", "!body.error.type", ABSENT),
    row("g_provider_budgets", "!body.error.code", ABSENT),
    row(MODELS, "!body.litellm_params.model", SEALED),
    row(MODELS, "!body.litellm_params.api_key", SEALED),
    row(MODELS, "!body.litellm_params.api_base", SEALED),
    row(NOT_THERE, "status", OUTSIDE),
    row(NOT_THERE, "-body.*", OUTSIDE),
    row(NOT_THERE, "+body.error", OUTSIDE),
    row("public_model_hub", "~body", OUTSIDE),
];
