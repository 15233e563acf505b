//! Traceflow manifests as `kubectl apply` takes them.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};
use std::sync::Arc;
use std::time::Duration;

use super::packet::{IcmpSpec, PacketSpec, TransportSpec};
use super::trace::{Destination, Source, TraceSpec, TraceSpecBuilder};
use crate::input::{self, BadInput, Document, Documents, Field, Problem};
use crate::inventory::Inventory;
use crate::names::ObjectName;
use crate::packet::{IpFamily, Protocol, TcpFlags};
use crate::plan::{Choice, Plan, TcpFlagsMatch};

/// The fields of each mapping of a manifest, in the order in which messages list them.
mod fields {
    pub(super) const OBJECT: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
    pub(super) const LIST: &[&str] = &["apiVersion", "kind", "metadata", "items"];
    /// `ObjectMeta` of Kubernetes, with what older servers wrote.
    pub(super) const METADATA: &[&str] = &[
        "name",
        "labels",
        "annotations",
        "namespace",
        "generateName",
        "finalizers",
        "ownerReferences",
        "managedFields",
        "uid",
        "generation",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "clusterName",
    ];
    pub(super) const SPEC: &[&str] = &[
        "source",
        "destination",
        "packet",
        "liveTraffic",
        "droppedOnly",
        "timeout",
    ];
    pub(super) const SOURCE: &[&str] = &["namespace", "pod", "ip"];
    pub(super) const DESTINATION: &[&str] = &["namespace", "pod", "service", "ip"];
    pub(super) const PACKET: &[&str] = &["ipHeader", "ipv6Header", "transportHeader"];
    pub(super) const IP_HEADER: &[&str] = &["protocol", "ttl", "flags"];
    pub(super) const IPV6_HEADER: &[&str] = &["nextHeader", "hopLimit"];
    pub(super) const TRANSPORT_HEADER: &[&str] = &["tcp", "udp", "icmp", "sctp"];
    pub(super) const TCP: &[&str] = &["srcPort", "dstPort", "flags"];
    pub(super) const PORTS: &[&str] = &["srcPort", "dstPort"];
    pub(super) const ICMP: &[&str] = &["id", "sequence", "type", "code"];
}

/// The versions of the Traceflow resource. They are read alike; which one it was is kept for printing it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiVersion {
    /// `crd.antrea.io/v1beta1`
    V1Beta1,
    /// `crd.antrea.io/v1alpha1`
    V1Alpha1,
    /// `ops.antrea.tanzu.vmware.com/v1alpha1`, of the first releases.
    OpsV1Alpha1,
}

impl ApiVersion {
    const ALL: [Self; 3] = [Self::V1Beta1, Self::V1Alpha1, Self::OpsV1Alpha1];

    /// As it stands in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta1 => "crd.antrea.io/v1beta1",
            Self::V1Alpha1 => "crd.antrea.io/v1alpha1",
            Self::OpsV1Alpha1 => "ops.antrea.tanzu.vmware.com/v1alpha1",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A Traceflow object that was read, with the question in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    document: Arc<Document>,
    /// Its index, if it is an item of a List.
    item: Option<usize>,
    api_version: ApiVersion,
    name: Arc<str>,
    spec: TraceSpec,
}

impl Manifest {
    /// Reads and checks all objects of a file: YAML or JSON, one or several documents, Lists too.
    ///
    /// Unknown fields are errors; `metadata` may be anything that Kubernetes puts there, and `status` is ignored.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn read(source: &input::Source) -> Result<Vec<Self>, BadInput> {
        let mut manifests = Vec::new();
        for document in Documents::new(source) {
            read_document(&Arc::new(document?), &mut manifests)?;
        }
        if manifests.is_empty() {
            let expected = "a Traceflow object";
            return Err(BadInput::new("", Problem::Empty { expected }).at(source, input::Place::START));
        }
        Ok(manifests)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// `apiVersion`.
    pub fn api_version(&self) -> ApiVersion {
        self.api_version
    }

    /// The question.
    pub fn spec(&self) -> &TraceSpec {
        &self.spec
    }

