//! A text from outside, under the name that messages use.

use std::sync::Arc;

use super::error::{BadInput, Place, Problem};

/// A text from outside and what messages call it. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    label: Arc<str>,
    text: Arc<str>,
}

impl Text {
    /// `text`, called `label` in messages: mostly the name of the file it came from.
    pub fn new(label: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self {
            label: label.into(),
            text: text.into(),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Problem::Encoding`] with the place of the first byte that is not UTF-8.
    pub fn from_bytes(label: impl Into<Arc<str>>, bytes: &[u8]) -> Result<Self, BadInput> {
        let label = label.into();
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(label, text)),
            Err(error) => {
                let readable = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let place = end_of(&readable);
                Err(BadInput::new("", Problem::Encoding).at(&Self::new(label, readable), place))
            }
        }
    }

    /// What messages call it.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Line `number`, from 1, without its end; empty if there is none.
    pub(super) fn line(&self, number: u32) -> &str {
        let index = number.saturating_sub(1) as usize;
        self.text.lines().nth(index).unwrap_or_default()
    }
}

fn end_of(text: &str) -> Place {
    let line_start = text.rfind('\n').map_or(0, |at| at + 1);
    Place {
        line: number(text.matches('\n').count() + 1),
        column: number(text[line_start..].chars().count() + 1),
    }
}

/// Lines and columns beyond four thousand million count as the last.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
