//! The flows that apply rules, alike in both directions.

use traceflow_core::packet::IpFamily;
use traceflow_sim::policy::Direction;
use traceflow_sim::policy::antrea::RuleAction;

use super::conntrack::zone;
use super::{Flow, RealisationError, Site};
use crate::realisation::PodPort;
use crate::realisation::clause::{Clause, clauses};
use crate::realisation::flow::{Category, LOW, NORMAL};
use crate::realisation::mark::{Load, Mark};
use crate::realisation::rule::Turn;
use crate::realisation::site::LocalRule;
use crate::realisation::table::Table;

/// Antrea's priority for what policies don't judge: packets of connections that were let through.
const NOT_JUDGED: u16 = 64990;

/// The lowest priority of a rule that is asked after the Kubernetes policies.
const LAST: u16 = 10;

/// Antrea's agent rejects what it is given so; here nobody listens, which tells a rejected packet from a dropped one.
const TO_THE_AGENT: &str = "controller(reason=no_match,id=62373,userdata=01)";

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
        let antrea_subjects = site.subjects_in(Turn::Antrea, self.direction);
        flows.extend(self.to_itself(self.antrea_rule, antrea_subjects));
        flows.extend(self.rules(site, Turn::Antrea)?);
        flows.push(Flow::miss(self.antrea_rule, self.rule));
        flows.extend(self.to_itself(self.rule, site.isolated(self.direction)));
        flows.extend(self.rules(site, Turn::Kubernetes)?);
        flows.push(Flow::miss(self.rule, self.default_rule));
        flows.extend(self.isolation(site));
        let baseline_subjects = site.subjects_in(Turn::Baseline, self.direction);
        flows.extend(self.to_itself(self.default_rule, baseline_subjects));
        flows.extend(self.rules(site, Turn::Baseline)?);
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
        flows.collect()
    }

    /// "A pod cannot block access to itself" (the Network Policies page of Kubernetes' documentation).
    fn to_itself<'a>(&self, table: Table, pods: impl IntoIterator<Item = &'a PodPort>) -> Vec<Flow> {
        let flows = pods.into_iter().flat_map(|pod| {
            pod.addresses.iter().map(|&address| {
                let flow = self.flow(table, NOT_JUDGED).source(address);
                let flow = match self.direction {
                    // What a Service led back is judged on its way out, as by Antrea.
                    Direction::Egress => flow.destination(address).mark(Mark::SERVICE_CONNECTION.absent()),
                    Direction::Ingress => flow.mark(Mark::target_port(pod.port)),
                };
                flow.goto(self.metric)
            })
        });
        flows.collect()
    }

    /// Each rule has a priority of its own, for a switch takes any of those that match at the same priority: the rule that
    /// is asked first has the highest, the last one Antrea's.
    fn rules(&self, site: &Site<'_>, turn: Turn) -> Result<Vec<Flow>, RealisationError> {
        let rules: Vec<_> = site
            .rules_in(turn, self.direction)
            .map(|local| (local, clauses(site, local)))
            .collect();
        let rules: Vec<_> = rules
            .into_iter()
            .filter(|(_, clauses)| !clauses.iter().any(Clause::is_empty))
            .collect();
        let too_many = || RealisationError::TooManyRules(site.node.name.clone());
        let priorities = match turn {
            Turn::Antrea | Turn::Kubernetes => NORMAL..NOT_JUDGED,
            // What a Kubernetes policy isolates is dropped before.
            Turn::Baseline => LAST..LOW,
        };
        if rules.len() > priorities.len() {
            return Err(too_many());
        }
        let flows = priorities.zip(rules.iter().rev()).map(|(priority, (local, clauses))| {
            let mut flows = self.conjunction(turn, local, clauses, priority);
            let families = site.families.iter();
            flows.extend(families.map(|&family| self.decided(turn, local, family)));
            flows
        });
        let mut flows: Vec<Vec<Flow>> = flows.collect();
        flows.reverse();
        Ok(flows.into_iter().flatten().collect())
    }

    fn table(&self, turn: Turn) -> Table {
        match turn {
            Turn::Antrea => self.antrea_rule,
            Turn::Kubernetes => self.rule,
            Turn::Baseline => self.default_rule,
        }
    }

    fn conjunction(&self, turn: Turn, local: &LocalRule<'_>, clauses: &[Clause], priority: u16) -> Vec<Flow> {
        let (number, count) = (local.rule.number, clauses.len());
        let numbered = (1..).zip(clauses);
        let matches = numbered.flat_map(|(clause, matches): (u32, _)| matches.iter().map(move |text| (clause, text)));
        let flows = matches.map(|(clause, text)| {
            let flow = self.flow(self.table(turn), priority).field(text);
            flow.action(format_args!("conjunction({number},{clause}/{count})"))
        });
        flows.collect()
    }

    /// What becomes of a packet that the rule is about.
    fn decided(&self, turn: Turn, local: &LocalRule<'_>, family: IpFamily) -> Flow {
        let number = local.rule.number;
        let register = match self.direction {
            Direction::Egress => Mark::egress_rule(number),
            Direction::Ingress => Mark::ingress_rule(number),
        };
        let flow = self
            .flow(self.table(turn), LOW)
            .field(format_args!("conj_id={number}"))
            .family(family);
        match local.rule.action() {
            RuleAction::Allow => flow.action(Load(register)).action(format_args!(
                "ct(commit,table={},zone={},exec(set_field:{}->ct_label))",
                self.metric,
                zone(family),
                self.label(number),
            )),
            RuleAction::Pass => flow.load(register).goto(self.rule),
            RuleAction::Drop => flow
                .load(Mark::denying_rule(number))
                .load(Mark::DENIED)
                .goto(self.metric),
            RuleAction::Reject => flow
                .load(Mark::denying_rule(number))
                .load(Mark::DENIED)
                .load(Mark::REJECTED)
                .action(TO_THE_AGENT)
                .goto(self.metric),
        }
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

    /// Antrea counts by these how often a rule was used, and drops here what one denies.
    fn metrics(&self, site: &Site<'_>) -> Vec<Flow> {
        let of = |actions: &'static [RuleAction]| {
            let rules = site.rules(self.direction);
            rules.filter(move |local| actions.contains(&local.rule.action()))
        };
        let denied = of(&[RuleAction::Drop, RuleAction::Reject]).map(|local| {
            let flow = self.flow(self.metric, NORMAL).mark(Mark::DENIED);
            flow.mark(Mark::denying_rule(local.rule.number)).drop()
        });
        let flows = of(&[RuleAction::Allow]).flat_map(|local| {
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
        flows.chain(denied).collect()
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
