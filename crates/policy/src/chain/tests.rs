//! Ways through groups: what leads where, in which order, and where it ends.

use super::*;
use crate::choice::{Nobody, Reason};
use FailureKind::*;

fn targets(names: &str) -> Vec<Target> {
    names.split_whitespace().map(Target::new).collect()
}

/// Chains as `group > target target`.
fn fallbacks(chains: &[&str]) -> Fallbacks {
    let chain = |chain: &&str| {
        let (group, names) = chain.split_once(" > ").unwrap();
        (group.to_owned(), targets(names))
    };
    chains.iter().map(chain).collect()
}

fn rules(chains: &[&str]) -> ChainRules {
    ChainRules { fallbacks: fallbacks(chains), ..ChainRules::default() }
}

fn chain(rules: &ChainRules, name: &str) -> Chain {
    Chain::new(Arc::new(rules.clone()), name, None)
}

/// The groups that a request for `name` goes to when each one ends with the same setback.
fn way(chain: &mut Chain, setback: impl Into<Setback>) -> String {
    let setback = setback.into();
    let name = |leg: &Leg| leg.group.clone().unwrap_or_else(|| "canned".to_owned());
    let mut names = vec![name(chain.current())];
    while let Some(leg) = chain.after(setback) {
        names.push(name(leg));
        assert!(names.len() < 100, "a way without an end");
    }
    names.join(" ")
}

fn check(chains: &[&str], name: &str, setback: impl Into<Setback>, expect: &str) {
    assert_eq!(way(&mut chain(&rules(chains), name), setback), expect, "{chains:?}");
}

#[test]
fn a_group_without_a_chain_is_the_only_one() {
    check(&[], "a", Server, "a");
    check(&["b > c"], "a", Server, "a");
}

#[test]
fn targets_follow_in_their_order_and_once_each() {
    check(&["a > b c d"], "a", Server, "a b c d");
    check(&["a > b b a c"], "a", RateLimit, "a b c");
    check(&["a > b", "b > a"], "a", Timeout, "a b");
}

#[test]
fn a_targets_own_chain_comes_before_the_rest() {
    check(&["a > b c", "b > x y"], "a", Server, "a b x y c");
    check(&["a > b c", "b > c x"], "a", Server, "a b c x");
    check(&["a > b c", "b > x", "x > a y"], "a", Server, "a b x y c");
}

#[test]
fn the_star_is_for_groups_without_a_chain_of_their_own() {
    check(&["a > b", "* > z"], "a", Server, "a b z");
    check(&["* > z y", "q > b"], "a", Server, "a z y");
    check(&["* > z"], "z", Server, "z");
}

#[test]
fn a_chain_is_found_with_and_without_the_provider() {
    check(&["gpt-4o > b"], "openai/gpt-4o", Server, "openai/gpt-4o b");
    check(&["openai/gpt-4o > b"], "gpt-4o", Server, "gpt-4o b");
    check(&["gpt-4o > b", "openai/gpt-4o > c"], "openai/gpt-4o", Server, "openai/gpt-4o c");
    check(&["* > z", "gpt-4o > b"], "openai/gpt-4o", Server, "openai/gpt-4o b z");
    check(&["azure/gpt-4o > b"], "openai/gpt-4o", Server, "openai/gpt-4o");
}

#[test]
fn a_pattern_is_the_chain_of_every_group_that_it_matches() {
    check(&["w/* > b"], "w/gpt-4o", Server, "w/gpt-4o b");
    check(&["w/* > b"], "v/gpt-4o", Server, "v/gpt-4o");
    check(&["w/* > b"], "w/", Server, "w/");
    check(&["*-mini > b"], "w/gpt-4o-mini", Server, "w/gpt-4o-mini b");
    // What says more of the group goes first, wherever it stands.
    check(&["* > z", "w/* > b", "w/gpt-* > c", "w/*-4o > d"], "w/gpt-4o", Server, "w/gpt-4o c z");
    check(&["w/* > b", "w/gpt-4o > c"], "w/gpt-4o", Server, "w/gpt-4o c");
    check(&["w/* > b", "gpt-4o > c"], "w/gpt-4o", Server, "w/gpt-4o c");
    check(&["gpt-* > b", "w/gpt-4o > c"], "gpt-4o", Server, "gpt-4o c");
    check(&["* > z", "w/* > b"], "w/gpt-4o", Server, "w/gpt-4o b z");
    check(&["* > z", "w/* > b"], "gpt-4o", Server, "gpt-4o z");
    // A target's own chain may be one of them too.
    check(&["a > w/x c", "w/* > b"], "a", Server, "a w/x b c");
}

