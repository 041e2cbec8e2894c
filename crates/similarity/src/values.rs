//! The numbers of a question, in digits or words, with what they count.
//!
//! Owns: numbers, ordinals, units, currencies, clock times, and units of one kind made one ("two weeks" is "14 days").
//! Leaves to others: days, months and relative times by name (`tables/axes.txt`), and whether two questions' numbers agree (`guard`).
//!
//! **Invariant:** a value that is read is read from at least one word, so that reading a text ends.

use crate::words::{Shape, Word};

/// A number and what it counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// In the base unit where there is a unit.
    pub(crate) amount: f64,
    /// As it is written, in whatever unit.
    pub(crate) written: f64,
    /// The base unit; empty for a bare number.
    pub(crate) unit: &'static str,
    /// A "one" in words, which is often no number at all ("this one").
    pub(crate) is_weak: bool,
    /// The stem of the word that the number stands before, empty where there is none.
    pub(crate) of: String,
}

impl Value {
    /// Whether both are the same number of the same thing, or one of them does not say of what.
    pub(crate) fn agrees(&self, other: &Value) -> bool {
        if self.unit == other.unit {
            return is_near(self.amount, other.amount);
        }
        (self.unit.is_empty() || other.unit.is_empty()) && is_near(self.written, other.written)
    }
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

/// Reads the number that begins at the word `at`, and how many words it takes.
pub(crate) fn read(words: &[Word], at: usize) -> Option<(Value, usize)> {
    let first = words.get(at)?;
    if first.shape == Shape::Sign {
        let unit = currency_sign(&first.text)?;
        let (mut value, read) = read_plain(words, at + 1)?;
        value.unit = unit;
        return Some((value, read + 1));
    }
    read_plain(words, at)
}

fn read_plain(words: &[Word], at: usize) -> Option<(Value, usize)> {
    let first = words.get(at)?;
    let (mut value, mut read) = match first.shape {
        Shape::Number => (in_digits(&first.text)?, 1),
        Shape::Code => (with_suffix(&first.text)?, 1),
        Shape::Plain | Shape::Capital | Shape::Capitals => in_words(words, at)?,
        Shape::Sign => return None,
    };
    if let Some(factor) =
        words.get(at + read).and_then(|next| multiplier(&next.text)).filter(|_| value.unit.is_empty())
    {
        value.amount *= factor;
        value.written = value.amount;
        read += 1;
    }
    let next = words.get(at + read).and_then(|next| unit(&next.text));
    if let Some((unit, factor)) = next.filter(|_| value.unit.is_empty()) {
        value.unit = unit;
        value.amount *= factor;
        read += 1;
    }
    Some((value, read))
}

fn plain(amount: f64) -> Value {
    Value { amount, written: amount, unit: "", is_weak: false, of: String::new() }
}

fn in_digits(text: &str) -> Option<Value> {
    if let Some((hours, minutes)) = text.split_once(':') {
        let minutes = hours.parse::<f64>().ok()? * 60.0 + minutes.get(..2)?.parse::<f64>().ok()?;
        return Some(Value { unit: "clock", ..plain(minutes) });
    }
    Some(plain(decimal(text)?))
}

/// A number with its thousands apart or not: `2,700`, `10.99`, `1.234.567`.
fn decimal(text: &str) -> Option<f64> {
    let groups =
        text.split(',').skip(1).all(|group| group.split('.').next().is_some_and(|whole| whole.len() == 3));
    let joined = if groups { text.replace(',', "") } else { text.replace(',', ".") };
    if joined.matches('.').count() > 1 {
        return joined.replace('.', "").parse().ok();
    }
    joined.parse().ok()
}

/// `10gb`, `23kg`, `5k`, `1st`, `9am`, `9.30pm`.
fn with_suffix(text: &str) -> Option<Value> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | ':')))?;
    let (digits, suffix) = text.split_at_checked(end)?;
    let amount =
        digits.chars().next().filter(char::is_ascii_digit).and(decimal(&digits.replace(':', ".")))?;
    match suffix {
        "st" | "nd" | "rd" | "th" => Some(Value { unit: "ordinal", ..plain(amount) }),
        "am" | "pm" => {
            let minutes = amount.trunc() % 12.0 * 60.0 + (amount.fract() * 100.0).round();
            let afternoon = if suffix == "pm" { 720.0 } else { 0.0 };
            Some(Value { unit: "clock", amount: minutes + afternoon, ..plain(amount.trunc()) })
        }
        "k" => Some(plain(amount * 1e3)),
        "m" if digits.len() > 3 => None,
        _ => unit(suffix).map(|(unit, factor)| Value { unit, amount: amount * factor, ..plain(amount) }),
    }
}

