//! JSON values as YAML, to the letter as `kubectl get -o yaml` writes them.
//!
//! `kubectl` prints through go-yaml 2, a port of libyaml's emitter; the rules here are its
//! `yaml_emitter_analyze_scalar`, `yaml_emitter_select_scalar_style` and `yaml_emitter_write_*_scalar`, as far as JSON
//! values meet them. Other emitters choose other quotes and don't fold long lines, so their output differs in a `diff`.

mod key;
mod resolve;
mod scalar;
mod style;

use serde_json::{Map, Value};

use self::key::sort_key;
use self::scalar::Writer;
use self::style::Style;

/// libyaml writes a longer key behind a `?`.
const MAX_SIMPLE_KEY: usize = 128;

/// `value` as one document, with a newline at the end.
pub(super) fn document(value: &Value) -> String {
    let mut writer = Writer::default();
    let (indent, context) = (0, Context::Top);
    writer.node(value, Place { indent, context });
    writer.line_break(0);
    writer.into_text()
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    /// The indent of the collection around it.
    indent: usize,
    context: Context,
}

#[derive(Clone, Copy, PartialEq)]
enum Context {
    /// The whole document.
    Top,
    /// Behind `key:`.
    Value,
    /// Behind `- ` or `? `: a collection begins on the same line.
    Inline,
}

impl Writer {
    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, place),
            Value::Array(items) if !items.is_empty() => self.sequence(items, place),
            Value::Object(_) => self.word("{}", place),
            Value::Array(_) => self.word("[]", place),
            Value::String(text) => self.string(text, place),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.word(&value.to_string(), place),
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, place: Place) {
        let indent = match place.context {
            Context::Top => 0,
            Context::Value | Context::Inline => place.indent + 2,
        };
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by_cached_key(|(key, _)| sort_key(key));
        for (i, (key, value)) in entries.into_iter().enumerate() {
            if i > 0 || place.context == Context::Value {
                self.line_break(indent);
            }
            self.entry(key, value, indent);
        }
    }

    fn entry(&mut self, key: &str, value: &Value, indent: usize) {
        if is_simple_key(key) {
            self.scalar(key, Style::of(key), None);
            self.push(':');
            let context = Context::Value;
            return self.node(value, Place { indent, context });
        }
        let context = Context::Inline;
        self.push('?');
        self.string(key, Place { indent, context });
        self.line_break(indent);
        self.push(':');
        if is_collection(value) {
            self.push(' ');
        }
        self.node(value, Place { indent, context });
    }

    /// Items of a list stand under their key, not to the right of it.
    fn sequence(&mut self, items: &[Value], place: Place) {
        let indent = match place.context {
            Context::Top | Context::Value => place.indent,
            Context::Inline => place.indent + 2,
        };
        for (i, item) in items.iter().enumerate() {
            if i > 0 || place.context == Context::Value {
                self.line_break(indent);
            }
            self.push('-');
            if is_collection(item) {
                self.push(' ');
            }
            self.node(
                item,
                Place {
                    indent,
                    context: Context::Inline,
                },
            );
        }
    }

    /// A scalar that needs no quotes and never folds.
    fn word(&mut self, word: &str, place: Place) {
        if place.context != Context::Top {
            self.push(' ');
        }
        self.push_str(word);
    }

    fn string(&mut self, text: &str, place: Place) {
        if place.context != Context::Top {
            self.push(' ');
        }
        self.scalar(text, Style::of(text), Some(place.indent + 2));
    }
}

fn is_simple_key(key: &str) -> bool {
    key.len() <= MAX_SIMPLE_KEY && !key.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

fn is_collection(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `kubectl.yaml` is what kubectl 1.32 printed for `kubectl.json`.
    #[test]
    fn values_are_printed_as_kubectl_prints_them() {
        let value: Value = serde_json::from_str(include_str!("../snapshots/kubectl.json")).unwrap();
        let expected = include_str!("../snapshots/kubectl.yaml");
        for (line, (ours, theirs)) in document(&value).lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, theirs, "line {}", line + 1);
        }
        assert_eq!(document(&value), expected);
    }

    #[test]
    fn numbers_in_keys_are_sorted_by_value() {
        let value = serde_json::json!({"port10": 1, "port9": 2, "port": 3, "port-1": 4, "Port": 5});
        assert_eq!(document(&value), "Port: 5\nport: 3\nport-1: 4\nport9: 2\nport10: 1\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn what_is_printed_reads_back_as_the_same_value(value in any_value()) {
            let text = document(&value);
            let read: Value = serde_saphyr::from_str(&text)
                .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(read, value, "{}", text);
        }

        #[test]
        fn strings_that_look_like_something_else_stay_strings(
            text in "[-+.0-9:_exobnaiftTZ ~yYnNulo<=#]{0,12}|[nN][uU][lL][lL]|[oO]([nN]|[fF][fF])|[tT][rR][uU][eE]"
        ) {
            let printed = document(&serde_json::json!({"key": text}));
            let read: Value = serde_saphyr::from_str(&printed).unwrap();
            prop_assert_eq!(&read["key"], &Value::String(text), "{}", printed);
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ -~\n]{0,200}",
            "( |\n|a|#|: |- |'|\"|\\\\|\t){0,20}",
            "([a-z]{1,12} ?[:#'\"]? ){0,30}",
        ];
        let leaf = prop_oneof![
            4 => text.clone().prop_map(Value::String),
            1 => any::<i64>().prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => Just(Value::Null),
        ];
        leaf.prop_recursive(4, 24, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
