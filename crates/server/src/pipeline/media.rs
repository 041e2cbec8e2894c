//! Pictures and documents by address, fetched for providers that do not take it.
//!
//! Owns which deployments that concerns, the limits of a fetch and what a caller is told of a failed one. Whether an
//! address may be connected to is the address guard's word, for these as for every connection. **Invariant:** nothing is
//! fetched for a provider that takes the address, redirects are not followed, and no credential goes along.

use super::Call;
use super::attempt::{AttemptFailure, CallLimits};
use super::receive::Received;
use super::speech::Speech;
use super::walk::Errand;
use super::wasted::Wasted;
use crate::error::Rejection;
use crate::surface::Surface;
use crate::target::Target;
use crate::worker::Worker;
use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use memchr::memmem;
use tollgate_dialect::anthropic::Host;
use tollgate_dialect::conversation::{ChatRequest, sniff_media_type};
use tollgate_dialect::wire::Dialect;
use tollgate_policy::failure::FailureKind;
use tollgate_upstream::{Endpoint, Failure, Kind, Outgoing, ReplyBody, SegmentBody, Timeouts, Trust};

/// Most addresses of one request, fetched side by side: as many as LiteLLM fetches at one time.
const ADDRESSES_MAX: usize = 20;

/// What may be fetched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaRules<'a> {
    /// Most bytes of one address; 0 fetches nothing.
    pub(crate) bytes_max: u64,
    /// Hosts, each with or without a port, that the operator trusts although their addresses are not public.
    pub(crate) allowed_hosts: &'a [String],
}

/// What a provider takes of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Addresses of every kind, or the caller's own dialect, in which the provider itself says what it refuses.
    Addresses,
    /// Addresses with TLS (Anthropic).
    Encrypted,
    /// Bytes alone (Bedrock, Claude on Bedrock and Vertex AI, Ollama).
    Bytes,
}

impl Takes {
    fn of(speech: Speech, surface: Surface) -> Self {
        match speech {
            Speech::Bedrock | Speech::Ollama | Speech::Anthropic(Host::BedrockInvoke | Host::Vertex) => {
                Self::Bytes
            }
            Speech::Anthropic(_) if surface.dialect() != Dialect::Anthropic => Self::Encrypted,
            _ => Self::Addresses,
        }
    }

    fn refuses(self, address: &str) -> bool {
        match self {
            Self::Addresses => false,
            Self::Encrypted => {
                !address.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
            }
            Self::Bytes => true,
        }
    }

    /// Whether a body may name an address that is refused: a look at its bytes, before they are read as anything.
    fn may_refuse_some(self, body: &[u8]) -> bool {
        match self {
            Self::Addresses => false,
            Self::Encrypted => memmem::find(body, b"http:").is_some(),
            Self::Bytes => memmem::find(body, b"http").is_some(),
        }
    }
}

/// Whether bytes were fetched for a deployment of this kind.
pub(crate) fn were_fetched(received: &Received<'_>, (speech, surface): (Speech, Surface)) -> bool {
    received.fetched().is_some() && Takes::of(speech, surface) != Takes::Addresses
}

/// The conversation as a deployment can take it: with bytes in the place of addresses, where one of them would be
/// refused and they were fetched.
pub(crate) fn as_taken<'a>(
    received: &'a Received<'_>,
    (speech, surface): (Speech, Surface),
) -> Result<&'a ChatRequest, Rejection> {
    let conversation = received.conversation(surface)?;
    let takes = Takes::of(speech, surface);
    Ok(received.fetched().filter(|_| refuses_some(conversation, takes)).unwrap_or(conversation))
}

fn refuses_some(conversation: &ChatRequest, takes: Takes) -> bool {
    conversation.media_addresses().into_iter().any(|address| takes.refuses(address))
}

/// Whether this attempt has to fetch something first. Costs nothing where the provider takes addresses.
pub(crate) fn is_needed(received: &Received<'_>, call: &Call, target: &Target) -> bool {
    let speech = target.speech_for(call.surface);
    let takes = Takes::of(speech, call.surface);
    let received = received.for_deployment(&target.id, speech);
    takes != Takes::Addresses
        && call.surface.is_conversation()
        && received.fetched().is_none()
        && takes.may_refuse_some(received.body)
        && received.conversation(call.surface).is_ok_and(|conversation| refuses_some(conversation, takes))
}

