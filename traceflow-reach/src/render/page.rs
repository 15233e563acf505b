//! Text for a terminal of eighty columns.

use traceflow_core::render::Style;
use unicode_width::UnicodeWidthStr;

use crate::words::visible;

/// How wide a page is.
pub(crate) const WIDTH: usize = 80;

/// Text that grows line by line.
pub(crate) struct Page {
    pub(crate) out: String,
    style: Style,
}

/// How a piece of text is painted, where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    None,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Paint {
    /// The parameter of ECMA-48's SGR.
    fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        }
    }
}

impl Page {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            out: String::new(),
            style,
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str) {
        self.painted_line(text, Paint::None);
    }

    pub(crate) fn painted_line(&mut self, text: &str, paint: Paint) {
        let painted = self.painted(visible(text).trim_end(), paint);
        self.out.push_str(&painted);
        self.out.push('\n');
    }

    pub(crate) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A line of what was painted before.
    pub(crate) fn raw_line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    pub(crate) fn painted(&self, text: &str, paint: Paint) -> String {
        match (self.style, paint) {
            (Style::Plain, _) | (_, Paint::None) => text.to_owned(),
            (Style::Ansi, paint) => format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()),
        }
    }

    /// `label` and then `items`, folded at the width of the page with `indent` blanks in front of each further line; after
    /// `most` lines it says how many items more there are.
    pub(crate) fn list(&mut self, label: &str, items: &[String], separator: &str, indent: usize, most: usize) {
        let mut lines = 0;
        let mut line = label.to_owned();
        for (place, item) in items.iter().enumerate() {
            let comma = if place + 1 == items.len() { "" } else { separator };
            let fits = line.width() + item.width() + comma.trim_end().len() <= WIDTH;
            // An item that is wider than the page stands alone all the same.
            if !fits && line.width() > indent {
                lines += 1;
                if lines == most {
                    line.push_str(&format!("and {} more", items.len() - place));
                    break;
                }
                self.line(&line);
                line = " ".repeat(indent);
            }
            line.push_str(item);
            line.push_str(comma);
        }
        self.line(&line);
    }
}

/// `text`, cut to `width` columns with a `…` where it was longer.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if short.width() + 2 > width {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

/// `text` with blanks behind it up to `width` columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}
