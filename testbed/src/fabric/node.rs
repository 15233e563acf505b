//! One node: its database, its switch and what they are told.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use traceflow_core::names::NodeName;
use traceflow_core::packet::MacAddress;

use super::command::run;
use super::configuration::{
    BRIDGE, Configuration, GATEWAY_SOCKET, POD_MTU, UNDERLAY, UNDERLAY_MTU, UNDERLAY_SOCKET, pod_socket,
    underlay_devices,
};
use super::daemon::{Birth, Daemon, Keeper};
use super::error::FabricError;
use super::hub::Hub;
use super::link::PodLink;
use super::pods::{Wiring, address_bits, no_detection};
use super::program::{difference, replace_all};
use super::routers::Routers;
use super::unixctl;
use crate::realisation::{GATEWAY_PORT, NodeRealisation, PodPort, Program, RuleId, TUNNEL_PORT};

/// A node's switch, for whoever wants to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchNode {
    /// The node's name.
    pub name: NodeName,
    /// The socket where the bridge speaks OpenFlow.
    pub openflow: PathBuf,
    /// The unixctl socket of ovs-vswitchd.
    pub unixctl: PathBuf,
    /// The socket of the node's OVSDB.
    pub ovsdb: PathBuf,
    /// The bridge.
    pub bridge: String,
    /// The number of the tunnel port.
    pub tunnel: u32,
    /// The number of the gateway port.
    pub gateway: u32,
    /// The ranges of other nodes' Pods that are reached by the gateway port.
    pub routed: Vec<IpNet>,
    /// The Pods' ports.
    pub pods: Vec<PodPort>,
    /// Which rule has which number.
    pub rules: Vec<RuleId>,
}

/// What joins rootless nodes.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) hub: Hub,
    pub(crate) routers: Routers,
}

/// What a node is started from.
pub(crate) struct Blueprint<'a> {
    pub(crate) realisation: NodeRealisation,
    pub(crate) directory: PathBuf,
    /// An empty database.
    pub(crate) database: &'a Path,
    pub(crate) mac: MacAddress,
    /// The other nodes' tunnel ends.
    pub(crate) neighbours: Vec<(IpAddr, MacAddress)>,
    /// In the root form.
    pub(crate) wiring: Option<Wiring>,
}

/// A node with its daemons.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) switch: SwitchNode,
    pub(crate) wiring: Option<Wiring>,
    pub(crate) mac: MacAddress,
    directory: PathBuf,
    realisation: NodeRealisation,
    neighbours: Vec<(IpAddr, MacAddress)>,
    vswitchd: Option<Daemon>,
    database: Option<Daemon>,
}

impl Node {
    /// Everything up and programmed.
    pub(crate) fn start(
        blueprint: Blueprint<'_>,
        keeper: &Keeper,
        network: Option<&Network>,
    ) -> Result<Self, FabricError> {
        let directory = blueprint.directory;
        let copied = fs::create_dir(&directory).and_then(|()| fs::copy(blueprint.database, directory.join(DATABASE)));
        copied.map_err(FabricError::system(format!("make {}", directory.display())))?;
        let mut node = Self {
            switch: switch(&blueprint.realisation, &directory),
            wiring: blueprint.wiring,
            mac: blueprint.mac,
            directory,
            realisation: blueprint.realisation,
            neighbours: blueprint.neighbours,
            vswitchd: None,
            database: None,
        };
        node.start_database(keeper)?;
        node.configure()?;
        node.start_switch(keeper, network)?;
        node.program()?;
        Ok(node)
    }

    pub(crate) fn start_database(&mut self, keeper: &Keeper) -> Result<(), FabricError> {
        if self.database.is_some() {
            return Ok(());
        }
        let mut daemon = Daemon::start(
            &Birth {
                program: "ovsdb-server",
                node: &self.switch.name,
                directory: &self.directory,
                namespace: None,
                arguments: vec![
                    self.file(DATABASE),
                    format!("--remote=punix:{}", self.file("db.sock")),
                    format!("--unixctl={}", self.file("ovsdb.ctl")),
                    format!("--pidfile={}", self.file("ovsdb.pid")),
                ],
            },
            keeper,
        )?;
        daemon.wait_for(&self.switch.ovsdb)?;
        self.database = Some(daemon);
        if self.vswitchd.is_some() {
            // Answered when the switch has found the database again and read it.
            let mut command = self.vsctl();
            command.args(["set", "Open_vSwitch", ".", "external_ids:database=restarted"]);
            run(&mut command, "")?;
        }
        Ok(())
    }

