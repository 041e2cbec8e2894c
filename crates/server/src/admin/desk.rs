//! One admin request at the desk: who asks, what for, and the ways to look things up and to change them.
//!
//! **Invariant:** what is looked up here is what the right of the route reaches; what it does not reach is not there.
//! **Invariant:** a record that is made or changed lies within its parents, and is audited with its change.

use super::change::{Author, Change, Putting};
use super::{Problem, notices::Notices, query::Query};
use crate::auth::Caller;
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use http::request::Parts;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_config::NewRecords;
use tollgate_identity::access::{Right, RouteRow};
use tollgate_identity::form::{BadForm, Context, Draft};
use tollgate_identity::grant::{Grant, Parent};
use tollgate_identity::reply::{self, Amounts, Clock};
use tollgate_identity::role::Actor;
use tollgate_identity::{Directory, Kind, Limits, Parents, Record};
use tollgate_ledger::{Ledger, scope_of};
use tollgate_policy::clock::Wall;
use tollgate_store::books::RecordChange;

/// Held by who gives a name that nobody else may have, from when it is looked for until it is given.
static NAMING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The user that the master key stands for, as LiteLLM names it.
pub(crate) const DEFAULT_USER: &str = "default_user_id";
/// Who a change is said to be made for (LiteLLM's header).
const CHANGED_BY: &str = "litellm-changed-by";

/// One request.
pub(crate) struct Desk<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) caller: Caller,
    pub(crate) actor: Actor,
    pub(crate) row: &'static RouteRow,
    pub(crate) query: Query,
    pub(crate) body: Map<String, Value>,
    params: Vec<(String, String)>,
    actor_id: String,
    changed_by: Option<String>,
    now: Wall,
    /// Where it comes from, past the proxies that are believed.
    pub(crate) from: Option<IpAddr>,
}

/// Who asks, and for which route: before the body is read.
pub(crate) struct Asker<'a> {
    pub(super) worker: &'a Worker,
    pub(super) snapshot: &'a Snapshot,
    pub(super) caller: Caller,
    pub(super) actor: Actor,
    pub(super) row: &'static RouteRow,
    pub(super) from: Option<IpAddr>,
}

impl<'a> Desk<'a> {
    pub(super) fn open(
        asker: Asker<'a>,
        (params, body): (Vec<(String, String)>, Map<String, Value>),
        head: &Parts,
    ) -> Self {
        let Asker { worker, snapshot, caller, actor, row, from } = asker;
        let user = caller.holder().and_then(|holder| holder.key.parents.user.as_deref());
        let actor_id = user.unwrap_or(DEFAULT_USER).to_owned();
        let changed_by = head.headers.get(CHANGED_BY).and_then(|value| value.to_str().ok());
        Self {
            now: worker.gateway.ledger().clock().wall(),
            query: Query::read(head.uri.query()),
            changed_by: changed_by.map(str::to_owned).filter(|name| actor.is_admin() && !name.is_empty()),
            worker,
            snapshot,
            caller,
            actor,
            row,
            body,
            params,
            actor_id,
            from,
        }
    }

    /// A desk at which the gateway itself does what a route does, under this name.
    pub(super) fn of_gateway(
        (worker, snapshot): (&'a Worker, &'a Snapshot),
        row: &'static RouteRow,
        name: &str,
        body: Map<String, Value>,
    ) -> Self {
        Self {
            now: worker.gateway.ledger().clock().wall(),
            query: Query::read(None),
            changed_by: None,
            worker,
            snapshot,
            caller: Caller::default(),
            actor: Actor::master(),
            row,
            body,
            params: Vec::new(),
            actor_id: name.to_owned(),
            from: None,
        }
    }

