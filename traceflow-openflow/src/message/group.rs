//! `OFPT_GROUP_MOD`, `OFPMP_GROUP_DESC` and `OFPMP_GROUP_STATS`.

use crate::text::{Count, Seconds};
use std::fmt;
use std::time::Duration;

use super::Body;
use super::selection::{self, Selection};
use super::statistics::{decode_count, decode_duration, encode_count, encode_duration, encode_entry, entry};
use crate::action::{Action, List};
use crate::wire::{DecodeError, Property, Reader, Writer, codes};
use crate::{Port, Version};

/// All groups, in requests.
pub const ALL_GROUPS: u32 = 0xffff_fffc;

/// A watched group's number that means "none".
const NO_GROUP: u32 = u32::MAX;

codes! {
    /// What to do with a group.
    pub GroupCommand: u16 {
        /// Adds it.
        Add = 0 "add",
        /// Replaces it.
        Modify = 1 "modify",
        /// Deletes it, and the flows that use it.
        Delete = 2 "delete",
        /// Adds buckets to it, from OpenFlow 1.5 on.
        InsertBucket = 3 "insert_bucket",
        /// Removes buckets from it, from OpenFlow 1.5 on.
        RemoveBucket = 5 "remove_bucket",
        /// Adds it or replaces it; Open vSwitch's own.
        AddOrModify = 0x8000 "add_or_mod",
    }
}

codes! {
    /// How a group chooses among its buckets.
    pub GroupKind: u8 {
        /// All of them.
        All = 0 "all",
        /// One, by a hash of the packet.
        Select = 1 "select",
        /// The only one.
        Indirect = 2 "indirect",
        /// The first whose watched port or group is up.
        FastFailover = 3 "ff",
    }
}

/// Adds, changes or deletes a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupCommand,
    /// How it chooses.
    pub kind: GroupKind,
    /// Its number; [`ALL_GROUPS`] for all of them when deleting.
    pub group: u32,
    /// Where buckets are inserted or which one is removed; from OpenFlow 1.5 on, all ones if it doesn't matter.
    pub command_bucket: u32,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How a select group chooses; from OpenFlow 1.5 on.
    pub selection: Option<Selection>,
    /// Properties that this crate doesn't know, as they came; from OpenFlow 1.5 on.
    pub properties: Vec<Property>,
}

/// What a group does with a packet if it chooses this.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Bucket {
    /// Its number; from OpenFlow 1.5 on, 0 in 1.3.
    pub id: u32,
    /// How often a select group chooses it, in proportion to the others.
    pub weight: Option<u16>,
    /// The port that must be up.
    pub watch_port: Option<Port>,
    /// The group that must be up.
    pub watch_group: Option<u32>,
    /// What is done.
    pub actions: Vec<Action>,
    /// Properties that this crate doesn't know, as they came.
    pub properties: Vec<Property>,
}

/// `ofp15_group_bucket_prop_type`
const WEIGHT: u16 = 0;
const WATCH_PORT: u16 = 1;
const WATCH_GROUP: u16 = 2;

impl Body for GroupMod {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let command = reader.u16("group command")?.into();
        let kind = reader.u8("group type")?.into();
        reader.skip(1)?;
        let group = reader.u32("group")?;
        if version < Version::V1_5 {
            let buckets = Bucket::decode_list(reader.clone(), version)?;
            return Ok(Self {
                command,
                kind,
                group,
                command_bucket: NO_GROUP,
                buckets,
                selection: None,
                properties: Vec::new(),
            });
        }
        let length = reader.u16("length of buckets")?;
        reader.skip(2)?;
        let command_bucket = reader.u32("command bucket")?;
        let buckets = Bucket::decode_list(reader.part(length.into(), "buckets")?, version)?;
        let (selection, properties) = decode_properties(reader)?;
        Ok(Self {
            command,
            kind,
            group,
            command_bucket,
            buckets,
            selection,
            properties,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        let only_1_5 = matches!(self.command, GroupCommand::InsertBucket | GroupCommand::RemoveBucket);
        if writer.version() < Version::V1_5 && (only_1_5 || self.selection.is_some() || !self.properties.is_empty()) {
            writer.unsupported("changing single buckets, or properties of a group");
        }
        writer.u16(self.command.into());
        writer.u8(self.kind.into());
        writer.zeros(1);
        writer.u32(self.group);
        if writer.version() < Version::V1_5 {
            return Bucket::encode_list(&self.buckets, writer);
        }
        let length = writer.position();
        writer.zeros(4);
        writer.u32(self.command_bucket);
        let start = writer.position();
        Bucket::encode_list(&self.buckets, writer);
        writer.set_length(length, start, "a group's buckets");
        encode_properties(self.selection.as_ref(), &self.properties, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            GroupCommand::Add => f.write_str("\n ADD ")?,
            GroupCommand::Modify => f.write_str("\n MOD ")?,
            GroupCommand::Delete => f.write_str("\n DEL ")?,
            GroupCommand::AddOrModify => f.write_str("\n ADD_OR_MOD ")?,
            GroupCommand::InsertBucket => write!(f, "\n INSERT_BUCKET {},", CommandBucket(self.command_bucket))?,
            GroupCommand::RemoveBucket => write!(f, "\n REMOVE_BUCKET {},", CommandBucket(self.command_bucket))?,
            GroupCommand::Other(command) => write!(f, "\n command {command} ")?,
        }
        // A change of single buckets doesn't tell the kind.
        let single = matches!(self.command, GroupCommand::InsertBucket | GroupCommand::RemoveBucket);
        let kind = (!single).then_some(self.kind);
        describe_group(self.group, kind, self.selection.as_ref(), &self.buckets, f)?;
        Property::describe_all(&self.properties, f)
    }
}

impl Bucket {
    fn decode_list(mut reader: Reader<'_>, version: Version) -> Result<Vec<Self>, DecodeError> {
        let mut buckets = Vec::new();
        while !reader.is_empty() {
            let bucket = entry(&mut reader, "bucket")?;
            buckets.push(match version {
                Version::V1_3 => Self::decode_fixed(bucket)?,
                Version::V1_5 => Self::decode_listed(bucket)?,
            });
        }
        Ok(buckets)
    }

