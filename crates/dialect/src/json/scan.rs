//! One validating scan over a body that finds its top-level members.
//!
//! Owns the view of an object: member names, values and where they lie. Leaves the grammar to `walk`.
//! **Invariant:** an [`Object`] is valid JSON within its limits and no two of its members have equal names, so
//! whatever is read from it is what any other reader of the same bytes reads.

use super::text::unescape;
use super::walk::{Fault, Limits, Mentions, ScanError, ScanErrorKind, Text, Walker};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

/// Members that an object may have before they go to the heap; a chat request seldom has more than ten.
const MEMBERS_INLINE: usize = 16;

/// Beyond this many members, names are compared after sorting instead of pair by pair.
const MEMBERS_COMPARED_PAIRWISE: usize = 24;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Scans a body that has to be an object: the whole text is checked (RFC 8259, UTF-8, no half surrogates, no number
/// beyond a double), the members of the outermost object are remembered.
///
/// # Errors
/// [`ScanError`] with the place of the first fault.
pub fn scan<'a>(body: &'a [u8], limits: &Limits) -> Result<Object<'a>, ScanError> {
    let text = text_of(body).map_err(|fault| fault.locate(body))?;
    let mut walker = Walker::new(text, limits);
    let object = match walker.peek() {
        Some(b'{') => read_object(&mut walker, text, 0).and_then(|object| walker.end().map(|()| object)),
        None => Err(walker.fault(ScanErrorKind::Empty)),
        Some(_) => {
            let offset = walker.position();
            let not_an_object = Fault { offset, kind: ScanErrorKind::NotAnObject };
            Err(walker.skip().and_then(|_| walker.end()).err().unwrap_or(not_an_object))
        }
    };
    object.map_err(|fault| fault.locate(body))
}

/// The body as text, if it is UTF-8.
pub(crate) fn text_of(body: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(body).map_err(|_| {
        let offset = std::str::from_utf8(body).err().map_or(0, |error| error.valid_up_to());
        Fault { offset, kind: ScanErrorKind::NotUtf8 }
    })
}

fn read_object<'a>(walker: &mut Walker<'a>, text: &'a str, base: usize) -> Result<Object<'a>, Fault> {
    let open = walker.position();
    let mut entries = SmallVec::new();
    walker.object(|walker, name| {
        walker.peek();
        let start = walker.position();
        let kind = walker.skip()?;
        entries.push(Entry { name, value: start..walker.position(), kind });
        Ok(())
    })?;
    let mentions = walker.mentions();
    let object = Object { text, base, open, close: walker.position() - 1, entries, mentions };
    match object.duplicate() {
        None => Ok(object),
        Some((offset, name)) => Err(Fault { offset, kind: ScanErrorKind::DuplicateMember(name) }),
    }
}

#[derive(Debug, Clone)]
struct Entry {
    name: Text,
    value: Range<usize>,
    kind: Kind,
}

/// A valid object, borrowed from its body.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    text: &'a str,
    /// Where `text` begins in the body that was scanned.
    base: usize,
    open: usize,
    close: usize,
    entries: SmallVec<[Entry; MEMBERS_INLINE]>,
    mentions: Mentions,
}

