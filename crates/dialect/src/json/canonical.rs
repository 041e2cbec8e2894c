//! One way of writing a body: the same bytes for every spacing, order of members and way of writing a string or a number.
//!
//! Owns that form, which keys of caches are made of. Leaves to others which members count, and what is made of the bytes.
//! **Invariant:** what is written is JSON of exactly the values that were read, so that bodies which differ in a value
//! never come out equal. In particular numbers are decimals of any size here and never pass through a double, and members
//! of a nested object that share a name all stay, in their order.

use super::scan::{Kind, Object, Value};
use super::text::write_string;
use super::walk::{Fault, Limits, ScanErrorKind, Walker};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

/// Whole numbers of up to so many digits are written out, so that all of 64 bits are; longer ones that end in zeros, with
/// an exponent.
const WHOLE_DIGITS_MAX: usize = 20;

/// Exponents of up to so many digits are reckoned with; with this many, no sum leaves 64 bits.
const EXPONENT_DIGITS_MAX: usize = 18;

/// Members of an object before they go to the heap while it is read.
const MEMBERS_INLINE: usize = 8;

/// Appends the object's members whose unescaped name `keep` accepts, sorted by the bytes of that name, as a JSON object.
///
/// Nested objects are sorted likewise, lists stay in order, and there is no white space. Strings are written with as few
/// escapes as JSON allows. A number is its digits without leading and trailing zeros, an exponent behind them where there
/// are decimals (`0.70` is `7e-1`) or more zeros than a whole number of 64 bits has; `-0` is `0`. Half a surrogate pair
/// does not occur: [`scan`](super::scan()) refuses it.
///
/// Takes time in the length of the kept members, and in sorting their names.
pub fn write_canonical(object: &Object<'_>, keep: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
    let mut members: SmallVec<[_; 16]> = object.members().filter(|member| keep(&member.name)).collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    out.push(b'{');
    for (position, member) in members.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(out, &member.name);
        out.push(b':');
        write_value(&member.value, out);
    }
    out.push(b'}');
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    let text = value.text();
    match value.kind() {
        Kind::Null | Kind::Bool => out.extend_from_slice(text.as_bytes()),
        Kind::Number => write_number(text, out),
        Kind::String => match value.as_str() {
            Some(Cow::Owned(unescaped)) => write_string(out, &unescaped),
            // Nothing is escaped, so it is as `write_string` has it.
            Some(Cow::Borrowed(_)) | None => out.extend_from_slice(text.as_bytes()),
        },
        Kind::Array | Kind::Object => match Tree::read(text) {
            Ok(tree) => {
                tree.write(0, out);
            }
            // Not reached, since the scan took the same text; what it is not, it stays.
            Err(_) => out.extend_from_slice(text.as_bytes()),
        },
    }
}

/// The values of a text, each before those that are in it, as they came. Spans are of the text.
struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    /// The members of all objects; those of one object lie together, sorted.
    members: Vec<(Cow<'a, str>, usize)>,
}

enum Node {
    /// `null`, `true`, `false`, and strings without escapes: written as they came.
    Plain(Range<usize>),
    Number(Range<usize>),
    /// The body of a string with escapes, quotes included.
    Escaped(Range<usize>),
    /// The number of the first node behind what is in it.
    Array(usize),
    /// Its share of `members`, and as above.
    Object(Range<usize>, usize),
}

impl<'a> Tree<'a> {
    fn read(text: &'a str) -> Result<Self, Fault> {
        let mut tree = Self { text, nodes: Vec::new(), members: Vec::new() };
        tree.value(&mut Walker::new(text, &Limits::REPLY))?;
        Ok(tree)
    }

