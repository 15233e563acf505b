//! Dialogues with a switch that is played by the test.

use super::*;
use crate::message::{FlowMod, MultipartBody, MultipartRequest, SwitchConfig, TableDesc};

const NOW: Duration = Duration::from_secs(100);

/// Both sides, and the messages that have arrived at the switch.
struct Dialogue {
    connection: Connection,
    start: Instant,
    elapsed: Duration,
}

impl Dialogue {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            connection: Connection::new(Config::default(), start),
            start,
            elapsed: Duration::ZERO,
        }
    }

    /// After the handshake.
    fn ready() -> Self {
        let mut dialogue = Self::new();
        dialogue.switch_says(
            &Message::Hello(Hello {
                versions: Some(0x72),
                unknown: Vec::new(),
            }),
            1,
        );
        dialogue.switch_says(&Message::FeaturesReply(FeaturesReply::default()), 2);
        dialogue.switch_hears();
        assert!(matches!(
            dialogue.connection.poll_event(),
            Some(Event::Ready {
                version: Version::V1_5,
                ..
            })
        ));
        dialogue
    }

    fn now(&self) -> Instant {
        self.start + self.elapsed
    }

    fn switch_says(&mut self, message: &Message, xid: u32) {
        let mut bytes = Vec::new();
        message.encode(Version::V1_5, xid, &mut bytes).unwrap();
        self.connection.handle_bytes(&bytes, self.now());
    }

    fn switch_hears(&mut self) -> Vec<(u32, Message)> {
        let mut framer = Framer::default();
        let bytes = self.connection.poll_transmit().unwrap_or_default();
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while let Some(frame) = framer.next_frame(&mut rest).unwrap() {
            let (header, message) = Message::decode(frame).unwrap();
            messages.push((header.xid, message));
        }
        messages
    }

    fn wait(&mut self, time: Duration) {
        self.elapsed += time;
        self.connection.handle_timeout(self.now());
    }
}

#[test]
fn the_handshake_settles_on_the_highest_shared_version() {
    let mut dialogue = Dialogue::new();
    let hello = Hello::new(&Version::ALL);
    assert_eq!(dialogue.switch_hears(), [(1, Message::Hello(hello))]);
    dialogue.switch_says(
        &Message::Hello(Hello {
            versions: Some(0x72),
            unknown: Vec::new(),
        }),
        9,
    );
    assert_eq!(dialogue.switch_hears(), [(2, Message::FeaturesRequest)]);
    let features = FeaturesReply {
        datapath_id: 7,
        ..FeaturesReply::default()
    };
    dialogue.switch_says(&Message::FeaturesReply(features.clone()), 2);
    assert_eq!(
        dialogue.connection.poll_event(),
        Some(Event::Ready {
            version: Version::V1_5,
            features
        })
    );
    assert_eq!(dialogue.connection.poll_event(), None);
}

#[test]
fn a_switch_without_a_shared_version_is_said_to_be_one() {
    let mut dialogue = Dialogue::new();
    dialogue
        .connection
        .handle_bytes(&[1, 0, 0, 8, 0, 0, 0, 1], dialogue.now());
    let closed = Closed::NoVersion { highest: 1 };
    assert_eq!(dialogue.connection.poll_event(), Some(Event::Closed(closed)));
    assert_eq!(dialogue.connection.poll_timeout(), None);
}

#[test]
fn nothing_can_be_sent_before_the_handshake_is_done() {
    let mut dialogue = Dialogue::new();
    assert_eq!(
        dialogue.connection.send(&Message::BarrierRequest),
        Err(SendError::NotReady)
    );
}

#[test]
fn echo_requests_are_answered_with_their_own_data_and_xid() {
    let mut dialogue = Dialogue::ready();
    let echo = Echo { data: vec![1, 2, 3] };
    dialogue.switch_says(&Message::EchoRequest(echo.clone()), 77);
    assert_eq!(dialogue.switch_hears(), [(77, Message::EchoReply(echo))]);
    assert_eq!(dialogue.connection.poll_event(), None);
}

