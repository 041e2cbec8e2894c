//! The strict reader underneath: a cursor over one JSON text that checks what it passes.
//!
//! Owns the grammar, the limits and the errors. Leaves what is remembered of a body to `scan` and to the relay.
//! **Invariant:** the cursor moves only over bytes that are valid so far, and its recursion is bounded by
//! `DEPTH_CEILING`.

use super::scan::Kind;
use super::text::{hex4, least_byte, plain_run, run_without_controls, unescape};
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting that any limit may allow: what `serde_json` reads, so that a decoder never meets a deeper body.
const DEPTH_CEILING: u32 = 127;

/// A number longer than this, or with an exponent, may be too large for a double and is checked for it.
const NUMBER_BYTES_SURELY_FINITE: usize = 300;

/// Limits on a body's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of objects and arrays; the outermost object is 1. At most 127 has effect.
    pub depth_max: u32,
    /// Most values (objects, arrays and scalars; names are not counted).
    pub nodes_max: u64,
}

impl Limits {
    /// What a caller's body may have.
    pub const REQUEST: Self = Self { depth_max: 64, nodes_max: 200_000 };
    /// What a provider's reply may have; embeddings hold hundreds of thousands of numbers.
    pub const REPLY: Self = Self { depth_max: DEPTH_CEILING, nodes_max: u64::MAX };
}

/// Why a text is not the JSON that is asked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanError {
    /// Bytes before the place.
    pub offset: usize,
    /// Characters before the place.
    pub character: usize,
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ScanErrorKind,
}

impl fmt::Display for ScanError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { character, line, column, kind, .. } = self;
        write!(out, "{kind}: line {line} column {column} (char {character})")
    }
}

impl std::error::Error for ScanError {}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanErrorKind {
    /// Nothing but white space.
    #[error("the body is empty")]
    Empty,
    /// Bytes that are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// JSON, but not an object.
    #[error("expected an object")]
    NotAnObject,
    /// Something else where a value has to be.
    #[error("expected a value")]
    ExpectedValue,
    /// Something else where a member's name has to be.
    #[error("expected a member name in double quotes")]
    ExpectedName,
    /// No colon after a member's name.
    #[error("expected ':' after the member name")]
    ExpectedColon,
    /// Neither the next member nor the end of the object.
    #[error("expected ',' or '}}' after the member")]
    ExpectedCommaOrBrace,
    /// Neither the next item nor the end of the array.
    #[error("expected ',' or ']' after the item")]
    ExpectedCommaOrBracket,
    /// The text ends within a string.
    #[error("the string has no end")]
    UnterminatedString,
    /// A control character within a string that is not escaped.
    #[error("a control character in a string must be escaped")]
    ControlCharacter,
    /// A backslash followed by something that is no escape.
    #[error("invalid escape in a string")]
    InvalidEscape,
    /// Half of a surrogate pair.
    #[error("a surrogate escape without its other half")]
    LoneSurrogate,
    /// A number that the grammar does not allow.
    #[error("invalid number")]
    InvalidNumber,
    /// A number that no double can hold.
    #[error("the number is out of range")]
    NumberOutOfRange,
    /// Something after the end of the value.
    #[error("unexpected text after the end of the value")]
    TrailingText,
    /// Deeper than the limit.
    #[error("nested deeper than {0} levels")]
    TooDeep(u32),
    /// More values than the limit.
    #[error("more than {0} values")]
    TooManyValues(u64),
    /// Two members of one object whose names are equal once unescaped.
    #[error("the member {0:?} is given twice")]
    DuplicateMember(String),
}

/// An error before its line and column are worked out.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) kind: ScanErrorKind,
}

impl Fault {
    pub(crate) fn locate(self, body: &[u8]) -> ScanError {
        let before = body.get(..self.offset).unwrap_or(body);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        ScanError {
            offset: self.offset,
            character: count_characters(before),
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: 1 + count_characters(before.get(line_start..).unwrap_or_default()),
            kind: self.kind,
        }
    }
}

