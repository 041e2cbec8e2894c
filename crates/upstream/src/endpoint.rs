//! A provider's base URL, parsed once when the configuration is read.
//!
//! Owns what a URL may look like and the request targets below it; whether its host may be reached is the guard's word,
//! at every connection. **Invariant:** neither a base URL nor a path below it can end the request line, leave the base
//! path or name another host.

use crate::guard::Trust;
use crate::pool::PoolKey;
use http::Uri;
use http::header::HeaderValue;
use http::uri::PathAndQuery;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Why a base URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all, or characters that a URL has not.
    #[error("not a valid URL")]
    Malformed,
    /// Neither `http` nor `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// `user:password@` in the URL.
    #[error("a URL with a user name or password is not accepted")]
    UserInfo,
    /// Not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
}

/// Where a deployment's requests go.
#[derive(Clone)]
pub struct Endpoint {
    /// What its connections are kept under: scheme, host, port and trust.
    pub(crate) key: Arc<PoolKey>,
    /// The host, where it was written as an address.
    pub(crate) literal: Option<IpAddr>,
    authority: HeaderValue,
    base_path: Box<str>,
    base_query: Option<Box<str>>,
}

impl fmt::Debug for Endpoint {
    /// Without the query, where some providers want a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("key", &self.key)
            .field("base_path", &self.base_path)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Parses a base URL such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// [`EndpointError`] says which rule the URL breaks.
    pub fn parse(base_url: &str, trust: Trust) -> Result<Self, EndpointError> {
        let uri: Uri = base_url.trim().parse().map_err(|_| EndpointError::Malformed)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(EndpointError::Scheme),
        };
        let authority = uri.authority().ok_or(EndpointError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            // A port that is no number would otherwise be read as none, and the default taken in its place.
            _ => authority.port_u16().filter(|port| *port != 0).ok_or(EndpointError::Port)?,
        };
        let (host, literal) = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // Brackets are for IPv6 addresses alone (RFC 3986, 3.2.2), and a zone means something on this machine only.
            Some(inner) => (inner, Some(IpAddr::V6(inner.parse().map_err(|_| EndpointError::Malformed)?))),
            None => (host, host.parse().ok()),
        };
        if host.is_empty() || has_dot_segment(uri.path()) {
            return Err(EndpointError::Malformed);
        }
        Ok(Self {
            literal,
            key: Arc::new(PoolKey { tls, host: host.to_ascii_lowercase().into(), port, trust }),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| EndpointError::Malformed)?,
            base_path: uri.path().trim_end_matches('/').into(),
            base_query: uri.query().map(Into::into),
        })
    }

    /// The `Host` header.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// The host's name or address, for logs and metrics.
    pub fn host(&self) -> &str {
        &self.key.host
    }

    /// Whether another is reached by the same scheme, host and port.
    pub fn is_same_origin(&self, other: &Self) -> bool {
        let origin = |endpoint: &Self| (endpoint.key.tls, endpoint.key.port);
        origin(self) == origin(other) && self.key.host == other.key.host
    }

    /// Whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        self.key.tls
    }

    /// The request target for a path below the base URL; `path` begins with `/` and may have a query. A query of the
    /// base URL comes first.
    ///
    /// # Errors
    /// [`EndpointError::Malformed`] when the path has characters that a URL has not, a fragment, or a dot segment that
    /// would lead out of the base path.
    pub fn target(&self, path: &str) -> Result<Uri, EndpointError> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let is_below = path.is_empty() || path.starts_with('/');
        if !is_below
            || has_dot_segment(path)
            || path.contains('#')
            || query.is_some_and(|query| query.contains('#'))
        {
            return Err(EndpointError::Malformed);
        }
        let mut text = format!("{}{path}", self.base_path);
        for (position, query) in self.base_query.as_deref().into_iter().chain(query).enumerate() {
            text.push(if position == 0 { '?' } else { '&' });
            text.push_str(query);
        }
        if !text.starts_with('/') {
            text.insert(0, '/');
        }
        let target = PathAndQuery::from_maybe_shared(text).map_err(|_| EndpointError::Malformed)?;
        Ok(Uri::from(target))
    }
}

