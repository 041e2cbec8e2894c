//! Whether one question may be answered with the answer of another.
pub mod language;
mod align;
mod facts;
mod guard;
mod lexicon;
mod question;
mod values;
mod words;
pub use facts::Facts;
pub use guard::*;
pub use words::{TEXT_BYTES_MAX, WORDS_MAX};
