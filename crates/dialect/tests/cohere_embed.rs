//! Embeddings in Cohere's form: of callers, and at Cohere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::cohere::{
    EMBED_PATH, EmbedShape, VectorType, decode_embed_request, decode_embeddings, encode_embed_reply,
    encode_embeddings,
};
use tollgate_dialect::conversation::{
    Embedding, EmbeddingInput, EmbeddingPurpose, EmbeddingReply, EmbeddingRequest, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::openai;
use tollgate_dialect::wire::{EncodeError, ReplyFacts, ReplyFault};

const PICTURE: &str = "data:image/png;base64,AAAA";

fn asked(members: Value) -> EmbeddingRequest {
    let mut body = json!({"model": "embed-v4.0", "input": "a"});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    openai::decode_embeddings(body.to_string().as_bytes()).unwrap()
}

fn check(members: Value, expect: Value) {
    let outbound = encode_embeddings(&asked(members.clone())).unwrap();
    assert_eq!(outbound.path, EMBED_PATH);
    assert_eq!(serde_json::from_slice::<Value>(&outbound.body).unwrap(), expect, "{members}");
}

#[test]
fn a_request_has_a_type_of_input_and_asks_for_numbers() {
    let mut expect = json!({"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document",
        "embedding_types": ["float"]});
    check(json!({}), expect.clone());
    check(json!({"encoding_format": "base64", "user": "u"}), expect.clone());
    expect["input_type"] = json!("search_query");
    check(json!({"input_type": "search_query"}), expect.clone());
    expect["output_dimension"] = json!(256);
    expect["truncate"] = json!("END");
    check(json!({"input_type": "search_query", "dimensions": 256, "truncate": "END"}), expect);
}

#[test]
fn a_picture_among_the_inputs_makes_all_of_them_pieces() {
    check(
        json!({"input": ["a", PICTURE]}),
        json!({
            "model": "embed-v4.0",
            "inputs": [
                {"content": [{"type": "text", "text": "a"}]},
                {"content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
            ],
            "input_type": "search_document",
            "embedding_types": ["float"],
        }),
    );
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    let refused = |members: Value| encode_embeddings(&asked(members)).unwrap_err();
    assert!(
        matches!(refused(json!({"input": [[1, 2]]})), EncodeError::Invalid { param, .. } if param == "input[0]")
    );
    let EncodeError::Unsupported { params } = refused(json!({"odd": 1})) else { panic!("odd is no word") };
    assert_eq!(params, ["odd"]);
    assert!(encode_embeddings(&EmbeddingRequest::default()).is_err());
}

#[test]
fn vectors_are_read_in_both_forms() {
    let billed = json!({"billed_units": {"input_tokens": 3.0, "image_tokens": 4}});
    let usage = Usage { input_tokens: 7, input_image_tokens: 4, ..Usage::default() };
    let vectors = json!([[0.1, -1], [0.5, 2]]);
    for embeddings in [vectors.clone(), json!({ "float": vectors })] {
        let body = json!({"id": "x", "embeddings": embeddings, "meta": billed}).to_string();
        let reply = decode_embeddings(body.as_bytes(), &asked(json!({"input": ["a", "b"]}))).unwrap();
        assert_eq!(reply.data, [Embedding(vec![0.1, -1.0]), Embedding(vec![0.5, 2.0])]);
        assert_eq!((reply.model.as_str(), reply.usage), ("embed-v4.0", usage));
    }
}

#[test]
fn what_is_no_list_of_vectors_is_a_fault() {
    let fault = |body: &str| decode_embeddings(body.as_bytes(), &asked(json!({}))).unwrap_err();
    for body in [
        "",
        "{}",
        r#"{"embeddings":{"int8":[[1]]}}"#,
        r#"{"embeddings":[[1],[2]]}"#,
        r#"{"embeddings":[["x"]]}"#,
    ] {
        assert!(matches!(fault(body), ReplyFault::Malformed(_)), "{body}");
    }
    let ReplyFault::Error(error) = fault(r#"{"message":"too many tokens"}"#) else { panic!("an error") };
    assert_eq!(error.class, FailureClass::ContextWindow);
}

fn decode(members: Value, version: u8) -> (EmbeddingRequest, EmbedShape) {
    let mut body = json!({"model": "embed-v4.0"});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    decode_embed_request(body.to_string().as_bytes(), version).unwrap()
}

#[test]
fn a_caller_s_inputs_come_under_three_names() {
    let text = |words: &str| EmbeddingInput::Text(words.to_owned());
    let (request, shape) = decode(
        json!({"texts": ["a", "b"], "input_type": "search_query", "truncate": "END",
        "output_dimension": 256, "embedding_types": ["int8", "float"], "max_tokens": null}),
        2,
    );
    assert_eq!(request.input, [text("a"), text("b")]);
    assert_eq!((request.purpose, request.dimensions), (Some(EmbeddingPurpose::Query), Some(256)));
    assert_eq!(Value::Object(request.native), json!({"truncate": "END"}));
    assert_eq!(shape.types, [VectorType::Int8, VectorType::Float]);
    assert_eq!(shape.texts, ["a", "b"]);
    assert_eq!(decode(json!({"images": [PICTURE]}), 2).0.input, [text(PICTURE)]);
    let inputs = json!([{"content": [{"type": "text", "text": "a"}]},
        {"content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}]);
    assert_eq!(decode(json!({"inputs": inputs}), 2).0.input, [text("a"), text(PICTURE)]);
}

#[test]
fn the_second_version_gives_numbers_by_type_and_the_first_a_bare_list() {
    assert_eq!(decode(json!({"texts": ["a"]}), 2).1.types, [VectorType::Float]);
    assert_eq!(decode(json!({"texts": ["a"]}), 1).1.types, []);
}

#[test]
fn wrong_values_name_their_place() {
    let check = |members: Value, param: &str| {
        let mut body = json!({"model": "m", "texts": ["a"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let error = decode_embed_request(body.to_string().as_bytes(), 2).unwrap_err();
        assert_eq!(error.param, param, "{}", error.message);
    };
    check(json!({"model": null}), "model");
    check(json!({"texts": []}), "texts");
    check(json!({"texts": [1]}), "texts[0]");
    check(json!({"input_type": "other"}), "input_type");
    check(json!({"embedding_types": ["float16"]}), "embedding_types[0]");
    let piece = json!({"type": "text", "text": "a"});
    check(json!({"inputs": [{"content": [piece, piece]}]}), "inputs[0].content");
    check(json!({"inputs": [{"content": [{"type": "audio"}]}]}), "inputs[0].content[0].type");
}

#[test]
fn a_request_goes_to_cohere_as_it_came() {
    let body = json!({"model": "m", "texts": ["a"], "input_type": "classification", "embedding_types": ["float"],
        "output_dimension": 5, "truncate": "NONE", "priority": 1});
    let (request, _) = decode_embed_request(body.to_string().as_bytes(), 2).unwrap();
    let written: Value = serde_json::from_slice(&encode_embeddings(&request).unwrap().body).unwrap();
    assert_eq!(written, body);
}

#[test]
fn every_type_of_vector_is_made_of_numbers() {
    let reply = EmbeddingReply {
        data: vec![Embedding(vec![1.0, -1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.25])],
        usage: Usage { input_tokens: 9, input_image_tokens: 4, ..Usage::default() },
        ..EmbeddingReply::default()
    };
    let facts = ReplyFacts { fallback_id: "id".to_owned(), ..ReplyFacts::default() };
    let all = [
        VectorType::Float,
        VectorType::Int8,
        VectorType::Uint8,
        VectorType::Ubinary,
        VectorType::Binary,
        VectorType::Base64,
    ];
    let shape = EmbedShape { types: all.to_vec(), texts: vec!["a".to_owned()] };
    let written: Value = serde_json::from_slice(&encode_embed_reply(&reply, &shape, &facts)).unwrap();
    let expect = json!({
        "id": "id",
        "texts": ["a"],
        "response_type": "embeddings_by_type",
        "embeddings": {
            "float": [[1.0, -1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.25]],
            "int8": [[127, -127, 0, 64, 0, 0, 0, 0, 32]],
            "uint8": [[255, 1, 128, 192, 128, 128, 128, 128, 160]],
            "ubinary": [[0b1001_0000, 0b1000_0000]],
            "binary": [[16, 0]],
            "base64": ["AACAPwAAgL8AAAAAAAAAPwAAAAAAAAAAAAAAAAAAAAAAAIA+"],
        },
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5, "image_tokens": 4}},
    });
    assert_eq!(written, expect);
    let bare = EmbedShape { types: Vec::new(), texts: Vec::new() };
    let written: Value = serde_json::from_slice(&encode_embed_reply(&reply, &bare, &facts)).unwrap();
    assert_eq!(written["response_type"], "embeddings_floats");
    assert_eq!(written["embeddings"][0][3], 0.5);
}
