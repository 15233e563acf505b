//! The tables of Antrea's pipeline in encap mode, in the order in which a packet passes them.

use std::fmt;

macro_rules! tables {
    ($($name:ident),* $(,)?) => {
        /// A table of the pipeline; printed as its number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(clippy::upper_case_acronyms, reason = "the names are Antrea's")]
        pub(super) enum Table {
            $($name),*
        }

        /// The name and number of each table, by which a switch can be told to call them.
        pub const TABLES: &[(&str, u8)] = &[$((stringify!($name), Table::$name as u8)),*];
    };
}

tables! {
    PipelineRootClassifier,
    ARPSpoofGuard,
    ARPResponder,
    Classifier,
    SpoofGuard,
    IPv6,
    UnSNAT,
    ConntrackZone,
    ConntrackState,
    PreRoutingClassifier,
    NodePortMark,
    SessionAffinity,
    ServiceLB,
    EndpointDNAT,
    AntreaPolicyEgressRule,
    EgressRule,
    EgressDefaultRule,
    EgressMetric,
    L3Forwarding,
    EgressMark,
    L3DecTTL,
    SNATMark,
    SNAT,
    L2ForwardingCalc,
    TrafficControl,
    IngressSecurityClassifier,
    AntreaPolicyIngressRule,
    IngressRule,
    IngressDefaultRule,
    IngressMetric,
    ConntrackCommit,
    Output,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u8)
    }
}
