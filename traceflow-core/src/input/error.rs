//! What is wrong with the input, where, and what would be right.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::text::Text;

/// Characters of a line that an excerpt shows; JSON may stand in one line of megabytes.
const LONGEST_EXCERPT: usize = 400;

/// A place in a text, both numbers from 1, the column in characters. Printed as `line:column`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A mistake in what the user gave: a manifest, a flow, a cluster object, or the arguments of a builder.
///
/// It prints as one line: `tf.yaml:12:7: spec.packet.ipHeader.ttl: 300 is out of range; use 0 to 255`. Parts that are
/// not known (a builder has no file) are left out. [`BadInput::excerpt`] shows the line with the place marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInput(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    problem: Problem,
    field: String,
    location: Option<Location>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Location {
    label: Arc<str>,
    place: Place,
    line: String,
}

impl BadInput {
    /// A mistake in `field`, a dotted path such as `spec.source.pod`; empty if it is about the whole input.
    pub fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self(Box::new(Parts {
            problem,
            field: field.into(),
            location: None,
        }))
    }

    /// The same mistake, found at `place` of `text`.
    #[must_use]
    pub fn at(mut self, text: &Text, place: Place) -> Self {
        self.0.location = Some(Location {
            label: text.label().clone(),
            place,
            line: text.line(place.line).chars().take(LONGEST_EXCERPT).collect(),
        });
        self
    }

    /// The same mistake, its field being one of `parent`.
    pub(super) fn within(mut self, parent: &str) -> Self {
        if !parent.is_empty() {
            self.0.field = match &*self.0.field {
                "" => parent.to_owned(),
                field => format!("{parent}.{field}"),
            };
        }
        self
    }

    /// The same mistake, its field under another name.
    pub(crate) fn renamed(mut self, field: &str) -> Self {
        field.clone_into(&mut self.0.field);
        self
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// The dotted path of the field that is wrong; empty if the mistake is about the whole input.
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// The label of the text that it stands in, mostly a file name.
    pub fn label(&self) -> Option<&str> {
        self.0.location.as_ref().map(|location| &*location.label)
    }

    /// Where it stands in the text.
    pub fn place(&self) -> Option<Place> {
        self.0.location.as_ref().map(|location| location.place)
    }

    /// The mistake over several lines, with the line that it stands in and a mark under the place, as rustc does. No
    /// colours. Without a text, it is the same as the one line.
    ///
    /// ```
    /// use traceflow_core::input::{Documents, Text};
    ///
    /// let text = Text::new("tf.yaml", "spec:\n  timeout: 900\n");
    /// let document = Documents::new(&text).next().unwrap()?;
    /// let root = document.root();
    /// let mistake = root.required("spec")?.required("timeout")?.integer(1..=300).unwrap_err();
    /// assert_eq!(
    ///     mistake.excerpt(),
    ///     "error: spec.timeout: 900 is out of range; use 1 to 300
    ///  --> tf.yaml:2:3
    ///   |
    /// 2 |   timeout: 900
    ///   |   ^^^^^^^"
    /// );
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    pub fn excerpt(&self) -> String {
        let Some(location) = &self.0.location else {
            return format!("error: {self}");
        };
        let what = Self(Box::new(Parts {
            location: None,
            ..(*self.0).clone()
        }))
        .to_string();
        let snippet = Snippet::source(&location.line)
            .line_start(location.place.line as usize)
            .path(&*location.label)
            .annotation(AnnotationKind::Primary.span(location.marked()));
        Renderer::plain().render(&[Level::ERROR.primary_title(&what).element(snippet)])
    }
}

impl Location {
    /// The bytes of the line that belong to the word at the place.
    fn marked(&self) -> Range<usize> {
        let skipped = self.place.column.saturating_sub(1) as usize;
        let start = self
            .line
            .char_indices()
            .nth(skipped)
            .map_or(self.line.len(), |(at, _)| at);
        let word = self.line[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '=' | '}' | ']'))
            .unwrap_or(self.line.len() - start);
        let first = self.line[start..].chars().next().map_or(0, char::len_utf8);
        start..start + word.max(first)
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.0.location {
            write!(f, "{}:{}: ", location.label, location.place)?;
        }
        if !self.0.field.is_empty() {
            write!(f, "{}: ", self.0.field)?;
        }
        self.0.problem.fmt(f)
    }
}

impl std::error::Error for BadInput {}

