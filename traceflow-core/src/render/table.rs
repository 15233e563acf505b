//! A trace as text for a terminal, columns lined up as `kubectl get` does.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::wording::{self, visible};
use crate::observation::{Action, Observation};
use crate::trace::{Hop, Trace, Verdict};

/// Whether the table may use a terminal's colours. What they say is always in the words as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With ANSI escape sequences (ECMA-48, SGR).
    Ansi,
}

/// The trace for people: what was asked, how it ended, and every observation in a row of its own. A row that begins
/// with `>>` is where the packet was lost.
///
/// The last line ends with a newline. Control characters in names are spelled out.
///
/// ```
/// use traceflow_core::render::{Style, table};
///
/// # use std::sync::Arc;
/// # use traceflow_core::plan::Plan;
/// # use traceflow_core::spec::CommandLine;
/// # use traceflow_core::trace::{Predictor, Trace};
/// # let cluster = traceflow_sim::Cluster::builder().node("n").pod("a", "n").pod("b", "n").build()?;
/// # let asked = CommandLine { source: Some("a"), destination: Some("b"), flow: Some("tcp,tcp_src=40000,tcp_dst=80"), ..Default::default() };
/// # let plan = Arc::new(Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?);
/// # let trace = Trace::predicted(plan.clone(), cluster.predict(&plan)?);
/// let printed = table(&trace, Style::Plain);
/// let first = "default/a (10.244.0.2) -> default/b (10.244.0.3), TCP, port 40000 -> 80 (predicted, nothing was sent)";
/// assert_eq!(printed.lines().next(), Some(first));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn table(trace: &Trace, style: Style) -> String {
    let mut page = Page {
        out: String::new(),
        style,
    };
    page.line(
        &format!("{} ({})", wording::question(&trace.plan), wording::mode(trace)),
        Paint::None,
    );
    page.line(&wording::verdict(trace), verdict_paint(&trace.verdict));
    page.silence(trace);
    page.finding(trace);
    page.path(trace);
    page.list("Chosen", trace.plan.choices.iter().map(ToString::to_string));
    page.list("Captured", trace.captured.iter().map(wording::packet));
    page.list("Receipt", wording::receipt(trace).into_iter());
    page.list("Note", trace.notes.iter().cloned());
    page.out
}

struct Page {
    out: String,
    style: Style,
}

impl Page {
    fn line(&mut self, text: &str, paint: Paint) {
        self.out.push_str(&paint.over(&visible(text), self.style));
        self.out.push('\n');
    }

    fn silence(&mut self, trace: &Trace) {
        let Verdict::Unanswered(silence) = &trace.verdict else {
            return;
        };
        if let Some(node) = &silence.expected_next {
            self.line(&format!("  expected next: {node}"), Paint::None);
        }
        for (i, cause) in silence.causes.iter().enumerate() {
            let label = if i == 0 { "likely cause: " } else { "or:           " };
            self.line(&format!("  {label} {cause}"), Paint::None);
        }
        if !silence.not_watched.is_empty() {
            self.line(
                &format!("  not watched:   {}", wording::listed(&silence.not_watched)),
                Paint::None,
            );
        }
    }

    fn finding(&mut self, trace: &Trace) {
        if let Some(finding) = &trace.finding {
            self.line(&format!("UNLIKE THE MODEL: {finding}"), Paint::BoldYellow);
        }
    }

    fn path(&mut self, trace: &Trace) {
        let mut rows = Rows::default();
        trace.hops.iter().for_each(|hop| rows.seen(hop));
        if !trace.unseen.is_empty() {
            rows.0.push(Row::Remark("predicted, but not seen:".to_owned()));
            trace.unseen.iter().for_each(|hop| rows.predicted(hop));
        }
        if rows.0.is_empty() {
            return;
        }
        self.out.push('\n');
        let widths = rows.widths();
        self.line(&aligned("", &HEADINGS.map(str::to_owned), &widths), Paint::Bold);
        for row in &rows.0 {
            match row {
                Row::Remark(text) => self.line(&format!("~~ {text}"), Paint::Yellow),
                Row::Cells { marker, cells, paint } => self.line(&aligned(marker, cells, &widths), *paint),
            }
        }
    }

