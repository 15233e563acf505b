//! Command lines, right and wrong.

use traceflow_core::names::ObjectName;
use traceflow_core::plan::Plan;
use traceflow_core::spec::{Ask, CommandLine, Destination, Source, parse_timeout};

use crate::world::World;

/// What is wrong; source, destination, flow; live and dropped-only; the message.
type Case = (&'static str, [&'static str; 3], [bool; 2], &'static str);

#[test]
fn each_mistake_on_a_command_line_names_the_option() {
    for (what, [source, destination, flow], [live_traffic, dropped_only], message) in CASES {
        let given = |text: &&'static str| Some(*text).filter(|text| !text.is_empty());
        let line = CommandLine {
            source: given(source),
            destination: given(destination),
            flow: given(flow),
            live_traffic: *live_traffic,
            dropped_only: *dropped_only,
            timeout: None,
        };
        let plan = line.spec(&World).and_then(|spec| {
            Plan::resolve(&spec, &World, &mut fastrand::Rng::with_seed(1)).map_err(CommandLine::locate)
        });
        match plan {
            Ok(_) => panic!("{what}: accepted"),
            Err(mistake) => assert_eq!(mistake.to_string(), *message, "{what}"),
        }
    }
}

const INJECT: [bool; 2] = [false, false];
const LIVE: [bool; 2] = [true, false];

const CASES: &[Case] = &[
    (
        "no source",
        ["", "pod2", ""],
        INJECT,
        "-S: is missing; name the Pod that sends",
    ),
    (
        "no destination",
        ["pod1", "", ""],
        INJECT,
        "-D: is missing; name a Pod, a Service or an IP address",
    ),
    (
        "an address that sends",
        ["10.0.1.1", "pod2", ""],
        INJECT,
        "-S: a packet can only be injected at a Pod; name a Pod, or trace live traffic (liveTraffic, -L)",
    ),
    (
        "a source that is not in the cluster",
        ["pod9", "pod2", ""],
        INJECT,
        "-S: Pod default/pod9 is not in the cluster; check its name and namespace",
    ),
    (
        "a destination that is neither Pod nor Service",
        ["pod1", "web9", ""],
        INJECT,
        "-D: Pod or Service default/web9 is not in the cluster; check the name; outside of namespace default, write NAMESPACE/NAME",
    ),
    (
        "a name with two slashes",
        ["a/b/c", "pod2", ""],
        INJECT,
        "-S: \"a/b/c\" is not valid; use NAME, NAMESPACE/NAME or an IP address",
    ),
    (
        "a destination that is no name",
        ["pod1", "Web!", ""],
        INJECT,
        "-D: \"Web!\" is not valid; use NAME, NAMESPACE/NAME or an IP address",
    ),
    (
        "dropped-only without live traffic",
        ["pod1", "pod2", ""],
        [false, true],
        "--dropped-only: only live traffic can be narrowed to what is dropped; set liveTraffic (-L) too, or remove this",
    ),
    (
        "no Pod at either end",
        ["", "10.0.1.2", ""],
        LIVE,
        "-S: is missing; name a Pod here or as destination: at least one end must be a Pod",
    ),
    (
        "nothing at all",
        ["", "", ""],
        LIVE,
        "-S: is missing; name a Pod here or as destination: at least one end must be a Pod",
    ),
    (
        "a mistake in the flow",
        ["pod1", "pod2", "tcp,tcp_dst=x"],
        INJECT,
        "-f:1:5: tcp_dst: \"x\" is not a number; use a number from 1 to 65535",
    ),
    (
        "TCP to a Pod without a port",
        ["pod1", "pod2", "tcp"],
        INJECT,
        "-f tcp_dst: is missing; add the port that the packet goes to; only of a Service the first is taken",
    ),
    (
        "new connections of an injected packet",
        ["pod1", "pod2", "icmp,new"],
        INJECT,
        "-f: only live traffic can be narrowed to new connections; trace live traffic (-L), or remove this",
    ),
    (
        "live traffic by TTL",
        ["pod1", "pod2", "icmp,nw_ttl=3"],
        LIVE,
        "-f nw_ttl: live traffic can't be chosen by the TTL; remove it",
    ),
    (
        "an address of another family than the flow",
        ["pod1", "10.0.1.2", "icmp6"],
        INJECT,
        "-D: 10.0.1.2 is an IPv4 address, but the packet is IPv6; use one family for both",
    ),
    (
        "an extension header over IPv6",
        ["pod1", "fd00:1::2", "nw_proto=43"],
        INJECT,
        "-f nw_proto: 43 is an IPv6 extension header, not a transport protocol; use the number of the protocol behind it",
    ),
    (
        "a Service without such a port",
        ["pod1", "dns", "tcp"],
        INJECT,
        "-D: Service default/dns has no TCP port; use UDP 53, or say which port the packet goes to",
    ),
    (
        "a Pod without such an address",
        ["four", "pod2", "tcp6,tcp_dst=80"],
        INJECT,
        "-S: Pod default/four has no IPv6 address; choose another, or ask for the other address family",
    ),
];

#[test]
fn a_name_means_the_pod_before_the_service_and_the_result_says_so() {
    let line = CommandLine {
        source: Some("pod1"),
        destination: Some("default/both"),
        ..CommandLine::default()
    };
    let spec = line.spec(&World).unwrap();
    let both = ObjectName::new("default", "both");
    assert!(matches!(spec.ask(), Ask::Inject { destination: Destination::Pod(name), .. } if *name == both));
    assert_eq!(
        spec.choices()[0].to_string(),
        "destination Pod default/both (there is a Service of this name, too)"
    );
}

#[test]
fn live_traffic_may_come_from_an_address_or_from_anywhere() {
    for (source, expected) in [
        (Some("8.8.8.8"), Some(Source::Address([8, 8, 8, 8].into()))),
        (None, None),
    ] {
        let line = CommandLine {
            source,
            destination: Some("pod1"),
            flow: Some("tcp,tcp_dst=80,new"),
            live_traffic: true,
            dropped_only: true,
            timeout: None,
        };
        let spec = line.spec(&World).unwrap();
        let Ask::Live {
            source, dropped_only, ..
        } = spec.ask()
        else {
            panic!("not live");
        };
        assert_eq!((source, *dropped_only), (&expected, true));
        assert!(spec.packet().new_only());
    }
}

#[test]
fn a_timeout_is_seconds_or_minutes_within_the_bounds() {
    for (text, seconds) in [("1", 1), ("20s", 20), ("5m", 300), ("1m30s", 90), ("0m7s", 7)] {
        assert_eq!(parse_timeout(text).unwrap().as_secs(), seconds, "{text}");
    }
    for (text, message) in [
        ("0", "-t: 0 is out of range; use 1 to 300"),
        ("301s", "-t: 301 is out of range; use 1 to 300"),
        (
            "99999999999",
            "-t: \"99999999999\" is not a time; use seconds or minutes such as 20s or 1m30s",
        ),
        (
            "1h",
            "-t: \"1h\" is not a time; use seconds or minutes such as 20s or 1m30s",
        ),
        (
            "-1s",
            "-t: \"-1s\" is not a time; use seconds or minutes such as 20s or 1m30s",
        ),
        (
            "",
            "-t: \"\" is not a time; use seconds or minutes such as 20s or 1m30s",
        ),
        (
            "1m30",
            "-t: \"1m30\" is not a time; use seconds or minutes such as 20s or 1m30s",
        ),
    ] {
        assert_eq!(parse_timeout(text).unwrap_err().to_string(), message, "{text}");
    }
}
