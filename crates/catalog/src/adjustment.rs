//! What a caller is charged for a cost: a provider's discount off it, and the operator's margin on top.
//!
//! Owns LiteLLM's arithmetic of `cost_discount_config` and `cost_margin_config`: first the discount, then the margin as a
//! share of what is left, then the margin's fixed amount. Leaves which of them holds for a provider to the configuration.
//!
//! **Invariant:** integers only, and what is charged is rounded once, half up. What the parts say adds up to it exactly:
//! original - discount + margin = total. A dearer cost is never charged less.

use crate::cost::Cost;
use crate::money::{MoneyError, PicoDollars, Price};

/// Parts of a whole.
const WHOLE: i128 = 1_000_000_000;

/// A share of an amount in parts of 1e-9: LiteLLM's `0.05` for five percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u64);

impl Share {
    /// Nothing of it.
    pub const ZERO: Share = Share(0);
    /// All of it.
    pub const WHOLE: Share = Share(WHOLE as u64);

    /// Reads decimal or exponent text: `0.05`, `5e-2`. What lies beyond nine decimals is rounded half up. An error if it
    /// is negative, no number, or 1e9 or more.
    pub fn parse(text: &str) -> Result<Share, MoneyError> {
        const UNITS_PER_PART: i128 = 1_000_000_000_000_000;
        let units = Price::parse(text)?.units();
        let parts = units / UNITS_PER_PART + i128::from(units % UNITS_PER_PART >= UNITS_PER_PART / 2);
        if parts >= WHOLE * WHOLE {
            return Err(MoneyError::TooLarge);
        }
        u64::try_from(parts).map(Share).map_err(|_| MoneyError::TooLarge)
    }

    /// As LiteLLM writes a number: `0.05`, `0.0`.
    pub fn as_litellm_number(self) -> String {
        // Dollars have three decimals more than shares.
        PicoDollars(i128::from(self.0) * 1_000).as_litellm_number()
    }
}

/// A discount and a margin. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Adjustment {
    /// Off the cost; at most all of it.
    pub discount: Share,
    /// Of what the discount leaves.
    pub margin: Share,
    /// Added to every cost, also to one of zero.
    pub fixed: PicoDollars,
}

/// What is charged for one attempt, with what it is made of: the numbers of LiteLLM's `x-litellm-response-cost-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bill {
    /// The cost at the provider's prices and its parts, before discount and margin; `parts.total` is the original cost.
    pub parts: Cost,
    /// Taken off the original cost.
    pub discount: PicoDollars,
    /// Added to what that left, the fixed amount included.
    pub margin: PicoDollars,
    /// The margin's share, without its fixed amount.
    pub margin_share: Share,
    /// What is charged.
    pub total: PicoDollars,
}

impl Adjustment {
    /// What is charged for a cost.
    pub fn bill(&self, cost: Cost) -> Bill {
        let discounted = self.discounted(cost.total);
        let total = self.total(cost.total);
        Bill {
            parts: cost,
            discount: cost.total.saturating_sub(discounted),
            margin: total.saturating_sub(discounted),
            margin_share: self.margin,
            total,
        }
    }

    /// What is charged for an amount, such as a ceiling.
    pub fn total(&self, cost: PicoDollars) -> PicoDollars {
        if *self == Adjustment::default() {
            return cost;
        }
        let raised = self.left().saturating_mul(WHOLE.saturating_add(i128::from(self.margin.0)));
        scaled(cost, raised, WHOLE * WHOLE).saturating_add(self.fixed)
    }

    /// What the discount leaves.
    fn discounted(&self, cost: PicoDollars) -> PicoDollars {
        scaled(cost, self.left().saturating_mul(WHOLE), WHOLE * WHOLE)
    }

    /// The parts of a whole that the discount leaves.
    fn left(&self) -> i128 {
        (WHOLE - i128::from(self.discount.0)).max(0)
    }
}

