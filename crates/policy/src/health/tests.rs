//! Health as an operator would describe it, and under random histories.

use super::*;
use FailureKind::*;

/// In the middle of the jitter.
const EVEN: f64 = 0.5;

fn at(milliseconds: u64) -> Moment {
    Moment::from_micros(milliseconds * 1_000)
}

fn rules() -> HealthRules {
    HealthRules::default()
}

fn failed(kind: FailureKind) -> Failed {
    Failed { kind, retry_after: None, draw: EVEN }
}

fn limited(retry_after_milliseconds: u64) -> Failed {
    Failed { retry_after: Some(Duration::from_millis(retry_after_milliseconds)), ..failed(RateLimit) }
}

/// One attempt that begins and fails at once.
fn fail(health: &mut Health, milliseconds: u64, kind: FailureKind, rules: &HealthRules) -> Option<Change> {
    let attempt = health.begin(at(milliseconds));
    health.fail(attempt, at(milliseconds), failed(kind), rules)
}

/// One attempt that begins and succeeds at once.
fn succeed(health: &mut Health, milliseconds: u64) -> Option<Change> {
    let attempt = health.begin(at(milliseconds));
    health.succeed(attempt, at(milliseconds))
}

fn ejected(for_milliseconds: u64, failures: u32) -> Option<Change> {
    Some(Change::Ejected { for_: Duration::from_millis(for_milliseconds), failures })
}

fn paused(for_milliseconds: u64) -> Option<Change> {
    Some(Change::Paused { for_: Duration::from_millis(for_milliseconds) })
}

/// Ejected at 0 for 5 s.
fn ejected_health() -> Health {
    let mut health = Health::default();
    for _ in 0..3 {
        fail(&mut health, 0, Server, &rules());
    }
    assert_eq!(health.standing(at(0)), Standing::Ejected { until: at(5_000) });
    health
}

/// Which of the failures at those milliseconds ejects first, by its position.
fn ejecting(failures: &[(u64, FailureKind)], rules: &HealthRules) -> Option<usize> {
    let mut health = Health::default();
    failures.iter().position(|&(milliseconds, kind)| {
        matches!(fail(&mut health, milliseconds, kind, rules), Some(Change::Ejected { .. }))
    })
}

#[test]
fn an_untouched_deployment_is_up_and_costs_no_allocation() {
    let mut health = Health::default();
    assert_eq!(health.standing(at(0)), Standing::Up);
    assert_eq!(succeed(&mut health, 1), None);
    assert_eq!((health.consecutive_failures(), health.ejections()), (0, 0));
    assert!(health.tallies.is_none());
    assert_eq!(health.forced(at(0)), None);
}

#[test]
fn three_failures_in_a_row_eject_and_a_success_between_starts_anew() {
    let mut health = Health::default();
    for milliseconds in [0, 1, 3, 4] {
        assert_eq!(fail(&mut health, milliseconds, Server, &rules()), None);
        if milliseconds == 1 {
            assert_eq!(health.consecutive_failures(), 2);
            assert_eq!(succeed(&mut health, 2), None);
        }
    }
    assert_eq!(fail(&mut health, 5, Timeout, &rules()), ejected(5_000, 5));
    assert_eq!(health.standing(at(5_004)), Standing::Ejected { until: at(5_005) });
    assert_eq!(health.standing(at(5_005)), Standing::HalfOpen);
    assert_eq!((health.consecutive_failures(), health.ejections()), (3, 1));
}

#[test]
fn half_of_at_least_twenty_attempts_within_thirty_seconds_eject() {
    // Fails and succeeds by turns, so that never two failures are in a row.
    let check =
        |pairs: usize, every_milliseconds: u64, successes_per_failure: usize, expect: Option<usize>| {
            let mut health = Health::default();
            let ejecting = (0..pairs).find(|&pair| {
                let milliseconds = pair as u64 * every_milliseconds;
                for _ in 0..successes_per_failure {
                    succeed(&mut health, milliseconds);
                }
                fail(&mut health, milliseconds, Server, &rules()).is_some()
            });
            assert_eq!(ejecting, expect, "{pairs} x {successes_per_failure}, every {every_milliseconds} ms");
        };
    check(20, 100, 1, Some(9));
    check(100, 100, 2, None);
    // 15 pairs in 30 s are enough, nine are not.
    check(100, 2_000, 1, Some(9));
    check(100, 3_400, 1, None);
}

