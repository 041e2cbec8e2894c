//! Embeddings through Gemini's `batchEmbedContents`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{Embedding, EmbeddingInput, EmbeddingRequest, Usage};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::gemini::{
    decode_batch_embed_request, decode_embed_request, decode_embeddings, encode_embeddings,
};
use tollgate_dialect::wire::{EncodeError, ReplyFault, RequestError};

fn asks(texts: &[&str]) -> EmbeddingRequest {
    EmbeddingRequest {
        model: "gemini-embedding-001".to_owned(),
        input: texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect(),
        ..EmbeddingRequest::default()
    }
}

fn extra(extra: Value) -> Map<String, Value> {
    let Value::Object(extra) = extra else { panic!("extra is an object") };
    extra
}

#[test]
fn each_input_is_a_request_of_the_batch() {
    let request = EmbeddingRequest {
        dimensions: Some(256),
        base64: true,
        user: Some("someone".to_owned()),
        extra: extra(json!({"task_type": "RETRIEVAL_DOCUMENT", "title": "T", "metadata": {}, "audio": null})),
        ..asks(&["one", "two"])
    };
    let out = encode_embeddings(&request).unwrap();
    assert_eq!(out.path, "/models/gemini-embedding-001:batchEmbedContents");
    let entry = |text: &str| {
        json!({
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": text}]},
            "outputDimensionality": 256,
            "taskType": "RETRIEVAL_DOCUMENT",
            "title": "T",
        })
    };
    assert_eq!(
        String::from_utf8(out.body).unwrap(),
        json!({"requests": [entry("one"), entry("two")]}).to_string()
    );
}

#[test]
fn what_gemini_does_not_embed_is_refused_with_its_place() {
    let tokens = EmbeddingRequest {
        input: vec![EmbeddingInput::Text("a".to_owned()), EmbeddingInput::Tokens(vec![1, 2])],
        ..asks(&[])
    };
    let path = EmbeddingRequest { model: "../x".to_owned(), ..asks(&["a"]) };
    for (request, place) in [(tokens, "input[1]"), (asks(&[]), "input"), (path, "model")] {
        let Err(EncodeError::Invalid { param, .. }) = encode_embeddings(&request) else {
            panic!("{place} passed")
        };
        assert_eq!(param, place);
    }
    let unknown = EmbeddingRequest { extra: extra(json!({"input_type": "query"})), ..asks(&["a"]) };
    assert_eq!(
        encode_embeddings(&unknown),
        Err(EncodeError::Unsupported { params: vec!["input_type".to_owned()] })
    );
}

#[test]
fn vectors_come_back_in_order() {
    let body = json!({"embeddings": [{"values": [0.5, -1.0, 2]}, {"values": [0.25]}]}).to_string();
    let reply = decode_embeddings(body.as_bytes(), &asks(&["one", "two"])).unwrap();
    assert_eq!(reply.model, "gemini-embedding-001");
    assert_eq!(reply.data, [Embedding(vec![0.5, -1.0, 2.0]), Embedding(vec![0.25])]);
    assert_eq!(reply.usage, Usage::default());
}

#[test]
fn usage_is_read_where_google_reports_it() {
    let body = json!({
        "embeddings": [{"values": [1.0]}],
        "usageMetadata": {"promptTokenCount": 9, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}]},
    });
    let reply = decode_embeddings(body.to_string().as_bytes(), &asks(&["one"])).unwrap();
    assert_eq!(reply.usage, Usage { input_tokens: 9, ..Usage::default() });
}

#[test]
fn anything_but_one_vector_per_input_is_malformed() {
    for body in [
        json!({}),
        json!([]),
        json!({"embeddings": {}}),
        json!({"embeddings": []}),
        json!({"embeddings": [{"values": [1.0]}, {"values": [1.0]}]}),
        json!({"embeddings": [{"values": []}]}),
        json!({"embeddings": [{"values": ["x"]}]}),
        json!({"embeddings": [{}]}),
    ] {
        let fault = decode_embeddings(body.to_string().as_bytes(), &asks(&["one"]));
        assert!(matches!(fault, Err(ReplyFault::Malformed(_))), "{body}");
    }
    assert!(matches!(decode_embeddings(b"<html>", &asks(&["one"])), Err(ReplyFault::Malformed(_))));
}

#[test]
fn an_error_in_the_place_of_vectors_is_an_error() {
    let body =
        json!({"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}).to_string();
    let Err(ReplyFault::Error(error)) = decode_embeddings(body.as_bytes(), &asks(&["one"])) else {
        panic!("passed")
    };
    assert_eq!((error.class, error.status), (FailureClass::RateLimit, 429));
}

fn embeds(body: Value) -> Result<EmbeddingRequest, RequestError> {
    decode_embed_request(body.to_string().as_bytes())
}

fn batch(body: Value) -> Result<EmbeddingRequest, RequestError> {
    decode_batch_embed_request(body.to_string().as_bytes())
}

#[test]
fn a_callers_batch_is_what_googles_package_sends() {
    let path = format!("{}/tests/fixtures/gemini/sdk_embed.json", env!("CARGO_MANIFEST_DIR"));
    let request = decode_batch_embed_request(&std::fs::read(path).unwrap()).unwrap();
    let expect = EmbeddingRequest {
        dimensions: Some(256),
        extra: extra(json!({"task_type": "RETRIEVAL_QUERY"})),
        ..asks(&["a", "b"])
    };
    assert_eq!(request, expect);
    let out = encode_embeddings(&request).unwrap();
    assert_eq!(batch(serde_json::from_slice(&out.body).unwrap()), Ok(request));
}

#[test]
fn a_callers_single_content_is_one_input() {
    let parts = json!({"parts": [{"text": "a"}, {"text": "b"}]});
    let body = json!({"model": "models/m", "content": parts, "output_dimensionality": 8, "title": "T"});
    let expect = EmbeddingRequest {
        model: "m".to_owned(),
        dimensions: Some(8),
        extra: extra(json!({"title": "T"})),
        ..asks(&["ab"])
    };
    assert_eq!(embeds(body), Ok(expect));
    let config = json!({"taskType": "retrieval_query", "outputDimensionality": 8});
    let request = embeds(json!({"content": {"parts": {"text": "a"}}, "embedContentConfig": config})).unwrap();
    assert_eq!((request.dimensions, &request.extra["task_type"]), (Some(8), &json!("RETRIEVAL_QUERY")));
}

#[test]
fn what_cannot_be_embedded_is_named_with_its_place() {
    let text = |text: &str| json!({"content": {"parts": [{"text": text}]}});
    let mut other = text("b");
    other["outputDimensionality"] = json!(3);
    for (body, place) in [
        (json!({}), "requests"),
        (json!({"requests": []}), "requests"),
        (json!({"requests": [text("a"), other]}), "requests[1]"),
        (json!({"requests": [text("a"), {}]}), "requests[1].content"),
        (
            json!({"requests": [{"content": {"parts": [{"inlineData": {}}]}}]}),
            "requests[0].content.parts[0].text",
        ),
        (json!({"requests": [{"content": {"parts": []}}]}), "requests[0].content.parts"),
    ] {
        assert_eq!(batch(body.clone()).unwrap_err().param, place, "{body}");
    }
    assert_eq!(embeds(json!({})).unwrap_err().param, "content");
    assert_eq!(
        embeds(json!({"content": {"parts": [{"text": 1}]}})).unwrap_err().param,
        "content.parts[0].text"
    );
}
