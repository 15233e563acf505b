//! A Pod's end of its link on a rootless node: whoever holds it is the Pod.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A stream of Ethernet frames, each after its length in two bytes, big-endian.
///
/// The switch drops what it can't send at once; its queue holds 100 frames.
#[derive(Debug)]
pub struct PodLink {
    stream: UnixStream,
    /// What was read and isn't a whole frame yet.
    partial: Vec<u8>,
}

impl PodLink {
    pub(crate) fn connect(socket: &Path) -> io::Result<Self> {
        UnixStream::connect(socket).map(Self::from_stream)
    }

    pub(crate) fn from_stream(stream: UnixStream) -> Self {
        Self {
            stream,
            partial: Vec::new(),
        }
    }

    /// Sends a frame, as the Pod's network card would.
    ///
    /// # Errors
    /// If the frame is longer than 65535 bytes or the switch is gone.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let length = u16::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut bytes = Vec::with_capacity(frame.len() + 2);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(frame);
        (&self.stream).write_all(&bytes)
    }

    /// The next frame that the Pod is handed; `None` if there is none within this time.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the switch is gone.
    pub fn receive(&mut self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(frame) = self.whole_frame() {
                return Ok(Some(frame));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // A timeout of zero would mean "for ever".
            self.stream.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.partial.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Another handle of the same link, to send on while this one receives. Only one of them may receive.
    ///
    /// # Errors
    /// If the process has no file descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.stream.try_clone().map(Self::from_stream)
    }

    /// The stream itself, for asynchronous use; what was received in part goes with it.
    pub fn into_stream(self) -> (UnixStream, Vec<u8>) {
        (self.stream, self.partial)
    }

    /// Ends the link for every handle of it.
    pub(crate) fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether a frame can be sent without waiting: the kernel says so while three quarters of the buffer are free.
    pub(crate) fn has_room(&self) -> bool {
        let mut stream = [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut stream, PollTimeout::ZERO), Ok(ready) if ready > 0)
    }

    fn whole_frame(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.partial.split_first_chunk()?;
        let frame = rest.get(..usize::from(u16::from_be_bytes(*length)))?.to_vec();
        self.partial.drain(..frame.len() + 2);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (PodLink, PodLink) {
        let (one, other) = UnixStream::pair().unwrap();
        (PodLink::from_stream(one), PodLink::from_stream(other))
    }

    #[test]
    fn frames_arrive_whole_and_in_order() {
        let (pod, mut switch) = pair();
        for length in [0, 1, 60, 9000] {
            pod.send(&vec![7; length]).unwrap();
        }
        for length in [0, 1, 60, 9000] {
            assert_eq!(switch.receive(Duration::from_secs(5)).unwrap(), Some(vec![7; length]));
        }
    }

    #[test]
    fn half_a_frame_is_kept_for_the_next_call() {
        let (mut pod, switch) = pair();
        (&switch.stream).write_all(&[0, 3, 1]).unwrap();
        assert_eq!(pod.receive(Duration::ZERO).unwrap(), None);
        (&switch.stream).write_all(&[2, 3]).unwrap();
        assert_eq!(pod.receive(Duration::from_secs(5)).unwrap(), Some(vec![1, 2, 3]));
    }

    #[test]
    fn the_end_of_the_switch_is_told_from_silence() {
        let (mut pod, switch) = pair();
        drop(switch);
        let error = pod.receive(Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_frame_too_long_for_its_length_is_refused() {
        let (pod, _switch) = pair();
        assert_eq!(
            pod.send(&vec![0; 65536]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
