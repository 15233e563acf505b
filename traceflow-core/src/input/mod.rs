//! Reading YAML and JSON from outside: every key and value with its place, every mistake with what would be right.
//!
//! [`Text`] is what was read, with the label that messages call it by; [`Documents`] reads it into trees of [`Node`]s;
//! a [`Field`] walks such a tree and knows its own dotted path, so that whoever reads an object writes
//! `pod.required("spec")?.optional("nodeName")?` and every error says file, line, column and field by itself.
//!
//! Text is read as `kubectl` reads it: several `---` documents, YAML or JSON, plain `yes` and `on` are booleans, plain
//! `0x10` and `010` are numbers, `<<` merges. Duplicate keys are errors. Depth and the growth by aliases are bounded.
//!
//! ```
//! use traceflow_core::input::{Documents, Text};
//!
//! let text = Text::new("pod.yaml", "kind: Pod\nspec:\n  hostNetwork: 7\n");
//! let document = Documents::new(&text).next().unwrap()?;
//! let pod = document.root();
//! assert_eq!(&*pod.required("kind")?.string()?, "Pod");
//! let mistake = pod.required("spec")?.required("hostNetwork")?.boolean().unwrap_err();
//! assert_eq!(
//!     mistake.to_string(),
//!     "pod.yaml:3:3: spec.hostNetwork: 7 is an integer; use true or false"
//! );
//! # Ok::<(), traceflow_core::input::BadInput>(())
//! ```

mod document;
mod error;
mod field;
mod node;
mod scalar;
mod text;
mod tree;

pub use document::{Document, Documents};
pub use error::{BadInput, Place, Problem};
pub(crate) use error::{meant, one_of, quoted};
pub use field::Field;
pub use node::{Entry, Node, Value};
pub use text::Text;