#[test]
fn a_pattern_leads_on_after_long_prompts_and_refusals_too() {
    let special = fallbacks(&["w/* > big"]);
    let long = ChainRules { context_window_fallbacks: special.clone(), ..ChainRules::default() };
    assert_eq!(way(&mut chain(&long, "w/x"), ContextWindow), "w/x big");
    let refused = ChainRules { content_policy_fallbacks: special, ..ChainRules::default() };
    assert_eq!(way(&mut chain(&refused, "w/x"), ContentPolicy), "w/x big");
}

#[test]
fn fallbacks_are_bounded() {
    let mut bounded = rules(&["a > b c d e f g h"]);
    assert_eq!(way(&mut chain(&bounded, "a"), Server), "a b c d e f");
    bounded.fallbacks_max = 1;
    assert_eq!(way(&mut chain(&bounded, "a"), Server), "a b");
    bounded.fallbacks_max = 0;
    assert_eq!(way(&mut chain(&bounded, "a"), Server), "a");
}

#[test]
fn the_callers_fault_goes_nowhere_and_everything_else_goes_on() {
    let chains = ["a > b"];
    for kind in [BadRequest, TooLarge, ContentPolicy] {
        check(&chains, "a", kind, "a");
    }
    for kind in [
        ContextWindow,
        Authentication,
        Permission,
        NotFound,
        RateLimit,
        Timeout,
        Connection,
        Server,
        BadGateway,
        Unavailable,
        NotExpressible,
        Quality,
    ] {
        check(&chains, "a", kind, "a b");
    }
    for setback in [Setback::NoPlace, Setback::Down, Setback::NotAllowed] {
        check(&chains, "a", setback, "a b");
    }
}

#[test]
fn the_callers_fault_ends_the_way_wherever_it_shows() {
    let rules = rules(&["a > b c"]);
    let mut chain = chain(&rules, "a");
    assert_eq!(chain.after(Server).unwrap().group.as_deref(), Some("b"));
    assert_eq!(chain.after(BadRequest), None);
}

#[test]
fn a_long_prompt_goes_by_its_own_list_where_there_is_one() {
    let check = |special: &[&str], expect: &str| {
        let rules = ChainRules { context_window_fallbacks: fallbacks(special), ..rules(&["a > b"]) };
        assert_eq!(way(&mut chain(&rules, "a"), ContextWindow), expect, "{special:?}");
        assert_eq!(way(&mut chain(&rules, "a"), Server), "a b", "other failures go by the others");
    };
    check(&[], "a b");
    check(&["a > big"], "a big");
    check(&["other > big"], "a");
    check(&["* > big"], "a big");
    check(&["a > big", "big > bigger"], "a big bigger");
}

#[test]
fn a_refusal_goes_by_its_own_list_and_by_no_other() {
    let check = |special: &[&str], expect: &str| {
        let rules = ChainRules { content_policy_fallbacks: fallbacks(special), ..rules(&["a > b", "* > z"]) };
        assert_eq!(way(&mut chain(&rules, "a"), ContentPolicy), expect, "{special:?}");
        let mut client = Chain::new(Arc::new(rules), "a", Some(targets("c")));
        assert_eq!(way(&mut client, ContentPolicy), expect, "the caller's list is no way around");
    };
    check(&[], "a");
    check(&["a > lenient"], "a lenient");
    check(&["other > lenient"], "a");
}

#[test]
fn a_refusal_by_a_fallback_is_an_answer_too() {
    let rules = rules(&["a > b c"]);
    let mut chain = chain(&rules, "a");
    chain.after(Server).unwrap();
    assert_eq!(chain.after(ContentPolicy), None);
}

