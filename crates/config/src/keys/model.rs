//! The keys of one entry of `model_list`.
//!
//! Owns: `litellm_params`, `model_info` and the request parameters that may be given defaults. Leaves to others: the
//! names of prices (the catalogue).
//!
//! **Invariant:** the keys that act are here, the others in `model_later`.

use super::model_cloud::CLOUD;
use super::model_later::LATER;
use super::prices::{BILLED, UNBILLED};
use super::{ANY_LIST, ANY_MAP, Key, Kind, TEXTS, Table, active, budgets, later, router};

/// One entry of `model_list`.
pub(crate) static ENTRY: Table = &[&[
    active(
        "model_name",
        Kind::Text,
        "required",
        "The name that callers ask for; several entries share one; `openai/*` and `*` match.",
    ),
    active("litellm_params", Kind::Section(PARAMS), "required", "Where and how to call the model."),
    active(
        "model_info",
        Kind::OpenSection(INFO),
        "",
        "Facts about the model; shown by `/model/info` as written.",
    ),
]];

/// `litellm_params`.
pub(crate) static PARAMS: Table =
    &[ACTIVE, ROUTING, budgets::DEPLOYMENT, CLOUD, BILLED, DEFAULTS, LATER, UNBILLED];

/// `model_info`, beside which the operator's own keys are welcome.
pub(crate) static INFO: Table = &[INFO_ACTIVE, BILLED, INFO_LATER, UNBILLED];

/// What can be done with a parameter that a provider cannot express.
pub(super) const UNSUPPORTED_PARAM: &[&str] = &["warn", "drop", "reject"];

const ACTIVE: &[Key] = &[
    active(
        "model",
        Kind::Text,
        "required",
        "`provider/model`; a bare name is looked up in the catalogue; `*` stands for any.",
    ),
    active("api_key", Kind::Secret, "the provider's key variable", "The provider's key."),
    active("api_base", Kind::Url, "the provider's own", "Where the provider is; Azure needs it."),
    active("base_url", Kind::Url, "", "Another name of `api_base`."),
    active("api_version", Kind::Text, "AZURE_API_VERSION", "Azure's `api-version`."),
    active("custom_llm_provider", Kind::Text, "", "The provider, where `model` does not begin with one."),
    active("organization", Kind::Text, "", "OpenAI organization that pays."),
    active(
        "litellm_credential_name",
        Kind::Text,
        "",
        "A credential of `credential_list` or of the admin API; without it the deployment is left out.",
    ),
    active(
        "rpm",
        Kind::Count,
        "",
        "Requests per minute, never more within any 60 seconds; a weight for simple-shuffle too.",
    ),
    active(
        "tpm",
        Kind::Count,
        "",
        "Tokens per minute, never more within any 60 seconds; a weight for simple-shuffle where no `rpm` is given.",
    ),
    active("weight", Kind::Price, "", "Share of the group's requests, before `rpm` and `tpm`."),
    active("timeout", Kind::Timeout, "`request_timeout`", "Time for a whole reply."),
    active("stream_timeout", Kind::Timeout, "", "Time to the first part of a streamed reply."),
    active(
        "num_retries",
        Kind::Count,
        "`router_settings.num_retries`",
        "Retries after this deployment has failed.",
    ),
    active("max_retries", Kind::Count, "", "Used as `num_retries` where that is absent."),
    active("drop_params", Kind::Bool, "", "Leave out request parameters that the provider does not take."),
    active("additional_drop_params", TEXTS, "", "Request parameters that are never sent to this deployment."),
    active(
        "allowed_openai_params",
        TEXTS,
        "",
        "OpenAI's parameters that are sent whatever is known of the provider.",
    ),
    active(
        "tollgate_on_unsupported_param",
        Kind::Choice(UNSUPPORTED_PARAM),
        "`tollgate_settings.on_unsupported_param`",
        "What is done with a parameter that the provider cannot express.",
    ),
    active(
        "use_chat_completions_api",
        Kind::Bool,
        "false",
        "Requests to `/v1/responses` go to the provider's chat completions.",
    ),
    active(
        "use_in_pass_through",
        Kind::Bool,
        "false",
        "Its key serves requests that pass through to its provider.",
    ),
    active(
        "extra_headers",
        Kind::Map(&Kind::Secret),
        "",
        "Headers that are added to every upstream request.",
    ),
    active("extra_body", ANY_MAP, "", "Fields that are added to every upstream body."),
    active("azure_ad_token", Kind::Secret, "AZURE_AD_TOKEN", "Entra token, in place of `api_key`."),
    active("tenant_id", Kind::Text, "AZURE_TENANT_ID", "Entra tenant of a service principal."),
    active("client_id", Kind::Text, "AZURE_CLIENT_ID", "Entra client of a service principal."),
    active("client_secret", Kind::Secret, "AZURE_CLIENT_SECRET", "Entra secret of a service principal."),
    active(
        "azure_scope",
        Kind::Text,
        "https://cognitiveservices.azure.com/.default",
        "Entra scope that is asked for.",
    ),
];

