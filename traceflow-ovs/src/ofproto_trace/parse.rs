//! Reads the text that `ofproto/trace` prints.
//!
//! The text is a tree by indentation in steps of four, with one turn: the last of several entries below another that
//! goes on by itself (a table that the packet is resubmitted to, a bridge behind a patch port) is not indented further.
//! So a chain of tables, each of which sends the packet on to the next as its last action, stays at the left.

use std::sync::Arc;

use super::{Found, Line, LineKind, Pass, Recirculation, Trace, Visit};

pub(super) fn trace(text: &str) -> Trace {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line.trim_end());
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    trace: Trace,
    section: Section,
    frames: Vec<Frame>,
}

#[derive(Default)]
enum Section {
    /// Before the first pass, or between a recirculation and its pass.
    #[default]
    Outside,
    /// Between two lines of `=`.
    Recirculation(Recirculation),
    /// Behind the second of them.
    Recirculated(Recirculation),
    /// Behind `Flow:`.
    Pass(Pass),
}

/// What an indented line may stand below.
struct Frame {
    indent: usize,
    place: Place,
}

enum Place {
    Bridge(Arc<str>),
    /// An index into the pass's visits.
    Visit {
        index: usize,
        /// Where its lines start; known with the first.
        lines: Option<usize>,
    },
}

impl Reader {
    fn line(&mut self, line: &str) {
        if is_rule(line, '=') {
            return self.separator();
        }
        if let Some(flow) = line.strip_prefix("Flow: ") {
            return self.begin_pass(flow);
        }
        match &mut self.section {
            _ if line.is_empty() => {}
            Section::Outside | Section::Recirculated(_) => self.trace.remarks.push(line.to_owned()),
            Section::Recirculation(recirculation) => recirculation_line(recirculation, line),
            Section::Pass(pass) => pass_line(pass, &mut self.frames, line),
        }
    }

    fn separator(&mut self) {
        self.section = match std::mem::take(&mut self.section) {
            Section::Outside => Section::Recirculation(Recirculation::default()),
            Section::Recirculation(recirculation) | Section::Recirculated(recirculation) => {
                Section::Recirculated(recirculation)
            }
            Section::Pass(pass) => {
                self.trace.passes.push(pass);
                Section::Recirculation(Recirculation::default())
            }
        };
    }

    fn begin_pass(&mut self, flow: &str) {
        let recirculation = match std::mem::take(&mut self.section) {
            Section::Outside => None,
            Section::Recirculation(recirculation) | Section::Recirculated(recirculation) => Some(recirculation),
            Section::Pass(pass) => {
                self.trace.passes.push(pass);
                None
            }
        };
        self.frames.clear();
        self.section = Section::Pass(Pass {
            recirculation,
            flow: flow.to_owned(),
            ..Pass::default()
        });
    }

    fn finish(mut self) -> Trace {
        match self.section {
            Section::Outside => {}
            // A recirculation that isn't followed: the switch says why.
            Section::Recirculation(recirculation) | Section::Recirculated(recirculation) => {
                self.trace.remarks.extend(recirculation.remarks);
            }
            Section::Pass(pass) => self.trace.passes.push(pass),
        }
        self.trace
    }
}

/// `recirc(0x1) - resume conntrack with ct_state=new|trk`, then what NAT is taken to do.
fn recirculation_line(recirculation: &mut Recirculation, line: &str) {
    let head = line.strip_prefix("recirc(").and_then(|rest| rest.split_once(')'));
    if let Some((id, reason)) = head {
        recirculation.id = id.to_owned();
        if let Some((before, state)) = reason.split_once("ct_state=") {
            let state = state.split(' ').next().unwrap_or_default();
            recirculation.conntrack_state = Some(state.to_owned());
            recirculation.state_by_default = before.contains("default");
        } else if !reason.is_empty() {
            recirculation.remarks.push(line.to_owned());
        }
    } else if let Some(before) = line.strip_prefix(" Initial flow:") {
        let before = before.trim();
        if !before.is_empty() {
            recirculation.translation = Some((before.to_owned(), String::new()));
        }
    } else if let Some(after) = line.strip_prefix(" Modified flow:") {
        if let Some((_, modified)) = &mut recirculation.translation {
            *modified = after.trim().to_owned();
        }
    } else if line != "Replacing src/dst IP/ports to simulate NAT:" {
        recirculation.remarks.push(line.to_owned());
    }
}

