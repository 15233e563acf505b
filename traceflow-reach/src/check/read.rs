//! The file of expectations.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Documents, Field, Place, Problem, Text, Value};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;

use crate::ports::Ports;
use crate::selector::Selector;
use crate::words::shown;

/// The expectations of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    pub(super) expectations: Vec<Expectation>,
}

/// What is expected of the packets from some to others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expectation {
    pub(super) name: Arc<str>,
    pub(super) from: Vec<Located<Selector>>,
    pub(super) to: Vec<Located<Selector>>,
    pub(super) ports: Ports,
    pub(super) expect: Expected,
    /// What is expected of those from everybody else.
    pub(super) others: Option<Located<Expected>>,
    pub(super) by: Option<Located<By>>,
    pub(super) may_be_empty: bool,
    pub(super) place: Located<()>,
}

/// How packets are expected to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// They arrive; at an address outside, they leave the network.
    Delivered,
    /// Policies drop or reject them.
    Denied,
    /// Policies drop them without a word.
    Dropped,
    /// Policies reject them, and the sender is told.
    Rejected,
}

impl Expected {
    const ALL: [Self; 4] = [Self::Delivered, Self::Denied, Self::Dropped, Self::Rejected];

    /// The word of the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Denied => "denied",
            Self::Dropped => "dropped",
            Self::Rejected => "rejected",
        }
    }

    fn read(field: &Field<'_>) -> Result<Self, BadInput> {
        let word = field.string()?;
        let known = Self::ALL.into_iter().find(|expected| expected.word() == &*word);
        known.ok_or_else(|| field.invalid("delivered, denied, dropped or rejected"))
    }
}

/// The policy behind a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct By {
    pub(super) policy: PolicyRef,
    pub(super) rule: Option<Arc<str>>,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "rule {rule} of {}", self.policy),
            None => self.policy.fmt(f),
        }
    }
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    text: Text,
    place: Place,
    path: String,
}

impl<T> Located<T> {
    fn new(value: T, field: &Field<'_>, text: &Text) -> Self {
        Self {
            value,
            text: text.clone(),
            place: field.place(),
            path: field.path(),
        }
    }

    /// A mistake in the value.
    pub(super) fn error(&self, problem: Problem) -> BadInput {
        BadInput::new(self.path.clone(), problem).at(&self.text, self.place)
    }

    /// What messages call the file.
    pub(super) fn label(&self) -> &Arc<str> {
        self.text.label()
    }
}

impl Checks {
    /// Reads expectations, YAML or JSON, from all documents of the text.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn read(text: &Text) -> Result<Self, BadInput> {
        let mut expectations = Vec::new();
        let mut is_empty = true;
        for document in Documents::new(text) {
            let document = document?;
            is_empty = false;
            let root = document.root();
            root.only(&["expectations"])?;
            root.required("expectations")?;
            for item in root.items("expectations")? {
                expectations.push(Expectation::read(&item, text)?);
            }
            if expectations.is_empty() {
                let remedy = "add an expectation, such as {from: '*', to: app=db, ports: tcp/5432, expect: denied}";
                return Err(root.required("expectations")?.error(Problem::Unusable {
                    what: "there are no expectations".into(),
                    remedy: remedy.into(),
                }));
            }
        }
        if is_empty {
            let expected = "a list of expectations";
            return Err(BadInput::new("", Problem::Empty { expected }).at(text, Place::START));
        }
        Ok(Self { expectations })
    }

    /// These expectations and those of another file.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.expectations.extend(others.expectations);
        self
    }
}

impl Expectation {
    fn read(item: &Field<'_>, text: &Text) -> Result<Self, BadInput> {
        item.only(&["name", "from", "to", "ports", "expect", "others", "by", "mayBeEmpty"])?;
        let from = selectors(item, "from", text)?;
        for selector in &from {
            if let Some(what) = selector.value.only_receives() {
                return Err(selector.error(Problem::Unusable {
                    what: format!("{} is {what}, from which nothing can be sent", selector.value).into(),
                    remedy: "select Pods".into(),
                }));
            }
        }
        let to = selectors(item, "to", text)?;
        let ports = ports(item)?;
        let expect = Expected::read(&item.required("expect")?)?;
        let others = item.optional("others")?;
        let others = others.map(|field| Ok(Located::new(Expected::read(&field)?, &field, text)));
        let others = others.transpose()?;
        let by = item.optional("by")?;
        let by = by
            .map(|field| Ok(Located::new(By::read(&field)?, &field, text)))
            .transpose()?;
        let delivers = |expected: Expected| expected == Expected::Delivered;
        if let Some(by) = &by
            && delivers(expect)
            && others.as_ref().is_none_or(|others| delivers(others.value))
        {
            return Err(by.error(Problem::Conflict {
                what: "by names what denies, and nothing is denied here".into(),
                remedy: "remove it, or expect denied, dropped or rejected".into(),
            }));
        }
        let name = match item.optional("name")? {
            Some(name) => name.string()?,
            None => described(&from, &to, &ports, expect),
        };
        Ok(Self {
            may_be_empty: item
                .optional("mayBeEmpty")?
                .map_or(Ok(false), |field| field.boolean())?,
            place: Located::new((), item, text),
            name,
            from,
            to,
            ports,
            expect,
            others,
            by,
        })
    }
}

