//! The data files: what an Antrea switch holds, in the form that `network.txt` explains.

use std::fs;

use testbed::realisation::Program;

/// The ports of the document, under the numbers that its flows imply.
pub(crate) const PORTS: [(&str, u32); 12] = [
    ("tunnel", 1),
    ("gateway", 2),
    ("api", 0x07),
    ("tc-target", 0x22),
    ("tc-return", 0x23),
    ("client", 0x24),
    ("web", 0x25),
    ("db", 0x26),
    ("tc-mirror", 0x27),
    ("l7-target", 0x28),
    ("l7-return", 0x29),
    ("stranger", 0x2a),
];

/// What these files hold, all together.
pub(crate) fn program(files: &[&str]) -> Program {
    let mut program = Program::default();
    for file in files {
        let path = format!("tests/documented/{file}.txt");
        read(&fs::read_to_string(path).unwrap(), &mut program);
    }
    program
}

fn read(text: &str, program: &mut Program) {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut heading = "";
    let mut group = String::new();
    for line in lines.chain([""]) {
        let Some(entry) = line.strip_prefix("  ") else {
            if !group.is_empty() {
                program.groups += &format!("{group}\n");
                group.clear();
            }
            heading = line;
            if let Some(words) = line.strip_prefix("group ") {
                let (number, kind) = words.split_once(' ').unwrap_or((words, "select"));
                group = format!("group_id={number},type={kind}");
            }
            continue;
        };
        if group.is_empty() {
            program.flows += &flow(heading, entry);
        } else {
            let bucket = group.matches("bucket=").count();
            let weight = if group.ends_with("all") || group.contains("type=all,") {
                ""
            } else {
                "weight:100,"
            };
            group += &format!(",bucket=bucket_id:{bucket},{weight}actions={entry}");
        }
    }
}

fn flow(table: &str, entry: &str) -> String {
    let (condition, actions) = entry.split_once(" => ").unwrap();
    let (priority, matching) = condition.split_once(' ').unwrap();
    let matching = if matching == "-" { "" } else { matching };
    let mut line = format!("table={table},priority={priority},{matching} actions={actions}\n");
    for (name, number) in PORTS {
        line = line.replace(&format!("@{name}"), &number.to_string());
    }
    line
}
