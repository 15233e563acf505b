//! What one point of the network did with the packet.
//!
//! The words are Antrea's (`status.results[].observations[]` of its Traceflow resource), so that tools which read those
//! read these. Ours are two: the component [`Conntrack`](Component::Conntrack), and [`DropReason`] beside every drop. A
//! backend that knows other points adds its own words through the `Other` variants; nothing is lost on the way to the
//! result.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::names::{NodeName, ObjectName};
use crate::packet::MacAddress;

/// A closed list of words, open at the end: the words are written once, and reading, printing and listing come from it.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word that a backend brought, kept as it was.
            Other(Arc<str>),
        }

        impl $name {
            /// The word as it stands in a Traceflow's status.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The part of the pipeline that observed the packet (Antrea's `component`).
    Component {
        /// Checks that the packet's source address belongs to the port that it came in by.
        SpoofGuard = "SpoofGuard",
        /// Knows packets by their connection, and drops what belongs to none. A word of ours: Antrea, which drops there
        /// too, doesn't report it.
        Conntrack = "Conntrack",
        /// Chooses a Service's endpoint and translates the destination.
        Lb = "LB",
        /// Finds the next hop and decrements the TTL.
        Routing = "Routing",
        /// Applies network policies.
        NetworkPolicy = "NetworkPolicy",
        /// Classifies arriving packets and puts them out.
        Forwarding = "Forwarding",
        /// Sends packets out of the cluster under an Egress address.
        Egress = "Egress",
    }
}

words! {
    /// The place within the component (Antrea's `componentInfo`).
    ComponentInfo {
        /// The packet came in, by a port or a tunnel.
        Classification = "Classification",
        /// A rule of a policy in the source's egress direction.
        EgressRule = "EgressRule",
        /// The default drop of a source that egress policies isolate.
        EgressDefaultRule = "EgressDefaultRule",
        /// A drop or reject rule in the source's egress direction.
        EgressMetric = "EgressMetric",
        /// A rule of a policy in the destination's ingress direction.
        IngressRule = "IngressRule",
        /// The default drop of a destination that ingress policies isolate.
        IngressDefaultRule = "IngressDefaultRule",
        /// A drop or reject rule in the destination's ingress direction.
        IngressMetric = "IngressMetric",
        /// The packet leaves the pipeline by a port.
        Output = "Output",
    }
}

words! {
    /// What was done with the packet (Antrea's `action`).
    Action {
        /// Handed to its destination.
        Delivered = "Delivered",
        /// Came in from another node.
        Received = "Received",
        /// Passed on, within the node or to another.
        Forwarded = "Forwarded",
        /// Discarded without an answer to the sender.
        Dropped = "Dropped",
        /// Discarded with a TCP reset or an ICMP error to the sender.
        Rejected = "Rejected",
        /// Left the network that is observed.
        ForwardedOutOfNetwork = "ForwardedOutOfNetwork",
        /// Marked to leave under an Egress address.
        MarkedForSnat = "MarkedForSNAT",
        /// Sent to the node that holds the Egress address.
        ForwardedToEgressNode = "ForwardedToEgressNode",
    }
}

impl Action {
    /// Reads a word of a Traceflow's status; `ForwardedOutOfOverlay`, the older word, is today's
    /// `ForwardedOutOfNetwork`.
    pub fn from_status(word: &str) -> Self {
        match word {
            "ForwardedOutOfOverlay" => Self::ForwardedOutOfNetwork,
            word => Self::from(word),
        }
    }

    /// Whether the packet's path ends with this action, as far as the observed network goes.
    pub fn ends_path(&self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Dropped | Self::Rejected | Self::ForwardedOutOfNetwork
        )
    }
}

words! {
    /// The kind of policy in a [`PolicyRef`], as Antrea prints it.
    PolicyKind {
        /// `networking.k8s.io/v1` NetworkPolicy.
        K8sNetworkPolicy = "K8sNetworkPolicy",
        /// Antrea's cluster-wide policy.
        AntreaClusterNetworkPolicy = "AntreaClusterNetworkPolicy",
        /// Antrea's namespaced policy.
        AntreaNetworkPolicy = "AntreaNetworkPolicy",
    }
}

