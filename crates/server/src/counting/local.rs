//! Tokens counted here: exactly for texts to OpenAI's models, as an estimate for everything else.
//!
//! Owns the choice of the vocabulary, what a message costs beside its text, and the bounds of the work. Leaves asking a
//! provider to `provider`. **Invariant:** no text, however odd, takes more than a bounded time, and none of it takes a
//! worker's thread: the vocabularies are loaded when they are first needed, and texts are counted beside the requests.

use tiktoken_rs::CoreBPE;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tollgate_dialect::conversation::{ChatRequest, MediaSource, Part, Tool};

/// Bytes of text that are counted one by one; what is beyond them is reckoned from them.
const COUNTED_BYTES_MAX: usize = 1 << 20;
/// Bytes that are given to the vocabulary at a time: its splitting of words is recursive on long runs of one kind.
const PIECE_BYTES_MAX: usize = 16 << 10;
/// Texts that are counted at a time.
const COUNTS_MAX: usize = 4;
static COUNTS: Semaphore = Semaphore::const_new(COUNTS_MAX);

/// Tokens around every message, its role included (OpenAI's cookbook, "How to count tokens").
const MESSAGE_TOKENS: u64 = 4;
/// Tokens before the answer, from the same.
const PRIMING_TOKENS: u64 = 3;
/// Tokens around the list of tools, as LiteLLM has it.
const TOOLS_TOKENS: u64 = 9;
/// An image of low detail (OpenAI's guide to vision).
const IMAGE_LOW_TOKENS: u64 = 85;
/// An image of unknown size: four tiles of 170 more.
const IMAGE_TOKENS: u64 = 765;

/// How a count came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) tokens: u64,
    /// Of a text by its model's own vocabulary.
    pub(super) is_exact: bool,
}

/// What is to be counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Countable {
    texts: Vec<String>,
    /// What is no text.
    fixed: u64,
    /// Something in it has no published count.
    is_guess: bool,
}

impl Countable {
    /// Texts by themselves.
    pub(super) fn of_texts(texts: Vec<String>) -> Self {
        Self { texts, ..Self::default() }
    }

    /// A conversation.
    pub(super) fn of(request: &ChatRequest) -> Self {
        let mut countable = Self::default();
        for message in &request.messages {
            countable.fixed += MESSAGE_TOKENS;
            if let Some(name) = &message.name {
                countable.fixed += 1;
                countable.texts.push(name.clone());
            }
            for part in &message.parts {
                countable.add(part);
            }
        }
        if !request.messages.is_empty() {
            countable.fixed += PRIMING_TOKENS;
        }
        if !request.tools.is_empty() {
            countable.fixed += TOOLS_TOKENS;
            countable.is_guess = true;
            countable.texts.extend(request.tools.iter().map(tool_text));
        }
        countable
    }

    /// The most tokens that any vocabulary makes of it: one for each byte of text. `None` where not all of it is text.
    pub(super) fn tokens_max(&self) -> Option<u64> {
        let bytes: usize = self.texts.iter().map(String::len).sum();
        // Twice what OpenAI has around a message, for those who have not said what they have.
        (!self.is_guess).then_some(bytes as u64 + 2 * self.fixed)
    }

    fn add(&mut self, part: &Part) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) | Part::Reasoning { text, .. } => {
                self.texts.push(text.clone());
            }
            Part::Image { detail, .. } => {
                let is_low = detail.as_deref() == Some("low");
                self.fixed += if is_low { IMAGE_LOW_TOKENS } else { IMAGE_TOKENS };
                self.is_guess |= !is_low;
            }
            Part::ToolCall { name, arguments, .. } => {
                self.texts.push(name.clone());
                self.texts.push(arguments.clone());
                self.is_guess = true;
            }
            Part::ToolResult { content, .. } => {
                for part in content {
                    self.add(part);
                }
            }
            Part::File { source: MediaSource::Text(text), .. } => self.texts.push(text.clone()),
            Part::Audio { transcript: Some(text), .. } => {
                self.texts.push(text.clone());
                self.is_guess = true;
            }
            Part::File { .. } | Part::Audio { .. } | Part::RedactedReasoning { .. } | Part::Native(_) => {
                self.is_guess = true;
            }
        }
    }
}

/// What the model is told of a tool.
fn tool_text(tool: &Tool) -> String {
    let parameters = tool.parameters.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{} {} {parameters}", tool.name, tool.description.as_deref().unwrap_or_default())
}

/// A vocabulary of OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vocabulary {
    O200k,
    Cl100k,
}

impl Vocabulary {
    /// A model's own, where it is OpenAI's (`tiktoken`'s table of models).
    fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let begins = |families: &[&str]| families.iter().any(|family| name.starts_with(family));
        match () {
            () if begins(&["gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-6", "gpt-oss"]) => {
                Some(Self::O200k)
            }
            () if begins(&["o1", "o3", "o4", "codex-"]) => Some(Self::O200k),
            () if begins(&["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada-002"]) => {
                Some(Self::Cl100k)
            }
            () => None,
        }
    }

    fn load(self) -> &'static CoreBPE {
        match self {
            Self::O200k => tiktoken_rs::o200k_base_singleton(),
            Self::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        }
    }
}

