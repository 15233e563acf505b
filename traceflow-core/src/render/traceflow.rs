//! The Traceflow object, as YAML and JSON as `kubectl` prints it.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;

use super::status::Status;
use super::{json, yaml};
use crate::error::Error;
use crate::trace::Trace;

/// A Traceflow object with its status.
///
/// ```
/// use std::time::SystemTime;
///
/// use serde_json::json;
/// use traceflow_core::Error;
/// use traceflow_core::render::Traceflow;
///
/// let answer = Err(&Error::Closed);
/// let spec = json!({"source": {"namespace": "default", "pod": "pod1"}});
/// let object = Traceflow::new("crd.antrea.io/v1beta1", json!({"name": "tf"}), spec, SystemTime::UNIX_EPOCH, answer);
/// assert_eq!(
///     object.to_yaml(),
///     "\
/// apiVersion: crd.antrea.io/v1beta1
/// kind: Traceflow
/// metadata:
///   name: tf
/// spec:
///   source:
///     namespace: default
///     pod: pod1
/// status:
///   phase: Failed
///   reason: the tracer was closed
///   startTime: \"1970-01-01T00:00:00Z\"
/// "
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traceflow {
    /// The version of the resource that the spec was written in.
    pub api_version: String,
    /// Always `Traceflow`.
    pub kind: &'static str,
    /// `metadata`, as it was given.
    pub metadata: Value,
    /// `spec`, as it was given.
    pub spec: Value,
    /// What came out.
    pub status: Status,
}

impl Traceflow {
    /// The object of a trace that began at `started` and ended with `answer`.
    pub fn new(
        api_version: impl Into<String>,
        metadata: Value,
        spec: Value,
        started: SystemTime,
        answer: Result<&Trace, &Error>,
    ) -> Self {
        Self {
            api_version: api_version.into(),
            kind: "Traceflow",
            metadata,
            spec,
            status: Status::new(started, answer),
        }
    }

    /// The object as `kubectl get -o yaml` prints it, with a newline at the end.
    pub fn to_yaml(&self) -> String {
        yaml::document(&to_value(self))
    }

    /// The object as `kubectl get -o json` prints it, with a newline at the end.
    pub fn to_json(&self) -> String {
        json::document(&to_value(self))
    }
}

/// Several Traceflow objects: `kind: List`, as `kubectl get` prints more than one.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceflowList(pub Vec<Traceflow>);

impl TraceflowList {
    /// The list as `kubectl get -o yaml` prints it, with a newline at the end.
    pub fn to_yaml(&self) -> String {
        yaml::document(&self.to_value())
    }

    /// The list as `kubectl get -o json` prints it, with a newline at the end.
    pub fn to_json(&self) -> String {
        json::document(&self.to_value())
    }

    fn to_value(&self) -> Value {
        serde_json::json!({
            "apiVersion": "v1",
            "items": self.0.iter().map(to_value).collect::<Vec<_>>(),
            "kind": "List",
            "metadata": {"resourceVersion": ""},
        })
    }
}

fn to_value(object: &Traceflow) -> Value {
    serde_json::to_value(object).expect("an object of strings, numbers and JSON values is a JSON value")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    /// Each file is the object as the demo document shows it, printed by `kubectl get tf -o yaml`.
    const DEMO_DOCUMENT: [&str; 6] = [
        include_str!("snapshots/demo-document/tf-pod1-to-pod2.yaml"),
        include_str!("snapshots/demo-document/tf-pod1-to-pod2-icmp.yaml"),
        include_str!("snapshots/demo-document/tf-pod1-to-pod3.yaml"),
        include_str!("snapshots/demo-document/tf-pod1-to-svc.yaml"),
        include_str!("snapshots/demo-document/tf-pod1-to-pod3-tcp-live-traffic.yaml"),
        include_str!("snapshots/demo-document/tf-pod1-to-pod3-icmp-live-traffic.yaml"),
    ];

    #[test]
    fn without_our_own_fields_the_demo_objects_are_those_of_the_demo_document() {
        for ((name, trace), printed) in samples::demo().into_iter().zip(DEMO_DOCUMENT) {
            let given: Value = serde_saphyr::from_str(printed).unwrap();
            let (metadata, spec) = (given["metadata"].clone(), given["spec"].clone());
            assert_eq!(metadata["name"], name);
            let object = Traceflow::new(
                "crd.antrea.io/v1alpha1",
                metadata,
                spec,
                SystemTime::UNIX_EPOCH,
                Ok(&trace),
            );
            let mut value = to_value(&object);
            remove_our_own_fields(&mut value["status"]);
            assert_eq!(yaml::document(&value), printed, "{name}");
        }
    }

    /// The document is older than `startTime`.
    fn remove_our_own_fields(status: &mut Value) {
        let status = status.as_object_mut().unwrap();
        for own in [
            "mode",
            "verdict",
            "unseen",
            "finding",
            "attempts",
            "choices",
            "receipt",
            "notes",
            "startTime",
        ] {
            status.remove(own);
        }
        for result in status["results"].as_array_mut().unwrap() {
            for observation in result["observations"].as_array_mut().unwrap() {
                observation.as_object_mut().unwrap().remove("reason");
            }
        }
    }

    #[test]
    fn several_objects_are_a_list() {
        let object = |name: &str| {
            let metadata = serde_json::json!({"name": name});
            let spec = serde_json::json!({"timeout": 20});
            let answer = Err(&Error::Busy { position: 3 });
            Traceflow::new("crd.antrea.io/v1beta1", metadata, spec, SystemTime::UNIX_EPOCH, answer)
        };
        let list = TraceflowList(vec![object("a"), object("b")]);
        expect_test::expect![[r#"
            apiVersion: v1
            items:
            - apiVersion: crd.antrea.io/v1beta1
              kind: Traceflow
              metadata:
                name: a
              spec:
                timeout: 20
              status:
                phase: Failed
                reason: 'busy: 3rd in the queue when the time was over'
                startTime: "1970-01-01T00:00:00Z"
            - apiVersion: crd.antrea.io/v1beta1
              kind: Traceflow
              metadata:
                name: b
              spec:
                timeout: 20
              status:
                phase: Failed
                reason: 'busy: 3rd in the queue when the time was over'
                startTime: "1970-01-01T00:00:00Z"
            kind: List
            metadata:
              resourceVersion: ""
        "#]]
        .assert_eq(&list.to_yaml());
        let read: Value = serde_json::from_str(&list.to_json()).unwrap();
        assert_eq!(read, list.to_value());
    }
}
