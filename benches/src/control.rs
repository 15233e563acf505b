//! A connection to the control socket of one of Open vSwitch's processes that is kept: one question as bytes, and no JSON is read.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::traces::Failure;

#[derive(Debug)]
pub(crate) struct Line {
    socket: UnixStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// A process that refuses a question is no reason to wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

impl Line {
    pub(crate) fn open(path: &Path, method: &str, parameters: &[&str]) -> Result<Self, Failure> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let request = serde_json::json!({"id": 0, "method": method, "params": parameters});
        Ok(Self {
            socket,
            request: request.to_string().into_bytes(),
            answer: Vec::with_capacity(1 << 16),
        })
    }

    /// The whole reply.
    pub(crate) fn ask(&mut self) -> Result<&[u8], Failure> {
        self.socket.write_all(&self.request)?;
        self.answer.clear();
        let mut chunk = [0; 1 << 14];
        // Replies end so where nothing was wrong; in the text before, quotes are marked.
        while !self.answer.ends_with(b"\"error\":null}") {
            let read = self.socket.read(&mut chunk)?;
            if read == 0 {
                return Err("the control connection was closed".into());
            }
            self.answer.extend_from_slice(&chunk[..read]);
        }
        Ok(&self.answer)
    }
}
