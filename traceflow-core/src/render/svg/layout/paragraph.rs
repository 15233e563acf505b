//! Lines of text, one under the other.

use super::super::face::{Face, Text};
use super::super::geometry::Rect;

/// One line, shortened if need be; `y` is its top.
pub(super) fn line(text: &str, face: Face, x: f64, y: f64, room: f64) -> Text {
    let content = face.shortened(text, room);
    Text {
        extent: Rect {
            x,
            y,
            width: face.width(&content),
            height: face.line_height(),
        },
        content,
        face,
    }
}

/// At most `most` lines; what doesn't fit ends in `…`.
pub(super) fn paragraph(text: &str, face: Face, x: f64, y: f64, room: f64, most: usize) -> Vec<Text> {
    let lines = face.wrap(text, room, most).into_iter().enumerate();
    lines
        .map(|(i, content)| line(&content, face, x, y + i as f64 * face.line_height(), room))
        .collect()
}

/// Where the last line ends.
pub(super) fn bottom(lines: &[Text], otherwise: f64) -> f64 {
    lines.last().map_or(otherwise, |last| last.extent.bottom())
}
