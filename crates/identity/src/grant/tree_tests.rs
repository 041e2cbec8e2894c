//! Random trees of grants, held against an oracle that knows sets alone: nobody gets more than each of its chain has.

use super::tests::record;
use super::*;
use crate::role::{Call, Groups};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::LazyLock;
use tollgate_policy::clock::Wall;

/// Every model that is asked for.
const MODELS: [&str; 6] = ["mini", "nano", "large", "openai/o1", "openai/o3", "other"];
/// What lists of models have.
const NAMES: [&str; 10] = [
    "mini",
    "large",
    "openai/o1",
    "other",
    "openai/*",
    "*",
    "fast",
    "all-proxy-models",
    "no-default-models",
    "*o*",
];
/// The groups of models.
const GROUPS: [(&str, &str); 3] = [("fast", "mini"), ("fast", "nano"), ("dear", "large")];
/// Every route that is called.
const CALLS: [&str; 6] =
    ["/v1/chat/completions", "/v1/messages", "/key/generate", "/key/info", "/user/new", "/anthropic/v1/x"];
/// What lists of routes have.
const ROUTES: [&str; 9] = [
    "llm_api_routes",
    "openai_routes",
    "management_routes",
    "info_routes",
    "/key/*",
    "/key/info",
    "/*",
    "/v1/messages",
    "/anthropic",
];
/// Every address that is called from.
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.1.0.1", "192.0.2.1", "2001:db8::1"];
/// What lists of networks have.
const NETWORKS: [&str; 6] = ["10.0.0.0/8", "10.1.0.0/16", "10.0.0.1", "0.0.0.0/0", "::/0", "2001:db8::/32"];
/// What the six records of a chain are, from the top.
const CHAIN: [(Kind, &str); 6] = [
    (Kind::Organization, "o"),
    (Kind::Team, "t"),
    (Kind::User, "u"),
    (Kind::Member, "t/u"),
    (Kind::Project, "p"),
    (Kind::Key, "k"),
];

/// What one record says.
#[derive(Debug, Clone)]
struct Word {
    models: Vec<&'static str>,
    groups: Vec<&'static str>,
    alias: Option<(Index, Index)>,
    routes: Vec<&'static str>,
    networks: Vec<&'static str>,
    budget: Option<u8>,
    rpm: Option<u8>,
    end: Option<u8>,
    is_blocked: bool,
}

fn list(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    // Half of the lists say nothing.
    prop_oneof![Just(Vec::new()), subsequence(of, 1..=4)]
}

fn word() -> impl Strategy<Value = Word> {
    let lists = (list(&NAMES), prop_oneof![4 => Just(Vec::new()), 1 => subsequence(&["fast", "dear"], 1)]);
    let alias = proptest::option::weighted(0.2, (any::<Index>(), any::<Index>()));
    let more = (list(&ROUTES), list(&NETWORKS));
    let small = || proptest::option::of(1_u8..5);
    let numbers = (small(), small(), small(), proptest::bool::weighted(0.03));
    (lists, alias, more, numbers).prop_map(|((models, groups), alias, (routes, networks), numbers)| {
        let (budget, rpm, end, is_blocked) = numbers;
        Word { models, groups, alias, routes, networks, budget, rpm, end, is_blocked }
    })
}

impl Word {
    fn value(&self, kind: Kind, with_team: bool) -> Value {
        let mut value = json!({
            "models": self.models, "access_group_ids": self.groups, "allowed_routes": self.routes,
            "allowed_ips": self.networks, "max_budget": self.budget, "rpm_limit": self.rpm, "blocked": self.is_blocked,
            "expires": self.end.map(|day| format!("2026-12-0{day}T00:00:00Z")),
        });
        let more = match kind {
            Kind::Team => json!({"organization_id": "o"}),
            Kind::Member => json!({"team_id": "t", "user_id": "u"}),
            Kind::Project => json!({"team_id": "t"}),
            Kind::Key if with_team => json!({"team_id": "t", "user_id": "u", "project_id": "p"}),
            Kind::Key => json!({"user_id": "u"}),
            _ => json!({}),
        };
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if let Some((name, target)) = self.alias() {
            let member = if kind == Kind::Key { "aliases" } else { "model_aliases" };
            value[member] = json!({name: target});
        }
        value
    }

