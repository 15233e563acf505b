//! The Traceflow object, as YAML and JSON as `kubectl` prints it.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use super::status::Status;
use super::yaml;
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
        kubectl_json(&to_value(self))
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
        kubectl_json(&self.to_value())
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

/// Four spaces of indent, keys sorted, and `<`, `>`, `&` escaped as Go's encoder does.
fn kubectl_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    sorted(value)
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .expect("a JSON value can be written to memory");
    let mut text = String::new();
    for character in String::from_utf8_lossy(&bytes).chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => text.push(other),
        }
    }
    text.push('\n');
    text
}

/// The same value with the keys of every map in order, whatever order `serde_json` was built to keep.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        scalar => scalar.clone(),
    }
}
