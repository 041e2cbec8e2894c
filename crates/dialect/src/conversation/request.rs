//! The request half of the conversation model. Owns types only; reading and writing them belongs to each wire.

use super::{Citation, Native, Signature};
use crate::wire::Dialect;
use serde_json::{Map, Value};

/// One chat request, whatever dialect it came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The model as named to the provider (already resolved from the group's name).
    pub model: String,
    /// The conversation so far, oldest first. System and developer messages stand where the caller put them.
    pub messages: Vec<Message>,
    /// Functions that the model may call.
    pub tools: Vec<Tool>,
    /// How the model must use `tools`; `None` leaves it to the provider.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one turn; `None` leaves it to the provider.
    pub parallel_tool_calls: Option<bool>,
    /// Temperature, limits, penalties.
    pub sampling: Sampling,
    /// The form that the answer must take.
    pub response_format: Option<ResponseFormat>,
    /// How much hidden reasoning is asked for.
    pub reasoning: Option<Reasoning>,
    /// The reply is to be streamed.
    pub stream: bool,
    /// The caller wants the usage at the end of the stream (OpenAI's `stream_options.include_usage`).
    pub include_usage: bool,
    /// The caller's end user, as OpenAI's `user`.
    pub user: Option<String>,
    /// Parameters that the model has no field for, by their names in OpenAI's chat completions (`service_tier`,
    /// `metadata`, `store`, `verbosity`, `modalities`, `audio`, `prompt_cache_key`, `web_search_options`, ...), whatever
    /// dialect they came in. An OpenAI caller's further members are here too.
    pub extra: Map<String, Value>,
    /// The dialect that the request came in.
    pub dialect: Dialect,
    /// Top-level members that only that dialect has, by their names there; empty for OpenAI's.
    pub native: Map<String, Value>,
    /// The caller wants to see the reasoning (Gemini's `includeThoughts`, a summary of Responses, Anthropic's
    /// `display`); `None` leaves it to the provider.
    pub show_reasoning: Option<bool>,
}

impl ChatRequest {
    /// Takes from `defaults` what this request does not say: parameters of an operator for callers who gave none.
    /// Messages and model stay.
    pub fn fill_from(&mut self, defaults: ChatRequest) {
        fn fill<T>(own: &mut Option<T>, default: Option<T>) {
            if own.is_none() {
                *own = default;
            }
        }
        let (own, other) = (&mut self.sampling, defaults.sampling);
        fill(&mut own.temperature, other.temperature);
        fill(&mut own.top_p, other.top_p);
        fill(&mut own.top_k, other.top_k);
        fill(&mut own.max_tokens, other.max_tokens);
        fill(&mut own.seed, other.seed);
        fill(&mut own.presence_penalty, other.presence_penalty);
        fill(&mut own.frequency_penalty, other.frequency_penalty);
        fill(&mut own.n, other.n);
        fill(&mut own.logprobs, other.logprobs);
        fill(&mut own.top_logprobs, other.top_logprobs);
        fill(&mut own.logit_bias, other.logit_bias);
        if own.stop.is_empty() {
            own.stop = other.stop;
        }
        if self.tools.is_empty() {
            self.tools = defaults.tools;
        }
        fill(&mut self.tool_choice, defaults.tool_choice);
        fill(&mut self.parallel_tool_calls, defaults.parallel_tool_calls);
        fill(&mut self.response_format, defaults.response_format);
        fill(&mut self.reasoning, defaults.reasoning);
        fill(&mut self.user, defaults.user);
        fill(&mut self.show_reasoning, defaults.show_reasoning);
        for (name, value) in defaults.extra {
            if !self.extra.contains_key(&name) {
                self.extra.insert(name, value);
            }
        }
    }
}

impl ChatRequest {
    /// Takes a parameter out, by its name in OpenAI's chat completions. Model, messages and stream stay.
    pub fn leave_out(&mut self, param: &str) {
        let sampling = &mut self.sampling;
        match param {
            "temperature" => sampling.temperature = None,
            "top_p" => sampling.top_p = None,
            "top_k" => sampling.top_k = None,
            "max_tokens" | "max_completion_tokens" => sampling.max_tokens = None,
            "stop" => sampling.stop.clear(),
            "seed" => sampling.seed = None,
            "presence_penalty" => sampling.presence_penalty = None,
            "frequency_penalty" => sampling.frequency_penalty = None,
            "n" => sampling.n = None,
            "logprobs" => sampling.logprobs = None,
            "top_logprobs" => sampling.top_logprobs = None,
            "logit_bias" => sampling.logit_bias = None,
            "tools" | "functions" => self.tools.clear(),
            "tool_choice" | "function_call" => self.tool_choice = None,
            "parallel_tool_calls" => self.parallel_tool_calls = None,
            "response_format" => self.response_format = None,
            "reasoning_effort" | "thinking" => self.reasoning = None,
            "user" => self.user = None,
            // The caller's own dialect may have the same member under the same name.
            _ => {
                self.extra.shift_remove(param);
                self.native.shift_remove(param);
            }
        }
    }
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// OpenAI's optional participant name.
    pub name: Option<String>,
}

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// Instructions of the application's developer (OpenAI's newer name; elsewhere the same as system).
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call; its parts are [`Part::ToolResult`].
    Tool,
}

