//! What a record grants, that a child grants no more than its parents, and what is left of it all when it is used.
//!
//! Owns the comparison at creation and change ([`Grant::within`]) and the meet of a key's whole chain at use
//! ([`Standing`]). Leaves money and rates at use to the accounts, where each of the chain has its own. **Invariant:** what
//! a chain lets through, each of its records lets through, as they are at that moment: a parent that shrinks takes its
//! children with it.

mod denied;
mod groups;
mod networks;
mod numbers;
mod reach;
mod standing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;

pub use denied::Denied;
pub use groups::AccessGroups;
pub use networks::Networks;
pub use reach::{Aliases, Reach};
pub use standing::{Standing, customer_may};

use crate::directory::Directory;
use crate::kind::Kind;
use crate::limits::{Critical, OwnTiers};
use crate::models::Models;
use crate::record::Record;
use std::sync::Arc;

/// LiteLLM's word for what the team has.
const TEAMS_MODELS: &str = "all-team-models";

/// What a child has and its parent has not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{member}' exceeds that of the {whose}: {limit}")]
pub struct Exceeds {
    /// The child's member.
    pub member: String,
    /// What the parent has of it.
    pub limit: String,
    /// The parent: its kind, and what people know it by.
    pub whose: String,
}

/// A record that another is held to.
#[derive(Debug, Clone)]
pub struct Parent {
    record: Arc<Record>,
    /// Whether it is in the child's chain, so that it is asked at use as well.
    is_above: bool,
    /// Whether its list of models counts: that of a user counts for keys without a team.
    has_models: bool,
}

impl Parent {
    /// A record in the child's chain: where the child says nothing, the parent's word holds at use.
    pub fn above(record: &Arc<Record>) -> Self {
        Self { record: Arc::clone(record), is_above: true, has_models: true }
    }

    /// The key by which the child is made or changed. It is not asked when the child is used, so the child must say itself
    /// what it is held to.
    pub fn creator(record: &Arc<Record>) -> Self {
        Self { record: Arc::clone(record), is_above: false, has_models: true }
    }
}

/// What a record grants.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a>(&'a Record);

impl<'a> Grant<'a> {
    /// The grant of a record.
    pub fn of(record: &'a Record) -> Self {
        Self(record)
    }

    /// Those above a record as they are now, for [`Grant::within`].
    pub fn parents(self, directory: &Directory) -> Vec<Parent> {
        if self.0.kind == Kind::Key {
            let holder = directory.above(&Arc::new(self.0.clone()));
            let has_team = holder.team.is_some();
            let above = holder.records().filter(|record| record.kind != Kind::Key);
            return above
                .map(|record| Parent {
                    has_models: record.kind != Kind::User || !has_team,
                    ..Parent::above(record)
                })
                .collect();
        }
        let parents = &self.0.parents;
        let team = parents.team.as_ref().and_then(|id| directory.get(Kind::Team, id));
        let of_team = team.and_then(|team| team.parents.organization.as_ref());
        let organization = parents.organization.as_ref().or(of_team);
        let organization = organization.and_then(|id| directory.get(Kind::Organization, id));
        // A user may be in many organizations, and is held to each where it acts within it.
        let has_parents = matches!(self.0.kind, Kind::Team | Kind::Project | Kind::Member);
        [team, organization].into_iter().flatten().filter(|_| has_parents).map(Parent::above).collect()
    }

    /// Whether each parent grants all of this. Asked when a record is made and when it is changed.
    ///
    /// # Errors
    /// The first member that exceeds, with the parent's value.
    pub fn within(self, parents: &[Parent], groups: &AccessGroups) -> Result<(), Exceeds> {
        parents.iter().try_for_each(|parent| {
            let exceeds = |member: &str, limit: String| Exceeds {
                member: member.to_owned(),
                limit,
                whose: format!("{} '{}'", parent.record.kind.word(), parent.record.name()),
            };
            self.lists(parent, groups).map_err(|(member, limit)| exceeds(member, limit))?;
            numbers::within(self.0, &parent.record, !parent.is_above)
                .map_err(|(member, limit)| exceeds(&member, limit))?;
            if parent.is_above {
                return Ok(());
            }
            self.privileges(&parent.record).map_err(|(member, limit)| exceeds(member, limit))
        })
    }

