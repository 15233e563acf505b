//! A datapath that can be stopped at a stage of a trace, so that a fault happens at that stage and no other.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::oneshot;
use traceflow_core::datapath::{Capabilities, Datapath, DatapathError, Probe, Removed, Report};
use traceflow_core::names::NodeName;
use traceflow_core::packet::Packet;
use traceflow_ovs::OvsDatapath;

pub(crate) struct Staged {
    pub(crate) inner: OvsDatapath,
    before_inject: Mutex<Option<Pause>>,
}

/// The datapath's end of a stop.
struct Pause {
    reached: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

/// The test's end of it.
pub(crate) struct Stop {
    reached: oneshot::Receiver<()>,
    go_on: oneshot::Sender<()>,
}

impl Stop {
    pub(crate) async fn reached(&mut self) {
        (&mut self.reached).await.unwrap();
    }

    pub(crate) fn go_on(self) {
        self.go_on.send(()).unwrap();
    }
}

impl Staged {
    pub(crate) fn new(inner: OvsDatapath) -> Arc<Self> {
        Arc::new(Self {
            inner,
            before_inject: Mutex::default(),
        })
    }

    /// The next packet waits before it is let in.
    pub(crate) fn stop_before_inject(&self) -> Stop {
        let (reached, has_reached) = oneshot::channel();
        let (go_on, goes_on) = oneshot::channel();
        *self.before_inject.lock().unwrap() = Some(Pause {
            reached,
            go_on: goes_on,
        });
        Stop {
            reached: has_reached,
            go_on,
        }
    }
}

#[async_trait]
impl Datapath for Staged {
    fn node(&self) -> &NodeName {
        self.inner.node()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        self.inner.attach().await
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.inner.install(probe).await
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        let pause = self.before_inject.lock().unwrap().take();
        if let Some(Pause { reached, go_on }) = pause {
            // Whoever stopped it may have failed meanwhile.
            let _ = reached.send(());
            let _ = go_on.await;
        }
        self.inner.inject(probe, packet).await
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        self.inner.remove(probe).await
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        self.inner.detach().await
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        self.inner.reports()
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        self.inner.leftovers().await
    }
}
