//! A catalogue of what can go wrong, each with the words that an operator should read first.
//!
//! The model is what should be, the network what is. What a trace says is ranked: where it ended in a drop, the drop's
//! reason; where it wasn't seen to its end, the causes in their order; and where the network did something else than the
//! model says, that before all others.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use traceflow_core::packet::Transport;
use traceflow_core::session::Progress;
use traceflow_core::trace::{Predictor, Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, ClusterBuilder, NodeFaults, SimNetwork, TunnelFault};

use crate::support::Asking;

/// One thing that goes wrong.
struct Fault {
    name: &'static str,
    model: ClusterBuilder,
    /// The network's cluster, where it differs from the model.
    real: Option<ClusterBuilder>,
    /// Before the trace.
    broken: fn(&SimNetwork),
    /// When the packet is on its way.
    breaks: fn(&SimNetwork),
    ask: Asking,
    /// What the words that come first must say.
    first: &'static str,
}

fn fault(name: &'static str, ask: Asking, first: &'static str) -> Fault {
    Fault {
        name,
        model: network(),
        real: None,
        broken: |_| (),
        breaks: |_| (),
        ask,
        first,
    }
}

impl Fault {
    fn model(mut self, model: ClusterBuilder) -> Self {
        self.model = model;
        self
    }

    fn real(mut self, real: ClusterBuilder) -> Self {
        self.real = Some(real);
        self
    }

    fn broken(mut self, broken: fn(&SimNetwork)) -> Self {
        self.broken = broken;
        self
    }

    fn breaks(mut self, breaks: fn(&SimNetwork)) -> Self {
        self.breaks = breaks;
        self
    }

    /// What the trace says, the weightiest first.
    async fn said(&self) -> (Vec<String>, Verdict) {
        let trace = self.traced().await;
        let finding = trace.finding.iter().map(ToString::to_string);
        let mut said: Vec<String> = Vec::new();
        match &trace.verdict {
            Verdict::Unanswered(silence) => {
                assert!(!silence.causes.is_empty(), "{}: a bare timeout", self.name);
                said.extend(silence.causes.iter().map(ToString::to_string));
                said.extend(finding);
            }
            verdict => {
                said.extend(finding);
                said.push(verdict.to_string());
            }
        }
        said.extend(trace.notes.iter().cloned());
        (said, trace.verdict)
    }

    async fn traced(&self) -> Trace {
        let model = Arc::new(self.model.clone().build().unwrap());
        let real = self.real.as_ref().unwrap_or(&self.model).clone().build().unwrap();
        let network = SimNetwork::new(real);
        (self.broken)(&network);
        let tracer = Tracer::builder(model.clone())
            .predictor(model.clone() as Arc<dyn Predictor>)
            .datapaths(network.datapaths())
            .seed(1)
            .start();
        let mut tracing = tracer.trace(self.ask.plan(&model));
        while let Some(news) = tracing.progress().await {
            if matches!(news, Progress::Injected { .. }) {
                (self.breaks)(&network);
            }
        }
        let trace = tracing.await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let _ = tracer.close().await;
        trace
    }
}

/// `client` and `near` on `a`, `web` on `b`, `far` on `c`; Service `shop` leads to `web`.
fn network() -> ClusterBuilder {
    let nodes = ["a", "b", "c"].into_iter();
    let builder = nodes.fold(Cluster::builder(), |builder, node| builder.node(node));
    builder
        .pod("client", "a")
        .label("app", "client")
        .address("10.244.0.2")
        .pod("near", "a")
        .label("app", "near")
        .address("10.244.0.3")
        .pod("web", "b")
        .label("app", "web")
        .address("10.244.1.2")
        .pod("far", "c")
        .label("app", "far")
        .address("10.244.2.2")
        .service("shop", 80)
        .selects("app", "web")
        .address("10.96.0.10")
}

fn kubernetes(name: &str, app: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\n\
         spec: {{podSelector: {{matchLabels: {{app: {app}}}}}, {spec}}}"
    )
}

