//! Simulated providers: OpenAI, Azure OpenAI (with Entra's token endpoint), Anthropic, Gemini and the further ones of
//! `docs/simulator.md` behind one listener, strict about what the real ones reject, scriptable, and fast when asked to
//! be; and a TCP proxy with faults.
//!
//! Owns: [`Simulator`] and its [`Script`], [`proxy`]. Leaves to others: everything that a gateway does. It shares no
//! code with the gateway's own wire formats, so that neither can hide the other's mistakes.
//!
//! **Invariant:** sockets are accepted and, apart from the proxy's one target, never opened. **Invariant:** randomness
//! comes from the script's seed alone.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use tollgate_simulator::{Behaviour, Fault, Rule, Script, Simulator};
//!
//! let script = Script::new().rule(Rule::model("gpt-*", Behaviour::new().fault(Fault::status(503))).times(2));
//! let simulator = Simulator::bind(script).await?;
//! println!("{}/v1/chat/completions", simulator.base_url());
//! # Ok(()) }
//! ```

#![cfg_attr(test, expect(clippy::needless_pass_by_value, reason = "tests write values where they use them"))]

mod admission;
mod answer;
mod anthropic;
mod ask;
mod aws;
mod azure;
mod base64;
mod bedrock;
mod behaviour;
mod bench;
mod body;
pub mod clouds;
mod cohere;
mod compose;
mod control;
mod databricks;
mod delivery;
mod deltas;
mod entra;
mod error;
mod exchange;
mod extras;
mod fault;
mod gemini;
mod huggingface;
mod instance;
mod jwt;
mod limits;
mod media;
mod mistral;
pub mod names;
mod ollama;
mod openai;
mod platform;
pub mod proxy;
mod pydantic;
mod realtime;
mod received;
mod replicate;
mod reply;
mod rerank;
mod responses;
mod script;
mod server;
mod shape;
mod signature;
mod socket;
mod surface;
mod tokens;
mod vertex;
mod watsonx;
mod wire;

pub use behaviour::{Answer, Behaviour, Finish, RateLimit, TokenCounts, ToolCall};
pub use bench::Bench;
pub use clouds::Clouds;
pub use entra::EntraClient;
pub use extras::Extras;
pub use fault::{CutEnding, Fault, Reason, ResetPoint, StatusFault, UsageFault};
pub use proxy::FaultProxy;
pub use received::{Received, Verdict};
pub use script::{Rule, Script, ScriptHandle};
pub use server::Simulator;
pub use surface::Surface;