    /// Starts the switch and has it know its neighbours; it has no flows then.
    pub(crate) fn start_switch(&mut self, keeper: &Keeper, network: Option<&Network>) -> Result<(), FabricError> {
        if self.vswitchd.is_some() {
            return Ok(());
        }
        let mut arguments = vec![
            format!("unix:{}", self.file("db.sock")),
            "--disable-system".to_owned(),
            format!("--unixctl={}", self.file("vswitchd.ctl")),
            format!("--pidfile={}", self.file("vswitchd.pid")),
        ];
        if self.wiring.is_none() {
            arguments.extend(["--enable-dummy", "--disable-system-route"].map(str::to_owned));
        }
        let mut daemon = Daemon::start(
            &Birth {
                program: "ovs-vswitchd",
                node: &self.switch.name,
                directory: &self.directory,
                namespace: self.wiring.as_ref().map(|wiring| &wiring.node),
                arguments,
            },
            keeper,
        )?;
        // The bridge's socket appears while the switch reads its configuration; the next answer on the other comes when it
        // has read all of it.
        daemon.wait_for(&self.switch.openflow)?;
        self.vswitchd = Some(daemon);
        self.control("version", &[])?;
        match network {
            Some(network) => {
                self.join_hub(&network.hub)?;
                self.join_routers(&network.routers)?;
            }
            None => self.join_underlay()?,
        }
        self.meet_neighbours()
    }

    /// Ends the switch as `kill -9` does.
    pub(crate) fn kill_switch(&mut self) {
        self.vswitchd = None;
    }

    /// Ends the database as `kill -9` does.
    pub(crate) fn kill_database(&mut self) {
        self.database = None;
    }

    /// The processes of the daemons that run.
    pub(crate) fn processes(&self) -> impl Iterator<Item = u32> {
        [&self.database, &self.vswitchd].into_iter().flatten().map(Daemon::id)
    }

    /// Replaces all groups and flows.
    pub(crate) fn program(&self) -> Result<(), FabricError> {
        self.bundle(&replace_all(&self.realisation.program))
    }

    /// Changes groups and flows to those of another realisation of the same node.
    pub(crate) fn reprogram(&mut self, realisation: NodeRealisation) -> Result<(), FabricError> {
        let bundle = difference(&self.realisation.program, &realisation.program);
        if !bundle.is_empty() {
            self.bundle(&bundle)?;
        }
        self.switch.rules.clone_from(&realisation.rules);
        self.realisation = realisation;
        Ok(())
    }

    /// An error unless the other realisation differs in program and rules only, and in which of its addresses are Egresses'.
    pub(crate) fn check_same_ports(&self, other: &NodeRealisation) -> Result<(), FabricError> {
        let without_program = |node: &NodeRealisation| NodeRealisation {
            program: Program::default(),
            rules: Vec::new(),
            egress_addresses: Vec::new(),
            ..node.clone()
        };
        if without_program(&self.realisation) == without_program(other) {
            return Ok(());
        }
        Err(FabricError::Unsuitable(format!(
            "node {} has other ports or addresses than before; only flows and groups can change while it is up",
            other.name
        )))
    }

    /// The Pod's end of its link.
    pub(crate) fn link(&self, port: u32) -> Result<PodLink, FabricError> {
        let socket = self.directory.join(pod_socket(port));
        let link =
            PodLink::connect(&socket).map_err(FabricError::system(format!("connect to {}", socket.display())))?;
        self.turn_around()?;
        Ok(link)
    }

    /// How many frames the switch has sent to this port.
    pub(crate) fn sent_to(&self, port: u32) -> Result<u64, FabricError> {
        let mut command = Command::new("ovs-ofctl");
        command.args([
            "-O",
            "OpenFlow15",
            "--timeout=20",
            "dump-ports",
            &self.bridge_address(),
            &port.to_string(),
        ]);
        let answer = run(&mut command, "")?;
        transmitted(&answer)
            .ok_or_else(|| FabricError::Unsuitable(format!("no counter of sent packets in `{}`", answer.trim())))
    }

    /// Has the switch know the other tunnel ends, anew: it forgets those that it hasn't used for a while.
    pub(crate) fn meet_neighbours(&self) -> Result<(), FabricError> {
        self.control("tnl/neigh/aging", &["3600"])?;
        for (address, mac) in &self.neighbours {
            self.control("tnl/neigh/set", &["br-phy", &address.to_string(), &mac.to_string()])?;
        }
        Ok(())
    }

