//! The lines from box to box.

use super::super::super::graph::{Fate, Graph, Link, LinkKind};
use super::super::face::{Face, Text};
use super::super::geometry::Point;
use super::lane::{GUTTER, LaneShape, StepShape};
use super::paragraph::line;
use super::{MARGIN, PADDING, WIDTH};

/// How far above the next row a line runs to the left.
const CHANNEL: f64 = 13.0;

/// The line to a box, with an arrow at its end; the first begins with a dot.
pub(in super::super) struct LinkShape {
    pub(in super::super) kind: LinkKind,
    pub(in super::super) points: Vec<Point>,
    pub(in super::super) label: Option<Text>,
    pub(in super::super) first: bool,
}

pub(super) fn links(graph: &Graph, lanes: &[LaneShape]) -> Vec<LinkShape> {
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
            kind: if to.fate == Fate::Unseen {
                LinkKind::Predicted
            } else {
                LinkKind::Seen
            },
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
