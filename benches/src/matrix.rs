//! What a matrix takes: on the simulator, and on two real switches, whose answers must be the same.

use std::num::NonZeroUsize;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testbed::fabric::{Fabric, Form, Settings as FabricSettings};
use testbed::realisation;
use traceflow_core::render::Style;
use traceflow_reach::{Grid, Matrix, Selector, render};
use traceflow_sim::Cluster;

use crate::traces::Failure;

/// The ports of every matrix.
pub const PORTS: &str = "tcp/80,udp/53,icmp";

/// The manifests of so many Pods in five namespaces, in turn on the nodes, with policies of both kinds: each team's database
/// is for its orders, one team takes its own packets only, one may but look up names, one is refused by another.
pub fn manifests(nodes: usize, pods: usize) -> String {
    const APPS: [&str; 4] = ["frontend", "cart", "orders", "db"];
    let node = |node| format!("{{apiVersion: v1, kind: Node, metadata: {{name: node-{node}}}}}\n---\n");
    let pod = |pod: usize| {
        let (team, app, node) = (pod % 5, APPS[(pod / 5) % APPS.len()], pod % nodes);
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {app}-{}, namespace: team-{team}, labels: {{app: {app}}}}}, \
             spec: {{nodeName: node-{node}}}}}\n---\n",
            pod / 20
        )
    };
    let objects: String = (0..nodes).map(node).chain((0..pods).map(pod)).collect();
    objects + POLICIES
}

const POLICIES: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: team-3, labels: {team: three}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team-4, labels: {team: four}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: team-0}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: orders}}}], ports: [{port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: own-team, namespace: team-1}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: names, namespace: team-2}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: not-four}
spec:
  priority: 5
  appliedTo: [{namespaceSelector: {matchLabels: {team: three}}}]
  ingress:
  - name: refuse
    action: Reject
    from: [{namespaceSelector: {matchLabels: {team: four}}}]
    ports: [{protocol: TCP, port: 80}]
";

/// All Pods to all Pods.
fn everybody(cluster: &Cluster) -> Result<Grid, Failure> {
    let everybody = [Selector::everybody()];
    Ok(Grid::resolve(cluster, &everybody, &everybody, PORTS.parse()?)?)
}

/// How long it takes to look up everybody, predict every packet, and print the page.
///
/// # Errors
/// If the cluster has no Pods.
pub fn predicted(cluster: &Cluster) -> Result<(Duration, Matrix), Failure> {
    let begun = Instant::now();
    let matrix = everybody(cluster)?.predict(cluster, |_| ());
    std::hint::black_box(render::table(&matrix, Style::Plain, true));
    Ok((begun.elapsed(), matrix))
}

/// The switches of a cluster, one for each node, and the files by which the program finds them.
#[derive(Debug)]
pub struct Switches {
    folder: TempDir,
    _fabric: Fabric,
}

impl Switches {
    /// Starts rootless switches.
    ///
    /// # Errors
    /// If Open vSwitch doesn't start.
    pub fn start(manifests: &str) -> Result<Self, Failure> {
        let cluster = Cluster::from_yaml(manifests)?;
        let fabric = Fabric::start(realisation::realise(&cluster)?, FabricSettings::new(Form::Rootless))?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("cluster.yaml"), manifests)?;
        std::fs::write(folder.path().join("nodes.yaml"), fabric.nodes_file())?;
        Ok(Self {
            folder,
            _fabric: fabric,
        })
    }

    /// How long `traceflow matrix` takes from its start to its end, and what it prints as CSV: on these switches, so many
    /// packets in flight, or on the simulated network.
    ///
    /// # Errors
    /// If the program isn't there or doesn't answer every packet.
    pub fn asked(&self, in_flight: Option<NonZeroUsize>) -> Result<(Duration, String), Failure> {
        let mut command = Command::new(std::env::current_exe()?.with_file_name("traceflow"));
        command.current_dir(self.folder.path());
        command.args([
            "matrix",
            "--cluster",
            "cluster.yaml",
            "--ports",
            PORTS,
            "--seed",
            "1",
            "-o",
            "csv",
        ]);
        if let Some(in_flight) = in_flight {
            command.args(["--datapath", "ovs", "--nodes", "nodes.yaml", "--in-flight"]);
            command.arg(in_flight.to_string());
        }
        let begun = Instant::now();
        let output = command.output().map_err(|error| {
            format!("the program traceflow doesn't start ({error}); build it: cargo build --release -p traceflow-cli")
        })?;
        let time = begun.elapsed();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok((time, String::from_utf8(output.stdout)?))
    }
}

/// The lines that are not the same in both, each with the other's.
pub fn differences<'a>(one: &'a str, other: &'a str) -> Vec<(&'a str, &'a str)> {
    let longer = one.lines().count().max(other.lines().count());
    let padded = |text: &'a str| text.lines().chain(std::iter::repeat("")).take(longer);
    padded(one)
        .zip(padded(other))
        .filter(|(one, other)| one != other)
        .collect()
}

#[cfg(test)]
mod tests {
    use traceflow_reach::Outcome;

    use super::*;

    /// Otherwise less would be measured than is said.
    #[test]
    fn the_clusters_have_every_outcome_that_policies_make() {
        let cluster = Cluster::from_yaml(&manifests(2, 40)).unwrap();
        let (_, matrix) = predicted(&cluster).unwrap();
        let tally = matrix.tally();
        assert_eq!(tally.asked(), 40 * 39 * 3);
        for outcome in [Outcome::Delivered, Outcome::Dropped, Outcome::Rejected] {
            assert!(tally.of(outcome) > 0, "{outcome:?}");
        }
    }

    #[test]
    fn differences_are_the_lines_that_differ() {
        assert_eq!(differences("a\nb", "a\nc\nd"), [("b", "c"), ("", "d")]);
        assert!(differences("a\n", "a\n").is_empty());
    }
}
