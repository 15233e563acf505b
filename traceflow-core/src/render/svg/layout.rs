//! Where everything goes.

use super::super::graph::{Fate, Graph, Lane, Link, LinkKind, Outcome, Remark, Step};
use super::face::{Face, Text};
use super::geometry::{Point, Rect};

pub(super) const WIDTH: f64 = 800.0;
const MARGIN: f64 = 24.0;
const PADDING: f64 = 12.0;
/// Left of the boxes of a lane: the way into a row from above.
const GUTTER: f64 = 34.0;
/// The room for an icon in the corner of a box.
pub(super) const ICON: f64 = 18.0;
/// Between two boxes of a row; an arrow has to show.
const COLUMN_GAP: f64 = 26.0;
/// Between two rows or lanes that a line without label joins.
const ROW_GAP: f64 = 26.0;
/// The same, with a label.
const LABELLED_GAP: f64 = 40.0;
/// How far above the next row a line runs to the left.
const CHANNEL: f64 = 13.0;

/// A trace with a place for everything.
pub(super) struct Picture {
    pub(super) height: f64,
    /// The picture's name: what was asked.
    pub(super) title: String,
    /// The picture in words.
    pub(super) description: String,
    pub(super) heading: Vec<Text>,
    pub(super) banner: Banner,
    pub(super) lanes: Vec<LaneShape>,
    pub(super) links: Vec<LinkShape>,
    pub(super) remarks: Vec<RemarkShape>,
}

/// How it ended.
pub(super) struct Banner {
    pub(super) rect: Rect,
    pub(super) outcome: Outcome,
    pub(super) icon: Rect,
    pub(super) lines: Vec<Text>,
    pub(super) full: String,
}

pub(super) struct LaneShape {
    pub(super) rect: Rect,
    pub(super) name: Text,
    pub(super) full: String,
    /// Nothing in it was seen.
    pub(super) unseen: bool,
    pub(super) boxes: Vec<StepShape>,
}

pub(super) struct StepShape {
    pub(super) rect: Rect,
    pub(super) fate: Fate,
    pub(super) icon: Rect,
    pub(super) lines: Vec<Text>,
    pub(super) full: String,
    /// Its row, counted over all lanes.
    row: usize,
}

/// The line to a box, with an arrow at its end; the first begins with a dot.
pub(super) struct LinkShape {
    pub(super) kind: LinkKind,
    pub(super) points: Vec<Point>,
    pub(super) label: Option<Text>,
    pub(super) first: bool,
}

pub(super) struct RemarkShape {
    pub(super) lines: Vec<Text>,
    pub(super) full: String,
}

impl Picture {
    pub(super) fn new(graph: &Graph) -> Self {
        let room = WIDTH - 2.0 * MARGIN;
        let mut heading = paragraph(
            &graph.question.replace(" -> ", " → "),
            Face::Question,
            MARGIN,
            MARGIN,
            room,
            3,
        );
        heading.extend(paragraph(
            &graph.mode,
            Face::Caption,
            MARGIN,
            bottom(&heading, MARGIN) + 2.0,
            room,
            1,
        ));
        let banner = Banner::new(graph, bottom(&heading, MARGIN) + PADDING);
        let mut column = Column::new(graph, banner.rect.bottom() + ROW_GAP);
        graph.lanes.iter().for_each(|lane| column.lane(lane));
        let links = links(graph, &column.lanes);
        let below = column
            .lanes
            .last()
            .map_or_else(|| banner.rect.bottom(), |lane| lane.rect.bottom());
        let remarks = remarks(&graph.remarks, below + PADDING);
        let end = remarks.last().map_or(below, |remark| bottom(&remark.lines, below));
        Self {
            height: (end + MARGIN).ceil(),
            title: graph.title(),
            description: description(graph),
            heading,
            banner,
            lanes: column.lanes,
            links,
            remarks,
        }
    }
}

impl Banner {
    fn new(graph: &Graph, top: f64) -> Self {
        let x = MARGIN + PADDING + ICON + 10.0;
        let room = WIDTH - MARGIN - PADDING - x;
        let lines = paragraph(&graph.verdict, Face::Verdict, x, top + PADDING, room, 5);
        let rect = Rect {
            x: MARGIN,
            y: top,
            width: WIDTH - 2.0 * MARGIN,
            height: bottom(&lines, top + PADDING) + PADDING - top,
        };
        let icon = Rect {
            x: MARGIN + PADDING,
            y: rect.middle().y - ICON / 2.0,
            width: ICON,
            height: ICON,
        };
        Self {
            rect,
            outcome: graph.outcome,
            icon,
            lines,
            full: graph.verdict.clone(),
        }
    }
}

/// The lanes so far, one under the other.
struct Column {
    lanes: Vec<LaneShape>,
    /// Where the next lane begins, less the gap before it.
    y: f64,
    columns: usize,
    rows: usize,
}

