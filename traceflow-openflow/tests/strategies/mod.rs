//! Any message, in the form that reading gives it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::option;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::{collection, prop_oneof};
use traceflow_openflow::action::{
    Action, Conntrack, Controller, Destination, Learn, LearnFlags, Nat, NatFlags, SetField, Source, Spec,
    WrittenResult, Zone,
};
use traceflow_openflow::field::{Field, Subfield, Value};
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::matching::{FieldMatch, Match};
use traceflow_openflow::message::{
    ALL_GROUPS, AsyncConfig, Bucket, BucketCounters, BundleControl, BundleFlags, CtFlush, Echo, ErrorMessage,
    EthernetFeatures, FeaturesReply, FlowEntry, FlowFilter, FlowFlags, FlowMod, FlowRemoved, FlowUpdate, GroupDesc,
    GroupMod, GroupStats, Hello, Message, MeterBand, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterStats,
    MonitorCancel, MonitorFlags, MonitorRequest, MonitoredFlow, MultipartBody, MultipartReply, MultipartRequest,
    NiciraPacketIn, PacketIn, PacketIn2, PacketOut, PortDesc, PortStatus, RoleMessage, Selection, SelectionMethod,
    SetControllerId, SetPacketInFormat, Statistics, SwitchConfig, SwitchDesc, TableDesc, TableFeatures, TlvMapping,
    TlvTable, TlvTableMod, Tuple, UnknownStatistic,
};
use traceflow_openflow::wire::Property;
use traceflow_openflow::{NICIRA, Port, Version};

/// What `message` is after a journey in `version`, which can't tell everything.
pub(crate) fn in_version(mut message: Message, version: Version) -> Message {
    if version == Version::V1_5 {
        return message;
    }
    match &mut message {
        Message::FlowMod(flow) => flow.importance = 0,
        Message::RoleRequest(role) | Message::RoleReply(role) => role.short_id = 0,
        Message::SetAsync(config) => *config = six_masks(config),
        Message::FlowRemoved(removed) => removed.statistics = fixed(&removed.statistics),
        Message::PortStatus(status) => status.port = port_in_1_3(&status.port),
        Message::GroupMod(group) => {
            group.command_bucket = u32::MAX;
            group.buckets.iter_mut().for_each(bucket_in_1_3);
        }
        Message::MultipartReply(reply) => multipart_in_1_3(&mut reply.body),
        Message::PacketOut(out) => out.metadata = Match::new().with(Field::OXM_OF_IN_PORT, out.port().0.into()),
        _ => {}
    }
    message
}

/// OpenFlow 1.3 always says six masks, in its own order.
fn six_masks(config: &AsyncConfig) -> AsyncConfig {
    let mask = |kind| {
        config
            .masks
            .iter()
            .find(|(of, _)| *of == kind)
            .map_or(0, |(_, mask)| *mask)
    };
    let order = [1_u16, 0, 3, 2, 5, 4].map(Into::into);
    AsyncConfig {
        masks: order.into_iter().map(|kind| (kind, mask(kind))).collect(),
    }
}

/// A flow's counters in OpenFlow 1.3: three of them, always.
fn fixed(statistics: &Statistics) -> Statistics {
    Statistics {
        duration: Some(statistics.duration.unwrap_or_default()),
        packets: statistics.packets,
        bytes: statistics.bytes,
        ..Statistics::default()
    }
}

fn port_in_1_3(port: &PortDesc) -> PortDesc {
    PortDesc {
        ethernet: Some(port.ethernet.unwrap_or_default()),
        properties: Vec::new(),
        ..port.clone()
    }
}

fn bucket_in_1_3(bucket: &mut Bucket) {
    bucket.id = 0;
    bucket.properties.clear();
}

