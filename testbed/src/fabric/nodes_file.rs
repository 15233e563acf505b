//! The file that tells a tracer where the switches are and who is behind which port.

use std::fmt::Write;

use super::node::SwitchNode;

/// The nodes as YAML.
pub(crate) fn write<'a>(nodes: impl IntoIterator<Item = &'a SwitchNode>) -> String {
    let nodes: Vec<&SwitchNode> = nodes.into_iter().collect();
    let mut text = String::from("nodes:\n");
    // Where there is no tunnel, a mark has no other place.
    let by_dscp = nodes.iter().any(|node| !node.routed.is_empty());
    for node in nodes {
        let socket = |path: &std::path::Path| scalar(&format!("unix:{}", path.display()));
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "- name: {}\n  openflow: {}\n  unixctl: {}\n  ovsdb: {}\n  bridge: {}\n  pipeline: antrea\n  tunnel: {}\n  gateway: {}",
            scalar(node.name.as_str()),
            socket(&node.openflow),
            socket(&node.unixctl),
            socket(&node.ovsdb),
            scalar(&node.bridge),
            node.tunnel,
            node.gateway,
        );
        if by_dscp {
            text.push_str("  carrier: dscp\n");
        }
        if !node.routed.is_empty() {
            let ranges = node.routed.iter().map(|range| scalar(&range.to_string()));
            list(&mut text, "routed", ranges);
        }
        list(
            &mut text,
            "pods",
            node.pods
                .iter()
                .map(|pod| format!("{{pod: {}, port: {}}}", scalar(&pod.pod.to_string()), pod.port)),
        );
        list(
            &mut text,
            "rules",
            node.rules.iter().map(|rule| {
                let name = rule.rule.as_ref().map(|name| format!(", rule: {}", scalar(name)));
                let policy = scalar(&rule.policy.to_string());
                format!("{{id: {}, policy: {policy}{}}}", rule.id, name.unwrap_or_default())
            }),
        );
    }
    text
}

fn list(text: &mut String, key: &str, items: impl Iterator<Item = String>) {
    let items = items.map(|item| format!("  - {item}\n")).collect::<String>();
    *text += &if items.is_empty() {
        format!("  {key}: []\n")
    } else {
        format!("  {key}:\n{items}")
    };
}

/// Plain where that can't be read as anything but this string; else quoted as JSON, which YAML reads too.
fn scalar(text: &str) -> String {
    let word = text.strip_prefix("unix:/").unwrap_or(text);
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && word
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "-./_".contains(one))
        && !NOT_STRINGS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// What YAML reads as something else, one version or the other.
const NOT_STRINGS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use traceflow_core::names::ObjectName;
    use traceflow_core::observation::PolicyRef;
    use traceflow_core::packet::MacAddress;

    use super::*;
    use crate::realisation::{PodPort, RuleId};

    fn node(name: &str) -> SwitchNode {
        SwitchNode {
            name: name.into(),
            openflow: "/tmp/a b/br-int.mgmt".into(),
            unixctl: "/tmp/0/vswitchd.ctl".into(),
            ovsdb: "/tmp/0/db.sock".into(),
            bridge: "br-int".to_owned(),
            tunnel: 1,
            gateway: 2,
            routed: vec!["10.244.0.0/16".parse().unwrap()],
            pods: vec![PodPort {
                pod: ObjectName::new("default", "pod1"),
                port: 3,
                mac: MacAddress([2, 0, 0, 0, 0, 3]),
                addresses: Vec::new(),
                listens: Vec::new(),
            }],
            rules: vec![RuleId {
                id: 2,
                policy: PolicyRef::kubernetes(ObjectName::new("default", "allow-web")),
                rule: Some("yes".to_owned()),
            }],
        }
    }

    #[test]
    fn every_reader_of_yaml_finds_what_was_written() {
        let hostile = "a: {b}\n- 'c\" #";
        let mut bare = node(hostile);
        (bare.routed, bare.pods, bare.rules) = (Vec::new(), Vec::new(), Vec::new());
        let read: Value = serde_saphyr::from_str(&write([&node("node-a"), &bare])).unwrap();
        assert_eq!(
            read,
            json!({"nodes": [
                {
                    "name": "node-a", "openflow": "unix:/tmp/a b/br-int.mgmt", "unixctl": "unix:/tmp/0/vswitchd.ctl",
                    "ovsdb": "unix:/tmp/0/db.sock", "bridge": "br-int", "pipeline": "antrea", "tunnel": 1, "gateway": 2, "carrier": "dscp",
                    "routed": ["10.244.0.0/16"], "pods": [{"pod": "default/pod1", "port": 3}],
                    "rules": [{"id": 2, "policy": "K8sNetworkPolicy:default/allow-web", "rule": "yes"}],
                },
                {
                    "name": hostile, "openflow": "unix:/tmp/a b/br-int.mgmt", "unixctl": "unix:/tmp/0/vswitchd.ctl",
                    "ovsdb": "unix:/tmp/0/db.sock", "bridge": "br-int", "pipeline": "antrea", "tunnel": 1, "gateway": 2, "carrier": "dscp",
                    "pods": [], "rules": [],
                },
            ]})
        );
    }
}
