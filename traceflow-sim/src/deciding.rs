//! Which rules decide about a packet on its whole way.

use std::time::SystemTime;

use traceflow_core::plan::Plan;
use traceflow_core::trace::Unpredictable;

use crate::cluster::Cluster;
use crate::policy::{Decision, Direction};
use crate::predict::{Entry, walk};

/// What the policies of one end said about a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Which end: the source's egress or the destination's ingress.
    pub direction: Direction,
    /// What they said.
    pub decision: Decision,
}

impl Cluster {
    /// What the policies say about the packet of this plan, in the order in which it meets them. Where a rule of Antrea's
    /// passes it on, that comes first, and then what decided.
    ///
    /// Observations name a policy, and a rule only where rules have names; here a Kubernetes rule has its place.
    ///
    /// ```
    /// use traceflow_core::plan::Plan;
    /// use traceflow_core::spec::CommandLine;
    /// use traceflow_sim::Cluster;
    /// use traceflow_sim::policy::Decision;
    ///
    /// let web_only = "apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: web-only}
    /// spec:
    ///   podSelector: {}
    ///   ingress: [{ports: [{port: 443}]}, {ports: [{port: 80}]}]";
    /// let cluster = Cluster::builder().node("a").pod("client", "a").pod("web", "a").yaml(web_only).build()?;
    /// let asked = CommandLine { source: Some("client"), destination: Some("web"), flow: Some("tcp,tcp_dst=80"), ..Default::default() };
    /// let plan = Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?;
    /// let decisions = cluster.decisions(&plan)?;
    /// assert_eq!(decisions[0].decision, Decision::NotIsolated, "the client may send what it likes");
    /// assert!(matches!(decisions[1].decision, Decision::Allowed { rule: 1, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Unpredictable`] as for a prediction.
    pub fn decisions(&self, plan: &Plan) -> Result<Vec<Decided>, Unpredictable> {
        let entry = Entry {
            noting: true,
            ..Entry::of(self, plan)?
        };
        let mut decided = Vec::new();
        walk(
            self,
            entry,
            SystemTime::UNIX_EPOCH,
            |_| None,
            |_, passed| {
                for access in &passed.asked {
                    let direction = access.direction;
                    let decisions = self.policies.deciding(access).into_iter();
                    decided.extend(decisions.map(|decision| Decided { direction, decision }));
                }
            },
        );
        Ok(decided)
    }
}

#[cfg(test)]
mod tests {
    use traceflow_core::observation::PolicyRef;
    use traceflow_core::spec::CommandLine;

    use super::*;

    /// A rule that passes a packet on has a part in what becomes of it, whoever decides then.
    #[test]
    fn a_rule_that_passes_on_is_told_before_what_decides() {
        let passing = "apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: passing}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress: [{name: all, action: Pass}]";
        let closed = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}}";
        let decisions = |policies: &[&str]| {
            let cluster = policies.iter().fold(
                Cluster::builder().node("a").pod("client", "a").pod("web", "a"),
                |cluster, policy| cluster.yaml(policy),
            );
            let cluster = cluster.build().unwrap();
            let asked = CommandLine {
                source: Some("client"),
                destination: Some("web"),
                flow: Some("tcp,tcp_dst=80"),
                ..Default::default()
            };
            let plan = Plan::resolve(
                &asked.spec(&cluster).unwrap(),
                &cluster,
                &mut fastrand::Rng::with_seed(1),
            );
            let decided = cluster.decisions(&plan.unwrap()).unwrap().into_iter();
            let ingress = decided.filter(|decided| decided.direction == Direction::Ingress);
            ingress.map(|decided| decided.decision).collect::<Vec<_>>()
        };
        let passed = Decision::Passed {
            policy: PolicyRef::antrea_cluster("passing"),
            rule: 0,
            rule_name: Some("all".into()),
        };
        assert_eq!(decisions(&[passing]), std::slice::from_ref(&passed));
        let both = decisions(&[passing, closed]);
        assert!(
            matches!(&both[..], [first, Decision::Isolated { .. }] if *first == passed),
            "{both:?}"
        );
        assert!(matches!(&decisions(&[closed])[..], [Decision::Isolated { .. }]));
    }
}
