//! Money: exact amounts and exact prices, as integers.
//!
//! Owns reading prices and amounts from decimal text, adding them, and printing them (exactly, or the way LiteLLM
//! prints a number). Leaves what is multiplied with what to [`crate::cost`].
//!
//! **Invariant:** no amount and no price is ever a float, neither while it is read, nor computed, nor printed.

use std::fmt;

/// Decimal places of a [`Price`].
const PRICE_DECIMALS: i64 = 24;
/// Decimal places of an amount.
const AMOUNT_DECIMALS: usize = 12;
/// Units of a price per picodollar.
const UNITS_PER_PICO: i128 = 1_000_000_000_000;
/// Digits that always fit an `i128`, which holds 1.7e38.
const DIGITS_MAX: i64 = 38;

/// An amount of money in picodollars: 1e-12 USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoDollars(pub i128);

impl PicoDollars {
    /// Nothing.
    pub const ZERO: PicoDollars = PicoDollars(0);

    /// Reads an amount of US dollars, such as a budget, from decimal or exponent text. Rounded half up to a
    /// picodollar; the errors are those of [`Price::parse`].
    pub fn parse_dollars(text: &str) -> Result<PicoDollars, MoneyError> {
        Ok(Price::parse(text)?.times(1))
    }

    /// The sum, if it can be held.
    pub fn checked_add(self, other: PicoDollars) -> Option<PicoDollars> {
        self.0.checked_add(other.0).map(PicoDollars)
    }

    /// The sum, or the largest (or smallest) amount that can be held.
    pub fn saturating_add(self, other: PicoDollars) -> PicoDollars {
        PicoDollars(self.0.saturating_add(other.0))
    }

    /// The difference, or the largest (or smallest) amount that can be held.
    pub fn saturating_sub(self, other: PicoDollars) -> PicoDollars {
        PicoDollars(self.0.saturating_sub(other.0))
    }

    /// The amount in dollars as LiteLLM writes a number into a header or a body: `7.5e-05`, `0.0`, `1.25`. The form
    /// is that of a Python float; the digits are all the amount's own (no `7.500000000000001e-05`).
    pub fn as_litellm_number(self) -> String {
        let magnitude = self.0.unsigned_abs();
        if magnitude == 0 {
            return "0.0".to_owned();
        }
        // Every reply prints several of these, so no formatter stands between the digits and the text.
        let mut buffer = [0_u8; MAGNITUDE_DIGITS_MAX];
        let digits = decimal_digits(magnitude, &mut buffer);
        let significant = digits.trim_end_matches('0');
        let mut text = String::with_capacity(digits.len() + 8);
        if self.0 < 0 {
            text.push('-');
        }
        // Where the point stands if the first digit is before it.
        let exponent = digits.len() as i64 - 1 - AMOUNT_DECIMALS as i64;
        // Python writes a float as a plain decimal from 1e-4 up to below 1e16.
        if (-4..16).contains(&exponent) {
            push_plain(&mut text, digits, significant.len());
        } else {
            push_exponential(&mut text, significant, exponent);
        }
        text
    }
}

/// Digits of the largest magnitude of an `i128`.
const MAGNITUDE_DIGITS_MAX: usize = 39;

/// The decimal digits of a number above zero.
fn decimal_digits(magnitude: u128, buffer: &mut [u8; MAGNITUDE_DIGITS_MAX]) -> &str {
    let mut start = buffer.len();
    let mut put = |digit: u8| {
        start = start.saturating_sub(1);
        if let Some(place) = buffer.get_mut(start) {
            *place = b'0' + digit;
        }
    };
    let mut large = magnitude;
    while large > u128::from(u64::MAX) {
        put((large % 10) as u8);
        large /= 10;
    }
    // Nearly every amount fits into 64 bits, where division is cheap.
    let mut small = large as u64;
    while small > 0 {
        put((small % 10) as u8);
        small /= 10;
    }
    buffer.get(start..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
}

/// `0.000267`, `1.25`, `3.0`: the digits with their point, of which the first `significant` count.
fn push_plain(text: &mut String, digits: &str, significant: usize) {
    let whole = digits.len().saturating_sub(AMOUNT_DECIMALS);
    text.push_str(if whole == 0 { "0" } else { digits.get(..whole).unwrap_or_default() });
    text.push('.');
    if significant <= whole {
        text.push('0');
        return;
    }
    for _ in digits.len()..AMOUNT_DECIMALS {
        text.push('0');
    }
    text.push_str(digits.get(whole..significant).unwrap_or_default());
}

/// `7.5e-05`.
fn push_exponential(text: &mut String, significant: &str, exponent: i64) {
    let (first, rest) = significant.split_at(1);
    text.push_str(first);
    if !rest.is_empty() {
        text.push('.');
        text.push_str(rest);
    }
    text.push('e');
    text.push(if exponent < 0 { '-' } else { '+' });
    let exponent = exponent.unsigned_abs();
    if exponent < 10 {
        text.push('0');
    }
    text.push_str(&exponent.to_string());
}

/// The amount in dollars, exactly, without zeros at its end: `0.000075`.
impl fmt::Display for PicoDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, AMOUNT_DECIMALS)
    }
}

