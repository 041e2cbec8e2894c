//! Addresses that an operator may write: of providers and of trusted proxies.
//!
//! Owns: what an `http` or `https` base address may look like, and CIDR ranges. Leaves to others: connecting, and
//! which hosts may be connected to (upstream).
//!
//! **Invariant:** an accepted base address has no user name, password, fragment, white space or control character.

use std::net::IpAddr;

/// Longest base address.
const ADDRESS_BYTES_MAX: usize = 2048;

/// Why `text` is not a base address, in words that repeat none of it; `None` if it is one.
pub(crate) fn why_not(text: &str) -> Option<&'static str> {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let scheme_length = match () {
        () if lower.starts_with("https://") => 8,
        () if lower.starts_with("http://") => 7,
        () => return Some("it must begin with http:// or https://"),
    };
    let rest = text.get(scheme_length..).unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let checks = [
        (text.len() > ADDRESS_BYTES_MAX, "it is too long"),
        (
            text.chars().any(|c| c.is_control() || c.is_whitespace()),
            "it has white space or a control character",
        ),
        (text.contains('\\'), "it has a backslash"),
        (authority.contains('@'), "a user name or password does not belong in it"),
        (text.contains('#'), "a fragment does not belong in it"),
        (!is_host_and_port(authority), "its host or port is not one"),
    ];
    checks.into_iter().find(|(is_wrong, _)| *is_wrong).map(|(_, why)| why)
}

/// `text` without its query, which may hold a key.
pub(crate) fn without_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else { return false };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        match after.strip_prefix(':') {
            Some(port) => return is_port(port),
            None => return after.is_empty(),
        }
    } else {
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(is_host_byte) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A range of addresses, such as `10.0.0.0/8`; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    prefix_bits: u8,
}

impl AddressRange {
    /// Reads `10.0.0.0/8`, `::1` or the like; `None` if `text` is neither an address nor a range.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let first: IpAddr = address.trim().parse().ok()?;
        let bits_max: u8 = if first.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(bits) => bits.trim().parse().ok().filter(|bits| *bits <= bits_max)?,
            None => bits_max,
        };
        Some(Self { first, prefix_bits })
    }

    /// Whether `address` is in the range; an IPv4 address inside an IPv6 one counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, width) = bits(self.first);
        let (other, other_width) = bits(address.to_canonical());
        let skipped = width - u32::from(self.prefix_bits);
        width == other_width
            && first.checked_shr(skipped).unwrap_or(0) == other.checked_shr(skipped).unwrap_or(0)
    }
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_address_is_http_without_secrets_in_it() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(why_not(text), expect, "{text}");
        check("https://api.openai.com/v1", None);
        check("HTTP://localhost:8080", None);
        check("http://[::1]:8080/v1", None);
        check("https://x.openai.azure.com/openai?api-version=1", None);
        check("https://internal_host/v1", None);
        let host = Some("its host or port is not one");
        for text in [
            "http://",
            "http:///v1",
            "http://a:b",
            "http://a:0",
            "http://a:70000",
            "http://[::1",
            "http://ä/",
        ] {
            check(text, host);
        }
        check("ftp://a", Some("it must begin with http:// or https://"));
        check("file:///etc/passwd", Some("it must begin with http:// or https://"));
        check("api.openai.com", Some("it must begin with http:// or https://"));
        check("https://user:pass@a/", Some("a user name or password does not belong in it"));
        check("https://a/ b", Some("it has white space or a control character"));
        check("https://a\\@b/", Some("it has a backslash"));
        check("https://a/#x", Some("a fragment does not belong in it"));
        check("é", Some("it must begin with http:// or https://"));
        check(&format!("https://a/{}", "x".repeat(3000)), Some("it is too long"));
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let check = |range: &str, address: &str, expect: bool| {
            let range = AddressRange::parse(range).expect("a range");
            assert_eq!(range.contains(address.parse().expect("an address")), expect, "{range:?} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("192.168.1.7", "192.168.1.7", true);
        check("192.168.1.7", "192.168.1.8", false);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0", "a/8", "10.0.0.0/-1"] {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
