//! How much room text takes. The reader's fonts are not known, so it is measured by the widest of the common ones, and
//! text that must fit is broken or shortened by that.

use unicode_width::UnicodeWidthChar;

use super::geometry::Rect;

/// A text style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// What was asked.
    Question,
    /// How the answer was found, and labels on the way from node to node.
    Caption,
    /// How it ended.
    Verdict,
    /// A node's name.
    Node,
    /// A component.
    Component,
    /// The place within the component.
    Info,
    /// What was done.
    Action,
    /// Policies, addresses.
    Detail,
    /// The word before a remark.
    Label,
    /// A remark.
    Remark,
}

/// One line of text in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) content: String,
    pub(super) face: Face,
    /// The room that it takes at most.
    pub(super) extent: Rect,
}

impl Face {
    /// Font size in pixels.
    pub(super) fn size(self) -> f64 {
        match self {
            Self::Question => 16.0,
            Self::Verdict => 14.0,
            Self::Node | Self::Component => 13.0,
            _ => 12.0,
        }
    }

    pub(super) fn is_bold(self) -> bool {
        matches!(
            self,
            Self::Question | Self::Verdict | Self::Node | Self::Component | Self::Action | Self::Label
        )
    }

    pub(super) fn is_monospaced(self) -> bool {
        matches!(self, Self::Node | Self::Detail)
    }

    /// Room for ascent and descent of the tallest common font (Noto Sans, 1.36).
    pub(super) fn line_height(self) -> f64 {
        self.size() * 1.4
    }

    /// From the top of the line to the baseline.
    pub(super) fn ascent(self) -> f64 {
        self.size() * 1.08
    }

    /// The width of `text` at most.
    pub(super) fn width(self, text: &str) -> f64 {
        text.chars().map(|character| self.advance(character)).sum()
    }

    fn advance(self, character: char) -> f64 {
        let em = match (u32::from(character) as usize).checked_sub(usize::from(b' ')) {
            Some(0..95) if self.is_monospaced() => 0.62,
            Some(index @ 0..95) => f64::from(if self.is_bold() { BOLD[index] } else { REGULAR[index] }) / 1000.0,
            _ => 1.2 * character.width().unwrap_or(1).max(1) as f64,
        };
        em * self.size()
    }

    /// `text` in lines no wider than `room`, at most `most` of them; what doesn't fit ends in `…`.
    pub(super) fn wrap(self, text: &str, room: f64, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() && lines.len() < most {
            let end = if lines.len() + 1 == most {
                rest.len()
            } else {
                self.break_at(rest, room)
            };
            lines.push(self.shortened(rest[..end].trim_end(), room));
            rest = rest[end..].trim_start();
        }
        lines
    }

    /// `text` if it fits, else its front and `…`.
    pub(super) fn shortened(self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let end = self.fitting(text, room - self.advance('…'));
        format!("{}…", &text[..end])
    }

    /// Where the first line of `text` ends: behind a space, else behind punctuation, else anywhere.
    fn break_at(self, text: &str, room: f64) -> usize {
        let fitting = self.fitting(text, room);
        if fitting == text.len() {
            return fitting;
        }
        let front = &text[..fitting];
        if text[fitting..].starts_with(' ') {
            return fitting;
        }
        let behind = |found: Option<usize>| found.map(|at| at + 1).filter(|&end| end * 3 > fitting);
        behind(front.rfind(' '))
            .or_else(|| behind(front.rfind(['/', ':', '-', '.', '_', ','])))
            .unwrap_or_else(|| fitting.max(text.chars().next().map_or(0, char::len_utf8)))
    }

    /// How many bytes of `text` fit into `room`.
    fn fitting(self, text: &str, room: f64) -> usize {
        let mut width = 0.0;
        for (at, character) in text.char_indices() {
            width += self.advance(character);
            if width > room {
                return at;
            }
        }
        text.len()
    }
}

/// Advances of the characters from space to `~` in thousandths of an em: the widest of DejaVu Sans, Liberation Sans (as
/// Arial) and Noto Sans, from their `hmtx` tables.
const REGULAR: [u16; 95] = [
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 551, 838, 318, 361, 318, 372, 637, 637, 637, 637, 637, 637, 637,
    637, 637, 637, 337, 337, 838, 838, 838, 557, 1016, 685, 687, 723, 771, 667, 611, 778, 752, 339, 500, 667, 558, 907,
    760, 788, 667, 788, 723, 667, 611, 732, 685, 989, 686, 667, 686, 391, 372, 391, 838, 557, 500, 613, 635, 550, 635,
    616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612, 635, 635, 413, 521, 393, 634, 592, 818, 592, 592, 525, 637,
    551, 637, 838,
];

/// The same of the bold fonts.
const BOLD: [u16; 95] = [
    349, 457, 521, 838, 696, 1002, 873, 307, 458, 458, 545, 838, 380, 416, 380, 413, 696, 696, 696, 696, 696, 696, 696,
    696, 696, 696, 400, 400, 838, 838, 838, 611, 1000, 774, 763, 734, 831, 684, 684, 821, 837, 389, 557, 775, 638, 996,
    837, 851, 733, 851, 771, 721, 683, 813, 774, 1104, 771, 725, 726, 458, 413, 458, 838, 557, 500, 675, 716, 593, 716,
    679, 436, 716, 712, 343, 343, 666, 343, 1042, 712, 688, 716, 716, 494, 596, 479, 712, 652, 924, 646, 652, 583, 712,
    551, 712, 838,
];
