//! The layout checked as data, then the document that was made of it.

use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::super::graph::Graph;
use super::super::samples;
use super::face::{Face, Text};
use super::geometry::{Point, Rect};
use super::layout::{LaneShape, LinkShape, Picture, WIDTH};
use super::svg;

#[test]
fn boxes_do_not_meet() {
    for_every_picture(assert_boxes_are_apart);
}

fn assert_boxes_are_apart(name: &str, picture: &Picture) {
    let mut lanes: Vec<Rect> = picture.lanes.iter().map(|lane| lane.rect).collect();
    lanes.push(picture.banner.rect);
    assert_apart(name, &lanes);
    let boxes: Vec<Rect> = picture
        .lanes
        .iter()
        .flat_map(|lane| &lane.boxes)
        .map(|shape| shape.rect)
        .collect();
    assert_apart(name, &boxes);
}

#[test]
fn texts_do_not_meet() {
    for_every_picture(assert_texts_are_apart);
}

fn assert_texts_are_apart(name: &str, picture: &Picture) {
    let mut rooms: Vec<Rect> = texts(picture).iter().map(|text| text.extent).collect();
    rooms.extend(icons(picture));
    assert_apart(name, &rooms);
}

#[test]
fn every_text_lies_inside_its_box() {
    for_every_picture(assert_texts_are_inside);
}

fn assert_texts_are_inside(name: &str, picture: &Picture) {
    let inside = |shape: &Rect, texts: &[Text]| {
        for text in texts {
            assert!(shape.holds(&text.extent), "{name}: {}", text.content);
        }
    };
    inside(&picture.banner.rect, &picture.banner.lines);
    for lane in &picture.lanes {
        inside(&lane.rect, std::slice::from_ref(&lane.name));
        for shape in &lane.boxes {
            assert!(lane.rect.holds(&shape.rect), "{name}");
            inside(&shape.rect, &shape.lines);
        }
    }
    for label in picture.links.iter().filter_map(|link| link.label.as_ref()) {
        let clear = |lane: &LaneShape| lane.rect.holds(&label.extent) || !lane.rect.meets(&label.extent);
        assert!(picture.lanes.iter().all(clear), "{name}: {}", label.content);
    }
}

#[test]
fn everything_lies_on_the_canvas() {
    for_every_picture(assert_all_is_on_the_canvas);
}

fn assert_all_is_on_the_canvas(name: &str, picture: &Picture) {
    let canvas = Rect {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: picture.height,
    };
    let texts = texts(picture).into_iter().map(|text| text.extent);
    let lanes = picture.lanes.iter().map(|lane| lane.rect);
    for rect in texts.chain(lanes).chain(segments(picture)) {
        assert!(canvas.holds(&rect), "{name}: {rect:?}");
    }
}

#[test]
fn no_line_runs_through_a_text_or_a_box() {
    for_every_picture(assert_lines_are_clear);
}

fn assert_lines_are_clear(name: &str, picture: &Picture) {
    let boxes = picture
        .lanes
        .iter()
        .flat_map(|lane| &lane.boxes)
        .map(|shape| shape.rect);
    let obstacles: Vec<Rect> = texts(picture).iter().map(|text| text.extent).chain(boxes).collect();
    for line in segments(picture) {
        for obstacle in &obstacles {
            assert!(!line.meets(obstacle), "{name}: {line:?} and {obstacle:?}");
        }
    }
}