fn antrea(name: &str, tier: &str, app: &str, rules: &str) -> String {
    format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\n\
         spec: {{tier: {tier}, priority: 5, appliedTo: [{{podSelector: {{matchLabels: {{app: {app}}}}}}}], {rules}}}"
    )
}

fn egress(node: &str) -> String {
    format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {{name: out}}\n\
         spec: {{appliedTo: {{podSelector: {{matchLabels: {{app: client}}}}}}, egressIP: 172.18.0.200}}\n{node}"
    )
}

fn to_web() -> Asking {
    Asking::tcp("client", "web", 80)
}

fn on(network: &SimNetwork, node: &str, faults: NodeFaults) {
    network.set_faults(&node.into(), faults);
}

fn some(words: &str) -> Option<Arc<str>> {
    Some(words.into())
}

/// What policies deny, as they should.
fn policies() -> Vec<Fault> {
    let web = |spec: &str| network().yaml(&kubernetes("closed", "web", spec));
    vec![
        fault(
            "isolated in ingress",
            to_web(),
            "isolated by K8sNetworkPolicy:default/closed",
        )
        .model(web("ingress: []")),
        fault(
            "isolated in egress",
            to_web(),
            "dropped on a: no rule allows it, and the Pod is isolated",
        )
        .model(network().yaml(&kubernetes("quiet", "client", "policyTypes: [Egress]"))),
        fault(
            "isolated by two policies",
            to_web(),
            "K8sNetworkPolicy:default/closed, K8sNetworkPolicy:default/more",
        )
        .model(web("ingress: []").yaml(&kubernetes("more", "web", "ingress: [{ports: [{port: 81}]}]"))),
        fault(
            "isolated on the same node",
            Asking::tcp("client", "near", 80),
            "dropped on a: no rule allows it",
        )
        .model(network().yaml(&kubernetes("closed", "near", "ingress: []"))),
        fault(
            "dropped by a rule of Antrea's",
            to_web(),
            "rule stop of AntreaClusterNetworkPolicy:p denies it",
        )
        .model(network().yaml(&antrea("p", "platform", "web", "ingress: [{action: Drop, name: stop}]"))),
        fault(
            "rejected by a rule of Antrea's",
            to_web(),
            "rejected on b: rule stop of",
        )
        .model(network().yaml(&antrea(
            "p",
            "platform",
            "web",
            "ingress: [{action: Reject, name: stop}]",
        ))),
        fault(
            "dropped by the baseline",
            to_web(),
            "rule base of AntreaClusterNetworkPolicy:p denies it",
        )
        .model(network().yaml(&antrea("p", "baseline", "web", "ingress: [{action: Drop, name: base}]"))),
        fault(
            "the endpoint behind a Service is out of bounds",
            Asking::tcp("client", "shop", 80),
            "rejected on a: rule stop of",
        )
        .model(network().yaml(&antrea(
            "p",
            "platform",
            "client",
            "egress: [{action: Reject, name: stop, to: [{podSelector: {matchLabels: {app: web}}}]}]",
        ))),
    ]
}

