//! The flows that apply rules, alike in both directions.

use traceflow_core::packet::IpFamily;
use traceflow_sim::policy::Direction;

use super::conntrack::zone;
use super::{Flow, RealisationError, Site};
use crate::realisation::clause::{Clause, clauses};
use crate::realisation::flow::{Category, LOW, NORMAL};
use crate::realisation::mark::{Load, Mark};
use crate::realisation::site::LocalRule;
use crate::realisation::table::Table;

/// Antrea's priority for what policies don't judge: packets of connections that were let through.
const NOT_JUDGED: u16 = 64990;

/// The tables of one direction.
pub(super) struct Tables {
    pub(super) direction: Direction,
    pub(super) antrea_rule: Table,
    pub(super) rule: Table,
    pub(super) default_rule: Table,
    pub(super) metric: Table,
    /// Where packets go that may pass.
    pub(super) next: Table,
}

impl Tables {
    /// The flows of all tables of this direction.
    pub(super) fn flows(&self, site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
        let mut flows = self.known_connections(site);
        flows.extend(self.to_itself(site));
        flows.extend(self.rules(site)?);
        flows.push(Flow::miss(self.rule, self.default_rule));
        flows.extend(self.isolation(site));
        flows.push(Flow::miss(self.default_rule, self.metric));
        flows.extend(self.metrics(site));
        flows.push(Flow::miss(self.metric, self.next));
        Ok(flows)
    }

    /// Policies judge the first packet of a connection.
    fn known_connections(&self, site: &Site<'_>) -> Vec<Flow> {
        let states = site
            .families
            .iter()
            .flat_map(|&family| ["-new+est", "-new+rel"].map(|state| (family, state)));
        let flows = states.map(|(family, state)| {
            self.flow(self.antrea_rule, NOT_JUDGED)
                .family(family)
                .field(format_args!("ct_state={state}"))
                .goto(self.metric)
        });
        let mut flows: Vec<Flow> = flows.collect();
        flows.push(Flow::miss(self.antrea_rule, self.rule));
        flows
    }

    /// "A pod cannot block access to itself" (the Network Policies page of Kubernetes' documentation).
    fn to_itself(&self, site: &Site<'_>) -> Vec<Flow> {
        let pods = site.isolated(self.direction);
        let flows = pods.flat_map(|pod| {
            pod.addresses.iter().map(|&address| {
                let flow = self.flow(self.rule, NOT_JUDGED).source(address);
                let flow = match self.direction {
                    Direction::Egress => flow.destination(address),
                    Direction::Ingress => flow.mark(Mark::target_port(pod.port)),
                };
                flow.goto(self.metric)
            })
        });
        flows.collect()
    }

    /// Each rule has a priority of its own, for a switch takes any of those that match at the same priority: the rule that
    /// is tried first has the highest, the last one Antrea's.
    fn rules(&self, site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
        let rules: Vec<_> = site
            .rules(self.direction)
            .map(|local| (local, clauses(site, local)))
            .collect();
        let rules: Vec<_> = rules
            .into_iter()
            .filter(|(_, clauses)| !clauses.iter().any(Clause::is_empty))
            .collect();
        let too_many = || RealisationError::TooManyRules(site.node.name.clone());
        let room = usize::from(NOT_JUDGED - NORMAL);
        if rules.len() > room {
            return Err(too_many());
        }
        let flows = (NORMAL..).zip(rules.iter().rev()).map(|(priority, (local, clauses))| {
            let mut flows = self.conjunction(local, clauses, priority);
            flows.extend(site.families.iter().map(|&family| self.allowed(local, family)));
            flows
        });
        let mut flows: Vec<Vec<Flow>> = flows.collect();
        flows.reverse();
        Ok(flows.into_iter().flatten().collect())
    }

    fn conjunction(&self, local: &LocalRule<'_>, clauses: &[Clause], priority: u16) -> Vec<Flow> {
        let (number, count) = (local.rule.number, clauses.len());
        let numbered = (1..).zip(clauses);
        let matches = numbered.flat_map(|(clause, matches): (u32, _)| matches.iter().map(move |text| (clause, text)));
        let flows = matches.map(|(clause, text)| {
            let flow = self.flow(self.rule, priority).field(text);
            flow.action(format_args!("conjunction({number},{clause}/{count})"))
        });
        flows.collect()
    }

    fn allowed(&self, local: &LocalRule<'_>, family: IpFamily) -> Flow {
        let number = local.rule.number;
        let register = match self.direction {
            Direction::Egress => Mark::egress_rule(number),
            Direction::Ingress => Mark::ingress_rule(number),
        };
        self.flow(self.rule, LOW)
            .field(format_args!("conj_id={number}"))
            .family(family)
            .action(Load(register))
            .action(format_args!(
                "ct(commit,table={},zone={},exec(set_field:{}->ct_label))",
                self.metric,
                zone(family),
                self.label(number),
            ))
    }

    fn isolation(&self, site: &Site<'_>) -> Vec<Flow> {
        let pods = site.isolated(self.direction);
        let flow = || self.flow(self.default_rule, NORMAL);
        let flows = pods.flat_map(|pod| match self.direction {
            Direction::Egress => pod
                .addresses
                .iter()
                .map(|&address| flow().source(address).drop())
                .collect(),
            Direction::Ingress => vec![flow().mark(Mark::target_port(pod.port)).drop()],
        });
        flows.collect()
    }

    /// Antrea counts by these how often a rule was used.
    fn metrics(&self, site: &Site<'_>) -> Vec<Flow> {
        let rules = site.rules(self.direction);
        let flows = rules.flat_map(|local| {
            let states = site
                .families
                .iter()
                .flat_map(|&family| ["+new", "-new"].map(|state| (family, state)));
            let label = self.label(local.rule.number);
            states.map(move |(family, state)| {
                self.flow(self.metric, NORMAL)
                    .family(family)
                    .field(format_args!("ct_state={state},ct_label={label}"))
                    .goto(self.next)
            })
        });
        flows.collect()
    }

    /// The rule's number in the half of the connection's label that is this direction's.
    fn label(&self, number: u32) -> String {
        match self.direction {
            Direction::Egress => format!("{:#x}/{:#x}", u64::from(number) << 32, u64::from(u32::MAX) << 32),
            Direction::Ingress => format!("{number:#x}/{:#x}", u32::MAX),
        }
    }

    fn flow(&self, table: Table, priority: u16) -> Flow {
        Flow::new(table, priority, Category::NetworkPolicy)
    }
}
