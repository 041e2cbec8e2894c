//! A provider's base URL, parsed once when the configuration is read.

use crate::guard::Trust;
use http::Uri;
use http::header::HeaderValue;
use http::uri::PathAndQuery;
use std::net::IpAddr;

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
}

/// Where a deployment's requests go.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(crate) tls: bool,
    pub(crate) host: Box<str>,
    pub(crate) literal: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) trust: Trust,
    authority: HeaderValue,
    base_path: Box<str>,
    base_query: Option<Box<str>>,
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
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(EndpointError::Malformed);
        }
        Ok(Self {
            tls,
            host: host.into(),
            literal: host.parse().ok(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            trust,
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
        &self.host
    }

    /// The request target for a path below the base URL; `path` begins with `/` and may have a query. A query of the
    /// base URL comes first.
    ///
    /// # Errors
    /// [`EndpointError::Malformed`] when the path has characters that a URL has not.
    pub fn target(&self, path: &str) -> Result<Uri, EndpointError> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut text = format!("{}{path}", self.base_path);
        for (position, query) in self.base_query.as_deref().into_iter().chain(query).enumerate() {
            text.push(if position == 0 { '?' } else { '&' });
            text.push_str(query);
        }
        if text.is_empty() {
            text.push('/');
        }
        let target = PathAndQuery::from_maybe_shared(text).map_err(|_| EndpointError::Malformed)?;
        Ok(Uri::from(target))
    }
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
            assert_eq!((endpoint.host(), endpoint.port), (host, port), "{url}");
            assert_eq!(endpoint.target(path).unwrap().to_string(), target, "{url}");
        };
        check("https://api.openai.com/v1", "api.openai.com", 443, "/chat/completions", "/v1/chat/completions");
        check("https://api.openai.com/v1/", "api.openai.com", 443, "/chat/completions", "/v1/chat/completions");
        check("http://127.0.0.1:9101", "127.0.0.1", 9101, "/v1/models", "/v1/models");
        check("http://[::1]:9101/v1", "::1", 9101, "/models", "/v1/models");
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
    }

    #[test]
    fn a_path_cannot_smuggle_a_line() {
        assert!(endpoint("http://x.test").target("/v1\r\nX: y").is_err());
        assert!(endpoint("http://x.test").target("/v1 HTTP/1.1").is_err());
    }
}
