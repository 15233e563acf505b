//! Traceflow manifests as `kubectl apply` takes them.

mod ends;
mod headers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::ends::{destination, object_name, source};
use self::headers::packet;
use super::trace::{TraceSpec, TraceSpecBuilder};
use crate::input::{self, BadInput, Document, Documents, Field, Problem};
use crate::inventory::Inventory;
use crate::plan::Plan;

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
    if !is_list(&root)? {
        manifests.push(object(&root, document, None)?);
        return Ok(());
    }
    root.only(LIST)?;
    for (index, item) in root.items("items")?.enumerate() {
        manifests.push(object(&item, document, Some(index))?);
    }
    Ok(())
}

fn is_list(root: &Field<'_>) -> Result<bool, BadInput> {
    Ok(match root.optional("kind")? {
        Some(kind) => matches!(&*kind.string()?, "List" | "TraceflowList"),
        None => false,
    })
}

fn object(object: &Field<'_>, document: &Arc<Document>, item: Option<usize>) -> Result<Manifest, BadInput> {
    object.only(OBJECT)?;
    let api_version = api_version(object)?;
    match object.optional("kind")? {
        None => return Err(object.missing("kind", "add kind: Traceflow")),
        Some(kind) if &*kind.string()? != "Traceflow" => return Err(kind.invalid("Traceflow")),
        Some(_) => {}
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
        builder = builder.packet(packet(&field)?);
    }
    if let Some(field) = spec.optional("source")? {
        builder = source(&field, live, builder)?;
    }
    if let Some(field) = spec.optional("destination")? {
        builder = destination(&field, builder)?;
    }
    Ok(builder)
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
