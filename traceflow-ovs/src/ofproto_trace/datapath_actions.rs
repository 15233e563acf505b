//! What a list of datapath actions comes to.

/// What becomes of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is sent to some port.
    Sends,
    /// It is sent nowhere; controllers may be told.
    Keeps,
    /// There is something in the list that we don't know.
    Unknown,
}

/// The effect of a list such as `set(ipv4(ttl=63)),ct(commit),recirc(0x2),pod2`.
pub(super) fn effect(list: &str) -> Effect {
    effect_within(list, DEEPEST)
}

fn effect_within(list: &str, depth: usize) -> Effect {
    let effects = split(list).map(|action| effect_of(action, depth));
    effects
        .max_by_key(|effect| match effect {
            Effect::Keeps => 0,
            Effect::Unknown => 1,
            Effect::Sends => 2,
        })
        .unwrap_or(Effect::Unknown)
}

fn effect_of(action: &str, depth: usize) -> Effect {
    let (name, arguments) = action.split_once('(').unwrap_or((action, ""));
    match name {
        "" => Effect::Unknown,
        "userspace" if arguments.contains("slow_path") => Effect::Unknown,
        _ if KEEPING.contains(&name) => Effect::Keeps,
        "clone" if depth > 0 => effect_within(arguments.strip_suffix(')').unwrap_or(arguments), depth - 1),
        // The outer packet leaves by the port that is named in it or behind it.
        "tnl_push" | "lb_output" => Effect::Sends,
        _ if action.contains('(') => Effect::Unknown,
        // A port, by name or number.
        _ => Effect::Sends,
    }
}

/// The recirculations in a list, as `0x2`.
pub(super) fn recirculations(list: &str) -> impl Iterator<Item = &str> {
    // It may stand within other actions, such as check_pkt_len.
    list.split("recirc(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(id, _)| id)
}

/// At commas outside of brackets.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    list.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
}

/// Actions that send the packet nowhere by themselves.
const KEEPING: &[&str] = &[
    "drop",
    "userspace",
    "set",
    "ct",
    "ct_clear",
    "hash",
    "recirc",
    "meter",
    "sample",
    "trunc",
    "dec_ttl",
    "push_vlan",
    "pop_vlan",
    "push_mpls",
    "pop_mpls",
    "add_mpls",
    "push_eth",
    "pop_eth",
    "push_nsh",
    "pop_nsh",
];

/// Clones within clones.
const DEEPEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_or_a_tunnel_sends() {
        for list in [
            "pod2",
            "3",
            "ct_clear,br-t,t2",
            "set(eth(src=02:00:00:00:00:01)),7",
            "clone(drop,clone(tnl_push(a,b)))",
        ] {
            assert_eq!(effect(list), Effect::Sends, "{list}");
        }
    }

    #[test]
    fn a_drop_or_a_punt_keeps() {
        for list in [
            "drop",
            "ct(commit,zone=1),recirc(0x2)",
            "userspace(pid=0,controller(reason=1,max_len=128))",
            "clone(drop)",
        ] {
            assert_eq!(effect(list), Effect::Keeps, "{list}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let deep = format!("{}1{}", "clone(".repeat(1000), ")".repeat(1000));
        for list in [
            "",
            "drop,,drop",
            "check_pkt_len(size=1,gt(1),le(drop))",
            "userspace(pid=0,slow_path(match))",
            &deep,
        ] {
            assert_eq!(effect(list), Effect::Unknown, "{list}");
        }
    }

    #[test]
    fn recirculations_are_found_anywhere() {
        let list = "check_pkt_len(size=1,gt(recirc(0x1)),le(recirc(0x2))),recirc(0x3),recirc(";
        assert_eq!(recirculations(list).collect::<Vec<_>>(), ["0x1", "0x2", "0x3"]);
    }
}
