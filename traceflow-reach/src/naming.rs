//! What a group of Pods is called: by a namespace, by a label that all of them have and nobody else, or by one that nobody of
//! them has and everybody else; else by their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use traceflow_core::names::ObjectName;
use traceflow_sim::model::Labels;

use crate::ends::Target;
use crate::grid::Grid;
use crate::words::counted;

/// Labels that people call workloads by, the best first; others come after them in the order of their keys.
const PREFERRED: [&str; 5] = [
    "app",
    "app.kubernetes.io/name",
    "k8s-app",
    "app.kubernetes.io/component",
    "component",
];

/// Labels that controllers write to tell Pods apart, which say nothing to a person.
const OF_CONTROLLERS: [&str; 7] = [
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "pod-template-generation",
    "batch.kubernetes.io/controller-uid",
    "controller-uid",
];

/// Somebody who has a name, and labels if it is a Pod.
#[derive(Clone, Copy)]
struct Named<'a> {
    pod: Option<(&'a ObjectName, &'a Labels)>,
    target: Option<&'a Target>,
}

/// Names for groups of the senders of a grid.
pub(crate) fn senders(grid: &Grid, groups: &[Vec<usize>]) -> Vec<Vec<String>> {
    let all = grid.senders.iter().map(|sender| Named {
        pod: Some((&sender.name, &*sender.labels)),
        target: None,
    });
    names(&all.collect::<Vec<_>>(), groups)
}

/// Names for groups of the targets of a grid.
pub(crate) fn targets(grid: &Grid, groups: &[Vec<usize>]) -> Vec<Vec<String>> {
    let all = grid.receivers.iter().map(|receiver| Named {
        pod: match &receiver.target {
            Target::Pod(name) => Some((name, &*receiver.labels)),
            _ => None,
        },
        target: Some(&receiver.target),
    });
    names(&all.collect::<Vec<_>>(), groups)
}

fn names(all: &[Named<'_>], groups: &[Vec<usize>]) -> Vec<Vec<String>> {
    let by_namespace = by_namespace(all, 0..all.len());
    groups.iter().map(|group| name(all, &by_namespace, group)).collect()
}

type ByNamespace<'a> = BTreeMap<&'a Arc<str>, Vec<usize>>;

fn by_namespace<'a>(all: &[Named<'a>], places: impl IntoIterator<Item = usize>) -> ByNamespace<'a> {
    let mut namespaces = ByNamespace::new();
    for place in places {
        if let Some((name, _)) = all[place].pod {
            namespaces.entry(&name.namespace).or_default().push(place);
        }
    }
    namespaces
}

