//! Requests without much in them, and what goes out for them beside the messages.

use serde_json::{Map, Value};
use tollgate_dialect::bedrock::encode_chat;
use tollgate_dialect::conversation::{ChatRequest, Message, Part, Role};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Outbound};

/// A model of Claude's that thinks by a budget.
pub(crate) const OLD_CLAUDE: &str = "anthropic.claude-3-7-sonnet-20250219-v1:0";

pub(crate) fn request(model: &str) -> ChatRequest {
    let messages = vec![Message { role: Role::User, parts: vec![Part::text("hi")], name: None }];
    ChatRequest { model: model.to_owned(), messages, ..ChatRequest::default() }
}

pub(crate) fn dropping() -> EncodeOptions {
    EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() }
}

pub(crate) fn by_level() -> EncodeOptions {
    EncodeOptions { reasoning_by_level: true, native_structured_output: true, ..EncodeOptions::default() }
}

pub(crate) fn sent(request: &ChatRequest, options: &EncodeOptions) -> (Value, Vec<String>, Outbound) {
    let outbound = encode_chat(request, options).unwrap();
    let mut body: Value = serde_json::from_slice(&outbound.body).unwrap();
    body.as_object_mut().unwrap().shift_remove("messages");
    (body, outbound.lost.names().map(str::to_owned).collect(), outbound)
}

/// What goes out beside the messages, and what is lost.
pub(crate) fn check(request: &ChatRequest, options: &EncodeOptions, expect: Value, expect_lost: &[&str]) {
    let (body, lost, _) = sent(request, options);
    assert_eq!(body, expect, "{}", request.model);
    assert_eq!(lost, expect_lost, "{}", request.model);
}

pub(crate) fn refused(request: &ChatRequest, options: &EncodeOptions) -> Vec<String> {
    match encode_chat(request, options) {
        Err(EncodeError::Unsupported { params }) => params,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn invalid(request: &ChatRequest, options: &EncodeOptions) -> String {
    match encode_chat(request, options) {
        Err(EncodeError::Invalid { param, .. }) => param,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn extra(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}
