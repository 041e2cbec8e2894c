//! One play: random steps on the kernel, and an oracle that is told of each and believes nothing.

use std::collections::HashMap;
use tollgate_catalog::PicoDollars;
use tollgate_policy::accounts::{
    AccountId, AccountRules, Ask, BudgetRule, Kernel, Money, Part, Passage, RateRule, Reason, Reservation,
    TierRules, Times, Tokens, Unit,
};
use tollgate_policy::clock::{Moment, Wall};
use tollgate_policy::period::{Cadence, Period};
use tollgate_policy::sliding::Length;

const MINUTE: u64 = 60_000_000;

/// What happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) admitted: u64,
    pub(crate) refused_money: u64,
    pub(crate) refused_rates: u64,
    pub(crate) rebooked: u64,
    pub(crate) resets: u64,
    pub(crate) closed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.admitted += other.admitted;
        self.refused_money += other.refused_money;
        self.refused_rates += other.refused_rates;
        self.rebooked += other.rebooked;
        self.resets += other.resets;
        self.closed += other.closed;
    }
}

/// A request that is under way.
struct Open {
    passage: Passage,
    /// Its attempts: the reservation, what it may cost, its accounts, and the periods in which it was reserved.
    attempts: Vec<Attempt>,
    accounts: Vec<AccountId>,
    asked: (u64, u64),
}

struct Attempt {
    reservation: Reservation,
    most: i128,
    accounts: Vec<AccountId>,
    /// For each account with a budget, the start of its period.
    periods: Vec<(AccountId, Wall)>,
}

/// What the oracle knows of an account.
struct Known {
    rules: AccountRules,
    /// The period that its budget is in.
    period: Period,
    /// Costs that were booked, by the start of the period in which they were reserved.
    booked: HashMap<i64, i128>,
    sent: Vec<u64>,
}

struct World {
    state: u64,
    kernel: Kernel,
    zone: jiff::tz::TimeZone,
    now: u64,
    wall: i64,
    accounts: Vec<(AccountId, Known)>,
    open: Vec<Open>,
    tally: Tally,
}

/// Plays one seed to its end.
pub(crate) fn play(seed: u64) -> Tally {
    let zone = jiff::tz::TimeZone::get(if seed.is_multiple_of(3) { "Europe/Berlin" } else { "UTC" }).unwrap();
    let mut world = World {
        state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        kernel: Kernel::new(zone.clone()),
        zone,
        now: 0,
        // In the night in which the clocks of Berlin fall back.
        wall: 1_792_886_400_000_000,
        accounts: Vec::new(),
        open: Vec::new(),
        tally: Tally::default(),
    };
    for _ in 0..3 + world.draw(4) {
        world.open_account();
    }
    for _ in 0..300 {
        world.step();
        world.check();
    }
    while !world.open.is_empty() {
        world.end_one();
    }
    world.check();
    for (id, _) in &world.accounts {
        assert_eq!(world.kernel.places(*id).unwrap().0, 0, "a place is still held");
        for budget in world.kernel.budgets(*id, Wall::from_micros(world.wall)) {
            assert_eq!(budget.held, PicoDollars::ZERO, "money is still held");
        }
    }
    world.tally
}

impl World {
    fn draw(&mut self, most: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % most
    }

    fn times(&self) -> Times {
        Times { now: Moment::from_micros(self.now), wall: Wall::from_micros(self.wall) }
    }