/// Characters of UTF-8: every byte that continues none. Good enough where the bytes are not UTF-8.
fn count_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

/// Names that LiteLLM adds within messages and tools and that OpenAI's API does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mentions {
    /// `provider_specific_fields`: what LiteLLM's replies have and its clients send back.
    pub provider_specific_fields: bool,
    /// `cache_control`, `reasoning_content` or `thinking_blocks`: what some other providers take.
    pub foreign_content: bool,
}

impl Mentions {
    fn note(&mut self, name: &str) {
        match name {
            "provider_specific_fields" => self.provider_specific_fields = true,
            "cache_control" | "reasoning_content" | "thinking_blocks" => self.foreign_content = true,
            _ => {}
        }
    }
}

/// A string that was passed: where its body lies, and whether anything in it is escaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    /// The first byte after the opening quote.
    pub(crate) start: usize,
    /// The closing quote.
    pub(crate) end: usize,
    pub(crate) has_escapes: bool,
}

/// From this length on, one pass over the whole text for control characters is cheaper than looking in each string.
/// What programs send is compact and has none; what people indent has.
const CONTROLS_SOUGHT_FROM: usize = 1_024;

/// The cursor. A method that fails leaves it somewhere within the value; only the fault is then of use.
#[derive(Debug)]
pub(crate) struct Walker<'a> {
    text: &'a str,
    at: usize,
    depth_left: u32,
    nodes_left: u64,
    limits: Limits,
    /// No control character stands anywhere in the text, so that strings need not be searched for one.
    has_no_controls: bool,
    mentions: Mentions,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(text: &'a str, limits: &Limits) -> Self {
        let depth_left = limits.depth_max.min(DEPTH_CEILING);
        let mentions = Mentions::default();
        let has_no_controls = text.len() >= CONTROLS_SOUGHT_FROM && least_byte(text.as_bytes()) >= b' ';
        Self {
            text,
            at: 0,
            depth_left,
            nodes_left: limits.nodes_max,
            limits: *limits,
            has_no_controls,
            mentions,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn fault(&self, kind: ScanErrorKind) -> Fault {
        Fault { offset: self.at, kind }
    }

    /// The text between two offsets; empty where they are not offsets of this text.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// A string's body as it is written.
    pub(crate) fn raw(&self, text: Text) -> &'a str {
        self.slice(text.start, text.end)
    }

    /// Whether a name, once unescaped, is this one.
    #[inline]
    pub(crate) fn is_name(&self, name: Text, expect: &str) -> bool {
        let raw = self.raw(name);
        if name.has_escapes { unescape(raw) == expect } else { raw == expect }
    }

    /// A name as the grammar means it.
    pub(crate) fn unescaped(&self, text: Text) -> Cow<'a, str> {
        let raw = self.raw(text);
        if text.has_escapes { unescape(raw) } else { Cow::Borrowed(raw) }
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The next byte that is not white space; the cursor stands on it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault(ScanErrorKind::TrailingText)),
        }
    }

    #[inline]
    fn count_node(&mut self) -> Result<(), Fault> {
        match self.nodes_left.checked_sub(1) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(self.fault(ScanErrorKind::TooManyValues(self.limits.nodes_max))),
        }
    }

    fn descend(&mut self) -> Result<(), Fault> {
        self.count_node()?;
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                self.at += 1;
                Ok(())
            }
            None => Err(self.fault(ScanErrorKind::TooDeep(self.limits.depth_max.min(DEPTH_CEILING)))),
        }
    }

    /// Passes any value.
    pub(crate) fn skip(&mut self) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| Kind::String),
            Some(b'{') => self.object(Self::skip_member).map(|()| Kind::Object),
            Some(b'[') => self.array(|walker| walker.skip().map(drop)).map(|()| Kind::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number),
            Some(b't') => self.literal("true").map(|()| Kind::Bool),
            Some(b'f') => self.literal("false").map(|()| Kind::Bool),
            Some(b'n') => self.literal("null").map(|()| Kind::Null),
            _ => Err(self.fault(ScanErrorKind::ExpectedValue)),
        }
    }

    #[inline]
    fn skip_member(&mut self, name: Text) -> Result<(), Fault> {
        // The length alone tells nearly every name apart.
        if matches!(name.end - name.start, 13 | 15 | 17 | 24) {
            self.mentions.note(self.raw(name));
        }
        self.skip().map(drop)
    }

    /// Names of LiteLLM's that were passed within values.
    pub(crate) fn mentions(&self) -> Mentions {
        self.mentions
    }

    /// Passes an object on which the cursor stands; `each` gets every name and must pass exactly the value.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Text) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.descend()?;
        if self.peek() == Some(b'}') {
            return self.ascend();
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault(ScanErrorKind::ExpectedName));
            }
            let name = self.string_body()?;
            if self.peek() != Some(b':') {
                return Err(self.fault(ScanErrorKind::ExpectedColon));
            }
            self.at += 1;
            each(self, name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.ascend(),
                _ => return Err(self.fault(ScanErrorKind::ExpectedCommaOrBrace)),
            }
        }
    }

    /// Passes an array on which the cursor stands; `each` must pass exactly one item.
    #[inline]
    pub(crate) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.descend()?;
        if self.peek() == Some(b']') {
            return self.ascend();
        }
        loop {
            each(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.ascend(),
                _ => return Err(self.fault(ScanErrorKind::ExpectedCommaOrBracket)),
            }
        }
    }

    fn ascend(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.depth_left += 1;
        Ok(())
    }

    /// Passes a string on whose opening quote the cursor stands.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Text, Fault> {
        self.count_node()?;
        self.string_body()
    }

    #[inline]
    fn string_body(&mut self) -> Result<Text, Fault> {
        let start = self.at + 1;
        let mut has_escapes = false;
        self.at = start;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += if self.has_no_controls { run_without_controls(rest) } else { plain_run(rest) };
            match self.byte(self.at) {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Text { start, end, has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault(ScanErrorKind::ControlCharacter)),
                None => return Err(self.fault(ScanErrorKind::UnterminatedString)),
            }
        }
    }

    /// Passes the escape here and those that follow it directly, as text in other scripts is often written.
    fn escape(&mut self) -> Result<(), Fault> {
        while self.byte(self.at) == Some(b'\\') {
            match self.byte(self.at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                Some(b'u') => self.unicode_escape()?,
                _ => return Err(self.fault(ScanErrorKind::InvalidEscape)),
            }
        }
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let first = hex4(bytes, self.at + 2).ok_or_else(|| self.fault(ScanErrorKind::InvalidEscape))?;
        match first {
            0xD800..=0xDBFF => {
                let is_escape = bytes.get(self.at + 6..self.at + 8) == Some(br"\u");
                let second = if is_escape { hex4(bytes, self.at + 8) } else { None };
                if !matches!(second, Some(0xDC00..=0xDFFF)) {
                    return Err(self.fault(ScanErrorKind::LoneSurrogate));
                }
                self.at += 12;
            }
            0xDC00..=0xDFFF => return Err(self.fault(ScanErrorKind::LoneSurrogate)),
            _ => self.at += 6,
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), Fault> {
        self.count_node()?;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.fault(ScanErrorKind::ExpectedValue));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.count_node()?;
        let start = self.at;
        self.at += usize::from(self.byte(self.at) == Some(b'-'));
        if self.byte(self.at) == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte(self.at) == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let has_exponent = matches!(self.byte(self.at), Some(b'e' | b'E'));
        if has_exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        if has_exponent || self.at - start > NUMBER_BYTES_SURELY_FINITE {
            let is_finite = self.slice(start, self.at).parse().is_ok_and(f64::is_finite);
            if !is_finite {
                return Err(Fault { offset: start, kind: ScanErrorKind::NumberOutOfRange });
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.fault(ScanErrorKind::InvalidNumber));
        }
        self.at += count;
        Ok(())
    }
}
