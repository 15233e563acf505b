//! A question and a cluster into a plan: names looked up, defaults chosen and written down.

use std::net::IpAddr;

use super::ends::{Reach, Receiver, Sender, family, running_pod};
use super::{Choice, End, FlowMatch, Plan, Question, TcpFlagsMatch};
use crate::input::{BadInput, Problem};
use crate::inventory::{Inventory, NodeEntry, PodEntry, ServiceEntry, ServicePort};
use crate::names::ObjectName;
use crate::packet::{
    IcmpHeader, IpFamily, IpHeader, Ipv4Header, Ipv6Header, MacAddress, Nonce, Packet, Protocol, TcpFlags, Transport,
};
use crate::spec::{Ask, Destination, IcmpSpec, PacketSpec, Source, TraceSpec, TransportSpec};

/// What a fresh packet of a real stack has.
const DEFAULT_TTL: u8 = 64;
/// The lowest source port that is chosen: below are the well-known ones.
const FIRST_SOURCE_PORT: u16 = 1024;

impl Plan {
    /// Looks up in `inventory` what `spec` names, and fills in what it leaves open; what must be random comes from
    /// `random`, so that one seed gives one plan.
    ///
    /// Nothing is touched by it: check all questions so before tracing the first.
    ///
    /// ```
    /// use traceflow_core::names::ObjectName;
    /// use traceflow_core::plan::{Choice, Plan};
    /// use traceflow_core::spec::{Destination, Source, TraceSpec};
    /// use traceflow_sim::Cluster;
    ///
    /// let cluster = Cluster::builder().node("a").pod("client", "a").service("web", 80).build()?;
    /// let spec = TraceSpec::builder()
    ///     .source(Source::Pod(ObjectName::new("default", "client")))
    ///     .destination(Destination::Service(ObjectName::new("default", "web")))
    ///     .packet("tcp".parse()?)
    ///     .build()?;
    /// let plan = Plan::resolve(&spec, &cluster, &mut fastrand::Rng::with_seed(1))?;
    /// let chosen: Vec<String> = plan.choices.iter().map(Choice::to_string).collect();
    /// assert_eq!(chosen[0], "destination port 80 (the Service's first)");
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    ///
    /// # Errors
    /// If the cluster doesn't have what is named, or has it in a state that can't be traced; with the field of a
    /// manifest, such as `spec.source.pod`, that [`Manifest::locate`](crate::spec::Manifest::locate) finds the place
    /// of.
    pub fn resolve(spec: &TraceSpec, inventory: &dyn Inventory, random: &mut fastrand::Rng) -> Result<Self, BadInput> {
        let mut resolver = Resolver {
            packet: spec.packet(),
            inventory,
            random,
            choices: spec.choices().to_vec(),
        };
        let (source, destination, question) = match spec.ask() {
            Ask::Inject { source, destination } => resolver.inject(source, destination)?,
            Ask::Live {
                source,
                destination,
                dropped_only,
            } => resolver.live(source.as_ref(), destination.as_ref(), *dropped_only)?,
        };
        Ok(Self {
            source,
            destination,
            question,
            timeout: spec.timeout(),
            choices: resolver.choices,
        })
    }
}

struct Resolver<'a> {
    packet: &'a PacketSpec,
    inventory: &'a dyn Inventory,
    random: &'a mut fastrand::Rng,
    choices: Vec<Choice>,
}

type Resolved = (Option<End>, Option<End>, Question);

