//! Where a switch or a database listens.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::socket::Socket;

/// The address of a socket as Open vSwitch writes it: `unix:/run/openvswitch/br-int.mgmt` or `tcp:192.0.2.1:6653`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix domain socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// An IP address, without brackets, or a name to look up.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
}

impl Address {
    /// Opens a connection; on TCP small messages are sent at once.
    ///
    /// There is no limit on time here: wrap the call in a timeout.
    ///
    /// # Errors
    ///
    /// What the system says: nobody listens there, no route, no such name.
    pub async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                Ok(Stream::new(Socket::unix(stream.into_std()?)?))
            }
            Self::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::new(Socket::tcp(stream.into_std()?)?))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "tcp:{host}:{port}"),
        }
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_path_buf())
    }
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `unix:` nor `tcp:`.
    #[error("{0:?} is no address: expected unix:PATH or tcp:HOST:PORT")]
    UnknownKind(String),
    /// `unix:` and nothing, or a NUL in the path.
    #[error("{0:?} has no path that a socket can have")]
    BadPath(String),
    /// The system's limit on socket paths.
    #[error("the path of {text:?} has {length} bytes, a socket's can have {LONGEST_PATH}")]
    PathTooLong {
        /// What was read.
        text: String,
        /// Bytes of its path.
        length: usize,
    },
    /// `tcp:` and something that is neither an address nor a name.
    #[error("{0:?} has no host: expected a name, an IPv4 address or an IPv6 address in brackets")]
    BadHost(String),
    /// No port or none between 1 and 65535.
    #[error("{0:?} has no port from 1 to 65535")]
    BadPort(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("unix", path)) => unix(text, path),
            Some(("tcp", endpoint)) => tcp(text, endpoint),
            _ => Err(AddressError::UnknownKind(text.to_owned())),
        }
    }
}

fn unix(text: &str, path: &str) -> Result<Address, AddressError> {
    if path.is_empty() || path.contains('\0') {
        return Err(AddressError::BadPath(text.to_owned()));
    }
    if path.len() > LONGEST_PATH {
        return Err(AddressError::PathTooLong {
            text: text.to_owned(),
            length: path.len(),
        });
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

fn tcp(text: &str, endpoint: &str) -> Result<Address, AddressError> {
    // The host is judged first: what looks like a port behind a bare IPv6 address is a part of it.
    let (host, port) = match endpoint.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| AddressError::BadHost(text.to_owned()))?;
            host.parse::<Ipv6Addr>()
                .map_err(|_| AddressError::BadHost(text.to_owned()))?;
            (host, port.strip_prefix(':').unwrap_or_default())
        }
        None => {
            let (host, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, ""));
            if !is_name_or_ipv4(host) {
                return Err(AddressError::BadHost(text.to_owned()));
            }
            (host, port)
        }
    };
    Ok(Address::Tcp {
        host: host.to_owned(),
        port: port_number(port).ok_or_else(|| AddressError::BadPort(text.to_owned()))?,
    })
}

fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

fn is_name_or_ipv4(host: &str) -> bool {
    let numbers = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let letters = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    match numbers {
        true => host.parse::<Ipv4Addr>().is_ok(),
        false => letters && host.len() <= LONGEST_NAME,
    }
}

/// `sun_path` of Linux without its closing NUL.
const LONGEST_PATH: usize = 107;
/// RFC 1035, section 2.3.4.
const LONGEST_NAME: usize = 255;

/// An open connection, whatever it runs over.
pub struct Stream(Box<dyn Duplex>);

impl Stream {
    /// Wraps a connection, also one to a scripted peer.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stream")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_prints_as_it_was_written() {
        for text in [
            "unix:/run/openvswitch/br-int.mgmt",
            "unix:relative.sock",
            "tcp:192.0.2.1:6653",
            "tcp:[2001:db8::1]:6640",
            "tcp:node-1.example:65535",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_address_says_what_was_expected() {
        let kind = |text| format!("{text:?} is no address: expected unix:PATH or tcp:HOST:PORT");
        for text in ["", "/run/db.sock", "ssl:192.0.2.1:6653", "UNIX:/x", "punix:/x"] {
            assert_eq!(refusal(text), kind(text));
        }
        assert_eq!(refusal("unix:"), r#""unix:" has no path that a socket can have"#);
        for text in [
            "tcp:192.0.2.1",
            "tcp:a:",
            "tcp:a:0",
            "tcp:a:65536",
            "tcp:a:+80",
            "tcp:[::1]",
            "tcp:[::1]80",
        ] {
            assert_eq!(refusal(text), format!("{text:?} has no port from 1 to 65535"));
        }
        let host =
            |text| format!("{text:?} has no host: expected a name, an IPv4 address or an IPv6 address in brackets");
        for text in [
            "tcp:",
            "tcp::80",
            "tcp:::1:80",
            "tcp:[::1:80",
            "tcp:[a]:80",
            "tcp:300.0.0.1:80",
            "tcp:a b:80",
        ] {
            assert_eq!(refusal(text), host(text));
        }
        let long = format!("unix:/{}", "a".repeat(107));
        assert!(refusal(&long).ends_with("has 108 bytes, a socket's can have 107"));
    }

    #[tokio::test]
    async fn both_kinds_of_address_connect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listener");
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [
            Address::from(path.as_path()),
            format!("tcp:{}", tcp.local_addr().unwrap()).parse().unwrap(),
        ];
        let [mut over_unix, mut over_tcp] = [
            addresses[0].connect().await.unwrap(),
            addresses[1].connect().await.unwrap(),
        ];
        over_unix.write_all(b"hello").await.unwrap();
        over_tcp.write_all(b"hello").await.unwrap();
        let mut bytes = [0; 5];
        unix.accept().await.unwrap().0.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        tcp.accept().await.unwrap().0.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
    }

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_an_error_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let error = Address::from(folder.path().join("none").as_path())
            .connect()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_a_refusal(text in "(unix:|tcp:)?\\PC{0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }
    }
}
