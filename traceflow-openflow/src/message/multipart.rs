//! `OFPT_MULTIPART_REQUEST` and `OFPT_MULTIPART_REPLY`: what may take several messages.

use std::fmt;

use super::flow_entry::describe_aggregate;
use super::flow_entry::{decode_aggregate, encode_aggregate};
use super::flow_monitor::{FlowUpdate, MonitorRequest};
use super::group::ALL_GROUPS;
use super::meter_mod::MeterNumber;
use super::{
    Body, FlowEntry, FlowFilter, GroupDesc, GroupStats, MeterConfig, MeterFeatures, MeterStats, PortDesc, Statistics,
    SwitchDesc, TableDesc, TableFeatures,
};
use crate::text::Hex;
use crate::wire::{DecodeError, Problem, Reader, Writer, codes};
use crate::{ONF, Port, Version};

codes! {
    /// `ofp_multipart_type`, those that are read here.
    Kind: u16 {
        /// OFPMP_DESC
        Desc = 0 "desc",
        /// OFPMP_FLOW, from OpenFlow 1.5 on OFPMP_FLOW_DESC
        Flow = 1 "flow",
        /// OFPMP_AGGREGATE
        Aggregate = 2 "aggregate",
        /// OFPMP_GROUP
        Group = 6 "group",
        /// OFPMP_GROUP_DESC
        GroupDesc = 7 "group-desc",
        /// OFPMP_METER
        Meter = 9 "meter",
        /// OFPMP_METER_CONFIG, from OpenFlow 1.5 on OFPMP_METER_DESC
        MeterConfig = 10 "meter-config",
        /// OFPMP_METER_FEATURES
        MeterFeatures = 11 "meter-features",
        /// OFPMP_TABLE_FEATURES
        TableFeatures = 12 "table-features",
        /// OFPMP_PORT_DESC
        PortDesc = 13 "port-desc",
        /// OFPMP_TABLE_DESC, from OpenFlow 1.4 on
        TableDesc = 14 "table-desc",
        /// OFPMP_FLOW_MONITOR, from OpenFlow 1.4 on
        FlowMonitor = 16 "flow-monitor",
        /// OFPMP_EXPERIMENTER
        Experimenter = 0xffff "experimenter",
    }
}

/// `ONFST_FLOW_MONITOR`, before OpenFlow 1.4
const ONF_FLOW_MONITOR: u32 = 1870;

/// `OFPMPF_REPLY_MORE`
const MORE: u16 = 1;

/// A question whose answer may take several messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MultipartRequest {
    /// Who made the switch.
    Switch,
    /// The flows.
    Flows(FlowFilter),
    /// The counters of the flows together.
    Aggregate(FlowFilter),
    /// The counters of this group; [`ALL_GROUPS`] for all of them.
    GroupStats(u32),
    /// This group; [`ALL_GROUPS`] for all of them, which is the only choice in OpenFlow 1.3.
    Groups(u32),
    /// The counters of this meter; [`ALL_METERS`](super::ALL_METERS) for all of them.
    MeterStats(u32),
    /// This meter; [`ALL_METERS`](super::ALL_METERS) for all of them.
    Meters(u32),
    /// What meters there can be.
    MeterFeatures,
    /// What the tables are called and can do.
    TableFeatures,
    /// How the tables are set; from OpenFlow 1.4 on.
    Tables,
    /// This port; [`Port::ANY`] for all of them, which is the only choice in OpenFlow 1.3.
    Ports(Port),
    /// How flows change from now on.
    Monitor(MonitorRequest),
    /// A question that this crate doesn't know, as it came.
    Unknown {
        /// Its type.
        kind: u16,
        /// What follows its header.
        body: Vec<u8>,
    },
}

/// An answer, or a part of one. A [`Connection`](crate::connection::Connection) puts the parts together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultipartReply {
    /// Whether another part follows.
    pub more: bool,
    /// What is answered.
    pub body: MultipartBody,
}

/// What a multipart reply tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MultipartBody {
    /// Who made the switch.
    Switch(SwitchDesc),
    /// Flows.
    Flows(Vec<FlowEntry>),
    /// The counters of flows together.
    Aggregate(Statistics),
    /// Groups' counters.
    GroupStats(Vec<GroupStats>),
    /// Groups.
    Groups(Vec<GroupDesc>),
    /// Meters' counters.
    MeterStats(Vec<MeterStats>),
    /// Meters.
    Meters(Vec<MeterConfig>),
    /// What meters there can be.
    MeterFeatures(MeterFeatures),
    /// What tables are called and can do.
    TableFeatures(Vec<TableFeatures>),
    /// How tables are set.
    Tables(Vec<TableDesc>),
    /// Ports.
    Ports(Vec<PortDesc>),
    /// How flows have changed.
    Monitor(Vec<FlowUpdate>),
    /// An answer that this crate doesn't know, as it came.
    Unknown {
        /// Its type.
        kind: u16,
        /// What follows its header.
        body: Vec<u8>,
    },
}

