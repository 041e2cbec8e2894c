//! Accounts that are opened, configured, throttled and closed.
//!
//! Beside their module, which is compiled once more with other locks by `tests/schedules`.

use crate::accounts::{Accounts, Defaults, Throttle};
use crate::charge::{Charge, Past, scope_of};
use serde_json::{Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Document, Kind, Limits, Record, Scope, ScopeKind};
use tollgate_policy::accounts::{Ask, Kernel, Money, Reason, Threshold, Times};
use tollgate_policy::clock::{Moment, Wall};

const DOLLAR: PicoDollars = PicoDollars(1_000_000_000_000);

fn limits(value: Value) -> Limits {
    let Value::Object(members) = value else { panic!("an object") };
    Limits::read(&Document(members)).unwrap()
}

fn accounts() -> Accounts {
    Accounts::new(Kernel::new(Kernel::utc()), Defaults::default())
}

fn money(most: PicoDollars) -> Money {
    Money { most, is_free: false, is_critical: false }
}

#[test]
fn what_was_spent_before_is_in_an_account_when_it_is_opened() {
    let accounts = accounts();
    let (scope, limits) = (Scope::new(ScopeKind::Key, "k"), limits(json!({"max_budget": 3})));
    let past = Past { cadence: None, start: Wall::BEGINNING, settled: DOLLAR };
    accounts.remember(scope.clone(), past);
    accounts.remember(scope.clone(), past);
    let id = accounts.touch(&scope, &limits, Wall::default()).unwrap();
    let refused = accounts.reserve(Wall::default(), &[id], money(PicoDollars(DOLLAR.0 + 1)));
    let refused = refused.unwrap_err();
    assert_eq!(refused.scope, scope);
    assert!(matches!(refused.refusal.reason, Reason::Budget { settled, .. } if settled.0 == 2 * DOLLAR.0));
    let held = accounts.reserve(Wall::default(), &[id], money(DOLLAR)).unwrap();
    let charge = Charge { scope, cadence: None, start: Wall::BEGINNING };
    assert_eq!(accounts.charges(&held), [charge]);
    accounts.release(held);
}

#[test]
fn whoever_only_looks_at_budgets_opens_no_account_and_sees_what_it_would_have() {
    let accounts = accounts();
    let limits = limits(json!({"max_budget": 3, "model_max_budget": {"a": 2}}));
    let key = || Scope::new(ScopeKind::Key, "k");
    let past = Past { cadence: None, start: Wall::BEGINNING, settled: DOLLAR };
    accounts.remember(key(), past);
    accounts.remember(key().with_model("a"), past);
    let seen = |scope: &Scope| {
        let budgets = accounts.budgets(scope, &limits, Wall::default());
        budgets.iter().map(|budget| (budget.limit.map(|limit| limit.0), budget.settled.0)).collect::<Vec<_>>()
    };
    let scopes = [key(), key().with_model("a"), key().with_model("b"), Scope::new(ScopeKind::Key, "new")];
    let closed: Vec<_> = scopes.iter().map(seen).collect();
    assert_eq!((closed[0].as_slice(), closed[2].len()), (&[(Some(3 * DOLLAR.0), DOLLAR.0)][..], 0));
    assert_eq!(accounts.open(), 0);
    accounts.touch_all(scopes.iter().map(|scope| (scope.clone(), &limits)), Wall::default());
    assert_eq!(accounts.open(), 3);
    assert_eq!(scopes.iter().map(seen).collect::<Vec<_>>(), closed);
}

#[test]
fn a_model_without_limits_of_its_own_has_no_account() {
    let accounts = accounts();
    let limits = limits(json!({"model_rpm_limit": {"a": 1}}));
    let key = || Scope::new(ScopeKind::Key, "k");
    let scopes = [key(), key().with_model("a"), key().with_model("b")];
    let touched = accounts.touch_all(scopes.into_iter().map(|scope| (scope, &limits)), Wall::default());
    assert_eq!((touched.len(), accounts.open()), (2, 2));
}

#[test]
fn other_limits_are_taken_up_and_a_model_that_has_none_any_more_is_closed() {
    let accounts = accounts();
    let before = limits(json!({"max_budget": 1, "model_rpm_limit": {"a": 1}}));
    let scope = Scope::new(ScopeKind::Team, "t");
    let scopes = [scope.clone(), scope.clone().with_model("a")];
    let touched = accounts.touch_all(scopes.into_iter().map(|scope| (scope, &before)), Wall::default());
    let after = limits(json!({"max_budget": 2, "model_rpm_limit": {"b": 1}}));
    accounts.configure(&scope, &after, Wall::default());
    assert_eq!(accounts.open(), 1);
    let held = accounts.reserve(Wall::default(), &touched, money(PicoDollars(2 * DOLLAR.0))).unwrap();
    accounts.release(held);
    accounts.close(ScopeKind::Team, "t");
    assert_eq!(accounts.open(), 0);
}

