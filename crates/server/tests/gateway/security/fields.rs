//! Every member that anything has, sent to every route that makes or changes something, by those who do not administer the
//! gateway: what is taken is what `fields.txt` lists for each, and nothing else changes.
//!
//! Members are those of all forms, the columns of every kind of record as the operator is shown them, and each of them
//! within `metadata`, where some are read too. Each is asked for what its thief would ask.

use super::world::World;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_identity::form::{Place, Want, tables};
use tollgate_identity::secret::Token;

const TAKEN: &str = include_str!("fields.txt");
/// What changes with everything, or is drawn for each.
const VOLATILE: [&str; 11] = [
    "updated_at",
    "updated_by",
    "created_at",
    "created_by",
    "token",
    "key_name",
    "rotation_count",
    "key_rotation_at",
    "last_rotation_at",
    "settings_updated_at",
    "budget_began_at",
];
/// Columns of LiteLLM's tables that no form and no reply here has.
const COLUMNS: [&str; 24] = [
    "spend",
    "total_spend",
    "model_spend",
    "budget_reset_at",
    "user_role",
    "role",
    "owner",
    "is_admin",
    "created_by",
    "created_at",
    "updated_by",
    "token",
    "key_name",
    "organization_memberships",
    "teams",
    "password",
    "sso_user_id",
    "members_with_roles",
    "admins",
    "version",
    "kind",
    "id",
    "litellm_budget_table",
    "object_permission_id",
];

/// What metadata says that something follows from, though no form has it as a member.
const WITHIN: [&str; 5] =
    ["critical", "budget_tiers", "service_account_id", "team_member_budget_id", "disable_global_guardrails"];

/// What somebody does with what is its own.
struct Deed {
    who: &'static str,
    method: &'static str,
    target: String,
    body: Value,
}

fn deed(who: &'static str, method: &'static str, target: impl Into<String>, body: Value) -> Deed {
    Deed { who, method, target: target.into(), body }
}

fn deeds(world: &World) -> Vec<Deed> {
    let token = |who: &str| Token::of(world.key(who).as_bytes()).as_str().to_owned();
    let place = |user: &str| json!({"team_id": "team-a", "user_id": user});
    let seat = |user: &str| json!({"organization_id": "org-a", "user_id": user});
    vec![
        deed("bare-a", "POST", "/key/update", json!({"key": token("bare-a")})),
        deed("team-a", "POST", "/team/update", json!({"team_id": "team-a"})),
        deed("reader", "POST", "/user/update", json!({"user_id": "reader"})),
        deed("alone-a", "POST", "/key/generate", json!({})),
        deed("alone-a", "POST", "/key/update", json!({"key": token("victim-alone")})),
        deed(
            "alone-a",
            "POST",
            "/key/regenerate",
            json!({"key": token("fresh-alone"), "grace_period": "0s"}),
        ),
        deed("alone-a", "POST", "/user/update", json!({"user_id": "alone-a"})),
        deed("alone-a", "POST", "/user/new", json!({"user_id": "new-user", "auto_create_key": false})),
        deed("alone-a", "POST", "/team/new", json!({"team_id": "new-team"})),
        deed("member-a", "POST", "/user/update", json!({"user_id": "member-a"})),
        deed("member-team-a", "POST", "/key/update", json!({"key": token("victim-member")})),
        deed("member-a", "POST", "/team/member_update", place("member-a")),
        deed("member-a", "PATCH", "/organization/member_update", seat("member-a")),
        deed("permitted", "POST", "/key/generate", json!({"team_id": "open-team"})),
        deed("chief-a", "POST", "/key/generate", json!({"team_id": "team-a"})),
        deed("chief-a", "POST", "/key/service-account/generate", json!({"team_id": "team-a"})),
        deed("chief-a", "POST", "/key/update", json!({"key": token("victim-member")})),
        deed("chief-a", "POST", "/team/update", json!({"team_id": "team-a"})),
        deed("chief-a", "PATCH", "/team/team-a", json!({})),
        deed("chief-a", "POST", "/team/member_update", place("member-a")),
        deed("chief-a", "POST", "/team/member_update", place("chief-a")),
        deed("chief-a", "POST", "/project/update", json!({"project_id": "project-a"})),
        deed("chief-a", "POST", "/model/update", json!({"model_info": {"id": "model-a"}})),
        deed("boss-a", "PATCH", "/organization/update", json!({"organization_id": "org-a"})),
        deed("boss-a", "PATCH", "/v2/organization/org-a", json!({})),
        deed("boss-a", "PATCH", "/organization/member_update", seat("boss-a")),
        deed("boss-a", "POST", "/team/update", json!({"team_id": "team-a"})),
        deed("boss-a", "POST", "/user/update", json!({"user_id": "member-a"})),
        deed("boss-a", "POST", "/user/update", json!({"user_id": "boss-a"})),
        deed("boss-a", "POST", "/key/update", json!({"key": token("victim-member")})),
    ]
}

