//! Traceflow manifests as `kubectl apply` takes them.

mod ends;
mod headers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::ends::{destination, object_name, source};
use self::headers::packet;
use super::packet::PacketSpec;
use super::trace::{TraceSpec, TraceSpecBuilder};
use crate::input::{self, BadInput, Document, Documents, Field, Problem};
use crate::inventory::Inventory;
use crate::plan::{Choice, Plan};

/// The versions of the Traceflow resource. They are read alike; which one it was is kept for printing it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiVersion {
    /// `crd.antrea.io/v1beta1`
    V1Beta1,
    /// `crd.antrea.io/v1alpha1`
    V1Alpha1,
    /// `ops.antrea.tanzu.vmware.com/v1alpha1`, of the first releases.
    OpsV1Alpha1,
}

impl ApiVersion {
    const ALL: [Self; 3] = [Self::V1Beta1, Self::V1Alpha1, Self::OpsV1Alpha1];

    /// As it stands in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta1 => "crd.antrea.io/v1beta1",
            Self::V1Alpha1 => "crd.antrea.io/v1alpha1",
            Self::OpsV1Alpha1 => "ops.antrea.tanzu.vmware.com/v1alpha1",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A Traceflow object that was read, with the question in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    document: Arc<Document>,
    /// Its index, if it is an item of a List.
    item: Option<usize>,
    api_version: ApiVersion,
    name: Arc<str>,
    spec: TraceSpec,
}

impl Manifest {
    /// Reads and checks all objects of a file: YAML or JSON, one or several documents, Lists too.
    ///
    /// Unknown fields are errors; `metadata` may be anything that Kubernetes puts there, and `status` is ignored.
    /// `ttl`, `hopLimit` and the IP `flags` don't choose live traffic, as in Antrea; that they were passed over is one
    /// of the question's [choices](TraceSpec::choices). An ICMP `id` or `sequence` names one packet, so that it can't be
    /// passed over: with `liveTraffic` it is an error.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn read(text: &input::Text) -> Result<Vec<Self>, BadInput> {
        let mut manifests = Vec::new();
        for document in Documents::new(text) {
            read_document(&Arc::new(document?), &mut manifests)?;
        }
        if manifests.is_empty() {
            let expected = "a Traceflow object";
            return Err(BadInput::new("", Problem::Empty { expected }).at(text, input::Place::START));
        }
        Ok(manifests)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// `apiVersion`.
    pub fn api_version(&self) -> ApiVersion {
        self.api_version
    }

    /// The question.
    pub fn spec(&self) -> &TraceSpec {
        &self.spec
    }

    /// `metadata` as it was written.
    pub fn metadata(&self) -> serde_json::Value {
        self.written("metadata")
    }

    /// `spec` as it was written.
    pub fn written_spec(&self) -> serde_json::Value {
        self.written("spec")
    }

    /// The plan for this question; mistakes have their place in the file.
    ///
    /// # Errors
    /// As [`Plan::resolve`].
    pub fn plan(&self, inventory: &dyn Inventory, random: &mut fastrand::Rng) -> Result<Plan, BadInput> {
        Plan::resolve(&self.spec, inventory, random).map_err(|error| self.locate(error))
    }

    /// A mistake about a field of this object, such as the planner finds, with its place in the file: that of the
    /// field, or if it isn't there, of what it would stand in.
    #[must_use]
    pub fn locate(&self, error: BadInput) -> BadInput {
        self.with_object(|object| locate(object, error))
    }

    fn written(&self, key: &str) -> serde_json::Value {
        self.with_object(|object| match object.optional(key) {
            Ok(Some(field)) => field.node().into(),
            _ => serde_json::Value::Null,
        })
    }

