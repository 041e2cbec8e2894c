//! The dialects that providers alone speak: rows of the same functions, with OpenAI's on the side of the callers.

use super::wires::{OPENAI, Wire, reading};
use super::{framers, replies, streams};
use tollgate_dialect::compat::{self, Flavor};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::replicate::Prediction;
use tollgate_dialect::sagemaker::{self, Container};
use tollgate_dialect::{ollama, replicate, watsonx};

const OLLAMA: Wire = Wire {
    name: "ollama",
    is_of_callers: false,
    encode_chat: ollama::encode_chat,
    decode_reply: |body| ollama::decode_reply(body, &reading()),
    framing: Framing::lines,
    decoder: || Box::new(ollama::StreamDecoder::new(reading())),
    decode_error: ollama::decode_error,
    ..OPENAI
};

const MESSAGES: Wire = Wire {
    name: "sagemaker, messages",
    is_of_callers: false,
    encode_chat: sagemaker::encode_chat,
    decode_reply: |body| sagemaker::decode_reply(body, &reading()),
    framing: Framing::event_stream,
    decoder: || Box::new(sagemaker::StreamDecoder::new(Container::Messages, reading())),
    decode_error: sagemaker::decode_error,
    ..OPENAI
};

const TEXT: Wire = Wire {
    name: "sagemaker, text",
    is_of_callers: false,
    encode_chat: sagemaker::encode_text,
    decode_reply: |body| sagemaker::decode_text_reply(body, &reading()),
    decoder: || Box::new(sagemaker::StreamDecoder::new(Container::Text, reading())),
    ..MESSAGES
};

const MISTRAL: Wire = Wire {
    name: "mistral",
    is_of_callers: false,
    encode_chat: |request, options| compat::encode_chat(Flavor::Mistral, request, options),
    decode_reply: |body| compat::decode_reply(Flavor::Mistral, body),
    decoder: || Box::new(compat::StreamDecoder::new(Flavor::Mistral)),
    decode_error: |status, body| compat::decode_error(Flavor::Mistral, status, body),
    ..OPENAI
};

const DATABRICKS: Wire = Wire {
    name: "databricks",
    is_of_callers: false,
    encode_chat: |request, options| compat::encode_chat(Flavor::Databricks, request, options),
    decode_reply: |body| compat::decode_reply(Flavor::Databricks, body),
    decoder: || Box::new(compat::StreamDecoder::new(Flavor::Databricks)),
    decode_error: |status, body| compat::decode_error(Flavor::Databricks, status, body),
    ..OPENAI
};

const HUGGING_FACE: Wire = Wire {
    name: "huggingface",
    is_of_callers: false,
    encode_chat: |request, options| compat::encode_chat(Flavor::HuggingFace, request, options),
    decode_reply: |body| compat::decode_reply(Flavor::HuggingFace, body),
    decoder: || Box::new(compat::StreamDecoder::new(Flavor::HuggingFace)),
    decode_error: |status, body| compat::decode_error(Flavor::HuggingFace, status, body),
    ..OPENAI
};

const WATSONX: Wire = Wire {
    name: "watsonx",
    is_of_callers: false,
    encode_chat: |request, options| watsonx::encode_chat(request, &watsonx::Place::default(), options),
    decode_reply: watsonx::decode_reply,
    decoder: || Box::new(watsonx::StreamDecoder::new()),
    decode_error: watsonx::decode_error,
    ..OPENAI
};

const REPLICATE: Wire = Wire {
    name: "replicate",
    is_of_callers: false,
    encode_chat: replicate::encode_chat,
    decode_reply: |body| Prediction::read(body).and_then(|prediction| prediction.into_reply(&reading())),
    decoder: || Box::new(replicate::StreamDecoder::new(reading())),
    decode_error: replicate::decode_error,
    ..OPENAI
};

/// Those that imitate OpenAI, each in its way.
const IMITATORS: [&Wire; 4] = [&MISTRAL, &DATABRICKS, &HUGGING_FACE, &WATSONX];

/// All of them.
pub(crate) const ALL: [&Wire; 8] =
    [&OLLAMA, &MESSAGES, &TEXT, &MISTRAL, &DATABRICKS, &HUGGING_FACE, &WATSONX, &REPLICATE];

pub(crate) fn check_ollama_reply(input: &[u8]) {
    replies::check(&OLLAMA, input);
}

pub(crate) fn check_ollama_stream(input: &[u8]) {
    streams::check(&OLLAMA, input);
}

pub(crate) fn check_sagemaker_reply(input: &[u8]) {
    [&MESSAGES, &TEXT].iter().for_each(|wire| replies::check(wire, input));
}

/// What the container streams, cut into the parts of Amazon's stream.
pub(crate) fn check_sagemaker_stream(input: &[u8]) {
    let parts = framers::parts(input);
    [&MESSAGES, &TEXT].iter().for_each(|wire| streams::check(wire, &parts));
}

pub(crate) fn check_compatible_reply(input: &[u8]) {
    IMITATORS.iter().for_each(|wire| replies::check(wire, input));
}

pub(crate) fn check_compatible_stream(input: &[u8]) {
    IMITATORS.iter().for_each(|wire| streams::check(wire, input));
}

pub(crate) fn check_replicate_reply(input: &[u8]) {
    if let Ok(prediction) = Prediction::read(input) {
        let _ = (prediction.is_over(), prediction.get_url(), prediction.stream_url(), prediction.usage());
    }
    replies::check(&REPLICATE, input);
}

pub(crate) fn check_replicate_stream(input: &[u8]) {
    streams::check(&REPLICATE, input);
}

pub(crate) fn check_errors(input: &[u8]) {
    ALL.iter().for_each(|wire| replies::check_error(wire, input));
}
