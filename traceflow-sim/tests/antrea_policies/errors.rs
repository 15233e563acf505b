//! What Antrea's objects may not say: `errors.txt` holds one entry per kind of mistake.
//!
//! An entry is a line `# what is wrong`, the object, and a line `! the message that it gets`.

use traceflow_sim::Cluster;

#[test]
fn every_mistake_is_told_with_its_place_and_what_would_be_right() {
    let wrong: Vec<String> = include_str!("errors.txt")
        .split("\n\n")
        .filter_map(|entry| {
            let (mistake, rest) = entry.split_once('\n').expect("an object under the mistake");
            let (object, expected) = rest.split_once("\n! ").expect("a message under the object");
            let message = match Cluster::from_yaml(object) {
                Ok(_) => "accepted".to_owned(),
                Err(error) => error.to_string(),
            };
            (message != expected.trim_end()).then(|| format!("{mistake}\n! {message}\n"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
