//! Expectations about who reaches whom, held against a network: a test that a pipeline can run.
//!
//! ```yaml
//! expectations:
//! - name: only the front end reaches the orders
//!   from: shop/app=frontend        # a selector, or a list of them
//!   to: data/app=orders
//!   ports: tcp/5432                # or a list
//!   expect: delivered              # delivered, denied, dropped or rejected
//!   others: denied                 # every other Pod of the cluster; not asked about where it isn't given
//! - from: shop/*
//!   to: data/*
//!   ports: udp/53
//!   expect: dropped
//!   by: {policy: "AntreaClusterNetworkPolicy:separate-teams", rule: other-teams}
//! ```
//!
//! `denied` is dropped or rejected, by a policy: a Service without endpoints denies nobody. `by` names the policy behind
//! every denial of its expectation, and Antrea's rule; a Kubernetes policy denies by isolating a Pod. An expectation about
//! nobody proves nothing and is a mistake, unless `mayBeEmpty: true` says otherwise.
//!
//! [`Checks::read`] reads such a file, [`Checks::resolve`] looks up whom it is about, the [`Questions`] are asked, and a
//! [`Report`] says what is met. [`Coverage`] says which rules of the cluster's policies decided about at least one of the
//! packets.
//!
//! ```
//! use traceflow_core::input::Text;
//! use traceflow_reach::check::{Checks, Coverage};
//! use traceflow_sim::Cluster;
//!
//! let closed = "apiVersion: networking.k8s.io/v1
//! kind: NetworkPolicy
//! metadata: {name: closed}
//! spec: {podSelector: {matchLabels: {app: db}}}";
//! let cluster = Cluster::builder().node("a").pod("web", "a").pod("db", "a").label("app", "db").yaml(closed).build()?;
//! let checks = Checks::read(&Text::new("checks.yaml", "
//! expectations:
//! - {name: the database is closed, from: '*', to: app=db, ports: tcp/5432, expect: dropped}
//! "))?;
//! let cluster = std::sync::Arc::new(cluster);
//! let report = checks.resolve(&cluster)?.predict(&*cluster, |_| ());
//! assert!(report.is_met());
//! let coverage = Coverage::of(&report);
//! assert_eq!(coverage.isolations_exercised(), 1);
//! # Ok::<(), traceflow_core::input::BadInput>(())
//! ```

mod coverage;
mod json;
mod junit;
mod questions;
mod read;
mod report;
mod table;

pub use self::coverage::{Coverage, Isolation, Rule};
pub use self::json::json;
pub use self::junit::junit;
pub use self::questions::Questions;
pub use self::read::{Checks, Expected};
pub use self::report::{Judgement, Offence, Report, Status};
pub use self::table::table;