#[test]
fn kinds_may_change_on_the_way() {
    let rules = ChainRules {
        context_window_fallbacks: fallbacks(&["b > big"]),
        content_policy_fallbacks: fallbacks(&["big > lenient"]),
        ..rules(&["a > b c"])
    };
    let mut chain = chain(&rules, "a");
    let mut go = |kind: FailureKind| {
        chain.after(kind).map(|leg| (leg.group.clone().unwrap(), leg.source, leg.attempted_fallbacks))
    };
    assert_eq!(go(Server), Some(("b".into(), Source::Fallbacks, 1)));
    assert_eq!(go(ContextWindow), Some(("big".into(), Source::ContextWindow, 2)));
    assert_eq!(go(ContentPolicy), Some(("lenient".into(), Source::ContentPolicy, 3)));
    assert_eq!(go(Unavailable), Some(("c".into(), Source::Fallbacks, 4)));
    assert_eq!(go(Unavailable), None);
}

#[test]
fn the_callers_list_stands_in_place_of_the_operators() {
    let check = |client: &str, setback: FailureKind, expect: &str| {
        let rules = ChainRules {
            context_window_fallbacks: fallbacks(&["a > big"]),
            ..rules(&["a > b", "x > nested", "* > z"])
        };
        let mut chain = Chain::new(Arc::new(rules), "a", Some(targets(client)));
        assert_eq!(way(&mut chain, setback), expect, "{client}");
    };
    check("x y", Server, "a x y");
    check("a x", Server, "a x");
    check("", Server, "a");
    check("x", ContextWindow, "a x big");
    check("x", BadRequest, "a");
}

#[test]
fn nothing_follows_where_the_request_disables_it() {
    let rules = tiered(&[("gold", "a", ""), ("silver", "b", "")], &["a > c"]);
    for name in ["a", "support"] {
        let chain = Chain::new(Arc::new(rules.clone()), name, Some(targets("x")));
        assert_eq!(way(&mut chain.clone().disabled(true), Server), "a");
        assert_eq!(way(&mut chain.disabled(false), Server), "a x b");
    }
}

#[test]
fn one_group_with_other_overrides_is_another_target() {
    let own = |overrides: Option<usize>| Target { group: "a".into(), overrides };
    let client = vec![own(Some(0)), own(None), own(Some(1)), own(Some(0))];
    let mut chain = Chain::new(Arc::default(), "a", Some(client));
    let mut seen = vec![chain.current().overrides];
    while let Some(leg) = chain.after(Server) {
        assert_eq!((leg.group.as_deref(), leg.source), (Some("a"), Source::Client));
        seen.push(leg.overrides);
    }
    assert_eq!(seen, [None, Some(0), Some(1)]);
}

/// A list `support` of tiers: name, group (none is canned), and what moves on (empty is the default).
fn tiered(tiers: &[(&str, &str, &str)], chains: &[&str]) -> ChainRules {
    let moves_on = |words: &str| {
        let has = |word: &str| words.split_whitespace().any(|written| written == word);
        if words.is_empty() {
            return MovesOn::default();
        }
        MovesOn {
            rate_limit: has("rate_limit"),
            server_error: has("server_error"),
            context_window: has("context_window"),
            quality: has("quality"),
            first_token: has("first_token").then_some(Duration::from_secs(3)),
        }
    };
    let tier = |&(name, group, words): &(&str, &str, &str)| Tier {
        name: name.to_owned(),
        group: (!group.is_empty()).then(|| group.to_owned()),
        moves_on: moves_on(words),
    };
    let list = TierList { name: Some("support".into()), tiers: tiers.iter().map(tier).collect() };
    ChainRules { tiers: vec![list], ..rules(chains) }
}

const THREE: [(&str, &str, &str); 3] = [("gold", "azure", ""), ("silver", "second", ""), ("last", "", "")];

#[test]
fn a_request_goes_down_the_tiers_from_where_it_enters() {
    let check = |name: &str, expect: &str| {
        assert_eq!(way(&mut chain(&tiered(&THREE, &[]), name), Server), expect);
    };
    check("support", "azure second canned");
    check("azure", "azure second canned");
    check("second", "second canned");
    check("other", "other");
}

