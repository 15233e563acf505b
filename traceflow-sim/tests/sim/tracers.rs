//! Several tracers, one after the other, and what Pods are handed.

use traceflow_core::packet::Protocol;
use traceflow_sim::{Cluster, SimNetwork};

use crate::support::{Asking, datapath, drain, live, name};

fn network() -> SimNetwork {
    let builder = Cluster::builder()
        .node("a")
        .node("b")
        .pod("client", "a")
        .pod("web", "b");
    let builder = builder.yaml(
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: closed}}}",
    );
    SimNetwork::new(builder.pod("closed", "b").label("app", "closed").build().unwrap())
}

#[tokio::test]
async fn attach_sweeps_what_another_tracer_left() {
    let network = network();
    let (injected, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    let watching = live(&network, "client", "web", Protocol::TCP, None, false);
    for datapath in network.datapaths() {
        datapath.attach().await.unwrap();
        datapath.install(&watching).await.unwrap();
    }
    datapath(&network, "a").inject(&injected, &packet).await.unwrap();
    assert_eq!(network.leftovers().len(), 8, "{:?}", network.leftovers());
    for heir in network.for_another_tracer().datapaths() {
        heir.attach().await.unwrap();
    }
    assert_eq!(network.leftovers(), ["a: standing watch", "b: standing watch"]);
}

#[tokio::test]
async fn attach_sweeps_nothing_of_ones_own() {
    let network = network();
    let a = datapath(&network.for_another_tracer(), "a");
    a.install(&live(&network, "client", "web", Protocol::TCP, None, false))
        .await
        .unwrap();
    a.attach().await.unwrap();
    assert_eq!(
        network.leftovers(),
        ["a: standing watch", "a: probe of trace 7 with mark 7"]
    );
}

#[tokio::test]
async fn a_trace_of_the_same_number_is_another_tracers() {
    let network = network();
    let probe = live(&network, "client", "web", Protocol::TCP, None, false);
    datapath(&network, "a").install(&probe).await.unwrap();
    datapath(&network.for_another_tracer(), "a")
        .remove(&probe)
        .await
        .unwrap();
    assert_eq!(network.leftovers(), ["a: probe of trace 7 with mark 7"]);
}

#[tokio::test]
async fn a_tracer_hears_of_its_own_packets_only() {
    let network = network();
    let other = network.for_another_tracer();
    let (mut ours, mut others) = (datapath(&network, "a").reports(), datapath(&other, "a").reports());
    let (probe, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    let a = datapath(&other, "a");
    a.attach().await.unwrap();
    a.inject(&probe, &packet).await.unwrap();
    assert_eq!((drain(&mut ours).len(), drain(&mut others).len()), (0, 1));
}

#[test]
fn a_pod_is_handed_what_reaches_it_and_the_answers_to_what_it_sent() {
    let network = network();
    let received = |pod: &str| network.received(&name(pod));
    network.send(&"client->web tcp,tcp_dst=80".parse().unwrap()).unwrap();
    network.send(&"client->closed tcp,tcp_dst=80".parse().unwrap()).unwrap();
    assert_eq!((received("client"), received("web"), received("closed")), (1, 1, 0));
    assert_eq!(received("nobody"), 0);
}

#[tokio::test]
async fn a_pod_is_not_handed_an_injected_packet() {
    let network = network();
    let (probe, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    datapath(&network, "a").inject(&probe, &packet).await.unwrap();
    assert_eq!(network.received(&name("web")), 0);
}
