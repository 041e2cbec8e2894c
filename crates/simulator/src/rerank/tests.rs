//! What each ranking provider takes, and how it answers.

use super::*;
use crate::compose::{Composed, Counts, Ids};

fn ranking(ranker: &Ranker, extra: &Value) -> Value {
    let mut body = json!({"model": "m", "query": "open the gate", "documents": ["price of tea", "the gate"]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    let composed = Composed { counts: Counts { prompt: 7, ..Counts::default() }, ..Composed::default() };
    ranker.ranking(
        &body,
        &mut Making { composed: &composed, ids: &mut Ids::new(1), created: 5, usage_fault: None },
    )
}

#[test]
fn each_provider_has_its_own_shape_of_the_same_ranking() {
    let told = json!({"return_documents": true, "top_n": 1, "top_k": 1});
    for (ranker, results, document, total) in [
        (&JINA, "results", json!({"text": "the gate"}), json!({"total_tokens": 7, "prompt_tokens": 7})),
        (&VOYAGE, "data", json!("the gate"), json!({"total_tokens": 7})),
        (
            &TOGETHER,
            "results",
            json!({"text": "the gate"}),
            json!({"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}),
        ),
        (&INFINITY, "results", json!("the gate"), json!({"total_tokens": 7, "prompt_tokens": 7})),
    ] {
        let reply = ranking(ranker, &told);
        let first = &reply[results][0];
        assert_eq!(reply[results].as_array().unwrap().len(), 1, "{ranker:?}");
        assert_eq!((&first["index"], &first["document"]), (&json!(1), &document));
        assert_eq!(reply["usage"], total);
    }
    let silent = |ranker| ranking(ranker, &json!({}))["data"][0].get("document").is_some();
    assert!(!silent(&VOYAGE));
    assert!(ranking(&JINA, &json!({}))["results"][0].get("document").is_some());
}

#[test]
fn an_unknown_field_is_refused_in_each_providers_words() {
    let refuse = |ranker: &Ranker| {
        let body = json!({"model": "m", "query": "q", "documents": ["a"], "odd": 1});
        let found = shape::check(body.as_object().unwrap(), ranker.rerank, Keys::Exact);
        let error = ranker.refuse(&found[0], &found, &body);
        (error.status, ranker.error_body(&error, "r"))
    };
    assert_eq!(refuse(&VOYAGE), (400, json!({"detail": "Argument 'odd' is not supported by our API."})));
    let (status, body) = refuse(&INFINITY);
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["body", "odd"])));
    assert_eq!(refuse(&TOGETHER).1["error"]["type"], "invalid_request_error");
    assert_eq!(refuse(&JINA).1["detail"][0]["type"], "extra_forbidden");
}

#[test]
fn embeddings_have_a_vector_for_each_input() {
    let body =
        json!({"model": "m", "input": ["a", {"text": "b"}], "dimensions": 3, "return_multivector": true});
    let composed = Composed::default();
    let mut making = Making { composed: &composed, ids: &mut Ids::new(1), created: 5, usage_fault: None };
    let reply = JINA.embeddings(&body, &mut making);
    assert_eq!(reply["data"][1]["embeddings"][0].as_array().unwrap().len(), 3);
    let reply = INFINITY.embeddings(&json!({"input": "a", "encoding_format": "base64"}), &mut making);
    assert!(
        reply["data"][0]["embedding"].is_string() && reply["id"].as_str().unwrap().starts_with("infinity-")
    );
}
