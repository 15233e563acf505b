//! Random policies against a second reading of Antrea's rules, written the other way round: it lists every rule of the
//! cluster in the order of its key, and then looks for the first that names both ends.

use std::net::IpAddr;

use proptest::prelude::*;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;
use traceflow_sim::policy::antrea::{
    AntreaPeer, AntreaPolicy, AntreaRule, AppliedTo, Group, GroupMembers, GroupName, PeerNamespaces, Priority,
    RuleAction, RuleTraffic,
};
use traceflow_sim::policy::{
    Access, Decision, Denial, Direction, IpBlock, LabelSelector, NetworkPolicy, Peer, PolicyPort, PortSet, Rule,
};
use traceflow_sim::{Cluster, Object};

const NAMESPACES: [(&str, &str); 3] = [("n0", "red"), ("n1", "red"), ("n2", "blue")];
const APPS: [&str; 2] = ["x", "y"];
const TIERS: [&str; 3] = ["emergency", "application", "baseline"];
const PORTS: [u16; 2] = [80, 81];

/// A Pod by its number: namespace, app.
fn pod_of(number: usize) -> (usize, usize) {
    (number / APPS.len(), number % APPS.len())
}

const PODS: usize = NAMESPACES.len() * APPS.len();

fn pod_address(number: usize) -> IpAddr {
    [10, 244, 0, 10 + number as u8].into()
}

/// Whom an entry names: Pods by app, in some namespaces.
#[derive(Debug, Clone)]
enum Named {
    Everybody,
    Pods {
        app: Option<usize>,
        namespaces: Where,
    },
    /// 10.244.0.8/29: all Pods, and the first of the strangers.
    Block,
    /// The group `friends`, by its children: the Pods with app `x`, and the second of the strangers.
    Friends,
    /// The Pods of this namespace that run as `even`: those with app `x`.
    Account(usize),
}

/// Whom a policy applies to, or each of its rules.
#[derive(Debug, Clone)]
enum Applied {
    Pods {
        app: Option<usize>,
        color: Option<&'static str>,
    },
    /// The group `friends`; its addresses don't count.
    Friends,
    Account(usize),
}

