//! Lanes and the boxes in them.

use super::super::super::graph::{Fate, Graph, Lane, Link, Step};
use super::super::face::{Face, Text};
use super::super::geometry::Rect;
use super::paragraph::{bottom, line, paragraph};
use super::{ICON, MARGIN, PADDING, ROW_GAP, WIDTH};

/// Left of the boxes of a lane: the way into a row from above.
pub(super) const GUTTER: f64 = 34.0;
/// Between two boxes of a row; an arrow has to show.
const COLUMN_GAP: f64 = 26.0;
/// Between two rows or lanes that a labelled line joins.
const LABELLED_GAP: f64 = 40.0;

pub(in super::super) struct LaneShape {
    pub(in super::super) rect: Rect,
    pub(in super::super) name: Text,
    pub(in super::super) full: String,
    /// Nothing in it was seen.
    pub(in super::super) unseen: bool,
    pub(in super::super) boxes: Vec<StepShape>,
}

pub(in super::super) struct StepShape {
    pub(in super::super) rect: Rect,
    pub(in super::super) fate: Fate,
    pub(in super::super) icon: Rect,
    pub(in super::super) lines: Vec<Text>,
    pub(in super::super) full: String,
    /// Its row, counted over all lanes.
    pub(super) row: usize,
}

/// The lanes so far, one under the other.
pub(super) struct Column {
    pub(super) lanes: Vec<LaneShape>,
    /// Where the next lane begins, less the gap before it.
    y: f64,
    columns: usize,
    rows: usize,
}

impl Column {
    pub(super) fn new(graph: &Graph, y: f64) -> Self {
        let longest = graph.lanes.iter().map(|lane| lane.steps.len()).max().unwrap_or(0);
        let rows = |columns: usize| longest.div_ceil(columns);
        Self {
            lanes: Vec::new(),
            y,
            // Wide boxes are easier to read, unless narrow ones save a row.
            columns: if rows(4) < rows(3) { 4 } else { 3 },
            rows: 0,
        }
    }

    pub(super) fn lane(&mut self, lane: &Lane) {
        let first = lane.steps.first().and_then(|step| step.link.as_ref());
        let top = self.y + first.map_or(0.0, gap_before);
        let x = MARGIN + GUTTER;
        let room = WIDTH - MARGIN - PADDING - x;
        let name = line(&lane.node, Face::Node, x, top + 9.0, room);
        let mut boxes: Vec<StepShape> = Vec::new();
        let mut y = name.extent.bottom() + 9.0;
        for row in rows(&lane.steps, self.columns) {
            if let Some(before) = boxes.last() {
                y = before.rect.bottom() + row.first().and_then(|step| step.link.as_ref()).map_or(0.0, gap_before);
            }
            boxes.extend(self.row(row, x, y, room));
        }
        let end = boxes.last().map_or(y, |last| last.rect.bottom()) + PADDING;
        self.lanes.push(LaneShape {
            rect: Rect {
                x: MARGIN,
                y: top,
                width: WIDTH - 2.0 * MARGIN,
                height: end - top,
            },
            name,
            full: lane.node.clone(),
            unseen: lane.steps.iter().all(|step| step.fate == Fate::Unseen),
            boxes,
        });
        self.y = end;
    }

    /// Boxes side by side, all as high as the highest.
    fn row(&mut self, steps: &[Step], x: f64, y: f64, room: f64) -> Vec<StepShape> {
        let width = (room - (self.columns - 1) as f64 * COLUMN_GAP) / self.columns as f64;
        let place = |i: usize| x + i as f64 * (width + COLUMN_GAP);
        let row = self.rows;
        self.rows += 1;
        let mut boxes: Vec<StepShape> = steps
            .iter()
            .enumerate()
            .map(|(i, step)| StepShape::new(step, place(i), y, width, row))
            .collect();
        let height = boxes.iter().map(|shape| shape.rect.height).fold(0.0, f64::max);
        boxes.iter_mut().for_each(|shape| shape.rect.height = height);
        boxes
    }
}

impl StepShape {
    fn new(step: &Step, x: f64, y: f64, width: f64, row: usize) -> Self {
        let top = y + 10.0;
        let lines = lines_of(step, x + PADDING, top, width - 2.0 * PADDING);
        Self {
            rect: Rect {
                x,
                y,
                width,
                height: bottom(&lines, top) + 10.0 - y,
            },
            fate: step.fate,
            icon: Rect {
                x: x + width - PADDING - ICON,
                y: top,
                width: ICON,
                height: ICON,
            },
            lines,
            full: in_words(step),
            row,
        }
    }
}

/// What stands in the box, one line under the other.
fn lines_of(step: &Step, left: f64, top: f64, room: f64) -> Vec<Text> {
    let beside_icon = if step.fate == Fate::Passes {
        room
    } else {
        room - ICON - 4.0
    };
    let mut lines = vec![line(&step.component, Face::Component, left, top, beside_icon)];
    if !step.info.is_empty() {
        lines.push(line(&step.info, Face::Info, left, bottom(&lines, top), room));
    }
    lines.push(line(&step.action, Face::Action, left, bottom(&lines, top) + 3.0, room));
    for (i, detail) in step.details.iter().enumerate().take(4) {
        let gap = if i == 0 { 3.0 } else { 0.0 };
        let most = if i == 0 { 6 } else { 3 };
        lines.extend(paragraph(
            detail,
            Face::Detail,
            left,
            bottom(&lines, top) + gap,
            room,
            most,
        ));
    }
    lines
}

/// The steps of a lane in rows; what lies behind a labelled link begins a new one.
fn rows(steps: &[Step], columns: usize) -> Vec<&[Step]> {
    let labelled = |step: &Step| step.link.as_ref().is_some_and(|link| !link.label.is_empty());
    let mut rows = Vec::new();
    let mut begin = 0;
    for i in 1..=steps.len() {
        if i == steps.len() || i - begin == columns || labelled(&steps[i]) {
            rows.push(&steps[begin..i]);
            begin = i;
        }
    }
    rows
}

fn gap_before(link: &Link) -> f64 {
    if link.label.is_empty() { ROW_GAP } else { LABELLED_GAP }
}

/// The whole box in one line.
pub(super) fn in_words(step: &Step) -> String {
    let mut words = format!("{}: {}", step.place(), step.action);
    for detail in &step.details {
        words.push_str(", ");
        words.push_str(detail);
    }
    if step.fate == Fate::Unseen {
        words.push_str(" (not seen)");
    }
    words
}