/// Fetches what the request names, and keeps the conversation with the bytes in it for this attempt and later ones.
pub(crate) async fn fetch(
    Errand { worker, call, received, .. }: Errand<'_>,
    (target, rules): (&Target, MediaRules<'_>),
    limits: CallLimits,
) -> Result<(), AttemptFailure> {
    let received = received.for_deployment(&target.id, target.speech_for(call.surface));
    // A body that is no conversation gets its error where it is written.
    let Ok(conversation) = received.conversation(call.surface) else { return Ok(()) };
    let addresses = conversation.media_addresses();
    if rules.bytes_max == 0 {
        return Ok(());
    }
    let refused = |address: &str, reason: &str| failure(call, address, reason);
    if let Some(one_more) = addresses.get(ADDRESSES_MAX) {
        let reason =
            format!("this provider takes bytes alone, and at most {ADDRESSES_MAX} addresses are fetched");
        return Err(refused(one_more, &reason));
    }
    let timeouts = limits.timeouts();
    let timeouts = Timeouts { whole_by: timeouts.head_by, ..timeouts };
    let fetches = addresses.iter().map(|address| fetch_one(worker, address, rules, timeouts));
    let fetched = join_all(fetches).await;
    let mut whole = conversation.clone();
    for (address, fetched) in addresses.iter().zip(fetched) {
        let Fetched { media_type, bytes } = fetched.map_err(|reason| refused(address, &reason))?;
        whole.place_media(address, &media_type, &bytes);
    }
    received.keep_fetched(whole);
    Ok(())
}

/// What an address had.
struct Fetched {
    media_type: String,
    bytes: Bytes,
}

async fn fetch_one(
    worker: &Worker,
    address: &str,
    rules: MediaRules<'_>,
    timeouts: Timeouts,
) -> Result<Fetched, String> {
    // A fragment is the browser's own business.
    let address = address.split('#').next().unwrap_or(address);
    let trust = if is_allowed(address, rules) { Trust::Operator } else { Trust::Caller };
    let endpoint = Endpoint::parse(address, trust).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
    let target = endpoint.target("").map_err(|error| error.to_string())?;
    let outgoing =
        Outgoing { method: Method::GET, target, headers, body: SegmentBody::from(Bytes::new()), timeouts };
    let reply =
        worker.client.send(&endpoint, outgoing).await.map_err(|failure| words(&failure).to_owned())?;
    if reply.status != StatusCode::OK {
        let redirects = if reply.status.is_redirection() { ", and redirects are not followed" } else { "" };
        return Err(format!("it answered {}{redirects}", reply.status.as_u16()));
    }
    let announced =
        reply.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let bytes = match announced {
        Some(length) if length > rules.bytes_max => Err(too_large(rules)),
        _ => collect(reply.body, rules).await,
    }?;
    let said = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Stores often call everything by one name; bytes do not lie.
    let media_type = sniff_media_type(&bytes).map_or(essence, str::to_owned);
    Ok(Fetched { media_type, bytes })
}

async fn collect(mut body: ReplyBody, rules: MediaRules<'_>) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|failure| words(&failure).to_owned())?;
        if (whole.len() + piece.len()) as u64 > rules.bytes_max {
            return Err(too_large(rules));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

fn too_large(rules: MediaRules<'_>) -> String {
    format!("it has more than {} bytes (tollgate_settings.media_bytes_max)", rules.bytes_max)
}

/// What a caller learns of a failed connection. Whether an address was refused by the guard or is not there at all looks
/// the same, so that nobody maps the operator's network with it.
fn words(failure: &Failure) -> &'static str {
    match failure.kind {
        Kind::Timeout => "it took too long",
        Kind::TooLarge => "it is too large",
        Kind::Dns | Kind::Blocked | Kind::Connect | Kind::Tls | Kind::Reset | Kind::Protocol => {
            "it cannot be reached (the log says why; hosts that are not public must be named in user_url_allowed_hosts)"
        }
    }
}

/// Whether the operator named the host, or the host with its port.
fn is_allowed(address: &str, rules: MediaRules<'_>) -> bool {
    let Some(authority) = address.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next())
    else {
        return false;
    };
    let without_port = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    rules
        .allowed_hosts
        .iter()
        .any(|host| host.eq_ignore_ascii_case(authority) || host.eq_ignore_ascii_case(without_port))
}

fn failure(call: &Call, address: &str, reason: &str) -> AttemptFailure {
    // The query may be a signature that opens the file.
    let shown: String = address.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect();
    let message = format!("the media at '{shown}' cannot be fetched for this provider: {reason}");
    tracing::warn!(
        call_id = %call.id.to_str().unwrap_or_default(),
        address = shown,
        reason,
        "media not fetched"
    );
    AttemptFailure {
        // A provider that takes addresses may still answer.
        kind: FailureKind::NotExpressible,
        retry_after: None,
        rejection: Rejection::media_not_fetched(&message),
        class: "bad_request",
        detail: message,
        names_model: false,
        wasted: Wasted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_by_name_or_name_and_port() {
        let rules = MediaRules {
            bytes_max: 1,
            allowed_hosts: &["files.internal", "127.0.0.1:8080", "[::1]"].map(str::to_owned),
        };
        let check = |address: &str, expect: bool| assert_eq!(is_allowed(address, rules), expect, "{address}");
        check("https://files.internal/a.png", true);
        check("https://FILES.internal:8443/a.png?x", true);
        check("http://127.0.0.1:8080/a.png", true);
        check("http://127.0.0.1/a.png", false);
        check("http://[::1]:9/a.png", true);
        check("https://files.internal.evil.example/a.png", false);
        check("https://files.internal@evil.example/a.png", false);
        check("https://evil.example/files.internal", false);
        check("nonsense", false);
    }
}
