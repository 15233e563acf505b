//! `status` of a Traceflow: Antrea's fields word for word, and ours beside them.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;

use super::captured::Captured;
use super::receipt::ReceiptStatus;
use super::verdict::VerdictStatus;
use super::wording;
use crate::error::Error;
use crate::observation::Observation;
use crate::trace::{Finding, Hop, Mode, Silence, Trace, Verdict};

/// `status` of a Traceflow.
///
/// The fields that Antrea has keep its names and meaning. `mode`, `verdict`, `unseen`, `finding`, `attempts`, `choices`,
/// `receipt` and `notes` are ours, as are `afterGap` of a result and `reason` of an observation. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether the question was answered; a dropped packet is an answer.
    pub phase: Phase,
    /// Why there is no answer, or what a live trace of dropped packets saw instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the trace began, RFC 3339 in UTC, to the second.
    pub start_time: String,
    /// The path, node by node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<NodeResult>,
    /// The packet that a live trace caught.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captured_packet: Option<Captured>,
    /// How the answer was found: `Predicted`, `Injected` or `Live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
    /// How the path ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictStatus>,
    /// What was predicted but not seen, in path order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<NodeResult>,
    /// The first point where the network did something else than the model of it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingStatus>,
    /// How many packets were injected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u8>,
    /// What was not asked for but chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceStatus>,
    /// What the trace changed, and that it is undone; absent where nothing was touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptStatus>,
    /// What else the reader must know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `status.phase`: the two that end a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Phase {
    /// The question was answered.
    Succeeded,
    /// There is no answer; `reason` says why.
    Failed,
}

/// One node's part of the path (`status.results[]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeResult {
    /// The node's name.
    pub node: String,
    /// When the packet was seen there, in seconds since 1970-01-01 UTC; absent for what was only predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// What was done there, in order.
    pub observations: Vec<ObservationStatus>,
    /// `true` if the packet was lost sight of between the result before and this one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub after_gap: bool,
}

