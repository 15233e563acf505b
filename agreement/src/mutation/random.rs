//! Mistakes that nobody thought of: a random flow of a random node, changed at random.

use fastrand::Rng;
use testbed::realisation::{NodeRealisation, Program, TABLES};

/// A program with one mistake.
pub(super) struct Mistaken {
    pub(super) node: usize,
    pub(super) table: String,
    /// The flow, and what it has become.
    pub(super) what: String,
    pub(super) program: Program,
}

/// Tables through which no packet of ours goes.
const ARP: [&str; 2] = ["ARPSpoofGuard", "ARPResponder"];

/// One mistake in one flow.
pub(super) fn mistaken(nodes: &[NodeRealisation], random: &mut Rng) -> Mistaken {
    loop {
        let node = random.usize(..nodes.len());
        let program = &nodes[node].program;
        let lines: Vec<&str> = program.flows.lines().collect();
        let index = random.usize(..lines.len());
        let line = lines[index];
        let table = table(line);
        if ARP.contains(&table) {
            continue;
        }
        let Some(becomes) = changed(line, random).filter(|becomes| becomes.as_deref() != Some(line)) else {
            continue;
        };
        let shown = becomes.as_deref().unwrap_or("nothing");
        let what = format!("{} becomes {}", without_cookie(line), without_cookie(shown));
        let before = lines[..index].iter().copied();
        let all = before
            .chain(becomes.as_deref())
            .chain(lines[index + 1..].iter().copied());
        return Mistaken {
            node,
            table: table.to_owned(),
            what,
            program: Program {
                groups: program.groups.clone(),
                flows: all.map(|line| format!("{line}\n")).collect(),
            },
        };
    }
}

fn table(line: &str) -> &'static str {
    let number = line.split("table=").nth(1).and_then(|rest| rest.split(',').next());
    let number = number.and_then(|number| number.parse().ok());
    let known = TABLES.iter().find(|(_, other)| Some(*other) == number);
    known.map_or("", |(name, _)| name)
}

fn without_cookie(line: &str) -> &str {
    line.split_once(',').map_or(line, |(_, rest)| rest)
}

/// The inner `None` is a flow that is gone; the outer one a change that there is nothing to do for.
fn changed(line: &str, random: &mut Rng) -> Option<Option<String>> {
    let (head, actions) = line.split_once(" actions=")?;
    match random.u8(..10) {
        0..3 => Some(None),
        3..5 => Some(Some(format!("{head} actions=drop"))),
        5..7 => {
            let (before, after) = actions.split_once("goto_table:")?;
            let (_, number) = TABLES[random.usize(..TABLES.len())];
            let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            Some(Some(format!("{head} actions={before}goto_table:{number}{rest}")))
        }
        7..9 => Some(Some(format!("{head} actions={}", another_digit(actions, random)?))),
        _ => {
            // Cookie, table and priority stay.
            let cut = head.match_indices(',').nth(2).map(|(place, _)| place)?;
            let (own, matching) = head.split_at(cut);
            Some(Some(format!(
                "{own}{} actions={actions}",
                another_digit(matching, random)?
            )))
        }
    }
}

/// The text with another digit at one place.
fn another_digit(text: &str, random: &mut Rng) -> Option<String> {
    let digits: Vec<usize> = text
        .char_indices()
        .filter(|(_, one)| one.is_ascii_digit())
        .map(|(place, _)| place)
        .collect();
    let place = *digits.get(random.usize(..digits.len().max(1)))?;
    let digit = random.u8(0..10);
    Some(format!("{}{digit}{}", &text[..place], &text[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_gone_or_another() {
        let line = "cookie=0x1,table=3,priority=200,ip,nw_dst=10.0.0.1 actions=set_field:0x5->reg1,goto_table:9";
        let mut random = Rng::with_seed(5);
        let mut gone = 0;
        for becomes in (0..200).filter_map(|_| changed(line, &mut random)) {
            match becomes {
                None => gone += 1,
                Some(becomes) => assert!(becomes.starts_with("cookie=0x1,table=3,priority=200,ip"), "{becomes}"),
            }
        }
        assert!((30..90).contains(&gone), "{gone}");
    }
}
