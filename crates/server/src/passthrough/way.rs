//! Which account a request that passes goes to, and where there: the deployment that its model names, else the account
//! that is meant for the path.
//!
//! Owns the choice among accounts and each provider's addresses. Leaves the resources of OpenAI's form to `platform`.
//! **Invariant:** a request reaches only an account of the provider that its path names, and on Vertex AI only a project
//! that the configuration or its credentials name.

use super::accounts::{Account, Own};
use super::request::Sent;
use super::{Asking, address};
use crate::error::Rejection;
use crate::percent;
use crate::routes::Passage;
use crate::snapshot::Snapshot;
use crate::target::Target;
use std::sync::Arc;
use std::time::Duration;
use tollgate_policy::shuffle::{self, Share};
use tollgate_upstream::{Endpoint, Trust};

/// Paths of Bedrock's agents, which have a host of their own.
const AGENT_PATHS: [&str; 7] = [
    "/agents/",
    "/knowledgebases/",
    "/flows/",
    "/retrieveAndGenerate",
    "/rerank",
    "/generateQuery",
    "/optimize-prompt",
];

/// Where a request goes.
pub(super) struct Way {
    /// Whose headers, prices and metrics.
    pub(super) target: Arc<Target>,
    /// Below which address.
    pub(super) endpoint: Endpoint,
    /// Path and query there.
    pub(super) path: String,
    /// The model that it was found by, as the caller named it.
    pub(super) named: Option<String>,
    /// The model's name in the body, where it is another than the caller's.
    pub(super) model: Option<String>,
    /// Members and fields of the body that are the gateway's.
    pub(super) remove: &'static [&'static str],
    /// What the reply says of tokens is to be billed.
    pub(super) bills: bool,
    /// Every header of the caller's goes along, but for keys.
    pub(super) all_headers: bool,
    /// Time until the reply begins, where the account says so.
    pub(super) timeout: Option<Duration>,
}

impl Way {
    pub(super) fn new(target: Arc<Target>, endpoint: Endpoint, path: String) -> Self {
        let timeout = target.timeout;
        Self {
            target,
            endpoint,
            path,
            named: None,
            model: None,
            remove: &[],
            bills: true,
            all_headers: false,
            timeout,
        }
    }
}

/// The provider whose API a passage is, by its name in the catalogue.
fn provider_of(passage: Passage) -> &'static str {
    match passage {
        Passage::OpenAi => "openai",
        Passage::Anthropic | Passage::MessageBatches => "anthropic",
        Passage::Gemini => "gemini",
        Passage::Vertex => "vertex_ai",
        Passage::Bedrock => "bedrock",
        Passage::Azure => "azure",
        Passage::Cohere => "cohere",
        Passage::Mistral => "mistral",
        Passage::Vllm => "hosted_vllm",
        Passage::Files | Passage::Batches | Passage::FineTuning | Passage::VectorStores | Passage::Own => "",
    }
}

/// One of a group's deployments at a provider, by their shares.
pub(super) fn of_group(
    asking: &Asking<'_>,
    model: &str,
    is_fit: impl Fn(&Target) -> bool,
) -> Option<Arc<Target>> {
    let group = asking.snapshot.group(asking.metrics, model)?;
    let fitting: Vec<&Arc<Target>> = group.targets().iter().filter(|target| is_fit(target)).collect();
    // Where none is admitted, whoever is chosen is refused by name.
    let admitted: Vec<&Arc<Target>> =
        fitting.iter().copied().filter(|target| asking.admits(target).is_ok()).collect();
    let fitting = if admitted.is_empty() { fitting } else { admitted };
    let shares: Vec<Share> = fitting.iter().map(|target| target.profile.share).collect();
    let position = shuffle::choose(&shares, crate::chance::draw())?;
    fitting.get(position).map(|target| Arc::clone(target))
}

/// The way to a provider's own API.
pub(super) fn to_provider(asking: &Asking<'_>, sent: &Sent<'_>) -> Result<Way, Rejection> {
    let provider = provider_of(asking.passage);
    let place = address::model_place(asking.passage, asking.rest);
    let in_path = place.clone().and_then(|place| percent::decode(asking.rest.get(place)?));
    let named = in_path.clone().or_else(|| sent.text("model").map(std::borrow::Cow::into_owned));
    let chosen =
        named.as_deref().and_then(|model| of_group(asking, model, |target| target.provider.name == provider));
    let (target, root, rest) = match &chosen {
        Some(target) => {
            let root = asking.snapshot.accounts().azure_root(&target.id).unwrap_or(&target.endpoint).clone();
            let rest = match &place {
                Some(place) if in_path.as_deref() != Some(&target.model) => {
                    address::rename(asking.rest, place, &target.model)
                }
                _ => asking.rest.to_owned(),
            };
            (Arc::clone(target), root, rest)
        }
        None => {
            let account = account(asking, provider)?;
            let target = ready(asking.snapshot, asking, account, named.as_deref())?;
            (target, account.root.clone(), asking.rest.to_owned())
        }
    };
    let (endpoint, path) = at_provider(asking, (&target, root), &rest, chosen.is_some())?;
    let renamed = chosen.filter(|_| in_path.is_none()).map(|target| target.model.clone());
    let model = renamed.filter(|model| sent.text("model").is_none_or(|named| named != model.as_str()));
    let bills = asking.is_post && named.is_some();
    Ok(Way { named, model, bills, ..Way::new(target, endpoint, path) })
}

