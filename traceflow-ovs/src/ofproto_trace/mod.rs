//! What a switch's flow tables would do with a packet: `ofproto/trace`, asked, read and shown.
//!
//! The switch computes the answer from its flow tables and sends nothing. It doesn't look up connections: what conntrack
//! says is what `--ct-next` told it, and its own guess without. [`Caveat`] names the places where an answer is known to
//! end elsewhere than the packet.

mod arrival;
mod datapath_actions;
mod flow;
mod parse;
mod render;
mod rules;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use self::datapath_actions::{Effect, effect, recirculations};
pub use arrival::arrival;
pub use flow::{Entry, Tunnel, flow};

/// The answer to `ofproto/trace`: one pass through the tables, and one more for each recirculation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// In the order of the answer; the first is the packet's arrival.
    pub passes: Vec<Pass>,
    /// Lines outside of any pass, as they came.
    pub remarks: Vec<String>,
}

/// One way through the tables, up to the datapath actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// What made the packet enter the tables again; none for its arrival.
    pub recirculation: Option<Recirculation>,
    /// The packet at the beginning.
    pub flow: String,
    /// The tables in the order in which the packet came to them.
    pub visits: Vec<Visit>,
    /// The packet at the end; `unchanged` if it is as it was.
    pub final_flow: String,
    /// What of the packet was looked at.
    pub megaflow: String,
    /// What the datapath is told to do: `drop` is nothing.
    pub datapath_actions: String,
    /// Lines that belong to no table, as they came: where the pass resumes, or why its translation failed.
    pub remarks: Vec<String>,
}

/// Why a packet enters the tables again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recirculation {
    /// As in the datapath actions of the pass before: `0x1`.
    pub id: String,
    /// The state that conntrack was assumed to give: `new|trk`; none if conntrack isn't the reason.
    pub conntrack_state: Option<String>,
    /// Nobody said which state, so the switch took that of a new connection.
    pub state_by_default: bool,
    /// Addresses and ports before and after NAT, if there was any.
    pub translation: Option<(String, String)>,
    /// Other lines, as they came.
    pub remarks: Vec<String>,
}

/// One table that the packet came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The name of the bridge.
    pub bridge: Arc<str>,
    /// Which table; none for the action set, which is executed behind the last.
    pub table: Option<u8>,
    /// What was found there.
    pub found: Found,
    /// In how many tables that go on afterwards the visit is nested; a table that sends the packet on and does nothing
    /// more doesn't count.
    pub depth: usize,
    /// What was done, in the order of the answer. What a nested visit did stands there.
    pub lines: Vec<Line>,
}

/// What the packet matched in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A flow.
    Flow {
        /// As ovs-ofctl writes it; empty if it matches everything.
        match_text: String,
        /// Mostly 0 to 65535; flows that the switch makes for itself are above.
        priority: u32,
        /// 0 if it has none.
        cookie: u64,
    },
    /// No flow.
    Nothing,
    /// Something else, as it came.
    Other(String),
}

/// One line under a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What kind of line it is.
    pub kind: LineKind,
    /// How deep it is nested in the visit: a bucket's actions are one deeper than the group.
    pub depth: usize,
    /// Without indentation and sign.
    pub text: String,
}

/// The sign in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// None: an action, or a bucket of a group.
    Action,
    /// `->`: what an action came to.
    Detail,
    /// `>>`: an action did something else than one may expect.
    Warning,
    /// `>>>>`: the translation stops here.
    Error,
}

/// Where the packet of a trace ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is sent somewhere.
    Sent,
    /// Nothing is sent; controllers may have been told.
    Dropped {
        /// The pass in which nothing more was done, an index into [`Trace::passes`].
        pass: usize,
        /// The table that decided it, an index into [`Pass::visits`]; none if no table was visited.
        visit: Option<usize>,
    },
    /// The trace stops before the packet does: see [`Trace::caveats`].
    Unknown,
}

/// Where a trace is known to differ from what a real packet meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caveat {
    /// The state of a connection was assumed, not looked up.
    AssumedConntrack,
    /// The datapath chooses the bucket of a select group by a hash that the trace doesn't compute: the way behind
    /// the group is unknown. Real packets go on.
    UnfollowedGroup,
    /// A tunnel's destination that was set before a recirculation is not remembered by the trace, which then says
    /// "not tunneling to our own address". Real packets are sent.
    ForgottenTunnel,
    /// A recirculation that the trace doesn't follow for another reason.
    UnfollowedRecirculation,
}

impl Trace {
    /// Reads what `ofproto/trace` printed, with or without `--names`. There is no text that can't be read: what isn't
    /// understood is kept as it came.
    pub fn read(text: &str) -> Self {
        parse::trace(text)
    }

    /// Where the packet ends. A drop is said only if every branch is known to end without sending anything.
    pub fn ending(&self) -> Ending {
        let effects: Vec<_> = self.passes.iter().map(|pass| effect(&pass.datapath_actions)).collect();
        if effects.contains(&Effect::Sends) {
            return Ending::Sent;
        }
        let stops = self
            .caveats()
            .into_iter()
            .any(|caveat| caveat != Caveat::AssumedConntrack);
        let Some(pass) = self.passes.len().checked_sub(1) else {
            return Ending::Unknown;
        };
        if stops || effects.contains(&Effect::Unknown) {
            return Ending::Unknown;
        }
        let visit = self.passes[pass].deciding_visit();
        Ending::Dropped { pass, visit }
    }

