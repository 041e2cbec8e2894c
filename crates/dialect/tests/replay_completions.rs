//! A legacy completion, read and streamed.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{Part, StopReason};
use tollgate_dialect::openai::{ChunkEncoder, StreamPlan, StreamShape, decode_completion, encode_completion};
use tollgate_dialect::replay::{events_of, reply_of};
use tollgate_dialect::wire::{EventEncoder, ReplyFacts, ReplyFault};

fn facts() -> ReplyFacts {
    let (client_model, include_usage) = ("my-model".to_owned(), true);
    ReplyFacts { client_model, created: 1_700_000_000, include_usage, ..ReplyFacts::default() }
}

fn body() -> Value {
    json!({
        "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_001, "model": "my-model",
        "choices": [
            {
                "text": "It is twelve degrees in Oslo.", "index": 0, "finish_reason": "length",
                "logprobs": {
                    "tokens": ["It is", " twelve degrees", " in Oslo."],
                    "token_logprobs": [-0.5, -0.25, null],
                    "top_logprobs": [{"It is": -0.5, "Now": -1.5}, {}, {}],
                    "text_offset": [0, 5, 20]
                }
            },
            {"text": "Rain.", "index": 1, "logprobs": null, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}
    })
}

#[test]
fn a_completion_is_read_as_it_was_written() {
    let body = body();
    let reply = decode_completion(body.to_string().as_bytes()).unwrap();
    assert_eq!(reply.choices[0].parts, [Part::text("It is twelve degrees in Oslo.")]);
    assert_eq!(reply.choices[0].stop, Some(StopReason::Length));
    let written: Value = serde_json::from_slice(&encode_completion(&reply, &facts())).unwrap();
    for member in ["id", "object", "created", "model", "choices"] {
        assert_eq!(written[member], body[member], "{member}");
    }
    for member in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert_eq!(written["usage"][member], body["usage"][member], "{member}");
    }
}

#[test]
fn a_completion_that_is_streamed_says_the_same() {
    let body = body();
    let reply = decode_completion(body.to_string().as_bytes()).unwrap();
    let events = events_of(&reply);
    assert_eq!(reply_of(&events).unwrap().choices, reply.choices);
    let mut encoder = ChunkEncoder::new(StreamPlan { facts: facts(), shape: StreamShape::Completion });
    let mut bytes = Vec::new();
    encoder.encode(&events, &mut bytes);
    encoder.finish(&mut bytes);
    let stream = String::from_utf8(bytes).unwrap();
    let chunks: Vec<Value> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").filter(|data| *data != "[DONE]"))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert!(stream.ends_with("data: [DONE]\n\n"));
    assert_eq!(chunks.last().unwrap()["usage"]["total_tokens"], 12);
    for choice in body["choices"].as_array().unwrap() {
        let of = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
        let said: Vec<&Value> = of.filter(|said| said["index"] == choice["index"]).collect();
        let text: String = said.iter().map(|said| said["text"].as_str().unwrap()).collect();
        assert_eq!(json!(text), choice["text"]);
        assert_eq!(said.last().unwrap()["finish_reason"], choice["finish_reason"]);
        let tokens: Vec<Value> = said
            .iter()
            .flat_map(|said| said["logprobs"]["tokens"].as_array().cloned().unwrap_or_default())
            .collect();
        let expect = choice["logprobs"]["tokens"].as_array().cloned().unwrap_or_default();
        assert_eq!(tokens, expect);
        for piece in said.iter().filter(|said| said["logprobs"].is_object()) {
            let spelled: String =
                piece["logprobs"]["tokens"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(json!(spelled), piece["text"], "each piece has its own tokens");
        }
    }
}

#[test]
fn what_is_no_completion_is_refused() {
    let check = |body: &str| matches!(decode_completion(body.as_bytes()), Err(ReplyFault::Malformed(_)));
    assert!(check("[]"));
    assert!(check("{}"));
    assert!(check(r#"{"choices": []}"#));
    assert!(check(r#"{"choices": [1]}"#));
    assert!(check(r#"{"choices": [{"message": {"content": "chat"}}]}"#));
    let error = decode_completion(br#"{"error": {"message": "no", "type": "server_error"}}"#);
    assert!(matches!(error, Err(ReplyFault::Error(_))));
}
