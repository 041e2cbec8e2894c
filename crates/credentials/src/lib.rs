//! How a deployment proves who it is where a fixed header is not enough: tokens, cloud keys, signatures.
//!
//! Owns: [`TokenSource`] (Entra, Google, IBM, OAuth client credentials), [`AwsSource`] (keys, profiles, roles, metadata
//! services) and [`sigv4`]. Leaves to others: which deployment has which credential, and what a failure means for a
//! request. Files, variables and the wall clock come in through [`Surroundings`]; every call goes out through
//! `tollgate-upstream`.
//!
//! **Invariant:** what still holds is never waited for: renewal runs beside the requests, one at a time per source.
//! **Invariant:** no error, `Debug` output, log line or identity has a secret in it, nor a reply's body.

mod aws;
mod call;
mod encoding;
mod entra;
mod error;
mod google;
mod oauth;
mod renewal;
mod secret;
pub mod sigv4;
mod surroundings;
mod token;

pub use aws::{AwsKeys, AwsParameters, AwsSource, dns_suffix};
pub use entra::EntraPrincipal;
pub use error::CredentialError;
pub use google::GoogleCredential;
pub use oauth::ClientCredentials;
pub use secret::{MASK, Secret};
pub use surroundings::{Clock, Files, Surroundings, Variables};
pub use token::TokenSource;
