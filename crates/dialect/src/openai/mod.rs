//! OpenAI's wire, as the surface for callers and as the language of every OpenAI-compatible provider.
//!
//! Owns every fact about that wire: chat completions, legacy completions and embeddings, their streams, their usage,
//! and what the error bodies of OpenAI and of those who imitate it mean. Where LiteLLM carries more than OpenAI
//! publishes (`reasoning_content`, `thinking_blocks`, `cache_control`, `provider_specific_fields`), its names are used.
//! Leaves credentials, base URLs, headers and the status of the caller's errors to others; a body that passes through
//! between two ends of this dialect is [`crate::relay`]'s.
//!
//! **Invariant:** what is read here and written again is the same request, reply or stream; what OpenAI's form cannot
//! hold is an error that names the place or is named as lost, never a silent change.

mod error;
mod params;
mod reply;
mod request;
mod stream;
mod thought;
mod usage;

use crate::json::{read, write};

pub(crate) use error::in_place_of_answer;
pub use error::{decode_error, encode_error, error_frame};
pub use params::{CAPABILITIES, CHAT_PARAMS};
pub use reply::{
    VectorForm, decode_completion, decode_embedding_reply, decode_reply, encode_completion,
    encode_embeddings, encode_reply,
};
pub use request::{
    CHAT_PATH, Extensions, decode_chat, decode_completions, decode_embeddings, encode_chat,
    encode_embedding_request,
};
pub(crate) use request::{
    audio_media_type, data_url, effort_word, nearest_effort, number, read_effort, read_source,
    with_documents_as_text,
};
pub use stream::{ChunkDecoder, ChunkEncoder, StreamPlan, StreamShape};
pub use usage::read_usage;
