//! What an account may spend and send: rates, places, budgets, and what follows when a budget runs low.
//!
//! Leaves to `account.rs` what is used of it.

use crate::clock::Wall;
use crate::period::Cadence;
use crate::sliding::Length;
use tollgate_catalog::PicoDollars;

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
}

/// So much in any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateRule {
    /// What is counted.
    pub unit: Unit,
    /// The stretch.
    pub length: Length,
    /// The most of it.
    pub limit: u64,
}

/// A request that names no maximum reserves this many tokens for its answer, or a quarter of the limit where that is
/// less (LiteLLM's figures; it also cuts the answer to them, which is not done here).
pub const OUTPUT_TOKENS_RESERVED: u64 = 1_024;

impl RateRule {
    /// How much of it a request takes.
    pub fn asked(&self, input_tokens: u64, output_tokens: Option<u64>) -> u64 {
        let output = || output_tokens.unwrap_or_else(|| OUTPUT_TOKENS_RESERVED.min(self.limit / 4));
        match self.unit {
            Unit::Requests => 1,
            Unit::Tokens => input_tokens.saturating_add(output()),
            Unit::InputTokens => input_tokens,
            Unit::OutputTokens => output(),
        }
    }
}

/// A part of a whole, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part(u32);

impl Part {
    /// So many millionths.
    pub const fn millionths(millionths: u32) -> Self {
        Self(millionths)
    }

    /// This part of an amount, rounded up to a picodollar.
    pub fn of(self, amount: PicoDollars) -> PicoDollars {
        let (whole, rest) = (amount.0.div_euclid(1_000_000), amount.0.rem_euclid(1_000_000));
        let part = i128::from(self.0);
        let rest = (rest * part + 999_999) / 1_000_000;
        PicoDollars(whole.saturating_mul(part).saturating_add(rest))
    }
}

/// More for a while (LiteLLM's `temp_budget_increase`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Increase {
    /// So much more.
    pub by: PicoDollars,
    /// Up to this moment.
    pub until: Wall,
}

/// So much money in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRule {
    /// How often it begins anew; never where there is none.
    pub cadence: Option<Cadence>,
    /// When it began, which some cadences are aligned to.
    pub anchor: Wall,
    /// The most that is spent; no limit where there is none, and then only `soft` is watched.
    pub limit: Option<PicoDollars>,
    /// From here on it is told.
    pub soft: Option<PicoDollars>,
    /// More for a while.
    pub increase: Option<Increase>,
}

impl BudgetRule {
    /// A limit for ever.
    pub fn forever(limit: PicoDollars) -> Self {
        Self { cadence: None, anchor: Wall::default(), limit: Some(limit), soft: None, increase: None }
    }

    /// The most that may be spent at this moment.
    pub fn limit_at(&self, wall: Wall) -> Option<PicoDollars> {
        let more =
            self.increase.filter(|increase| wall < increase.until).map_or(PicoDollars::ZERO, |more| more.by);
        Some(self.limit?.saturating_add(more))
    }
}

/// What follows as a budget runs low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierRules {
    /// From this part on it is told.
    pub warn: Option<Part>,
    /// From this part on a cheaper model answers.
    pub downgrade: Option<Part>,
    /// So much beyond the limit for critical requests, charged to the next period.
    pub overflow: Part,
}

impl TierRules {
    /// No tiers: all up to the limit, and nothing beyond.
    pub const NONE: Self = Self { warn: None, downgrade: None, overflow: Part::millionths(0) };
}

impl Default for TierRules {
    /// 75%, 90% and another 10%.
    fn default() -> Self {
        Self {
            warn: Some(Part::millionths(750_000)),
            downgrade: Some(Part::millionths(900_000)),
            overflow: Part::millionths(100_000),
        }
    }
}

/// How far a budget has run down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// There is enough.
    #[default]
    Ok,
    /// It is told.
    Warn,
    /// A cheaper model answers.
    Downgrade,
    /// It is spent; what goes on is critical.
    Overflow,
}

impl Tier {
    /// The word in headers and alerts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Downgrade => "downgrade",
            Self::Overflow => "overflow",
        }
    }
}

/// All of an account's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRules {
    /// What may be sent.
    pub rates: Vec<RateRule>,
    /// Requests at the same time.
    pub parallel: Option<u32>,
    /// What may be spent; at most one of a cadence.
    pub budgets: Vec<BudgetRule>,
    /// What follows as a budget runs low.
    pub tiers: TierRules,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_amount_is_rounded_up_and_never_wraps() {
        let check = |millionths: u32, amount: i128, part: i128| {
            assert_eq!(Part::millionths(millionths).of(PicoDollars(amount)), PicoDollars(part), "{amount}");
        };
        check(750_000, 1_000_000_000_000, 750_000_000_000);
        check(900_000, 1, 1);
        check(900_000, 0, 0);
        check(100_000, 15, 2);
        check(333_333, 3, 1);
        check(1_000_000, i128::MAX / 1_000_000 * 1_000_000, i128::MAX / 1_000_000 * 1_000_000);
    }

    #[test]
    fn a_request_without_a_maximum_reserves_1024_tokens_or_a_quarter_of_the_limit() {
        let check = |unit: Unit, limit: u64, output: Option<u64>, asked: u64| {
            let rule = RateRule { unit, length: Length::MINUTE, limit };
            assert_eq!(rule.asked(100, output), asked, "{unit:?} {limit} {output:?}");
        };
        check(Unit::Tokens, 100_000, None, 1_124);
        check(Unit::Tokens, 1_000, None, 350);
        check(Unit::Tokens, 1_000, Some(7), 107);
        check(Unit::OutputTokens, 1_000, None, 250);
        check(Unit::InputTokens, 1_000, None, 100);
        check(Unit::Requests, 1_000, Some(7), 1);
        check(Unit::Tokens, 1_000, Some(u64::MAX), u64::MAX);
    }
}