    /// `metadata` as it was written.
    pub fn metadata(&self) -> serde_json::Value {
        self.written("metadata")
    }

    /// `spec` as it was written.
    pub fn written_spec(&self) -> serde_json::Value {
        self.written("spec")
    }

    /// The plan for this question; mistakes have their place in the file.
    ///
    /// # Errors
    /// As [`Plan::resolve`].
    pub fn plan(&self, inventory: &dyn Inventory, random: &mut fastrand::Rng) -> Result<Plan, BadInput> {
        Plan::resolve(&self.spec, inventory, random).map_err(|error| self.locate(error))
    }

    /// A mistake about a field of this object, such as the planner finds, with its place in the file: that of the
    /// field, or if it isn't there, of what it would stand in.
    #[must_use]
    pub fn locate(&self, error: BadInput) -> BadInput {
        self.with_object(|object| locate(object, error))
    }

    fn written(&self, key: &str) -> serde_json::Value {
        self.with_object(|object| match object.optional(key) {
            Ok(Some(field)) => field.node().into(),
            _ => serde_json::Value::Null,
        })
    }

    fn with_object<T>(&self, use_it: impl FnOnce(&Field<'_>) -> T) -> T {
        let root = self.document.root();
        let item = self
            .item
            .and_then(|index| root.items("items").ok().and_then(|mut items| items.nth(index)));
        use_it(item.as_ref().unwrap_or(&root))
    }
}

fn read_document(document: &Arc<Document>, manifests: &mut Vec<Manifest>) -> Result<(), BadInput> {
    let root = document.root();
    if !is_list(&root)? {
        manifests.push(object(&root, document, None)?);
        return Ok(());
    }
    root.only(fields::LIST)?;
    for (index, item) in root.items("items")?.enumerate() {
        manifests.push(object(&item, document, Some(index))?);
    }
    Ok(())
}

fn is_list(root: &Field<'_>) -> Result<bool, BadInput> {
    Ok(match root.optional("kind")? {
        Some(kind) => matches!(&*kind.string()?, "List" | "TraceflowList"),
        None => false,
    })
}

fn object(object: &Field<'_>, document: &Arc<Document>, item: Option<usize>) -> Result<Manifest, BadInput> {
    object.only(fields::OBJECT)?;
    let api_version = api_version(object)?;
    match object.optional("kind")? {
        None => return Err(object.missing("kind", "add kind: Traceflow")),
        Some(kind) if &*kind.string()? != "Traceflow" => return Err(kind.invalid("Traceflow")),
        Some(_) => {}
    }
    let name = name(object)?;
    let Some(field) = object.optional("spec")? else {
        return Err(object.missing("spec", "add the question: source and destination"));
    };
    let spec = spec(&field)?.build().map_err(|error| locate(object, error))?;
    Ok(Manifest {
        document: document.clone(),
        item,
        api_version,
        name,
        spec,
    })
}

fn api_version(object: &Field<'_>) -> Result<ApiVersion, BadInput> {
    let Some(field) = object.optional("apiVersion")? else {
        return Err(object.missing("apiVersion", "add apiVersion: crd.antrea.io/v1beta1"));
    };
    let written = field.string()?;
    ApiVersion::ALL
        .into_iter()
        .find(|version| version.as_str() == &*written)
        .ok_or_else(|| {
            field.invalid("crd.antrea.io/v1beta1, crd.antrea.io/v1alpha1 or ops.antrea.tanzu.vmware.com/v1alpha1")
        })
}

fn name(object: &Field<'_>) -> Result<Arc<str>, BadInput> {
    let Some(metadata) = object.optional("metadata")? else {
        return Err(object.missing("metadata", "add it with the Traceflow's name"));
    };
    metadata.only(fields::METADATA)?;
    for key in ["labels", "annotations"] {
        if let Some(words) = metadata.optional(key)? {
            for (_, word) in words.fields()? {
                word.string()?;
            }
        }
    }
    match metadata.optional("name")? {
        Some(name) => object_name(&name),
        None => Err(metadata.missing("name", "name the Traceflow")),
    }
}

/// A name as Kubernetes gives them to Pods, Services and Traceflows (RFC 1123 subdomain).
fn object_name(field: &Field<'_>) -> Result<Arc<str>, BadInput> {
    const LONGEST: usize = 253;
    let name = field.string()?;
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let right = name.len() <= LONGEST
        && name.bytes().all(|byte| edge(&byte) || matches!(byte, b'-' | b'.'))
        && name.as_bytes().first().is_some_and(edge)
        && name.as_bytes().last().is_some_and(edge);
    if right {
        Ok(name)
    } else {
        Err(field.invalid("a name of lower-case letters, digits, '-' and '.', without its namespace"))
    }
}

fn spec(spec: &Field<'_>) -> Result<TraceSpecBuilder, BadInput> {
    spec.only(fields::SPEC)?;
    let live = flag(spec, "liveTraffic")?;
    let mut builder = TraceSpec::builder().live(live).dropped_only(flag(spec, "droppedOnly")?);
    if let Some(timeout) = spec.optional("timeout")? {
        builder = builder.timeout(Duration::from_secs(timeout.integer(1..=300u32)?.into()));
    }
    if let Some(packet) = spec.optional("packet")? {
        builder = builder.packet(packet_spec(&packet)?);
    }
    if let Some(field) = spec.optional("source")? {
        builder = source(&field, live, builder)?;
    }
    if let Some(field) = spec.optional("destination")? {
        builder = destination(&field, builder)?;
    }
    Ok(builder)
}

fn flag(parent: &Field<'_>, key: &str) -> Result<bool, BadInput> {
    match parent.optional(key)? {
        Some(field) => field.boolean(),
        None => Ok(false),
    }
}

fn source(field: &Field<'_>, live: bool, builder: TraceSpecBuilder) -> Result<TraceSpecBuilder, BadInput> {
    field.only(fields::SOURCE)?;
    let Some(end) = end(field)? else {
        return Ok(builder);
    };
    if end.key == "ip" {
        return Ok(builder.source(Source::Ip(address(&end.field)?)));
    }
    if !live && end.namespace.is_none() {
        // Antrea's admission demands it of the Pod that a packet is injected at.
        return Err(field.missing("namespace", "add the namespace of the Pod that sends"));
    }
    let (name, builder) = end.name("source namespace", builder)?;
    Ok(builder.source(Source::Pod(name)))
}

fn destination(field: &Field<'_>, builder: TraceSpecBuilder) -> Result<TraceSpecBuilder, BadInput> {
    field.only(fields::DESTINATION)?;
    let Some(end) = end(field)? else {
        return Ok(builder);
    };
    if end.key == "ip" {
        return Ok(builder.destination(Destination::Ip(address(&end.field)?)));
    }
    let key = end.key;
    let (name, builder) = end.name("destination namespace", builder)?;
    Ok(builder.destination(match key {
        "service" => Destination::Service(name),
        _ => Destination::Pod(name),
    }))
}

/// What one end is known by.
struct End<'a> {
    /// `pod`, `service` or `ip`.
    key: &'static str,
    field: Field<'a>,
    namespace: Option<Arc<str>>,
}

