//! What some providers' answers have beside text, tool calls and reasoning.
//!
//! Owns: [`Extras`], the words that spell it, documents that an answer may cite. Leaves to others: what each wire makes
//! of it; a wire that has no such thing leaves it out.
//!
//! **Invariant:** plain data.

/// What an answer has besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// A block of thoughts that cannot be read (Anthropic, Bedrock).
    pub redacted: bool,
    /// The very word to report as the reason to stop: `pause_turn`, `RECITATION`, `guardrail_intervened` (Anthropic,
    /// Gemini, Bedrock, and the providers of `wire`).
    pub stop_word: Option<String>,
    /// Several iterations in one answer, each with its own usage (Anthropic's `usage.iterations`).
    pub iterations: u64,
    /// Prompt tokens of tool use, beside the prompt's own (Gemini's `toolUsePromptTokenCount`).
    pub tool_prompt: Option<u64>,
    /// The part of what was written to the cache that stays for an hour (Anthropic, Bedrock).
    pub cache_written_1h: Option<u64>,
    /// The answer has an image (Gemini).
    pub image: bool,
    /// The look that sees the end of a prediction, whether or not its maker waits for it (Replicate).
    pub looks: Option<u32>,
    /// The model does not stream (Replicate).
    pub no_stream: bool,
}

/// A document of the request that the answer may cite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Its place among the documents of the request.
    pub(crate) index: usize,
    pub(crate) title: Option<String>,
    /// The words that are cited: its text, cut short.
    pub(crate) quote: String,
    pub(crate) kind: DocumentKind,
}

/// What a document is made of, which decides how its parts are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    /// Plain text, told by characters.
    #[default]
    Text,
    /// A PDF, told by pages.
    Pages,
    /// Blocks of the caller's own, told by their numbers.
    Blocks,
    /// A search result with its source, told by the numbers of its blocks.
    SearchResult(String),
}

impl Document {
    /// Most characters of a quote.
    const QUOTE_CHARS_MAX: usize = 80;

    /// A document with this text.
    pub(crate) fn new(index: usize, title: Option<&str>, text: &str, kind: DocumentKind) -> Document {
        let quote = text.chars().take(Document::QUOTE_CHARS_MAX).collect();
        Document { index, title: title.map(str::to_owned), quote, kind }
    }

    /// Characters of the quote.
    pub(crate) fn chars(&self) -> usize {
        self.quote.chars().count()
    }
}
