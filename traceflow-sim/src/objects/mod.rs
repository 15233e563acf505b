//! Kubernetes objects from YAML or JSON: what `kubectl get -o yaml` prints, or bare manifests as people write them.
//!
//! Nodes, Namespaces, Pods, Services, EndpointSlices, NetworkPolicies, Antrea's policies with their Tiers and groups, and
//! its Egresses are read, one by one or in lists (`List`, `PodList`); objects of other kinds are kept by name only
//! ([`Objects::unmodelled`]). Fields that don't decide a
//! packet's path are passed over, as `kubectl` dumps have hundreds of them.

mod antrea;
mod antrea_config;
mod egress;
mod endpoint_slice;
mod metadata;
mod node;
mod origin;
mod pod;
mod service;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use traceflow_core::input::{BadInput, Documents, Field, Place, Problem, Text};
use traceflow_core::names::ObjectName;

use crate::cluster::Object;
use crate::model::{Egress, EndpointSlice, Namespace, Node, Pod, Service, TrafficMode};
use crate::policy::NetworkPolicy;
use crate::policy::antrea::{AntreaPolicy, Group, Tier};

pub(crate) use antrea::API_VERSION as ANTREA_API_VERSION;
pub(crate) use metadata::DEFAULT_NAMESPACE;
use metadata::Metadata;
pub(crate) use origin::Origin;

/// The objects of a cluster as they were read, each with its place, not yet checked against each other.
///
/// ```
/// use traceflow_core::input::Text;
/// use traceflow_sim::Objects;
///
/// let mut objects = Objects::default();
/// objects.read(&Text::new("all.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}}"))?;
/// objects.read(&Text::new("more.yaml", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}"))?;
/// assert_eq!(objects.unmodelled()[0].to_string(), "Deployment default/web (apps/v1)");
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub(crate) nodes: Vec<Placed<Node>>,
    pub(crate) namespaces: Vec<Placed<Namespace>>,
    pub(crate) pods: Vec<Placed<Pod>>,
    pub(crate) services: Vec<Placed<Service>>,
    pub(crate) endpoint_slices: Vec<Placed<EndpointSlice>>,
    pub(crate) policies: Vec<Placed<NetworkPolicy>>,
    pub(crate) antrea_policies: Vec<Placed<AntreaPolicy>>,
    pub(crate) tiers: Vec<Placed<Tier>>,
    pub(crate) egresses: Vec<Placed<Egress>>,
    /// What Antrea's configuration says.
    pub(crate) mode: Option<TrafficMode>,
    pub(crate) groups: Vec<Placed<Group>>,
    pub(crate) unmodelled: Vec<Unmodelled>,
}

/// An object and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) object: T,
    pub(crate) origin: Origin,
}

/// An object that the simulator doesn't know, or not all of, so that nothing of it shows in a trace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unmodelled {
    /// `apiVersion`.
    pub api_version: Arc<str>,
    /// `kind`.
    pub kind: Arc<str>,
    /// `metadata.namespace`, `default` where it is not given, and `metadata.name`; not all kinds have names.
    pub name: Option<ObjectName>,
    /// The path of the field that isn't modelled, where the kind is; `None` if the kind isn't.
    pub field: Option<Arc<str>>,
}

impl fmt::Display for Unmodelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, " ({})", self.api_version)?;
        match &self.field {
            Some(field) => write!(f, ", for its {field}"),
            None => Ok(()),
        }
    }
}

/// Why files can't be taken as a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or folder can't be read.
    #[error("can't read {path}", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// Its text is wrong.
    #[error(transparent)]
    Bad(#[from] BadInput),
}

impl Objects {
    /// Adds the objects of a text.
    ///
    /// # Errors
    /// Its first mistake, with the place. The objects before it have been added.
    pub fn read(&mut self, text: &Text) -> Result<(), BadInput> {
        let mut any = false;
        for document in Documents::new(text) {
            self.read_object(text, &document?.root(), None)?;
            any = true;
        }
        if any { Ok(()) } else { Err(empty(text)) }
    }

