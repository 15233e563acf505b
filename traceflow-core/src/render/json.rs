//! JSON to the letter as `kubectl get -o json` prints it.

use serde::Serialize;
use serde_json::{Map, Value};

/// `value` with four spaces of indent, keys sorted, and `<`, `>`, `&` escaped as Go's encoder does.
pub(super) fn document(value: &Value) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `kubectl.json` is what kubectl 1.32 printed.
    #[test]
    fn json_is_printed_as_kubectl_prints_it() {
        let printed = include_str!("snapshots/kubectl.json");
        let value: Value = serde_json::from_str(printed).unwrap();
        assert_eq!(document(&value), printed);
    }
}