    fn bundle(&self, lines: &str) -> Result<(), FabricError> {
        let mut command = Command::new("ovs-ofctl");
        command.args([
            "-O",
            "OpenFlow15",
            "--timeout=60",
            "bundle",
            &self.bridge_address(),
            "-",
        ]);
        run(&mut command, lines)?;
        // Else what the switch keeps in its cache would decide for some milliseconds more.
        self.control("revalidator/purge", &[]).map(|_| ())
    }

    fn bridge_address(&self) -> String {
        format!("unix:{}", self.switch.openflow.display())
    }

    /// One transaction for all: each command costs the time of a process.
    fn configure(&self) -> Result<(), FabricError> {
        let configuration = Configuration {
            node: &self.realisation,
            directory: &self.directory,
            real_pods: self.wiring.is_some(),
            mac: self.mac,
        };
        let mut command = self.vsctl();
        command.arg("--no-wait").args(configuration.orders());
        run(&mut command, "").map(|_| ())
    }

    fn vsctl(&self) -> Command {
        let mut command = Command::new("ovs-vsctl");
        command.args(["--timeout=30", &format!("--db=unix:{}", self.file("db.sock"))]);
        command
    }

    /// Connects the node to the others, through us.
    fn join_hub(&self, hub: &Hub) -> Result<(), FabricError> {
        let socket = self.directory.join(UNDERLAY_SOCKET);
        hub.attach(self.mac, &socket)
            .map_err(FabricError::system(format!("connect to {}", socket.display())))?;
        self.turn_around()?;
        let devices = underlay_devices(&self.realisation.addresses);
        for ((address, length), device) in self.own_networks().zip(&devices) {
            let family = if address.is_ipv6() { 6 } else { 4 };
            self.control(
                &format!("netdev-dummy/ip{family}addr"),
                &[device, &format!("{address}/{length}")],
            )?;
            // The switch takes for its own only what belongs to a device that some way leads by.
            if device != UNDERLAY {
                let itself = format!("{address}/{}", address_bits(address));
                self.control("ovs/route/add", &[&itself, device])?;
            }
        }
        for (address, _) in &self.neighbours {
            self.control(
                "ovs/route/add",
                &[&format!("{address}/{}", address_bits(*address)), "br-phy"],
            )?;
        }
        Ok(())
    }

    /// Has the node route, through us.
    fn join_routers(&self, routers: &Routers) -> Result<(), FabricError> {
        if self.realisation.routed.is_empty() {
            return Ok(());
        }
        let socket = self.directory.join(GATEWAY_SOCKET);
        routers
            .attach(&self.realisation, &socket)
            .map_err(FabricError::system(format!("connect to {}", socket.display())))?;
        self.turn_around()
    }

    /// Has the node's kernel route to the Pods of other nodes, and to its own, without asking who they are.
    fn routes(&self) -> String {
        let node = &self.realisation;
        let mut commands = String::new();
        for peer in &node.routed {
            for network in &peer.networks {
                let same_family = |address: &&IpAddr| address.is_ipv6() == network.addr().is_ipv6();
                if let Some(next) = peer.addresses.iter().find(same_family) {
                    commands += &format!("route replace {network} via {next} dev br-phy onlink\n");
                }
            }
        }
        if commands.is_empty() {
            return commands;
        }
        let pods = node
            .pods
            .iter()
            .flat_map(|pod| pod.addresses.iter().map(move |address| (address, pod.mac, "gw0")));
        let peers = self.neighbours.iter().map(|(address, mac)| (address, *mac, "br-phy"));
        for (address, mac, device) in pods.chain(peers) {
            commands += &format!("neigh replace {address} lladdr {mac} dev {device} nud permanent\n");
        }
        commands
    }