/// What an expectation is called that has no name.
fn described(from: &[Located<Selector>], to: &[Located<Selector>], ports: &Ports, expect: Expected) -> Arc<str> {
    let all = |selectors: &[Located<Selector>]| {
        let texts = selectors.iter().map(|selector| selector.value.to_string());
        texts.collect::<Vec<_>>().join(" and ")
    };
    format!("{} to {}, {ports}: {}", all(from), all(to), expect.word()).into()
}

/// A selector, or a list of them.
fn selectors(item: &Field<'_>, key: &'static str, text: &Text) -> Result<Vec<Located<Selector>>, BadInput> {
    let field = item.required(key)?;
    let selector = |field: &Field<'_>| Ok(Located::new(from_string(field)?, field, text));
    if !matches!(field.node().value, Value::List(_)) {
        return Ok(vec![selector(&field)?]);
    }
    let selectors = item
        .items(key)?
        .map(|item| selector(&item))
        .collect::<Result<Vec<_>, BadInput>>()?;
    if selectors.is_empty() {
        return Err(field.error(Problem::Unusable {
            what: "this list is empty".into(),
            remedy: "add a selector, such as app=web or *".into(),
        }));
    }
    Ok(selectors)
}

/// Ports in one string, or in a list.
fn ports(item: &Field<'_>) -> Result<Ports, BadInput> {
    let field = item.required("ports")?;
    if !matches!(field.node().value, Value::List(_)) {
        return from_string(&field);
    }
    let texts = item.items("ports")?.map(|item| {
        from_string::<crate::ports::Port>(&item)?;
        item.string()
    });
    let joined = texts.collect::<Result<Vec<_>, _>>()?.join(",");
    joined
        .parse()
        .map_err(|mistake: BadInput| field.error(mistake.problem().clone()))
}

/// A string that is read as something else; its mistakes are at the field.
fn from_string<T: FromStr<Err = BadInput>>(field: &Field<'_>) -> Result<T, BadInput> {
    let text = field.string()?;
    text.parse()
        .map_err(|mistake: BadInput| field.error(mistake.problem().clone()))
}

/// What a policy is called in this project.
const POLICY: &str = "a policy as traces name it, such as K8sNetworkPolicy:shop/web, AntreaNetworkPolicy:shop/web or \
                      AntreaClusterNetworkPolicy:strict";

impl By {
    fn read(field: &Field<'_>) -> Result<Self, BadInput> {
        field.only(&["policy", "rule"])?;
        let policy = field.required("policy")?;
        let name = policy.string()?;
        let by = Self {
            policy: policy_ref(&name).ok_or_else(|| policy.invalid(POLICY))?,
            rule: field.optional("rule")?.map(|rule| rule.string()).transpose()?,
        };
        if let (Some(rule), true) = (&by.rule, by.is_kubernetes()) {
            return Err(field.required("rule")?.error(Problem::Conflict {
                what: format!("no rule of a Kubernetes policy denies, and {} has no name", shown(rule)).into(),
                remedy: "remove rule: that policy denies by isolating Pods".into(),
            }));
        }
        Ok(by)
    }

    fn is_kubernetes(&self) -> bool {
        self.policy.kind == traceflow_core::observation::PolicyKind::K8sNetworkPolicy
    }
}

/// `K8sNetworkPolicy:namespace/name` and its like.
fn policy_ref(text: &str) -> Option<PolicyRef> {
    let (kind, name) = text.split_once(':')?;
    let namespaced = || {
        let (namespace, name) = name.split_once('/')?;
        (!namespace.is_empty() && !name.is_empty()).then(|| ObjectName::new(namespace, name))
    };
    match kind {
        "K8sNetworkPolicy" => namespaced().map(PolicyRef::kubernetes),
        "AntreaNetworkPolicy" => namespaced().map(PolicyRef::antrea),
        "AntreaClusterNetworkPolicy" if !name.is_empty() && !name.contains('/') => {
            Some(PolicyRef::antrea_cluster(name))
        }
        _ => None,
    }
}
