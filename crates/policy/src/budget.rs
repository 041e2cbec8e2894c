//! A budget that grows with the traffic: so many retries (or hedges) for so many requests.
//!
//! Owns the counts of one model group. Leaves to others: what is a request and what is to be paid. **Invariant:**
//! whenever something is spent, what was spent in the window that ends then is at most `ratio` of the requests in that
//! window plus the floor, so that a storm is not multiplied.

use crate::clock::Moment;
use std::time::Duration;

/// The window in parts: requests count while all of their part is in it, spending while any of it is, which errs on the
/// careful side by at most a part.
const PARTS: u64 = 100;
/// One part more, for the one that is half out of the window.
const SLOTS: u64 = PARTS + 1;

/// How much may be spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetRules {
    /// Spending per request.
    pub ratio: f64,
    /// Spending per second whatever the traffic.
    pub floor_per_second: f64,
    /// The window that both are taken over.
    pub window: Duration,
}

impl BudgetRules {
    /// Retries: a tenth of the requests, and 3 a second (Linkerd's retry budget in shape, Google's SRE book in size).
    pub const RETRIES: Self = Self { ratio: 0.1, floor_per_second: 3.0, window: Duration::from_secs(10) };
    /// Hedges: one in twenty requests ("The Tail at Scale", Communications of the ACM, 2013).
    pub const HEDGES: Self = Self { ratio: 0.05, floor_per_second: 0.0, window: Duration::from_secs(10) };
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u64,
    spent: u64,
}

/// The counts of one group: 101 slots, allocated with the first request.
#[derive(Debug, Clone)]
pub struct RatioBudget {
    rules: BudgetRules,
    slots: Vec<Counts>,
    /// The part of time that was counted last.
    newest: u64,
    /// Of all slots.
    spent: u64,
    /// Of all slots.
    requests: u64,
}

impl RatioBudget {
    /// A budget of which nothing is spent.
    pub fn new(rules: BudgetRules) -> Self {
        Self { rules, slots: Vec::new(), newest: 0, spent: 0, requests: 0 }
    }

    /// Takes up other rules; what was counted stays where the window is the same.
    pub fn set_rules(&mut self, rules: BudgetRules) {
        if rules.window == self.rules.window {
            self.rules = rules;
        } else {
            *self = Self::new(rules);
        }
    }

    /// Counts a request.
    pub fn note_request(&mut self, now: Moment) {
        self.requests += 1;
        if let Some(slot) = self.slot(now) {
            slot.requests += 1;
        }
    }

    /// Spends one where the budget has it.
    pub fn try_spend(&mut self, now: Moment) -> bool {
        if self.left(now) == 0 {
            return false;
        }
        self.spent += 1;
        if let Some(slot) = self.slot(now) {
            slot.spent += 1;
        }
        true
    }

    /// How many could be spent now.
    pub fn left(&mut self, now: Moment) -> u64 {
        self.slot(now);
        let oldest = self.slots.get(position(self.newest + 1)).copied().unwrap_or_default();
        let requests = self.requests - oldest.requests;
        let allowed = self.rules.ratio * requests as f64
            + self.rules.floor_per_second * self.rules.window.as_secs_f64();
        // A hair more, so that 0.05 of 20 is one, and not what rounding makes of it.
        ((allowed + 1e-9) as u64).saturating_sub(self.spent)
    }

    /// The slot of this moment, with all that lies further back than the window forgotten.
    fn slot(&mut self, now: Moment) -> Option<&mut Counts> {
        if self.slots.is_empty() {
            self.slots = vec![Counts::default(); SLOTS as usize];
        }
        let part_micros = (self.rules.window.as_micros() as u64).div_ceil(PARTS).max(1);
        let part = now.micros() / part_micros;
        let steps = part.saturating_sub(self.newest).min(SLOTS);
        self.newest = self.newest.max(part);
        for back in 0..steps {
            if let Some(slot) = self.slots.get_mut(position(self.newest - back)) {
                self.spent -= slot.spent;
                self.requests -= slot.requests;
                *slot = Counts::default();
            }
        }
        self.slots.get_mut(position(self.newest))
    }
}

