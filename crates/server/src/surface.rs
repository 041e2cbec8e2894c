//! The kinds of model calls that callers make: whose dialect it is, what it cannot do without, how it is named.
//!
//! Owns what is true of a surface whatever the deployment. Leaves reading and writing its bodies to the pipeline.

use tollgate_dialect::wire::Dialect;

/// One kind of model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Surface {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's legacy text completions.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Google's `generateContent` and `streamGenerateContent`.
    GenerateContent,
    /// Amazon Bedrock's `converse` and `converse-stream`.
    Converse,
    /// Cohere's chat.
    CohereChat,
}

impl Surface {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Self; 8] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::GenerateContent,
        Self::Converse,
        Self::CohereChat,
    ];

    /// Whose words requests, replies and errors are in.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings => Dialect::OpenAi,
            Self::Responses => Dialect::Responses,
            Self::Messages => Dialect::Anthropic,
            Self::GenerateContent => Dialect::Gemini,
            Self::Converse => Dialect::Bedrock,
            Self::CohereChat => Dialect::Cohere,
        }
    }

    /// The path as LiteLLM names it in messages and metrics; Bedrock's and Cohere's own where it has none.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
            Self::Messages => "/v1/messages",
            Self::GenerateContent => "/generateContent",
            Self::Converse => "/converse",
            Self::CohereChat => "/v2/chat",
        }
    }

    /// The member that a call cannot do without.
    pub(crate) fn content_member(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages | Self::Converse | Self::CohereChat => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Responses => "input",
            Self::GenerateContent => "contents",
        }
    }

    /// That member is a list.
    pub(crate) fn content_is_list(self) -> bool {
        !matches!(self, Self::Completions | Self::Embeddings | Self::Responses | Self::GenerateContent)
    }

    /// The usage comes at the end of a stream only if the caller asks for it (OpenAI's `stream_options`).
    pub(crate) fn asks_for_usage(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}
