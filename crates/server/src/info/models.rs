//! `/v1/models` in the forms of OpenAI, Anthropic and Google, `/v1/model/info`, `/model_group/info`.

use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::telemetry::Metrics;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tollgate_catalog::{Mode, Model, Prices, Wire};
use tollgate_config::Deployment;
use tollgate_dialect::wire::{Capabilities, Support};

/// LiteLLM's fixed time of creation of every model.
const CREATED: u64 = 1_677_610_602;
/// Price fields that LiteLLM lists for every deployment, null where there is none.
const PRICE_FIELDS: [&str; 16] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_read_input_token_cost_priority",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "input_cost_per_token_batches",
    "output_cost_per_token_batches",
    "input_cost_per_token_priority",
    "output_cost_per_token_priority",
    "input_cost_per_token_above_128k_tokens",
    "output_cost_per_token_above_128k_tokens",
    "input_cost_per_token_above_200k_tokens",
    "output_cost_per_token_above_200k_tokens",
    "output_cost_per_reasoning_token",
    "input_cost_per_audio_token",
];
/// Capabilities that LiteLLM lists for every deployment and group.
const CAPABILITIES: [&str; 14] = [
    "supports_system_messages",
    "supports_response_schema",
    "supports_vision",
    "supports_function_calling",
    "supports_tool_choice",
    "supports_parallel_function_calling",
    "supports_prompt_caching",
    "supports_audio_input",
    "supports_audio_output",
    "supports_pdf_input",
    "supports_web_search",
    "supports_reasoning",
    "supports_url_context",
    "supports_fast_mode",
];

/// The form in which a client reads models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    OpenAi,
    Anthropic,
    Google,
}

impl Form {
    /// Google's clients ask below `/v1beta`, or send Google's header for a key; Anthropic's always say the version of their
    /// API.
    pub(super) fn asked(path: &str, headers: &HeaderMap) -> Self {
        if path.starts_with("/v1beta/") || headers.contains_key("x-goog-api-key") {
            Self::Google
        } else if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }

    /// The surface in whose shape an error is told.
    pub(super) fn voice(self) -> Option<Surface> {
        match self {
            Self::OpenAi => None,
            Self::Anthropic => Some(Surface::Messages),
            Self::Google => Some(Surface::GenerateContent),
        }
    }
}

/// What whoever asks calls a model, where it may know of it.
pub(in crate::info) type Shows<'a> = &'a (dyn for<'n> Fn(&'n str) -> Option<String> + Sync);

/// `GET /v1/models`.
pub(super) fn list(snapshot: &Snapshot, form: Form, shows: Shows<'_>) -> Value {
    let groups = snapshot.names().into_iter().filter_map(|group| Some((shows(group)?, group)));
    let mut seen = std::collections::HashSet::new();
    let groups: Vec<(String, &str)> = groups.filter(|(name, _)| seen.insert(name.clone())).collect();
    let data: Vec<Value> = groups.iter().map(|(name, group)| entry(snapshot, (name, group), form)).collect();
    let names: Vec<&String> = groups.iter().map(|(name, _)| name).collect();
    match form {
        Form::OpenAi => json!({ "data": data, "object": "list" }),
        Form::Google => json!({ "models": data }),
        Form::Anthropic => {
            json!({ "data": data, "has_more": false, "first_id": names.first(), "last_id": names.last() })
        }
    }
}

/// `GET /v1/models/{id}`: a listed name, or one that a wildcard answers to.
pub(super) fn one(
    snapshot: &Snapshot,
    metrics: &Metrics,
    (name, group, form): (&str, &str, Form),
) -> Option<Value> {
    let is_listed = || snapshot.names().contains(&group) || snapshot.group(metrics, group).is_some();
    is_listed().then(|| entry(snapshot, (name, group), form))
}

fn entry(snapshot: &Snapshot, (name, group): (&str, &str), form: Form) -> Value {
    match form {
        Form::OpenAi => openais_entry(facts_of(snapshot, group), name),
        Form::Anthropic => anthropics_entry(facts_of(snapshot, group).as_ref(), name),
        Form::Google => googles_entry(facts_of(snapshot, group).as_ref(), name),
    }
}

/// What the catalogue knows of a group's first deployment.
fn facts_of(snapshot: &Snapshot, name: &str) -> Option<Model> {
    snapshot.described_by(name).first().and_then(|deployment| snapshot.model_facts(deployment))
}

fn anthropics_entry(facts: Option<&Model>, name: &str) -> Value {
    let (input, output) =
        facts.map(|facts| (facts.max_input_tokens, facts.max_output_tokens)).unwrap_or_default();
    json!({
        "type": "model",
        "id": name,
        "display_name": name,
        // Anthropic's own word for a date that is not known: the epoch.
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": input,
        "max_tokens": output,
    })
}

