//! What is sent: `tcp/80,udp/53,icmp`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use traceflow_core::input::{BadInput, Place, Problem, Text};
use traceflow_core::packet::{IcmpHeader, IpFamily, TcpFlags, Transport};

use crate::words::{meant, one_of, shown};

/// What a packet of a matrix is for: a port of TCP, UDP or SCTP, or an echo request.
///
/// ```
/// use traceflow_reach::Port;
///
/// let dns: Port = "udp/53".parse()?;
/// assert_eq!(dns.to_string(), "udp/53");
/// let mistake = "80".parse::<Port>().unwrap_err();
/// assert_eq!(mistake.to_string(), "port:1:1: \"80\" is a number alone; say the protocol, too: tcp/80");
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Port {
    protocol: Protocol,
    /// `None` where no port belongs to the protocol.
    number: Option<NonZeroU16>,
    family: Option<IpFamily>,
}

/// What a port is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
    Icmp,
}

/// Every word for a protocol, with the family that it says.
const WORDS: [(&str, Protocol, Option<IpFamily>); 8] = [
    ("tcp", Protocol::Tcp, None),
    ("udp", Protocol::Udp, None),
    ("sctp", Protocol::Sctp, None),
    ("icmp", Protocol::Icmp, None),
    ("tcp6", Protocol::Tcp, Some(IpFamily::V6)),
    ("udp6", Protocol::Udp, Some(IpFamily::V6)),
    ("sctp6", Protocol::Sctp, Some(IpFamily::V6)),
    ("icmp6", Protocol::Icmp, Some(IpFamily::V6)),
];

impl Port {
    /// The family that was asked for; `None` is the one that both ends have, IPv4 rather than IPv6.
    pub fn family(self) -> Option<IpFamily> {
        self.family
    }

    /// The first packet of a connection to it, from `source`: a SYN, an INIT, an echo request with this id.
    pub(crate) fn transport(self, family: IpFamily, source: u16) -> Transport {
        let destination = self.number.map_or(0, NonZeroU16::get);
        match self.protocol {
            Protocol::Tcp => Transport::Tcp {
                source,
                destination,
                flags: TcpFlags::SYN,
            },
            Protocol::Udp => Transport::Udp { source, destination },
            Protocol::Sctp => Transport::Sctp { source, destination },
            Protocol::Icmp => {
                let numbered = |header: IcmpHeader| IcmpHeader {
                    id: source,
                    sequence: 1,
                    ..header
                };
                match family {
                    IpFamily::V4 => Transport::Icmp(numbered(IcmpHeader::ECHO_REQUEST)),
                    IpFamily::V6 => Transport::Icmpv6(numbered(IcmpHeader::ECHO_REQUEST_V6)),
                }
            }
        }
    }

    fn read(text: &str) -> Result<Self, Problem> {
        let (word, number) = match text.split_once('/') {
            Some((word, number)) => (word.trim(), Some(number.trim())),
            None => (text, None),
        };
        let known = WORDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(word));
        let Some(&(word, protocol, family)) = known else {
            return Err(unknown(text, word, number));
        };
        let number = match (protocol, number) {
            (Protocol::Icmp, None) => None,
            (Protocol::Icmp, Some(_)) => {
                let what = format!("{} has a port, and ICMP knows none", shown(text));
                return Err(unusable(what, format!("write {word}, which is an echo request")));
            }
            (_, None) => {
                return Err(unusable(
                    format!("{word} is there without a port"),
                    format!("write {word}/80"),
                ));
            }
            (_, Some(number)) => match number.parse() {
                Ok(number) => Some(number),
                Err(_) => {
                    let what = format!("{} is not a port number", shown(number));
                    return Err(unusable(what, "use a number from 1 to 65535".to_owned()));
                }
            },
        };
        Ok(Self {
            protocol,
            number,
            family,
        })
    }
}

/// What somebody may have meant who didn't begin with a protocol.
fn unknown(text: &str, word: &str, number: Option<&str>) -> Problem {
    let is_protocol = |text: &str| WORDS.iter().any(|(known, ..)| known.eq_ignore_ascii_case(text));
    if text.is_empty() {
        return unusable(
            "there is nothing here".to_owned(),
            "write a port such as tcp/80".to_owned(),
        );
    }
    if word.parse::<u16>().is_ok() {
        return match number {
            Some(protocol) if is_protocol(protocol) => unusable(
                format!("{} begins with the number", shown(text)),
                format!("write {protocol}/{word}"),
            ),
            _ => unusable(
                format!("{} is a number alone", shown(text)),
                format!("say the protocol, too: tcp/{word}"),
            ),
        };
    }
    let known = || WORDS.iter().map(|(word, ..)| *word);
    let remedy = match meant(word, known()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("use {}", one_of(known())),
    };
    unusable(format!("{} is no protocol that is asked about", shown(word)), remedy)
}