/// What packets are like that don't get through, and where there is nobody.
fn packets() -> Vec<Fault> {
    let flags = |flags| to_web().tcp_flags(flags);
    let sctp = Transport::Sctp {
        source: 40_000,
        destination: 80,
    };
    vec![
        fault(
            "another's source address",
            to_web().spoofed("10.244.0.3"),
            "the source address does not belong",
        ),
        fault(
            "the TTL ends at the sender's node",
            to_web().ttl(1),
            "dropped on a: the TTL expired",
        ),
        fault(
            "the TTL ends at the receiver's node",
            to_web().ttl(2),
            "dropped on b: the TTL expired",
        ),
        fault(
            "nobody has the address on this node",
            Asking::tcp("client", "10.244.0.99", 80),
            "dropped on a: no Pod, Service or node",
        ),
        fault(
            "nobody has the address on another node",
            Asking::tcp("client", "10.244.1.99", 80),
            "dropped on b: no Pod, Service or node",
        ),
        fault("no route", Asking::udp("client", "224.0.0.9", 80), "there is no route"),
        fault(
            "an answer to nothing",
            flags(0x12),
            "connection tracking calls the packet invalid",
        ),
        fault(
            "no flags at all",
            flags(0),
            "connection tracking calls the packet invalid",
        ),
        fault("SYN and FIN", flags(3), "connection tracking calls the packet invalid"),
        fault(
            "the Service doesn't offer the port",
            Asking::tcp("client", "shop", 81),
            "does not offer this port",
        ),
        fault(
            "the Service doesn't offer the protocol",
            Asking::udp("client", "shop", 80),
            "does not offer this port",
        ),
        fault(
            "the Service doesn't offer SCTP",
            Asking::of("client", "shop", sctp),
            "does not offer this port",
        ),
        fault(
            "no Pod serves the Service",
            Asking::tcp("client", "empty", 80),
            "rejected on a: Service default/empty has no ready endpoint",
        )
        .model(network().service("empty", 80).selects("app", "nobody")),
        fault(
            "no Pod that serves it is ready",
            Asking::tcp("client", "sick", 80),
            "Service default/sick has no ready endpoint",
        )
        .model(
            network()
                .pod("ill", "b")
                .label("app", "ill")
                .not_ready()
                .service("sick", 80)
                .selects("app", "ill"),
        ),
        fault(
            "no node has the Egress address",
            Asking::tcp("client", "192.0.2.1", 443),
            "no node has the address of Egress out",
        )
        .model(network().yaml(&egress(""))),
    ]
}

/// What the network does otherwise than it should.
fn differences() -> Vec<Fault> {
    let status = |node: &str| egress(&format!("status: {{egressNode: {node}}}"));
    let moved = |node: &str| {
        let nodes = ["a", "b", "c"]
            .into_iter()
            .fold(Cluster::builder(), |builder, node| builder.node(node));
        nodes
            .pod("client", "a")
            .label("app", "client")
            .address("10.244.0.2")
            .pod("web", node)
            .address("10.244.1.2")
    };
    let nodes = ["a", "b", "c"]
        .into_iter()
        .fold(Cluster::builder(), |builder, node| builder.node(node));
    let without_web = nodes.pod("client", "a").label("app", "client").address("10.244.0.2");
    let outside = || Asking::tcp("client", "192.0.2.1", 443);
    let two = |first: &str, second: &str| {
        network()
            .yaml(&antrea("p", first, "web", "ingress: [{action: Drop, name: stop}]"))
            .yaml(&antrea("q", second, "web", "ingress: [{action: Allow, name: go}]"))
    };
    let closed = kubernetes("closed", "web", "ingress: []");
    vec![
        fault("a policy is not realised", to_web(), "b should have dropped it")
            .model(network().yaml(&closed))
            .real(network()),
        fault(
            "a policy is left over",
            to_web(),
            "b should have delivered it; it dropped it",
        )
        .real(network().yaml(&closed)),
        fault("an egress policy is not realised", to_web(), "a should have dropped it")
            .model(network().yaml(&kubernetes("quiet", "client", "policyTypes: [Egress]")))
            .real(network()),
        fault("an egress policy is left over", to_web(), "it dropped it").real(network().yaml(&kubernetes(
            "quiet",
            "client",
            "policyTypes: [Egress]",
        ))),
        fault(
            "tiers are in the wrong order",
            to_web(),
            "rule stop of AntreaClusterNetworkPolicy:p",
        )
        .model(two("emergency", "application"))
        .real(two("application", "emergency")),
        fault("a rule has another action", to_web(), "should have rejected it")
            .model(network().yaml(&antrea(
                "p",
                "platform",
                "web",
                "ingress: [{action: Reject, name: stop}]",
            )))
            .real(network().yaml(&antrea("p", "platform", "web", "ingress: [{action: Drop, name: stop}]"))),
        fault(
            "a Service is not realised",
            Asking::tcp("client", "10.96.0.10", 80),
            "a should have sent it to the Service's endpoint",
        )
        .real(moved("b")),
        fault(
            "a Service leads to a stranger",
            Asking::tcp("client", "10.96.0.10", 80),
            "it sent it to the Service's endpoint default/far",
        )
        .real(
            moved("b")
                .pod("far", "c")
                .label("app", "far")
                .address("10.244.2.2")
                .service("shop", 80)
                .selects("app", "far")
                .address("10.96.0.10"),
        ),
        fault(
            "a Service knows no endpoint yet",
            Asking::tcp("client", "10.96.0.10", 80),
            "should have sent it to the Service's endpoint",
        )
        .real(
            moved("b")
                .service("shop", 80)
                .selects("app", "nobody")
                .address("10.96.0.10"),
        ),
        fault(
            "the route leads to another node",
            to_web(),
            "a should have sent it on by the tunnel to 172.18.0.3; it sent it on by the tunnel to 172.18.0.4",
        )
        .real(moved("c")),
        fault(
            "the Pod's flows came late",
            to_web(),
            "b should have delivered it; it dropped it",
        )
        .real(without_web),
        fault(
            "an Egress is not realised",
            outside(),
            "a should have sent it to the node of its Egress address",
        )
        .model(network().yaml(&status("b")))
        .real(network()),
        fault(
            "an Egress is at another node",
            outside(),
            "a should have sent it to the node of its Egress address (172.18.0.200 on b)",
        )
        .model(network().yaml(&status("b")))
        .real(network().yaml(&status("c"))),
    ]
}

