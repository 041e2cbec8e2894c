//! Who is left, who is not and why, and what goes before the strategy.

use super::testing::{Scene, at, ejected, full, paused, texts};
use super::{Choice, Nobody, Reading, Reason, Why};
use crate::ask::{Ask, Requirements};
use crate::health::{Forced, Standing};
use crate::limits::LimitKind;
use crate::profile::Profile;
use crate::strategy::Strategy::{self, *};
use crate::tags::TagRules;
use Standing::{HalfOpen, Probing, Up};

const STRATEGIES: [Strategy; 7] =
    [SimpleShuffle, RoundRobin, LeastBusy, Latency, Usage, Cost, ConsistentHash];

fn anything() -> Requirements {
    Requirements::default()
}

/// The reasons of all rows.
fn reasons(scene: &mut Scene, ask: &Ask<'_>) -> Vec<Option<Reason>> {
    scene.both(ask, 0.0).1.rows.iter().map(|row| row.passed).collect()
}

#[test]
fn a_group_without_deployments_has_nobody() {
    for strategy in STRATEGIES {
        assert_eq!(Scene::new(strategy, 0).nobody(&Ask::new(&anything())), Nobody::Empty);
    }
}

#[test]
fn who_is_left_alone_is_chosen_at_once() {
    for strategy in STRATEGIES {
        let mut scene = Scene::new(strategy, 3).standing(&[ejected(5), Up, paused(9)]);
        scene.profiles[1].share.weight = Some(0.0);
        let choice = scene.choose(&Ask::new(&anything()), 0.9);
        assert_eq!(choice, Choice::Deployment { position: 1, why: Why::Only });
    }
}

#[test]
fn an_operators_word_goes_before_health() {
    let check = |forced: Forced, standing: Standing, expect: Result<Why, Nobody>| {
        let mut scene = Scene::new(SimpleShuffle, 1).standing(&[standing]);
        scene.readings[0].forced = Some(forced);
        let got = match scene.choose(&Ask::new(&anything()), 0.0) {
            Choice::Deployment { why, .. } => Ok(why),
            Choice::None(nobody) => Err(nobody),
        };
        assert_eq!(got, expect, "{forced:?} {standing:?}");
    };
    check(Forced::Up, Up, Ok(Why::Only));
    check(Forced::Up, ejected(9), Ok(Why::Only));
    check(Forced::Up, HalfOpen, Ok(Why::Only));
    check(Forced::Up, Probing, Ok(Why::Only));
    check(Forced::Up, paused(9), Err(Nobody::Paused { until: at(9) }));
    for standing in [Up, HalfOpen, Probing, ejected(9), paused(9)] {
        check(Forced::Down, standing, Err(Nobody::ForcedDown));
        check(Forced::Draining, standing, Err(Nobody::ForcedDown));
    }
}

#[test]
fn a_forced_up_deployment_whose_credential_is_benched_serves_and_one_whose_credential_is_paused_does_not() {
    let mut scene = Scene::new(SimpleShuffle, 1);
    scene.readings[0] = Reading { forced: Some(Forced::Up), credential: ejected(9), ..Reading::default() };
    assert_eq!(scene.why(&Ask::new(&anything())), Why::Only);
    scene.readings[0].credential = paused(7);
    assert_eq!(scene.nobody(&Ask::new(&anything())), Nobody::Paused { until: at(7) });
}

#[test]
fn a_deployment_stands_as_ill_as_the_worse_of_itself_and_its_credential() {
    let check = |one: Standing, two: Standing, expect: Standing| {
        for (standing, credential) in [(one, two), (two, one)] {
            let reading = Reading { standing, credential, ..Reading::default() };
            assert_eq!(reading.standing(), expect, "{one:?} {two:?}");
        }
    };
    for standing in [Up, HalfOpen, Probing, ejected(3), paused(3)] {
        check(Up, standing, standing);
        check(standing, standing, standing);
        check(standing, paused(9), paused(9));
    }
    check(HalfOpen, Probing, Probing);
    check(HalfOpen, ejected(3), ejected(3));
    check(ejected(3), ejected(4), ejected(4));
    check(ejected(30), paused(4), paused(4));
}