/// Counts beside the requests of this thread.
pub(super) async fn count(countable: Countable, model: &str) -> Count {
    let own = Vocabulary::of(model);
    let bytes: usize = countable.texts.iter().map(String::len).sum();
    let is_exact = own.is_some() && !countable.is_guess && bytes <= COUNTED_BYTES_MAX;
    let fixed = countable.fixed;
    let vocabulary = own.unwrap_or(Vocabulary::O200k);
    let _permit = COUNTS.acquire().await;
    // A text on which the vocabulary's rules give up ends the blocking task alone.
    let counted = spawn_blocking(move || texts(vocabulary, &countable.texts)).await;
    match counted {
        Ok(tokens) => Count { tokens: tokens + fixed, is_exact },
        Err(_) => Count { tokens: (bytes as u64).div_ceil(4) + fixed, is_exact: false },
    }
}

fn texts(vocabulary: Vocabulary, texts: &[String]) -> u64 {
    let bpe = vocabulary.load();
    let (mut counted, mut tokens, mut beyond) = (0_usize, 0_u64, 0_usize);
    for text in texts {
        for piece in pieces(text) {
            if counted + piece.len() > COUNTED_BYTES_MAX {
                beyond += piece.len();
            } else {
                counted += piece.len();
                tokens += bpe.encode_ordinary(piece).len() as u64;
            }
        }
    }
    // The rest is like what was counted.
    let rest = (tokens as u128 * beyond as u128).checked_div(counted as u128);
    tokens + rest.and_then(|rest| u64::try_from(rest).ok()).unwrap_or((beyond as u64).div_ceil(4))
}

/// A long text in pieces, cut before a word's space where there is one: there no token goes across.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(PIECE_BYTES_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        if end < rest.len() {
            let half = rest.as_bytes().get(..end).unwrap_or_default();
            let space = half
                .windows(2)
                .rposition(|pair| matches!(pair, [b' ', next] if next.is_ascii_alphanumeric()));
            end = space.filter(|space| *space > 0).unwrap_or(end);
        }
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_dialect::openai;

    fn countable(body: &str) -> Countable {
        Countable::of(&openai::decode_chat(body.as_bytes()).unwrap())
    }

    #[tokio::test]
    async fn litellms_example_counts_the_same_here() {
        let chat = countable(r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#);
        assert_eq!(count(chat, "gpt-4o").await, Count { tokens: 8, is_exact: true });
    }

    #[tokio::test]
    async fn a_vocabulary_is_a_models_own_or_an_estimate() {
        let check = async |model: &str, text: &str, tokens: u64, is_exact: bool| {
            let counted = count(Countable::of_texts(vec![text.to_owned()]), model).await;
            assert_eq!(counted, Count { tokens, is_exact }, "{model}: {text}");
        };
        check("gpt-4o", "hello world", 2, true).await;
        check("openai/gpt-4-turbo", "hello world", 2, true).await;
        check("azure/gpt-35-turbo", "안녕하세요", 5, true).await;
        check("gpt-4o", "안녕하세요", 2, true).await;
        check("claude-sonnet-4-5", "hello world", 2, false).await;
        check("gpt-4o", "", 0, true).await;
        check("gpt-4o", "<|endoftext|>", 7, true).await;
    }

    #[tokio::test]
    async fn what_has_no_published_count_makes_an_estimate() {
        let tools = countable(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"https://x.test/a.png","detail":"low"}}]}]}"#,
        );
        assert_eq!(count(tools, "gpt-4o").await, Count { tokens: 93, is_exact: true });
        let tools = countable(
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}"#,
        );
        let counted = count(tools, "gpt-4o").await;
        assert!(counted.tokens > 17 && !counted.is_exact, "{counted:?}");
    }

    #[tokio::test]
    async fn odd_and_long_texts_are_counted_in_bounded_pieces() {
        for text in [" ".repeat(100_000), "a".repeat(100_000), " \n".repeat(50_000), "é".repeat(50_000)] {
            let bytes = text.len() as u64;
            let counted = count(Countable::of_texts(vec![text]), "gpt-4o").await;
            assert!(counted.tokens > 0 && counted.tokens <= bytes, "{counted:?}");
        }
        let long = "word ".repeat(COUNTED_BYTES_MAX / 4);
        let words = (COUNTED_BYTES_MAX / 4) as u64;
        let counted = count(Countable::of_texts(vec![long]), "gpt-4o").await;
        assert!(!counted.is_exact && counted.tokens.abs_diff(words) < words / 50, "{counted:?}");
    }

    #[test]
    fn pieces_are_the_text_and_words_stay_whole() {
        for text in ["", "short", &"word ".repeat(20_000), &"é".repeat(20_000), &"x".repeat(40_000)] {
            let cut: Vec<&str> = pieces(text).collect();
            assert_eq!(cut.concat(), text);
            assert!(cut.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
            assert!(!text.starts_with("word") || cut[1..].iter().all(|piece| piece.starts_with(" w")));
        }
    }
}