fn multipart_in_1_3(body: &mut MultipartBody) {
    match body {
        MultipartBody::Flows(flows) => flows.iter_mut().for_each(|flow| {
            flow.importance = 0;
            flow.statistics = fixed(&flow.statistics);
        }),
        MultipartBody::Aggregate(statistics) => {
            *statistics = Statistics {
                packets: statistics.packets,
                bytes: statistics.bytes,
                flows: Some(statistics.flows.unwrap_or_default()),
                ..Statistics::default()
            }
        }
        MultipartBody::Groups(groups) => groups.iter_mut().for_each(|group| {
            group.selection = None;
            group.properties.clear();
            group.buckets.iter_mut().for_each(bucket_in_1_3);
        }),
        MultipartBody::TableFeatures(tables) => tables.iter_mut().for_each(|table| {
            table.command = 0;
            table.features = 0;
        }),
        MultipartBody::Ports(ports) => ports.iter_mut().for_each(|port| *port = port_in_1_3(port)),
        _ => {}
    }
}

pub(crate) fn message() -> BoxedStrategy<Message> {
    let simple = prop_oneof![
        (option::of(any::<u32>()), properties(2..9))
            .prop_map(|(versions, unknown)| Message::Hello(Hello { versions, unknown })),
        error().prop_map(Message::Error),
        bytes(20).prop_map(|data| Message::EchoRequest(Echo { data })),
        bytes(20).prop_map(|data| Message::EchoReply(Echo { data })),
        any::<(u64, u32, u8, u8, u32)>().prop_map(|(datapath_id, buffers, tables, auxiliary_id, capabilities)| {
            Message::FeaturesReply(FeaturesReply {
                datapath_id,
                buffers,
                tables,
                auxiliary_id,
                capabilities,
            })
        }),
        any::<(u16, u16)>()
            .prop_map(|(flags, miss_send_len)| Message::SetConfig(SwitchConfig { flags, miss_send_len })),
        any::<(u32, u16, u64)>().prop_map(|(role, short_id, generation)| {
            Message::RoleRequest(RoleMessage {
                role: role.into(),
                short_id,
                generation,
            })
        }),
        collection::btree_map(0_u16..6, any::<u32>(), 0..6).prop_map(|masks| {
            Message::SetAsync(AsyncConfig {
                masks: masks.into_iter().map(|(kind, mask)| (kind.into(), mask)).collect(),
            })
        }),
        any::<u32>().prop_map(|format| Message::SetPacketInFormat(SetPacketInFormat { format: format.into() })),
        any::<u16>().prop_map(|id| Message::SetControllerId(SetControllerId { id })),
        (any::<(u32, u16, u16)>(), properties(0..9)).prop_map(|((bundle, step, flags), properties)| {
            Message::BundleControl(BundleControl {
                bundle,
                step: step.into(),
                flags: BundleFlags(flags),
                properties,
            })
        }),
        (any::<u16>(), mappings()).prop_map(|(command, mappings)| {
            Message::TlvTableMod(TlvTableMod {
                command: command.into(),
                mappings,
            })
        }),
        (any::<(u32, u16)>(), mappings()).prop_map(|((max_option_space, max_fields), mappings)| {
            Message::TlvTableReply(TlvTable {
                max_option_space,
                max_fields,
                mappings,
            })
        }),
        ct_flush().prop_map(Message::CtFlush),
        meter_mod().prop_map(Message::MeterMod),
        any::<u32>().prop_map(|monitor| Message::MonitorCancel(MonitorCancel { monitor })),
        Just(Message::MonitorPaused),
        Just(Message::BarrierRequest),
        Just(Message::TlvTableRequest),
    ];
    prop_oneof![
        2 => simple,
        3 => flow_mod().prop_map(Message::FlowMod),
        2 => packet_out().prop_map(Message::PacketOut),
        1 => packet_in().prop_map(Message::PacketIn),
        1 => packet_in().prop_map(|packet_in| Message::NiciraPacketIn(NiciraPacketIn(packet_in))),
        1 => packet_in2().prop_map(Message::PacketIn2),
        1 => flow_removed().prop_map(Message::FlowRemoved),
        1 => (any::<u8>(), port_desc())
            .prop_map(|(reason, port)| Message::PortStatus(PortStatus { reason: reason.into(), port })),
        2 => group_mod().prop_map(Message::GroupMod),
        1 => multipart_request().prop_map(Message::MultipartRequest),
        3 => (any::<bool>(), multipart_body())
            .prop_map(|(more, body)| Message::MultipartReply(MultipartReply { more, body })),
        1 => packet_in2().prop_map(Message::Resume),
    ]
    .boxed()
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    collection::vec(any::<u8>(), 0..most)
}