/// `amount * parts / whole`, rounded half up, or the largest amount. The quotient and the rest of `amount` are scaled
/// apart, since their product together may be too large to hold.
fn scaled(amount: PicoDollars, parts: i128, whole: i128) -> PicoDollars {
    let (wholes, rest) = (amount.0 / whole, amount.0 % whole);
    let of_rest = rest.saturating_mul(parts).saturating_add(whole / 2) / whole;
    PicoDollars(wholes.saturating_mul(parts).saturating_add(of_rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(text: &str) -> Share {
        Share::parse(text).expect(text)
    }

    fn dollars(text: &str) -> PicoDollars {
        PicoDollars::parse_dollars(text).expect(text)
    }

    fn adjustment(discount: &str, margin: &str, fixed: &str) -> Adjustment {
        Adjustment { discount: share(discount), margin: share(margin), fixed: dollars(fixed) }
    }

    #[test]
    fn shares_are_read_and_written_exactly() {
        let check = |text: &str, expect: &str| assert_eq!(share(text).as_litellm_number(), expect, "{text}");
        check("0", "0.0");
        check("0.05", "0.05");
        check("5e-2", "0.05");
        check("1", "1.0");
        check("10", "10.0");
        check("0.333333333333", "0.333333333");
        check("0.6666666666", "0.666666667");
        check("1e-9", "1e-09");
        assert_eq!(Share::parse("-0.1"), Err(MoneyError::Negative));
        assert_eq!(Share::parse("1e9"), Err(MoneyError::TooLarge));
        assert_eq!(Share::parse("nan"), Err(MoneyError::NotANumber));
    }

    #[test]
    fn the_numbers_are_those_of_litellms_headers() {
        let check = |(discount, margin, fixed): (&str, &str, &str), cost: &str, expect: [&str; 4]| {
            let parts = Cost { total: dollars(cost), ..Cost::default() };
            let bill = adjustment(discount, margin, fixed).bill(parts);
            let found = [bill.parts.total, bill.discount, bill.margin, bill.total];
            assert_eq!(found, expect.map(dollars), "{discount} {margin} {fixed} of {cost}");
        };
        check(("0", "0", "0"), "0.0001", ["0.0001", "0", "0", "0.0001"]);
        check(("0.05", "0", "0"), "0.0001", ["0.0001", "0.000005", "0", "0.000095"]);
        check(("0", "0.1", "0"), "0.0001", ["0.0001", "0", "0.00001", "0.00011"]);
        // The margin is of what the discount leaves: 0.000095 x 0.1 + 0.0005.
        check(("0.05", "0.1", "0.0005"), "0.0001", ["0.0001", "0.000005", "0.0005095", "0.0006045"]);
        check(("1", "0.1", "0.25"), "3", ["3", "3", "0.25", "0.25"]);
        check(("0", "0", "0.001"), "0", ["0", "0", "0.001", "0.001"]);
        check(("0", "10", "0"), "2", ["2", "0", "20", "22"]);
    }

    #[test]
    fn what_is_charged_is_rounded_once_and_half_up() {
        let check = |(discount, margin): (&str, &str), cost: i128, expect: [i128; 3]| {
            let parts = Cost { total: PicoDollars(cost), ..Cost::default() };
            let bill = adjustment(discount, margin, "0").bill(parts);
            assert_eq!(
                [bill.discount.0, bill.margin.0, bill.total.0],
                expect,
                "{discount} {margin} of {cost}"
            );
        };
        check(("0.5", "0"), 1, [0, 0, 1]);
        check(("0.5", "0"), 3, [1, 0, 2]);
        check(("0", "0.5"), 1, [0, 1, 2]);
        // 3 x 0.5 = 1.5, and 1.5 x 1.3 = 1.95: rounded in between it would be 2.6, and 3.
        check(("0.5", "0.3"), 3, [1, 0, 2]);
        check(("0.999999999", "0"), 1, [1, 0, 0]);
    }

    #[test]
    fn an_amount_too_large_to_hold_is_the_largest() {
        let raised = adjustment("0", "10", "0").total(PicoDollars(i128::MAX / 2));
        assert_eq!(raised, PicoDollars(i128::MAX));
    }

    prop_compose! {
        fn any_adjustment()(
            discount in 0..=1_000_000_000_u64, margin in 0..=10_000_000_000_u64, fixed in 0..10_i128.pow(12)
        ) -> Adjustment {
            Adjustment { discount: Share(discount), margin: Share(margin), fixed: PicoDollars(fixed) }
        }
    }

    proptest! {
        #[test]
        fn the_parts_add_up_and_none_is_negative(adjustment in any_adjustment(), cost in 0..10_i128.pow(20)) {
            let bill = adjustment.bill(Cost { total: PicoDollars(cost), ..Cost::default() });
            prop_assert_eq!(cost - bill.discount.0 + bill.margin.0, bill.total.0);
            prop_assert!(bill.discount.0 >= 0 && bill.margin.0 >= 0 && bill.total.0 >= 0);
            prop_assert_eq!(bill.total, adjustment.total(PicoDollars(cost)));
        }

        #[test]
        fn a_dearer_cost_is_never_charged_less(
            adjustment in any_adjustment(), cost in 0..10_i128.pow(26), more in 0..10_i128.pow(20)
        ) {
            let charged = |cost| adjustment.total(PicoDollars(cost));
            prop_assert!(charged(cost + more) >= charged(cost));
        }

        #[test]
        fn what_is_charged_is_within_half_a_picodollar(adjustment in any_adjustment(), cost in 0..10_i128.pow(12)) {
            let left = 1_000_000_000 - i128::from(adjustment.discount.0);
            let exact = cost * left * (1_000_000_000 + i128::from(adjustment.margin.0));
            let charged = (adjustment.total(PicoDollars(cost)).0 - adjustment.fixed.0) * 10_i128.pow(18);
            prop_assert!((charged - exact).abs() * 2 <= 10_i128.pow(18));
        }
    }
}