    fn rules(&mut self) -> AccountRules {
        let cadences = ["20s", "5m", "1h", "7h", "1d", "7d", "30d"];
        let cadence = self.draw(8) as usize;
        let cadence = cadences.get(cadence).map(|text| Cadence::parse(text).unwrap());
        let limit = PicoDollars(i128::from(1 + self.draw(100_000)));
        let anchor = Wall::from_micros(1_790_000_000_000_000);
        let has_budget = self.draw(5) > 0;
        let rates = [Unit::Requests, Unit::Tokens, Unit::InputTokens, Unit::OutputTokens]
            .into_iter()
            .filter(|_| self.draw(4) == 0)
            .collect::<Vec<_>>();
        AccountRules {
            rates: rates
                .into_iter()
                .map(|unit| RateRule {
                    unit,
                    length: Length::MINUTE,
                    limit: if unit == Unit::Requests { 1 + self.draw(30) } else { 1 + self.draw(6_000) },
                })
                .collect(),
            parallel: (self.draw(3) == 0).then(|| 1 + self.draw(8) as u32),
            budgets: if has_budget {
                vec![BudgetRule { cadence, anchor, ..BudgetRule::forever(limit) }]
            } else {
                Vec::new()
            },
            tiers: TierRules { overflow: Part::millionths(100_000), ..TierRules::default() },
        }
    }

    fn period(&self, rules: &AccountRules) -> Period {
        let budget = rules.budgets.first();
        budget
            .and_then(|rule| {
                Some(rule.cadence?.period(Wall::from_micros(self.wall), rule.anchor, &self.zone))
            })
            .unwrap_or(Period::FOREVER)
    }

    fn open_account(&mut self) {
        let rules = self.rules();
        let id = self.kernel.open(&rules, Wall::from_micros(self.wall));
        let period = self.period(&rules);
        self.accounts.push((id, Known { rules, period, booked: HashMap::new(), sent: Vec::new() }));
    }

    fn step(&mut self) {
        let step = match self.draw(12) {
            0 => self.draw(40_000_000),
            1 => 0,
            _ => self.draw(3_000_000),
        };
        self.now += step;
        self.wall += step as i64;
        match self.draw(60) {
            // The wall's clock is set, by up to a day; sometimes back.
            0 => self.wall += self.draw(86_400_000_000) as i64,
            1 => self.wall -= self.draw(3_600_000_000) as i64,
            _ => {}
        }
        let wall = Wall::from_micros(self.wall);
        for position in 0..self.accounts.len() {
            let next = self.period(&self.accounts[position].1.rules);
            let known = &mut self.accounts[position].1;
            if wall >= known.period.end && next.start >= known.period.end {
                known.period = next;
                self.tally.resets += 1;
            }
        }
        match self.draw(20) {
            0..=9 => self.admit(),
            10 | 11 => self.second_attempt(),
            12 => self.change_account(),
            _ if !self.open.is_empty() => self.end_one(),
            _ => self.admit(),
        }
    }

    fn some_accounts(&mut self) -> Vec<AccountId> {
        let all: Vec<AccountId> = self.accounts.iter().map(|(id, _)| *id).collect();
        all.into_iter().filter(|_| self.draw(3) > 0).collect()
    }

    fn money(&mut self) -> Money {
        let most = PicoDollars(i128::from(self.draw(20_000)));
        Money { most, is_free: false, is_critical: self.draw(8) == 0 }
    }

    fn admit(&mut self) {
        let (accounts, money) = (self.some_accounts(), self.money());
        let (input, output) = (self.draw(500), self.draw(700));
        let ask = Ask { accounts: &accounts, input_tokens: input, output_tokens: Some(output), money };
        let fits = self.fits(&accounts, money);
        match self.kernel.admit(self.times(), &ask) {
            Ok((passage, reservation)) => {
                assert!(fits, "let in beyond a budget");
                self.tally.admitted += 1;
                for id in &accounts {
                    let now = self.now;
                    self.known(*id).sent.push(now);
                }
                let attempt = self.attempt(reservation, money.most.0, &accounts);
                self.open.push(Open { passage, attempts: vec![attempt], accounts, asked: (input, output) });
            }
            Err(refusal) if matches!(refusal.reason, Reason::Budget { .. }) => {
                assert!(!fits, "refused though it fits: {refusal:?}");
                self.tally.refused_money += 1;
            }
            Err(refusal) => {
                self.tally.refused_rates += 1;
                self.check_rate_refusal(refusal.account, refusal.reason, (input, output));
            }
        }
    }

