//! A packet in a cluster, and the file that keeps it.

use std::fmt::Write;
use std::time::Duration;

use traceflow_core::input::BadInput;
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_sim::Cluster;

use crate::generate::Objects;

/// A packet in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The cluster.
    pub objects: Objects,
    /// The packet.
    pub packet: Asked,
}

/// A packet, as the command line of `traceflow` asks about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The Pod that sends it: `namespace/name`.
    pub from: String,
    /// The address that it is sent to.
    pub to: String,
    /// What it is: `tcp,tcp_dst=80`.
    pub flow: String,
}

impl Asked {
    /// The plan of a trace of this packet.
    ///
    /// # Errors
    /// [`BadInput`] if nobody can ask so in this cluster.
    pub fn plan(&self, cluster: &Cluster) -> Result<Plan, BadInput> {
        let asked = CommandLine {
            source: Some(&self.from),
            destination: Some(&self.to),
            flow: Some(&self.flow),
            timeout: Some(PATIENCE),
            ..CommandLine::default()
        };
        let spec = asked.spec(cluster)?;
        Plan::resolve(&spec, cluster, &mut fastrand::Rng::with_seed(1))
    }
}

impl Case {
    /// The text of a file that keeps the case: the packet and how it is to end in comments, then the cluster's manifests.
    ///
    /// ```
    /// use agreement::Case;
    ///
    /// let text = "# from: default/a\n# to: 10.0.0.1\n# packet: icmp\n# expected: delivered on n\n---\nkind: Pod\n";
    /// let (case, expected) = Case::read(text)?;
    /// assert_eq!((&*case.packet.flow, &*expected), ("icmp", "delivered on n"));
    /// assert_eq!(case.write(&expected), text);
    /// # Ok::<(), String>(())
    /// ```
    pub fn write(&self, expected: &str) -> String {
        let Asked { from, to, flow } = &self.packet;
        let mut text = format!("# from: {from}\n# to: {to}\n# packet: {flow}\n# expected: {expected}\n");
        for object in self.objects.texts() {
            let _ = write!(text, "---\n{}\n", object.trim());
        }
        text
    }

    /// The case in such a file, and how it is to end.
    ///
    /// # Errors
    /// Which line at the head of the file is missing.
    pub fn read(text: &str) -> Result<(Self, String), String> {
        let said = |what: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {what}: ")));
            line.map(str::to_owned)
                .ok_or_else(|| format!("there is no line `# {what}: …`"))
        };
        let packet = Asked {
            from: said("from")?,
            to: said("to")?,
            flow: said("packet")?,
        };
        let documents = text.split("\n---\n").skip(1).map(str::to_owned);
        let objects = Objects::read(documents);
        Ok((Self { objects, packet }, said("expected")?))
    }
}

/// How long a trace waits for a packet that isn't seen.
const PATIENCE: Duration = Duration::from_secs(5);
