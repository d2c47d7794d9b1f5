//! One axis of the search space, and when it exists.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Configuration, Domain, Value};
use crate::objective::Scale;

/// A named axis of the search space. Declared freely; checked by [`SearchSpace::new`](super::SearchSpace::new).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    name: Arc<str>,
    domain: Domain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

impl Parameter {
    /// Real numbers from `low` to `high`, both included.
    pub fn float(name: impl Into<String>, low: f64, high: f64) -> Self {
        Self::new(name, Domain::Float { low, high, scale: Scale::Linear })
    }

    /// Whole numbers from `low` to `high`, both included.
    pub fn integer(name: impl Into<String>, low: i64, high: i64) -> Self {
        Self::new(name, Domain::Integer { low, high, scale: Scale::Linear })
    }

    /// Listed values whose order means something, smallest first.
    pub fn levels<V: Into<Value>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::new(name, Domain::Levels { values: values.into_iter().map(Into::into).collect() })
    }

    /// Names without order.
    pub fn categorical<S: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::new(
            name,
            Domain::Categorical { values: values.into_iter().map(Into::into).collect() },
        )
    }

    /// On or off.
    pub fn boolean(name: impl Into<String>) -> Self {
        Self::new(name, Domain::Boolean)
    }

    /// A parameter of the given domain, present in every configuration.
    pub fn new(name: impl Into<String>, domain: Domain) -> Self {
        Self { name: Arc::from(name.into()), domain, condition: None }
    }

    /// Measures distance on a log scale; has no meaning for, and leaves alone, other domains than
    /// float and integer.
    #[must_use]
    pub fn log(mut self) -> Self {
        if let Domain::Float { scale, .. } | Domain::Integer { scale, .. } = &mut self.domain {
            *scale = Scale::Log;
        }
        self
    }

    /// Makes the parameter exist only where an earlier parameter has this value.
    #[must_use]
    pub fn only_if(mut self, parameter: impl Into<String>, value: impl Into<Value>) -> Self {
        self.condition = Some(Condition::new(parameter, value));
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, for configurations to share.
    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The values it may take.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// When it exists; `None` means always.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// Whether the parameter exists in that configuration.
    pub fn is_active(&self, configuration: &Configuration) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(configuration))
    }
}

/// True where a parameter is present with a given value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    parameter: String,
    value: Value,
}

impl Condition {
    /// True where `parameter` is present and equals `value`.
    pub fn new(parameter: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { parameter: parameter.into(), value: value.into() }
    }

    /// Whether it is true of the configuration.
    pub fn holds(&self, configuration: &Configuration) -> bool {
        configuration.get(&self.parameter).is_some_and(|value| {
            let number = value.number();
            // 1 and 1.0 are one value of a float.
            *value == self.value || (number.is_some() && number == self.value.number())
        })
    }

    /// Where the named parameter stands among `known`, and its coordinate where it has the value; `None`
    /// where it cannot have it.
    pub(super) fn place(&self, known: &[Parameter]) -> Option<(usize, f64)> {
        let position = known.iter().position(|parent| *parent.name == *self.parameter)?;
        Some((position, known[position].domain.encode(&self.value)?))
    }

    /// Checks that the named parameter is among `known` and may take the value.
    pub(super) fn check(&self, known: &[Parameter]) -> Result<(), String> {
        let Some(parent) = known.iter().find(|p| *p.name == *self.parameter) else {
            return Err(format!("`{}` is not a parameter declared before it", self.parameter));
        };
        if parent.domain.contains(&self.value) {
            Ok(())
        } else {
            Err(format!("`{}` cannot be {}; it is {}", self.parameter, self.value, parent.domain))
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.parameter, self.value)
    }
}
