//! `allowed_ips`: addresses and networks that a caller must come from.
//!
//! **Invariant:** an IPv4 address is the same in its own form and mapped into IPv6.

use std::net::{IpAddr, Ipv6Addr};

/// A network, as IPv6: IPv4 lies in `::ffff:0:0/96`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    start: u128,
    mask: u128,
}

/// A list of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    names: Box<[Box<str>]>,
    networks: Box<[Network]>,
}

impl Networks {
    /// The networks of these texts: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`. No texts are all networks.
    ///
    /// # Errors
    /// The first text that is neither an address nor a network.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut names: Vec<Box<str>> = Vec::new();
        let mut networks = Vec::new();
        for text in texts {
            networks.push(network(text.trim()).ok_or(text)?);
            names.push(text.into());
        }
        Ok(Self { names: names.into(), networks: networks.into() })
    }

    /// The texts as they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Whether it says nothing.
    pub fn is_unlimited(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether a caller may come from there.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = bits(address);
        self.is_unlimited() || self.networks.iter().any(|network| address & network.mask == network.start)
    }

    /// Whether each network lies in one of the other list. A list that says nothing is within any: it is held to the other
    /// one when it is used.
    pub fn are_within(&self, other: &Networks) -> bool {
        let is_in = |inner: &Network, outer: &Network| {
            inner.mask & outer.mask == outer.mask && inner.start & outer.mask == outer.start
        };
        let is_covered = |inner: &Network| other.networks.iter().any(|outer| is_in(inner, outer));
        other.is_unlimited() || self.networks.iter().all(is_covered)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn network(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => {
            // No sign, no spaces: only digits.
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            (address, Some(length.parse::<u32>().ok().filter(|_| digits)?))
        }
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (most, before) = if address.is_ipv4() { (32, 96) } else { (Ipv6Addr::BITS, 0) };
    let length = length.unwrap_or(most);
    if length > most {
        return None;
    }
    let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - before - length).unwrap_or(0);
    Some(Network { start: bits(address) & mask, mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[&str], address: &str, is_allowed: bool) {
        let networks = Networks::parse(list.iter().copied()).unwrap();
        assert_eq!(networks.allow(address.parse().unwrap()), is_allowed, "{list:?} {address}");
    }

    #[test]
    fn addresses_and_networks_are_told_apart_by_bits() {
        check(&[], "192.0.2.1", true);
        check(&["192.0.2.1"], "192.0.2.1", true);
        check(&["192.0.2.1"], "192.0.2.2", false);
        check(&["192.0.2.1"], "::ffff:192.0.2.1", true);
        check(&["::ffff:192.0.2.0/120"], "192.0.2.9", true);
        check(&["10.0.0.0/8", "192.0.2.0/31"], "10.255.0.1", true);
        check(&["10.0.0.0/8", "192.0.2.0/31"], "192.0.2.1", true);
        check(&["10.0.0.0/8", "192.0.2.0/31"], "192.0.2.2", false);
        check(&["10.1.2.3/8"], "10.200.0.1", true);
        check(&["0.0.0.0/0"], "203.0.113.7", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["::/0"], "203.0.113.7", true);
        check(&["2001:db8::/32"], "2001:db8:ffff::1", true);
        check(&["2001:db8::/32"], "2001:db9::1", false);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in
            ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "host", "10.0.0.0/8/8"]
        {
            assert_eq!(Networks::parse([text]), Err(text));
        }
    }

    #[test]
    fn a_childs_list_lies_within_its_parents() {
        let parse = |list: &[&'static str]| Networks::parse(list.iter().copied()).unwrap();
        let within =
            |child: &[&'static str], parent: &[&'static str]| parse(child).are_within(&parse(parent));
        assert!(within(&["10.1.0.0/16"], &["10.0.0.0/8"]));
        assert!(!within(&["10.0.0.0/8"], &["10.1.0.0/16"]));
        assert!(!within(&["10.0.0.0/8"], &["10.0.0.0/16"]));
        assert!(!within(&["0.0.0.0/0"], &["10.0.0.0/8"]));
        assert!(within(&["10.0.0.1"], &["::/0"]));
        assert!(!within(&["::/0"], &["0.0.0.0/0"]));
        assert!(within(&["10.0.0.1"], &[]));
        assert!(within(&[], &["10.0.0.1"]));
    }
}