impl Resolver<'_> {
    fn inject(&mut self, source: &ObjectName, destination: &Destination) -> Result<Resolved, BadInput> {
        let pod = injectable(self.inventory, source)?;
        let sender = Sender::Pod(pod.clone());
        let receiver = Receiver::find(self.inventory, destination)?;
        let family = self.family(&[sender.reach(), receiver.reach()])?;
        let (from, to) = (
            sender.end(self.inventory, family)?,
            receiver.end(self.inventory, family)?,
        );
        if from.address == to.address {
            return Err(to_itself(&receiver));
        }
        let node = node_of(self.inventory, &pod)?;
        let source_mac = pod.mac.ok_or_else(|| unknown_mac(source))?;
        let packet = Packet {
            source_mac,
            destination_mac: first_hop(&node, &to),
            transport: self.transport(&receiver, family)?,
            ip: self.ip_header(from.address, to.address)?,
            nonce: Nonce::random(self.random),
        };
        let question = Question::Inject {
            pod: source.clone(),
            node: node.name,
            packet,
        };
        Ok((Some(from), Some(to), question))
    }

    fn live(
        &mut self,
        source: Option<&Source>,
        destination: Option<&Destination>,
        dropped_only: bool,
    ) -> Result<Resolved, BadInput> {
        let sender = source.map(|source| Sender::find(self.inventory, source)).transpose()?;
        let receiver = destination
            .map(|destination| Receiver::find(self.inventory, destination))
            .transpose()?;
        let reaches: Vec<_> = sender
            .iter()
            .map(Sender::reach)
            .chain(receiver.iter().map(Receiver::reach))
            .collect();
        let family = self.family(&reaches)?;
        let from = sender.map(|sender| sender.end(self.inventory, family)).transpose()?;
        let to = receiver
            .map(|receiver| receiver.end(self.inventory, family))
            .transpose()?;
        let matching = FlowMatch {
            source: from.as_ref().map(|end| end.address),
            destination: to.as_ref().map(|end| end.address),
            ..matching(self.packet, family)
        };
        Ok((from, to, Question::Live { matching, dropped_only }))
    }

    fn family(&mut self, ends: &[Reach<'_>]) -> Result<IpFamily, BadInput> {
        let (family, other_too) = family(self.packet.family(), ends)?;
        if other_too {
            self.choose("address family", format!("{family} (IPv6 would do, too)"));
        }
        self.packet.check_protocol(family)?;
        Ok(family)
    }

    fn ip_header(&mut self, from: IpAddr, to: IpAddr) -> Result<IpHeader, BadInput> {
        let ttl = match self.packet.ttl() {
            Some(ttl) => ttl.get(),
            None => self.choose("TTL", DEFAULT_TTL),
        };
        let dscp = self.packet.dscp().unwrap_or(0);
        match (from, to) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(IpHeader::V4(Ipv4Header {
                source,
                destination,
                ttl,
                dscp,
                flags: match self.packet.ip_flags() {
                    Some(flags) => flags,
                    None => {
                        self.choose("IP flags", "DF");
                        Ipv4Header::DONT_FRAGMENT
                    }
                },
                identification: self.random.u16(1..),
            })),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(IpHeader::V6(Ipv6Header {
                source,
                destination,
                hop_limit: ttl,
                dscp,
                flow_label: 0,
            })),
            (from, to) => Err(unusable(
                "spec.destination",
                format!("{from} and {to} are of different families"),
                "choose ends of one family",
            )),
        }
    }

    fn transport(&mut self, receiver: &Receiver, family: IpFamily) -> Result<Transport, BadInput> {
        let transport = match (self.packet.transport(), receiver) {
            (Some(transport), _) => transport.clone(),
            (None, Receiver::Service(service)) => {
                let protocol = self.first_port(service, None)?.protocol;
                self.choose("protocol", format!("{protocol} (of the Service's first port)"));
                TransportSpec::of(protocol)
            }
            (None, _) => TransportSpec::of(self.choose("protocol", echo_protocol(family))),
        };
        Ok(match &transport {
            TransportSpec::Tcp { flags, .. } => {
                let (source, destination) = self.ports(&transport, receiver, family)?;
                let flags = flags.map(TcpFlagsMatch::set);
                Transport::Tcp {
                    source,
                    destination,
                    flags: flags.unwrap_or_else(|| self.choose_flags()),
                }
            }
            TransportSpec::Udp { .. } => {
                let (source, destination) = self.ports(&transport, receiver, family)?;
                Transport::Udp { source, destination }
            }
            TransportSpec::Sctp { .. } => {
                let (source, destination) = self.ports(&transport, receiver, family)?;
                Transport::Sctp { source, destination }
            }
            TransportSpec::Icmp(header) => self.icmp(header, family),
            TransportSpec::Other { protocol } => Transport::Other(*protocol),
        })
    }

    /// The source and the destination port, with what was left open chosen.
    fn ports(
        &mut self,
        transport: &TransportSpec,
        receiver: &Receiver,
        family: IpFamily,
    ) -> Result<(u16, u16), BadInput> {
        let (source, destination) = transport.ports().unwrap_or_default();
        let destination = match (destination, receiver) {
            (Some(port), _) => port.get(),
            (None, Receiver::Service(service)) => {
                let port = self.first_port(service, Some(transport.protocol(family)))?.port;
                self.choose("destination port", format!("{port} (the Service's first)"));
                port
            }
            (None, _) => return Err(transport.missing_destination_port()),
        };
        let source = match source {
            Some(port) => port.get(),
            None => {
                let port = self.random.u16(FIRST_SOURCE_PORT..);
                self.choose("source port", port)
            }
        };
        Ok((source, destination))
    }

    fn first_port<'s>(
        &self,
        service: &'s ServiceEntry,
        protocol: Option<Protocol>,
    ) -> Result<&'s ServicePort, BadInput> {
        let mut ports = service.ports.iter();
        ports
            .find(|port| protocol.is_none_or(|protocol| port.protocol == protocol))
            .ok_or_else(|| no_port(service, protocol))
    }

    fn icmp(&mut self, spec: &IcmpSpec, family: IpFamily) -> Transport {
        let echo_request = match family {
            IpFamily::V4 => 8,
            IpFamily::V6 => 128,
        };
        let icmp_type = spec.icmp_type.unwrap_or(echo_request);
        let echo = icmp_type == echo_request;
        if spec.icmp_type.is_none() {
            self.choose("ICMP type", format!("{echo_request} (echo request)"));
        }
        let header = IcmpHeader {
            icmp_type,
            code: spec.code.unwrap_or(0),
            id: match spec.id {
                None if echo => {
                    let id = self.random.u16(1..);
                    self.choose("ICMP id", id)
                }
                id => id.unwrap_or(0),
            },
            sequence: match spec.sequence {
                None if echo => self.choose("ICMP sequence", 1),
                sequence => sequence.unwrap_or(0),
            },
        };
        match family {
            IpFamily::V4 => Transport::Icmp(header),
            IpFamily::V6 => Transport::Icmpv6(header),
        }
    }

    fn choose_flags(&mut self) -> TcpFlags {
        self.choose("TCP flags", "SYN");
        TcpFlags::SYN
    }

    /// Writes down what was chosen, and gives it back.
    fn choose<T: ToString>(&mut self, what: &'static str, chosen: T) -> T {
        let text = chosen.to_string();
        self.choices.push(Choice { what, chosen: text });
        chosen
    }
}