    fn known(&mut self, id: AccountId) -> &mut Known {
        &mut self.accounts.iter_mut().find(|(other, _)| *other == id).unwrap().1
    }

    fn attempt(&mut self, reservation: Reservation, most: i128, accounts: &[AccountId]) -> Attempt {
        let periods = self
            .accounts
            .iter()
            .filter(|(id, known)| accounts.contains(id) && !known.rules.budgets.is_empty());
        let periods = periods.map(|(id, known)| (*id, known.period.start)).collect();
        Attempt { reservation, most, accounts: accounts.to_vec(), periods }
    }

    /// What the oracle says is held in an account's period.
    fn held(&self, id: AccountId, start: Wall) -> i128 {
        let attempts = self.open.iter().flat_map(|open| &open.attempts);
        attempts.filter(|attempt| attempt.periods.contains(&(id, start))).map(|attempt| attempt.most).sum()
    }

    /// What is spent of the period, with what the one before owes.
    fn spent(&self, known: &Known) -> i128 {
        let Some(limit) = known.rules.budgets.first().and_then(|budget| budget.limit) else { return 0 };
        let own = known.booked.get(&known.period.start.micros()).copied().unwrap_or_default();
        own + self.owed(known, limit.0)
    }

    /// What the period that ended where this one begins owes.
    fn owed(&self, known: &Known, limit: i128) -> i128 {
        let Some(rule) = known.rules.budgets.first() else { return 0 };
        let Some(cadence) = rule.cadence else { return 0 };
        let before =
            cadence.period(Wall::from_micros(known.period.start.micros() - 1), rule.anchor, &self.zone);
        if before.end != known.period.start || !known.booked.contains_key(&before.start.micros()) {
            return 0;
        }
        // What that period was owed in turn counts into its own limit.
        let earlier = Known {
            rules: known.rules.clone(),
            period: before,
            booked: known.booked.clone(),
            sent: Vec::new(),
        };
        let spent = known.booked[&before.start.micros()] + self.owed(&earlier, limit);
        (spent - limit).clamp(0, limit / 10 + i128::from(limit % 10 != 0))
    }

    fn fits(&self, accounts: &[AccountId], money: Money) -> bool {
        self.accounts.iter().filter(|(id, _)| accounts.contains(id)).all(|(id, known)| {
            let Some(limit) = known.rules.budgets.first().and_then(|budget| budget.limit) else {
                return true;
            };
            let overflow = if money.is_critical { limit.0 / 10 + i128::from(limit.0 % 10 != 0) } else { 0 };
            let left = limit.0 + overflow - self.spent(known) - self.held(*id, known.period.start);
            left > 0 && money.most.0 <= left
        })
    }

    fn check_rate_refusal(&mut self, account: AccountId, reason: Reason, (input, output): (u64, u64)) {
        let now = self.now;
        match reason {
            Reason::Parallel { limit } => assert_eq!(self.kernel.places(account).unwrap().0, limit),
            Reason::Rate { rule, used, free_at } => {
                let asked = rule.asked(input, Some(output));
                assert!(used + asked > rule.limit, "refused though it fits");
                let is_possible = asked <= rule.limit;
                assert_eq!(free_at.is_some(), is_possible, "{rule:?}, {asked} asked");
                assert!(free_at.is_none_or(|at| at > Moment::from_micros(now)), "free already");
            }
            Reason::Budget { .. } => unreachable!("{reason:?}"),
        }
    }

