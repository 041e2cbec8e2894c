//! Budgets, rates and places of accounts: what is let in, held, booked and told.

use super::*;
use crate::sliding::Length;

const DOLLAR: i128 = 1_000_000_000_000;
const DAY: i64 = 86_400_000_000;

fn kernel() -> Kernel {
    Kernel::new(TimeZone::UTC)
}

fn times(seconds: u64) -> Times {
    Times {
        now: Moment::from_micros(seconds * 1_000_000),
        wall: Wall::from_micros(seconds as i64 * 1_000_000),
    }
}

fn dollars(amount: i128) -> PicoDollars {
    PicoDollars(amount * DOLLAR)
}

fn most(amount: PicoDollars) -> Money {
    Money { most: amount, is_free: false, is_critical: false }
}

fn budget(limit: i128, cadence: Option<&str>) -> BudgetRule {
    BudgetRule {
        cadence: cadence.map(|text| Cadence::parse(text).unwrap()),
        ..BudgetRule::forever(dollars(limit))
    }
}

fn with_budget(limit: i128, cadence: Option<&str>) -> AccountRules {
    AccountRules { budgets: vec![budget(limit, cadence)], ..AccountRules::default() }
}

fn with_rate(unit: Unit, limit: u64) -> AccountRules {
    AccountRules { rates: vec![RateRule { unit, length: Length::MINUTE, limit }], ..AccountRules::default() }
}

fn ask(accounts: &[AccountId], money: Money) -> Ask<'_> {
    Ask { accounts, input_tokens: 100, output_tokens: Some(50), money }
}