#[test]
fn successes_before_the_first_failure_are_part_of_the_share() {
    let mut health = Health::default();
    for _ in 0..100 {
        succeed(&mut health, 0);
    }
    for _ in 0..99 {
        assert_eq!(fail(&mut health, 1_000, Server, &rules()), None);
        health.consecutive_failures = 0;
    }
    assert_eq!(fail(&mut health, 1_000, Server, &rules()), ejected(5_000, 100));
}

#[test]
fn only_failures_that_a_deployment_caused_count() {
    let check = |kind: FailureKind, expect: Option<usize>| {
        assert_eq!(ejecting(&[(0, kind); 40], &rules()), expect, "{kind:?}");
    };
    for kind in [BadRequest, TooLarge, ContextWindow, ContentPolicy, NotExpressible, Quality, RateLimit] {
        check(kind, None);
    }
    for kind in [Timeout, Connection, Server, BadGateway, Unavailable] {
        check(kind, Some(2));
    }
    // A wrong name of the model and a refused credential do not get better by trying.
    for kind in [NotFound, Authentication, Permission] {
        check(kind, Some(0));
    }
}

#[test]
fn allowed_fails_ejects_at_more_than_so_many_within_the_cooldown() {
    let check = |allowed: u32, cooldown_seconds: u64, at_milliseconds: &[u64], expect: Option<usize>| {
        let cooldown = Duration::from_secs(cooldown_seconds);
        let rules = HealthRules { allowed_fails: Some(allowed), cooldown, ..rules() };
        let failures: Vec<_> = at_milliseconds.iter().map(|&milliseconds| (milliseconds, Server)).collect();
        assert_eq!(
            ejecting(&failures, &rules),
            expect,
            "{allowed} in {cooldown_seconds} s: {at_milliseconds:?}"
        );
    };
    check(0, 5, &[0], Some(0));
    check(3, 5, &[0, 1, 2], None);
    check(3, 5, &[0, 1, 2, 3], Some(3));
    check(3, 5, &[0, 1, 2, 4_999], Some(3));
    check(3, 5, &[0, 1, 2, 5_000], None);
    check(3, 5, &[0, 30, 60, 5_000, 5_000], Some(4));
    check(3, 60, &[0, 20_000, 40_000, 59_000], Some(3));
    check(1_000, 5, &[0; 1_000], None);
    check(1_000, 5, &[0; 1_001], Some(1_000));
}

#[test]
fn allowed_fails_counts_failures_whatever_succeeds_between() {
    let rules = HealthRules { allowed_fails: Some(2), ..rules() };
    let mut health = Health::default();
    for milliseconds in [0, 100] {
        assert_eq!(fail(&mut health, milliseconds, Server, &rules), None);
        succeed(&mut health, milliseconds);
    }
    assert_eq!(fail(&mut health, 200, Connection, &rules), ejected(5_000, 3));
}

