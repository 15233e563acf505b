//! What a switch is told, as one bundle that it takes whole or not at all.

use std::collections::BTreeMap;

use crate::realisation::Program;

/// The lines for `ovs-ofctl bundle` that make everything anew.
pub(crate) fn replace_all(program: &Program) -> String {
    let mut bundle = String::from("flow delete\ngroup delete\n");
    add(&mut bundle, "group add", lines(&program.groups));
    add(&mut bundle, "flow add", lines(&program.flows));
    bundle
}

/// The lines for `ovs-ofctl bundle` that lead from one program to another; what is in both isn't touched.
pub(crate) fn difference(old: &Program, new: &Program) -> String {
    let (old_flows, new_flows) = (by_key(&old.flows, flow_key), by_key(&new.flows, flow_key));
    let (old_groups, new_groups) = (by_key(&old.groups, group_key), by_key(&new.groups, group_key));
    let mut bundle = String::new();
    // A group takes the flows that use it with it, so its end comes last and its beginning before them.
    add(&mut bundle, "flow delete_strict", only_in(&old_flows, &new_flows));
    add(
        &mut bundle,
        "group add",
        new_groups
            .iter()
            .filter(|(key, _)| !old_groups.contains_key(*key))
            .map(|(_, line)| *line),
    );
    add(
        &mut bundle,
        "group modify",
        new_groups
            .iter()
            .filter(|(key, line)| old_groups.get(*key).is_some_and(|old| old != *line))
            .map(|(_, line)| *line),
    );
    // An added flow takes the place of one with the same table, priority and match.
    add(
        &mut bundle,
        "flow add",
        new_flows
            .iter()
            .filter(|(key, line)| old_flows.get(*key) != Some(*line))
            .map(|(_, line)| *line),
    );
    add(&mut bundle, "group delete", only_in(&old_groups, &new_groups));
    bundle
}

fn add<'a>(bundle: &mut String, order: &str, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        bundle.push_str(order);
        bundle.push(' ');
        bundle.push_str(line);
        bundle.push('\n');
    }
}

/// Lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Of lines with one key the last counts, as it does for the switch.
fn by_key(text: &str, key: impl Fn(&str) -> String) -> BTreeMap<String, &str> {
    lines(text).map(|line| (key(line), line)).collect()
}

fn only_in<'a>(one: &'a BTreeMap<String, &str>, other: &BTreeMap<String, &str>) -> impl Iterator<Item = &'a str> {
    let other = other.keys().cloned().collect::<std::collections::BTreeSet<_>>();
    one.keys().filter(move |key| !other.contains(*key)).map(String::as_str)
}

/// What identifies a flow: table, priority and match, as `delete_strict` reads them.
fn flow_key(line: &str) -> String {
    let line = line.find("actions=").map_or(line, |actions| &line[..actions]);
    let words = line.split([',', ' ', '\t']).filter(|word| {
        let name = word.split('=').next().unwrap_or_default();
        !word.is_empty() && !BESIDES_MATCH.contains(&name)
    });
    words.collect::<Vec<_>>().join(",")
}

fn group_key(line: &str) -> String {
    let words = line.split([',', ' ', '\t']);
    words.filter(|word| word.starts_with("group_id=")).collect()
}

/// What stands in a flow before its actions and isn't part of what identifies it.
const BESIDES_MATCH: [&str; 9] = [
    "cookie",
    "idle_timeout",
    "hard_timeout",
    "importance",
    "send_flow_rem",
    "check_overlap",
    "reset_counts",
    "no_packet_counts",
    "no_byte_counts",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn program(groups: &str, flows: &str) -> Program {
        Program {
            groups: groups.to_owned(),
            flows: flows.to_owned(),
        }
    }

    #[test]
    fn a_bundle_holds_only_what_changes_in_an_order_that_the_switch_can_follow() {
        let old = program(
            "group_id=1,type=select,bucket=actions=drop\ngroup_id=2,type=all\n",
            "cookie=0x1,table=0,priority=5,ip actions=group:2\n# a comment\n\ntable=1,priority=0 actions=drop\ntable=2 actions=drop",
        );
        let new = program(
            "group_id=1,type=select,bucket=actions=output:1\ngroup_id=3,type=all\n",
            "table=1,priority=0 actions=drop\ncookie=0x2,table=2 actions=drop\ntable=3,tcp,tp_dst=80 actions=group:3",
        );
        assert_eq!(
            difference(&old, &new),
            "flow delete_strict table=0,priority=5,ip\n\
             group add group_id=3,type=all\n\
             group modify group_id=1,type=select,bucket=actions=output:1\n\
             flow add cookie=0x2,table=2 actions=drop\n\
             flow add table=3,tcp,tp_dst=80 actions=group:3\n\
             group delete group_id=2\n"
        );
        assert_eq!(difference(&new, &new), "");
    }

    #[test]
    fn everything_anew_deletes_first() {
        let new = program("group_id=1,type=all\n", "table=0 actions=group:1\n");
        assert_eq!(
            replace_all(&new),
            "flow delete\ngroup delete\ngroup add group_id=1,type=all\nflow add table=0 actions=group:1\n"
        );
    }
}
