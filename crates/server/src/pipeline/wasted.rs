//! What attempts that did not answer may be billed for.
//!
//! **Invariant:** what a provider may bill is in the books, and no caller who got nothing of it pays for it.

use super::settle::can_be;
use super::settle::{catalogue_usage, is_plausible};
use crate::target::Target;
use crate::toll::{Spent, Stake};
use tollgate_catalog::cost;
use tollgate_dialect::conversation::Usage;

/// What an attempt that did not answer may be billed for.
#[derive(Debug, Default)]
pub(crate) enum Wasted {
    /// Nothing.
    #[default]
    Nothing,
    /// What was sent: the provider was left at work on it, or does not say what its answer used.
    Prompt,
    /// What the provider says that its answer used.
    Told(Box<Usage>),
}

/// Books what an attempt may have cost that no caller pays for: the prompt of a hedge that lost.
pub(crate) fn book_overhead(target: &Target, stake: Option<Stake>, prompt_tokens: u64) {
    let usage = Usage { input_tokens: prompt_tokens, ..Usage::default() };
    if let Some(stake) = stake {
        let cost = cost(&target.prices, &catalogue_usage(&usage), None).map(|cost| cost.total);
        stake.write_off(&Spent { usage, cost, is_estimated: true, ..Spent::default() });
    }
    book_wasted(target, &usage);
}

/// Gives back what was held for an attempt that did not answer; what its provider may bill of it is the gateway's own: no caller
/// who got nothing pays for it.
pub(crate) fn book_unanswered(
    (target, stake): (&Target, Option<Stake>),
    wasted: &Wasted,
    prompt_tokens: u64,
) {
    match wasted {
        Wasted::Nothing => stake.into_iter().for_each(Stake::release),
        Wasted::Prompt => book_overhead(target, stake, prompt_tokens),
        Wasted::Told(usage) if !can_be(usage) => book_overhead(target, stake, prompt_tokens),
        Wasted::Told(usage) => {
            if let Some(stake) = stake {
                let cost = cost(&target.prices, &catalogue_usage(usage), None).map(|cost| cost.total);
                stake.write_off(&Spent { usage: **usage, cost, ..Spent::default() });
            }
            book_wasted(target, usage);
        }
    }
}

/// Books what an answer has cost that no caller gets, and so none pays for.
fn book_wasted(target: &Target, usage: &Usage) {
    let usage = catalogue_usage(usage);
    if !is_plausible(&usage) {
        return;
    }
    if let Some(cost) = cost(&target.prices, &usage, None) {
        // A display of money: Prometheus knows only doubles.
        target.metrics.overhead_spend.inc_by(cost.total.0 as f64 / 1e12);
    }
}
