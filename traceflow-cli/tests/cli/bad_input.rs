//! Bad input: exit status 2, what is wrong, where, and what would be right. Nothing is traced.

use crate::{Run, on_demo, traceflow, traceflow_reading};

fn manifest(text: &str) -> Run {
    traceflow_reading(text, &["run", "--cluster", "examples/demo", "-"])
}

fn first_line(run: &Run) -> &str {
    assert_eq!((run.exit, run.out.as_str()), (2, ""), "{}", run.err);
    run.err.lines().next().unwrap_or_default()
}

#[test]
fn an_empty_file_is_called_empty() {
    assert_eq!(
        first_line(&manifest("")),
        "error: standard input:1:1: the input is empty; it needs a Traceflow object"
    );
    assert!(first_line(&manifest("# only a remark\n---\n")).contains("empty"));
}

#[test]
fn a_mistake_is_shown_with_its_line_and_a_mark() {
    let run = manifest(
        "apiVersion: crd.antrea.io/v1beta1
kind: Traceflow
metadata:
  name: tf
spec:
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, pod: pod2}
  timeout: 900
",
    );
    expect_test::expect![[r#"
        error: standard input:8:3: spec.timeout: 900 is out of range; use 1 to 300
         --> standard input:8:3
          |
        8 |   timeout: 900
          |   ^^^^^^^
    "#]]
    .assert_eq(&run.err);
    assert_eq!((run.exit, run.out.as_str()), (2, ""));
}

/// The first of two documents is right, yet it must not be traced.
#[test]
fn all_documents_are_checked_before_any_is_traced() {
    let run = manifest(
        "apiVersion: crd.antrea.io/v1beta1
kind: Traceflow
metadata: {name: right}
spec:
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, pod: pod2}
---
apiVersion: crd.antrea.io/v1beta1
kind: Traceflow
metadata: {name: wrong}
spec:
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, pod: pod7}
",
    );
    assert_eq!(
        first_line(&run),
        "error: standard input:13:37: spec.destination.pod: Pod default/pod7 is not in the cluster; check its name and \
         namespace"
    );
    assert!(!run.err.contains("right"), "{}", run.err);
}

#[test]
fn an_argument_that_is_wrong_is_named() {
    for (args, expected) in [
        (
            &["-S", "pod9", "-D", "pod3"][..],
            "-S: Pod default/pod9 is not in the cluster",
        ),
        (
            &["-S", "pod1", "-D", "nobody"],
            "-D: Pod or Service default/nobody is not in the cluster",
        ),
        (&["-S", "pod1"], "-D"),
        (&["-D", "pod3"], "-S"),
        (&["-S", "pod1", "-D", "pod3", "--dropped-only"], "--dropped-only"),
        (&["-S", "pod1", "-D", "pod3", "-f", "tcp"], "-f"),
        (&["-S", "pod1", "-D", "pod3", "-f", "tcp,udp"], "-f:1:5"),
        (&["-S", "pod1", "-D", "pod3", "-f", "tcp,,tcp_dst=80"], "-f:1:5"),
        (&["-S", "172.16.5.11", "-D", "pod3"], "-S"),
        (&["-S", "pod1", "-D", "pod3", "-t", "301s"], "-t"),
        (&["-S", "pod1", "-D", "pod3", "-t", "soon"], "-t"),
        (&["-S", "pod1", "-D", "pod3", "-o", "pdf"], "pdf"),
        (&["-S", "pod1", "-D", "pod3", "--datapath", "ebpf"], "ebpf"),
        (&["-S", "pod1", "-D", "fd00::1"], "-D"),
    ] {
        let run = on_demo(&[&["trace"], args].concat());
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{args:?}: {}", run.err);
        assert!(
            run.err.contains(expected),
            "{args:?} does not name {expected}: {}",
            run.err
        );
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let run = traceflow(&["run", "--cluster", "examples/demo", "no-such-file.yaml"]);
    assert_eq!(
        first_line(&run),
        "error: can't read no-such-file.yaml: No such file or directory (os error 2)"
    );
    let run = traceflow(&[
        "run",
        "--cluster",
        "no-such-folder",
        "examples/demo/tf-pod1-to-pod2.yaml",
    ]);
    assert_eq!(
        first_line(&run),
        "error: can't read no-such-folder: No such file or directory (os error 2)"
    );
    let run = traceflow(&["run", "examples/demo/tf-pod1-to-pod2.yaml"]);
    assert_eq!(run.exit, 2);
    assert!(run.err.contains("--cluster <PATH>"), "{}", run.err);
}

#[test]
fn bytes_that_are_not_text_are_bad_input() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let file = folder.path().join("tf.yaml");
    std::fs::write(&file, b"kind: Trace\xffflow\n").expect("it can be written");
    let run = on_demo(&["run", file.to_str().expect("it is text")]);
    assert!(
        first_line(&run).ends_with("tf.yaml:1:12: these bytes are not text; use UTF-8"),
        "{}",
        run.err
    );
}