fn googles_entry(facts: Option<&Model>, name: &str) -> Value {
    let is_embedding = facts.is_some_and(|facts| facts.mode == Mode::Embedding);
    let methods: &[&str] = match is_embedding {
        true => &["embedContent", "batchEmbedContents"],
        false => &["generateContent", "streamGenerateContent", "countTokens"],
    };
    let mut model = Map::new();
    model.insert("name".to_owned(), json!(format!("models/{name}")));
    model.insert("displayName".to_owned(), json!(name));
    let (input, output) =
        facts.map(|facts| (facts.max_input_tokens, facts.max_output_tokens)).unwrap_or_default();
    for (member, count) in [("inputTokenLimit", input), ("outputTokenLimit", output)] {
        if let Some(count) = count {
            model.insert(member.to_owned(), json!(count));
        }
    }
    model.insert("supportedGenerationMethods".to_owned(), json!(methods));
    Value::Object(model)
}

fn openais_entry(facts: Option<Model>, name: &str) -> Value {
    let mut model = Map::new();
    model.insert("id".to_owned(), json!(name));
    model.insert("object".to_owned(), json!("model"));
    model.insert("created".to_owned(), json!(CREATED));
    // LiteLLM says so of every model, whoever serves it.
    model.insert("owned_by".to_owned(), json!("openai"));
    if let Some(facts) = facts {
        if let Some(mode) = facts.mode.name() {
            model.insert("mode".to_owned(), json!(mode));
        }
        for (name, count) in
            [("max_input_tokens", facts.max_input_tokens), ("max_output_tokens", facts.max_output_tokens)]
        {
            if let Some(count) = count {
                model.insert(name.to_owned(), json!(count));
            }
        }
    }
    Value::Object(model)
}

/// `GET /v1/model/info`: every deployment, or the one of this id.
pub(super) fn info(snapshot: &Snapshot, id: Option<&str>, shows: Shows<'_>) -> Value {
    let is_wanted = |deployment: &&Deployment| {
        id.is_none_or(|id| deployment.id == id) && shows(&deployment.model_name).is_some()
    };
    let wanted = snapshot.config().deployments.iter().filter(is_wanted);
    json!({ "data": wanted.map(|deployment| deployment_info(snapshot, deployment)).collect::<Vec<_>>() })
}

/// A deployment with what is known of its model: `/model/info`.
pub(crate) fn deployment_info(snapshot: &Snapshot, deployment: &Deployment) -> Value {
    let facts = snapshot.model_facts(deployment);
    let prices = snapshot.prices(deployment);
    let mut info = deployment.model_info.clone();
    info.insert("id".to_owned(), json!(deployment.id));
    info.insert("db_model".to_owned(), json!(deployment.is_made));
    insert_missing(&mut info, "key", facts.as_ref().map(|facts| json!(facts.key)));
    insert_missing(&mut info, "litellm_provider", Some(json!(deployment.provider.name)));
    insert_missing(
        &mut info,
        "mode",
        facts.as_ref().and_then(|facts| facts.mode.name()).map(|mode| json!(mode)),
    );
    let windows =
        facts.as_ref().map(|facts| (facts.max_tokens, facts.max_input_tokens, facts.max_output_tokens));
    let (tokens, input, output) = windows.unwrap_or_default();
    for (name, count) in [("max_tokens", tokens), ("max_input_tokens", input), ("max_output_tokens", output)]
    {
        insert_missing(&mut info, name, count.map(|count| json!(count)));
    }
    for name in PRICE_FIELDS {
        info.insert(name.to_owned(), price(&prices, name));
    }
    for name in CAPABILITIES {
        insert_missing(&mut info, name, capability(facts.as_ref(), name));
    }
    // What else the catalogue knows of the model: its numbers as they stand there.
    let raw = facts.as_ref().and_then(|facts| serde_json::from_str::<Map<String, Value>>(facts.raw()).ok());
    for (name, value) in raw.unwrap_or_default() {
        insert_missing(&mut info, &name, Some(value));
    }
    info.insert("supported_openai_params".to_owned(), supported_params(&[deployment], facts.as_slice()));
    // A masked credential tells nobody anything; LiteLLM leaves it out.
    let params: Map<String, Value> = deployment
        .params_written
        .iter()
        .filter(|(_, value)| value.as_str() != Some(tollgate_config::MASK))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    json!({ "model_name": deployment.public_name(), "litellm_params": params, "model_info": info })
}

/// Null where nothing is known, so that a client finds every field.
fn insert_missing(info: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if !info.contains_key(name) {
        info.insert(name.to_owned(), value.unwrap_or(Value::Null));
    }
}

fn capability(facts: Option<&Model>, name: &str) -> Option<Value> {
    let facts = facts?;
    if facts.supports(name) {
        return Some(json!(true));
    }
    facts.denies(name).then(|| json!(false))
}