#[test]
fn replies_find_their_requests_though_packet_ins_come_between() {
    let mut dialogue = Dialogue::ready();
    let barrier = dialogue.connection.send(&Message::BarrierRequest).unwrap();
    let config = dialogue.connection.send(&Message::GetConfigRequest).unwrap();
    let packet_in = Message::PacketIn2(crate::message::PacketIn2::new(vec![1]));
    let answer = Message::GetConfigReply(SwitchConfig::default());
    dialogue.switch_says(&packet_in, 0);
    dialogue.switch_says(&answer, config);
    dialogue.switch_says(&Message::BarrierReply, barrier);
    let events: Vec<Event> = std::iter::from_fn(|| dialogue.connection.poll_event()).collect();
    let expected = [
        Event::Message(packet_in),
        Event::Reply {
            xid: config,
            message: answer,
        },
        Event::Reply {
            xid: barrier,
            message: Message::BarrierReply,
        },
    ];
    assert_eq!(events, expected);
}

#[test]
fn an_error_names_the_flow_mod_that_caused_it_and_not_the_barrier_after_it() {
    let mut dialogue = Dialogue::ready();
    let flow = dialogue.connection.send(&Message::FlowMod(FlowMod::add())).unwrap();
    let barrier = dialogue.connection.send(&Message::BarrierRequest).unwrap();
    let error = ErrorMessage::new(4, 9, Vec::new());
    dialogue.switch_says(&Message::Error(error.clone()), flow);
    dialogue.switch_says(&Message::BarrierReply, barrier);
    assert_eq!(
        dialogue.connection.poll_event(),
        Some(Event::Refused { xid: flow, error })
    );
    assert!(matches!(dialogue.connection.poll_event(), Some(Event::Reply { xid, .. }) if xid == barrier));
}

#[test]
fn a_refused_request_waits_no_longer() {
    let mut dialogue = Dialogue::ready();
    let open = BundleControl {
        bundle: 1,
        step: BundleStep::OpenRequest,
        flags: BundleFlags::ATOMIC,
        properties: Vec::new(),
    };
    let xid = dialogue.connection.send(&Message::BundleControl(open)).unwrap();
    dialogue.switch_says(&Message::Error(ErrorMessage::new(17, 3, Vec::new())), xid);
    assert!(dialogue.connection.pending.is_empty());
}

#[test]
fn a_reply_that_nobody_asked_for_is_no_reply() {
    let mut dialogue = Dialogue::ready();
    dialogue.switch_says(&Message::BarrierReply, 4711);
    assert_eq!(
        dialogue.connection.poll_event(),
        Some(Event::Message(Message::BarrierReply))
    );
}

#[test]
fn an_unreadable_message_ends_its_request_and_nothing_else() {
    let mut dialogue = Dialogue::ready();
    let config = dialogue.connection.send(&Message::GetConfigRequest).unwrap();
    let mut bytes = vec![6, 8, 0, 9];
    bytes.extend(config.to_be_bytes());
    bytes.push(0);
    dialogue.connection.handle_bytes(&bytes, dialogue.now());
    assert!(matches!(dialogue.connection.poll_event(), Some(Event::Unreadable { header, .. }) if header.xid == config));
    assert!(dialogue.connection.is_ready());
}

#[test]
fn silence_is_asked_about_and_then_ends_the_connection() {
    let mut dialogue = Dialogue::ready();
    let config = Config::default();
    assert_eq!(dialogue.connection.poll_timeout(), Some(dialogue.now() + config.idle));
    dialogue.wait(config.idle);
    assert!(matches!(dialogue.switch_hears()[..], [(_, Message::EchoRequest(_))]));
    dialogue.wait(Duration::from_secs(1));
    assert_eq!(dialogue.switch_hears(), [], "it is asked once");
    dialogue.switch_says(&Message::EchoReply(Echo::default()), 3);
    assert_eq!(dialogue.connection.poll_event(), None, "our own affair");
    dialogue.wait(NOW);
    assert_eq!(dialogue.connection.poll_event(), Some(Event::Closed(Closed::Silent)));
}

