//! All records, in memory, with who belongs to whom.
//!
//! Leaves keeping them to others. **Invariant:** a record's limits are its own and, where it says nothing, those of the
//! budget that it refers to, also after that budget has changed.

use crate::document::BadMember;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::record::Record;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Whom something belongs to.
type Parent = (Kind, Arc<str>);

/// All records.
#[derive(Debug, Default)]
pub struct Directory {
    records: HashMap<Kind, HashMap<Arc<str>, Arc<Record>>>,
    children: HashMap<Parent, BTreeSet<(Kind, Arc<str>)>>,
    access_group_changes: u64,
}

/// A key, and everybody above it.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key.
    pub key: Arc<Record>,
    /// The user that it belongs to.
    pub user: Option<Arc<Record>>,
    /// The team.
    pub team: Option<Arc<Record>>,
    /// The user within the team.
    pub member: Option<Arc<Record>>,
    /// The project.
    pub project: Option<Arc<Record>>,
    /// The organization.
    pub organization: Option<Arc<Record>>,
    /// The user within the organization.
    pub organization_member: Option<Arc<Record>>,
}

impl Holder {
    /// The key, and everybody above it, from the key on.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let within = [&self.member, &self.organization_member];
        let above = within.into_iter().chain([&self.user, &self.project, &self.team, &self.organization]);
        std::iter::once(&self.key).chain(above.flatten())
    }
}

impl Directory {
    /// The record of this id.
    pub fn get(&self, kind: Kind, id: &str) -> Option<&Arc<Record>> {
        self.records.get(&kind)?.get(id)
    }