/// One observation (`status.results[].observations[]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservationStatus {
    /// The part of the pipeline.
    pub component: String,
    /// The place within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_info: Option<String>,
    /// What was done.
    pub action: String,
    /// The Pod concerned, as `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The destination MAC address at this point.
    #[serde(rename = "dstMAC", skip_serializing_if = "Option::is_none")]
    pub dst_mac: Option<String>,
    /// The policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<String>,
    /// The policy's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy_rule: Option<String>,
    /// TTL or hop limit at this point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// The source address after translation.
    #[serde(rename = "translatedSrcIP", skip_serializing_if = "Option::is_none")]
    pub translated_src_ip: Option<IpAddr>,
    /// The destination address after translation.
    #[serde(rename = "translatedDstIP", skip_serializing_if = "Option::is_none")]
    pub translated_dst_ip: Option<IpAddr>,
    /// The other end of the tunnel.
    #[serde(rename = "tunnelDstIP", skip_serializing_if = "Option::is_none")]
    pub tunnel_dst_ip: Option<IpAddr>,
    /// The Egress address.
    #[serde(rename = "egressIP", skip_serializing_if = "Option::is_none")]
    pub egress_ip: Option<IpAddr>,
    /// The Egress resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<String>,
    /// The node that holds the Egress address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_node: Option<String>,
    /// The sending Pod's address.
    #[serde(rename = "srcPodIP", skip_serializing_if = "Option::is_none")]
    pub src_pod_ip: Option<IpAddr>,
    /// Why the packet was dropped or rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What else the backend has to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// Where the network and the model of it part (`status.finding`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingStatus {
    /// The node where they do.
    pub node: String,
    /// What it says to the reader.
    pub message: String,
    /// What the model has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<ObservationStatus>,
    /// What was seen instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservationStatus>,
    /// What the model leaves out and may be the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl From<&Finding> for FindingStatus {
    fn from(finding: &Finding) -> Self {
        Self {
            node: finding.node.to_string(),
            message: finding.to_string(),
            expected: finding.expected.as_ref().map(ObservationStatus::from),
            observed: finding.observed.as_ref().map(ObservationStatus::from),
            left_out: finding.left_out.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Something that was chosen because it was left open (`status.choices[]`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChoiceStatus {
    /// What was left open.
    pub what: &'static str,
    /// What was chosen.
    pub chosen: String,
}

impl Status {
    /// The status of a trace that began at `started` and ended with `answer`.
    pub fn new(started: SystemTime, answer: Result<&Trace, &Error>) -> Self {
        let status = Self::begun(started);
        match answer {
            Ok(trace) => status.with_trace(trace),
            Err(error) => status.with_error(error),
        }
    }

    fn begun(started: SystemTime) -> Self {
        Self {
            phase: Phase::Succeeded,
            reason: None,
            start_time: rfc3339(started),
            results: Vec::new(),
            captured_packet: None,
            mode: None,
            verdict: None,
            unseen: Vec::new(),
            finding: None,
            attempts: None,
            choices: Vec::new(),
            receipt: None,
            notes: Vec::new(),
        }
    }

    fn with_trace(self, trace: &Trace) -> Self {
        let (phase, reason) = match &trace.verdict {
            Verdict::Unanswered(silence) => (Phase::Failed, Some(silence_in_one_line(silence))),
            Verdict::NoneDropped { passed } => (Phase::Succeeded, Some(wording::none_dropped(*passed))),
            _ => (Phase::Succeeded, None),
        };
        let choice = |choice: &crate::plan::Choice| ChoiceStatus {
            what: choice.what,
            chosen: choice.chosen.clone(),
        };
        Self {
            phase,
            reason,
            results: trace.hops.iter().map(NodeResult::seen).collect(),
            captured_packet: trace.captured.as_ref().map(Captured::from),
            mode: Some(mode_word(trace.mode)),
            verdict: Some(VerdictStatus::new(&trace.verdict)),
            unseen: trace.unseen.iter().map(NodeResult::predicted).collect(),
            finding: trace.finding.as_deref().map(FindingStatus::from),
            attempts: (trace.mode == Mode::Injected).then_some(trace.attempts),
            choices: trace.plan.choices.iter().map(choice).collect(),
            receipt: ReceiptStatus::of(&trace.receipt),
            notes: trace.notes.clone(),
            ..self
        }
    }

    fn with_error(self, error: &Error) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason.push_str(": ");
            reason.push_str(&cause.to_string());
            source = cause.source();
        }
        Self {
            phase: Phase::Failed,
            reason: Some(reason),
            ..self
        }
    }
}

impl NodeResult {
    fn seen(hop: &Hop) -> Self {
        Self {
            timestamp: Some(unix_seconds(hop.timestamp)),
            after_gap: hop.after_gap,
            ..Self::predicted(hop)
        }
    }

    fn predicted(hop: &Hop) -> Self {
        Self {
            node: hop.node.to_string(),
            timestamp: None,
            observations: hop.observations.iter().map(ObservationStatus::from).collect(),
            after_gap: false,
        }
    }
}

impl From<&Observation> for ObservationStatus {
    fn from(seen: &Observation) -> Self {
        Self {
            component: seen.component.to_string(),
            component_info: text(&seen.component_info),
            action: seen.action.to_string(),
            pod: text(&seen.pod),
            dst_mac: text(&seen.dst_mac),
            network_policy: text(&seen.network_policy),
            network_policy_rule: text(&seen.network_policy_rule),
            ttl: seen.ttl,
            translated_src_ip: seen.translated_src_ip,
            translated_dst_ip: seen.translated_dst_ip,
            tunnel_dst_ip: seen.tunnel_dst_ip,
            egress_ip: seen.egress_ip,
            egress: text(&seen.egress),
            egress_node: text(&seen.egress_node),
            src_pod_ip: seen.src_pod_ip,
            reason: text(&seen.reason),
            remark: text(&seen.remark),
        }
    }
}

/// `status.reason` of an unanswered trace: what the operator needs, in one line.
fn silence_in_one_line(silence: &Silence) -> String {
    let causes: Vec<String> = silence.causes.iter().map(ToString::to_string).collect();
    let mut parts = vec![wording::last_seen(silence)];
    parts.extend(
        silence
            .expected_next
            .iter()
            .map(|node| format!("expected next: {node}")),
    );
    match causes.as_slice() {
        [] => {}
        [cause] => parts.push(format!("likely cause: {cause}")),
        causes => parts.push(format!("likely causes, the likeliest first: {}", causes.join(", or "))),
    }
    if !silence.not_watched.is_empty() {
        parts.push(format!("not watched: {}", wording::listed(&silence.not_watched)));
    }
    parts.join("; ")
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Predicted => "Predicted",
        Mode::Injected => "Injected",
        Mode::Live => "Live",
    }
}

/// What is known, as text.
pub(super) fn text<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

/// A moment as Kubernetes prints it (`metav1.Time`). What lies outside the years -9999 to 9999 is printed as their end.
fn rfc3339(time: SystemTime) -> String {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let moment = Timestamp::from_second(unix_seconds(time).clamp(first, last)).unwrap_or_default();
    format!("{moment:.0}")
}

