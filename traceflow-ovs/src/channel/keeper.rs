//! The task that owns the socket: it opens the connection, and opens it again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use traceflow_openflow::connection::{Config, Connection};
use traceflow_openflow::message::ErrorMessage;

use super::calls::Calls;
use super::line::{CHUNK, Line};
use super::{Link, Opening, Request, Said};

/// The task that owns the socket.
pub(super) struct Keeper {
    pub(super) opening: Opening,
    pub(super) wanted: Arc<Notify>,
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
    pub(super) link: watch::Sender<Link>,
    pub(super) opened: u64,
}

/// Between two tries; the first comes at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long one try may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("the switch closed the connection")]
    Eof,
    #[error("{0}")]
    Protocol(traceflow_openflow::connection::Closed),
    #[error("the switch refuses what tracing needs: {0}")]
    Refused(ErrorMessage),
    /// Nobody holds the channel any more.
    #[error("closed")]
    Unwanted,
}

impl Lost {
    /// What whoever reads it can do; `greeted` says whether it was ever known that a switch is there.
    fn remedy(&self, greeted: bool) -> &'static str {
        match self {
            Self::Socket(error) => match error.kind() {
                io::ErrorKind::NotFound => "; check the address, and that the bridge exists and ovs-vswitchd runs",
                io::ErrorKind::ConnectionRefused => "; check the address, and that ovs-vswitchd runs",
                io::ErrorKind::PermissionDenied => "; run as a user who may open it, such as root",
                io::ErrorKind::TimedOut => "; check the address, and what stands between",
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe if !greeted => SOMETHING_ELSE,
                _ => "",
            },
            Self::Protocol(_) => SOMETHING_ELSE,
            Self::Eof if !greeted => SOMETHING_ELSE,
            Self::Eof | Self::Refused(_) | Self::Unwanted => "",
        }
    }
}

const SOMETHING_ELSE: &str = "; check that the address is that of a bridge's OpenFlow, and not of something else";

impl Keeper {
    pub(super) async fn keep(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut down_since = Instant::now();
        loop {
            let opened = self.opened;
            let lost = self.one_connection().await;
            if matches!(lost, Lost::Unwanted) {
                return;
            }
            let greeted = self.opened != opened;
            if greeted {
                (pause, down_since) = (FIRST_PAUSE, Instant::now());
            }
            let reason: Arc<str> = format!("{}: {lost}{}", self.opening.address, lost.remedy(greeted)).into();
            tracing::debug!(%reason, "no connection");
            if self
                .opening
                .give_up
                .is_some_and(|give_up| down_since.elapsed() >= give_up)
            {
                self.link.send_replace(Link::Gone(reason));
                return;
            }
            self.link.send_replace(Link::Down(reason.clone(), down_since));
            if !self.wait(pause, &reason).await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Until the next try is due or somebody waits for it. Refuses what is asked meanwhile; false if nobody will ask any more.
    async fn wait(&mut self, pause: Duration, reason: &Arc<str>) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => request.refuse(reason),
                    None => return false,
                },
                () = self.wanted.notified() => return true,
                () = sleep_until(until) => return true,
            }
        }
    }

    async fn one_connection(&mut self) -> Lost {
        let stream = match timeout(CONNECTING, self.opening.address.connect()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return error.into(),
            Err(_) => return io::Error::from(io::ErrorKind::TimedOut).into(),
        };
        self.link.send_if_modified(|link| {
            let Link::Down(reason, _) = link else { return false };
            let address = &self.opening.address;
            *reason = format!("{address}: somebody listens there and has not said hello yet{SOMETHING_ELSE}").into();
            false
        });
        let (reader, writer) = tokio::io::split(stream);
        let mut line = Line {
            reader,
            writer,
            connection: Connection::new(Config::default(), std::time::Instant::now()),
            outgoing: Vec::new(),
            incoming: vec![0; CHUNK].into(),
            calls: Calls::default(),
        };
        let lost = match line.greet(&self.opening).await {
            Ok(()) => {
                self.opened += 1;
                line.post(&(self.opening.ears)(Said::Hello));
                self.link.send_replace(Link::Up(self.opened));
                line.serve(&mut self.requests, &self.opening).await
            }
            Err(lost) => lost,
        };
        line.calls.fail_all(&lost.to_string().into());
        lost
    }
}
