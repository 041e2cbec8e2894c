//! The words by which error bodies are told apart, in lower case. Each is a code, a type, or the steady part of a
//! sentence in the named provider's documentation or server; what varies (numbers, model names) is left out.

/// The prompt does not fit.
pub(super) const CONTEXT_WINDOW: &[&str] = &[
    // OpenAI, Azure, Groq, Cerebras, DeepSeek: the code, and OpenAI's code for a single text beyond all windows.
    "context_length_exceeded",
    "string_above_max_length",
    // OpenAI, vLLM, DeepSeek, OpenRouter, Mistral ("too large for model with 32768 maximum context length"), Fireworks.
    "maximum context length",
    // OpenAI's newer models.
    "exceeds the context window",
    "context window of this model",
    // Groq and Cerebras.
    "reduce the length of the messages",
    // xAI.
    "maximum prompt length",
    // vLLM and SGLang.
    "longer than the maximum model length",
    "longer than the model's context length",
    // llama.cpp: type and sentence.
    "exceed_context_size",
    "exceeds the available context size",
    // LM Studio.
    "context the overflows",
    "context length of only",
    // Ollama.
    "exceeds the context length",
    "exceeds maximum context length",
    // Text Generation Inference, Together.
    "`inputs` tokens + `max_new_tokens` must be",
    "`inputs` must have less than",
    // Anthropic behind a compatible surface.
    "prompt is too long",
    "exceed context limit",
    // Gemini behind a compatible surface.
    "exceeds the maximum number of tokens allowed",
    // Moonshot, Zhipu, Alibaba, MiniMax, Cohere.
    "exceeded model token limit",
    "prompt exceeds max length",
    "range of input length should be",
    "context window exceeds limit",
    "too many tokens: ",
    // Databricks and Bedrock behind compatible surfaces.
    "input is too long for requested model",
    "exceeds maximum allowed content length",
];

/// The provider's policy refuses the content.
pub(super) const CONTENT_POLICY: &[&str] = &[
    // OpenAI: codes and sentences.
    "content_policy_violation",
    "rejected as a result of our safety system",
    "flagged as potentially violating",
    "moderation_blocked",
    // Azure: codes and sentence.
    "content_filter",
    "responsibleaipolicyviolation",
    "content management policy",
    // DeepSeek.
    "content exists risk",
    // Alibaba.
    "data_inspection_failed",
    "datainspectionfailed",
    // Moonshot, Zhipu.
    "considered high risk",
    "unsafe or sensitive content",
    // OpenRouter.
    "requires moderation",
    "input was flagged",
    // xAI.
    "violates usage guidelines",
    "safety_check",
];

/// Too much at once, for statuses that do not say so themselves.
pub(super) const RATE_LIMIT: &[&str] = &["rate_limit", "tokens per minute", "requests per minute"];

/// The key is wrong although the status is 400: xAI, Gemini's compatible surface, and gateways.
pub(super) const AUTHENTICATION: &[&str] = &[
    "invalid_api_key",
    "api_key_invalid",
    "incorrect api key",
    "api key not valid",
    "invalid api key",
    "authentication_error",
];

/// The model is unknown although the status is 400.
pub(super) const NOT_FOUND: &[&str] = &["model_not_found", "deploymentnotfound"];

/// The usual status of error types that come without one, most telling first.
pub(super) const STATUS_WORDS: &[(&str, u16)] = &[
    ("context_length_exceeded", 400),
    ("content_policy_violation", 400),
    ("content_filter", 400),
    ("insufficient_quota", 429),
    ("rate_limit", 429),
    ("resource_exhausted", 429),
    ("throttl", 429),
    ("too many requests", 429),
    ("overloaded", 529),
    ("unavailable", 503),
    ("authentication_error", 401),
    ("invalid_api_key", 401),
    ("permission", 403),
    ("not_found", 404),
    ("timeout", 408),
    ("timed out", 408),
    ("invalid_request", 400),
    ("invalid_argument", 400),
    ("badrequest", 400),
    ("bad_request", 400),
];