#[test]
fn each_requirement_leaves_out_who_does_not_declare_that_it_fulfils_it() {
    let good = Profile {
        id: "good".into(),
        region: Some("westeurope".into()),
        data_residency: Some("eu".into()),
        zero_data_retention: true,
        capabilities: texts(&["vision", "tools"]),
        quality: Some(0.9),
        ..Profile::default()
    };
    let check = |required: Requirements, poor: Profile, expect: Reason| {
        for strategy in STRATEGIES {
            let mut scene = Scene::new(strategy, 2);
            scene.profiles = vec![poor.clone(), good.clone()];
            let mut ask = Ask::new(&required);
            ask.affinity = Some("poor");
            assert_eq!(reasons(&mut scene, &ask), [Some(expect), None], "{required:?}");
            // Not even where it would be the last one.
            scene.excluded = vec![false, true];
            assert_eq!(scene.nobody(&ask), Nobody::Failed);
            scene.profiles.truncate(1);
            assert_eq!(scene.nobody(&ask), Nobody::NotAllowed(expect));
            for standing in [HalfOpen, ejected(4), Probing] {
                let mut scene = scene.clone().standing(&[standing]);
                assert_eq!(scene.nobody(&ask), Nobody::NotAllowed(expect));
            }
        }
    };
    let poor = Profile { id: "poor".into(), ..Profile::default() };
    let region = Requirements { region: Some("eu".into()), ..anything() };
    check(region.clone(), poor.clone(), Reason::Region);
    check(region, Profile { region: Some("eastus".into()), ..poor.clone() }, Reason::Region);
    let residency = Requirements { data_residency: Some("eu".into()), ..anything() };
    check(residency.clone(), poor.clone(), Reason::DataResidency);
    check(residency, Profile { data_residency: Some("us".into()), ..poor.clone() }, Reason::DataResidency);
    check(Requirements { zero_data_retention: true, ..anything() }, poor.clone(), Reason::DataRetention);
    let capable = Requirements { capabilities: texts(&["vision", "tools"]), ..anything() };
    check(capable.clone(), poor.clone(), Reason::Capability(0));
    check(capable, Profile { capabilities: texts(&["vision"]), ..poor.clone() }, Reason::Capability(1));
    let quality = Requirements { min_quality: Some(0.9), ..anything() };
    check(quality.clone(), poor.clone(), Reason::Quality);
    check(quality, Profile { quality: Some(0.89), ..poor }, Reason::Quality);
}

#[test]
fn a_contradiction_admits_nobody() {
    let required = Requirements { is_contradictory: true, ..anything() };
    assert_eq!(Scene::new(Cost, 2).nobody(&Ask::new(&required)), Nobody::NotAllowed(Reason::Contradiction));
}

#[test]
fn a_prompt_that_is_too_long_is_not_sent_where_that_is_checked() {
    let check = |is_checked: bool, is_counted: bool, tokens: u64, expect: [bool; 3]| {
        let mut scene = Scene::new(SimpleShuffle, 3);
        scene.rules.checks_context_window = is_checked;
        scene.profiles[0].context_window = Some(1_000);
        scene.profiles[1].context_window = Some(8_000);
        let required = anything();
        let mut ask = Ask::new(&required);
        (ask.is_counted, ask.prompt_tokens) = (is_counted, tokens);
        let passed = expect.map(|fits| (!fits).then_some(Reason::ContextWindow));
        assert_eq!(reasons(&mut scene, &ask), passed, "{tokens}");
    };
    check(true, true, 1_000, [true, true, true]);
    check(true, true, 1_001, [false, true, true]);
    check(true, true, 9_000, [false, false, true]);
    check(false, true, 9_000, [true, true, true]);
    check(true, false, 9_000, [true, true, true]);
}

#[test]
fn a_prompt_that_fits_nowhere_says_so_even_where_others_are_down() {
    let mut scene = Scene::new(SimpleShuffle, 2).standing(&[Up, ejected(5)]);
    scene.rules.checks_context_window = true;
    for profile in &mut scene.profiles {
        profile.context_window = Some(10);
    }
    let required = anything();
    let mut ask = Ask::new(&required);
    (ask.is_counted, ask.prompt_tokens) = (true, 11);
    assert_eq!(scene.nobody(&ask), Nobody::ContextWindow);
}

