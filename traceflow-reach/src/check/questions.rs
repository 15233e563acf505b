//! What has to be asked to see whether expectations are met.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use traceflow_core::input::{BadInput, Problem};
use traceflow_core::trace::Predictor;
use traceflow_core::tracer::Tracer;
use traceflow_sim::Cluster;
use traceflow_sim::model::Pod;

use super::read::{Checks, Expectation, Expected, Located};
use super::report::Report;
use crate::grid::{Grid, senders, targets};
use crate::matrix::Matrix;
use crate::selector::{Selected, Selector};
use crate::words::meant;

/// The packets that show whether expectations are met, every name looked up.
#[derive(Debug, Clone)]
pub struct Questions {
    pub(super) cluster: Arc<Cluster>,
    pub(super) checks: Arc<Checks>,
    pub(super) parts: Vec<Part>,
}

/// Packets of which one thing is expected.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The place of the expectation.
    pub(super) expectation: usize,
    pub(super) expected: Expected,
    pub(super) grid: Arc<Grid>,
}

impl Checks {
    /// Looks up in the cluster whom the expectations are about.
    ///
    /// # Errors
    /// Where a selector selects nobody, nobody selected can be asked about, or a policy isn't there; with the place in the
    /// file.
    pub fn resolve(self, cluster: &Arc<Cluster>) -> Result<Questions, BadInput> {
        let mut parts = Vec::new();
        for (number, expectation) in self.expectations.iter().enumerate() {
            expectation.check_by(cluster)?;
            for (expected, grid) in expectation.grids(cluster)? {
                parts.push(Part {
                    expectation: number,
                    expected,
                    grid: Arc::new(grid),
                });
            }
        }
        Ok(Questions {
            cluster: Arc::clone(cluster),
            checks: Arc::new(self),
            parts,
        })
    }
}

impl Expectation {
    /// What is to be asked, and what is expected of it; nothing if it may be about nobody, and is.
    fn grids(&self, cluster: &Cluster) -> Result<Vec<(Expected, Grid)>, BadInput> {
        let from = self.selected(&self.from, |selector| senders(cluster, std::slice::from_ref(selector)))?;
        let to = self.selected(&self.to, |selector| targets(cluster, std::slice::from_ref(selector)))?;
        let mut grids = Vec::new();
        if !from.is_empty() && !to.is_empty() {
            let grid = Grid::between(cluster, &in_order(&from), &to, self.ports.clone());
            let grid = grid.map_err(|problem| self.place.error(problem))?;
            self.check_askable(&grid, &self.place)?;
            grids.push((self.expect, grid));
        }
        if let Some(others) = &self.others
            && !to.is_empty()
        {
            let grid = Grid::between(cluster, &everybody_but(cluster, &from), &to, self.ports.clone());
            let grid = grid.map_err(|problem| others.error(problem))?;
            self.check_askable(&grid, others)?;
            grids.push((others.value, grid));
        }
        Ok(grids)
    }