fn unusable(what: String, remedy: String) -> Problem {
    Problem::Unusable {
        what: what.into(),
        remedy: remedy.into(),
    }
}

impl FromStr for Port {
    type Err = BadInput;

    /// Reads `tcp/80`, `udp/53`, `sctp/132` or `icmp`; with a 6 behind the protocol (`tcp6/80`) it is IPv6.
    fn from_str(text: &str) -> Result<Self, BadInput> {
        let problem = |problem| BadInput::new("", problem).at(&Text::new("port", text), Place::START);
        Self::read(text.trim()).map_err(problem)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |(_, protocol, family): &&(&str, Protocol, Option<IpFamily>)| {
            (*protocol, *family) == (self.protocol, self.family)
        };
        let word = WORDS.iter().find(same).map_or("ip", |(word, ..)| word);
        match self.number {
            Some(number) => f.pad(&format!("{word}/{number}")),
            None => f.pad(word),
        }
    }
}

/// What is sent from each Pod to each: at least one port, none twice.
///
/// ```
/// use traceflow_reach::Ports;
///
/// let ports: Ports = "tcp/80, udp/53, icmp".parse()?;
/// assert_eq!(ports.to_string(), "tcp/80,udp/53,icmp");
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<Port>);

impl Ports {
    /// The ports in their order.
    pub fn as_slice(&self) -> &[Port] {
        &self.0
    }
}

impl FromStr for Ports {
    type Err = BadInput;

    /// Reads ports with commas between them. Errors carry the column in the text.
    fn from_str(text: &str) -> Result<Self, BadInput> {
        let mut ports = Vec::new();
        let mut column = 1;
        for item in text.split(',') {
            let blank = item.chars().take_while(|character| character.is_whitespace()).count();
            let wrong = |problem| {
                let column = u32::try_from(column + blank).unwrap_or(u32::MAX);
                BadInput::new("", problem).at(&Text::new("ports", text), Place { line: 1, column })
            };
            let port = Port::read(item.trim()).map_err(wrong)?;
            if ports.contains(&port) {
                let what = format!("{port} stands here twice");
                return Err(wrong(unusable(what, "remove one".to_owned())));
            }
            ports.push(port);
            column += item.chars().count() + 1;
        }
        Ok(Self(ports))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, port) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{port}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_printed() {
        let ports: Ports = " TCP/80 ,udp/53,sctp/132,icmp,tcp6/80,icmp6".parse().unwrap();
        assert_eq!(ports.to_string(), "tcp/80,udp/53,sctp/132,icmp,tcp6/80,icmp6");
        assert_eq!(ports.as_slice()[4].family(), Some(IpFamily::V6));
    }

    #[test]
    fn mistakes_are_named_with_what_would_be_right() {
        for (text, message) in [
            ("", "1:1: there is nothing here; write a port such as tcp/80"),
            ("tcp/80,", "1:8: there is nothing here; write a port such as tcp/80"),
            (
                "tcp/80,,icmp",
                "1:8: there is nothing here; write a port such as tcp/80",
            ),
            ("80", "1:1: \"80\" is a number alone; say the protocol, too: tcp/80"),
            ("icmp, 80/udp", "1:7: \"80/udp\" begins with the number; write udp/80"),
            ("tcp", "1:1: tcp is there without a port; write tcp/80"),
            ("tcp/", "1:1: \"\" is not a port number; use a number from 1 to 65535"),
            ("tcp/0", "1:1: \"0\" is not a port number; use a number from 1 to 65535"),
            (
                "tcp/65536",
                "1:1: \"65536\" is not a port number; use a number from 1 to 65535",
            ),
            (
                "tcp/http",
                "1:1: \"http\" is not a port number; use a number from 1 to 65535",
            ),
            (
                "tcp/80-90",
                "1:1: \"80-90\" is not a port number; use a number from 1 to 65535",
            ),
            (
                "icmp/8",
                "1:1: \"icmp/8\" has a port, and ICMP knows none; write icmp, which is an echo request",
            ),
            (
                "tpc/80",
                "1:1: \"tpc\" is no protocol that is asked about; did you mean tcp?",
            ),
            (
                "http",
                "1:1: \"http\" is no protocol that is asked about; use tcp, udp, sctp, icmp, tcp6, udp6, sctp6 or icmp6",
            ),
            ("tcp/80,udp/53,tcp/080", "1:15: tcp/80 stands here twice; remove one"),
        ] {
            let mistake = text.parse::<Ports>().unwrap_err();
            assert_eq!(mistake.to_string(), format!("ports:{message}"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_ports_or_refused(text in "[tcpudsim06/, é-]{0,16}") {
            if let Ok(ports) = text.parse::<Ports>() {
                proptest::prop_assert_eq!(ports.to_string().parse::<Ports>().unwrap(), ports);
            }
        }
    }
}
