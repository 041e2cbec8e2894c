//! What a simulated provider does with a request that it accepts: how fast, how much, with what answer, failing how.
//!
//! Owns: [`Behaviour`] and its parts. Leaves to others: which request gets which behaviour (`script`), what a wire
//! looks like (`openai`, `azure`, `anthropic`, `gemini`), how bytes go out (`delivery`).
//!
//! **Invariant:** a behaviour is plain data without state; the same request under the same behaviour, seed and request
//! number gets the same bytes (timestamps apart).

use crate::extras::Extras;
use crate::fault::Fault;
use serde_json::Value;
use std::time::Duration;

/// How a simulated provider treats one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behaviour {
    /// Time from the end of the request to the first byte of the reply.
    pub latency: Duration,
    /// At most this much is added to the latency, drawn from the script's seed.
    pub latency_jitter: Duration,
    /// Pause before each token of a stream.
    pub pace: Duration,
    /// Token counts to report in place of the counted ones.
    pub tokens: TokenCounts,
    /// What the answer is.
    pub answer: Answer,
    /// Reasoning text that precedes the answer.
    pub reasoning: Option<String>,
    /// The reason to stop, in place of the natural one.
    pub finish: Option<Finish>,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// A rate limit of the provider's own.
    pub limit: Option<RateLimit>,
    /// The model's context window in tokens; a longer prompt gets the provider's own refusal.
    pub context_window: Option<u64>,
    /// Headers of the reply, name and value, an error's too; they take the place of those that it has by the same name.
    pub headers: Vec<(String, String)>,
    /// Accept any request body that is JSON (the provider's validation is off).
    pub lenient: bool,
    /// The answer is a refusal in the API's own member for it (OpenAI, Azure; elsewhere plain text).
    pub refusal: bool,
    /// Web pages that the answer cites (OpenAI, Azure).
    pub citations: usize,
    /// The request's hosted tools (web search, code interpreter, ...) are used before the answer (OpenAI's Responses).
    pub hosted_tools: bool,
    /// Reasoning is shown in full as models with open weights do, not as a summary (OpenAI's Responses).
    pub open_reasoning: bool,
    /// The provider has no Responses API: its routes are not there.
    pub no_responses: bool,
    /// What some providers' answers have besides.
    pub extras: Extras,
}

/// What the answer is.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Answer {
    /// What the request asks for: an instance of its response schema, the tool that it forces, else a friendly echo
    /// of the last user message.
    #[default]
    Natural,
    /// This text.
    Text(String),
    /// Text of exactly this many tokens.
    Tokens(u64),
    /// Calls to this many of the request's own tools (from the first on, round robin), with arguments made from their
    /// schemas. After a tool result, or without tools, as `Natural`.
    CallTools(usize),
    /// These calls, whether or not the request declares the tools.
    Calls(Vec<ToolCall>),
}

/// One tool call of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// The arguments object.
    pub arguments: Value,
}

/// Token counts to report; what is `None` is counted from the text, about four characters a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// The whole prompt, cached tokens included (each surface reports it in its own way).
    pub prompt: Option<u64>,
    /// The part of the prompt that was read from the provider's cache.
    pub cached: Option<u64>,
    /// The part of the prompt that was written to the provider's cache (Anthropic alone reports it).
    pub cache_written: Option<u64>,
    /// The whole completion, reasoning included.
    pub completion: Option<u64>,
    /// The part of the completion that is reasoning.
    pub reasoning: Option<u64>,
}

/// Why the model stopped; each surface has its own word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// It met a stop sequence.
    StopSequence,
    /// It ran into the limit on tokens.
    Length,
    /// It calls tools.
    Tools,
    /// The provider's policy cut it (OpenAI `content_filter`, Anthropic `refusal`, Gemini `SAFETY`).
    Filtered,
}

/// A provider's own limits over one minute, counted per credential and model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Requests a minute.
    pub requests: Option<u64>,
    /// Tokens a minute, prompt and completion.
    pub tokens: Option<u64>,
}

impl Behaviour {
    /// The plain behaviour: answer at once, naturally, in full.
    #[must_use]
    pub fn new() -> Behaviour {
        Behaviour::default()
    }

    /// Sets the time to the first byte.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Behaviour {
        self.latency = latency;
        self
    }

    /// Sets the pause before each token of a stream.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Behaviour {
        self.pace = pace;
        self
    }

    /// Sets the token counts to report.
    #[must_use]
    pub fn tokens(mut self, tokens: TokenCounts) -> Behaviour {
        self.tokens = tokens;
        self
    }

    /// Sets the answer.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Behaviour {
        self.answer = answer;
        self
    }

    /// Answers with this text.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Behaviour {
        self.answer(Answer::Text(text.into()))
    }

    /// Reasons with this text first.
    #[must_use]
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Behaviour {
        self.reasoning = Some(reasoning.into());
        self
    }

    /// Stops for this reason.
    #[must_use]
    pub fn finish(mut self, finish: Finish) -> Behaviour {
        self.finish = Some(finish);
        self
    }

    /// Fails like this.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Behaviour {
        self.fault = Some(fault);
        self
    }

    /// Limits requests and tokens a minute.
    #[must_use]
    pub fn limit(mut self, limit: RateLimit) -> Behaviour {
        self.limit = Some(limit);
        self
    }

    /// Refuses prompts of more tokens than this.
    #[must_use]
    pub fn context_window(mut self, tokens: u64) -> Behaviour {
        self.context_window = Some(tokens);
        self
    }

    /// Adds a header to the reply.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Behaviour {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds what some providers' answers have besides.
    #[must_use]
    pub fn extras(mut self, extras: Extras) -> Behaviour {
        self.extras = extras;
        self
    }

    /// Accepts any JSON.
    #[must_use]
    pub fn lenient(mut self) -> Behaviour {
        self.lenient = true;
        self
    }
}
