//! Antrea's pipeline: its tables by their names, its registers as its `fields.go` has them.

use traceflow_openflow::field::{Field, Subfield};

use super::description::bits;
use super::{
    Description, DetourDescription, ExitDescription, Pipeline, PipelineError, StageDescription, Switch, TableName,
};
use crate::layout::{Carrier, Condition, End, ExitKind, Layout, Registers, Role, Zones};

/// Antrea's own pipeline, v1.15 and later. Where nodes route what is for other nodes' Pods (noEncap, hybrid), marks travel in the
/// DSCP. Tables are found by name, so their numbers don't matter, nor
/// which optional features are on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Antrea {
    /// How marks travel; Antrea leaves the tunnel's id at 0.
    pub carrier: Carrier,
}

impl Pipeline for Antrea {
    fn layout(&self, switch: &Switch) -> Result<Layout, PipelineError> {
        self.description().layout(switch)
    }

    fn carrier(&self) -> Carrier {
        self.carrier
    }

    fn is_stateful(&self) -> bool {
        true
    }
}

/// The tables that are watched, in the order of the pipeline. Those between them never end a packet's way.
const STAGES: &[(&str, Role, End, bool)] = &[
    ("PipelineRootClassifier", Role::Classification, End::Dropped, REQUIRED),
    ("Classifier", Role::Classification, End::Dropped, REQUIRED),
    ("SpoofGuard", Role::SpoofGuard, End::Dropped, REQUIRED),
    ("IPv6", Role::Other, End::GoesOn, OPTIONAL),
    ("PipelineIPClassifier", Role::Other, End::GoesOn, OPTIONAL),
    ("UnSNAT", Role::Other, End::GoesOn, OPTIONAL),
    ("ConntrackZone", Role::Other, End::GoesOn, REQUIRED),
    ("ConntrackState", Role::Conntrack, End::Dropped, REQUIRED),
    ("ServiceLB", Role::LoadBalancer, End::Dropped, OPTIONAL),
    ("DSRServiceMark", Role::Conntrack, End::Dropped, OPTIONAL),
    ("EndpointDNAT", Role::LoadBalancer, End::GoesOn, OPTIONAL),
    ("AntreaPolicyEgressRule", Role::EgressRule, End::GoesOn, OPTIONAL),
    ("EgressRule", Role::EgressRule, End::GoesOn, REQUIRED),
    ("EgressDefaultRule", Role::EgressDefault, End::Dropped, REQUIRED),
    ("EgressMetric", Role::EgressMetric, End::Dropped, REQUIRED),
    ("L3Forwarding", Role::Routing, End::Dropped, REQUIRED),
    ("EgressMark", Role::Egress, End::Dropped, OPTIONAL),
    ("L3DecTTL", Role::TtlDecrement, End::Dropped, REQUIRED),
    ("SNATMark", Role::Other, End::GoesOn, OPTIONAL),
    ("SNAT", Role::Other, End::GoesOn, OPTIONAL),
    ("L2ForwardingCalc", Role::Switching, End::Dropped, REQUIRED),
    ("AntreaPolicyIngressRule", Role::IngressRule, End::GoesOn, OPTIONAL),
    ("IngressRule", Role::IngressRule, End::GoesOn, REQUIRED),
    ("IngressDefaultRule", Role::IngressDefault, End::Dropped, REQUIRED),
    ("IngressMetric", Role::IngressMetric, End::Dropped, REQUIRED),
    ("ConntrackCommit", Role::Other, End::GoesOn, REQUIRED),
    ("Output", Role::Output, End::Dropped, REQUIRED),
];

const REQUIRED: bool = false;
/// Tables that belong to features which can be switched off.
const OPTIONAL: bool = true;

/// `OutputRegField`: 1 by a port, 2 to the agent.
const OUTPUT: (u8, u16, u16) = (0, 21, 22);
/// `APDenyRegMark`
const DENIED: (u8, u16, u16) = (0, 10, 10);
/// `APDispositionField`: 1 drop, 2 reject, 3 pass.
const DISPOSITION: (u8, u16, u16) = (0, 11, 12);
/// `RemoteSNATRegMark`
const REMOTE_SNAT: (u8, u16, u16) = (0, 19, 19);
/// `PacketInOperationField`, of which this bit means: reject.
const REJECTING: (u8, u16, u16) = (0, 26, 26);
/// `TrafficControlActionField`: 1 mirror, 2 redirect.
const TRAFFIC_CONTROL: (u8, u16, u16) = (4, 22, 23);
/// `SvcNoEpRegMark`
const NO_ENDPOINT: (u8, u16, u16) = (0, 14, 14);
/// `ServiceEPStateField`: 1 to be chosen, 2 chosen, 3 chosen and to be remembered.
const ENDPOINT_STATE: (u8, u16, u16) = (4, 16, 18);
const CHOSEN: u32 = 2;
const TO_BE_REMEMBERED: u32 = 3;
/// The bit that both of the latter have.
const ENDPOINT_SELECTED: (u8, u16, u16) = (4, 17, 17);