#[test]
fn nobody_says_what_is_most_use_to_know() {
    let check = |standings: &[Standing], excluded: &[bool], expect: Nobody| {
        let mut scene = Scene::new(SimpleShuffle, standings.len()).standing(standings);
        scene.excluded = excluded.to_vec();
        assert_eq!(scene.nobody(&Ask::new(&anything())), expect, "{standings:?} {excluded:?}");
    };
    check(&[paused(9), paused(4), paused(6)], &[], Nobody::Paused { until: at(4) });
    check(&[paused(9), Up], &[false, true], Nobody::Failed);
    check(&[Up, Up], &[true, true], Nobody::Failed);
    check(&[ejected(4), Up], &[false, true], Nobody::Failed);

    let mut scene = Scene::new(SimpleShuffle, 4).standing(&[paused(2), Up, Up, Up]);
    scene.excluded[3] = true;
    scene.readings[1].room = Err(full(LimitKind::Tokens, Some(30)));
    scene.readings[2].room = Err(full(LimitKind::Requests, Some(20)));
    let ask = anything();
    assert_eq!(scene.nobody(&Ask::new(&ask)), Nobody::Full(full(LimitKind::Requests, Some(20))));
    scene.readings[1].forced = Some(Forced::Down);
    scene.readings[2].room = Err(full(LimitKind::Parallel, None));
    assert_eq!(scene.nobody(&Ask::new(&ask)), Nobody::Full(full(LimitKind::Parallel, None)));
    assert_eq!(Nobody::Full(full(LimitKind::Parallel, None)).until(), None);
    assert_eq!(Nobody::Paused { until: at(4) }.until(), Some(at(4)));
}

#[test]
fn where_all_are_ejected_the_least_bad_serves() {
    let check = |standings: &[Standing], failures: &[u32], expect: usize| {
        for strategy in STRATEGIES {
            let mut scene = Scene::new(strategy, standings.len()).standing(standings);
            for (reading, &failures) in scene.readings.iter_mut().zip(failures) {
                reading.consecutive_failures = failures;
            }
            let choice = scene.choose(&Ask::new(&anything()), 0.99);
            assert_eq!(choice, Choice::Deployment { position: expect, why: Why::LeastBad }, "{standings:?}");
        }
    };
    check(&[ejected(9)], &[], 0);
    check(&[ejected(9), ejected(4), ejected(6)], &[1, 9, 1], 1);
    check(&[ejected(4), ejected(4)], &[5, 3], 1);
    check(&[ejected(4), Probing], &[1, 9], 1);
    check(&[paused(1), ejected(9)], &[], 1);
}

#[test]
fn the_least_bad_is_never_paused_full_taken_out_or_one_that_failed_this_request() {
    let mut scene = Scene::new(LeastBusy, 6).standing(&[
        paused(1),
        ejected(1),
        ejected(2),
        ejected(3),
        ejected(4),
        ejected(9),
    ]);
    scene.readings[1].room = Err(full(LimitKind::Requests, Some(1)));
    scene.readings[2].forced = Some(Forced::Down);
    scene.readings[3].forced = Some(Forced::Draining);
    scene.excluded[4] = true;
    let required = anything();
    assert_eq!(scene.position(&Ask::new(&required), 0.0), 5);
}

#[test]
fn an_ejection_stands_while_one_is_up_that_only_this_request_cannot_use() {
    let required = anything();
    let ask = Ask::new(&required);
    let mut scene = Scene::new(SimpleShuffle, 2).standing(&[Up, ejected(5)]);
    scene.excluded[0] = true;
    assert_eq!(scene.nobody(&ask), Nobody::Failed);
    scene.readings[0].standing = ejected(3);
    assert_eq!(scene.position(&ask, 0.0), 1, "both are ejected, and one of them failed this request");
}

#[test]
fn the_lowest_order_with_a_candidate_left_serves() {
    let check = |orders: &[Option<i64>], standings: &[Standing], expect: usize| {
        for strategy in STRATEGIES {
            for draw in [0.0, 0.5, 0.99] {
                let mut scene = Scene::new(strategy, orders.len()).orders(orders).standing(standings);
                assert_eq!(scene.plain(draw), expect, "{strategy:?} {orders:?} {standings:?}");
            }
        }
    };
    check(&[Some(2), Some(1), None], &[], 1);
    check(&[None, Some(7), None], &[], 1);
    check(&[Some(1), Some(2)], &[ejected(1), Up], 1);
    check(&[Some(1), Some(2), None], &[paused(1), paused(1), Up], 2);
    check(&[Some(-1), Some(0)], &[], 0);
    let mut even = Scene::new(SimpleShuffle, 3).orders(&[Some(1), Some(1), Some(2)]);
    assert_eq!(even.tally(&Ask::new(&anything())), [500, 500, 0]);
    let required = anything();
    assert_eq!(reasons(&mut even, &Ask::new(&required)), [None, None, Some(Reason::Order)]);
}