/// The price of one unit (a token, a request, an image, a second) in units of 1e-24 USD. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i128);

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// Below zero.
    #[error("negative")]
    Negative,
    /// 1e14 dollars or more.
    #[error("too large")]
    TooLarge,
}

impl Price {
    /// For nothing.
    pub const ZERO: Price = Price(0);

    /// Reads US dollars from decimal or exponent text (`0.0000025`, `2.5e-06`). What lies beyond 24 decimals is
    /// rounded half up. An error if it is negative, not a number (`nan` and `inf` included) or 1e14 dollars or more.
    pub fn parse(text: &str) -> Result<Price, MoneyError> {
        let text = text.trim();
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = (!whole.is_empty() || !fraction.is_empty())
            && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(MoneyError::NotANumber);
        }
        let digits = whole.to_owned() + fraction;
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let significant = digits.get(leading..).unwrap_or_default();
        if significant.is_empty() {
            return Ok(Price::ZERO);
        }
        if is_negative {
            return Err(MoneyError::Negative);
        }
        let shift = exponent.saturating_add(PRICE_DECIMALS).saturating_sub(fraction.len() as i64);
        scaled(significant, shift).map(Price)
    }

    /// The price in units of 1e-24 USD.
    pub fn units(self) -> i128 {
        self.0
    }

    /// The price times a ratio, rounded half up to 1e-24 USD.
    pub(crate) fn scaled(self, by: Ratio) -> Price {
        Price(self.0.saturating_mul(by.parts).saturating_add(by.whole / 2) / by.whole)
    }

    /// What `count` of them cost, rounded half up to a picodollar.
    pub fn times(self, count: u64) -> PicoDollars {
        let mut sum = ExactSum::default();
        sum.add(self, count);
        sum.rounded()
    }
}

/// A multiplier as a fraction in lowest decimal terms: 11/10 for `1.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    parts: i128,
    whole: i128,
}

impl Ratio {
    /// Of a number that was read as a price is.
    pub(crate) fn of(number: Price) -> Ratio {
        let (mut parts, mut whole) = (number.0, 10_i128.pow(PRICE_DECIMALS as u32));
        while whole > 1 && parts % 10 == 0 {
            (parts, whole) = (parts / 10, whole / 10);
        }
        Ratio { parts, whole }
    }
}

/// The price in dollars, exactly, without zeros at its end: `0.0000025`.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, PRICE_DECIMALS as usize)
    }
}

fn exponent_of(text: &str) -> Result<i64, MoneyError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    // An exponent that no i32 holds is as good as the largest.
    let size = digits.parse::<i32>().map_or(i64::from(i32::MAX), i64::from);
    Ok(if text.starts_with('-') { -size } else { size })
}

/// `digits` (no zero in front) times ten to the `shift`, rounded half up.
fn scaled(digits: &str, shift: i64) -> Result<i128, MoneyError> {
    let kept = (digits.len() as i64).saturating_add(shift);
    if kept > DIGITS_MAX {
        return Err(MoneyError::TooLarge);
    }
    let Ok(kept) = usize::try_from(kept) else {
        return Ok(0);
    };
    let head = digits.get(..kept.min(digits.len())).unwrap_or_default();
    let zeros = kept - head.len();
    let padded = format!("0{head}{}", "0".repeat(zeros));
    let value: i128 = padded.parse().map_err(|_| MoneyError::TooLarge)?;
    let rounds_up = digits.as_bytes().get(kept).is_some_and(|digit| *digit >= b'5');
    Ok(value + i128::from(rounds_up))
}