    /// `Label: item`, the label on the first line only; an empty line before.
    fn list(&mut self, label: &str, items: impl Iterator<Item = String>) {
        for (i, item) in items.enumerate() {
            if i == 0 {
                self.out.push('\n');
            }
            let label = if i == 0 { format!("{label}:") } else { String::new() };
            self.line(&format!("{label:<10}{item}"), Paint::None);
        }
    }
}

const HEADINGS: [&str; 5] = ["NODE", "COMPONENT", "INFO", "ACTION", "DETAIL"];

enum Row {
    Cells {
        marker: &'static str,
        cells: [String; 5],
        paint: Paint,
    },
    /// A line across the columns.
    Remark(String),
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn seen(&mut self, hop: &Hop) {
        if hop.after_gap {
            self.0
                .push(Row::Remark(format!("the packet was lost sight of before {}", hop.node)));
        }
        for (i, seen) in hop.observations.iter().enumerate() {
            let (marker, paint) = match seen.action {
                Action::Dropped | Action::Rejected => (">>", Paint::Red),
                Action::Delivered => ("", Paint::Green),
                _ => ("", Paint::None),
            };
            let cells = cells(hop, i, seen);
            self.0.push(Row::Cells { marker, cells, paint });
        }
    }

    fn predicted(&mut self, hop: &Hop) {
        for (i, seen) in hop.observations.iter().enumerate() {
            let cells = cells(hop, i, seen);
            self.0.push(Row::Cells {
                marker: "?",
                cells,
                paint: Paint::Dim,
            });
        }
    }

    /// The width of each column; the last one needs none.
    fn widths(&self) -> [usize; 5] {
        let mut widths = HEADINGS.map(UnicodeWidthStr::width);
        for row in &self.0 {
            if let Row::Cells { cells, .. } = row {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = (*width).max(cell.width());
                }
            }
        }
        widths
    }
}

/// The cells of one observation; the node stands in the first row of its hop only.
fn cells(hop: &Hop, index: usize, seen: &Observation) -> [String; 5] {
    let node = if index == 0 {
        hop.node.to_string()
    } else {
        String::new()
    };
    let info = seen
        .component_info
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let details = wording::details(seen).join(", ");
    [node, seen.component.to_string(), info, seen.action.to_string(), details].map(|cell| visible(&cell).into_owned())
}

fn aligned(marker: &str, cells: &[String; 5], widths: &[usize; 5]) -> String {
    let mut line = format!("{marker:<2}");
    for (cell, width) in cells.iter().zip(widths) {
        let padding = width.saturating_sub(cell.width());
        let _ = write!(line, " {cell}{:padding$}  ", "");
    }
    line.truncate(line.trim_end().len());
    line
}

fn verdict_paint(verdict: &Verdict) -> Paint {
    match verdict {
        Verdict::Delivered { .. } | Verdict::NoneDropped { .. } | Verdict::LeftNetwork { .. } => Paint::BoldGreen,
        Verdict::Dropped { .. } | Verdict::Rejected { .. } => Paint::BoldRed,
        Verdict::Unanswered(_) => Paint::BoldYellow,
    }
}

#[derive(Clone, Copy)]
enum Paint {
    None,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    BoldRed,
    BoldGreen,
    BoldYellow,
}

