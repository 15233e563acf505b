//! The port that a MAC address is behind.

use traceflow_core::packet::MacAddress;

use super::routing::GLOBAL_VIRTUAL_MAC;
use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;
use crate::realisation::{GATEWAY_PORT, TUNNEL_PORT};

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let pods = site.pods.iter().map(|pod| behind(pod.mac, pod.port));
    let mut flows = vec![
        behind(site.gateway.mac, GATEWAY_PORT),
        behind(GLOBAL_VIRTUAL_MAC, TUNNEL_PORT),
    ];
    flows.extend(pods);
    flows.push(Flow::miss(Table::L2ForwardingCalc, Table::TrafficControl));
    flows.push(Flow::miss(Table::TrafficControl, Table::IngressSecurityClassifier));
    Ok(flows)
}

fn behind(mac: MacAddress, port: u32) -> Flow {
    Flow::new(Table::L2ForwardingCalc, NORMAL, Category::PodConnectivity)
        .field(format_args!("dl_dst={mac}"))
        .load(Mark::target_port(port))
        .load(Mark::OUTPUT_TO_PORT)
        .goto(Table::TrafficControl)
}
