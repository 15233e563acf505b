//! Every mistake that changes a packet's fate is found where the paths part.

use std::process::Command;

use agreement::mutation::{self, CATALOGUE, Row};

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_that_changes_a_fate_is_found_at_its_node() {
    if Command::new("ovs-vswitchd").arg("--version").output().is_err() {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
        return;
    }
    let rows = mutation::run(|row| println!("{row}")).await.unwrap();
    assert_eq!(rows.len(), CATALOGUE.len());
    let text = |row: &Row| format!("{row}\n{}", row.wrong.join("\n"));
    let wrong = rows.iter().filter(|row| !row.wrong.is_empty());
    let wrong: Vec<String> = wrong.map(text).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = rows.iter().filter(|row| row.changed > 0).count();
    assert!(found >= 60, "only {found} mistakes change a fate");
}