    /// Models, routes and networks.
    fn lists(self, parent: &Parent, groups: &AccessGroups) -> Result<(), (&'static str, String)> {
        let (child, must_say) = (self.0, !parent.is_above);
        let reach = (&child.reach, &parent.record.reach);
        let models = &parent.record.models;
        if parent.has_models && !models.is_unlimited() {
            for (member, holds) in self.models(parent, groups) {
                if !holds {
                    return Err((member, models.names().collect::<Vec<_>>().join(", ")));
                }
            }
        }
        let silent = must_say && reach.0.routes.is_unlimited() && !reach.1.routes.is_unlimited();
        if silent || !reach.0.routes.are_within(&reach.1.routes) {
            return Err(("allowed_routes", reach.1.routes.names().collect::<Vec<_>>().join(", ")));
        }
        if must_say && !reach.0.key_type.groups().are_within(reach.1.key_type.groups()) {
            return Err(("key_type", reach.1.key_type.word().to_owned()));
        }
        let silent = must_say && reach.0.networks.is_unlimited() && !reach.1.networks.is_unlimited();
        if silent || !reach.0.networks.are_within(&reach.1.networks) {
            return Err(("allowed_ips", reach.1.networks.names().collect::<Vec<_>>().join(", ")));
        }
        Ok(())
    }

    /// Whether the parent has the models that the child lists, those that its aliases stand for, and those of its groups.
    fn models(self, parent: &Parent, groups: &AccessGroups) -> [(&'static str, bool); 3] {
        let (child, holder) = (self.0, &parent.record);
        let must_say = !parent.is_above;
        // What "the team's" are is the same for both only within one team; in the chain the team is asked itself.
        let same_team = parent.is_above || child.parents.team == holder.parents.team;
        let listed = holder.models.names().filter(|name| same_team || *name != TEAMS_MODELS);
        let listed: Vec<&str> = listed.collect();
        let granted = Models::new(listed.iter().copied());
        let is_granted = |model: &str| {
            if must_say && model == TEAMS_MODELS {
                return same_team && listed.contains(&TEAMS_MODELS);
            }
            // A list without names would be all models.
            (!listed.is_empty() && Models::new([model]).are_within(&granted))
                || groups.of(model).any(|group| {
                    listed.contains(&group) || holder.reach.groups.iter().any(|own| **own == *group)
                })
        };
        let is_grouped = |group: &str| {
            holder.reach.groups.iter().any(|own| **own == *group) || groups.models_of(group).all(is_granted)
        };
        let is_silent = must_say && child.models.is_unlimited();
        [
            ("models", !is_silent && child.models.names().all(is_granted)),
            ("aliases", child.reach.aliases.iter().all(|(_, target)| is_granted(target))),
            ("access_group_ids", child.reach.groups.iter().all(|group| is_grouped(group))),
        ]
    }

    /// What only some have at all, and hand on only where they have it themselves.
    fn privileges(self, parent: &Record) -> Result<(), (&'static str, String)> {
        let (child, parent_reach) = (&self.0.reach, &parent.reach);
        if child.permissions.iter().any(|given| !parent_reach.permissions.contains(given)) {
            return Err(("permissions", parent_reach.permissions.join(", ")));
        }
        if child.is_unguarded && !parent_reach.is_unguarded {
            return Err(("disable_global_guardrails", "false".to_owned()));
        }
        let (own, theirs) = (self.0.limits.critical, parent.limits.critical);
        if own != Critical::Never && own != theirs && theirs != Critical::Always {
            return Err(("metadata.critical", "false".to_owned()));
        }
        let tiers = &self.0.limits.tiers;
        if *tiers != parent.limits.tiers && **tiers != OwnTiers::default() {
            return Err(("metadata.budget_tiers", "other tiers".to_owned()));
        }
        Ok(())
    }
}
