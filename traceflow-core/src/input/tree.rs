//! Parser events into a tree of nodes: types, duplicate keys, aliases, merges, and the limits on all of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Marker, ScalarStyle, Span, Tag};

use super::error::{BadInput, Place, Problem};
use super::field::push_key;
use super::node::{Entry, Node, Value};
use super::scalar;
use super::text::{Text, number};

/// Mappings and lists within each other. The deepest objects known, CustomResourceDefinitions, stay under 64.
const MAX_DEPTH: usize = 128;
/// Nodes that aliases may repeat, in one text: enough for any manifest, and a few megabytes at most.
const MAX_COPIES: usize = 100_000;
/// Keys that are remembered in order to share them, in one text.
const MAX_SHARED_KEYS: usize = 10_000;
/// From this many entries on, a mapping looks for duplicate keys in a set.
const LINEAR_SEARCH: usize = 16;

/// Builds the tree of one document after the other.
pub(super) struct Tree<'a> {
    text: &'a Text,
    open: Vec<Open>,
    anchors: HashMap<usize, Part>,
    copies: usize,
    keys: HashSet<Arc<str>>,
}

/// A finished node, and what it costs to repeat it.
#[derive(Clone)]
struct Part {
    node: Node,
    /// The nodes in it, itself included.
    size: usize,
    /// How deeply it nests; 0 for a scalar.
    height: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    size: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    entries: Vec<Entry>,
    /// What `<<` brings in, unless the mapping has the key itself.
    merged: Vec<Entry>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// Every key with its place, once there are many.
    seen: HashMap<Arc<str>, Place>,
}

struct Key {
    text: Arc<str>,
    place: Place,
    merge: bool,
}

impl<'a> Tree<'a> {
    pub(super) fn new(text: &'a Text) -> Self {
        Self {
            text,
            open: Vec::new(),
            anchors: HashMap::new(),
            copies: 0,
            keys: HashSet::new(),
        }
    }

    /// Anchors are known within their document only.
    pub(super) fn forget_anchors(&mut self) {
        self.anchors.clear();
    }

