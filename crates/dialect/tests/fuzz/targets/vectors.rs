//! Vectors and rankings: requests and replies of every wire.

use super::wires;
use serde_json::Value;
use tollgate_dialect::conversation::{EmbeddingReply, EmbeddingRequest, RerankDocument, RerankRequest};
use tollgate_dialect::rerank::{self, RerankWire};
use tollgate_dialect::wire::EncodeOptions;
use tollgate_dialect::{bedrock, cohere, gemini, ollama, openai, watsonx};

/// Every form of ranking.
const RANKINGS: [RerankWire; 7] = [
    RerankWire::Cohere,
    RerankWire::CohereV1,
    RerankWire::Jina,
    RerankWire::Voyage,
    RerankWire::Together,
    RerankWire::Infinity,
    RerankWire::HuggingFace,
];

/// Requests for vectors and replies with them, of every wire.
pub(crate) fn check_embeddings(body: &[u8]) {
    let requests = [
        openai::decode_embeddings(body),
        gemini::decode_embed_request(body),
        gemini::decode_batch_embed_request(body),
        cohere::decode_embed_request(body, 1).map(|(request, _)| request),
        cohere::decode_embed_request(body, 2).map(|(request, _)| request),
    ];
    for request in requests {
        match request {
            Ok(request) => check_embedding_request(&request),
            Err(error) => assert!(!error.param.is_empty() && !error.message.is_empty(), "{error:?}"),
        }
    }
    let request = EmbeddingRequest { model: "text-embedding-004".to_owned(), ..EmbeddingRequest::default() };
    let replies = [
        openai::decode_embedding_reply(body),
        gemini::decode_embeddings(body, &request),
        gemini::decode_embeddings_for(gemini::Host::Vertex, body, &request),
        bedrock::decode_embeddings(&[body], &request),
        cohere::decode_embeddings(body, &request),
        ollama::decode_embeddings(body, &request),
        watsonx::decode_embeddings(body, &request),
    ];
    // No model answers with a vector of no numbers.
    let is_vector = |reply: &EmbeddingReply| reply.data.iter().all(|vector| !vector.0.is_empty());
    for reply in replies.into_iter().flatten().filter(is_vector) {
        let written = openai::encode_embeddings(&reply, openai::VectorForm::Numbers, &wires::facts());
        let again = openai::decode_embedding_reply(&written).map(|again| again.data);
        assert_eq!(again.as_ref(), Ok(&reply.data), "{}", String::from_utf8_lossy(&written));
        let packed = openai::encode_embeddings(&reply, openai::VectorForm::Base64, &wires::facts());
        assert!(serde_json::from_slice::<Value>(&packed).is_ok(), "{}", String::from_utf8_lossy(&packed));
        let _ = (gemini::encode_embed_reply(&reply), gemini::encode_batch_embed_reply(&reply));
    }
}

fn check_embedding_request(request: &EmbeddingRequest) {
    let written = openai::encode_embedding_request(request);
    let mut named = request.clone();
    if named.model.is_empty() {
        named.model = "m".to_owned();
    }
    assert!(serde_json::from_slice::<Value>(&written).is_ok());
    let _ = (gemini::encode_embeddings(&named), cohere::encode_embeddings(&named));
    named.model = "amazon.titan-embed-text-v2:0".to_owned();
    let _ = bedrock::encode_embeddings(&named, &EncodeOptions::default());
}

/// Requests to rank, and replies with ranks. A reply names documents of the request alone, each once at most.
pub(crate) fn check_ranking(body: &[u8]) {
    let lenient = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    match rerank::decode_request(body) {
        Ok(request) => {
            for wire in RANKINGS {
                if let Ok(outbound) = rerank::encode_request(wire, &request, &lenient) {
                    assert!(serde_json::from_slice::<Value>(&outbound.body).is_ok());
                }
            }
        }
        Err(error) => assert!(!error.param.is_empty() && !error.message.is_empty(), "{error:?}"),
    }
    let texts = ["tea", "milk"].map(|text| RerankDocument::Text(text.to_owned()));
    let request = RerankRequest {
        model: "m".to_owned(),
        query: "q".to_owned(),
        documents: texts.to_vec(),
        ..RerankRequest::default()
    };
    if let Ok(reply) = rerank::decode_reply(body, &request) {
        assert!(reply.results.iter().all(|result| result.index < 2), "{:?}", reply.results);
        let written = rerank::encode_reply(&reply, &request, &wires::facts());
        assert!(serde_json::from_slice::<Value>(&written).is_ok(), "{}", String::from_utf8_lossy(&written));
    }
    for wire in RANKINGS {
        let _ = rerank::decode_error(wire, 400, body);
    }
}
