//! Pods whose rows are equal are one row, Pods whose columns are equal are one column.

use crate::matrix::{Matrix, Outcome};

/// The matrix with equal rows and equal columns put together.
///
/// What a Pod would send to itself is equal to everything: of the members of a group it holds for all pairs of two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// The places of the senders of each row, in order.
    pub(crate) rows: Vec<Vec<usize>>,
    /// The places of the targets of each column, in order.
    pub(crate) columns: Vec<Vec<usize>>,
    ports: usize,
    /// Row by row, in each column by column, in each port by port.
    values: Vec<Option<Outcome>>,
}

impl Groups {
    pub(crate) fn of(matrix: &Matrix) -> Self {
        let grid = matrix.grid();
        let (senders, targets, ports) = (grid.senders().len(), grid.targets().len(), grid.ports().len());
        let value = |place| (!matrix.is_itself(place)).then(|| matrix.outcome_at(place));
        let width = targets * ports;
        let rows =
            Lines::grouped((0..senders).map(|sender| (sender * width..(sender + 1) * width).map(value).collect()));
        let columns = Lines::grouped((0..targets).map(|target| {
            let column = target * ports..(target + 1) * ports;
            rows.values
                .iter()
                .flat_map(|row| row[column.clone()].iter().copied())
                .collect()
        }));
        let row_count = rows.members.len();
        let values = (0..row_count).flat_map(|row| {
            let columns = columns.values.iter();
            columns.flat_map(move |column| column[row * ports..(row + 1) * ports].iter().copied())
        });
        Self {
            values: values.collect(),
            ports,
            rows: rows.members,
            columns: columns.members,
        }
    }

    /// What became of the packets of a row to a column, port by port; `None` for a Pod's to itself.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &[Option<Outcome>] {
        let begin = (row * self.columns.len() + column) * self.ports;
        &self.values[begin..begin + self.ports]
    }

    /// The row that each sender is in.
    pub(crate) fn row_of(&self, senders: usize) -> Vec<usize> {
        group_of(&self.rows, senders)
    }

    /// The column that each target is in.
    pub(crate) fn column_of(&self, targets: usize) -> Vec<usize> {
        group_of(&self.columns, targets)
    }
}

fn group_of(groups: &[Vec<usize>], count: usize) -> Vec<usize> {
    let mut group_of = vec![0; count];
    for (number, members) in groups.iter().enumerate() {
        for &member in members {
            group_of[member] = number;
        }
    }
    group_of
}

/// Lines of values, equal ones together.
struct Lines {
    members: Vec<Vec<usize>>,
    values: Vec<Vec<Option<Outcome>>>,
}

impl Lines {
    /// Each line joins the first group that says nothing else, and fills in what the group leaves open. A place is open in a
    /// group only as long as its one member says nothing there, so what is filled in contradicts nobody.
    fn grouped(lines: impl Iterator<Item = Vec<Option<Outcome>>>) -> Self {
        let mut groups = Self {
            members: Vec::new(),
            values: Vec::new(),
        };
        for (number, line) in lines.enumerate() {
            match groups.values.iter().position(|values| agree(values, &line)) {
                Some(group) => {
                    groups.members[group].push(number);
                    for (known, new) in groups.values[group].iter_mut().zip(line) {
                        *known = known.or(new);
                    }
                }
                None => {
                    groups.members.push(vec![number]);
                    groups.values.push(line);
                }
            }
        }
        groups
    }
}

fn agree(one: &[Option<Outcome>], other: &[Option<Outcome>]) -> bool {
    let mut pairs = one.iter().zip(other);
    pairs.all(|(one, other)| one.is_none() || other.is_none() || one == other)
}

#[cfg(test)]
mod tests {
    use traceflow_sim::Cluster;

    use super::*;
    use crate::grid::Grid;

    /// `0 1|2`: the senders or targets of each group.
    fn text(groups: &[Vec<usize>]) -> String {
        let group = |members: &Vec<usize>| members.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        groups.iter().map(group).collect::<Vec<_>>().join("|")
    }

    fn matrix(labels: &[&str], policies: &str) -> Matrix {
        let cluster = labels
            .iter()
            .enumerate()
            .fold(Cluster::builder().node("a"), |cluster, (number, label)| {
                cluster.pod(&format!("pod-{number}"), "a").label("app", label)
            });
        let cluster = if policies.is_empty() {
            cluster
        } else {
            cluster.yaml(policies)
        };
        let cluster = cluster.build().unwrap();
        let everybody = [crate::Selector::everybody()];
        let grid = Grid::resolve(&cluster, &everybody, &everybody, "tcp/80,icmp".parse().unwrap()).unwrap();
        grid.predict(&cluster, |_| ())
    }

    const DB_FROM_WEB: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]";

    #[test]
    fn pods_that_are_treated_alike_are_one() {
        let groups = Groups::of(&matrix(&["web", "db", "web", "other", "db"], DB_FROM_WEB));
        assert_eq!(
            (&*text(&groups.rows), &*text(&groups.columns)),
            ("0 2|1 3 4", "0 2 3|1 4")
        );
        let arrives = |row, column| {
            let cell = groups.cell(row, column).iter();
            cell.map(|outcome| outcome.is_some_and(Outcome::arrives))
                .collect::<Vec<_>>()
        };
        assert_eq!(arrives(0, 1), [true, false], "web to db");
        assert_eq!(arrives(1, 1), [false, false], "db to the other db, and other to both");
        assert_eq!(arrives(1, 0), [true, true]);
    }

    #[test]
    fn one_by_one_is_a_matrix_too() {
        let groups = Groups::of(&matrix(&["web"], ""));
        assert_eq!((&*text(&groups.rows), &*text(&groups.columns)), ("0", "0"));
        assert_eq!(groups.cell(0, 0), [None, None]);
    }

    #[test]
    fn two_who_reach_each_other_are_one_row() {
        let groups = Groups::of(&matrix(&["web", "web"], ""));
        assert_eq!((&*text(&groups.rows), &*text(&groups.columns)), ("0 1", "0 1"));
        assert_eq!(groups.cell(0, 0), [Some(Outcome::Delivered); 2]);
    }

    proptest::proptest! {
        /// Whatever is put together, the page says of every pair what the matrix says.
        #[test]
        fn groups_say_what_the_matrix_says(apps in proptest::collection::vec(0..4_usize, 1..9)) {
            let labels: Vec<&str> = apps.iter().map(|&app| ["web", "db", "other", "db2"][app]).collect();
            let matrix = matrix(&labels, DB_FROM_WEB);
            let groups = Groups::of(&matrix);
            let (rows, columns) = (groups.row_of(labels.len()), groups.column_of(labels.len()));
            for place in 0..matrix.grid().len() {
                let (pair, port) = (place / 2, place % 2);
                let said = groups.cell(rows[pair / labels.len()], columns[pair % labels.len()])[port];
                if !matrix.is_itself(place) {
                    proptest::prop_assert_eq!(said, Some(matrix.outcome_at(place)));
                }
            }
        }
    }
}
