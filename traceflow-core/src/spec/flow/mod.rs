//! The `-f` flow syntax: ovs-ofctl's names for the headers of a packet, such as `tcp,tcp_dst=80`.

mod items;
mod words;

use std::num::{NonZeroU8, NonZeroU16};
use std::ops::RangeInclusive;
use std::str::FromStr;

use self::items::{Flow, Item, invalid};
use self::words::{ENDS, KEYS, Key, PROTOCOLS, WORDS, key, word_of};
use super::packet::{PacketSpec, TransportSpec};
use crate::input::{BadInput, Problem, meant, one_of, quoted};
use crate::packet::{IpFamily, Protocol, TcpFlags};
use crate::plan::{FLAG_NAMES, TcpFlagsMatch};

impl FromStr for PacketSpec {
    type Err = BadInput;

    /// Reads the flow syntax of `-f`: words and `key=value` pairs, separated by commas; spaces don't matter.
    ///
    /// * One protocol: `tcp`, `udp`, `sctp`, `icmp`, their IPv6 forms `tcp6`, `udp6`, `sctp6`, `icmp6`, or any by
    ///   number, `nw_proto=47`. A key such as `tcp_dst` implies its protocol.
    /// * The family, where the addresses leave it open: `ip` or `ipv6`. `ipv6,tcp` is the same as `tcp6`; `tcp` alone
    ///   is of the family that both ends have.
    /// * `tcp_src`, `tcp_dst`, `udp_src`, `udp_dst`, `sctp_src`, `sctp_dst`; also `tp_src` and `tp_dst` after the
    ///   protocol.
    /// * `tcp_flags`, as a number, or `+syn-ack`: those with `+` must be set, those with `-` must not.
    /// * `icmp_type`, `icmp_code`, `icmpv6_type`, `icmpv6_code`.
    /// * `nw_ttl` (of injected packets), `ip_dscp`.
    /// * `new`, the same as `ct_state=+new`: of live traffic, only the first packet of a connection.
    ///
    /// Numbers may be decimal or, with `0x`, hexadecimal. Errors carry the column in the text.
    ///
    /// ```
    /// use traceflow_core::spec::PacketSpec;
    ///
    /// let dns: PacketSpec = "udp, udp_dst = 53".parse()?;
    /// assert_eq!(dns, "udp_dst=0x35".parse()?);
    /// assert_eq!(
    ///     "tcp,udp_dst=53".parse::<PacketSpec>().unwrap_err().to_string(),
    ///     "flow:1:5: udp_dst: belongs to UDP, but the packet is TCP; use tcp_dst, or udp instead of tcp"
    /// );
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, BadInput> {
        read("flow", text)
    }
}

/// Reads a flow; messages call it `label`.
pub(super) fn read(label: &str, text: &str) -> Result<PacketSpec, BadInput> {
    Flow::new(label, text)?.packet()
}

impl<'a> Flow<'a> {
    fn packet(&self) -> Result<PacketSpec, BadInput> {
        let family = self.family()?;
        let protocol = self.protocol(family)?;
        let mut packet = protocol.map(PacketSpec::of).unwrap_or_default();
        packet.family = packet.family.or(family);
        for item in &self.items {
            self.apply(item, &mut packet, protocol)?;
        }
        Ok(packet)
    }