#[test]
fn a_class_with_an_entry_is_counted_by_its_entry_alone() {
    let check = |by_kind: AllowedFails, failures: &[FailureKind], expect: Option<usize>| {
        let rules = HealthRules { by_kind, ..rules() };
        let failures: Vec<_> = failures.iter().map(|&kind| (0, kind)).collect();
        assert_eq!(ejecting(&failures, &rules), expect, "{by_kind:?}, {failures:?}");
    };
    let none = AllowedFails::default();
    check(AllowedFails { timeout: Some(4), ..none }, &[Timeout; 5], Some(4));
    check(AllowedFails { timeout: Some(4), ..none }, &[Timeout, Server, Timeout, Server, Server], Some(4));
    check(AllowedFails { timeout: Some(0), ..none }, &[Server, Timeout], Some(1));
    check(AllowedFails { internal_server: Some(5), ..none }, &[Server, Server, Server, Unavailable], None);
    check(AllowedFails { service_unavailable: Some(1), ..none }, &[Unavailable; 2], Some(1));
    check(AllowedFails { bad_gateway: Some(1), ..none }, &[BadGateway; 2], Some(1));
    check(AllowedFails { not_found: Some(1), ..none }, &[NotFound; 2], Some(1));
    check(AllowedFails { authentication: Some(1), ..none }, &[Authentication; 2], Some(1));
    check(AllowedFails { authentication: Some(1), ..none }, &[Permission], Some(0));
    check(AllowedFails { rate_limit: Some(2), ..none }, &[RateLimit; 3], Some(2));
    check(AllowedFails { bad_request: Some(2), ..none }, &[BadRequest, ContextWindow, TooLarge], Some(2));
    check(AllowedFails { bad_request: Some(0), ..none }, &[ContentPolicy], Some(0));
    let policy = AllowedFails { bad_request: Some(0), content_policy_violation: Some(2), ..none };
    check(policy, &[ContentPolicy; 3], Some(2));
    check(AllowedFails { content_policy_violation: Some(0), ..none }, &[BadRequest; 40], None);
}

#[test]
fn without_cooldowns_nothing_is_ejected_and_what_was_comes_back() {
    for rules in [
        HealthRules { cooldowns_disabled: true, ..rules() },
        HealthRules { cooldown: Duration::ZERO, ..rules() },
    ] {
        assert_eq!(ejecting(&[(0, Server); 40], &rules), None);
        assert_eq!(ejecting(&[(0, NotFound); 40], &rules), None);
        let mut health = ejected_health();
        assert_eq!(fail(&mut health, 1, Server, &rules), None);
        assert_eq!(health.standing(at(1)), Standing::Up);
        assert_eq!(fail(&mut health, 2, RateLimit, &rules), paused(1_000), "pauses hold all the same");
    }
}

#[test]
fn one_probe_at_a_time_goes_after_an_ejection() {
    let mut health = ejected_health();
    assert!(!health.begin(at(4_999)).is_probe);
    let probe = health.begin(at(5_000));
    assert!(probe.is_probe);
    assert_eq!(health.standing(at(5_000)), Standing::Probing);
    assert!(!health.begin(at(5_001)).is_probe);
    assert_eq!(health.succeed(probe, at(5_100)), Some(Change::Recovered));
    assert_eq!(health.standing(at(5_100)), Standing::Up);
    assert_eq!(health.consecutive_failures(), 0);
    assert!(!health.begin(at(5_101)).is_probe);
}

#[test]
fn whoever_comes_too_late_for_a_place_begins_nothing() {
    let mut health = ejected_health();
    assert_eq!(health.begin_if_open(at(4_999)), None);
    assert!(health.begin_if_open(at(5_000)).unwrap().is_probe);
    assert_eq!(health.begin_if_open(at(5_000)), None, "another one has the probe's place");
    assert_eq!(succeed(&mut health, 5_001), Some(Change::Recovered));
    assert!(!health.begin_if_open(at(5_001)).unwrap().is_probe);
    fail(&mut health, 5_002, RateLimit, &rules());
    assert_eq!(health.begin_if_open(at(5_003)), None, "a pause came between");
}

#[test]
fn what_broke_long_after_its_success_is_of_its_own_time() {
    let mut health = Health::default();
    let streams: Vec<_> = (0..4).map(|_| health.begin(at(0))).collect();
    for stream in &streams {
        health.succeed(*stream, at(1));
    }
    for stream in &streams[..3] {
        health.fail(*stream, at(1_000), failed(Connection), &rules());
    }
    assert_eq!(health.standing(at(1_000)), Standing::Ejected { until: at(6_000) });
    assert_eq!(health.fail(streams[3], at(6_000), failed(Timeout), &rules()), None);
    assert_eq!(health.standing(at(6_000)), Standing::HalfOpen, "it was no probe");
}

