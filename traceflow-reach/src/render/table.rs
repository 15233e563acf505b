//! A matrix for people: equal rows and columns together, and what every sign means.

use std::collections::BTreeMap;

use traceflow_core::inventory::Direction;
use traceflow_core::render::Style;
use traceflow_core::trace::Mode;

use super::page::{Page, Paint, WIDTH, cut, padded};
use crate::grouping::Groups;
use crate::matrix::{Cell, Matrix, NotAsked, Outcome, Reason};
use crate::naming;
use crate::words::{counted, one_of};

/// The matrix as text, eighty columns wide. Pods whose rows are equal are one row, Pods whose columns are equal are one
/// column; where they share a label, or a namespace, that nobody else has, they are called by it. With `denials`, the rules
/// behind all denials follow.
///
/// What is in it as a sign is also there in words, so nothing depends on colours.
pub fn table(matrix: &Matrix, style: Style, denials: bool) -> String {
    let mut table = Table::new(matrix, style);
    table.head();
    table.marks();
    table.columns();
    if denials {
        table.denials();
    }
    table.not_asked();
    table.unanswered();
    table.findings();
    table.services();
    table.notes();
    table.page.out
}

/// The sign of an outcome in a cell.
fn mark(outcome: Option<Outcome>) -> (char, Paint) {
    match outcome {
        Some(Outcome::Delivered) => ('+', Paint::Green),
        Some(Outcome::Left) => ('>', Paint::Green),
        Some(Outcome::Dropped) => ('x', Paint::Red),
        Some(Outcome::Rejected) => ('r', Paint::Red),
        Some(Outcome::Unanswered) => ('?', Paint::Yellow),
        Some(Outcome::NotAsked) => ('-', Paint::Dim),
        None => ('.', Paint::Dim),
    }
}

/// What a sign means.
fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Left => "left the network",
        Outcome::Dropped => "dropped",
        Outcome::Rejected => "rejected",
        Outcome::Unanswered => "no answer",
        Outcome::NotAsked => "not asked",
    }
}

struct Table<'a> {
    matrix: &'a Matrix,
    groups: Groups,
    /// What each row is called.
    rows: Vec<Vec<String>>,
    /// What each column is called.
    columns: Vec<Vec<String>>,
    page: Page,
}

/// Lines of a list of names, before it says how many more there are.
const NAME_LINES: usize = 4;

/// How many pairs are named where not all of them can be.
const EXAMPLES: usize = 5;

impl<'a> Table<'a> {
    fn new(matrix: &'a Matrix, style: Style) -> Self {
        let groups = Groups::of(matrix);
        Self {
            rows: naming::senders(matrix.grid(), &groups.rows),
            columns: naming::targets(matrix.grid(), &groups.columns),
            groups,
            matrix,
            page: Page::new(style),
        }
    }

    fn head(&mut self) {
        let grid = self.matrix.grid();
        let asked = self.matrix.tally().asked();
        let how = match self.matrix.mode() {
            Mode::Predicted => "predicted, nothing was sent",
            _ => "injected packets",
        };
        let (from, to) = (grid.senders().len(), grid.targets().len());
        let line = format!("From {from} to {to}: {} ({how})", counted(asked, "packet"));
        self.page.painted_line(&line, Paint::Bold);
        let ports: Vec<String> = grid.ports().iter().map(ToString::to_string).collect();
        if ports.len() > 1 {
            self.page
                .list("Each cell shows, in this order: ", &ports, ", ", 2, NAME_LINES);
        } else {
            self.page.line(&format!("Each cell shows {}", ports.join("")));
        }
        let tally = self.matrix.tally();
        let itself = (0..grid.len()).filter(|&place| self.matrix.is_itself(place)).count();
        let counted = Outcome::ALL.into_iter().filter_map(|outcome| {
            let count = match outcome {
                Outcome::NotAsked => tally.of(outcome) - itself,
                _ => tally.of(outcome),
            };
            (count > 0).then(|| format!("{} {} ({count})", mark(Some(outcome)).0, meaning(outcome)))
        });
        let mut legend: Vec<String> = counted.collect();
        if itself > 0 {
            legend.push(". a Pod to itself".to_owned());
        }
        self.page.list("", &legend, "   ", 0, NAME_LINES);
    }