    /// The family that the words say; two words that disagree are an error.
    fn family(&self) -> Result<Option<IpFamily>, BadInput> {
        let mut said: Option<(IpFamily, &Item<'_>)> = None;
        for item in &self.items {
            let Some((_, Some(family), _)) = PROTOCOLS.iter().find(|(word, ..)| *word == item.word) else {
                continue;
            };
            match said {
                Some((other, first)) if other != *family => {
                    return Err(self.conflict(
                        item,
                        format!("this says {family}, but {} says {other}", first.word),
                        "keep one of them",
                    ));
                }
                _ => said = Some((*family, item)),
            }
        }
        Ok(said.map(|(family, _)| family))
    }

    /// The protocol that a word says, or else that a key implies; two that disagree are an error.
    fn protocol(&self, family: Option<IpFamily>) -> Result<Option<Protocol>, BadInput> {
        let mut said = self.said_protocol()?;
        for item in &self.items {
            let Some(implied) = key(item.word).and_then(Key::protocol) else {
                continue;
            };
            match said {
                None => said = Some((implied, item)),
                Some((protocol, first)) if !agree(implied, protocol, family) => {
                    return Err(self.foreign_key(item, implied, protocol, first));
                }
                Some(_) => {}
            }
        }
        match said {
            Some((Protocol::ICMPV6, item)) if family == Some(IpFamily::V4) => {
                Err(self.conflict(item, "ICMPv6 belongs to IPv6".to_owned(), "use icmp, or remove ip"))
            }
            said => Ok(said.map(|(protocol, _)| protocol)),
        }
    }

    /// The protocol that is called by its name or number, and the item that does it.
    fn said_protocol(&self) -> Result<Option<(Protocol, &Item<'a>)>, BadInput> {
        let mut said: Option<(Protocol, &Item<'_>)> = None;
        for item in &self.items {
            let Some(protocol) = self.named_protocol(item)? else {
                continue;
            };
            if let Some((_, first)) = said {
                let what = format!("a packet has one protocol, and {} is given, too", first.word);
                return Err(self.conflict(item, what, "keep one of them"));
            }
            said = Some((protocol, item));
        }
        Ok(said)
    }

    fn named_protocol(&self, item: &Item<'_>) -> Result<Option<Protocol>, BadInput> {
        if let Some((_, _, protocol)) = PROTOCOLS.iter().find(|(word, ..)| *word == item.word) {
            return Ok(*protocol);
        }
        match key(item.word) {
            Some(Key::Protocol) => self.number(item, 0..=255).map(|number| Some(Protocol(number))),
            _ => Ok(None),
        }
    }

    fn apply(&self, item: &Item<'_>, packet: &mut PacketSpec, protocol: Option<Protocol>) -> Result<(), BadInput> {
        if PROTOCOLS.iter().any(|(word, ..)| *word == item.word) || item.word == "new" {
            if item.value.is_some() {
                return Err(self.error(
                    item,
                    invalid("this word takes no value", format!("{} alone", item.word)),
                ));
            }
            packet.new_only |= item.word == "new";
            return Ok(());
        }
        let Some(key) = key(item.word) else {
            return Err(self.unknown(item));
        };
        match key {
            Key::Protocol => {}
            Key::Ttl => packet.ttl = NonZeroU8::new(self.number(item, 1..=255)?),
            Key::Dscp => packet.dscp = Some(self.number(item, 0..=63)?),
            Key::ConnectionState => packet.new_only |= self.new_connections(item)?,
            key => {
                let applied = match &mut packet.transport {
                    Some(transport) => self.apply_to(transport, key, item)?,
                    None => false,
                };
                if !applied {
                    return Err(self.portless(item, protocol));
                }
            }
        }
        Ok(())
    }

    /// Sets one field of the transport header; false if it has no such field.
    fn apply_to(&self, transport: &mut TransportSpec, key: Key, item: &Item<'_>) -> Result<bool, BadInput> {
        match (key, transport.ports_mut()) {
            (Key::SourcePort(_), Some((port, _))) | (Key::DestinationPort(_), Some((_, port))) => {
                let number = self.number(item, 1..=u16::MAX)?;
                *port = NonZeroU16::new(self.once(item, number, port.is_none())?);
                return Ok(true);
            }
            _ => {}
        }
        match (key, transport) {
            (Key::TcpFlags, TransportSpec::Tcp { flags, .. }) => *flags = Some(self.tcp_flags(item)?),
            (Key::IcmpType(_), TransportSpec::Icmp(header)) => {
                let number = self.number(item, 0..=255)?;
                header.icmp_type = Some(self.once(item, number, header.icmp_type.is_none())?);
            }
            (Key::IcmpCode(_), TransportSpec::Icmp(header)) => {
                let number = self.number(item, 0..=255)?;
                header.code = Some(self.once(item, number, header.code.is_none())?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The value, unless another key (`tp_dst` besides `tcp_dst`) has given the field one.
    fn once<T>(&self, item: &Item<'_>, value: T, open: bool) -> Result<T, BadInput> {
        if open {
            return Ok(value);
        }
        Err(self.conflict(item, "another key says this, too".to_owned(), "keep one of them"))
    }

    fn number<T>(&self, item: &Item<'_>, range: RangeInclusive<T>) -> Result<T, BadInput>
    where
        T: TryFrom<i64> + Into<i64> + Copy + PartialOrd,
    {
        let (least, most): (i64, i64) = ((*range.start()).into(), (*range.end()).into());
        let text = self.value(item, || format!("a number from {least} to {most}"))?;
        match parsed(text) {
            Some(number) => match T::try_from(number) {
                Ok(number) if range.contains(&number) => Ok(number),
                _ => {
                    let found = text.chars().take(24).collect();
                    Err(self.error(item, Problem::OutOfRange { found, least, most }))
                }
            },
            None => {
                let found = format!("{} is not a number", quoted(text));
                Err(self.error(item, invalid(found, format!("a number from {least} to {most}"))))
            }
        }
    }

    fn value(&self, item: &Item<'a>, expected: impl FnOnce() -> String) -> Result<&'a str, BadInput> {
        match item.value {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(self.error(
                item,
                invalid("a value is missing", format!("{}= and {}", item.word, expected())),
            )),
        }
    }

    fn tcp_flags(&self, item: &Item<'_>) -> Result<TcpFlagsMatch, BadInput> {
        const EXPECTED: &str = "flags such as +syn-ack, or a number from 0 to 255";
        let text = self.value(item, || EXPECTED.to_owned())?;
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return self
                .number(item, 0..=255)
                .map(|flags| TcpFlagsMatch::exactly(TcpFlags(flags)));
        }
        if !text.starts_with(['+', '-']) {
            let found = format!("{} has no sign", quoted(text));
            return Err(self.error(item, invalid(found, EXPECTED)));
        }
        let (mut set, mut unset) = (0, 0);
        for (at, _) in text.match_indices(['+', '-']) {
            let name = text[at + 1..].split(['+', '-']).next().unwrap_or_default();
            let Some((flag, _)) = FLAG_NAMES.iter().find(|(_, known)| *known == name) else {
                let names = FLAG_NAMES.map(|(_, name)| name);
                let found = format!("{} is not a TCP flag", quoted(name));
                return Err(self.error(item, invalid(found, one_of(&names))));
            };
            match text.as_bytes()[at] {
                b'+' => set |= flag.0,
                _ => unset |= flag.0,
            }
        }
        if set & unset != 0 {
            return Err(self.conflict(item, "a flag can't be set and not set".to_owned(), "keep one of them"));
        }
        Ok(TcpFlagsMatch::new(TcpFlags(set), TcpFlags(unset)))
    }

    fn new_connections(&self, item: &Item<'_>) -> Result<bool, BadInput> {
        match self.value(item, || "+new".to_owned())? {
            "+new" | "+trk+new" | "+new+trk" => Ok(true),
            other => Err(self.error(
                item,
                invalid(
                    format!("{} is not a state that can be asked for", quoted(other)),
                    "+new, the first packet of a connection",
                ),
            )),
        }
    }

    fn unknown(&self, item: &Item<'_>) -> BadInput {
        if ENDS.contains(&item.word) {
            let (what, remedy) = (
                "the ends of the trace are not part of the flow",
                "name them as source and destination",
            );
            return self.error(
                item,
                Problem::Unsupported {
                    what: what.into(),
                    remedy: remedy.into(),
                },
            );
        }
        let meant = meant(item.word, WORDS.iter().copied());
        self.error(item, Problem::UnknownField { meant, known: &WORDS })
    }

    fn foreign_key(&self, item: &Item<'_>, implied: Protocol, protocol: Protocol, first: &Item<'_>) -> BadInput {
        let field = item.word.split_once('_').map_or("", |(_, field)| field);
        let own = KEYS
            .iter()
            .find(|(word, key)| key.protocol() == Some(protocol) && word.ends_with(&format!("_{field}")));
        let word = word_of(implied);
        let remedy = match own {
            Some((own, _)) => format!("use {own}, or {word} instead of {}", first.word),
            None => format!("remove it, or use {word} instead of {}", first.word),
        };
        let what = format!("belongs to {implied}, but the packet is {protocol}").into();
        let remedy = remedy.into();
        self.error(item, Problem::Conflict { what, remedy })
    }

    fn portless(&self, item: &Item<'_>, protocol: Option<Protocol>) -> BadInput {
        let what = match protocol {
            Some(protocol) => format!("{protocol} has no ports"),
            None => "which protocol's port this is, is not said".to_owned(),
        };
        self.conflict(item, what, "use tcp, udp or sctp")
    }
}

/// The number, or the nearest that there is if it is too large; `None` if the text is not a number.
fn parsed(text: &str) -> Option<i64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let magnitude = digits.strip_prefix('-').unwrap_or(digits);
    let numeric = !magnitude.is_empty() && magnitude.chars().all(|c| c.is_digit(radix));
    numeric.then(|| i64::from_str_radix(digits, radix).unwrap_or(i64::MAX))
}

/// Whether a key of `implied` may stand in a packet of `protocol`: over IPv6, `icmp` means ICMPv6, in `icmp_type` as well.
fn agree(implied: Protocol, protocol: Protocol, family: Option<IpFamily>) -> bool {
    let icmp = |protocol| [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol);
    implied == protocol || (family == Some(IpFamily::V6) && icmp(protocol) && icmp(implied))
}
