//! Policies of chance, of Kubernetes and of Antrea.

use super::objects::{Kind, Object};
use super::topology::{APPS, NAMESPACES};

fn pick<'a>(random: &mut fastrand::Rng, choices: &[&'a str]) -> &'a str {
    random.choice(choices).copied().unwrap_or_default()
}

/// Up to two, rarely three.
fn some(random: &mut fastrand::Rng, mut item: impl FnMut(&mut fastrand::Rng, usize) -> String) -> String {
    let count = [0, 1, 1, 1, 2, 2, 3][random.usize(..7)];
    let items: Vec<String> = (0..count).map(|place| item(random, place)).collect();
    items.join(", ")
}

fn pods(random: &mut fastrand::Rng) -> String {
    match random.u8(..6) {
        0 => "{}".to_owned(),
        1 => format!("{{matchLabels: {{tier: {}}}}}", pick(random, &["front", "back"])),
        2 => format!(
            "{{matchExpressions: [{{key: app, operator: {}, values: [{}]}}]}}",
            pick(random, &["In", "NotIn"]),
            pick(random, &APPS)
        ),
        _ => format!("{{matchLabels: {{app: {}}}}}", pick(random, &APPS)),
    }
}

const BLOCKS: [&str; 8] = [
    "{cidr: 10.1.0.0/16, except: [10.1.0.0/28]}",
    "{cidr: 0.0.0.0/0}",
    "{cidr: 10.0.0.0/8, except: [10.2.0.0/16, 10.1.0.10/32]}",
    "{cidr: 192.0.2.0/24}",
    "{cidr: 192.168.77.0/24}",
    "{cidr: 'fd00::/16', except: ['fd00:1::/64']}",
    "{cidr: '::/0'}",
    "{cidr: '2001:db8::/32'}",
];

/// A NetworkPolicy of Kubernetes.
pub(super) fn any_policy(random: &mut fastrand::Rng, number: usize) -> Object {
    const PORTS: [&str; 7] = [
        "{port: 80}",
        "{port: 79, endPort: 81}",
        "{protocol: UDP}",
        "{port: http}",
        "{}",
        "{protocol: UDP, port: 53}",
        "{protocol: UDP, port: dns}",
    ];
    let peer = |random: &mut fastrand::Rng, _| match random.u8(..6) {
        0 => format!("{{ipBlock: {}}}", pick(random, &BLOCKS)),
        1 => format!("{{namespaceSelector: {{}}, podSelector: {}}}", pods(random)),
        2 => format!(
            "{{namespaceSelector: {{matchLabels: {{env: {}}}}}}}",
            pick(random, &["live", "test"])
        ),
        _ => format!("{{podSelector: {}}}", pods(random)),
    };
    let rules = |random: &mut fastrand::Rng, word: &str| {
        some(random, |random, _| {
            let peers = some(random, peer);
            let ports = some(random, |random, _| pick(random, &PORTS).to_owned());
            format!("{{{word}: [{peers}], ports: [{ports}]}}")
        })
    };
    let namespace = pick(random, &NAMESPACES.map(|(name, _)| name));
    let (subject, types) = (pods(random), pick(random, &["Ingress", "Egress", "Ingress, Egress"]));
    let (ingress, egress) = (rules(random, "from"), rules(random, "to"));
    Object {
        kind: Kind::Policy,
        name: format!("NetworkPolicy {number}"),
        number,
        text: format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}, namespace: {namespace}}}\n\
             spec: {{podSelector: {subject}, policyTypes: [{types}], ingress: [{ingress}], egress: [{egress}]}}"
        ),
    }
}

/// One of a few groups that Antrea's policies call.
pub(super) fn any_group(random: &mut fastrand::Rng) -> Object {
    let number = random.usize(..4);
    let spec = [
        "{podSelector: {matchLabels: {app: web}}}",
        "{podSelector: {matchLabels: {tier: back}}, namespaceSelector: {matchLabels: {env: live}}}",
        "{ipBlocks: [{cidr: 192.0.2.0/24}, {cidr: '2001:db8::/32'}]}",
        "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}",
    ][number];
    Object {
        kind: Kind::Group,
        name: format!("group-{number}"),
        number: 0,
        text: format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterGroup\nmetadata: {{name: group-{number}}}\nspec: {spec}"
        ),
    }
}