/// A policy, printed as Antrea does: `K8sNetworkPolicy:default/allow-web`, or `AntreaClusterNetworkPolicy:strict`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyRef {
    /// What kind of policy it is.
    pub kind: PolicyKind,
    /// Its namespace; `None` for a cluster-wide policy.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
}

impl PolicyRef {
    /// A Kubernetes NetworkPolicy.
    pub fn kubernetes(name: ObjectName) -> Self {
        Self {
            kind: PolicyKind::K8sNetworkPolicy,
            namespace: Some(name.namespace),
            name: name.name,
        }
    }

    /// A NetworkPolicy of Antrea's own (`crd.antrea.io`).
    pub fn antrea(name: ObjectName) -> Self {
        Self {
            kind: PolicyKind::AntreaNetworkPolicy,
            ..Self::kubernetes(name)
        }
    }

    /// A ClusterNetworkPolicy of Antrea's (`crd.antrea.io`).
    ///
    /// ```
    /// use traceflow_core::observation::PolicyRef;
    ///
    /// assert_eq!(PolicyRef::antrea_cluster("strict").to_string(), "AntreaClusterNetworkPolicy:strict");
    /// ```
    pub fn antrea_cluster(name: impl Into<Arc<str>>) -> Self {
        Self {
            kind: PolicyKind::AntreaClusterNetworkPolicy,
            namespace: None,
            name: name.into(),
        }
    }
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}:{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}:{}", self.kind, self.name),
        }
    }
}

/// Why a packet was dropped or rejected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// A rule of the policy says so.
    PolicyRule {
        /// The policy that the rule belongs to.
        policy: PolicyRef,
        /// The rule's name, where rules have names and it is known.
        rule: Option<Arc<str>>,
    },
    /// Policies isolate the Pod in this direction and none of their rules allows the packet.
    DefaultIsolation {
        /// The policies that isolate it, in the order of their names; empty if nobody knows which.
        policies: Arc<[PolicyRef]>,
    },
    /// The source address does not belong to the port that the packet came in by.
    SpoofedSource,
    /// The TTL or hop limit would have reached zero.
    TtlExpired,
    /// No route to the destination address.
    NoRoute,
    /// The address lies in the cluster's own range, yet nobody has it.
    UnknownDestination,
    /// The Service has no ready endpoint for this port.
    NoEndpoints {
        /// The Service.
        service: ObjectName,
    },
    /// The Service has ready endpoints for this port, but none on this node, and uses no others (`internalTrafficPolicy` or
    /// `externalTrafficPolicy: Local`).
    NoLocalEndpoints {
        /// The Service.
        service: ObjectName,
    },
    /// The Service does not listen on this port and protocol.
    NoServicePort {
        /// The Service.
        service: ObjectName,
    },
    /// No node has the address of the Egress that applies to the sender.
    NoEgressNode {
        /// The name of the Egress.
        egress: Arc<str>,
    },
    /// Connection tracking calls the packet invalid.
    InvalidConnectionState,
    /// The port that the packet leaves by is that of a Pod which doesn't have the destination address.
    WrongReceiver {
        /// The Pod behind the port.
        pod: ObjectName,
    },
    /// The port that the packet would leave by is down.
    PortDown,
    /// The packet is longer than what the way takes, and may not be cut.
    MtuExceeded {
        /// The longest that is taken, in bytes of the IP packet.
        mtu: u16,
    },
    /// A reason that a backend brought, as a phrase without full stop.
    Other(Arc<str>),
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyRule { policy, rule: None } => write!(f, "a rule of {policy} denies it"),
            Self::PolicyRule {
                policy,
                rule: Some(rule),
            } => write!(f, "rule {rule} of {policy} denies it"),
            Self::DefaultIsolation { policies } if policies.is_empty() => {
                f.write_str("no rule allows it, and policies isolate the Pod")
            }
            Self::DefaultIsolation { policies } => {
                f.write_str("no rule allows it, and the Pod is isolated by ")?;
                for (i, policy) in policies.iter().enumerate() {
                    write!(f, "{}{policy}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::SpoofedSource => f.write_str("the source address does not belong to the sending Pod"),
            Self::TtlExpired => f.write_str("the TTL expired"),
            Self::NoRoute => f.write_str("there is no route to the destination"),
            Self::UnknownDestination => f.write_str("no Pod, Service or node has the destination address"),
            Self::NoEndpoints { service } => write!(f, "Service {service} has no ready endpoint"),
            Self::NoLocalEndpoints { service } => {
                write!(
                    f,
                    "Service {service} has no ready endpoint on this node, and may use no other"
                )
            }
            Self::NoServicePort { service } => write!(f, "Service {service} does not offer this port and protocol"),
            Self::NoEgressNode { egress } => write!(f, "no node has the address of Egress {egress}"),
            Self::InvalidConnectionState => f.write_str("connection tracking calls the packet invalid"),
            Self::WrongReceiver { pod } => write!(f, "it is put out to {pod}, which doesn't have its address"),
            Self::PortDown => f.write_str("the output port is down"),
            Self::MtuExceeded { mtu } => write!(f, "the packet is longer than the {mtu} bytes that the way takes"),
            Self::Other(phrase) => f.write_str(phrase),
        }
    }
}

