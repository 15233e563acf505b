//! One sensible message of each kind.

use std::time::Duration;

use traceflow_openflow::action::{Action, Controller};
use traceflow_openflow::field::Field;
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::{
    ALL_GROUPS, ALL_METERS, AsyncConfig, AsyncKind, Bucket, BucketCounters, BundleAdd, BundleControl, BundleFlags,
    BundleStep, CtFlush, CtFlushZone, Echo, ErrorMessage, FeaturesReply, FlowEntry, FlowEvent, FlowFilter, FlowFlags,
    FlowMod, FlowRemoved, FlowRemovedReason, FlowUpdate, GroupCommand, GroupDesc, GroupKind, GroupMod, GroupStats,
    Hello, Message, MeterBand, MeterCommand, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterStats,
    MonitorCancel, MonitorCommand, MonitorFlags, MonitorRequest, MonitoredFlow, MultipartBody, MultipartReply,
    MultipartRequest, NiciraPacketIn, PacketIn, PacketIn2, PacketInFormat, PacketInReason, PacketOut, PortDesc,
    PortReason, PortStatus, Role, RoleMessage, Selection, SetControllerId, SetPacketInFormat, Statistics, SwitchConfig,
    SwitchDesc, TableDesc, TlvMapping, TlvTable, TlvTableCommand, TlvTableMod, Tuple,
};
use traceflow_openflow::{Port, Version};

pub(crate) fn messages(version: Version) -> Vec<Message> {
    let mut messages = connection(version);
    messages.extend(packets());
    messages.extend(changes(version));
    messages.extend(extensions());
    messages.extend(questions(version).into_iter().map(Message::MultipartRequest));
    let reply = |body| Message::MultipartReply(MultipartReply { more: false, body });
    if version == Version::V1_3 {
        let cancel = Message::MonitorCancel(MonitorCancel { monitor: 1 });
        messages.extend([cancel, Message::MonitorPaused, Message::MonitorResumed]);
    }
    messages.extend(answers(version).into_iter().map(reply));
    messages
}

fn connection(version: Version) -> Vec<Message> {
    let role = RoleMessage {
        role: Role::Primary,
        short_id: 0,
        generation: 3,
    };
    let mut packet_ins = AsyncConfig::packet_ins(0x3f);
    if version == Version::V1_3 {
        packet_ins.masks.push((AsyncKind::FlowRemoved, 0xf));
    }
    vec![
        Message::Hello(Hello::new(&Version::ALL)),
        Message::Error(ErrorMessage::new(1, 1, vec![version.wire(), 20, 0, 8, 0, 0, 0, 9])),
        Message::EchoRequest(Echo { data: vec![1, 2, 3] }),
        Message::EchoReply(Echo::default()),
        Message::FeaturesRequest,
        Message::FeaturesReply(FeaturesReply {
            datapath_id: 0x0200_000a_01ff,
            tables: 254,
            ..Default::default()
        }),
        Message::GetConfigRequest,
        Message::GetConfigReply(SwitchConfig {
            flags: 0,
            miss_send_len: 128,
        }),
        Message::SetConfig(SwitchConfig {
            flags: 0,
            miss_send_len: 128,
        }),
        Message::BarrierRequest,
        Message::BarrierReply,
        Message::RoleRequest(role),
        Message::RoleReply(role),
        Message::GetAsyncRequest,
        Message::SetAsync(packet_ins.clone()),
        Message::GetAsyncReply(packet_ins),
    ]
}