#[derive(Debug, Clone, Copy)]
enum Where {
    All,
    Color(&'static str),
    Subject,
    SameColor,
}

#[derive(Debug, Clone)]
struct RuleText {
    action: RuleAction,
    peer: Named,
    port: Option<usize>,
}

#[derive(Debug, Clone)]
struct PolicyText {
    tier: usize,
    priority: u8,
    applied: Applied,
    /// Whether every rule says whom it applies to, instead of the policy.
    by_rule: bool,
    ingress: bool,
    rules: Vec<RuleText>,
}

#[derive(Debug, Clone)]
struct KubernetesText {
    namespace: usize,
    app: usize,
    ingress: bool,
    port: Option<usize>,
}

fn named() -> impl Strategy<Value = Named> {
    let place = prop_oneof![
        Just(Where::All),
        Just(Where::Color("red")),
        Just(Where::Color("blue")),
        Just(Where::Subject),
        Just(Where::SameColor)
    ];
    prop_oneof![
        1 => Just(Named::Everybody),
        4 => (proptest::option::of(0..APPS.len()), place).prop_map(|(app, namespaces)| Named::Pods { app, namespaces }),
        1 => Just(Named::Block),
        1 => Just(Named::Friends),
        1 => (0..NAMESPACES.len()).prop_map(Named::Account),
    ]
}

fn applied() -> impl Strategy<Value = Applied> {
    let color = proptest::option::of(prop_oneof![Just("red"), Just("blue")]);
    prop_oneof![
        4 => (proptest::option::of(0..APPS.len()), color).prop_map(|(app, color)| Applied::Pods { app, color }),
        1 => Just(Applied::Friends),
        1 => (0..NAMESPACES.len()).prop_map(Applied::Account),
    ]
}

fn policy() -> impl Strategy<Value = PolicyText> {
    let action = prop_oneof![
        Just(RuleAction::Allow),
        Just(RuleAction::Drop),
        Just(RuleAction::Reject),
        Just(RuleAction::Pass)
    ];
    let rule = (action, named(), proptest::option::of(0..PORTS.len())).prop_map(|(action, peer, port)| RuleText {
        action,
        peer,
        port,
    });
    (
        0..TIERS.len(),
        1..4u8,
        applied(),
        any::<bool>(),
        any::<bool>(),
        proptest::collection::vec(rule, 1..4),
    )
        .prop_map(|(tier, priority, applied, by_rule, ingress, mut rules)| {
            if TIERS[tier] == "baseline" {
                rules.retain(|rule| rule.action != RuleAction::Pass);
            }
            PolicyText {
                tier,
                priority,
                applied,
                by_rule,
                ingress,
                rules,
            }
        })
}

fn kubernetes() -> impl Strategy<Value = KubernetesText> {
    (
        0..NAMESPACES.len(),
        0..APPS.len(),
        any::<bool>(),
        proptest::option::of(0..PORTS.len()),
    )
        .prop_map(|(namespace, app, ingress, port)| KubernetesText {
            namespace,
            app,
            ingress,
            port,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_index_and_the_oracle_agree(
        policies in proptest::collection::vec(policy(), 0..6),
        kubernetes in proptest::collection::vec(kubernetes(), 0..3),
    ) {
        let cluster = cluster(&policies, &kubernetes);
        for direction in [Direction::Ingress, Direction::Egress] {
            for subject in 0..PODS {
                for peer in 0..PODS + 2 {
                    for port in PORTS {
                        let question = Question { direction, subject, peer, port };
                        let found = answer(&cluster, question);
                        let expected = oracle(&policies, &kubernetes, question);
                        prop_assert_eq!(found, expected, "{:?}", question);
                    }
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Question {
    direction: Direction,
    subject: usize,
    /// A Pod, or one of two strangers: the first inside of the block, the second outside.
    peer: usize,
    port: u16,
}

impl Question {
    fn peer_address(self) -> IpAddr {
        match self.peer.checked_sub(PODS) {
            None => pod_address(self.peer),
            Some(0) => [10, 244, 0, 9].into(),
            Some(_) => [192, 0, 2, 1].into(),
        }
    }
}

fn cluster(policies: &[PolicyText], kubernetes: &[KubernetesText]) -> Cluster {
    let mut builder = Cluster::builder().node("node");
    for (name, color) in NAMESPACES {
        builder = builder.namespace(name).label("color", color);
    }
    for number in 0..PODS {
        let (namespace, app) = pod_of(number);
        let name = format!("{}/{}", NAMESPACES[namespace].0, APPS[app]);
        builder = builder
            .pod(&name, "node")
            .label("app", APPS[app])
            .service_account(if app == 0 { "even" } else { "odd" })
            .address(&pod_address(number).to_string());
    }
    for group in groups() {
        builder = builder.object(Object::Group(group));
    }
    for (number, text) in policies.iter().enumerate() {
        builder = builder.object(Object::AntreaPolicy(antrea_policy(number, text)));
    }
    for (number, text) in kubernetes.iter().enumerate() {
        builder = builder.object(kubernetes_policy(number, text));
    }
    builder.build().unwrap()
}

fn group_name(name: &str) -> GroupName {
    GroupName {
        namespace: None,
        name: name.into(),
    }
}

fn groups() -> [Group; 3] {
    let stranger = IpBlock::new("192.0.2.1/32".parse().unwrap(), Vec::new()).unwrap();
    let pods = GroupMembers::Pods {
        namespaces: Some(LabelSelector::default()),
        pods: app_selector(Some(0)),
    };
    let children = ["xs", "strangers"].map(group_name).into();
    [
        ("xs", pods),
        ("strangers", GroupMembers::Addresses(vec![stranger])),
        ("friends", GroupMembers::Groups(children)),
    ]
    .map(|(name, members)| Group {
        name: group_name(name),
        members,
    })
}

fn account(namespace: usize) -> ObjectName {
    ObjectName::new(NAMESPACES[namespace].0, "even")
}

fn applied_to(applied: &Applied) -> AppliedTo {
    match applied {
        Applied::Pods { app, color } => AppliedTo::Pods {
            namespaces: Some(LabelSelector::labels(color.map(|color| ("color", color)))),
            pods: app_selector(*app),
        },
        Applied::Friends => AppliedTo::Group(group_name("friends")),
        Applied::Account(namespace) => AppliedTo::ServiceAccount(account(*namespace)),
    }
}

fn app_selector(app: Option<usize>) -> LabelSelector {
    LabelSelector::labels(app.map(|app| ("app", APPS[app])))
}

fn antrea_policy(number: usize, text: &PolicyText) -> AntreaPolicy {
    let applied = vec![applied_to(&text.applied)];
    let (of_policy, of_rule) = if text.by_rule {
        (Vec::new(), applied)
    } else {
        (applied, Vec::new())
    };
    let rules = text.rules.iter().enumerate().map(|(place, rule)| AntreaRule {
        name: Some(format!("rule-{place}").into()),
        action: rule.action,
        peers: peers(&rule.peer),
        traffic: rule
            .port
            .map(|port| RuleTraffic::Ports {
                to: port_of(port),
                from: None,
            })
            .into_iter()
            .collect(),
        applied_to: of_rule.clone(),
    });
    let (ingress, egress) = if text.ingress {
        (rules.collect(), Vec::new())
    } else {
        (Vec::new(), rules.collect())
    };
    AntreaPolicy {
        name: PolicyRef::antrea_cluster(format!("p{number}")),
        tier: TIERS[text.tier].into(),
        priority: Priority::new(text.priority.into()).unwrap(),
        applied_to: of_policy,
        ingress,
        egress,
    }
}

fn peers(named: &Named) -> Vec<AntreaPeer> {
    match named {
        Named::Everybody => Vec::new(),
        Named::Block => vec![AntreaPeer::IpBlock(
            IpBlock::new("10.244.0.8/29".parse().unwrap(), Vec::new()).unwrap(),
        )],
        Named::Friends => vec![AntreaPeer::Group(group_name("friends"))],
        Named::Account(namespace) => vec![AntreaPeer::ServiceAccount(account(*namespace))],
        Named::Pods { app, namespaces } => vec![AntreaPeer::Pods {
            namespaces: match namespaces {
                Where::All => PeerNamespaces::Selected(LabelSelector::default()),
                Where::Color(color) => PeerNamespaces::Selected(LabelSelector::labels([("color", *color)])),
                Where::Subject => PeerNamespaces::OfSubject,
                Where::SameColor => PeerNamespaces::SameLabels(vec!["color".into()]),
            },
            pods: app_selector(*app),
        }],
    }
}

fn port_of(port: usize) -> PolicyPort {
    PolicyPort {
        protocol: Protocol::TCP,
        ports: PortSet::Numbers(PORTS[port]..=PORTS[port]),
    }
}

fn kubernetes_policy(number: usize, text: &KubernetesText) -> NetworkPolicy {
    let rules = Some(vec![Rule {
        peers: Vec::new(),
        ports: text.port.map(port_of).into_iter().collect(),
    }]);
    NetworkPolicy {
        name: ObjectName::new(NAMESPACES[text.namespace].0, format!("k{number}")),
        pod_selector: app_selector(Some(text.app)),
        ingress: rules.clone().filter(|_| text.ingress),
        egress: rules.filter(|_| !text.ingress),
    }
}

fn answer(cluster: &Cluster, question: Question) -> String {
    let (namespace, app) = pod_of(question.subject);
    let index = cluster.policies();
    let decision = index.decide(&Access {
        direction: question.direction,
        pod: index
            .pod_id(&ObjectName::new(NAMESPACES[namespace].0, APPS[app]))
            .unwrap(),
        peer: Peer::Address(question.peer_address()),
        protocol: Protocol::TCP,
        source_port: Some(40_000),
        destination_port: Some(question.port),
        icmp: None,
    });
    let rule = |policy: &PolicyRef, rule| format!("{}[{rule}]", policy.name);
    match decision {
        Decision::NotIsolated => "allowed".to_owned(),
        Decision::Exempt(_) => "exempt".to_owned(),
        Decision::Passed {
            policy, rule: place, ..
        } => format!("Pass {}", rule(&policy, place)),
        Decision::Isolated { .. } => "isolated".to_owned(),
        Decision::Allowed { policy, .. } if policy.namespace.is_some() => "allowed by Kubernetes".to_owned(),
        Decision::Allowed {
            policy, rule: place, ..
        } => format!("Allow {}", rule(&policy, place)),
        Decision::Denied {
            policy,
            rule: place,
            denial: Denial::Drop,
            ..
        } => format!("Drop {}", rule(&policy, place)),
        Decision::Denied {
            policy, rule: place, ..
        } => format!("Reject {}", rule(&policy, place)),
    }
}

fn oracle(policies: &[PolicyText], kubernetes: &[KubernetesText], question: Question) -> String {
    let ingress = question.direction == Direction::Ingress;
    let (namespace, app) = pod_of(question.subject);
    let isolating: Vec<&KubernetesText> = kubernetes
        .iter()
        .filter(|text| (text.namespace, text.app, text.ingress) == (namespace, app, ingress))
        .collect();
    let mut all: Vec<_> = policies
        .iter()
        .enumerate()
        .filter(|(_, policy)| policy.ingress == ingress && applies(policy, question.subject))
        .flat_map(|(number, policy)| {
            let rules = policy.rules.iter().enumerate();
            rules.map(move |(place, rule)| ((policy.tier, policy.priority, number, place), rule))
        })
        .collect();
    all.sort_by_key(|(key, _)| *key);
    if question.subject == question.peer && !(all.is_empty() && isolating.is_empty()) {
        return "exempt".to_owned();
    }
    let first_of = |baseline: bool| {
        all.iter()
            .filter(|((tier, ..), _)| (TIERS[*tier] == "baseline") == baseline)
            .find(|(_, rule)| rule.port.is_none_or(|port| PORTS[port] == question.port) && names(&rule.peer, question))
            .map(|((_, _, number, place), rule)| format!("{:?} p{number}[{place}]", rule.action))
    };
    let first = first_of(false);
    if let Some(decided) = first.as_ref().filter(|decided| !decided.starts_with("Pass")) {
        return decided.clone();
    }
    if isolating.is_empty() {
        return first_of(true).or(first).unwrap_or_else(|| "allowed".to_owned());
    }
    let opened = isolating
        .iter()
        .any(|text| text.port.is_none_or(|port| PORTS[port] == question.port));
    if opened { "allowed by Kubernetes" } else { "isolated" }.to_owned()
}

fn applies(policy: &PolicyText, subject: usize) -> bool {
    let (namespace, app) = pod_of(subject);
    match &policy.applied {
        Applied::Pods { app: wanted, color } => {
            wanted.is_none_or(|wanted| wanted == app) && color.is_none_or(|color| NAMESPACES[namespace].1 == color)
        }
        Applied::Friends => app == 0,
        Applied::Account(wanted) => (namespace, app) == (*wanted, 0),
    }
}

fn names(named: &Named, question: Question) -> bool {
    match named {
        Named::Everybody => true,
        Named::Block => {
            let IpAddr::V4(address) = question.peer_address() else {
                return false;
            };
            let [a, b, c, d] = address.octets();
            (a, b, c) == (10, 244, 0) && (8..16).contains(&d)
        }
        Named::Friends if question.peer >= PODS => question.peer == PODS + 1,
        Named::Friends => pod_of(question.peer).1 == 0,
        Named::Account(namespace) => question.peer < PODS && pod_of(question.peer) == (*namespace, 0),
        Named::Pods { app, namespaces } => {
            if question.peer >= PODS {
                return false;
            }
            let (namespace, found) = pod_of(question.peer);
            let (own, _) = pod_of(question.subject);
            let placed = match namespaces {
                Where::All => true,
                Where::Color(color) => NAMESPACES[namespace].1 == *color,
                Where::Subject => namespace == own,
                Where::SameColor => NAMESPACES[namespace].1 == NAMESPACES[own].1,
            };
            placed && app.is_none_or(|app| app == found)
        }
    }
}
