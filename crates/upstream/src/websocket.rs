//! A connection to a provider that leaves HTTP for WebSocket (RFC 6455).
//!
//! Owns the client's side of the handshake and the limits on frames, for both sides of a relay. Leaves what messages
//! mean, and when a connection is idle, to others. The connection is opened as every other is: guard, resolver, TLS.
//! **Invariant:** no extension is offered and none is accepted, so that a message is what its frames say and never
//! larger than the cap. **Invariant:** a connection that was upgraded is never pooled.

use crate::client::{Answered, Client, Outgoing, Reply};
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Kind, Phase};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes that are read from a socket at once.
const READ_BYTES: usize = 16 << 10;
/// What may wait to be written beside one message: control frames, and what a rewritten message is longer.
const WRITE_SLACK_BYTES: usize = 1 << 20;

/// A connection that speaks WebSocket: to a provider, or to a caller.
pub type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// What became of a handshake.
pub enum Handshake {
    /// The provider speaks WebSocket now.
    Open {
        /// The headers of its 101.
        headers: HeaderMap,
        /// The connection; boxed, its buffers' state is large.
        socket: Box<WebSocket>,
    },
    /// It answered with something else: an error, usually.
    Refused(Box<Reply>),
}

/// Which end of a connection the gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It accepted the connection.
    Server,
    /// It opened the connection.
    Client,
}

/// Takes a connection over that has left HTTP. A message of more than `message_bytes_max` bytes ends it.
pub async fn frame(upgraded: Upgraded, end: End, message_bytes_max: usize) -> WebSocket {
    let role = match end {
        End::Server => Role::Server,
        End::Client => Role::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        // Every message goes out at once: a word that waits for another to fill a buffer is a word that is late.
        .write_buffer_size(0)
        .max_write_buffer_size(message_bytes_max.saturating_add(WRITE_SLACK_BYTES))
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), role, Some(config)).await
}

impl Client {
    /// Opens a WebSocket: a new connection, the handshake, and the check of the answer to it. The method is GET whatever
    /// `outgoing` says, and its body is not sent.
    ///
    /// # Errors
    /// [`Failure`] with kind and phase; a 101 that does not answer this very handshake (RFC 6455, 4.1) is one.
    pub async fn open_websocket(
        &self,
        endpoint: &Endpoint,
        outgoing: Outgoing,
        message_bytes_max: usize,
    ) -> Result<Handshake, Failure> {
        let key = generate_key();
        let head_by = outgoing.timeouts.head_by;
        let (mut response, lease) = match self.ask_upgrade(endpoint, outgoing, &key).await? {
            Answered::Upgrade(upgrade) => *upgrade,
            Answered::Reply(reply) => return Ok(Handshake::Refused(reply)),
        };
        check(response.headers(), &key)?;
        let upgrade = hyper::upgrade::on(&mut response);
        let taken = tokio::time::timeout_at(head_by, upgrade).await;
        // The task that moved the bytes has handed the socket over; what is left of it may go.
        drop(lease);
        let upgraded = taken
            .map_err(|_| Failure::new(Kind::Timeout, Phase::Reading, "the upgrade did not end in time"))?
            .map_err(|error| Failure::new(Kind::Reset, Phase::Reading, error.to_string()))?;
        let socket = Box::new(frame(upgraded, End::Client, message_bytes_max).await);
        Ok(Handshake::Open { headers: response.headers().clone(), socket })
    }
}

/// The answer to a handshake's key (RFC 6455, 4.2.2).
pub fn accept_key(key: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(derive_accept_key(key)).ok()
}

/// Puts the handshake on a request.
pub(crate) fn put_handshake(headers: &mut HeaderMap, key: &str) -> Result<(), Failure> {
    let invalid = |_| Failure::new(Kind::Protocol, Phase::Connecting, "the key is no header");
    let key = HeaderValue::from_str(key).map_err(invalid)?;
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

/// Whether a 101 answers the handshake with this key (RFC 6455, 4.1). No subprotocol is ever offered.
fn check(headers: &HeaderMap, key: &str) -> Result<(), Failure> {
    let refuse = |detail: &str| Err(Failure::new(Kind::Protocol, Phase::Reading, detail));
    let accept = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return refuse("switched to a protocol that was not asked for");
    }
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return refuse("the answer is to another handshake");
    }
    if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) || headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return refuse("an extension or subprotocol that was not offered");
    }
    Ok(())
}

/// Whether a list of words in headers has this one, in any case.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.into_iter().any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_handshake_is_taken() {
        // RFC 6455, 1.3: the key and the answer to it.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let right = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let verdict = |change: Option<(&'static str, &'static str)>| {
            let mut headers = HeaderMap::new();
            for (name, value) in right.into_iter().chain(change) {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            check(&headers, key).map_err(|failure| failure.kind)
        };
        assert_eq!(verdict(None), Ok(()));
        for change in [
            ("upgrade", "h2c"),
            ("connection", "close"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "realtime"),
        ] {
            assert_eq!(verdict(Some(change)), Err(Kind::Protocol), "{change:?}");
        }
        assert_eq!(check(&HeaderMap::new(), key).map_err(|failure| failure.kind), Err(Kind::Protocol));
    }
}