/// A ClusterNetworkPolicy or NetworkPolicy of Antrea's.
pub(super) fn any_antrea_policy(random: &mut fastrand::Rng, number: usize, groups: &[String]) -> Object {
    let clusterwide = random.u8(..3) > 0;
    let tier = pick(
        random,
        &["emergency", "platform", "application", "application", "baseline"],
    );
    let per_rule = random.u8(..4) == 0;
    let rules = |random: &mut fastrand::Rng, direction: &str, word: &str| {
        some(random, |random, place| {
            let action = match (tier, random.u8(..6)) {
                (_, 0..=1) => "Allow",
                (_, 2..=3) => "Drop",
                (_, 4) => "Reject",
                ("baseline", _) => "Drop",
                _ => "Pass",
            };
            let peers = some(random, |random, _| antrea_peer(random, clusterwide, groups));
            let traffic = traffic(random);
            let applied = match per_rule {
                true => format!(", appliedTo: [{}]", applied_to(random, clusterwide, groups)),
                false => String::new(),
            };
            let name = match random.u8(..3) {
                0 => String::new(),
                _ => format!("name: {direction}-{place}, "),
            };
            format!("{{{name}action: {action}, {word}: [{peers}]{traffic}{applied}}}")
        })
    };
    let (ingress, egress) = (rules(random, "in", "from"), rules(random, "out", "to"));
    let has_rules = !(ingress.is_empty() && egress.is_empty());
    let applied = match per_rule && has_rules {
        true => String::new(),
        false => format!("appliedTo: [{}], ", applied_to(random, clusterwide, groups)),
    };
    let (kind, namespace) = match clusterwide {
        true => ("ClusterNetworkPolicy", String::new()),
        false => (
            "NetworkPolicy",
            format!(", namespace: {}", pick(random, &NAMESPACES.map(|(name, _)| name))),
        ),
    };
    let priority = random.u8(1..5);
    Object {
        kind: Kind::AntreaPolicy,
        name: format!("Antrea {kind} {number}"),
        number,
        text: format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: {kind}\nmetadata: {{name: a{number}{namespace}}}\n\
             spec: {{tier: {tier}, priority: {priority}, {applied}ingress: [{ingress}], egress: [{egress}]}}"
        ),
    }
}

fn antrea_peer(random: &mut fastrand::Rng, clusterwide: bool, groups: &[String]) -> String {
    match (random.u8(..8), clusterwide) {
        (0, _) => format!("{{ipBlock: {}}}", pick(random, &BLOCKS)),
        (1, true) => "{namespaces: {match: Self}}".to_owned(),
        (2, true) => format!("{{namespaces: {{sameLabels: [env]}}, podSelector: {}}}", pods(random)),
        (3, true) if !groups.is_empty() => format!("{{group: {}}}", random.choice(groups).map_or("", |name| name)),
        (4, _) => format!(
            "{{namespaceSelector: {{matchLabels: {{env: live}}}}, podSelector: {}}}",
            pods(random)
        ),
        _ => format!("{{podSelector: {}}}", pods(random)),
    }
}

fn applied_to(random: &mut fastrand::Rng, clusterwide: bool, groups: &[String]) -> String {
    match (random.u8(..5), clusterwide) {
        (0, true) => "{namespaceSelector: {matchLabels: {env: live}}}".to_owned(),
        // A group of addresses can't be applied to.
        (1, true) if groups.iter().any(|group| group == "group-0") => "{group: group-0}".to_owned(),
        _ => format!("{{podSelector: {}}}", pods(random)),
    }
}

/// The key of a rule's ports or protocols, or nothing.
fn traffic(random: &mut fastrand::Rng) -> &'static str {
    const TRAFFICS: [&str; 9] = [
        "",
        "",
        ", ports: [{port: 80}]",
        ", ports: [{port: http}]",
        ", ports: [{protocol: UDP}]",
        ", ports: [{port: 79, endPort: 80}, {protocol: UDP, port: 53}]",
        ", ports: [{port: 81, sourcePort: 32768, sourceEndPort: 60000}]",
        ", protocols: [{icmp: {icmpType: 8, icmpCode: 0}}]",
        ", protocols: [{icmp: {icmpType: 13}}]",
    ];
    TRAFFICS[random.usize(..TRAFFICS.len())]
}
