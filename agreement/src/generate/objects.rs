//! The objects of a cluster, as the manifests that they are.

use traceflow_core::input::BadInput;
use traceflow_sim::Cluster;

/// A manifest, and what edits have to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// What tells it from all others here.
    pub name: String,
    /// The number in its name, where it has one.
    pub number: usize,
    /// The manifest.
    pub text: String,
}

/// What an object is, as far as edits care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Node, a Namespace, a Tier: there from the beginning to the end.
    Fixed,
    /// A Pod, whose labels may change.
    Pod,
    /// A Service.
    Service,
    /// An Egress.
    Egress,
    /// A ClusterGroup; policies need it.
    Group,
    /// A NetworkPolicy of Kubernetes.
    Policy,
    /// One of Antrea's policies.
    AntreaPolicy,
}

/// All objects of a cluster, in the order in which they were put there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects(Vec<Object>);

impl Objects {
    /// The cluster, which chooses Services' endpoints by this seed.
    ///
    /// # Errors
    /// [`BadInput`] if the manifests are no cluster.
    pub fn cluster(&self, seed: u64) -> Result<Cluster, BadInput> {
        Ok(Cluster::from_yaml(&self.texts().collect::<Vec<_>>().join("\n---\n"))?.with_seed(seed))
    }

    /// The manifests.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|object| &*object.text)
    }

    /// Manifests of any kind. Pods, Nodes and what else a cluster is built on are told from the rest by their kind.
    pub fn read(texts: impl IntoIterator<Item = String>) -> Self {
        let object = |(number, text): (usize, String)| {
            let is = |kind: &str| text.lines().any(|line| line == format!("kind: {kind}"));
            let kind = match () {
                () if is("Pod") => Kind::Pod,
                () if is("Service") => Kind::Service,
                () if is("Egress") => Kind::Egress,
                () if is("ClusterGroup") => Kind::Group,
                () if is("NetworkPolicy") || is("ClusterNetworkPolicy") => Kind::Policy,
                () => Kind::Fixed,
            };
            let name = format!("object {number}");
            Object {
                kind,
                name,
                number,
                text: text.trim().to_owned(),
            }
        };
        Self(texts.into_iter().enumerate().map(object).collect())
    }

    /// Adds an object, in the place of one of its name if there is one.
    pub fn put(&mut self, object: Object) {
        match self.0.iter_mut().find(|known| known.name == object.name) {
            Some(known) => *known = object,
            None => self.0.push(object),
        }
    }

    /// Takes the object of this name away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|object| object.name != name);
    }

    /// The object of this name.
    pub fn named(&self, name: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.name == name)
    }

    /// The objects of this kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.0.iter().filter(move |object| object.kind == kind)
    }

    /// The names of what nothing else needs, while the switches' ports stay as they are.
    pub fn removable(&self) -> Vec<String> {
        let removable = |object: &&Object| {
            matches!(
                object.kind,
                Kind::Service | Kind::Egress | Kind::Policy | Kind::AntreaPolicy
            )
        };
        self.0
            .iter()
            .filter(removable)
            .map(|object| object.name.clone())
            .collect()
    }

    pub(super) fn groups(&self) -> Vec<String> {
        self.of(Kind::Group).map(|group| group.name.clone()).collect()
    }

    /// A number that no object has.
    pub(super) fn next(&self) -> usize {
        self.0.iter().map(|object| object.number + 1).max().unwrap_or(0)
    }
}