fn pass_line(pass: &mut Pass, frames: &mut Vec<Frame>, line: &str) {
    let text = line.trim_start();
    // The number of a table is padded to two digits.
    let indent = (line.len() - text.len()) / STEP * STEP;
    if let Some(flow) = line.strip_prefix("Final flow: ") {
        flow.clone_into(&mut pass.final_flow);
    } else if let Some(flow) = line.strip_prefix("Megaflow: ") {
        flow.clone_into(&mut pass.megaflow);
    } else if let Some(actions) = line.strip_prefix("Datapath actions: ") {
        actions.clone_into(&mut pass.datapath_actions);
        frames.clear();
    } else if let Some(bridge) = text.strip_prefix("bridge(\"").and_then(|rest| rest.strip_suffix("\")")) {
        while frames.last().is_some_and(|frame| frame.indent >= indent) {
            frames.pop();
        }
        frames.push(Frame {
            indent,
            place: Place::Bridge(bridge.into()),
        });
    } else if is_rule(text, '-') {
        // It underlines a bridge.
    } else if let Some((table, found)) = table_heading(text) {
        visit(pass, frames, indent, (table, found));
    } else {
        detail(pass, frames, indent, text);
    }
}

fn visit(pass: &mut Pass, frames: &mut Vec<Frame>, indent: usize, (table, found): (Option<u8>, Found)) {
    while frames
        .last()
        .is_some_and(|frame| frame.indent > indent || (frame.indent == indent && frame.is_visit()))
    {
        frames.pop();
    }
    let bridge = frames.iter().rev().find_map(|frame| match &frame.place {
        Place::Bridge(bridge) => Some(Arc::clone(bridge)),
        Place::Visit { .. } => None,
    });
    pass.visits.push(Visit {
        bridge: bridge.unwrap_or_default(),
        table,
        found,
        depth: frames
            .iter()
            .filter(|frame| frame.is_visit() && frame.indent < indent)
            .count(),
        lines: Vec::new(),
    });
    frames.push(Frame {
        indent,
        place: Place::Visit {
            index: pass.visits.len() - 1,
            lines: None,
        },
    });
}

/// A line below the last table or bridge that it is indented more than.
fn detail(pass: &mut Pass, frames: &mut Vec<Frame>, indent: usize, text: &str) {
    while frames.last().is_some_and(|frame| frame.indent + STEP > indent) {
        frames.pop();
    }
    match frames.last_mut().map(|frame| &mut frame.place) {
        Some(Place::Visit { index, lines }) => {
            let start = *lines.get_or_insert(indent);
            let (kind, text) = kind(text);
            pass.visits[*index].lines.push(Line {
                kind,
                depth: indent.saturating_sub(start) / STEP,
                text: text.to_owned(),
            });
        }
        _ => pass.remarks.push(text.to_owned()),
    }
}

fn kind(text: &str) -> (LineKind, &str) {
    if let Some(error) = text.strip_prefix(">>>> ") {
        (LineKind::Error, error.strip_suffix(" <<<<").unwrap_or(error))
    } else if let Some(warning) = text.strip_prefix(">> ") {
        (LineKind::Warning, warning)
    } else if let Some(detail) = text.strip_prefix("-> ") {
        (LineKind::Detail, detail)
    } else {
        (LineKind::Action, text)
    }
}

/// `13. ip,reg1=0x4, priority 200, cookie 0x10d0` or `--. Executing action set:`.
fn table_heading(text: &str) -> Option<(Option<u8>, Found)> {
    let (number, heading) = text.split_once(". ")?;
    match number {
        "--" => Some((None, Found::Other(heading.to_owned()))),
        number => Some((Some(number.parse().ok()?), found(heading))),
    }
}

fn found(heading: &str) -> Found {
    if heading == "No match." {
        return Found::Nothing;
    }
    flow(heading).unwrap_or_else(|| Found::Other(heading.to_owned()))
}

fn flow(heading: &str) -> Option<Found> {
    let (rest, cookie) = match heading.rsplit_once(", cookie 0x") {
        Some((rest, cookie)) => (rest, u64::from_str_radix(cookie, 16).ok()?),
        None => (heading, 0),
    };
    let (match_text, priority) = match rest.strip_prefix("priority ") {
        Some(priority) => ("", priority),
        None => rest.rsplit_once(", priority ")?,
    };
    Some(Found::Flow {
        match_text: match_text.to_owned(),
        priority: priority.parse().ok()?,
        cookie,
    })
}

fn is_rule(line: &str, character: char) -> bool {
    line.len() >= SHORTEST_RULE && line.chars().all(|each| each == character)
}

impl Frame {
    fn is_visit(&self) -> bool {
        matches!(self.place, Place::Visit { .. })
    }
}

