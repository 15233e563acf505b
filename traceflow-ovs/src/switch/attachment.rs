//! Putting the watch in place once for every life of the switch, and taking it away.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::Port;
use traceflow_openflow::message::{Message, PortDesc};

use super::{Switch, delete};
use crate::instance::Instance;
use crate::layout::Layout;
use crate::mirror;
use crate::pipeline::Switch as TablesAndPorts;
use crate::ports::made_by_the_system;
use crate::watch;

/// What stands on the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing that we know of. Next: `Attached`.
    Nothing,
    /// The watch, over the connection of this number. Next: `Nothing`, when it is detached or the switch restarts; under a
    /// later number, when only the connection was lost.
    Attached(u64),
    /// The watch, which nobody wants any more. Next: `Nothing`, when the switch has been told.
    Unwanted,
}

impl Switch {
    pub(crate) async fn attach(&self) -> Result<(), DatapathError> {
        let mut standing = self.standing.lock().await;
        let number = self.channel.up().await?;
        if *standing == Standing::Attached(number) {
            // A switch that has just died is known to be dead when it doesn't answer; nobody attaches for every trace.
            return self.channel.ask(Message::BarrierRequest).await.map(drop);
        }
        // What a dead tracer left goes first, so that the table which it used is free.
        *standing = Standing::Nothing;
        self.channel
            .perform(vec![self.deletion(Instance::cookie_mask())])
            .await?;
        let layout = self.find_layout().await?;
        let flows = watch::standing(&layout, self.instance());
        let layout = Arc::new(layout);
        *self.layout.write().unwrap_or_else(PoisonError::into_inner) = Some(layout.clone());
        let messages = flows.into_iter().map(Message::FlowMod).collect();
        self.channel.perform(messages).await?;
        self.mirror_tables(&layout).await;
        self.losses.begin();
        self.live().clear();
        *standing = Standing::Attached(number);
        Ok(())
    }

    pub(crate) async fn detach(&self) -> Result<(), DatapathError> {
        let mut standing = self.standing.lock().await;
        self.live().clear();
        *standing = Standing::Unwanted;
        self.end_mirror().await;
        self.take_away(&mut standing).await
    }

    /// Has the switch tell of the flows by which packets are put out. One that can't is asked for them packet by packet.
    pub(super) async fn mirror_tables(&self, layout: &Layout) {
        self.end_mirror().await;
        for table in mirror::tables(layout) {
            let number = self.monitors.fetch_add(1, Ordering::Relaxed);
            self.mirror.begin(number, table);
            match self.channel.monitor(mirror::monitor(number, table)).await {
                Ok(()) => self.mirror.complete(number),
                Err(error) => tracing::debug!(node = %self.settings.node, %error, "the switch tells of no flows"),
            }
        }
    }

    async fn end_mirror(&self) {
        for number in self.mirror.forget() {
            // What can't be ended tells what nobody hears.
            let _ = self.channel.monitor(mirror::no_monitor(number)).await;
        }
    }

    pub(super) async fn take_away(&self, standing: &mut Standing) -> Result<(), DatapathError> {
        self.channel
            .perform(vec![self.deletion(Instance::cookie_mask())])
            .await?;
        *standing = Standing::Nothing;
        Ok(())
    }

    fn deletion(&self, mask: u64) -> Message {
        Message::FlowMod(delete(self.instance().cookie(), mask))
    }

    async fn find_layout(&self) -> Result<Layout, DatapathError> {
        self.check_ports().await?;
        let tables = self.channel.tables().await?;
        let switch = TablesAndPorts {
            free_tables: self.free_tables(tables.keys().rev()).await?,
            tables,
            tunnels: self.settings.tunnels.clone(),
            gateway: self.settings.gateway,
            routed: self.settings.routed.clone(),
        };
        let layout = self.settings.pipeline.layout(&switch);
        layout.map_err(|error| DatapathError::Refused(error.to_string().into()))
    }

    async fn check_ports(&self) -> Result<(), DatapathError> {
        let tunnels = self.settings.tunnels.iter().map(|&port| ("tunnel", port));
        let gateway = self.settings.gateway.iter().map(|&port| ("gateway", port));
        let present = self.look_at_ports().await?;
        let there = |number: u32| present.iter().any(|port| port.port == Port(number));
        let Some((what, port)) = tunnels.chain(gateway).find(|(_, port)| !there(*port)) else {
            return Ok(());
        };
        let shown = present.iter().map(|port| format!("{} ({})", port.port, port.name));
        let mut shown: Vec<String> = shown.take(SHOWN).collect();
        if present.len() > SHOWN {
            shown.push(format!("{} more", present.len() - SHOWN));
        }
        let words = format!(
            "the switch has no port {port}, which is said to be a {what}; it has {}",
            shown.join(", ")
        );
        Err(DatapathError::Refused(words.into()))
    }

    /// Asks for all ports, and which of them carry packets.
    pub(super) async fn look_at_ports(&self) -> Result<Vec<PortDesc>, DatapathError> {
        let mut ports = self.channel.ports().await?;
        ports.sort_unstable_by_key(|port| port.port.0);
        self.ports.begin(&ports);
        self.ports_changed.notify_one();
        Ok(ports)
    }

    /// Asks what OpenFlow doesn't tell of ports without link. Where that can't be asked, they stay in doubt.
    pub(super) async fn settle_ports(&self) {
        let Some(unixctl) = self.unixctl.as_ref().filter(|_| self.ports.has_suspects()) else {
            return;
        };
        match unixctl.call("dpif/show", &[]).await {
            Ok(shown) => self.ports.settle(&made_by_the_system(&shown)),
            Err(error) => tracing::debug!(node = %self.settings.node, %error, "ports without link stay in doubt"),
        }
    }

    async fn free_tables(&self, tables: impl Iterator<Item = &u8>) -> Result<Vec<u8>, DatapathError> {
        let counts = tables.map(|&table| async move { (table, self.channel.count_flows(table).await) });
        let mut free = Vec::new();
        for (table, count) in join_all(counts).await {
            if count? == 0 {
                free.push(table);
            }
        }
        Ok(free)
    }
}

/// A node has hundreds of ports; a message doesn't need them all.
const SHOWN: usize = 20;