#[test]
fn who_holds_a_session_goes_on_with_it_whatever_order_and_strategy_say() {
    let required = anything();
    let mut ask = Ask::new(&required);
    ask.affinity = Some("d2");
    for strategy in STRATEGIES {
        let mut scene = Scene::new(strategy, 3).orders(&[Some(1), Some(1), Some(2)]);
        assert_eq!(scene.choose(&ask, 0.0), Choice::Deployment { position: 2, why: Why::Affinity });
        scene.readings[2].forced = Some(Forced::Draining);
        assert_eq!(scene.choose(&ask, 0.0), Choice::Deployment { position: 2, why: Why::Affinity });
        let mut alone = scene.clone().standing(&[ejected(1), ejected(1), Up]);
        assert_eq!(alone.why(&ask), Why::Affinity);
    }
}

#[test]
fn who_holds_a_session_but_cannot_serve_leaves_it_to_the_strategy() {
    let required = anything();
    let mut ask = Ask::new(&required);
    ask.affinity = Some("d1");
    let check = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new(SimpleShuffle, 2);
        change(&mut scene);
        assert_eq!(scene.position(&ask, 0.99), 0);
    };
    check(&|scene| scene.readings[1].standing = ejected(1));
    check(&|scene| scene.readings[1].standing = paused(1));
    check(&|scene| scene.readings[1].standing = Probing);
    check(&|scene| scene.readings[1].forced = Some(Forced::Down));
    check(&|scene| scene.readings[1].room = Err(full(LimitKind::Parallel, None)));
    check(&|scene| scene.excluded[1] = true);
    ask.affinity = Some("gone");
    assert_eq!(Scene::new(SimpleShuffle, 2).tally(&ask), [500, 500]);
}

#[test]
fn a_draining_deployment_gets_nothing_but_what_it_holds() {
    let required = anything();
    let mut ask = Ask::new(&required);
    let mut scene = Scene::new(SimpleShuffle, 2);
    scene.readings[0].forced = Some(Forced::Draining);
    assert_eq!(scene.tally(&ask), [0, 1_000]);
    assert_eq!(reasons(&mut scene, &ask), [Some(Reason::Draining), None]);
    ask.affinity = Some("d0");
    assert_eq!(scene.tally(&ask), [1_000, 0]);
}

#[test]
fn a_half_open_deployment_is_probed_by_the_first_request_that_could_come_to_it() {
    let required = anything();
    for strategy in [SimpleShuffle, RoundRobin, LeastBusy, Latency, Usage, Cost] {
        for draw in [0.0, 0.99] {
            let mut scene = Scene::new(strategy, 3).standing(&[Up, HalfOpen, Up]);
            let choice = scene.choose(&Ask::new(&required), draw);
            assert_eq!(choice, Choice::Deployment { position: 1, why: Why::Probe }, "{strategy:?}");
            let mut scene = scene.standing(&[Up, Probing, Up]);
            let choice = scene.choose(&Ask::new(&required), draw);
            assert!(!matches!(choice, Choice::Deployment { position: 1, .. }), "{strategy:?}: one at a time");
        }
    }
}

#[test]
fn a_deployment_without_a_part_in_the_strategy_gets_no_probe() {
    let required = anything();
    let ask = Ask::new(&required);
    for strategy in [SimpleShuffle, RoundRobin] {
        let mut scene =
            Scene::new(strategy, 3).standing(&[Up, HalfOpen, Up]).weights(&[Some(1.0), Some(0.0), Some(1.0)]);
        assert_eq!(scene.tally(&ask), [500, 0, 500], "{strategy:?}");
    }
    let mut dear = Scene::new(Cost, 2).standing(&[Up, HalfOpen]);
    for (profile, price) in dear.profiles.iter_mut().zip([1, 2]) {
        (profile.input_price, profile.output_price) = (Some(price), Some(price));
    }
    assert_eq!(dear.tally(&ask), [1_000, 0]);
    let mut lower = Scene::new(SimpleShuffle, 2).orders(&[Some(1), Some(2)]).standing(&[Up, HalfOpen]);
    assert_eq!(lower.tally(&ask), [1_000, 0]);
}

