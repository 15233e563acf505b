//! Where everything goes: heading, banner, lanes, lines, remarks, from top to bottom.

mod lane;
mod link;
mod paragraph;

use self::lane::{Column, in_words};
pub(super) use self::lane::{LaneShape, StepShape};
pub(super) use self::link::LinkShape;
use self::paragraph::{bottom, line, paragraph};
use super::super::graph::{Graph, Outcome, Remark};
use super::face::{Face, Text};
use super::geometry::Rect;

pub(super) const WIDTH: f64 = 800.0;
const MARGIN: f64 = 24.0;
const PADDING: f64 = 12.0;
/// The room for an icon in the corner of a box.
pub(super) const ICON: f64 = 18.0;
/// Between two rows or lanes that a line without label joins.
const ROW_GAP: f64 = 26.0;

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

pub(super) struct RemarkShape {
    pub(super) lines: Vec<Text>,
    pub(super) full: String,
}

impl Picture {
    pub(super) fn new(graph: &Graph) -> Self {
        let room = WIDTH - 2.0 * MARGIN;
        let mut heading = paragraph(&graph.question, Face::Question, MARGIN, MARGIN, room, 3);
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
        let links = link::links(graph, &column.lanes);
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