    /// A part of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// Who there is, and what each has spent.
    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        self.worker.gateway.ledger()
    }

    /// Waits until nobody else gives a name: an alias of a key, an e-mail of a user.
    pub(crate) async fn naming(&self) -> tokio::sync::MutexGuard<'static, ()> {
        NAMING.lock().await
    }

    /// The time.
    pub(crate) fn now(&self) -> Wall {
        self.now
    }

    /// What forms need to know.
    pub(crate) fn context(&self) -> Context<'_> {
        let is_admin = self.actor.is_admin();
        Context { now: self.now, actor: &self.actor_id, is_admin, is_operator: is_admin, fresh: &fresh_id }
    }

    /// The same of a record of this team, or of none: who administers the team or its organization may set there what only
    /// administrators may.
    pub(crate) fn context_in(&self, team: Option<&str>) -> Context<'_> {
        Context { is_admin: self.administers(team), ..self.context() }
    }

    /// Whether who asks administers everything, or this team, or its organization.
    pub(crate) fn administers(&self, team: Option<&str>) -> bool {
        let Some(team) = team else { return self.actor.is_admin() };
        let organization = || self.known(Kind::Team, team)?.parents.organization.clone();
        self.actor.is_admin()
            || self.actor.administers_team(team)
            || organization().is_some_and(|id| self.actor.administers_organization(&id))
    }

    /// What the operator's configuration says of new records.
    pub(crate) fn new_records(&self) -> &NewRecords {
        &self.snapshot.config().new_records
    }

    /// Whose keys are that name no user: nobody's where the operator makes them.
    pub(crate) fn owner_of_new_keys(&self) -> Option<&str> {
        let user = self.caller.holder().and_then(|holder| holder.key.parents.user.as_deref());
        user.filter(|_| !self.actor.is_admin())
    }

    /// The time, and where it is told.
    pub(crate) fn clock(&self) -> Clock<'_> {
        Clock { now: self.now, zone: self.snapshot.toll_rules().zone_ref() }
    }

    /// The record of this id, if the right of the route reaches it.
    pub(crate) fn find(&self, kind: Kind, id: &str) -> Result<Arc<Record>, Problem> {
        let directory = self.ledger().directory();
        Ok(Arc::clone(self.actor.find(self.row.right, (kind, id), &directory)?))
    }

    /// The same by another right than the route's: what a change touches beside what it is of.
    pub(crate) fn in_right(&self, right: Right, (kind, id): (Kind, &str)) -> Result<Arc<Record>, Problem> {
        let directory = self.ledger().directory();
        Ok(Arc::clone(self.actor.find(right, (kind, id), &directory)?))
    }

    /// Every record of a kind that the right of the route reaches, by a name of the document's order of making.
    pub(crate) fn all(&self, kind: Kind) -> Vec<Arc<Record>> {
        let directory = self.ledger().directory();
        let may = |record: &&Arc<Record>| self.actor.may(self.row.right, record, &directory);
        directory.all(kind).filter(may).map(Arc::clone).collect()
    }

    /// A record that is there, whether the right of the route reaches it or not: to name it in an answer about another.
    pub(crate) fn known(&self, kind: Kind, id: &str) -> Option<Arc<Record>> {
        self.ledger().directory().get(kind, id).map(Arc::clone)
    }

    /// The budget that a record refers to.
    pub(crate) fn budget_of(&self, record: &Record) -> Option<Arc<Record>> {
        self.known(Kind::Budget, record.parents.budget.as_ref()?)
    }

    /// The same where nobody else refers to it.
    pub(crate) fn own_budget(&self, record: &Record) -> Option<Arc<Record>> {
        let directory = self.ledger().directory();
        let budget = directory.get(Kind::Budget, record.parents.budget.as_ref()?)?;
        (!directory.is_shared(&budget.id, record)).then(|| Arc::clone(budget))
    }

    /// What a record has spent.
    pub(crate) fn amounts(&self, record: &Record) -> Amounts {
        let successor = record.successor().and_then(|token| self.known(Kind::Key, token));
        let record = successor.as_deref().unwrap_or(record);
        let Some(scope) = scope_of(record) else { return Amounts::default() };
        let ledger = self.ledger();
        let budgets = ledger.accounts().budgets(&scope, &record.limits, self.now);
        let of =
            |cadence| budgets.iter().find(|budget| budget.cadence == cadence).map(|budget| budget.settled);
        let settled = of(None).unwrap_or_default();
        let spend = of(record.limits.cadence).unwrap_or(settled);
        let total = tollgate_catalog::PicoDollars(settled.0.saturating_add(record.set_back().0));
        let model_spend = record.limits.models.budgets.keys().filter_map(|model| {
            let scope = scope.clone().with_model(model.as_ref());
            let budgets = ledger.accounts().budgets(&scope, &record.limits, self.now);
            Some((model.clone(), budgets.last()?.settled))
        });
        let last_use = (record.kind == Kind::Key).then(|| ledger.last_use(&record.id)).flatten();
        Amounts { spend, total_spend: total, model_spend: model_spend.collect(), last_use }
    }

    /// Whether a record may be made or changed so: by whoever asks, and within its parents.
    fn check(&self, directory: &Directory, change: &Change, putting: &Putting) -> Result<(), Problem> {
        let Putting { draft, old, is_beside } = putting;
        let mut record = read(draft)?;
        let had = old.as_ref().and_then(|old| old.parents.budget.as_ref());
        let is_another =
            record.parents.budget.as_ref().is_some_and(|id| Some(id) != had && !change.puts_budget(id));
        // What it refers to alone, it changes: so a budget of the operator's is for the operator to give. Whether there is
        // such a one is not told.
        let is_operators = matches!(record.kind, Kind::Organization | Kind::Project | Kind::Key);
        if is_another && is_operators && !self.actor.is_admin() {
            return Err(Problem::Form(BadForm::forbidden("budget_id")));
        }
        if let Some(shared) = budget_within(directory, change, &record, old.as_ref())? {
            record.limits = std::mem::take(&mut record.limits).or(&shared);
        }
        let is_placed = match old {
            _ if *is_beside => true,
            None => self.actor.may(self.row.right, &record, directory),
            Some(old) if is_same_place(old, &record) => true,
            // What is moved has to be allowed where it comes to lie, as what is made.
            Some(_) if record.kind == Kind::Key => self.actor.may(Right::KeyCreate, &record, directory),
            Some(_) => self.actor.may(self.row.right, &record, directory),
        };
        let is_moved = old.as_ref().is_none_or(|old| !is_same_place(old, &record));
        if !is_placed || (is_moved && self.reaches_beyond(directory, &record)) {
            return Err(Problem::not_allowed(&self.actor, self.row.path));
        }
        if is_moved && record.kind == Kind::Key {
            self.check_project(directory, &record)?;
            self.check_organization(directory, &record)?;
        }
        let grant = Grant::of(&record);
        let groups = self.snapshot.access_groups(directory);
        grant.within(&grant.parents(directory), &groups)?;
        // What has nobody above it but the operator has no more than the operator left it.
        let is_topmost = matches!(record.kind, Kind::Organization | Kind::User);
        if let Some(old) = old.as_ref().filter(|_| is_topmost && !self.actor.is_admin()) {
            grant.within(&[Parent::creator(old)], &groups)?;
        }
        Ok(())
    }

    /// Whether the project that a key is put in is there for whoever asks, and of the key's team: the key spends its budget.
    fn check_project(&self, directory: &Directory, key: &Record) -> Result<(), Problem> {
        let Some(id) = &key.parents.project else { return Ok(()) };
        let missing = || Problem::Missing("project_id", format!("Project not found, project_id={id}"));
        let project = directory.get(Kind::Project, id).ok_or_else(missing)?;
        if !self.actor.may(Right::ProjectSee, project, directory) {
            return Err(missing());
        }
        match (&key.parents.team, &project.parents.team) {
            (Some(team), of) if of.as_ref() != Some(team) => {
                let reason = format!("Project {id} is not of team {team}");
                Err(Problem::Bad("project_id", reason))
            }
            _ => Ok(()),
        }
    }

    /// Whether the organization that a key names is its team's: in another one's it would spend that one's budget.
    fn check_organization(&self, directory: &Directory, key: &Record) -> Result<(), Problem> {
        let team = key.parents.team.as_ref().and_then(|team| directory.get(Kind::Team, team));
        let (Some(named), Some(team)) = (&key.parents.organization, team) else { return Ok(()) };
        if self.actor.is_admin() || team.parents.organization.as_ref() == Some(named) {
            return Ok(());
        }
        Err(Problem::Form(BadForm::forbidden("organization_id")))
    }

    /// Whether whoever asks may make a record: for what is looked into before it is kept.
    pub(crate) fn may_make(&self, draft: &Draft) -> Result<(), Problem> {
        let record = Arc::new(read(draft)?);
        match self.actor.may(self.row.right, &record, &self.ledger().directory()) {
            true => Ok(()),
            false => Err(Problem::not_allowed(&self.actor, self.row.path)),
        }
    }

    /// Whether a key would do for whoever makes it what they may not do themselves: outside of a team it acts for its user
    /// wherever that user is.
    fn reaches_beyond(&self, directory: &Directory, key: &Record) -> bool {
        if key.kind != Kind::Key || self.actor.is_admin() {
            return false;
        }
        let holder = directory.above(&Arc::new(key.clone()));
        let is_another = |user: &Arc<Record>| self.actor.user.as_ref() != Some(&user.id);
        let Some(user) = holder.user.filter(|user| holder.team.is_none() && is_another(user)) else {
            return false;
        };
        let is_strange = |place: &Arc<Record>| {
            let team = place.parents.team.as_ref().and_then(|team| directory.get(Kind::Team, team));
            let organization = team.and_then(|team| team.parents.organization.as_ref());
            let is_own = team.is_some_and(|team| self.actor.administers_team(&team.id));
            !is_own && !organization.is_some_and(|id| self.actor.administers_organization(id))
        };
        !self.actor.may(Right::UserChange, &user, directory)
            || directory.children(Kind::User, &user.id, Kind::Member).any(is_strange)
    }

    /// Refuses another `budget_reset_at` than the one that follows from the duration, or was shown before the change.
    fn check_reset(&self, change: &Change) -> Result<(), Problem> {
        let Some(asked) = self.body.get("budget_reset_at").filter(|asked| !asked.is_null()) else {
            return Ok(());
        };
        let second = |at: &Value| Some(Wall::from_rfc3339(at.as_str()?)?.micros() / 1_000_000);
        let shown = |budget: &Record| {
            let row = reply::budget::row(budget, &self.clock());
            row.get("budget_reset_at").and_then(second)
        };
        for put in change.puts.iter().filter(|put| put.draft.kind == Kind::Budget) {
            let is_old = put.old.as_deref().is_some_and(|old| shown(old) == second(asked));
            if is_old || shown(&read(&put.draft)?) == second(asked) {
                return Ok(());
            }
        }
        Err(BadForm::wrong("budget_reset_at", "follows from budget_duration, and is not set otherwise")
            .into())
    }

    /// Makes a change, and returns the records that were put, in their order.
    pub(crate) async fn commit(&self, change: Change) -> Result<Vec<Arc<Record>>, Problem> {
        self.check_reset(&change)?;
        let notices = {
            let directory = self.ledger().directory();
            for putting in &change.puts {
                self.check(&directory, &change, putting)?;
            }
            Notices::of(&change, &directory)
        };
        let ids: Vec<(Kind, String)> =
            change.puts.iter().map(|put| (put.draft.kind, put.draft.id.clone())).collect();
        self.ledger().commit(change.written(&self.author())).await?;
        notices.tell(self, self.changed_by.as_deref().unwrap_or(&self.actor_id));
        let directory = self.ledger().directory();
        Ok(ids.iter().filter_map(|(kind, id)| directory.get(*kind, id).map(Arc::clone)).collect())
    }

    /// Writes into the audit what is about to be done to something that is no record.
    pub(crate) async fn note(
        &self,
        action: &'static str,
        what: (Kind, &str),
        said: String,
    ) -> Result<(), Problem> {
        let audits = vec![self.author().audit(action, what, None, Some(said))];
        let change = RecordChange { at: self.now.micros(), audits, ..RecordChange::default() };
        Ok(self.ledger().commit(change).await.map(|_| ())?)
    }

    /// The same of one record.
    pub(crate) async fn commit_one(&self, change: Change) -> Result<Arc<Record>, Problem> {
        self.commit(change).await?.into_iter().next().ok_or(Problem::Internal)
    }

    /// Who changes things here, and when.
    fn author(&self) -> Author {
        Author {
            at: self.now,
            actor: self.changed_by.clone().unwrap_or_else(|| self.actor_id.clone()),
            key: self.caller.owner(),
        }
    }
}

