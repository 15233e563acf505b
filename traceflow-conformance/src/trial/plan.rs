//! Plans and tracers for whole traces.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::inventory::Owner;
use traceflow_core::packet::Packet;
use traceflow_core::plan::{End, FlowMatch, Plan, Question};
use traceflow_core::trace::Predictor;
use traceflow_core::tracer::{Tracer, TracerBuilder};

use super::{Trial, matching};
use crate::case::Failure;
use crate::network::Journey;

impl Trial {
    /// A tracer over all nodes, without a predictor: it watches everywhere and knows only what it sees.
    pub(crate) fn tracer(&self) -> Tracer {
        self.tracer_to_be().start()
    }

    /// A tracer over all nodes that watches where `predictor` has the packet go.
    pub(crate) fn predicting_tracer(&self, predictor: Arc<dyn Predictor>) -> Tracer {
        self.tracer_to_be().predictor(predictor).start()
    }

    fn tracer_to_be(&self) -> TracerBuilder {
        Tracer::builder(self.network.inventory.clone())
            .datapaths(self.network.datapaths.iter().cloned())
            .seed(self.suite.seed)
    }

    /// A plan that injects a new packet over `journey`.
    pub(crate) fn injecting(&self, journey: &Journey) -> Result<Plan, Failure> {
        self.injecting_packet(journey, self.packet(journey)?)
    }

    /// A plan that injects `packet` over `journey`.
    pub(crate) fn injecting_packet(&self, journey: &Journey, packet: Packet) -> Result<Plan, Failure> {
        let question = Question::Inject {
            pod: journey.from.clone(),
            node: self.start_of(journey)?.node().clone(),
            packet: packet.clone(),
        };
        self.plan(&packet, question)
    }

    /// A plan that follows real traffic over `journey`, that of a new connection.
    pub(crate) fn following(&self, journey: &Journey, dropped_only: bool) -> Result<Plan, Failure> {
        self.following_packet(&self.packet(journey)?, dropped_only)
    }

    /// A plan that follows real traffic that looks like `packet`.
    pub(crate) fn following_packet(&self, packet: &Packet, dropped_only: bool) -> Result<Plan, Failure> {
        let matching = matching(packet);
        self.plan(packet, Question::Live { matching, dropped_only })
    }

    /// A plan that follows the first packet of whatever the sender of `packet` sends by its protocol.
    pub(crate) fn following_sender(&self, packet: &Packet) -> Result<Plan, Failure> {
        let matching = FlowMatch {
            destination: None,
            source_port: None,
            destination_port: None,
            ..matching(packet)
        };
        let question = Question::Live {
            matching,
            dropped_only: false,
        };
        Ok(Plan {
            destination: None,
            ..self.plan(packet, question)?
        })
    }

    /// Its time includes the rest of a mark, for which it may have to wait.
    fn plan(&self, packet: &Packet, question: Question) -> Result<Plan, Failure> {
        Ok(Plan {
            source: Some(self.end(packet.ip.source())),
            destination: Some(self.end(packet.ip.destination())),
            question,
            timeout: self.suite.patience + self.claims()?.mark_memory,
            choices: Vec::new(),
        })
    }

    fn end(&self, address: IpAddr) -> End {
        let owner = self.network.inventory.owner(address);
        let pod = match &owner {
            Some(Owner::Pod(name)) => self.network.inventory.pod(name),
            _ => None,
        };
        End {
            owner,
            address,
            mac: pod.as_ref().and_then(|pod| pod.mac),
            node: pod.and_then(|pod| pod.node),
        }
    }
}
