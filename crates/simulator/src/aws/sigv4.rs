//! AWS Signature Version 4, the receiving side.
//!
//! Owns: reading the `Authorization` header, the canonical request, the recomputed signature, the clock's tolerance (AWS
//! General Reference, "Signature Version 4 signing process"). Leaves to others: which keys there are (`keys`).
//!
//! **Invariant:** a request passes only when its signature, recomputed from the bytes that came, is the one it brought.

use super::date;
use crate::surface::percent_decode;
use http::HeaderMap;
use http::request::Parts;
use ring::{digest, hmac};
use std::fmt::Write as _;

/// How far a request's date may be from now (seconds).
const SKEW_SECONDS_MAX: u64 = 300;

/// Why a signature is refused, by the name that AWS gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no authorization at all.
    Missing,
    /// The header, or what it must name, is not complete.
    Incomplete(String),
    /// The signature, its date or its scope is wrong.
    Invalid(String),
}

/// An `Authorization` header, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature<'a> {
    pub(crate) access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// The algorithm's name, with which the header begins.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Reads the header.
pub(crate) fn read(headers: &HeaderMap) -> Result<Signature<'_>, Refusal> {
    let header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header else { return Err(Refusal::Missing) };
    let Some(rest) = header.strip_prefix(ALGORITHM) else { return Err(Refusal::Missing) };
    let field = |name: &str| {
        let mut parts = rest.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let mut wanted = String::new();
    for name in ["Credential", "Signature", "SignedHeaders"] {
        if field(name).is_none_or(str::is_empty) {
            let _ = write!(wanted, "Authorization header requires '{name}' parameter. ");
        }
    }
    if !wanted.is_empty() {
        return Err(Refusal::Incomplete(format!("{wanted}Authorization={ALGORITHM}")));
    }
    let scope: Vec<&str> = field("Credential").unwrap_or_default().split('/').collect();
    let &[access_key, date, region, service, "aws4_request"] = scope.as_slice() else {
        return Err(Refusal::Incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term"
                .to_owned(),
        ));
    };
    Ok(Signature {
        access_key,
        date,
        region,
        service,
        signed_headers: field("SignedHeaders").unwrap_or_default().split(';').collect(),
        signature: field("Signature").unwrap_or_default(),
    })
}

/// Checks a signature made with `secret` for `service`; `now` is in seconds since 1970.
pub(crate) fn verify(
    signature: &Signature<'_>,
    secret: &str,
    service: &str,
    (head, body): (&Parts, &[u8]),
    now: u64,
) -> Result<(), Refusal> {
    let stamp = stamp(&head.headers)?;
    fresh(stamp, now)?;
    if !stamp.starts_with(signature.date) {
        return Err(Refusal::Invalid(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
             '{}', from '{stamp}'.",
            signature.date,
            stamp.get(..8).unwrap_or_default(),
        )));
    }
    if signature.service != service {
        return Err(Refusal::Invalid(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    if signature.region.is_empty() {
        return Err(Refusal::Invalid("Credential should be scoped to a valid region. ".to_owned()));
    }
    signed_headers(signature, &head.headers)?;
    let canonical = canonical_request(signature, head, body);
    let scope = format!("{}/{}/{}/aws4_request", signature.date, signature.region, signature.service);
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", hex_sha256(canonical.as_bytes()));
    let key = [signature.date, signature.region, signature.service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, text| sign(&key, text));
    if hex(&sign(&key, &to_sign)) == signature.signature {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this \
         request should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
    )))
}

fn stamp(headers: &HeaderMap) -> Result<&str, Refusal> {
    headers.get("x-amz-date").and_then(|value| value.to_str().ok()).ok_or_else(|| {
        Refusal::Incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
        )
    })
}

fn fresh(stamp: &str, now: u64) -> Result<(), Refusal> {
    let Some(signed) = date::read_basic(stamp) else {
        return Err(Refusal::Incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{stamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )));
    };
    let now_text = date::basic(now);
    if signed + SKEW_SECONDS_MAX < now {
        let earliest = date::basic(now.saturating_sub(SKEW_SECONDS_MAX));
        return Err(Refusal::Invalid(format!(
            "Signature expired: {stamp} is now earlier than {earliest} ({now_text} - 5 min.)"
        )));
    }
    if signed > now + SKEW_SECONDS_MAX {
        let latest = date::basic(now + SKEW_SECONDS_MAX);
        return Err(Refusal::Invalid(format!(
            "Signature not yet current: {stamp} is still later than {latest} ({now_text} + 5 min.)"
        )));
    }
    Ok(())
}