    fn decode_fixed(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let weight = Some(reader.u16("weight")?).filter(|weight| *weight != 0);
        let watch_port = Some(Port(reader.u32("watched port")?)).filter(|port| *port != Port::ANY);
        let watch_group = Some(reader.u32("watched group")?).filter(|group| *group != NO_GROUP);
        reader.skip(4)?;
        let actions = Action::decode_list(reader)?;
        Ok(Self {
            id: 0,
            weight,
            watch_port,
            watch_group,
            actions,
            properties: Vec::new(),
        })
    }

    fn decode_listed(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.u16("length of actions")?;
        let id = reader.u32("bucket")?;
        let actions = Action::decode_list(reader.part(length.into(), "actions")?)?;
        let mut bucket = Self {
            id,
            actions,
            ..Self::default()
        };
        while !reader.is_empty() {
            let (kind, mut property) = reader.property("bucket property")?;
            match kind {
                WEIGHT => bucket.weight = Some(property.u16("weight")?),
                WATCH_PORT => bucket.watch_port = Some(Port(property.u32("watched port")?)),
                WATCH_GROUP => bucket.watch_group = Some(property.u32("watched group")?),
                _ => bucket.properties.push(Property::new(kind, property)),
            }
        }
        Ok(bucket)
    }

    fn encode_list(buckets: &[Self], writer: &mut Writer<'_>) {
        for bucket in buckets {
            encode_entry(writer, "a bucket", |writer| match writer.version() {
                Version::V1_3 => bucket.encode_fixed(writer),
                Version::V1_5 => bucket.encode_listed(writer),
            });
        }
    }

    fn encode_fixed(&self, writer: &mut Writer<'_>) {
        writer.u16(self.weight.unwrap_or_default());
        writer.u32(self.watch_port.unwrap_or(Port::ANY).0);
        writer.u32(self.watch_group.unwrap_or(NO_GROUP));
        writer.zeros(4);
        Action::encode_list(&self.actions, writer);
    }

    fn encode_listed(&self, writer: &mut Writer<'_>) {
        let length = writer.position();
        writer.zeros(2);
        writer.u32(self.id);
        let start = writer.position();
        Action::encode_list(&self.actions, writer);
        writer.set_length(length, start, "a bucket's actions");
        if let Some(weight) = self.weight {
            writer.property_u16(WEIGHT, weight);
        }
        if let Some(port) = self.watch_port {
            writer.property(WATCH_PORT, "watched port", |writer| writer.u32(port.0));
        }
        if let Some(group) = self.watch_group {
            writer.property(WATCH_GROUP, "watched group", |writer| writer.u32(group));
        }
        Property::encode_all(&self.properties, writer);
    }
}

/// A group that the switch has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupDesc {
    /// How it chooses.
    pub kind: GroupKind,
    /// Its number.
    pub group: u32,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How a select group chooses; from OpenFlow 1.5 on.
    pub selection: Option<Selection>,
    /// Properties that this crate doesn't know, as they came; from OpenFlow 1.5 on.
    pub properties: Vec<Property>,
}

impl GroupDesc {
    pub(super) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let mut group = entry(reader, "group")?;
        let kind = group.u8("group type")?.into();
        group.skip(1)?;
        let number = group.u32("group")?;
        if version < Version::V1_5 {
            let buckets = Bucket::decode_list(group, version)?;
            return Ok(Self {
                kind,
                group: number,
                buckets,
                selection: None,
                properties: Vec::new(),
            });
        }
        let length = group.u16("length of buckets")?;
        group.skip(6)?;
        let buckets = Bucket::decode_list(group.part(length.into(), "buckets")?, version)?;
        let (selection, properties) = decode_properties(&mut group)?;
        Ok(Self {
            kind,
            group: number,
            buckets,
            selection,
            properties,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        encode_entry(writer, "a group", |writer| {
            writer.u8(self.kind.into());
            writer.zeros(1);
            writer.u32(self.group);
            if writer.version() < Version::V1_5 {
                return Bucket::encode_list(&self.buckets, writer);
            }
            let length = writer.position();
            writer.zeros(8);
            let start = writer.position();
            Bucket::encode_list(&self.buckets, writer);
            writer.set_length(length, start, "a group's buckets");
            encode_properties(self.selection.as_ref(), &self.properties, writer);
        });
    }
}

/// Where buckets are inserted, or which one is removed.
struct CommandBucket(u32);

impl fmt::Display for CommandBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0xffff_fffd => f.write_str("command_bucket_id:first"),
            0xffff_fffe => f.write_str("command_bucket_id:last"),
            0xffff_ffff => f.write_str("command_bucket_id:all"),
            bucket => write!(f, "command_bucket_id:{bucket}"),
        }
    }
}

