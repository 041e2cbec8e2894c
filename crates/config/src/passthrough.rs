//! What passes through: the operator's own endpoints, and the accounts at providers for calls that name no deployment.
//!
//! Owns: `pass_through_endpoints`, `default_vertex_config`, `files_settings`, `finetune_settings`, and the accounts that
//! the environment's keys open. Leaves to others: a deployment's parameters (model), sending (server).
//!
//! **Invariant:** an endpoint's path begins with a slash, is there once per method, and its target is an address.
//! **Invariant:** an account of the environment that is broken is none: nobody asked for it.

use std::fmt;
use std::time::Duration;

use crate::environment::{Environment, PREFIX};
use crate::keys::{self, passthrough};
use crate::model::{self, Deployment, SourcePlace};
use crate::report::{Collector, printable};
use crate::secret::Secret;
use crate::section::{Section, entries_of, items_of};
use crate::yaml::{Data, Entry, Node, Place, Scalar};

/// LiteLLM's time until a reply begins, for requests that pass through.
pub const PASS_THROUGH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

/// Methods that pass through.
pub const PASSING_METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Providers whose own API is reachable below a path of the gateway, and the variables of which one must be set for an
/// account that is in no file. Where there are none, the provider's key variables are meant.
const PROVIDERS: [(&str, &[&str]); 9] = [
    ("openai", &[]),
    ("anthropic", &[]),
    ("gemini", &[]),
    ("cohere", &[]),
    ("mistral", &[]),
    ("azure", &["AZURE_API_BASE"]),
    ("hosted_vllm", &["HOSTED_VLLM_API_BASE", "VLLM_API_BASE"]),
    ("vertex_ai", &["DEFAULT_VERTEXAI_PROJECT", "DEFAULT_GOOGLE_APPLICATION_CREDENTIALS"]),
    (
        "bedrock",
        &[
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_ROLE_ARN",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ],
    ),
];

/// Names in `default_vertex_config` and the variables that stand in for them.
const VERTEX_VARIABLES: [(&str, &str); 3] = [
    ("vertex_project", "DEFAULT_VERTEXAI_PROJECT"),
    ("vertex_location", "DEFAULT_VERTEXAI_LOCATION"),
    ("vertex_credentials", "DEFAULT_GOOGLE_APPLICATION_CREDENTIALS"),
];

/// An endpoint of the operator's own. Printing it shows no secret.
#[derive(Clone)]
pub struct PassThroughEndpoint {
    /// The path at this gateway.
    pub path: String,
    /// Where requests go.
    pub target: String,
    /// Whether the caller's headers go along.
    pub forward_headers: bool,
    /// Whether paths below `path` are served too.
    pub include_subpath: bool,
    /// Of [`PASSING_METHODS`].
    pub methods: Vec<String>,
    /// Query parameters to send where the caller sends none of their names.
    pub default_query: Vec<(String, Secret)>,
    /// Whether callers need a key.
    pub needs_key: bool,
    /// Where it is written.
    pub place: SourcePlace,
    /// What is behind it, without a model: its address, its headers (names in lower case), time and price per request.
    pub account: Deployment,
}

impl fmt::Debug for PassThroughEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassThroughEndpoint")
            .field("path", &self.path)
            .field("target", &crate::address::without_query(&self.target))
            .field("methods", &self.methods)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What passes through.
#[derive(Clone, Debug, Default)]
pub struct PassThrough {
    /// The operator's endpoints in the order of the file.
    pub endpoints: Vec<PassThroughEndpoint>,
    /// Accounts that are written (`default_vertex_config`); they go before those of the environment.
    pub written: Vec<Deployment>,
    /// Accounts whose keys are in the environment.
    pub from_environment: Vec<Deployment>,
    /// `files_settings`: accounts for files, batches and vector stores.
    pub files: Vec<Deployment>,
    /// `finetune_settings`: accounts for fine-tuning jobs.
    pub finetune: Vec<Deployment>,
    /// Time until a reply begins, where nothing else says so.
    pub timeout: Option<Duration>,
}

impl PassThrough {
    /// Every account that is written.
    pub fn written_accounts(&self) -> impl Iterator<Item = &Deployment> {
        self.written.iter().chain(&self.files).chain(&self.finetune)
    }

    /// Every account, those behind the endpoints included.
    pub fn accounts(&self) -> impl Iterator<Item = &Deployment> {
        let own = self.endpoints.iter().map(|endpoint| &endpoint.account);
        self.written_accounts().chain(&self.from_environment).chain(own)
    }
}

/// Reads all of it.
pub(crate) fn resolve(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> PassThrough {
    let general = Section::new(root.get("general_settings"), keys::general::TABLE, "general_settings");
    let path = general.path_of("pass_through_endpoints");
    let mut endpoints: Vec<PassThroughEndpoint> = Vec::new();
    for (index, node) in general.items("pass_through_endpoints").iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(endpoint) = endpoint(node, &path, environment, found) else { continue };
        if let Some(first) = endpoints.iter().find(|first| collide(first, &endpoint)) {
            let message = format!("is served already by the endpoint of line {}", first.place.line);
            found.error(node.place, &format!("{path}.path"), message);
        }
        endpoints.push(endpoint);
    }
    PassThrough {
        endpoints,
        written: vertex(root, environment, found),
        from_environment: PROVIDERS.iter().filter_map(|row| of_environment(row, environment)).collect(),
        files: accounts(root, "files_settings", environment, found),
        finetune: accounts(root, "finetune_settings", environment, found),
        timeout: general.seconds("pass_through_request_timeout"),
    }
}

fn collide(one: &PassThroughEndpoint, other: &PassThroughEndpoint) -> bool {
    one.path == other.path && one.methods.iter().any(|method| other.methods.contains(method))
}

fn endpoint(
    node: &Node,
    path: &str,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Option<PassThroughEndpoint> {
    let section = Section::new(Some(node), passthrough::ENDPOINT, path);
    let own = model::required(&section, "path", node.place, found);
    let target = model::required(&section, "target", node.place, found);
    let (own, target) = (own?, target?);
    let place = section.place("path").unwrap_or(node.place);
    if let Some(why) = why_no_path(&own) {
        found.error(place, &section.path_of("path"), why);
    }
    let headers_path = section.path_of("headers");
    let headers: Vec<Entry> = section
        .entries("headers")
        .iter()
        .map(|entry| filled(entry, &headers_path, environment, found))
        .collect();
    let needs_key = section.flag("auth").unwrap_or(true);
    if !needs_key {
        let place = section.place("auth").unwrap_or(node.place);
        found.warning(place, &section.path_of("auth"), "anyone may call it, without a key");
    }
    let _ = section.flag("merge_query_params");
    let mut account = own_account(&section, environment)?;
    account.extra_headers = crate::headers::headers(&headers, &headers_path, &["content-type"], found);
    let query = section.entries("default_query_params").iter();
    Some(PassThroughEndpoint {
        forward_headers: section.flag("forward_headers").unwrap_or(false),
        include_subpath: section.flag("include_subpath").unwrap_or(false),
        methods: methods(&section, found),
        default_query: query
            .filter_map(|entry| Some((entry.key.to_string(), Secret::new(entry.value.text()?))))
            .collect(),
        needs_key,
        place: SourcePlace { file: found.file(node.place), line: node.place.line, column: node.place.column },
        path: own.trim_end_matches('/').to_owned(),
        target,
        account,
    })
}

/// What is behind an endpoint of the operator's own, as a deployment without key or model.
fn own_account(section: &Section<'_>, environment: &Environment<'_>) -> Option<Deployment> {
    const ROWS: [(&str, &str); 3] =
        [("target", "api_base"), ("cost_per_request", "input_cost_per_request"), ("timeout", "timeout")];
    let entries = ROWS.iter().filter_map(|(own, name)| {
        let value = section.node(own)?.clone();
        Some(Entry { key: (*name).into(), place: value.place, value })
    });
    let place = section.place("target")?;
    let params = Node { place, data: Data::Map(entries.collect()) };
    // What is wrong with these values has been said when the section was checked.
    let mut unheard = Collector::default();
    let account = model::account("custom_openai", (Some(&params), ""), place, environment, &mut unheard)?;
    // No key that is meant for a provider goes to an address of the operator's own.
    Some(Deployment { api_key: None, azure: None, organization: None, ..account })
}

/// Why a path cannot be one of the gateway's.
fn why_no_path(path: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#{}*\\%".contains(&byte);
    match () {
        () if !path.starts_with('/') => Some("must begin with a slash"),
        () if path.trim_end_matches('/').is_empty() => Some("is the gateway's own page"),
        () if !path.bytes().all(is_plain) => Some("has a character that such a path has not"),
        () if path.split('/').any(|segment| matches!(segment, "." | "..")) => Some("has a segment of dots"),
        () => None,
    }
}

fn methods(section: &Section<'_>, found: &mut Collector) -> Vec<String> {
    let mut methods = Vec::new();
    for item in section.node("methods").map(items_of).unwrap_or_default() {
        let Some(text) = item.text() else { continue };
        let name = text.to_ascii_uppercase();
        if PASSING_METHODS.contains(&name.as_str()) {
            methods.push(name);
        } else {
            let message = format!("wants methods out of {}", PASSING_METHODS.join(", "));
            found.error(item.place, &section.path_of("methods"), message);
        }
    }
    if methods.is_empty() { PASSING_METHODS.map(str::to_owned).to_vec() } else { methods }
}

/// A header with the variable at its value's end filled in (`Bearer os.environ/NAME`).
fn filled(entry: &Entry, path: &str, environment: &Environment<'_>, found: &mut Collector) -> Entry {
    let written = entry.value.text().and_then(|text| text.split_once(PREFIX));
    let Some((before, name)) = written else { return entry.clone() };
    let data = match environment.get(name) {
        Some(value) => {
            let text = format!("{before}{value}").into();
            Data::Scalar(Scalar { text, is_plain: false, is_from_environment: true })
        }
        None => {
            let path = format!("{path}.{}", printable(&entry.key));
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let name = if is_name { name } else { "behind os.environ/" };
            found.error(entry.value.place, &path, format!("the environment variable {name} is not set"));
            Data::Unset
        }
    };
    Entry { value: Node { place: entry.value.place, data }, ..entry.clone() }
}

/// `default_vertex_config`, at the top or in `litellm_settings`.
fn vertex(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> Vec<Deployment> {
    let top = Section::new(Some(root), keys::top::TABLE, "");
    let litellm = Section::new(root.get("litellm_settings"), keys::litellm::TABLE, "litellm_settings");
    let mut all = Vec::new();
    for section in [&top, &litellm] {
        let Some(node) = section.node("default_vertex_config") else { continue };
        let path = section.path_of("default_vertex_config");
        let section = Section::new(Some(node), passthrough::VERTEX, &path);
        let params = vertex_params(node.place, environment, |name| section.node(name).cloned());
        all.extend(model::account("vertex_ai", (Some(&params), &path), node.place, environment, found));
    }
    all
}

/// Vertex AI's parameters as they are written, or from the variables that stand in for them.
fn vertex_params(
    place: Place,
    environment: &Environment<'_>,
    written: impl Fn(&'static str) -> Option<Node>,
) -> Node {
    let entries = VERTEX_VARIABLES.iter().filter_map(|(name, variable)| {
        let value = written(name).or_else(|| Some(scalar(environment.first_of(&[variable])?, place)))?;
        Some(Entry { key: (*name).into(), place, value })
    });
    Node { place, data: Data::Map(entries.collect()) }
}

fn scalar(text: String, place: Place) -> Node {
    Node {
        place,
        data: Data::Scalar(Scalar { text: text.into(), is_plain: false, is_from_environment: true }),
    }
}

/// The account that a provider's variables open, if they are set and good.
fn of_environment((name, variables): &(&str, &[&str]), environment: &Environment<'_>) -> Option<Deployment> {
    let provider = tollgate_catalog::provider(name)?;
    let wanted = if variables.is_empty() { provider.key_env } else { variables };
    environment.first_of(wanted)?;
    let mut unheard = Collector::default();
    let place = Place { file: 0, line: 0, column: 0 };
    let empty = Node { place, data: Data::Map([].into()) };
    let params = if *name == "vertex_ai" { vertex_params(place, environment, |_| None) } else { empty };
    let account = model::account(name, (Some(&params), ""), place, environment, &mut unheard);
    account.filter(|_| !unheard.has_errors())
}

/// `files_settings` or `finetune_settings`.
fn accounts(
    root: &Node,
    name: &'static str,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Vec<Deployment> {
    let top = Section::new(Some(root), keys::top::TABLE, "");
    let mut all = Vec::new();
    for (index, node) in top.items(name).iter().enumerate() {
        let path = format!("{name}[{index}]");
        let section = Section::new(Some(node), passthrough::ACCOUNT, &path);
        let provider = model::required(&section, "custom_llm_provider", node.place, found);
        let Some(provider) = provider else { continue };
        let names = ["api_key", "api_base", "api_version", "organization"];
        let entries = entries_of(node).iter().filter(|entry| names.contains(&&*entry.key)).cloned();
        for name in names {
            let _ = section.node(name);
        }
        let params = Node { place: node.place, data: Data::Map(entries.collect()) };
        all.extend(model::account(&provider, (Some(&params), &path), node.place, environment, found));
    }
    all
}