/// Of types that are not known.
fn properties(least: std::ops::Range<u16>) -> impl Strategy<Value = Vec<Property>> {
    let property = (least.end + 100..1000, bytes(12)).prop_map(|(kind, body)| Property { kind, body });
    collection::vec(property, 0..3)
}

fn error() -> impl Strategy<Value = ErrorMessage> {
    let standard =
        (0_u16..20, any::<u16>(), bytes(70)).prop_map(|(kind, code, data)| ErrorMessage::new(kind, code, data));
    let nicira = (any::<u16>(), bytes(70)).prop_map(|(code, data)| ErrorMessage {
        kind: 0xffff,
        code,
        experimenter: Some(NICIRA),
        data,
    });
    prop_oneof![standard, nicira]
}

fn mappings() -> impl Strategy<Value = Vec<TlvMapping>> {
    let mapping = any::<(u16, u8, u8, u16)>().prop_map(|(class, kind, length, index)| TlvMapping {
        class,
        kind,
        length,
        index,
    });
    collection::vec(mapping, 0..4)
}

fn address() -> impl Strategy<Value = IpAddr> {
    // Not an IPv4 address in an IPv6 one: such a one is read as IPv4.
    prop_oneof![
        any::<u32>().prop_map(|address| IpAddr::V4(Ipv4Addr::from(address))),
        any::<u128>().prop_map(|address| IpAddr::V6(Ipv6Addr::from(address | 1 << 127))),
    ]
}

fn ct_flush() -> impl Strategy<Value = CtFlush> {
    let tuple = || {
        (
            option::of(address()),
            option::of(address()),
            any::<[Option<u16>; 3]>(),
            any::<[Option<u8>; 2]>(),
        )
            .prop_map(
                |(source, destination, [source_port, destination_port, icmp_id], [icmp_type, icmp_code])| Tuple {
                    source,
                    destination,
                    source_port,
                    destination_port,
                    icmp_id,
                    icmp_type,
                    icmp_code,
                },
            )
    };
    (
        any::<u8>(),
        option::of(tuple()),
        option::of(tuple()),
        any::<Option<u16>>(),
        properties(0..9),
    )
        .prop_map(|(protocol, original, reply, zone, unknown)| CtFlush {
            protocol,
            original,
            reply,
            zone,
            unknown,
        })
}

fn packet_in() -> impl Strategy<Value = PacketIn> {
    let head = (option::of(0..u32::MAX), any::<(u16, u8, u8, u64)>());
    (head, matching(), bytes(80)).prop_map(|((buffer, (total_len, reason, table, cookie)), metadata, packet)| {
        PacketIn {
            buffer,
            total_len,
            reason: reason.into(),
            table,
            cookie,
            metadata,
            packet,
        }
    })
}

fn packet_in2() -> impl Strategy<Value = PacketIn2> {
    let numbers = any::<(Option<u32>, Option<u32>, Option<u8>, Option<u64>, Option<u8>)>();
    (
        bytes(80),
        numbers,
        matching(),
        bytes(20),
        option::of(bytes(40)),
        properties(0..9),
    )
        .prop_map(
            |(packet, (full_len, buffer, table, cookie, reason), metadata, userdata, continuation, unknown)| {
                PacketIn2 {
                    packet,
                    full_len,
                    buffer,
                    table,
                    cookie,
                    reason: reason.map(Into::into),
                    metadata,
                    userdata,
                    continuation,
                    unknown,
                }
            },
        )
}

fn packet_out() -> impl Strategy<Value = PacketOut> {
    let port_only = any::<u32>().prop_map(|port| Match::new().with(Field::OXM_OF_IN_PORT, port.into()));
    (
        option::of(0..u32::MAX),
        prop_oneof![port_only, matching()],
        actions(),
        bytes(80),
    )
        .prop_map(|(buffer, metadata, actions, packet)| PacketOut {
            buffer,
            metadata,
            actions,
            packet,
        })
}