#[test]
fn a_text_is_no_wider_than_its_extent() {
    for_every_picture(|name, picture| {
        for text in texts(picture) {
            assert!(
                text.face.width(&text.content) <= text.extent.width + 0.01,
                "{name}: {}",
                text.content
            );
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_path_of_any_words_is_laid_out_clean(
        path in prop::collection::vec((word(), prop::collection::vec([word(), word(), word()], 1..10)), 0..8),
        unseen in 0_usize..4,
    ) {
        let trace = samples::of_words(&path, unseen);
        let picture = Picture::new(&Graph::new(&trace));
        assert_boxes_are_apart("any", &picture);
        assert_texts_are_apart("any", &picture);
        assert_texts_are_inside("any", &picture);
        assert_all_is_on_the_canvas("any", &picture);
        assert_lines_are_clear("any", &picture);
        prop_assert!(Document::parse(&svg(&trace)).is_ok());
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[A-Za-z0-9-]{1,63}", "[mW@. /:-]{0,253}", any::<String>()]
}

#[test]
fn the_document_holds_what_was_laid_out() {
    for (name, trace) in samples::all() {
        let (picture, text) = (Picture::new(&Graph::new(&trace)), svg(&trace));
        let document = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        let written: Vec<(String, f64)> = elements(&document, "text")
            .map(|node| (node.text().unwrap_or_default().to_owned(), number(&node, "x")))
            .collect();
        let mut laid_out = texts(&picture);
        laid_out.sort_by(|a, b| a.content.cmp(&b.content).then(a.extent.x.total_cmp(&b.extent.x)));
        let mut sorted = written;
        sorted.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        assert_eq!(sorted.len(), laid_out.len(), "{name}");
        for ((content, x), text) in sorted.iter().zip(laid_out) {
            assert_eq!(*content, text.content, "{name}");
            assert!((x - text.extent.x).abs() < 0.06, "{name}: {content}");
        }
        let links = elements(&document, "path")
            .filter(|node| node.attribute("class") == Some("tf-line"))
            .count();
        assert_eq!(links, picture.links.len(), "{name}");
    }
}

#[test]
fn the_document_names_itself_and_needs_nothing_else() {
    for (name, trace) in samples::all() {
        let text = svg(&trace);
        let document = Document::parse(&text).unwrap();
        let root = document.root_element();
        let mut children = root.children().filter(Node::is_element);
        assert_eq!(
            children.next().map(|node| node.tag_name().name().to_owned()).as_deref(),
            Some("title"),
            "{name}"
        );
        assert_eq!(
            children.next().map(|node| node.tag_name().name().to_owned()).as_deref(),
            Some("desc"),
            "{name}"
        );
        assert_eq!(root.attribute("role"), Some("img"), "{name}");
        assert_eq!(number(&root, "width"), WIDTH, "{name}");
        assert!(!elements(&document, "script").any(|_| true), "{name}");
        assert!(
            document
                .descendants()
                .all(|node| node.attributes().all(|a| !a.name().ends_with("href"))),
            "{name}"
        );
    }
}

#[test]
fn what_was_shortened_shows_its_whole_text_when_pointed_at() {
    let trace = samples::longest_names(2);
    let text = svg(&trace);
    let document = Document::parse(&text).unwrap();
    let policy = trace.hops[0].observations[1]
        .network_policy
        .as_ref()
        .unwrap()
        .to_string();
    assert!(elements(&document, "text").all(|node| !node.text().unwrap_or_default().contains(&policy)));
    assert!(elements(&document, "title").any(|node| node.text().unwrap_or_default().contains(&policy)));
}

#[test]
fn a_drop_shows_by_shape_and_word() {
    let text = svg(&samples::pod1_to_pod2_icmp());
    let document = Document::parse(&text).unwrap();
    let octagons: Vec<_> = elements(&document, "polygon").collect();
    assert_eq!(octagons.len(), 1);
    let inside = octagons[0].parent().unwrap();
    assert!(inside.descendants().any(|node| node.text() == Some("Dropped")));
}

#[test]
fn where_the_packet_was_lost_sight_of_the_line_is_marked_and_labelled() {
    for trace in [
        samples::with_gap(),
        samples::lost_between(),
        samples::lost_without_prediction(),
    ] {
        let text = svg(&trace);
        let document = Document::parse(&text).unwrap();
        let lost: Vec<_> = elements(&document, "g")
            .filter(|node| node.attribute("class") == Some("tf-link tf-lost"))
            .collect();
        assert_eq!(lost.len(), 1);
        assert!(
            lost[0]
                .descendants()
                .any(|node| node.text() == Some("lost sight of the packet"))
        );
    }
}

#[test]
fn text_breaks_behind_spaces_then_punctuation_then_anywhere() {
    // Ten characters of 12 pixels times 0.62.
    let wrap = |text, most| Face::Detail.wrap(text, 75.0, most);
    assert_eq!(wrap("two words here", 9), ["two words", "here"]);
    assert_eq!(wrap("default/allow-web", 9), ["default/", "allow-web"]);
    assert_eq!(wrap("abcdefghijklmnop", 9), ["abcdefghij", "klmnop"]);
    assert_eq!(wrap("abcdefghijklmnopqrstuvwxyz", 2), ["abcdefghij", "klmnopqr…"]);
    assert_eq!(wrap("漢字漢字漢字", 1), ["漢字…"]);
    assert_eq!(wrap("", 3), Vec::<String>::new());
}

fn for_every_picture(check: impl Fn(&str, &Picture)) {
    for (name, trace) in samples::all() {
        check(name, &Picture::new(&Graph::new(&trace)));
    }
}

fn texts(picture: &Picture) -> Vec<&Text> {
    let boxes = picture.lanes.iter().flat_map(|lane| &lane.boxes);
    let mut texts: Vec<&Text> = picture.heading.iter().chain(&picture.banner.lines).collect();
    texts.extend(picture.lanes.iter().map(|lane| &lane.name));
    texts.extend(boxes.flat_map(|shape| &shape.lines));
    texts.extend(picture.links.iter().filter_map(|link| link.label.as_ref()));
    texts.extend(picture.remarks.iter().flat_map(|remark| &remark.lines));
    texts
}

fn icons(picture: &Picture) -> Vec<Rect> {
    let boxes = picture.lanes.iter().flat_map(|lane| &lane.boxes);
    let with_icon = boxes.filter(|shape| shape.fate != super::super::graph::Fate::Passes);
    with_icon.map(|shape| shape.icon).chain([picture.banner.icon]).collect()
}

/// The straight parts of all lines, as rectangles without area.
fn segments(picture: &Picture) -> Vec<Rect> {
    let span = |pair: &[Point]| Rect {
        x: pair[0].x.min(pair[1].x),
        y: pair[0].y.min(pair[1].y),
        width: (pair[0].x - pair[1].x).abs(),
        height: (pair[0].y - pair[1].y).abs(),
    };
    let parts = |link: &LinkShape| link.points.windows(2).map(span).collect::<Vec<_>>();
    picture.links.iter().flat_map(parts).collect()
}

fn assert_apart(name: &str, rects: &[Rect]) {
    for (i, a) in rects.iter().enumerate() {
        for b in &rects[i + 1..] {
            assert!(!a.meets(b), "{name}: {a:?} and {b:?}");
        }
    }
}

impl Rect {
    /// Whether they share more than an edge.
    fn meets(&self, other: &Self) -> bool {
        const TOUCH: f64 = 0.01;
        self.x + TOUCH < other.right()
            && other.x + TOUCH < self.right()
            && self.y + TOUCH < other.bottom()
            && other.y + TOUCH < self.bottom()
    }

    fn holds(&self, other: &Self) -> bool {
        self.x <= other.x && self.y <= other.y && other.right() <= self.right() && other.bottom() <= self.bottom()
    }
}

fn elements<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document
        .descendants()
        .filter(move |node| node.has_tag_name(("http://www.w3.org/2000/svg", name)))
}

fn number(node: &Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}
