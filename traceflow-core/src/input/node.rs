//! What a document is made of: values and keys, each with its place.

use std::sync::Arc;

use super::error::{Place, quoted};

/// A value of a document, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The first character of the value.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// What a [`Node`] holds: the types that YAML and JSON share.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(Arc<str>),
    /// An ordered list.
    List(Vec<Node>),
    /// A mapping in the order in which it was written, without duplicate keys.
    Mapping(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Value {
    /// What kind of value it is, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }

    /// The value as a message shows it: short, and a string in quotes.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => format!("{value:?}"),
            Self::String(text) => quoted(text),
            Self::Null | Self::List(_) | Self::Mapping(_) => self.kind().to_owned(),
        }
    }
}

impl From<&Node> for serde_json::Value {
    /// The same value without places. Infinite numbers, which JSON has no word for, become null.
    fn from(node: &Node) -> Self {
        match &node.value {
            Value::Null => Self::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::String(text) => (&**text).into(),
            Value::List(items) => items.iter().map(Self::from).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.to_string(), Self::from(&entry.value)))
                .collect(),
        }
    }
}