fn flow_mod() -> impl Strategy<Value = FlowMod> {
    let numbers = any::<((u64, u64), (u8, u8), (u16, u16, u16), (u32, u32), (u16, u16))>();
    (
        numbers,
        option::of(0..u32::MAX),
        matching(),
        collection::vec(instruction(), 0..4),
    )
        .prop_map(
            |((cookies, (table, command), times, outs, (flags, importance)), buffer, matching, instructions)| FlowMod {
                command: command.into(),
                table,
                cookie: cookies.0,
                cookie_mask: cookies.1,
                idle_timeout: times.0,
                hard_timeout: times.1,
                priority: times.2,
                buffer,
                out_port: Port(outs.0),
                out_group: outs.1,
                flags: FlowFlags(flags),
                importance,
                matching,
                instructions,
            },
        )
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        any::<u8>().prop_map(Instruction::GotoTable),
        any::<(u64, u64)>().prop_map(|(metadata, mask)| Instruction::WriteMetadata { metadata, mask }),
        actions().prop_map(Instruction::WriteActions),
        actions().prop_map(Instruction::ApplyActions),
        Just(Instruction::ClearActions),
        any::<u32>().prop_map(Instruction::Meter),
        (7_u16..0xffff, collection::vec(any::<u8>(), 4..=4))
            .prop_map(|(kind, body)| Instruction::Unknown { kind, body }),
    ]
}

/// Fields of every class and width, known and unknown.
fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        (0_u8..16).prop_map(Field::register),
        (0_u8..8).prop_map(Field::packet_register),
        (0_u8..4).prop_map(Field::wide_register),
        Just(Field::OXM_OF_IN_PORT),
        Just(Field::OXM_OF_ETH_TYPE),
        Just(Field::OXM_OF_IPV6_SRC),
        Just(Field::NXM_NX_CT_STATE),
        Just(Field::ONFOXM_ET_TCP_FLAGS),
        (0_u8..64).prop_map(Field::tunnel_metadata),
        (2_u16..0x7fff, 0_u8..128).prop_map(|(class, number)| Field::new(class, number)),
    ]
}

fn value(field: Field) -> impl Strategy<Value = Value> {
    match field.bytes() {
        Some(width) => collection::vec(any::<u8>(), width).boxed(),
        None => collection::vec(any::<u8>(), 0..100).boxed(),
    }
    .prop_map(|bytes| Value::from_bytes(&bytes))
}

fn value_and_mask(field: Field) -> impl Strategy<Value = (Value, Option<Value>)> {
    value(field).prop_flat_map(|value| {
        let mask = collection::vec(any::<u8>(), value.bytes().len()).prop_map(|bytes| Value::from_bytes(&bytes));
        (Just(value), option::of(mask))
    })
}

fn matching() -> impl Strategy<Value = Match> {
    let condition = field()
        .prop_flat_map(|field| value_and_mask(field).prop_map(move |(value, mask)| FieldMatch { field, value, mask }));
    collection::vec(condition, 0..5).prop_map(|fields| Match { fields })
}

fn subfield() -> impl Strategy<Value = Subfield> {
    (0_u8..16, 0_u16..32).prop_flat_map(|(register, offset)| {
        (1..=32 - offset).prop_map(move |bits| Subfield::new(Field::register(register), offset, bits))
    })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    collection::vec(action(), 0..4)
}

fn action() -> impl Strategy<Value = Action> {
    simple_action().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..3).prop_map(Action::Clone),
            conntrack(inner).prop_map(|conntrack| Action::Conntrack(Box::new(conntrack))),
        ]
    })
}