/// The end that `field` names; `None` if it names none. As in Antrea, an empty text is the same as no field.
fn end<'a>(field: &'a Field<'a>) -> Result<Option<End<'a>>, BadInput> {
    let mut found: Option<(&'static str, Field<'a>)> = None;
    for key in ["pod", "service", "ip"] {
        let Some(next) = text(field, key)? else {
            continue;
        };
        if let Some((first, _)) = &found {
            return Err(next.error(Problem::Conflict {
                what: format!("{first} is given, too").into(),
                remedy: "keep one of them".into(),
            }));
        }
        found = Some((key, next));
    }
    let namespace = text(field, "namespace")?;
    match (found, namespace) {
        (Some(("ip", _)), Some(namespace)) => Err(namespace.error(Problem::Conflict {
            what: "an IP address has no namespace".into(),
            remedy: "remove it, or name a Pod instead of ip".into(),
        })),
        (Some((key, field)), namespace) => Ok(Some(End {
            key,
            field,
            namespace: namespace.map(|namespace| object_name(&namespace)).transpose()?,
        })),
        (None, Some(_)) => Err(field.missing("pod", "add the Pod's name, or remove the namespace")),
        (None, None) => Ok(None),
    }
}

fn text<'a>(field: &'a Field<'a>, key: &str) -> Result<Option<Field<'a>>, BadInput> {
    match field.optional(key)? {
        Some(text) if text.string()?.is_empty() => Ok(None),
        other => Ok(other),
    }
}

