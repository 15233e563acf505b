//! Whom a matrix is about: `shop/cart`, `shop/app=web`, `*`, `svc/data/orders`, `8.8.8.8`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Place, Problem, Text};
use traceflow_core::inventory::Inventory;
use traceflow_core::names::ObjectName;
use traceflow_sim::Cluster;
use traceflow_sim::model::Pod;
use traceflow_sim::policy::{LabelSelector, Operator, Requirement};

use crate::words::{meant, one_of, shown};

/// Whom a matrix is about, in the words of a command line.
///
/// | written | who |
/// |---|---|
/// | `cart`, `shop/cart` | this Pod; without a namespace, of `default` |
/// | `app=web,tier in (a,b),!canary` | Pods with such labels, as `kubectl -l` has it, of every namespace |
/// | `shop/app=web` | those of one namespace |
/// | `canary,` | Pods that have a label, whatever its value; the comma tells it from a Pod's name |
/// | `*`, `shop/*` | all Pods, of every namespace or of one |
/// | `svc/orders`, `svc/data/orders` | a Service, to which packets go |
/// | `8.8.8.8` | an address, to which packets go |
///
/// What stands before the first `/` is a namespace if it can be one, and the prefix of a label's key otherwise
/// (`app.kubernetes.io/name=web`); `*/team/role=x` says that every namespace is meant. Pods that have ended are in no
/// selection; one that is named is. What is sent to a Service is one packet, to the endpoint that it chooses: whoever wants to
/// know of all of them asks about the Pods.
///
/// ```
/// use traceflow_reach::Selector;
///
/// let web: Selector = "shop/app=web".parse()?;
/// assert_eq!(web.to_string(), "shop/app=web");
/// let mistake = "shop/app=web,tier in front".parse::<Selector>().unwrap_err();
/// assert_eq!(
///     mistake.to_string(),
///     "selector:1:22: \"front\" is not valid; use a list in brackets, such as (a,b)"
/// );
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// As it was written.
    text: Arc<str>,
    whom: Whom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Pods {
        /// `None` is every namespace.
        namespace: Option<Arc<str>>,
        labels: LabelSelector,
    },
    Pod(ObjectName),
    Service(ObjectName),
    Address(IpAddr),
}

/// What a selector selects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Selected<'a> {
    Pod(&'a Pod),
    Service(ObjectName),
    Address(IpAddr),
}

const DEFAULT_NAMESPACE: &str = "default";

impl Selector {
    /// All Pods of the cluster.
    pub fn everybody() -> Self {
        Self {
            text: "*".into(),
            whom: Whom::Pods {
                namespace: None,
                labels: LabelSelector::default(),
            },
        }
    }

