//! The keys of one entry of `model_list`.
//!
//! Owns: `litellm_params`, `model_info` and the request parameters that may be given defaults. Leaves to others: the
//! names of prices (the catalogue).
//!
//! **Invariant:** the keys that act are here, the others in `model_later`.

use super::model_cloud::CLOUD;
use super::model_later::LATER;
use super::prices::{BILLED, UNBILLED};
use super::{ANY_LIST, ANY_MAP, Key, Kind, TEXTS, Table, active, later};

/// One entry of `model_list`.
pub(crate) static ENTRY: Table = &[&[
    active(
        "model_name",
        Kind::Text,
        "",
        "The name that callers ask for; several entries share one; `openai/*` and `*` match.",
    ),
    active("litellm_params", Kind::Section(PARAMS), "", "Where and how to call the model."),
    active(
        "model_info",
        Kind::OpenSection(INFO),
        "",
        "Facts about the model; shown by `/model/info` as written.",
    ),
]];

/// `litellm_params`.
pub(crate) static PARAMS: Table = &[ACTIVE, CLOUD, BILLED, DEFAULTS, LATER, UNBILLED];

/// `model_info`, beside which the operator's own keys are welcome.
pub(crate) static INFO: Table = &[INFO_ACTIVE, BILLED, INFO_LATER, UNBILLED];

/// What can be done with a parameter that a provider cannot express.
pub(super) const UNSUPPORTED_PARAM: &[&str] = &["warn", "drop", "reject"];

const ACTIVE: &[Key] = &[
    active(
        "model",
        Kind::Text,
        "",
        "`provider/model`; a bare name is looked up in the catalogue; `*` stands for any.",
    ),
    active("api_key", Kind::Secret, "the provider's key variable", "The provider's key."),
    active("api_base", Kind::Url, "the provider's own", "Where the provider is; Azure needs it."),
    active("base_url", Kind::Url, "", "Another name of `api_base`."),
    active("api_version", Kind::Text, "AZURE_API_VERSION", "Azure's `api-version`."),
    active("custom_llm_provider", Kind::Text, "", "The provider, where `model` does not begin with one."),
    active("organization", Kind::Text, "", "OpenAI organization that pays."),
    active("rpm", Kind::Count, "", "Requests per minute; a weight for simple-shuffle."),
    active("tpm", Kind::Count, "", "Tokens per minute; a weight for simple-shuffle where no `rpm` is given."),
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
];

const INFO_LATER: &[Key] = &[
    later("access_groups", TEXTS, ""),
    later("access_windows", ANY_LIST, ""),
    later("allow_fail_open", Kind::Bool, ""),
    later("allowed_fails", Kind::Count, ""),
    later("allowed_fails_policy", ANY_MAP, ""),
    later("blocked", Kind::Bool, ""),
    later("cooldown_time", Kind::Seconds, ""),
    later("custom_tokenizer", ANY_MAP, ""),
    later("disable_background_health_check", Kind::Bool, ""),
    later("discoverable", Kind::Bool, ""),
    later("enable_tag_filtering", Kind::Bool, ""),
    later("health_check_max_tokens", Kind::Count, ""),
    later("health_check_model", Kind::Text, ""),
    later("health_check_timeout", Kind::Seconds, ""),
    later("health_check_voice", Kind::Text, ""),
    later("ptu_count", Kind::Count, ""),
    later("supported_environments", TEXTS, ""),
    later("team_id", Kind::Text, ""),
    later("team_public_model_name", Kind::Text, ""),
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