impl MultipartBody {
    /// Appends the next part of the same answer.
    ///
    /// # Errors
    /// The part's type (`ofp_multipart_type`), if it is another than this one's; nothing is appended.
    pub fn append(&mut self, part: Self) -> Result<(), u16> {
        match (self, part) {
            (Self::Flows(all), Self::Flows(more)) => all.extend(more),
            (Self::GroupStats(all), Self::GroupStats(more)) => all.extend(more),
            (Self::Groups(all), Self::Groups(more)) => all.extend(more),
            (Self::MeterStats(all), Self::MeterStats(more)) => all.extend(more),
            (Self::Meters(all), Self::Meters(more)) => all.extend(more),
            (Self::TableFeatures(all), Self::TableFeatures(more)) => all.extend(more),
            (Self::Tables(all), Self::Tables(more)) => all.extend(more),
            (Self::Ports(all), Self::Ports(more)) => all.extend(more),
            (Self::Monitor(all), Self::Monitor(more)) => all.extend(more),
            (
                Self::Unknown { kind, body },
                Self::Unknown {
                    kind: other,
                    body: more,
                },
            ) if *kind == other => {
                body.extend(more);
            }
            (_, part) => return Err(part.kind().into()),
        }
        Ok(())
    }
}

/// Type and flags; the kind of an experimenter's that is known here is that of the later version.
fn decode_header(reader: &mut Reader<'_>) -> Result<(Kind, u16), DecodeError> {
    let kind = reader.u16("multipart type")?.into();
    let flags = reader.u16("multipart flags")?;
    reader.skip(4)?;
    if kind == Kind::Experimenter && is_flow_monitor(reader.clone()) {
        reader.skip(8)?;
        return Ok((Kind::FlowMonitor, flags));
    }
    Ok((kind, flags))
}

fn is_flow_monitor(mut reader: Reader<'_>) -> bool {
    reader.u32("experimenter") == Ok(ONF) && reader.u32("experimenter's type") == Ok(ONF_FLOW_MONITOR)
}

fn encode_header(kind: Kind, flags: u16, writer: &mut Writer<'_>) {
    let extension = kind == Kind::FlowMonitor && writer.version() < Version::V1_5;
    writer.u16(if extension { Kind::Experimenter } else { kind }.into());
    writer.u16(flags);
    writer.zeros(4);
    if extension {
        writer.u32(ONF);
        writer.u32(ONF_FLOW_MONITOR);
    }
}

