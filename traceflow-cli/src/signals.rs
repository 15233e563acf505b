//! Signals that end the program, heard so that it can clean up first.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// What wants the program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// `kill`.
    Terminate,
    /// The terminal was closed.
    HangUp,
}

impl Signal {
    /// Its number.
    pub(crate) fn number(self) -> u8 {
        // These are below 32 on every system.
        self.kind().as_raw_value() as u8
    }

    fn kind(self) -> SignalKind {
        match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
            Self::HangUp => SignalKind::hangup(),
        }
    }
}

/// The signals from now on.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    /// Begins to listen: from now on, none of them ends the program by itself. Needs a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        let listen = |signal: Signal| unix::signal(signal.kind());
        Ok(Self {
            interrupt: listen(Signal::Interrupt)?,
            terminate: listen(Signal::Terminate)?,
            hang_up: listen(Signal::HangUp)?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }
}