    fn with_object<T>(&self, use_it: impl FnOnce(&Field<'_>) -> T) -> T {
        let root = self.document.root();
        let item = self
            .item
            .and_then(|index| root.items("items").ok().and_then(|mut items| items.nth(index)));
        use_it(item.as_ref().unwrap_or(&root))
    }
}

fn read_document(document: &Arc<Document>, manifests: &mut Vec<Manifest>) -> Result<(), BadInput> {
    let root = document.root();
    let kind = root.optional("kind")?.map(|kind| kind.string()).transpose()?;
    match kind.as_deref() {
        Some("List") => check_version_of_list(&root)?,
        Some("TraceflowList") => _ = api_version(&root)?,
        _ => {
            manifests.push(object(&root, document, None)?);
            return Ok(());
        }
    }
    root.only(LIST)?;
    for (index, item) in root.items("items")?.enumerate() {
        manifests.push(object(&item, document, Some(index))?);
    }
    Ok(())
}

fn check_version_of_list(list: &Field<'_>) -> Result<(), BadInput> {
    let Some(version) = list.optional("apiVersion")? else {
        return Err(list.missing("apiVersion", "add apiVersion: v1"));
    };
    match &*version.string()? {
        "v1" => Ok(()),
        _ => Err(version.invalid("v1")),
    }
}

fn object(object: &Field<'_>, document: &Arc<Document>, item: Option<usize>) -> Result<Manifest, BadInput> {
    let kind = object.optional("kind")?;
    // First, for an object of another kind has other fields and another version: what is wrong with it is its kind.
    if let Some(kind) = &kind
        && &*kind.string()? != "Traceflow"
    {
        return Err(kind.invalid("Traceflow"));
    }
    object.only(OBJECT)?;
    let api_version = api_version(object)?;
    if kind.is_none() {
        return Err(object.missing("kind", "add kind: Traceflow"));
    }
    let name = name(object)?;
    let Some(field) = object.optional("spec")? else {
        return Err(object.missing("spec", "add the question: source and destination"));
    };
    let spec = spec(&field)?.build().map_err(|error| locate(object, error))?;
    Ok(Manifest {
        document: document.clone(),
        item,
        api_version,
        name,
        spec,
    })
}

fn api_version(object: &Field<'_>) -> Result<ApiVersion, BadInput> {
    let Some(field) = object.optional("apiVersion")? else {
        return Err(object.missing("apiVersion", "add apiVersion: crd.antrea.io/v1beta1"));
    };
    let written = field.string()?;
    ApiVersion::ALL
        .into_iter()
        .find(|version| version.as_str() == &*written)
        .ok_or_else(|| {
            field.invalid("crd.antrea.io/v1beta1, crd.antrea.io/v1alpha1 or ops.antrea.tanzu.vmware.com/v1alpha1")
        })
}

fn name(object: &Field<'_>) -> Result<Arc<str>, BadInput> {
    let Some(metadata) = object.optional("metadata")? else {
        return Err(object.missing("metadata", "add it with the Traceflow's name"));
    };
    metadata.only(METADATA)?;
    for key in ["labels", "annotations"] {
        if let Some(words) = metadata.optional(key)? {
            for (_, word) in words.fields()? {
                word.string()?;
            }
        }
    }
    match metadata.optional("name")? {
        Some(name) => object_name(&name),
        None => Err(metadata.missing("name", "name the Traceflow")),
    }
}

fn spec(spec: &Field<'_>) -> Result<TraceSpecBuilder, BadInput> {
    spec.only(SPEC)?;
    let live = flag(spec, "liveTraffic")?;
    let mut builder = TraceSpec::builder().live(live).dropped_only(flag(spec, "droppedOnly")?);
    if let Some(timeout) = spec.optional("timeout")? {
        builder = builder.timeout(Duration::from_secs(timeout.integer(1..=300u32)?.into()));
    }
    if let Some(field) = spec.optional("packet")? {
        let packet = packet(&field)?;
        builder = if live {
            match_any_ttl_and_flags(builder, packet)
        } else {
            builder.packet(packet)
        };
    }
    if let Some(field) = spec.optional("source")? {
        builder = source(&field, live, builder)?;
    }
    if let Some(field) = spec.optional("destination")? {
        builder = destination(&field, builder)?;
    }
    Ok(builder)
}

/// Antrea takes live packets of any TTL and any fragmentation flags, whatever the manifest says; so does this, and the
/// result says it.
fn match_any_ttl_and_flags(mut builder: TraceSpecBuilder, mut packet: PacketSpec) -> TraceSpecBuilder {
    let chosen = "any (live traffic is not chosen by it)";
    let (ttl, flags) = (packet.ttl.take().is_some(), packet.ip_flags.take().is_some());
    for what in [ttl.then_some("TTL"), flags.then_some("IP flags")]
        .into_iter()
        .flatten()
    {
        let chosen = chosen.to_owned();
        builder = builder.choice(Choice { what, chosen });
    }
    builder.packet(packet)
}

fn flag(parent: &Field<'_>, key: &str) -> Result<bool, BadInput> {
    match parent.optional(key)? {
        Some(field) => field.boolean(),
        None => Ok(false),
    }
}

/// Puts the place of `error`'s field, or of what it would stand in, to the error.
fn locate(object: &Field<'_>, error: BadInput) -> BadInput {
    fn walk(from: &Field<'_>, path: &str, error: BadInput, object: &Field<'_>) -> BadInput {
        let (key, rest) = path.split_once('.').unwrap_or((path, ""));
        match from.optional(key) {
            Ok(Some(next)) => walk(&next, rest, error, object),
            _ => from.locate(error, object),
        }
    }
    let path = error.field().to_owned();
    walk(object, &path, error, object)
}

const OBJECT: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
const LIST: &[&str] = &["apiVersion", "kind", "metadata", "items"];
/// `ObjectMeta` of Kubernetes, with what older servers wrote.
const METADATA: &[&str] = &[
    "name",
    "labels",
    "annotations",
    "namespace",
    "generateName",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "clusterName",
];
const SPEC: &[&str] = &[
    "source",
    "destination",
    "packet",
    "liveTraffic",
    "droppedOnly",
    "timeout",
];