/// Whether a segment is `.` or `..`, percent-encoded or not: servers resolve both (RFC 3986, 6.2.2).
fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(plain.as_str(), "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse(url, Trust::Operator).unwrap()
    }

    #[test]
    fn a_base_url_gives_host_port_and_target() {
        let check = |url: &str, host: &str, port: u16, path: &str, target: &str| {
            let endpoint = endpoint(url);
            assert_eq!((endpoint.host(), endpoint.key.port), (host, port), "{url}");
            assert_eq!(endpoint.target(path).unwrap().to_string(), target, "{url}");
        };
        check(
            "https://api.openai.com/v1",
            "api.openai.com",
            443,
            "/chat/completions",
            "/v1/chat/completions",
        );
        check(
            "https://api.openai.com/v1/",
            "api.openai.com",
            443,
            "/chat/completions",
            "/v1/chat/completions",
        );
        check("http://127.0.0.1:9101", "127.0.0.1", 9101, "/v1/models", "/v1/models");
        check("http://[::1]:9101/v1", "::1", 9101, "/models", "/v1/models");
        check("https://API.OpenAI.com:8443", "api.openai.com", 8443, "/v1?x=1", "/v1?x=1");
        check("https://x.test?api-version=1", "x.test", 443, "", "/?api-version=1");
        check("https://x.test", "x.test", 443, "", "/");
        check("https://x.test/a?api-version=1", "x.test", 443, "/b?alt=sse", "/a/b?api-version=1&alt=sse");
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_a_reason() {
        let check = |url: &str, expected: EndpointError| {
            assert_eq!(Endpoint::parse(url, Trust::Operator).unwrap_err(), expected, "{url}");
        };
        check("ftp://x.test", EndpointError::Scheme);
        check("file:///etc/passwd", EndpointError::Malformed);
        check("api.openai.com/v1", EndpointError::Malformed);
        check("/v1", EndpointError::Scheme);
        check("https://user:pass@x.test/v1", EndpointError::UserInfo);
        check("https://x.test@evil.test/v1", EndpointError::UserInfo);
        check("https://x.test/a b", EndpointError::Malformed);
        check("https://x.test\r\nHost: evil/", EndpointError::Malformed);
        check("", EndpointError::Malformed);
        check("https://x.test:0/v1", EndpointError::Port);
        check("https://x.test:99999/v1", EndpointError::Port);
        check("https://x.test:/v1", EndpointError::Port);
        check("http://[::1]:x/v1", EndpointError::Port);
        check("http://[127.0.0.1]/v1", EndpointError::Malformed);
        check("http://[localhost]/v1", EndpointError::Malformed);
        check("http://[fe80::1%25lo]/v1", EndpointError::Malformed);
        check("https://x.test/v1/../admin", EndpointError::Malformed);
        check("https://x.test/%2E%2e/v1", EndpointError::Malformed);
        check("https://evil.test\\@x.test/", EndpointError::Malformed);
        check("https://b\u{fc}cher.test/", EndpointError::Malformed);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let check = |url: &str, expect: bool| {
            let other = Endpoint::parse(url, Trust::Catalogue).unwrap();
            assert_eq!(endpoint("https://x.test/v1").is_same_origin(&other), expect, "{url}");
        };
        for url in ["https://x.test", "https://X.test:443/other?x=1"] {
            check(url, true);
        }
        for url in ["http://x.test:443", "https://x.test:8443", "https://y.x.test", "https://x.test."] {
            check(url, false);
        }
    }

    #[test]
    fn a_path_cannot_smuggle_a_line() {
        assert!(endpoint("http://x.test").target("/v1\r\nX: y").is_err());
        assert!(endpoint("http://x.test").target("/v1 HTTP/1.1").is_err());
    }

    #[test]
    fn a_path_cannot_leave_the_base_path_or_be_cut() {
        for path in [
            "/models/../../admin",
            "/models/..",
            "/./models",
            "/models/%2e%2E/admin",
            "/models/.%2e/admin",
            "/models/x#:generateContent",
            "/models?x=1#y",
            "models",
            "@evil.test/models",
        ] {
            assert_eq!(endpoint("http://x.test/v1").target(path), Err(EndpointError::Malformed), "{path}");
        }
        for path in ["/models/a..b", "/models/...", "/models/x%2Fy:generateContent"] {
            assert!(endpoint("http://x.test/v1").target(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_is_printed_has_no_query() {
        let printed = format!("{:?}", endpoint("https://x.test/v1?key=sk-secret"));
        assert!(printed.contains("x.test") && !printed.contains("sk-secret"), "{printed}");
    }
}