fn write_decimal(f: &mut fmt::Formatter<'_>, value: i128, decimals: usize) -> fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    write!(f, "{sign}{whole}{point}{fraction}")
}

/// A sum of prices times counts, exact until it is rounded. Beyond 1.7e14 dollars it stays at that: an amount that is
/// too large to hold is never taken for a small one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExactSum(i128);

impl ExactSum {
    pub(crate) fn add(&mut self, price: Price, count: u64) {
        self.0 = self.0.saturating_add(price.0.saturating_mul(i128::from(count)));
    }

    /// Adds `count` thousandths at a price of whole ones: milliseconds at a price per second. What lies beyond 24
    /// decimals is cut off.
    pub(crate) fn add_thousandths(&mut self, price: Price, count: u64) {
        self.0 = self.0.saturating_add(price.0.saturating_mul(i128::from(count)) / 1_000);
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn plus(self, other: ExactSum) -> ExactSum {
        ExactSum(self.0.saturating_add(other.0))
    }

    /// The sum in picodollars, rounded half up.
    pub(crate) fn rounded(self) -> PicoDollars {
        if self.0 == 0 {
            return PicoDollars::ZERO;
        }
        // One division of 128 bits instead of two: it is the dearest step of a cost.
        let whole = self.0 / UNITS_PER_PICO;
        let rounds_up = self.0 - whole * UNITS_PER_PICO >= UNITS_PER_PICO / 2;
        PicoDollars(whole + i128::from(rounds_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_and_exponent_text_is_read_exactly() {
        let check = |text: &str, expect: Result<&str, MoneyError>| {
            assert_eq!(
                Price::parse(text).map(|price| price.to_string()),
                expect.map(str::to_owned),
                "{text}"
            );
        };
        check("2.5e-06", Ok("0.0000025"));
        check("0.0000025", Ok("0.0000025"));
        check("2.5E-6", Ok("0.0000025"));
        check(" +1 ", Ok("1"));
        check("1.", Ok("1"));
        check(".5", Ok("0.5"));
        check("0", Ok("0"));
        check("0.0", Ok("0"));
        check("-0.0", Ok("0"));
        check("0e99999999999", Ok("0"));
        check("007.10", Ok("7.1"));
        check("5.0000000000000004e-08", Ok("0.000000050000000000000004"));
        check("99999999999999", Ok("99999999999999"));
        check("1e13", Ok("10000000000000"));
    }

    #[test]
    fn what_lies_beyond_24_decimals_is_rounded_half_up() {
        let check =
            |text: &str, units: i128| assert_eq!(Price::parse(text).map(Price::units), Ok(units), "{text}");
        check("1e-24", 1);
        check("4e-25", 0);
        check("5e-25", 1);
        check("4.99999999999999999999999e-25", 0);
        check("1.5e-24", 2);
        check("2.4999e-24", 2);
        check("9.9e-24", 10);
        check("1e-99999999999999", 0);
        check(&format!("0.{}", "9".repeat(60)), 1_000_000_000_000_000_000_000_000);
    }

    #[test]
    fn what_is_not_a_price_is_refused_with_its_reason() {
        let check = |text: &str, expect: MoneyError| assert_eq!(Price::parse(text), Err(expect), "{text}");
        for text in
            ["", ".", "-", "+", "e5", "1e", "1e+", "nan", "NaN", "inf", "-inf", "0x10", "1_000", "1,5"]
        {
            check(text, MoneyError::NotANumber);
        }
        for text in ["1.2.3", "--1", "1e5e5", "1 2", "$1", "٣"] {
            check(text, MoneyError::NotANumber);
        }
        check("-1", MoneyError::Negative);
        check("-1e-30", MoneyError::Negative);
        check("1e14", MoneyError::TooLarge);
        check("1e99999999999999999999", MoneyError::TooLarge);
        check(&"9".repeat(1000), MoneyError::TooLarge);
    }

    #[test]
    fn amounts_are_printed_as_exact_dollars() {
        let check = |pico: i128, expect: &str| assert_eq!(PicoDollars(pico).to_string(), expect);
        check(0, "0");
        check(75_000_000, "0.000075");
        check(1, "0.000000000001");
        check(-1, "-0.000000000001");
        check(1_000_000_000_000, "1");
        check(1_250_000_000_000, "1.25");
        check(-12_345_678_901_234_567, "-12345.678901234567");
        check(i128::MAX, "170141183460469231731687303.715884105727");
        check(i128::MIN, "-170141183460469231731687303.715884105728");
    }

    #[test]
    fn amounts_are_printed_in_the_form_of_a_python_float() {
        let check = |pico: i128, expect: &str| assert_eq!(PicoDollars(pico).as_litellm_number(), expect);
        check(0, "0.0");
        check(75_000_000, "7.5e-05");
        check(20_000_000, "2e-05");
        check(5_000_000, "5e-06");
        check(1, "1e-12");
        check(-1_234, "-1.234e-09");
        check(100_000_000, "0.0001");
        check(123_456_789, "0.000123456789");
        check(99_999_999, "9.9999999e-05");
        check(1_000_000_000_000, "1.0");
        check(-2_500_000_000_000, "-2.5");
        check(1_000_000_000_000_000_000, "1000000.0");
        check(1_000_000_000_000 * 10_i128.pow(15), "1000000000000000.0");
        check(1_000_000_000_000 * 10_i128.pow(16), "1e+16");
        check(1_500_000_000_000 * 10_i128.pow(20), "1.5e+20");
    }

    #[test]
    fn a_budget_is_read_as_dollars() {
        assert_eq!(PicoDollars::parse_dollars("1000.0"), Ok(PicoDollars(1_000_000_000_000_000)));
        assert_eq!(PicoDollars::parse_dollars("0.0000000000005"), Ok(PicoDollars(1)));
        assert_eq!(PicoDollars::parse_dollars("-5"), Err(MoneyError::Negative));
    }

    #[test]
    fn additions_do_not_wrap() {
        let most = PicoDollars(i128::MAX);
        assert_eq!(most.checked_add(PicoDollars(1)), None);
        assert_eq!(most.saturating_add(PicoDollars(1)), most);
        assert_eq!(PicoDollars(i128::MIN).saturating_sub(PicoDollars(1)), PicoDollars(i128::MIN));
        assert_eq!(PicoDollars(2).checked_add(PicoDollars(3)), Some(PicoDollars(5)));
        assert_eq!(Price(i128::MAX).times(u64::MAX).0, i128::MAX / UNITS_PER_PICO + 1);
    }

    #[test]
    fn a_product_is_rounded_once_and_half_up() {
        let check = |text: &str, count: u64, pico: i128| {
            assert_eq!(
                Price::parse(text).map(|price| price.times(count)),
                Ok(PicoDollars(pico)),
                "{text} x {count}"
            );
        };
        check("4e-13", 1, 0);
        check("5e-13", 1, 1);
        check("4e-13", 2, 1);
        check("1e-24", 499_999_999_999, 0);
        check("1e-24", 500_000_000_000, 1);
        check("2.5e-06", 1_000_000, 2_500_000_000_000);
    }

    proptest! {
        #[test]
        fn a_printed_price_reads_back_as_itself(units in 0..10_i128.pow(38)) {
            prop_assert_eq!(Price::parse(&Price(units).to_string()), Ok(Price(units)));
        }

        #[test]
        fn litellms_form_of_an_amount_reads_back_as_itself(pico in 0..10_i128.pow(26)) {
            let printed = PicoDollars(pico).as_litellm_number();
            prop_assert_eq!(PicoDollars::parse_dollars(&printed), Ok(PicoDollars(pico)), "{}", printed);
        }

        #[test]
        fn litellms_form_is_what_a_float_of_the_same_value_reads_as(pico in 1..10_i128.pow(15)) {
            let printed = PicoDollars(pico).as_litellm_number();
            let exact = PicoDollars(pico).to_string();
            prop_assert_eq!(printed.parse::<f64>(), exact.parse::<f64>());
            let plain = !printed.contains('e');
            prop_assert_eq!(plain, pico >= 100_000_000, "{}", printed);
        }

        #[test]
        fn any_text_is_a_price_or_an_error_and_never_a_panic(text in "[-+0-9.eE ]{0,60}|\\PC{0,20}") {
            let _ = Price::parse(&text);
        }
    }
}
