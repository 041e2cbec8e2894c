//! Who calls, and which models are theirs to call, by the configuration and the records.
//!
//! **Invariant:** whoever comes through [`Snapshot::identify`] has been held against the rules for everybody and against
//! all who stand above its key.

use super::Snapshot;
use crate::access::AccessRules;
use crate::auth::{Caller, Visit};
use crate::error::Rejection;
use crate::routes::Access;
use crate::tokens::Asked;
use crate::worker::Worker;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_config::Config;
use tollgate_identity::grant::{AccessGroups, Denied, Standing};
use tollgate_identity::role::Role;
use tollgate_identity::{Directory, Holder, Kind};
use tollgate_ledger::Ledger;

/// LiteLLM's word in a list of models for none.
const NO_MODELS: &str = "no-default-models";

/// `model_info.access_groups` of the deployments, and the groups that are records: of those `models` are names, and
/// `model_ids` deployments.
fn access_groups(config: &Config, directory: &Directory) -> AccessGroups {
    let configured = config.deployments.iter().flat_map(|deployment| {
        let model = deployment.model_name.as_str();
        deployment.access_groups.iter().map(move |group| (group.as_str(), model))
    });
    let groups: Vec<_> = directory.all(Kind::AccessGroup).map(|group| (group, group.document())).collect();
    let recorded = groups.iter().flat_map(|(group, document)| {
        let named = document.texts("models").filter(|model| *model != NO_MODELS);
        let deployments = document.texts("model_ids").filter_map(|id| {
            let deployment = config.deployments.iter().find(|deployment| deployment.id == id)?;
            Some(deployment.model_name.as_str())
        });
        named.chain(deployments).map(|model| (&*group.id, model))
    });
    // A model may be in a group by its name and by its deployments.
    let pairs: BTreeSet<(&str, &str)> = configured.chain(recorded).collect();
    AccessGroups::new(pairs).among(config.deployments.iter().map(|deployment| deployment.model_name.as_str()))
}

impl Snapshot {
    /// Refuses who may not call a route.
    pub(crate) async fn admit_to(
        &self,
        worker: &Worker,
        access: Access,
        visit: &Visit<'_>,
    ) -> Result<Caller, Rejection> {
        match access {
            Access::Open => {
                let from = visit.address(&self.config.tollgate.trusted_proxies);
                // Endpoints of the operator's own are no part of the table.
                if visit.pattern.is_none() {
                    self.rules.lets_in(visit, from)?;
                }
                Ok(if self.keys.master().is_some() { Caller::public(from) } else { Caller::default() })
            }
            Access::Caller => self.identify(worker, visit).await,
            Access::Operator | Access::Observer => {
                let caller = self.identify(worker, visit).await?;
                let actor = caller.actor(&worker.gateway.ledger().directory());
                if actor.is_admin() || (access == Access::Observer && actor.sees_everything()) {
                    return Ok(caller);
                }
                let role = actor.role.map_or("unknown", Role::word);
                Err(Rejection::denied(&Denied::NotAdmin { path: visit.path.to_owned(), role }))
            }
        }
    }

    /// Who calls: a key that is good, and for this route. A key that is not known may be another gateway's work of this
    /// moment; where the books cannot be asked, nobody can say.
    pub(crate) async fn identify(&self, worker: &Worker, visit: &Visit<'_>) -> Result<Caller, Rejection> {
        let ledger = worker.gateway.ledger();
        let from = visit.address(&self.config.tollgate.trusted_proxies);
        self.rules.lets_in(visit, from)?;
        let known = self.known(worker, visit, from).await;
        let is_wrong = known.as_ref().is_err_and(|refused| self.is_wrong_key(refused, visit));
        let known = known.and_then(|caller| {
            caller.check(ledger.clock().wall(), visit)?;
            Ok(caller)
        });
        // Where no key is asked for, one that is good still says who calls.
        let caller = match known {
            Err(refused) if refused.is_of_caller() && self.rules.is_public(visit) => Caller::public(from),
            Err(refused) if is_wrong => return Err(self.penalty(worker, from).unwrap_or(refused)),
            known => known?,
        };
        self.rules.lets_through(visit, &caller, ledger)?;
        Ok(caller)
    }

    /// Whether a refusal is that of a key which nobody has: no lack of one, no token, and no key that is not good any more.
    fn is_wrong_key(&self, refused: &Rejection, visit: &Visit<'_>) -> bool {
        let is_token = self.tokens.is_some() && visit.token(&self.keys).is_some();
        refused.is_of_caller() && visit.has_credential(&self.keys) && !is_token
    }

    /// Counts a wrong key; what is answered where too many came of late.
    fn penalty(&self, worker: &Worker, from: Option<IpAddr>) -> Option<Rejection> {
        let most = self.config.tollgate.wrong_keys_per_minute;
        let wait = worker.gateway.guesses().note(from?, most, worker.gateway.fleet().clock().now())?;
        Some(Rejection::too_many_wrong_keys(wait))
    }

