//! The validated configuration, and the road from text to it.
//!
//! Owns: the order of the steps and what concerns several sections at once. Leaves to others: each step (include,
//! environment, section, model, router, settings).
//!
//! **Invariant:** no I/O of its own: files and variables come through closures. **Invariant:** a configuration with an
//! error is no configuration; nothing of it is handed out.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tollgate_catalog::providers;

use crate::access::AccessSettings;
use crate::budgets::BudgetSettings;
use crate::caching::{self, Caching};
use crate::canned::FaqFiles;
use crate::changed::{Sources, laid_over};
use crate::costs::Costs;
use crate::environment::{self, Environment, ProcessEnvironment};
use crate::include::{Reader, read_all};
use crate::jwt::JwtSettings;
use crate::keys::{Kind, top};
use crate::ledger::LedgerSettings;
use crate::made::{self, NamedCredential};
use crate::model::{self, Deployment};
use crate::passthrough::{self, PassThrough};
use crate::records::NewRecords;
use crate::report::{Collector, Report, printable};
use crate::rotation::KeyRotation;
use crate::router::{self, Router};
use crate::secret::Secret;
use crate::section::{Section, check};
use crate::settings::{self, General, LitellmSettings, TollgateSettings};
use crate::targets::{self, Groups};
use crate::tier::TierReading;
use crate::together::Together;
use crate::yaml::{Node, Place};

/// A validated configuration. Printing it shows no secret.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The deployments in the order of the files.
    pub deployments: Vec<Deployment>,
    /// Credentials that deployments refer to.
    pub credentials: Vec<NamedCredential>,
    /// How a deployment is chosen, retried and replaced.
    pub router: Router,
    /// Defaults for every request.
    pub litellm: LitellmSettings,
    /// Answers that are kept; `None` where none are.
    pub cache: Option<Caching>,
    /// The gateway as a server.
    pub general: General,
    /// What only Tollgate has.
    pub tollgate: TollgateSettings,
    /// What a cost is charged at.
    pub costs: Costs,
    /// Limits and budgets that are of no record.
    pub budgets: BudgetSettings,
    /// What new keys, users and teams get.
    pub new_records: NewRecords,
    /// Where records and spend are kept.
    pub ledger: LedgerSettings,
    /// When keys are replaced by themselves.
    pub key_rotation: KeyRotation,
    /// Who may call what.
    pub access: AccessSettings,
    /// Whose bearer tokens are taken beside keys; nobody's where there is none.
    pub jwt: Option<JwtSettings>,
    /// What passes through.
    pub pass_through: PassThrough,
    /// `environment_variables`, for the environment of the process.
    pub environment: Vec<(String, Secret)>,
    /// Every file that was read, for watching.
    pub files: Vec<PathBuf>,
    /// What stood in them.
    pub(crate) sources: Sources,
}

/// What came of reading a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `None` if there is any error.
    pub config: Option<Config>,
    /// Everything that was found.
    pub report: Report,
    /// The files that were read or tried, for watching even where there is no configuration.
    pub files: Vec<PathBuf>,
}

/// Reads the configuration that begins with the file `entry`. `read` reads a file, `process` looks a variable up.
pub fn load(
    entry: &Path,
    read: &mut dyn FnMut(&Path) -> io::Result<String>,
    process: &dyn Fn(&str) -> Option<String>,
) -> Loaded {
    let mut found = Collector::default();
    let mut texts = Vec::new();
    let mut reading = |path: &Path| {
        let text = read(path)?;
        texts.push((path.to_owned(), text.clone()));
        Ok(text)
    };
    let input = Input { entry, process, changed: &Map::new(), groups: &[] };
    let config = read_config(&input, &mut reading, &mut found);
    let files = found.files().to_vec();
    let config = if found.has_errors() { None } else { config };
    let config = config.map(|config| Config { sources: Sources::new(entry, texts), ..config });
    Loaded { config, report: found.into_report(), files }
}