#[test]
fn each_failed_probe_doubles_the_ejection_up_to_the_cap() {
    let check = |cooldown_seconds: u64, expect: &[u64]| {
        let rules = HealthRules { cooldown: Duration::from_secs(cooldown_seconds), ..rules() };
        let mut health = Health::default();
        let mut now = 0;
        let mut lengths = vec![];
        fail(&mut health, now, NotFound, &rules);
        for _ in expect {
            let Standing::Ejected { until } = health.standing(at(now)) else { panic!("not ejected") };
            lengths.push(until.since(at(now)).as_secs());
            now = until.micros() / 1_000;
            assert!(fail(&mut health, now, Server, &rules).is_some());
        }
        assert_eq!(lengths, expect);
    };
    check(5, &[5, 10, 20, 25, 25]);
    check(1, &[1, 2, 4, 8, 16, 25, 25]);
    check(25, &[25, 25]);
    check(60, &[60, 60]);
}

#[test]
fn jitter_is_a_fifth_either_way_and_default_cooldowns_are_over_within_thirty_seconds() {
    let check = |draw: f64, length: u64, expect: u64| {
        let jittered = jittered(Duration::from_millis(length), draw);
        assert_eq!(jittered, Duration::from_millis(expect), "{length} at {draw}");
    };
    check(0.0, 5_000, 4_000);
    check(0.5, 5_000, 5_000);
    check(1.0, 5_000, 6_000);
    check(1.0, 25_000, 30_000);
    check(-7.0, 5_000, 4_000);
    check(7.0, 5_000, 6_000);
    check(f64::NAN, 5_000, 5_000);
    assert_eq!(jittered(Duration::MAX, 1.0), Duration::from_micros(u64::MAX));
}

#[test]
fn growth_is_forgotten_after_half_a_minute_without_failure() {
    let check = |quiet_milliseconds: u64, expect: u64| {
        let mut health = ejected_health();
        fail(&mut health, 5_000, Server, &rules());
        assert_eq!(health.standing(at(5_001)), Standing::Ejected { until: at(15_000) });
        assert_eq!(succeed(&mut health, 15_000), Some(Change::Recovered));
        let later = 15_000 + quiet_milliseconds;
        for _ in 0..3 {
            fail(&mut health, later, Server, &rules());
        }
        assert_eq!(health.standing(at(later)), Standing::Ejected { until: at(later + expect) });
    };
    check(100, 10_000);
    check(29_999, 10_000);
    check(30_000, 5_000);
}

#[test]
fn what_began_before_an_ejection_neither_lengthens_nor_lifts_it() {
    let mut health = Health::default();
    let old: Vec<_> = (0..10).map(|_| health.begin(at(0))).collect();
    for attempt in &old[..3] {
        health.fail(*attempt, at(1_000), failed(Server), &rules());
    }
    let standing = Standing::Ejected { until: at(6_000) };
    assert_eq!(health.standing(at(1_000)), standing);
    assert_eq!(health.fail(old[3], at(2_000), failed(Server), &rules()), None);
    assert_eq!(health.succeed(old[4], at(3_000)), None);
    assert_eq!(health.standing(at(3_000)), standing);
    // Nor does it say anything of what came after.
    assert_eq!(health.fail(old[5], at(6_000), failed(NotFound), &rules()), None);
    assert_eq!(health.succeed(old[6], at(6_000)), None);
    assert_eq!(health.standing(at(6_000)), Standing::HalfOpen);
    assert_eq!(succeed(&mut health, 6_000), Some(Change::Recovered));
    for attempt in &old[7..] {
        assert_eq!(health.fail(*attempt, at(6_001), failed(NotFound), &rules()), None);
    }
    assert_eq!((health.standing(at(6_001)), health.consecutive_failures()), (Standing::Up, 0));
}

#[test]
fn what_is_sent_to_an_ejected_deployment_for_want_of_another_may_lift_it_but_not_lengthen_it() {
    let mut health = ejected_health();
    let (first, second) = (health.begin(at(1_000)), health.begin(at(1_000)));
    assert_eq!(health.fail(first, at(1_001), failed(Server), &rules()), None);
    assert_eq!(health.standing(at(1_001)), Standing::Ejected { until: at(5_000) });
    assert_eq!(health.consecutive_failures(), 4);
    assert_eq!(health.succeed(second, at(1_002)), Some(Change::Recovered));
    assert_eq!(health.standing(at(1_002)), Standing::Up);
}