/// What is wrong, and what would be right. Printed as `what is wrong; what would be right`.
///
/// The texts in it are for people; the variant is for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// There is nothing in the text.
    Empty {
        /// What should be there, with its article: `a Traceflow object`.
        expected: &'static str,
    },
    /// The bytes are not UTF-8 text.
    Encoding,
    /// The text is neither YAML nor JSON.
    Syntax {
        /// What the parser says.
        message: String,
        /// What to do, as an order.
        remedy: Cow<'static, str>,
    },
    /// Mappings and lists are nested too deeply.
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// Aliases repeat too much.
    TooManyCopies {
        /// How many nodes aliases may repeat.
        limit: usize,
    },
    /// A key stands twice in one mapping.
    DuplicateKey {
        /// Where it stood first.
        first: Place,
    },
    /// No such field.
    UnknownField {
        /// The field that was probably meant.
        meant: Option<&'static str>,
        /// All fields that may stand there.
        known: &'static [&'static str],
    },
    /// A field that must be there is not.
    Missing {
        /// What to write, as an order: `name the Pod that sends`.
        remedy: Cow<'static, str>,
    },
    /// The value is of another type.
    WrongType {
        /// The value, shortened, and its type: `"6" is a string`.
        found: String,
        /// What belongs there: `an integer`.
        expected: Cow<'static, str>,
    },
    /// The number is too small or too large.
    OutOfRange {
        /// The number.
        found: String,
        /// The smallest number that is right.
        least: i64,
        /// The largest number that is right.
        most: i64,
    },
    /// The value can't be read as what it should be.
    Invalid {
        /// The value, shortened and quoted.
        found: String,
        /// What belongs there: `an IPv4 or IPv6 address`.
        expected: Cow<'static, str>,
    },
    /// Two fields can't be true together.
    Conflict {
        /// What contradicts what, as a phrase.
        what: Cow<'static, str>,
        /// What to do, as an order.
        remedy: Cow<'static, str>,
    },
    /// It is understood, but can't be traced.
    Unsupported {
        /// What can't be done, as a phrase.
        what: Cow<'static, str>,
        /// What to do instead, as an order.
        remedy: Cow<'static, str>,
    },
    /// The cluster has no such object.
    NotFound {
        /// The kind of the object: `Pod`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What to do, as an order.
        remedy: Cow<'static, str>,
    },
    /// The object is there, but in a state in which it can't be traced.
    Unusable {
        /// What is wrong with it, as a phrase.
        what: Cow<'static, str>,
        /// What to do, as an order.
        remedy: Cow<'static, str>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { expected } => write!(f, "the input is empty; it needs {expected}"),
            Self::Encoding => f.write_str("these bytes are not text; use UTF-8"),
            Self::Syntax { message, remedy } => write!(f, "{message}; {remedy}"),
            Self::TooDeep { limit } => write!(f, "nested too deeply; use at most {limit} levels"),
            Self::TooManyCopies { limit } => {
                write!(f, "aliases repeat too much; let them repeat at most {limit} values")
            }
            Self::DuplicateKey { first } => write!(f, "the key stands twice, first at {first}; remove one"),
            Self::UnknownField { meant, known } => write_unknown_field(f, *meant, known),
            Self::Missing { remedy } => write!(f, "is missing; {remedy}"),
            Self::WrongType { found, expected } | Self::Invalid { found, expected } => {
                write!(f, "{found}; use {expected}")
            }
            Self::OutOfRange { found, least, most } => {
                write!(f, "{found} is out of range; use {least} to {most}")
            }
            Self::Conflict { what, remedy } | Self::Unsupported { what, remedy } | Self::Unusable { what, remedy } => {
                write!(f, "{what}; {remedy}")
            }
            Self::NotFound { kind, name, remedy } => write!(f, "{kind} {name} is not in the cluster; {remedy}"),
        }
    }
}

fn write_unknown_field(f: &mut fmt::Formatter<'_>, meant: Option<&str>, known: &[&str]) -> fmt::Result {
    f.write_str("there is no such field; ")?;
    match (meant, known) {
        (Some(meant), _) => write!(f, "did you mean {meant}?"),
        (None, []) => f.write_str("remove it"),
        (None, known) => write!(f, "use {}", one_of(known)),
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Of `known`, the word that somebody who wrote `word` probably meant.
pub(crate) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `text` in quotes, without anything a terminal would act on, and not longer than a line.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}
