//! What must hold for every input of every decoder: one function a target, which panics when it does not.
//!
//! Owns the table of targets. Leaves where inputs come from to who calls: the tests beside this folder, and the
//! coverage-guided engine in `crates/dialect/fuzz`, which includes this module by its path.

mod cuts;
mod documents;
mod framers;
mod providers;
mod replies;
mod requests;
mod streams;
mod vectors;
mod wires;

/// A decoder and what must hold for it.
pub(crate) struct Target {
    /// Its name, which is also that of its corpus.
    pub(crate) name: &'static str,
    /// Panics when a property does not hold for this input.
    pub(crate) check: fn(&[u8]),
}

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// Every target.
pub(crate) const TARGETS: &[Target] = &[
    target("openai_request", |input| requests::check(&wires::OPENAI, input)),
    target("openai_reply", |input| replies::check(&wires::OPENAI, input)),
    target("openai_stream", |input| streams::check(&wires::OPENAI, input)),
    target("openai_error", |input| replies::check_error(&wires::OPENAI, input)),
    target("openai_completions", requests::check_completions),
    target("responses_request", |input| requests::check(&wires::RESPONSES, input)),
    target("responses_reply", |input| replies::check(&wires::RESPONSES, input)),
    target("responses_stream", |input| streams::check(&wires::RESPONSES, input)),
    target("responses_error", |input| replies::check_error(&wires::RESPONSES, input)),
    target("anthropic_request", |input| requests::check(&wires::ANTHROPIC, input)),
    target("anthropic_reply", |input| replies::check(&wires::ANTHROPIC, input)),
    target("anthropic_stream", |input| streams::check(&wires::ANTHROPIC, input)),
    target("anthropic_error", |input| replies::check_error(&wires::ANTHROPIC, input)),
    target("gemini_request", |input| requests::check(&wires::GEMINI, input)),
    target("gemini_reply", |input| replies::check(&wires::GEMINI, input)),
    target("gemini_stream", |input| streams::check(&wires::GEMINI, input)),
    target("gemini_error", |input| replies::check_error(&wires::GEMINI, input)),
    target("bedrock_request", |input| requests::check(&wires::BEDROCK, input)),
    target("bedrock_reply", |input| replies::check(&wires::BEDROCK, input)),
    target("bedrock_stream", |input| streams::check(&wires::BEDROCK, &framers::messages_of_lines(input))),
    target("bedrock_error", |input| replies::check_error(&wires::BEDROCK, input)),
    target("cohere_request", |input| requests::check(&wires::COHERE, input)),
    target("cohere_reply", |input| replies::check(&wires::COHERE, input)),
    target("cohere_stream", |input| streams::check(&wires::COHERE, input)),
    target("cohere_error", |input| replies::check_error(&wires::COHERE, input)),
    target("ollama_reply", providers::check_ollama_reply),
    target("ollama_stream", providers::check_ollama_stream),
    target("sagemaker_reply", providers::check_sagemaker_reply),
    target("sagemaker_stream", providers::check_sagemaker_stream),
    target("compatible_reply", providers::check_compatible_reply),
    target("compatible_stream", providers::check_compatible_stream),
    target("replicate_reply", providers::check_replicate_reply),
    target("replicate_stream", providers::check_replicate_stream),
    target("provider_error", providers::check_errors),
    target("embeddings", vectors::check_embeddings),
    target("rerank", vectors::check_ranking),
    target("multipart", documents::check_form),
    target("json_scan", documents::check_scan),
    target("json_splice", documents::check_splice),
    target("custom_input", documents::check_custom_input),
    target("sse", framers::check_events),
    target("lines", framers::check_lines),
    target("event_stream", framers::check_event_stream),
    target("pass_through", streams::check_pass_through),
];