#[test]
fn a_leg_says_which_tier_it_is() {
    let rules = tiered(&[("gold", "azure", "server_error first_token"), ("last", "", "")], &[]);
    let mut chain = chain(&rules, "support");
    let place = |tier: usize| Some(TierPlace { list: 0, tier });
    assert_eq!(
        *chain.current(),
        Leg {
            group: Some("azure".into()),
            source: Source::Asked,
            tier: place(0),
            overrides: None,
            first_token: Some(Duration::from_secs(3)),
            attempted_fallbacks: 0,
        }
    );
    assert_eq!(chain.tier().unwrap().name, "gold");
    let last = chain.after(Timeout).unwrap().clone();
    assert_eq!((last.group, last.source, last.tier), (None, Source::Tiers, place(1)));
    assert_eq!((last.first_token, last.attempted_fallbacks), (None, 1));
    assert_eq!(chain.tier().unwrap().name, "last");
    assert_eq!(chain.after(Server), None);
}

#[test]
fn a_tier_moves_on_by_what_it_says_alone() {
    let check = |words: &str, moving: &[Setback], staying: &[Setback]| {
        let rules = tiered(&[("gold", "a", words), ("silver", "b", "")], &["a > c", "* > z"]);
        for (setbacks, expect) in [(moving, "a b"), (staying, "a")] {
            for &setback in setbacks {
                let mut chain = chain(&rules, "support");
                let after = chain.after(setback).map(|leg| leg.group.clone().unwrap());
                assert_eq!(after.is_some(), expect == "a b", "{words} {setback:?}");
                assert!(after.is_none_or(|group| group == "b"));
            }
        }
    };
    let failed = |kinds: &[FailureKind]| kinds.iter().copied().map(Setback::Failed).collect::<Vec<_>>();
    let caller = failed(&[BadRequest, TooLarge, ContentPolicy]);
    let mut server =
        failed(&[Authentication, Permission, NotFound, Timeout, Connection, Server, BadGateway, Unavailable]);
    server.push(Setback::Down);
    let rate = [Setback::Failed(RateLimit), Setback::NoPlace];
    let window = failed(&[ContextWindow]);
    let quality = failed(&[Quality]);
    let always = [Setback::NotAllowed, Setback::Failed(NotExpressible)];
    check("", &[&server[..], &rate, &window, &always].concat(), &[&caller[..], &quality].concat());
    check(
        "server_error",
        &[&server[..], &always].concat(),
        &[&caller[..], &rate, &window, &quality].concat(),
    );
    check("rate_limit", &[&rate[..], &always].concat(), &[&caller[..], &server, &window, &quality].concat());
    check("context_window", &[&window[..], &always].concat(), &[&caller[..], &server, &rate].concat());
    check("quality", &[&quality[..], &always].concat(), &[&caller[..], &server, &rate, &window].concat());
    check("first_token", &failed(&[Timeout]), &failed(&[Server, Connection, RateLimit]));
}

#[test]
fn each_tier_decides_for_itself_whether_the_next_follows() {
    let rules = tiered(&[("1", "a", ""), ("2", "b", "quality"), ("3", "c", "")], &[]);
    let mut chain = chain(&rules, "support");
    assert_eq!(chain.after(Server).unwrap().group.as_deref(), Some("b"));
    let mut other = chain.clone();
    assert_eq!(chain.after(Server), None);
    assert_eq!(other.after(Quality).unwrap().group.as_deref(), Some("c"));
}

#[test]
fn tiers_do_not_count_as_fallbacks() {
    let mut rules = tiered(&THREE, &[]);
    rules.fallbacks_max = 0;
    assert_eq!(way(&mut chain(&rules, "support"), Unavailable), "azure second canned");
}

#[test]
fn a_long_prompt_in_a_tier_goes_down_the_tiers_first() {
    let mut rules = tiered(&[("1", "a", ""), ("2", "b", "")], &[]);
    rules.context_window_fallbacks = fallbacks(&["a > big"]);
    assert_eq!(way(&mut chain(&rules, "support"), ContextWindow), "a b big");
    let mut rules = tiered(&[("1", "a", "server_error"), ("2", "b", "")], &[]);
    rules.context_window_fallbacks = fallbacks(&["a > big"]);
    assert_eq!(way(&mut chain(&rules, "support"), ContextWindow), "a big");
}

#[test]
fn the_callers_list_goes_before_the_tiers() {
    let mut chain = Chain::new(Arc::new(tiered(&THREE, &[])), "support", Some(targets("x")));
    assert_eq!(way(&mut chain, Server), "azure x second canned");
}