/// One observation: a component, what it did, and what it knew. Unknown details are `None`. Each field names the one of
/// Antrea's `observations[]` that it is printed as.
///
/// ```
/// use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};
///
/// let seen = Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output);
/// assert_eq!(seen.action.as_str(), "Delivered");
/// assert!(seen.action.ends_path());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The part of the pipeline (`component`).
    pub component: Component,
    /// The place within it (`componentInfo`).
    pub component_info: Option<ComponentInfo>,
    /// What was done (`action`).
    pub action: Action,
    /// The Pod concerned: a Service's chosen endpoint (`pod`).
    pub pod: Option<ObjectName>,
    /// The destination MAC address at this point (`dstMAC`).
    pub dst_mac: Option<MacAddress>,
    /// The policy that decided (`networkPolicy`).
    pub network_policy: Option<PolicyRef>,
    /// The policy's rule, where rules have names (`networkPolicyRule`).
    pub network_policy_rule: Option<Arc<str>>,
    /// The name of the Egress resource (`egress`).
    pub egress: Option<Arc<str>>,
    /// TTL or hop limit at this point (`ttl`).
    pub ttl: Option<u8>,
    /// The source address after translation (`translatedSrcIP`).
    pub translated_src_ip: Option<IpAddr>,
    /// The destination address after translation (`translatedDstIP`).
    pub translated_dst_ip: Option<IpAddr>,
    /// The other end of the tunnel that the packet was put into (`tunnelDstIP`).
    pub tunnel_dst_ip: Option<IpAddr>,
    /// The Egress address (`egressIP`).
    pub egress_ip: Option<IpAddr>,
    /// The node that holds the Egress address (`egressNode`).
    pub egress_node: Option<NodeName>,
    /// The sending Pod's address, before any translation (`srcPodIP`).
    pub src_pod_ip: Option<IpAddr>,
    /// Why the packet was dropped or rejected (`reason`, a field of ours).
    pub reason: Option<DropReason>,
    /// What else the backend has to say of it, as a phrase without full stop (`remark`, a field of ours). It is about how
    /// the packet was observed, not about what was done with it.
    pub remark: Option<Arc<str>>,
}

impl Observation {
    /// An observation without details.
    pub fn new(component: Component, action: Action) -> Self {
        Self {
            component,
            component_info: None,
            action,
            pod: None,
            dst_mac: None,
            network_policy: None,
            network_policy_rule: None,
            egress: None,
            ttl: None,
            translated_src_ip: None,
            translated_dst_ip: None,
            tunnel_dst_ip: None,
            egress_ip: None,
            egress_node: None,
            src_pod_ip: None,
            reason: None,
            remark: None,
        }
    }

    /// The same, at a place within the component.
    #[must_use]
    pub fn at(mut self, info: ComponentInfo) -> Self {
        self.component_info = Some(info);
        self
    }

    /// The same, decided by a policy.
    #[must_use]
    pub fn by(mut self, policy: PolicyRef) -> Self {
        self.network_policy = Some(policy);
        self
    }

    /// The same, by this rule of the policy, where it has a name.
    #[must_use]
    pub fn by_rule(mut self, rule: Option<Arc<str>>) -> Self {
        self.network_policy_rule = rule;
        self
    }

    /// The same, with this remark.
    #[must_use]
    pub fn remarking(mut self, remark: impl Into<Arc<str>>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// The same, for this reason.
    #[must_use]
    pub fn because(mut self, reason: DropReason) -> Self {
        self.reason = Some(reason);
        self
    }
}
