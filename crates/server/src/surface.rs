//! The kinds of model calls that callers make: whose dialect it is, what it cannot do without, how it is named.
//!
//! Owns what is true of a surface whatever the deployment. Leaves reading and writing its bodies to the pipeline.

use crate::routes::Passage;
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
    /// Google's `embedContent`.
    EmbedContent,
    /// Google's `batchEmbedContents`.
    BatchEmbedContents,
    /// Cohere's embeddings, version 2.
    CohereEmbed,
    /// Cohere's embeddings, version 1.
    CohereEmbedFirst,
    /// Pictures from words.
    ImageGeneration,
    /// Pictures from pictures and words.
    ImageEdit,
    /// Pictures like another.
    ImageVariation,
    /// Speech from text.
    Speech,
    /// Text from speech.
    Transcription,
    /// English text from speech.
    Translation,
    /// A verdict on content.
    Moderation,
    /// Documents in the order of their relevance (Cohere's and Jina's form).
    Rerank,
    /// A session of OpenAI's Realtime.
    Realtime,
    /// Requests that pass through.
    Passed(Passage),
}

impl Surface {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len() + Passage::ALL.len();

    /// All of them but those that pass through, in the order of their declaration.
    pub(crate) const ALL: [Self; 21] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::GenerateContent,
        Self::Converse,
        Self::CohereChat,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::CohereEmbed,
        Self::CohereEmbedFirst,
        Self::ImageGeneration,
        Self::ImageEdit,
        Self::ImageVariation,
        Self::Speech,
        Self::Transcription,
        Self::Translation,
        Self::Moderation,
        Self::Rerank,
        Self::Realtime,
    ];

    /// Whose words requests, replies and errors are in.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Responses => Dialect::Responses,
            Self::Messages => Dialect::Anthropic,
            Self::GenerateContent | Self::EmbedContent | Self::BatchEmbedContents => Dialect::Gemini,
            Self::Converse => Dialect::Bedrock,
            Self::CohereChat | Self::CohereEmbed | Self::CohereEmbedFirst => Dialect::Cohere,
            Self::Passed(Passage::Anthropic | Passage::MessageBatches) => Dialect::Anthropic,
            Self::Passed(Passage::Gemini | Passage::Vertex) => Dialect::Gemini,
            Self::Passed(Passage::Bedrock) => Dialect::Bedrock,
            Self::Passed(Passage::Cohere) => Dialect::Cohere,
            _ => Dialect::OpenAi,
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
            Self::EmbedContent => "/embedContent",
            Self::BatchEmbedContents => "/batchEmbedContents",
            Self::CohereEmbed => "/v2/embed",
            Self::CohereEmbedFirst => "/v1/embed",
            Self::ImageGeneration => "/images/generations",
            Self::ImageEdit => "/images/edits",
            Self::ImageVariation => "/images/variations",
            Self::Speech => "/audio/speech",
            Self::Transcription => "/audio/transcriptions",
            Self::Translation => "/audio/translations",
            Self::Moderation => "/moderations",
            Self::Rerank => "/rerank",
            Self::Realtime => "/realtime",
            Self::Passed(passage) => passage.pattern(),
        }
    }

    /// LiteLLM's name of the call in its spend logs.
    pub(crate) fn call_type(self) -> &'static str {
        match self {
            Self::Chat | Self::Converse | Self::CohereChat => "acompletion",
            Self::Completions => "atext_completion",
            Self::Embeddings | Self::CohereEmbed | Self::CohereEmbedFirst => "aembedding",
            Self::EmbedContent | Self::BatchEmbedContents => "aembedding",
            Self::Responses => "aresponses",
            Self::Messages => "anthropic_messages",
            Self::GenerateContent => "agenerate_content",
            Self::ImageGeneration => "aimage_generation",
            Self::ImageEdit => "aimage_edit",
            Self::ImageVariation => "aimage_variation",
            Self::Speech => "aspeech",
            Self::Transcription => "atranscription",
            Self::Translation => "atranslation",
            Self::Moderation => "amoderation",
            Self::Rerank => "arerank",
            Self::Realtime => "_arealtime",
            Self::Passed(_) => "pass_through_endpoint",
        }
    }

    /// The place of this kind among [`Self::COUNT`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Passed(passage) => Self::ALL.len() + passage as usize,
            _ => Self::ALL.iter().position(|surface| *surface == self).unwrap_or_default(),
        }
    }

    /// No tokens are guessed where a reply reports none: it may have nothing to do with any.
    pub(crate) fn believes_reports(self) -> bool {
        self.resource().is_some() || matches!(self, Self::Passed(_))
    }

    /// The member that a call cannot do without.
    pub(crate) fn content_member(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages | Self::Converse | Self::CohereChat => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Responses | Self::Speech | Self::Moderation => "input",
            Self::GenerateContent => "contents",
            Self::EmbedContent => "content",
            Self::BatchEmbedContents => "requests",
            Self::CohereEmbed | Self::CohereEmbedFirst => "model",
            Self::ImageGeneration => "prompt",
            Self::ImageEdit | Self::ImageVariation => "image",
            Self::Transcription | Self::Translation => "file",
            Self::Rerank => "query",
            Self::Realtime => "model",
            Self::Passed(_) => "body",
        }
    }

    /// That member is a list.
    pub(crate) fn content_is_list(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::Messages | Self::Converse | Self::CohereChat | Self::GenerateContent
        )
    }

    /// It is answered by a model that talks.
    pub(crate) fn is_conversation(self) -> bool {
        !self.is_embedding() && self.resource().is_none() && self != Self::Rerank
    }

    /// It is answered with vectors.
    pub(crate) fn is_embedding(self) -> bool {
        matches!(
            self,
            Self::Embeddings
                | Self::EmbedContent
                | Self::BatchEmbedContents
                | Self::CohereEmbed
                | Self::CohereEmbedFirst
        )
    }

    /// The usage comes at the end of a stream only if the caller asks for it (OpenAI's `stream_options`).
    pub(crate) fn asks_for_usage(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }

    /// The operation below an OpenAI-compatible base URL, for surfaces whose bodies are passed on without being read:
    /// their requests and replies mean nothing to the gateway but a model's name and a usage.
    pub(crate) fn resource(self) -> Option<&'static str> {
        match self {
            Self::ImageGeneration => Some("images/generations"),
            Self::ImageEdit => Some("images/edits"),
            Self::ImageVariation => Some("images/variations"),
            Self::Speech => Some("audio/speech"),
            Self::Transcription => Some("audio/transcriptions"),
            Self::Translation => Some("audio/translations"),
            Self::Moderation => Some("moderations"),
            Self::Rerank => Some("rerank"),
            _ => None,
        }
    }

    /// Requests may come as a multipart form.
    pub(crate) fn takes_form(self) -> bool {
        matches!(self, Self::ImageEdit | Self::ImageVariation | Self::Transcription | Self::Translation)
    }
}
