//! A trace as people and programs read it.
//!
//! | for | call |
//! |---|---|
//! | a person at a terminal | [`table()`] |
//! | programs, and what reads Antrea's Traceflow resource | [`Traceflow`], as YAML or JSON as `kubectl` prints it |
//! | Graphviz | [`dot()`] |
//! | Markdown pages that draw Mermaid | [`mermaid()`] |
//! | a browser, a ticket, a slide | [`svg()`] |
//! | a line of your own | [`observation()`], [`packet()`] |
//!
//! All of them take text from outside (names, words of a datapath) as hostile: whatever is in it, the output stays
//! well formed and no control character reaches the terminal.
//!
//! ```
//! # use std::sync::Arc;
//! # use traceflow_core::plan::Plan;
//! # use traceflow_core::spec::CommandLine;
//! use traceflow_core::render::{self, Style};
//! use traceflow_core::trace::{Predictor, Trace};
//!
//! # let cluster = traceflow_sim::Cluster::builder().node("n1").pod("client", "n1").pod("web", "n1").yaml("{
//! #     apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed},
//! #     spec: {podSelector: {}, policyTypes: [Ingress]}}").build()?;
//! # let asked = CommandLine { source: Some("client"), destination: Some("web"), flow: Some("tcp,tcp_src=40000,tcp_dst=80"), ..Default::default() };
//! # let plan = Arc::new(Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?);
//! // `cluster` is a model of the network, `plan` what was asked.
//! let trace = Trace::predicted(plan.clone(), cluster.predict(&plan)?);
//! let table = render::table(&trace, Style::Plain);
//! assert!(table.contains("DROPPED on n1: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed"));
//! assert!(render::svg(&trace).starts_with("<svg "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod captured;
mod dot;
mod graph;
mod json;
mod mermaid;
mod receipt;
#[cfg(test)]
mod samples;
mod status;
mod svg;
mod table;
mod traceflow;
mod verdict;
mod wording;
mod yaml;

pub use captured::{
    Captured, CapturedIcmp, CapturedIpv4Header, CapturedIpv6Header, CapturedPorts, CapturedTcp, CapturedTransportHeader,
};
pub use dot::dot;
pub use mermaid::mermaid;
pub use receipt::{ChangeStatus, NodeReceiptStatus, ReceiptStatus};
pub use status::{ChoiceStatus, FindingStatus, NodeResult, ObservationStatus, Phase, Status};
pub use svg::svg;
pub use table::{Style, table};
pub use traceflow::{Traceflow, TraceflowList};
pub use verdict::{LastSeen, VerdictStatus};
pub use wording::{observation, packet};

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use expect_test::{ExpectFile, expect_file};

    use super::*;

    /// A macro, because the paths must be relative to this file.
    macro_rules! kept {
        ($name:literal) => {
            [
                ("txt", expect_file![concat!("snapshots/", $name, ".txt")]),
                ("yaml", expect_file![concat!("snapshots/", $name, ".yaml")]),
                ("json", expect_file![concat!("snapshots/", $name, ".json")]),
                ("dot", expect_file![concat!("snapshots/", $name, ".dot")]),
                ("mmd", expect_file![concat!("snapshots/", $name, ".mmd")]),
                ("svg", expect_file![concat!("snapshots/", $name, ".svg")]),
            ]
        };
    }

    #[test]
    fn the_demo_traces_are_rendered_as_kept() {
        let kept: [[(&str, ExpectFile); 6]; 6] = [
            kept!("tf-pod1-to-pod2"),
            kept!("tf-pod1-to-pod2-icmp"),
            kept!("tf-pod1-to-pod3"),
            kept!("tf-pod1-to-svc"),
            kept!("tf-pod1-to-pod3-tcp-live-traffic"),
            kept!("tf-pod1-to-pod3-icmp-live-traffic"),
        ];
        for ((name, trace), kept) in samples::demo().into_iter().zip(kept) {
            for (format, expected) in kept {
                expected.assert_eq(&rendered(name, &trace, format));
            }
        }
    }

    fn rendered(name: &str, trace: &crate::trace::Trace, format: &str) -> String {
        let metadata = serde_json::json!({"name": name});
        let spec = serde_json::json!({"source": {"namespace": "default", "pod": "pod1"}});
        let object = Traceflow::new(
            "crd.antrea.io/v1beta1",
            metadata,
            spec,
            SystemTime::UNIX_EPOCH,
            Ok(trace),
        );
        match format {
            "txt" => table(trace, Style::Plain),
            "yaml" => object.to_yaml(),
            "json" => object.to_json(),
            "dot" => dot(trace),
            "mmd" => mermaid(trace),
            "svg" => svg(trace),
            other => panic!("no format {other}"),
        }
    }
}