impl Column {
    fn new(graph: &Graph, y: f64) -> Self {
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

    fn lane(&mut self, lane: &Lane) {
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
        let (left, room) = (x + PADDING, width - 2.0 * PADDING);
        let beside_icon = if step.fate == Fate::Passes {
            room
        } else {
            room - ICON - 4.0
        };
        let top = y + 10.0;
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

fn links(graph: &Graph, lanes: &[LaneShape]) -> Vec<LinkShape> {
    let steps = graph.lanes.iter().flat_map(|lane| &lane.steps);
    let places = lanes
        .iter()
        .flat_map(|lane| lane.boxes.iter().map(move |shape| (lane, shape)));
    let mut links: Vec<LinkShape> = Vec::new();
    let mut before: Option<(&LaneShape, &StepShape)> = None;
    for (step, (lane, shape)) in steps.zip(places) {
        links.push(match (before, &step.link) {
            (Some((_, from)), Some(link)) if from.row == shape.row => LinkShape::along_row(link, from, shape),
            (Some((from_lane, from)), Some(link)) => {
                let next_top = if std::ptr::eq(from_lane, lane) {
                    shape.rect.y
                } else {
                    lane.rect.y
                };
                LinkShape::around(link, from, shape, next_top - CHANNEL)
            }
            _ => LinkShape::first(shape),
        });
        before = Some((lane, shape));
    }
    links
}

/// The way down on the left of every lane.
const GUTTER_X: f64 = MARGIN + GUTTER / 2.0;

impl LinkShape {
    fn first(to: &StepShape) -> Self {
        let y = to.rect.middle().y;
        Self {
            kind: LinkKind::Seen,
            points: vec![Point { x: GUTTER_X, y }, Point { x: to.rect.x, y }],
            label: None,
            first: true,
        }
    }

    fn along_row(link: &Link, from: &StepShape, to: &StepShape) -> Self {
        let y = from.rect.middle().y;
        Self {
            kind: link.kind,
            points: vec![
                Point {
                    x: from.rect.right(),
                    y,
                },
                Point { x: to.rect.x, y },
            ],
            label: None,
            first: false,
        }
    }

    /// Down from `from`, left through the channel, down the gutter, and into `to` from its left.
    fn around(link: &Link, from: &StepShape, to: &StepShape, channel: f64) -> Self {
        let start = Point {
            x: from.rect.middle().x,
            y: from.rect.bottom(),
        };
        let y = to.rect.middle().y;
        let points = vec![
            start,
            Point { x: start.x, y: channel },
            Point {
                x: GUTTER_X,
                y: channel,
            },
            Point { x: GUTTER_X, y },
            Point { x: to.rect.x, y },
        ];
        Self {
            kind: link.kind,
            points,
            label: link_label(link, start.x, channel),
            first: false,
        }
    }
}

/// On the roomier side of the line that comes down at `x`, above the channel.
fn link_label(link: &Link, x: f64, channel: f64) -> Option<Text> {
    if link.label.is_empty() {
        return None;
    }
    let (left, right) = (GUTTER_X + 10.0, WIDTH - MARGIN - PADDING);
    let top = channel - 3.0 - Face::Caption.line_height();
    let (from, room) = if x - left > right - x {
        (left, x - 10.0 - left)
    } else {
        (x + 10.0, right - x - 10.0)
    };
    Some(line(&link.label, Face::Caption, from, top, room))
}

/// Labels in one column, their texts in another; a label that repeats is left out.
fn remarks(remarks: &[Remark], top: f64) -> Vec<RemarkShape> {
    let width = remarks
        .iter()
        .map(|remark| Face::Label.width(remark.label))
        .fold(0.0, f64::max);
    let x = MARGIN + width + 12.0;
    let mut shapes: Vec<RemarkShape> = Vec::new();
    let mut y = top;
    let mut label_before = "";
    for remark in remarks {
        let text = paragraph(&remark.text, Face::Remark, x, y, WIDTH - MARGIN - x, 4);
        let next = bottom(&text, y + Face::Remark.line_height()) + 3.0;
        let mut lines = Vec::new();
        if remark.label != label_before {
            lines.push(line(remark.label, Face::Label, MARGIN, y, width));
        }
        lines.extend(text);
        shapes.push(RemarkShape {
            lines,
            full: remark.to_string(),
        });
        y = next;
        label_before = remark.label;
    }
    shapes
}

fn line(text: &str, face: Face, x: f64, y: f64, room: f64) -> Text {
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

fn paragraph(text: &str, face: Face, x: f64, y: f64, room: f64, most: usize) -> Vec<Text> {
    let lines = face.wrap(text, room, most).into_iter().enumerate();
    lines
        .map(|(i, content)| line(&content, face, x, y + i as f64 * face.line_height(), room))
        .collect()
}

fn bottom(lines: &[Text], otherwise: f64) -> f64 {
    lines.last().map_or(otherwise, |last| last.extent.bottom())
}

fn in_words(step: &Step) -> String {
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

/// The whole picture for those who don't see it.
fn description(graph: &Graph) -> String {
    let mut text = format!("{}.", graph.verdict);
    for lane in &graph.lanes {
        text.push_str(&format!(" On {}:", lane.node));
        for step in &lane.steps {
            text.push_str(&format!(" {};", in_words(step)));
        }
    }
    for remark in &graph.remarks {
        text.push_str(&format!(" {remark}."));
    }
    text
}
