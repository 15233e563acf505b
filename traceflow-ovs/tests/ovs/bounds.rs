//! Real traffic that is followed doesn't fill the switch's slow path.

use testbed::fabric::Form;
use traceflow_core::datapath::{Datapath, Mark, Probe, ProbeKind, TraceId};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, MacAddress, Packet, Protocol, TcpFlags};
use traceflow_core::plan::FlowMatch;
use traceflow_ovs::OvsDatapath;

use crate::support::World;

const PACKETS: u16 = 400;

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
        lifetime: std::time::Duration::from_secs(60),
    };
    node.install(&probe).await.unwrap();
    let flows = node.leftovers().await.unwrap().len();
    let pod = ObjectName::new("default", "pod1");
    let before = world.fabric().received(&ObjectName::new("default", "pod2")).unwrap();
    for number in 0..PACKETS {
        let packet = Packet::ethernet(
            MacAddress([0x0a, 0x58, 172, 16, 5, 11]),
            MacAddress([0x0a, 0x58, 172, 16, 5, 12]),
        )
        .ipv4([172, 16, 5, 11].into(), [172, 16, 5, 12].into())
        .tcp(20_000 + number, 80, TcpFlags::SYN)
        .unwrap();
        world.send(&pod, &packet).unwrap();
    }
    // The flows of the probe go, those that stand stay, and every packet has arrived.
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while node.leftovers().await.unwrap().len() == flows {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let received = || world.fabric().received(&ObjectName::new("default", "pod2")).unwrap() - before;
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while received() < u64::from(PACKETS) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    node.remove(&probe).await.unwrap();
    node.detach().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}