#[test]
fn a_hashed_probe_takes_only_the_keys_of_its_deployment() {
    let required = anything();
    let mut ask = Ask::new(&required);
    let mut probes = 0;
    for key in 0..300 {
        ask.sticky_key = Some(key);
        let home = Scene::new(ConsistentHash, 3).position(&ask, 0.0);
        let mut scene = Scene::new(ConsistentHash, 3).standing(&[Up, HalfOpen, Up]);
        assert_eq!(scene.position(&ask, 0.0), home);
        let is_probe = scene.why(&ask) == Why::Probe;
        assert_eq!(is_probe, home == 1);
        probes += usize::from(is_probe);
    }
    assert!((70..130).contains(&probes), "{probes}");
}

#[test]
fn a_retry_is_no_probe_while_another_is_up() {
    let required = anything();
    let mut ask = Ask::new(&required);
    ask.is_retry = true;
    for strategy in STRATEGIES {
        let mut scene = Scene::new(strategy, 2).standing(&[HalfOpen, Up]);
        assert_eq!(reasons(&mut scene, &ask), [Some(Reason::NotForRetries), None], "{strategy:?}");
        ask.affinity = Some("d0");
        assert_eq!(scene.position(&ask, 0.0), 1, "not for a session either");
        ask.affinity = None;
        let mut scene = scene.orders(&[Some(1), Some(2)]);
        assert_eq!(scene.position(&ask, 0.0), 1, "not for a better order either");
        let mut alone = scene.standing(&[HalfOpen, ejected(4)]);
        assert_eq!(alone.why(&ask), Why::Probe);
        alone.readings[1].standing = Up;
        alone.excluded[1] = true;
        assert_eq!(alone.why(&ask), Why::Probe);
    }
}

#[test]
fn a_benched_credential_that_may_be_tried_again_makes_a_probe() {
    let mut scene = Scene::new(SimpleShuffle, 2);
    scene.readings[1].credential = HalfOpen;
    assert_eq!(scene.why(&Ask::new(&anything())), Why::Probe);
}

#[test]
fn tags_count_only_where_they_are_enabled() {
    let required = anything();
    let tags = texts(&["paid"]);
    let mut ask = Ask::new(&required);
    ask.tags = &tags;
    let mut scene = Scene::new(SimpleShuffle, 2);
    scene.profiles[0].tags = texts(&["paid"]);
    assert_eq!(scene.tally(&ask), [500, 500]);
    scene.rules.tags = Some(TagRules::default());
    assert_eq!(scene.tally(&ask), [1_000, 0]);
    assert_eq!(reasons(&mut scene, &ask), [None, Some(Reason::Tags)]);
    let other = texts(&["free"]);
    ask.tags = &other;
    assert_eq!(scene.nobody(&ask), Nobody::NoTags);
}

#[test]
fn the_default_pool_is_one_of_those_that_the_requirements_admit() {
    let required = Requirements { region: Some("eu".into()), ..anything() };
    let mut scene = Scene::new(SimpleShuffle, 2);
    scene.rules.tags = Some(TagRules::default());
    scene.profiles[0].tags = texts(&["default"]);
    scene.profiles[1].region = Some("eu".into());
    assert_eq!(scene.position(&Ask::new(&required), 0.0), 1);
}