impl Antrea {
    /// The pipeline as data, to be changed where a cluster differs.
    pub fn description(&self) -> Description {
        let stage = |&(name, role, end, optional): &(&str, Role, End, bool)| StageDescription {
            table: TableName::Name(name.to_owned()),
            role,
            end,
            unless: match name {
                "ServiceLB" => vec![condition(ENDPOINT_SELECTED, 1)],
                "EgressDefaultRule" | "IngressDefaultRule" => vec![forked()],
                _ => Vec::new(),
            },
            optional,
        };
        Description {
            stages: STAGES.iter().map(stage).collect(),
            exits: exits(),
            detours: vec![without_affinity()],
            verdict_table: None,
            // Registers 9 and 12 to 15 are Antrea's, 10 and 11 nobody's.
            mark_register: 10,
            guard_register: 11,
            carrier: self.carrier,
            zones: Zones {
                v4: vec![65520, 65521],
                v6: vec![65510, 65511],
            },
            registers: registers(),
        }
    }
}

fn exits() -> Vec<ExitDescription> {
    let exit = |table: &str, when: &[Condition], kind| ExitDescription {
        table: TableName::Name(table.to_owned()),
        when: when.to_vec(),
        kind,
        by: None,
        load: vec![condition(TRAFFIC_CONTROL, 0)],
    };
    let diversion = |by: &str, when| ExitDescription {
        by: Some(by.to_owned()),
        ..exit("Output", &[by_port(), when], ExitKind::Diversion)
    };
    let to_agent = condition(OUTPUT, 2);
    let by_default = [to_agent, condition(DISPOSITION, 1), condition(DENIED, 0)];
    vec![
        diversion("L7NetworkPolicy", layer_7_redirect()),
        diversion("TrafficControl", condition(TRAFFIC_CONTROL, 2)),
        exit("Output", &[by_port()], ExitKind::Tunnel),
        exit("Output", &[by_port()], ExitKind::Port),
        exit("Output", &by_default, ExitKind::Denial),
        exit("Output", &[to_agent], ExitKind::Copy),
        exit("EndpointDNAT", &[condition(NO_ENDPOINT, 1)], ExitKind::Refusal),
    ]
}

/// A rule of the Baseline tier that allows a packet commits its connection and goes on behind that, as a fork of the packet;
/// what is left of the pass knows no connection any more (`+trk` of ct_state(7)), which every packet here has known.
fn forked() -> Condition {
    Condition {
        bits: Subfield::new(Field::NXM_NX_CT_STATE, 5, 1),
        value: 0,
    }
}

fn by_port() -> Condition {
    condition(OUTPUT, 1)
}

/// `L7NPRedirectCTMark`
fn layer_7_redirect() -> Condition {
    Condition {
        bits: Subfield::new(Field::NXM_NX_CT_MARK, 7, 1),
        value: 1,
    }
}

/// The CNI's flow would learn which endpoint the client stays with; a probe must not pin real clients.
fn without_affinity() -> DetourDescription {
    DetourDescription {
        table: TableName::Name("ServiceLB".to_owned()),
        when: vec![condition(ENDPOINT_STATE, TO_BE_REMEMBERED)],
        load: vec![condition(ENDPOINT_STATE, CHOSEN)],
        then: TableName::Name("EndpointDNAT".to_owned()),
    }
}

fn registers() -> Registers {
    Registers {
        output_port: Some(Subfield::all(Field::register(1))),
        egress_rule: Some(Subfield::all(Field::register(5))),
        ingress_rule: Some(Subfield::all(Field::register(6))),
        denying_rule: Some(Subfield::all(Field::register(3))),
        refusing: Some(condition(REJECTING, 1)),
        // The rest of the mark belongs to others.
        snat_mark: Some(Subfield::new(Field::NXM_NX_PKT_MARK, 0, 8)),
        remote_snat: Some(condition(REMOTE_SNAT, 1)),
        endpoint_v4: Some(Subfield::all(Field::register(3))),
        endpoint_v6: Some(Field::wide_register(3)),
        endpoint_chosen: Some(condition(ENDPOINT_STATE, CHOSEN)),
    }
}

fn condition((register, first, last): (u8, u16, u16), value: u32) -> Condition {
    Condition {
        bits: bits(register, first, last),
        value,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Antrea's tables under consecutive numbers, tunnel at port 1, gateway at port 2.
    pub(crate) fn demo_layout() -> Layout {
        let tables = (0..).zip(STAGES.iter().map(|(name, ..)| (*name).to_owned())).collect();
        let switch = Switch {
            tables,
            free_tables: vec![253],
            tunnels: vec![1],
            gateway: Some(2),
            routed: Vec::new(),
        };
        Antrea::default().layout(&switch).unwrap()
    }

    #[test]
    fn a_switch_without_optional_features_is_still_antreas() {
        let names = STAGES.iter().filter(|(.., optional)| !optional);
        let switch = Switch {
            tables: (0..).zip(names.map(|(name, ..)| (*name).to_owned())).collect(),
            free_tables: vec![40],
            tunnels: vec![1],
            gateway: None,
            routed: Vec::new(),
        };
        let layout = Antrea::default().layout(&switch).unwrap();
        assert_eq!(layout.detours, []);
        assert!(
            layout.exits.iter().all(|exit| exit.kind != ExitKind::Refusal),
            "no Service, no refusal of one"
        );
    }
}