/// What a configuration is made of, beside its files' texts.
pub(crate) struct Input<'a> {
    /// The first file.
    pub(crate) entry: &'a Path,
    /// Looks variables up.
    pub(crate) process: ProcessEnvironment<'a>,
    /// Settings that go before those of the files, by section.
    pub(crate) changed: &'a Map<String, Value>,
    /// Model groups that are in no file.
    pub(crate) groups: &'a [String],
}

pub(crate) fn read_config(input: &Input<'_>, read: Reader<'_>, found: &mut Collector) -> Option<Config> {
    let written = read_all(input.entry, &mut *read, found)?;
    let written = laid_over(written, input.changed, found);
    let (root, environment) = environment::resolve(&written, input.process, found);
    check(&root, Kind::Section(top::TABLE), "", found);
    let mut deployments = deployments(&root, &environment, found);
    let mut router = router::resolve(&root, found);
    router.complete(&mut deployments, &root, found);
    router.name_groups(&deployments, &root, found);
    let called = router.routing_groups.iter().filter(|group| group.is_callable);
    let names = deployments.iter().map(|deployment| deployment.model_name.as_str());
    let names = names.chain(called.map(|group| group.name.as_str()));
    let names: Vec<&str> = names.chain(input.groups.iter().map(String::as_str)).collect();
    let groups = Groups::new(&left_out(&root, names), &router.model_group_alias, &root);
    targets::check(&router, &root, &groups, found);
    let mut reading = TierReading { groups: &groups, faqs: FaqFiles::new(read) };
    let tollgate = settings::tollgate(&root, &mut reading, found);
    let together = Together {
        root: &root,
        groups: &groups,
        deployments: &deployments,
        router: &router,
        tollgate: &tollgate,
        may_lack_retries: router.num_retries == 0
            || deployments.iter().any(|deployment| deployment.num_retries == Some(0)),
    };
    together.check(found);
    let general = settings::general(&root, &environment, found);
    Some(Config {
        jwt: JwtSettings::resolve(&root, general.master_key.is_some(), &environment, found),
        litellm: settings::litellm(&root, found),
        cache: caching::read(&root, found),
        general,
        costs: Costs::resolve(&root, found),
        budgets: BudgetSettings::resolve(&root, &groups, found),
        new_records: NewRecords::resolve(&root, found),
        ledger: LedgerSettings::resolve(&root, tollgate.database_file.as_deref(), &environment, found),
        key_rotation: KeyRotation::resolve(&root, &environment, found),
        access: AccessSettings::resolve(&root, found),
        tollgate,
        credentials: made::credentials(&root, found),
        deployments,
        router,
        pass_through: passthrough::resolve(&root, &environment, found),
        environment: environment.into_own(),
        files: found.files().to_vec(),
        sources: Sources::default(),
    })
}

/// `groups` and the names of entries that were left out, which are no mistakes of whoever refers to them.
fn left_out<'a>(root: &'a Node, mut groups: Vec<&'a str>) -> Vec<&'a str> {
    let top = Section::new(Some(root), top::TABLE, "");
    groups.extend(top.items("model_list").iter().filter_map(|entry| entry.get("model_name")?.text()));
    groups
}