    /// Reads a value and all that is in it. The walker bounds the depth.
    fn value(&mut self, walker: &mut Walker<'a>) -> Result<(), Fault> {
        let node = self.nodes.len();
        match walker.peek() {
            Some(b'[') => {
                self.nodes.push(Node::Array(0));
                walker.array(|walker| self.value(walker))?;
                let end = self.nodes.len();
                self.place(node, Node::Array(end))
            }
            Some(b'{') => {
                self.nodes.push(Node::Object(0..0, 0));
                let mut members: SmallVec<[(Cow<'a, str>, usize); MEMBERS_INLINE]> = SmallVec::new();
                walker.object(|walker, name| {
                    members.push((walker.unescaped(name), self.nodes.len()));
                    self.value(walker)
                })?;
                // Stable: equal names stay in their order, of which readers take the first or the last.
                members.sort_by(|one, other| one.0.cmp(&other.0));
                let start = self.members.len();
                self.members.extend(members);
                let end = self.nodes.len();
                self.place(node, Node::Object(start..self.members.len(), end))
            }
            Some(b'"') => {
                let string = walker.string()?;
                let span = string.start - 1..string.end + 1;
                self.nodes.push(if string.has_escapes { Node::Escaped(span) } else { Node::Plain(span) });
                Ok(())
            }
            _ => {
                let start = walker.position();
                let is_number = walker.skip()? == Kind::Number;
                let span = start..walker.position();
                self.nodes.push(if is_number { Node::Number(span) } else { Node::Plain(span) });
                Ok(())
            }
        }
    }

    fn place(&mut self, number: usize, node: Node) -> Result<(), Fault> {
        let fault = Fault { offset: 0, kind: ScanErrorKind::ExpectedValue };
        *self.nodes.get_mut(number).ok_or(fault)? = node;
        Ok(())
    }

    /// Writes a value and all that is in it; gives the number of the first node behind it.
    fn write(&self, number: usize, out: &mut Vec<u8>) -> usize {
        let text = |span: &Range<usize>| self.text.get(span.clone()).unwrap_or_default();
        match self.nodes.get(number) {
            Some(Node::Plain(span)) => out.extend_from_slice(text(span).as_bytes()),
            Some(Node::Number(span)) => write_number(text(span), out),
            Some(Node::Escaped(span)) => {
                let body = span.start + 1..span.end - 1;
                write_string(out, &super::text::unescape(text(&body)));
            }
            Some(Node::Array(end)) => {
                out.push(b'[');
                let mut item = number + 1;
                while item < *end {
                    if item > number + 1 {
                        out.push(b',');
                    }
                    item = self.write(item, out);
                }
                out.push(b']');
                return *end;
            }
            Some(Node::Object(members, end)) => {
                self.write_members(members, out);
                return *end;
            }
            None => {}
        }
        number + 1
    }

    fn write_members(&self, members: &Range<usize>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (position, (name, value)) in
            self.members.get(members.clone()).unwrap_or_default().iter().enumerate()
        {
            if position > 0 {
                out.push(b',');
            }
            write_string(out, name);
            out.push(b':');
            self.write(*value, out);
        }
        out.push(b'}');
    }
}

/// Appends a valid number: its digits without zeros at either end, and the power of ten that they are to be taken times.
fn write_number(text: &str, out: &mut Vec<u8>) {
    let is_written_out = |text: &str| {
        text.len() <= WHOLE_DIGITS_MAX
            && !text.starts_with('-')
            && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if is_written_out(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some((digits, zeros)) = significant(whole, decimals) else {
        out.push(b'0');
        return;
    };
    let Some(exponent) = read_exponent(exponent) else {
        // A number that is nothing to any double. It stays as it is, and so stays apart from all others.
        out.extend_from_slice(text.as_bytes());
        return;
    };
    out.extend_from_slice(sign.as_bytes());
    out.extend(digits.clone());
    let power = exponent.saturating_add(zeros);
    match usize::try_from(power) {
        Ok(zeros) if digits.count().saturating_add(zeros) <= WHOLE_DIGITS_MAX => {
            out.extend(std::iter::repeat_n(b'0', zeros));
        }
        _ if power == 0 => {}
        _ => out.extend_from_slice(format!("e{power}").as_bytes()),
    }
}

/// The digits from the first to the last that is not 0, and the power of ten of the last one. `None` for zero.
fn significant<'a>(
    whole: &'a str,
    decimals: &'a str,
) -> Option<(impl Iterator<Item = u8> + Clone + 'a, i64)> {
    let digits = || whole.bytes().chain(decimals.bytes());
    let first = digits().position(|digit| digit != b'0')?;
    let last = whole.len() + decimals.len() - 1 - digits().rev().position(|digit| digit != b'0')?;
    // Lengths of texts in memory are far below 2^63.
    let power = i64::try_from(whole.len()).ok()? - i64::try_from(last).ok()? - 1;
    Some((digits().skip(first).take(last + 1 - first), power))
}

/// An exponent that can be reckoned with.
fn read_exponent(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.trim_start_matches('-')),
        _ => (false, text.trim_start_matches('+')),
    };
    let digits = digits.trim_start_matches('0');
    if digits.len() > EXPONENT_DIGITS_MAX {
        return None;
    }
    let size: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if is_negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> String {
        let mut out = Vec::new();
        write_number(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_is_written_in_one_way_whatever_it_was_written_as() {
        let check = |expect: &str, forms: &[&str]| {
            for form in forms {
                assert_eq!(number(form), expect, "{form}");
            }
        };
        check("0", &["0", "-0", "0.0", "-0.000", "0e5", "-0E-7", "0e99999999999999999999999"]);
        check("1", &["1", "1.0", "1e0", "10e-1", "0.1e1", "1E+0", "100e-2", "1e-0000000000000000000000"]);
        check("-1", &["-1", "-1.0", "-10e-1"]);
        check("7e-1", &["0.7", "0.70", "7e-1", "70E-2", "0.07e+1"]);
        check("-105e-2", &["-1.05", "-1.050", "-105e-2"]);
        check("1000", &["1000", "1e3", "1.0e3", "1000.0", "10000e-1"]);
        check("18446744073709551615", &["18446744073709551615", "1844674407370955161.5e1"]);
        check("18446744073709551610", &["18446744073709551610", "1844674407370955161e1"]);
        check("-18446744073709551610", &["-18446744073709551610", "-1844674407370955161e1"]);
        check("1e20", &["100000000000000000000", "1e20", "0.1e21"]);
        check("123456789012345678901", &["123456789012345678901", "123456789012345678901.0"]);
        check("1e-400", &["1e-400", "0.1e-399"]);
    }

    #[test]
    fn numbers_that_one_double_stands_for_stay_apart() {
        let apart = |one: &str, other: &str| {
            assert_eq!(one.parse::<f64>().unwrap(), other.parse::<f64>().unwrap());
            assert_ne!(number(one), number(other), "{one} {other}");
        };
        apart("9007199254740992", "9007199254740993");
        apart("18446744073709551616", "18446744073709551617");
        apart("0.1", "0.1000000000000000055511151231257827");
        apart("1e-400", "0");
        apart("1e-99999999999999999999", "1e-99999999999999999998");
        apart("1e-99999999999999999999", "0");
        apart("0.1e-999999999999999999", "1e-999999999999999999");
    }

    #[test]
    fn what_is_written_of_a_number_is_that_number_written_once_more() {
        for text in [
            "0",
            "1",
            "-7e-1",
            "1e20",
            "1e-1000000000000000000",
            "12345678901234567890123",
            "1e-99999999999999999999",
        ] {
            assert_eq!(number(&number(text)), number(text));
        }
        // The sum of an exponent and a place may have one digit more than is reckoned with: the number stays the same one.
        assert_eq!(number("0.1e-999999999999999999"), "1e-1000000000000000000");
    }
}