fn read(draft: &Draft) -> Result<Record, Problem> {
    Record::read(draft.kind, &draft.id, 1, &draft.document).map_err(|bad| Problem::Form(bad.into()))
}

/// What the budget says that a record is to refer to, be it of the same change.
fn budget_within(
    directory: &Directory,
    change: &Change,
    record: &Record,
    old: Option<&Arc<Record>>,
) -> Result<Option<Limits>, Problem> {
    let Some(id) = &record.parents.budget else { return Ok(None) };
    let made = change.puts.iter().find(|put| put.draft.kind == Kind::Budget && *put.draft.id == **id);
    if let Some(made) = made {
        return Ok(Some(read(&made.draft)?.limits));
    }
    let known = directory.get(Kind::Budget, id);
    let had_it = old.is_some_and(|old| old.parents.budget.as_ref() == Some(id));
    if known.is_none() && !had_it {
        return Err(Problem::Missing("budget_id", format!("Budget={id} not found")));
    }
    Ok(known.map(|budget| budget.limits.clone()))
}

/// Whether a record belongs to whom it belonged to before.
fn is_same_place(old: &Record, new: &Record) -> bool {
    let place = |record: &Record| {
        let Parents { user, team, project, organization, .. } = record.parents.clone();
        [user, team, project, organization]
    };
    place(old) == place(new)
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn fresh_id() -> String {
    crate::pipeline::random_uuid().to_str().unwrap_or_default().to_owned()
}

/// 256 random bits, of the system's own source.
pub(crate) fn random_bits() -> Result<[u8; 32], Problem> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|error| {
        tracing::error!(%error, "the system gives no random bits");
        Problem::Internal
    })?;
    Ok(bits)
}
