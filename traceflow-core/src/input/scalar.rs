//! The type of a plain scalar, as kubectl's YAML reader (YAML 1.1 without sexagesimal numbers) decides it.

use super::node::Value;

/// The value of a scalar that stands without quotes.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        text => number(text).unwrap_or_else(|| Value::String(text.into())),
    }
}

fn number(text: &str) -> Option<Value> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let digits: String = text.chars().filter(|&c| c != '_').collect();
    integer(&digits).map(Value::Integer).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<i64> {
    let (sign, magnitude) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (digits, radix) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&magnitude[2..], 16),
        [b'0', b'o' | b'O', ..] => (&magnitude[2..], 8),
        [b'0', b'b' | b'B', ..] => (&magnitude[2..], 2),
        [b'0', _, ..] => (&magnitude[1..], 8),
        _ => (magnitude, 10),
    };
    // from_str_radix takes a sign of its own; there must not be two.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn float(text: &str) -> Option<Value> {
    let body = text.trim_start_matches(['+', '-']);
    let numeric = body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body.contains(|c: char| c.is_ascii_digit())
        && body
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !numeric {
        return None;
    }
    text.parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_and_numbers_get_the_type_that_kubectl_gives_them() {
        for (text, value) in [
            ("6", Value::Integer(6)),
            ("-1", Value::Integer(-1)),
            ("+7", Value::Integer(7)),
            ("0", Value::Integer(0)),
            ("010", Value::Integer(8)),
            ("0o10", Value::Integer(8)),
            ("0x1F", Value::Integer(31)),
            ("0b101", Value::Integer(5)),
            ("1_000", Value::Integer(1000)),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("9223372036854775808", Value::Float(9_223_372_036_854_775_808.0)),
            ("1.5", Value::Float(1.5)),
            ("1e3", Value::Float(1000.0)),
            (".5", Value::Float(0.5)),
            ("yes", Value::Bool(true)),
            ("off", Value::Bool(false)),
            ("~", Value::Null),
            ("", Value::Null),
            ("y", Value::String("y".into())),
            ("10.0.0.1", Value::String("10.0.0.1".into())),
            ("1.2.3", Value::String("1.2.3".into())),
            ("-", Value::String("-".into())),
            ("--1", Value::String("--1".into())),
            ("0x", Value::String("0x".into())),
            ("0x-1", Value::String("0x-1".into())),
            ("2021-04-13T05:44:41Z", Value::String("2021-04-13T05:44:41Z".into())),
            ("fe80::1", Value::String("fe80::1".into())),
            ("é", Value::String("é".into())),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
    }
}