impl Paint {
    fn over(self, text: &str, style: Style) -> String {
        let code = match self {
            Self::None => return text.to_owned(),
            _ if style == Style::Plain => return text.to_owned(),
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::BoldRed => "1;31",
            Self::BoldGreen => "1;32",
            Self::BoldYellow => "1;33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::samples;
    use super::*;

    #[test]
    fn a_drop_is_marked_and_its_policy_named() {
        expect![[r#"
            default/pod1 (172.16.5.11) -> default/pod2 (172.16.5.12), ICMP, echo request id 0 sequence 0 (injected packet)
            DROPPED on k8s2-md-0-647454fc57-9sf7n: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1

               NODE                         COMPONENT       INFO                 ACTION      DETAIL
               k8s2-md-0-647454fc57-9sf7n   SpoofGuard                           Forwarded
                                            NetworkPolicy   EgressRule           Forwarded   K8sNetworkPolicy:default/allow-egress-to-pod2
            >>                              NetworkPolicy   IngressDefaultRule   Dropped     no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1
        "#]]
        .assert_eq(&table(&samples::pod1_to_pod2_icmp(), Style::Plain));
    }

    #[test]
    fn what_is_unlike_the_model_stands_under_the_verdict() {
        expect![[r#"
            default/pod1 (172.16.5.11) -> default/pod3 (172.16.3.8), TCP, port 10002 -> 80 (injected packet)
            DELIVERED on k8s2-md-0-647454fc57-qpqbg, to default/pod3 (172.16.3.8)
            UNLIKE THE MODEL: k8s2-md-0-647454fc57-qpqbg should have dropped it (rule no-web of AntreaClusterNetworkPolicy:strict denies it); it delivered it instead: the policy is not realised there? (the model leaves out AdminNetworkPolicy default/wide (policy.networking.k8s.io/v1alpha1), which may be why)

               NODE                         COMPONENT       INFO             ACTION      DETAIL
               k8s2-md-0-647454fc57-9sf7n   SpoofGuard                       Forwarded
                                            NetworkPolicy   EgressRule       Forwarded   K8sNetworkPolicy:default/allow-egress-to-pod2
                                            Forwarding      Output           Forwarded   tunnel to 192.168.11.112
               k8s2-md-0-647454fc57-qpqbg   Forwarding      Classification   Received
                                            NetworkPolicy   IngressRule      Forwarded   K8sNetworkPolicy:default/allow-ingress-from-pod1
                                            Forwarding      Output           Delivered
            ~~ predicted, but not seen:
            ?  k8s2-md-0-647454fc57-qpqbg   NetworkPolicy   IngressMetric    Dropped     rule no-web of AntreaClusterNetworkPolicy:strict denies it
        "#]].assert_eq(&table(&samples::unlike_the_model(), Style::Plain));
    }

    #[test]
    fn silence_says_where_to_look() {
        expect![[r#"
            default/pod1 (172.16.5.11) -> default/pod3 (172.16.3.8), TCP, port 10002 -> 80 (injected packet, 2 attempts)
            NO ANSWER: the packet was last seen on k8s2-md-0-647454fc57-9sf7n (Forwarding Output: Forwarded, tunnel to 192.168.11.112)
              expected next: k8s2-md-0-647454fc57-qpqbg
              likely cause:  the packet or its mark was lost between k8s2-md-0-647454fc57-9sf7n and k8s2-md-0-647454fc57-qpqbg (tunnel, wire or a firewall on it)
              or:            node k8s2-md-0-647454fc57-qpqbg lost 12 reports during the trace
              not watched:   k8s2-md-0-647454fc57-zz8xk

               NODE                         COMPONENT       INFO             ACTION      DETAIL
               k8s2-md-0-647454fc57-9sf7n   SpoofGuard                       Forwarded
                                            NetworkPolicy   EgressRule       Forwarded   K8sNetworkPolicy:default/allow-egress-to-pod2
                                            Forwarding      Output           Forwarded   tunnel to 192.168.11.112
            ~~ predicted, but not seen:
            ?  k8s2-md-0-647454fc57-qpqbg   Forwarding      Classification   Received
            ?                               NetworkPolicy   IngressRule      Forwarded   K8sNetworkPolicy:default/allow-ingress-from-pod1
            ?                               Forwarding      Output           Delivered
        "#]]
        .assert_eq(&table(&samples::lost_between(), Style::Plain));
    }

    #[test]
    fn a_gap_is_a_line_of_its_own() {
        expect![[r#"
            default/pod1 (172.16.5.11) -> default/pod3 (172.16.3.8), TCP, port 10002 -> 80 (injected packet)
            DELIVERED on k8s2-md-0-647454fc57-qpqbg, to default/pod3 (172.16.3.8)

               NODE                         COMPONENT       INFO             ACTION      DETAIL
               k8s2-md-0-647454fc57-9sf7n   SpoofGuard                       Forwarded
                                            NetworkPolicy   EgressRule       Forwarded   K8sNetworkPolicy:default/allow-egress-to-pod2
                                            Forwarding      Output           Forwarded   tunnel to 192.168.11.112
            ~~ the packet was lost sight of before k8s2-md-0-647454fc57-qpqbg
               k8s2-md-0-647454fc57-qpqbg   Forwarding      Classification   Received
                                            NetworkPolicy   IngressRule      Forwarded   K8sNetworkPolicy:default/allow-ingress-from-pod1
                                            Forwarding      Output           Delivered

            Receipt:  NOT ALL UNDONE: k8s2-md-0-647454fc57-9sf7n: 2 flows, 2 connection tracking entries, 1 session affinity undone; k8s2-md-0-647454fc57-qpqbg: could not be cleaned up: the datapath is unavailable: no answer within 3 s; what is left goes by itself within 80 s

            Note:     node k8s2-md-0-647454fc57-9sf7n lost 1 report during the trace
        "#]]
        .assert_eq(&table(&samples::with_gap(), Style::Plain));
    }

    #[test]
    fn a_trace_without_a_path_is_told_in_words() {
        let tables = [samples::no_matching_traffic(), samples::none_dropped()].map(|trace| table(&trace, Style::Plain));
        expect![[r#"
            default/pod1 (172.16.5.11) -> default/pod3 (172.16.3.8), any IPv4 packet (live traffic)
            NO ANSWER: no packet was seen
              likely cause:  no real packet matched while the trace was armed

            default/pod1 (172.16.5.11) -> default/pod3 (172.16.3.8), any IPv4 packet (live traffic, dropped packets only)
            NO DROP SEEN: 3 matching packets came in, none was seen to be dropped
        "#]]
        .assert_eq(&tables.join("\n"));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        for (name, trace) in samples::all() {
            let ansi = table(&trace, Style::Ansi);
            assert!(ansi.contains("\x1b["), "{name}");
            assert_eq!(without_colours(&ansi), table(&trace, Style::Plain), "{name}");
        }
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        let text = table(&samples::hostile(), Style::Plain);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'), "the direction of writing stays");
        assert!(text.contains(r"\u{1b}[31m"), "it is shown, not hidden: {text}");
    }

    #[test]
    fn columns_line_up_whatever_the_width_of_their_characters() {
        let mut trace = samples::pod1_to_pod3();
        trace.hops[0].node = "ノード".into();
        let text = table(&trace, Style::Plain);
        let columns_before = |word: &str| {
            let line = text.lines().find(|line| line.contains(word)).unwrap();
            line[..line.find(word).unwrap()].width()
        };
        assert_eq!(columns_before("SpoofGuard"), columns_before("COMPONENT"));
        assert_eq!(columns_before("Classification"), columns_before("INFO"));
    }

    #[test]
    fn a_prediction_is_not_taken_for_an_observation() {
        let trace = Trace {
            mode: crate::trace::Mode::Predicted,
            ..samples::pod1_to_pod2()
        };
        let text = table(&trace, Style::Plain);
        assert!(
            text.contains("(predicted, nothing was sent)\nPREDICTED: DELIVERED on "),
            "{text}"
        );
    }

    fn without_colours(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |plain, part| {
            plain + part.split_once('m').map_or("", |(_, rest)| rest)
        })
    }
}
