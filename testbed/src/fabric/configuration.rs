//! What a node's database holds: two bridges, their ports, the tables' names.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use traceflow_core::packet::MacAddress;

use crate::realisation::{GATEWAY_PORT, NodeRealisation, TABLES, TUNNEL_PORT};

/// Everything that decides it.
pub(crate) struct Configuration<'a> {
    pub(crate) node: &'a NodeRealisation,
    pub(crate) directory: &'a Path,
    /// Whether ports are devices, or sockets.
    pub(crate) real_pods: bool,
    /// The MAC address of the node's end of the underlay.
    pub(crate) mac: MacAddress,
}

impl Configuration<'_> {
    /// The arguments of one ovs-vsctl that fills the empty database.
    pub(crate) fn orders(&self) -> Vec<String> {
        let datapath = format!("datapath_type={}", if self.real_pods { "netdev" } else { "dummy" });
        let hardware = format!("other_config:hwaddr={}", quoted(&self.mac.to_string()));
        let mut orders = Orders(Vec::new());
        orders.add(&["init"]);
        orders.add(&[
            "set",
            "Open_vSwitch",
            ".",
            "other_config:n-handler-threads=1",
            "other_config:n-revalidator-threads=1",
        ]);
        orders.add(&["add-br", "br-phy"]);
        orders.add(&["set", "Bridge", "br-phy", &datapath, "fail-mode=standalone", &hardware]);
        orders.add(&["add-port", "br-phy", "ul0"]);
        orders.add(&["set", "Interface", "ul0", "ofport_request=1"]);
        orders.extend(self.socket(UNDERLAY_SOCKET));
        self.more_addresses(&mut orders);
        orders.add(&["add-br", BRIDGE]);
        orders.add(&["set", "Bridge", BRIDGE, &datapath, "fail-mode=secure", PROTOCOLS]);
        self.ports(&mut orders);
        name_tables(&mut orders);
        orders.0
    }

    /// In the rootless form, a device for each address that the bridge's own has no room for.
    fn more_addresses(&self, orders: &mut Orders) {
        if self.real_pods {
            return;
        }
        // Tunnels end where address and MAC address are those of one device.
        let mac = format!("mac={}", quoted(&self.mac.to_string()));
        let devices: BTreeSet<String> = underlay_devices(&self.node.addresses).into_iter().collect();
        for device in devices.iter().filter(|device| *device != UNDERLAY) {
            orders.add(&[
                "add-port",
                UNDERLAY,
                device,
                "--",
                "set",
                "Interface",
                device,
                "type=internal",
                &mac,
            ]);
        }
    }

    fn ports(&self, orders: &mut Orders) {
        let request = |port: u32| format!("ofport_request={port}");
        orders.add(&[
            "add-port",
            BRIDGE,
            "tun0",
            "--",
            "set",
            "Interface",
            "tun0",
            &request(TUNNEL_PORT),
        ]);
        orders.extend(["type=geneve", "options:remote_ip=flow", "options:key=flow"].map(str::to_owned));
        orders.add(&[
            "add-port",
            BRIDGE,
            "gw0",
            "--",
            "set",
            "Interface",
            "gw0",
            &request(GATEWAY_PORT),
        ]);
        let mac = quoted(&self.node.gateway.mac.to_string());
        let kind = if self.real_pods { "internal" } else { "dummy" };
        orders.extend([format!("type={kind}"), format!("mac={mac}")]);
        if !self.real_pods && !self.node.routed.is_empty() {
            orders.extend(self.listening(GATEWAY_SOCKET));
        }
        for pod in &self.node.pods {
            let interface = pod_interface(pod.port);
            orders.add(&[
                "add-port",
                BRIDGE,
                &interface,
                "--",
                "set",
                "Interface",
                &interface,
                &request(pod.port),
            ]);
            orders.extend(self.socket(&pod_socket(pod.port)));
            // As Antrea's agent marks its ports.
            orders.extend([
                format!("external_ids:pod-namespace={}", quoted(&pod.pod.namespace)),
                format!("external_ids:pod-name={}", quoted(&pod.pod.name)),
            ]);
        }
    }

    /// In the rootless form, where the switch listens for who wants to be at the other end of the port.
    fn socket(&self, name: &str) -> Vec<String> {
        if self.real_pods {
            return Vec::new();
        }
        let mut orders = vec!["type=dummy".to_owned()];
        orders.extend(self.listening(name));
        orders
    }

    fn listening(&self, name: &str) -> Option<String> {
        let listen = format!("punix:{}", self.directory.join(name).display());
        Some(format!("options:pstream={}", quoted(&listen)))
    }
}

fn name_tables(orders: &mut Orders) {
    for (name, number) in TABLES {
        let (row, name) = (format!("@table{number}"), format!("name={}", quoted(name)));
        orders.add(&[&format!("--id={row}"), "create", "Flow_Table", &name]);
        orders.add(&["set", "Bridge", BRIDGE, &format!("flow_tables:{number}={row}")]);
    }
}

/// The arguments of ovs-vsctl: commands with `--` between them.
struct Orders(Vec<String>);

impl Orders {
    fn add(&mut self, words: &[&str]) {
        self.0.push("--".to_owned());
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// More words of the last command.
    fn extend(&mut self, words: impl IntoIterator<Item = String>) {
        self.0.extend(words);
    }
}

/// A string as OVSDB writes it, which is as JSON does.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The device that has each of these addresses in the rootless form, where a device has one of each family.
pub(crate) fn underlay_devices(addresses: &[IpAddr]) -> Vec<String> {
    let device = |(place, address): (usize, &IpAddr)| {
        let earlier = &addresses[..place];
        match earlier
            .iter()
            .filter(|other| other.is_ipv4() == address.is_ipv4())
            .count()
        {
            0 => UNDERLAY.to_owned(),
            number => format!("ul{number}"),
        }
    };
    addresses.iter().enumerate().map(device).collect()
}

/// The switch's name of a Pod's port.
pub(crate) fn pod_interface(port: u32) -> String {
    format!("pod{port}")
}

/// The socket of a Pod's port, in the rootless form.
pub(crate) fn pod_socket(port: u32) -> String {
    format!("pod{port}.sock")
}

/// The bridge to the other nodes, and the device of its own.
pub(crate) const UNDERLAY: &str = "br-phy";
/// The bridge that a CNI plug-in programs.
pub(crate) const BRIDGE: &str = "br-int";
/// The socket of the node's end of the underlay, in the rootless form.
pub(crate) const UNDERLAY_SOCKET: &str = "ul0.sock";
/// The socket of the gateway port where the node is a router, in the rootless form.
pub(crate) const GATEWAY_SOCKET: &str = "gw0.sock";
/// Geneve over IPv6 adds 70 bytes to a Pod's packet.
pub(crate) const POD_MTU: u32 = 1450;
pub(crate) const UNDERLAY_MTU: u32 = 1600;
const PROTOCOLS: &str = "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_the_underlay_has_one_address_of_each_family() {
        let addresses = ["172.18.0.2", "fd00::2", "172.18.0.100", "172.18.0.101", "fd00::100"];
        let devices = underlay_devices(&addresses.map(|address| address.parse().unwrap()));
        assert_eq!(devices, ["br-phy", "br-phy", "ul1", "ul2", "ul1"]);
    }
}