fn unix_seconds(time: SystemTime) -> i64 {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::samples;
    use super::*;
    use crate::datapath::DatapathError;
    use crate::packet::{CapturedPacket, CapturedTransport, IcmpHeader, Protocol};

    #[test]
    fn a_finding_is_a_field_of_its_own() {
        let status = status_of(&samples::unlike_the_model());
        let finding = &status["finding"];
        assert_eq!(finding["node"], "k8s2-md-0-647454fc57-qpqbg");
        assert_eq!(finding["expected"]["action"], "Dropped");
        assert_eq!(finding["expected"]["networkPolicyRule"], "no-web");
        assert_eq!(finding["observed"]["action"], "Delivered");
        assert_eq!(finding["leftOut"].as_array().unwrap().len(), 1);
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains("should have dropped it"), "{message}");
        assert_eq!(status_of(&samples::pod1_to_pod3()).get("finding"), None);
    }

    #[test]
    fn silence_is_a_failure_with_a_reason_that_says_where_to_look() {
        let status = status_of(&samples::lost_between());
        assert_eq!(status["phase"], "Failed");
        assert_eq!(
            status["reason"],
            "the packet was last seen on k8s2-md-0-647454fc57-9sf7n (Forwarding Output: Forwarded, tunnel to \
             192.168.11.112); expected next: k8s2-md-0-647454fc57-qpqbg; likely causes, the likeliest first: the packet \
             or its mark was lost between k8s2-md-0-647454fc57-9sf7n and k8s2-md-0-647454fc57-qpqbg (tunnel, wire or a \
             firewall on it), or node k8s2-md-0-647454fc57-qpqbg lost 12 reports during the trace; not watched: \
             k8s2-md-0-647454fc57-zz8xk"
        );
        assert_eq!(status["verdict"]["outcome"], "Unanswered");
        assert_eq!(status["unseen"][0]["node"], "k8s2-md-0-647454fc57-qpqbg");
        assert_eq!(status["unseen"][0]["timestamp"], Value::Null, "nobody saw it");
    }

    #[test]
    fn no_drop_among_the_packets_that_passed_is_an_answer() {
        let status = status_of(&samples::none_dropped());
        assert_eq!(status["phase"], "Succeeded");
        assert_eq!(
            status["reason"],
            "3 matching packets came in, none was seen to be dropped"
        );
    }

    #[test]
    fn a_drop_is_an_answer_and_names_its_policies() {
        let status = status_of(&samples::pod1_to_pod2_icmp());
        assert_eq!(status["phase"], "Succeeded");
        assert_eq!(
            status["verdict"],
            json!({
                "outcome": "Dropped",
                "node": "k8s2-md-0-647454fc57-9sf7n",
                "reason": "no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1",
                "policies": ["K8sNetworkPolicy:default/allow-ingress-from-pod1"],
            })
        );
    }

    #[test]
    fn an_error_brings_its_causes_along() {
        let error = Error::Unavailable {
            node: "node-a".into(),
            source: DatapathError::Unavailable("connection refused".into()),
        };
        let status = Status::new(UNIX_EPOCH, Err(&error));
        assert_eq!(
            status.reason.as_deref(),
            Some("node node-a is unavailable: the datapath is unavailable: connection refused")
        );
    }

    #[test]
    fn times_are_printed_to_the_second_in_utc() {
        assert_eq!(
            rfc3339(UNIX_EPOCH + Duration::from_millis(1_618_292_681_999)),
            "2021-04-13T05:44:41Z"
        );
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1969-12-31T23:59:59Z");
        assert_eq!(
            rfc3339(UNIX_EPOCH + Duration::from_secs(1 << 60)),
            "9999-12-30T22:00:00Z"
        );
    }

    #[test]
    fn a_captured_packet_has_the_header_of_its_family_and_protocol() {
        let icmp = |icmp_type| {
            CapturedTransport::Icmp(IcmpHeader {
                icmp_type,
                code: 0,
                id: 7,
                sequence: 9,
            })
        };
        let packet = CapturedPacket {
            source: "fd00::1".parse().unwrap(),
            destination: "fd00::2".parse().unwrap(),
            length: 104,
            ttl: 63,
            dscp: 0,
            flags: None,
            identification: None,
            protocol: Protocol::ICMPV6,
            transport: icmp(128),
            nonce: None,
        };
        let expected = json!({
            "srcIP": "fd00::1",
            "dstIP": "fd00::2",
            "length": 104,
            "ipv6Header": {"nextHeader": 58, "hopLimit": 63},
            "transportHeader": {"icmp": {"id": 7, "sequence": 9}},
        });
        assert_eq!(serde_json::to_value(Captured::from(&packet)).unwrap(), expected);
        let reply = CapturedPacket {
            transport: icmp(129),
            ..packet
        };
        assert_eq!(
            serde_json::to_value(Captured::from(&reply)).unwrap()["transportHeader"],
            json!({"icmp": {"id": 7, "sequence": 9, "type": 129, "code": 0}}),
        );
    }

    fn status_of(trace: &Trace) -> Value {
        serde_json::to_value(Status::new(UNIX_EPOCH, Ok(trace))).unwrap()
    }
}
