//! Label selectors in the words of `kubectl -l`.

use std::str::FromStr;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Place, Problem, Text};

use super::format::{LABEL_KEY, LABEL_VALUE, is_label_key, is_label_value};
use super::selector::{LabelSelector, Operator, Requirement};

impl FromStr for LabelSelector {
    type Err = BadInput;

    /// Reads what `kubectl -l` takes: requirements with commas between them, all of which must hold. Each is `key=value` (or
    /// `==`), `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key` or `!key`; spaces don't matter.
    ///
    /// ```
    /// use traceflow_sim::model::Labels;
    /// use traceflow_sim::policy::LabelSelector;
    ///
    /// let selector: LabelSelector = "app=web, tier in (front, edge), !canary".parse()?;
    /// assert!(selector.selects(&Labels::from([("app".into(), "web".into()), ("tier".into(), "edge".into())])));
    /// assert_eq!(
    ///     "app=web,tier in front".parse::<LabelSelector>().unwrap_err().to_string(),
    ///     "selector:1:17: \"front\" is not valid; use a list in brackets, such as (a,b)"
    /// );
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, BadInput> {
        let requirements = Piece { text, column: 1 }.split_at_commas();
        let read = requirements.map(|piece| Requirement::from_piece(piece));
        let read = read.collect::<Result<Vec<_>, Mistake>>();
        let requirements = read.map_err(|mistake| mistake.in_text(text))?;
        Ok(Self { requirements })
    }
}

/// A part of a selector, without spaces at its ends, and the column in which it begins.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    column: usize,
}

/// What is wrong, in which column.
struct Mistake {
    column: usize,
    problem: Problem,
}

impl Mistake {
    fn in_text(self, text: &str) -> BadInput {
        let column = u32::try_from(self.column).unwrap_or(u32::MAX);
        BadInput::new("", self.problem).at(&Text::new("selector", text), Place { line: 1, column })
    }
}

impl<'a> Piece<'a> {
    fn trimmed(self) -> Self {
        let text = self.text.trim_start();
        let skipped = self.text.chars().count() - text.chars().count();
        Self {
            text: text.trim_end(),
            column: self.column + skipped,
        }
    }

    /// What stands before and behind byte `at`, less the `length` bytes there.
    fn cut(self, at: usize, length: usize) -> (Self, Self) {
        let before = Self {
            text: &self.text[..at],
            column: self.column,
        };
        let behind = Self {
            text: &self.text[at + length..],
            column: self.column + self.text[..at + length].chars().count(),
        };
        (before.trimmed(), behind.trimmed())
    }

    /// The pieces between commas that stand in no brackets.
    fn split_at_commas(self) -> impl Iterator<Item = Self> {
        let mut rest = Some(self.trimmed());
        std::iter::from_fn(move || {
            let piece = rest?;
            let mut depth = 0_usize;
            let comma = piece.text.char_indices().find(|(_, character)| {
                match character {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                *character == ',' && depth == 0
            });
            let (first, behind) = match comma {
                Some((at, _)) => {
                    let (first, behind) = piece.cut(at, 1);
                    (first, Some(behind))
                }
                None => (piece, None),
            };
            rest = behind;
            Some(first)
        })
    }

    fn invalid(self, expected: &'static str) -> Mistake {
        let shown: String = self.text.chars().take(60).flat_map(char::escape_debug).collect();
        let found = match &*shown {
            "" => "there is nothing here".to_owned(),
            shown => format!("\"{shown}\" is not valid"),
        };
        let expected = expected.into();
        Mistake {
            column: self.column,
            problem: Problem::Invalid { found, expected },
        }
    }

    fn key(self) -> Result<Arc<str>, Mistake> {
        let valid = is_label_key(self.text);
        valid.then(|| self.text.into()).ok_or_else(|| self.invalid(LABEL_KEY))
    }

    fn value(self) -> Result<Arc<str>, Mistake> {
        let valid = is_label_value(self.text);
        valid.then(|| self.text.into()).ok_or_else(|| self.invalid(LABEL_VALUE))
    }

    /// The values of `(a,b)`.
    fn values(self) -> Result<Vec<Arc<str>>, Mistake> {
        if !(self.text.starts_with('(') && self.text.ends_with(')')) {
            return Err(self.invalid("a list in brackets, such as (a,b)"));
        }
        let (_, inner) = self.cut(0, 1);
        let (inner, _) = inner.cut(inner.text.len() - 1, 1);
        inner.split_at_commas().map(Piece::value).collect()
    }
}

impl Requirement {
    fn from_piece(piece: Piece<'_>) -> Result<Self, Mistake> {
        if piece.text.is_empty() {
            return Err(piece.invalid("a requirement such as app=web, one comma between two"));
        }
        if piece.text.starts_with('!') {
            let (_, key) = piece.cut(0, 1);
            return Ok(Self {
                key: key.key()?,
                operator: Operator::DoesNotExist,
            });
        }
        if let Some(at) = piece.text.find(['=', '!']) {
            return Self::compared(piece, at);
        }
        let Some(at) = piece.text.find(char::is_whitespace) else {
            return Ok(Self {
                key: piece.key()?,
                operator: Operator::Exists,
            });
        };
        let (key, rest) = piece.cut(at, 0);
        let word_ends = rest.text.find(|c: char| c.is_whitespace() || c == '(');
        let (word, list) = rest.cut(word_ends.unwrap_or(rest.text.len()), 0);
        let operator: fn(Vec<Arc<str>>) -> Operator = match word.text {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return Err(word.invalid("in or notin with a list, such as tier in (a,b)")),
        };
        Ok(Self {
            key: key.key()?,
            operator: operator(list.values()?),
        })
    }

