//! Requests: read or refused with a place; what is read can be given to every provider's encoder; and what goes out in
//! the caller's own dialect is read as the same again.

use super::providers;
use super::wires::{self, Wire};
use tollgate_dialect::conversation::ChatRequest;
use tollgate_dialect::json::{Limits, scan};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, RequestError};
use tollgate_dialect::{anthropic, gemini, openai};

/// The options of models of different abilities.
fn options() -> [EncodeOptions; 3] {
    let strict = EncodeOptions::default();
    let lenient = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let able = EncodeOptions {
        drop_unsupported: true,
        allowed_params: vec!["seed".to_owned(), "logit_bias".to_owned()],
        default_max_tokens: Some(9_000),
        native_structured_output: true,
        reasoning_by_level: true,
        rejects_sampling: true,
        rejects_forced_tools: true,
        takes_prefill: true,
    };
    [strict, lenient, able]
}

/// A request of this wire.
pub(crate) fn check(wire: &Wire, body: &[u8]) {
    if wire.name == "anthropic" {
        check_refusal(&anthropic::decode_count_request(body));
    }
    if wire.name == "gemini" {
        check_refusal(&gemini::decode_count_request(body));
    }
    let outcome = (wire.decode_request)(body);
    check_refusal(&outcome);
    let Ok(mut request) = outcome else { return };
    assert_eq!((wire.decode_request)(body).ok().as_ref(), Some(&request), "read twice");
    name_model(wire, &mut request);
    check_every_encoder(&request);
    check_own_road(wire, &request);
}

/// A legacy completion, which every provider gets as a chat.
pub(crate) fn check_completions(body: &[u8]) {
    let outcome = openai::decode_completions(body);
    check_refusal(&outcome);
    if let Ok(request) = outcome {
        check_every_encoder(&request);
    }
}

/// A refusal says where and what.
fn check_refusal(outcome: &Result<ChatRequest, RequestError>) {
    if let Err(error) = outcome {
        assert!(!error.param.is_empty() && !error.message.is_empty(), "{error:?}");
    }
}

/// Puts in what stands in the path.
fn name_model(wire: &Wire, request: &mut ChatRequest) {
    if let Some(model) = wire.path_model {
        request.model = model.to_owned();
    }
}

/// Whoever is asked gets a body that is JSON and names no member twice, or the caller is told why not.
fn check_every_encoder(request: &ChatRequest) {
    for wire in wires::ALL.into_iter().chain(providers::ALL) {
        let mut request = request.clone();
        name_model(wire, &mut request);
        for options in options() {
            match (wire.encode_chat)(&request, &options) {
                Ok(outbound) => {
                    let scanned = scan(&outbound.body, &Limits::REPLY).map(|_| ());
                    let text = String::from_utf8_lossy(&outbound.body);
                    assert!(scanned.is_ok(), "{}: {scanned:?}: {text}", wire.name);
                    let has_path = outbound.path.starts_with('/') || !wire.is_of_callers;
                    assert!(has_path, "{}: {}", wire.name, outbound.path);
                }
                Err(EncodeError::Unsupported { params }) => {
                    assert!(!options.drop_unsupported && !params.is_empty(), "{}: {params:?}", wire.name);
                }
                Err(EncodeError::Invalid { param, message }) => {
                    assert!(!param.is_empty() && !message.is_empty(), "{}: {param}: {message}", wire.name);
                }
            }
        }
    }
}

/// What goes out in the dialect that it came in can be read, and from then on stays as it is: what a road of the dialect
/// cannot hold is let go at once, not a little with each hop.
fn check_own_road(wire: &Wire, request: &ChatRequest) {
    let [_, lenient, _] = options();
    let Ok(first) = (wire.encode_chat)(request, &lenient) else { return };
    let second = once_more(wire, &first.body, &lenient);
    let third = once_more(wire, &second, &lenient);
    assert_eq!(String::from_utf8_lossy(&second), String::from_utf8_lossy(&third), "{}", wire.name);
}

/// Reads what was written and writes it again.
fn once_more(wire: &Wire, body: &[u8], options: &EncodeOptions) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let mut request = match (wire.decode_request)(body) {
        Ok(request) => request,
        Err(error) => panic!("{} does not read what it wrote: {error}\n{text}", wire.name),
    };
    name_model(wire, &mut request);
    match (wire.encode_chat)(&request, options) {
        Ok(outbound) => outbound.body,
        Err(error) => panic!("{} does not write what it read: {error}\n{text}", wire.name),
    }
}