impl End<'_> {
    /// The full name; a namespace that is missing is `default`, and the result says so.
    fn name(self, what: &'static str, builder: TraceSpecBuilder) -> Result<(ObjectName, TraceSpecBuilder), BadInput> {
        let name = object_name(&self.field)?;
        Ok(match self.namespace {
            Some(namespace) => (ObjectName::new(namespace, name), builder),
            None => {
                let chosen = "default (none was given)".to_owned();
                (
                    ObjectName::new("default", name),
                    builder.choice(Choice { what, chosen }),
                )
            }
        })
    }
}

fn address(field: &Field<'_>) -> Result<IpAddr, BadInput> {
    let address: IpAddr = field.parsed("an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1")?;
    Ok(address.to_canonical())
}

fn packet_spec(field: &Field<'_>) -> Result<PacketSpec, BadInput> {
    field.only(fields::PACKET)?;
    let mut packet = match (field.optional("ipHeader")?, field.optional("ipv6Header")?) {
        (Some(_), Some(second)) => {
            return Err(second.error(Problem::Conflict {
                what: "a packet has one IP header, and ipHeader is given, too".into(),
                remedy: "keep one of them".into(),
            }));
        }
        (Some(header), None) => ip_header(&header)?,
        (None, Some(header)) => ipv6_header(&header)?,
        (None, None) => PacketSpec::default(),
    };
    if let Some(header) = field.optional("transportHeader")? {
        packet.transport = transport(&header, packet.transport, packet.family)?;
    }
    Ok(packet)
}

fn ip_header(header: &Field<'_>) -> Result<PacketSpec, BadInput> {
    header.only(fields::IP_HEADER)?;
    let mut packet = PacketSpec {
        family: Some(IpFamily::V4),
        ttl: positive(header, "ttl")?,
        ip_flags: header
            .optional("flags")?
            .map(|flags| flags.integer(0..=7))
            .transpose()?,
        ..PacketSpec::default()
    };
    if let Some(field) = header.optional("protocol")? {
        let protocol = Protocol(field.integer(0..=255)?);
        if protocol == Protocol::ICMPV6 {
            return Err(field.error(Problem::Conflict {
                what: "58 is ICMPv6, but the packet is IPv4".into(),
                remedy: "use 1 for ICMP, or ipv6Header instead of ipHeader".into(),
            }));
        }
        packet.transport = (protocol.0 != 0).then(|| TransportSpec::of(protocol));
    }
    Ok(packet)
}

fn ipv6_header(header: &Field<'_>) -> Result<PacketSpec, BadInput> {
    header.only(fields::IPV6_HEADER)?;
    let mut packet = PacketSpec {
        family: Some(IpFamily::V6),
        ttl: positive(header, "hopLimit")?,
        ..PacketSpec::default()
    };
    if let Some(field) = header.optional("nextHeader")? {
        // 1 is what Antrea's own command line writes for ICMPv6; TransportSpec reads it so.
        let protocol = Protocol(field.integer(0..=255)?);
        packet.transport = (protocol.0 != 0).then(|| TransportSpec::of(protocol));
    }
    Ok(packet)
}

/// A TTL or hop limit. 0 means that none was asked for, as in Antrea: a packet can't be sent with it.
fn positive(header: &Field<'_>, key: &str) -> Result<Option<NonZeroU8>, BadInput> {
    Ok(byte(header, key)?.and_then(NonZeroU8::new))
}