/// What a thief would have there.
fn loot(name: &str, want: Option<Want>) -> Value {
    match name {
        "user_id" | "owner" | "created_by" => json!("admin"),
        "team_id" => json!("open-team"),
        "organization_id" => json!("org-b"),
        "project_id" => json!("project-b"),
        "budget_id" | "team_member_budget_id" => json!("budget-b"),
        "user_role" => json!("proxy_admin"),
        "role" => json!("admin"),
        "allowed_routes" | "team_member_permissions" => json!(["/key/generate"]),
        "organizations" => json!(["org-b"]),
        "teams" => json!(["team-b"]),
        "critical" => json!(true),
        "key" | "new_key" | "token" => json!("sk-a-chosen-one-of-40-letters-7Hs8Kq2Lw9Z"),
        _ => match want {
            Some(Want::Texts) => json!(["chat"]),
            Some(Want::Money) => json!(900),
            Some(Want::Count) => json!(90),
            Some(Want::Flag) => json!(true),
            Some(Want::Cadence | Want::Lifetime) => json!("90d"),
            Some(Want::Time) => json!("2099-01-01T00:00:00Z"),
            Some(Want::Object | Want::Objects) => json!({"stolen": "yes"}),
            Some(Want::Names) => json!({"stolen": "chat"}),
            Some(Want::Counts) => json!({"chat": 90}),
            Some(Want::Windows) => json!([{"budget_duration": "90d", "max_budget": 900}]),
            Some(Want::ModelBudgets) => json!({"chat": {"budget_limit": 900, "time_period": "90d"}}),
            Some(Want::Words(words)) => json!(words.last().unwrap()),
            Some(Want::Text | Want::Lines | Want::Any) | None => json!("stolen"),
        },
    }
}

/// The name of every member that there is, with what it is where a form says so.
async fn members(world: &World) -> BTreeMap<String, Option<Want>> {
    let mut all: BTreeMap<String, Option<Want>> = BTreeMap::new();
    for row in tables().iter().flat_map(|form| form.rows()) {
        let known = all.entry(row.name.to_owned()).or_default();
        *known = known.filter(|want| *want != Want::Any).or(Some(row.want));
    }
    let mut master = world.line("master");
    let shown = [
        "/key/list?return_full_object=true&size=100",
        "/user/list",
        "/team/list",
        "/organization/list",
        "/project/list",
        "/customer/list",
        "/tag/list",
        "/budget/list",
        "/v1/access_group",
        "/credentials",
        "/v2/model/info",
    ];
    // No form has what only replies have: it is asked for in the long run.
    let is_long = std::env::var_os("TOLLGATE_TEST_LONG").is_some();
    for path in shown.into_iter().filter(|_| is_long) {
        names(&master.good("GET", path, Value::Null).await, &mut all);
    }
    for name in COLUMNS.into_iter().chain(WITHIN) {
        all.entry(name.to_owned()).or_default();
    }
    all
}

/// Members that are read within `metadata` too, and those that only administrators may set.
fn read_within() -> BTreeSet<&'static str> {
    let rows = tables().into_iter().flat_map(|form| form.rows());
    let rows = rows.filter(|row| row.place == Place::Metadata || row.is_for_admins);
    rows.map(|row| row.name).chain(WITHIN).collect()
}

/// The names of an answer's members, of all that lies within it.
fn names(value: &Value, all: &mut BTreeMap<String, Option<Want>>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                all.entry(name.clone()).or_default();
                names(value, all);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, all)),
        _ => {}
    }
}

type Documents = BTreeMap<(String, String), Map<String, Value>>;

/// What is kept, as far as it is known to have changed.
struct Kept {
    documents: Documents,
    revision: i64,
}

