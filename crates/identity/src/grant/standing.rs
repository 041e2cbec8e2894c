//! What a key may do at this moment: the meet of its own record and of all above it.
//!
//! Runs for each request, so it takes no memory unless it refuses. **Invariant:** who belongs to a team, a project or an
//! organization that is gone is not let in: what held it is not there to ask.

use super::denied::Denied;
use super::groups::AccessGroups;
use crate::directory::Holder;
use crate::kind::Kind;
use crate::record::Record;
use crate::role::Call;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_policy::clock::Wall;

/// A key that may be used, with everybody above it.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    holder: &'a Holder,
}

impl<'a> Standing<'a> {
    /// Whether a key may be used at all.
    ///
    /// # Errors
    /// Where it or anybody above it is blocked, no longer valid, or gone.
    pub fn of(holder: &'a Holder, now: Wall) -> Result<Self, Denied> {
        for record in holder.records() {
            if record.is_blocked {
                return Err(Denied::Blocked { kind: record.kind, id: record.id.to_string() });
            }
            if let Some(since) = record.expires.filter(|expires| *expires <= now) {
                return Err(expired(holder, since, now));
            }
        }
        let key = &holder.key.parents;
        let gone = [
            (Kind::Team, &key.team, holder.team.is_some()),
            (Kind::Project, &key.project, holder.project.is_some()),
            (Kind::Organization, &key.organization, holder.organization.is_some()),
        ];
        let of_team = holder.team.as_ref().map(|team| &team.parents.organization);
        let of_team = of_team.map(|id| (Kind::Organization, id, holder.organization.is_some()));
        let of_project = holder.project.as_ref().map(|project| &project.parents.team);
        let of_project = of_project.map(|id| (Kind::Team, id, holder.team.is_some()));
        for (kind, id, is_there) in gone.into_iter().chain(of_team).chain(of_project) {
            if let Some(id) = id.as_ref().filter(|_| !is_there) {
                return Err(Denied::Gone { kind, id: id.to_string() });
            }
        }
        Ok(Self { holder })
    }

    /// The key, and everybody above it.
    pub fn holder(self) -> &'a Holder {
        self.holder
    }

    /// Whether a route may be called.
    ///
    /// # Errors
    /// With the routes that may be.
    pub fn route(self, call: &Call<'_>) -> Result<(), Denied> {
        let Some(record) = self.holder.records().find(|record| !record.reach.allows(call)) else {
            return Ok(());
        };
        let names = record.reach.routes.names().map(str::to_owned);
        let kind = Some(record.reach.key_type).filter(|kind| !kind.groups().meet(call.groups));
        let allowed = names.chain(kind.map(|kind| kind.word().to_owned())).collect();
        Err(Denied::Route { allowed, path: call.path.to_owned() })
    }

    /// Whether a caller may come from there.
    ///
    /// # Errors
    /// Where it may not.
    pub fn address(self, address: IpAddr) -> Result<(), Denied> {
        let is_allowed = |record: &Arc<Record>| record.reach.networks.allow(address);
        if self.holder.records().all(is_allowed) { Ok(()) } else { Err(Denied::Address(address)) }
    }

    /// The model that a name stands for here, by the aliases of the key and of its team.
    pub fn target<'m>(self, asked: &'m str) -> &'m str
    where
        'a: 'm,
    {
        let of_team = || self.holder.team.as_ref().and_then(|team| team.reach.alias(asked));
        self.holder.key.reach.alias(asked).or_else(of_team).unwrap_or(asked)
    }

    /// Whether a model may be used; then what it stands for.
    ///
    /// # Errors
    /// With whose list does not have it.
    pub fn model<'m>(self, asked: &'m str, groups: &AccessGroups) -> Result<&'m str, Denied>
    where
        'a: 'm,
    {
        let target = self.target(asked);
        match self.refusing(asked, target, groups) {
            None => Ok(target),
            Some(kind) => Err(Denied::Model { kind, model: asked.to_owned() }),
        }
    }

    /// Whether a model may be used, for lists of models.
    pub fn has_model(self, asked: &str, groups: &AccessGroups) -> bool {
        self.refusing(asked, self.target(asked), groups).is_none()
    }

    /// Whose list does not have a model. The alias of a key counts as its name for that key alone, that of a team for
    /// what is within the team; all above are asked for what it stands for. A user's list is for keys without a team, as
    /// in LiteLLM.
    fn refusing(self, asked: &str, target: &str, groups: &AccessGroups) -> Option<Kind> {
        let holder = self.holder;
        let is_alias = target != asked;
        let by_key = is_alias && holder.key.reach.alias(asked).is_some();
        let by_team = is_alias && !by_key;
        let user = holder.user.as_ref().filter(|_| holder.team.is_none());
        let chain = [
            (Some(&holder.key), is_alias),
            (holder.member.as_ref(), by_team),
            (holder.team.as_ref(), by_team),
            (holder.project.as_ref(), by_team),
            (user, false),
            (holder.organization.as_ref(), false),
        ];
        let refuses = |(record, by_name): (Option<&'a Arc<Record>>, bool)| {
            let record = record?;
            let allows = groups.allow(record, target) || (by_name && groups.allow(record, asked));
            (!allows).then_some(record.kind)
        };
        chain.into_iter().find_map(refuses)
    }
}

/// Whether an end user may be served, and a model by it. It stands beside the chain of the key that calls for it.
///
/// # Errors
/// Where it is blocked, or does not have the model.
pub fn customer_may(customer: &Record, model: &str, groups: &AccessGroups) -> Result<(), Denied> {
    if customer.is_blocked {
        return Err(Denied::Blocked { kind: Kind::Customer, id: customer.id.to_string() });
    }
    if groups.allow(customer, model) {
        return Ok(());
    }
    Err(Denied::Model { kind: Kind::Customer, model: model.to_owned() })
}

fn expired(holder: &Holder, since: Wall, now: Wall) -> Denied {
    let token = &holder.key.id;
    let last = token.len().checked_sub(4).and_then(|at| token.get(at..)).unwrap_or_default();
    Denied::Expired { key: format!("sk-...{last}"), since, now }
}
