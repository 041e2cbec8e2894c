//! The accounts at providers that serve requests which name no deployment of a group.
//!
//! Owns their order: deployments that are meant for it, what is written apart, what the environment opens, and then the
//! first deployment of the provider. Leaves which of them a request may use to `way`. **Invariant:** what is made for
//! a request's model is bounded, and made only for models that the catalogue knows.

use crate::address;
use crate::build::{BuildError, Builder};
use crate::target::Target;
use crate::telemetry::Metrics;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tollgate_catalog::Wire;
use tollgate_config::{Config, Deployment, PassThroughEndpoint};
use tollgate_upstream::{Endpoint, Trust};

/// The group under which requests without one are counted.
pub(super) const GROUP: &str = "pass-through";
/// The model under which those are counted that name none, or none that the catalogue knows.
const UNNAMED: &str = "*";
/// Most models of one account that are kept ready; the catalogue's largest provider has some hundreds.
const NAMED_MAX: usize = 1_024;

/// One account at a provider.
#[derive(Debug)]
pub(crate) struct Account {
    pub(super) deployment: Deployment,
    /// The address below which the provider's whole API is.
    pub(super) root: Endpoint,
    group: String,
    /// By model; the one without is [`UNNAMED`].
    targets: RwLock<HashMap<String, Arc<Target>>>,
}

impl Account {
    fn new(deployment: &Deployment, group: &str, builder: &Builder) -> Result<Self, BuildError> {
        builder.check(deployment)?;
        Ok(Self {
            root: root(deployment).map_err(|reason| BuildError::new(deployment, reason))?,
            deployment: deployment.clone(),
            group: group.to_owned(),
            targets: RwLock::default(),
        })
    }

    /// Ready to be called, at the prices of a model.
    pub(super) fn target(
        &self,
        builder: &Builder,
        metrics: &Metrics,
        model: Option<&str>,
    ) -> Result<Arc<Target>, BuildError> {
        let name = model.filter(|model| builder.facts(&self.deployment, model).is_some()).unwrap_or(UNNAMED);
        let known = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = known.get(name) {
            return Ok(Arc::clone(target));
        }
        let name = if known.len() < NAMED_MAX { name } else { UNNAMED };
        drop(known);
        // An operator's own prices are those of the deployment's model.
        let is_own = name == self.deployment.model || self.deployment.provider.name == "custom_openai";
        let mut deployment = self.deployment.clone();
        if !is_own {
            deployment.prices.clear();
        }
        let target = Arc::new(builder.target(&deployment, &self.group, name, metrics)?);
        let mut known = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.entry(name.to_owned()).or_insert(target)))
    }
}

/// The address below which a provider's whole API is: Azure's base may name one deployment of it.
fn root(deployment: &Deployment) -> Result<Endpoint, String> {
    let endpoint = address::endpoint(deployment)?;
    if deployment.provider.wire != Wire::Azure {
        return Ok(endpoint);
    }
    let base = address::base_url(deployment).unwrap_or_default();
    let Some((before, _)) = base.split_once("/openai") else { return Ok(endpoint) };
    Endpoint::parse(before, Trust::Operator).map_err(|error| format!("api_base: {error}"))
}

/// An endpoint of the operator's own.
#[derive(Debug)]
pub(crate) struct Own {
    pub(super) written: PassThroughEndpoint,
    pub(super) account: Account,
}

/// All accounts of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_provider: HashMap<&'static str, Vec<Account>>,
    files: Vec<Account>,
    finetune: Vec<Account>,
    own: Vec<Own>,
    /// Of each Azure deployment, by its id.
    azure_roots: HashMap<String, Endpoint>,
}

impl Accounts {
    /// Makes them. What is broken in the environment alone is left out: nobody asked for it.
    pub(crate) fn new(config: &Config, builder: &Builder) -> Result<Self, BuildError> {
        let passing = &config.pass_through;
        let mut all = Self::default();
        let meant = config.deployments.iter().filter(|deployment| deployment.use_in_pass_through);
        for deployment in meant.chain(&passing.written) {
            all.add(Account::new(deployment, GROUP, builder)?);
        }
        for deployment in &passing.from_environment {
            match Account::new(deployment, GROUP, builder) {
                Ok(account) if builder.authorizations().has(deployment) => all.add(account),
                Ok(_) | Err(_) => {
                    let provider = deployment.provider.name;
                    tracing::warn!(provider, "the environment's account cannot be used to pass through");
                }
            }
        }
        for deployment in &config.deployments {
            // Vertex AI's differ by project, so that each counts; of the others the first does.
            let is_first = !all.by_provider.contains_key(deployment.provider.name);
            if let (true, Ok(account)) = (
                is_first || deployment.provider.wire == Wire::Vertex,
                Account::new(deployment, GROUP, builder),
            ) {
                all.add(account);
            }
            if deployment.provider.wire == Wire::Azure
                && let Ok(root) = root(deployment)
            {
                all.azure_roots.insert(deployment.id.clone(), root);
            }
        }
        for (list, deployments) in [(&mut all.files, &passing.files), (&mut all.finetune, &passing.finetune)]
        {
            for deployment in deployments {
                list.push(Account::new(deployment, GROUP, builder)?);
            }
        }
        for written in &passing.endpoints {
            let mut account = Account::new(&written.account, &written.path, builder)?;
            account.root = Endpoint::parse(&written.target, Trust::Operator)
                .map_err(|error| BuildError::of_endpoint(&written.path, format!("target: {error}")))?;
            all.own.push(Own { written: written.clone(), account });
        }
        // The longest path is the most specific.
        all.own.sort_by_key(|own| std::cmp::Reverse(own.written.path.len()));
        Ok(all)
    }

    fn add(&mut self, account: Account) {
        let known = self.by_provider.entry(account.deployment.provider.name).or_default();
        if known.iter().all(|other| other.deployment.id != account.deployment.id) {
            known.push(account);
        }
    }

    /// A provider's accounts, the first before the others.
    pub(super) fn of(&self, provider: &str) -> &[Account] {
        self.by_provider.get(provider).map(Vec::as_slice).unwrap_or_default()
    }

    /// A provider's account for files, batches and vector stores.
    pub(super) fn for_files(&self, provider: &str) -> Option<&Account> {
        first_of(&self.files, provider).or_else(|| self.of(provider).first())
    }

    /// A provider's account for fine-tuning jobs.
    pub(super) fn for_tuning(&self, provider: &str) -> Option<&Account> {
        first_of(&self.finetune, provider).or_else(|| self.of(provider).first())
    }

    /// The root of an Azure deployment's resource.
    pub(super) fn azure_root(&self, id: &str) -> Option<&Endpoint> {
        self.azure_roots.get(id)
    }

    /// The operator's own endpoints, the most specific first.
    pub(super) fn own(&self) -> &[Own] {
        &self.own
    }
}

fn first_of<'a>(accounts: &'a [Account], provider: &str) -> Option<&'a Account> {
    accounts.iter().find(|account| account.deployment.provider.is_named(provider))
}
