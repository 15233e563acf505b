//! Something between a tracer and a switch that can fail without either of them.

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use traceflow_ovs::address::{Address, Stream};

/// Carries bytes between whoever connects and a switch, for as long as it lives.
pub(crate) struct Proxy {
    folder: TempDir,
    control: watch::Sender<Control>,
}

/// What it does at the moment.
#[derive(Debug, Clone, Default)]
struct Control {
    /// What the switch says waits.
    holds: bool,
    /// How often all connections were cut.
    cuts: u64,
}

impl Proxy {
    /// Begins to listen, in tasks of the current runtime.
    pub(crate) fn to(switch: &Address) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (control, controlled) = watch::channel(Control::default());
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        tokio::spawn(listen(listener, switch.clone(), controlled));
        Self { folder, control }
    }

    pub(crate) fn address(&self) -> Address {
        Address::from(self.folder.path().join(SOCKET).as_path())
    }

    /// From now on nothing arrives of what the switch says.
    pub(crate) fn hold(&self) {
        self.control.send_modify(|control| control.holds = true);
    }

    /// What was held arrives, and everything after it.
    pub(crate) fn release(&self) {
        self.control.send_modify(|control| control.holds = false);
    }

    /// Ends all connections; what was held is lost. New ones are open to everything.
    pub(crate) fn cut(&self) {
        self.control.send_modify(|control| {
            control.holds = false;
            control.cuts += 1;
        });
    }
}

const SOCKET: &str = "switch.sock";

async fn listen(listener: UnixListener, switch: Address, control: watch::Receiver<Control>) {
    while let Ok((tracer, _)) = listener.accept().await {
        // A switch that is gone closes the connection.
        if let Ok(switch) = switch.connect().await {
            tokio::spawn(carry(tracer, switch, control.clone()));
        }
    }
}

async fn carry(tracer: UnixStream, switch: Stream, mut control: watch::Receiver<Control>) {
    let cuts = control.borrow().cuts;
    let (tracer, switch) = (split(tracer), split(switch));
    let reports = (cuts, control.clone());
    tokio::select! {
        () = bring(tracer.0, switch.1, None) => {}
        () = bring(switch.0, tracer.1, Some(reports)) => {}
        // The proxy itself may be gone.
        _ = control.wait_for(|control| control.cuts != cuts) => {}
    }
}

async fn bring<From, To>(
    mut from: ReadHalf<From>,
    mut to: WriteHalf<To>,
    mut reports: Option<(u64, watch::Receiver<Control>)>,
) where
    From: AsyncRead,
    To: AsyncWrite,
{
    let mut bytes = vec![0; 64 * 1024];
    while passes(&mut reports).await {
        let Ok(count @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        // It may have been told to hold meanwhile.
        if !passes(&mut reports).await || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Waits until what the switch says may pass; false if the connection was cut meanwhile.
async fn passes(reports: &mut Option<(u64, watch::Receiver<Control>)>) -> bool {
    match reports {
        Some((cuts, control)) => match control.wait_for(|control| !control.holds).await {
            Ok(control) => control.cuts == *cuts,
            Err(_) => false,
        },
        None => true,
    }
}
