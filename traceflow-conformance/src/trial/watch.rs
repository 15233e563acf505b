//! Reading the reports of all nodes together.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use tokio::time::timeout;
use traceflow_core::datapath::{Datapath, Probe, Report, Sighting};
use traceflow_core::names::NodeName;
use traceflow_core::observation::Observation;
use traceflow_core::packet::Packet;

use crate::case::Failure;
use crate::suite::Suite;

/// The reports of some streams, in the order in which they come.
pub(crate) struct Watch {
    streams: SelectAll<BoxStream<'static, Report>>,
    patience: Duration,
    quiet: Duration,
}

impl Watch {
    pub(crate) fn new(
        streams: impl IntoIterator<Item = BoxStream<'static, Report>>,
        patience: Duration,
        quiet: Duration,
    ) -> Self {
        Self {
            streams: select_all(streams),
            patience,
            quiet,
        }
    }

    /// The reports of one node from now on.
    pub(crate) fn of(datapath: &dyn Datapath, suite: &Suite) -> Self {
        Self::new([datapath.reports()], suite.patience, suite.quiet)
    }

    /// Waits for a node to say that it restarted.
    pub(crate) async fn until_restarted(&mut self) -> Result<(), Failure> {
        let restarted = async {
            while let Some(report) = self.streams.next().await {
                if report == Report::Restarted {
                    return true;
                }
            }
            false
        };
        if timeout(self.patience, restarted).await == Ok(true) {
            return Ok(());
        }
        let expected = format!("the restart to be reported within {:?}", self.patience);
        Err(Failure::new(expected, "no such report"))
    }

    /// Waits for all streams to end.
    pub(crate) async fn until_over(mut self, expected: &str) -> Result<(), Failure> {
        let over = async { while self.streams.next().await.is_some() {} };
        let over = timeout(self.patience, over).await;
        over.map_err(|_| Failure::new(format!("{expected} within {:?}", self.patience), "it still open"))
    }

    /// Everything that is seen until the path of the probe's packet ends, and shortly after.
    pub(crate) async fn follow(&mut self, probe: &Probe, packet: &Packet) -> Result<Vec<Sighting>, Failure> {
        self.until_end(|sighting| is_of(sighting, probe, packet)).await
    }

    /// Everything that is seen until the path of a packet with the probe's mark ends, and shortly after.
    pub(crate) async fn follow_live(&mut self, probe: &Probe) -> Result<Vec<Sighting>, Failure> {
        self.until_end(|sighting| sighting.mark == probe.mark).await
    }

    async fn until_end(&mut self, is_ours: impl Fn(&Sighting) -> bool) -> Result<Vec<Sighting>, Failure> {
        let ended = |seen: &[Sighting]| seen.iter().any(|sighting| is_ours(sighting) && ends_path(sighting));
        self.until("the packet to be reported up to the end of its path", ended)
            .await
    }

    /// Everything that is seen until it is `enough`, and shortly after.
    pub(crate) async fn until(
        &mut self,
        expected: &str,
        enough: impl Fn(&[Sighting]) -> bool,
    ) -> Result<Vec<Sighting>, Failure> {
        let mut seen = Vec::new();
        let read = async {
            while !enough(&seen) {
                match self.streams.next().await {
                    Some(Report::Seen(sighting)) => seen.push(sighting),
                    Some(_) => {}
                    None => return false,
                }
            }
            true
        };
        if timeout(self.patience, read).await != Ok(true) {
            return Err(Failure::new(
                format!("{expected} within {:?}", self.patience),
                words(&seen),
            ));
        }
        seen.extend(self.rest().await);
        Ok(seen)
    }

    /// All that is seen until it is quiet.
    pub(crate) async fn rest(&mut self) -> Vec<Sighting> {
        let reports = self.rest_of_reports().await.into_iter();
        let sightings = reports.filter_map(|report| match report {
            Report::Seen(sighting) => Some(sighting),
            _ => None,
        });
        sightings.collect()
    }

    /// All reports until it is quiet, those that aren't sightings too.
    pub(crate) async fn rest_of_reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Ok(Some(report)) = timeout(self.quiet, self.streams.next()).await {
            reports.push(report);
        }
        reports
    }

    /// Fails if anything is seen before it is quiet.
    pub(crate) async fn ensure_quiet(&mut self, expected: &str) -> Result<(), Failure> {
        let seen = self.rest().await;
        if seen.is_empty() {
            return Ok(());
        }
        Err(Failure::new(expected, words(&seen)))
    }
}

/// Whether the sighting is of this packet, as far as it says.
pub(crate) fn is_of(sighting: &Sighting, probe: &Probe, packet: &Packet) -> bool {
    sighting.mark == probe.mark && sighting.nonce.is_none_or(|nonce| nonce == packet.nonce)
}

/// Whether the sighting has the end of its packet's path.
pub(crate) fn ends_path(sighting: &Sighting) -> bool {
    sighting.observations.iter().any(|seen| seen.action.ends_path())
}

/// All observations, node by node in the order in which each was first seen, the steps of a node in order.
pub(crate) fn observations(sightings: &[Sighting]) -> Vec<Observation> {
    let place = |node: &NodeName| sightings.iter().position(|sighting| sighting.node == *node);
    let mut ordered: Vec<_> = sightings.iter().collect();
    ordered.sort_by_key(|sighting| (place(&sighting.node), sighting.step));
    let all = ordered.into_iter().flat_map(|sighting| sighting.observations.iter());
    all.cloned().collect()
}

/// The sightings in a line, for a failure.
pub(crate) fn words(sightings: &[Sighting]) -> String {
    if sightings.is_empty() {
        return "nothing".to_owned();
    }
    let one = |sighting: &Sighting| {
        let actions: Vec<_> = sighting.observations.iter().map(|seen| seen.action.as_str()).collect();
        let nonce = sighting.nonce.map_or_else(|| "-".to_owned(), |nonce| nonce.to_string());
        format!(
            "[{} mark {} nonce {nonce}: {}]",
            sighting.node,
            sighting.mark,
            actions.join(", ")
        )
    };
    sightings.iter().map(one).collect::<Vec<_>>().join(" ")
}