    /// Gives the bridge's own devices the node's addresses.
    fn join_underlay(&self) -> Result<(), FabricError> {
        let Some(Wiring { node, .. }) = &self.wiring else {
            return Ok(());
        };
        let mut commands = String::new();
        for (address, length) in self.own_networks() {
            commands += &format!("addr replace {address}/{length} dev br-phy{}\n", no_detection(address));
        }
        for (address, range) in &self.realisation.gateway.addresses {
            commands += &format!(
                "addr replace {address}/{} dev gw0{}\n",
                range.prefix_len(),
                no_detection(*address)
            );
        }
        commands += &format!("link set br-phy mtu {UNDERLAY_MTU} up\nlink set gw0 mtu {POD_MTU} up\n");
        node.set(&[
            ("ipv6/conf/br-phy/disable_ipv6", "0"),
            ("ipv6/conf/gw0/disable_ipv6", "0"),
        ])?;
        if !self.realisation.routed.is_empty() {
            node.set(&[
                ("ipv4/ip_forward", "1"),
                ("ipv6/conf/all/forwarding", "1"),
                ("ipv4/conf/all/rp_filter", "0"),
            ])?;
        }
        node.ip(&commands)?;
        node.ip(&self.routes())?;
        node.write_checksums("br-phy")?;
        node.write_checksums("gw0")?;
        // The switch hears of the addresses from the kernel.
        let deadline = Instant::now() + PATIENCE;
        for (address, _) in &self.neighbours {
            while !self
                .control("ovs/route/lookup", &[&address.to_string()])
                .is_ok_and(|way| way.contains("br-phy"))
            {
                if Instant::now() > deadline {
                    return Err(self.refused("ovs/route/lookup", format!("no way to {address}")));
                }
            }
        }
        Ok(())
    }

    /// The node's addresses, each with a prefix long enough to hold every other tunnel end.
    fn own_networks(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let others = |own: IpAddr| self.neighbours.iter().map(move |(other, _)| shared_prefix(own, *other));
        self.realisation.addresses.iter().map(move |own| {
            let longest = if own.is_ipv6() { 64 } else { 24 };
            (*own, others(*own).flatten().fold(longest, u8::min))
        })
    }

    /// Waits until the switch has gone once through everything that it attends to, sockets included: the first answer may
    /// come from the middle of a turn, the second comes after the end of that turn.
    fn turn_around(&self) -> Result<(), FabricError> {
        self.control("version", &[])?;
        self.control("version", &[]).map(|_| ())
    }

    fn control(&self, method: &str, arguments: &[&str]) -> Result<String, FabricError> {
        match unixctl::request(&self.switch.unixctl, method, arguments) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(self.refused(&format!("{method} {}", arguments.join(" ")), refusal)),
            Err(error) => {
                let what = format!("doesn't answer `{method}`: {error}");
                Err(match &self.vswitchd {
                    Some(daemon) => daemon.error(what),
                    None => FabricError::Unsuitable(format!("the switch of node {} was killed", self.switch.name)),
                })
            }
        }
    }

    fn refused(&self, request: &str, answer: String) -> FabricError {
        FabricError::Refused {
            node: self.switch.name.clone(),
            request: request.to_owned(),
            answer,
        }
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

fn switch(node: &NodeRealisation, directory: &Path) -> SwitchNode {
    SwitchNode {
        name: node.name.clone(),
        openflow: directory.join(format!("{BRIDGE}.mgmt")),
        unixctl: directory.join("vswitchd.ctl"),
        ovsdb: directory.join("db.sock"),
        bridge: BRIDGE.to_owned(),
        tunnel: TUNNEL_PORT,
        gateway: GATEWAY_PORT,
        routed: node.routed.iter().flat_map(|peer| &peer.networks).copied().collect(),
        pods: node.pods.clone(),
        rules: node.rules.clone(),
    }
}

/// How many leading bits two addresses of one family have in common.
fn shared_prefix(one: IpAddr, other: IpAddr) -> Option<u8> {
    let bits = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return None,
    };
    u8::try_from(bits).ok()
}

/// The count of sent packets in an answer of `ovs-ofctl dump-ports`.
fn transmitted(answer: &str) -> Option<u64> {
    let (_, sent) = answer.split_once("tx pkts=")?;
    sent.split(',').next()?.trim().parse().ok()
}

const DATABASE: &str = "conf.db";
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_prefix_is_that_of_the_family() {
        let shared = |one: &str, other: &str| shared_prefix(one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(shared("192.168.77.1", "192.168.77.2"), Some(30));
        assert_eq!(shared("10.0.0.1", "192.168.0.1"), Some(0));
        assert_eq!(shared("fd00::1", "fd00::2"), Some(126));
        assert_eq!(shared("fd00::1", "10.0.0.1"), None);
    }

    #[test]
    fn the_count_of_sent_packets_is_read() {
        let answer = "OFPST_PORT reply (OF1.5) (xid=0x2): 1 ports\n  port  3: rx pkts=7, bytes=1, drop=0\n           tx pkts=12, bytes=9";
        assert_eq!(transmitted(answer), Some(12));
        assert_eq!(transmitted("port 3: tx pkts=?, bytes=9"), None);
    }
}
