//! A walk over a document in which every step knows its own path.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::error::{BadInput, Place, Problem, meant, quoted};
use super::node::{Entry, Node, Value};
use super::text::Text;

/// A node of a document together with the way to it.
///
/// It borrows the step before it, so walking allocates nothing; the path is spelt out only when there is an error to
/// report. Following Kubernetes, a field that is `null` counts as absent.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    text: &'a Text,
    node: &'a Node,
    place: Place,
    step: Step<'a>,
    parent: Option<&'a Self>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Item(&'a str, usize),
}

impl<'a> Field<'a> {
    pub(super) fn root(text: &'a Text, node: &'a Node) -> Self {
        Self {
            text,
            node,
            place: node.place,
            step: Step::Root,
            parent: None,
        }
    }

    /// The field `key` of this mapping; `None` if it is absent or null.
    ///
    /// # Errors
    /// If this is not a mapping.
    pub fn optional(&'a self, key: &str) -> Result<Option<Self>, BadInput> {
        Ok(self
            .entries()?
            .iter()
            .find(|entry| &*entry.key == key)
            .filter(|entry| entry.value.value != Value::Null)
            .map(|entry| self.child(entry)))
    }

    /// The field `key` of this mapping.
    ///
    /// # Errors
    /// If this is not a mapping, or has no such field.
    pub fn required(&'a self, key: &str) -> Result<Self, BadInput> {
        self.optional(key)?
            .ok_or_else(|| self.missing(key, format!("add {key}")))
    }

    /// The error for a field `key` of this mapping that must be there and is not; `remedy` is an order.
    pub fn missing(&self, key: &str, remedy: impl Into<Cow<'static, str>>) -> BadInput {
        let mut path = self.path();
        push_key(&mut path, key);
        let remedy = remedy.into();
        BadInput::new(path, Problem::Missing { remedy }).at(self.text, self.place)
    }

    /// The items of the list `key` of this mapping; none if it is absent or null.
    ///
    /// # Errors
    /// If this is not a mapping, or `key` not a list.
    pub fn items(&'a self, key: &str) -> Result<impl ExactSizeIterator<Item = Self>, BadInput> {
        let (key, items) = match self.entries()?.iter().find(|entry| &*entry.key == key) {
            None => ("", [].as_slice()),
            Some(entry) => (&*entry.key, self.child(entry).list()?),
        };
        Ok(items.iter().enumerate().map(move |(index, node)| Self {
            text: self.text,
            node,
            place: node.place,
            step: Step::Item(key, index),
            parent: Some(self),
        }))
    }

    /// All fields of this mapping with their keys, in their order; those that are null too.
    ///
    /// # Errors
    /// If this is not a mapping.
    pub fn fields(&'a self) -> Result<impl ExactSizeIterator<Item = (&'a Arc<str>, Self)>, BadInput> {
        Ok(self.entries()?.iter().map(|entry| (&entry.key, self.child(entry))))
    }

