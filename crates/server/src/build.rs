//! From a deployment as configured to a target that can be called.

use crate::address::{self, base_url};
use crate::authorization::Authorizations;
use crate::pipeline::outbound::place_key;
use crate::pipeline::speech::Speech;
use crate::reply::{TargetFacts, TargetHeaders};
use crate::routing::{Fleet, Live, LiveKey, health_rules};
use crate::target::{ResponsesUse, Target};
use crate::telemetry::{Metrics, TargetLabels};
use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tollgate_catalog::prices::openai_residency;
use tollgate_catalog::{KeyPlacement, Mode, Model, Overlay, Price, Prices, Wire};
use tollgate_config::{Config, Costs, Deployment, OnUnsupported, Secret, Unpriced};
use tollgate_dialect::anthropic::Host;
use tollgate_dialect::compat::Flavor;
use tollgate_dialect::gemini;
use tollgate_dialect::sagemaker::Container;
use tollgate_dialect::watsonx::Place;
use tollgate_dialect::wire::EncodeOptions;
use tollgate_policy::health::HealthRules;
use tollgate_policy::limits::Rates;
use tollgate_policy::profile::Profile;
use tollgate_policy::shuffle::Share;

/// Why a configuration cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model_list entry '{model_name}': {reason}")]
pub struct BuildError {
    /// The deployment's id; none of what is no deployment.
    id: Option<String>,
    model_name: String,
    reason: String,
}

impl BuildError {
    pub(crate) fn new(deployment: &Deployment, reason: impl Into<String>) -> Self {
        let id = Some(deployment.id.clone());
        Self { id, model_name: deployment.public_name().to_owned(), reason: reason.into() }
    }

    /// Of an endpoint of the operator's own.
    pub(crate) fn of_endpoint(path: &str, reason: String) -> Self {
        Self { id: None, model_name: path.to_owned(), reason }
    }

