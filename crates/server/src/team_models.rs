//! Deployments that belong to a team: what the team calls them, and that nobody else reaches them.
//!
//! Owns the way from a team's name of a model to its group, and from a group or a deployment's id to its team. Leaves to
//! others the lists of models of keys and teams.
//!
//! **Invariant:** a name that leads to a team's deployment is let through for keys of that team alone, whichever name it is:
//! the team's own, that of its group, a pattern's, or a deployment's id.

use std::collections::HashMap;
use tollgate_config::Config;
use tollgate_identity::Holder;
use tollgate_identity::grant::AccessGroups;

/// The deployments of teams.
#[derive(Debug, Default)]
pub(crate) struct TeamModels {
    /// The groups of a team, by the name that it calls them.
    groups: HashMap<String, HashMap<String, String>>,
    /// The team of a group, and its name there; of a deployment's id the team alone.
    teams: HashMap<String, (String, Option<String>)>,
    /// What groups with a star in their names begin with, and whose they are.
    patterns: Vec<(String, String)>,
}

impl TeamModels {
    /// Those of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let mut all = Self::default();
        for deployment in &config.deployments {
            let Some((team, name)) = &deployment.team else { continue };
            let group = &deployment.model_name;
            all.groups.entry(team.clone()).or_default().insert(name.clone(), group.clone());
            all.teams.insert(deployment.id.clone(), (team.clone(), None));
            all.teams.insert(group.clone(), (team.clone(), Some(name.clone())));
            if let Some((before, _)) = group.split_once('*') {
                all.patterns.push((before.to_owned(), team.clone()));
            }
        }
        all
    }

    /// The group that a key's team means by a name, where the lists of the key and of its user in the team have it. The
    /// team's own list is not asked: what belongs to it is its.
    pub(crate) fn of_holder(
        &self,
        holder: &Holder,
        name: &str,
        access_groups: &AccessGroups,
    ) -> Option<String> {
        let groups = self.groups.get(&*holder.team.as_ref()?.id)?;
        let group = match groups.get(name) {
            Some(group) => group.clone(),
            None => groups.iter().find_map(|(pattern, group)| {
                let (before, after) = pattern.split_once('*')?;
                let star = name.strip_prefix(before)?.strip_suffix(after).filter(|star| !star.is_empty())?;
                Some(group.replacen('*', star, 1))
            })?,
        };
        let mut lists = std::iter::once(&holder.key).chain(&holder.member);
        lists.all(|record| access_groups.allow(record, name)).then_some(group)
    }

    /// Whether a name leads to a deployment of a team that is not the caller's; nobody's key has no team.
    pub(crate) fn is_anothers(&self, holder: Option<&Holder>, name: &str) -> bool {
        let by_pattern = || {
            let found = self.patterns.iter().find(|(before, _)| name.starts_with(before.as_str()));
            found.map(|(_, team)| team)
        };
        let team = self.teams.get(name).map(|(team, _)| team).or_else(by_pattern);
        let own = holder.and_then(|holder| holder.team.as_ref());
        team.is_some_and(|team| own.is_none_or(|own| *own.id != **team))
    }

    /// What the team calls a group that is a team's.
    pub(crate) fn public_name(&self, group: &str) -> Option<&str> {
        self.teams.get(group)?.1.as_deref()
    }
}
