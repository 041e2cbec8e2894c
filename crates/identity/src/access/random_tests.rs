//! Random organizations, held against an oracle that knows who is whose from the draw alone: nobody sees or changes what
//! neither belongs to it nor lies below what it administers.

use super::*;
use crate::directory::Directory;
use crate::document::Document;
use crate::kind::Kind;
use crate::record::Record;
use crate::role::Actor;
use proptest::prelude::*;
use serde_json::{Value, json};

const ORGANIZATIONS: usize = 3;
const TEAMS: usize = 4;
const USERS: usize = 5;
const PROJECTS: usize = 3;
const KEYS: usize = 6;
/// The roles of users; most administer nothing.
const ROLES: [&str; 6] =
    ["internal_user", "internal_user", "internal_user_viewer", "customer", "org_admin", "proxy_admin"];

/// Whose a key is.
#[derive(Debug, Clone, Copy)]
struct Key {
    user: Option<usize>,
    team: Option<usize>,
    project: Option<usize>,
    organization: Option<usize>,
}

/// Who is whose.
#[derive(Debug, Clone)]
struct World {
    /// The organization of each team.
    teams: Vec<Option<usize>>,
    roles: Vec<usize>,
    /// Of each team and user: not in it, in it, its administrator.
    members: Vec<u8>,
    /// Of each organization and user.
    organization_members: Vec<u8>,
    /// The team of each project.
    projects: Vec<usize>,
    keys: Vec<Key>,
}

fn world() -> impl Strategy<Value = World> {
    let maybe = |count: usize| proptest::option::of(0..count);
    let relation =
        |count: usize| proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 1..3_u8], count);
    let key =
        (maybe(USERS), maybe(TEAMS), proptest::option::weighted(0.2, 0..PROJECTS), maybe(ORGANIZATIONS));
    let key = key.prop_map(|(user, team, project, organization)| Key { user, team, project, organization });
    let lists = (
        proptest::collection::vec(maybe(ORGANIZATIONS), TEAMS),
        proptest::collection::vec(0..ROLES.len(), USERS),
        relation(TEAMS * USERS),
        relation(ORGANIZATIONS * USERS),
        proptest::collection::vec(0..TEAMS, PROJECTS),
        proptest::collection::vec(key, KEYS),
    );
    lists.prop_map(|(teams, roles, members, organization_members, projects, keys)| World {
        teams,
        roles,
        members,
        organization_members,
        projects,
        keys,
    })
}

impl World {
    fn team_role(&self, team: usize, user: usize) -> u8 {
        self.members[team * USERS + user]
    }

    fn organization_role(&self, organization: usize, user: usize) -> u8 {
        self.organization_members[organization * USERS + user]
    }

    fn is_global(&self, user: usize) -> bool {
        ROLES[self.roles[user]] == "proxy_admin"
    }

    fn key_team(&self, key: Key) -> Option<usize> {
        key.team.or(key.project.map(|project| self.projects[project]))
    }

    fn directory(&self) -> Directory {
        let mut directory = Directory::default();
        let mut put = |kind: Kind, id: String, value: Value| {
            let Value::Object(members) = value else { panic!("an object") };
            let members = members.into_iter().filter(|(_, value)| !value.is_null()).collect();
            directory.put(Record::read(kind, &id, 1, &Document(members)).unwrap()).unwrap();
        };
        let name = |letter: &str, number: usize| format!("{letter}{number}");
        let maybe = |letter: &str, number: Option<usize>| number.map(|number| name(letter, number));
        for organization in 0..ORGANIZATIONS {
            put(Kind::Organization, name("o", organization), json!({}));
            for user in (0..USERS).filter(|user| self.organization_role(organization, *user) > 0) {
                let role = if self.organization_role(organization, user) == 2 {
                    "org_admin"
                } else {
                    "internal_user"
                };
                put(
                    Kind::OrganizationMember,
                    format!("o{organization}/u{user}"),
                    json!({
                        "organization_id": name("o", organization), "user_id": name("u", user), "user_role": role,
                    }),
                );
            }
        }
        for (user, role) in self.roles.iter().enumerate() {
            put(Kind::User, name("u", user), json!({"user_role": ROLES[*role]}));
        }
        for (team, organization) in self.teams.iter().enumerate() {
            let inside = || (0..USERS).filter(|user| self.team_role(team, *user) > 0);
            let role = |user| if self.team_role(team, user) == 2 { "admin" } else { "user" };
            let roles = inside().map(|user| json!({"user_id": name("u", user), "role": role(user)}));
            let roles: Vec<Value> = roles.collect();
            put(
                Kind::Team,
                name("t", team),
                json!({"organization_id": maybe("o", *organization), "members_with_roles": roles}),
            );
            for user in inside() {
                put(
                    Kind::Member,
                    format!("t{team}/u{user}"),
                    json!({"team_id": name("t", team), "user_id": name("u", user)}),
                );
            }
        }
        for (project, team) in self.projects.iter().enumerate() {
            put(Kind::Project, name("p", project), json!({"team_id": name("t", *team)}));
        }
        for (number, key) in self.keys.iter().enumerate() {
            put(
                Kind::Key,
                name("k", number),
                json!({
                    "user_id": maybe("u", key.user), "team_id": maybe("t", key.team), "project_id": maybe("p", key.project),
                    "organization_id": maybe("o", key.organization),
                }),
            );
        }
        directory
    }

