//! Wire formats of the field, to and from one conversation model.
//!
//! Owns: what a request, a reply, a stream and an error look like on each wire; the scan-and-splice road on which a
//! body is relayed without being rebuilt; server-sent-event framing. Leaves to others: which deployment answers,
//! prices, sockets, HTTP statuses towards the caller.
//!
//! **Invariant:** nothing here does I/O, reads a clock or draws a random number; bytes and seeds come in as
//! arguments. **Invariant:** every decoder yields the same events for every way of cutting its input into chunks.

mod admit;
pub mod anthropic;
mod base64;
pub mod bedrock;
mod cited;
pub mod cohere;
pub mod compat;
pub mod continuation;
pub mod conversation;
pub mod failure;
pub mod framing;
pub mod gemini;
pub mod json;
pub mod multipart;
pub mod ollama;
pub mod openai;
mod prompt;
pub mod relay;
pub mod replay;
pub mod replicate;
pub mod rerank;
pub mod responses;
pub mod sagemaker;
pub mod sound;
pub mod sse;
mod told;
pub mod translate;
pub mod watsonx;
pub mod wire;