const ROUTING: &[Key] = &[
    active(
        "default_api_key_rpm_limit",
        Kind::Count,
        "",
        "Requests a minute for this model of each key that has no `model_rpm_limit`; of several deployments the lowest.",
    ),
    active("default_api_key_tpm_limit", Kind::Count, "", "The same of tokens, and `model_tpm_limit`."),
    active(
        "max_parallel_requests",
        Kind::Count,
        "`default_max_parallel_requests`",
        "Requests in flight at one time, never more.",
    ),
    active("order", Kind::Integer, "", "Deployments with the lowest number are tried first."),
    active("tags", TEXTS, "", "Tags by which a request may choose; `default` takes requests without tags."),
    active(
        "tag_regex",
        TEXTS,
        "",
        "Regular expressions; a request whose headers match one has a matching tag.",
    ),
    active(
        "cooldown_time",
        Kind::Seconds,
        "`router_settings.cooldown_time`",
        "How long it is left alone at first when it fails.",
    ),
    active("blocked", Kind::Bool, "false", "It gets no requests at all."),
    active("region_name", Kind::Text, "", "Where it is, for requests that may go to one region alone."),
    active("data_residency", Kind::Text, "", "Where it keeps what it is sent."),
    active("zero_data_retention", Kind::Bool, "false", "It keeps nothing of what it is sent."),
    active(
        "tollgate_quality",
        Kind::Share,
        "",
        "How good its answers are, from 0 to 1, for requests with `min_quality`.",
    ),
    active("tollgate_fault", Kind::Section(FAULT), "", "Makes it fail on purpose, for staging."),
];

/// The ways to fail on purpose.
pub(crate) const FAULTS: &[&str] = &["error", "rate_limit", "latency", "stall", "cut", "malformed", "reset"];

/// `litellm_params.tollgate_fault`.
pub(crate) static FAULT: Table = &[&[
    active("kind", Kind::Choice(FAULTS), "required", "How it fails."),
    active("rate", Kind::Share, "1", "Share of the requests that fail."),
    active(
        "status",
        Kind::Positive,
        "500, or 429 for `rate_limit`",
        "The status of `error` and `rate_limit`.",
    ),
    active("retry_after", Kind::Duration, "", "The Retry-After of `error` and `rate_limit`."),
    active("delay", Kind::DurationPositive, "1s", "How late the answer of `latency` begins."),
    active(
        "after",
        Kind::Count,
        "1, or 0 for `reset`",
        "Content events of a stream that go out before `stall`, `cut`, `malformed` or `reset`.",
    ),
]];

const FACT: &str = "Overrides the catalogue.";

