//! Which addresses are public. Everything that RFC 6890 and its registries call special is refused, in every spelling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// IPv4 special-purpose blocks (IANA registry of RFC 6890), first address and prefix length.
const V4_REFUSED: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // "this network", RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier NAT, RFC 6598; also one cloud's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, RFC 3927; metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments, RFC 6890; also one cloud's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation, RFC 5737
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast, RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved and broadcast, RFC 1112 and RFC 919
    (Ipv4Addr::new(168, 63, 129, 16), 32), // a public address that one cloud answers from inside the host
];

/// Only global unicast space exists in IPv6; these parts of it are special again (IANA registry of RFC 6890).
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const V6_REFUSED: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments with Teredo, RFC 2928 and RFC 4380
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation, RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4 with an IPv4 address inside, RFC 3056
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation, RFC 9637
];
/// NAT64 with a public IPv4 address inside is how a host without IPv4 reaches the rest (RFC 6052).
const V6_NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address is one that anybody on the internet could reach.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            if v6_in(ip, V6_NAT64) {
                let [.., a, b, c, d] = ip.octets();
                return is_public_v4(Ipv4Addr::new(a, b, c, d));
            }
            // What is mapped, compatible, unique local or link-local lies outside of global unicast.
            v6_in(ip, V6_GLOBAL) && !V6_REFUSED.iter().any(|block| v6_in(ip, *block))
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !V4_REFUSED.iter().any(|(base, len)| (u32::from(ip) ^ u32::from(*base)) >> (32 - len) == 0)
}

fn v6_in(ip: Ipv6Addr, (base, len): (Ipv6Addr, u32)) -> bool {
    (u128::from(ip) ^ u128::from(base)) >> (128 - len) == 0
}

/// Whether an address belongs to this machine, which may well have a public one: services that listen on it, the hub
/// among them, are not on the internet for an instance. Asks the routing table; nothing is sent.
pub(super) fn is_own(addr: SocketAddr) -> bool {
    let any: IpAddr = if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        // A UDP "connection" only fixes the route; a machine talks to its own address from that same address.
        socket.connect((addr.ip(), addr.port().max(1)))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == addr.ip())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_block_by_its_edges() {
        for (ip, public) in [
            ("1.1.1.1", true),
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("10.255.255.255", false),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.100.100.200", false),
            ("100.127.255.255", false),
            ("100.128.0.0", true),
            ("0.0.0.0", false),
            ("126.255.255.255", true),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("168.63.129.16", false),
            ("168.63.129.17", true),
            ("169.254.169.254", false),
            ("172.15.255.255", true),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("192.0.0.192", false),
            ("192.0.1.1", true),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("192.169.0.0", true),
            ("198.17.255.255", true),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.20.0.0", true),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("223.255.255.255", true),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b:1::8.8.8.8", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:1ff::1", false),
            ("2001:200::1", true),
            ("2001:4860:4860::8888", true),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("2002:808:808::", false),
            ("2606:4700::1", true),
            ("3fff:fff::1", false),
            ("4000::1", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }

    #[test]
    fn this_machine_is_recognised_by_its_address() {
        assert!(is_own("127.0.0.1:80".parse().unwrap()));
        assert!(!is_own("192.0.2.1:80".parse().unwrap()));
    }

    proptest! {
        // The standard library knows a part of the registry; where it says special, so must this.
        #[test]
        fn never_more_open_than_the_standard_library(bits in any::<u32>()) {
            let ip = Ipv4Addr::from(bits);
            let special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast()
                || ip.is_multicast() || ip.is_unspecified() || ip.is_documentation();
            prop_assert!(!(special && is_public(ip.into())), "{ip}");
        }

        #[test]
        fn a_private_address_stays_private_inside_another(host in any::<[u8; 3]>()) {
            let [b, c, d] = host;
            for a in [10, 127, 0, 224, 255] {
                let v4 = Ipv4Addr::new(a, b, c, d);
                let v4_parts = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
                let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, v4_parts[0], v4_parts[1]);
                let six_to_four = Ipv6Addr::new(0x2002, v4_parts[0], v4_parts[1], 0, 0, 0, 0, 1);
                let teredo = Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !v4_parts[0], !v4_parts[1]);
                for ip in [v4.to_ipv6_mapped(), v4.to_ipv6_compatible(), nat64, six_to_four, teredo] {
                    prop_assert!(!is_public(ip.into()), "{ip}");
                }
            }
        }

        #[test]
        fn ipv6_outside_of_global_unicast_is_refused(bits in any::<u128>()) {
            let ip = Ipv6Addr::from(bits);
            if ip.segments()[0] >> 13 != 1 && !v6_in(ip, V6_NAT64) {
                prop_assert!(!is_public(ip.into()), "{ip}");
            }
        }
    }
}