    /// All of a kind, in no order.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Arc<Record>> {
        self.records.get(&kind).into_iter().flat_map(HashMap::values)
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.records.get(&kind).map_or(0, HashMap::len)
    }

    /// How often an access group was taken in or out: what is made of all of them is good while this stays the same.
    pub fn access_group_changes(&self) -> u64 {
        self.access_group_changes
    }

    /// Whether somebody else than this record refers to the budget.
    pub fn is_shared(&self, budget: &str, owner: &Record) -> bool {
        let users = self.children.get(&(Kind::Budget, Arc::from(budget)));
        users.into_iter().flatten().any(|(kind, id)| (*kind, id) != (owner.kind, &owner.id))
    }

    /// Everybody who refers to a budget.
    pub fn users_of_budget(&self, budget: &str) -> impl Iterator<Item = &Arc<Record>> {
        let users = self.children.get(&(Kind::Budget, Arc::from(budget)));
        users.into_iter().flatten().filter_map(|(kind, id)| self.get(*kind, id))
    }

    /// What belongs to someone, of one kind, by id.
    pub fn children(&self, kind: Kind, id: &str, wanted: Kind) -> impl Iterator<Item = &Arc<Record>> {
        let children = self.children.get(&(kind, Arc::from(id)));
        children
            .into_iter()
            .flatten()
            .filter(move |(kind, _)| *kind == wanted)
            .filter_map(|(kind, id)| self.get(*kind, id))
    }

    /// A key, and everybody above it as they are now.
    pub fn holder(&self, token: &str) -> Option<Holder> {
        let key = self.get(Kind::Key, token)?;
        Some(self.above(key))
    }

    /// Everybody above a key.
    pub fn above(&self, key: &Arc<Record>) -> Holder {
        let find = |kind, id: Option<&Arc<str>>| id.and_then(|id| self.get(kind, id)).map(Arc::clone);
        let parents = &key.parents;
        let project = find(Kind::Project, parents.project.as_ref());
        let team =
            parents.team.as_ref().or(project.as_ref().and_then(|project| project.parents.team.as_ref()));
        let team = find(Kind::Team, team);
        let organization = team.as_ref().and_then(|team| team.parents.organization.as_ref());
        // What is in a team is in the team's organization, whatever it says itself.
        let organization = find(Kind::Organization, organization.or(parents.organization.as_ref()));
        let place = |kind, of: &Option<Arc<Record>>| {
            self.get(kind, &member_id(&of.as_ref()?.id, parents.user.as_ref()?)).map(Arc::clone)
        };
        let member = place(Kind::Member, &team);
        let organization_member = place(Kind::OrganizationMember, &organization);
        let user = find(Kind::User, parents.user.as_ref());
        Holder { key: Arc::clone(key), user, team, member, project, organization, organization_member }
    }

    /// Takes a record in, in place of one of the same id. Those whose limits it changes by that are returned with it: of a
    /// budget, all that refer to it.
    ///
    /// # Errors
    /// Where a record that refers to the budget cannot be read again.
    pub fn put(&mut self, mut record: Record) -> Result<Vec<Arc<Record>>, BadMember> {
        self.forget(record.kind, &record.id);
        self.access_group_changes += u64::from(record.kind == Kind::AccessGroup);
        let shared = record.parents.budget.as_ref().and_then(|id| self.get(Kind::Budget, id));
        if let Some(shared) = shared {
            record.limits = std::mem::take(&mut record.limits).or(&shared.limits);
        }
        let child = (record.kind, Arc::clone(&record.id));
        for (kind, slot) in record.parents.of_kinds() {
            let Some(id) = slot else { continue };
            let siblings = self.children.entry((kind, Arc::clone(id)));
            // An id that many refer to is there once.
            *id = Arc::clone(&siblings.key().1);
            siblings.or_default().insert(child.clone());
        }
        let record = Arc::new(record);
        self.records.entry(record.kind).or_default().insert(Arc::clone(&record.id), Arc::clone(&record));
        let mut changed = vec![record];
        if changed.first().is_some_and(|record| record.kind == Kind::Budget) {
            changed.extend(self.reread_users_of_first(&changed)?);
        }
        Ok(changed)
    }

    /// Takes a record out.
    pub fn remove(&mut self, kind: Kind, id: &str) -> Option<Arc<Record>> {
        let removed = self.get(kind, id).map(Arc::clone);
        self.access_group_changes += u64::from(kind == Kind::AccessGroup);
        self.forget(kind, id);
        removed
    }

    fn forget(&mut self, kind: Kind, id: &str) {
        let Some(old) = self.records.get_mut(&kind).and_then(|records| records.remove(id)) else { return };
        for parent in parents(&old) {
            let Some(children) = self.children.get_mut(&parent) else { continue };
            children.remove(&(kind, Arc::clone(&old.id)));
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
    }

    fn reread_users_of_first(&mut self, budget: &[Arc<Record>]) -> Result<Vec<Arc<Record>>, BadMember> {
        let Some(budget) = budget.first() else { return Ok(Vec::new()) };
        let users = self.children.get(&(Kind::Budget, Arc::clone(&budget.id))).cloned().unwrap_or_default();
        let mut changed = Vec::new();
        for (kind, id) in users {
            let Some(user) = self.get(kind, &id) else { continue };
            let mut user = Record::clone(user);
            user.limits = Limits::read(&user.document())?.or(&budget.limits);
            let user = Arc::new(user);
            self.records.entry(kind).or_default().insert(id, Arc::clone(&user));
            changed.push(user);
        }
        Ok(changed)
    }
}

/// The id of a user within a team or an organization.
pub fn member_id(group: &str, user: &str) -> String {
    format!("{group}/{user}")
}