/// The match of the packet's headers; the addresses are open.
fn matching(packet: &PacketSpec, family: IpFamily) -> FlowMatch {
    let transport = packet.transport();
    let (source, destination) = transport.and_then(TransportSpec::ports).unwrap_or_default();
    let (tcp_flags, icmp) = match transport {
        Some(TransportSpec::Tcp { flags, .. }) => (*flags, IcmpSpec::default()),
        Some(TransportSpec::Icmp(header)) => (None, *header),
        _ => (None, IcmpSpec::default()),
    };
    FlowMatch {
        protocol: transport.map(|transport| transport.protocol(family)),
        source_port: source.map(u16::from),
        destination_port: destination.map(u16::from),
        tcp_flags,
        icmp_type: icmp.icmp_type,
        icmp_code: icmp.code,
        dscp: packet.dscp(),
        new_only: packet.new_only(),
        ..FlowMatch::any(family)
    }
}

/// The Pod that a packet is to be injected at: it needs a port of its own.
fn injectable(inventory: &dyn Inventory, name: &ObjectName) -> Result<PodEntry, BadInput> {
    let pod = running_pod(inventory, name, "spec.source.pod")?;
    if pod.host_network {
        return Err(unusable(
            "spec.source.pod",
            format!("Pod {name} uses its node's network, so it has no port to inject at"),
            "choose a Pod without hostNetwork",
        ));
    }
    Ok(pod)
}

fn node_of(inventory: &dyn Inventory, pod: &PodEntry) -> Result<NodeEntry, BadInput> {
    let Some(node) = &pod.node else {
        let what = format!("Pod {} is not on a node yet", pod.name);
        return Err(unusable("spec.source.pod", what, "wait until it is scheduled"));
    };
    inventory.node(node).ok_or_else(|| {
        let what = format!("Pod {} is on node {node}, which is not in the cluster", pod.name);
        unusable("spec.source.pod", what, "add the Node, or correct the Pod's nodeName")
    })
}

/// The MAC address that the sender's own stack would write: that of a Pod on the same node, else the gateway's.
fn first_hop(node: &NodeEntry, to: &End) -> MacAddress {
    match to.mac {
        Some(mac) if to.node.as_ref() == Some(&node.name) => mac,
        _ => node.gateway_mac,
    }
}

fn echo_protocol(family: IpFamily) -> Protocol {
    match family {
        IpFamily::V4 => Protocol::ICMP,
        IpFamily::V6 => Protocol::ICMPV6,
    }
}

fn no_port(service: &ServiceEntry, protocol: Option<Protocol>) -> BadInput {
    let offered: Vec<String> = service
        .ports
        .iter()
        .map(|port| format!("{} {}", port.protocol, port.port))
        .collect();
    let what = match protocol {
        Some(protocol) => format!("Service {} has no {protocol} port", service.name),
        None => format!("Service {} has no ports", service.name),
    };
    let remedy = if offered.is_empty() {
        "say which port the packet goes to".to_owned()
    } else {
        format!("use {}, or say which port the packet goes to", offered.join(", "))
    };
    let (what, remedy) = (what.into(), remedy.into());
    BadInput::new("spec.destination.service", Problem::Unusable { what, remedy })
}

fn to_itself(receiver: &Receiver) -> BadInput {
    unusable(
        receiver.field(),
        "a Pod's packets to itself never reach the network".to_owned(),
        "choose another destination",
    )
}

fn unknown_mac(pod: &ObjectName) -> BadInput {
    unusable(
        "spec.source.pod",
        format!("the MAC address of Pod {pod} is not known"),
        "choose another Pod, or look at its node",
    )
}

pub(super) fn unusable(field: &str, what: String, remedy: &'static str) -> BadInput {
    let (what, remedy) = (what.into(), remedy.into());
    BadInput::new(field, Problem::Unusable { what, remedy })
}
