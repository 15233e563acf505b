//! Every mistake that changes a packet's fate is found where the paths part, but for those that are known to be unseen.

use std::process::Command;

use agreement::mutation::{self, CATALOGUE, Row, UNSEEN};

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_that_changes_a_fate_is_found_at_its_node() {
    if Command::new("ovs-vswitchd").arg("--version").output().is_err() {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
        return;
    }
    let rows = mutation::run(|row| println!("{row}")).await.unwrap();
    assert_eq!(rows.len(), CATALOGUE.len());
    let text = |row: &Row| format!("{row}\n{}", row.wrong.join("\n"));
    let (unseen, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.unseen().is_some());
    let wrong: Vec<String> = others
        .iter()
        .filter(|row| !row.wrong.is_empty())
        .map(|row| text(row))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = others.iter().filter(|row| row.changed > 0).count();
    assert!(found >= 60, "only {found} mistakes change a fate and are found");
    // One that is seen now is to be taken off the list.
    let seen: Vec<String> = unseen
        .iter()
        .filter(|row| row.wrong.is_empty())
        .map(|row| text(row))
        .collect();
    assert_eq!(seen, [""; 0]);
    assert_eq!(unseen.len(), UNSEEN.len());
}
