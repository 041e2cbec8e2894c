//! Who is chosen among those that are left, how often, and what the table says of it.

use super::Strategy::{self, *};
use super::{StrategyState, Unit};
use crate::ask::{Ask, Leaning, Requirements};
use crate::choice::testing::{Scene, ejected};
use crate::choice::{Choice, Row, Why};
use crate::health::Standing::{HalfOpen, Up};
use crate::profile::Profile;
use crate::shuffle::{self, Share};
use crate::silence::Silent;
use std::time::Duration;

fn anything() -> Requirements {
    Requirements::default()
}

fn rows(scene: &mut Scene, ask: &Ask<'_>) -> Vec<Row> {
    scene.both(ask, 0.0).1.rows
}

/// Score, unit and share of all rows.
fn scores(scene: &mut Scene, ask: &Ask<'_>) -> Vec<(f64, Unit, f64)> {
    rows(scene, ask).iter().map(|row| (row.score.unwrap(), row.unit.unwrap(), row.share)).collect()
}

/// The positions chosen one after the other.
fn turns(scene: &mut Scene, count: usize) -> Vec<usize> {
    (0..count).map(|_| scene.plain(0.0)).collect()
}

#[test]
fn names_are_litellms_and_lead_back() {
    for strategy in [SimpleShuffle, RoundRobin, LeastBusy, Latency, Usage, Cost, ConsistentHash] {
        assert_eq!(Strategy::from_name(strategy.name()), Some(strategy));
    }
    assert_eq!(Strategy::from_name("usage-based-routing-v2"), Some(Usage));
    assert_eq!(Strategy::from_name("lar1"), None);
    assert_eq!(Strategy::default(), SimpleShuffle);
}

#[test]
fn what_a_request_says_of_itself_goes_before_the_groups_strategy() {
    let required = anything();
    let check = |strategy: Strategy, leaning: Leaning, key: Option<u64>, expect: Strategy| {
        let mut ask = Ask::new(&required);
        (ask.leaning, ask.sticky_key) = (leaning, key);
        assert_eq!(strategy.for_ask(&ask), expect);
    };
    check(RoundRobin, Leaning::None, None, RoundRobin);
    check(RoundRobin, Leaning::Latency, None, Latency);
    check(RoundRobin, Leaning::Cost, None, Cost);
    check(ConsistentHash, Leaning::None, Some(1), ConsistentHash);
    check(ConsistentHash, Leaning::None, None, SimpleShuffle);
    check(ConsistentHash, Leaning::Cost, Some(1), Cost);
}

#[test]
fn an_order_holds_against_what_a_request_says_of_itself() {
    let required = anything();
    let mut ask = Ask::new(&required);
    ask.leaning = Leaning::Cost;
    let mut scene = Scene::new(SimpleShuffle, 3).orders(&[Some(1), Some(1), Some(2)]);
    for (profile, price) in scene.profiles.iter_mut().zip([9, 5, 1]) {
        (profile.input_price, profile.output_price) = (Some(price), Some(price));
    }
    assert_eq!(scene.tally(&ask), [0, 1_000, 0]);
}

#[test]
fn the_shuffle_is_that_of_the_shuffle_module() {
    let figures = [None, Some(0.0), Some(1.0), Some(2.5), Some(-1.0)];
    let counts = [None, Some(0), Some(3), Some(70)];
    for number in 0..2_000usize {
        let share = |index: usize| {
            let pick = number / [1, 7, 49][index];
            Share {
                weight: figures[pick % 5],
                rpm: counts[pick / 2 % 4],
                tpm: counts[(pick / 3 + index) % 4],
            }
        };
        let shares = [share(0), share(1), share(2)];
        let mut scene = Scene::new(SimpleShuffle, 3);
        for (profile, share) in scene.profiles.iter_mut().zip(shares) {
            profile.share = share;
        }
        for draw in [0.0, 0.2, 0.5, 0.77, 0.999] {
            assert_eq!(Some(scene.plain(draw)), shuffle::choose(&shares, draw), "{shares:?}");
        }
    }
}

