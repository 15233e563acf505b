//! `metadata`, which all kinds share.

use std::sync::Arc;

use traceflow_core::input::{BadInput, Field, Value};
use traceflow_core::names::ObjectName;

use super::Origin;
use crate::model::Labels;

/// The namespace of objects that name none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

const NAME: &str = "a name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends";

pub(super) struct Metadata {
    /// Of a cluster-wide object only the name counts.
    pub(super) name: ObjectName,
    pub(super) labels: Labels,
    /// Whether it has a `deletionTimestamp`.
    pub(super) terminating: bool,
}

impl Metadata {
    pub(super) fn read(object: &Field<'_>, origin: &mut Origin) -> Result<Self, BadInput> {
        let metadata = object.required("metadata")?;
        let namespace = match metadata.optional("namespace")? {
            Some(field) => name(&field)?,
            None => DEFAULT_NAMESPACE.into(),
        };
        let field = metadata.required("name")?;
        origin.note(&field);
        let labels = metadata.optional("labels")?;
        Ok(Self {
            name: ObjectName::new(namespace, name(&field)?),
            labels: labels.as_ref().map(string_map).transpose()?.unwrap_or_default(),
            terminating: metadata.optional("deletionTimestamp")?.is_some(),
        })
    }
}

/// The name of an object that is kept by name only: kinds differ in what they allow, and some have no names.
pub(super) fn name_of_any_kind(object: &Field<'_>) -> Option<ObjectName> {
    let metadata = object.optional("metadata").ok()??;
    let text = |key: &str| metadata.optional(key).ok()??.string().ok();
    let namespace = text("namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.into());
    Some(ObjectName::new(namespace, text("name")?))
}

/// The name of an object, as the API server takes it.
fn name(field: &Field<'_>) -> Result<Arc<str>, BadInput> {
    let text = field.string()?;
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| outer(c) || c == '-';
    let is_label = |label: &str| label.chars().all(inner) && label.starts_with(outer) && label.ends_with(outer);
    let valid = text.len() <= 253 && text.split('.').all(is_label);
    if valid { Ok(text) } else { Err(field.invalid(NAME)) }
}

/// A mapping of strings to strings, as labels and selectors are.
pub(super) fn string_map(field: &Field<'_>) -> Result<Labels, BadInput> {
    let entries = field.fields()?.map(|(key, value)| match value.node().value {
        // A value left out is null to YAML, and the empty string to the API server.
        Value::Null => Ok((key.clone(), Arc::from(""))),
        _ => Ok((key.clone(), value.string()?)),
    });
    entries.collect()
}