    /// Whose key or token a request has.
    async fn known(
        &self,
        worker: &Worker,
        visit: &Visit<'_>,
        from: Option<IpAddr>,
    ) -> Result<Caller, Rejection> {
        let ledger = worker.gateway.ledger();
        if let Some((tokens, token)) = self.tokens.as_ref().zip(visit.token(&self.keys)) {
            let asked = Asked { worker, new_records: &self.config.new_records, visit, address: from };
            return Box::pin(tokens.caller(&asked, token)).await;
        }
        let authenticate = || self.keys.authenticate(ledger, visit, from);
        let mut found = authenticate();
        if found.as_ref().is_err_and(Rejection::is_unknown_key) {
            // Boxed: rare, and its state would be part of every request's.
            Box::pin(ledger.catch_up()).await.map_err(|_| Rejection::keys_unavailable())?;
            found = authenticate();
        }
        found
    }

    /// The rules for everybody.
    pub(crate) fn rules(&self) -> &AccessRules {
        &self.rules
    }

    /// Whether a caller may use a model, and what it is that the caller calls so.
    pub(crate) fn allow(
        &self,
        caller: &Caller,
        model: &str,
        ledger: &Ledger,
    ) -> Result<Option<String>, Rejection> {
        match caller.holder() {
            Some(holder) => self.allow_holder(holder, model, ledger),
            None if !caller.is_master() && self.team_models.is_anothers(None, model) => {
                let denied = Denied::Model { kind: Kind::Key, model: model.to_owned() };
                Err(Rejection::denied(&denied))
            }
            None => Ok(None),
        }
    }

    /// The same of whoever a key would be.
    pub(crate) fn allow_holder(
        &self,
        holder: &Holder,
        model: &str,
        ledger: &Ledger,
    ) -> Result<Option<String>, Rejection> {
        let (now, groups) = (ledger.clock().wall(), self.access_groups(&ledger.directory()));
        let allowed = Standing::of(holder, now).and_then(|standing| {
            let named = standing.target(model);
            if let Some(own) = self.team_models.of_holder(holder, named, &groups) {
                return Ok(own);
            }
            if self.team_models.is_anothers(Some(holder), named) {
                return Err(Denied::Model { kind: Kind::Key, model: model.to_owned() });
            }
            standing.model(model, &groups).map(str::to_owned)
        });
        let target = allowed.map_err(|denied| Rejection::denied(&denied))?;
        Ok((target != model).then_some(target))
    }

    /// Whether an end user may use a model. One that is not in its list gives way to its `default_model`, where it has one.
    pub(crate) fn allow_end_user(
        &self,
        ledger: &Ledger,
        end_user: Option<&str>,
        model: &str,
    ) -> Result<Option<String>, Rejection> {
        let Some(id) = end_user else { return Ok(None) };
        let directory = ledger.directory();
        let Some(customer) = directory.get(Kind::Customer, id) else { return Ok(None) };
        let named = self.team_models.public_name(model).unwrap_or(model);
        if self.access_groups(&directory).allow(customer, named) {
            return Ok(None);
        }
        let instead = customer.text("default_model").filter(|instead| instead != model);
        let denied = || Denied::Model { kind: Kind::Customer, model: model.to_owned() };
        instead.map(Some).ok_or_else(|| Rejection::denied(&denied()))
    }

    /// What a caller calls a group, where it may use it: for lists of models.
    pub(crate) fn shown(&self, caller: &Caller, group: &str, ledger: &Ledger) -> Option<String> {
        let Some(holder) = caller.holder() else {
            let is_hidden = !caller.is_master() && self.team_models.is_anothers(None, group);
            return (!is_hidden).then(|| group.to_owned());
        };
        let (now, groups) = (ledger.clock().wall(), self.access_groups(&ledger.directory()));
        let standing = Standing::of(holder, now).ok()?;
        let name = match self.team_models.public_name(group) {
            Some(name) => {
                let own = self.team_models.of_holder(holder, name, &groups)?;
                (own == group).then_some(name)
            }
            None => standing.has_model(group, &groups).then_some(group),
        };
        name.map(str::to_owned)
    }

    /// The group that a caller means by a name, for what lists and describes.
    pub(crate) fn meant(&self, caller: &Caller, name: &str, ledger: &Ledger) -> Option<String> {
        self.allow(caller, name, ledger).ok().map(|meant| meant.unwrap_or_else(|| name.to_owned()))
    }

    /// Which model groups access groups stand for, by the configuration and by the records as they are now.
    pub(crate) fn access_groups(&self, directory: &Directory) -> Arc<AccessGroups> {
        let changes = directory.access_group_changes();
        if let Some(known) = self.access_groups.load().as_ref().filter(|known| known.0 == changes) {
            return Arc::clone(&known.1);
        }
        let groups = Arc::new(access_groups(&self.config, directory));
        self.access_groups.store(Some(Arc::new((changes, Arc::clone(&groups)))));
        groups
    }
}