    fn alias(&self) -> Option<(&'static str, &'static str)> {
        let (name, target) = self.alias?;
        Some((*name.get(&MODELS), *target.get(&MODELS)))
    }

    /// The models that it has, each by its own name.
    fn has_model(&self, model: &str) -> bool {
        let in_group = |group: &str| GROUPS.contains(&(group, model));
        let named = self.models.iter().any(|name| match *name {
            "*" | "all-proxy-models" => true,
            "openai/*" => model.starts_with("openai/"),
            "*o*" => model.contains('o'),
            "fast" => in_group("fast"),
            name => name == model,
        });
        self.models.is_empty() || named || self.groups.iter().any(|group| in_group(group))
    }

    fn has_route(&self, path: &str) -> bool {
        let is = |paths: &[&str]| paths.contains(&path);
        self.routes.is_empty()
            || self.routes.iter().any(|route| match *route {
                "llm_api_routes" => is(&["/v1/chat/completions", "/v1/messages", "/anthropic/v1/x"]),
                "openai_routes" => is(&["/v1/chat/completions"]),
                "management_routes" => is(&["/key/generate", "/key/info", "/user/new"]),
                "info_routes" | "/key/info" => is(&["/key/info"]),
                "/key/*" => is(&["/key/generate", "/key/info"]),
                "/v1/messages" => is(&["/v1/messages"]),
                "/anthropic" => is(&["/anthropic/v1/x"]),
                _ => true,
            })
    }

    fn has_address(&self, address: &str) -> bool {
        let is = |addresses: &[&str]| addresses.contains(&address);
        self.networks.is_empty()
            || self.networks.iter().any(|network| match *network {
                "10.0.0.0/8" => is(&["10.0.0.1", "10.1.0.1"]),
                "10.1.0.0/16" => is(&["10.1.0.1"]),
                "10.0.0.1" => is(&["10.0.0.1"]),
                "0.0.0.0/0" => is(&["10.0.0.1", "10.1.0.1", "192.0.2.1"]),
                "2001:db8::/32" => is(&["2001:db8::1"]),
                _ => true,
            })
    }
}

fn calls() -> &'static [Call<'static>] {
    static CALLED: LazyLock<Vec<Call<'static>>> = LazyLock::new(|| {
        let pattern = |path| if path == "/anthropic/v1/x" { "/anthropic/{*rest}" } else { path };
        let call = |path| Call { pattern: pattern(path), path, groups: Groups::of_route(pattern(path)) };
        CALLS.map(call).into()
    });
    &CALLED
}

/// Ten thousand trees of each kind, ten times as many in the long run.
fn cases(trees_each: u32) -> ProptestConfig {
    let long = std::env::var("TOLLGATE_TEST_LONG").is_ok_and(|long| long == "1");
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(if long { 100_000 } else { 10_000 } / trees_each)
    }
}

fn tree(words: &[Word], with_team: bool) -> Directory {
    let mut directory = Directory::default();
    for ((kind, id), word) in CHAIN.into_iter().zip(words) {
        directory.put(record(kind, id, word.value(kind, with_team))).unwrap();
    }
    directory
}

