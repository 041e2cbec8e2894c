//! Amounts on the command line: budgets as `50/30d`, what may be taken away with `none`, dollars for people.
//!
//! **Invariant:** money goes from the digits that were typed to the digits that are sent, and from the digits of a reply
//! to those that are shown.

use serde_json::{Map, Value};
use std::str::FromStr;
use tollgate_catalog::PicoDollars;
use tollgate_policy::period::Cadence;

/// Digits after the point that a table shows.
const SHOWN: u32 = 4;
/// Picodollars of a dollar.
const DOLLAR: u128 = 1_000_000_000_000;

/// An amount, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    amount: PicoDollars,
    cadence: Option<Cadence>,
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (amount, cadence) =
            text.split_once('/').map_or((text, None), |(amount, cadence)| (amount, Some(cadence)));
        let cadence = cadence.map(Cadence::parse).transpose().map_err(|error| error.to_string())?;
        Ok(Self { amount: dollars(amount)?, cadence })
    }
}

impl Budget {
    /// Puts it into a request under the names of its amount and its duration.
    pub(super) fn put(self, body: &mut Map<String, Value>, amount: &str, duration: &str) {
        body.insert(amount.to_owned(), number(self.amount));
        if let Some(cadence) = self.cadence {
            body.insert(duration.to_owned(), Value::from(cadence.to_string()));
        }
    }
}

/// Something, or the word `none`, which takes away what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clearable<T> {
    /// It is to be this.
    To(T),
    /// It is to be nothing.
    None,
}

impl<T: Argument> FromStr for Clearable<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self::None) } else { T::read(text).map(Self::To) }
    }
}

/// What can be typed.
pub(crate) trait Argument: Sized {
    /// Reads it, or says what is wrong with it.
    fn read(text: &str) -> Result<Self, String>;
}

impl Argument for Budget {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Argument for u64 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it is a whole number from 0, or none".to_owned())
    }
}

impl Argument for Cadence {
    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

/// Reads US dollars, with or without their sign.
pub(super) fn dollars(text: &str) -> Result<PicoDollars, String> {
    let digits = text.strip_prefix('$').unwrap_or(text);
    PicoDollars::parse_dollars(digits)
        .map_err(|_| format!("'{text}' is no amount of US dollars, such as 50 or 0.25"))
}

/// An amount as a JSON number.
pub(super) fn number(amount: PicoDollars) -> Value {
    serde_json::from_str(&amount.as_litellm_number()).unwrap_or(Value::Null)
}

/// The amount of a reply's number; none where there is none.
pub(super) fn read(value: Option<&Value>) -> Option<PicoDollars> {
    let Some(Value::Number(number)) = value else { return None };
    let text = number.to_string();
    match text.strip_prefix('-') {
        Some(text) => PicoDollars::parse_dollars(text).ok().map(|amount| PicoDollars(-amount.0)),
        None => PicoDollars::parse_dollars(&text).ok(),
    }
}

/// Dollars for people: `$1,234.50`; what is less than a cent keeps more digits, and what is less than those is said so.
pub(super) fn shown(amount: PicoDollars) -> String {
    let sign = if amount.0 < 0 { "-" } else { "" };
    let magnitude = amount.0.unsigned_abs();
    let step = DOLLAR / 10_u128.pow(SHOWN);
    if magnitude > 0 && magnitude < step {
        return format!("<{sign}$0.0001");
    }
    // Half up, as the price of anything is rounded.
    let steps = magnitude.saturating_add(step / 2) / step;
    let (whole, part) = (steps / 10_u128.pow(SHOWN), steps % 10_u128.pow(SHOWN));
    let digits = format!("{part:04}");
    // Cents always, more only where there is more.
    let digits = if digits.ends_with("00") { digits.get(..2).unwrap_or_default() } else { &digits };
    format!("{sign}${}.{digits}", grouped(whole))
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_an_amount_and_perhaps_a_duration() {
        let check = |text: &str, expect: &str| {
            let mut body = Map::new();
            let read = text.parse::<Budget>().map(|budget| budget.put(&mut body, "max", "for"));
            let got = read.map_or_else(|error| error, |()| Value::Object(body).to_string());
            assert_eq!(got, expect, "{text}");
        };
        check("50", r#"{"max":50.0}"#);
        check("50/30d", r#"{"max":50.0,"for":"30d"}"#);
        check("$0.1/1mo", r#"{"max":0.1,"for":"1mo"}"#);
        check("0", r#"{"max":0.0}"#);
        check("much", "'much' is no amount of US dollars, such as 50 or 0.25");
        check("-1", "'-1' is no amount of US dollars, such as 50 or 0.25");
        check(
            "50/month",
            "'month' is no duration: a whole number from 1 with s, m, h, d, w or mo, such as 30d",
        );
    }

    #[test]
    fn none_takes_away() {
        assert_eq!("none".parse(), Ok(Clearable::<u64>::None));
        assert_eq!("7".parse(), Ok(Clearable::To(7_u64)));
        assert!("x".parse::<Clearable<u64>>().is_err());
        assert_eq!("none".parse(), Ok(Clearable::<Budget>::None));
        assert_eq!("30d".parse(), Ok(Clearable::To(Cadence::Days(30))));
    }

    #[test]
    fn amounts_are_readable() {
        let check = |text: &str, expect: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(Some(&value)).map(shown).as_deref(), Some(expect), "{text}");
        };
        check("0.0", "$0.00");
        check("50", "$50.00");
        check("1234567.5", "$1,234,567.50");
        check("0.0123", "$0.0123");
        check("7.5e-05", "<$0.0001");
        check("0.00016", "$0.0002");
        check("0.99999", "$1.00");
        check("-3.25", "-$3.25");
        check("12.345", "$12.3450");
        assert_eq!(read(Some(&Value::Null)), None);
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999_999), "999,999");
    }
}