    /// Whose a record is: user, team, organizations.
    fn owners(&self, record: &Record) -> (Option<usize>, Option<usize>, Vec<usize>) {
        let numbers: Vec<usize> = record.id.split('/').map(|part| part[1..].parse().unwrap()).collect();
        let number = numbers[0];
        let of_team = |team: usize| self.teams[team].into_iter().collect::<Vec<_>>();
        match record.kind {
            Kind::Organization => (None, None, vec![number]),
            Kind::OrganizationMember => (Some(numbers[1]), None, vec![number]),
            Kind::Team => (None, Some(number), of_team(number)),
            Kind::Member => (Some(numbers[1]), Some(number), of_team(number)),
            Kind::Project => (None, Some(self.projects[number]), of_team(self.projects[number])),
            Kind::User => {
                let organizations = (0..ORGANIZATIONS).filter(|id| self.organization_role(*id, number) > 0);
                (Some(number), None, organizations.collect())
            }
            _ => {
                let key = self.keys[number];
                let team = self.key_team(key);
                (key.user, team, team.map_or_else(|| key.organization.into_iter().collect(), of_team))
            }
        }
    }

    /// Whether the holder of a key may see, and may change, at most.
    fn at_most(&self, key: usize, record: &Record) -> (bool, bool) {
        let own = self.keys[key];
        let is_key = *record.id == *format!("k{key}");
        let (user, team, organizations) = self.owners(record);
        let within = self.key_team(own);
        if within.is_some() && within != team {
            return (is_key || (record.kind == Kind::User && own.user == user && user.is_some()), false);
        }
        let Some(me) = own.user else {
            return (
                is_key || (matches!(record.kind, Kind::Team | Kind::Project) && within.is_some()),
                false,
            );
        };
        let heads = |id: &usize| within.is_none() && self.organization_role(*id, me) == 2;
        let team_role = team.map_or(0, |team| self.team_role(team, me));
        let is_mine = user == Some(me);
        let changes =
            (!organizations.is_empty() && organizations.iter().all(heads)) || team_role == 2 || is_mine;
        let changes = changes && user.is_none_or(|user| is_mine || !self.is_global(user));
        let is_open = matches!(record.kind, Kind::Team | Kind::Project) && team_role > 0;
        let in_organization = record.kind == Kind::Organization
            && organizations.iter().any(|id| self.organization_role(*id, me) > 0);
        let sees = organizations.iter().any(heads) || team_role == 2 || is_mine || is_key;
        (sees || is_open || in_organization, changes)
    }
}

fn cases() -> ProptestConfig {
    let long = std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|long| long == "1");
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(if long { 20_000 } else { 1_000 })
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nobody_reaches_beyond_its_own_and_what_it_administers(world in world()) {
        let directory = world.directory();
        for key in 0..KEYS {
            if world.keys[key].user.is_some_and(|user| world.is_global(user)) {
                continue;
            }
            let actor = Actor::of_holder(&directory.holder(&format!("k{key}")).unwrap(), &directory);
            let all = [Kind::Organization, Kind::OrganizationMember, Kind::Team, Kind::Member, Kind::Project, Kind::User,
                Kind::Key];
            for record in all.into_iter().flat_map(|kind| directory.all(kind)) {
                let (sees, changes) = world.at_most(key, record);
                for right in Right::ALL {
                    let most = if right.changes() { changes } else { sees };
                    prop_assert!(most || !actor.may(right, record, &directory), "k{} {:?} {}", key, right, record.id);
                }
            }
        }
    }
}