    /// The cells, in as many blocks below each other as the width takes.
    fn marks(&mut self) {
        let ports = self.matrix.grid().ports().len();
        let columns = self.columns.len();
        let number = columns.to_string().len();
        let cell = ports.max(number) + 2;
        let letters = letters(self.rows.len() - 1).len();
        let longest = self
            .rows
            .iter()
            .map(|name| name.join(", ").chars().count())
            .max()
            .unwrap_or(0);
        let least = longest.min(LEAST_NAME);
        let room = WIDTH.saturating_sub(letters + 2 + least + 2).max(cell);
        let per_block = (room / cell).clamp(1, columns);
        let name_width = WIDTH
            .saturating_sub(letters + 4 + per_block * cell)
            .clamp(least, longest.max(least));
        let mut cut_off = Vec::new();
        for first in (0..columns).step_by(per_block) {
            let block = first..(first + per_block).min(columns);
            self.page.blank();
            let mut heading = padded("FROM", letters + 2 + name_width) + "  ";
            heading.extend(block.clone().map(|column| padded(&(column + 1).to_string(), cell)));
            self.page.painted_line(&heading, Paint::Bold);
            for (row, name) in self.rows.iter().enumerate() {
                let name = name.join(", ");
                let shown = cut(&name, name_width);
                if shown != name && first == 0 {
                    cut_off.push(row);
                }
                let mut line = format!(
                    "{}  {}  ",
                    padded(&self::letters(row), letters),
                    padded(&shown, name_width)
                );
                for column in block.clone() {
                    for outcome in self.groups.cell(row, column) {
                        let (sign, paint) = mark(*outcome);
                        line.push_str(&self.page.painted(&sign.to_string(), paint));
                    }
                    line.push_str(&" ".repeat(cell - ports));
                }
                self.page.raw_line(&line);
            }
        }
        if !cut_off.is_empty() {
            self.page.blank();
            self.page.painted_line("FROM, in full", Paint::Bold);
            for row in cut_off {
                let label = format!("{}  ", padded(&self::letters(row), letters));
                self.page.list(&label, &self.rows[row], ", ", label.len(), NAME_LINES);
            }
        }
    }

    /// What the columns are.
    fn columns(&mut self) {
        self.page.blank();
        self.page.painted_line("TO", Paint::Bold);
        let width = self.columns.len().to_string().len();
        for (column, names) in self.columns.iter().enumerate() {
            let label = format!("{:>width$}  ", column + 1);
            self.page.list(&label, names, ", ", label.len(), NAME_LINES);
        }
    }

    /// Every reason of a denial, with the pairs of groups where it is one.
    fn denials(&mut self) {
        let by_reason = self.matrix.by_reason();
        let denials: Vec<_> = by_reason
            .into_iter()
            .filter(|(reason, _)| matches!(reason, Reason::Denied { .. }))
            .collect();
        if denials.is_empty() {
            return;
        }
        self.page.blank();
        self.page.painted_line("DENIED BY", Paint::Bold);
        for (reason, places) in denials {
            let whose = match reason.direction() {
                Some(Direction::Egress) => ", on the way out of the sender",
                Some(Direction::Ingress) => ", on the way in to the target",
                None => "",
            };
            let words: Vec<String> = format!("{reason}{whose}").split(' ').map(str::to_owned).collect();
            self.page.list("", &words, " ", 0, usize::MAX);
            let pairs = self.pairs_of_groups(&places);
            self.page.list(
                &format!("  {}: ", counted(places.len(), "packet")),
                &pairs,
                "  ",
                4,
                NAME_LINES,
            );
        }
    }

    /// `A->1,2`: the rows and columns where these places are, `(tcp/80)` behind them where it isn't all ports.
    fn pairs_of_groups(&self, places: &[usize]) -> Vec<String> {
        let grid = self.matrix.grid();
        let (rows, columns) = (
            self.groups.row_of(grid.senders().len()),
            self.groups.column_of(grid.targets().len()),
        );
        let ports = grid.ports().len();
        // For each row and set of ports, the columns.
        let mut cells: BTreeMap<(usize, usize), Vec<bool>> = BTreeMap::new();
        for &place in places {
            let pair = place / ports;
            let (row, column) = (rows[pair / columns.len()], columns[pair % columns.len()]);
            cells.entry((row, column)).or_insert_with(|| vec![false; ports])[place % ports] = true;
        }
        let mut lines: BTreeMap<(usize, Vec<bool>), Vec<String>> = BTreeMap::new();
        for ((row, column), which) in cells {
            lines.entry((row, which)).or_default().push((column + 1).to_string());
        }
        let shown = lines.into_iter().map(|((row, which), columns)| {
            let named = grid.ports().iter().zip(&which).filter(|(_, is_there)| **is_there);
            let ports = match which.contains(&false) {
                true => format!(
                    " ({})",
                    named.map(|(port, _)| port.to_string()).collect::<Vec<_>>().join(" ")
                ),
                false => String::new(),
            };
            format!("{}->{}{ports}", letters(row), columns.join(","))
        });
        shown.collect()
    }