/// The transport header, which must agree with the `protocol` of the IP header.
fn transport(
    header: &Field<'_>,
    protocol: Option<TransportSpec>,
    family: Option<IpFamily>,
) -> Result<Option<TransportSpec>, BadInput> {
    header.only(fields::TRANSPORT_HEADER)?;
    let mut found: Option<(&str, TransportSpec)> = None;
    for &key in fields::TRANSPORT_HEADER {
        let Some(field) = header.optional(key)? else {
            continue;
        };
        if let Some((first, _)) = found {
            return Err(field.error(Problem::Conflict {
                what: format!("a packet has one transport header, and {first} is given, too").into(),
                remedy: "keep one of them".into(),
            }));
        }
        let transport = transport_header(key, &field)?;
        check_agreement(&field, &transport, protocol.as_ref(), family)?;
        found = Some((key, transport));
    }
    Ok(found.map(|(_, transport)| transport).or(protocol))
}

fn transport_header(key: &str, field: &Field<'_>) -> Result<TransportSpec, BadInput> {
    Ok(match key {
        "tcp" => {
            field.only(fields::TCP)?;
            TransportSpec::Tcp {
                source: port(field, "srcPort")?,
                destination: port(field, "dstPort")?,
                flags: byte(field, "flags")?.map(|flags| TcpFlagsMatch::exactly(TcpFlags(flags))),
            }
        }
        "udp" => {
            field.only(fields::PORTS)?;
            TransportSpec::Udp {
                source: port(field, "srcPort")?,
                destination: port(field, "dstPort")?,
            }
        }
        "sctp" => {
            field.only(fields::PORTS)?;
            TransportSpec::Sctp {
                source: port(field, "srcPort")?,
                destination: port(field, "dstPort")?,
            }
        }
        _ => {
            field.only(fields::ICMP)?;
            TransportSpec::Icmp(IcmpSpec {
                icmp_type: byte(field, "type")?,
                code: byte(field, "code")?,
                id: word(field, "id")?,
                sequence: word(field, "sequence")?,
            })
        }
    })
}

fn check_agreement(
    field: &Field<'_>,
    transport: &TransportSpec,
    protocol: Option<&TransportSpec>,
    family: Option<IpFamily>,
) -> Result<(), BadInput> {
    let (family, header) = match family {
        Some(IpFamily::V6) => (IpFamily::V6, "ipv6Header.nextHeader"),
        _ => (IpFamily::V4, "ipHeader.protocol"),
    };
    let asked = protocol.map(|protocol| protocol.protocol(family));
    let given = transport.protocol(family);
    match asked {
        Some(asked) if asked != given => Err(field.error(Problem::Conflict {
            what: format!("{header} says {} ({asked}), this header {} ({given})", asked.0, given.0).into(),
            remedy: "make them agree".into(),
        })),
        _ => Ok(()),
    }
}

fn port(header: &Field<'_>, key: &str) -> Result<Option<NonZeroU16>, BadInput> {
    match header.optional(key)? {
        Some(field) => Ok(NonZeroU16::new(field.integer(1..=u16::MAX)?)),
        None => Ok(None),
    }
}

fn byte(header: &Field<'_>, key: &str) -> Result<Option<u8>, BadInput> {
    header
        .optional(key)?
        .map(|field| field.integer(0..=u8::MAX))
        .transpose()
}

fn word(header: &Field<'_>, key: &str) -> Result<Option<u16>, BadInput> {
    header
        .optional(key)?
        .map(|field| field.integer(0..=u16::MAX))
        .transpose()
}

/// Puts the place of `error`'s field, or of what it would stand in, to the error.
fn locate(object: &Field<'_>, error: BadInput) -> BadInput {
    fn walk(from: &Field<'_>, path: &str, error: BadInput, object: &Field<'_>) -> BadInput {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        match from.optional(key) {
            Ok(Some(next)) => walk(&next, rest, error, object),
            _ => from.locate(error, object),
        }
    }
    let path = error.field().to_owned();
    walk(object, &path, error, object)
}