#[test]
fn a_switch_that_never_finishes_the_handshake_is_given_up_though_it_talks() {
    let mut dialogue = Dialogue::new();
    dialogue.switch_says(&Message::Hello(Hello::new(&Version::ALL)), 1);
    for _ in 0..15 {
        dialogue.wait(Duration::from_secs(1));
        dialogue.switch_says(&Message::EchoRequest(Echo::default()), 9);
    }
    assert_eq!(dialogue.connection.poll_event(), Some(Event::Closed(Closed::Silent)));
}

#[test]
fn another_version_after_the_handshake_ends_the_connection() {
    let mut dialogue = Dialogue::ready();
    dialogue
        .connection
        .handle_bytes(&[4, 21, 0, 8, 0, 0, 0, 1], dialogue.now());
    assert_eq!(
        dialogue.connection.poll_event(),
        Some(Event::Closed(Closed::Version { version: 4 }))
    );
}

#[test]
fn no_more_requests_wait_than_there_is_room_for() {
    let mut dialogue = Dialogue::ready();
    for _ in 0..MAX_PENDING {
        dialogue.connection.send(&Message::BarrierRequest).unwrap();
    }
    assert_eq!(
        dialogue.connection.send(&Message::BarrierRequest),
        Err(SendError::TooMany)
    );
    assert!(
        dialogue.connection.send(&Message::FlowMod(FlowMod::add())).is_ok(),
        "it has no reply"
    );
}

#[test]
fn several_messages_are_sent_all_or_none() {
    let mut dialogue = Dialogue::ready();
    let messages = [Message::FlowMod(FlowMod::add()), Message::BarrierRequest];
    let xids = dialogue.connection.send_all(&messages).unwrap();
    let heard = dialogue.switch_hears();
    assert_eq!(heard, [xids[0], xids[1]].into_iter().zip(messages).collect::<Vec<_>>());
    let long = Message::EchoRequest(Echo { data: vec![0; 70_000] });
    assert!(dialogue.connection.send_all([&Message::BarrierRequest, &long]).is_err());
    assert_eq!(dialogue.connection.poll_transmit(), None);
    assert_eq!(dialogue.connection.pending.len(), 1, "the barrier that was sent");
}

#[test]
fn the_messages_of_a_bundle_bear_the_xid_of_the_message_around_them() {
    let mut dialogue = Dialogue::ready();
    let flow = Message::FlowMod(FlowMod::add());
    let sent = dialogue
        .connection
        .send_bundle(BundleFlags::ATOMIC, [&flow, &flow])
        .unwrap();
    let heard = dialogue.switch_hears();
    let step = |message: &Message| match message {
        Message::BundleControl(control) => (control.bundle, control.step),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (heard[0].0, step(&heard[0].1)),
        (sent.open, (sent.open, BundleStep::OpenRequest))
    );
    for (xid, message) in &heard[1..3] {
        let Message::BundleAdd(added) = message else {
            panic!("{message:?}")
        };
        let (header, inner) = Message::decode(&added.message).unwrap();
        assert_eq!((header.xid, added.bundle, &inner), (*xid, sent.open, &flow));
    }
    assert_eq!(sent.messages, [heard[1].0, heard[2].0]);
    assert_eq!(
        (heard[3].0, step(&heard[3].1)),
        (sent.commit, (sent.open, BundleStep::CommitRequest))
    );
}

#[test]
fn a_bundle_with_what_cannot_be_said_is_not_begun() {
    let mut dialogue = Dialogue::ready();
    let cancel = Message::MonitorCancel(crate::message::MonitorCancel { monitor: 1 });
    assert!(dialogue.connection.send_bundle(BundleFlags::ATOMIC, [&cancel]).is_err());
    assert_eq!(dialogue.connection.poll_transmit(), None);
    assert!(dialogue.connection.pending.is_empty());
}