#[test]
fn a_probe_that_ends_without_a_verdict_makes_room_for_the_next() {
    let check = |name: &str, end: fn(&mut Health, Attempt)| {
        let mut health = ejected_health();
        let probe = health.begin(at(5_000));
        end(&mut health, probe);
        let after_pause = at(5_000 + 2_000);
        assert_eq!(health.standing(after_pause), Standing::HalfOpen, "{name}");
        assert_eq!(health.ejections(), 1, "{name}");
        assert!(health.begin(after_pause).is_probe, "{name}");
    };
    check("abandoned", |health, probe| health.abandon(probe, at(5_001)));
    check("the caller's fault", |health, probe| {
        assert_eq!(health.fail(probe, at(5_001), failed(BadRequest), &rules()), None);
    });
    check("a limit", |health, probe| {
        assert_eq!(health.fail(probe, at(5_001), limited(1_500), &rules()), paused(1_500));
    });
    let mut health = ejected_health();
    let (probe, other) = (health.begin(at(5_000)), health.begin(at(5_000)));
    health.abandon(other, at(5_001));
    assert_eq!(health.standing(at(5_001)), Standing::Probing, "another attempt frees nothing");
    health.abandon(probe, at(5_002));
    health.abandon(probe, at(5_002));
    assert_eq!(health.standing(at(5_002)), Standing::HalfOpen);
}

#[test]
fn a_probe_that_hangs_lets_the_next_one_go_every_ten_seconds() {
    let mut health = ejected_health();
    for hung in 0..4 {
        let now = 5_000 + hung * 10_000;
        assert_eq!(health.standing(at(now)), Standing::HalfOpen);
        assert!(health.begin(at(now)).is_probe);
        assert!(!health.begin(at(now + 9_999)).is_probe, "one at a time");
        assert_eq!(health.standing(at(now + 9_999)), Standing::Probing);
    }
    assert_eq!(succeed(&mut health, 45_000), Some(Change::Recovered));
    assert_eq!(health.standing(at(45_000)), Standing::Up);
}

#[test]
fn the_late_failure_of_a_forgotten_probe_neither_ejects_nor_frees_the_place_of_the_next() {
    let mut health = ejected_health();
    let forgotten = health.begin(at(5_000));
    let next = health.begin(at(15_000));
    assert_eq!(health.fail(forgotten, at(15_001), failed(Timeout), &rules()), None);
    assert_eq!(health.consecutive_failures(), 4, "it is a failure all the same");
    assert_eq!(health.standing(at(15_001)), Standing::Probing, "the next probe is still out");
    assert_eq!(health.fail(next, at(15_002), failed(Server), &rules()), ejected(10_000, 5));
    let alone = health.begin(at(25_002));
    assert_eq!(health.fail(alone, at(35_002), failed(Timeout), &rules()), None);
    assert_eq!(health.standing(at(35_002)), Standing::HalfOpen, "nor where none has followed");
    assert_eq!(health.ejections(), 2);
}

#[test]
fn the_late_success_of_a_forgotten_probe_ends_the_ejection_and_the_next_probe_is_none_any_more() {
    let mut health = ejected_health();
    let forgotten = health.begin(at(5_000));
    let next = health.begin(at(15_000));
    assert_eq!(health.succeed(forgotten, at(16_000)), Some(Change::Recovered));
    assert_eq!(health.standing(at(16_000)), Standing::Up);
    assert_eq!(health.fail(next, at(17_000), failed(Server), &rules()), None);
    assert_eq!((health.standing(at(17_000)), health.consecutive_failures()), (Standing::Up, 0));
}

