//! A datapath that does what a test says, made by [`mockall`].
//!
//! It is for the unit tests of who embeds this library: each method is told what to expect and what to answer. A whole
//! network that behaves is the simulator's business.
//!
//! ```
//! use std::net::IpAddr;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use futures_util::{StreamExt, stream};
//! use traceflow_core::Error;
//! use traceflow_core::datapath::{Capabilities, DatapathError, Removed};
//! use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry};
//! use traceflow_core::mock::MockDatapath;
//! use traceflow_core::names::{NodeName, ObjectName};
//! use traceflow_core::packet::{MacAddress, Packet, TcpFlags};
//! use traceflow_core::plan::{Plan, Question};
//! use traceflow_core::tracer::Tracer;
//!
//! # /// Nobody has a name here.
//! # struct Nobody;
//! # impl Inventory for Nobody {
//! #     fn pod(&self, _: &ObjectName) -> Option<PodEntry> { None }
//! #     fn service(&self, _: &ObjectName) -> Option<ServiceEntry> { None }
//! #     fn owner(&self, _: IpAddr) -> Option<Owner> { None }
//! #     fn node(&self, _: &NodeName) -> Option<NodeEntry> { None }
//! #     fn nodes(&self) -> Vec<NodeName> { Vec::new() }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut switch = MockDatapath::new();
//! let able = Capabilities { inject: true, ipv4: true, marks: 1, nonce: true, standing_watch: true, ..Default::default() };
//! switch.expect_node().return_const(NodeName::from("n1"));
//! switch.expect_capabilities().return_const(able);
//! switch.expect_reports().returning(|| stream::pending().boxed());
//! switch.expect_attach().times(1).returning(|| Ok(()));
//! switch.expect_inject().times(1).returning(|_, _| Err(DatapathError::Refused("no such port".into())));
//! switch.expect_remove().times(1).returning(|_| Ok(Removed::default()));
//! switch.expect_detach().times(1).returning(|| Ok(()));
//!
//! let tracer = Tracer::builder(Arc::new(Nobody)).datapath(Arc::new(switch)).start();
//! # let packet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]))
//! #     .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
//! #     .tcp(40_000, 80, TcpFlags::SYN)?;
//! # let question = Question::Inject { pod: ObjectName::new("default", "a"), node: "n1".into(), packet };
//! # let plan = Plan {
//! #     source: None,
//! #     destination: None,
//! #     question,
//! #     timeout: Duration::from_secs(20),
//! #     choices: Vec::new(),
//! # };
//! let answer = tracer.trace(plan).await;
//! assert!(matches!(answer, Err(Error::Unavailable { .. })));
//! tracer.close().await?;
//! # Ok(())
//! # }
//! ```

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use crate::datapath::{Capabilities, Datapath, DatapathError, Probe, Removed, Report};
use crate::names::NodeName;
use crate::packet::Packet;

mockall::mock! {
    /// A [`Datapath`] whose every method is told what to expect, by `expect_attach()` and the like, and panics when it
    /// is called otherwise.
    #[derive(Debug)]
    pub Datapath {}

    #[async_trait]
    impl Datapath for Datapath {
        fn node(&self) -> &NodeName;
        fn capabilities(&self) -> &Capabilities;
        async fn attach(&self) -> Result<(), DatapathError>;
        async fn install(&self, probe: &Probe) -> Result<(), DatapathError>;
        async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError>;
        async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError>;
        async fn detach(&self) -> Result<(), DatapathError>;
        fn reports(&self) -> BoxStream<'static, Report>;
        async fn leftovers(&self) -> Result<Vec<String>, DatapathError>;
    }
}
