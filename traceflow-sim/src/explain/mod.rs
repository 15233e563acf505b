//! Why a packet doesn't get through: every rule that blocks it, and the smallest change of each that would let it pass.

mod antrea;
mod json;
mod kubernetes;
mod opening;
mod remedy;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Prediction, Unpredictable, Verdict};

use crate::cluster::Cluster;
use crate::pipeline::Blocked;
use crate::policy::{Decision, Denial, Direction};
use crate::predict::{Entry, walk};
use remedy::Candidate;

pub use opening::{End, Opening};
pub use remedy::{Change, Remedy};

/// What stands in a packet's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What blocks the packet, in the order in which it comes there; empty if no policy does.
    pub blockers: Vec<Blocker>,
    /// The path if every one of them let the packet pass. It may still end with a drop that no policy makes.
    pub otherwise: Prediction,
}

/// A point where policies block a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Where.
    pub node: NodeName,
    /// Whose policies.
    pub pod: ObjectName,
    /// Which of them.
    pub direction: Direction,
    /// The rule that blocks it, then those that would if the ones before them were taken away; each is a denial. At least
    /// one.
    pub rules: Vec<Decision>,
    /// What would let exactly this packet through here; `None` if nothing that can be said in a rule would.
    pub remedy: Option<Remedy>,
}

impl Cluster {
    /// Goes on where a policy blocks the packet as if it didn't, to the end, and says what would have to change.
    ///
    /// ```
    /// use traceflow_core::plan::Plan;
    /// use traceflow_core::spec::CommandLine;
    /// use traceflow_sim::Cluster;
    ///
    /// let closed = "apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: closed}
    /// spec: {podSelector: {}, policyTypes: [Ingress, Egress]}";
    /// let cluster = Cluster::builder()
    ///     .node("a")
    ///     .pod("client", "a").label("app", "client")
    ///     .pod("web", "a").label("app", "web")
    ///     .yaml(closed)
    ///     .build()?;
    /// let asked = CommandLine { source: Some("client"), destination: Some("web"), flow: Some("tcp,tcp_dst=80"), ..Default::default() };
    /// let plan = Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?;
    /// let explanation = cluster.explain(&plan)?;
    /// assert_eq!(explanation.blockers.len(), 2, "the client may not send, and the web may not receive");
    /// assert_eq!(explanation.otherwise.verdict.to_string(), "delivered on a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Unpredictable`] as for a prediction.
    pub fn explain(&self, plan: &Plan) -> Result<Explanation, Unpredictable> {
        Ok(self.explain_from(plan, Entry::of(self, plan)?))
    }

    /// The same, where the Service chooses this endpoint, as a network was seen to do; `None` if it has no such endpoint.
    ///
    /// # Errors
    /// [`Unpredictable`] as for a prediction.
    pub fn explain_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Explanation>, Unpredictable> {
        let entry = Entry::choosing(self, plan, endpoint)?;
        Ok(entry.map(|entry| self.explain_from(plan, entry)))
    }

    fn explain_from(&self, plan: &Plan, entry: Entry) -> Explanation {
        let mut blocked: Vec<(NodeName, Blocked)> = Vec::new();
        let lenient = Entry { lenient: true, ..entry };
        let otherwise = walk(
            self,
            lenient,
            SystemTime::now(),
            |_| None,
            |node, passed| {
                let name = &self.node_record(node).node.name;
                blocked.extend(passed.blocked.iter().map(|blocked| (name.clone(), *blocked)));
            },
        );
        Explanation {
            blockers: self.blockers(&blocked),
            otherwise: otherwise.leaving_out(self.left_out(plan)),
        }
    }

    /// Each with its change, which is made before the next is looked for, so that they can be made one after the other.
    fn blockers(&self, blocked: &[(NodeName, Blocked)]) -> Vec<Blocker> {
        let mut changed = Cow::Borrowed(&self.policies);
        let mut blockers = Vec::with_capacity(blocked.len());
        for (node, Blocked { pod, access }) in blocked {
            let smallest = remedy::smallest(self, &changed, access);
            let remedy = smallest.map(|Candidate { remedy, policy }| {
                policy.put_into(changed.to_mut());
                remedy
            });
            blockers.push(Blocker {
                node: node.clone(),
                pod: self.pod_record(*pod).pod.name.clone(),
                direction: access.direction,
                rules: self.policies.denials(access),
                remedy,
            });
        }
        let remedies = blockers.iter_mut().map(|blocker| &mut blocker.remedy);
        for (remedy, (_, Blocked { access, .. })) in remedies.zip(blocked) {
            if let Some(remedy) = remedy {
                remedy.look_at_other_ends(access, &changed);
            }
        }
        blockers
    }
}

/// For people: one paragraph per blocker, then how it would end without them.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.blockers.is_empty() {
            f.write_str("No policy blocks this packet.\n")?;
        } else {
            f.write_str("Blocked by policies, in this order:\n")?;
        }
        for (number, blocker) in (1..).zip(&self.blockers) {
            write!(f, "  {number}. {blocker}")?;
        }
        let condition = match (
            &self.blockers[..],
            self.blockers.iter().all(|blocker| blocker.remedy.is_some()),
        ) {
            ([], _) => "It",
            ([_], true) => "With that change the packet",
            (_, true) => "With all of these changes the packet",
            (_, false) => "If none of them did, the packet",
        };
        match &self.otherwise.verdict {
            Verdict::Delivered { .. } | Verdict::LeftNetwork { .. } => {
                writeln!(f, "{condition} would be {}.", self.otherwise.verdict)?;
            }
            verdict => writeln!(f, "{condition} would be {verdict}; no policy can change that.")?,
        }
        let mut left_out = self.otherwise.left_out.iter();
        left_out.try_for_each(|object| writeln!(f, "The model leaves out {object}, which may decide otherwise."))
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.direction {
            Direction::Egress => "what it sends",
            Direction::Ingress => "what it receives",
        };
        writeln!(f, "on {}, policies of {} for {side}:", self.node, self.pod)?;
        for (place, rule) in self.rules.iter().enumerate() {
            let lead = if place == 0 { "" } else { "and behind that, " };
            writeln!(f, "     {lead}{}", Denied(rule))?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, "{remedy}"),
            None => writeln!(f, "     no rule could let through exactly this packet"),
        }
    }
}

struct Denied<'a>(&'a Decision);

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Decision::Denied {
                policy,
                rule,
                rule_name,
                denial,
            } => {
                let verb = match denial {
                    Denial::Drop => "drops",
                    Denial::Reject => "rejects",
                };
                match rule_name {
                    Some(name) => write!(f, "rule {name} of {policy} {verb} it"),
                    None => write!(f, "rule number {} of {policy} {verb} it", rule + 1),
                }
            }
            Decision::Isolated { policies } => {
                let names: Vec<String> = policies.iter().map(PolicyRef::to_string).collect();
                write!(f, "no rule allows it, and the Pod is isolated by {}", names.join(", "))
            }
            _ => f.write_str("nothing denies it"),
        }
    }
}

/// `TCP port 80`, `ICMP`.
pub(super) fn traffic_text(protocol: Protocol, port: Option<u16>) -> String {
    match port {
        Some(port) => format!("{protocol} port {port}"),
        None => protocol.to_string(),
    }
}

/// Who is behind an address, as far as selectors see it.
pub(super) fn end_at(cluster: &Cluster, address: IpAddr) -> End {
    match cluster.policies.selectable_at(address) {
        Some(pod) => End::Pod(pod.name.clone()),
        None => End::Address(address),
    }
}
