//! The six results of the demo, field by field.

use serde_json::Value;

use crate::on_demo;

/// Each manifest, what the workloads send, and the parts of its status that are known beforehand.
const RESULTS: &[(&str, &[&str], &[&str])] = &[
    (
        "tf-pod1-to-pod2",
        &[],
        &["
phase: Succeeded
results:
- node: k8s2-md-0-647454fc57-9sf7n
  observations:
  - {action: Forwarded, component: SpoofGuard}
  - action: Forwarded
    component: NetworkPolicy
    componentInfo: EgressRule
    networkPolicy: K8sNetworkPolicy:default/allow-egress-to-pod2
  - action: Forwarded
    component: NetworkPolicy
    componentInfo: IngressRule
    networkPolicy: K8sNetworkPolicy:default/allow-ingress-from-pod1
  - {action: Delivered, component: Forwarding, componentInfo: Output}
"],
    ),
    (
        "tf-pod1-to-pod2-icmp",
        &[],
        &["
phase: Succeeded
results:
- node: k8s2-md-0-647454fc57-9sf7n
  observations:
  - {action: Forwarded, component: SpoofGuard}
  - action: Forwarded
    component: NetworkPolicy
    componentInfo: EgressRule
    networkPolicy: K8sNetworkPolicy:default/allow-egress-to-pod2
  - {action: Dropped, component: NetworkPolicy, componentInfo: IngressDefaultRule}
"],
    ),
    ("tf-pod1-to-pod3", &[], &[ACROSS_NODES]),
    (
        "tf-pod1-to-pod3-tcp-live-traffic",
        &["--send", "pod1->pod3 tcp,tcp_dst=80"],
        &[
            "
capturedPacket:
  dstIP: 172.16.3.8
  ipHeader: {flags: 2, protocol: 6, ttl: 63}
  length: 60
  srcIP: 172.16.5.11
  transportHeader:
    tcp: {dstPort: 80, flags: 2}
",
            ACROSS_NODES,
        ],
    ),
    (
        "tf-pod1-to-pod3-icmp-live-traffic",
        &["--send", "pod1->pod3 icmp"],
        &["
phase: Succeeded
capturedPacket:
  dstIP: 172.16.3.8
  ipHeader: {flags: 2, protocol: 1, ttl: 62}
  length: 84
  srcIP: 172.16.5.11
  transportHeader: {}
results:
- node: k8s2-md-0-647454fc57-qpqbg
  observations:
  - {action: Received, component: Forwarding, componentInfo: Classification}
  - {action: Dropped, component: NetworkPolicy, componentInfo: IngressDefaultRule}
"],
    ),
];

const ACROSS_NODES: &str = "
phase: Succeeded
results:
- node: k8s2-md-0-647454fc57-9sf7n
  observations:
  - {action: Forwarded, component: SpoofGuard}
  - action: Forwarded
    component: NetworkPolicy
    componentInfo: EgressRule
    networkPolicy: K8sNetworkPolicy:default/allow-egress-to-pod2
  - {action: Forwarded, component: Forwarding, componentInfo: Output, tunnelDstIP: 192.168.11.112}
- node: k8s2-md-0-647454fc57-qpqbg
  observations:
  - {action: Received, component: Forwarding, componentInfo: Classification}
  - action: Forwarded
    component: NetworkPolicy
    componentInfo: IngressRule
    networkPolicy: K8sNetworkPolicy:default/allow-ingress-from-pod1
  - {action: Delivered, component: Forwarding, componentInfo: Output}
";

#[test]
fn the_demo_prints_the_results_that_its_document_shows() {
    for (name, send, expected) in RESULTS {
        let expected: Value = serde_saphyr::from_str(&expected.concat()).expect(name);
        let status = status(name, send);
        assert_eq!(
            differences("status", &expected, &status),
            [""; 0],
            "{name} printed {status:#}"
        );
    }
}

/// Which endpoint it is depends on the source port; each shows its own path, and says which it is.
#[test]
fn a_trace_to_the_service_shows_the_endpoint_that_was_chosen() {
    let mut endpoints = std::collections::BTreeSet::new();
    for seed in 0..16 {
        let seed = seed.to_string();
        let run = crate::traceflow(&[
            "run",
            "examples/demo/tf-pod1-to-svc.yaml",
            "--cluster",
            "examples/demo",
            "-ojson",
            "--seed",
            &seed,
        ]);
        let object: Value = serde_json::from_str(&run.out).expect("it prints JSON");
        let hops = object["status"]["results"].as_array().expect("there are results");
        let balanced = &hops[0]["observations"][1];
        assert_eq!(
            (&balanced["component"], &balanced["action"]),
            (&"LB".into(), &"Forwarded".into())
        );
        let (address, nodes) = match balanced["pod"].as_str().expect("the endpoint is a Pod") {
            "default/pod2" => ("172.16.5.12", 1),
            "default/pod3" => ("172.16.3.8", 2),
            other => panic!("{other} is no endpoint"),
        };
        assert_eq!(
            (balanced["translatedDstIP"].as_str(), hops.len()),
            (Some(address), nodes)
        );
        endpoints.insert(address);
    }
    assert_eq!(endpoints.len(), 2, "16 source ports reach both endpoints");
}

#[test]
fn the_same_seed_prints_the_same_answer() {
    let answer = || {
        let mut status = status("tf-pod1-to-svc", &[]);
        status["startTime"] = Value::Null;
        for hop in status["results"].as_array_mut().expect("there are results") {
            hop["timestamp"] = Value::Null;
        }
        status
    };
    assert_eq!(answer(), answer());
}

fn status(name: &str, send: &[&str]) -> Value {
    let file = format!("examples/demo/{name}.yaml");
    let run = on_demo(&[&["run", &file, "-o", "json"], send].concat());
    assert_eq!(run.exit, 0, "{name}: {}", run.err);
    let mut object: Value = serde_json::from_str(&run.out).expect("it prints JSON");
    object["status"].take()
}

/// Where `actual` is not `expected`. Lists must be equal in length and order; objects may have further fields.
fn differences(path: &str, expected: &Value, actual: &Value) -> Vec<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected
            .iter()
            .flat_map(|(key, value)| {
                differences(&format!("{path}.{key}"), value, actual.get(key).unwrap_or(&Value::Null))
            })
            .collect(),
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => expected
            .iter()
            .zip(actual)
            .enumerate()
            .flat_map(|(index, (expected, actual))| differences(&format!("{path}[{index}]"), expected, actual))
            .collect(),
        _ if expected == actual => Vec::new(),
        _ => vec![format!("{path}: expected {expected}, printed {actual}")],
    }
}
