//! A connected socket, for which the thread is woken when something comes, and for room only where there is none.
//!
//! A Unix socket tells of room each time that its peer has read. A task that takes note of that always, as those of
//! tokio's own streams do, has the thread woken once more for every message that it has written.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// A connected socket that doesn't block.
#[derive(Debug)]
pub(crate) struct Socket<S: AsRawFd> {
    incoming: AsyncFd<S>,
    /// There while what is to be written waits for room. A descriptor of its own, as the first is watched already.
    room: Option<AsyncFd<OwnedFd>>,
}

impl Socket<UnixStream> {
    /// Takes a socket that is connected and doesn't block.
    pub(crate) fn unix(socket: UnixStream) -> io::Result<Self> {
        Self::new(socket)
    }
}

impl Socket<TcpStream> {
    /// Takes a socket that is connected and doesn't block.
    pub(crate) fn tcp(socket: TcpStream) -> io::Result<Self> {
        Self::new(socket)
    }
}

impl<S: AsFd + AsRawFd> Socket<S> {
    fn new(socket: S) -> io::Result<Self> {
        Ok(Self {
            incoming: watched(socket, Interest::READABLE)?,
            room: None,
        })
    }

    fn wait_for_room(&mut self) -> io::Result<()> {
        let own = self.incoming.get_ref().as_fd().try_clone_to_owned()?;
        self.room = Some(watched(own, Interest::WRITABLE)?);
        Ok(())
    }
}

#[expect(
    deprecated,
    reason = "what takes its place is unsafe, as a descriptor may be any number; those of the standard library own theirs"
)]
fn watched<S: AsFd + AsRawFd>(socket: S, interest: Interest) -> io::Result<AsyncFd<S>> {
    AsyncFd::with_interest(socket, interest)
}

impl<S> AsyncRead for Socket<S>
where
    S: AsFd + AsRawFd + Unpin,
    for<'a> &'a S: Read,
{
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        loop {
            let mut ready = ready!(self.incoming.poll_read_ready(context))?;
            let Ok(read) = ready.try_io(|socket| socket.get_ref().read(room)) else {
                continue;
            };
            let read = read?;
            // All that was there has been read, so that the next try would only find that out (epoll(7), question 9).
            if read > 0 && read < room.len() {
                ready.clear_ready();
            }
            buffer.advance(read);
            return Poll::Ready(Ok(()));
        }
    }
}

impl<S> AsyncWrite for Socket<S>
where
    S: AsFd + AsRawFd + Unpin,
    for<'a> &'a S: Write,
{
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let ready = match &self.room {
                Some(room) => Some(ready!(room.poll_write_ready(context))?),
                None => None,
            };
            match (self.incoming.get_ref().write(bytes), ready) {
                (Err(full), Some(mut ready)) if full.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                (Err(full), None) if full.kind() == io::ErrorKind::WouldBlock => self.wait_for_room()?,
                (written, _) => {
                    self.room = None;
                    return Poll::Ready(written);
                }
            }
        }
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The peer sees the end when the socket is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Socket<UnixStream>, Socket<UnixStream>) {
        let (one, other) = UnixStream::pair().unwrap();
        let socket = |stream: UnixStream| {
            stream.set_nonblocking(true).unwrap();
            Socket::unix(stream).unwrap()
        };
        (socket(one), socket(other))
    }

    #[tokio::test]
    async fn what_is_written_is_read_until_the_end() {
        let (mut one, mut other) = pair();
        one.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 3];
        assert_eq!(other.read(&mut buffer).await.unwrap(), 3);
        one.write_all(b"!").await.unwrap();
        drop(one);
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&buffer[..], &rest[..]), (&b"hel"[..], &b"lo!"[..]));
    }

    #[tokio::test]
    async fn more_than_the_socket_takes_waits_until_the_peer_has_read() {
        let sent: Vec<u8> = (0..4_000_000_u32).map(|number| number as u8).collect();
        let (mut full, _unread) = pair();
        assert!(full.write_all(&sent).now_or_never().is_none(), "nobody reads");
        assert!(full.room.is_some());

        let (mut one, mut other) = pair();
        let mut received = vec![0; sent.len()];
        let (written, read) = tokio::join!(one.write_all(&sent), other.read_exact(&mut received));
        written.unwrap();
        read.unwrap();
        assert!(sent == received);
        assert!(one.room.is_none(), "room is waited for only where there is none");
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_to_a_writer_that_waits() {
        let (mut one, other) = pair();
        let bytes = vec![0; 4_000_000];
        let gone = async {
            tokio::task::yield_now().await;
            drop(other);
        };
        let (written, ()) = tokio::join!(one.write_all(&bytes), gone);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