fn simple_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        any::<(u32, u16)>().prop_map(|(port, max_len)| Action::Output {
            port: Port(port),
            max_len
        }),
        (subfield(), any::<u16>()).prop_map(|(source, max_len)| Action::OutputField { source, max_len }),
        any::<u32>().prop_map(Action::Group),
        (option::of(0_u32..0xff00), option::of(0_u8..255), any::<bool>()).prop_map(|(port, table, conntrack)| {
            Action::Resubmit {
                port: port.map(Port),
                table,
                conntrack,
            }
        }),
        set_field().prop_map(Action::SetField),
        (subfield(), subfield()).prop_map(|(source, destination)| Action::Move {
            source: Subfield {
                bits: destination.bits,
                ..source
            },
            destination,
        }),
        nat().prop_map(Action::Nat),
        Just(Action::ConntrackClear),
        controller().prop_map(Action::Controller),
        (any::<u32>(), 1_u8..64, any::<u8>()).prop_map(|(id, clause, clauses)| Action::Conjunction {
            id,
            clause,
            clauses
        }),
        learn().prop_map(|learn| Action::Learn(Box::new(learn))),
        // Longer ones are filled with zeros.
        prop_oneof![collection::vec(any::<u8>(), 6), collection::vec(any::<u8>(), 14)].prop_map(Action::Note),
        Just(Action::DecTtl),
        any::<u32>().prop_map(Action::Meter),
        any::<u16>().prop_map(Action::PushVlan),
        Just(Action::PopVlan),
        Just(Action::Exit),
        (100_u16..0xffff, collection::vec(any::<u8>(), 4)).prop_map(|(kind, body)| Action::Unknown { kind, body }),
    ]
}

fn set_field() -> impl Strategy<Value = SetField> {
    let any_bits = field()
        .prop_flat_map(|field| value_and_mask(field).prop_map(move |(value, mask)| SetField { field, value, mask }));
    prop_oneof![
        any_bits,
        (subfield(), any::<u64>()).prop_map(|(destination, value)| SetField::bits(destination, value))
    ]
}

fn conntrack(inner: impl Strategy<Value = Action> + 'static) -> impl Strategy<Value = Conntrack> {
    let zone = prop_oneof![any::<u16>().prop_map(Zone::Number), subfield().prop_map(Zone::Field)];
    (
        any::<(bool, bool)>(),
        option::of(0_u8..255),
        zone,
        any::<u16>(),
        collection::vec(inner, 0..3),
    )
        .prop_map(|((commit, force), table, zone, alg, actions)| Conntrack {
            commit,
            force,
            table,
            zone,
            alg,
            actions,
        })
}

fn nat() -> impl Strategy<Value = Nat> {
    let family = |address: IpAddr, last: Option<u32>| match address {
        IpAddr::V4(_) => last.map(|last| IpAddr::V4(Ipv4Addr::from(last))),
        IpAddr::V6(_) => last.map(|last| IpAddr::V6(Ipv6Addr::from(u128::from(last)))),
    };
    (
        0_u16..32,
        address(),
        any::<Option<u32>>(),
        any::<(Option<u16>, Option<u16>)>(),
    )
        .prop_map(move |(flags, address, last, (port, last_port))| Nat {
            flags: NatFlags(flags),
            address: Some(address),
            last_address: family(address, last),
            port,
            last_port,
        })
}

fn controller() -> impl Strategy<Value = Controller> {
    (any::<(u16, u16, u8)>(), bytes(20), any::<bool>(), any::<Option<u32>>()).prop_map(
        |((max_len, id, reason), userdata, pause, meter)| Controller {
            max_len,
            id,
            reason: reason.into(),
            userdata,
            pause,
            meter,
        },
    )
}

fn learn() -> impl Strategy<Value = Learn> {
    let numbers = any::<((u16, u16, u16), u64, (bool, bool), u8, (u16, u16), u32)>();
    let result = option::of(subfield().prop_map(|bits| WrittenResult {
        field: bits.field,
        offset: bits.offset,
    }));
    (numbers, result, collection::vec(spec(), 0..4)).prop_map(
        |((times, cookie, flags, table, fin, limit), result, specs)| Learn {
            idle_timeout: times.0,
            hard_timeout: times.1,
            priority: times.2,
            cookie,
            flags: LearnFlags {
                send_flow_removed: flags.0,
                delete_learned: flags.1,
            },
            table,
            fin_idle_timeout: fin.0,
            fin_hard_timeout: fin.1,
            limit,
            result,
            specs,
        },
    )
}

