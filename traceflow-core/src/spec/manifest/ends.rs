//! `spec.source` and `spec.destination` of a manifest.

use std::net::IpAddr;
use std::sync::Arc;

use crate::input::{BadInput, Field, Problem};
use crate::names::ObjectName;
use crate::plan::Choice;
use crate::spec::trace::{Destination, Source, TraceSpecBuilder};

pub(super) fn source(field: &Field<'_>, live: bool, builder: TraceSpecBuilder) -> Result<TraceSpecBuilder, BadInput> {
    field.only(SOURCE)?;
    let Some(end) = end(field)? else {
        return Ok(builder);
    };
    if end.key == "ip" {
        return Ok(builder.source(Source::Address(address(&end.field)?)));
    }
    if !live && end.namespace.is_none() {
        // Antrea's admission demands it of the Pod that a packet is injected at.
        return Err(field.missing("namespace", "add the namespace of the Pod that sends"));
    }
    let (name, builder) = end.name("source namespace", builder)?;
    Ok(builder.source(Source::Pod(name)))
}

pub(super) fn destination(field: &Field<'_>, builder: TraceSpecBuilder) -> Result<TraceSpecBuilder, BadInput> {
    field.only(DESTINATION)?;
    let Some(end) = end(field)? else {
        return Ok(builder);
    };
    if end.key == "ip" {
        return Ok(builder.destination(Destination::Address(address(&end.field)?)));
    }
    let key = end.key;
    let (name, builder) = end.name("destination namespace", builder)?;
    Ok(builder.destination(match key {
        "service" => Destination::Service(name),
        _ => Destination::Pod(name),
    }))
}

/// What one end is known by.
struct End<'a> {
    /// `pod`, `service` or `ip`.
    key: &'static str,
    field: Field<'a>,
    namespace: Option<Arc<str>>,
}

/// The end that `field` names; `None` if it names none. As in Antrea, an empty text is the same as no field.
fn end<'a>(field: &'a Field<'a>) -> Result<Option<End<'a>>, BadInput> {
    let mut found: Option<(&'static str, Field<'a>)> = None;
    for key in ["pod", "service", "ip"] {
        let Some(next) = text(field, key)? else {
            continue;
        };
        if let Some((first, _)) = &found {
            return Err(next.error(Problem::Conflict {
                what: format!("{first} is given, too").into(),
                remedy: "keep one of them".into(),
            }));
        }
        found = Some((key, next));
    }
    let namespace = text(field, "namespace")?;
    match (found, namespace) {
        (Some(("ip", _)), Some(namespace)) => Err(namespace.error(Problem::Conflict {
            what: "an IP address has no namespace".into(),
            remedy: "remove it, or name a Pod instead of ip".into(),
        })),
        (Some((key, field)), namespace) => Ok(Some(End {
            key,
            field,
            namespace: namespace.map(|namespace| object_name(&namespace)).transpose()?,
        })),
        (None, Some(_)) => Err(field.missing("pod", "add the Pod's name, or remove the namespace")),
        (None, None) => Ok(None),
    }
}

fn text<'a>(field: &'a Field<'a>, key: &str) -> Result<Option<Field<'a>>, BadInput> {
    match field.optional(key)? {
        Some(text) if text.string()?.is_empty() => Ok(None),
        other => Ok(other),
    }
}

impl End<'_> {
    /// The full name; a namespace that is missing is `default`, and the result says so.
    fn name(self, what: &'static str, builder: TraceSpecBuilder) -> Result<(ObjectName, TraceSpecBuilder), BadInput> {
        let name = object_name(&self.field)?;
        Ok(match self.namespace {
            Some(namespace) => (ObjectName::new(namespace, name), builder),
            None => {
                let chosen = "default (none was given)".to_owned();
                (
                    ObjectName::new("default", name),
                    builder.choice(Choice { what, chosen }),
                )
            }
        })
    }
}

fn address(field: &Field<'_>) -> Result<IpAddr, BadInput> {
    let address: IpAddr = field.parsed("an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1")?;
    Ok(address.to_canonical())
}

/// A name as Kubernetes gives them to Pods, Services and Traceflows (RFC 1123 subdomain).
pub(super) fn object_name(field: &Field<'_>) -> Result<Arc<str>, BadInput> {
    const LONGEST: usize = 253;
    let name = field.string()?;
    if name.len() <= LONGEST && name.split('.').all(is_label) {
        Ok(name)
    } else {
        Err(field.invalid("a name of lower-case letters, digits, '-' and '.', without its namespace"))
    }
}

/// A part of a name between two dots.
fn is_label(text: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| edge(byte) || *byte == b'-')
        && bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
}

const SOURCE: &[&str] = &["namespace", "pod", "ip"];
const DESTINATION: &[&str] = &["namespace", "pod", "service", "ip"];