/// `twenty one`, `two hundred and fifty`, `a dozen`, `half`.
fn in_words(words: &[Word], at: usize) -> Option<(Value, usize)> {
    let first = words.get(at)?;
    if matches!(first.text.as_str(), "a" | "an") {
        let next = words.get(at + 1)?;
        let amount = multiplier(&next.text).or_else(|| dozen(&next.text))?;
        return Some((plain(amount), 2));
    }
    if let Some(amount) = dozen(&first.text) {
        return Some((plain(amount), 1));
    }
    let (mut total, mut part, mut read) = (0.0, 0.0, 0);
    while let Some(word) = words.get(at + read).filter(|_| read < 12) {
        if let Some(digit) = numeral(&word.text) {
            let fits = part == 0.0
                || (digit < 10.0 && part % 10.0 == 0.0 && part % 100.0 != 10.0)
                || part % 100.0 == 0.0;
            if !fits {
                break;
            }
            part += digit;
        } else if let Some(factor) = multiplier(&word.text).filter(|_| read > 0 && word.text.len() > 1) {
            if factor < 1e3 {
                part *= factor;
            } else {
                total += part * factor;
                part = 0.0;
            }
        } else if !(word.text == "and" && part >= 100.0 && follows_numeral(words, at + read)) {
            break;
        }
        read += 1;
    }
    if read == 0 {
        return None;
    }
    let is_weak = read == 1 && first.text == "one";
    Some((Value { is_weak, ..plain(total + part) }, read))
}

fn follows_numeral(words: &[Word], and: usize) -> bool {
    words.get(and + 1).is_some_and(|next| numeral(&next.text).is_some())
}

fn numeral(word: &str) -> Option<f64> {
    const NUMERALS: &[&str] = &[
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: &[&str] = &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let small = NUMERALS.iter().position(|numeral| *numeral == word).map(|at| at as f64);
    small.or_else(|| TENS.iter().position(|tens| *tens == word).map(|at| at as f64 * 10.0 + 20.0))
}

fn multiplier(word: &str) -> Option<f64> {
    match word {
        "hundred" => Some(1e2),
        "thousand" | "k" => Some(1e3),
        "million" | "mn" => Some(1e6),
        "billion" | "bn" => Some(1e9),
        _ => None,
    }
}

fn dozen(word: &str) -> Option<f64> {
    match word {
        "dozen" => Some(12.0),
        "half" => Some(0.5),
        _ => None,
    }
}

fn currency_sign(sign: &str) -> Option<&'static str> {
    match sign {
        "$" => Some("usd"),
        "€" => Some("eur"),
        "£" => Some("gbp"),
        "¥" => Some("jpy"),
        "₹" => Some("inr"),
        "₽" => Some("rub"),
        "₩" => Some("krw"),
        _ => None,
    }
}

/// The base unit of a word and what one of it is in the base unit.
pub(crate) fn unit(word: &str) -> Option<(&'static str, f64)> {
    let found = match word {
        "second" | "seconds" | "sec" | "secs" => ("second", 1.0),
        "minute" | "minutes" | "min" | "mins" => ("second", 60.0),
        "hour" | "hours" | "hr" | "hrs" | "h" => ("second", 3600.0),
        "day" | "days" => ("second", 86_400.0),
        "week" | "weeks" | "wk" | "wks" => ("second", 604_800.0),
        "fortnight" | "fortnights" => ("second", 1_209_600.0),
        "month" | "months" | "mo" => ("month", 1.0),
        "year" | "years" | "yr" | "yrs" => ("month", 12.0),
        "decade" | "decades" => ("month", 120.0),
        "mg" | "milligram" | "milligrams" => ("gram", 1e-3),
        "g" | "gram" | "grams" => ("gram", 1.0),
        "kg" | "kilo" | "kilos" | "kilogram" | "kilograms" | "kgs" => ("gram", 1e3),
        "tonne" | "tonnes" => ("gram", 1e6),
        "lb" | "lbs" => ("pound of weight", 1.0),
        "oz" | "ounce" | "ounces" => ("ounce", 1.0),
        "stone" => ("stone", 1.0),
        "ml" | "millilitre" | "millilitres" => ("litre", 1e-3),
        "l" | "litre" | "litres" | "liter" | "liters" => ("litre", 1.0),
        "mm" | "millimetres" => ("metre", 1e-3),
        "cm" | "centimetre" | "centimetres" => ("metre", 1e-2),
        "m" | "metre" | "metres" | "meter" | "meters" => ("metre", 1.0),
        "km" | "kilometre" | "kilometres" | "kilometers" => ("metre", 1e3),
        "mile" | "miles" => ("mile", 1.0),
        "inch" | "inches" => ("inch", 1.0),
        "ft" | "feet" => ("foot", 1.0),
        "kb" => ("byte", 1e3),
        "mb" => ("byte", 1e6),
        "gb" | "gigs" | "gig" => ("byte", 1e9),
        "tb" => ("byte", 1e12),
        "mbps" => ("bit per second", 1e6),
        "gbps" => ("bit per second", 1e9),
        "kwh" => ("watt hour", 1e3),
        "w" | "watt" | "watts" => ("watt", 1.0),
        "kw" => ("watt", 1e3),
        "%" | "percent" | "pc" => ("percent", 1.0),
        "usd" | "dollar" | "dollars" | "bucks" | "$" => ("usd", 1.0),
        "eur" | "euro" | "euros" | "€" => ("eur", 1.0),
        "gbp" | "pound" | "pounds" | "quid" | "£" => ("gbp", 1.0),
        "pence" | "p" => ("gbp", 1e-2),
        "cents" => ("usd", 1e-2),
        "jpy" | "yen" => ("jpy", 1.0),
        "inr" | "rupees" => ("inr", 1.0),
        "o'clock" => ("clock", 60.0),
        _ => return None,
    };
    Some(found)
}