#[test]
fn buffers_change_places_so_that_none_is_copied() {
    let mut dialogue = Dialogue::ready();
    let mut buffer = Vec::with_capacity(100);
    assert!(!dialogue.connection.poll_transmit_into(&mut buffer));
    dialogue.connection.send(&Message::BarrierRequest).unwrap();
    assert!(dialogue.connection.poll_transmit_into(&mut buffer));
    assert_eq!(buffer.len(), 8);
    dialogue.connection.send(&Message::BarrierRequest).unwrap();
    assert!(dialogue.connection.poll_transmit_into(&mut buffer));
    assert_eq!(buffer.len(), 16, "appended to what is there");
}

fn table(number: u8, more: bool) -> Message {
    let tables = vec![TableDesc {
        table: number,
        config: 0,
        properties: Vec::new(),
    }];
    Message::MultipartReply(MultipartReply {
        more,
        body: MultipartBody::Tables(tables),
    })
}

#[test]
fn a_reply_in_parts_comes_once_and_whole() {
    let mut dialogue = Dialogue::ready();
    let xid = dialogue
        .connection
        .send(&Message::MultipartRequest(MultipartRequest::Tables))
        .unwrap();
    for number in 0..3 {
        assert_eq!(dialogue.connection.poll_event(), None);
        dialogue.switch_says(&table(number, number < 2), xid);
    }
    let Some(Event::Reply {
        message: Message::MultipartReply(reply),
        ..
    }) = dialogue.connection.poll_event()
    else {
        panic!("no reply")
    };
    assert!(matches!(reply.body, MultipartBody::Tables(tables) if tables.len() == 3));
    assert!(dialogue.connection.pending.is_empty());
}

#[test]
fn parts_of_two_replies_are_kept_apart() {
    let mut dialogue = Dialogue::ready();
    let request = Message::MultipartRequest(MultipartRequest::Tables);
    let xids = [
        dialogue.connection.send(&request).unwrap(),
        dialogue.connection.send(&request).unwrap(),
    ];
    for (number, more) in [(1, true), (2, false)] {
        for xid in xids {
            dialogue.switch_says(&table(number, more), xid);
        }
    }
    for xid in xids {
        assert!(matches!(dialogue.connection.poll_event(), Some(Event::Reply { xid: of, .. }) if of == xid));
    }
}

#[test]
fn a_part_of_another_kind_ends_the_request() {
    let mut dialogue = Dialogue::ready();
    let xid = dialogue
        .connection
        .send(&Message::MultipartRequest(MultipartRequest::Tables))
        .unwrap();
    dialogue.switch_says(&table(1, true), xid);
    let other = MultipartReply {
        more: false,
        body: MultipartBody::Ports(Vec::new()),
    };
    dialogue.switch_says(&Message::MultipartReply(other), xid);
    assert!(matches!(
        dialogue.connection.poll_event(),
        Some(Event::Unreadable { .. })
    ));
    assert!(dialogue.connection.pending.is_empty());
}

#[test]
fn a_reply_without_end_is_cut_off() {
    let mut dialogue = Dialogue::ready();
    let xid = dialogue
        .connection
        .send(&Message::MultipartRequest(MultipartRequest::Tables))
        .unwrap();
    let body = MultipartBody::Unknown {
        kind: 99,
        body: vec![0; 65_000],
    };
    let part = Message::MultipartReply(MultipartReply { more: true, body });
    for _ in 0..=MAX_MULTIPART / 65_000 {
        dialogue.switch_says(&part, xid);
    }
    assert!(matches!(
        dialogue.connection.poll_event(),
        Some(Event::Unreadable { .. })
    ));
    assert!(dialogue.connection.pending.is_empty());
}
