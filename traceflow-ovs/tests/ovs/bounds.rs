//! Real traffic that is followed doesn't fill the switch's slow path.

use std::time::Duration;

use testbed::fabric::Form;
use tokio::task::yield_now;
use tokio::time::timeout;
use traceflow_core::datapath::{Datapath, Mark, Probe, ProbeKind, TraceId};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, MacAddress, Packet, Protocol, TcpFlags};
use traceflow_core::plan::FlowMatch;
use traceflow_ovs::OvsDatapath;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_not_marked_for_ever() {
    let world = World::demo(Form::Rootless);
    let node: &OvsDatapath = &world.datapaths[0];
    node.attach().await.unwrap();
    let probe = Probe {
        trace: TraceId(1),
        mark: Mark(1),
        kind: ProbeKind::Live {
            matching: FlowMatch {
                protocol: Some(Protocol::TCP),
                ..FlowMatch::any(IpFamily::V4)
            },
            dropped_only: false,
        },
        lifetime: Duration::from_secs(60),
    };
    node.install(&probe).await.unwrap();
    let flows = node.leftovers().await.unwrap().len();
    // Packet after packet, each of which arrives, until the flows of the probe are gone; those that stand stay.
    let flood = async {
        let mut number = 0;
        while node.leftovers().await.unwrap().len() == flows {
            for _ in 0..50 {
                send_and_await(&world, number).await;
                number = (number + 1) % 40_000;
            }
        }
    };
    timeout(Duration::from_secs(60), flood).await.unwrap();
    send_and_await(&world, 50_000).await;
    node.remove(&probe).await.unwrap();
    node.detach().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

/// A packet from pod1, which pod2 is handed.
async fn send_and_await(world: &World, number: u16) {
    let (client, server) = (ObjectName::new("default", "pod1"), ObjectName::new("default", "pod2"));
    let received = || world.fabric().received(&server).unwrap();
    let before = received();
    let packet = Packet::ethernet(
        MacAddress([0x0a, 0x58, 172, 16, 5, 11]),
        MacAddress([0x0a, 0x58, 172, 16, 5, 12]),
    )
    .ipv4([172, 16, 5, 11].into(), [172, 16, 5, 12].into())
    .tcp(10_000 + number, 80, TcpFlags::SYN)
    .unwrap();
    world.send(&client, &packet).unwrap();
    while received() == before {
        yield_now().await;
    }
}
