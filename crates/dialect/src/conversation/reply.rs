//! The reply half of the conversation model. Owns types only.

use super::Part;
use serde_json::Value;

/// One whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatReply {
    /// The provider's id for it; empty where it gives none.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// Seconds since 1970 where the provider says; the encoder fills in the caller's clock otherwise.
    pub created: Option<u64>,
    /// The answers; one unless several were asked for.
    pub choices: Vec<Choice>,
    /// What it used.
    pub usage: Usage,
    /// OpenAI's `system_fingerprint`.
    pub system_fingerprint: Option<String>,
    /// The tier that served it, in the provider's word.
    pub service_tier: Option<String>,
}

/// One of the answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// Its number, from 0.
    pub index: u64,
    /// Text, reasoning, tool calls, refusal, in the order in which they came.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub stop: Option<StopReason>,
    /// The stop text that ended it, where the provider says which.
    pub stop_sequence: Option<String>,
    /// OpenAI's `logprobs` object, as it came.
    pub logprobs: Option<Value>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It was finished (or a stop text came, where the provider does not tell the two apart).
    Stop,
    /// A stop text came.
    StopSequence,
    /// The limit on tokens was reached.
    Length,
    /// The model's context window is full.
    ContextWindow,
    /// Tools are to be called.
    ToolCalls,
    /// The provider's filter ended it.
    ContentFilter,
    /// It would have repeated what it learned from word by word (Google's `RECITATION`).
    Recitation,
    /// The model, or a guard beside it, declined.
    Refusal,
    /// A long turn that the provider interrupted; sending it back goes on with it (Anthropic's `pause_turn`).
    Pause,
    /// The model wrote a tool call that cannot be read.
    MalformedToolCall,
}

/// Tokens of one request. `input_tokens` and `output_tokens` are totals: the other counts are parts of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt, those read from and written to a prompt cache included.
    pub input_tokens: u64,
    /// Of these, read from the provider's prompt cache.
    pub cached_tokens: u64,
    /// Of these, written to the provider's prompt cache for its default time (5 minutes at Anthropic).
    pub cache_write_tokens: u64,
    /// Of these, written to the provider's prompt cache for an hour.
    pub cache_write_1h_tokens: u64,
    /// Of these, what tools that the provider ran brought in (Gemini's `toolUsePromptTokenCount`).
    pub tool_prompt_tokens: u64,
    /// Of these, audio.
    pub input_audio_tokens: u64,
    /// Of these, pictures (where the provider counts them apart).
    pub input_image_tokens: u64,
    /// All tokens of the answer, hidden reasoning included.
    pub output_tokens: u64,
    /// Of these, hidden reasoning.
    pub reasoning_tokens: u64,
    /// Of these, audio.
    pub output_audio_tokens: u64,
    /// Of these, pictures.
    pub output_image_tokens: u64,
    /// Searches that the provider made and bills apart.
    pub web_search_requests: u64,
    /// Pages that the provider fetched.
    pub web_fetch_requests: u64,
    /// Searches in files that the provider keeps, which it bills apart.
    pub file_searches: u64,
    /// Containers in which the provider ran code.
    pub code_sessions: u64,
    /// Cohere's unit of ranking: a query with up to 100 documents.
    pub search_units: u64,
    /// Tokens of the prompt that the provider counts beside `input_tokens` and does not bill (Cohere's own
    /// instructions).
    pub unbilled_input_tokens: u64,
    /// Tokens of the answer that the provider counts beside `output_tokens` and does not bill.
    pub unbilled_output_tokens: u64,
}

impl Usage {
    /// Prompt and answer together.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}
