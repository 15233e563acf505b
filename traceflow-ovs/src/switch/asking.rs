//! Packets that are held until the switch has said what its own flows do with them.

use std::collections::{HashMap, HashSet};
use std::sync::Weak;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::message::{FlowEntry, PacketInView};

use super::Switch;
use crate::beneath::Wanted;

/// A packet that isn't told of yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) wanted: Wanted,
    /// Its packet-in.
    pub(super) message: Vec<u8>,
    pub(super) remarks: Vec<String>,
    /// When it was seen.
    pub(super) at: SystemTime,
}

/// How long a packet is held for a switch that doesn't answer. It was seen, and that is to be told.
const PATIENCE: Duration = Duration::from_millis(250);

/// So many packets share an answer.
const BATCH: usize = 256;

/// Asks for all that have come while the last answer was waited for, as long as anybody holds the switch.
pub(super) async fn ask(switch: Weak<Switch>, mut held: UnboundedReceiver<Held>) {
    let mut batch = Vec::new();
    while held.recv_many(&mut batch, BATCH).await > 0 {
        let Some(switch) = switch.upgrade() else { return };
        switch.tell_held(&mut batch).await;
    }
}

impl Switch {
    pub(super) fn hold(&self, held: Held) {
        // Who can't be asked any more is about to go.
        let _ = self.held.send(held);
    }

    async fn tell_held(&self, batch: &mut Vec<Held>) {
        let answers = self.answers(batch).await;
        let Ok(layout) = self.layout() else {
            return batch.clear();
        };
        for Held {
            wanted,
            message,
            mut remarks,
            at,
        } in batch.drain(..)
        {
            let packet_in = PacketInView::decode(&message).ok().flatten();
            let Some(mut evidence) = packet_in.and_then(|packet_in| self.evidence_of(packet_in, &layout)) else {
                continue;
            };
            match answers.get(&wanted) {
                Some(flows) => evidence.deeds = wanted.deeds(flows, &evidence),
                None => remarks.push("the switch could not be asked for its own flow there".to_owned()),
            }
            self.tell(evidence, &remarks, at);
        }
    }

    /// What the switch says, once for all who want the same; nothing where it doesn't answer.
    async fn answers(&self, batch: &[Held]) -> HashMap<Wanted, Vec<FlowEntry>> {
        let wanted: HashSet<&Wanted> = batch.iter().map(|held| &held.wanted).collect();
        let answers = wanted.into_iter().map(async |wanted| {
            let flows = timeout(PATIENCE, self.flows_for(wanted)).await;
            Some((wanted.clone(), flows.ok()?.ok()?))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    async fn flows_for(&self, wanted: &Wanted) -> Result<Vec<FlowEntry>, DatapathError> {
        let flows = self.channel.flows_of(wanted.filter()).await?;
        match wanted.wider(&flows) {
            Some(filter) => self.channel.flows_of(filter).await,
            None => Ok(flows),
        }
    }
}
