//! AWS Signature Version 4, as every service but S3 wants it.
//!
//! The rules are those of "Create a signed AWS API request" in the IAM user guide. Pure: the time is an argument. Path
//! segments are encoded once more than they are on the wire, so a `%3A` of a model's ARN is signed as `%253A`.
//! **Invariant:** what is signed is what goes out: the target and headers that are given, and the digest of the body.

use crate::aws::AwsKeys;
use crate::encoding::{hex, percent_into, unpercent};
use crate::error::CredentialError;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use ring::digest;
use ring::hmac;
use std::collections::BTreeMap;
use std::time::SystemTime;
use time::OffsetDateTime;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// As it goes out, in upper case.
    pub method: &'a str,
    /// Path and query as they go out.
    pub target: &'a str,
    /// The headers to sign, the host among them, in any order and case. Those that [`sign`] adds are signed besides.
    pub headers: &'a [(&'a str, &'a str)],
    /// From [`body_sha256`].
    pub body_sha256: [u8; 32],
}

/// Where and when a signature holds.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// For example `us-east-1`.
    pub region: &'a str,
    /// The service's signing name, `bedrock` for Bedrock's runtime.
    pub service: &'a str,
    /// AWS takes what is at most five minutes off.
    pub now: SystemTime,
}

/// The digest of a body that lies in several pieces.
pub fn body_sha256<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for piece in pieces {
        context.update(piece);
    }
    fixed(context.finish().as_ref())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SHA-256 has 32 bytes.
fn fixed(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (place, byte) in array.iter_mut().zip(bytes) {
        *place = *byte;
    }
    array
}

/// The headers to add to a request: `x-amz-date`, `authorization`, and `x-amz-security-token` for temporary keys.
///
/// # Errors
/// The region, the service or a key has characters that no header takes.
pub fn sign(request: &Request<'_>, keys: &AwsKeys, scope: &Scope<'_>) -> Result<HeaderMap, CredentialError> {
    let stamp = timestamp(scope.now);
    let day = stamp.get(..8).unwrap_or_default();
    let mut added = vec![(DATE, stamp.clone())];
    added.extend(keys.session_token().map(|token| (TOKEN, token.expose().to_owned())));
    let (canonical, signed_headers) = canonical_request(request, &added);
    let credential_scope = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{credential_scope}\n{}", hex(&sha256(canonical.as_bytes())));
    let secret = format!("AWS4{}", keys.secret_access_key().expose());
    let mut key = mac(secret.as_bytes(), day.as_bytes());
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(key.as_ref(), part.as_bytes());
    }
    let signature = hex(mac(key.as_ref(), to_sign.as_bytes()).as_ref());
    let authorization = format!(
        "{ALGORITHM} Credential={}/{credential_scope}, SignedHeaders={signed_headers}, Signature={signature}",
        keys.access_key_id()
    );
    let mut headers = HeaderMap::new();
    for (name, text) in added.into_iter().chain([(AUTHORIZATION, authorization)]) {
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| CredentialError::new("a region or a key has characters that no header takes"))?;
        value.set_sensitive(name != DATE);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

/// `20150830T123600Z`.
fn timestamp(now: SystemTime) -> String {
    let now = OffsetDateTime::from(now);
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second) = now.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

/// The canonical request, and the names of its headers.
fn canonical_request(request: &Request<'_>, added: &[(HeaderName, String)]) -> (String, String) {
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let given = request.headers.iter().copied();
    for (name, value) in given.chain(added.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        headers.entry(name.trim().to_ascii_lowercase()).or_default().push(single_spaced(value));
    }
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let lines: String =
        headers.iter().map(|(name, values)| format!("{name}:{}\n", values.join(","))).collect();
    let text = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        canonical_path(path),
        canonical_query(query),
        hex(&request.body_sha256)
    );
    (text, names)
}

/// Without spaces at the ends, and no two in a row.
fn single_spaced(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Dot segments and empty ones gone, every other one encoded as it stands.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::new();
    for segment in &segments {
        canonical.push('/');
        percent_into(&mut canonical, segment.as_bytes());
    }
    let ends_open = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if canonical.is_empty() || ends_open {
        canonical.push('/');
    }
    canonical
}

/// Names and values encoded alike, however they are written, and sorted as they are encoded.
fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let mut encoded = String::new();
        percent_into(&mut encoded, &unpercent(text));
        encoded
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encode(name), encode(value))
        })
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_are_written_as_aws_wants_them() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (1_709_164_799, "20240228T235959Z"),
            (1_709_251_199, "20240229T235959Z"),
            (4_102_444_800, "21000101T000000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_path_is_encoded_once_more_than_on_the_wire() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a//b", "/a/b"),
            ("/a/../b/./c", "/b/c"),
            ("/a/..", "/"),
            ("/../a", "/a"),
            (
                "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
                "/model/anthropic.claude-3-haiku-20240307-v1%253A0/converse",
            ),
            ("/model/anthropic.claude-v2:1/invoke", "/model/anthropic.claude-v2%3A1/invoke"),
            (
                "/model/arn%3Aaws%3Abedrock%3A%3A1%3Aip%2Fx",
                "/model/arn%253Aaws%253Abedrock%253A%253A1%253Aip%252Fx",
            ),
        ] {
            assert_eq!(canonical_path(path), expected, "{path}");
        }
    }

    #[test]
    fn a_query_is_the_same_however_it_is_written() {
        for (query, expected) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a", "a="),
            ("a=b=c", "a=b%3Dc"),
            ("a=%2f&a=/", "a=%2F&a=%2F"),
            ("a=x+y", "a=x%2By"),
            ("&a=1&&", "a=1"),
        ] {
            assert_eq!(canonical_query(query), expected, "{query}");
        }
    }

    #[test]
    fn a_body_has_one_digest_however_it_is_cut() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(&body_sha256([])), empty);
        assert_eq!(body_sha256([&b"ab"[..], b"", b"c"]), body_sha256([&b"abc"[..]]));
    }
}