/// What breaks.
fn breakages() -> Vec<Fault> {
    const SLOW: NodeFaults = NodeFaults {
        unavailable: None,
        refuse_install: None,
        refuse_inject: None,
        refuse_remove: None,
        lose_reports: 0,
        tell_losses: false,
        delay_reports: Duration::from_secs(60),
        repeat_reports: 0,
        tunnel: TunnelFault::None,
        tunnel_mtu: None,
        ports_down: std::collections::BTreeSet::new(),
    };
    let outside = || Asking::tcp("client", "192.0.2.1", 443);
    vec![
        fault("the tunnel or a firewall on the wire loses packets", to_web(), "lost between a and b").broken(|network| {
            on(network, "a", NodeFaults { tunnel: TunnelFault::EatsPackets, ..NodeFaults::default() });
        }),
        fault("something on the wire takes the mark off", to_web(), "the packet or its mark was lost between a and b").broken(|network| {
            on(network, "a", NodeFaults { tunnel: TunnelFault::EatsMarks, ..NodeFaults::default() });
        }),
        fault("the packet is too long for the tunnel", to_web(), "a should have sent it on by the tunnel to 172.18.0.3; it dropped it (the packet is longer than the 30 bytes").broken(
            |network| on(network, "a", NodeFaults { tunnel_mtu: Some(30), ..NodeFaults::default() }),
        ),
        fault("the receiver's port is down", to_web(), "it dropped it (the output port is down)").broken(|network| {
            let ports_down = [traceflow_core::names::ObjectName::new("default", "web")].into();
            on(network, "b", NodeFaults { ports_down, ..NodeFaults::default() });
        }),
        fault("the far node is dead", to_web(), "node b failed").broken(|network| network.kill(&"b".into())),
        fault("the far node dies on the way", to_web(), "node b failed").broken(|network| on(network, "b", SLOW)).breaks(|network| network.kill(&"b".into())),
        fault("the far node can't be reached by the tracer", to_web(), "node b failed: the datapath is unavailable: connection reset").broken(|network| {
            on(network, "b", NodeFaults { unavailable: some("connection reset"), ..NodeFaults::default() });
        }),
        fault("the far node restarts on the way", to_web(), "the datapath of node b restarted").broken(|network| on(network, "b", SLOW)).breaks(|network| network.restart(&"b".into())),
        fault("the near node restarts on the way", Asking::tcp("client", "near", 80), "the datapath of node a restarted").broken(|network| on(network, "a", SLOW)).breaks(|network| network.restart(&"a".into())),
        fault("the far node had no room for its reports", to_web(), "node b lost").broken(|network| {
            on(network, "b", NodeFaults { lose_reports: 9, tell_losses: true, ..NodeFaults::default() });
        }),
        fault("the near node had no room for its reports", Asking::tcp("client", "near", 80), "node a lost").broken(|network| {
            on(network, "a", NodeFaults { lose_reports: 9, tell_losses: true, ..NodeFaults::default() });
        }),
        fault("the near node loses reports without a word", Asking::tcp("client", "near", 80), "node a lost the packet before any watched point saw it").broken(|network| {
            on(network, "a", NodeFaults { lose_reports: 9, ..NodeFaults::default() });
        }),
        fault("the far node drops without being seen to", to_web(), "the model of the network has it dropped on b: no rule allows it")
            .model(network().yaml(&kubernetes("closed", "web", "ingress: []")))
            .broken(|network| on(network, "b", NodeFaults { lose_reports: 9, ..NodeFaults::default() })),
        fault("the Egress node is dead", outside(), "node b failed")
            .model(network().yaml(&egress("status: {egressNode: b}")))
            .broken(|network| network.kill(&"b".into())),
        fault("a tunnel to the Egress node loses packets", outside(), "lost between a and b")
            .model(network().yaml(&egress("status: {egressNode: b}")))
            .broken(|network| on(network, "a", NodeFaults { tunnel: TunnelFault::EatsPackets, ..NodeFaults::default() })),
    ]
}

