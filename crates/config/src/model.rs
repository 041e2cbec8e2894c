//! One entry of `model_list`: from what was written to a deployment that can be called.
//!
//! Owns: `litellm_params` and `model_info` together, what the environment adds, and what is missing. Leaves to others:
//! the provider of a name (providers), how a deployment is known across reloads (identity).
//!
//! **Invariant:** a deployment has a provider, and an address wherever its provider has none of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use tollgate_catalog::{Provider, Wire};

use crate::budgets::{BudgetLimit, KeyRates};
use crate::classes::AllowedFailsPolicy;
use crate::cloud::CloudParams;
use crate::environment::Environment;
use crate::fault::Fault;
use crate::headers::headers;
use crate::identity;
use crate::keys::{self, Kind, model};
use crate::made::{Incomplete, group_of_team};
use crate::providers::{self, Resolved};
use crate::report::Collector;
use crate::scalar::{to_json, to_json_map};
use crate::secret::Secret;
use crate::section::Section;
use crate::settings::OnUnsupported;
use crate::written::{params_written, typed};
use crate::yaml::{Data, Node, Place};

/// Where something was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePlace {
    /// The file as it was named.
    pub file: PathBuf,
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
}

impl SourcePlace {
    fn of(place: Place, found: &Collector) -> Self {
        Self { file: found.file(place), line: place.line, column: place.column }
    }
}

/// How Azure's Entra ID is asked for a token, in place of an `api_key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzureAuth {
    /// A token that is ready to be used.
    pub ad_token: Option<Secret>,
    /// Tenant of a service principal; present exactly if the client and its secret are.
    pub tenant_id: Option<String>,
    /// Client of a service principal.
    pub client_id: Option<String>,
    /// Secret of a service principal.
    pub client_secret: Option<Secret>,
    /// The scope to ask for, where it is not Azure's usual one.
    pub scope: Option<String>,
    /// Where tokens are given out (`AZURE_AUTHORITY_HOST`), where it is not Microsoft's public cloud.
    pub authority: Option<String>,
}

/// Bytes of a compiled regular expression at most.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// The parts of a service principal.
const PRINCIPAL: [&str; 3] = ["tenant_id", "client_id", "client_secret"];

impl AzureAuth {
    /// The parts of a service principal that are not there.
    fn missing(&self) -> Vec<&'static str> {
        let is_there = [self.tenant_id.is_some(), self.client_id.is_some(), self.client_secret.is_some()];
        PRINCIPAL.into_iter().zip(is_there).filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect()
    }
}

/// How a deployment is asked whether it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// Whether background checks leave it out.
    pub is_left_out: bool,
    /// Time for a check.
    pub timeout: Option<Duration>,
    /// The model to ask for, where the deployment's own is a pattern.
    pub model: Option<String>,
}