    /// A retry, which takes over the hold of an attempt that cost nothing, or a hedge beside it.
    fn second_attempt(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let position = self.draw(self.open.len() as u64) as usize;
        let (accounts, money) = (self.some_accounts(), self.money());
        let wall = Wall::from_micros(self.wall);
        if self.draw(2) == 0 {
            let fits = self.fits(&accounts, money);
            let reserved = self.kernel.reserve(wall, &accounts, money);
            assert_eq!(reserved.is_ok(), fits, "{reserved:?}");
            if let Ok(reservation) = reserved {
                let attempt = self.attempt(reservation, money.most.0, &accounts);
                self.open[position].attempts.push(attempt);
            }
            return;
        }
        let Some(Attempt { mut reservation, most, accounts: before, periods }) =
            self.open[position].attempts.pop()
        else {
            return;
        };
        // Its own hold does not stand in its way.
        let fits = self.fits(&accounts, money);
        let rebooked = self.kernel.rebook(&mut reservation, wall, &accounts, money);
        assert_eq!(rebooked.is_ok(), fits, "{rebooked:?}");
        let attempt = if fits {
            self.tally.rebooked += 1;
            self.attempt(reservation, money.most.0, &accounts)
        } else {
            Attempt { reservation, most, accounts: before, periods }
        };
        self.open[position].attempts.push(attempt);
    }

    fn end_one(&mut self) {
        let position = self.draw(self.open.len() as u64) as usize;
        let open = self.open.swap_remove(position);
        let wall = Wall::from_micros(self.wall);
        let was_sent = self.draw(10) > 0;
        for attempt in open.attempts {
            if !was_sent || self.draw(5) == 0 {
                self.kernel.release(attempt.reservation);
                continue;
            }
            let cost = i128::from(self.draw(attempt.most as u64 + 1));
            for (id, start) in &attempt.periods {
                if let Some((_, known)) = self.accounts.iter_mut().find(|(other, _)| other == id) {
                    *known.booked.entry(start.micros()).or_default() += cost;
                }
            }
            let _ = self.kernel.settle(attempt.reservation, wall, PicoDollars(cost));
            let _ = attempt.accounts;
        }
        let now = Moment::from_micros(self.now);
        if was_sent {
            let (input, output) = open.asked;
            let tokens = Tokens { input: self.draw(input + 1), output: self.draw(output + 1) };
            self.kernel.finish(open.passage, now, tokens);
        } else {
            self.kernel.withdraw(open.passage, now);
            for id in open.accounts {
                if let Some((_, known)) = self.accounts.iter_mut().find(|(other, _)| *other == id) {
                    // It is as if it had not come; which of those at that moment it was makes no difference.
                    known.sent.clear();
                }
            }
        }
    }

    fn change_account(&mut self) {
        let position = self.draw(self.accounts.len() as u64) as usize;
        if self.draw(2) == 0 {
            let (id, _) = self.accounts.swap_remove(position);
            self.kernel.close(id);
            self.tally.closed += 1;
            self.open_account();
            for attempt in self.open.iter_mut().flat_map(|open| &mut open.attempts) {
                attempt.periods.retain(|(other, _)| *other != id);
            }
        }
    }

    fn check(&mut self) {
        let wall = Wall::from_micros(self.wall);
        let now = self.now;
        for position in 0..self.accounts.len() {
            let id = self.accounts[position].0;
            let [budget] = self.kernel.budgets(id, wall)[..] else { continue };
            let known = &self.accounts[position].1;
            assert_eq!(budget.period, known.period, "the period");
            assert_eq!(budget.held.0, self.held(id, known.period.start), "what is held");
            assert_eq!(budget.settled.0, self.spent(known), "what is spent");
            let limit = budget.limit.unwrap().0;
            let cap = limit + limit / 10 + i128::from(limit % 10 != 0);
            // What is owed from before may already be more than there is.
            assert!(budget.settled.0 + budget.held.0 <= cap, "{budget:?} is overspent");
        }
        for (_, known) in &self.accounts {
            for rate in known.rules.rates.iter().filter(|rate| rate.unit == Unit::Requests) {
                let within = known.sent.iter().filter(|&&at| at + MINUTE > now).count() as u64;
                assert!(within <= rate.limit, "{within} requests of {rate:?}");
            }
        }
    }
}
