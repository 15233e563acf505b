//! Who says what when: a switch that is played by the test, on a real socket.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::message::{Echo, ErrorMessage, FeaturesReply, FlowMod, Hello, Message, PacketIn2, PacketOut};
use traceflow_openflow::{Port, Version};

use super::{Channel, Link, Opening, Said};
use crate::address::Address;

/// The switch's side.
struct Switch {
    stream: UnixStream,
    incoming: Vec<u8>,
}

impl Switch {
    /// Takes the next connection and shakes hands, up to the barrier behind what we want to be told.
    async fn accept(listener: &UnixListener) -> Self {
        let mut switch = Self::accept_only(listener).await;
        switch.say(0, &Message::Hello(Hello::new(&[Version::V1_5]))).await;
        switch.hear("OFPT_HELLO").await;
        let (xid, _) = switch.hear("OFPT_FEATURES_REQUEST").await;
        switch.say(xid, &Message::FeaturesReply(features())).await;
        for name in [
            "OFPT_SET_CONFIG",
            "OFPT_SET_ASYNC",
            "NXT_SET_PACKET_IN_FORMAT",
            "NXT_SET_CONTROLLER_ID",
        ] {
            switch.hear(name).await;
        }
        let (xid, _) = switch.hear("OFPT_BARRIER_REQUEST").await;
        switch.say(xid, &Message::BarrierReply).await;
        switch
    }

    async fn accept_only(listener: &UnixListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self {
            stream,
            incoming: Vec::new(),
        }
    }

    async fn say(&mut self, xid: u32, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(Version::V1_5, xid, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message, which must be of this name.
    async fn hear(&mut self, name: &str) -> (u32, Message) {
        loop {
            let length = match self.incoming[..] {
                [_, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])),
                _ => usize::MAX,
            };
            if self.incoming.len() >= length {
                let bytes: Vec<u8> = self.incoming.drain(..length).collect();
                let (header, message) = Message::decode(&bytes).unwrap();
                assert_eq!(message.name(), name);
                return (header.xid, message);
            }
            assert_ne!(
                self.stream.read_buf(&mut self.incoming).await.unwrap(),
                0,
                "closed before {name}"
            );
        }
    }
}

fn features() -> FeaturesReply {
    let reply = [
        &[6, 6, 0, 32, 0, 0, 0, 0][..],
        &1_u64.to_be_bytes(),
        &[0, 0, 0, 0, 254, 0, 0, 0],
        &[0; 8],
    ]
    .concat();
    match Message::decode(&reply).unwrap().1 {
        Message::FeaturesReply(features) => features,
        other => panic!("{other:?}"),
    }
}

/// What was said, without what it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Hello,
    Packet,
    Else,
}

impl Heard {
    fn of(said: &Said<'_>) -> Self {
        match said {
            Said::Hello => Self::Hello,
            Said::Packet(_) => Self::Packet,
            _ => Self::Else,
        }
    }
}

/// A channel to a socket on which the test listens; what is punted comes out of the receiver.
fn channel(give_up: Option<Duration>) -> (TempDir, UnixListener, Channel, mpsc::Receiver<Heard>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("switch");
    let listener = UnixListener::bind(&path).unwrap();
    let (said, heard) = mpsc::channel();
    let channel = Channel::open(Opening {
        address: Address::Unix(path),
        controller: 0x7466,
        give_up,
        ears: Box::new(move |news: Said<'_>| {
            said.send(Heard::of(&news)).unwrap();
            Vec::new()
        }),
    });
    (folder, listener, channel, heard)
}

fn refusal(of: &Message, xid: u32) -> Message {
    let mut data = Vec::new();
    of.encode(Version::V1_5, xid, &mut data).unwrap();
    data.truncate(64);
    Message::Error(ErrorMessage::new(5, 1, data))
}

fn flow() -> Message {
    Message::FlowMod(FlowMod::add())
}