#[test]
fn a_requests_own_weights_come_before_the_operators() {
    let required = anything();
    let mut scene = Scene::new(SimpleShuffle, 3).weights(&[Some(1.0), Some(0.0), Some(1.0)]);
    let check = |scene: &mut Scene, weights: &[(&str, f64)], expect: [usize; 3]| {
        let weights: Vec<(String, f64)> =
            weights.iter().map(|&(id, weight)| (id.to_owned(), weight)).collect();
        let mut ask = Ask::new(&required);
        ask.weights = &weights;
        assert_eq!(scene.tally(&ask), expect, "{weights:?}");
    };
    check(&mut scene, &[("d1", 3.0), ("d2", 1.0)], [0, 750, 250]);
    check(&mut scene, &[("d1", 1.0)], [0, 1_000, 0]);
    check(&mut scene, &[("gone", 1.0)], [500, 0, 500]);
    check(&mut scene, &[("d1", 0.0), ("d0", f64::NAN), ("d2", f64::INFINITY)], [500, 0, 500]);
    check(&mut scene, &[], [500, 0, 500]);
}

#[test]
fn a_share_is_how_often_it_is_chosen() {
    let required = anything();
    let mut scene = Scene::new(SimpleShuffle, 3).weights(&[Some(5.0), Some(3.0), Some(2.0)]);
    let told: Vec<usize> = scores(&mut scene, &Ask::new(&required))
        .iter()
        .map(|&(_, _, share)| (share * 1_000.0).round() as usize)
        .collect();
    assert_eq!(told, [500, 300, 200]);
    assert_eq!(scene.tally(&Ask::new(&required)), [500, 300, 200]);
}

