//! The simulated network, and what is sent over it.

use std::sync::Arc;

use traceflow_sim::{Cluster, Settings, SimNetwork, Traffic};

use crate::failure::Failure;

/// The simulated network, with what is to happen on it.
pub(crate) struct Simulation {
    pub(crate) network: SimNetwork,
    /// What the workloads send once every live trace is armed.
    traffic: Vec<Traffic>,
}

impl Simulation {
    /// Checks the traffic.
    pub(crate) fn load(cluster: &Arc<Cluster>, send: &[String], seed: u64) -> Result<Self, Failure> {
        let settings = Settings {
            seed,
            ..Settings::default()
        };
        Ok(Self {
            network: SimNetwork::with_settings(Arc::clone(cluster), settings),
            traffic: send
                .iter()
                .map(|text| traffic(text, cluster))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether the workloads send anything.
    pub(crate) fn sends(&self) -> bool {
        !self.traffic.is_empty()
    }

    /// Lets the workloads send.
    pub(crate) fn send(&self) {
        for traffic in &self.traffic {
            // It could be sent when it was read, and the cluster hasn't changed.
            if let Err(error) = self.network.send(traffic) {
                eprintln!("warning: not sent: {error}");
            }
        }
    }
}

/// Reads what `--send` says, and sends it over a network that nobody watches to see that it can be sent at all.
fn traffic(text: &str, cluster: &Arc<Cluster>) -> Result<Traffic, Failure> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "--send '{text}': {reason}; write 'SRC->DST FLOW', such as 'pod1->pod3 tcp,tcp_dst=80'"
        ))
    };
    let traffic: Traffic = text.parse().map_err(|error| wrong(&error))?;
    SimNetwork::new(Arc::clone(cluster))
        .send(&traffic)
        .map_err(|error| wrong(&error))?;
    Ok(traffic)
}
