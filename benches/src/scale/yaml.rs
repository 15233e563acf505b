//! JSON values as `kubectl` would print them in YAML.

use serde_json::Value;

/// A document of its own.
pub(super) fn write(text: &mut String, value: &Value) {
    text.push_str("---");
    entries(text, value, 0);
    text.push('\n');
}

/// What follows a key or a dash.
fn entries(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                indent(text, depth);
                scalar(text, key);
                text.push(':');
                entries(text, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(text, depth - 1);
                text.push('-');
                entries(text, item, depth);
            }
        }
        Value::String(word) => {
            text.push(' ');
            scalar(text, word);
        }
        other => {
            text.push(' ');
            text.push_str(&other.to_string());
        }
    }
}

/// A mapping in a list begins on the dash's own line.
fn indent(text: &mut String, depth: usize) {
    if text.ends_with('-') && !text.ends_with("---") {
        text.push(' ');
    } else {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    }
}

/// Plain where nobody can take it for anything but a string.
fn scalar(text: &mut String, word: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/');
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(plain);
    if is_word
        && !matches!(
            word,
            "True" | "False" | "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        )
    {
        text.push_str(word);
    } else {
        text.push_str(&Value::from(word).to_string());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use traceflow_core::input::{Documents, Text};

    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let value = json!({
            "a": {"b": [{"c": "d", "e": [1, 2]}, {"f": "True"}], "g": {}},
            "10.0.0.1": "10.0.0.1", "list": [["x"], "y"], "none": []
        });
        let mut text = String::new();
        write(&mut text, &value);
        write(&mut text, &value);
        let text = Text::new("yaml", text);
        let read: Vec<Value> = Documents::new(&text)
            .map(|document| document.unwrap().root().node().into())
            .collect();
        assert_eq!(read, [value.clone(), value]);
    }
}
