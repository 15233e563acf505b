//! What runs in the Pods: listeners on every declared port, all served by one thread.
//!
//! TCP says who it is (`namespace/name` and a line feed) and then echoes what it reads; UDP echoes. There is no SCTP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::Protocol;

use super::error::FabricError;
use super::namespace::Namespace;
use crate::realisation::PodPort;

/// The thread that serves, until dropped.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// The other end of it tells the thread to stop by closing.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Listeners {
    /// Serves these sockets.
    pub(crate) fn serve(sockets: Vec<Socket>) -> Result<Self, FabricError> {
        let (stop, stopped) = UnixStream::pair().map_err(FabricError::system("make a pair of sockets"))?;
        let thread = thread::Builder::new()
            .name("testbed-pods".to_owned())
            .spawn(move || serve(&stopped, sockets))
            .map_err(FabricError::system("start a thread"))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens what a Pod listens on, inside its namespace.
pub(crate) fn open(pod: &PodPort, namespace: &Namespace) -> Result<Vec<Socket>, FabricError> {
    // On both families where the Pod has both.
    let any = if pod.addresses.iter().any(IpAddr::is_ipv6) {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    let mut listens = pod.listens.clone();
    listens.sort_unstable_by_key(|(protocol, port)| (protocol.0, *port));
    listens.dedup();
    namespace.inside(|| {
        let opened = listens.iter().filter_map(|(protocol, port)| {
            let address = SocketAddr::new(any, *port);
            let socket = match *protocol {
                Protocol::TCP => listen(address, &pod.pod),
                Protocol::UDP => receive(address),
                _ => return None,
            };
            Some(socket.map_err(FabricError::system(format!(
                "listen on {protocol} port {port} of Pod {}",
                pod.pod
            ))))
        });
        opened.collect()
    })?
}

fn listen(address: SocketAddr, pod: &ObjectName) -> io::Result<Socket> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Socket::Listener(listener, format!("{pod}\n").into_bytes()))
}

fn receive(address: SocketAddr) -> io::Result<Socket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(Socket::Datagrams(socket))
}

/// A socket in a Pod.
#[derive(Debug)]
pub(crate) enum Socket {
    /// Accepts connections, and greets with these bytes.
    Listener(TcpListener, Vec<u8>),
    /// A connection, with what is still to be written to it.
    Connection(TcpStream, Vec<u8>),
    /// Echoes datagrams.
    Datagrams(UdpSocket),
}

fn serve(stopped: &UnixStream, mut sockets: Vec<Socket>) {
    loop {
        let mut waited = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        waited.extend(
            sockets
                .iter()
                .map(|socket| PollFd::new(socket.as_fd(), socket.interest())),
        );
        match poll(&mut waited, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return,
        }
        let ready = waited.iter().map(|one| one.any().unwrap_or(true)).collect::<Vec<_>>();
        if ready[0] {
            return;
        }
        let mut next = Vec::with_capacity(sockets.len());
        for (socket, ready) in sockets.into_iter().zip(&ready[1..]) {
            if *ready {
                socket.attend(&mut next);
            } else {
                next.push(socket);
            }
        }
        sockets = next;
    }
}

impl Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listener(listener, _) => listener.as_fd(),
            Self::Connection(stream, _) => stream.as_fd(),
            Self::Datagrams(socket) => socket.as_fd(),
        }
    }

    fn interest(&self) -> PollFlags {
        match self {
            Self::Connection(_, pending) if !pending.is_empty() => PollFlags::POLLOUT,
            _ => PollFlags::POLLIN,
        }
    }

    /// Does what can be done, and hands on what is to be waited for next.
    fn attend(self, next: &mut Vec<Self>) {
        match self {
            Self::Listener(listener, greeting) => {
                // A connection that is gone before it is accepted is no reason to stop.
                if let Ok((stream, _)) = listener.accept()
                    && stream.set_nonblocking(true).is_ok()
                {
                    next.push(Self::Connection(stream, greeting.clone()));
                }
                next.push(Self::Listener(listener, greeting));
            }
            Self::Connection(mut stream, mut pending) => {
                if echo(&mut stream, &mut pending) {
                    next.push(Self::Connection(stream, pending));
                }
            }
            Self::Datagrams(socket) => {
                let mut datagram = [0; 65536];
                if let Ok((length, from)) = socket.recv_from(&mut datagram) {
                    let _ = socket.send_to(&datagram[..length], from);
                }
                next.push(Self::Datagrams(socket));
            }
        }
    }
}

/// Writes what is pending, or reads what is next; false if the connection has ended.
fn echo(stream: &mut TcpStream, pending: &mut Vec<u8>) -> bool {
    let outcome = if pending.is_empty() {
        let mut bytes = [0; 16384];
        stream.read(&mut bytes).map(|count| {
            pending.extend_from_slice(&bytes[..count]);
            count > 0
        })
    } else {
        stream.write(pending).map(|count| {
            pending.drain(..count);
            true
        })
    };
    match outcome {
        Ok(open) => open,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn tcp_says_who_it_is_and_echoes() {
        let socket = listen(LOCAL, &ObjectName::new("shop", "web")).unwrap();
        let Socket::Listener(listener, _) = &socket else {
            unreachable!()
        };
        let address = listener.local_addr().unwrap();
        let _listeners = Listeners::serve(vec![socket]).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "shop/web\nhello");
    }

    #[test]
    fn udp_echoes() {
        let socket = receive(LOCAL).unwrap();
        let Socket::Datagrams(datagrams) = &socket else {
            unreachable!()
        };
        let address = datagrams.local_addr().unwrap();
        let _listeners = Listeners::serve(vec![socket]).unwrap();
        let client = UdpSocket::bind(LOCAL).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.send_to(b"hello", address).unwrap();
        let mut answer = [0; 16];
        assert_eq!(client.recv(&mut answer).unwrap(), 5);
    }
}
