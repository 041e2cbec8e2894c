//! Edits of an object's members by cutting and joining slices of its body.
//!
//! Owns where commas go. Leaves which members to edit to its callers, who hand in valid JSON for new values.
//! **Invariant:** what comes out reads as the same edits made on a tree; bytes of members that are not edited are
//! never copied and never change.

use super::scan::Object;
use super::text::write_string;
use super::walk::{Limits, ScanError};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

/// Edits and pieces that fit without the heap.
const PIECES_INLINE: usize = 8;

/// Edits on one object, carried out in the order in which they are asked for.
#[derive(Debug)]
pub struct Splice<'a> {
    object: &'a Object<'a>,
    changes: SmallVec<[Change<'a>; PIECES_INLINE]>,
    added: SmallVec<[Added<'a>; 4]>,
}

/// What happens to the member of this number.
#[derive(Debug)]
struct Change<'a> {
    member: usize,
    name: Option<Cow<'a, str>>,
    value: Option<Cow<'a, str>>,
    is_removed: bool,
}

#[derive(Debug)]
struct Added<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// Where a name is at this point of the edits.
enum Place {
    Member(usize),
    Added(usize),
}

impl<'a> Splice<'a> {
    /// No edits yet.
    pub fn new(object: &'a Object<'a>) -> Self {
        Self { object, changes: SmallVec::new(), added: SmallVec::new() }
    }

    /// Gives the member this value (JSON text), adding it at the end where there is none.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, json: impl Into<Cow<'a, str>>) -> &mut Self {
        let (name, value) = (name.into(), json.into());
        match self.find(&name) {
            Some(Place::Member(member)) => self.change(member, |change| change.value = Some(value)),
            Some(Place::Added(index)) => {
                if let Some(added) = self.added.get_mut(index) {
                    added.value = value;
                }
            }
            None => self.added.push(Added { name, value }),
        }
        self
    }

    /// Gives the member this text as its value, escaped here.
    pub fn set_string(&mut self, name: impl Into<Cow<'a, str>>, text: &str) -> &mut Self {
        let mut json = Vec::new();
        write_string(&mut json, text);
        self.set(name, String::from_utf8(json).unwrap_or_default())
    }

    /// Gives a member of a member this value (JSON text) and leaves the other members there alone. A missing or null
    /// outer member becomes an object. An outer member that is no object is left for the provider to refuse.
    ///
    /// # Errors
    /// [`ScanError`] when the outer member names a member twice; nothing is edited then.
    pub fn set_in(&mut self, outer: &'a str, name: &str, json: &str) -> Result<&mut Self, ScanError> {
        let current = self.current_value(outer).filter(|value| value.as_ref() != "null");
        let edited = match current {
            None => {
                let mut object = b"{".to_vec();
                write_member(&mut object, name, json);
                object.push(b'}');
                object
            }
            Some(value) if value.starts_with('{') => {
                let inner = super::scan(value.as_bytes(), &Limits::REPLY)?;
                let mut splice = Splice::new(&inner);
                splice.set(name, json);
                splice.finish(&Bytes::copy_from_slice(value.as_bytes())).to_bytes().to_vec()
            }
            Some(_) => return Ok(self),
        };
        Ok(self.set(outer, String::from_utf8(edited).unwrap_or_default()))
    }

    /// Takes the member out; nothing happens where there is none.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        match self.find(name) {
            Some(Place::Member(member)) => self.change(member, |change| change.is_removed = true),
            Some(Place::Added(index)) => drop(self.added.remove(index)),
            None => {}
        }
        self
    }

    /// Gives the member another name. A member that already has that name gives way. Nothing happens where there is
    /// no such member.
    pub fn rename(&mut self, from: &str, to: impl Into<Cow<'a, str>>) -> &mut Self {
        let to = to.into();
        if from == to || self.find(from).is_none() {
            return self;
        }
        self.remove(&to);
        match self.find(from) {
            Some(Place::Member(member)) => self.change(member, |change| change.name = Some(to)),
            Some(Place::Added(index)) => {
                if let Some(added) = self.added.get_mut(index) {
                    added.name = to;
                }
            }
            None => {}
        }
        self
    }

    /// Whether there is a member of this name after the edits so far.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<Place> {
        if let Some(index) = self.added.iter().position(|added| added.name == name) {
            return Some(Place::Added(index));
        }
        if let Some(change) =
            self.changes.iter().find(|change| !change.is_removed && change.is_renamed_to(name))
        {
            return Some(Place::Member(change.member));
        }
        let member = self.object.position(name)?;
        let is_gone = self.changes.iter().any(|change| change.member == member && change.has_left_its_name());
        if is_gone { None } else { Some(Place::Member(member)) }
    }

    /// Edits what happens to a member.
    fn change(&mut self, member: usize, edit: impl FnOnce(&mut Change<'a>)) {
        if let Some(change) = self.changes.iter_mut().find(|change| change.member == member) {
            return edit(change);
        }
        let mut change = Change { member, name: None, value: None, is_removed: false };
        edit(&mut change);
        self.changes.push(change);
    }

    fn current_value(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.find(name)? {
            Place::Added(index) => self.added.get(index).map(|added| Cow::Borrowed(added.value.as_ref())),
            Place::Member(member) => {
                let change = self.changes.iter().find(|change| change.member == member);
                match change.and_then(|change| change.value.as_deref()) {
                    Some(value) => Some(Cow::Borrowed(value)),
                    None => self.object.member(member).map(|member| Cow::Borrowed(member.value.text())),
                }
            }
        }
    }

    /// Cuts and joins. `body` is the text that the object was scanned from.
    pub fn finish(&self, body: &Bytes) -> Segments {
        if self.changes.is_empty() && self.added.is_empty() {
            return Segments { pieces: SmallVec::from_iter([body.clone()]), is_unchanged: true };
        }
        let mut cutter = Cutter::default();
        let inner = self.object.body_span().start + 1..self.object.body_span().end - 1;
        cutter.keep(0..inner.start);
        let mut is_first = true;
        let mut after = inner.start;
        for (index, member) in self.object.members().enumerate() {
            let change = self.changes.iter().find(|change| change.member == index);
            let before = after..member.span.start;
            after = member.span.end;
            if change.is_some_and(|change| change.is_removed) {
                continue;
            }
            // Between the brace and the first member there is white space only, before any other exactly one comma.
            if !is_first || index == 0 {
                cutter.keep(before);
            }
            is_first = false;
            match change {
                None => cutter.keep(member.span),
                Some(change) => cutter.keep_changed(change, &member),
            }
        }
        for added in &self.added {
            if !is_first {
                cutter.inserted(|out| out.push(b','));
            }
            is_first = false;
            cutter.inserted(|out| write_member(out, &added.name, &added.value));
        }
        cutter.keep(after..body.len());
        cutter.finish(body)
    }
}