/// How many requests get in at this moment.
fn let_in(accounts: &Accounts, scope: &Scope, limits: &Limits, times: Times) -> usize {
    let touched = accounts.touch(scope, limits, times.wall).unwrap();
    let ask =
        Ask { accounts: &[touched], input_tokens: 0, output_tokens: None, money: money(PicoDollars(0)) };
    (0..20).map_while(|_| accounts.admit(times, &ask).ok()).count()
}

#[test]
fn a_throttle_holds_until_its_time_is_over_whatever_limits_are_given_meanwhile() {
    let accounts = accounts();
    let (scope, loose) = (Scope::new(ScopeKind::Key, "k"), limits(json!({"rpm_limit": 10})));
    let minute = |minute: u64| Times {
        now: Moment::from_micros(minute * 61_000_000),
        wall: Wall::from_micros(i64::try_from(minute).unwrap() * 61_000_000),
    };
    let count = |at, limits: &Limits| let_in(&accounts, &scope, limits, minute(at));
    assert_eq!(count(0, &loose), 10);
    let throttle = Throttle { limit: 3, until: minute(5).wall };
    accounts.throttle(&scope, &loose, throttle, minute(1).wall);
    assert_eq!(count(1, &loose), 3);
    let none = limits(json!({}));
    accounts.configure(&scope, &none, minute(2).wall);
    assert_eq!(count(2, &none), 3);
    let less = limits(json!({"rpm_limit": 2}));
    accounts.configure(&scope, &less, minute(3).wall);
    assert_eq!(count(3, &less), 2);
    assert_eq!(accounts.lift(minute(4).wall), []);
    assert_eq!(accounts.lift(minute(5).wall), std::slice::from_ref(&scope));
    accounts.configure(&scope, &loose, minute(5).wall);
    assert_eq!(count(5, &loose), 10);
    assert_eq!(accounts.lift(Wall::END), []);
}

#[test]
fn an_account_that_is_opened_later_is_throttled_and_one_that_is_closed_is_forgotten() {
    let accounts = accounts();
    let (scope, limits) = (Scope::new(ScopeKind::Key, "k"), limits(json!({})));
    let times = Times { now: Moment::ZERO, wall: Wall::default() };
    accounts.throttle(&scope, &limits, Throttle { limit: 1, until: Wall::END }, times.wall);
    assert_eq!((accounts.open(), let_in(&accounts, &scope, &limits, times)), (0, 1));
    accounts.close(ScopeKind::Key, "k");
    assert_eq!(let_in(&accounts, &scope, &limits, times), 20);
}

#[test]
fn a_key_that_has_a_successor_spends_what_that_may_spend() {
    let scope = |kind, members: Value| {
        let Value::Object(members) = members else { panic!("an object") };
        let scope = scope_of(&Record::read(kind, "old", 1, &Document(members)).unwrap());
        scope.map(|scope| scope.id.to_string())
    };
    assert_eq!(scope(Kind::Key, json!({})).unwrap(), "old");
    assert_eq!(scope(Kind::Key, json!({"superseded_by": "new"})).unwrap(), "new");
    assert_eq!(scope(Kind::Team, json!({"superseded_by": "new"})).unwrap(), "old");
    assert_eq!(scope(Kind::Budget, json!({})), None);
}

#[test]
fn what_is_corrected_of_an_account_that_nobody_has_touched_is_added_up_until_it_is_opened() {
    let accounts = accounts();
    let limits = limits(json!({"max_budget": 3, "budget_duration": "1d"}));
    let scope = Scope::new(ScopeKind::Key, "k");
    let (day, now) = (86_400_000_000, Wall::from_micros(86_400_000_000 + 5));
    let charge =
        |start| Charge { scope: scope.clone(), cadence: limits.cadence, start: Wall::from_micros(start) };
    for amount in [2, 1, 4] {
        assert!(accounts.correct(&charge(day), None, now, PicoDollars(amount)).is_empty());
    }
    let budgets = accounts.budgets(&scope, &limits, now);
    let daily = budgets.iter().find(|budget| budget.cadence == limits.cadence).unwrap();
    assert_eq!(daily.settled, PicoDollars(7));
    accounts.touch(&scope, &limits, now).unwrap();
    let told = accounts.correct(&charge(day), None, now, PicoDollars(3 * DOLLAR.0));
    assert!(told.iter().any(|(whose, crossing)| *whose == scope && crossing.threshold == Threshold::Spent));
    assert!(accounts.correct(&charge(day), None, now, DOLLAR).is_empty());
}