    /// Checks that this mapping has no other fields than `known`.
    ///
    /// # Errors
    /// If this is not a mapping, or for its first field that is not known, with the one probably meant.
    pub fn only(&self, known: &'static [&'static str]) -> Result<(), BadInput> {
        let Some(stranger) = self.entries()?.iter().find(|entry| !known.contains(&&*entry.key)) else {
            return Ok(());
        };
        let meant = meant(&stranger.key, known.iter().copied());
        Err(self.child(stranger).error(Problem::UnknownField { meant, known }))
    }

    /// This string.
    ///
    /// # Errors
    /// If this is not a string.
    pub fn string(&self) -> Result<Arc<str>, BadInput> {
        match &self.node.value {
            Value::String(text) => Ok(text.clone()),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) => Err(self.wrong_type("a string, in quotes")),
            _ => Err(self.wrong_type("a string")),
        }
    }

    /// This boolean.
    ///
    /// # Errors
    /// If this is not a boolean.
    pub fn boolean(&self) -> Result<bool, BadInput> {
        match self.node.value {
            Value::Bool(value) => Ok(value),
            Value::String(_) => Err(self.wrong_type("true or false, without quotes")),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// This whole number, which must lie within `range`.
    ///
    /// # Errors
    /// If this is not a whole number, or is out of range.
    pub fn integer<T>(&self, range: RangeInclusive<T>) -> Result<T, BadInput>
    where
        T: TryFrom<i64> + Into<i64> + Copy + PartialOrd,
    {
        let (number, found) = match self.node.value {
            Value::Integer(number) => (Some(number), number.to_string()),
            // To JSON and so to the API server, 20.0 and 2e1 are the whole number 20.
            Value::Float(number) if number.fract() == 0.0 => {
                let fits = number.abs() < 2f64.powi(63);
                (fits.then_some(number as i64), number.to_string())
            }
            Value::String(ref text) if text.parse::<i64>().is_ok() => {
                return Err(self.wrong_type("an integer, without quotes"));
            }
            _ => return Err(self.wrong_type("an integer")),
        };
        if let Some(number) = number.and_then(|number| T::try_from(number).ok())
            && range.contains(&number)
        {
            return Ok(number);
        }
        Err(self.error(Problem::OutOfRange {
            found,
            least: (*range.start()).into(),
            most: (*range.end()).into(),
        }))
    }

    /// This string read as a `T`; `expected` says what it should be: `an IPv4 or IPv6 address`.
    ///
    /// # Errors
    /// If this is not a string, or not a `T`.
    pub fn parsed<T: FromStr>(&self, expected: &'static str) -> Result<T, BadInput> {
        self.string()?.parse().map_err(|_| self.invalid(expected))
    }

    /// The error for a value that can't be what it should: `an IPv4 or IPv6 address`.
    pub fn invalid(&self, expected: impl Into<Cow<'static, str>>) -> BadInput {
        self.error(Problem::Invalid {
            found: format!("{} is not valid", self.node.value.shown()),
            expected: expected.into(),
        })
    }

    /// The error for a value of another type than the `expected`.
    pub fn wrong_type(&self, expected: impl Into<Cow<'static, str>>) -> BadInput {
        let value = &self.node.value;
        let found = match value {
            Value::List(_) | Value::Mapping(_) | Value::Null => format!("this is {}", value.kind()),
            _ => format!("{} is {}", value.shown(), value.kind()),
        };
        let expected = expected.into();
        self.error(Problem::WrongType { found, expected })
    }

    /// An error about this field, at its key.
    pub fn error(&self, problem: Problem) -> BadInput {
        BadInput::new(self.path(), problem).at(self.text, self.place)
    }

    /// The same mistake, at the place of this field; its path counts from the `root` that this field was reached from.
    pub(crate) fn locate(&self, error: BadInput, root: &Field<'_>) -> BadInput {
        error.within(&root.path()).at(self.text, self.place)
    }

    /// The node itself, for values of several types.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Where the field's key stands; for a list's item and for a document's root, where the value does.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The dotted path from the document's root, such as `spec.ports[0].port`; empty for the root.
    pub fn path(&self) -> String {
        let mut path = self.parent.map(Self::path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => push_key(&mut path, key),
            Step::Item(key, index) => {
                push_key(&mut path, key);
                path.push_str(&format!("[{index}]"));
            }
        }
        path
    }

    fn child(&'a self, entry: &'a Entry) -> Self {
        Self {
            text: self.text,
            node: &entry.value,
            place: entry.place,
            step: Step::Key(&entry.key),
            parent: Some(self),
        }
    }

    fn entries(&self) -> Result<&'a [Entry], BadInput> {
        match &self.node.value {
            Value::Mapping(entries) => Ok(entries),
            _ => Err(self.wrong_type("a mapping")),
        }
    }

    fn list(&self) -> Result<&'a [Node], BadInput> {
        match &self.node.value {
            Value::List(items) => Ok(items),
            Value::Null => Ok(&[]),
            _ => Err(self.wrong_type("a list")),
        }
    }
}

/// Appends `.key`, or `["key"]` where a dot would mislead.
pub(super) fn push_key(path: &mut String, key: &str) {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    if !plain {
        path.push_str(&format!("[{}]", quoted(key)));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}
