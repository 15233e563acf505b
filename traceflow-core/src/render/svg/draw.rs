//! The picture as text.

use std::fmt::{self, Write as _};

use super::super::graph::{Fate, LinkKind, Outcome};
use super::face::{Face, Text};
use super::geometry::{Point, Rect};
use super::layout::{Banner, LaneShape, LinkShape, Picture, StepShape, WIDTH};

/// Radius of rounded corners and bends.
const RADIUS: f64 = 7.0;
/// What an octagon's corners are cut off by.
const CUT: f64 = 11.0;

pub(super) fn document(picture: &Picture) -> String {
    let mut out = String::new();
    let height = picture.height;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" class=\"traceflow\" width=\"{WIDTH}\" \
         height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" style=\"max-width:100%;height:auto\">"
    );
    let _ = writeln!(out, "<title>{}</title>", Escaped(&picture.title));
    let _ = writeln!(out, "<desc>{}</desc>", Escaped(&picture.description));
    let _ = writeln!(out, "<style>{}</style>", include_str!("style.css"));
    let _ = writeln!(out, "<rect class=\"tf-canvas\" width=\"{WIDTH}\" height=\"{height}\"/>");
    texts(&picture.heading, &mut out);
    banner(&picture.banner, &mut out);
    picture.lanes.iter().for_each(|shape| lane(shape, &mut out));
    picture.links.iter().for_each(|shape| link(shape, &mut out));
    for shape in picture.lanes.iter().flat_map(|lane| &lane.boxes) {
        step(shape, &mut out);
    }
    for remark in &picture.remarks {
        group("tf-remark", &remark.full, &mut out, |out| texts(&remark.lines, out));
    }
    out.push_str("</svg>\n");
    out
}

fn banner(banner: &Banner, out: &mut String) {
    let (class, icon) = match banner.outcome {
        Outcome::Passed => ("tf-banner tf-good", CHECK),
        Outcome::Stopped => ("tf-banner tf-bad", CROSS),
        Outcome::Unanswered => ("tf-banner tf-open", QUESTION_MARK),
    };
    group(class, &banner.full, out, |out| {
        rounded(&banner.rect, RADIUS, "tf-shape", out);
        draw_icon(&banner.icon, icon, out);
        texts(&banner.lines, out);
    });
}

fn lane(lane: &LaneShape, out: &mut String) {
    let class = if lane.unseen { "tf-lane tf-unseen" } else { "tf-lane" };
    group(class, &lane.full, out, |out| {
        rounded(&lane.rect, RADIUS, "tf-shape", out);
        texts(std::slice::from_ref(&lane.name), out);
    });
}

fn step(step: &StepShape, out: &mut String) {
    let (class, icon) = match step.fate {
        Fate::Passes => ("tf-step", None),
        Fate::Delivered => ("tf-step tf-good", Some(CHECK)),
        Fate::LeftNetwork => ("tf-step tf-left", Some(ARROW_OUT)),
        Fate::Dropped => ("tf-step tf-bad", Some(CROSS)),
        Fate::Rejected => ("tf-step tf-bad", Some(TURN_BACK)),
        Fate::Unseen => ("tf-step tf-unseen", Some(QUESTION_MARK)),
    };
    group(class, &step.full, out, |out| {
        outline(step, out);
        if let Some(icon) = icon {
            draw_icon(&step.icon, icon, out);
        }
        texts(&step.lines, out);
    });
}

fn outline(step: &StepShape, out: &mut String) {
    match step.fate {
        Fate::Passes | Fate::Unseen => rounded(&step.rect, RADIUS, "tf-shape", out),
        Fate::Delivered => rounded(&step.rect, 2.0 * RADIUS, "tf-shape", out),
        Fate::LeftNetwork => polygon(&pennant(&step.rect), out),
        Fate::Dropped | Fate::Rejected => polygon(&octagon(&step.rect), out),
    }
}

fn octagon(r: &Rect) -> [(f64, f64); 8] {
    [
        (r.x + CUT, r.y),
        (r.right() - CUT, r.y),
        (r.right(), r.y + CUT),
        (r.right(), r.bottom() - CUT),
        (r.right() - CUT, r.bottom()),
        (r.x + CUT, r.bottom()),
        (r.x, r.bottom() - CUT),
        (r.x, r.y + CUT),
    ]
}

/// Pointed to the right, the way out.
fn pennant(r: &Rect) -> [(f64, f64); 5] {
    [
        (r.x, r.y),
        (r.right() - CUT, r.y),
        (r.right(), r.middle().y),
        (r.right() - CUT, r.bottom()),
        (r.x, r.bottom()),
    ]
}