#[test]
fn after_a_slow_probes_failure_it_is_out_at_most_thirty_seconds_from_the_probes_begin() {
    let check = |cooldown: u64, took: u64, expect: u64| {
        let rules = HealthRules { cooldown: Duration::from_secs(cooldown), ..rules() };
        let mut health = Health::default();
        let slow = Failed { draw: 1.0, ..failed(NotFound) };
        let attempt = health.begin(at(0));
        assert!(health.fail(attempt, at(0), slow, &rules).is_some());
        let mut now = 1_000_000;
        let mut found = None;
        for _ in 0..5 {
            let probe = health.begin(at(now));
            found = health.fail(probe, at(now + took), slow, &rules);
            now += 1_000_000;
        }
        let Some(Change::Ejected { for_, .. }) = found else { panic!("{found:?}") };
        assert_eq!(for_, Duration::from_millis(expect), "cooldown {cooldown} s, a probe of {took} ms");
    };
    check(5, 0, 30_000);
    check(5, 1_000, 29_000);
    check(5, 9_999, 20_001);
    check(20, 9_000, 21_000);
    // A longer cooldown is the operator's own.
    check(60, 9_000, 63_000);
}

#[test]
fn a_stream_that_breaks_after_its_first_token_counts() {
    let mut health = Health::default();
    let stream = health.begin(at(0));
    assert_eq!(health.succeed(stream, at(1)), None);
    let mut fail = || health.fail(stream, at(2), failed(Connection), &rules());
    assert_eq!((fail(), fail(), fail()), (None, None, ejected(5_000, 3)));
}

#[test]
fn a_429_pauses_exactly_until_retry_after() {
    let check = |retry_after: u64, expect: u64| {
        let mut health = Health::default();
        let attempt = health.begin(at(0));
        assert_eq!(health.fail(attempt, at(100), limited(retry_after), &rules()), paused(expect));
        assert_eq!(health.standing(at(99 + expect)), Standing::Paused { until: at(100 + expect) });
        assert_eq!(health.standing(at(100 + expect)), Standing::Up);
        assert_eq!((health.consecutive_failures(), health.ejections()), (0, 0));
    };
    check(1, 1);
    check(7_123, 7_123);
    check(3_600_000, 3_600_000);
    check(3_600_001, 3_600_000);
    // Zero says nothing of when.
    check(0, 1_000);
}

#[test]
fn a_429_without_a_word_pauses_longer_each_time_until_a_success() {
    let mut health = Health::default();
    let mut now = 0;
    for seconds in [1, 2, 4, 8, 16, 25, 25] {
        assert_eq!(fail(&mut health, now, RateLimit, &rules()), paused(seconds * 1_000));
        now += seconds * 1_000;
    }
    succeed(&mut health, now);
    assert_eq!(fail(&mut health, now, RateLimit, &rules()), paused(1_000));
}

#[test]
fn the_429s_of_one_burst_double_the_pause_once_and_its_successes_reset_nothing() {
    let mut health = Health::default();
    let burst: Vec<_> = (0..10).map(|_| health.begin(at(0))).collect();
    assert_eq!(health.fail(burst[0], at(10), failed(RateLimit), &rules()), paused(1_000));
    for attempt in &burst[1..8] {
        assert_eq!(health.fail(*attempt, at(20), failed(RateLimit), &rules()), None);
    }
    assert_eq!(health.succeed(burst[8], at(30)), None);
    assert_eq!(
        health.fail(burst[9], at(1_500), failed(RateLimit), &rules()),
        paused(1_000),
        "as long as before"
    );
    assert_eq!(fail(&mut health, 2_500, RateLimit, &rules()), paused(2_000));
}

#[test]
fn a_pause_is_never_shortened_and_goes_before_an_ejection() {
    let mut health = Health::default();
    let burst: Vec<_> = (0..6).map(|_| health.begin(at(0))).collect();
    health.fail(burst[0], at(0), limited(60_000), &rules());
    assert_eq!(health.fail(burst[1], at(0), limited(2_000), &rules()), None);
    health.succeed(burst[2], at(1));
    health.pause_until(at(30_000));
    let standing = Standing::Paused { until: at(60_000) };
    for attempt in &burst[3..] {
        health.fail(*attempt, at(2), failed(Server), &rules());
    }
    assert_eq!(health.ejections(), 1);
    assert_eq!(health.standing(at(10)), standing);
    assert_eq!(health.standing(at(59_999)), standing);
    assert_eq!(health.standing(at(60_000)), Standing::HalfOpen);
    health.pause_until(at(70_000));
    assert_eq!(health.standing(at(60_000)), Standing::Paused { until: at(70_000) });
    assert!(!health.begin(at(60_000)).is_probe, "no probe goes into a pause");
}

