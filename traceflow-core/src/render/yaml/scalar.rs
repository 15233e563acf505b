//! Scalars on their way into the text: quotes, escapes, folds.

use super::style::{Style, is_printable, short_escape};

/// A line is folded at the first space behind this column.
const BEST_WIDTH: usize = 80;

/// The text so far.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
    /// Characters since the line began.
    column: usize,
}

impl Writer {
    pub(super) fn into_text(self) -> String {
        self.out
    }

    /// Writes `text`, which may go on in further lines at the indent `fold`, if there is one.
    pub(super) fn scalar(&mut self, text: &str, style: Style, fold: Option<usize>) {
        match style {
            Style::Plain => self.folded(text, fold, Self::push),
            Style::SingleQuoted => self.single_quoted(text, fold),
            Style::DoubleQuoted => self.double_quoted(text, fold),
            Style::Literal => self.literal(text, fold.unwrap_or_default()),
        }
    }

    fn single_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.push('\'');
        self.folded(text, fold, |writer, character| {
            if character == '\'' {
                writer.push('\'');
            }
            writer.push(character);
        });
        self.push('\'');
    }

    /// Writes `text` and turns a single space behind the best width into a line break.
    fn folded(&mut self, text: &str, fold: Option<usize>, write: impl Fn(&mut Self, char)) {
        let mut after_space = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((i, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            let inner = i > 0 && next.is_some_and(|next| next != ' ');
            match fold {
                Some(indent) if character == ' ' && inner && !after_space && self.column > BEST_WIDTH => {
                    self.line_break(indent);
                }
                _ => write(self, character),
            }
            after_space = character == ' ';
        }
    }

    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.push('"');
        let mut after_space = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((i, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            match fold {
                Some(indent)
                    if character == ' ' && i > 0 && next.is_some() && !after_space && self.column > BEST_WIDTH =>
                {
                    self.line_break(indent);
                    if next == Some(' ') {
                        self.push('\\');
                    }
                }
                _ => self.escaped(character),
            }
            after_space = character == ' ';
        }
        self.push('"');
    }

    fn escaped(&mut self, character: char) {
        let code = u32::from(character);
        match short_escape(character) {
            Some(short) => {
                self.push('\\');
                self.push(short);
            }
            None if is_printable(character) => self.push(character),
            None if code <= 0xff => self.push_str(&format!("\\x{code:02X}")),
            None if code <= 0xffff => self.push_str(&format!("\\u{code:04X}")),
            None => self.push_str(&format!("\\U{code:08X}")),
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.push('|');
        if text.starts_with([' ', '\n']) {
            self.push('2');
        }
        if !text.ends_with('\n') {
            self.push('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.push('+');
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.line_break(if line.is_empty() { 0 } else { indent });
            self.push_str(line);
        }
    }

    pub(super) fn line_break(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    pub(super) fn push(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}
