//! What a scalar means to a key that wants a boolean, a number or a text.
//!
//! Owns: PyYAML's reading of plain scalars, and the leniency of LiteLLM's models towards quoted ones. Leaves to
//! others: which type a key wants (keys).
//!
//! **Invariant:** a price is carried as the text that was written; it never passes through a float.

use serde_json::{Map, Number, Value};

use crate::yaml::{Data, Node, Scalar};

/// Seconds of a duration at most: about 31 years, far inside what `Duration` can add up.
pub(crate) const SECONDS_MAX: f64 = 1e9;

impl Node {
    /// Nothing written: an empty value, `~` or `null` without quotes.
    pub(crate) fn is_null(&self) -> bool {
        match &self.data {
            Data::Scalar(s) => s.is_plain && matches!(&*s.text, "" | "~" | "null" | "Null" | "NULL"),
            Data::Unset => true,
            Data::List(_) | Data::Map(_) => false,
        }
    }

    fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(s) if !self.is_null() => Some(s),
            Data::Scalar(_) | Data::List(_) | Data::Map(_) | Data::Unset => None,
        }
    }

    /// The text of any scalar: a date or number without quotes is taken as it was written.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar().map(|s| &*s.text)
    }

    /// A boolean in any of YAML 1.1's spellings, quoted or not.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// A whole number: decimal, `0x`, `0b`, an octal with a leading zero where plain, `1_000`, and `500.0` or `5e2`.
    pub(crate) fn integer(&self) -> Option<i64> {
        let scalar = self.scalar()?;
        if let Some(whole) = integer(&scalar.text, scalar.is_plain) {
            return Some(whole);
        }
        let number: f64 = decimal(&scalar.text)?.parse().ok()?;
        // 2^53: above it a float no longer tells whole numbers apart.
        let is_exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
        is_exact.then_some(number as i64)
    }

    /// A finite number.
    pub(crate) fn number(&self) -> Option<f64> {
        let scalar = self.scalar()?;
        if let Some(whole) = integer(&scalar.text, scalar.is_plain) {
            return Some(whole as f64);
        }
        let number: f64 = decimal(&scalar.text)?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// A number of at least zero as a decimal text with an optional exponent, ready for exact arithmetic.
    pub(crate) fn price(&self) -> Option<String> {
        let text = decimal(self.text()?)?;
        if text.starts_with('-') && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
            return None;
        }
        Some(text.trim_start_matches('-').to_owned())
    }
}

fn integer(text: &str, is_plain: bool) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let magnitude = if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2)
    } else if is_plain && digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(&digits, 8)
    } else {
        digits.parse()
    };
    magnitude.ok().map(|m| sign * m)
}

/// `text` as a decimal number in the spelling that every parser takes, or nothing if it is no decimal number.
fn decimal(text: &str) -> Option<String> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.replace('_', "");
    let digits_only = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits_only(&whole) || !digits_only(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let mut out = format!("{sign}{}", if whole.is_empty() { "0" } else { &whole });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || digits.len() > 4 || !digits_only(digits) {
            return None;
        }
        out.push('e');
        out.push_str(exponent.strip_prefix('+').unwrap_or(exponent));
    }
    Some(out)
}

/// A value that no key gives a type to, with YAML's own reading of plain scalars.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.data {
        Data::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Data::Map(_) => Value::Object(to_json_map(node)),
        Data::Unset => Value::Null,
        Data::Scalar(_) if node.is_null() => Value::Null,
        Data::Scalar(s) if !s.is_plain => Value::String(s.text.to_string()),
        Data::Scalar(s) => plain_to_json(&s.text),
    }
}

/// A map that no key gives types to; anything else is an empty one.
pub(crate) fn to_json_map(node: &Node) -> Map<String, Value> {
    let Data::Map(entries) = &node.data else { return Map::new() };
    entries.iter().map(|e| (e.key.to_string(), to_json(&e.value))).collect()
}

