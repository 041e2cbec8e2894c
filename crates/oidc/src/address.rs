//! Where keys are: an address of a set of keys, or of a document that says where it is (OpenID Connect Discovery 1.0).

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use serde_json::Value;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_identity::jwt::JwkSet;
use tollgate_upstream::{Client, Endpoint, EndpointError, Outgoing, SegmentBody, Timeouts, Trust};

/// What the path of a discovery document ends with (Discovery 1.0, 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// The longest time for document and keys together.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// The longest time until a connection stands.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The most bytes of a reply; a set of keys is cut off there too.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{address}' is no address of an identity provider's keys: {reason}")]
pub struct BadSource {
    /// The address.
    pub address: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A URL, parsed.
#[derive(Debug, Clone)]
struct Place {
    endpoint: Endpoint,
    target: Uri,
}

impl Place {
    fn parse(url: &str, trust: Trust) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::parse(url, trust)?;
        let target = endpoint.target("")?;
        Ok(Self { endpoint, target })
    }
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub struct Address {
    text: String,
    place: Place,
    /// Whether it is a discovery document's.
    is_document: bool,
    /// Whose document it has to be.
    issuer: Option<String>,
}

impl Address {
    /// The address of a set of keys, or of a discovery document, which its path tells. `issuer` is whose document it has
    /// to be, where that is known.
    ///
    /// # Errors
    /// Where it is no address.
    pub fn parse(url: &str, issuer: Option<&str>) -> Result<Self, BadSource> {
        let place = Place::parse(url, Trust::Operator)
            .map_err(|error| BadSource { address: url.to_owned(), reason: error.to_string() })?;
        let is_document = place.target.path().ends_with(WELL_KNOWN);
        Ok(Self { text: url.to_owned(), place, is_document, issuer: issuer.map(str::to_owned) })
    }

    /// The address of the discovery document of an issuer.
    ///
    /// # Errors
    /// Where the issuer is no address.
    pub fn of_issuer(issuer: &str) -> Result<Self, BadSource> {
        Self::parse(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/')), Some(issuer))
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it leads to the same keys.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.text, &self.issuer) == (&other.text, &other.issuer)
    }

    /// Where the keys are, by what a document says: on the document's own host, or at a public address, and never in clear
    /// where the document was not.
    fn keys_place(&self, document: &[u8]) -> Result<Place, String> {
        let document: Value =
            serde_json::from_slice(document).map_err(|_| "the document is no JSON".to_owned())?;
        let issuer = document.get("issuer").and_then(Value::as_str);
        // The same to the letter (Discovery 1.0, 4.3).
        if self.issuer.is_some() && issuer != self.issuer.as_deref() {
            return Err("the document is another issuer's".to_owned());
        }
        let url = document.get("jwks_uri").and_then(Value::as_str);
        let url = url.ok_or("the document names no jwks_uri")?;
        let bad = |error: EndpointError| format!("jwks_uri: {error}");
        let place = Place::parse(url, Trust::Catalogue).map_err(bad)?;
        if self.place.endpoint.is_tls() && !place.endpoint.is_tls() {
            return Err("jwks_uri: the keys would come in clear".to_owned());
        }
        if place.endpoint.is_same_origin(&self.place.endpoint) {
            return Place::parse(url, Trust::Operator).map_err(bad);
        }
        Ok(place)
    }
}

/// What fetches keys: sockets, and tests in their place.
pub(crate) trait Fetch: Send + Sync + 'static {
    /// The keys at an address.
    fn keys(&self, address: &Address) -> impl Future<Output = Result<JwkSet, String>> + Send;
}

impl Fetch for Client {
    async fn keys(&self, address: &Address) -> Result<JwkSet, String> {
        let by = Instant::now() + FETCH_MAX;
        let first = get(self, &address.place, by).await?;
        let keys = if address.is_document {
            let place = address.keys_place(&first)?;
            get(self, &place, by).await?
        } else {
            first
        };
        JwkSet::parse(&keys).map_err(|error| error.to_string())
    }
}

async fn get(client: &Client, place: &Place, by: Instant) -> Result<Bytes, String> {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    let timeouts = Timeouts { connect: CONNECT_MAX, head_by: by, idle: FETCH_MAX, whole_by: by };
    let body = SegmentBody::from(Bytes::new());
    let outgoing = Outgoing { method: Method::GET, target: place.target.clone(), headers, body, timeouts };
    let mut reply = client.send(&place.endpoint, outgoing).await.map_err(|failure| failure.to_string())?;
    if reply.status != StatusCode::OK {
        return Err(format!("{} answered {}", place.endpoint.host(), reply.status.as_u16()));
    }
    let mut body = BytesMut::new();
    while let Some(piece) = reply.body.next().await.transpose().map_err(|failure| failure.to_string())? {
        if body.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(format!("{} answered more than {REPLY_BYTES_MAX} bytes", place.endpoint.host()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(address: &str, issuer: Option<&str>, text: &str) -> Result<String, String> {
        let address = Address::parse(address, issuer).unwrap();
        assert!(address.is_document);
        address.keys_place(text.as_bytes()).map(|place| format!("{} {}", place.endpoint.host(), place.target))
    }

    const AT: &str = "https://id.example.com/realms/a/.well-known/openid-configuration";

    #[test]
    fn a_document_says_where_the_keys_are() {
        let text =
            r#"{"issuer":"https://id.example.com/realms/a","jwks_uri":"https://keys.example.com/a?v=2"}"#;
        assert_eq!(document(AT, None, text).as_deref(), Ok("keys.example.com /a?v=2"));
        assert!(document(AT, Some("https://id.example.com/realms/a"), text).is_ok());
        assert_eq!(
            document(AT, Some("https://id.example.com/realms/b"), text).unwrap_err(),
            "the document is another issuer's"
        );
    }

    #[test]
    fn a_document_that_leads_astray_is_refused() {
        for (text, wants) in [
            (r#"{"jwks_uri":"http://keys.example.com/a"}"#, "jwks_uri: the keys would come in clear"),
            (r#"{"jwks_uri":"ftp://keys.example.com/a"}"#, "jwks_uri: the scheme must be http or https"),
            (
                r#"{"jwks_uri":"https://u:p@keys.example.com/"}"#,
                "jwks_uri: a URL with a user name or password is not accepted",
            ),
            (r#"{"jwks_uri":1}"#, "the document names no jwks_uri"),
            ("{}", "the document names no jwks_uri"),
            ("x", "the document is no JSON"),
        ] {
            assert_eq!(document(AT, None, text).unwrap_err(), wants, "{text}");
        }
    }

    #[test]
    fn an_issuers_document_lies_below_it() {
        let address = Address::of_issuer("https://id.example.com/realms/a/").unwrap();
        assert_eq!(address.as_str(), AT);
        assert!(!Address::parse("https://id.example.com/keys", None).unwrap().is_document);
        assert_eq!(
            Address::of_issuer("id.example.com").unwrap_err().to_string(),
            "'id.example.com/.well-known/openid-configuration' is no address of an identity provider's keys: not \
             a valid URL"
        );
    }
}