    /// Why questions were not asked, but for those of a Pod to itself.
    fn not_asked(&mut self) {
        let by_reason = self.matrix.by_reason();
        let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (reason, places) in &by_reason {
            let Reason::NotAsked(why) = reason else { continue };
            let (key, name): (String, fn(Cell<'_>) -> String) = match why {
                NotAsked::Itself => continue,
                NotAsked::Sender(unfit) => (unfit.to_string(), |cell| cell.sender.to_string()),
                NotAsked::Target(unfit) => (unfit.to_string(), |cell| cell.target.to_string()),
                NotAsked::Families => ("have no address family in common".to_owned(), |cell| {
                    format!("{} and {}", cell.sender, cell.target)
                }),
            };
            let names = ends.entry(key).or_default();
            for &place in places {
                let name = name(self.matrix.cell(place));
                if names.last() != Some(&name) && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if ends.is_empty() {
            return;
        }
        self.page.blank();
        self.page.painted_line("NOT ASKED", Paint::Bold);
        for (why, names) in ends {
            let label = match names.len() {
                1 => format!("Who {why}: "),
                count => format!("{count} who {why}: "),
            };
            self.page.list(&label, &names, ", ", 2, NAME_LINES);
        }
    }

    fn unanswered(&mut self) {
        let by_reason = self.matrix.by_reason();
        let unanswered = by_reason
            .iter()
            .filter(|(reason, _)| matches!(reason, Reason::Unanswered(_)));
        let unanswered: Vec<_> = unanswered.collect();
        if unanswered.is_empty() {
            return;
        }
        self.page.blank();
        self.page.painted_line("NO ANSWER", Paint::Bold);
        for (reason, places) in unanswered {
            let words: Vec<String> = reason.to_string().split(' ').map(str::to_owned).collect();
            self.page.list("", &words, " ", 0, usize::MAX);
            self.examples(places);
        }
    }

    /// The first of these places by name.
    fn examples(&mut self, places: &[usize]) {
        let shown = places.iter().take(EXAMPLES).map(|&place| {
            let cell = self.matrix.cell(place);
            format!("{} -> {} {}", cell.sender, cell.target, cell.port)
        });
        let shown: Vec<String> = shown.collect();
        for line in shown {
            self.page.line(&format!("  {line}"));
        }
        if places.len() > EXAMPLES {
            self.page.line(&format!("  and {} more", places.len() - EXAMPLES));
        }
    }

    fn findings(&mut self) {
        if self.matrix.findings() == 0 {
            return;
        }
        self.page.blank();
        let line = format!("UNLIKE THE MODEL: {}", counted(self.matrix.findings(), "packet"));
        self.page.painted_line(&line, Paint::Yellow);
        let findings: Vec<_> = self.matrix.unlike().take(EXAMPLES).collect();
        for (place, finding) in findings {
            let cell = self.matrix.cell(place);
            self.page.line(&format!(
                "  {} -> {} {}: {finding}",
                cell.sender, cell.target, cell.port
            ));
        }
        if self.matrix.findings() > EXAMPLES {
            let more = self.matrix.findings() - EXAMPLES;
            self.page.line(&format!(
                "  and {more} more; all of them are in {}",
                one_of(["-o csv", "-o json"])
            ));
        }
    }

    /// One packet says nothing of the endpoints that it wasn't sent to.
    fn services(&mut self) {
        let receivers = self.matrix.grid().receivers.iter();
        let choosing = receivers.filter(|receiver| receiver.endpoints > 1);
        let choosing: Vec<String> = choosing
            .map(|receiver| format!("{} ({} endpoints)", receiver.target, receiver.endpoints))
            .collect();
        if !choosing.is_empty() {
            self.page.blank();
            let label = "One packet each, to the endpoint that the Service chose: ";
            self.page.list(label, &choosing, ", ", 2, NAME_LINES);
        }
    }

    fn notes(&mut self) {
        let notes: Vec<String> = self
            .matrix
            .notes()
            .map(|(note, count)| format!("Note: {note} ({})", counted(count, "packet")))
            .collect();
        for note in notes {
            self.page.blank();
            let words: Vec<String> = note.split(' ').map(str::to_owned).collect();
            self.page.list("", &words, " ", 6, usize::MAX);
        }
    }
}

/// The least that is shown of a name before the columns are put in several blocks.
const LEAST_NAME: usize = 30;

/// `A` to `Z`, then `AA`, `AB`, and so on.
fn letters(number: usize) -> String {
    let mut text = String::new();
    let mut rest = number + 1;
    while rest > 0 {
        rest -= 1;
        // It is below 26.
        text.insert(0, char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_count_like_the_columns_of_a_spreadsheet() {
        let first = [0, 1, 25, 26, 51, 52, 701, 702].map(letters).join(" ");
        assert_eq!(first, "A B Z AA AZ BA ZZ AAA");
    }
}
