//! Which addresses may be connected to.
//!
//! Judged on the resolved address, never on its spelling, so that decimal, octal, mapped or rebinding names make no
//! difference. Special ranges are those of the IANA special-purpose registries (RFC 6890 and successors).
//! **Invariant:** an IPv6 address that nothing here knows is refused, not allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports that a person's URL may name: the web's own and their usual stand-ins. Nothing else that listens somewhere is
/// meant to be reached through the gateway.
const CALLER_PORTS: [u16; 4] = [80, 443, 8_080, 8_443];
/// Where Azure's host answers its guests; the only metadata service at an address that looks public.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Who named the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The operator's configuration: private and loopback addresses are meant. A name that was public when it was first
    /// resolved may not turn private later (DNS rebinding).
    Operator,
    /// The built-in provider table: a public service, so only public addresses.
    Catalogue,
    /// A person through a request: only public addresses, and only the web's ports.
    Caller,
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// Anyone's.
    Public,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// This link; cloud metadata services live here.
    LinkLocal,
    /// Never a destination: unspecified, multicast, broadcast, documentation, benchmarking, reserved.
    Never,
}

/// The class of an address; addresses that carry an IPv4 address inside (mapped, NAT64, 6to4) are judged by it.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        _ if address == AZURE_HOST => AddressClass::LinkLocal,
        (127, ..) => AddressClass::Loopback,
        (10, ..) | (192, 168, _) => AddressClass::Private,
        (172, 16..=31, _) | (100, 64..=127, _) => AddressClass::Private,
        (169, 254, _) => AddressClass::LinkLocal,
        (0 | 224..=255, ..) => AddressClass::Never,
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) | (192, 88, 99) => {
            AddressClass::Never
        }
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if let Some(inner) = embedded_v4(address) {
        return classify_v4(inner);
    }
    let [first, second, third, ..] = address.segments();
    match first {
        _ if address == Ipv6Addr::LOCALHOST => AddressClass::Loopback,
        _ if address == Ipv6Addr::UNSPECIFIED => AddressClass::Never,
        0xfc00..=0xfdff => AddressClass::Private,
        0xfe80..=0xfebf => AddressClass::LinkLocal,
        0xfec0..=0xfeff => AddressClass::Private,
        0xff00..=0xffff | 0x0100 => AddressClass::Never,
        // A network's own NAT64 prefix (RFC 8215): where the IPv4 address stands in it is that network's secret.
        0x0064 if second == 0xff9b && third == 1 => AddressClass::Private,
        0x2001 if second == 0x0db8 || second < 0x0200 => AddressClass::Never,
        0x3fff if second < 0x1000 => AddressClass::Never,
        0x2000..=0x3fff => AddressClass::Public,
        _ => AddressClass::Never,
    }
}

/// The IPv4 address inside `::ffff:a.b.c.d`, `::a.b.c.d`, `64:ff9b::/96` and `2002::/16`.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => from(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => from(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => from(high, low),
        [0x2002, high, low, ..] => from(high, low),
        _ => None,
    }
}

/// Whether a port may be connected to.
pub fn permits_port(trust: Trust, port: u16) -> bool {
    match trust {
        Trust::Operator | Trust::Catalogue => true,
        Trust::Caller => CALLER_PORTS.contains(&port),
    }
}

/// Whether an address may be connected to. `literal`: the host was written as an address, not a name.
/// `first` is the class of the name's first resolution in this process.
pub fn permits(trust: Trust, literal: bool, first: AddressClass, class: AddressClass) -> bool {
    match (trust, class) {
        (_, AddressClass::Public) => true,
        (_, AddressClass::Never) => false,
        (Trust::Catalogue | Trust::Caller, _) => false,
        (Trust::Operator, AddressClass::LinkLocal) => literal,
        (Trust::Operator, AddressClass::Loopback | AddressClass::Private) => {
            literal || first != AddressClass::Public
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().unwrap())
    }

    #[test]
    fn every_special_range_is_known() {
        use AddressClass::{LinkLocal, Loopback, Never, Private, Public};
        for (address, expected) in [
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.128.0.1", Public),
            ("169.254.169.254", LinkLocal),
            ("0.0.0.0", Never),
            ("0.1.2.3", Never),
            ("224.0.0.1", Never),
            ("239.1.1.1", Never),
            ("255.255.255.255", Never),
            ("240.0.0.1", Never),
            ("192.0.2.1", Never),
            ("192.0.0.8", Never),
            ("198.51.100.7", Never),
            ("203.0.113.9", Never),
            ("198.18.0.1", Never),
            ("198.19.255.255", Never),
            ("192.88.99.1", Never),
            ("168.63.129.16", LinkLocal),
            ("168.63.129.17", Public),
            ("8.8.8.8", Public),
            ("1.1.1.1", Public),
            ("::1", Loopback),
            ("::", Never),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", LinkLocal),
            ("::ffff:10.1.2.3", Private),
            ("::ffff:8.8.8.8", Public),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::127.0.0.1", Loopback),
            ("64:ff9b::a9fe:a9fe", LinkLocal),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b:0:1::8.8.8.8", Never),
            ("64:ff9b:1::10.0.0.1", Private),
            ("64:ff9b:1:7f00:0:100:808:808", Private),
            ("::ffff:0:127.0.0.1", Never),
            ("::2", Never),
            ("2002:7f00:1::", Loopback),
            ("2002:a9fe:a9fe::1", LinkLocal),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", Private),
            ("5f00::1", Never),
            ("100.100.100.200", Private),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Never),
            ("100::1", Never),
            ("2001:db8::1", Never),
            ("2001:0::1", Never),
            ("3fff:fff::1", Never),
            ("4000::1", Never),
            ("2606:4700::1111", Public),
            ("2a00:1450::200e", Public),
        ] {
            assert_eq!(class(address), expected, "{address}");
        }
    }

    #[test]
    fn who_may_reach_what() {
        use AddressClass::{LinkLocal, Loopback, Never, Private, Public};
        for class in [Loopback, Private, LinkLocal, Never] {
            for literal in [false, true] {
                assert!(!permits(Trust::Caller, literal, class, class), "caller {class:?}");
                assert!(!permits(Trust::Catalogue, literal, class, class), "catalogue {class:?}");
            }
        }
        for trust in [Trust::Caller, Trust::Catalogue, Trust::Operator] {
            assert!(permits(trust, false, Public, Public));
            assert!(!permits(trust, true, Never, Never));
        }
        assert!(permits(Trust::Operator, true, Loopback, Loopback));
        assert!(permits(Trust::Operator, false, Private, Private));
        assert!(permits(Trust::Operator, false, Private, Loopback));
        assert!(!permits(Trust::Operator, false, LinkLocal, LinkLocal));
        assert!(permits(Trust::Operator, true, LinkLocal, LinkLocal));
    }

    #[test]
    fn a_person_reaches_the_webs_ports_alone() {
        for port in [80, 443, 8_080, 8_443] {
            assert!(permits_port(Trust::Caller, port), "{port}");
        }
        for port in [0, 22, 25, 53, 6_379, 5_432, 9_200, 65_535] {
            assert!(!permits_port(Trust::Caller, port), "{port}");
            assert!(permits_port(Trust::Operator, port), "{port}");
        }
    }

    #[test]
    fn a_name_that_was_public_may_not_turn_inward() {
        for class in [AddressClass::Loopback, AddressClass::Private, AddressClass::LinkLocal] {
            assert!(!permits(Trust::Operator, false, AddressClass::Public, class), "{class:?}");
        }
    }
}