    /// Adds the objects of a file, or of every `.yaml`, `.yml` and `.json` file in a folder in the order of their names.
    /// Folders in the folder are not entered.
    ///
    /// # Errors
    /// [`LoadError`], for the first file that can't be read or is wrong, and for a folder without such files.
    pub fn read_path(&mut self, path: &Path) -> Result<(), LoadError> {
        if path.is_dir() {
            let files = files_in(path).map_err(unreadable(path))?;
            if files.is_empty() {
                return Err(empty(&Text::new(path.display().to_string(), "")).into());
            }
            files.iter().try_for_each(|file| self.read_file(file))
        } else {
            self.read_file(path)
        }
    }

    /// The objects of kinds that the simulator doesn't know, in the order in which they were read.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// The objects one by one, as [`Cluster::put`](crate::Cluster::put) takes them, but for those that aren't modelled.
    ///
    /// ```
    /// use traceflow_core::input::Text;
    /// use traceflow_sim::{Cluster, Objects};
    ///
    /// let mut cluster = Cluster::builder().node("a").build()?;
    /// let mut objects = Objects::default();
    /// objects.read(&Text::new("event", r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}"#))?;
    /// for object in objects.into_objects() {
    ///     cluster.put(object)?;
    /// }
    /// assert_eq!(cluster.pod_objects().count(), 1);
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    pub fn into_objects(self) -> Vec<Object> {
        let mut all = Vec::new();
        take(&mut all, self.nodes);
        take(&mut all, self.namespaces);
        take(&mut all, self.tiers);
        take(&mut all, self.groups);
        take(&mut all, self.pods);
        take(&mut all, self.services);
        take(&mut all, self.endpoint_slices);
        take(&mut all, self.policies);
        take(&mut all, self.antrea_policies);
        take(&mut all, self.egresses);
        all
    }

    fn read_file(&mut self, path: &Path) -> Result<(), LoadError> {
        let bytes = std::fs::read(path).map_err(unreadable(path))?;
        let text = Text::from_bytes(path.display().to_string(), &bytes)?;
        Ok(self.read(&text)?)
    }

    /// Reads one object. In a list such as `PodList`, `implied` is the kind that its items needn't repeat.
    fn read_object(&mut self, text: &Text, object: &Field<'_>, implied: Option<&TypeMeta>) -> Result<(), BadInput> {
        let meta = TypeMeta::read(object, implied)?;
        let item_kind = meta.kind.strip_suffix("List");
        let Some(item_kind) = item_kind.filter(|_| object.optional("items").is_ok_and(|items| items.is_some())) else {
            return self.read_single(text, object, &meta);
        };
        let implied = (!item_kind.is_empty()).then(|| TypeMeta {
            api_version: meta.api_version.clone(),
            kind: item_kind.into(),
        });
        for item in object.items("items")? {
            self.read_object(text, &item, implied.as_ref())?;
        }
        Ok(())
    }