/// One upstream endpoint with its key. Printing it shows no secret.
#[derive(Clone)]
pub struct Deployment {
    /// The model group: what callers ask for. May be a pattern such as `openai/*` or `*`.
    pub model_name: String,
    /// `model_info.id`, else 64 hexadecimal digits that depend on the group and the parameters alone.
    pub id: String,
    /// Who serves it.
    pub provider: &'static Provider,
    /// The provider's name of the model, `*` where the caller's is used.
    pub model: String,
    /// The provider's key, as written or from the provider's key variables.
    pub api_key: Option<Secret>,
    /// Where the provider is, as written or from the provider's address variables; `None` for its public address.
    pub api_base: Option<String>,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
    /// OpenAI's organization.
    pub organization: Option<String>,
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// Share of the group's requests.
    pub weight: Option<f64>,
    /// Lower is tried first.
    pub order: Option<i64>,
    /// Time for a whole reply.
    pub timeout: Option<Duration>,
    /// Time to the first part of a stream.
    pub stream_timeout: Option<Duration>,
    /// `num_retries`, else `max_retries`.
    pub num_retries: Option<u32>,
    /// Requests in flight at one time, from here or `router_settings.default_max_parallel_requests`.
    pub max_parallel_requests: Option<u32>,
    /// What it may cost; then it gets no requests.
    pub budget: Option<BudgetLimit>,
    /// What keys may do with its group that say nothing of it.
    pub key_rates: KeyRates,
    /// Access groups that it is in: names that a key's list of models may have in place of the model's own.
    pub access_groups: Vec<String>,
    /// Tags that callers choose by.
    pub tags: Vec<String>,
    /// Regular expressions over the caller's headers; every one compiles.
    pub tag_regex: Vec<String>,
    /// Whether it is chosen by tags; `None` for `router_settings.enable_tag_filtering`.
    pub enable_tag_filtering: Option<bool>,
    /// Where it is.
    pub region_name: Option<String>,
    /// Where it keeps what it is sent.
    pub data_residency: Option<String>,
    /// It keeps nothing of what it is sent.
    pub zero_data_retention: bool,
    /// How good its answers are, 0 to 1.
    pub quality: Option<f64>,
    /// How it fails on purpose.
    pub fault: Option<Fault>,
    /// How long a first cooldown lasts; `None` for the router's.
    pub cooldown_time: Option<Duration>,
    /// Failures before a cooldown; `None` for the router's.
    pub allowed_fails: Option<u32>,
    /// The same by kind of error; `None` for the router's.
    pub allowed_fails_policy: Option<AllowedFailsPolicy>,
    /// It gets no requests at all.
    pub is_blocked: bool,
    /// How it is asked whether it answers.
    pub health_check: HealthCheck,
    /// Headers to add, names in lower case.
    pub extra_headers: Vec<(String, Secret)>,
    /// Request parameters to add where the caller gave none.
    pub default_params: Map<String, Value>,
    /// Fields to add to the upstream body.
    pub extra_body: Map<String, Value>,
    /// Whether parameters that the provider does not take are left out; `None` for `litellm_settings.drop_params`.
    pub drop_params: Option<bool>,
    /// OpenAI's parameters that are sent whatever is known of the provider.
    pub allowed_openai_params: Vec<String>,
    /// What is done with a parameter that the provider cannot express; `None` for the settings'.
    pub on_unsupported_param: Option<OnUnsupported>,
    /// Requests to `/v1/responses` go to the provider's chat completions.
    pub use_chat_completions: bool,
    /// Its key serves requests that pass through to its provider.
    pub use_in_pass_through: bool,
    /// What its cloud needs.
    pub cloud: CloudParams,
    /// Parameters that are never sent.
    pub additional_drop_params: Vec<String>,
    /// Prices in place of the catalogue's: name and decimal or JSON text. `litellm_params` wins over `model_info`.
    pub prices: Vec<(String, String)>,
    /// The catalogue's name of the model.
    pub base_model: Option<String>,
    /// `model_info` as written.
    pub model_info: Map<String, Value>,
    /// How Entra ID is asked for a token.
    pub azure: Option<AzureAuth>,
    /// `mock_response` as written.
    pub mock_response: Option<Value>,
    /// `litellm_params` as written, every secret masked, for `/model/info`.
    pub params_written: Map<String, Value>,
    /// The team that alone may see and use it (`model_info.team_id`), and what the team calls it.
    pub team: Option<(String, String)>,
    /// It was made over the admin API.
    pub is_made: bool,
    /// It may go to public addresses alone.
    pub is_guarded: bool,
    /// What it was read from, where it refers to a credential.
    pub incomplete: Option<Incomplete>,
    /// Where the entry begins.
    pub place: SourcePlace,
    pub(crate) fingerprint: [u8; 32],
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment")
            .field("model_name", &self.model_name)
            .field("id", &self.id)
            .field("provider", &self.provider.name)
            .field("model", &self.model)
            .field("api_base", &self.api_base.as_deref().map(crate::address::without_query))
            .field("params_written", &self.params_written)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Deployment {
    /// What callers ask for: a team's deployments have another name among all groups.
    pub fn public_name(&self) -> &str {
        self.team.as_ref().map_or(&self.model_name, |(_, name)| name)
    }

    /// Whether the configuration names the provider so (`sagemaker_chat/...`), where one provider has several names.
    pub fn is_named(&self, name: &str) -> bool {
        let text = |member: &str| self.params_written.get(member).and_then(Value::as_str);
        text("custom_llm_provider") == Some(name)
            || text("model").and_then(|model| model.split_once('/')).is_some_and(|(prefix, _)| prefix == name)
    }
}

/// Reads `model_list[index]`. `None` if there is an error or if its provider is not active yet; `found` says which.
pub(crate) fn resolve(
    node: &Node,
    index: usize,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Option<Deployment> {
    let path = format!("model_list[{index}]");
    let entry = Section::new(Some(node), model::ENTRY, &path);
    let params = entry.section("litellm_params", model::PARAMS);
    let info = entry.section("model_info", model::INFO);
    let model_name = required(&entry, "model_name", node.place, found);
    let written = required(&params, "model", params_place(&entry, node), found);
    let (model_name, written) = (model_name?, written?);
    let place = params.place("model").unwrap_or(node.place);
    let custom = params.text("custom_llm_provider");
    let Resolved { provider, model } =
        providers::resolve(&written, custom.as_deref(), place, &params.path_of("model"), found)?;
    let reading = Reading { params: &params, info: &info, provider, environment, place };
    let params_node = entry.node("litellm_params");
    let mut deployment = reading.deployment((model_name, model), (node, params_node), found);
    deployment.model_info = reading.model_info(&entry);
    reading.name_teams(&mut deployment);
    if let Some(credential) = params.text("litellm_credential_name").filter(|name| !name.is_empty()) {
        let map = |name| entry.node(name).map(to_json_map).unwrap_or_default();
        let (params, info) = (map("litellm_params"), map("model_info"));
        deployment.incomplete = Some(Incomplete { credential, params, info });
    }
    Some(deployment)
}

/// An account at a provider, as `litellm_params` without a model would describe it: the parameters and their path.
pub(crate) fn account(
    provider: &str,
    (params_node, path): (Option<&Node>, &str),
    place: Place,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Option<Deployment> {
    let params = Section::new(params_node, model::PARAMS, path);
    let info = Section::new(None, model::INFO, path);
    let written = format!("{provider}/*");
    let Resolved { provider, model } =
        providers::resolve(&written, None, place, &params.path_of("custom_llm_provider"), found)?;
    let reading = Reading { params: &params, info: &info, provider, environment, place };
    let unwritten = Node { place, data: Data::Unset };
    let node = params_node.unwrap_or(&unwritten);
    Some(reading.deployment((provider.name.to_owned(), model), (node, params_node), found))
}

/// The text of `name`, which must be there.
pub(crate) fn required(
    section: &Section<'_>,
    name: &'static str,
    place: Place,
    found: &mut Collector,
) -> Option<String> {
    let text = section.text(name).filter(|text| !text.trim().is_empty());
    let has_wrong_type = section.node(name).is_some_and(|node| node.text().is_none());
    if text.is_none() && !has_wrong_type && !section.is_unset(name) {
        found.error(section.place(name).unwrap_or(place), &section.path_of(name), "is required");
    }
    text
}

fn params_place(entry: &Section<'_>, node: &Node) -> Place {
    entry.place("litellm_params").unwrap_or(node.place)
}

/// What a deployment is read from.
struct Reading<'a> {
    params: &'a Section<'a>,
    info: &'a Section<'a>,
    provider: &'static Provider,
    environment: &'a Environment<'a>,
    /// Of the model's name.
    place: Place,
}

impl Reading<'_> {
    /// Puts the deployment together: its names, the node that it is and the one of its parameters.
    fn deployment(
        &self,
        (model_name, model): (String, String),
        (node, params_node): (&Node, Option<&Node>),
        found: &mut Collector,
    ) -> Deployment {
        let provider = self.provider;
        let is_openai = provider.name == "openai";
        let (api_key, azure) = self.credentials(found);
        let api_base = self.api_base(found);
        let id = self.info.text("id").filter(|id| !id.is_empty());
        Deployment {
            id: id.unwrap_or_else(|| identity::id(&model_name, params_node)),
            fingerprint: identity::fingerprint(node, api_key.as_ref(), api_base.as_deref()),
            model_name,
            provider,
            model,
            api_key,
            api_base,
            azure,
            api_version: self.text_or_env("api_version", provider.name == "azure", &["AZURE_API_VERSION"]),
            organization: self.text_or_env("organization", is_openai, &["OPENAI_ORGANIZATION"]),
            rpm: self.params.count("rpm"),
            tpm: self.params.count("tpm"),
            weight: self.params.number("weight"),
            order: self.params.integer("order"),
            timeout: self.params.seconds("timeout"),
            stream_timeout: self.params.seconds("stream_timeout"),
            num_retries: self.params.count32("num_retries").or(self.params.count32("max_retries")),
            max_parallel_requests: self.params.count32("max_parallel_requests"),
            budget: BudgetLimit::of_deployment(self.params, found),
            key_rates: KeyRates::of_deployment(self.params),
            access_groups: self.info.texts("access_groups"),
            tags: self.params.texts("tags"),
            tag_regex: self.tag_regex(found),
            enable_tag_filtering: self.info.flag("enable_tag_filtering"),
            region_name: self.params.text("region_name").filter(|text| !text.is_empty()),
            data_residency: self.params.text("data_residency").filter(|text| !text.is_empty()),
            zero_data_retention: self.params.flag("zero_data_retention").unwrap_or(false),
            quality: self.params.share("tollgate_quality"),
            fault: self.fault(found),
            cooldown_time: self.params.seconds("cooldown_time").or(self.info.seconds("cooldown_time")),
            allowed_fails: self.info.count32("allowed_fails"),
            allowed_fails_policy: self.info.node("allowed_fails_policy").map(AllowedFailsPolicy::read),
            is_blocked: [self.params, self.info].iter().any(|section| section.flag("blocked") == Some(true)),
            health_check: self.health_check(),
            extra_headers: self.extra_headers(found),
            default_params: self.default_params(),
            extra_body: self.params.node("extra_body").map(to_json_map).unwrap_or_default(),
            drop_params: self.params.flag("drop_params"),
            allowed_openai_params: self.params.texts("allowed_openai_params"),
            on_unsupported_param: self.on_unsupported_param(),
            use_chat_completions: self.params.flag("use_chat_completions_api").unwrap_or(false),
            use_in_pass_through: self.params.flag("use_in_pass_through").unwrap_or(false),
            cloud: CloudParams::read(self.params, provider, self.environment),
            additional_drop_params: self.params.texts("additional_drop_params"),
            prices: self.prices(found),
            base_model: self.info.text("base_model"),
            model_info: Map::new(),
            mock_response: self.params.node("mock_response").map(to_json),
            params_written: params_node.map(params_written).unwrap_or_default(),
            team: None,
            is_made: false,
            is_guarded: false,
            incomplete: None,
            place: SourcePlace::of(node.place, found),
        }
    }

    /// Sets a team's deployment apart from all others. LiteLLM's rows have the public name beside one of their own.
    fn name_teams(&self, deployment: &mut Deployment) {
        let Some(team) = self.info.text("team_id").filter(|id| !id.is_empty()) else { return };
        let public = self.info.text("team_public_model_name").filter(|name| !name.is_empty());
        let public = public.unwrap_or_else(|| deployment.model_name.clone());
        deployment.model_name = group_of_team(&team, &public);
        // Requests that pass through name no model, and so no team's.
        deployment.use_in_pass_through = false;
        deployment.team = Some((team, public));
    }

    /// Whether a credential that is yet to come says what is missing here.
    fn awaits_credential(&self) -> bool {
        self.params.text("litellm_credential_name").is_some_and(|name| !name.is_empty())
    }

    fn text_or_env(&self, name: &'static str, has_variable: bool, variables: &[&str]) -> Option<String> {
        let written = self.params.text(name).filter(|text| !text.is_empty());
        written.or_else(|| has_variable.then(|| self.environment.first_of(variables)).flatten())
    }

    /// What is written comes before the environment, and there a key before a service principal.
    fn credentials(&self, found: &mut Collector) -> (Option<Secret>, Option<AzureAuth>) {
        let path = self.params.path_of("api_key");
        let key = self.params.secret("api_key").filter(|key| !key.expose().trim().is_empty());
        let azure = self.azure_written(found);
        if key.is_some() || azure.is_some() {
            return (key, azure);
        }
        if let Some(place) = self.params.place("api_key") {
            // The type of anything but a text has been refused already.
            if self.params.text("api_key").is_some() {
                found.warning(place, &path, "is empty");
            }
            return (None, None);
        }
        if let Some(key) = self.environment.first_of(self.provider.key_env) {
            if key.chars().any(char::is_control) {
                let names = self.provider.key_env.join(" or ");
                found.error(self.place, &path, format!("the variable {names} holds a control character"));
            }
            return (Some(Secret::new(key)), None);
        }
        let azure = self.azure_of_environment();
        if azure.is_none()
            && !self.params.is_unset("api_key")
            && !self.awaits_credential()
            && !providers::works_without_key(self.provider)
        {
            let message = match self.provider.key_env {
                [] => "no api_key".to_owned(),
                names => format!("no api_key, and {} is not set", names.join(" nor ")),
            };
            found.warning(self.place, &path, message);
        }
        (None, azure)
    }

    fn api_base(&self, found: &mut Collector) -> Option<String> {
        let (written, other) = (self.params.text("api_base"), self.params.text("base_url"));
        if written.is_some() && other.is_some() {
            let place = self.params.place("base_url").unwrap_or(self.place);
            found.warning(place, &self.params.path_of("base_url"), "has no effect: api_base is written too");
        }
        let written = written.or(other);
        if let Some(base) = written.filter(|base| !base.is_empty()) {
            return Some(base);
        }
        let path = self.params.path_of("api_base");
        let variables = self.provider.base_env;
        let base = self.environment.first_of(variables);
        if let Some(why) = base.as_deref().and_then(crate::address::why_not) {
            let names = variables.join(" or ");
            found.error(self.place, &path, format!("the variable {names} is no http(s) address: {why}"));
        }
        // A cloud's address follows from the region or location.
        let is_regional = matches!(self.provider.wire, Wire::Vertex | Wire::Bedrock | Wire::SageMaker);
        let is_missing =
            base.is_none() && self.provider.base_url.is_none() && !is_regional && !self.awaits_credential();
        if is_missing && !self.params.is_unset("api_base") && !self.params.is_unset("base_url") {
            let variables = match variables {
                [] => String::new(),
                names => format!(", or the variable {}", names.join(" or ")),
            };
            let message = format!("{} needs an api_base{variables}", self.provider.name);
            found.error(self.place, &path, message);
        }
        base
    }

    fn azure_written(&self, found: &mut Collector) -> Option<AzureAuth> {
        let params = self.params;
        let text = |name: &'static str| params.text(name).filter(|text| !text.is_empty());
        // A principal that is written in part takes the rest from the environment.
        let is_written = PRINCIPAL.iter().any(|name| params.place(name).is_some());
        let part = |name: &'static str, variable: &str| {
            text(name).or_else(|| is_written.then(|| self.environment.first_of(&[variable])).flatten())
        };
        let auth = AzureAuth {
            ad_token: text("azure_ad_token").map(Secret::new),
            tenant_id: part("tenant_id", "AZURE_TENANT_ID"),
            client_id: part("client_id", "AZURE_CLIENT_ID"),
            client_secret: part("client_secret", "AZURE_CLIENT_SECRET").map(Secret::new),
            scope: text("azure_scope"),
            authority: self.environment.first_of(&["AZURE_AUTHORITY_HOST"]),
        };
        let missing = auth.missing();
        if (1..PRINCIPAL.len()).contains(&missing.len()) && !missing.iter().any(|name| params.is_unset(name))
        {
            let message = format!("a service principal needs {} too", missing.join(" and "));
            found.error(self.place, &params.path_of("tenant_id"), message);
        }
        let is_usable = missing.is_empty() || auth.ad_token.is_some();
        is_usable.then_some(auth)
    }