#[test]
fn turns_are_spread_as_evenly_as_weights_allow() {
    let mut scene = Scene::new(RoundRobin, 3).weights(&[Some(5.0), Some(1.0), Some(1.0)]);
    // The sequence that nginx's commit of the algorithm gives for { 5, 1, 1 }.
    assert_eq!(turns(&mut scene, 14), [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
    let mut even = Scene::new(RoundRobin, 3);
    assert_eq!(turns(&mut even, 7), [0, 1, 2, 0, 1, 2, 0]);
    let mut one_without = Scene::new(RoundRobin, 3).weights(&[Some(2.0), None, Some(0.0)]);
    assert_eq!(turns(&mut one_without, 6), [0, 1, 0, 0, 1, 0]);
    let mut zeros = Scene::new(RoundRobin, 2).weights(&[Some(0.0), Some(0.0)]);
    assert_eq!(turns(&mut zeros, 4), [0, 1, 0, 1]);
}

#[test]
fn a_turn_is_not_lost_while_a_deployment_is_away() {
    let mut scene = Scene::new(RoundRobin, 3);
    assert_eq!(turns(&mut scene, 1), [0]);
    scene.readings[1].standing = ejected(5);
    assert_eq!(turns(&mut scene, 4), [2, 2, 0, 2]);
    scene.readings[1].standing = Up;
    assert_eq!(turns(&mut scene, 3), [1, 0, 2], "it is its turn still");
}

#[test]
fn turns_survive_that_the_group_changes() {
    let mut scene = Scene::new(RoundRobin, 3);
    assert_eq!(turns(&mut scene, 2), [0, 1]);
    // Another one in front, and the first one gone: d2 is next all the same.
    scene.profiles[0] = Profile { id: "new".into(), ..Profile::default() };
    scene.profiles.swap(1, 2);
    assert_eq!(scene.profiles[scene.clone().plain(0.0)].id, "d2");
    let mut counts = [0; 3];
    for turn in turns(&mut scene, 300) {
        counts[turn] += 1;
    }
    assert!(counts.iter().all(|count| (99..=101).contains(count)), "{counts:?}");
}

#[test]
fn over_any_stretch_of_turns_nobody_is_more_than_one_turn_from_its_weight() {
    let weights = [0.7, 2.0, 1.3, 4.0];
    let total: f64 = weights.iter().sum();
    let mut scene = Scene::new(RoundRobin, 4).weights(&weights.map(Some));
    let mut counts = [0.0f64; 4];
    for turn in 1..=800 {
        counts[scene.plain(0.0)] += 1.0;
        for (count, weight) in counts.iter().zip(weights) {
            assert!((count - f64::from(turn) * weight / total).abs() < 1.5, "{counts:?} after {turn}");
        }
    }
}

#[test]
fn a_table_shows_whose_turn_it_is_and_takes_none() {
    let required = anything();
    let mut scene = Scene::new(RoundRobin, 2).weights(&[Some(3.0), Some(1.0)]);
    let ask = Ask::new(&required);
    assert_eq!(scores(&mut scene, &ask), [(3.0, Unit::Turn, 0.75), (1.0, Unit::Turn, 0.25)]);
    assert_eq!(scores(&mut scene, &ask), [(2.0, Unit::Turn, 0.75), (2.0, Unit::Turn, 0.25)]);
    let state: StrategyState = scene.state.clone();
    assert_eq!(scene.both(&ask, 0.0).1, {
        scene.state = state;
        scene.both(&ask, 0.0).1
    });
}

#[test]
fn the_least_busy_serves_and_equals_share() {
    let required = anything();
    let ask = Ask::new(&required);
    let check = |in_flight: &[u32], expect: &[usize]| {
        let mut scene = Scene::new(LeastBusy, in_flight.len());
        for (reading, &in_flight) in scene.readings.iter_mut().zip(in_flight) {
            reading.used.in_flight = in_flight;
        }
        assert_eq!(scene.tally(&ask), expect, "{in_flight:?}");
        for (score, &in_flight) in scores(&mut scene, &ask).iter().zip(in_flight) {
            assert_eq!((score.0, score.1), (f64::from(in_flight), Unit::Requests));
        }
    };
    check(&[3, 1, 2], &[0, 1_000, 0]);
    check(&[0, 0, 5, 0, 0], &[250, 250, 0, 250, 250]);
    check(&[7, 7], &[500, 500]);
}

#[test]
fn the_fastest_serves_by_first_token_for_streams_and_by_token_otherwise() {
    let required = anything();
    let millis = |millis: u64| Some(Duration::from_millis(millis));
    let mut scene = Scene::new(Latency, 2);
    (scene.readings[0].first_token, scene.readings[0].per_token) = (millis(100), millis(50));
    (scene.readings[1].first_token, scene.readings[1].per_token) = (millis(300), millis(20));
    let mut ask = Ask::new(&required);
    assert_eq!(scene.tally(&ask), [0, 1_000]);
    assert_eq!(scores(&mut scene, &ask), [(0.05, Unit::Seconds, 0.0), (0.02, Unit::Seconds, 1.0)]);
    ask.is_stream = true;
    assert_eq!(scene.tally(&ask), [1_000, 0]);
    ask.leaning = Leaning::Latency;
    scene.strategy = RoundRobin;
    assert_eq!(scene.tally(&ask), [1_000, 0]);
}

#[test]
fn within_the_buffer_all_fast_ones_share() {
    let required = anything();
    let check = |buffer: f64, expect: [usize; 4]| {
        let mut scene = Scene::new(Latency, 4);
        scene.rules.latency_buffer = buffer;
        for (reading, millis) in scene.readings.iter_mut().zip([100, 120, 150, 200]) {
            reading.per_token = Some(Duration::from_millis(millis));
        }
        assert_eq!(scene.tally(&Ask::new(&required)), expect, "{buffer}");
    };
    check(0.0, [1_000, 0, 0, 0]);
    check(0.25, [500, 500, 0, 0]);
    check(1.0, [250, 250, 250, 250]);
    check(-1.0, [1_000, 0, 0, 0]);
    check(f64::NAN, [1_000, 0, 0, 0]);
}

#[test]
fn a_deployment_that_keeps_its_callers_waiting_is_as_slow_as_that_or_no_longer_untried() {
    let required = anything();
    let ask = Ask::new(&required);
    let check = |measured: [Option<u64>; 2], lasted: u64, expect: [usize; 2]| {
        let mut scene = Scene::new(Latency, 2);
        for (reading, millis) in scene.readings.iter_mut().zip(measured) {
            reading.per_token = millis.map(Duration::from_millis);
        }
        scene.readings[0].silent = Some(Silent { lasted: Duration::from_millis(lasted), given_up: 1 });
        assert_eq!(scene.tally(&ask), expect, "{measured:?}, silent for {lasted}");
    };
    check([Some(10), Some(50)], 500, [0, 1_000]);
    check([Some(10), Some(50)], 49, [1_000, 0]);
    check([Some(50), Some(40)], 45, [0, 1_000]);
    check([None, Some(50)], 1, [0, 1_000]);
    check([None, None], 500, [0, 1_000]);
}

#[test]
fn who_was_given_up_unanswered_is_busy_still() {
    let required = anything();
    let ask = Ask::new(&required);
    let mut scene = Scene::new(LeastBusy, 2);
    scene.readings[0].silent = Some(Silent { lasted: Duration::from_secs(1), given_up: 3 });
    let mut check = |in_flight: u32, expect: [usize; 2]| {
        scene.readings[1].used.in_flight = in_flight;
        assert_eq!(scene.tally(&ask), expect, "{in_flight} in flight at the other");
    };
    check(0, [0, 1_000]);
    check(2, [0, 1_000]);
    check(3, [500, 500]);
    check(4, [1_000, 0]);
}

#[test]
fn the_buffer_is_of_latency_alone() {
    let required = anything();
    let mut scene = Scene::new(LeastBusy, 2);
    scene.rules.latency_buffer = 5.0;
    scene.readings[0].used.in_flight = 1;
    scene.readings[1].used.in_flight = 2;
    assert_eq!(scene.tally(&Ask::new(&required)), [1_000, 0]);
}

#[test]
fn an_untried_deployment_is_tried_by_one_request_at_a_time() {
    let required = anything();
    let ask = Ask::new(&required);
    let mut scene = Scene::new(Latency, 3);
    scene.readings[0].per_token = Some(Duration::from_millis(10));
    assert_eq!(scene.tally(&ask), [0, 500, 500]);
    assert_eq!(scores(&mut scene, &ask)[1], (0.0, Unit::Untried, 0.5));
    scene.readings[1].used.in_flight = 1;
    assert_eq!(scene.tally(&ask), [0, 0, 1_000]);
    scene.readings[2].used.in_flight = 1;
    assert_eq!(scene.tally(&ask), [1_000, 0, 0], "while both are being tried, the known one serves");
    scene.readings[0] = scene.readings[2];
    scene.readings[0].used.in_flight = 4;
    assert_eq!(scene.tally(&ask), [0, 500, 500], "with all untried and busy, the least busy serve");
}

#[test]
fn usage_is_measured_against_limits() {
    let required = anything();
    let ask = Ask::new(&required);
    let check = |limits: &[(Option<u64>, Option<u64>)], used: &[(u64, u64)], expect: &[usize], unit: Unit| {
        let mut scene = Scene::new(Usage, limits.len());
        for (index, (&(tpm, rpm), &(tokens, requests))) in limits.iter().zip(used).enumerate() {
            (scene.profiles[index].rates.tpm, scene.profiles[index].rates.rpm) = (tpm, rpm);
            (scene.readings[index].used.tokens, scene.readings[index].used.requests) = (tokens, requests);
        }
        assert_eq!(scene.tally(&ask), expect, "{limits:?} {used:?}");
        assert!(scores(&mut scene, &ask).iter().all(|score| score.1 == unit));
    };
    let tpm = |limit: u64| (Some(limit), None);
    let rpm = |limit: u64| (None, Some(limit));
    check(&[tpm(1_000), tpm(10_000)], &[(200, 9), (1_000, 1)], &[0, 1_000], Unit::Part);
    check(&[tpm(1_000), tpm(2_000)], &[(100, 0), (200, 0)], &[500, 500], Unit::Part);
    check(&[rpm(10), rpm(100)], &[(0, 2), (9_999, 10)], &[0, 1_000], Unit::Part);
    check(&[tpm(1_000), rpm(10)], &[(500, 0), (0, 4)], &[0, 1_000], Unit::Part);
    check(&[(Some(1_000), Some(10)), tpm(1_000)], &[(100, 10), (200, 0)], &[1_000, 0], Unit::Part);
    check(&[(None, None), (None, None)], &[(300, 1), (200, 9)], &[0, 1_000], Unit::Tokens);
    check(&[(None, None), tpm(1_000)], &[(300, 1), (500, 1)], &[1_000, 0], Unit::Tokens);
    check(&[tpm(0), tpm(10)], &[(0, 0), (0, 0)], &[500, 500], Unit::Part);
}

#[test]
fn the_cheapest_is_that_of_this_very_request() {
    let required = anything();
    let check = |prompt: u64, output: Option<u64>, expect: [usize; 3]| {
        let mut scene = Scene::new(Cost, 3);
        // One is cheap to ask, another one cheap to answer; the third has no price.
        for (profile, (input, answer)) in scene.profiles.iter_mut().zip([(1, 10), (3, 2)]) {
            (profile.input_price, profile.output_price) = (Some(input), Some(answer));
        }
        let mut ask = Ask::new(&required);
        (ask.prompt_tokens, ask.output_tokens) = (prompt, output);
        assert_eq!(scene.tally(&ask), expect, "{prompt} {output:?}");
    };
    check(10_000, Some(100), [1_000, 0, 0]);
    check(100, Some(10_000), [0, 1_000, 0]);
    check(4_000, Some(1_000), [500, 500, 0]);
    check(1_023, None, [0, 1_000, 0]);
    check(1_025, None, [1_000, 0, 0]);
}

#[test]
fn unknown_prices_come_last_and_share() {
    let required = anything();
    let mut ask = Ask::new(&required);
    (ask.prompt_tokens, ask.output_tokens) = (10, Some(20));
    let mut scene = Scene::new(Cost, 3);
    assert_eq!(scene.tally(&ask), [334, 333, 333]);
    scene.profiles[1].input_price = Some(0);
    assert_eq!(scene.tally(&ask), [334, 333, 333], "half a price is none");
    scene.profiles[1].output_price = Some(u128::MAX);
    assert_eq!(scene.tally(&ask), [0, 1_000, 0], "however dear");
    let told = scores(&mut scene, &ask);
    assert_eq!((told[0].0, told[0].1, told[1].1), (30.0, Unit::Tokens, Unit::Price));
    scene.profiles[0].input_price = Some(0);
    scene.profiles[0].output_price = Some(0);
    assert_eq!(scene.tally(&ask), [1_000, 0, 0], "free is the cheapest");
}

/// Where each of these keys goes, by id.
fn homes(scene: &mut Scene, keys: u64) -> Vec<String> {
    let required = anything();
    let mut ask = Ask::new(&required);
    (0..keys)
        .map(|key| {
            ask.sticky_key = Some(key);
            let position = scene.position(&ask, 0.5);
            scene.profiles[position].id.clone()
        })
        .collect()
}

#[test]
fn a_key_stays_where_it_is_when_others_come_and_go() {
    let mut scene = Scene::new(ConsistentHash, 5);
    let before = homes(&mut scene, 1_000);
    assert_eq!(homes(&mut scene.clone(), 1_000), before);
    let mut shuffled = scene.clone();
    shuffled.profiles.reverse();
    assert_eq!(homes(&mut shuffled, 1_000), before, "whatever the order of the list");
    let mut fewer = scene.clone();
    fewer.readings[3].standing = ejected(5);
    for (before, after) in before.iter().zip(homes(&mut fewer, 1_000)) {
        assert!(*before == after || before == "d3");
        assert_ne!(after, "d3");
    }
    let mut more = Scene::new(ConsistentHash, 6);
    let moved = before.iter().zip(homes(&mut more, 1_000)).filter(|(before, after)| *before != after);
    let moved: Vec<_> = moved.collect();
    assert!(moved.iter().all(|(_, after)| after == "d5"), "nothing moves but to the new one");
    assert!((120..220).contains(&moved.len()), "{}", moved.len());
}

#[test]
fn keys_are_spread_by_weight() {
    let count = |scene: &mut Scene| {
        let homes = homes(scene, 6_000);
        let count = |id: &str| homes.iter().filter(|home| *home == id).count();
        [count("d0"), count("d1"), count("d2")]
    };
    let even = count(&mut Scene::new(ConsistentHash, 3));
    assert!(even.iter().all(|count| (1_850..2_150).contains(count)), "{even:?}");
    let mut scene = Scene::new(ConsistentHash, 3).weights(&[Some(3.0), Some(0.0), None]);
    let weighted = count(&mut scene);
    assert!((4_350..4_650).contains(&weighted[0]), "{weighted:?}");
    assert_eq!(weighted[1], 0);
}

#[test]
fn the_hash_is_the_same_on_every_machine() {
    // Figures of this program's own first version: sessions must not move when it is updated.
    let homes = homes(&mut Scene::new(ConsistentHash, 4), 12);
    assert_eq!(homes.join(" "), "d1 d3 d1 d0 d2 d1 d3 d1 d3 d2 d3 d1");
}

#[test]
fn without_a_key_hashing_is_the_shuffle() {
    let required = anything();
    let mut scene = Scene::new(ConsistentHash, 2);
    assert_eq!(scene.tally(&Ask::new(&required)), [500, 500]);
    assert_eq!(scene.why(&Ask::new(&required)), Why::Weight);
}

#[test]
fn every_strategy_names_itself_as_the_reason() {
    let required = anything();
    let mut ask = Ask::new(&required);
    ask.sticky_key = Some(1);
    let check = |strategy: Strategy, why: Why, word: &str| {
        assert_eq!(Scene::new(strategy, 2).why(&ask), why);
        assert_eq!(why.word(), word);
    };
    check(SimpleShuffle, Why::Weight, "weight");
    check(RoundRobin, Why::RoundRobin, "round-robin");
    check(LeastBusy, Why::LeastBusy, "least-busy");
    check(Latency, Why::Latency, "latency");
    check(Usage, Why::Usage, "usage");
    check(Cost, Why::Cost, "cost");
    check(ConsistentHash, Why::Hash, "hash");
}

#[test]
fn a_share_of_a_choice_that_is_settled_before_the_strategy_is_all_or_nothing() {
    let required = anything();
    let mut ask = Ask::new(&required);
    let mut scene = Scene::new(SimpleShuffle, 3).standing(&[Up, HalfOpen, Up]);
    let shares = |scene: &mut Scene, ask: &Ask<'_>| -> Vec<f64> {
        rows(scene, ask).iter().map(|row| row.share).collect()
    };
    assert_eq!(shares(&mut scene, &ask), [0.0, 1.0, 0.0]);
    ask.affinity = Some("d2");
    assert_eq!(shares(&mut scene, &ask), [0.0, 0.0, 1.0]);
    assert!(rows(&mut scene, &ask).iter().all(|row| row.passed.is_none()), "the others could have served");
}

/// A hundred deployments at every strategy: the working memory is there after the first choice, and every draw ends
/// within the group.
#[test]
fn a_large_group_is_chosen_from_without_growing_memory() {
    let required = anything();
    for strategy in [SimpleShuffle, RoundRobin, LeastBusy, Latency, Usage, Cost, ConsistentHash] {
        let mut scene = Scene::new(strategy, 100);
        let mut ask = Ask::new(&required);
        ask.sticky_key = Some(7);
        scene.plain(0.0);
        let before = scene.state.kept.capacity();
        for draw in [0.0, 0.25, 0.5, 0.999_999, 1.0] {
            let Choice::Deployment { position, .. } = scene.choose(&ask, draw) else { panic!("nobody") };
            assert!(position < 100);
        }
        assert_eq!(scene.state.kept.capacity(), before);
    }
}
