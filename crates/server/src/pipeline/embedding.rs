//! Embeddings between any caller's dialect and any provider's wire.
//!
//! Owns which functions of the dialects read and write them. Leaves sending to the attempt. OpenAI's own callers at
//! OpenAI-compatible providers do not come here: their bodies are relayed.

use super::receive::Received;
use super::speech::Speech;
use crate::surface::Surface;
use bytes::Bytes;
use http::HeaderMap;
use tollgate_dialect::conversation::{EmbeddingReply, EmbeddingRequest};
use tollgate_dialect::openai::VectorForm;
use tollgate_dialect::watsonx::Place;
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Outbound, ReplyFacts, ReplyFault, RequestError};
use tollgate_dialect::{bedrock, cohere, gemini, ollama, openai, watsonx};

/// Reads a caller's request.
pub(crate) fn decode(surface: Surface, received: &Received<'_>) -> Result<EmbeddingRequest, RequestError> {
    match surface {
        Surface::EmbedContent => gemini::decode_embed_request(received.body),
        Surface::BatchEmbedContents => gemini::decode_batch_embed_request(received.body),
        Surface::CohereEmbed => cohere::decode_embed_request(received.body, 2).map(|(request, _)| request),
        Surface::CohereEmbedFirst => {
            cohere::decode_embed_request(received.body, 1).map(|(request, _)| request)
        }
        _ => openai::decode_embeddings(received.body),
    }
}

/// Writes it for a provider, as the calls that it takes; `None` where the provider has no embeddings.
pub(crate) fn encode(
    (speech, place): (Speech, &Place),
    request: &EmbeddingRequest,
    options: &EncodeOptions,
) -> Option<Result<Vec<Outbound>, EncodeError>> {
    match speech {
        Speech::Gemini(host) => Some(gemini::encode_embeddings_for(host, request).map(|call| vec![call])),
        Speech::Bedrock => Some(bedrock::encode_embeddings(request, options)),
        Speech::Cohere => Some(cohere::encode_embeddings(request).map(|call| vec![call])),
        Speech::Watsonx => Some(watsonx::encode_embeddings(request, place).map(|call| vec![call])),
        Speech::Ollama => Some(ollama::encode_embeddings(request).map(|call| vec![call])),
        Speech::OpenAi | Speech::Compat(_) => {
            let body = openai::encode_embedding_request(request);
            Some(Ok(vec![Outbound { path: "/embeddings".to_owned(), body, ..Outbound::default() }]))
        }
        Speech::Responses | Speech::Anthropic(_) | Speech::SageMaker(_) | Speech::Replicate => None,
    }
}

/// Reads the provider's replies, one a call.
pub(crate) fn decode_reply(
    speech: Speech,
    bodies: &[Bytes],
    request: &EmbeddingRequest,
) -> Result<EmbeddingReply, ReplyFault> {
    let one = bodies.first().map(Bytes::as_ref).unwrap_or_default();
    match speech {
        Speech::Bedrock => bedrock::decode_embeddings(bodies, request),
        Speech::Cohere => cohere::decode_embeddings(one, request),
        Speech::Ollama => ollama::decode_embeddings(one, request),
        Speech::Watsonx => watsonx::decode_embeddings(one, request),
        Speech::Gemini(host) => gemini::decode_embeddings_for(host, one, request),
        _ => openai::decode_embedding_reply(one),
    }
}

/// Writes the caller's reply.
pub(crate) fn encode_reply(
    (surface, received): (Surface, &Received<'_>),
    reply: &EmbeddingReply,
    request: &EmbeddingRequest,
    facts: &ReplyFacts,
) -> Vec<u8> {
    match surface {
        Surface::EmbedContent => gemini::encode_embed_reply(reply),
        Surface::BatchEmbedContents => gemini::encode_batch_embed_reply(reply),
        Surface::CohereEmbed | Surface::CohereEmbedFirst => {
            let version = if surface == Surface::CohereEmbed { 2 } else { 1 };
            // It was read once already, so this cannot fail.
            let shape = cohere::decode_embed_request(received.body, version).map(|(_, shape)| shape);
            cohere::encode_embed_reply(reply, &shape.unwrap_or_default(), facts)
        }
        _ => {
            let form = if request.base64 { VectorForm::Base64 } else { VectorForm::Numbers };
            openai::encode_embeddings(reply, form, facts)
        }
    }
}

/// Bedrock counts the tokens of a model's own body in a header.
pub(super) fn counted_tokens(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-amzn-bedrock-input-token-count")?.to_str().ok()?.parse().ok()
}
