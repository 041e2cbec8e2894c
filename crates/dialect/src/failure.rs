//! What a provider's error means, whatever wire it came on.
//!
//! Owns the classes and the facts that the caller may see. Leaves the caller's status and body to the server crate.
//! **Invariant:** `message` is the provider's own sentence, never a whole body, and is capped.

/// Longest provider sentence that is kept, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 2_048;

/// What kind of failure a provider reported. LiteLLM's exception names follow in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The request itself is wrong (BadRequestError).
    BadRequest,
    /// The prompt does not fit the model's window (ContextWindowExceededError).
    ContextWindow,
    /// The provider's policy refuses the content (ContentPolicyViolationError).
    ContentPolicy,
    /// The gateway's credential is wrong (AuthenticationError).
    Authentication,
    /// The credential may not do this (PermissionDeniedError).
    Permission,
    /// Model or path unknown at the provider (NotFoundError).
    NotFound,
    /// The body is too large for the provider (413).
    TooLarge,
    /// Too many requests or tokens (RateLimitError).
    RateLimit,
    /// The provider timed out (Timeout, 408).
    Timeout,
    /// The provider is overloaded (ServiceUnavailableError, 503 and 529).
    Overloaded,
    /// The provider broke (InternalServerError, other 5xx).
    Server,
}

/// An error reply of a provider, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// What it means.
    pub class: FailureClass,
    /// The provider's HTTP status (for an error inside a stream: the status that it stands for).
    pub status: u16,
    /// The provider's sentence, at most [`MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
    /// The provider's error type or status word.
    pub kind: Option<String>,
    /// OpenAI's `param`.
    pub param: Option<String>,
    /// The provider's code (`context_length_exceeded`, ...).
    pub code: Option<String>,
    /// How long to wait before the next attempt, in milliseconds, where the body says so (Google's `RetryInfo`). The
    /// `retry-after` header is read by whoever has the headers.
    pub retry_delay_ms: Option<u64>,
}

impl Default for ProviderError {
    /// A failure about which nothing is known but that the provider broke.
    fn default() -> Self {
        Self {
            class: FailureClass::Server,
            status: 500,
            message: String::new(),
            kind: None,
            param: None,
            code: None,
            retry_delay_ms: None,
        }
    }
}