#[tokio::test]
async fn an_error_belongs_to_the_order_that_caused_it() {
    let (_folder, listener, channel, _heard) = channel(None);
    let mut switch = Switch::accept(&listener).await;
    let play = async {
        let (first, _) = switch.hear("OFPT_FLOW_MOD").await;
        let (_, _) = switch.hear("OFPT_FLOW_MOD").await;
        let (barrier, _) = switch.hear("OFPT_BARRIER_REQUEST").await;
        switch.say(first, &refusal(&flow(), first)).await;
        switch.say(barrier, &Message::BarrierReply).await;
        let (_, _) = switch.hear("OFPT_FLOW_MOD").await;
        let (barrier, _) = switch.hear("OFPT_BARRIER_REQUEST").await;
        switch.say(barrier, &Message::BarrierReply).await;
    };
    let orders = async {
        let refused = channel.perform(vec![flow(), flow()]).await;
        let done = channel.perform(vec![flow()]).await;
        (refused, done)
    };
    let ((), (refused, done)) = tokio::join!(play, orders);
    assert!(matches!(refused, Err(DatapathError::Refused(_))), "{refused:?}");
    assert!(done.is_ok(), "{done:?}");
}

/// The next packet of a connection that is to be forgotten may go by another switch, and come to this one first.
#[tokio::test]
async fn what_is_answered_is_written_before_anybody_acts_on_what_was_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("switch");
    let listener = UnixListener::bind(&path).unwrap();
    let heard = Arc::new(Notify::new());
    let channel = Channel::open(Opening {
        address: Address::Unix(path),
        controller: 0x7466,
        give_up: None,
        ears: Box::new({
            let heard = heard.clone();
            move |said: Said<'_>| match said {
                Said::Packet(_) => {
                    heard.notify_one();
                    vec![flow()]
                }
                _ => Vec::new(),
            }
        }),
    });
    let mut switch = Switch::accept(&listener).await;
    channel.up().await.unwrap();
    for _ in 0..10 {
        switch.say(0, &Message::PacketIn2(PacketIn2::new(vec![0; 100]))).await;
        heard.notified().await;
        let mut there = [std::mem::MaybeUninit::uninit(); 8];
        let there = socket2::SockRef::from(&switch.stream).peek(&mut there);
        assert_eq!(there.unwrap(), 8, "a message's header");
        switch.hear("OFPT_FLOW_MOD").await;
    }
}

#[tokio::test]
async fn a_reply_does_not_wait_behind_packet_ins_that_nobody_reads() {
    let (_folder, listener, channel, heard) = channel(None);
    let mut switch = Switch::accept(&listener).await;
    let play = async {
        let (xid, _) = switch.hear("OFPT_BARRIER_REQUEST").await;
        for _ in 0..1000 {
            switch.say(0, &Message::PacketIn2(PacketIn2::new(vec![0; 100]))).await;
        }
        switch.say(xid, &Message::BarrierReply).await;
    };
    let ((), answer) = tokio::join!(play, channel.ask(Message::BarrierRequest));
    assert!(matches!(answer, Ok(Message::BarrierReply)), "{answer:?}");
    let said: Vec<Heard> = heard.try_iter().collect();
    assert_eq!(said[0], Heard::Hello);
    assert_eq!(said[1..], [Heard::Packet; 1000]);
}

#[tokio::test]
async fn what_is_under_way_fails_when_the_connection_is_lost_and_the_next_is_opened() {
    let (_folder, listener, channel, _heard) = channel(None);
    let mut switch = Switch::accept(&listener).await;
    let play = async {
        switch.hear("OFPT_FLOW_MOD").await;
        drop(switch);
        Switch::accept(&listener).await
    };
    let (mut switch, lost) = tokio::join!(play, channel.perform(vec![flow()]));
    let told = lost.unwrap_err();
    assert!(told.to_string().contains("the switch closed the connection"), "{told}");
    assert_eq!(channel.up().await.unwrap(), 2);
    channel.post(vec![flow()]).unwrap();
    switch.hear("OFPT_FLOW_MOD").await;
}

