//! Embeddings of Titan and Cohere as invoked models.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::bedrock::{decode_embeddings, encode_embeddings};
use tollgate_dialect::conversation::{Embedding, EmbeddingInput, EmbeddingRequest};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, ReplyFault};

const FIRST: &str = "amazon.titan-embed-text-v1";
const SECOND: &str = "amazon.titan-embed-text-v2:0";
const IMAGE: &str = "us.amazon.titan-embed-image-v1";
const COHERE: &str = "cohere.embed-english-v3";
const COHERE_4: &str = "us.cohere.embed-v4:0";
const PICTURE: &str = "data:image/png;base64,aGk=";

fn request(model: &str, texts: &[&str]) -> EmbeddingRequest {
    let input = texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect();
    EmbeddingRequest { model: model.to_owned(), input, ..EmbeddingRequest::default() }
}

fn bodies(request: &EmbeddingRequest) -> Vec<Value> {
    let calls = encode_embeddings(request, &EncodeOptions::default()).unwrap();
    calls.iter().map(|call| serde_json::from_slice(&call.body).unwrap()).collect()
}

#[test]
fn every_family_has_its_body() {
    let sized = |model: &str| EmbeddingRequest { dimensions: Some(256), ..request(model, &["a"]) };
    assert_eq!(bodies(&request(FIRST, &["a", "b"])), [json!({"inputText": "a"}), json!({"inputText": "b"})]);
    assert_eq!(bodies(&request("amazon.titan-embed-g1-text-02", &["a"])), [json!({"inputText": "a"})]);
    assert_eq!(bodies(&sized(SECOND)), [json!({"inputText": "a", "dimensions": 256})]);
    assert_eq!(
        bodies(&sized(IMAGE)),
        [json!({"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 256}})]
    );
    assert_eq!(bodies(&request(IMAGE, &[PICTURE])), [json!({"inputImage": "aGk="})]);
    let cohere = json!({"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]});
    assert_eq!(bodies(&request(COHERE, &["a", "b"])), [cohere]);
    assert_eq!(bodies(&sized(COHERE_4))[0]["output_dimension"], 256);
}

#[test]
fn a_call_holds_as_much_as_the_model_takes() {
    let texts: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sizes = |model| {
        let count = |body: &Value| body["texts"].as_array().map_or(1, Vec::len);
        bodies(&request(model, &texts)).iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(sizes(COHERE), [96, 96, 8]);
    assert_eq!(sizes(SECOND), [1; 200]);
    let mixed = bodies(&request(COHERE, &["a", "b", PICTURE, PICTURE, "c"]));
    let kinds: Vec<&Value> = mixed.iter().map(|body| &body["input_type"]).collect();
    assert_eq!(kinds, ["search_document", "image", "image", "search_document"]);
    assert_eq!(mixed[1]["images"], json!([PICTURE]));
    let calls = encode_embeddings(&request(SECOND, &["a"]), &EncodeOptions::default()).unwrap();
    assert_eq!(calls[0].path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
}

#[test]
fn members_of_the_models_own_go_out_and_others_are_refused() {
    let with = |model: &str, name: &str, value: Value| EmbeddingRequest {
        extra: Map::from_iter([(name.to_owned(), value)]),
        ..request(model, &["a"])
    };
    assert_eq!(bodies(&with(COHERE, "input_type", json!("search_query")))[0]["input_type"], "search_query");
    assert_eq!(bodies(&with(SECOND, "normalize", json!(false)))[0]["normalize"], false);
    assert_eq!(bodies(&with(FIRST, "metadata", json!({})))[0], json!({"inputText": "a"}));
    let labelled = EmbeddingRequest { user: Some("u".to_owned()), ..with(FIRST, "metadata", json!({})) };
    let calls = encode_embeddings(&labelled, &EncodeOptions::default()).unwrap();
    assert_eq!(calls[0].lost.names().collect::<Vec<_>>(), ["user", "metadata"]);
    let refused = |asked: &EmbeddingRequest| match encode_embeddings(asked, &EncodeOptions::default()) {
        Err(EncodeError::Unsupported { params }) => params,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&with(FIRST, "normalize", json!(true))), ["normalize"]);
    let sized = EmbeddingRequest { dimensions: Some(9), ..with(COHERE, "x", json!(1)) };
    assert_eq!(refused(&sized), ["dimensions", "x"]);
    let dropping = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let calls = encode_embeddings(&sized, &dropping).unwrap();
    assert_eq!(calls[0].lost.names().collect::<Vec<_>>(), ["dimensions", "x"]);
}

#[test]
fn what_cannot_be_embedded_is_named() {
    let invalid = |asked: EmbeddingRequest| match encode_embeddings(&asked, &EncodeOptions::default()) {
        Err(EncodeError::Invalid { param, .. }) => param,
        other => panic!("{other:?}"),
    };
    assert_eq!(invalid(request("amazon.nova-lite-v1:0", &["a"])), "model");
    assert_eq!(invalid(request("arn:aws:bedrock:us-east-1:1:provisioned-model/x", &["a"])), "model");
    assert_eq!(invalid(request(FIRST, &[])), "input");
    let mut tokens = request(FIRST, &["a"]);
    tokens.input.push(EmbeddingInput::Tokens(vec![1]));
    assert_eq!(invalid(tokens), "input[1]");
}

#[test]
fn replies_are_put_together_in_order() {
    let check = |model: &str, count: usize, replies: &[Value], tokens: u64| {
        let texts = vec!["x"; count];
        let bodies: Vec<Vec<u8>> = replies.iter().map(|reply| reply.to_string().into_bytes()).collect();
        let found = decode_embeddings(&bodies, &request(model, &texts)).unwrap();
        let expect: Vec<Embedding> = (0..count).map(|n| Embedding(vec![f32::from(n as u8), 0.5])).collect();
        assert_eq!((found.model.as_str(), found.data), (model, expect));
        assert_eq!((found.usage.input_tokens, found.usage.output_tokens), (tokens, 0));
    };
    let titan = |n: u64| json!({"embedding": [n, 0.5], "inputTextTokenCount": 3});
    check(FIRST, 2, &[titan(0), titan(1)], 6);
    check(SECOND, 1, &[json!({"embeddingsByType": {"float": [0, 0.5]}, "inputTextTokenCount": 3})], 3);
    check(COHERE, 2, &[json!({"embeddings": [[0, 0.5], [1, 0.5]]})], 0);
    check(
        COHERE,
        3,
        &[
            json!({"embeddings": {"float": [[0, 0.5], [1, 0.5]]}}),
            json!({"embeddings": {"float": [[2, 0.5]]}}),
        ],
        0,
    );
}

#[test]
fn what_is_no_vector_is_told() {
    let fault = |reply: &str| decode_embeddings(&[reply], &request(FIRST, &["a"])).unwrap_err();
    for reply in ["", "{}", r#"{"embedding":[]}"#, r#"{"embedding":["x"]}"#, r#"{"embeddings":[[1],[2]]}"#] {
        assert!(matches!(fault(reply), ReplyFault::Malformed(_)), "{reply}");
    }
    assert!(matches!(fault(r#"{"message":"no"}"#), ReplyFault::Error(_)));
}
