//! Plays of several gateways that hold, ask, show, look, spend, bring and leave in any order: what all of them have let in passes
//! the limit by a lease of each at most, and once all is quiet each knows what is left to the last bit.

use crate::{Chance, DAY};
use std::collections::BTreeMap;
use tollgate_catalog::PicoDollars;
use tollgate_policy::accounts::{
    AccountId, AccountRules, BudgetRule, Extent, Kernel, LEASE_PARTS, Money, Reservation, Shown, TierRules,
};
use tollgate_policy::clock::Wall;

const GATEWAYS: usize = 3;
const STEPS: u64 = 400;
const LIMIT: i128 = 1_000;
/// Noon of a day, and nobody's clock goes on.
const NOON: Wall = Wall::from_micros((20_000 * 24 + 12) * 3_600_000_000);

/// What all of them share: what is in the account, and what each shows.
#[derive(Default)]
struct Books {
    settled: i128,
    held: [i128; GATEWAYS],
}

impl Books {
    fn elsewhere(&self, own: usize) -> i128 {
        self.held.iter().enumerate().filter(|(place, _)| *place != own).map(|(_, held)| held).sum()
    }
}

struct Gateway {
    kernel: Kernel,
    key: AccountId,
    place: usize,
    start: Wall,
    /// Held, and not let in yet.
    asking: Vec<Reservation>,
    /// Let in.
    open: Vec<Reservation>,
    unposted: i128,
}

impl Gateway {
    fn new(place: usize) -> Self {
        let mut kernel = Kernel::new(Kernel::utc());
        let budget = BudgetRule { cadence: DAY, ..BudgetRule::forever(PicoDollars(LIMIT)) };
        let rules = AccountRules { budgets: vec![budget], tiers: TierRules::NONE, ..AccountRules::default() };
        let key = kernel.open(&rules, NOON);
        kernel.share(true);
        let start = kernel.budgets(key, NOON)[0].period.start;
        Self { kernel, key, place, start, asking: Vec::new(), open: Vec::new(), unposted: 0 }
    }

    /// What it has let in and has not brought.
    fn own(&self) -> i128 {
        self.open.iter().map(|held| held.amount().0).sum::<i128>() + self.unposted
    }

    fn hold(&mut self, most: i128) -> bool {
        let money = Money { most: PicoDollars(most), is_free: false, is_critical: false };
        let Ok(held) = self.kernel.reserve(NOON, &[self.key], money) else { return false };
        if held.beyond().is_empty() {
            self.open.push(held);
        } else {
            self.asking.push(held);
        }
        true
    }

    /// Asks for all that wait, in one step as the books do; says how many were let in.
    fn ask(&mut self, books: &mut Books) -> usize {
        let period = (DAY, self.start);
        let shown = self.kernel.show_present(self.key, period).unwrap();
        let mut held = shown.amount.0;
        let mut granted = Vec::new();
        for mut waiting in std::mem::take(&mut self.asking) {
            let most = waiting.beyond()[0].most.0;
            let amount = waiting.amount().0;
            if books.settled + books.elsewhere(self.place) + held + amount <= most {
                held += amount;
                self.kernel.answered(&mut waiting);
                granted.push(waiting);
            } else {
                self.kernel.release(waiting);
            }
        }
        books.held[self.place] = held;
        let elsewhere = PicoDollars(books.elsewhere(self.place));
        self.kernel.set_elsewhere(self.key, period, elsewhere);
        self.kernel.shown(self.key, period, Some(PicoDollars(held)));
        self.kernel.vouch(&shown.as_seen(PicoDollars(held)));
        self.kernel.follow(self.key, period, NOON, PicoDollars(books.settled));
        let count = granted.len();
        self.open.append(&mut granted);
        count
    }

    /// What it says, to be shown and vouched for later: others act between.
    fn say(&mut self, extent: Extent) -> Vec<Shown> {
        self.kernel.show(extent, NOON)
    }

    fn show(&mut self, books: &mut Books, said: &[Shown], is_lost: bool) {
        for shown in said.iter().filter(|shown| shown.is_news) {
            books.held[self.place] = shown.amount.0;
            let known = (!is_lost).then_some(shown.amount);
            self.kernel.shown(self.key, (shown.cadence, shown.start), known);
        }
        if is_lost {
            said.iter().for_each(|shown| self.kernel.note_again(shown));
        }
    }

    fn look(&mut self, books: &Books, said: &[Shown]) {
        said.iter().for_each(|shown| self.kernel.vouch(shown));
        let period = (DAY, self.start);
        self.kernel.follow(self.key, period, NOON, PicoDollars(books.settled));
        let elsewhere = PicoDollars(books.elsewhere(self.place));
        self.kernel.set_elsewhere(self.key, period, elsewhere);
    }

