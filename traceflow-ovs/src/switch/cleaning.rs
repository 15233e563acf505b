//! What probes leave behind on the switch, and what the switch has shown and nobody heard.

use futures_util::future::join_all;
use traceflow_core::datapath::{DatapathError, Report};
use traceflow_openflow::message::{FlowEntry, Message};

use super::Switch;
use crate::losses::shown;

impl Switch {
    /// Has the switch told this, and waits for its answer. Where the packet was silent, what the switch says of it may have
    /// been lost.
    pub(crate) async fn clean_up(&self, messages: &[Message], silent: bool) -> Result<(), DatapathError> {
        self.flights.owe(messages);
        self.channel.up().await?;
        self.channel.post(messages.to_vec())?;
        if silent {
            self.find_losses().await?;
        } else {
            self.channel.perform(Vec::new()).await?;
        }
        self.flights.pay(messages);
        Ok(())
    }

    pub(crate) async fn find_losses(&self) -> Result<(), DatapathError> {
        let flows = self.channel.flows(self.instance().cookie(), u64::MAX).await?;
        let shown = shown(&flows);
        if self.losses.missing(shown) > 0 {
            self.let_packet_ins_out().await?;
        }
        if self.losses.missing(shown) > 0 {
            // A packet is counted before the threads of a busy switch have handed it on to its main loop.
            self.settle().await;
        }
        match self.losses.find(shown) {
            0 => {}
            count => self.report(&Report::Lost { count }),
        }
        Ok(())
    }

    /// The same of a connection that is there again: what was on its way is lost with the one before.
    pub(super) async fn lost_of(&self, flows: &[FlowEntry]) -> Result<u64, DatapathError> {
        let shown = shown(flows);
        if self.losses.missing(shown) > 0 {
            // What is counted already may still be on its way.
            self.let_packet_ins_out().await?;
        }
        Ok(self.losses.find(shown))
    }

    /// Waits until the switch has sent the packet-ins of everything that it has counted so far.
    ///
    /// It does so once in each round of its main loop, in which it takes up to 50 messages of a connection before
    /// (`ofconn_run` in Open vSwitch's `ofproto/connmgr.c`): one barrier, or a few, may be answered in the round that counted.
    async fn let_packet_ins_out(&self) -> Result<(), DatapathError> {
        let barriers = (0..=MESSAGES_A_ROUND).map(|_| self.channel.ask(Message::BarrierRequest));
        join_all(barriers)
            .await
            .into_iter()
            .try_for_each(|answer| answer.map(drop))
    }
}

const MESSAGES_A_ROUND: usize = 50;