    fn azure_of_environment(&self) -> Option<AzureAuth> {
        if self.provider.wire != tollgate_catalog::Wire::Azure {
            return None;
        }
        let variable = |name: &str| self.environment.first_of(&[name]);
        let principal = AzureAuth {
            ad_token: None,
            tenant_id: variable("AZURE_TENANT_ID"),
            client_id: variable("AZURE_CLIENT_ID"),
            client_secret: variable("AZURE_CLIENT_SECRET").map(Secret::new),
            scope: self.params.text("azure_scope"),
            authority: variable("AZURE_AUTHORITY_HOST"),
        };
        let scope = principal.scope.clone();
        if let Some(token) = variable("AZURE_AD_TOKEN") {
            return Some(AzureAuth { ad_token: Some(Secret::new(token)), scope, ..AzureAuth::default() });
        }
        principal.missing().is_empty().then_some(principal)
    }

    fn extra_headers(&self, found: &mut Collector) -> Vec<(String, Secret)> {
        headers(self.params.entries("extra_headers"), &self.params.path_of("extra_headers"), &[], found)
    }

    fn on_unsupported_param(&self) -> Option<OnUnsupported> {
        let word = self.params.text("tollgate_on_unsupported_param")?;
        OnUnsupported::named(&word)
    }

    fn tag_regex(&self, found: &mut Collector) -> Vec<String> {
        for item in self.params.items("tag_regex") {
            let is_wrong = |text| regex::RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().is_err();
            if item.text().is_some_and(is_wrong) {
                let message = "is no regular expression (look-around and back-references are not known)";
                found.error(item.place, &self.params.path_of("tag_regex"), message);
            }
        }
        self.params.texts("tag_regex")
    }

