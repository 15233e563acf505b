//! JSON values as YAML, to the letter as `kubectl get -o yaml` writes them.
//!
//! `kubectl` prints through go-yaml 2, a port of libyaml's emitter; the rules here are its
//! `yaml_emitter_analyze_scalar`, `yaml_emitter_select_scalar_style` and `yaml_emitter_write_*_scalar`, as far as JSON
//! values meet them. Other emitters choose other quotes and don't fold long lines, so their output differs in a `diff`.

use serde_json::{Map, Value};

/// A line is folded at the first space behind this column.
const BEST_WIDTH: usize = 80;
/// libyaml writes a longer key behind a `?`.
const MAX_SIMPLE_KEY: usize = 128;

/// `value` as one document, with a newline at the end.
pub(super) fn document(value: &Value) -> String {
    let mut writer = Writer {
        out: String::new(),
        column: 0,
    };
    writer.node(
        value,
        Place {
            indent: 0,
            context: Context::Top,
        },
    );
    writer.out.push('\n');
    writer.out
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

struct Writer {
    out: String,
    column: usize,
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
            self.key(key);
            self.push(':');
            return self.node(
                value,
                Place {
                    indent,
                    context: Context::Value,
                },
            );
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

    fn key(&mut self, key: &str) {
        let facts = ScalarFacts::of(key);
        if key.is_empty() || is_read_as_another_type(key) {
            self.double_quoted(key, None);
        } else if facts.plain {
            self.push_str(key);
        } else if facts.single_quoted {
            self.single_quoted(key, None);
        } else {
            self.double_quoted(key, None);
        }
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
        let fold = Some(place.indent + 2);
        let facts = ScalarFacts::of(text);
        if text.contains('\n') {
            if facts.block {
                self.literal(text, place.indent + 2);
            } else {
                self.double_quoted(text, fold);
            }
        } else if is_read_as_another_type(text) {
            self.double_quoted(text, fold);
        } else if facts.plain {
            self.plain(text, fold);
        } else if facts.single_quoted {
            self.single_quoted(text, fold);
        } else {
            self.double_quoted(text, fold);
        }
    }

    fn plain(&mut self, text: &str, fold: Option<usize>) {
        self.folded(text, fold, |writer, character| writer.push(character));
    }

    fn single_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.push('\'');
        self.folded(text, fold, |writer, character| {
            if character == '\'' {
                writer.push('\'');
            }
            writer.push(character);
        });
        self.push('\'');
    }

    /// Writes `text` and turns a single space behind the best width into a line break.
    fn folded(&mut self, text: &str, fold: Option<usize>, write: impl Fn(&mut Self, char)) {
        let mut after_space = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((i, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            let inner = i > 0 && next.is_some_and(|next| next != ' ');
            match fold {
                Some(indent) if character == ' ' && inner && !after_space && self.column > BEST_WIDTH => {
                    self.line_break(indent);
                }
                _ => write(self, character),
            }
            after_space = character == ' ';
        }
    }

    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.push('"');
        let mut after_space = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((i, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            match fold {
                Some(indent)
                    if character == ' ' && i > 0 && next.is_some() && !after_space && self.column > BEST_WIDTH =>
                {
                    self.line_break(indent);
                    if next == Some(' ') {
                        self.push('\\');
                    }
                }
                _ => self.escaped(character),
            }
            after_space = character == ' ';
        }
        self.push('"');
    }

    fn escaped(&mut self, character: char) {
        let code = u32::from(character);
        match short_escape(character) {
            Some(short) => {
                self.push('\\');
                self.push(short);
            }
            None if is_printable(character) => self.push(character),
            None if code <= 0xff => self.push_str(&format!("\\x{code:02X}")),
            None if code <= 0xffff => self.push_str(&format!("\\u{code:04X}")),
            None => self.push_str(&format!("\\U{code:08X}")),
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.push('|');
        if text.starts_with([' ', '\n']) {
            self.push('2');
        }
        if !text.ends_with('\n') {
            self.push('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.push('+');
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.line_break(if line.is_empty() { 0 } else { indent });
            self.push_str(line);
        }
    }

    fn line_break(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    fn push(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn push_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}

/// Which styles can carry a string.
struct ScalarFacts {
    plain: bool,
    single_quoted: bool,
    block: bool,
}

impl ScalarFacts {
    fn of(text: &str) -> Self {
        let special = text
            .chars()
            .any(|c| (c != '\n' && !is_printable(c)) || is_disputed_break(c));
        let space_before_break = text.contains(" \n");
        let space_after_break = text.contains("\n ");
        let edge_space = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
        Self {
            plain: !special && !edge_space && !text.contains('\n') && !has_indicator(text),
            single_quoted: !special && !space_before_break && !space_after_break,
            block: !special && !space_before_break && !text.ends_with(' '),
        }
    }
}

/// Whether a character of `text` would begin something else than a plain scalar.
fn has_indicator(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    if text.starts_with(|c| "#,[]{}&*!|>'\"%@`".contains(c)) {
        return true;
    }
    let blank = |next: Option<char>| next.is_none_or(|c| c == ' ');
    if text.starts_with(['?', '-']) && blank(text.chars().nth(1)) {
        return true;
    }
    text.contains(": ") || text.ends_with(':') || text.contains(" #")
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

/// YAML 1.1's printable characters as libyaml has them: without those above U+FFFF.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && character != '\u{feff}'
}

/// The one-letter escape of a character in double quotes.
fn short_escape(character: char) -> Option<char> {
    Some(match character {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => return None,
    })
}

/// Whether a character breaks the line for some YAML readers and not for others.
fn is_disputed_break(character: char) -> bool {
    matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a plain scalar of this text would be read as null, bool, number, timestamp or merge key by YAML 1.1's rules.
/// Readers differ in odd spellings such as `nULL`: here, unlike in go-yaml, they count.
fn is_read_as_another_type(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "", "~", "null", "true", "false", "y", "n", "yes", "no", "on", "off", "<<",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str()) || is_number(&lower) || is_sexagesimal(text) || is_timestamp(text)
}

fn is_number(lower: &str) -> bool {
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(lower);
    if matches!(unsigned, ".inf" | ".nan") {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let plain = unsigned.replace('_', "");
    let of_radix = |prefix: &str, radix: u32| {
        plain
            .strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    if of_radix("0x", 16) || of_radix("0o", 8) || of_radix("0b", 2) {
        return true;
    }
    let (mantissa, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && !exponent.is_empty()
        && digits(exponent)
}

/// YAML 1.1's base 60 numbers, such as `12:30`.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let below_60 = |part: &&str| match part.as_bytes() {
        [ones] => ones.is_ascii_digit(),
        [tens, ones] => (b'0'..b'6').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && !rest.is_empty()
        && rest.iter().all(below_60)
}

/// A date, or a date with a time behind `T`, `t` or a space.
fn is_timestamp(text: &str) -> bool {
    let mut numbers = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (day, time) = rest.split_once(['T', 't', ' ']).unwrap_or((rest, "0"));
    let time_follows = time
        .trim_start_matches([' ', '\t'])
        .starts_with(|c: char| c.is_ascii_digit());
    year.len() == 4
        && digits(year)
        && month.len() <= 2
        && digits(month)
        && day.len() <= 2
        && digits(day)
        && time_follows
}

/// What a key is sorted by. Numbers in it count by their value, letters come behind all else: go-yaml's order, as far as
/// that is one (it goes in a circle for `9`, `10` and `1a`).
fn sort_key(key: &str) -> Vec<KeyPart> {
    let mut parts = Vec::new();
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        parts.push(match character.to_digit(10) {
            Some(digit) => {
                let (mut value, mut length) = (u64::from(digit), 1);
                while let Some(digit) = characters.peek().and_then(|next| next.to_digit(10)) {
                    value = value.saturating_mul(10).saturating_add(digit.into());
                    length += 1;
                    characters.next();
                }
                KeyPart::Number(value, length)
            }
            None if character.is_alphabetic() => KeyPart::Letter(character),
            None => KeyPart::Other(character),
        });
    }
    parts
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum KeyPart {
    Other(char),
    /// Its value and its number of digits.
    Number(u64, usize),
    Letter(char),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `kubectl.yaml` is what kubectl 1.32 printed for `kubectl.json`.
    #[test]
    fn values_are_printed_as_kubectl_prints_them() {
        let value: Value = serde_json::from_str(include_str!("snapshots/kubectl.json")).unwrap();
        let expected = include_str!("snapshots/kubectl.yaml");
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