const INFO_ACTIVE: &[Key] = &[
    active(
        "id",
        Kind::Text,
        "a hash of the entry",
        "Name of the deployment in headers, logs and `/model/info`.",
    ),
    active(
        "base_model",
        Kind::Text,
        "",
        "The catalogue's name of the model, where `model` does not tell it.",
    ),
    active("mode", Kind::Text, "the catalogue's", FACT),
    active("max_tokens", Kind::Positive, "the catalogue's", FACT),
    active("max_input_tokens", Kind::Positive, "the catalogue's", FACT),
    active("max_output_tokens", Kind::Positive, "the catalogue's", FACT),
    active(
        "allowed_fails",
        Kind::Count,
        "`router_settings.allowed_fails`",
        "More failures than this within `cooldown_time`, and the deployment is left alone for a while.",
    ),
    active(
        "allowed_fails_policy",
        Kind::Section(router::ALLOWED_FAILS_POLICY),
        "`router_settings.allowed_fails_policy`",
        "The same by kind of error.",
    ),
    active("cooldown_time", Kind::Seconds, "", "Used where `litellm_params` has no `cooldown_time`."),
    active("blocked", Kind::Bool, "false", "The deployment gets no requests at all."),
    active(
        "enable_tag_filtering",
        Kind::Bool,
        "`router_settings.enable_tag_filtering`",
        "Whether the deployment is chosen by tags.",
    ),
    active(
        "disable_background_health_check",
        Kind::Bool,
        "false",
        "Background health checks leave the deployment out.",
    ),
    active(
        "access_groups",
        TEXTS,
        "",
        "Names of access groups; a key that may use one of them may use the model.",
    ),
    active("team_id", Kind::Text, "", "The team that alone sees the model and may use it."),
    active(
        "team_public_model_name",
        Kind::Text,
        "`model_name`",
        "What the team calls the model, where `model_name` is LiteLLM's own name for a team's model.",
    ),
    active("health_check_timeout", Kind::Timeout, "", "Time for a health check."),
    active(
        "health_check_model",
        Kind::Text,
        "",
        "The model that a health check asks for, where `model` is a pattern.",
    ),
];

const INFO_LATER: &[Key] = &[
    later("access_windows", ANY_LIST, ""),
    later("allow_fail_open", Kind::Bool, ""),
    later("custom_tokenizer", ANY_MAP, ""),
    later("discoverable", Kind::Bool, ""),
    later("health_check_max_tokens", Kind::Count, ""),
    later("health_check_voice", Kind::Text, ""),
    later("ptu_count", Kind::Count, ""),
    later("supported_environments", TEXTS, ""),
    later("tier", Kind::Choice(&["free", "paid"]), ""),
];

const STOP: Kind = Kind::Either(&TEXTS, &Kind::Text);
const FUNCTION_CHOICE: Kind = Kind::Either(&Kind::Text, &ANY_MAP);

/// Request parameters of OpenAI's API (and of LiteLLM's dialect of it) that a deployment may set a default for.
pub(crate) const DEFAULTS: &[Key] = &[
    default("audio", ANY_MAP),
    default("dimensions", Kind::Positive),
    default("encoding_format", Kind::Text),
    default("frequency_penalty", Kind::Number),
    default("function_call", FUNCTION_CHOICE),
    default("functions", ANY_LIST),
    default("logit_bias", ANY_MAP),
    default("logprobs", Kind::Either(&Kind::Bool, &Kind::Count)),
    default("max_completion_tokens", Kind::Positive),
    default("max_tokens", Kind::Positive),
    default("modalities", TEXTS),
    default("n", Kind::Positive),
    default("parallel_tool_calls", Kind::Bool),
    default("prediction", ANY_MAP),
    default("presence_penalty", Kind::Number),
    default("prompt_cache_key", Kind::Text),
    default("prompt_cache_retention", Kind::Text),
    default("reasoning_effort", FUNCTION_CHOICE),
    default("response_format", ANY_MAP),
    default("safety_identifier", Kind::Text),
    default("seed", Kind::Integer),
    default("service_tier", Kind::Text),
    default("stop", STOP),
    default("store", Kind::Bool),
    default("stream_options", ANY_MAP),
    default("temperature", Kind::Number),
    default("thinking", ANY_MAP),
    default("tool_choice", FUNCTION_CHOICE),
    default("tools", ANY_LIST),
    default("top_k", Kind::Integer),
    default("top_logprobs", Kind::Count),
    default("top_p", Kind::Number),
    default("user", Kind::Text),
    default("verbosity", Kind::Text),
    default("web_search_options", ANY_MAP),
];

const fn default(name: &'static str, kind: Kind) -> Key {
    active(name, kind, "", "Default of the request parameter of this name.")
}