fn plain_to_json(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if let Some(whole) = integer(text, true) {
        return Value::Number(whole.into());
    }
    let number = decimal(text).and_then(|t| t.parse().ok()).and_then(Number::from_f64);
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Budget, parse};

    /// The value of `a: text`.
    fn node(text: &str) -> Node {
        let root = parse(&format!("a: {text}\n"), 0, &mut Budget::default()).expect("YAML").expect("a value");
        root.get("a").expect("the key").clone()
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1_quoted_or_not() {
        let check = |text: &str, expect: Option<bool>| assert_eq!(node(text).flag(), expect, "{text}");
        for text in ["true", "True", "TRUE", "yes", "on", "'true'", "\"Yes\"", "1", "!!bool yes"] {
            check(text, Some(true));
        }
        for text in ["false", "no", "Off", "'0'", "!!str no"] {
            check(text, Some(false));
        }
        for text in ["", "~", "2", "y", "truthy", "[]", "{}"] {
            check(text, None);
        }
    }

    #[test]
    fn whole_numbers_are_those_of_pyyaml_and_of_litellms_models() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(node(text).integer(), expect, "{text}");
        check("500", Some(500));
        check("'500'", Some(500));
        check("-5", Some(-5));
        check("+5", Some(5));
        check("1_000", Some(1000));
        check("0x1F", Some(31));
        check("0b101", Some(5));
        check("0755", Some(493));
        check("'0755'", Some(755));
        check("500.0", Some(500));
        check("5e2", Some(500));
        check("1e-6", None);
        check("9223372036854775808", None);
        check("1e300", None);
        check("5 apples", None);
        check("", None);
        check("''", None);
    }

    #[test]
    fn numbers_need_no_point_before_their_exponent() {
        let check = |text: &str, expect: Option<f64>| assert_eq!(node(text).number(), expect, "{text}");
        check("1e-6", Some(1e-6));
        check("1.5E+3", Some(1500.0));
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("'0.25'", Some(0.25));
        check(".inf", None);
        check(".nan", None);
        check("1e400", None);
        check("1e", None);
        check("e5", None);
        check(".", None);
        check("1.2.3", None);
        check("2024-10-21", None);
    }

    #[test]
    fn a_price_keeps_every_digit_that_was_written() {
        let check =
            |text: &str, expect: Option<&str>| assert_eq!(node(text).price().as_deref(), expect, "{text}");
        check("0.00000015", Some("0.00000015"));
        check("1.5e-07", Some("1.5e-07"));
        check("+1E+2", Some("1e2"));
        check("1_000.5", Some("1000.5"));
        check(".5", Some("0.5"));
        check("5.", Some("5"));
        check("0.1000000000000000055511151231257827", Some("0.1000000000000000055511151231257827"));
        check("-0", Some("0"));
        check("-0.01", None);
        check("free", None);
    }

    #[test]
    fn a_date_or_number_without_quotes_is_a_text_where_a_text_is_wanted() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(node(text).text(), expect, "{text}");
        check("2024-10-21", Some("2024-10-21"));
        check("2024_10", Some("2024_10"));
        check("on", Some("on"));
        check("''", Some(""));
        check("'~'", Some("~"));
        check("~", None);
        check("null", None);
        check("", None);
        check("[a]", None);
    }

    #[test]
    fn values_without_a_type_follow_yaml() {
        let check = |text: &str, expect: &str| assert_eq!(to_json(&node(text)).to_string(), expect, "{text}");
        check("yes", "true");
        check("'yes'", "\"yes\"");
        check("1e-6", "1e-6");
        check("1.50", "1.5");
        check("'1'", "\"1\"");
        check("2024-10-21", "\"2024-10-21\"");
        check("~", "null");
        check("{b: [1, x, {c: off}], a: ''}", r#"{"b":[1,"x",{"c":false}],"a":""}"#);
    }
}