/// Whom a record belongs to. A team's id may have a slash, so that of a member is in its document.
fn parents(record: &Record) -> impl Iterator<Item = Parent> {
    let mut parents = record.parents.clone();
    let rows = parents.of_kinds().map(|(kind, id)| id.take().map(|id| (kind, id)));
    rows.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use serde_json::{Value, json};
    use tollgate_catalog::PicoDollars;

    fn record(kind: Kind, id: &str, value: Value) -> Record {
        let Value::Object(members) = value else { panic!("an object") };
        Record::read(kind, id, 1, &Document(members)).unwrap()
    }

    fn directory() -> Directory {
        let mut directory = Directory::default();
        let rows = [
            (Kind::Organization, "o", json!({})),
            (Kind::Budget, "b", json!({"max_budget": 5})),
            (Kind::Team, "t", json!({"organization_id": "o", "budget_id": "b"})),
            (Kind::User, "u", json!({})),
            (Kind::Member, "t/u", json!({"team_id": "t", "user_id": "u"})),
            (Kind::Project, "p", json!({"team_id": "t"})),
            (Kind::Key, "k", json!({"user_id": "u", "project_id": "p", "team_id": "t"})),
            (Kind::Key, "alone", json!({})),
        ];
        for (kind, id, value) in rows {
            directory.put(record(kind, id, value)).unwrap();
        }
        directory
    }

    #[test]
    fn a_key_is_found_with_everybody_above_it() {
        let directory = directory();
        let holder = directory.holder("k").unwrap();
        let names: Vec<_> = holder.records().map(|record| (record.kind, record.id.to_string())).collect();
        let wanted = [
            (Kind::Key, "k"),
            (Kind::Member, "t/u"),
            (Kind::User, "u"),
            (Kind::Project, "p"),
            (Kind::Team, "t"),
            (Kind::Organization, "o"),
        ];
        assert_eq!(names, wanted.map(|(kind, id)| (kind, id.to_owned())));
        assert_eq!(directory.holder("alone").unwrap().records().count(), 1);
        assert!(directory.holder("nobody").is_none());
    }

    #[test]
    fn who_belongs_to_someone_is_known_and_forgotten() {
        let mut directory = directory();
        let keys = |directory: &Directory| {
            let keys = directory.children(Kind::Team, "t", Kind::Key);
            keys.map(|key| key.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&directory), ["k"]);
        directory.put(record(Kind::Key, "k", json!({"user_id": "u"}))).unwrap();
        assert!(keys(&directory).is_empty());
        assert_eq!(directory.children(Kind::User, "u", Kind::Key).count(), 1);
        assert!(directory.remove(Kind::Key, "k").is_some());
        assert_eq!(directory.children(Kind::User, "u", Kind::Key).count(), 0);
        assert!(directory.remove(Kind::Key, "k").is_none());
    }

    #[test]
    fn a_budget_is_shared_while_somebody_else_refers_to_it() {
        let mut directory = directory();
        let team = Arc::clone(directory.get(Kind::Team, "t").unwrap());
        assert!(!directory.is_shared("b", &team));
        directory.put(record(Kind::Key, "alone", json!({"budget_id": "b"}))).unwrap();
        assert!(directory.is_shared("b", &team));
        assert_eq!(directory.users_of_budget("b").count(), 2);
        assert_eq!(directory.users_of_budget("none").count(), 0);
    }

    #[test]
    fn an_id_that_many_refer_to_is_there_once() {
        let mut directory = directory();
        for key in ["k1", "k2"] {
            directory.put(record(Kind::Key, key, json!({"team_id": "t2", "user_id": "u"}))).unwrap();
        }
        let team = |key: &str| directory.get(Kind::Key, key).unwrap().parents.team.clone().unwrap();
        assert!(Arc::ptr_eq(&team("k1"), &team("k2")));
        assert_eq!(directory.children(Kind::Team, "t2", Kind::Key).count(), 2);
    }

    #[test]
    fn changes_of_access_groups_are_counted() {
        let mut directory = directory();
        assert_eq!(directory.access_group_changes(), 0);
        directory.put(record(Kind::AccessGroup, "g", json!({"models": ["a"]}))).unwrap();
        directory.remove(Kind::AccessGroup, "g");
        assert_eq!(directory.access_group_changes(), 2);
    }

    #[test]
    fn a_budget_that_changes_changes_all_who_refer_to_it() {
        let mut directory = directory();
        let limit = |directory: &Directory| directory.get(Kind::Team, "t").unwrap().limits.budget;
        assert_eq!(limit(&directory), Some(PicoDollars(5_000_000_000_000)));
        let changed = directory.put(record(Kind::Budget, "b", json!({"max_budget": 7}))).unwrap();
        let changed: Vec<_> = changed.iter().map(|record| record.kind).collect();
        assert_eq!(changed, [Kind::Budget, Kind::Team]);
        assert_eq!(limit(&directory), Some(PicoDollars(7_000_000_000_000)));
        directory.put(record(Kind::Team, "t", json!({"budget_id": "b", "max_budget": 2}))).unwrap();
        directory.put(record(Kind::Budget, "b", json!({"max_budget": 9}))).unwrap();
        assert_eq!(limit(&directory), Some(PicoDollars(2_000_000_000_000)));
    }
}
