//! Tiers, in which Antrea's policies stand in line.

use std::collections::BTreeMap;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Field, Problem};

/// The tier of policies that name none.
pub const DEFAULT_TIER: &str = "application";

/// The tier that is asked after the Kubernetes policies.
pub const BASELINE_TIER: &str = "baseline";

/// The tiers that Antrea creates by itself.
const STATIC: [(&str, u8); 6] = [
    ("emergency", 50),
    ("securityops", 100),
    ("networkops", 150),
    ("platform", 200),
    (DEFAULT_TIER, 250),
    (BASELINE_TIER, 253),
];

/// A `Tier`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.priority`: lower is asked first.
    pub priority: u8,
}

impl Tier {
    /// Reads the tier `name` from its whole object, which must obey Antrea's rules.
    ///
    /// # Errors
    /// Its first mistake, with the place.
    pub fn read(name: Arc<str>, object: &Field<'_>) -> Result<Self, BadInput> {
        object.only(&["apiVersion", "kind", "metadata", "spec", "status"])?;
        let spec = object.required("spec")?;
        spec.only(&["priority", "description"])?;
        let field = spec.required("priority")?;
        let priority = field.integer(0..=u8::MAX)?;
        match STATIC.iter().find(|(known, _)| **known == *name) {
            Some((_, known)) if *known != priority => Err(field.error(Problem::Conflict {
                what: format!("Antrea's own tier {name} has the priority {known}").into(),
                remedy: "give a tier of your own another name".into(),
            })),
            None if priority >= 250 => Err(field.error(Problem::Conflict {
                what: format!("the priority {priority} is reserved").into(),
                remedy: "use one below 250".into(),
            })),
            _ => Ok(Self { name, priority }),
        }
    }
}

/// The priorities of all tiers by their names, Antrea's own from the start.
///
/// ```
/// use traceflow_sim::policy::antrea::TierPriorities;
///
/// let tiers = TierPriorities::default();
/// assert_eq!(tiers.of("emergency"), Some(50));
/// assert_eq!(tiers.of("mine"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierPriorities(BTreeMap<Arc<str>, u8>);

impl Default for TierPriorities {
    fn default() -> Self {
        Self(STATIC.iter().map(|&(name, priority)| (name.into(), priority)).collect())
    }
}

impl TierPriorities {
    /// Adds a tier, or changes its priority.
    pub fn insert(&mut self, tier: &Tier) {
        self.0.insert(Arc::clone(&tier.name), tier.priority);
    }

    /// The priority of the tier of this name.
    pub fn of(&self, name: &str) -> Option<u8> {
        self.0.get(name).copied()
    }

    /// All tiers, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, u8)> {
        self.0.iter().map(|(name, priority)| (name, *priority))
    }

    /// The tier that is asked at this priority.
    pub fn named_by(&self, priority: u8) -> Option<&Arc<str>> {
        let mut tiers = self.0.iter();
        tiers.find(|(_, known)| **known == priority).map(|(name, _)| name)
    }

    /// The names of the tiers, in the order in which they are asked.
    pub fn names(&self) -> Vec<&str> {
        let mut tiers: Vec<(&Arc<str>, &u8)> = self.0.iter().collect();
        tiers.sort_by_key(|(_, priority)| **priority);
        tiers.into_iter().map(|(name, _)| &**name).collect()
    }
}
