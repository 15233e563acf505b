//! Questions to a real database.

use traceflow_core::names::ObjectName;
use traceflow_ovs::ovsdb::{Ovsdb, OvsdbError, PortKind};

use crate::switch::{PATIENCE, Switch};

const BRIDGE: &str = "add-br br0 -- set bridge br0 datapath_type=dummy \
    -- add-port br0 pod1 -- set interface pod1 type=dummy ofport_request=3 \
    external_ids:pod-name=web-0 external_ids:pod-namespace=shop external_ids:attached-mac=\"02:00:00:00:00:01\" \
    -- add-port br0 tun0 -- set interface tun0 type=geneve options:remote_ip=flow options:key=flow ofport_request=1 \
    -- add-port br0 gone -- set interface gone type=vxlan \
    -- add-br br1 -- set bridge br1 datapath_type=dummy -- add-port br1 other -- set interface other type=dummy";

#[tokio::test]
async fn ports_are_known_by_number_kind_and_pod() {
    let Some(switch) = Switch::start() else { return };
    switch.vsctl(BRIDGE);
    let ovsdb = Ovsdb::new(switch.database(), PATIENCE);
    let ports = ovsdb.ports("br0").await.unwrap();
    let numbers: Vec<_> = ports.iter().map(|port| (port.name.as_str(), port.number)).collect();
    assert_eq!(
        numbers,
        [
            ("br0", Some(65534)),
            ("gone", None),
            ("pod1", Some(3)),
            ("tun0", Some(1))
        ]
    );
    let kinds: Vec<_> = ports.iter().map(|port| port.kind.clone()).collect();
    let tunnel = |name: &str| PortKind::Tunnel(name.to_owned());
    assert_eq!(
        kinds,
        [
            PortKind::Internal,
            tunnel("vxlan"),
            PortKind::Other("dummy".into()),
            tunnel("geneve")
        ]
    );
    assert_eq!(ports[2].pod(), Some(ObjectName::new("shop", "web-0")));
    assert_eq!(ports[2].external_ids["attached-mac"], "02:00:00:00:00:01");
    assert_eq!(ovsdb.ports("br1").await.unwrap().len(), 2);
    let error = ovsdb.ports("br2").await.unwrap_err();
    assert!(matches!(error, OvsdbError::NoBridge(bridge) if bridge == "br2"));
}

#[tokio::test]
async fn a_bridge_with_a_thousand_ports_is_read_whole() {
    let Some(switch) = Switch::start() else { return };
    let ports: Vec<_> = (1..=1000)
        .map(|number| format!("-- add-port br0 p{number} external_ids:pod-name=web"))
        .collect();
    // The switch needs long for so many devices; the database knows them at once.
    switch.vsctl(&format!("--no-wait add-br br0 {}", ports.join(" ")));
    let ports = Ovsdb::new(switch.database(), PATIENCE).ports("br0").await.unwrap();
    assert_eq!(ports.len(), 1001);
}
