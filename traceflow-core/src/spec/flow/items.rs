//! A flow cut into its items, each with its column.

use std::borrow::Cow;

use super::words::WORDS;
use crate::input::{BadInput, Place, Problem, Text};

/// A flow cut into items, with the text for the places in messages.
pub(super) struct Flow<'a> {
    text: Text,
    pub(super) items: Vec<Item<'a>>,
}

/// `word`, or `word=value`.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) word: &'a str,
    column: usize,
    pub(super) value: Option<&'a str>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(label: &str, text: &'a str) -> Result<Self, BadInput> {
        let mut flow = Self {
            text: Text::new(label, text),
            items: Vec::new(),
        };
        let mut rest = Cursor { text, column: 1 };
        rest.skip_spaces();
        if rest.text.is_empty() {
            let expected = "a flow such as tcp,tcp_dst=80";
            return Err(BadInput::new("", Problem::Empty { expected }).at(&flow.text, Place::START));
        }
        // With more different words than there are, one of these is wrong: no need to read on.
        while !rest.text.is_empty() && flow.items.len() <= WORDS.len() {
            let item = rest.item();
            if item.word.is_empty() {
                return Err(flow.error(&item, invalid("there is nothing here", "one comma between two items")));
            }
            if let Some(first) = flow.items.iter().find(|known| known.word == item.word) {
                let first = flow.place(first);
                return Err(flow.error(&item, Problem::DuplicateKey { first }));
            }
            flow.items.push(item);
            if rest.takes(',') && rest.text.is_empty() {
                let after = Item {
                    word: "",
                    column: rest.column,
                    value: None,
                };
                return Err(flow.error(
                    &after,
                    invalid("nothing follows the comma", "one comma between two items"),
                ));
            }
        }
        Ok(flow)
    }

    pub(super) fn conflict(&self, item: &Item<'_>, what: String, remedy: &'static str) -> BadInput {
        let (what, remedy) = (what.into(), remedy.into());
        self.error(item, Problem::Conflict { what, remedy })
    }

    pub(super) fn error(&self, item: &Item<'_>, problem: Problem) -> BadInput {
        let word: String = item.word.chars().take(24).flat_map(char::escape_debug).collect();
        BadInput::new(word, problem).at(&self.text, self.place(item))
    }

    fn place(&self, item: &Item<'_>) -> Place {
        Place {
            line: 1,
            column: u32::try_from(item.column).unwrap_or(u32::MAX),
        }
    }
}

/// What is left of the text, and the column that it starts in.
struct Cursor<'a> {
    text: &'a str,
    column: usize,
}

impl<'a> Cursor<'a> {
    /// The next `word` or `word=value` with the spaces around it.
    fn item(&mut self) -> Item<'a> {
        self.skip_spaces();
        let column = self.column;
        let word = self.until(|c| c.is_whitespace() || matches!(c, ',' | '='));
        self.skip_spaces();
        let value = self.takes('=').then(|| {
            self.skip_spaces();
            self.until(|c| c.is_whitespace() || c == ',')
        });
        self.skip_spaces();
        Item { word, column, value }
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.text.split_at(self.text.find(ends).unwrap_or(self.text.len()));
        self.column += taken.chars().count();
        self.text = rest;
        taken
    }

    fn skip_spaces(&mut self) {
        self.until(|c| !c.is_whitespace());
    }

    fn takes(&mut self, wanted: char) -> bool {
        let Some(rest) = self.text.strip_prefix(wanted) else {
            return false;
        };
        self.text = rest;
        self.column += 1;
        true
    }
}

/// A value or an item that can't be read as what it should be.
pub(super) fn invalid(found: impl Into<String>, expected: impl Into<Cow<'static, str>>) -> Problem {
    Problem::Invalid {
        found: found.into(),
        expected: expected.into(),
    }
}