#[test]
fn a_429_grows_no_ejection_even_where_it_is_counted() {
    let by_kind = AllowedFails { rate_limit: Some(1), ..AllowedFails::default() };
    let rules = HealthRules { by_kind, ..rules() };
    let mut health = Health::default();
    let burst: Vec<_> = (0..2).map(|_| health.begin(at(0))).collect();
    assert_eq!(health.fail(burst[0], at(0), limited(100), &rules), paused(100));
    assert_eq!(health.fail(burst[1], at(0), limited(200), &rules), ejected(5_000, 2));
    assert_eq!(health.standing(at(0)), Standing::Paused { until: at(200) }, "the pause is held as well");
    assert_eq!(health.standing(at(200)), Standing::Ejected { until: at(5_000) });
    let probe = health.begin(at(5_000));
    assert_eq!(health.fail(probe, at(5_000), limited(100), &rules), paused(100));
    assert_eq!(health.standing(at(5_100)), Standing::HalfOpen);
}

#[test]
fn failures_of_a_class_are_shown_and_count_by_their_entry_alone() {
    let by_kind = AllowedFails { internal_server: Some(2), ..AllowedFails::default() };
    let rules = HealthRules { by_kind, ..rules() };
    let mut health = Health::default();
    assert_eq!((fail(&mut health, 0, Server, &rules), fail(&mut health, 1, Server, &rules)), (None, None));
    assert_eq!((health.consecutive_failures(), health.is_sound()), (2, false));
    assert_eq!(fail(&mut health, 2, Connection, &rules), None, "one in a row of its own");
    assert_eq!(fail(&mut health, 3, Server, &rules), ejected(5_000, 3));
    assert_eq!(health.consecutive_failures(), 4);
    succeed(&mut health, 5_003);
    assert_eq!((health.consecutive_failures(), health.is_sound()), (0, true));
}

#[test]
fn a_reset_forgets_pauses_ejections_and_growth_and_not_the_operators_word() {
    let mut health = ejected_health();
    assert_eq!(fail(&mut health, 5_000, Server, &rules()), ejected(10_000, 4));
    let late = health.begin(at(5_000));
    health.pause_until(at(7_200_000));
    health.force(Some(Forced::Draining), Some(at(60_000)));
    health.reset();
    assert_eq!((health.standing(at(5_001)), health.consecutive_failures()), (Standing::Up, 0));
    assert_eq!(health.forced(at(5_001)), Some(Forced::Draining));
    assert_eq!(health.fail(late, at(5_002), failed(NotFound), &rules()), None, "that was before");
    health.force(None, None);
    assert!(health.is_sound());
    assert_eq!(fail(&mut health, 5_003, NotFound, &rules()), ejected(5_000, 1), "as long as the first");
}

#[test]
fn a_reset_does_not_stand_in_the_way_of_a_new_pause() {
    let mut health = Health::default();
    for now in [0, 1_000, 3_000] {
        assert!(fail(&mut health, now, RateLimit, &rules()).is_some());
    }
    health.reset();
    assert_eq!(fail(&mut health, 3_001, RateLimit, &rules()), paused(1_000));
}

#[test]
fn the_operators_word_holds_until_its_moment() {
    let mut health = Health::default();
    health.force(Some(Forced::Down), Some(at(1_000)));
    assert_eq!((health.forced(at(999)), health.forced_until(at(999))), (Some(Forced::Down), Some(at(1_000))));
    assert_eq!((health.forced(at(1_000)), health.forced_until(at(1_000))), (None, None));
    health.force(Some(Forced::Draining), None);
    assert_eq!(health.forced(at(u64::MAX / 1_000)), Some(Forced::Draining));
    health.force(Some(Forced::Up), None);
    assert_eq!(health.forced(at(0)), Some(Forced::Up));
    health.force(None, None);
    assert_eq!(health.forced(at(0)), None);
    assert_eq!(health.standing(at(0)), Standing::Up, "and its health is what it was");
}
