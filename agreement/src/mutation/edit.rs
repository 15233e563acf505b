//! A mistake in a node's program, as a change of its text.

use testbed::realisation::{Program, TABLES};

/// What is done to the flows or the group that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// They are missing.
    Delete,
    /// They drop what they match.
    Drop,
    /// They have this priority.
    Priority(u16),
    /// The first text reads as the second.
    Replace(&'static str, &'static str),
    /// A flow stands there too that nobody asked for: match and actions, in ovs-ofctl's syntax.
    Add(&'static str),
}

/// The program with a mistake in every flow of the table that contains all these words; `None` if none does.
///
/// The table `group` has the groups.
pub fn mistaken(program: &Program, table: &str, words: &[&str], edit: Edit) -> Option<Program> {
    if table == "group" {
        let groups = edited(&program.groups, |line| has(line, words), edit)?;
        return Some(Program {
            groups,
            flows: program.flows.clone(),
        });
    }
    let (_, number) = TABLES.iter().find(|(name, _)| *name == table)?;
    if let Edit::Add(flow) = edit {
        return Some(Program {
            groups: program.groups.clone(),
            flows: format!("{}table={number},{flow}\n", program.flows),
        });
    }
    let prefix = format!("table={number},");
    let is_meant = |line: &str| line.contains(&prefix) && has(line, words);
    let flows = edited(&program.flows, is_meant, edit)?;
    Some(Program {
        groups: program.groups.clone(),
        flows,
    })
}

fn has(line: &str, words: &[&str]) -> bool {
    words.iter().all(|word| line.contains(word))
}

fn edited(text: &str, is_meant: impl Fn(&str) -> bool, edit: Edit) -> Option<String> {
    let lines = text.lines().filter_map(|line| match is_meant(line) {
        true => changed(line, edit),
        false => Some(line.to_owned()),
    });
    let edited: String = lines.map(|line| line + "\n").collect();
    (edited != text).then_some(edited)
}

fn changed(line: &str, edit: Edit) -> Option<String> {
    let (head, actions) = line.split_once(" actions=").unwrap_or((line, ""));
    match edit {
        Edit::Delete => None,
        Edit::Drop => Some(format!("{head} actions=drop")),
        Edit::Priority(priority) => {
            let words = head.split(',').map(|word| match word.starts_with("priority=") {
                true => format!("priority={priority}"),
                false => word.to_owned(),
            });
            let head: Vec<String> = words.collect();
            Some(format!("{} actions={actions}", head.join(",")))
        }
        Edit::Replace(from, to) => Some(line.replace(from, to)),
        Edit::Add(_) => Some(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_in_the_flows_that_are_meant_alone() {
        let program = Program {
            groups: "group_id=1,type=select,bucket=actions=drop\n".to_owned(),
            flows: "table=0,priority=5,ip actions=drop\ntable=30,priority=5,ip actions=goto_table:31\n".to_owned(),
        };
        let flows = |words: &[&str], edit| mistaken(&program, "ConntrackCommit", words, edit).map(|after| after.flows);
        let first = "table=0,priority=5,ip actions=drop\n";
        assert_eq!(flows(&["ip"], Edit::Delete).unwrap(), first);
        assert_eq!(
            flows(&["ip"], Edit::Priority(7)).unwrap(),
            format!("{first}table=30,priority=7,ip actions=goto_table:31\n")
        );
        assert_eq!(
            flows(&["ip"], Edit::Drop).unwrap(),
            format!("{first}table=30,priority=5,ip actions=drop\n")
        );
        assert_eq!(flows(&["tcp"], Edit::Delete), None);
        let added = flows(&[], Edit::Add("priority=9,tcp actions=drop")).unwrap();
        assert!(added.ends_with("table=30,priority=9,tcp actions=drop\n"));
        let group = mistaken(&program, "group", &["group_id=1,"], Edit::Replace("select", "all")).unwrap();
        assert_eq!(group.groups, "group_id=1,type=all,bucket=actions=drop\n");
    }
}