fn spec() -> impl Strategy<Value = Spec> {
    (1_u16..200, subfield(), subfield(), any::<bool>(), 0_u8..3).prop_flat_map(|(bits, from, to, immediate, kind)| {
        let destination = match kind {
            0 => Destination::Match(to.field, to.offset),
            1 => Destination::Load(to.field, to.offset),
            _ => Destination::Output,
        };
        let length = usize::from(bits).div_ceil(16) * 2;
        collection::vec(any::<u8>(), length).prop_map(move |bytes| {
            let source = if immediate {
                Source::Value(Value::from_bytes(&bytes))
            } else {
                Source::Field(from.field, from.offset)
            };
            Spec {
                bits,
                source,
                destination,
            }
        })
    })
}

fn meter_bands() -> impl Strategy<Value = Vec<MeterBand>> {
    let band = prop_oneof![
        any::<(u32, u32)>().prop_map(|(rate, burst)| MeterBand::Drop { rate, burst }),
        (2_u16..9, bytes(12)).prop_map(|(kind, body)| MeterBand::Unknown(Property { kind, body })),
    ];
    collection::vec(band, 0..3)
}

fn meter_config() -> impl Strategy<Value = MeterConfig> {
    (any::<(u16, u32)>(), meter_bands()).prop_map(|((flags, meter), bands)| MeterConfig {
        meter,
        flags: MeterFlags(flags),
        bands,
    })
}

fn meter_stats() -> impl Strategy<Value = MeterStats> {
    let band = (count(), count()).prop_map(|(packets, bytes)| BucketCounters { packets, bytes });
    (any::<(u32, u32, u64, u64)>(), duration(), collection::vec(band, 0..3)).prop_map(
        |((meter, flows, packets, bytes), duration, bands)| MeterStats {
            meter,
            flows,
            packets,
            bytes,
            duration,
            bands,
        },
    )
}

fn meter_features() -> impl Strategy<Value = MeterFeatures> {
    any::<(u32, u32, u32, u8, u8)>().prop_map(
        |(max_meters, bands, capabilities, max_bands, max_color)| MeterFeatures {
            max_meters,
            bands,
            capabilities,
            max_bands,
            max_color,
        },
    )
}

fn switch_desc() -> impl Strategy<Value = SwitchDesc> {
    "[A-Za-z]{0,31}".prop_map(|software| SwitchDesc {
        software,
        ..SwitchDesc::default()
    })
}

fn meter_mod() -> impl Strategy<Value = MeterMod> {
    (any::<(u16, u16, u32)>(), meter_bands()).prop_map(|((command, flags, meter), bands)| MeterMod {
        command: command.into(),
        flags: MeterFlags(flags),
        meter,
        bands,
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u32>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanoseconds)| Duration::new(seconds.into(), nanoseconds))
}

/// All ones mean "not known" in OpenFlow 1.3.
fn count() -> impl Strategy<Value = Option<u64>> {
    option::of(0..u64::MAX)
}

fn statistics() -> impl Strategy<Value = Statistics> {
    let unknown = (any::<u16>(), 12_u8..250, bytes(20)).prop_map(|(class, number, value)| UnknownStatistic {
        class,
        number,
        value,
    });
    let times = (option::of(duration()), option::of(duration()));
    (
        times,
        any::<Option<u32>>(),
        count(),
        count(),
        collection::vec(unknown, 0..2),
    )
        .prop_map(|((duration, idle), flows, packets, bytes, unknown)| Statistics {
            duration,
            idle,
            flows,
            packets,
            bytes,
            unknown,
        })
}

fn flow_removed() -> impl Strategy<Value = FlowRemoved> {
    (any::<(u64, u8, u16, u8, u16, u16)>(), statistics(), matching()).prop_map(
        |((cookie, table, priority, reason, idle_timeout, hard_timeout), statistics, matching)| FlowRemoved {
            cookie,
            table,
            priority,
            reason: reason.into(),
            idle_timeout,
            hard_timeout,
            statistics,
            matching,
        },
    )
}