#[test]
fn a_fallback_may_lead_into_the_tiers() {
    let by_name = tiered(&THREE, &["a > support b"]);
    assert_eq!(way(&mut chain(&by_name, "a"), Server), "a azure second canned b");
    let by_group = tiered(&THREE, &["a > second b"]);
    assert_eq!(way(&mut chain(&by_group, "a"), Server), "a second canned b");
}

#[test]
fn a_request_for_a_group_enters_the_list_of_its_name_at_the_group() {
    let mut rules = tiered(&[("1", "a", ""), ("2", "support", ""), ("3", "c", "")], &[]);
    assert_eq!(way(&mut chain(&rules, "support"), Server), "support c");
    rules.tiers[0].name = Some("chat".into());
    assert_eq!(way(&mut chain(&rules, "chat"), Server), "a support c");
}

#[test]
fn a_name_of_a_list_goes_before_a_group_of_another() {
    let list = |name: Option<&str>, groups: &[&str]| TierList {
        name: name.map(str::to_owned),
        tiers: groups
            .iter()
            .map(|&group| Tier {
                name: group.to_owned(),
                group: Some(group.to_owned()),
                moves_on: MovesOn::default(),
            })
            .collect(),
    };
    let rules = ChainRules {
        tiers: vec![list(None, &["a", "b"]), list(Some("b"), &["c", "b", "d"]), list(Some("empty"), &[])],
        ..ChainRules::default()
    };
    assert_eq!(way(&mut chain(&rules, "a"), Server), "a b");
    assert_eq!(way(&mut chain(&rules, "b"), Server), "b d");
    assert_eq!(way(&mut chain(&rules, "empty"), Server), "empty");
    assert_eq!(rules.tier(TierPlace { list: 9, tier: 0 }), None);
}

#[test]
fn every_graph_of_four_groups_ends_with_each_of_them_gone_to_once() {
    let names = ["a", "b", "c", "d"];
    for graph in 0..1u32 << 12 {
        let chains: Fallbacks = names
            .iter()
            .enumerate()
            .map(|(from, name)| {
                let others = names.iter().enumerate().filter(|(to, _)| *to != from);
                let bits = graph >> (3 * from);
                let chosen = others.enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
                (String::from(*name), chosen.map(|(_, (_, target))| Target::new(*target)).collect())
            })
            .collect();
        let rules = ChainRules { fallbacks: chains, ..ChainRules::default() };
        let way = way(&mut chain(&rules, "a"), Server);
        let mut seen: Vec<&str> = way.split(' ').collect();
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "{way}");
        assert_eq!(seen.len(), reachable(graph), "{graph:b}: {way}");
    }
}

/// How many of the four groups lie beyond the first one, itself among them.
fn reachable(graph: u32) -> usize {
    let mut known = 1u32;
    for _ in 0..4 {
        for from in 0..4 {
            if known >> from & 1 == 1 {
                let bits = graph >> (3 * from) & 7;
                let below = bits & ((1 << from) - 1);
                known |= below | (bits >> from) << (from + 1);
            }
        }
    }
    known.count_ones() as usize
}

#[test]
fn who_cannot_be_had_is_a_setback_of_its_own_kind() {
    let at = crate::clock::Moment::from_micros(9);
    let full = crate::limits::Full { by: crate::limits::LimitKind::Tokens, free_at: None };
    let check = |nobody: Nobody, expect: Setback| assert_eq!(Setback::from(nobody), expect, "{nobody:?}");
    check(Nobody::Empty, Setback::Down);
    check(Nobody::ForcedDown, Setback::Down);
    check(Nobody::Ejected { until: at }, Setback::Down);
    check(Nobody::Failed, Setback::Down);
    check(Nobody::Paused { until: at }, Setback::NoPlace);
    check(Nobody::Full(full), Setback::NoPlace);
    check(Nobody::NoTags, Setback::NotAllowed);
    check(Nobody::NotAllowed(Reason::Region), Setback::NotAllowed);
    check(Nobody::ContextWindow, Setback::Failed(ContextWindow));
}

#[test]
fn sources_have_words() {
    let words = [
        Source::Asked,
        Source::Client,
        Source::Fallbacks,
        Source::ContextWindow,
        Source::ContentPolicy,
        Source::Tiers,
    ]
    .map(Source::word);
    let mut distinct = words.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), words.len());
}