/// In one line, as ovs-ofctl lists groups.
impl fmt::Display for GroupDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe_group(self.group, Some(self.kind), self.selection.as_ref(), &self.buckets, f)?;
        Property::describe_all(&self.properties, f)
    }
}

fn describe_group(
    group: u32,
    kind: Option<GroupKind>,
    selection: Option<&Selection>,
    buckets: &[Bucket],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "group_id={group}")?;
    if let Some(kind) = kind {
        write!(f, ",type={kind}")?;
    }
    if let Some(selection) = selection {
        write!(f, ",{selection}")?;
    }
    buckets.iter().try_for_each(|bucket| write!(f, ",bucket={bucket}"))
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket_id:{},", self.id)?;
        if let Some(weight) = self.weight {
            write!(f, "weight:{weight},")?;
        }
        if let Some(port) = self.watch_port {
            write!(f, "watch_port:{port},")?;
        }
        if let Some(group) = self.watch_group {
            write!(f, "watch_group:{group},")?;
        }
        match &self.actions[..] {
            [] => f.write_str("actions=drop")?,
            actions => write!(f, "actions={}", List(actions))?,
        }
        Property::describe_all(&self.properties, f)
    }
}

fn decode_properties(reader: &mut Reader<'_>) -> Result<(Option<Selection>, Vec<Property>), DecodeError> {
    let (mut selection, mut properties) = (None, Vec::new());
    while !reader.is_empty() {
        let (kind, body) = reader.property("group property")?;
        let known = match kind {
            selection::EXPERIMENTER => Selection::decode(body.clone())?,
            _ => None,
        };
        match known {
            Some(known) => selection = Some(known),
            None => properties.push(Property::new(kind, body)),
        }
    }
    Ok((selection, properties))
}

fn encode_properties(selection: Option<&Selection>, properties: &[Property], writer: &mut Writer<'_>) {
    if let Some(selection) = selection {
        selection.encode(writer);
    }
    Property::encode_all(properties, writer);
}

/// A group's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupStats {
    /// Its number.
    pub group: u32,
    /// How many flows and groups send to it.
    pub references: u32,
    /// How many packets it has seen.
    pub packets: Option<u64>,
    /// How many bytes those had.
    pub bytes: Option<u64>,
    /// How long it has existed.
    pub duration: Duration,
    /// The same for each bucket.
    pub buckets: Vec<BucketCounters>,
}

/// The counters of a bucket, or of a meter's band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketCounters {
    /// How many packets it has seen.
    pub packets: Option<u64>,
    /// How many bytes those had.
    pub bytes: Option<u64>,
}

impl GroupStats {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut group = entry(reader, "group")?;
        group.skip(2)?;
        let (number, references) = (group.u32("group")?, group.u32("reference count")?);
        group.skip(4)?;
        let packets = decode_count(&mut group, "packet count")?;
        let bytes = decode_count(&mut group, "byte count")?;
        let duration = decode_duration(&mut group)?;
        let mut buckets = Vec::new();
        while !group.is_empty() {
            buckets.push(BucketCounters::decode(&mut group)?);
        }
        Ok(Self {
            group: number,
            references,
            packets,
            bytes,
            duration,
            buckets,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        encode_entry(writer, "a group's counters", |writer| {
            writer.zeros(2);
            writer.u32(self.group);
            writer.u32(self.references);
            writer.zeros(4);
            encode_count(self.packets, writer);
            encode_count(self.bytes, writer);
            encode_duration(self.duration, writer);
            self.buckets.iter().for_each(|bucket| bucket.encode(writer));
        });
    }
}

impl fmt::Display for GroupStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "group_id={},duration={},ref_count={}",
            self.group,
            Seconds(self.duration),
            self.references
        )?;
        write!(
            f,
            ",packet_count={},byte_count={}",
            Count(self.packets),
            Count(self.bytes)
        )?;
        for (index, bucket) in self.buckets.iter().enumerate() {
            let (packets, bytes) = (Count(bucket.packets), Count(bucket.bytes));
            write!(f, ",bucket{index}:packet_count={packets},byte_count={bytes}")?;
        }
        Ok(())
    }
}

impl BucketCounters {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            packets: decode_count(reader, "packet count")?,
            bytes: decode_count(reader, "byte count")?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        encode_count(self.packets, writer);
        encode_count(self.bytes, writer);
    }
}