fn port_desc() -> impl Strategy<Value = PortDesc> {
    let ethernet =
        any::<[u32; 6]>().prop_map(
            |[current, advertised, supported, peer, speed, max_speed]| EthernetFeatures {
                current,
                advertised,
                supported,
                peer,
                speed,
                max_speed,
            },
        );
    (
        any::<(u32, [u8; 6], u32, u32)>(),
        "[a-z0-9-]{0,15}",
        option::of(ethernet),
        properties(0..9),
    )
        .prop_map(
            |((port, address, config, state), name, ethernet, properties)| PortDesc {
                port: Port(port),
                address,
                name,
                config,
                state,
                ethernet,
                properties,
            },
        )
}

fn buckets() -> impl Strategy<Value = Vec<Bucket>> {
    let watched = (
        option::of(1..u16::MAX),
        option::of(0..u32::MAX),
        option::of(0..u32::MAX),
    );
    let bucket = (any::<u32>(), watched, actions(), properties(0..9)).prop_map(
        |(id, (weight, port, watch_group), actions, properties)| Bucket {
            id,
            weight,
            watch_port: port.map(Port),
            watch_group,
            actions,
            properties,
        },
    );
    collection::vec(bucket, 0..3)
}

fn selection() -> impl Strategy<Value = Selection> {
    let method = prop_oneof![
        Just(SelectionMethod::Hash),
        Just(SelectionMethod::DatapathHash),
        "[a-c]{1,15}".prop_map(SelectionMethod::Other),
    ];
    (method, any::<u64>(), matching()).prop_map(|(method, parameter, fields)| Selection {
        method,
        parameter,
        fields,
    })
}

fn group_mod() -> impl Strategy<Value = GroupMod> {
    // Few with properties, which OpenFlow 1.3 refuses.
    let properties = prop_oneof![3 => Just((None, Vec::new())), 1 => (option::of(selection()), properties(0..9))];
    (any::<(u16, u8, u32, u32)>(), buckets(), properties).prop_map(
        |((command, kind, group, command_bucket), buckets, (selection, properties))| GroupMod {
            command: command.into(),
            kind: kind.into(),
            group,
            command_bucket,
            buckets,
            selection,
            properties,
        },
    )
}

fn flow_filter() -> impl Strategy<Value = FlowFilter> {
    (any::<(u8, u32, u32, u64, u64)>(), matching()).prop_map(
        |((table, out_port, out_group, cookie, cookie_mask), matching)| FlowFilter {
            table,
            out_port: Port(out_port),
            out_group,
            cookie,
            cookie_mask,
            matching,
        },
    )
}

fn multipart_request() -> impl Strategy<Value = MultipartRequest> {
    let monitor = (
        any::<(u32, u32, u16, u8)>(),
        matching(),
        prop_oneof![Just((u32::MAX, 0)), any::<(u32, u8)>()],
    )
        .prop_map(
            |((monitor, out_port, flags, table), matching, (out_group, command))| MonitorRequest {
                monitor,
                out_port: Port(out_port),
                out_group,
                flags: MonitorFlags(flags),
                table,
                command: command.into(),
                matching,
            },
        );
    prop_oneof![
        flow_filter().prop_map(MultipartRequest::Flows),
        flow_filter().prop_map(MultipartRequest::Aggregate),
        any::<u32>().prop_map(MultipartRequest::GroupStats),
        prop_oneof![Just(ALL_GROUPS), any::<u32>()].prop_map(MultipartRequest::Groups),
        any::<u32>().prop_map(MultipartRequest::MeterStats),
        any::<u32>().prop_map(MultipartRequest::Meters),
        Just(MultipartRequest::Switch),
        Just(MultipartRequest::MeterFeatures),
        Just(MultipartRequest::TableFeatures),
        Just(MultipartRequest::Tables),
        prop_oneof![Just(Port::ANY), any::<u32>().prop_map(Port)].prop_map(MultipartRequest::Ports),
        monitor.prop_map(MultipartRequest::Monitor),
        (100_u16..0xffff, bytes(20)).prop_map(|(kind, body)| MultipartRequest::Unknown { kind, body }),
    ]
}