impl Body for MultipartRequest {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let (kind, flags) = decode_header(reader)?;
        if flags & MORE != 0 {
            return Err(start.error("multipart request in parts", Problem::Value(flags.into())));
        }
        let before_1_5 = version < Version::V1_5;
        Ok(match kind {
            Kind::Flow => Self::Flows(FlowFilter::decode(reader)?),
            Kind::Aggregate => Self::Aggregate(FlowFilter::decode(reader)?),
            Kind::Group => Self::GroupStats(reader.u32("group")?),
            Kind::GroupDesc if before_1_5 => Self::Groups(ALL_GROUPS),
            Kind::GroupDesc => Self::Groups(reader.u32("group")?),
            Kind::Desc => Self::Switch,
            Kind::Meter => Self::MeterStats(reader.u32("meter")?),
            Kind::MeterConfig => Self::Meters(reader.u32("meter")?),
            Kind::MeterFeatures => Self::MeterFeatures,
            // With a body it would change the tables.
            Kind::TableFeatures if reader.is_empty() => Self::TableFeatures,
            Kind::TableDesc => Self::Tables,
            Kind::PortDesc if before_1_5 => Self::Ports(Port::ANY),
            Kind::PortDesc => Self::Ports(Port(reader.u32("port")?)),
            Kind::FlowMonitor => Self::Monitor(MonitorRequest::decode(reader, version)?),
            kind => Self::Unknown {
                kind: kind.into(),
                body: reader.rest().to_vec(),
            },
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        encode_header(self.kind(), 0, writer);
        let before_1_5 = writer.version() < Version::V1_5;
        match self {
            Self::Flows(filter) | Self::Aggregate(filter) => filter.encode(writer),
            Self::GroupStats(number) | Self::MeterStats(number) | Self::Meters(number) => {
                encode_number(*number, writer);
            }
            Self::Groups(ALL_GROUPS) | Self::Ports(Port::ANY) if before_1_5 => {}
            Self::Groups(_) | Self::Ports(_) | Self::Tables if before_1_5 => {
                writer.unsupported("asking for a single group or port, or how tables are set");
            }
            Self::Groups(number) | Self::Ports(Port(number)) => encode_number(*number, writer),
            Self::Switch | Self::MeterFeatures | Self::TableFeatures | Self::Tables => {}
            Self::Monitor(request) => request.encode(writer),
            Self::Unknown { body, .. } => writer.bytes(body),
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flows(filter) | Self::Aggregate(filter) => filter.describe(f),
            Self::GroupStats(ALL_GROUPS) | Self::Groups(ALL_GROUPS) => f.write_str(" group_id=ALL"),
            Self::GroupStats(group) | Self::Groups(group) => write!(f, " group_id={group}"),
            Self::MeterStats(meter) | Self::Meters(meter) => write!(f, " meter={}", MeterNumber(*meter)),
            Self::Ports(port) => write!(f, " port={port}"),
            Self::Monitor(request) => write!(f, "\n {request}"),
            Self::Switch | Self::MeterFeatures | Self::TableFeatures | Self::Tables => Ok(()),
            Self::Unknown { body, .. } if body.is_empty() => Ok(()),
            Self::Unknown { kind, body } => write!(f, " type {kind}, {} bytes: {}", body.len(), Hex(body)),
        }
    }
}

impl MultipartRequest {
    fn kind(&self) -> Kind {
        match self {
            Self::Flows(_) => Kind::Flow,
            Self::Aggregate(_) => Kind::Aggregate,
            Self::GroupStats(_) => Kind::Group,
            Self::Groups(_) => Kind::GroupDesc,
            Self::Switch => Kind::Desc,
            Self::MeterStats(_) => Kind::Meter,
            Self::Meters(_) => Kind::MeterConfig,
            Self::MeterFeatures => Kind::MeterFeatures,
            Self::TableFeatures => Kind::TableFeatures,
            Self::Tables => Kind::TableDesc,
            Self::Ports(_) => Kind::PortDesc,
            Self::Monitor(_) => Kind::FlowMonitor,
            Self::Unknown { kind, .. } => Kind::Other(*kind),
        }
    }
}

/// A number and the padding that brings it to eight bytes.
fn encode_number(number: u32, writer: &mut Writer<'_>) {
    writer.u32(number);
    writer.zeros(4);
}

impl Body for MultipartReply {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let (kind, flags) = decode_header(reader)?;
        let body = match kind {
            Kind::Flow => MultipartBody::Flows(entries(reader, |reader| FlowEntry::decode(reader, version))?),
            Kind::Aggregate => MultipartBody::Aggregate(decode_aggregate(reader, version)?),
            Kind::Group => MultipartBody::GroupStats(entries(reader, GroupStats::decode)?),
            Kind::GroupDesc => MultipartBody::Groups(entries(reader, |reader| GroupDesc::decode(reader, version))?),
            Kind::Desc => MultipartBody::Switch(SwitchDesc::decode(reader)?),
            Kind::Meter => MultipartBody::MeterStats(entries(reader, MeterStats::decode)?),
            Kind::MeterConfig => MultipartBody::Meters(entries(reader, MeterConfig::decode)?),
            Kind::MeterFeatures => MultipartBody::MeterFeatures(MeterFeatures::decode(reader)?),
            Kind::TableFeatures => {
                MultipartBody::TableFeatures(entries(reader, |reader| TableFeatures::decode(reader, version))?)
            }
            Kind::TableDesc => MultipartBody::Tables(entries(reader, TableDesc::decode)?),
            Kind::PortDesc => MultipartBody::Ports(entries(reader, |reader| PortDesc::decode(reader, version))?),
            Kind::FlowMonitor => MultipartBody::Monitor(entries(reader, |reader| FlowUpdate::decode(reader, version))?),
            kind => MultipartBody::Unknown {
                kind: kind.into(),
                body: reader.rest().to_vec(),
            },
        };
        Ok(Self {
            more: flags & MORE != 0,
            body,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        encode_header(self.body.kind(), if self.more { MORE } else { 0 }, writer);
        match &self.body {
            MultipartBody::Flows(flows) => flows.iter().for_each(|flow| flow.encode(writer)),
            MultipartBody::Aggregate(statistics) => encode_aggregate(statistics, writer),
            MultipartBody::GroupStats(groups) => groups.iter().for_each(|group| group.encode(writer)),
            MultipartBody::Groups(groups) => groups.iter().for_each(|group| group.encode(writer)),
            MultipartBody::Switch(switch) => switch.encode(writer),
            MultipartBody::MeterStats(meters) => meters.iter().for_each(|meter| meter.encode(writer)),
            MultipartBody::Meters(meters) => meters.iter().for_each(|meter| meter.encode(writer)),
            MultipartBody::MeterFeatures(features) => features.encode(writer),
            MultipartBody::TableFeatures(tables) => tables.iter().for_each(|table| table.encode(writer)),
            MultipartBody::Tables(tables) => tables.iter().for_each(|table| table.encode(writer)),
            MultipartBody::Ports(ports) => ports.iter().for_each(|port| port.encode(writer)),
            MultipartBody::Monitor(updates) => updates.iter().for_each(|update| update.encode(writer)),
            MultipartBody::Unknown { body, .. } => writer.bytes(body),
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.more {
            f.write_str(" flags=[more]")?;
        }
        self.body.describe(f)
    }
}

impl MultipartBody {
    fn kind(&self) -> Kind {
        match self {
            Self::Flows(_) => Kind::Flow,
            Self::Aggregate(_) => Kind::Aggregate,
            Self::GroupStats(_) => Kind::Group,
            Self::Groups(_) => Kind::GroupDesc,
            Self::Switch(_) => Kind::Desc,
            Self::MeterStats(_) => Kind::Meter,
            Self::Meters(_) => Kind::MeterConfig,
            Self::MeterFeatures(_) => Kind::MeterFeatures,
            Self::TableFeatures(_) => Kind::TableFeatures,
            Self::Tables(_) => Kind::TableDesc,
            Self::Ports(_) => Kind::PortDesc,
            Self::Monitor(_) => Kind::FlowMonitor,
            Self::Unknown { kind, .. } => Kind::Other(*kind),
        }
    }
}

impl MultipartBody {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flows(flows) => flows.iter().try_for_each(|flow| {
                f.write_str("\n ")?;
                flow.describe(f)
            }),
            Self::Aggregate(statistics) => describe_aggregate(statistics, f),
            Self::GroupStats(groups) => lines(groups, "\n ", f),
            Self::Groups(groups) => lines(groups, "\n ", f),
            Self::MeterStats(meters) => lines(meters, "\n", f),
            Self::Meters(meters) => lines(meters, "\n", f),
            Self::MeterFeatures(features) => write!(f, "\n{features}"),
            Self::Switch(switch) => write!(f, "\n{switch}"),
            Self::TableFeatures(tables) => lines(tables, "\n  ", f),
            Self::Tables(tables) => lines(tables, "\n  ", f),
            Self::Ports(ports) => lines(ports, "\n ", f),
            Self::Monitor(updates) => lines(updates, "\n ", f),
            Self::Unknown { body, .. } if body.is_empty() => Ok(()),
            Self::Unknown { kind, body } => write!(f, " type {kind}, {} bytes: {}", body.len(), Hex(body)),
        }
    }
}

fn lines(entries: &[impl fmt::Display], start: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    entries.iter().try_for_each(|entry| write!(f, "{start}{entry}"))
}

/// What ovs-ofctl calls it: `OFPST_FLOW`.
fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Desc => "OFPST_DESC",
        Kind::Flow => "OFPST_FLOW",
        Kind::Aggregate => "OFPST_AGGREGATE",
        Kind::Group => "OFPST_GROUP",
        Kind::GroupDesc => "OFPST_GROUP_DESC",
        Kind::Meter => "OFPST_METER",
        Kind::MeterConfig => "OFPST_METER_CONFIG",
        Kind::MeterFeatures => "OFPST_METER_FEATURES",
        Kind::TableFeatures => "OFPST_TABLE_FEATURES",
        Kind::PortDesc => "OFPST_PORT_DESC",
        Kind::TableDesc => "OFPST_TABLE_DESC",
        Kind::FlowMonitor => "OFPST_FLOW_MONITOR",
        // These are kept as they came.
        Kind::Other(3) => "OFPST_TABLE",
        Kind::Other(4) => "OFPST_PORT",
        Kind::Other(5) => "OFPST_QUEUE",
        Kind::Other(8) => "OFPST_GROUP_FEATURES",
        Kind::Other(15) => "OFPST_QUEUE_DESC",
        Kind::Experimenter | Kind::Other(_) => "OFPST_UNKNOWN",
    }
}

impl MultipartRequest {
    pub(super) fn title(&self) -> &'static str {
        title(self.kind())
    }
}

impl MultipartReply {
    pub(super) fn title(&self) -> &'static str {
        title(self.body.kind())
    }
}

/// Entries until the message ends: none is ever cut between two parts (OpenFlow 1.5.1, 7.3.5).
fn entries<'a, T>(
    reader: &mut Reader<'a>,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut entries = Vec::new();
    while !reader.is_empty() {
        entries.push(decode(reader)?);
    }
    Ok(entries)
}