/// The same and others at other places, together with each other and on ways through Services.
fn combinations() -> Vec<Fault> {
    let to_shop = || Asking::tcp("client", "shop", 80);
    let to_near = || Asking::tcp("client", "near", 80);
    let to_far = || Asking::tcp("client", "far", 80);
    let outside = || Asking::tcp("client", "192.0.2.1", 443);
    let closed = |app: &str| network().yaml(&kubernetes("closed", app, "ingress: []"));
    let out_by = |node: &str| network().yaml(&egress(&format!("status: {{egressNode: {node}}}")));
    let nodes = || {
        ["a", "b", "c"]
            .into_iter()
            .fold(Cluster::builder(), |builder, node| builder.node(node))
    };
    let client_alone = || nodes().pod("client", "a").label("app", "client").address("10.244.0.2");
    let local = "apiVersion: v1
kind: Service
metadata: {name: local}
spec: {selector: {app: web}, internalTrafficPolicy: Local, ports: [{port: 80}]}";
    let web_alone = |rules: &str, tier: &str| network().yaml(&antrea("p", tier, "web", rules));
    vec![
        fault(
            "a ping where only TCP is let in",
            Asking::ping("client", "web"),
            "isolated by K8sNetworkPolicy:default/closed",
        )
        .model(network().yaml(&kubernetes("closed", "web", "ingress: [{ports: [{port: 80}]}]"))),
        fault(
            "another port than is let in",
            Asking::tcp("client", "web", 81),
            "isolated by K8sNetworkPolicy:default/closed",
        )
        .model(network().yaml(&kubernetes("closed", "web", "ingress: [{ports: [{port: 80}]}]"))),
        fault("neither end allows it", to_web(), "dropped on a: no rule allows it")
            .model(closed("web").yaml(&kubernetes("quiet", "client", "policyTypes: [Egress]"))),
        fault("rejected on the same node", to_near(), "rejected on a: rule stop of").model(network().yaml(&antrea(
            "p",
            "platform",
            "near",
            "ingress: [{action: Reject, name: stop}]",
        ))),
        fault(
            "the baseline rejects on the way out",
            to_web(),
            "rejected on a: rule base of",
        )
        .model(network().yaml(&antrea(
            "p",
            "baseline",
            "client",
            "egress: [{action: Reject, name: base}]",
        ))),
        fault(
            "passed on to Kubernetes, which isolates",
            to_web(),
            "isolated by K8sNetworkPolicy:default/closed",
        )
        .model(closed("web").yaml(&antrea(
            "p",
            "platform",
            "web",
            "ingress: [{action: Pass, name: on-to-kubernetes}]",
        ))),
        fault(
            "the Service's endpoints are on other nodes, and it may not use them",
            Asking::tcp("client", "local", 80),
            "has no ready endpoint on this node",
        )
        .model(network().yaml(local)),
        fault(
            "a stranger's address to a Service",
            to_shop().spoofed("10.244.0.3"),
            "the source address does not belong",
        ),
        fault(
            "a reset to a Service",
            to_shop().tcp_flags(4),
            "connection tracking calls the packet invalid",
        ),
        fault(
            "all flags at once",
            to_near().tcp_flags(0x3f),
            "connection tracking calls the packet invalid",
        ),
        fault(
            "the TTL ends behind a Service",
            to_shop().ttl(1),
            "dropped on a: the TTL expired",
        ),
        fault(
            "a policy is not realised on the same node",
            to_near(),
            "a should have dropped it",
        )
        .model(closed("near"))
        .real(network()),
        fault(
            "a policy is left over on the same node",
            to_near(),
            "a should have delivered it; it dropped it",
        )
        .real(closed("near")),
        fault(
            "a policy is not realised behind a Service",
            to_shop(),
            "b should have dropped it",
        )
        .model(closed("web"))
        .real(network()),
        fault(
            "a policy is left over behind a Service",
            to_shop(),
            "b should have delivered it; it dropped it",
        )
        .real(closed("web")),
        fault(
            "a rule lets pass what it should reject",
            to_web(),
            "b should have rejected it",
        )
        .model(web_alone("ingress: [{action: Reject, name: stop}]", "platform"))
        .real(web_alone("ingress: [{action: Allow, name: stop}]", "platform")),
        fault(
            "a Pod of the same node has no flows yet",
            to_near(),
            "a should have delivered it; it dropped it",
        )
        .real(client_alone()),
        fault(
            "the route to the third node leads to the second",
            to_far(),
            "a should have sent it on by the tunnel to 172.18.0.4",
        )
        .real(client_alone().pod("far", "b").address("10.244.2.2")),
        fault(
            "an Egress is left over",
            outside(),
            "a should have sent it out of the network",
        )
        .real(out_by("a")),
        fault(
            "an Egress of the own node is not realised",
            outside(),
            "a should have marked it to leave",
        )
        .model(out_by("a"))
        .real(network()),
        fault(
            "an Egress moved to the sender's node",
            outside(),
            "a should have sent it to the node of its Egress address",
        )
        .model(out_by("b"))
        .real(out_by("a")),
        fault(
            "the tunnel loses packets of a Service",
            to_shop(),
            "lost between a and b",
        )
        .broken(|network| {
            on(
                network,
                "a",
                NodeFaults {
                    tunnel: TunnelFault::EatsPackets,
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "the tunnel to the third node loses packets",
            to_far(),
            "lost between a and c",
        )
        .broken(|network| {
            on(
                network,
                "a",
                NodeFaults {
                    tunnel: TunnelFault::EatsPackets,
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "the tunnel loses what the far node would drop",
            to_web(),
            "lost between a and b",
        )
        .model(closed("web"))
        .broken(|network| {
            on(
                network,
                "a",
                NodeFaults {
                    tunnel: TunnelFault::EatsPackets,
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "the mark is taken off what the far node would drop",
            to_web(),
            "mark was lost between a and b",
        )
        .model(closed("web"))
        .broken(|network| {
            on(
                network,
                "a",
                NodeFaults {
                    tunnel: TunnelFault::EatsMarks,
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "a packet of a Service is too long for the tunnel",
            to_shop(),
            "longer than the 30 bytes",
        )
        .broken(|network| {
            on(
                network,
                "a",
                NodeFaults {
                    tunnel_mtu: Some(30),
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "the port of a Pod of the same node is down",
            to_near(),
            "it dropped it (the output port is down)",
        )
        .broken(|network| {
            let ports_down = [traceflow_core::names::ObjectName::new("default", "near")].into();
            on(
                network,
                "a",
                NodeFaults {
                    ports_down,
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "the port of a Service's endpoint is down, told three times",
            to_shop(),
            "it dropped it (the output port is down)",
        )
        .broken(|network| {
            let ports_down = [traceflow_core::names::ObjectName::new("default", "web")].into();
            on(
                network,
                "b",
                NodeFaults {
                    ports_down,
                    repeat_reports: 2,
                    ..NodeFaults::default()
                },
            );
        }),
        fault("the node of a Service's endpoint is dead", to_shop(), "node b failed")
            .broken(|network| network.kill(&"b".into())),
        fault("the far node is dead, and would drop it", to_web(), "node b failed")
            .model(closed("web"))
            .broken(|network| network.kill(&"b".into())),
        fault(
            "the far node had no room for the report of a drop",
            to_web(),
            "node b lost",
        )
        .model(closed("web"))
        .broken(|network| {
            on(
                network,
                "b",
                NodeFaults {
                    lose_reports: 9,
                    tell_losses: true,
                    ..NodeFaults::default()
                },
            );
        }),
        fault(
            "the Egress node can't be reached by the tracer",
            outside(),
            "node b failed: the datapath is unavailable",
        )
        .model(out_by("b"))
        .broken(|network| {
            on(
                network,
                "b",
                NodeFaults {
                    unavailable: some("connection reset"),
                    ..NodeFaults::default()
                },
            );
        }),
        fault("the Egress node had no room for its reports", outside(), "node b lost")
            .model(out_by("b"))
            .broken(|network| {
                on(
                    network,
                    "b",
                    NodeFaults {
                        lose_reports: 9,
                        tell_losses: true,
                        ..NodeFaults::default()
                    },
                );
            }),
        fault(
            "the far node loses reports without a word",
            to_web(),
            "node b lost the packet before any watched point saw it",
        )
        .broken(|network| {
            on(
                network,
                "b",
                NodeFaults {
                    lose_reports: 9,
                    ..NodeFaults::default()
                },
            );
        }),
    ]
}

fn catalogue() -> Vec<Fault> {
    let mut all = policies();
    all.extend(packets());
    all.extend(differences());
    all.extend(breakages());
    all.extend(combinations());
    all
}

/// `cargo test -p traceflow-sim --test sim fault_catalogue -- --nocapture` prints the table.
#[tokio::test(start_paused = true)]
async fn the_true_cause_comes_first() {
    let faults = catalogue();
    assert!(faults.len() >= 45, "{}", faults.len());
    let (mut table, mut missed) = (String::new(), Vec::new());
    for fault in &faults {
        let (said, _) = fault.said().await;
        let hit = said.first().is_some_and(|first| first.contains(fault.first));
        let place = said.iter().position(|words| words.contains(fault.first));
        let rank = place.map_or_else(|| "-".to_owned(), |place| (place + 1).to_string());
        let _ = writeln!(
            table,
            "{rank:>2}  {:<52}{}",
            fault.name,
            said.first().map_or("", |first| first)
        );
        if !hit {
            missed.push(format!("{}: {}\n    {}", fault.name, fault.first, said.join("\n    ")));
        }
    }
    let hits = faults.len() - missed.len();
    println!("{table}{hits} of {} causes come first", faults.len());
    assert!(
        hits * 100 >= faults.len() * 95,
        "{hits} of {}\n{}",
        faults.len(),
        missed.join("\n")
    );
}

/// The same questions where nothing is wrong.
#[tokio::test(start_paused = true)]
async fn where_nothing_is_wrong_nothing_is_said() {
    for ask in [
        to_web(),
        Asking::tcp("client", "near", 80),
        Asking::tcp("client", "shop", 80),
        Asking::ping("client", "far"),
    ] {
        let healthy = fault("nothing", ask, "");
        let (said, verdict) = healthy.said().await;
        assert!(matches!(verdict, Verdict::Delivered { .. }), "{verdict}");
        assert_eq!(said.len(), 1, "{said:?}");
    }
}
