//! The ways of a packet from node to node, and where they end: held to the simulator and to real switches alike.

use traceflow_sim::Cluster;
use traceflow_sim::model::TrafficMode;

/// `client` and `near` on `a`, `web` on `b` in the same subnet, `far` on `c` in another; Service `shop` leads to `far`.
pub(crate) fn cluster(mode: TrafficMode) -> Cluster {
    let cluster = Cluster::builder()
        .traffic_mode(mode)
        .node("a")
        .address("172.18.0.2")
        .address("fd00:172:18::2")
        .node("b")
        .address("172.18.0.3")
        .address("fd00:172:18::3")
        .node("c")
        .address("172.18.9.4")
        .address("fd00:172:19::4")
        .pod("client", "a")
        .pod("near", "a")
        .pod("web", "b")
        .pod("far", "c")
        .label("app", "far")
        .service("shop", 80)
        .selects("app", "far")
        .build();
    cluster.unwrap()
}

/// What `client` sends to: what it is called, and its name or address in either family.
pub(crate) const DESTINATIONS: [(&str, &str, &str); 6] = [
    ("near", "near", "near"),
    ("web", "web", "web"),
    ("far", "far", "far"),
    ("shop", "shop", "shop"),
    ("node c", "172.18.9.4", "fd00:172:19::4"),
    ("outside", "192.0.2.1", "2001:db8::1"),
];

/// What each node did with the packet last, in mode `encap`.
pub(crate) const ENCAP: &str = "\
v4 near: a Delivered
v4 web: a Forwarded tunnelDstIP=172.18.0.3, b Delivered
v4 far: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v4 shop: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v4 node c: a ForwardedOutOfNetwork
v4 outside: a ForwardedOutOfNetwork
v6 near: a Delivered
v6 web: a Forwarded tunnelDstIP=172.18.0.3, b Delivered
v6 far: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v6 shop: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v6 node c: a ForwardedOutOfNetwork
v6 outside: a ForwardedOutOfNetwork
";

/// The same in mode `noEncap`.
pub(crate) const NO_ENCAP: &str = "\
v4 near: a Delivered
v4 web: a Forwarded, b Delivered
v4 far: a Forwarded, c Delivered
v4 shop: a Forwarded, c Delivered
v4 node c: a ForwardedOutOfNetwork
v4 outside: a ForwardedOutOfNetwork
v6 near: a Delivered
v6 web: a Forwarded, b Delivered
v6 far: a Forwarded, c Delivered
v6 shop: a Forwarded, c Delivered
v6 node c: a ForwardedOutOfNetwork
v6 outside: a ForwardedOutOfNetwork
";

/// The same in mode `hybrid`.
pub(crate) const HYBRID: &str = "\
v4 near: a Delivered
v4 web: a Forwarded, b Delivered
v4 far: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v4 shop: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v4 node c: a ForwardedOutOfNetwork
v4 outside: a ForwardedOutOfNetwork
v6 near: a Delivered
v6 web: a Forwarded, b Delivered
v6 far: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v6 shop: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
v6 node c: a ForwardedOutOfNetwork
v6 outside: a ForwardedOutOfNetwork
";