    fn settle(&mut self, held: Reservation, cost: i128) {
        self.kernel.settle(held, NOON, PicoDollars(cost));
        self.unposted += cost;
    }

    fn post(&mut self, books: &mut Books) {
        let (period, amount) = ((DAY, self.start), PicoDollars(self.unposted));
        let left = self.kernel.show_posted(self.key, period, amount);
        books.settled += self.unposted;
        self.unposted = 0;
        self.kernel.posted(self.key, period, amount);
        if let Some(left) = left {
            books.held[self.place] = left.0;
            self.kernel.shown(self.key, period, Some(left));
        }
    }
}

/// What was let in by all of them, spent or held.
fn let_in(gateways: &[Gateway], books: &Books) -> i128 {
    books.settled + gateways.iter().map(Gateway::own).sum::<i128>()
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) held: u64,
    pub(crate) refused: u64,
    pub(crate) granted: u64,
    pub(crate) beyond: u64,
}

/// One play.
pub(crate) fn play(seed: u64, counts: &mut Counts) {
    let mut chance = Chance(seed);
    let mut books = Books::default();
    let mut gateways: Vec<Gateway> = (0..GATEWAYS).map(Gateway::new).collect();
    let mut said: BTreeMap<usize, Vec<Shown>> = BTreeMap::new();
    let largest = [3, 12, 150][chance.below(3) as usize];
    let most = LIMIT + GATEWAYS as i128 * (LIMIT / LEASE_PARTS);
    for step in 0..STEPS {
        let which = chance.below(GATEWAYS as u64) as usize;
        let gateway = &mut gateways[which];
        // Whoever shows and looks does nothing else with the books meanwhile.
        let is_free = !said.contains_key(&which);
        match chance.below(16) {
            0..=6 => {
                let amount = 1 + i128::from(chance.below(largest));
                let is_held = gateway.hold(amount);
                counts.held += u64::from(is_held);
                counts.refused += u64::from(!is_held);
            }
            7 | 8 if is_free => counts.granted += gateway.ask(&mut books) as u64,
            9 | 10 if !gateway.open.is_empty() => {
                let place = chance.below(gateway.open.len() as u64) as usize;
                let held = gateway.open.swap_remove(place);
                let amount = held.amount().0;
                match chance.below(3) {
                    0 => gateway.kernel.release(held),
                    1 => gateway.settle(held, amount),
                    _ => gateway.settle(held, amount / 3),
                }
            }
            11 if !gateway.asking.is_empty() => {
                let gone = gateway.asking.swap_remove(0);
                gateway.kernel.release(gone);
            }
            12 if is_free => gateway.post(&mut books),
            13 if is_free => {
                let extent = if chance.below(4) == 0 { Extent::Whole } else { Extent::Changed };
                let shown = gateway.say(extent);
                said.insert(which, shown);
            }
            14 | 15 => {
                if let Some(shown) = said.remove(&which) {
                    let is_lost = chance.below(5) == 0;
                    gateway.show(&mut books, &shown, is_lost);
                    if !is_lost {
                        gateway.look(&books, &shown);
                    }
                }
            }
            _ => {}
        }
        let sum = let_in(&gateways, &books);
        counts.beyond += u64::from(sum > LIMIT);
        assert!(sum <= most, "seed {seed}, step {step}: {sum} of {LIMIT}");
    }
    quiet(&mut gateways, &mut books, said, seed);
}

/// Once nothing is under way, each knows all, and what is left can be had to the last bit, by whoever asks first.
fn quiet(gateways: &mut [Gateway], books: &mut Books, mut said: BTreeMap<usize, Vec<Shown>>, seed: u64) {
    for (which, gateway) in gateways.iter_mut().enumerate() {
        let shown = said.remove(&which).unwrap_or_default();
        gateway.show(books, &shown, false);
        gateway.look(books, &shown);
        for gone in gateway.asking.drain(..).chain(gateway.open.drain(..)).collect::<Vec<_>>() {
            gateway.kernel.release(gone);
        }
        gateway.post(books);
    }
    for _ in 0..2 {
        for gateway in gateways.iter_mut() {
            let shown = gateway.say(Extent::Whole);
            gateway.show(books, &shown, false);
            gateway.look(books, &shown);
        }
    }
    let left = LIMIT - books.settled;
    let last = &mut gateways[seed as usize % GATEWAYS];
    if left > 0 {
        assert!(!last.hold(left + 1), "seed {seed}: more than {left}");
        assert!(last.hold(left), "seed {seed}: {left} are left");
        last.ask(books);
        assert_eq!((last.open.len(), last.own()), (1, left), "seed {seed}");
    }
    for gateway in gateways.iter_mut().filter(|gateway| gateway.open.is_empty()) {
        let shown = gateway.say(Extent::Whole);
        gateway.show(books, &shown, false);
        gateway.look(books, &shown);
    }
}
