//! A question as the `spec` of a Traceflow object.

use serde_json::{Map, Value, json};

use super::packet::{PacketSpec, TransportSpec};
use super::trace::{Ask, DEFAULT_TIMEOUT, Destination, Source, TraceSpec};
use crate::names::ObjectName;
use crate::packet::{IpFamily, Protocol};

impl TraceSpec {
    /// The `spec` of a Traceflow object that asks this question, in JSON. What a manifest has no field for (DSCP, new
    /// connections only, TCP flags that may be either way) is not in it; and a TTL that was asked for without a family
    /// comes out as IPv4's.
    ///
    /// ```
    /// use traceflow_core::names::ObjectName;
    /// use traceflow_core::spec::{Destination, Source, TraceSpec};
    ///
    /// let spec = TraceSpec::builder()
    ///     .source(Source::Pod(ObjectName::new("default", "pod1")))
    ///     .destination(Destination::Address([10, 0, 0, 7].into()))
    ///     .packet("icmp".parse()?)
    ///     .build()?;
    /// assert_eq!(
    ///     spec.to_json().to_string(),
    ///     r#"{"destination":{"ip":"10.0.0.7"},"packet":{"transportHeader":{"icmp":{}}},"source":{"namespace":"default","pod":"pod1"}}"#
    /// );
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    pub fn to_json(&self) -> Value {
        let mut spec = Map::new();
        let (source, destination) = match self.ask() {
            Ask::Inject { source, destination } => (Some(named("pod", source)), Some(to(destination))),
            Ask::Live {
                source,
                destination,
                dropped_only,
            } => {
                spec.insert("liveTraffic".into(), true.into());
                if *dropped_only {
                    spec.insert("droppedOnly".into(), true.into());
                }
                (source.as_ref().map(from), destination.as_ref().map(to))
            }
        };
        spec.extend(source.map(|source| ("source".to_owned(), source)));
        spec.extend(destination.map(|destination| ("destination".to_owned(), destination)));
        let packet = packet(self.packet());
        if !packet.is_empty() {
            spec.insert("packet".into(), packet.into());
        }
        if self.timeout() != DEFAULT_TIMEOUT {
            spec.insert("timeout".into(), self.timeout().as_secs().into());
        }
        spec.into()
    }
}

fn from(source: &Source) -> Value {
    match source {
        Source::Pod(name) => named("pod", name),
        Source::Address(address) => json!({ "ip": address }),
    }
}

fn to(destination: &Destination) -> Value {
    match destination {
        Destination::Pod(name) => named("pod", name),
        Destination::Service(name) => named("service", name),
        Destination::Address(address) => json!({ "ip": address }),
    }
}

fn named(key: &str, name: &ObjectName) -> Value {
    json!({ "namespace": &*name.namespace, key: &*name.name })
}

fn packet(spec: &PacketSpec) -> Map<String, Value> {
    let mut packet = Map::new();
    let mut ip = Map::new();
    let (header, protocol_key, ttl_key) = match spec.family() {
        Some(IpFamily::V6) => ("ipv6Header", "nextHeader", "hopLimit"),
        _ => ("ipHeader", "protocol", "ttl"),
    };
    set(&mut ip, ttl_key, spec.ttl().map(u8::from));
    set(&mut ip, "flags", spec.ip_flags());
    // Only the IP header can name a protocol without a header of its own; and it can only do so with a family.
    let number = |transport: &TransportSpec| transport.protocol(spec.family().unwrap_or(IpFamily::V4)).0;
    match spec.transport() {
        Some(transport @ TransportSpec::Other { protocol: Protocol(_) }) => {
            set(&mut ip, protocol_key, Some(number(transport)));
        }
        Some(transport) => {
            if spec.family().is_some() {
                set(&mut ip, protocol_key, Some(number(transport)));
            }
            let key = transport.key().unwrap_or_default();
            packet.insert("transportHeader".into(), json!({ key: transport_header(transport) }));
        }
        None => {}
    }
    if spec.family().is_some() || !ip.is_empty() {
        packet.insert(header.into(), ip.into());
    }
    packet
}

fn transport_header(transport: &TransportSpec) -> Map<String, Value> {
    let mut header = Map::new();
    if let Some((source, destination)) = transport.ports() {
        set(&mut header, "srcPort", source.map(u16::from));
        set(&mut header, "dstPort", destination.map(u16::from));
    }
    match transport {
        TransportSpec::Tcp { flags, .. } => set(&mut header, "flags", flags.map(|flags| flags.set().0)),
        TransportSpec::Icmp(icmp) => {
            set(&mut header, "type", icmp.icmp_type);
            set(&mut header, "code", icmp.code);
            set(&mut header, "id", icmp.id);
            set(&mut header, "sequence", icmp.sequence);
        }
        TransportSpec::Udp { .. } | TransportSpec::Sctp { .. } | TransportSpec::Other { .. } => {}
    }
    header
}

fn set(header: &mut Map<String, Value>, key: &str, number: Option<impl Into<Value>>) {
    if let Some(number) = number {
        header.insert(key.to_owned(), number.into());
    }
}
