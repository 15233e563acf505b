//! Which objects a `LabelSelector` selects.

use std::sync::Arc;

use traceflow_core::input::{BadInput, Field, Problem};

use super::format::{LABEL_KEY, LABEL_VALUE, is_label_key, is_label_value};
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

    /// Reads a `LabelSelector`, which must obey the API server's rules.
    ///
    /// # Errors
    /// Its first mistake, with the place.
    pub fn read(selector: &Field<'_>) -> Result<Self, BadInput> {
        selector.only(&["matchLabels", "matchExpressions"])?;
        let mut requirements = Vec::new();
        if let Some(labels) = selector.optional("matchLabels")? {
            for (key, value) in labels.fields()? {
                requirements.push(Requirement::read_label(key, &value)?);
            }
        }
        for expression in selector.items("matchExpressions")? {
            requirements.push(Requirement::read(&expression)?);
        }
        Ok(Self { requirements })
    }

    /// Whether an object with these labels is selected.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn read_label(key: &Arc<str>, value: &Field<'_>) -> Result<Self, BadInput> {
        if !is_label_key(key) {
            return Err(value.error(Problem::Invalid {
                found: "the key is not valid".to_owned(),
                expected: LABEL_KEY.into(),
            }));
        }
        Ok(Self {
            key: Arc::clone(key),
            operator: Operator::In(vec![read_label_value(value)?]),
        })
    }

    fn read(expression: &Field<'_>) -> Result<Self, BadInput> {
        expression.only(&["key", "operator", "values"])?;
        let key_field = expression.required("key")?;
        let key = key_field.string()?;
        if !is_label_key(&key) {
            return Err(key_field.invalid(LABEL_KEY));
        }
        let values = expression
            .items("values")?
            .map(|value| read_label_value(&value))
            .collect::<Result<Vec<_>, _>>()?;
        let operator = Operator::read(expression, values)?;
        Ok(Self { key, operator })
    }

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

impl Operator {
    fn read(expression: &Field<'_>, values: Vec<Arc<str>>) -> Result<Self, BadInput> {
        let operator = expression.required("operator")?;
        let word = operator.string()?;
        match (&*word, values.is_empty()) {
            ("In", false) => Ok(Self::In(values)),
            ("NotIn", false) => Ok(Self::NotIn(values)),
            ("Exists", true) => Ok(Self::Exists),
            ("DoesNotExist", true) => Ok(Self::DoesNotExist),
            ("In" | "NotIn", true) => Err(expression.missing("values", format!("{word} needs at least one value"))),
            ("Exists" | "DoesNotExist", false) => Err(expression.required("values")?.error(Problem::Conflict {
                what: format!("{word} takes no values").into(),
                remedy: "remove values, or use In or NotIn".into(),
            })),
            _ => Err(operator.invalid("In, NotIn, Exists or DoesNotExist")),
        }
    }
}

fn read_label_value(value: &Field<'_>) -> Result<Arc<str>, BadInput> {
    let text = value.string()?;
    if !is_label_value(&text) {
        return Err(value.invalid(LABEL_VALUE));
    }
    Ok(text)
}
