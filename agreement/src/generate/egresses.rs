//! Egresses of chance.

use super::objects::{Kind, Object};
use super::topology::{APPS, Families, Topology};

/// An Egress under the address of one of the nodes, or of none. Other addresses would be further ends of the tunnels, which
/// stay as they are.
pub(super) fn any_egress(random: &mut fastrand::Rng, number: usize, topology: &Topology) -> Object {
    let node = random.usize(1..=topology.nodes);
    let host = match random.u8(..6) {
        0 => "250".to_owned(),
        _ => node.to_string(),
    };
    let (four, six) = (format!("192.168.77.{host}"), format!("\"fd00:77::{host}\""));
    let addresses = match (topology.families, random.u8(..3)) {
        (Families::V4, _) | (Families::Both, 0) => four,
        (Families::V6, _) | (Families::Both, 1) => six,
        (Families::Both, _) => format!("{four}, {six}"),
    };
    let selector = match random.u8(..4) {
        0 => "namespaceSelector: {matchLabels: {env: live}}".to_owned(),
        _ => format!(
            "podSelector: {{matchLabels: {{app: {}}}}}",
            random.choice(APPS).unwrap_or("web")
        ),
    };
    Object {
        kind: Kind::Egress,
        name: format!("Egress {number}"),
        number,
        text: format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {{name: egress-{number}}}\n\
             spec: {{appliedTo: {{{selector}}}, egressIPs: [{addresses}]}}"
        ),
    }
}