/// What a chain lets through, asked of it and of the oracle.
fn judge(directory: &Directory, words: &[Word], with_team: bool, day: u8) -> Result<(), TestCaseError> {
    let groups = AccessGroups::new(GROUPS);
    let holder = directory.holder("k").unwrap();
    let now = Wall::from_rfc3339(&format!("2026-12-0{day}T00:00:00Z")).unwrap();
    let is_in = |kind| with_team || matches!(kind, Kind::User | Kind::Key);
    let chain = || CHAIN.into_iter().zip(words).filter(|((kind, _), _)| is_in(*kind));
    let is_valid = chain().all(|(_, word)| !word.is_blocked && word.end.is_none_or(|end| end > day));
    let standing = Standing::of(&holder, now);
    prop_assert_eq!(standing.is_ok(), is_valid);
    let Ok(standing) = standing else { return Ok(()) };
    for call in calls() {
        let wants = chain().all(|(_, word)| word.has_route(call.path));
        prop_assert_eq!(standing.route(call).is_ok(), wants, "{}", call.path);
    }
    for address in ADDRESSES {
        let wants = chain().all(|(_, word)| word.has_address(address));
        let address: IpAddr = address.parse().unwrap();
        prop_assert_eq!(standing.address(address).is_ok(), wants, "{}", address);
    }
    for asked in MODELS {
        let Ok(target) = standing.model(asked, &groups) else { continue };
        // Whoever is above the one that made an alias has what it stands for.
        let by_key = words[5].alias().is_some_and(|(name, _)| name == asked);
        for ((kind, _), word) in chain().filter(|((kind, _), _)| *kind != Kind::User || !with_team) {
            let by_name = match kind {
                Kind::Key => target != asked,
                Kind::Team | Kind::Member | Kind::Project => target != asked && !by_key,
                _ => false,
            };
            let has = word.has_model(target) || (by_name && word.has_model(asked));
            prop_assert!(has, "{:?} has no {} for {}", kind, target, asked);
        }
    }
    let has = |model: &str| {
        chain()
            .filter(|((kind, _), _)| *kind != Kind::User || !with_team)
            .all(|(_, word)| word.has_model(model))
    };
    for model in MODELS.iter().filter(|model| standing.target(model) == **model) {
        prop_assert_eq!(standing.model(model, &groups).is_ok(), has(model), "{}", model);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn a_chain_lets_through_what_each_of_it_has(
        words in proptest::collection::vec(word(), 6), with_team: bool, day in 1_u8..5,
        shrunk in 0_usize..5, smaller in word(),
    ) {
        let mut directory = tree(&words, with_team);
        judge(&directory, &words, with_team, day)?;
        // A parent that shrinks after its children were made.
        let mut words = words;
        let (kind, id) = CHAIN[shrunk];
        directory.put(record(kind, id, smaller.value(kind, with_team))).unwrap();
        words[shrunk] = smaller;
        judge(&directory, &words, with_team, day)?;
    }
}

proptest! {
    #![proptest_config(cases(1))]

    #[test]
    fn a_child_that_a_creator_may_make_has_nothing_that_the_creator_has_not(parent in word(), child in word()) {
        let parent = Word { alias: None, ..parent };
        let creator = Arc::new(record(Kind::Key, "c", parent.value(Kind::Key, false)));
        let made = record(Kind::Key, "k", child.value(Kind::Key, false));
        let groups = AccessGroups::new(GROUPS);
        if Grant::of(&made).within(&[Parent::creator(&creator)], &groups).is_err() {
            return Ok(());
        }
        for model in MODELS {
            prop_assert!(!child.has_model(model) || parent.has_model(model), "{}", model);
        }
        if let Some((_, target)) = child.alias() {
            prop_assert!(parent.has_model(target));
        }
        for path in CALLS {
            prop_assert!(!child.has_route(path) || parent.has_route(path), "{}", path);
        }
        for address in ADDRESSES {
            prop_assert!(!child.has_address(address) || parent.has_address(address), "{}", address);
        }
        let most = |number: Option<u8>| number.unwrap_or(u8::MAX);
        prop_assert!(most(child.budget) <= most(parent.budget));
        prop_assert!(most(child.rpm) <= most(parent.rpm));
        prop_assert!(most(child.end) <= most(parent.end));
    }

    #[test]
    fn a_child_lists_nothing_that_those_above_it_have_not(
        words in proptest::collection::vec(word(), 6), with_team: bool,
    ) {
        let directory = tree(&words, with_team);
        let key = directory.get(Kind::Key, "k").unwrap();
        let grant = Grant::of(key);
        if grant.within(&grant.parents(&directory), &AccessGroups::new(GROUPS)).is_err() {
            return Ok(());
        }
        let (own, above) = (&words[5], CHAIN.into_iter().zip(&words[..5]));
        for ((kind, _), word) in above.filter(|((kind, _), _)| with_team || *kind == Kind::User) {
            if kind != Kind::User || !with_team {
                for model in MODELS.iter().filter(|model| !own.models.is_empty() && own.has_model(model)) {
                    prop_assert!(word.has_model(model), "{:?} {}", kind, model);
                }
            }
            prop_assert!(own.budget.is_none() || word.budget.is_none() || own.budget <= word.budget);
            prop_assert!(own.rpm.is_none() || word.rpm.is_none() || own.rpm <= word.rpm);
            prop_assert!(own.end.is_none() || word.end.is_none() || own.end <= word.end);
        }
    }
}
