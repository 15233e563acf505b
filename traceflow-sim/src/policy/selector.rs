//! Which objects a `LabelSelector` selects.

use std::sync::Arc;

use crate::model::Labels;

/// A `LabelSelector`: all requirements must hold, so the empty selector selects everything.
///
/// ```
/// use traceflow_sim::model::Labels;
/// use traceflow_sim::policy::LabelSelector;
///
/// let web = LabelSelector::labels([("app", "web")]);
/// assert!(web.selects(&Labels::from([("app".into(), "web".into()), ("tier".into(), "front".into())])));
/// assert!(!web.selects(&Labels::new()));
/// assert!(LabelSelector::default().selects(&Labels::new()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    /// `matchExpressions`; each entry of `matchLabels` is an `In` with one value.
    pub requirements: Vec<Requirement>,
}

/// One entry of `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: Arc<str>,
    /// What must hold for the label's value.
    pub operator: Operator,
}

/// The `operator` of a [`Requirement`], with its `values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// The label is there with one of these values.
    In(Vec<Arc<str>>),
    /// The label is not there, or with none of these values.
    NotIn(Vec<Arc<str>>),
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// The selector whose `matchLabels` are these.
    pub fn labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let requirements = labels
            .into_iter()
            .map(|(key, value)| Requirement {
                key: key.into(),
                operator: Operator::In(vec![value.into()]),
            })
            .collect();
        Self { requirements }
    }

    /// Whether an object with these labels is selected.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}
