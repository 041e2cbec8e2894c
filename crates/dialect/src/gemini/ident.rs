//! Names that this wire makes up or puts into a path: tool-call ids and model paths.
//!
//! Owns the seed of made-up ids and the check of model names. **Invariant:** the same request gives the same ids;
//! what passes [`model_resource`] holds no character that means something in a URL but the one slash that it writes.

use super::host::Host;
use crate::wire::EncodeError;

/// Longest model name that is sent, in bytes. Google's own are under 64, tuned models included.
const MODEL_NAME_BYTES_MAX: usize = 128;

/// Multiplier of splitmix64's counter: the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The resource that a model's name stands for. At AI Studio `models/gemini-2.5-pro`, or `tunedModels/...` where the
/// caller says so; at Vertex `publishers/google/models/gemini-2.5-pro`, another publisher's where the caller says so, or
/// `endpoints/...` for a model of one's own. A name that is a resource already stays it.
///
/// # Errors
/// [`EncodeError::Invalid`] for a name with anything but letters, digits, `.`, `_`, `-`, `~` and Vertex's `@` after its
/// prefix.
pub(super) fn model_resource(host: Host, model: &str) -> Result<String, EncodeError> {
    let (collection, name) = match host {
        Host::AiStudio => match model.split_once('/') {
            Some((collection @ ("models" | "tunedModels"), name)) => (collection.to_owned(), name),
            _ => ("models".to_owned(), model),
        },
        Host::Vertex => vertex_collection(model),
    };
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'-' | b'~')
            || (byte == b'@' && host == Host::Vertex)
    };
    let is_name = |name: &str| {
        let is_dots = name.bytes().all(|byte| byte == b'.');
        !is_dots && name.len() <= MODEL_NAME_BYTES_MAX && name.bytes().all(is_plain)
    };
    if !is_name(name) || !collection.split('/').all(is_name) {
        return Err(EncodeError::Invalid {
            param: "model".to_owned(),
            message: "a Gemini model is named by letters, digits, '.', '_', '-' and '~'".to_owned(),
        });
    }
    Ok(format!("{collection}/{name}"))
}

fn vertex_collection(model: &str) -> (String, &str) {
    const GOOGLE: &str = "publishers/google/models";
    match model.split('/').collect::<Vec<_>>().as_slice() {
        ["publishers", publisher, "models", name] => (format!("publishers/{publisher}/models"), name),
        ["endpoints", name] => ("endpoints".to_owned(), name),
        ["models" | "google", name] => (GOOGLE.to_owned(), name),
        _ => (GOOGLE.to_owned(), model),
    }
}

/// A seed for made-up ids from the bytes of a request: equal for equal bytes, spread over 64 bits otherwise. Not a
/// cryptographic digest; the ids only have to differ within one conversation.
pub(crate) fn seed_of(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut seed = GOLDEN ^ bytes.len() as u64;
    for word in &mut words {
        let word = word.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        seed = mix(seed ^ word);
    }
    let rest = words.remainder().iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    mix(seed ^ rest)
}

/// The id of the `position`-th tool call of the `choice`-th answer, where Google gave none.
pub(crate) fn call_id(seed: u64, choice: u64, position: u64) -> String {
    let place = choice.rotate_left(32) ^ position.wrapping_add(1);
    let high = mix(seed ^ place.wrapping_mul(GOLDEN));
    format!("call_{high:016x}{:08x}", mix(high ^ seed) >> 32)
}

/// The finisher of splitmix64 (Steele, Lea, Flood 2014).
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(GOLDEN);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