    fn fault(&self, found: &mut Collector) -> Option<Fault> {
        let node = self.params.node("tollgate_fault")?;
        Fault::read(&self.params.section("tollgate_fault", model::FAULT), node.place, found)
    }

    fn health_check(&self) -> HealthCheck {
        HealthCheck {
            is_left_out: self.info.flag("disable_background_health_check").unwrap_or(false),
            timeout: self.info.seconds("health_check_timeout"),
            model: self.info.text("health_check_model").filter(|text| !text.is_empty()),
        }
    }

    fn default_params(&self) -> Map<String, Value> {
        let defaults =
            self.params.written().iter().filter(|entry| !entry.value.is_null()).filter_map(|entry| {
                let key = model::DEFAULTS.iter().find(|key| key.name == &*entry.key)?;
                Some((key.name.to_owned(), typed(&entry.value, key.kind)))
            });
        defaults.collect()
    }

    /// Sorted by name.
    fn prices(&self, found: &mut Collector) -> Vec<(String, String)> {
        let mut prices = BTreeMap::new();
        for section in [self.info, self.params] {
            for entry in section.written() {
                let Some(key) = keys::prices::billed(&entry.key) else { continue };
                let text = match key.kind {
                    Kind::Price => entry.value.price(),
                    _ if entry.value.is_null() => None,
                    _ => Some(to_json(&entry.value).to_string()),
                };
                let Some(text) = text else { continue };
                if !providers::is_price(key.name, &text) {
                    found.error(
                        entry.value.place,
                        &section.path_of(key.name),
                        "is no price that can be billed by",
                    );
                }
                prices.insert(key.name.to_owned(), text);
            }
        }
        prices.into_iter().collect()
    }

    /// The map as written; facts that have a type keep it, whatever the spelling.
    fn model_info(&self, entry: &Section<'_>) -> Map<String, Value> {
        let mut map = entry.node("model_info").map(to_json_map).unwrap_or_default();
        for name in ["max_tokens", "max_input_tokens", "max_output_tokens"] {
            if let Some(count) = self.info.count(name) {
                map.insert(name.to_owned(), count.into());
            }
        }
        map.extend(self.info.text("mode").map(|mode| ("mode".to_owned(), mode.into())));
        map
    }
}
