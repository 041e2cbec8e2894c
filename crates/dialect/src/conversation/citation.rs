//! What a text of an answer leans on. Owns types only.

use super::Native;

/// One source for (a part of) a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Citation {
    /// Which characters of the text part are supported: begin and end, in Unicode scalar values, end excluded. `None`
    /// is the whole part (Anthropic and Bedrock cut the text where the support changes).
    pub span: Option<(u64, u64)>,
    /// The words of the source, where they are quoted.
    pub quote: Option<String>,
    /// The source's title.
    pub title: Option<String>,
    /// The source's address, for one from the web.
    pub url: Option<String>,
    /// The source's number among the documents of the request, from 0.
    pub document: Option<u64>,
    /// The source's id: a file at the provider, a document as the caller named it, a tool's result.
    pub source_id: Option<String>,
    /// Which part of the source.
    pub place: Option<SourcePlace>,
    /// The citation in its provider's own words, which come out again in the same dialect.
    pub native: Option<Native>,
}

/// A part of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcePlace {
    /// What is counted.
    pub unit: PlaceUnit,
    /// The first.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

/// What a [`SourcePlace`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceUnit {
    /// Characters, from 0.
    Characters,
    /// Pages, from 1.
    Pages,
    /// Blocks of a document that came in blocks, from 0.
    Blocks,
}
