//! Network policies: the objects, and what they decide about one packet.
//!
//! Antrea's own policies are in [`antrea`], and are asked first. A NetworkPolicy (`networking.k8s.io/v1`) isolates the Pods that its `podSelector` selects, per direction. What an isolated Pod may still exchange is
//! the union of the rules of all policies that select it. As the API's text has it:
//!
//! - A Pod takes everything from its own node, and can't block access to itself ([`Exempt`]). In egress its node is a
//!   peer like any other, and so is the Pod itself where a Service leads it back ([`Peer::ItselfByService`]).
//! - A named port is "on a pod": it is looked up at the destination, in ingress the Pod that is isolated, in egress the
//!   Pod that has the destination address, whichever peer of the rule lets it in. Where that is no Pod, the name
//!   matches nothing.
//! - Without `policyTypes` a policy isolates ingress, and egress if it has an egress rule.
//! - What the API server refuses is refused with its place ([`NetworkPolicy::read`]), unknown fields too.
//!
//! What the API leaves to the implementation is decided as Antrea decides it:
//!
//! - An `ipBlock` matches every address in it, Pods' addresses too.
//! - Selectors, of subjects and of peers, select neither Pods on the host's network (their addresses are the node's, so
//!   only an `ipBlock` matches them) nor Pods that have finished (`Succeeded`, `Failed`: their addresses may already
//!   be another Pod's).
//! - A rule with ports matches no protocol without ports, such as ICMP; a rule without ports matches every protocol.
//!
//! Connection tracking is not here: replies of an allowed connection are the caller's business.

pub mod antrea;
mod decide;
mod format;
mod index;
mod indexed_pod;
mod ip_block;
mod network_policy;
mod port;
mod selection;
mod selector;
mod selector_text;

pub use decide::{Access, Decision, Denial, Direction, Exempt, Peer};
pub use index::{PodId, PolicyIndex};
pub use ip_block::{IpBlock, NotInside};
pub use network_policy::{NetworkPolicy, PolicyPeer, Rule};
pub use port::{PolicyPort, PortSet};
pub use selector::{LabelSelector, Operator, Requirement};
