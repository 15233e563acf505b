//! The words of the flow syntax.

use crate::packet::{IpFamily, Protocol};

/// The words that stand alone: what they say of the family, and of the protocol.
pub(super) const PROTOCOLS: [(&str, Option<IpFamily>, Option<Protocol>); 10] = [
    ("tcp", None, Some(Protocol::TCP)),
    ("tcp6", Some(IpFamily::V6), Some(Protocol::TCP)),
    ("udp", None, Some(Protocol::UDP)),
    ("udp6", Some(IpFamily::V6), Some(Protocol::UDP)),
    ("sctp", None, Some(Protocol::SCTP)),
    ("sctp6", Some(IpFamily::V6), Some(Protocol::SCTP)),
    ("icmp", None, Some(Protocol::ICMP)),
    ("icmp6", Some(IpFamily::V6), Some(Protocol::ICMPV6)),
    ("ip", Some(IpFamily::V4), None),
    ("ipv6", Some(IpFamily::V6), None),
];

/// The words that take a value.
pub(super) const KEYS: [(&str, Key); 17] = [
    ("tcp_src", Key::SourcePort(Some(Protocol::TCP))),
    ("tcp_dst", Key::DestinationPort(Some(Protocol::TCP))),
    ("tcp_flags", Key::TcpFlags),
    ("udp_src", Key::SourcePort(Some(Protocol::UDP))),
    ("udp_dst", Key::DestinationPort(Some(Protocol::UDP))),
    ("sctp_src", Key::SourcePort(Some(Protocol::SCTP))),
    ("sctp_dst", Key::DestinationPort(Some(Protocol::SCTP))),
    ("tp_src", Key::SourcePort(None)),
    ("tp_dst", Key::DestinationPort(None)),
    ("icmp_type", Key::IcmpType(Protocol::ICMP)),
    ("icmp_code", Key::IcmpCode(Protocol::ICMP)),
    ("icmpv6_type", Key::IcmpType(Protocol::ICMPV6)),
    ("icmpv6_code", Key::IcmpCode(Protocol::ICMPV6)),
    ("nw_proto", Key::Protocol),
    ("nw_ttl", Key::Ttl),
    ("ip_dscp", Key::Dscp),
    ("ct_state", Key::ConnectionState),
];

/// Keys of ovs-ofctl that say what other arguments say.
pub(super) const ENDS: [&str; 9] = [
    "nw_src", "nw_dst", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "dl_src", "dl_dst", "in_port",
];

/// What a key says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    SourcePort(Option<Protocol>),
    DestinationPort(Option<Protocol>),
    TcpFlags,
    IcmpType(Protocol),
    IcmpCode(Protocol),
    Protocol,
    Ttl,
    Dscp,
    ConnectionState,
}

impl Key {
    /// The protocol that this key is about, if it is about one.
    pub(super) fn protocol(self) -> Option<Protocol> {
        match self {
            Self::SourcePort(protocol) | Self::DestinationPort(protocol) => protocol,
            Self::TcpFlags => Some(Protocol::TCP),
            Self::IcmpType(protocol) | Self::IcmpCode(protocol) => Some(protocol),
            Self::Protocol | Self::Ttl | Self::Dscp | Self::ConnectionState => None,
        }
    }
}

/// The key that this word is.
pub(super) fn key(word: &str) -> Option<Key> {
    KEYS.iter().find(|(known, _)| *known == word).map(|(_, key)| *key)
}

/// The word that stands for this protocol.
pub(super) fn word_of(protocol: Protocol) -> &'static str {
    let found = PROTOCOLS.iter().find(|(_, _, known)| *known == Some(protocol));
    found.map_or("nw_proto", |(word, ..)| word)
}

/// All words, for messages.
pub(super) const WORDS: [&str; PROTOCOLS.len() + KEYS.len() + 1] = {
    let mut words = ["new"; PROTOCOLS.len() + KEYS.len() + 1];
    let mut at = 0;
    while at < PROTOCOLS.len() {
        words[at] = PROTOCOLS[at].0;
        at += 1;
    }
    while at < PROTOCOLS.len() + KEYS.len() {
        words[at] = KEYS[at - PROTOCOLS.len()].0;
        at += 1;
    }
    words
};
