//! The question as arguments of a command: `-S pod1 -D web -f tcp,tcp_dst=80`.

use std::net::IpAddr;
use std::time::Duration;

use super::flow;
use super::trace::{self, Destination, Source, TraceSpec, check_timeout};
use crate::input::{BadInput, Problem, quoted};
use crate::inventory::Inventory;
use crate::names::ObjectName;
use crate::plan::Choice;

/// The arguments of `traceflow trace`, as they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandLine<'a> {
    /// `-S`: `pod`, `namespace/pod`, or an address in live traffic.
    pub source: Option<&'a str>,
    /// `-D`: `pod`, `namespace/pod`, `service`, `namespace/service`, or an address.
    pub destination: Option<&'a str>,
    /// `-f`: the flow.
    pub flow: Option<&'a str>,
    /// `-L`: real traffic instead of an injected packet.
    pub live_traffic: bool,
    /// `--dropped-only`
    pub dropped_only: bool,
    /// `-t`; `None` is [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT).
    pub timeout: Option<Duration>,
}

impl CommandLine<'_> {
    /// The question. The `inventory` tells whether `-D` names a Pod or a Service; of a Pod and a Service with one name
    /// the Pod is taken, which the result then says.
    ///
    /// # Errors
    /// With the option that is wrong as its field: `-S`, `-D`, `-f`, `-t`, `--dropped-only`.
    pub fn spec(&self, inventory: &dyn Inventory) -> Result<TraceSpec, BadInput> {
        self.read(inventory).map_err(Self::locate)
    }

    /// A mistake about a field of a Traceflow, such as the planner finds, as one about the option that says the same.
    pub fn locate(error: BadInput) -> BadInput {
        const OPTIONS: [(&str, &str); 5] = [
            ("spec.source", "-S"),
            ("spec.destination", "-D"),
            ("spec.liveTraffic", "-L"),
            ("spec.droppedOnly", "--dropped-only"),
            ("spec.timeout", "-t"),
        ];
        let field = error.field();
        if let Some(header) = field.strip_prefix("spec.packet") {
            let option = packet_option(header);
            return error.renamed(&option);
        }
        match OPTIONS.iter().find(|(start, _)| field.starts_with(start)) {
            Some((_, option)) => error.renamed(option),
            None => error,
        }
    }

    fn read(&self, inventory: &dyn Inventory) -> Result<TraceSpec, BadInput> {
        let mut builder = TraceSpec::builder()
            .live(self.live_traffic)
            .dropped_only(self.dropped_only);
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(text) = self.flow {
            builder = builder.packet(flow::read("-f", text)?);
        }
        if let Some(text) = self.source {
            builder = builder.source(match text.parse::<IpAddr>() {
                Ok(address) => Source::Address(address.to_canonical()),
                Err(_) => Source::Pod(object_name("-S", text)?),
            });
        }
        if let Some(text) = self.destination {
            builder = match text.parse::<IpAddr>() {
                Ok(address) => builder.destination(Destination::Address(address.to_canonical())),
                Err(_) => {
                    let (destination, choice) = named(object_name("-D", text)?, inventory)?;
                    let builder = builder.destination(destination);
                    choice.into_iter().fold(builder, trace::TraceSpecBuilder::choice)
                }
            };
        }
        builder.build()
    }
}

/// The key of `-f` that says the same as a field below `packet`.
fn packet_option(field: &str) -> String {
    match field.rsplit('.').collect::<Vec<_>>()[..] {
        ["dstPort", protocol, ..] => format!("-f {protocol}_dst"),
        ["ttl" | "hopLimit", ..] => "-f nw_ttl".to_owned(),
        ["protocol" | "nextHeader", ..] => "-f nw_proto".to_owned(),
        _ => "-f".to_owned(),
    }
}

/// The Pod or the Service of this name.
fn named(name: ObjectName, inventory: &dyn Inventory) -> Result<(Destination, Option<Choice>), BadInput> {
    match (inventory.pod(&name), inventory.service(&name)) {
        (Some(_), None) => Ok((Destination::Pod(name), None)),
        (None, Some(_)) => Ok((Destination::Service(name), None)),
        (Some(_), Some(_)) => {
            let choice = Choice {
                what: "destination",
                chosen: format!("Pod {name} (there is a Service of this name, too)"),
            };
            Ok((Destination::Pod(name), Some(choice)))
        }
        (None, None) => {
            let remedy = "check the name; outside of namespace default, write NAMESPACE/NAME".into();
            let (kind, name) = ("Pod or Service", name.to_string());
            Err(BadInput::new("-D", Problem::NotFound { kind, name, remedy }))
        }
    }
}

/// `name` in namespace `default`, or `namespace/name`.
fn object_name(option: &str, text: &str) -> Result<ObjectName, BadInput> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
    };
    if word(namespace) && word(name) {
        return Ok(ObjectName::new(namespace, name));
    }
    let problem = Problem::Invalid {
        found: format!("{} is not valid", quoted(text)),
        expected: "NAME, NAMESPACE/NAME or an IP address".into(),
    };
    Err(BadInput::new(option, problem))
}

/// Reads a timeout as `-t` takes it: `20s`, `1m30s`, `5m`, or a number of seconds, 1 s to 300 s.
///
/// ```
/// use std::time::Duration;
/// use traceflow_core::spec::parse_timeout;
///
/// assert_eq!(parse_timeout("1m30s")?, Duration::from_secs(90));
/// assert_eq!(parse_timeout("20")?, Duration::from_secs(20));
/// assert_eq!(parse_timeout("6m").unwrap_err().to_string(), "-t: 360 is out of range; use 1 to 300");
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
///
/// # Errors
/// If it is not a time, or not within these bounds.
pub fn parse_timeout(text: &str) -> Result<Duration, BadInput> {
    let invalid = || {
        let problem = Problem::Invalid {
            found: format!("{} is not a time", quoted(text)),
            expected: "seconds or minutes such as 20s or 1m30s".into(),
        };
        BadInput::new("-t", problem)
    };
    let (minutes, seconds) = match text.split_once('m') {
        Some((minutes, "")) => (minutes, "0"),
        Some((minutes, seconds)) => (minutes, seconds.strip_suffix('s').ok_or_else(invalid)?),
        None => ("0", text.strip_suffix('s').unwrap_or(text)),
    };
    let number = |text: &str| {
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|text| text.parse::<u32>().ok()).ok_or_else(invalid)
    };
    let timeout = Duration::from_secs(u64::from(number(minutes)?) * 60 + u64::from(number(seconds)?));
    check_timeout(timeout).map_err(CommandLine::locate)?;
    Ok(timeout)
}
