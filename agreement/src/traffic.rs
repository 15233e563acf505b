//! A real packet from a real Pod, and whether it is answered.

use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use traceflow_core::packet::{IpHeader, Packet, TcpFlags, Transport};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was answered; by this Pod, where the answer says so.
    Answered(Option<String>),
    /// It was not.
    Silent,
}

/// Why a packet can't be sent by an ordinary program.
pub fn unsendable(packet: &Packet) -> Option<&'static str> {
    match &packet.transport {
        Transport::Tcp { flags, .. } if *flags != TcpFlags::SYN => {
            Some("no program begins a connection with such flags")
        }
        Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Icmp(_) | Transport::Icmpv6(_) => {
            let ttl = match &packet.ip {
                IpHeader::V4(header) => header.ttl,
                IpHeader::V6(header) => header.hop_limit,
            };
            (ttl < 64).then_some("no program sends with such a TTL")
        }
        _ => Some("the testbed's Pods answer TCP, UDP and ICMP alone"),
    }
}

/// Sends the packet from where this is called, as a program would, and waits for an answer.
///
/// # Errors
/// What the system says if it can't even be sent.
pub fn send(packet: &Packet) -> io::Result<Fate> {
    let (source, destination) = (packet.ip.source(), packet.ip.destination());
    let at = |port: u16| SocketAddr::new(destination, port);
    match &packet.transport {
        Transport::Tcp {
            source: own,
            destination: port,
            ..
        } => connect(SocketAddr::new(source, *own), at(*port)),
        Transport::Udp {
            source: own,
            destination: port,
        } => datagram(SocketAddr::new(source, *own), at(*port)),
        _ => echo(packet, destination),
    }
}

fn connect(own: SocketAddr, to: SocketAddr) -> io::Result<Fate> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&own.into())?;
    match socket.connect_timeout(&to.into(), PATIENCE) {
        Ok(()) => {}
        Err(error) => return silent_or_refused(error),
    }
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = Vec::new();
    let mut byte = [0];
    let mut stream = &socket;
    while stream.read(&mut byte)? == 1 && byte != *b"\n" {
        greeting.push(byte[0]);
    }
    Ok(Fate::Answered(Some(String::from_utf8_lossy(&greeting).into_owned())))
}

fn datagram(own: SocketAddr, to: SocketAddr) -> io::Result<Fate> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    socket.bind(&own.into())?;
    socket.connect(&to.into())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"hello")?;
    match socket.recv(&mut [MaybeUninit::uninit(); 16]) {
        Ok(_) => Ok(Fate::Answered(None)),
        Err(error) => silent_or_refused(error),
    }
}

/// A refusal is an answer: a Pod gives it.
fn silent_or_refused(error: io::Error) -> io::Result<Fate> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Ok(Fate::Answered(None)),
        // Nobody has the address: its neighbours were asked.
        ErrorKind::HostUnreachable => Ok(Fate::Silent),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Ok(Fate::Silent),
        _ => Err(error),
    }
}

/// An echo request; the reply is known by the identifier.
fn echo(packet: &Packet, to: IpAddr) -> io::Result<Fate> {
    const ETHERNET: usize = 14;
    let (domain, protocol, header) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 20),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 40),
    };
    let mut request = packet.to_vec().split_off(ETHERNET + header);
    // Traces have used the identifier of the plan.
    number(&mut request, IDENTIFIER.fetch_add(1, Ordering::Relaxed));
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.send_to(&request, &SocketAddr::new(to, 0).into())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Fate::Silent);
        }
        socket.set_read_timeout(Some(left))?;
        let mut answer = [0; 256];
        let length = match (&socket).read(&mut answer) {
            Ok(length) => length,
            Err(error) => return silent_or_refused(error),
        };
        // Of IPv4 the header is read too.
        let start = if to.is_ipv4() { header } else { 0 };
        let is_reply = answer.get(start).is_some_and(|kind| matches!(kind, 0 | 129));
        if is_reply && start + 6 <= length && answer[start + 4..start + 6] == request[4..6] {
            return Ok(Fate::Answered(None));
        }
    }
}

/// Gives an echo request this identifier. Its checksum changes with it as RFC 1624 says; the kernel makes that of ICMPv6.
fn number(request: &mut [u8], identifier: u16) {
    let word = |request: &[u8], at: usize| u32::from(u16::from_be_bytes([request[at], request[at + 1]]));
    let sum = (!word(request, 2) & 0xffff) + (!word(request, 4) & 0xffff) + u32::from(identifier);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    request[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    request[4..6].copy_from_slice(&identifier.to_be_bytes());
}

static IDENTIFIER: AtomicU16 = AtomicU16::new(1);

/// An answer takes less than a millisecond, on a busy machine a few more. A lost SYN is sent again after a second.
const PATIENCE: Duration = Duration::from_millis(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_of_another_identifier_has_its_checksum() {
        let mut request = [8, 0, 0, 0, 0xb6, 0xd2, 0, 1];
        let sum = |request: &[u8]| {
            let words = request
                .chunks(2)
                .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
            let sum: u32 = words.sum();
            (sum & 0xffff) + (sum >> 16)
        };
        let checksum = !(sum(&request) as u16);
        request[2..4].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(sum(&request), 0xffff);
        number(&mut request, 7);
        assert_eq!((sum(&request), request[5]), (0xffff, 7));
    }
}