/// A price as a JSON number; the text is exact, the reader's double is not.
fn price(prices: &Prices, name: &str) -> Value {
    let text = prices.rate(name).map(|price| price.to_string());
    text.and_then(|text| text.parse::<f64>().ok()).map_or(Value::Null, |number| json!(number))
}

/// `GET /model_group/info`: every group, or the one of this name.
pub(super) fn groups(snapshot: &Snapshot, wanted: Option<&str>, shows: Shows<'_>) -> Value {
    let names = snapshot.names().into_iter();
    let shown = names.filter_map(|group| Some((shows(group)?, group)));
    let described = shown.map(|(name, group)| (name, snapshot.described_by(group)));
    let data: Vec<Value> = described
        .filter(|(_, deployments)| !deployments.is_empty())
        .filter(|(name, _)| wanted.is_none_or(|wanted| name == wanted))
        .map(|(name, deployments)| group_info(snapshot, &name, &deployments))
        .collect();
    json!({ "data": data })
}

fn group_info(snapshot: &Snapshot, name: &str, deployments: &[&Deployment]) -> Value {
    let facts: Vec<Model> =
        deployments.iter().filter_map(|deployment| snapshot.model_facts(deployment)).collect();
    let most = |field: fn(&Model) -> Option<u64>| {
        facts.iter().filter_map(field).max().map(|count| json!(count as f64))
    };
    let sum = |field: fn(&Deployment) -> Option<u64>| {
        let known: Vec<u64> = deployments.iter().filter_map(|deployment| field(deployment)).collect();
        (!known.is_empty()).then(|| json!(known.iter().sum::<u64>()))
    };
    let mut providers: Vec<&str> = Vec::new();
    for deployment in deployments {
        if !providers.contains(&deployment.provider.name) {
            providers.push(deployment.provider.name);
        }
    }
    let prices = deployments.first().map(|deployment| snapshot.prices(deployment)).unwrap_or_default();
    let mode = facts.first().and_then(|facts| facts.mode.name());
    let mut info = json!({
        "model_group": name,
        "providers": providers,
        "max_input_tokens": most(|facts| facts.max_input_tokens),
        "max_output_tokens": most(|facts| facts.max_output_tokens),
        "input_cost_per_token": price(&prices, "input_cost_per_token"),
        "output_cost_per_token": price(&prices, "output_cost_per_token"),
        "input_cost_per_pixel": null,
        "mode": mode,
        "tpm": sum(|deployment| deployment.tpm),
        "rpm": sum(|deployment| deployment.rpm),
        "itpm": null,
        "otpm": null,
        "supported_openai_params": supported_params(deployments, &facts),
        "supported_reasoning_efforts": reasoning_efforts(&facts),
        "configurable_clientside_auth_params": null,
        "is_public_model_group": false,
        "health_status": null,
        "health_response_time": null,
        "health_checked_at": null,
    });
    if let Some(info) = info.as_object_mut() {
        for name in CAPABILITIES {
            info.insert(name.to_owned(), json!(facts.iter().any(|facts| facts.supports(name))));
        }
    }
    info
}

/// The efforts that every known model of the group names (`supports_high_reasoning_effort` and the like).
fn reasoning_efforts(facts: &[Model]) -> Value {
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    let named = |effort: &str| {
        !facts.is_empty()
            && facts.iter().all(|facts| facts.supports(&format!("supports_{effort}_reasoning_effort")))
    };
    json!(efforts.into_iter().filter(|effort| named(effort)).collect::<Vec<_>>())
}

/// The OpenAI parameters that at least one deployment of the group takes.
fn supported_params(deployments: &[&Deployment], facts: &[Model]) -> Value {
    if facts.iter().any(|facts| facts.mode == Mode::Embedding) {
        return json!(["timeout", "dimensions", "encoding_format", "user"]);
    }
    let mut names: Vec<&str> = Vec::new();
    for deployment in deployments {
        let own: Vec<&str> = match deployment.provider.wire {
            Wire::Anthropic => taken_params(tollgate_dialect::anthropic::CAPABILITIES),
            Wire::Gemini => tollgate_dialect::gemini::SUPPORTED_PARAMS.to_vec(),
            _ => tollgate_dialect::openai::CHAT_PARAMS.to_vec(),
        };
        let taken = own.into_iter().filter(|name| !deployment.provider.unsupported.contains(name));
        for name in taken {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    json!(names)
}

/// The parameters of a wire's table that change its request.
fn taken_params(capabilities: Capabilities) -> Vec<&'static str> {
    let takes = |support: &Support| matches!(support, Support::Takes | Support::Translates);
    capabilities.iter().filter(|(_, support)| takes(support)).map(|(name, _)| *name).collect()
}