fn polygon(corners: &[(f64, f64)], out: &mut String) {
    out.push_str("<polygon class=\"tf-shape\" points=\"");
    for (i, (x, y)) in corners.iter().enumerate() {
        let _ = write!(out, "{}{x:.1},{y:.1}", if i == 0 { "" } else { " " });
    }
    out.push_str("\"/>\n");
}

/// Icons are drawn in a square of 18 by 18.
const CHECK: &str = "M3.5 9.5l4 4 7-9";
const CROSS: &str = "M4 4l10 10M14 4L4 14";
const TURN_BACK: &str = "M7 3L3 7l4 4M3.5 7H11a3.5 3.5 0 0 1 0 7.5H7";
const ARROW_OUT: &str = "M4 14L14 4M6.5 4H14v7.5";
const QUESTION_MARK: &str = "M5.5 6a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1-1.5 2.3M9 14.4v.6";

fn draw_icon(place: &Rect, path: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<path class=\"tf-icon\" transform=\"translate({:.1} {:.1})\" d=\"{path}\"/>",
        place.x, place.y
    );
}

fn link(link: &LinkShape, out: &mut String) {
    let class = match link.kind {
        LinkKind::Seen => "tf-link",
        LinkKind::Lost => "tf-link tf-lost",
        LinkKind::Predicted => "tf-link tf-unseen",
    };
    let full = link.label.as_ref().map_or("", |label| label.content.as_str());
    group(class, full, out, |out| {
        if let (true, Some(start)) = (link.first, link.points.first()) {
            let _ = writeln!(
                out,
                "<circle class=\"tf-head\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>",
                start.x, start.y
            );
        }
        let _ = writeln!(out, "<path class=\"tf-line\" d=\"{}\"/>", bent(&link.points));
        if let Some(end) = link.points.last() {
            let (x, y) = (end.x - 1.0, end.y);
            let _ = writeln!(out, "<path class=\"tf-head\" d=\"M{x:.1} {y:.1}l-8 -4.5v9z\"/>");
        }
        texts(link.label.as_slice(), out);
    });
}

/// A path through `points` that goes round its corners, and ends inside the arrow's head.
fn bent(points: &[Point]) -> String {
    let mut path = String::new();
    for (i, point) in points.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| points.get(i));
        match (before, points.get(i + 1)) {
            (None, _) => {
                let _ = write!(path, "M{:.1} {:.1}", point.x, point.y);
            }
            (Some(_), None) => {
                let _ = write!(path, "L{:.1} {:.1}", point.x - 6.0, point.y);
            }
            (Some(before), Some(after)) => {
                let (a, b) = (towards(point, before), towards(point, after));
                let _ = write!(
                    path,
                    "L{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}",
                    a.x, a.y, point.x, point.y, b.x, b.y
                );
            }
        }
    }
    path
}

/// The point at most a radius away from `from` on the way to `to`.
fn towards(from: &Point, to: &Point) -> Point {
    let (x, y) = (to.x - from.x, to.y - from.y);
    let length = x.hypot(y).max(f64::MIN_POSITIVE);
    let part = (RADIUS / length).min(0.5);
    Point {
        x: from.x + x * part,
        y: from.y + y * part,
    }
}

fn group(class: &str, full: &str, out: &mut String, inside: impl FnOnce(&mut String)) {
    let _ = writeln!(out, "<g class=\"{class}\">");
    if !full.is_empty() {
        let _ = writeln!(out, "<title>{}</title>", Escaped(full));
    }
    inside(out);
    out.push_str("</g>\n");
}

fn rounded(rect: &Rect, radius: f64, class: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{radius}\"/>",
        rect.x, rect.y, rect.width, rect.height
    );
}

fn texts(lines: &[Text], out: &mut String) {
    for line in lines {
        let _ = writeln!(
            out,
            "<text class=\"{}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            class(line.face),
            line.extent.x,
            line.extent.y + line.face.ascent(),
            Escaped(&line.content)
        );
    }
}

fn class(face: Face) -> &'static str {
    match face {
        Face::Question => "tf-question",
        Face::Caption => "tf-caption",
        Face::Verdict => "tf-verdict",
        Face::Node => "tf-node",
        Face::Component => "tf-component",
        Face::Info => "tf-info",
        Face::Action => "tf-action",
        Face::Detail => "tf-detail",
        Face::Label => "tf-label",
        Face::Remark => "tf-text",
    }
}

/// Text between tags or in an attribute, XML 1.0 section 2.4.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
