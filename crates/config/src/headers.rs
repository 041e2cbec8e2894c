//! Headers that an operator adds to requests.
//!
//! Owns: which names and values are fit for it. Leaves to others: putting them on the wire (server).
//!
//! **Invariant:** no header that frames, addresses or authorizes a request is among them, unless it is allowed by name.

use crate::report::Collector;
use crate::secret::Secret;
use crate::yaml::Entry;

/// Headers that an operator adds, names in lower case. `allowed` may be set though the gateway sets it otherwise.
pub(crate) fn headers(
    written: &[Entry],
    path: &str,
    allowed: &[&str],
    found: &mut Collector,
) -> Vec<(String, Secret)> {
    let mut headers = Vec::new();
    for entry in written {
        let Some(value) = entry.value.text() else { continue };
        let name = entry.key.to_ascii_lowercase();
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let path = format!("{path}.{}", crate::report::printable(&entry.key));
        if name.is_empty() || !name.bytes().all(is_token) {
            found.error(entry.place, &path, "is no name of a header");
        } else if OWN_HEADERS.contains(&name.as_str()) && !allowed.contains(&name.as_str()) {
            found.error(entry.place, &path, "is set by the gateway alone");
        } else if value.chars().any(char::is_control) {
            // The value's type has been refused already.
        } else if !value.is_ascii() {
            found.error(entry.place, &path, "wants printable ASCII");
        } else {
            headers.push((name, Secret::new(value)));
        }
    }
    headers
}

/// Headers that frame or address a request, or that carry the provider's key.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
