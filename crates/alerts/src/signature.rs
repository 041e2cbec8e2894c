//! The signature by which a webhook knows that an alert is Tollgate's.
//!
//! Owns: the header's name and how its value is made: `t=1795409187,v1=5257a8...`, where `v1` is the hex HMAC-SHA256
//! (RFC 2104) of the moment, a full stop and the body, under the shared secret. Leaves to others: when a webhook is
//! signed. The moment is within what is signed, so that an old message cannot be sent again as a new one.
//!
//! **Invariant:** the bytes that are signed are the bytes that are sent.

use ring::hmac::{HMAC_SHA256, Key, sign};

/// Where the signature stands.
pub(crate) const HEADER: &str = "x-tollgate-signature";

/// The value of the header for a body that is sent at this moment, in seconds since 1970.
pub(crate) fn value(secret: &str, seconds: i64, body: &[u8]) -> String {
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    let signed = [seconds.to_string().as_bytes(), b".", body].concat();
    format!("t={seconds},v1={}", hex(sign(&key, &signed).as_ref()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_others_compute_too() {
        // By Python: hmac.new(b"whsec", b"1795409187." + body, "sha256").hexdigest()
        let expect = "t=1795409187,v1=2e03e1dae35ad3b7f161d5d0d47568cf782679dda22abfcd446929432601574c";
        assert_eq!(value("whsec", 1_795_409_187, br#"{"event":"outage"}"#), expect);
    }

    #[test]
    fn body_moment_and_secret_all_matter() {
        let of = |secret: &str, seconds: i64, body: &[u8]| {
            value(secret, seconds, body).split_once(",v1=").map(|(_, mac)| mac.to_owned())
        };
        let one = of("a", 1, b"x");
        assert!(one != of("b", 1, b"x") && one != of("a", 2, b"x") && one != of("a", 1, b"y"));
    }
}