/// A typed piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// Anthropic's prompt-cache mark on this block, where the caller set one.
        cache_control: Option<CacheControl>,
        /// What the text leans on; of answers only.
        citations: Vec<Citation>,
    },
    /// A picture.
    Image {
        /// Where its bytes are.
        source: MediaSource,
        /// OpenAI's `detail` (`low`, `high`, `auto`).
        detail: Option<String>,
        /// Anthropic's prompt-cache mark.
        cache_control: Option<CacheControl>,
    },
    /// A sound. In an answer, what the model says aloud.
    Audio {
        /// Where its bytes are; an earlier answer's sound is named by its id at the provider.
        source: MediaSource,
        /// OpenAI's `format` (`wav`, `mp3`).
        format: String,
        /// What is said, of answers only.
        transcript: Option<String>,
    },
    /// A document.
    File {
        /// Where its bytes are.
        source: MediaSource,
        /// The name shown to the model.
        filename: Option<String>,
        /// What the model is told of the document beside its text (Anthropic's `context`).
        context: Option<String>,
        /// The answer is to say which parts of the document it leans on.
        citations: bool,
        /// Anthropic's prompt-cache mark.
        cache_control: Option<CacheControl>,
    },
    /// The model asks for a function to be called.
    ToolCall {
        /// The call's id, which the result names again.
        id: String,
        /// The function.
        name: String,
        /// Its arguments: JSON text, exactly as the model wrote it (may be empty or invalid JSON). Free text for a
        /// custom tool.
        arguments: String,
        /// The tool is a custom one, which takes free text ([`ToolKind::Custom`]).
        is_custom: bool,
        /// Gemini's thought signature that belongs to this call, where one came with it.
        signature: Option<Signature>,
    },
    /// What the function returned.
    ToolResult {
        /// The id of the call that this answers.
        call_id: String,
        /// Text, image and file parts.
        content: Vec<Part>,
        /// The call failed.
        is_error: bool,
        /// Anthropic's prompt-cache mark.
        cache_control: Option<CacheControl>,
    },
    /// The model's reasoning before its answer.
    Reasoning {
        /// The readable text; empty when only a signature came.
        text: String,
        /// What proves to the provider that the text is its own. Right after a text part and with an empty `text`, it
        /// is the signature that Google put on that part.
        signature: Option<Signature>,
    },
    /// Reasoning that the provider sends only encrypted (Anthropic's `redacted_thinking`).
    RedactedReasoning {
        /// The opaque bytes, as sent.
        data: Signature,
    },
    /// The model declines (OpenAI's `refusal`).
    Refusal(String),
    /// What one dialect alone has a form for (a search that the provider made, a container's file).
    Native(Native),
}

impl Part {
    /// A text part without a cache mark and without citations.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), cache_control: None, citations: Vec::new() }
    }
}

/// Where the bytes of an image, sound or document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// An address that the provider fetches. Where it fetches none, bytes take its place before the request is written
    /// ([`ChatRequest::place_media`]).
    Url(String),
    /// The bytes themselves.
    Base64 {
        /// For example `image/png`.
        media_type: String,
        /// Standard base64, not decoded here.
        data: String,
    },
    /// A file stored at the provider.
    FileId(String),
    /// A document's plain text.
    Text(String),
}

/// Anthropic's prompt-cache mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheControl {
    /// `5m` or `1h`; `None` is the provider's default (5 minutes).
    pub ttl: Option<String>,
}

/// A function that the model may call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON Schema of its arguments; `None` is a function without arguments.
    pub parameters: Option<Value>,
    /// The provider must hold arguments to the schema.
    pub strict: Option<bool>,
    /// Anthropic's prompt-cache mark.
    pub cache_control: Option<CacheControl>,
    /// What it takes.
    pub kind: ToolKind,
    /// Where the caller has it among namespaces (OpenAI's Responses); its name is one of its own all the same.
    pub namespace: Option<Box<Namespace>>,
}

/// A tool in a namespace, in the caller's words. Wires without namespaces know the tool by [`Tool::name`] alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// The namespace.
    pub name: String,
    /// What its tools are for. The first of them says so in its own description too.
    pub description: Option<String>,
    /// The tool's name within it.
    pub tool: String,
    /// The tool's own description.
    pub tool_description: Option<String>,
}

/// What a tool takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ToolKind {
    /// JSON arguments.
    #[default]
    Function,
    /// Free text (OpenAI's `custom`); elsewhere a function stands in for it ([`super::custom`]).
    Custom {
        /// OpenAI's `format`: free text, or a grammar.
        format: Option<Value>,
    },
}

/// How the model must use its tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// Not at all.
    None,
    /// At least one, whichever.
    Required,
    /// This one.
    Function(String),
}

/// Numbers that shape the answer. `None` everywhere leaves the provider's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2 at OpenAI and Gemini, 0 to 1 at Anthropic.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sample from the k likeliest tokens (Anthropic, Gemini).
    pub top_k: Option<u64>,
    /// Most tokens in the answer (`max_tokens` or `max_completion_tokens`).
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For repeatable answers.
    pub seed: Option<i64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// How many answers.
    pub n: Option<u64>,
    /// Return log probabilities.
    pub logprobs: Option<bool>,
    /// How many alternatives per token.
    pub top_logprobs: Option<u64>,
    /// Bias by token id.
    pub logit_bias: Option<Map<String, Value>>,
}

/// The form that the answer must take.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The JSON Schema.
        schema: Value,
        /// The provider must hold the answer to it.
        strict: Option<bool>,
    },
}

/// How much hidden reasoning is asked for: by level, by tokens, or switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reasoning {
    /// OpenAI's `reasoning_effort`.
    Effort(Effort),
    /// Anthropic's `thinking.budget_tokens`.
    Budget(u64),
    /// Explicitly none (`thinking: {type: disabled}`).
    Disabled,
    /// As much as the model finds fit (Anthropic's `thinking: {type: adaptive}`, Gemini's budget of -1).
    Adaptive,
}

/// OpenAI's levels of reasoning effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// No reasoning.
    None,
    /// The least.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More still, where the model knows it.
    XHigh,
    /// The most.
    Max,
}
