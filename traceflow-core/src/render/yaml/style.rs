//! Which quotes a string gets.

use super::resolve::is_read_as_another_type;

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// Line by line behind a `|`.
    Literal,
}

impl Style {
    pub(super) fn of(text: &str) -> Self {
        let facts = ScalarFacts::of(text);
        if text.contains('\n') {
            if facts.block { Self::Literal } else { Self::DoubleQuoted }
        } else if is_read_as_another_type(text) {
            Self::DoubleQuoted
        } else if facts.plain {
            Self::Plain
        } else if facts.single_quoted {
            Self::SingleQuoted
        } else {
            Self::DoubleQuoted
        }
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

/// YAML 1.1's printable characters as libyaml has them: without those above U+FFFF.
pub(super) fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && character != '\u{feff}'
}

/// The one-letter escape of a character in double quotes.
pub(super) fn short_escape(character: char) -> Option<char> {
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