/// The provider's account that a path may use.
fn account<'a>(asking: &'a Asking<'_>, provider: &'static str) -> Result<&'a Account, Rejection> {
    let accounts = asking.snapshot.accounts().of(provider);
    let first = accounts.first().ok_or_else(|| no_account(provider))?;
    let Some((project, location, _)) =
        address::vertex_parts(asking.rest).filter(|_| asking.passage == Passage::Vertex)
    else {
        return Ok(first);
    };
    let of_project = |account: &&Account| {
        let target = ready(asking.snapshot, asking, account, None).ok()?;
        let (own, place, _) =
            address::vertex_parts(&target.prefix).map(|(p, l, _)| (p == project, l == location, ()))?;
        own.then_some(place)
    };
    let fitting = accounts.iter().filter(|account| of_project(account).is_some());
    let best = fitting.max_by_key(|account| of_project(account) == Some(true));
    let reason = "no account of the configuration is for this project";
    best.ok_or_else(|| Rejection::invalid(asking.passage.pattern(), "projects", reason))
}

/// An account's target for a model.
pub(super) fn ready(
    snapshot: &Snapshot,
    asking: &Asking<'_>,
    account: &Account,
    model: Option<&str>,
) -> Result<Arc<Target>, Rejection> {
    let target = account.target(snapshot.builder(), asking.metrics, model);
    target.map_err(|error| {
        tracing::warn!(%error, "an account cannot be used to pass through");
        Rejection::no_account(account.deployment.provider.name, "its configuration is incomplete")
    })
}

/// What is said where a provider has no account.
pub(super) fn no_account(provider: &str) -> Rejection {
    let variables = tollgate_catalog::provider(provider).map(|row| row.key_env).unwrap_or_default();
    let hint = match variables {
        [] => "set `use_in_pass_through: true` in a deployment of it".to_owned(),
        names => format!("set {}, or `use_in_pass_through: true` in a deployment of it", names.join(" or ")),
    };
    Rejection::no_account(provider, &hint)
}

/// Endpoint, path and query at the provider.
fn at_provider(
    asking: &Asking<'_>,
    (target, root): (&Target, Endpoint),
    rest: &str,
    is_of_group: bool,
) -> Result<(Endpoint, String), Rejection> {
    let query = address::query_without(asking.query, asking.own_parameters());
    match asking.passage {
        Passage::Vertex => vertex(target, rest, is_of_group)
            .map(|(endpoint, path)| (endpoint, address::with_query(&path, &query)))
            .ok_or_else(|| {
                Rejection::invalid(asking.passage.pattern(), "locations", "no location of Vertex AI")
            }),
        Passage::Bedrock if AGENT_PATHS.iter().any(|path| rest.starts_with(path)) => {
            let host = target.endpoint.host();
            let agents = host
                .strip_prefix("bedrock-runtime.")
                .map(|rest| format!("https://bedrock-agent-runtime.{rest}"));
            let endpoint = agents.and_then(|base| Endpoint::parse(&base, Trust::Operator).ok());
            Ok((endpoint.unwrap_or(root), address::with_query(rest, &query)))
        }
        Passage::Azure => {
            let version = target.paths.around.1.trim_start_matches('?');
            let has_version = address::parameter(&query, "api-version").is_some();
            let needs = !version.is_empty() && !has_version && !rest.starts_with("/openai/v1/");
            let query = match (needs, query.is_empty()) {
                (false, _) => query,
                (true, true) => version.to_owned(),
                (true, false) => format!("{query}&{version}"),
            };
            Ok((root, address::with_query(rest, &query)))
        }
        _ => {
            let path = address::with_query(address::below_base(&root, rest), &query);
            Ok((root, path))
        }
    }
}

/// Vertex AI's address: project and location of the account where the path names none, and the location's own host.
fn vertex(target: &Target, rest: &str, is_of_group: bool) -> Option<(Endpoint, String)> {
    let (version, after_version) = address::version(rest).unwrap_or(("v1", rest));
    let (own_project, own_location, _) = address::vertex_parts(&target.prefix)?;
    let parts = address::vertex_parts(rest).map(|(project, location, after)| {
        let (project, location) = if is_of_group { (own_project, own_location) } else { (project, location) };
        (project, location, after)
    });
    let (project, location, after) = parts.unwrap_or((own_project, own_location, after_version));
    let path = format!("/{version}/projects/{project}/locations/{location}{after}");
    let is_googles = target.endpoint.host().ends_with("aiplatform.googleapis.com");
    if location == own_location || !is_googles {
        return Some((target.endpoint.clone(), path));
    }
    if !location.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return None;
    }
    let host = if location == "global" { String::new() } else { format!("{location}-") };
    let base = format!("https://{host}aiplatform.googleapis.com");
    Endpoint::parse(&base, Trust::Catalogue).ok().map(|endpoint| (endpoint, path))
}

/// The way of an endpoint of the operator's own.
pub(super) fn to_own(asking: &Asking<'_>, own: &Own) -> Result<Way, Rejection> {
    let target = ready(asking.snapshot, asking, &own.account, None)?;
    let mut query = asking.query.to_owned();
    for (name, value) in &own.written.default_query {
        if address::parameter(&query, name).is_none() {
            let pair = format!("{}={}", percent::encode(name), percent::encode(value.expose()));
            query = if query.is_empty() { pair } else { format!("{query}&{pair}") };
        }
    }
    let path = address::with_query(asking.rest, &query);
    let way = Way::new(target, own.account.root.clone(), path);
    Ok(Way { bills: asking.is_post, all_headers: own.written.forward_headers, ..way })
}
