//! The documents of a text, one after the other.

use std::fmt;

use granit_parser::{ErrorKind, Event, Options, Parser, ScanError, StrInput};

use super::error::{BadInput, Problem};
use super::field::Field;
use super::node::Node;
use super::text::Text;
use super::tree::{Tree, place};

/// One document of a [`Text`].
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    text: Text,
    node: Node,
}

impl Document {
    /// The way into its tree.
    pub fn root(&self) -> Field<'_> {
        Field::root(&self.text, &self.node)
    }

    /// The text that it stands in.
    pub fn text(&self) -> &Text {
        &self.text
    }
}

/// Reads the documents of a text one after the other, without reading ahead. Documents without content are passed
/// over. It ends after the first error.
///
/// ```
/// use traceflow_core::input::{Documents, Text};
///
/// let text = Text::new("two.yaml", "kind: Pod\n---\nkind: Node\n");
/// let kinds = Documents::new(&text)
///     .map(|document| document?.root().required("kind")?.string())
///     .collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(kinds, ["Pod".into(), "Node".into()]);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
pub struct Documents<'a> {
    text: &'a Text,
    parser: Parser<'a, StrInput<'a>>,
    tree: Tree<'a>,
    ended: bool,
}

impl<'a> Documents<'a> {
    /// The documents of `text`.
    pub fn new(text: &'a Text) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        Self {
            text,
            parser: Parser::new_from_str_with_options(text.as_str(), options),
            tree: Tree::new(text),
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Node>, BadInput> {
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            match event {
                Event::DocumentStart(..) => self.tree.forget_anchors(),
                event => {
                    if let Some(node) = self.tree.add(event, &span)? {
                        return Ok(Some(node));
                    }
                }
            }
        }
        Ok(None)
    }

    fn syntax(&self, error: &ScanError) -> BadInput {
        let problem = Problem::Syntax {
            message: format!("this is neither YAML nor JSON: {}", error.info()),
            remedy: remedy(error.kind()).into(),
        };
        BadInput::new(self.tree.path(), problem).at(self.text, place(error.marker()))
    }
}

/// What to do about a mistake that people make in YAML.
fn remedy(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => "use spaces instead of tabs",
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => "close the quote",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => "close the bracket, or add the comma between two items",
        ErrorKind::UnknownAnchor => "put the value in quotes if it begins with *",
        ErrorKind::MappingValueNotAllowed => "check the indentation, and put a value with a colon in quotes",
        ErrorKind::UnexpectedCharacter { .. } => "put the value in quotes",
        ErrorKind::RecursionLimitExceeded => "nest less deeply",
        _ => "check the indentation, the brackets and the quotes here",
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, BadInput>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let node = self.read();
        self.ended = !matches!(node, Ok(Some(_)));
        let text = self.text.clone();
        Some(node.transpose()?.map(|node| Document { text, node }))
    }
}