    /// Whether it is about the deployment of this id.
    pub(crate) fn is_of(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// What is wrong.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

/// What of the settings concerns every deployment.
#[derive(Debug, Clone, Copy)]
struct Settings {
    on_unsupported: Option<OnUnsupported>,
    drop_params: bool,
}

impl Settings {
    fn of(config: &Config) -> Self {
        Self { on_unsupported: config.tollgate.on_unsupported_param, drop_params: config.litellm.drop_params }
    }

    /// A deployment's own word goes first, Tollgate's before LiteLLM's.
    fn on_unsupported(self, deployment: &Deployment) -> Option<OnUnsupported> {
        let dropped = |drops: bool| if drops { OnUnsupported::Drop } else { OnUnsupported::Reject };
        let own = deployment.on_unsupported_param.or(deployment.drop_params.map(dropped));
        own.or(self.on_unsupported).or(self.drop_params.then_some(OnUnsupported::Drop))
    }
}

/// What building targets takes besides the deployments.
#[derive(Debug)]
pub(crate) struct Builder {
    settings: Settings,
    overlay: Option<Overlay>,
    authorizations: Authorizations,
    fleet: Arc<Fleet>,
    health: HashMap<String, HealthRules>,
    costs: Costs,
}

impl Builder {
    /// Keeps the tokens of `previous` for those who still use them.
    pub(crate) fn new(
        config: &Config,
        overlay: Option<Overlay>,
        fleet: &Arc<Fleet>,
        previous: Option<&Builder>,
    ) -> Result<Self, BuildError> {
        let previous = previous.map(|builder| &builder.authorizations);
        let authorizations = Authorizations::new(config, previous)
            .map_err(|(deployment, error)| BuildError::new(&deployment, error.to_string()))?;
        let rules = |deployment: &Deployment| (deployment.id.clone(), health_rules(config, deployment));
        Ok(Self {
            settings: Settings::of(config),
            overlay,
            authorizations,
            fleet: Arc::clone(fleet),
            health: config.deployments.iter().map(rules).collect(),
            costs: config.costs.clone(),
        })
    }

    /// The proofs of who sends a request.
    pub(crate) fn authorizations(&self) -> &Authorizations {
        &self.authorizations
    }

    /// What the catalogue, or the operator's price file, knows of a model.
    pub(crate) fn facts(&self, deployment: &Deployment, model: &str) -> Option<Model> {
        let provider = deployment.provider.name;
        let find = |model: &str| match &self.overlay {
            Some(overlay) => overlay.model(provider, model),
            None => tollgate_catalog::model(provider, model),
        };
        names(deployment, model).find_map(find)
    }

    /// The prices that the catalogue, or the operator's price file, has for a model, with the deployment's own in their
    /// place.
    pub(crate) fn prices(
        &self,
        deployment: &Deployment,
        model: &str,
        facts: Option<&Model>,
    ) -> Result<Prices, BuildError> {
        let known = facts.map(|facts| facts.prices.clone()).unwrap_or_default();
        let makes_pictures =
            |facts: &Model| matches!(facts.mode, Mode::ImageGeneration | Mode::ImageEdit | Mode::Unknown);
        let known = if facts.is_none_or(makes_pictures) {
            known.with_sizes(self.sizes(deployment, model))
        } else {
            known
        };
        let own = deployment.prices.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let prices =
            known.with_overrides(own).map_err(|error| BuildError::new(deployment, error.to_string()))?;
        Ok(in_region(deployment, &prices))
    }

    /// The prices of a model's pictures by their sizes.
    fn sizes(&self, deployment: &Deployment, model: &str) -> Vec<(String, Prices)> {
        let provider = deployment.provider.name;
        let find = |model: &str| match &self.overlay {
            Some(overlay) => overlay.sizes(provider, model),
            None => tollgate_catalog::model::sizes(provider, model),
        };
        names(deployment, model).map(find).find(|sizes| !sizes.is_empty()).unwrap_or_default()
    }

    /// Whether a wildcard's deployments can be built, tried with a name of no meaning.
    pub(crate) fn check(&self, deployment: &Deployment) -> Result<(), BuildError> {
        address::endpoint(deployment).map_err(|reason| BuildError::new(deployment, reason))?;
        headers(deployment)?;
        self.prices(deployment, "", None).map(|_| ())
    }

    /// Makes a deployment ready under a group's name, for one model of its provider.
    pub(crate) fn target(
        &self,
        deployment: &Deployment,
        group: &str,
        model: &str,
        metrics: &Metrics,
    ) -> Result<Target, BuildError> {
        let facts = self.facts(deployment, model);
        let provider = deployment.provider;
        let endpoint = address::endpoint(deployment).map_err(|reason| BuildError::new(deployment, reason))?;
        let authorization = self.authorizations.of(deployment);
        let speech = speech(deployment, model);
        let prefix = address::prefix(deployment, authorization.project())
            .map_err(|reason| BuildError::new(deployment, reason))?;
        let paths = address::paths(deployment, &endpoint, model, &prefix)
            .ok_or_else(|| BuildError::new(deployment, "not a model name"))?;
        let own = self.prices(deployment, model, facts.as_ref())?;
        let is_unpriced = !own.is_priced();
        let prices = match &self.costs.unpriced {
            Unpriced::Charge(prices) if is_unpriced => prices.clone(),
            _ => own,
        };
        Ok(Target {
            id: deployment.id.clone(),
            provider,
            speech,
            place: place(deployment),
            responses: responses_use(deployment, model, facts.as_ref()),
            lacks_responses: AtomicBool::new(false),
            on_unsupported: self.settings.on_unsupported(deployment),
            model: address::plain_model(deployment, model).to_owned(),
            paths,
            headers: headers(deployment)?,
            secret: deployment.api_key.clone(),
            authorization,
            prefix,
            live: self.live(deployment, group, model),
            profile: profile(deployment, facts.as_ref(), &prices),
            fault: deployment.fault,
            health_rules: self.health.get(&deployment.id).copied().unwrap_or_default(),
            timeout: deployment.timeout,
            stream_timeout: deployment.stream_timeout,
            num_retries: deployment.num_retries,
            options: encode_options(deployment, facts.as_ref(), model),
            always_dropped: deployment.additional_drop_params.clone(),
            refused_params: provider.unsupported,
            defaults: defaults(deployment),
            has_completions: has_completions(provider.name, facts.as_ref()),
            prices,
            is_unpriced,
            adjustment: self.costs.adjustment(provider.name),
            reply_headers: TargetHeaders::new(&TargetFacts {
                id: &deployment.id,
                model_name: &format!("{}/{model}", provider.name),
                api_base: base_url(deployment).as_deref().unwrap_or_default(),
                group,
                is_unpriced,
            }),
            metrics: metrics.target(TargetLabels {
                requested_model: group.to_owned(),
                // A wildcard that remembers no more names counts under its pattern.
                model: if group.contains('*') { group.to_owned() } else { model.to_owned() },
                model_id: deployment.id.clone(),
                api_provider: provider.name.to_owned(),
            }),
            endpoint,
        })
    }
}

impl Builder {
    /// What is known of a deployment while the process runs.
    fn live(&self, deployment: &Deployment, group: &str, model: &str) -> Arc<Live> {
        // Without a key of its own a deployment shares its credential with nobody.
        let secret = deployment.api_key.as_ref().map_or(deployment.id.as_str(), Secret::expose);
        let key = LiveKey {
            id: &deployment.id,
            // A wildcard that remembers no more names knows them all as one.
            model: if group.contains('*') { group } else { model },
            credential: (deployment.provider.name, secret),
        };
        self.fleet.live(key, &deployment.model_name)
    }
}

/// The prices where the deployment is: some models cost more where they are served from one region.
fn in_region(deployment: &Deployment, prices: &Prices) -> Prices {
    let base = base_url(deployment).unwrap_or_default();
    let host = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let location = (deployment.provider.name == "vertex_ai").then(|| address::location(deployment));
    prices.in_region(openai_residency(host), location)
}

/// What is fixed about a deployment in the choice.
fn profile(deployment: &Deployment, facts: Option<&Model>, prices: &Prices) -> Profile {
    let written = |name: &str| deployment.model_info.get(name).and_then(serde_json::Value::as_u64);
    let price = |price: Option<Price>| price.and_then(|price| u128::try_from(price.units()).ok());
    Profile {
        id: deployment.id.clone(),
        is_blocked: deployment.is_blocked,
        share: Share { weight: deployment.weight, rpm: deployment.rpm, tpm: deployment.tpm },
        order: deployment.order,
        tags: deployment.tags.clone(),
        tag_regex: deployment.tag_regex.clone(),
        region: deployment.region_name.clone(),
        data_residency: deployment.data_residency.clone(),
        zero_data_retention: deployment.zero_data_retention,
        context_window: written("max_input_tokens").or(facts.and_then(|facts| facts.max_input_tokens)),
        capabilities: facts.map(Model::capabilities).unwrap_or_default(),
        input_price: price(prices.input()),
        output_price: price(prices.output()),
        cached_price: price(prices.rate("cache_read_input_token_cost")),
        quality: deployment.quality,
        rates: Rates { rpm: deployment.rpm, tpm: deployment.tpm, parallel: deployment.max_parallel_requests },
    }
}

fn headers(deployment: &Deployment) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
    let invalid =
        |name: &str| BuildError::new(deployment, format!("{name} has characters that a header cannot carry"));
    if let Some(organization) = &deployment.organization {
        let value = HeaderValue::from_str(organization).map_err(|_| invalid("organization"))?;
        headers.insert(HeaderName::from_static("openai-organization"), value);
    }
    if let Some(token) = deployment.azure.as_ref().and_then(|auth| auth.ad_token.as_ref()) {
        place_key(&mut headers, KeyPlacement::Bearer, token).map_err(|()| invalid("azure_ad_token"))?;
    } else if let Some(key) = &deployment.api_key {
        place_key(&mut headers, deployment.provider.key, key).map_err(|()| invalid("api_key"))?;
    }
    for (name, value) in &deployment.extra_headers {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| invalid("extra_headers"))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| invalid("extra_headers"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// The names by which a deployment's model is looked up: its base model's, which may begin with the provider
/// (`azure/gpt-4o`), or its own, and the same without the road that it takes (`responses/`, `converse/`, a region).
fn names<'n>(deployment: &'n Deployment, model: &'n str) -> impl Iterator<Item = &'n str> {
    let written = deployment.base_model.as_deref().map_or(model, |base| {
        let named = base.strip_prefix(deployment.provider.name).and_then(|rest| rest.strip_prefix('/'));
        named.unwrap_or(base)
    });
    let on_road = address::without_road(deployment, written);
    let plain = address::plain_model(deployment, written);
    let more = [on_road, plain].into_iter().filter(move |name| *name != written);
    std::iter::once(written).chain(more)
}

fn defaults(deployment: &Deployment) -> Vec<(String, String)> {
    let both = deployment.default_params.iter().chain(&deployment.extra_body);
    both.map(|(name, value)| (name.clone(), value.to_string())).collect()
}

/// OpenAI's own chat models have no legacy endpoint; LiteLLM sends their completions through chat, and so does this.
fn has_completions(provider: &str, facts: Option<&Model>) -> bool {
    facts.is_some_and(|facts| facts.mode == Mode::Completion)
        || provider.starts_with("text-completion-")
        || matches!(provider, "hosted_vllm" | "vllm")
}

fn encode_options(deployment: &Deployment, facts: Option<&Model>, model: &str) -> EncodeOptions {
    let supports = |capability: &str| facts.is_some_and(|facts| facts.supports(capability));
    let denies = |capability: &str| facts.is_some_and(|facts| facts.denies(capability));
    let written = deployment.model_info.get("max_output_tokens").and_then(serde_json::Value::as_u64);
    EncodeOptions {
        drop_unsupported: false,
        allowed_params: deployment.allowed_openai_params.clone(),
        default_max_tokens: written
            .filter(|most| *most > 0)
            .or(facts.and_then(|facts| facts.max_output_tokens.or(facts.max_tokens))),
        native_structured_output: supports("native_structured_output"),
        reasoning_by_level: reasons_by_level(speech(deployment, model), facts, model),
        rejects_sampling: denies("sampling_params"),
        rejects_forced_tools: denies("forced_tool_use"),
        takes_prefill: supports("assistant_prefill") && knows_prefill(speech(deployment, model), deployment),
    }
}

/// Whether it is known how the provider is told to go on from a last turn of the assistant's: Anthropic's models do so
/// unasked (Messages API, "Prefill Claude's response"), Mistral and DeepSeek where the turn is marked (`prefix`: Mistral's
/// chat completion API, DeepSeek's "Chat Prefix Completion").
fn knows_prefill(speech: Speech, deployment: &Deployment) -> bool {
    match speech {
        Speech::Anthropic(_) | Speech::Bedrock | Speech::Compat(Flavor::Mistral) => true,
        Speech::OpenAi => deployment.provider.name == "deepseek",
        _ => false,
    }
}

/// Whether a model is told how much to reason by a level, rather than by a number of tokens.
fn reasons_by_level(speech: Speech, facts: Option<&Model>, model: &str) -> bool {
    match speech {
        // At Bedrock Claude alone is asked in either way.
        Speech::Anthropic(_) | Speech::Bedrock => {
            facts.is_some_and(|facts| facts.supports("adaptive_thinking"))
        }
        // Gemini takes levels from its third generation on (thinkingLevel, Gemini API reference).
        Speech::Gemini(_) => gemini_generation(model).is_some_and(|generation| generation >= 3),
        _ => true,
    }
}

/// How a deployment is spoken to.
fn speech(deployment: &Deployment, model: &str) -> Speech {
    match deployment.provider.wire {
        Wire::Anthropic => Speech::Anthropic(Host::Anthropic),
        Wire::Bedrock if deployment.model.contains("invoke/") => Speech::Anthropic(Host::BedrockInvoke),
        Wire::Bedrock => Speech::Bedrock,
        Wire::Cohere => Speech::Cohere,
        Wire::Ollama => Speech::Ollama,
        // LiteLLM tells the two kinds of containers apart by the provider's name.
        Wire::SageMaker if deployment.is_named("sagemaker_chat") => Speech::SageMaker(Container::Messages),
        Wire::SageMaker => Speech::SageMaker(Container::Text),
        Wire::Watsonx => Speech::Watsonx,
        Wire::Replicate => Speech::Replicate,
        Wire::Vertex if model.starts_with("claude") => Speech::Anthropic(Host::Vertex),
        Wire::Vertex if is_googles(model) => Speech::Gemini(gemini::Host::Vertex),
        Wire::Gemini => Speech::Gemini(gemini::Host::AiStudio),
        _ => Flavor::of_provider(deployment.provider.name).map_or(Speech::OpenAi, Speech::Compat),
    }
}

/// Where a request to watsonx runs.
fn place(deployment: &Deployment) -> Place {
    let text = |name: &str| deployment.cloud.get(name).map(str::to_owned);
    Place {
        version: deployment.api_version.clone().unwrap_or_default(),
        project_id: text("project_id"),
        space_id: text("space_id"),
    }
}

/// Models on Vertex AI that Google made itself; others have their maker before their name.
fn is_googles(model: &str) -> bool {
    !model.contains('/')
        && ["gemini", "text-embedding", "text-multilingual-embedding", "gemma", "learnlm"]
            .iter()
            .any(|family| model.starts_with(family))
}

/// Providers with OpenAI's Responses beside chat completions.
const HAVE_RESPONSES: [&str; 6] = ["azure", "hosted_vllm", "litellm_proxy", "openai", "openrouter", "xai"];

/// When a deployment is spoken to in Responses: models that have nothing else always (LiteLLM's mode or prefix says so).
fn responses_use(deployment: &Deployment, model: &str, facts: Option<&Model>) -> ResponsesUse {
    let mode = deployment.model_info.get("mode").and_then(serde_json::Value::as_str);
    let is_only = match mode {
        Some(mode) => mode == "responses",
        None => facts.is_some_and(|facts| facts.mode == Mode::Responses),
    };
    let speaks_openai = matches!(deployment.provider.wire, Wire::OpenAi | Wire::Azure);
    match () {
        () if !speaks_openai => ResponsesUse::Never,
        () if is_only || model.starts_with("responses/") => ResponsesUse::Always,
        () if deployment.use_chat_completions => ResponsesUse::Never,
        () if HAVE_RESPONSES.contains(&deployment.provider.name) => ResponsesUse::ForItsCallers,
        () => ResponsesUse::Never,
    }
}

fn gemini_generation(model: &str) -> Option<u32> {
    let rest = model.strip_prefix("gemini-")?;
    rest.split(['.', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_models_reason_by_tokens_wherever_they_run() {
        let check = |speech: Speech, (provider, model): (&str, &str), expect: bool| {
            let facts = tollgate_catalog::model(provider, model);
            assert_eq!(reasons_by_level(speech, facts.as_ref(), model), expect, "{provider} {model}");
        };
        let [anthropic, vertex] = [Host::Anthropic, Host::Vertex].map(Speech::Anthropic);
        check(anthropic, ("anthropic", "claude-sonnet-4-20250514"), false);
        check(anthropic, ("anthropic", "claude-opus-4-7"), true);
        check(vertex, ("vertex_ai", "claude-sonnet-4-5@20250929"), false);
        check(vertex, ("vertex_ai", "claude-opus-4-6"), true);
        check(Speech::Bedrock, ("bedrock", "anthropic.claude-sonnet-4-20250514-v1:0"), false);
        check(Speech::Bedrock, ("bedrock", "us.anthropic.claude-sonnet-4-6"), true);
        let [studio, cloud] = [gemini::Host::AiStudio, gemini::Host::Vertex].map(Speech::Gemini);
        check(studio, ("gemini", "gemini-2.5-pro"), false);
        check(cloud, ("vertex_ai", "gemini-2.5-pro"), false);
        check(cloud, ("vertex_ai", "gemini-3-pro-preview"), true);
        check(Speech::OpenAi, ("openai", "gpt-5"), true);
    }

    #[test]
    fn an_operators_longest_answer_goes_before_the_catalogues() {
        let check = |info: &str, expect: Option<u64>| {
            let entry = "{model_name: a, litellm_params: {model: openai/gpt-4o, api_key: k}";
            let text = format!("model_list:\n- {entry}, model_info: {{{info}}}}}\n");
            let config = tollgate_config::Config::from_yaml_text(&text, &|_| None).config.unwrap();
            let facts = tollgate_catalog::model("openai", "gpt-4o");
            let options = encode_options(&config.deployments[0], facts.as_ref(), "gpt-4o");
            assert_eq!(options.default_max_tokens, expect, "{info}");
        };
        check("", Some(16_384));
        check("max_output_tokens: 99", Some(99));
    }

    #[test]
    fn geminis_generation_is_in_its_name() {
        assert_eq!(gemini_generation("gemini-2.5-flash"), Some(2));
        assert_eq!(gemini_generation("gemini-3-flash-preview"), Some(3));
        assert_eq!(gemini_generation("gemini-flash-latest"), None);
    }
}