    /// What to keep in mind about this trace, each once.
    pub fn caveats(&self) -> Vec<Caveat> {
        let recirculations = self.passes.iter().filter_map(|pass| pass.recirculation.as_ref());
        let followed: HashSet<&str> = recirculations.map(|recirculation| recirculation.id.as_str()).collect();
        let caveats: BTreeSet<_> = self.passes.iter().flat_map(|pass| pass.caveats(&followed)).collect();
        caveats.into_iter().collect()
    }
}

impl Pass {
    fn caveats(&self, followed: &HashSet<&str>) -> impl Iterator<Item = Caveat> {
        let recirculation = self.recirculation.as_ref();
        let assumed = recirculation.is_some_and(|recirculation| recirculation.conntrack_state.is_some());
        let forgotten = recirculation.is_some() && self.warnings().any(|text| text == OWN_ADDRESS);
        let stops = recirculations(&self.datapath_actions).any(|id| !followed.contains(id));
        let stop = match self.datapath_actions.contains("hash(") {
            true => Caveat::UnfollowedGroup,
            false => Caveat::UnfollowedRecirculation,
        };
        let caveats = [
            assumed.then_some(Caveat::AssumedConntrack),
            forgotten.then_some(Caveat::ForgottenTunnel),
            stops.then_some(stop),
        ];
        caveats.into_iter().flatten()
    }

    fn warnings(&self) -> impl Iterator<Item = &str> {
        let lines = self.visits.iter().flat_map(|visit| &visit.lines);
        lines
            .filter(|line| line.kind == LineKind::Warning)
            .map(|line| line.text.as_str())
    }

    /// In a pass that sends nothing: where the switch gave up, else the last table that says `drop`, else the last
    /// that complains, else the last.
    fn deciding_visit(&self) -> Option<usize> {
        let last = |tells: fn(&Line) -> bool| self.visits.iter().rposition(|visit| visit.lines.iter().any(tells));
        last(|line| line.kind == LineKind::Error)
            .or_else(|| last(|line| line.kind == LineKind::Action && line.text == "drop"))
            .or_else(|| last(|line| line.kind == LineKind::Warning))
            .or_else(|| self.visits.len().checked_sub(1))
    }
}

const OWN_ADDRESS: &str = "Not tunneling to our own address";

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace of a real switch, in `tests/traces`.
    macro_rules! captured {
        ($name:literal) => {
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/traces/",
                $name,
                ".txt"
            ))
        };
    }

    fn end_of(text: &str) -> (Ending, Vec<Caveat>) {
        let trace = Trace::read(text);
        (trace.ending(), trace.caveats())
    }

    fn dropped_in(text: &str) -> (Option<u8>, Found) {
        let trace = Trace::read(text);
        let Ending::Dropped {
            pass,
            visit: Some(visit),
        } = trace.ending()
        else {
            panic!("expected a drop, got {:?}", trace.ending());
        };
        let visit = trace.passes[pass].visits[visit].clone();
        (visit.table, visit.found)
    }

    #[test]
    fn a_packet_that_is_sent_is_sent() {
        use Caveat::AssumedConntrack;
        assert_eq!(end_of(captured!("same_node")), (Ending::Sent, vec![AssumedConntrack]));
        assert_eq!(end_of(captured!("tunnel")), (Ending::Sent, vec![AssumedConntrack]));
        assert_eq!(end_of(captured!("service")), (Ending::Sent, vec![AssumedConntrack]));
        assert_eq!(end_of(captured!("arrival")), (Ending::Sent, vec![AssumedConntrack]));
        assert_eq!(end_of(captured!("warnings")), (Ending::Sent, vec![]));
    }

    #[test]
    fn a_drop_is_in_the_table_that_says_so() {
        let default_drop = Found::Flow {
            match_text: "ip,reg1=0x4".into(),
            priority: 200,
            cookie: 0x10d0,
        };
        assert_eq!(dropped_in(captured!("ingress_drop")), (Some(13), default_drop.clone()));
        assert_eq!(dropped_in(captured!("watched_drop")), (Some(13), default_drop));
        assert_eq!(dropped_in(captured!("no_match")), (Some(0), Found::Nothing));
        assert_eq!(dropped_in(captured!("loop")).0, Some(10));
    }

    #[test]
    fn what_the_trace_gets_wrong_is_a_caveat_and_no_drop() {
        use Caveat::{AssumedConntrack, ForgottenTunnel, UnfollowedGroup};
        let forgotten = end_of(captured!("tunnel_forgotten"));
        assert_eq!(forgotten, (Ending::Unknown, vec![AssumedConntrack, ForgottenTunnel]));
        let group = end_of(captured!("service_dp_hash"));
        assert_eq!(group, (Ending::Unknown, vec![AssumedConntrack, UnfollowedGroup]));
    }

    #[test]
    fn a_trace_that_is_cut_off_has_no_ending() {
        let lines: Vec<&str> = captured!("ingress_drop").lines().collect();
        for end in 0..lines.len() {
            assert_eq!(
                Trace::read(&lines[..end].join("\n")).ending(),
                Ending::Unknown,
                "behind line {end}"
            );
        }
    }
}