impl Change<'_> {
    fn is_renamed_to(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    fn has_left_its_name(&self) -> bool {
        self.is_removed || self.name.is_some()
    }
}

fn write_member(out: &mut Vec<u8>, name: &str, json: &str) {
    write_string(out, name);
    out.push(b':');
    out.extend_from_slice(json.as_bytes());
}

/// Collects pieces: runs of the body, and runs of one buffer that holds everything new.
#[derive(Debug, Default)]
struct Cutter {
    pieces: SmallVec<[Cut; PIECES_INLINE]>,
    new: Vec<u8>,
}

#[derive(Debug)]
enum Cut {
    Body(Range<usize>),
    New(Range<usize>),
}

impl Cutter {
    fn keep(&mut self, span: Range<usize>) {
        match self.pieces.last_mut() {
            _ if span.is_empty() => {}
            Some(Cut::Body(last)) if last.end == span.start => last.end = span.end,
            _ => self.pieces.push(Cut::Body(span)),
        }
    }

    fn inserted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.new.len();
        write(&mut self.new);
        let span = start..self.new.len();
        match self.pieces.last_mut() {
            Some(Cut::New(last)) => last.end = span.end,
            _ => self.pieces.push(Cut::New(span)),
        }
    }

    fn keep_changed(&mut self, change: &Change<'_>, member: &super::Member<'_>) {
        match &change.name {
            Some(name) => self.inserted(|out| write_string(out, name)),
            None => self.keep(member.name_span.clone()),
        }
        let value = member.value.span();
        self.keep(member.name_span.end..value.start);
        match &change.value {
            Some(json) => self.inserted(|out| out.extend_from_slice(json.as_bytes())),
            None => self.keep(value),
        }
    }

    fn finish(self, body: &Bytes) -> Segments {
        let new = Bytes::from(self.new);
        let pieces = self.pieces.into_iter().map(|cut| match cut {
            Cut::Body(span) => body.slice(span),
            Cut::New(span) if span.len() == new.len() => new.clone(),
            Cut::New(span) => new.slice(span),
        });
        Segments { pieces: pieces.collect(), is_unchanged: false }
    }
}

/// A body in pieces: slices of the original and what was put between them.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    pieces: SmallVec<[Bytes; PIECES_INLINE]>,
    is_unchanged: bool,
}

impl Segments {
    /// A body that is passed on as it came.
    pub fn unchanged(body: Bytes) -> Self {
        Self { pieces: SmallVec::from_iter([body]), is_unchanged: true }
    }

    /// Bytes of all pieces together.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// There is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body is the original, whole.
    pub fn is_unchanged(&self) -> bool {
        self.is_unchanged
    }

    /// The pieces in order; none is empty unless the body is.
    pub fn iter(&self) -> std::slice::Iter<'_, Bytes> {
        self.pieces.iter()
    }

    /// One piece: the original where it is unchanged, otherwise a copy. Worth it for small bodies, where a copy costs
    /// less than a vectored write.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            pieces => {
                let mut whole = Vec::with_capacity(self.len());
                pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
                Bytes::from(whole)
            }
        }
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = smallvec::IntoIter<[Bytes; PIECES_INLINE]>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter()
    }
}

impl<'a> IntoIterator for &'a Segments {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
