//! What probes leave behind on the switch, and what the switch has shown and nobody heard.

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
        match self.lost_of(&flows).await? {
            0 => {}
            count => self.report(&Report::Lost { count }),
        }
        Ok(())
    }

    pub(super) async fn lost_of(&self, flows: &[FlowEntry]) -> Result<u64, DatapathError> {
        // What is counted already may still be on its way; it comes before this has an answer.
        self.channel.perform(Vec::new()).await?;
        Ok(self.losses.find(shown(flows)))
    }
}