impl fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("label", self.text.label())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    fn read(text: &str) -> Result<Vec<serde_json::Value>, String> {
        let text = Text::new("f", text);
        Documents::new(&text)
            .map(|document| document.map(|document| document.root().node().into()))
            .collect::<Result<_, _>>()
            .map_err(|error: BadInput| error.to_string())
    }

    #[test]
    fn json_is_read_like_yaml() {
        let text = "{\"kind\":\"Pod\",\n\t\"spec\": {\"a\": [1, true, null, \"x\\u003c\\n\", 1.5]}}";
        assert_eq!(
            read(text).unwrap(),
            [serde_json::from_str::<serde_json::Value>(text).unwrap()]
        );
    }

    #[test]
    fn files_from_other_systems_and_long_values_are_read() {
        let long = "x".repeat(5000);
        let text = format!("\u{feff}{{\r\n  \"a\": \"{long}\",\r\n  \"b\": [\"{long}\", \"\\ud83d\\ude00\"]\r\n}}\r\n");
        assert_eq!(
            read(&text).unwrap(),
            [serde_json::json!({ "a": long, "b": [long, "\u{1f600}"] })]
        );
        assert_eq!(
            read("\u{feff}a: 1\r\nb: 2\r\n").unwrap(),
            [serde_json::json!({ "a": 1, "b": 2 })]
        );
    }

    #[test]
    fn documents_without_content_are_passed_over() {
        assert_eq!(read("---\n---\n# nothing\n---\na: 1\n...\n---\n").unwrap().len(), 1);
        assert_eq!(read("").unwrap().len(), 0);
        assert_eq!(read("# only a comment\n").unwrap().len(), 0);
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let text = Text::new("f", "a: 1\nb:\n  - é: {x: y}\n");
        let document = Documents::new(&text).next().unwrap().unwrap();
        let root = document.root();
        let b = root.required("b").unwrap();
        assert_eq!(b.place().to_string(), "2:1");
        let item = root.items("b").unwrap().next().unwrap();
        assert_eq!((item.place().to_string(), item.path()), ("3:5".into(), "b[0]".into()));
        let x = item.required("é").unwrap();
        let x = x.required("x").unwrap();
        assert_eq!((x.place().to_string(), x.path()), ("3:9".into(), "b[0].é.x".into()));
        assert_eq!(x.node().place.to_string(), "3:12");
    }

    #[test]
    fn aliases_and_merges_give_what_kubectl_reads() {
        let text = "a: &a {x: 1, y: 2}\nb: *a\nc: {y: 3, <<: *a}\nd: {<<: [*a, {z: 4, x: 0}], y: 5}\n";
        let json = r#"{"a":{"x":1,"y":2},"b":{"x":1,"y":2},"c":{"y":3,"x":1},"d":{"y":5,"x":1,"z":4}}"#;
        assert_eq!(
            read(text).unwrap(),
            [serde_json::from_str::<serde_json::Value>(json).unwrap()]
        );
    }

    #[test]
    fn quotes_make_a_string_of_a_number() {
        assert_eq!(
            read("[6, '6', \"6\", !!str 6]").unwrap()[0].to_string(),
            r#"[6,"6","6","6"]"#
        );
    }

    #[test]
    fn mistakes_in_the_text_have_their_place() {
        let deep = "[".repeat(129) + &"]".repeat(129);
        let many = (0..20).map(|key| format!("k{key}: 1\n")).collect::<String>();
        for (text, message) in [
            (
                "a: 1\na: 2\n",
                "f:2:1: a: the key stands twice, first at 1:1; remove one",
            ),
            (
                "s: {x: {b: 1, b: 2}}",
                "f:1:15: s.x.b: the key stands twice, first at 1:9; remove one",
            ),
            (
                &format!("{many}k3: 2\n"),
                "f:21:1: k3: the key stands twice, first at 4:1; remove one",
            ),
            (&deep, "f:1:129: nested too deeply; use at most 128 levels"),
            (
                &"[".repeat(100_000),
                "f:1:256: this is neither YAML nor JSON: recursion limit exceeded; nest less deeply",
            ),
            (
                "[1, 2]: 3\n",
                "f:1:1: this key is a list or a mapping; use a word or a number",
            ),
            (
                "a: &a [*a]",
                "f:1:8: a[0]: this alias refers to the value that it stands in; write the value out",
            ),
            (
                "{<<: 3}",
                "f:1:6: << merges mappings only; use a mapping or a list of mappings",
            ),
            (
                "a: [1, 2\nb: 3\n",
                "f:2:2: a[1]: this is neither YAML nor JSON: illegal placement of ':' indicator; close the bracket, or add the comma between two items",
            ),
            (
                "a:\n\tb: 1\n",
                "f:2:2: a: this is neither YAML nor JSON: tabs disallowed within this context (block indentation); use spaces instead of tabs",
            ),
            (
                "a: b: c\n",
                "f:1:5: this is neither YAML nor JSON: mapping values are not allowed in this context; check the indentation, and put a value with a colon in quotes",
            ),
            (
                "a: \"b\n",
                "f:2:1: a: this is neither YAML nor JSON: invalid indentation in multiline quoted scalar; close the quote",
            ),
            (
                "a: *nobody\n",
                "f:1:4: a: this is neither YAML nor JSON: while parsing node, found unknown anchor; put the value in quotes if it begins with *",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), message, "{text}");
        }
    }

    #[test]
    fn aliases_that_multiply_are_stopped() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let error = read(&text).unwrap_err();
        assert!(error.contains("aliases repeat too much"), "{error}");
    }

    #[test]
    fn after_an_error_there_are_no_more_documents() {
        let text = Text::new("f", "a: [\n---\nb: 1\n");
        let mut documents = Documents::new(&text);
        assert!(documents.next().unwrap().is_err());
        assert!(documents.next().is_none());
    }

    #[test]
    fn bytes_that_are_not_text_have_a_place() {
        let error = Text::from_bytes("f", b"a: 1\nb: \xc3\xa9\xff").unwrap_err();
        assert_eq!(error.to_string(), "f:2:5: these bytes are not text; use UTF-8");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ a-c0-9:{}\\[\\]\"'&*!|>#,\n\t<%@-]{0,60}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn a_value_keeps_its_order() {
        let text = Text::new("f", "z: 1\na: 2\n");
        let document = Documents::new(&text).next().unwrap().unwrap();
        let Value::Mapping(entries) = &document.root().node().value else {
            panic!("no mapping");
        };
        assert_eq!(entries.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), ["z", "a"]);
    }
}
