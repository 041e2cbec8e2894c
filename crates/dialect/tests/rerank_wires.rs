//! Rankings: what callers ask, what each provider gets, what comes back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{RerankDocument, RerankReply, RerankRequest, RerankResult, Usage};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::rerank::{
    RerankWire, decode_error, decode_reply, decode_request, encode_reply, encode_request,
};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, ReplyFacts, ReplyFault};

const ALL: [RerankWire; 7] = [
    RerankWire::Cohere,
    RerankWire::CohereV1,
    RerankWire::Jina,
    RerankWire::Voyage,
    RerankWire::Together,
    RerankWire::Infinity,
    RerankWire::HuggingFace,
];

fn request(members: Value) -> RerankRequest {
    let mut body = json!({"model": "rerank-v3.5", "query": "gate", "documents": ["tea", "open the gate"]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    decode_request(body.to_string().as_bytes()).unwrap()
}

fn encode(wire: RerankWire, request: &RerankRequest) -> (String, Value) {
    let outbound = encode_request(wire, request, &EncodeOptions::default()).unwrap();
    (outbound.path, serde_json::from_slice(&outbound.body).unwrap())
}

#[test]
fn every_member_has_its_field() {
    let request = request(json!({
        "documents": ["a", {"text": "b", "title": "B"}], "top_n": 1, "return_documents": true, "rank_fields": ["title"],
        "max_tokens_per_doc": 100, "max_chunks_per_doc": 3, "priority": 2, "user": null,
    }));
    assert_eq!(request.documents[0], RerankDocument::Text("a".to_owned()));
    assert!(matches!(&request.documents[1], RerankDocument::Object(members) if members["title"] == "B"));
    assert_eq!((request.top_n, request.return_documents), (Some(1), Some(true)));
    assert_eq!((request.max_tokens_per_doc, request.max_chunks_per_doc), (Some(100), Some(3)));
    assert_eq!(request.rank_fields, ["title"]);
    assert_eq!(Value::Object(request.extra), json!({"priority": 2}));
    assert_eq!(self::request(json!({"top_k": 3})).top_n, Some(3));
    assert_eq!(self::request(json!({"query": {"text": "q"}})).query, "q");
}

#[test]
fn wrong_values_name_their_place() {
    let check = |members: Value, param: &str| {
        let mut body = json!({"model": "m", "query": "q", "documents": ["a"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(decode_request(body.to_string().as_bytes()).unwrap_err().param, param);
    };
    check(json!({"model": null}), "model");
    check(json!({"query": ""}), "query");
    check(json!({"documents": []}), "documents");
    check(json!({"documents": [5]}), "documents[0]");
    check(json!({"top_n": "1"}), "top_n");
    check(json!({"return_documents": "yes"}), "return_documents");
}

#[test]
fn each_provider_gets_its_own_names() {
    let request = request(json!({"top_n": 1, "return_documents": true}));
    let check = |wire: RerankWire, path: &str, expect: Value| {
        assert_eq!(encode(wire, &request), (path.to_owned(), expect), "{wire:?}");
    };
    let documents = json!(["tea", "open the gate"]);
    let plain = json!({"model": "rerank-v3.5", "query": "gate", "documents": documents, "top_n": 1});
    check(RerankWire::Cohere, "/v2/rerank", plain.clone());
    check(RerankWire::CohereV1, "/v1/rerank", plain.clone());
    check(RerankWire::Together, "/rerank", plain.clone());
    check(RerankWire::Infinity, "/rerank", plain.clone());
    let mut jina = plain;
    jina["return_documents"] = json!(false);
    check(RerankWire::Jina, "/rerank", jina);
    let voyage = json!({"model": "rerank-v3.5", "query": "gate", "documents": documents, "top_k": 1});
    check(RerankWire::Voyage, "/rerank", voyage);
    check(RerankWire::HuggingFace, "/rerank", json!({"query": "gate", "texts": documents}));
}

#[test]
fn objects_stay_objects_or_become_the_lines_that_are_read() {
    let object = json!({"title": "B", "year": 1990, "none": null});
    let documents = |members: Value, wire: RerankWire| encode(wire, &request(members)).1["documents"].clone();
    for wire in [RerankWire::CohereV1, RerankWire::Together] {
        let written = encode(wire, &request(json!({"documents": [object], "rank_fields": ["title"]}))).1;
        assert_eq!((&written["documents"][0], &written["rank_fields"]), (&object, &json!(["title"])));
    }
    for wire in [RerankWire::Cohere, RerankWire::Jina, RerankWire::Voyage, RerankWire::Infinity] {
        let written =
            documents(json!({"documents": [object], "rank_fields": ["year", "title", "absent"]}), wire);
        assert_eq!(written, json!(["year: 1990\ntitle: B"]), "{wire:?}");
        let written = documents(json!({"documents": [object, {"text": "x", "title": "y"}]}), wire);
        assert_eq!(written, json!(["title: B\nyear: 1990", "x"]), "{wire:?}");
    }
    let picture = json!([{"image": "https://a.example/x.png"}]);
    assert_eq!(documents(json!({"documents": picture}), RerankWire::Jina), picture);
}

#[test]
fn limits_that_a_provider_has_no_word_for_are_refused_or_dropped_and_told() {
    let limited = request(json!({"max_tokens_per_doc": 100}));
    let names = |wire| encode(wire, &limited).1;
    assert_eq!(names(RerankWire::Cohere)["max_tokens_per_doc"], 100);
    assert_eq!(names(RerankWire::Jina)["max_doc_length"], 100);
    for wire in [RerankWire::CohereV1, RerankWire::Voyage, RerankWire::Together, RerankWire::Infinity] {
        let refused = encode_request(wire, &limited, &EncodeOptions::default()).unwrap_err();
        assert_eq!(
            refused,
            EncodeError::Unsupported { params: vec!["max_tokens_per_doc".to_owned()] },
            "{wire:?}"
        );
        let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
        let outbound = encode_request(wire, &limited, &options).unwrap();
        assert_eq!(outbound.lost.names().collect::<Vec<_>>(), ["max_tokens_per_doc"]);
    }
    let chunks = request(json!({"max_chunks_per_doc": 3}));
    assert_eq!(encode(RerankWire::CohereV1, &chunks).1["max_chunks_per_doc"], 3);
    assert!(encode_request(RerankWire::Cohere, &chunks, &EncodeOptions::default()).is_err());
}

#[test]
fn further_members_go_out_as_they_came() {
    let request = request(json!({"truncation": false, "priority": 3}));
    for wire in ALL {
        let written = encode(wire, &request).1;
        assert_eq!((&written["truncation"], &written["priority"]), (&json!(false), &json!(3)), "{wire:?}");
    }
}

#[test]
fn replies_of_every_form_are_one_ranking() {
    let check = |reply: Value, expect: Usage| {
        let ranking = decode_reply(reply.to_string().as_bytes(), &request(json!({}))).unwrap();
        let best = [RerankResult { index: 1, score: 0.9 }, RerankResult { index: 0, score: 0.1 }];
        assert_eq!((ranking.results[..].to_vec(), ranking.usage), (best.to_vec(), expect), "{reply}");
    };
    let results = json!([{"index": 1, "relevance_score": 0.9, "document": {"text": "x"}}, {"index": 0, "relevance_score": 0.1}]);
    let units = Usage { search_units: 1, unbilled_input_tokens: 12, ..Usage::default() };
    let tokens = Usage { input_tokens: 12, ..Usage::default() };
    check(
        json!({"id": "x", "results": results, "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": 12}}}),
        units,
    );
    check(
        json!({"model": "m", "results": results, "usage": {"total_tokens": 12, "prompt_tokens": 12}}),
        tokens,
    );
    check(json!({"object": "list", "data": results, "model": "m", "usage": {"total_tokens": 12}}), tokens);
    check(json!([{"index": 0, "score": 0.1}, {"index": 1, "score": 0.9}]), Usage::default());
}

#[test]
fn no_more_come_back_than_were_asked_for() {
    let reply = json!([{"index": 0, "score": 0.1}, {"index": 1, "score": 0.9}]).to_string();
    let ranking = decode_reply(reply.as_bytes(), &request(json!({"top_n": 1}))).unwrap();
    assert_eq!(ranking.results, [RerankResult { index: 1, score: 0.9 }]);
}

#[test]
fn what_is_no_ranking_is_a_fault() {
    let fault = |body: &str| decode_reply(body.as_bytes(), &request(json!({}))).unwrap_err();
    for body in [
        "",
        "{}",
        r#"{"results":[{"index":2,"relevance_score":1}]}"#,
        r#"{"results":[{"index":0}]}"#,
        r#"{"results":[{"relevance_score":1}]}"#,
    ] {
        assert!(matches!(fault(body), ReplyFault::Malformed(_)), "{body}");
    }
    assert!(matches!(fault(r#"{"error":{"message":"no"}}"#), ReplyFault::Error(_)));
}

#[test]
fn a_caller_gets_cohere_s_form_with_the_documents_of_the_request() {
    let reply = RerankReply {
        id: "x".to_owned(),
        results: vec![RerankResult { index: 1, score: 0.75 }, RerankResult { index: 0, score: 0.5 }],
        usage: Usage { search_units: 2, ..Usage::default() },
        ..RerankReply::default()
    };
    let write = |members: Value| -> Value {
        let bytes = encode_reply(&reply, &request(members), &ReplyFacts::default());
        serde_json::from_slice(&bytes).unwrap()
    };
    let expect = json!({
        "id": "x",
        "results": [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5}],
        "meta": {"billed_units": {"search_units": 2}},
    });
    assert_eq!(write(json!({})).to_string(), expect.to_string());
    let shown = write(json!({"documents": [{"title": "T"}, "b"], "return_documents": true}));
    assert_eq!(shown["results"][0]["document"], json!({"text": "b"}));
    assert_eq!(shown["results"][1]["document"], json!({"title": "T"}));
}

#[test]
fn a_ranking_comes_back_as_it_was_written() {
    for usage in [
        Usage { search_units: 3, ..Usage::default() },
        Usage { input_tokens: 40, ..Usage::default() },
        Usage { search_units: 1, unbilled_input_tokens: 9, unbilled_output_tokens: 1, ..Usage::default() },
    ] {
        let reply = RerankReply {
            id: "x".to_owned(),
            model: "rerank-v3.5".to_owned(),
            results: vec![RerankResult { index: 0, score: 0.1 }],
            usage,
        };
        let request = request(json!({"return_documents": true}));
        let bytes = encode_reply(&reply, &request, &ReplyFacts::default());
        assert_eq!(decode_reply(&bytes, &request), Ok(reply));
    }
}

#[test]
fn errors_are_each_provider_s_own() {
    let check = |wire: RerankWire, status: u16, body: &str, class: FailureClass, message: &str| {
        let error = decode_error(wire, status, body.as_bytes());
        assert_eq!((error.class, error.message.as_str()), (class, message), "{wire:?}");
    };
    check(RerankWire::Cohere, 498, r#"{"message":"blocked"}"#, FailureClass::ContentPolicy, "blocked");
    check(
        RerankWire::Voyage,
        400,
        r#"{"detail":"not supported"}"#,
        FailureClass::BadRequest,
        "not supported",
    );
    check(RerankWire::Together, 429, r#"{"error":{"message":"slow"}}"#, FailureClass::RateLimit, "slow");
    check(
        RerankWire::HuggingFace,
        429,
        r#"{"error":"Model is overloaded"}"#,
        FailureClass::RateLimit,
        "Model is overloaded",
    );
}
