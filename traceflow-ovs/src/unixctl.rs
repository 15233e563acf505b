//! The control socket of `ovs-vswitchd`: what `ovs-appctl` asks, without a process for each question.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::address::Address;
use crate::jsonrpc::{Client, RpcError};
use crate::ofproto_trace::Trace;

/// The control socket of one `ovs-vswitchd`.
///
/// Its path has the process's number in it unless `--unixctl` says otherwise, so a switch that was restarted may listen
/// elsewhere. All questions of one client wait for each other: whoever waits with
/// [`revalidator_wait`](Self::revalidator_wait) and traces meanwhile takes two.
#[derive(Debug)]
pub struct Unixctl {
    client: Client,
}

impl Unixctl {
    /// A client of the socket at an address, with `patience` for each call. Nothing is opened yet.
    pub fn new(address: Address, patience: Duration) -> Self {
        Self {
            client: Client::new(address, patience),
        }
    }

    /// Where the switch listens.
    pub fn address(&self) -> &Address {
        self.client.address()
    }

    /// Calls any method, as `ovs-appctl METHOD PARAMS…` does, and returns its text.
    ///
    /// A switch that restarted during the call may see it twice; see [`Client`].
    ///
    /// # Errors
    ///
    /// [`UnixctlError`].
    pub async fn call(&self, method: &str, params: &[&str]) -> Result<String, UnixctlError> {
        match self.client.call(method, &json!(params)).await? {
            Value::String(text) => Ok(text),
            _ => Err(UnixctlError::NoText {
                method: method.to_owned(),
            }),
        }
    }

    /// What runs there: `ovs-vswitchd (Open vSwitch) 3.1.0`.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`].
    pub async fn version(&self) -> Result<String, UnixctlError> {
        Ok(self.call("version", &[]).await?.trim_end().to_owned())
    }

    /// Waits until every cached flow was checked against the flow tables as they are now: about half a second, so
    /// have patience for more.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`]; also a refusal from a switch whose bridges have more than one type of datapath, or none. Half
    /// a second does there instead.
    pub async fn revalidator_wait(&self) -> Result<(), UnixctlError> {
        self.call("revalidator/wait", &[]).await.map(drop)
    }

    /// Empties the flow cache: sure and at once, but every connection through the switch pays for it.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`].
    pub async fn revalidator_purge(&self) -> Result<(), UnixctlError> {
        self.call("revalidator/purge", &[]).await.map(drop)
    }

    /// What the flow tables of a bridge would do with a packet, in the syntax of [`flow`](crate::ofproto_trace::flow).
    /// Nothing is sent and nothing is remembered.
    ///
    /// `conntrack` is what conntrack says each time that it is asked, such as `trk,new`; behind the last of them, the
    /// switch takes what a new connection gets. It doesn't look at its connections.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`]; a refusal if there is no such bridge or the flow can't be read.
    pub async fn trace(&self, bridge: &str, flow: &str, conntrack: &[&str]) -> Result<Trace, UnixctlError> {
        let mut params = vec![bridge, flow, "--names"];
        for state in conntrack {
            params.extend(["--ct-next", state]);
        }
        self.call("ofproto/trace", &params).await.map(|text| Trace::read(&text))
    }

    /// How often each thing happened since the switch started, up to about a second ago: its threads count by
    /// themselves and are added up once a second. What never happened isn't there.
    ///
    /// # Errors
    ///
    /// [`UnixctlError`].
    pub async fn coverage(&self) -> Result<Coverage, UnixctlError> {
        self.call("coverage/show", &[]).await.map(|text| Coverage::read(&text))
    }
}

/// What kept a question from its answer.
#[derive(Debug, thiserror::Error)]
pub enum UnixctlError {
    /// The switch can't be asked, or refused.
    #[error(transparent)]
    Call(#[from] RpcError),
    /// The switch answered with something else than text.
    #[error("{method} returned no text")]
    NoText {
        /// What it was asked.
        method: String,
    },
}

impl UnixctlError {
    /// The switch's own words if it understood the question and refused.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Call(RpcError::Refused { error, .. }) => error.as_str().map(str::trim_end),
            _ => None,
        }
    }
}

/// Totals of `coverage/show`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// How often it happened: `rconn_overflow` counts what a switch threw away because a controller didn't read.
    pub fn total(&self, counter: &str) -> u64 {
        self.0.get(counter).copied().unwrap_or_default()
    }

    /// Everything that happened, by name.
    pub fn totals(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(counter, total)| (counter.as_str(), *total))
    }

    /// Lines without a total, such as the heading, are passed over.
    fn read(text: &str) -> Self {
        Self(text.lines().filter_map(total_of_line).collect())
    }
}

/// `rconn_sent     0.0/sec     2.083/sec        0.0347/sec   total: 125`.
fn total_of_line(line: &str) -> Option<(String, u64)> {
    let (rates, total) = line.rsplit_once("total:")?;
    let counter = rates.split_whitespace().next()?;
    Some((counter.to_owned(), total.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_by_name() {
        let coverage = Coverage::read(
            "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=31a951c7:\n\
             rconn_overflow             0.0/sec     1.300/sec        0.0217/sec   total: 78\n\
             seq_change               1036.2/sec   230.583/sec        3.8431/sec   total: 18446744073709551615\n\
             too_much                   0.0/sec     0.000/sec        0.0000/sec   total: 18446744073709551616\n\
             total: 7\n\
             111 events never hit\n",
        );
        assert_eq!(coverage.total("rconn_overflow"), 78);
        assert_eq!(coverage.total("seq_change"), u64::MAX);
        assert_eq!(coverage.total("rconn_sent"), 0);
        assert_eq!(coverage.totals().count(), 2);
    }
}