    /// Who that is in the cluster; nobody is a mistake.
    ///
    /// # Errors
    /// If that is nobody, with what there is instead.
    pub(crate) fn select<'a>(&self, cluster: &'a Cluster) -> Result<Vec<Selected<'a>>, Problem> {
        let selected = self.find(cluster);
        if selected.is_empty() {
            return Err(self.nobody(cluster));
        }
        Ok(selected)
    }

    /// Who that is in the cluster.
    pub(crate) fn find<'a>(&self, cluster: &'a Cluster) -> Vec<Selected<'a>> {
        match &self.whom {
            Whom::Pods { namespace, labels } => {
                let alive = cluster.pod_objects().filter(|pod| pod.is_alive());
                let here = alive.filter(|pod| is_of(pod, namespace.as_ref()));
                here.filter(|pod| labels.selects(&pod.labels))
                    .map(Selected::Pod)
                    .collect()
            }
            Whom::Pod(name) => cluster
                .pod_objects()
                .filter(|pod| pod.name == *name)
                .map(Selected::Pod)
                .collect(),
            Whom::Service(name) => {
                let service = cluster.service(name);
                service
                    .map(|service| Selected::Service(service.name))
                    .into_iter()
                    .collect()
            }
            Whom::Address(address) => vec![Selected::Address(*address)],
        }
    }

    /// Whether packets can only go there, not come from there; as a phrase of what it is.
    pub(crate) fn only_receives(&self) -> Option<&'static str> {
        match self.whom {
            Whom::Pods { .. } | Whom::Pod(_) => None,
            Whom::Service(_) => Some("a Service"),
            Whom::Address(_) => Some("an address"),
        }
    }

    /// Why it selects nobody, and what there is.
    fn nobody(&self, cluster: &Cluster) -> Problem {
        let pods = || cluster.pod_objects();
        let (what, remedy) = match &self.whom {
            Whom::Pod(name) => {
                let names: Vec<String> = pods().map(|pod| pod.name.to_string()).collect();
                let meant = meant(&name.to_string(), names.iter().map(String::as_str));
                (format!("Pod {name} is not in the cluster"), did_you_mean(meant))
            }
            Whom::Service(name) => {
                let names: Vec<String> = cluster
                    .service_objects()
                    .map(|service| service.name.to_string())
                    .collect();
                let meant = meant(&name.to_string(), names.iter().map(String::as_str));
                (format!("Service {name} is not in the cluster"), did_you_mean(meant))
            }
            Whom::Address(address) => (format!("{address} is nobody"), String::new()),
            Whom::Pods { namespace, labels } => {
                let namespaces: BTreeSet<&Arc<str>> = pods().map(|pod| &pod.name.namespace).collect();
                match namespace {
                    Some(name) if !namespaces.contains(name) => {
                        let there = one_of(namespaces.iter().take(SHOWN));
                        (format!("no Pod is in namespace {name}"), format!("use {there}"))
                    }
                    _ => {
                        let here: Vec<&Pod> = pods().filter(|pod| is_of(pod, namespace.as_ref())).collect();
                        (
                            format!("{} selects nobody", shown(&self.text)),
                            unmet(&labels.requirements, &here),
                        )
                    }
                }
            }
        };
        Problem::Unusable {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// How many words a message lists.
const SHOWN: usize = 8;

fn did_you_mean(meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None => "check its name and namespace".to_owned(),
    }
}

fn is_of(pod: &Pod, namespace: Option<&Arc<str>>) -> bool {
    namespace.is_none_or(|namespace| pod.name.namespace == *namespace)
}

/// What to do about requirements that no Pod meets together: the first that none meets by itself names its label.
fn unmet(requirements: &[Requirement], pods: &[&Pod]) -> String {
    let alone = |requirement: &Requirement| LabelSelector {
        requirements: vec![requirement.clone()],
    };
    let first = requirements
        .iter()
        .find(|requirement| !pods.iter().any(|pod| alone(requirement).selects(&pod.labels)));
    let Some(Requirement { key, operator }) = first else {
        return match requirements {
            [] => "there are no Pods that could be asked about".to_owned(),
            _ => "no Pod meets all of it; take a requirement away".to_owned(),
        };
    };
    let values: BTreeSet<&Arc<str>> = pods.iter().filter_map(|pod| pod.labels.get(key)).collect();
    match operator {
        Operator::In(_) if !values.is_empty() => {
            let more = if values.len() > SHOWN { " and others" } else { "" };
            format!("label {key} has {}{more}", one_of(values.iter().take(SHOWN)))
        }
        Operator::In(_) | Operator::Exists => {
            let keys: BTreeSet<&Arc<str>> = pods.iter().flat_map(|pod| pod.labels.keys()).collect();
            match meant(key, keys.iter().map(|key| &***key)) {
                Some(meant) => format!("no Pod has label {key}; did you mean {meant}?"),
                None => format!("no Pod has label {key}"),
            }
        }
        Operator::NotIn(_) | Operator::DoesNotExist => format!("every Pod has what is not wanted of label {key}"),
    }
}

impl FromStr for Selector {
    type Err = BadInput;

    /// Reads it as the table above says. Errors carry the column in the text.
    fn from_str(text: &str) -> Result<Self, BadInput> {
        let blank = text.chars().take_while(|character| character.is_whitespace()).count();
        let trimmed = text.trim();
        let whom = whom(trimmed).map_err(|(column, problem)| {
            let column = u32::try_from(column + blank).unwrap_or(u32::MAX);
            BadInput::new("", problem).at(&Text::new("selector", text), Place { line: 1, column })
        })?;
        Ok(Self {
            text: trimmed.into(),
            whom,
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

fn whom(text: &str) -> Result<Whom, (usize, Problem)> {
    if text.is_empty() {
        let expected = "a Pod, labels such as app=web, or * for everybody";
        return Err((1, Problem::Empty { expected }));
    }
    if let Some(name) = text.strip_prefix("svc/").or_else(|| text.strip_prefix("service/")) {
        let column = text.chars().count() - name.chars().count() + 1;
        return service(name)
            .map(Whom::Service)
            .ok_or_else(|| (column, not_a_name(name)));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Whom::Address(address.to_canonical()));
    }
    let (namespace, rest) = match text.split_once('/') {
        Some(("*", rest)) => (Some(None), rest),
        Some((namespace, rest)) if is_namespace(namespace) => (Some(Some(namespace)), rest),
        _ => (None, text),
    };
    let column = text.chars().count() - rest.chars().count() + 1;
    let named = namespace.flatten().map(Arc::from);
    if rest == "*" {
        return Ok(Whom::Pods {
            namespace: named,
            labels: LabelSelector::default(),
        });
    }
    if is_name(rest) {
        return match namespace {
            Some(None) => Err((column, name_of_every_namespace(rest))),
            _ => Ok(Whom::Pod(ObjectName::new(
                named.unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
                rest,
            ))),
        };
    }
    labels(rest)
        .map(|labels| Whom::Pods {
            namespace: named,
            labels,
        })
        .map_err(|(place, problem)| (column + place - 1, problem))
}

/// A comma may follow a single word, which would be a Pod's name otherwise.
fn labels(text: &str) -> Result<LabelSelector, (usize, Problem)> {
    let word = text.strip_suffix(',').map(str::trim_end);
    let text = word.filter(|word| is_name(word)).unwrap_or(text);
    text.parse().map_err(|mistake: BadInput| {
        let column = mistake.place().map_or(1, |place| place.column as usize);
        (column, mistake.problem().clone())
    })
}

fn service(text: &str) -> Option<ObjectName> {
    let (namespace, name) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
    (is_namespace(namespace) && is_name(name)).then(|| ObjectName::new(namespace, name))
}

/// An RFC 1123 label, which a namespace has for a name.
fn is_namespace(text: &str) -> bool {
    is_name(text) && !text.contains('.')
}

/// What Pods and Services may be called.
fn is_name(text: &str) -> bool {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.chars().all(|c| outer(c) || matches!(c, '-' | '.'))
        && text.starts_with(outer)
        && text.ends_with(outer)
}

fn not_a_name(text: &str) -> Problem {
    Problem::Invalid {
        found: format!("{} is not valid", shown(text)),
        expected: "the name of a Service, such as svc/orders or svc/data/orders".into(),
    }
}

fn name_of_every_namespace(name: &str) -> Problem {
    Problem::Unusable {
        what: format!("{name} is a Pod's name, and names belong to a namespace").into(),
        remedy: format!("write namespace/{name}, or {name}, for Pods with a label of that name").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        Cluster::builder()
            .node("a")
            .pod("shop/web-1", "a")
            .label("app", "web")
            .label("team.example/owner", "shop")
            .pod("shop/web-2", "a")
            .label("app", "web")
            .label("canary", "")
            .pod("data/db", "a")
            .label("app", "db")
            .pod("bare", "a")
            .service("data/orders", 80)
            .yaml("{apiVersion: v1, kind: Pod, metadata: {name: job, namespace: data, labels: {app: db}}, status: {phase: Succeeded}}")
            .build()
            .unwrap()
    }

    fn selected(text: &str) -> String {
        let cluster = cluster();
        let selector: Selector = text.parse().unwrap();
        let names = selector.find(&cluster).into_iter().map(|selected| match selected {
            Selected::Pod(pod) => pod.name.to_string(),
            Selected::Service(name) => format!("Service {name}"),
            Selected::Address(address) => address.to_string(),
        });
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn selectors_select_whom_they_say() {
        for (text, who) in [
            ("bare", "default/bare"),
            ("shop/web-1", "shop/web-1"),
            ("data/job", "data/job"),
            ("app=web", "shop/web-1 shop/web-2"),
            ("app = db", "data/db"),
            ("shop/app=web,!canary", "shop/web-1"),
            ("canary,", "shop/web-2"),
            ("shop/canary,", "shop/web-2"),
            ("team.example/owner=shop", "shop/web-1"),
            ("*/team.example/owner=shop", "shop/web-1"),
            ("!app", "default/bare"),
            ("*", "data/db default/bare shop/web-1 shop/web-2"),
            (" shop/* ", "shop/web-1 shop/web-2"),
            ("*/app in (db,web)", "data/db shop/web-1 shop/web-2"),
            ("svc/data/orders", "Service data/orders"),
            ("8.8.8.8", "8.8.8.8"),
            ("::ffff:8.8.8.8", "8.8.8.8"),
            ("fd00::1", "fd00::1"),
            ("app=nobody", ""),
        ] {
            assert_eq!(selected(text), who, "{text}");
        }
    }

    #[test]
    fn mistakes_have_their_column() {
        for (text, message) in [
            (
                "",
                "1:1: the input is empty; it needs a Pod, labels such as app=web, or * for everybody",
            ),
            (
                "  shop/app=web,,x",
                "1:16: there is nothing here; use a requirement such as app=web, one comma between two",
            ),
            (
                "*/cart",
                "1:3: cart is a Pod's name, and names belong to a namespace; write namespace/cart, or cart, for Pods with a \
                 label of that name",
            ),
            (
                "svc/a/b/c",
                "1:5: \"a/b/c\" is not valid; use the name of a Service, such as svc/orders or svc/data/orders",
            ),
        ] {
            let mistake = text.parse::<Selector>().unwrap_err();
            assert_eq!(mistake.to_string(), format!("selector:{message}"), "{text}");
        }
    }

    #[test]
    fn who_selects_nobody_is_told_what_there_is() {
        let cluster = cluster();
        for (text, message) in [
            (
                "shop/web-3",
                "Pod shop/web-3 is not in the cluster; did you mean shop/web-1?",
            ),
            (
                "nobody",
                "Pod default/nobody is not in the cluster; check its name and namespace",
            ),
            (
                "svc/data/order",
                "Service data/order is not in the cluster; did you mean data/orders?",
            ),
            ("shp/*", "no Pod is in namespace shp; use data, default or shop"),
            ("app=wbe", "\"app=wbe\" selects nobody; label app has db or web"),
            ("shop/app=db", "\"shop/app=db\" selects nobody; label app has web"),
            (
                "ap=web",
                "\"ap=web\" selects nobody; no Pod has label ap; did you mean app?",
            ),
            (
                "canry,",
                "\"canry,\" selects nobody; no Pod has label canry; did you mean canary?",
            ),
            (
                "data/!app",
                "\"data/!app\" selects nobody; every Pod has what is not wanted of label app",
            ),
            (
                "app=db,canary",
                "\"app=db,canary\" selects nobody; no Pod meets all of it; take a requirement away",
            ),
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(selector.select(&cluster).unwrap_err().to_string(), message);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_selector_or_refused(text in "[ a-cé0-9*=!(),/.:-]{0,20}") {
            let _ = text.parse::<Selector>();
        }
    }
}
