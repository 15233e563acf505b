//! Where an object came from, for messages about objects that don't fit together.

use std::fmt;

use traceflow_core::input::{BadInput, Field, Place, Problem, Text};

/// The place of an object and of those of its fields that other objects may contradict.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A text.
    Text {
        text: Text,
        /// The object itself first, then its fields: path and place.
        places: Vec<(String, Place)>,
    },
    /// Code; what the object is called.
    Code(String),
}

impl Origin {
    pub(super) fn new(text: &Text, object: &Field<'_>) -> Self {
        Self::Text {
            text: text.clone(),
            places: vec![(object.path(), object.place())],
        }
    }

    /// Remembers where a field stands.
    pub(super) fn note(&mut self, field: &Field<'_>) {
        if let Self::Text { places, .. } = self {
            places.push((field.path(), field.place()));
        }
    }

    /// Whether a field whose path holds `field` was noted.
    pub(crate) fn has(&self, field: &str) -> bool {
        match self {
            Self::Text { places, .. } => places.iter().any(|(path, _)| path.contains(field)),
            Self::Code(_) => false,
        }
    }

    /// A mistake in the first noted field whose path holds `field`; in the object itself if there is none.
    pub(crate) fn error(&self, field: &str, problem: Problem) -> BadInput {
        match self {
            Self::Text { text, places } => {
                let noted = places.iter().find(|(path, _)| path.contains(field));
                match noted.or_else(|| places.first()) {
                    Some((path, place)) => BadInput::new(path.clone(), problem).at(text, *place),
                    None => BadInput::new(field, problem),
                }
            }
            Self::Code(name) => BadInput::new(format!("{name}: {field}"), problem),
        }
    }
}

/// Printed as `cluster.yaml:12:3`, or by its name.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, places } => {
                f.write_str(text.label())?;
                places.first().map_or(Ok(()), |(_, place)| write!(f, ":{place}"))
            }
            Self::Code(name) => f.write_str(name),
        }
    }
}