impl Kept {
    /// Takes over what has changed, and tells which members of which kinds did: `key.max_budget`. Of what is new, those that
    /// differ from `usual`, what is new where nothing else is asked for.
    async fn differences(&mut self, world: &World, usual: &Documents) -> BTreeSet<String> {
        let changes = world.changes_since(self.revision).await;
        self.revision = changes.revision;
        let mut told = BTreeSet::new();
        for record in changes.written {
            let new: Map<String, Value> = serde_json::from_str(&record.doc).unwrap();
            let at = (record.kind.clone(), record.id.clone());
            let old = self.documents.insert(at, new.clone());
            let old =
                old.or_else(|| usual.get(&(record.kind.clone(), String::new())).cloned()).unwrap_or_default();
            for name in old.keys().chain(new.keys()).filter(|name| !VOLATILE.contains(&name.as_str())) {
                if old.get(name) != new.get(name) {
                    told.insert(format!("{}.{name}", record.kind));
                }
            }
        }
        told.extend(changes.deleted.into_iter().map(|(kind, _)| format!("{kind} is gone")));
        told
    }

    /// What is new since, by its kind alone.
    async fn usual(&mut self, world: &World) -> Documents {
        let before = self.documents.clone();
        self.differences(world, &Documents::new()).await;
        let new = self.documents.iter().filter(|(at, _)| !before.contains_key(*at));
        new.map(|((kind, _), document)| ((kind.clone(), String::new()), document.clone())).collect()
    }
}

/// What of all that is asked for is taken: the members that change, by the member that was sent.
async fn taken(
    world: &World,
    deed: &Deed,
    (members, kept): (&BTreeMap<String, Option<Want>>, &mut Kept),
) -> BTreeSet<String> {
    let mut line = world.line(deed.who);
    // What the deed does without anything else.
    line.ask(deed.method, &deed.target, &deed.body).await;
    let usual = kept.usual(world).await;
    let mut told = BTreeSet::new();
    let within = read_within();
    let ways = members.iter().flat_map(|(name, want)| {
        let inside = within.contains(name.as_str()).then_some((name, want, true));
        [Some((name, want, false)), inside].into_iter().flatten()
    });
    for (name, want, is_within) in ways {
        let mut body = deed.body.clone();
        match is_within {
            false if deed.body.get(name).is_some() => continue,
            false => body[name] = loot(name, *want),
            true => body["metadata"] = json!({name: loot(name, *want)}),
        }
        if line.ask(deed.method, &deed.target, &body).await.status >= 400 {
            continue;
        }
        let differ = kept.differences(world, &usual).await;
        // A text for people to read is one's own, wherever it is.
        let others = differ
            .iter()
            .filter(|change| !change.ends_with(".metadata") && !change.ends_with(&format!(".{name}")));
        let others: Vec<&str> = others.map(String::as_str).collect();
        let sent = if is_within { format!("metadata.{name}") } else { name.clone() };
        if !differ.is_empty() {
            told.insert(if others.is_empty() { sent } else { format!("{sent}>{}", others.join(",")) });
        }
    }
    // What is refused changes nothing either.
    let differ = kept.differences(world, &usual).await;
    assert!(differ.is_empty(), "{} {}: {differ:?}", deed.who, deed.target);
    told
}

#[tokio::test]
async fn nobody_takes_a_member_that_is_not_for_them() {
    let mut world = World::open("").await;
    let mut master = world.line("master");
    world.give(&mut master, "victim-alone", json!({"user_id": "alone-a"})).await;
    world.give(&mut master, "fresh-alone", json!({"user_id": "alone-a"})).await;
    world.give(&mut master, "victim-member", json!({"user_id": "member-a", "team_id": "team-a"})).await;
    let members = members(&world).await;
    assert!(members.len() > 150, "{}", members.len());
    let mut told = Vec::new();
    let mut kept = Kept { documents: Documents::new(), revision: 0 };
    kept.differences(&world, &Documents::new()).await;
    for deed in deeds(&world) {
        let taken = taken(&world, &deed, (&members, &mut kept)).await;
        let taken: Vec<String> = taken.into_iter().collect();
        told.push(
            format!("{} {} {}: {}", deed.who, deed.method, deed.target, taken.join(" "))
                .trim_end()
                .to_owned(),
        );
    }
    let expected: Vec<&str> = TAKEN.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(told, expected, "\n{}\n", told.join("\n"));
    world.close().await;
}