    fn read_single(&mut self, text: &Text, object: &Field<'_>, meta: &TypeMeta) -> Result<(), BadInput> {
        let read: fn(&mut Self, &Field<'_>, Metadata, Origin) -> Result<(), BadInput> =
            match (&*meta.kind, meta.group()) {
                ("ConfigMap", "") if antrea_config::is_it(object) => Self::read_antrea_config,
                ("Node", "") => Self::read_node,
                ("Namespace", "") => Self::read_namespace,
                ("Pod", "") => Self::read_pod,
                ("Service", "") => Self::read_service,
                ("EndpointSlice", "discovery.k8s.io") => Self::read_endpoint_slice,
                ("NetworkPolicy", "networking.k8s.io") => Self::read_policy,
                ("ClusterNetworkPolicy", antrea::API_GROUP) => Self::read_cluster_network_policy,
                ("NetworkPolicy", antrea::API_GROUP) => Self::read_antrea_network_policy,
                ("Egress", antrea::API_GROUP) => Self::read_egress,
                ("Tier", antrea::API_GROUP) => Self::read_tier,
                ("ClusterGroup", antrea::API_GROUP) => Self::read_cluster_group,
                ("Group", antrea::API_GROUP) => Self::read_group,
                _ => {
                    self.unmodelled.push(Unmodelled {
                        api_version: meta.api_version.clone(),
                        kind: meta.kind.clone(),
                        name: metadata::name_of_any_kind(object),
                        field: None,
                    });
                    return Ok(());
                }
            };
        let mut origin = Origin::new(text, object);
        let metadata = Metadata::read(object, &mut origin)?;
        read(self, object, metadata, origin)
    }

    fn read_node(&mut self, object: &Field<'_>, metadata: Metadata, mut origin: Origin) -> Result<(), BadInput> {
        let object = node::read(object, metadata, &mut origin)?;
        self.nodes.push(Placed { object, origin });
        Ok(())
    }

    fn read_antrea_config(&mut self, object: &Field<'_>, _: Metadata, _: Origin) -> Result<(), BadInput> {
        self.mode = antrea_config::read(object)?;
        Ok(())
    }

    fn read_namespace(&mut self, _: &Field<'_>, metadata: Metadata, origin: Origin) -> Result<(), BadInput> {
        let object = Namespace {
            name: metadata.name.name,
            labels: metadata.labels,
        };
        self.namespaces.push(Placed { object, origin });
        Ok(())
    }

    fn read_pod(&mut self, object: &Field<'_>, metadata: Metadata, mut origin: Origin) -> Result<(), BadInput> {
        let object = pod::read(object, metadata, &mut origin)?;
        self.pods.push(Placed { object, origin });
        Ok(())
    }

    fn read_service(&mut self, object: &Field<'_>, metadata: Metadata, mut origin: Origin) -> Result<(), BadInput> {
        let object = service::read(object, metadata, &mut origin)?;
        self.services.push(Placed { object, origin });
        Ok(())
    }

    fn read_endpoint_slice(&mut self, object: &Field<'_>, metadata: Metadata, origin: Origin) -> Result<(), BadInput> {
        let object = endpoint_slice::read(object, metadata)?;
        self.endpoint_slices.push(Placed { object, origin });
        Ok(())
    }

    fn read_policy(&mut self, object: &Field<'_>, metadata: Metadata, origin: Origin) -> Result<(), BadInput> {
        let object = NetworkPolicy::read(metadata.name, object)?;
        self.policies.push(Placed { object, origin });
        Ok(())
    }
}

fn take<T: Into<Object>>(all: &mut Vec<Object>, some: Vec<Placed<T>>) {
    all.extend(some.into_iter().map(|placed| placed.object.into()));
}

fn empty(text: &Text) -> BadInput {
    let expected = "Kubernetes objects";
    BadInput::new("", Problem::Empty { expected }).at(text, Place::START)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> LoadError + use<> {
    let path = path.to_owned();
    |source| LoadError::Unreadable { path, source }
}

fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `apiVersion` and `kind`.
#[derive(Debug, Clone)]
struct TypeMeta {
    api_version: Arc<str>,
    kind: Arc<str>,
}

impl TypeMeta {
    fn read(object: &Field<'_>, implied: Option<&Self>) -> Result<Self, BadInput> {
        let text = |key: &str, implied: Option<&Arc<str>>, remedy: &'static str| match object.optional(key)? {
            Some(field) => field.string(),
            None => implied.cloned().ok_or_else(|| object.missing(key, remedy)),
        };
        let kind = implied.map(|meta| &meta.kind);
        let api_version = implied.map(|meta| &meta.api_version);
        let meta = Self {
            kind: text("kind", kind, "say what the object is, such as kind: Pod")?,
            api_version: text(
                "apiVersion",
                api_version,
                "say which API it belongs to, such as apiVersion: v1",
            )?,
        };
        meta.check_version(object)?;
        Ok(meta)
    }

    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The kinds that are read have one version each that today's clusters serve.
    fn check_version(&self, object: &Field<'_>) -> Result<(), BadInput> {
        let expected = match (&*self.kind, self.group()) {
            ("Node" | "Namespace" | "Pod" | "Service" | "List", "") => "v1",
            ("EndpointSlice", "discovery.k8s.io") => "discovery.k8s.io/v1",
            ("NetworkPolicy", "networking.k8s.io") => "networking.k8s.io/v1",
            (
                "NetworkPolicy" | "ClusterNetworkPolicy" | "Tier" | "ClusterGroup" | "Group" | "Egress",
                antrea::API_GROUP,
            ) => antrea::API_VERSION,
            _ => return Ok(()),
        };
        match object.optional("apiVersion")? {
            Some(field) if &*self.api_version != expected => Err(field.invalid(expected)),
            _ => Ok(()),
        }
    }
}