    /// `key=value`, `key==value` or `key!=value`, where the sign begins at byte `at`.
    fn compared(piece: Piece<'_>, at: usize) -> Result<Self, Mistake> {
        let sign = ["==", "!=", "="]
            .into_iter()
            .find(|sign| piece.text[at..].starts_with(sign));
        let Some(sign) = sign else {
            let (_, rest) = piece.cut(at, 0);
            return Err(rest.invalid("=, == or != between key and value"));
        };
        let (key, value) = piece.cut(at, sign.len());
        let (key, values) = (key.key()?, vec![value.value()?]);
        let operator = if sign == "!=" {
            Operator::NotIn(values)
        } else {
            Operator::In(values)
        };
        Ok(Self { key, operator })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    fn selected(selector: &str) -> String {
        let selector: LabelSelector = selector.parse().unwrap();
        let pods: [(&str, &[(&str, &str)]); 4] = [
            ("web", &[("app", "web"), ("tier", "front")]),
            ("canary", &[("app", "web"), ("tier", "edge"), ("canary", "")]),
            ("db", &[("app", "db"), ("team.example/owner", "data")]),
            ("bare", &[]),
        ];
        let selected = pods.iter().filter(|(_, pairs)| {
            let labels: Labels = pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
            selector.selects(&labels)
        });
        selected.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn selectors_select_as_kubectl_does() {
        for (selector, pods) in [
            ("app=web", "web canary"),
            ("app==web", "web canary"),
            (" app = web , tier = edge ", "canary"),
            ("app!=web", "db bare"),
            ("tier in (front,edge)", "web canary"),
            ("tier in(front)", "web"),
            ("tier notin ( edge )", "web db bare"),
            ("canary", "canary"),
            ("canary=", "canary"),
            ("!canary", "web db bare"),
            ("! canary,app", "web db"),
            ("team.example/owner=data", "db"),
            ("app in (web),!canary", "web"),
        ] {
            assert_eq!(selected(selector), pods, "{selector}");
        }
    }

    #[test]
    fn mistakes_have_their_column() {
        for (selector, message) in [
            (
                "",
                "1:1: there is nothing here; use a requirement such as app=web, one comma between two",
            ),
            (
                "app=web,",
                "1:9: there is nothing here; use a requirement such as app=web, one comma between two",
            ),
            (
                "app=web,,x",
                "1:9: there is nothing here; use a requirement such as app=web, one comma between two",
            ),
            (
                "app=a b",
                "1:5: \"a b\" is not valid; use a label value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
            ),
            (
                "é=b,_=c",
                "1:1: \"é\" is not valid; use a label key: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends, perhaps after a DNS name and '/'",
            ),
            (
                "app=w, é=c",
                "1:8: \"é\" is not valid; use a label key: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends, perhaps after a DNS name and '/'",
            ),
            (
                "app within (a)",
                "1:5: \"within\" is not valid; use in or notin with a list, such as tier in (a,b)",
            ),
            (
                "app in",
                "1:7: there is nothing here; use a list in brackets, such as (a,b)",
            ),
            (
                "app in (a",
                "1:8: \"(a\" is not valid; use a list in brackets, such as (a,b)",
            ),
            (
                "app!web",
                "1:4: \"!web\" is not valid; use =, == or != between key and value",
            ),
        ] {
            let mistake = selector.parse::<LabelSelector>().unwrap_err();
            assert_eq!(mistake.to_string(), format!("selector:{message}"), "{selector}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_selector_or_refused(text in "[ a-cé0-9=!(),/._\\-in]{0,24}") {
            let _ = text.parse::<LabelSelector>();
        }
    }
}