impl<'a> Object<'a> {
    /// The value of the member of this name, escapes in the body's names read.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.entries.iter().find(|entry| self.is_named(entry, name)).map(|entry| self.value(entry))
    }

    /// Which of LiteLLM's own names stand somewhere within the members' values, as names of members.
    pub fn mentions(&self) -> Mentions {
        self.mentions
    }

    /// All members, in order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + '_ {
        self.entries.iter().map(|entry| self.member_of(entry))
    }

    /// The number of the member of this name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| self.is_named(entry, name))
    }

    /// The member of this number.
    pub(crate) fn member(&self, index: usize) -> Option<Member<'a>> {
        self.entries.get(index).map(|entry| self.member_of(entry))
    }

    fn member_of(&self, entry: &Entry) -> Member<'a> {
        Member {
            name: self.name(entry),
            span: self.base + entry.name.start - 1..self.base + entry.value.end,
            name_span: self.base + entry.name.start - 1..self.base + entry.name.end + 1,
            value: self.value(entry),
        }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are no members.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the object lies in the body, its braces included.
    pub fn body_span(&self) -> Range<usize> {
        self.base + self.open..self.base + self.close + 1
    }

    fn name(&self, entry: &Entry) -> Cow<'a, str> {
        let raw = self.text.get(entry.name.start..entry.name.end).unwrap_or_default();
        if entry.name.has_escapes { unescape(raw) } else { Cow::Borrowed(raw) }
    }

    fn is_named(&self, entry: &Entry, name: &str) -> bool {
        if entry.name.has_escapes {
            return self.name(entry) == name;
        }
        self.text.as_bytes().get(entry.name.start..entry.name.end) == Some(name.as_bytes())
    }

    fn value(&self, entry: &Entry) -> Value<'a> {
        let text = self.text.get(entry.value.clone()).unwrap_or_default();
        Value { text, start: self.base + entry.value.start, kind: entry.kind }
    }

    /// The first member whose name came before: where, and the name.
    fn duplicate(&self) -> Option<(usize, String)> {
        if self.entries.len() > MEMBERS_COMPARED_PAIRWISE {
            return self.duplicate_by_sorting();
        }
        let repeated = self.entries.iter().enumerate().find(|(index, entry)| {
            let earlier = self.entries.get(..*index).unwrap_or_default();
            if !entry.name.has_escapes && earlier.iter().all(|other| !other.name.has_escapes) {
                let raw = self.text.as_bytes().get(entry.name.start..entry.name.end);
                return earlier
                    .iter()
                    .any(|other| self.text.as_bytes().get(other.name.start..other.name.end) == raw);
            }
            let name = self.name(entry);
            earlier.iter().any(|other| self.is_named(other, &name))
        });
        repeated.map(|(_, entry)| (entry.name.start - 1, self.name(entry).into_owned()))
    }

    fn duplicate_by_sorting(&self) -> Option<(usize, String)> {
        let mut names: Vec<_> =
            self.entries.iter().map(|entry| (self.name(entry), entry.name.start)).collect();
        names.sort_unstable();
        let pairs = names.iter().zip(names.iter().skip(1));
        let repeated = pairs.filter(|(one, other)| one.0 == other.0).map(|(_, other)| other);
        let first = repeated.min_by_key(|(_, start)| *start)?;
        Some((first.1 - 1, first.0.clone().into_owned()))
    }
}

/// One member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// Its name, unescaped.
    pub name: Cow<'a, str>,
    /// Where it lies in the body, from the name's opening quote to the end of the value.
    pub span: Range<usize>,
    /// Where its name lies in the body, quotes included.
    pub name_span: Range<usize>,
    /// Its value.
    pub value: Value<'a>,
}

/// A valid value, borrowed from its body.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    text: &'a str,
    start: usize,
    kind: Kind,
}

impl<'a> Value<'a> {
    /// The value that a text begins with, if there is a valid one. Spans are those of the text.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let mut walker = Walker::new(text, &Limits::REPLY);
        walker.peek();
        let start = walker.position();
        let kind = walker.skip().ok()?;
        Some(Self { text: walker.slice(start, walker.position()), start, kind })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its JSON text, as it came.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Its JSON text as bytes.
    pub fn raw(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Where it lies in the body.
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// It is `null`.
    pub fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// The string, unescaped; borrowed where nothing is escaped.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let body = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(unescape(body))
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is written as a whole number from 0 to 2^64 - 1.
    pub fn as_u64(&self) -> Option<u64> {
        let is_unsigned = self.kind == Kind::Number && !self.text.starts_with('-');
        if is_unsigned { self.text.parse().ok() } else { None }
    }

    /// The number as a double.
    pub fn as_f64(&self) -> Option<f64> {
        if self.kind == Kind::Number { self.text.parse().ok() } else { None }
    }

    /// The object, scanned now. `None` for other kinds and for an object that names a member twice.
    pub fn as_object(&self) -> Option<Object<'a>> {
        if self.kind != Kind::Object {
            return None;
        }
        read_object(&mut Walker::new(self.text, &Limits::REPLY), self.text, self.start).ok()
    }

    /// The items of an array, found one by one; none for other kinds.
    pub fn array_items(&self) -> ArrayItems<'a> {
        // The text of an array begins with its bracket.
        let at = if self.kind == Kind::Array { 1 } else { self.text.len() };
        ArrayItems { array: *self, at }
    }
}

/// The items of an array. See [`Value::array_items`].
#[derive(Debug, Clone)]
pub struct ArrayItems<'a> {
    array: Value<'a>,
    at: usize,
}

impl<'a> Iterator for ArrayItems<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let rest = self.array.text.get(self.at..)?;
        let mut walker = Walker::new(rest, &Limits::REPLY);
        if walker.peek() == Some(b']') {
            return None;
        }
        let start = walker.position();
        let kind = walker.skip().ok()?;
        let text = walker.slice(start, walker.position());
        let item = Value { text, start: self.array.start + self.at + start, kind };
        // A comma follows every item but the last one.
        let has_comma = walker.peek() == Some(b',');
        self.at += walker.position() + usize::from(has_comma);
        Some(item)
    }
}
