//! One chunk object of a stream, read in a single pass.
//!
//! Owns which members of a chunk matter on the way past: where the model and the usage lie, whether there is an
//! error, how much answer text there is. **Invariant:** the whole chunk is valid JSON when reading succeeds.

use crate::json::{Fault, Kind, Limits, ScanErrorKind, Text, Walker, text_of, unescaped_len};
use std::ops::Range;

/// What a chunk holds. Offsets are those of its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChunkFacts {
    /// The value of `model`.
    pub(super) model: Option<Range<usize>>,
    /// The value of `usage`, `null` included.
    pub(super) usage: Option<Range<usize>>,
    /// What to cut out so that the member `usage` is gone, with one comma.
    pub(super) usage_cut: Range<usize>,
    /// The value of `service_tier`, where it is a string.
    pub(super) service_tier: Option<Range<usize>>,
    /// There is an `error` other than `null`.
    pub(super) has_error: bool,
    /// There is a member `choices`.
    pub(super) has_choices: bool,
    /// `choices` is an empty array.
    pub(super) has_no_choices: bool,
    /// How many of the choices have a finish reason.
    pub(super) finishes: usize,
    /// The highest index of a choice.
    pub(super) last_choice: usize,
    /// Something that the caller sees as content.
    pub(super) has_content: bool,
    /// Bytes of answer text: text, reasoning, refusals, arguments.
    pub(super) content_bytes: usize,
}

impl ChunkFacts {
    /// Reads a chunk; `None` when it is no valid JSON object or gives a member that matters twice.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let mut walker = Walker::new(text_of(data).ok()?, &Limits::REPLY);
        let mut facts = Self::default();
        if walker.peek() != Some(b'{') {
            return None;
        }
        let mut layout = Layout::default();
        walker.object(|walker, name| facts.read_member(walker, name, &mut layout)).ok()?;
        walker.end().ok()?;
        Some(facts)
    }

    fn read_member(&mut self, walker: &mut Walker<'_>, name: Text, layout: &mut Layout) -> Result<(), Fault> {
        let name_start = name.start - 1;
        if std::mem::take(&mut layout.is_cut_open) {
            self.usage_cut.end = name_start;
        }
        walker.peek();
        let start = walker.position();
        match walker.unescaped(name).as_ref() {
            "choices" => {
                layout.once(walker, Layout::CHOICES)?;
                self.has_choices = true;
                self.read_choices(walker)?;
            }
            "model" => {
                layout.once(walker, Layout::MODEL)?;
                walker.skip()?;
                self.model = Some(start..walker.position());
            }
            "usage" => {
                layout.once(walker, Layout::USAGE)?;
                walker.skip()?;
                self.usage = Some(start..walker.position());
                self.usage_cut = layout.previous_end.unwrap_or(name_start)..walker.position();
                layout.is_cut_open = layout.previous_end.is_none();
            }
            "service_tier" => {
                let is_word = walker.skip()? == Kind::String;
                self.service_tier = is_word.then(|| start..walker.position());
            }
            "error" => {
                layout.once(walker, Layout::ERROR)?;
                self.has_error = walker.skip()? != Kind::Null;
            }
            _ => drop(walker.skip()?),
        }
        layout.previous_end = Some(walker.position());
        Ok(())
    }

    fn read_choices(&mut self, walker: &mut Walker<'_>) -> Result<(), Fault> {
        if walker.peek() != Some(b'[') {
            return walker.skip().map(drop);
        }
        self.has_no_choices = true;
        walker.array(|walker| {
            self.has_no_choices = false;
            object_or_skip(walker, |walker, name| match walker.unescaped(name).as_ref() {
                "delta" => object_or_skip(walker, |walker, name| self.read_delta(walker, name)),
                "text" => self.read_text(walker),
                "finish_reason" => {
                    let start = walker.position();
                    // Some providers say an empty one while the answer goes on.
                    let is_said = walker.skip()? == Kind::String && walker.position() > start + "\"\"".len();
                    self.finishes += usize::from(is_said);
                    Ok(())
                }
                "index" if walker.peek() != Some(b'0') => {
                    let start = walker.position();
                    walker.skip()?;
                    let index = walker.slice(start, walker.position()).parse().unwrap_or(0);
                    self.last_choice = self.last_choice.max(index);
                    Ok(())
                }
                _ => walker.skip().map(drop),
            })
        })
    }

    fn read_delta(&mut self, walker: &mut Walker<'_>, name: Text) -> Result<(), Fault> {
        match walker.unescaped(name).as_ref() {
            "content" | "reasoning_content" | "reasoning" | "refusal" => self.read_text(walker),
            "tool_calls" if walker.peek() == Some(b'[') => walker.array(|walker| {
                self.has_content = true;
                object_or_skip(walker, |walker, name| {
                    if walker.is_name(name, "function") || walker.is_name(name, "custom") {
                        self.read_function(walker)
                    } else {
                        walker.skip().map(drop)
                    }
                })
            }),
            "function_call" => {
                self.has_content |= walker.peek() == Some(b'{');
                self.read_function(walker)
            }
            "audio" => {
                self.has_content |= walker.skip()? == Kind::Object;
                Ok(())
            }
            "images" if walker.peek() == Some(b'[') => walker.array(|walker| {
                self.has_content = true;
                walker.skip().map(drop)
            }),
            _ => walker.skip().map(drop),
        }
    }

    fn read_function(&mut self, walker: &mut Walker<'_>) -> Result<(), Fault> {
        object_or_skip(walker, |walker, name| {
            // A custom tool's call has free text.
            let is_said = walker.is_name(name, "arguments") || walker.is_name(name, "input");
            if is_said { self.read_text(walker) } else { walker.skip().map(drop) }
        })
    }

    /// A string of answer text, or (Mistral's reasoning models) a list of parts, which counts as it is written.
    fn read_text(&mut self, walker: &mut Walker<'_>) -> Result<(), Fault> {
        let len = match walker.peek() {
            Some(b'"') => {
                let text = walker.string()?;
                if text.has_escapes { unescaped_len(walker.raw(text)) } else { text.end - text.start }
            }
            Some(b'[') => {
                let start = walker.position();
                walker.skip()?;
                (walker.position() - start).saturating_sub(b"[]".len())
            }
            _ => return walker.skip().map(drop),
        };
        self.has_content |= len > 0;
        self.content_bytes += len;
        Ok(())
    }
}

fn object_or_skip(
    walker: &mut Walker<'_>,
    each: impl FnMut(&mut Walker<'_>, Text) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if walker.peek() == Some(b'{') { walker.object(each) } else { walker.skip().map(drop) }
}

/// What has been passed of the outermost object.
#[derive(Debug, Default)]
struct Layout {
    previous_end: Option<usize>,
    /// `usage` is the first member, so its comma is the one after it.
    is_cut_open: bool,
    seen: u8,
}

impl Layout {
    const CHOICES: u8 = 1;
    const MODEL: u8 = 2;
    const USAGE: u8 = 4;
    const ERROR: u8 = 8;

    /// Refuses a second member of the same name: readers differ in which one counts.
    fn once(&mut self, walker: &Walker<'_>, member: u8) -> Result<(), Fault> {
        if self.seen & member != 0 {
            return Err(walker.fault(ScanErrorKind::DuplicateMember(String::new())));
        }
        self.seen |= member;
        Ok(())
    }
}
