//! What a NetworkPolicy may not say: `policy_errors.txt` holds one entry per kind of mistake.
//!
//! An entry is a line `# what is wrong`, the policy, and a line `! the message that it gets`.

use traceflow_core::input::{BadInput, Documents, Text};
use traceflow_core::names::ObjectName;
use traceflow_sim::policy::NetworkPolicy;

#[test]
fn every_mistake_is_told_with_its_place_and_what_would_be_right() {
    let wrong: Vec<String> = include_str!("policy_errors.txt")
        .split("\n\n")
        .filter_map(|entry| {
            let (mistake, rest) = entry.split_once('\n').expect("a policy under the mistake");
            let (policy, expected) = rest.split_once("\n! ").expect("a message under the policy");
            let message = match read(policy) {
                Ok(policy) => format!("accepted as {policy:?}"),
                Err(error) => error.to_string(),
            };
            (message != expected.trim_end()).then(|| format!("{mistake}\n! {message}\n"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn read(text: &str) -> Result<NetworkPolicy, BadInput> {
    let source = Text::new("p.yaml", text);
    let document = Documents::new(&source).next().expect("a document")?;
    NetworkPolicy::read(ObjectName::new("default", "p"), &document.root())
}
