//! What a cluster is asked: packets between Pods and Services that are chosen at random.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use traceflow_core::input::BadInput;
use traceflow_core::packet::Protocol;
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Predictor, Verdict};
use traceflow_sim::Cluster;
use traceflow_sim::policy::{Access, Direction, Peer};

use super::{Manifests, Times};

/// To whom a packet goes, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ends {
    /// A Pod that it reaches.
    PodAllowed,
    /// A Pod that it may not reach.
    PodDenied,
    /// A Service with an endpoint that it reaches.
    ServiceAllowed,
    /// A Service with an endpoint that it may not reach.
    ServiceDenied,
}

impl Ends {
    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PodAllowed => "Pod, allowed",
            Self::PodDenied => "Pod, denied",
            Self::ServiceAllowed => "Service, allowed",
            Self::ServiceDenied => "Service, denied",
        }
    }
}

/// Questions to a cluster, each asked once.
#[derive(Debug)]
pub struct Questions(Vec<(Plan, bool)>);

impl Questions {
    /// About as many questions of random Pods; every other one is about a Service, and every other one stays in its namespace.
    ///
    /// # Errors
    /// If the cluster isn't the one of these manifests.
    pub fn new(manifests: &Manifests, cluster: &Cluster, count: usize) -> Result<Self, BadInput> {
        let mut random = fastrand::Rng::with_seed(manifests.seed);
        let size = manifests.size;
        let mut questions = Vec::with_capacity(count);
        for number in 0..count {
            let source = random.u32(0..size.pods);
            let to_service = number % 2 == 1;
            let other = if number % 4 == 0 {
                let first = source / 50 * 50;
                random.u32(first..size.pods.min(first + 50))
            } else {
                random.u32(0..size.pods)
            };
            let destination = if to_service {
                manifests.service_name(random.u32(0..size.services))
            } else if other == source {
                // A Pod's packets to itself never reach the network.
                continue;
            } else {
                manifests.pod_name(other)
            };
            let line = CommandLine {
                source: Some(&manifests.pod_name(source)),
                destination: Some(&destination),
                flow: Some(if to_service {
                    "tcp,tcp_dst=80"
                } else {
                    "tcp,tcp_dst=8080"
                }),
                ..CommandLine::default()
            };
            let plan = Plan::resolve(&line.spec(cluster)?, cluster, &mut random)?;
            questions.push((plan, to_service));
        }
        Ok(Self(questions))
    }

    /// How long each prediction takes, by what it was about: when it is asked for, and when it is asked for again at once.
    /// The second finds in the processor's caches what it needs, however large the cluster.
    pub fn ask(&self, cluster: &Cluster) -> BTreeMap<Ends, [Times; 2]> {
        let mut times: BTreeMap<Ends, [Vec<Duration>; 2]> = BTreeMap::new();
        for (plan, to_service) in &self.0 {
            let [(_, first), (prediction, second)] = [(); 2].map(|()| {
                let start = Instant::now();
                let prediction = black_box(cluster.predict(black_box(plan)));
                (prediction, start.elapsed())
            });
            let allowed = prediction.is_ok_and(|prediction| matches!(prediction.verdict, Verdict::Delivered { .. }));
            let ends = match (to_service, allowed) {
                (false, true) => Ends::PodAllowed,
                (false, false) => Ends::PodDenied,
                (true, true) => Ends::ServiceAllowed,
                (true, false) => Ends::ServiceDenied,
            };
            let [of_first, of_second] = times.entry(ends).or_default();
            of_first.push(first);
            of_second.push(second);
        }
        let of_both = |(ends, times): (Ends, [Vec<Duration>; 2])| (ends, times.map(Times::new));
        times.into_iter().map(of_both).collect()
    }
}

impl Questions {
    /// How long the policies alone take to decide about a packet from Pod to Pod, both directions, as an average over
    /// each hundred questions.
    pub fn decide(&self, cluster: &Cluster) -> Option<Times> {
        let policies = cluster.policies();
        let mut accesses = Vec::new();
        for (plan, _) in self.0.iter().filter(|(_, to_service)| !to_service) {
            let ends = [plan.source.as_ref()?.address, plan.destination.as_ref()?.address];
            for (direction, [own, peer]) in [(Direction::Egress, ends), (Direction::Ingress, [ends[1], ends[0]])] {
                accesses.push(Access {
                    direction,
                    pod: policies.pod_id(&policies.selectable_at(own)?.name)?,
                    peer: Peer::Address(peer),
                    protocol: Protocol::TCP,
                    source_port: Some(40_000),
                    destination_port: Some(8080),
                    icmp: None,
                });
            }
        }
        let mut times = Vec::new();
        for some in accesses.chunks_exact(100) {
            let start = Instant::now();
            for access in some {
                black_box(policies.decide(black_box(access)));
            }
            times.push(start.elapsed() / 100);
        }
        Some(Times::new(times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{Format, Size};

    #[test]
    fn questions_of_all_kinds_are_asked() {
        let manifests = Manifests {
            size: Size::of_pods(1000),
            seed: 1,
        };
        let cluster = Cluster::from_yaml(&manifests.text(Format::Json)).unwrap();
        let questions = Questions::new(&manifests, &cluster, 400).unwrap();
        let kinds: Vec<Ends> = questions.ask(&cluster).into_keys().collect();
        let all = [
            Ends::PodAllowed,
            Ends::PodDenied,
            Ends::ServiceAllowed,
            Ends::ServiceDenied,
        ];
        assert_eq!(kinds, all);
    }
}
