//! Services of chance.

use super::objects::{Kind, Object};
use super::topology::{APPS, Families, NAMESPACES, Topology};

/// A Service that selects some Pods, or none.
pub(super) fn any_service(random: &mut fastrand::Rng, number: usize, topology: &Topology) -> Object {
    let (namespace, _) = random.choice(NAMESPACES).unwrap_or(NAMESPACES[0]);
    let addresses = addresses(random, number, topology.families);
    let external = external_addresses(random, number, &addresses);
    let addresses = addresses.join(", ");
    let app = match random.u8(..8) {
        0 => "nobody",
        _ => random.choice(APPS).unwrap_or("web"),
    };
    let web = random
        .choice(["targetPort: http", "targetPort: 80", "targetPort: 8080"])
        .unwrap_or("targetPort: 80");
    // Every third is offered by the nodes.
    let node_port = match random.u8(..3) {
        0 => format!(", nodePort: {}", FIRST_NODE_PORT + number % 2_000),
        _ => String::new(),
    };
    let ports = match random.u8(..3) {
        0 => format!("[{{name: web, port: 80, {web}{node_port}}}]"),
        1 => format!(
            "[{{name: web, port: 8000, {web}{node_port}}}, {{name: dns, port: 53, protocol: UDP, targetPort: dns}}]"
        ),
        _ => format!("[{{name: dns, port: 53, protocol: UDP, targetPort: 53{node_port}}}]"),
    };
    let more = match random.u8(..8) {
        0 => ", internalTrafficPolicy: Local",
        1 => ", sessionAffinity: ClientIP",
        _ => "",
    };
    Object {
        kind: Kind::Service,
        name: format!("Service {number}"),
        number,
        text: format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: service-{number}, namespace: {namespace}}}\n\
             spec: {{clusterIPs: [{addresses}], selector: {{app: {app}}}, ports: {ports}{more}{external}}}"
        ),
    }
}

const FIRST_NODE_PORT: usize = 30_000;

/// Half of the Services are reached from outside, too, by an address of each of their families.
fn external_addresses(random: &mut fastrand::Rng, number: usize, addresses: &[String]) -> String {
    if random.bool() {
        return String::new();
    }
    let external = addresses.iter().map(|address| match address.contains(':') {
        true => format!("\"2001:db8:96::{:x}\"", 0x10 + number),
        false => format!("203.0.113.{}", 10 + number % 200),
    });
    format!(", externalIPs: [{}]", external.collect::<Vec<_>>().join(", "))
}

fn addresses(random: &mut fastrand::Rng, number: usize, families: Families) -> Vec<String> {
    let four = format!("10.96.{}.{}", number / 200, 10 + number % 200);
    let six = format!("\"fd00:96::{:x}\"", 0x10 + number);
    match (families, random.u8(..3)) {
        (Families::V4, _) | (Families::Both, 0) => vec![four],
        (Families::V6, _) => vec![six],
        (Families::Both, 1) => vec![six, four],
        (Families::Both, _) => vec![four, six],
    }
}
