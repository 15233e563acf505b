//! How answers are printed.

use serde_json::Value;

use crate::{on_demo, traceflow_reading};

const BOTH: [&str; 3] = [
    "run",
    "examples/demo/tf-pod1-to-pod2.yaml",
    "examples/demo/tf-pod1-to-pod2-icmp.yaml",
];

#[test]
fn several_traces_are_printed_as_a_list() {
    let run = on_demo(&[&BOTH[..], &["-o", "json"]].concat());
    let list: Value = serde_json::from_str(&run.out).expect("it prints JSON");
    assert_eq!(list["kind"], "List");
    let names: Vec<_> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["metadata"]["name"])
        .collect();
    assert_eq!(names, ["tf-pod1-to-pod2", "tf-pod1-to-pod2-icmp"]);
}

#[test]
fn several_documents_of_one_file_are_printed_as_a_list() {
    let text = ["pod2", "pod3"].map(|pod| {
        format!(
            "{{apiVersion: crd.antrea.io/v1beta1, kind: Traceflow, metadata: {{name: to-{pod}}}, spec: {{source: \
             {{namespace: default, pod: pod1}}, destination: {{namespace: default, pod: {pod}}}}}}}\n"
        )
    });
    let run = traceflow_reading(
        &text.join("---\n"),
        &["run", "--cluster", "examples/demo", "-", "-o", "yaml"],
    );
    assert_eq!(run.exit, 0, "{}", run.err);
    assert!(
        run.out
            .starts_with("apiVersion: v1\nitems:\n- apiVersion: crd.antrea.io/v1beta1\n"),
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("kind: List\nmetadata:\n  resourceVersion: \"\"\n"),
        "{}",
        run.out
    );
}

#[test]
fn an_explanation_stands_under_the_table_and_is_for_people() {
    let asked = ["trace", "-S", "pod1", "-D", "pod2", "-f", "icmp", "--explain"];
    let run = on_demo(&asked);
    let (_, explanation) = run.out.split_once("\nBlocked by policies").expect("it is explained");
    expect_test::expect![[r#"
        , in this order:
          1. on k8s2-md-0-647454fc57-9sf7n, policies of default/pod2 for what it receives:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1
             to let this packet through, and as little else as a rule can say:
               kubectl patch networkpolicies allow-ingress-from-pod1 -n default --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"role": "source"}}}]}}]'
             such a rule can't be about one protocol without ports: it opens all ports and protocols
             that also opens 1 pair to ICMP: default/pod1 -> default/pod3
        With that change the packet would be delivered on k8s2-md-0-647454fc57-9sf7n.
    "#]].assert_eq(explanation);
    let as_yaml = on_demo(&[&asked[..], &["-o", "yaml"]].concat());
    assert_eq!(as_yaml.exit, 2);
    assert!(
        as_yaml.err.contains("--explain is for people to read"),
        "{}",
        as_yaml.err
    );
}

#[test]
fn several_tables_stand_under_their_names() {
    let run = on_demo(&BOTH);
    let names: Vec<_> = run.out.lines().filter(|line| line.starts_with("# ")).collect();
    assert_eq!(names, ["# tf-pod1-to-pod2", "# tf-pod1-to-pod2-icmp"]);
}

#[test]
fn a_picture_shows_one_trace() {
    let run = on_demo(&[&BOTH[..], &["-o", "svg"]].concat());
    assert_eq!(run.exit, 2);
    assert!(run.err.contains("run them one by one"), "{}", run.err);
}

#[test]
fn every_format_shows_the_drop_and_its_rule() {
    for format in ["table", "yaml", "json", "dot", "mermaid", "svg"] {
        let run = on_demo(&["trace", "-S", "pod1", "-D", "pod3", "-o", format]);
        assert_eq!(run.exit, 0, "{format}: {}", run.err);
        for word in ["IngressDefaultRule", "Dropped", "allow-ingress-from-pod1"] {
            assert!(run.out.contains(word), "{format} lacks {word}: {}", run.out);
        }
    }
}

#[test]
fn colours_are_only_for_terminals_and_those_who_insist() {
    let words = ["trace", "-S", "pod1", "-D", "pod3"];
    assert!(!on_demo(&words).out.contains('\x1b'));
    let coloured = on_demo(&[&words[..], &["--color", "always"]].concat()).out;
    assert!(coloured.contains("\x1b["));
    let mut stripped = String::new();
    for (index, piece) in coloured.split("\x1b[").enumerate() {
        stripped.push_str(if index == 0 {
            piece
        } else {
            piece.split_once('m').expect("it is a colour").1
        });
    }
    assert_eq!(
        stripped,
        on_demo(&words).out,
        "colour carries nothing that the words don't"
    );
}

#[test]
fn a_prediction_says_that_nothing_was_sent() {
    let run = on_demo(&["trace", "-S", "pod1", "-D", "pod3", "--predict"]);
    assert_eq!((run.exit, run.err.as_str()), (0, ""));
    assert!(run.out.contains("predicted, nothing was sent"), "{}", run.out);
}

#[test]
fn a_pod_wins_over_a_service_of_its_name_and_the_answer_says_so() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: pod3, namespace: default}, spec: {clusterIP: \
                   172.30.0.7, ports: [{port: 80}], selector: {role: destination}}}";
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let file = folder.path().join("service.yaml");
    std::fs::write(&file, service).expect("it can be written");
    let run = on_demo(&[
        "trace",
        "-S",
        "pod1",
        "-D",
        "pod3",
        "--cluster",
        file.to_str().expect("it is text"),
    ]);
    assert!(
        run.out.contains("there is a Service of this name, too"),
        "{}{}",
        run.out,
        run.err
    );
}