fn frame() -> Vec<u8> {
    let digits = "0200000a01010200000a010b0800451c001c12340000401152620a0a010b0a0a0101000100020008e9bb";
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn packets() -> Vec<Message> {
    let packet_in = PacketIn {
        buffer: None,
        total_len: 42,
        reason: PacketInReason::Action,
        table: 15,
        cookie: 7,
        metadata: Match::new().with(Field::OXM_OF_IN_PORT, 3).with(Field::register(4), 7),
        packet: frame(),
    };
    let packet_in2 = PacketIn2 {
        table: Some(15),
        cookie: Some(7),
        reason: Some(PacketInReason::Action),
        metadata: Match::new()
            .with(Field::OXM_OF_IN_PORT, 3)
            .with(Field::NXM_NX_CT_MARK, 1),
        userdata: vec![1, 7],
        ..PacketIn2::new(frame())
    };
    let resubmit = Action::Resubmit {
        port: None,
        table: Some(0),
        conntrack: false,
    };
    let controller = Controller {
        id: 0x7466,
        userdata: vec![1, 2],
        ..Controller::default()
    };
    vec![
        Message::PacketIn(packet_in.clone()),
        Message::NiciraPacketIn(NiciraPacketIn(PacketIn {
            metadata: Match::new().with(Field::NXM_OF_IN_PORT, 3).with(Field::register(4), 7),
            ..packet_in
        })),
        Message::PacketIn2(packet_in2.clone()),
        Message::Resume(PacketIn2 {
            userdata: Vec::new(),
            ..packet_in2
        }),
        Message::PacketOut(PacketOut::new(
            Port(3),
            frame(),
            vec![resubmit, Action::Controller(controller)],
        )),
    ]
}

fn tcp() -> Match {
    Match::new()
        .with(Field::OXM_OF_ETH_TYPE, 0x0800)
        .with(Field::OXM_OF_IP_PROTO, 6)
        .with(Field::OXM_OF_TCP_DST, 80)
}

fn statistics() -> Statistics {
    Statistics {
        duration: Some(Duration::from_millis(1500)),
        packets: Some(5),
        bytes: Some(500),
        ..Statistics::default()
    }
}

fn buckets() -> Vec<Bucket> {
    let output = |port| {
        vec![Action::Output {
            port: Port(port),
            max_len: 0,
        }]
    };
    vec![
        Bucket {
            id: 0,
            weight: Some(50),
            actions: output(3),
            ..Bucket::default()
        },
        Bucket {
            id: 1,
            weight: Some(50),
            actions: output(4),
            ..Bucket::default()
        },
    ]
}

fn port() -> PortDesc {
    PortDesc {
        port: Port(3),
        address: [2, 0, 0, 10, 1, 1],
        name: "pod1".to_owned(),
        config: 0,
        state: 4,
        ethernet: Some(Default::default()),
        properties: Vec::new(),
    }
}

fn changes(version: Version) -> Vec<Message> {
    let flow = FlowMod {
        table: 15,
        matching: tcp(),
        instructions: vec![
            Instruction::ApplyActions(vec![Action::DecTtl]),
            Instruction::GotoTable(16),
        ],
        ..FlowMod::add()
    };
    let bundle = |step| {
        let flags = BundleFlags::ATOMIC.and(BundleFlags::ORDERED);
        Message::BundleControl(BundleControl {
            bundle: 1,
            step,
            flags,
            properties: Vec::new(),
        })
    };
    let added = BundleAdd::new(1, BundleFlags::ATOMIC, &Message::FlowMod(flow.clone()), version, 7);
    vec![
        Message::FlowMod(flow),
        Message::FlowMod(FlowMod::delete_by_cookie(0x7466_0000_0000_0000, 0xffff_0000_0000_0000)),
        Message::FlowRemoved(FlowRemoved {
            cookie: 7,
            table: 15,
            priority: 300,
            reason: FlowRemovedReason::HardTimeout,
            idle_timeout: 0,
            hard_timeout: 60,
            statistics: statistics(),
            matching: tcp(),
        }),
        Message::PortStatus(PortStatus {
            reason: PortReason::Modify,
            port: port(),
        }),
        Message::GroupMod(GroupMod {
            command: GroupCommand::Add,
            kind: GroupKind::Select,
            group: 1,
            command_bucket: u32::MAX,
            buckets: buckets(),
            selection: (version == Version::V1_5).then(|| Selection::hash([Field::OXM_OF_IPV4_SRC])),
            properties: Vec::new(),
        }),
        Message::MeterMod(MeterMod {
            command: MeterCommand::Add,
            flags: MeterFlags(MeterFlags::PKTPS.0 | MeterFlags::BURST.0),
            meter: 2,
            bands: vec![MeterBand::Drop { rate: 10, burst: 20 }],
        }),
        bundle(BundleStep::OpenRequest),
        bundle(BundleStep::CommitReply),
        Message::BundleAdd(added.expect("a flow fits into a message")),
    ]
}

fn extensions() -> Vec<Message> {
    let mappings = vec![TlvMapping {
        class: 0x104,
        kind: 0x80,
        length: 4,
        index: 0,
    }];
    let tuple = Tuple {
        source: Some([10, 10, 1, 11].into()),
        destination: Some([10, 10, 2, 11].into()),
        source_port: Some(1024),
        destination_port: Some(80),
        ..Tuple::default()
    };
    vec![
        Message::SetPacketInFormat(SetPacketInFormat {
            format: PacketInFormat::Nicira2,
        }),
        Message::SetControllerId(SetControllerId { id: 0x7466 }),
        Message::TlvTableMod(TlvTableMod {
            command: TlvTableCommand::Add,
            mappings: mappings.clone(),
        }),
        Message::TlvTableRequest,
        Message::TlvTableReply(TlvTable {
            max_option_space: 256,
            max_fields: 64,
            mappings,
        }),
        Message::CtFlushZone(CtFlushZone { zone: 65520 }),
        Message::CtFlush(CtFlush {
            protocol: 6,
            original: Some(tuple),
            zone: Some(65520),
            ..CtFlush::default()
        }),
    ]
}

fn questions(version: Version) -> Vec<MultipartRequest> {
    let monitor = MonitorRequest {
        monitor: 1,
        out_port: Port::ANY,
        out_group: u32::MAX,
        flags: MonitorFlags::ADD.and(MonitorFlags::REMOVED),
        table: 0xff,
        command: MonitorCommand::Add,
        matching: tcp(),
    };
    let mut questions = vec![
        MultipartRequest::Flows(FlowFilter::all()),
        MultipartRequest::Aggregate(FlowFilter::by_cookie(7, u64::MAX)),
        MultipartRequest::GroupStats(1),
        MultipartRequest::Groups(ALL_GROUPS),
        MultipartRequest::Switch,
        MultipartRequest::Meters(ALL_METERS),
        MultipartRequest::MeterStats(2),
        MultipartRequest::MeterFeatures,
        MultipartRequest::TableFeatures,
        MultipartRequest::Ports(Port::ANY),
        MultipartRequest::Monitor(monitor),
    ];
    if version == Version::V1_5 {
        questions.push(MultipartRequest::Tables);
    }
    questions
}

fn answers(version: Version) -> Vec<MultipartBody> {
    let actions = vec![Instruction::ApplyActions(vec![Action::DecTtl])];
    let flow = FlowEntry {
        table: 15,
        priority: 300,
        idle_timeout: 0,
        hard_timeout: 60,
        flags: FlowFlags::SEND_FLOW_REMOVED,
        importance: 0,
        cookie: 7,
        statistics: statistics(),
        matching: tcp(),
        instructions: actions.clone(),
    };
    let monitored = MonitoredFlow {
        event: FlowEvent::Added,
        table: 15,
        reason: 0,
        idle_timeout: 0,
        hard_timeout: 60,
        priority: 300,
        cookie: 7,
        matching: tcp(),
        instructions: actions,
    };
    let group = GroupStats {
        group: 1,
        references: 2,
        packets: Some(5),
        bytes: Some(500),
        duration: Duration::from_secs(3),
        buckets: Vec::new(),
    };
    let desc = GroupDesc {
        kind: GroupKind::Select,
        group: 1,
        buckets: buckets(),
        selection: (version == Version::V1_5).then(Selection::datapath_hash),
        properties: Vec::new(),
    };
    let mut answers = vec![
        MultipartBody::Flows(vec![flow.clone(), flow]),
        MultipartBody::Aggregate(Statistics {
            flows: Some(2),
            duration: None,
            ..statistics()
        }),
        MultipartBody::GroupStats(vec![group]),
        MultipartBody::Groups(vec![desc]),
        MultipartBody::Switch(SwitchDesc {
            software: "3.1.0".to_owned(),
            ..SwitchDesc::default()
        }),
        MultipartBody::Meters(vec![MeterConfig {
            meter: 2,
            flags: MeterFlags(MeterFlags::PKTPS.0 | MeterFlags::BURST.0),
            bands: vec![MeterBand::Drop { rate: 10, burst: 20 }],
        }]),
        MultipartBody::MeterStats(vec![MeterStats {
            meter: 2,
            flows: 1,
            packets: 5,
            bytes: 500,
            duration: Duration::from_secs(3),
            bands: vec![BucketCounters {
                packets: Some(1),
                bytes: Some(100),
            }],
        }]),
        MultipartBody::MeterFeatures(MeterFeatures {
            max_meters: 262_144,
            bands: 1 << 1,
            capabilities: 0xf,
            max_bands: 8,
            max_color: 0,
        }),
        MultipartBody::Ports(vec![port(), port()]),
        MultipartBody::Monitor(vec![FlowUpdate::Full(monitored), FlowUpdate::Abbreviated { xid: 9 }]),
    ];
    if version == Version::V1_5 {
        answers.push(MultipartBody::Tables(vec![TableDesc {
            table: 15,
            config: 0,
            properties: Vec::new(),
        }]));
    }
    // Not the table features: ovs-ofctl refuses them without all their properties. A captured one is among the golden
    // ones.
    answers
}
