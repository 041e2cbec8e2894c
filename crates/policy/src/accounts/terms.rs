//! What is asked of the accounts, and what they answer.

use super::rules::{RateRule, Tier};
use crate::clock::{Moment, Wall};
use crate::period::{Cadence, Period};
use tollgate_catalog::PicoDollars;

/// An account, for as long as it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId {
    pub(super) place: u32,
    pub(super) generation: u32,
}

/// A moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// What rates are counted by.
    pub now: Moment,
    /// What budgets are for.
    pub wall: Wall,
}

/// What a request asks of its accounts.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Those that it touches, in the order in which a refusal names them.
    pub accounts: &'a [AccountId],
    /// Tokens of its prompt.
    pub input_tokens: u64,
    /// The most tokens of its answer, where it says so.
    pub output_tokens: Option<u64>,
    /// What it can cost.
    pub money: Money,
}

/// What an attempt can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// At most.
    pub most: PicoDollars,
    /// It is known to cost nothing: a spent budget does not keep it.
    pub is_free: bool,
    /// It may go into the overflow.
    pub is_critical: bool,
}

/// Why a request may not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Whose limit it is.
    pub account: AccountId,
    /// Which.
    pub reason: Reason,
}

/// The limit that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A rate.
    Rate {
        /// Which.
        rule: RateRule,
        /// What is used of it.
        used: u64,
        /// When there is room if nothing else happens; never where the request is larger than the limit itself.
        free_at: Option<Moment>,
    },
    /// Too many requests at the same time.
    Parallel {
        /// How many may be.
        limit: u32,
    },
    /// A budget.
    Budget {
        /// How often it begins anew.
        cadence: Option<Cadence>,
        /// What may be spent.
        limit: PicoDollars,
        /// What is spent.
        settled: PicoDollars,
        /// What is held for requests under way, also at other gateways.
        held: PicoDollars,
        /// What this request could spend; zero or less where nothing is left.
        available: PicoDollars,
        /// When it begins anew.
        resets_at: Option<Wall>,
    },
}

/// A mark that a budget passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Threshold {
    /// The soft budget.
    Soft,
    /// The first part (75%).
    Warn,
    /// The second part (90%).
    Downgrade,
    /// All of it.
    Spent,
}

impl Threshold {
    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A budget has passed a mark, for the first time in its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// Which mark.
    pub threshold: Threshold,
    /// The budget's cadence.
    pub cadence: Option<Cadence>,
    /// The period.
    pub period: Period,
    /// What is spent.
    pub settled: PicoDollars,
    /// The amount that was passed.
    pub mark: PicoDollars,
    /// The budget, where there is one beside a soft one.
    pub limit: Option<PicoDollars>,
}

/// How much of the tightest budget is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tightest {
    /// Whose.
    pub account: AccountId,
    /// Its cadence.
    pub cadence: Option<Cadence>,
    /// What is neither spent nor held; never below zero.
    pub remaining: PicoDollars,
    /// What may be spent.
    pub limit: PicoDollars,
    /// The tier that it is in.
    pub tier: Tier,
}

/// How the accounts of a request stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The lowest tier of any budget.
    pub tier: Tier,
    /// The budget with the least left.
    pub tightest: Option<Tightest>,
}

/// One budget of an account, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStanding {
    /// Its cadence.
    pub cadence: Option<Cadence>,
    /// This period.
    pub period: Period,
    /// What may be spent in it.
    pub limit: Option<PicoDollars>,
    /// What is spent.
    pub settled: PicoDollars,
    /// What is held.
    pub held: PicoDollars,
    /// What other gateways hold, as far as it is known here.
    pub held_elsewhere: PicoDollars,
}

/// One rate of an account, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStanding {
    /// The rate.
    pub rule: RateRule,
    /// What is left of it.
    pub remaining: u64,
    /// When all of it is there again if nothing else happens; now where all of it is.
    pub full_at: Option<Moment>,
}

/// Real tokens of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}