fn multipart_body() -> impl Strategy<Value = MultipartBody> {
    prop_oneof![
        collection::vec(flow_entry(), 0..3).prop_map(MultipartBody::Flows),
        statistics().prop_map(MultipartBody::Aggregate),
        collection::vec(group_stats(), 0..3).prop_map(MultipartBody::GroupStats),
        collection::vec(group_desc(), 0..3).prop_map(MultipartBody::Groups),
        collection::vec(meter_stats(), 0..3).prop_map(MultipartBody::MeterStats),
        collection::vec(meter_config(), 0..3).prop_map(MultipartBody::Meters),
        meter_features().prop_map(MultipartBody::MeterFeatures),
        switch_desc().prop_map(MultipartBody::Switch),
        collection::vec(table_features(), 0..3).prop_map(MultipartBody::TableFeatures),
        collection::vec(table_desc(), 0..3).prop_map(MultipartBody::Tables),
        collection::vec(port_desc(), 0..3).prop_map(MultipartBody::Ports),
        collection::vec(flow_update(), 0..3).prop_map(MultipartBody::Monitor),
        (100_u16..0xffff, bytes(20)).prop_map(|(kind, body)| MultipartBody::Unknown { kind, body }),
    ]
}

fn flow_entry() -> impl Strategy<Value = FlowEntry> {
    let numbers = any::<(u8, u16, u16, u16, u16, u16, u64)>();
    (numbers, statistics(), matching(), collection::vec(instruction(), 0..3)).prop_map(
        |(
            (table, priority, idle_timeout, hard_timeout, flags, importance, cookie),
            statistics,
            matching,
            instructions,
        )| {
            FlowEntry {
                table,
                priority,
                idle_timeout,
                hard_timeout,
                flags: FlowFlags(flags),
                importance,
                cookie,
                statistics,
                matching,
                instructions,
            }
        },
    )
}

fn group_stats() -> impl Strategy<Value = GroupStats> {
    let counters = || (count(), count()).prop_map(|(packets, bytes)| BucketCounters { packets, bytes });
    (
        any::<(u32, u32)>(),
        counters(),
        duration(),
        collection::vec(counters(), 0..3),
    )
        .prop_map(|((group, references), counters, duration, buckets)| GroupStats {
            group,
            references,
            packets: counters.packets,
            bytes: counters.bytes,
            duration,
            buckets,
        })
}

fn group_desc() -> impl Strategy<Value = GroupDesc> {
    (any::<(u8, u32)>(), buckets(), option::of(selection()), properties(0..9)).prop_map(
        |((kind, group), buckets, selection, properties)| GroupDesc {
            kind: kind.into(),
            group,
            buckets,
            selection,
            properties,
        },
    )
}

fn table_features() -> impl Strategy<Value = TableFeatures> {
    (
        any::<(u8, u8, u32, u64, u64, u32, u32)>(),
        "[A-Za-z]{0,31}",
        properties(0..9),
    )
        .prop_map(
            |(
                (table, command, features, metadata_match, metadata_write, capabilities, max_entries),
                name,
                properties,
            )| {
                TableFeatures {
                    table,
                    command,
                    features,
                    name,
                    metadata_match,
                    metadata_write,
                    capabilities,
                    max_entries,
                    properties,
                }
            },
        )
}

fn table_desc() -> impl Strategy<Value = TableDesc> {
    (any::<(u8, u32)>(), properties(0..9)).prop_map(|((table, config), properties)| TableDesc {
        table,
        config,
        properties,
    })
}

fn flow_update() -> impl Strategy<Value = FlowUpdate> {
    let flow = (
        (0_u16..4),
        any::<(u8, u8, u16, u16, u16, u64)>(),
        matching(),
        collection::vec(instruction(), 0..3),
    )
        .prop_map(
            |(event, (table, reason, idle_timeout, hard_timeout, priority, cookie), matching, instructions)| {
                MonitoredFlow {
                    event: event.into(),
                    table,
                    reason,
                    idle_timeout,
                    hard_timeout,
                    priority,
                    cookie,
                    matching,
                    instructions,
                }
            },
        );
    prop_oneof![
        3 => flow.prop_map(FlowUpdate::Full),
        1 => any::<u32>().prop_map(|xid| FlowUpdate::Abbreviated { xid }),
        1 => Just(FlowUpdate::Paused),
        1 => Just(FlowUpdate::Resumed),
    ]
}