fn position(part: u64) -> usize {
    (part % SLOTS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_micros(milliseconds * 1_000)
    }

    /// How many of a thousand tries are granted at once.
    fn granted(budget: &mut RatioBudget, milliseconds: u64) -> usize {
        (0..1_000).filter(|_| budget.try_spend(at(milliseconds))).count()
    }

    #[test]
    fn so_many_may_be_spent_for_so_many_requests() {
        let check = |rules: BudgetRules, requests: usize, expect: usize| {
            let mut budget = RatioBudget::new(rules);
            for _ in 0..requests {
                budget.note_request(at(5_000));
            }
            assert_eq!(granted(&mut budget, 5_000), expect, "{rules:?}, {requests} requests");
        };
        check(BudgetRules::RETRIES, 0, 30);
        check(BudgetRules::RETRIES, 9, 30);
        check(BudgetRules::RETRIES, 10, 31);
        check(BudgetRules::RETRIES, 100, 40);
        check(BudgetRules::HEDGES, 19, 0);
        check(BudgetRules::HEDGES, 20, 1);
        check(BudgetRules::HEDGES, 39, 1);
        check(BudgetRules::HEDGES, 400, 20);
        check(BudgetRules { ratio: 0.0, floor_per_second: 0.0, ..BudgetRules::RETRIES }, 500, 0);
        check(BudgetRules { ratio: 1.0, floor_per_second: 0.0, ..BudgetRules::RETRIES }, 500, 500);
        check(BudgetRules { ratio: f64::NAN, ..BudgetRules::RETRIES }, 500, 0);
        check(BudgetRules { window: Duration::ZERO, ..BudgetRules::RETRIES }, 500, 50);
    }

    #[test]
    fn what_was_spent_comes_back_when_it_has_left_the_window() {
        let mut budget = RatioBudget::new(BudgetRules::RETRIES);
        assert_eq!(granted(&mut budget, 1_000), 30);
        assert_eq!(granted(&mut budget, 10_999), 0);
        assert_eq!(granted(&mut budget, 11_099), 0, "its part is not wholly out");
        assert_eq!(granted(&mut budget, 11_100), 30);
        assert_eq!(granted(&mut budget, 3_600_000), 30);
    }

    #[test]
    fn requests_that_left_the_window_pay_for_nothing() {
        let mut budget = RatioBudget::new(BudgetRules::HEDGES);
        for _ in 0..100 {
            budget.note_request(at(0));
        }
        assert_eq!(budget.left(at(9_999)), 5);
        assert_eq!(budget.left(at(10_000)), 0);
    }

    #[test]
    fn other_rules_count_on_unless_the_window_is_another() {
        let mut budget = RatioBudget::new(BudgetRules::RETRIES);
        assert_eq!(granted(&mut budget, 0), 30);
        budget.set_rules(BudgetRules { floor_per_second: 4.0, ..BudgetRules::RETRIES });
        assert_eq!(granted(&mut budget, 0), 10);
        budget.set_rules(BudgetRules { window: Duration::from_secs(1), ..BudgetRules::RETRIES });
        assert_eq!(granted(&mut budget, 0), 3);
    }

    #[test]
    fn whenever_it_grants_the_window_holds_and_careful_is_less_than_a_part() {
        for seed in 1..100_u64 {
            let mut state = seed;
            let mut draw = |most: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % most
            };
            let rules = BudgetRules { ratio: 0.3, floor_per_second: 0.2, window: Duration::from_secs(10) };
            let mut budget = RatioBudget::new(rules);
            let (mut requests, mut spent) = (Vec::new(), Vec::new());
            let mut now = 0;
            for _ in 0..600 {
                now += if draw(20) == 0 { draw(15_000_000) } else { draw(200_000) };
                let moment = Moment::from_micros(now);
                if draw(2) == 0 {
                    budget.note_request(moment);
                    requests.push(now);
                } else {
                    let is_granted = budget.try_spend(moment);
                    spent.extend(is_granted.then_some(now));
                    let within =
                        |all: &[u64], micros: u64| all.iter().filter(|&&at| at + micros > now).count() as f64;
                    let allowed = |micros: u64| (within(&requests, micros) * 0.3 + 2.0 + 1e-9).floor();
                    let count = within(&spent, 10_000_000);
                    let holds = !is_granted || count <= allowed(10_000_000);
                    assert!(holds, "seed {seed}: {count} spent at {now}");
                    let is_needless = within(&spent, 10_100_000) < allowed(9_900_000);
                    assert!(is_granted || !is_needless, "seed {seed}: refused at {now}");
                }
            }
            assert!(spent.len() > 20, "seed {seed}");
        }
    }
}