#[test]
fn every_reason_has_a_word_of_its_own_and_a_sentence() {
    let required = Requirements {
        region: Some("eu".into()),
        data_residency: Some("us".into()),
        capabilities: texts(&["vision"]),
        min_quality: Some(0.5),
        ..anything()
    };
    let check = |reason: Reason, word: &str, sentence: &str| {
        assert_eq!((reason.word(), reason.sentence(&required, at(1)).as_str()), (word, sentence));
    };
    check(Reason::ForcedDown, "forced_down", "an operator forced it down");
    check(Reason::Blocked, "blocked", "the configuration blocks it");
    check(Reason::Draining, "draining", "an operator is draining it");
    check(Reason::Contradiction, "contradiction", "the requirements of the request exclude each other");
    check(Reason::Region, "region", "it does not declare a region within eu");
    check(Reason::DataResidency, "data_residency", "it does not declare that data stays in us");
    check(Reason::DataRetention, "data_retention", "it does not declare zero data retention");
    check(Reason::Capability(0), "capability", "it lacks the capability vision");
    check(Reason::Capability(9), "capability", "it lacks the capability asked for");
    check(Reason::Quality, "quality", "it does not declare a quality of 0.5");
    check(Reason::Tags, "tags", "its tags are not what the request asks for");
    check(Reason::ContextWindow, "context_window", "the prompt does not fit into its context window");
    check(Reason::Failed, "failed_before", "it has failed this request already");
    check(Reason::Paused { until: at(3) }, "paused", "it is paused for another 2.0 s");
    check(Reason::Ejected { until: at(3) }, "ejected", "it is ejected for its failures for another 2.0 s");
    check(Reason::ProbeUnderWay, "probe_under_way", "it is being probed, by one request at a time");
    check(Reason::NotForRetries, "half_open", "it waits to be probed, and a retry is no probe");
    check(Reason::Full(full(LimitKind::Tokens, Some(11))), "tpm", "its tpm is used up for another 10.0 s");
    let given_back = "its tpm has nothing left, unless requests under way give some back";
    check(Reason::Full(full(LimitKind::Tokens, None)), "tpm", given_back);
    check(Reason::Full(full(LimitKind::Requests, None)), "rpm", "its rpm lets nothing through");
    check(
        Reason::Full(full(LimitKind::Parallel, None)),
        "max_parallel_requests",
        "all its parallel places are taken",
    );
    check(Reason::Order, "order", "another one with a lower order has room");
}

/// Every combination of standing, room, word, exclusion and retry of three deployments, at every strategy: what the
/// module promises.
#[test]
fn no_state_of_a_group_breaks_a_promise() {
    let standings = [Up, HalfOpen, Probing, ejected(4), paused(4)];
    let kinds: Vec<(Standing, Option<Forced>, bool, bool)> = standings
        .into_iter()
        .flat_map(|standing| {
            [
                (standing, None, true, false),
                (standing, None, false, false),
                (standing, None, true, true),
                (standing, Some(Forced::Down), true, false),
                (standing, Some(Forced::Up), true, false),
            ]
        })
        .collect();
    let required = anything();
    for number in 0..kinds.len().pow(3) {
        let picks = [number % 25, number / 25 % 25, number / 625].map(|kind| kinds[kind]);
        let strategy = STRATEGIES[number % 7];
        let mut scene = Scene::new(strategy, 3);
        for (index, (standing, forced, has_room, is_excluded)) in picks.into_iter().enumerate() {
            let reading = &mut scene.readings[index];
            (reading.standing, reading.forced) = (standing, forced);
            reading.room = if has_room { Ok(()) } else { Err(full(LimitKind::Requests, Some(9))) };
            scene.excluded[index] = is_excluded;
        }
        let mut ask = Ask::new(&required);
        ask.is_retry = number % 2 == 0;
        ask.sticky_key = Some(number as u64);
        let standing = |index: usize| scene.readings[index].standing();
        let can_take = |index: usize| {
            let reading = &scene.readings[index];
            let is_out = scene.excluded[index] || reading.forced == Some(Forced::Down);
            !is_out && reading.room.is_ok() && !matches!(standing(index), Standing::Paused { .. })
        };
        let healthy = |index: usize| can_take(index) && matches!(standing(index), Up | HalfOpen);
        let has_healthy = (0..3).any(healthy);
        let has_any = (0..3).any(can_take);
        let has_failed = (0..3).any(|index| {
            let is_down = scene.readings[index].forced == Some(Forced::Down);
            scene.excluded[index] && !is_down && standing(index) == Up
        });
        let (takes, heals): (Vec<bool>, Vec<bool>) =
            (0..3).map(|index| (can_take(index), healthy(index))).unzip();
        match scene.choose(&ask, 0.37) {
            Choice::Deployment { position, why } => {
                assert!(takes[position], "{picks:?}");
                assert!(heals[position] || !has_healthy, "{picks:?}: an ejected one before a healthy one");
                assert_eq!(why == Why::LeastBad, !has_healthy, "{picks:?}");
            }
            Choice::None(_) => assert!(!has_any || (!has_healthy && has_failed), "{picks:?}"),
        }
    }
}