#[test]
fn words_about_real_switches_go_together() {
    let words = ["trace", "-S", "pod1", "-D", "pod3"];
    for (more, mistake) in [
        (
            &["--datapath", "ovs"][..],
            "--datapath ovs needs --nodes FILE, which says where the switches are",
        ),
        (
            &["--nodes", "nodes.yaml"],
            "--nodes is for real switches; add --datapath ovs, or drop it",
        ),
        (
            &["--instance", "3"],
            "--instance is for real switches; add --datapath ovs, or drop it",
        ),
        (
            &["--tables", "node-a"],
            "--tables asks real switches; add --datapath ovs and --nodes FILE, or drop it",
        ),
        (
            &["--datapath", "ovs", "--nodes", "n.yaml", "--send", "pod1->pod3 icmp"],
            "--send is for simulated workloads; with --datapath ovs let the real ones send once the trace is armed",
        ),
        (
            &["--datapath", "ovs", "--nodes", "n.yaml", "--predict"],
            "--predict asks the model and no switch; drop it, or drop --datapath ovs and --nodes",
        ),
        (
            &["--datapath", "ovs", "--nodes", "no-such.yaml"],
            "can't read no-such.yaml: No such file or directory (os error 2)",
        ),
    ] {
        let run = on_demo(&[&words, more].concat());
        assert_eq!(first_line(&run), format!("error: {mistake}"), "{more:?}");
    }
}

#[test]
fn a_nodes_file_that_contradicts_the_cluster_is_refused() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let file = folder.path().join("nodes.yaml");
    let path = file.to_str().expect("it is text");
    let first = "k8s2-md-0-647454fc57-9sf7n";
    let second = "k8s2-md-0-647454fc57-qpqbg";
    let refusal = |text: &str| {
        std::fs::write(&file, text).expect("it can be written");
        let run = on_demo(&[
            "trace",
            "-S",
            "pod1",
            "-D",
            "pod3",
            "--datapath",
            "ovs",
            "--nodes",
            path,
        ]);
        first_line(&run).to_owned()
    };
    assert_eq!(
        refusal("nodes: [{name: node-x, openflow: 'unix:/s'}]"),
        format!("error: {path}: node node-x is not in the cluster; its nodes are {first}, {second}")
    );
    assert_eq!(
        refusal(&format!(
            "nodes: [{{name: {first}, openflow: 'unix:/s', pods: [{{pod: default/web, port: 3}}]}}]"
        )),
        format!("error: {path}: Pod default/web of node {first} is not in the cluster; check its name and namespace")
    );
    assert_eq!(
        refusal(&format!(
            "nodes: [{{name: {first}, openflow: 'unix:/s', pods: [{{pod: default/pod3, port: 3}}]}}]"
        )),
        format!("error: {path}: Pod default/pod3 is said to be on node {first}, and in the cluster it is on {second}")
    );
    assert_eq!(
        refusal(&format!("nodes: [{{name: {first}, openflow: /s}}]")),
        format!("error: {path}:1:44: nodes[0].openflow: \"/s\" is not valid; use unix:PATH or tcp:HOST:PORT")
    );
    assert_eq!(
        refusal(&format!(
            "nodes: [{{name: {first}, openflow: 'unix:/s', pipeline: mine.yaml}}]"
        )),
        format!(
            "error: can't read {}/mine.yaml: No such file or directory (os error 2)",
            folder.path().display()
        )
    );
}