/// `host` and every `x-amz-` header that came must be signed.
fn signed_headers(signature: &Signature<'_>, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut wanted = vec!["host"];
    wanted.extend(headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")));
    match wanted.iter().find(|name| !signature.signed_headers.contains(*name)) {
        Some(name) => {
            Err(Refusal::Invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")))
        }
        None => Ok(()),
    }
}

fn canonical_request(signature: &Signature<'_>, head: &Parts, body: &[u8]) -> String {
    let mut text = format!(
        "{}\n{}\n{}\n",
        head.method,
        canonical_path(head.uri.path()),
        canonical_query(head.uri.query().unwrap_or_default())
    );
    for name in &signature.signed_headers {
        let values = head.headers.get_all(*name).iter();
        let values: Vec<String> =
            values.map(|value| trimmed(&String::from_utf8_lossy(value.as_bytes()))).collect();
        let _ = writeln!(text, "{name}:{}", values.join(","));
    }
    let _ = write!(text, "\n{}\n{}", signature.signed_headers.join(";"), hex_sha256(body));
    text
}

/// A header's value without outer blanks, inner runs of blanks being one.
fn trimmed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The path as it came, without dot segments, encoded once more (every service but S3 does).
fn canonical_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        if segment == ".." {
            kept.pop();
        } else {
            kept.push(segment);
        }
    }
    let tail = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{tail}", kept.into_iter().map(encode).collect::<Vec<_>>().join("/"))
}

fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(&percent_decode(name)), encode(&percent_decode(value))))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex_sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of AWS's worked example ("Signing AWS requests": ListUsers), with its published signature.
    fn example(signature: &str) -> Parts {
        let scope = "AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request";
        let request = http::Request::get("/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("host", "iam.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header(
                "authorization",
                format!(
                    "{ALGORITHM} Credential={scope}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
                ),
            );
        request.body(()).unwrap().into_parts().0
    }

    const PUBLISHED: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z
    const THEN: u64 = 1_440_938_160;

    fn check(head: &Parts, secret: &str, service: &str, now: u64) -> Result<(), Refusal> {
        verify(&read(&head.headers)?, secret, service, (head, b""), now)
    }

    #[test]
    fn the_published_example_verifies() {
        assert_eq!(check(&example(PUBLISHED), SECRET, "iam", THEN), Ok(()));
        assert_eq!(check(&example(PUBLISHED), SECRET, "iam", THEN + 300), Ok(()));
    }

    #[test]
    fn what_is_wrong_with_a_signature_is_said() {
        let refused = |head: &Parts, secret, service, now, words: &str| {
            let found = format!("{:?}", check(head, secret, service, now).unwrap_err());
            assert!(found.contains(words), "{found}");
        };
        let good = example(PUBLISHED);
        refused(&good, "other", "iam", THEN, "does not match the signature");
        refused(&example("00"), SECRET, "iam", THEN, "does not match the signature");
        refused(&good, SECRET, "bedrock", THEN, "scoped to correct service: 'bedrock'");
        refused(&good, SECRET, "iam", THEN + 301, "Signature expired: 20150830T123600Z is now earlier than");
        refused(&good, SECRET, "iam", THEN - 301, "Signature not yet current");
        let mut changed = example(PUBLISHED);
        changed.headers.insert("x-amz-target", http::HeaderValue::from_static("t"));
        refused(&changed, SECRET, "iam", THEN, "'x-amz-target' must be a 'SignedHeader'");
        changed.headers.remove("x-amz-date");
        refused(&changed, SECRET, "iam", THEN, "requires existence of either");
    }

    #[test]
    fn a_header_without_all_its_parts_is_incomplete() {
        for (header, words) in [
            ("Bearer x", "Missing"),
            ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", "requires 'Signature' parameter"),
            ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=x", "exactly 5 slash-delimited"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", http::HeaderValue::from_static(header));
            assert!(format!("{:?}", read(&headers)).contains(words), "{header}");
        }
    }

    #[test]
    fn paths_are_encoded_twice_and_queries_sorted() {
        assert_eq!(canonical_path("/model/a%3A0/converse"), "/model/a%253A0/converse");
        assert_eq!(canonical_path("/model/a:0//x/../invoke/"), "/model/a%3A0/invoke/");
        assert_eq!(canonical_path("/"), "/");
        assert_eq!(canonical_query("b=2&a=x%20y&a"), "a=&a=x%20y&b=2");
        assert_eq!(trimmed("  a   b "), "a b");
    }
}