    /// Whom these select; that one selects nobody is a mistake, unless it may.
    fn selected<'a, T>(
        &self,
        selectors: &[Located<Selector>],
        select: impl Fn(&Selector) -> Result<Vec<T>, Problem> + 'a,
    ) -> Result<Vec<T>, BadInput> {
        let mut all = Vec::new();
        for selector in selectors {
            match select(&selector.value) {
                Ok(selected) => all.extend(selected),
                Err(_) if self.may_be_empty => {}
                Err(problem) => return Err(selector.error(problem)),
            }
        }
        Ok(all)
    }

    /// Whether any packet can be asked about.
    fn check_askable<T>(&self, grid: &Grid, place: &Located<T>) -> Result<(), BadInput> {
        if self.may_be_empty || grid.askable().next().is_some() {
            return Ok(());
        }
        let why = match (0..grid.len()).find_map(|place| grid.family(place).err()) {
            Some(why) => format!("no packet of it can be asked about: {why}"),
            None => "it is about nobody, for every Pod is in from".to_owned(),
        };
        Err(place.error(Problem::Unusable {
            what: why.into(),
            remedy: "select others, or say mayBeEmpty: true".into(),
        }))
    }

    /// Whether the policy that should deny is there.
    fn check_by(&self, cluster: &Cluster) -> Result<(), BadInput> {
        let Some(by) = &self.by else { return Ok(()) };
        let wanted = &by.value.policy;
        let kubernetes = cluster.policies().policies();
        let mut names: Vec<String> = kubernetes
            .map(|policy| traceflow_core::observation::PolicyRef::kubernetes(policy.name.clone()).to_string())
            .collect();
        if names.contains(&wanted.to_string()) {
            return Ok(());
        }
        let mut antrea = cluster.policies().antrea_policies();
        let found = antrea.find(|policy| policy.name == *wanted);
        let (what, meant) = match (found, &by.value.rule) {
            (Some(_), None) => return Ok(()),
            (Some(policy), Some(rule)) => {
                let rules = || {
                    policy
                        .ingress
                        .iter()
                        .chain(&policy.egress)
                        .filter_map(|rule| rule.name.as_deref())
                };
                if rules().any(|known| known == &**rule) {
                    return Ok(());
                }
                (
                    format!("{wanted} has no rule {rule}"),
                    meant(rule, rules()).map(str::to_owned),
                )
            }
            (None, _) => {
                names.extend(
                    cluster
                        .policies()
                        .antrea_policies()
                        .map(|policy| policy.name.to_string()),
                );
                let meant = meant(&wanted.to_string(), names.iter().map(String::as_str));
                (format!("{wanted} is not in the cluster"), meant.map(str::to_owned))
            }
        };
        let remedy = match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None => "check its kind, namespace and name".to_owned(),
        };
        Err(by.error(Problem::Unusable {
            what: what.into(),
            remedy: remedy.into(),
        }))
    }
}

/// In the order in which people count, nobody twice.
fn in_order<'a>(pods: &[&'a Pod]) -> Vec<&'a Pod> {
    let mut pods = pods.to_vec();
    pods.sort_by(|one, other| crate::order::by_name(&one.name, &other.name));
    pods.dedup_by(|one, other| one.name == other.name);
    pods
}

/// Every Pod that hasn't ended and isn't one of these.
fn everybody_but<'a>(cluster: &'a Cluster, but: &[&Pod]) -> Vec<&'a Pod> {
    let but: HashSet<_> = but.iter().map(|pod| &pod.name).collect();
    let all = Selector::everybody().find(cluster).into_iter();
    let others = all.filter_map(|selected| match selected {
        Selected::Pod(pod) if !but.contains(&pod.name) => Some(pod),
        _ => None,
    });
    in_order(&others.collect::<Vec<_>>())
}

impl Questions {
    /// How many packets can be asked about.
    pub fn askable(&self) -> usize {
        self.parts.iter().map(|part| part.grid.askable().count()).sum()
    }

    /// The same questions, whose source ports are chosen by this seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        self.with_grids(|grid| grid.with_seed(seed))
    }

    /// The same questions, for each of whose answers a tracer waits so long.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.with_grids(|grid| grid.with_timeout(timeout))
    }

    fn with_grids(mut self, change: impl Fn(Grid) -> Grid) -> Self {
        for part in &mut self.parts {
            part.grid = Arc::new(change(Grid::clone(&part.grid)));
        }
        self
    }

    /// Holds the expectations against what a model of the network says; nothing is sent. `answered` is told how many packets
    /// are answered whenever one is.
    pub fn predict(self, predictor: &dyn Predictor, mut answered: impl FnMut(usize)) -> Report {
        let mut before = 0;
        let mut matrices: Vec<Matrix> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let matrix = Arc::clone(&part.grid).predict_all(predictor, |count| answered(before + count));
            before += matrix.tally().asked();
            matrices.push(matrix);
        }
        Report::new(self, matrices)
    }

    /// Holds them against what the network does, as [`Grid::trace`](crate::Grid::trace) asks it.
    pub async fn trace(self, tracer: &Tracer, in_flight: NonZeroUsize, mut answered: impl FnMut(usize)) -> Report {
        let mut before = 0;
        let mut matrices: Vec<Matrix> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let matrix = part
                .grid
                .trace(tracer, in_flight, |count| answered(before + count))
                .await;
            before += matrix.tally().asked();
            matrices.push(matrix);
        }
        Report::new(self, matrices)
    }
}