/// What a budget's refusal says: whose it is, and what is available.
fn available(refusal: Refusal) -> (AccountId, i128) {
    match refusal.reason {
        Reason::Budget { available, .. } => (refusal.account, available.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_budget_with_room_for_ten_lets_exactly_ten_of_a_thousand_through() {
    let mut kernel = kernel();
    let key = kernel.open(&with_budget(10, None), Wall::default());
    let team = kernel.open(&with_budget(1_000, None), Wall::default());
    let mut held = Vec::new();
    let refused = (0..1_000)
        .filter(|_| {
            kernel
                .admit(times(1), &ask(&[key, team], most(dollars(1))))
                .map(|taken| held.push(taken))
                .is_err()
        })
        .count();
    assert_eq!((held.len(), refused), (10, 990));
    for (passage, reservation) in held {
        kernel.finish(passage, times(2).now, Tokens::default());
        kernel.settle(reservation, times(2).wall, dollars(1));
    }
    let [standing] = kernel.budgets(key, times(2).wall)[..] else { panic!() };
    assert_eq!((standing.settled, standing.held), (dollars(10), PicoDollars::ZERO));
    assert_eq!(kernel.budgets(team, times(2).wall)[0].settled, dollars(10));
}

#[test]
fn a_refusal_names_the_tightest_budget_and_takes_nothing() {
    let mut kernel = kernel();
    let wide = kernel.open(&with_budget(100, None), Wall::default());
    let rules = AccountRules { parallel: Some(1), ..with_budget(5, Some("1d")) };
    let tight = kernel.open(&rules, Wall::default());
    let refusal = kernel.admit(times(1), &ask(&[wide, tight], most(dollars(200)))).unwrap_err();
    assert_eq!(available(refusal), (tight, 5 * DOLLAR));
    let Reason::Budget { limit, resets_at, .. } = refusal.reason else { panic!() };
    assert_eq!((limit, resets_at), (dollars(5), Some(Wall::from_micros(DAY))));
    assert_eq!((kernel.places(wide), kernel.places(tight)), (Some((0, None)), Some((0, Some(1)))));
    assert_eq!(kernel.budgets(wide, Wall::default())[0].held, PicoDollars::ZERO);
    // What it can spend is exactly what is available.
    assert!(kernel.reserve(times(1).wall, &[wide, tight], most(dollars(5))).is_ok());
    let refusal = kernel.reserve(times(1).wall, &[wide, tight], most(PicoDollars(1))).unwrap_err();
    assert_eq!(available(refusal), (tight, 0));
}

#[test]
fn of_several_rates_the_one_that_lasts_longest_is_named_and_a_refused_request_does_not_count() {
    let mut kernel = kernel();
    let key = kernel.open(&with_rate(Unit::Requests, 2), Wall::default());
    let team = kernel.open(&with_rate(Unit::Tokens, 400), Wall::default());
    let free = Money { most: PicoDollars::ZERO, is_free: true, is_critical: false };
    let first = kernel.admit(times(0), &ask(&[key, team], free)).unwrap();
    let second = kernel.admit(times(10), &ask(&[key, team], free)).unwrap();
    for _ in 0..100 {
        let refusal = kernel.admit(times(20), &ask(&[key, team], free)).unwrap_err();
        // Both are full; both are free when the first request leaves the window.
        let Reason::Rate { rule, used, free_at } = refusal.reason else { panic!() };
        assert_eq!((refusal.account, rule.unit, used), (key, Unit::Requests, 2));
        assert_eq!(free_at, Some(Moment::from_micros(60_100_000)));
    }
    // The real tokens take the place of the reserved ones, and make the team's limit the longer one.
    kernel.finish(second.0, times(30).now, Tokens { input: 100, output: 250 });
    let refusal = kernel.admit(times(30), &ask(&[key, team], free)).unwrap_err();
    let Reason::Rate { used, free_at, .. } = refusal.reason else { panic!() };
    assert_eq!((refusal.account, used, free_at), (team, 500, Some(Moment::from_micros(70_100_000))));
    kernel.finish(first.0, times(30).now, Tokens::default());
    kernel.release(first.1);
    kernel.release(second.1);
}

#[test]
fn a_request_that_was_not_sent_is_as_if_it_had_not_come() {
    let mut kernel = kernel();
    let rules = AccountRules { parallel: Some(1), ..with_rate(Unit::Requests, 1) };
    let key = kernel.open(&rules, Wall::default());
    for second in 0..50 {
        let (passage, money) = kernel.admit(times(second), &ask(&[key], most(dollars(1)))).unwrap();
        let refusal = kernel.admit(times(second), &ask(&[key], most(dollars(1)))).unwrap_err();
        assert_eq!(refusal.reason, Reason::Parallel { limit: 1 });
        kernel.withdraw(passage, times(second).now);
        kernel.release(money);
    }
    assert_eq!(kernel.rates(key, times(50).now)[0].remaining, 1);
}

#[test]
fn a_request_larger_than_a_limit_never_fits() {
    let mut kernel = kernel();
    let key = kernel.open(&with_rate(Unit::Tokens, 149), Wall::default());
    let refusal = kernel.admit(times(0), &ask(&[key], most(PicoDollars(1)))).unwrap_err();
    assert!(matches!(refusal.reason, Reason::Rate { used: 0, free_at: None, .. }), "{refusal:?}");
}

#[test]
fn a_spent_budget_keeps_back_all_but_what_is_known_to_be_free() {
    let mut kernel = kernel();
    let key = kernel.open(&with_budget(0, None), Wall::default());
    assert_eq!(
        available(kernel.reserve(Wall::default(), &[key], most(PicoDollars::ZERO)).unwrap_err()),
        (key, 0)
    );
    let free = Money { is_free: true, ..most(PicoDollars::ZERO) };
    assert!(kernel.reserve(Wall::default(), &[key], free).is_ok());
}

#[test]
fn an_attempt_after_one_that_cost_nothing_takes_over_its_hold() {
    let mut kernel = kernel();
    let key = kernel.open(&with_budget(10, None), Wall::default());
    let (cheap, dear) = (
        kernel.open(&with_budget(6, None), Wall::default()),
        kernel.open(&with_budget(3, None), Wall::default()),
    );
    let mut held = kernel.reserve(Wall::default(), &[key, cheap], most(dollars(6))).unwrap();
    // The same money again, at another deployment.
    kernel.rebook(&mut held, Wall::default(), &[key, dear], most(dollars(2))).unwrap();
    assert_eq!(kernel.budgets(cheap, Wall::default())[0].held, PicoDollars::ZERO);
    let refusal = kernel.rebook(&mut held, Wall::default(), &[key, dear], most(dollars(4))).unwrap_err();
    assert_eq!(available(refusal), (dear, 3 * DOLLAR));
    // The hold is as it was.
    assert_eq!((held.amount(), kernel.budgets(key, Wall::default())[0].held), (dollars(2), dollars(2)));
    kernel.settle(held, Wall::default(), dollars(1));
    let [key, dear] = [key, dear].map(|id| kernel.budgets(id, Wall::default())[0]);
    assert_eq!(
        (key.settled, key.held, dear.settled, dear.held),
        (dollars(1), PicoDollars(0), dollars(1), PicoDollars(0))
    );
}

#[test]
fn each_mark_is_told_once_in_a_period_and_again_when_the_budget_was_raised_above_it() {
    let mut kernel = kernel();
    let mut rules = with_budget(100, Some("1d"));
    rules.budgets[0].soft = Some(dollars(50));
    let key = kernel.open(&rules, Wall::default());
    let spend = |kernel: &mut Kernel, second: u64, amount: i128| {
        let critical = Money { is_critical: true, ..most(dollars(amount)) };
        let held = kernel.reserve(times(second).wall, &[key], critical).unwrap();
        let told = kernel.settle(held, times(second).wall, dollars(amount));
        told.iter().map(|(_, crossing)| crossing.threshold).collect::<Vec<_>>()
    };
    assert_eq!(spend(&mut kernel, 1, 49), []);
    assert_eq!(spend(&mut kernel, 2, 1), [Threshold::Soft]);
    assert_eq!(spend(&mut kernel, 3, 40), [Threshold::Warn, Threshold::Downgrade]);
    assert_eq!(spend(&mut kernel, 4, 10), [Threshold::Spent]);
    assert_eq!(spend(&mut kernel, 5, 5), []);
    rules.budgets[0].limit = Some(dollars(200));
    kernel.configure(key, &rules, times(6).wall);
    assert_eq!(spend(&mut kernel, 6, 45), [Threshold::Warn]);
    // The next day.
    assert_eq!(spend(&mut kernel, 86_401, 150), [Threshold::Soft, Threshold::Warn]);
}

#[test]
fn critical_requests_may_go_a_tenth_beyond_and_the_next_period_pays() {
    let mut kernel = kernel();
    let key = kernel.open(&with_budget(100, Some("1d")), Wall::default());
    let critical = |amount| Money { is_critical: true, ..most(dollars(amount)) };
    let all = kernel.reserve(times(1).wall, &[key], most(dollars(100))).unwrap();
    let late = kernel.reserve(times(2).wall, &[key], critical(4)).unwrap();
    assert_eq!(available(kernel.reserve(times(2).wall, &[key], critical(7)).unwrap_err()), (key, 6 * DOLLAR));
    let beyond = kernel.reserve(times(3).wall, &[key], critical(6)).unwrap();
    kernel.settle(all, times(4).wall, dollars(100));
    assert_eq!(kernel.standing(&[key], times(4).wall).tier, Tier::Overflow);
    kernel.settle(beyond, times(4).wall, dollars(6));
    // The day after: 6 are owed, and the 4 that were under way at midnight come to them.
    let next = times(86_500).wall;
    assert_eq!(kernel.budgets(key, next)[0].settled, dollars(6));
    kernel.settle(late, next, dollars(4));
    assert_eq!(kernel.budgets(key, next)[0].settled, dollars(10));
    // Two days after, nothing is owed of that.
    assert_eq!(kernel.budgets(key, times(2 * 86_400 + 1).wall)[0].settled, PicoDollars::ZERO);
}

#[test]
fn what_was_reserved_before_a_reset_is_booked_before_it() {
    let mut kernel = kernel();
    let key = kernel.open(&with_budget(10, Some("1d")), Wall::default());
    let held = kernel.reserve(times(86_399).wall, &[key], most(dollars(8))).unwrap();
    let next = times(86_401).wall;
    // The new day has all of its own.
    let own = kernel.reserve(next, &[key], most(dollars(10))).unwrap();
    kernel.settle(held, next, dollars(8));
    let standing = kernel.budgets(key, next)[0];
    assert_eq!((standing.settled, standing.held), (PicoDollars::ZERO, dollars(10)));
    // A clock that is set back does not bring the old day back.
    assert!(kernel.reserve(times(86_000).wall, &[key], most(dollars(1))).is_err());
    kernel.release(own);
    assert_eq!(kernel.budgets(key, times(86_000).wall)[0].period.start, Wall::from_micros(DAY));
}

#[test]
fn tickets_of_closed_and_changed_accounts_do_no_harm() {
    let mut kernel = kernel();
    let (gone, kept) = (
        kernel.open(&with_budget(10, None), Wall::default()),
        kernel.open(&with_budget(10, None), Wall::default()),
    );
    let (passage, held) = kernel.admit(times(1), &ask(&[gone, kept, kept], most(dollars(3)))).unwrap();
    assert_eq!(
        kernel.budgets(kept, Wall::default())[0].held,
        dollars(3),
        "an account that is named twice pays once"
    );
    kernel.close(gone);
    let other = kernel.open(&with_budget(10, None), Wall::default());
    kernel.configure(kept, &with_budget(20, Some("1d")), Wall::default());
    kernel.finish(passage, times(2).now, Tokens::default());
    kernel.settle(held, times(2).wall, dollars(2));
    // What is under way when a budget changes is spent under the budget that there is then.
    for (id, settled) in [(other, PicoDollars::ZERO), (kept, dollars(2))] {
        let standing = kernel.budgets(id, times(2).wall)[0];
        assert_eq!((standing.settled, standing.held), (settled, PicoDollars::ZERO), "{id:?}");
    }
    assert!(kernel.budgets(gone, times(2).wall).is_empty());
    assert_eq!(kernel.places(kept), Some((0, None)));
}

#[test]
fn what_was_spent_before_a_restart_is_there_again_with_what_the_last_period_owes() {
    let mut kernel = kernel();
    let now = Wall::from_micros(3 * DAY + 5);
    let key = kernel.open(&with_budget(100, Some("1d")), now);
    let daily = Some(Cadence::Days(1));
    kernel.restore(key, daily, Wall::from_micros(3 * DAY), dollars(7));
    kernel.restore(key, daily, Wall::from_micros(2 * DAY), dollars(104));
    kernel.restore(key, None, Wall::BEGINNING, dollars(50));
    assert_eq!(kernel.budgets(key, now)[0].settled, dollars(11));
}

#[test]
fn of_several_periods_before_a_restart_the_last_one_is_owed_whatever_their_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut kernel = kernel();
        let now = Wall::from_micros(3 * DAY + 5);
        let key = kernel.open(&with_budget(100, Some("1d")), now);
        for day in order {
            let spent = dollars(102 + i128::from(day));
            kernel.restore(key, Some(Cadence::Days(1)), Wall::from_micros(day * DAY), spent);
        }
        assert_eq!(kernel.budgets(key, now)[0].settled, dollars(4), "{order:?}");
    }
}

#[test]
fn what_is_corrected_is_booked_in_its_period_and_marks_that_are_passed_are_told() {
    let mut kernel = kernel();
    let (now, daily) = (Wall::from_micros(3 * DAY + 5), Some(Cadence::Days(1)));
    let key = kernel.open(&with_budget(100, Some("1d")), now);
    let mut correct = |day: i64, amount| {
        let crossings = kernel.correct(key, (daily, Wall::from_micros(day * DAY)), now, dollars(amount));
        let told: Vec<_> = crossings.iter().map(|crossing| crossing.threshold).collect();
        (told.contains(&Threshold::Spent), kernel.budgets(key, now)[0].settled)
    };
    // Twice of a period that is over: both count for what it owes.
    assert_eq!(correct(2, 60), (false, dollars(0)));
    assert_eq!(correct(2, 43), (false, dollars(3)));
    assert_eq!(correct(3, 96), (false, dollars(99)));
    assert_eq!(correct(3, 1), (true, dollars(100)));
    assert_eq!(correct(3, 1), (false, dollars(101)));
    // News again after it was not so for a while.
    assert_eq!(correct(3, -50), (false, dollars(51)));
    assert_eq!(correct(3, 50), (true, dollars(101)));
}

#[test]
fn a_temporary_increase_counts_until_its_end() {
    let mut kernel = kernel();
    let mut rules = with_budget(10, None);
    rules.budgets[0].increase = Some(Increase { by: dollars(5), until: times(100).wall });
    let key = kernel.open(&rules, Wall::default());
    let held = kernel.reserve(times(99).wall, &[key], most(dollars(15))).unwrap();
    kernel.settle(held, times(99).wall, dollars(12));
    assert_eq!(kernel.standing(&[key], times(99).wall).tightest.unwrap().remaining, dollars(3));
    let refusal = kernel.reserve(times(100).wall, &[key], most(dollars(1))).unwrap_err();
    assert_eq!(available(refusal), (key, -2 * DOLLAR));
}

/// A day's budget of 100 on the third day, its kernel, and how it stands.
fn of_a_day() -> (Kernel, AccountId, Wall) {
    let mut kernel = kernel();
    let now = Wall::from_micros(3 * DAY + 5);
    let key = kernel.open(&with_budget(100, Some("1d")), now);
    (kernel, key, now)
}

/// Spends at once.
fn spend(kernel: &mut Kernel, key: AccountId, now: Wall, amount: i128) {
    let money = Money { most: PicoDollars::ZERO, is_free: true, is_critical: false };
    let reservation = kernel.reserve(now, &[key], money).unwrap();
    kernel.settle(reservation, now, dollars(amount));
}

#[test]
fn what_is_spent_is_what_the_books_have_and_what_is_on_its_way_to_them() {
    let (mut kernel, key, now) = of_a_day();
    let today = (Some(Cadence::Days(1)), Wall::from_micros(3 * DAY));
    let standing = |kernel: &mut Kernel| kernel.budgets(key, now)[0].settled;
    kernel.restore(key, today.0, today.1, dollars(10));
    kernel.restore(key, today.0, today.1, dollars(1));
    kernel.expect(key, today, dollars(1));
    spend(&mut kernel, key, now, 5);
    // Others have brought 20; the 1 and the 5 are not there yet.
    kernel.follow(key, today, now, dollars(30));
    assert_eq!(standing(&mut kernel), dollars(36));
    kernel.posted(key, today, dollars(1));
    assert_eq!(standing(&mut kernel), dollars(36));
    for _ in 0..2 {
        kernel.follow(key, today, now, dollars(31));
        assert_eq!(standing(&mut kernel), dollars(36), "twice is once");
    }
    kernel.posted(key, today, dollars(5));
    kernel.follow(key, today, now, dollars(36));
    assert_eq!(standing(&mut kernel), dollars(36));
    // Set by another gateway, while something is on its way here.
    spend(&mut kernel, key, now, 2);
    kernel.follow(key, today, now, dollars(0));
    assert_eq!(standing(&mut kernel), dollars(2));
    // Set here.
    kernel.set(key, today.0, today.1, dollars(50));
    assert_eq!(standing(&mut kernel), dollars(52));
    // More than was on its way, of an account that was made anew meanwhile.
    kernel.posted(key, today, dollars(9));
    kernel.follow(key, today, now, dollars(59));
    assert_eq!(standing(&mut kernel), dollars(59));
}

#[test]
fn what_the_books_have_of_the_period_before_counts_as_what_it_owes() {
    let (mut kernel, key, now) = of_a_day();
    let on = |day: i64| (Some(Cadence::Days(1)), Wall::from_micros(day * DAY));
    spend(&mut kernel, key, now, 30);
    let check = |kernel: &mut Kernel, day: i64, in_books: i128, owed: i128| {
        kernel.follow(key, on(day), now, dollars(in_books));
        assert_eq!(kernel.budgets(key, now)[0].settled, dollars(30 + owed), "{day} {in_books}");
    };
    check(&mut kernel, 1, 500, 0);
    check(&mut kernel, 2, 90, 0);
    check(&mut kernel, 2, 104, 4);
    check(&mut kernel, 2, 107, 7);
    check(&mut kernel, 2, 101, 1);
    check(&mut kernel, 1, 600, 1);
    // One that has not begun here is of no account yet.
    check(&mut kernel, 4, 12, 1);
    // What was on its way when the period ended.
    let tomorrow = Wall::from_micros(4 * DAY + 5);
    kernel.follow(key, on(3), tomorrow, dollars(72));
    assert_eq!(kernel.budgets(key, tomorrow)[0].settled, dollars(2));
    kernel.posted(key, on(3), dollars(30));
    kernel.follow(key, on(3), tomorrow, dollars(102));
    assert_eq!(kernel.budgets(key, tomorrow)[0].settled, dollars(2));
    kernel.follow(key, on(4), tomorrow, dollars(6));
    assert_eq!(kernel.budgets(key, tomorrow)[0].settled, dollars(8));
}

#[test]
fn marks_that_others_have_passed_are_found_once() {
    let (mut kernel, key, now) = of_a_day();
    let today = (Some(Cadence::Days(1)), Wall::from_micros(3 * DAY));
    let mut check = |in_books: i128, expect: &[Threshold]| {
        let found = kernel.follow(key, today, now, dollars(in_books));
        let found: Vec<_> = found.iter().map(|crossing| crossing.threshold).collect();
        assert_eq!(found, expect, "{in_books}");
    };
    check(74, &[]);
    check(80, &[Threshold::Warn]);
    check(80, &[]);
    check(100, &[Threshold::Downgrade, Threshold::Spent]);
    check(0, &[]);
    check(76, &[Threshold::Warn]);
}

#[test]
fn one_more_answer_is_held_to_the_rates_and_takes_neither_place_nor_money() {
    let mut kernel = kernel();
    let rules = AccountRules { parallel: Some(1), ..with_rate(Unit::Requests, 2) };
    let key = kernel.open(&rules, Wall::default());
    let accounts = [key];
    let ask = ask(&accounts, most(PicoDollars::ZERO));
    let (mut first, nothing) = kernel.admit(times(1), &ask).unwrap();
    kernel.release(nothing);
    let answer = first.take_rates();
    let more = kernel.admit_again(times(2).now, &ask).unwrap();
    assert_eq!(kernel.places(key), Some((1, Some(1))));
    let refusal = kernel.admit_again(times(3).now, &ask).unwrap_err();
    assert!(matches!(refusal.reason, Reason::Rate { used: 2, .. }), "{refusal:?}");
    for passage in [answer, more] {
        kernel.finish(passage, times(4).now, Tokens::default());
    }
    assert_eq!(kernel.places(key), Some((1, Some(1))), "its place is the session's");
    kernel.finish(first, times(4).now, Tokens::default());
    assert_eq!(kernel.places(key), Some((0, Some(1))));
    assert!(kernel.admit_again(times(5).now, &ask).is_err(), "what was sent counts");
}
