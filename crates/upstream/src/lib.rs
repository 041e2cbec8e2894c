//! The only sockets to providers.
//!
//! Owns: connection pools, name resolution, TLS, time limits, the address guard, redirects (never followed),
//! decompression and size caps; it runs one attempt. Leaves to others: which deployment, what the bytes mean, whether
//! to try again.
//!
//! **Invariant:** every outbound connection of the gateway is opened in [`connect`], after [`guard`] has judged the
//! very address that is then connected to. **Invariant:** nothing that a provider sends can make the gateway hold more
//! than the caps of [`Limits`], or wait longer than [`Timeouts`].

mod body;
mod client;
mod connect;
mod connection;
mod endpoint;
mod failure;
pub mod guard;
mod inflate;
pub mod plain;
mod pool;
mod resolve;
mod socket;
mod tls;
pub mod websocket;

pub use body::{ReplyBody, SegmentBody};
pub use client::{Client, Limits, Outgoing, Reply, Shared, Timeouts};
pub use endpoint::{Endpoint, EndpointError};
pub use failure::{Failure, Kind, Phase};
pub use guard::Trust;
pub use resolve::{Lookup, Resolver};
pub use socket::{Dial, Dialing, Socket};
pub use tls::{RootsError, extra_roots_from_pem};