#[tokio::test]
async fn a_switch_that_refuses_what_tracing_needs_is_not_up() {
    let (_folder, listener, channel, _heard) = channel(None);
    let play = async {
        let mut switch = Switch::accept_only(&listener).await;
        switch.say(0, &Message::Hello(Hello::new(&[Version::V1_5]))).await;
        switch.hear("OFPT_HELLO").await;
        let (xid, _) = switch.hear("OFPT_FEATURES_REQUEST").await;
        switch.say(xid, &Message::FeaturesReply(features())).await;
        let (xid, message) = switch.hear("OFPT_SET_CONFIG").await;
        switch.say(xid, &refusal(&message, xid)).await;
        // Whoever comes again is not listened to.
        drop(listener);
        switch
    };
    let (_switch, up) = tokio::join!(play, channel.up());
    let told = up.unwrap_err().to_string();
    assert!(told.starts_with("the datapath is unavailable"), "{told}");
}

#[tokio::test]
async fn what_is_no_openflow_ends_the_connection() {
    let (_folder, listener, channel, _heard) = channel(None);
    let play = async {
        let mut switch = Switch::accept_only(&listener).await;
        switch.stream.write_all(&[6, 0, 0, 2, 0, 0, 0, 0]).await.unwrap();
        Switch::accept(&listener).await
    };
    let (_switch, up) = tokio::join!(play, channel.up());
    assert_eq!(up.unwrap(), 1, "the next try is the first that comes through");
}

#[tokio::test]
async fn who_was_given_up_is_gone_for_good() {
    let (folder, listener, channel, _heard) = channel(Some(Duration::ZERO));
    drop(Switch::accept(&listener).await);
    drop((listener, folder));
    let mut link = channel.link();
    let gone = link.wait_for(|link| matches!(link, Link::Gone(_)));
    timeout(Duration::from_secs(10), gone).await.unwrap().unwrap();
    assert!(channel.perform(vec![flow()]).await.is_err());
    assert!(channel.post(vec![flow()]).is_err());
}

#[tokio::test]
async fn what_was_posted_is_still_sent_when_the_channel_is_dropped() {
    let (_folder, listener, channel, _heard) = channel(None);
    let mut switch = Switch::accept(&listener).await;
    channel.up().await.unwrap();
    channel
        .post(vec![Message::PacketOut(PacketOut::new(
            Port(3),
            vec![0; 64],
            Vec::new(),
        ))])
        .unwrap();
    drop(channel);
    switch.hear("OFPT_PACKET_OUT").await;
}

#[tokio::test]
async fn a_sign_of_life_is_given() {
    let (_folder, listener, channel, _heard) = channel(None);
    let mut switch = Switch::accept(&listener).await;
    switch.say(7, &Message::EchoRequest(Echo { data: vec![1, 2] })).await;
    let (xid, reply) = switch.hear("OFPT_ECHO_REPLY").await;
    assert_eq!((xid, reply), (7, Message::EchoReply(Echo { data: vec![1, 2] })));
    drop(channel);
}

#[tokio::test]
async fn who_listens_and_says_nothing_is_told_from_a_switch_that_is_down() {
    let (_folder, listener, channel, _heard) = channel(None);
    let _silent = Switch::accept_only(&listener).await;
    let error = channel.up().await.unwrap_err().to_string();
    assert!(
        error.contains("has not said hello yet; check that the address"),
        "{error}"
    );
}

#[tokio::test]
async fn who_hangs_up_before_the_greeting_may_be_something_else() {
    let (_folder, listener, channel, _heard) = channel(Some(Duration::ZERO));
    drop(Switch::accept_only(&listener).await);
    let error = channel.up().await.unwrap_err().to_string();
    assert!(
        error.contains("; check that the address is that of a bridge's OpenFlow"),
        "{error}"
    );
}