fn name(all: &[Named<'_>], universe: &ByNamespace<'_>, group: &[usize]) -> Vec<String> {
    let mine = by_namespace(all, group.iter().copied());
    let pods: usize = mine.values().map(Vec::len).sum();
    let everybody: usize = universe.values().map(Vec::len).sum();
    let mut terms = Vec::new();
    if pods == everybody && universe.len() > 1 {
        terms.push(format!("all {}", counted(pods, "Pod")));
    } else {
        for (namespace, members) in &mine {
            terms.extend(name_in(all, namespace, members, &universe[*namespace]));
        }
    }
    let others = group.iter().filter(|&&place| all[place].pod.is_none());
    terms.extend(others.filter_map(|&place| all[place].target.map(Target::to_string)));
    terms
}

/// What these of a namespace's Pods are called.
fn name_in(all: &[Named<'_>], namespace: &str, members: &[usize], universe: &[usize]) -> Vec<String> {
    if members.len() > 1 && members.len() == universe.len() {
        return vec![format!("{namespace}/* ({})", counted(members.len(), "Pod"))];
    }
    let others: Vec<usize> = universe
        .iter()
        .copied()
        .filter(|place| !members.contains(place))
        .collect();
    let mut terms = Vec::new();
    let mut rest = members.to_vec();
    while rest.len() > 1 {
        let Some((label, covered)) = best_label(all, &rest, members, universe) else {
            break;
        };
        if covered.len() < members.len()
            && let Some((label, left_out)) = best_label(all, &others, &others, universe)
            && left_out.len() == others.len()
        {
            let label = label.replacen('=', "!=", 1);
            return vec![format!("{namespace}/{label} ({})", counted(members.len(), "Pod"))];
        }
        terms.push(format!("{namespace}/{label} ({})", counted(covered.len(), "Pod")));
        rest.retain(|place| !covered.contains(place));
    }
    let names = rest.iter().filter_map(|&place| all[place].pod);
    terms.extend(names.map(|(name, _)| name.to_string()));
    terms
}

/// The label that most of `rest` have, that at least two have, and nobody of the namespace who isn't one of `members`.
fn best_label(
    all: &[Named<'_>],
    rest: &[usize],
    members: &[usize],
    universe: &[usize],
) -> Option<(String, Vec<usize>)> {
    let having = |places: &[usize]| {
        let mut having: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for &place in places {
            let labels = all[place].pod.into_iter().flat_map(|(_, labels)| labels);
            for (key, value) in labels.filter(|(key, _)| !OF_CONTROLLERS.contains(&&***key)) {
                having.entry((&**key, &**value)).or_default().push(place);
            }
        }
        having
    };
    let (in_universe, in_members) = (having(universe), having(members));
    let theirs = |label: &(&str, &str)| in_universe.get(label).map(Vec::len) == in_members.get(label).map(Vec::len);
    let rank = |key: &str| {
        PREFERRED
            .iter()
            .position(|known| *known == key)
            .unwrap_or(PREFERRED.len())
    };
    let candidates = having(rest)
        .into_iter()
        .filter(|(label, places)| places.len() > 1 && theirs(label));
    // A label that covers what is covered already would count Pods twice.
    let whole = candidates.filter(|(label, places)| in_members.get(label).map(Vec::len) == Some(places.len()));
    let best = whole.min_by_key(|((key, _), places)| (std::cmp::Reverse(places.len()), rank(key)));
    best.map(|((key, value), places)| (format!("{key}={value}"), places))
}

#[cfg(test)]
mod tests {
    use traceflow_sim::Cluster;

    use super::*;
    use crate::Selector;

    /// The names of the group of these Pods, which all are in the cluster.
    fn named(group: &[&str]) -> String {
        let pods = [
            ("data/db-0", "app=db,controller-uid=1"),
            ("data/db-1", "app=db,controller-uid=1"),
            ("shop/cart-1", "app=cart,tier=back"),
            ("shop/cart-2", "app=cart,tier=back"),
            ("shop/web-1", "app=web,tier=front"),
            ("shop/web-2", "app=web,tier=front"),
            ("shop/web-10", "app=web,tier=edge"),
            ("shop/bare", ""),
        ];
        let cluster = pods
            .iter()
            .fold(Cluster::builder().node("a"), |cluster, (name, labels)| {
                let labels = labels.split(',').filter_map(|label| label.split_once('='));
                labels.fold(cluster.pod(name, "a"), |cluster, (key, value)| {
                    cluster.label(key, value)
                })
            });
        let cluster = cluster.service("data/orders", 80).build().unwrap();
        let to = ["*".parse::<Selector>().unwrap(), "svc/data/orders".parse().unwrap()];
        let grid = Grid::resolve(&cluster, &to[..1], &to, "icmp".parse().unwrap()).unwrap();
        let places = grid
            .targets()
            .enumerate()
            .filter(|(_, target)| group.contains(&&*target.to_string()));
        let group = places.map(|(place, _)| place).collect();
        targets(&grid, &[group])[0].join(", ")
    }

    #[test]
    fn groups_are_called_by_what_only_they_have() {
        for (group, name) in [
            (&["shop/web-1"][..], "shop/web-1"),
            (&["shop/web-1", "shop/web-2", "shop/web-10"], "shop/app=web (3 Pods)"),
            (&["shop/web-1", "shop/web-2"], "shop/tier=front (2 Pods)"),
            (
                &["shop/web-1", "shop/web-2", "shop/web-10", "shop/bare"],
                "shop/app!=cart (4 Pods)",
            ),
            (&["shop/web-2", "shop/web-10"], "shop/web-2, shop/web-10"),
            (&["shop/cart-1", "shop/cart-2", "shop/bare"], "shop/app!=web (3 Pods)"),
            (&["data/db-0", "data/db-1"], "data/* (2 Pods)"),
            (
                &["data/db-0", "data/db-1", "shop/bare", "svc/data/orders"],
                "data/* (2 Pods), shop/bare, svc/data/orders",
            ),
        ] {
            assert_eq!(named(group), name);
        }
    }

    #[test]
    fn everybody_is_called_so() {
        let all = [
            "data/db-0",
            "data/db-1",
            "shop/cart-1",
            "shop/cart-2",
            "shop/web-1",
            "shop/web-2",
            "shop/web-10",
            "shop/bare",
        ];
        assert_eq!(named(&all), "all 8 Pods");
    }
}
