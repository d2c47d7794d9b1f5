//! Typed values by parameter name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Value;

/// Typed values by parameter name: what a trial evaluates.
///
/// Holds only the parameters that exist under their conditions. Any names and values can be put
/// in; [`SearchSpace::check`](super::SearchSpace::check) says whether they fit a space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Arc<str>, Value>", into = "BTreeMap<Arc<str>, Value>")]
pub struct Configuration {
    /// Sorted by name. A search looks at thousands for each trial, so names are shared.
    values: Vec<(Arc<str>, Value)>,
}

impl Configuration {
    /// No values yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one value set.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(&Arc::from(name.into()), Some(value.into()));
        self
    }

    /// Sets one value, or takes it out.
    pub(super) fn set(&mut self, name: &Arc<str>, value: Option<Value>) {
        match (self.position(name), value) {
            (Ok(position), Some(value)) => self.values[position].1 = value,
            (Ok(position), None) => drop(self.values.remove(position)),
            (Err(position), Some(value)) => self.values.insert(position, (Arc::clone(name), value)),
            (Err(_), None) => (),
        }
    }

    /// Where the name stands, or belongs.
    fn position(&self, name: &str) -> Result<usize, usize> {
        // A name that is shared is known by its address.
        match self.values.iter().position(|(other, _)| std::ptr::eq(&raw const **other, name)) {
            Some(position) => Ok(position),
            None => self.values.binary_search_by(|(other, _)| (**other).cmp(name)),
        }
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).ok().map(|position| &self.values[position].1)
    }

    /// The value of that name, if it is an integer.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of that name, if it is a number.
    pub fn float(&self, name: &str) -> Option<f64> {
        self.get(name)?.number()
    }

    /// The value of that name, if it is a boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of that name, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The values that another configuration lacks, or has otherwise.
    #[must_use]
    pub fn changes_from(&self, base: &Self) -> Self {
        let changes = self.values.iter().filter(|(name, value)| base.get(name) != Some(value));
        Self { values: changes.cloned().collect() }
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (&**name, value))
    }
}

impl From<BTreeMap<Arc<str>, Value>> for Configuration {
    fn from(values: BTreeMap<Arc<str>, Value>) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

impl From<Configuration> for BTreeMap<Arc<str>, Value> {
    fn from(configuration: Configuration) -> Self {
        configuration.values.into_iter().collect()
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Why a configuration does not belong to a search space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The space has no parameter of that name.
    #[error("unknown parameter `{parameter}`; the search space has: {}", known.join(", "))]
    UnknownParameter {
        /// The name seen.
        parameter: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A parameter has no value.
    #[error("parameter `{parameter}` has no value; give {domain}")]
    Missing {
        /// The parameter.
        parameter: String,
        /// What it may be.
        domain: String,
    },
    /// A parameter has a value although its condition is not met.
    #[error("parameter `{parameter}` exists only where {condition}; leave it out")]
    Inactive {
        /// The parameter.
        parameter: String,
        /// Its condition.
        condition: String,
    },
    /// The value is of the wrong type or out of bounds.
    #[error("parameter `{parameter}` is {value}, but must be {domain}")]
    OutsideDomain {
        /// The parameter.
        parameter: String,
        /// The value seen.
        value: Value,
        /// What it may be.
        domain: String,
    },
    /// A known rule is broken.
    #[error("configuration {configuration} breaks the rule {rule}")]
    BreaksRule {
        /// The rule.
        rule: String,
        /// The configuration.
        configuration: Configuration,
    },
}