    /// Takes the next event; gives the document's root when it is complete and has content.
    pub(super) fn add(&mut self, event: Event<'_>, span: &Span) -> Result<Option<Node>, BadInput> {
        let place = place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), place),
            Event::SequenceStart(_, anchor, _) => self.start(Content::List(Vec::new()), anchor, place),
            Event::MappingStart(_, anchor, _) => self.start(Content::Mapping(OpenMapping::default()), anchor, place),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(None),
        }
    }

    /// The dotted path of what is being read.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::List(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Mapping(mapping) => {
                    if let Some(key) = &mapping.key {
                        push_key(&mut path, &key.text);
                    }
                }
            }
        }
        path
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<Option<Node>, BadInput> {
        let plain = match tag.and_then(Tag::core_suffix) {
            Some("str") => false,
            Some(_) => true,
            None => style == ScalarStyle::Plain,
        };
        if self.awaits_key() {
            return self.key(text, plain, place).map(|()| None);
        }
        let value = if plain {
            scalar::resolve(text)
        } else {
            Value::String(text.into())
        };
        let part = Part {
            node: Node { place, value },
            size: 1,
            height: 0,
        };
        self.remember(anchor, &part)?;
        self.insert(part)
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Mapping(OpenMapping { key: None, .. }),
                ..
            })
        )
    }

    fn key(&mut self, text: &str, plain: bool, place: Place) -> Result<(), BadInput> {
        if plain && text.is_empty() {
            return Err(self.syntax("there is no key before this colon", "add one", place));
        }
        let text = self.shared(text);
        let Some(Open {
            content: Content::Mapping(mapping),
            ..
        }) = self.open.last_mut()
        else {
            return Ok(());
        };
        let merge = plain && &*text == "<<";
        let first = if merge { None } else { mapping.note(&text, place) };
        mapping.key = Some(Key { text, place, merge });
        match first {
            None => Ok(()),
            Some(first) => Err(self.error(Problem::DuplicateKey { first }, place)),
        }
    }

    /// The key as an `Arc` that equal keys share, as long as there are not too many different ones.
    fn shared(&mut self, key: &str) -> Arc<str> {
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        let key: Arc<str> = key.into();
        if self.keys.len() < MAX_SHARED_KEYS {
            self.keys.insert(key.clone());
        }
        key
    }

    fn start(&mut self, content: Content, anchor: usize, place: Place) -> Result<Option<Node>, BadInput> {
        if self.awaits_key() {
            return Err(self.syntax("this key is a list or a mapping", "use a word or a number", place));
        }
        self.check_depth(1, place)?;
        self.open.push(Open {
            place,
            anchor,
            size: 1,
            height: 1,
            content,
        });
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<Node>, BadInput> {
        let Some(open) = self.open.pop() else {
            return Ok(None);
        };
        // Without the room that they grew into: a cluster's objects are many small mappings.
        let value = match open.content {
            Content::List(mut items) => {
                items.shrink_to_fit();
                Value::List(items)
            }
            Content::Mapping(mapping) => {
                let mut entries = mapping.finish();
                entries.shrink_to_fit();
                Value::Mapping(entries)
            }
        };
        let part = Part {
            node: Node {
                place: open.place,
                value,
            },
            size: open.size,
            height: open.height,
        };
        self.remember(open.anchor, &part)?;
        self.insert(part)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Option<Node>, BadInput> {
        if self.awaits_key() {
            return Err(self.syntax("this key is an alias", "use a word or a number", place));
        }
        let Some(part) = self.anchors.get(&anchor) else {
            return Err(self.syntax(
                "this alias refers to the value that it stands in",
                "write the value out",
                place,
            ));
        };
        let (size, height) = (part.size, part.height);
        self.check_depth(height, place)?;
        self.count_copies(size, place)?;
        let mut part = self.anchors[&anchor].clone();
        part.node.place = place;
        self.insert(part)
    }

    fn remember(&mut self, anchor: usize, part: &Part) -> Result<(), BadInput> {
        if anchor == 0 {
            return Ok(());
        }
        self.count_copies(part.size, part.node.place)?;
        self.anchors.insert(anchor, part.clone());
        Ok(())
    }

    fn count_copies(&mut self, more: usize, place: Place) -> Result<(), BadInput> {
        self.copies = self.copies.saturating_add(more);
        if self.copies > MAX_COPIES {
            return Err(self.error(Problem::TooManyCopies { limit: MAX_COPIES }, place));
        }
        Ok(())
    }

    fn check_depth(&self, more: usize, place: Place) -> Result<(), BadInput> {
        if self.open.len() + more > MAX_DEPTH {
            // Without the path, which would be as long as the nesting is deep.
            return Err(BadInput::new("", Problem::TooDeep { limit: MAX_DEPTH }).at(self.text, place));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: into the list or mapping that is open, or at the root.
    fn insert(&mut self, part: Part) -> Result<Option<Node>, BadInput> {
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(part.node).filter(|node| node.value != Value::Null));
        };
        open.size += part.size;
        open.height = open.height.max(part.height + 1);
        let place = part.node.place;
        let inserted = match &mut open.content {
            Content::List(items) => {
                items.push(part.node);
                true
            }
            Content::Mapping(mapping) => mapping.insert(part.node),
        };
        if inserted {
            Ok(None)
        } else {
            Err(self.syntax("<< merges mappings only", "use a mapping or a list of mappings", place))
        }
    }

    fn syntax(&self, message: &str, remedy: &'static str, place: Place) -> BadInput {
        let (message, remedy) = (message.to_owned(), remedy.into());
        self.error(Problem::Syntax { message, remedy }, place)
    }

    fn error(&self, problem: Problem, place: Place) -> BadInput {
        BadInput::new(self.path(), problem).at(self.text, place)
    }
}

impl OpenMapping {
    /// Notes that `key` stands at `place`; gives the place where it stood before.
    fn note(&mut self, key: &Arc<str>, place: Place) -> Option<Place> {
        if self.entries.len() < LINEAR_SEARCH {
            return self
                .entries
                .iter()
                .find(|entry| entry.key == *key)
                .map(|entry| entry.place);
        }
        if self.seen.is_empty() {
            self.seen = self
                .entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.place))
                .collect();
        }
        self.seen.insert(key.clone(), place)
    }

    /// Gives the key that is waiting its value; false if it is a merge and the value can't be merged.
    fn insert(&mut self, value: Node) -> bool {
        let Some(key) = self.key.take() else {
            return false;
        };
        if key.merge {
            return self.merge(value.value);
        }
        self.entries.push(Entry {
            key: key.text,
            place: key.place,
            value,
        });
        true
    }

    fn merge(&mut self, value: Value) -> bool {
        match value {
            Value::Mapping(entries) => self.merged.extend(entries),
            Value::List(items) => {
                for item in items {
                    let Value::Mapping(entries) = item.value else {
                        return false;
                    };
                    self.merged.extend(entries);
                }
            }
            _ => return false,
        }
        true
    }

    /// The entries, with what was merged unless its key was there before.
    fn finish(mut self) -> Vec<Entry> {
        if !self.merged.is_empty() {
            let mut seen: HashSet<Arc<str>> = self.entries.iter().map(|entry| entry.key.clone()).collect();
            let merged = self.merged.into_iter().filter(|entry| seen.insert(entry.key.clone()));
            self.entries.extend(merged);
        }
        self.entries
    }
}

/// The place that the parser means; its columns start at 0.
pub(super) fn place(marker: &Marker) -> Place {
    Place {
        line: number(marker.line()),
        column: number(marker.col() + 1),
    }
}