/// Spaces per level.
const STEP: usize = 4;
/// The line under `bridge("a")` has eleven characters.
const SHORTEST_RULE: usize = 10;

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    /// The shape of a trace: one line per table, what stands below it indented.
    fn outline(text: &str) -> String {
        let trace = trace(text);
        let mut outline = String::new();
        for pass in &trace.passes {
            writeln!(outline, "pass {:?}", pass.recirculation).unwrap();
            for visit in &pass.visits {
                writeln!(
                    outline,
                    "  {}@{} {:?} {:?}",
                    visit.depth, visit.bridge, visit.table, visit.found
                )
                .unwrap();
                for line in &visit.lines {
                    writeln!(
                        outline,
                        "      {}{:?} {}",
                        " ".repeat(line.depth * 2),
                        line.kind,
                        line.text
                    )
                    .unwrap();
                }
            }
            writeln!(outline, "  remarks {:?}", pass.remarks).unwrap();
            writeln!(outline, "  datapath {}", pass.datapath_actions).unwrap();
        }
        writeln!(outline, "{:?}", trace.remarks).unwrap();
        outline
    }

    #[test]
    fn what_is_done_behind_a_nested_table_belongs_to_the_outer() {
        expect![[r#"
            pass None
              0@br-t Some(0) Flow { match_text: "tcp", priority: 10, cookie: 1 }
                  Action set_field:0x1->reg0
                  Action resubmit(,1)
                  Action resubmit(,2)
                  Action output:t2
              1@br-t Some(1) Flow { match_text: "ip", priority: 10, cookie: 2 }
                  Action set_field:0x2->reg1
                  Action resubmit(,3)
              2@br-t Some(3) Nothing
                  Action drop
              1@br-t Some(2) Flow { match_text: "ip", priority: 10, cookie: 3 }
                  Action set_field:0x7->reg2
                  Action group:7
                  Action bucket 0
                      Action set_field:0x1->reg5
                      Action output:t2
                  Action bucket 1
                      Action set_field:0x2->reg5
                      Action resubmit(,3)
              2@br-t Some(3) Nothing
                  Action drop
              remarks []
              datapath t2,t2
            []
        "#]]
        .assert_eq(&outline(include_str!("../../tests/traces/nested.txt")));
    }

    #[test]
    fn a_patch_port_and_an_action_set_keep_their_bridge() {
        expect![[r#"
            pass None
              0@br-t Some(0) Flow { match_text: "udp", priority: 10, cookie: 0 }
                  Action write_actions(output:t2)
                  Detail action set is: output:2
                  Action goto_table:4
              1@br-t Some(4) Flow { match_text: "udp,reg10=0", priority: 10, cookie: 0 }
                  Action meter:1
                  Action learn(table=6,idle_timeout=5,eth_type=0x800,nw_proto=17,output:NXM_OF_IN_PORT[])
                  Warning suppressing side effects, so learn action ignored
                  Action set_field:0x1->reg10
                  Action resubmit(,4)
                  Action controller(max_len=128,userdata=01.07)
                  Action clone(set_field:0x3->reg4,resubmit(,5))
                  Action set_field:0x3->reg4
                  Action resubmit(,5)
              2@br-t Some(4) Flow { match_text: "udp", priority: 5, cookie: 0 }
                  Action write_metadata:0x1
                  Action goto_table:5
              3@br-t Some(5) Flow { match_text: "udp", priority: 10, cookie: 0 }
                  Action output:pt
                  Action NORMAL
                  Detail no learned MAC for destination, flooding
              4@br-int Some(0) Flow { match_text: "", priority: 0, cookie: 0 }
                  Action drop
              3@br-int Some(0) Flow { match_text: "", priority: 0, cookie: 0 }
                  Action drop
              2@br-t Some(5) Flow { match_text: "udp", priority: 10, cookie: 0 }
                  Action output:pt
                  Action NORMAL
                  Detail no learned MAC for destination, flooding
              3@br-int Some(0) Flow { match_text: "", priority: 0, cookie: 0 }
                  Action drop
              3@br-int Some(0) Flow { match_text: "", priority: 0, cookie: 0 }
                  Action drop
              2@br-t None Other("Executing action set:")
                  Action output:t2
              0@br-t None Other("Executing action set:")
                  Action output:t2
              remarks []
              datapath meter(0),br-t,t2,userspace(pid=0,controller(reason=1,dont_send=1,continuation=0,recirc_id=33,rule_cookie=0,controller_id=0,max_len=128)),br-t,t2,t2,t2
            []
        "#]].assert_eq(&outline(include_str!("../../tests/traces/patch_and_action_set.txt")));
    }

    #[test]
    fn each_recirculation_says_why() {
        let trace = trace(include_str!("../../tests/traces/service.txt"));
        let reasons: Vec<_> = trace.passes.into_iter().map(|pass| pass.recirculation).collect();
        expect![[r#"
            [
                None,
                Some(
                    Recirculation {
                        id: "0x19",
                        conntrack_state: Some(
                            "new|trk",
                        ),
                        state_by_default: false,
                        translation: None,
                        remarks: [],
                    },
                ),
                Some(
                    Recirculation {
                        id: "0x1a",
                        conntrack_state: Some(
                            "new|trk|dnat",
                        ),
                        state_by_default: false,
                        translation: Some(
                            (
                                "nw_src=10.10.1.11,tp_src=44000,nw_dst=10.96.0.10,tp_dst=80",
                                "nw_src=10.10.1.11,tp_src=44000,nw_dst=10.10.2.11,tp_dst=8080",
                            ),
                        ),
                        remarks: [],
                    },
                ),
            ]
        "#]]
        .assert_debug_eq(&reasons);
    }

    #[test]
    fn a_failed_translation_says_so() {
        let trace = trace(include_str!("../../tests/traces/loop.txt"));
        let [pass] = trace.passes.as_slice() else {
            panic!("expected one pass")
        };
        assert_eq!(
            pass.remarks,
            ["Translation failed (Recursion too deep), packet is dropped."]
        );
        let last = pass.visits.last().unwrap().lines.last().unwrap();
        assert_eq!(
            (last.kind, last.text.as_str()),
            (LineKind::Error, "over max translation depth 64")
        );
    }

    #[test]
    fn a_newer_switch_names_the_flows_of_a_conjunction() {
        let trace = trace(include_str!("../../tests/traces/conjunction_of_3_5.txt"));
        let visit = trace.passes[1]
            .visits
            .iter()
            .find(|visit| visit.table == Some(12))
            .unwrap();
        let lines: Vec<_> = visit
            .lines
            .iter()
            .map(|line| (line.kind, line.depth, line.text.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (LineKind::Detail, 0, "conj. priority=200,tcp,tp_dst=8080"),
                (LineKind::Detail, 0, "conj. priority=200,ip,nw_src=10.10.1.11"),
                (LineKind::Detail, 0, "conj. priority=200,ip,reg1=0x4"),
                (LineKind::Action, 0, "set_field:0x14->reg6"),
                (LineKind::Action, 0, "resubmit(,14)"),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let trace = trace("hello\nFlow: ip\n 0. a, priority x, cookie 0x1\n    strange\nodd\n==========\nwhy not\n");
        assert_eq!(trace.remarks, ["hello", "why not"]);
        let [pass] = trace.passes.as_slice() else {
            panic!("expected one pass")
        };
        assert_eq!(pass.visits[0].found, Found::Other("a, priority x, cookie 0x1".into()));
        assert_eq!(pass.visits[0].lines[0].text, "strange");
        assert_eq!(pass.remarks, ["odd"]);
    }

    #[test]
    fn many_bridges_and_tables_take_no_quadratic_time() {
        let text = format!("Flow: ip\n{}", "bridge(\"a\")\n 0. priority 0\n".repeat(100_000));
        assert_eq!(trace(&text).passes[0].visits.len(), 100_000);
        let text = format!(
            "{}\nrecirc(0x1)\n{0}\nFlow: ip\nDatapath actions: recirc(0x2)\n",
            "=".repeat(79)
        )
        .repeat(50_000);
        assert_eq!(trace(&text).caveats(), [super::super::Caveat::UnfollowedRecirculation]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_shown(lines in proptest::collection::vec(line_of_a_trace(), 0..30)) {
            let trace = trace(&lines.join("\n"));
            let _ = (trace.ending(), trace.caveats(), trace.table(40, |_, _| None));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_trace_is_read_and_shown(
            keep in proptest::collection::vec(any::<bool>(), 90),
            shift in proptest::collection::vec(0..9_usize, 90),
        ) {
            let lines = include_str!("../../tests/traces/service.txt").lines().zip(keep).zip(shift);
            let lines = lines.filter(|((_, keep), _)| *keep).map(|((line, _), shift)| {
                format!("{}{}", " ".repeat(shift), line.get(shift..).unwrap_or_default())
            });
            let trace = trace(&lines.collect::<Vec<_>>().join("\n"));
            let _ = (trace.ending(), trace.caveats(), trace.table(100, |_, _| None));
        }
    }

    fn line_of_a_trace() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("Flow: ip".to_owned()),
            Just("bridge(\"ü\")".to_owned()),
            Just("===========".to_owned()),
            Just("-----------".to_owned()),
            Just("recirc(0x1) - resume conntrack with ct_state=".to_owned()),
            Just(" Initial flow: a".to_owned()),
            Just(" Modified flow: b".to_owned()),
            Just("Final flow: ".to_owned()),
            Just("Megaflow: ".to_owned()),
            "Datapath actions: [a-z(),]{0,20}",
            "[0-9]{1,3}\\. \\PC{0,8}(, )?priority [0-9]{1,6}(, cookie 0x[0-9a-f]{1,17})?",
            "(-> |>> |>>>> )?\\PC{0,12}",
            Just("drop".to_owned()),
        ];
        ("\\PC{0,1}", 0..6_usize, word).prop_map(|(odd, level, word)| format!("{}{odd}{word}", "  ".repeat(level)))
    }
}