fn deployments(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> Vec<Deployment> {
    let top = Section::new(Some(root), top::TABLE, "");
    let items = top.items("model_list");
    let mut all: Vec<Deployment> = Vec::new();
    let mut ids: HashMap<String, Place> = HashMap::new();
    for (index, node) in items.iter().enumerate() {
        let Some(mut deployment) = model::resolve(node, index, environment, found) else { continue };
        if let Some(first) = ids.insert(deployment.id.clone(), node.place) {
            keep_apart(&mut deployment, node, (index, first), found);
        }
        // A second catch-all adds nothing that the first has not opened.
        if is_catch_all(&deployment) && !all.iter().any(is_catch_all) {
            let opened = catch_all(&deployment, items, environment);
            if deployment.budget.is_some() && !opened.is_empty() {
                let path = format!("model_list[{index}].litellm_params.max_budget");
                let message =
                    "holds for each provider that the catch-all opens by itself, not for all together";
                found.warning(node.place, &path, message);
            }
            all.extend(opened);
        }
        all.push(deployment);
    }
    if items.is_empty() && !top.is_unset("model_list") {
        let place = top.place("model_list").unwrap_or(root.place);
        found.warning(place, "model_list", "no deployments: no model can be called");
    }
    all
}

/// Two entries with one id: an error where it was written, a second deployment of the same kind where it was not.
fn keep_apart(
    deployment: &mut Deployment,
    node: &Node,
    (index, first): (usize, Place),
    found: &mut Collector,
) {
    let path = format!("model_list[{index}]");
    let where_first = format!("{}:{}", printable(&found.file(first).to_string_lossy()), first.line);
    if let Some(id) = node.get("model_info").and_then(|info| info.get("id")).filter(|id| !id.is_null()) {
        let message = format!("is the id of the entry at {where_first} too");
        found.error(id.place, &format!("{path}.model_info.id"), message);
    } else {
        found.warning(node.place, &path, format!("is the same as the entry at {where_first}"));
        deployment.id = crate::identity::derived(&deployment.id, &index.to_string());
    }
}

/// Whether this is `model_name: "*"` with `model: "*"` and neither a key nor an address of its own.
fn is_catch_all(deployment: &Deployment) -> bool {
    let written = |name: &str| deployment.params_written.contains_key(name);
    deployment.model_name == "*"
        && deployment.params_written.get("model").is_some_and(|model| model == "*")
        && !["api_key", "api_base", "base_url", "custom_llm_provider", "litellm_credential_name"]
            .into_iter()
            .any(written)
}

/// What a catch-all stands for besides OpenAI's own names: the models of every provider whose key is in the
/// environment, under `provider/*`.
fn catch_all(deployment: &Deployment, items: &[Node], environment: &Environment<'_>) -> Vec<Deployment> {
    let is_taken =
        |name: &str| items.iter().any(|item| item.get("model_name").and_then(Node::text) == Some(name));
    let mut all = Vec::new();
    for provider in providers() {
        let model_name = format!("{}/*", provider.name);
        let api_base = environment.first_of(provider.base_env);
        let api_base = api_base.filter(|base| crate::address::why_not(base).is_none());
        let Some(key) = environment.first_of(provider.key_env) else { continue };
        if is_taken(&model_name) || (api_base.is_none() && provider.base_url.is_none()) {
            continue;
        }
        let id = crate::identity::derived(&deployment.id, provider.name);
        let api_key = Some(Secret::new(key));
        all.push(Deployment { model_name, id, provider, api_key, api_base, ..deployment.clone() });
    }
    all
}

impl Config {
    /// Reads a configuration that is one text, as if it stood in `config.yaml`; `include` finds no files.
    pub fn from_yaml_text(text: &str, process: &dyn Fn(&str) -> Option<String>) -> Loaded {
        let entry = Path::new("config.yaml");
        let mut read = |path: &Path| {
            if path == entry { Ok(text.to_owned()) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
        };
        load(entry, &mut read, process)
    }

    /// The names of the model groups, each once, in the order of the files; aliases are not among them.
    pub fn groups(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.deployments.iter().map(|deployment| deployment.model_name.as_str());
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// Every secret of the configuration, for scrubbing what providers send back.
    pub fn secrets(&self) -> Vec<&Secret> {
        let mut all: Vec<&Secret> = self.environment.iter().map(|(_, value)| value).collect();
        let keys = [&self.general.master_key, &self.general.database_url, &self.ledger.salt_key];
        all.extend(keys.into_iter().flatten());
        all.extend(&self.ledger.former_salt_keys);
        all.extend(self.general.alerts.secrets());
        for credential in &self.credentials {
            all.extend(credential.secrets.iter());
        }
        for endpoint in &self.pass_through.endpoints {
            all.extend(endpoint.default_query.iter().map(|(_, value)| value));
        }
        for deployment in self.deployments.iter().chain(self.pass_through.accounts()) {
            all.extend(&deployment.api_key);
            all.extend(deployment.cloud.secrets());
            all.extend(deployment.extra_headers.iter().map(|(_, value)| value));
            if let Some(azure) = &deployment.azure {
                all.extend([&azure.ad_token, &azure.client_secret].into_iter().flatten());
            }
        }
        all
    }
}
