//! What is asked: Traceflow manifests, command lines and the `-f` flow syntax, read into types that can only be valid.
//!
//! [`TraceSpec`] is the question. [`Manifest::read`] gets it from a file, [`CommandLine::spec`] from arguments,
//! [`TraceSpec::builder`] from a program; all three check the same rules. A mistake is a
//! [`BadInput`](crate::input::BadInput) that says where it is and what would be right.
//!
//! ```
//! use traceflow_core::input::Text;
//! use traceflow_core::spec::Manifest;
//!
//! let file = Text::new("tf.yaml", "
//! apiVersion: crd.antrea.io/v1beta1
//! kind: Traceflow
//! metadata: {name: who-drops-my-ping}
//! spec:
//!   source: {namespace: default, pod: pod1}
//!   destination: {namespace: default, pod: pod2}
//!   packet: {ipHeader: {protocol: 1}}
//!   timeout: 301
//! ");
//! let mistake = Manifest::read(&file).unwrap_err();
//! assert_eq!(mistake.to_string(), "tf.yaml:9:3: spec.timeout: 301 is out of range; use 1 to 300");
//! ```

mod command_line;
mod flow;
mod manifest;
mod packet;
mod print;
mod trace;

pub use command_line::{CommandLine, parse_timeout};
pub use manifest::{ApiVersion, Manifest};
pub use packet::{IcmpSpec, PacketSpec, TransportSpec};
pub use trace::{Ask, DEFAULT_TIMEOUT, Destination, MAX_TIMEOUT, MIN_TIMEOUT, Source, TraceSpec, TraceSpecBuilder};
