//! Rules between parameters that are known before any trial.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Condition, Configuration, Parameter};

/// A known inequality between parameters, `left >= right`, perhaps only under a condition.
///
/// A configuration that breaks a rule is never proposed. A rule says nothing about configurations
/// in which one of its parameters does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub(super) left: Operand,
    pub(super) right: Operand,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Condition>,
}

/// One side of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Operand {
    /// A fixed number.
    Constant(f64),
    /// The value of the named parameter.
    Parameter(String),
}

impl Rule {
    /// `left >= right`, each a parameter's name or a number.
    ///
    /// ```
    /// use slotune_core::Rule;
    /// let rule = Rule::at_least("max_num_batched_tokens", 16384.0)
    ///     .when("enable_chunked_prefill", false);
    /// assert_eq!(
    ///     rule.to_string(),
    ///     "max_num_batched_tokens >= 16384 when enable_chunked_prefill = false"
    /// );
    /// ```
    pub fn at_least(left: impl Into<Operand>, right: impl Into<Operand>) -> Self {
        Self { left: left.into(), right: right.into(), when: None }
    }

    /// Restricts the rule to configurations where `parameter` has this value.
    #[must_use]
    pub fn when(mut self, parameter: impl Into<String>, value: impl Into<super::Value>) -> Self {
        self.when = Some(Condition::new(parameter, value));
        self
    }

    /// Whether the configuration satisfies the rule.
    pub fn holds(&self, configuration: &Configuration) -> bool {
        if self.when.as_ref().is_some_and(|condition| !condition.holds(configuration)) {
            return true;
        }
        match (self.left.number(configuration), self.right.number(configuration)) {
            (Some(left), Some(right)) => left >= right,
            _ => true,
        }
    }

    /// Checks that operands are numeric parameters of the space.
    pub(super) fn check(&self, parameters: &[Parameter]) -> Result<(), String> {
        for operand in [&self.left, &self.right] {
            match operand {
                Operand::Constant(number) if !number.is_finite() => {
                    return Err(format!("{number} is not finite; give a number"));
                }
                Operand::Constant(_) => {}
                Operand::Parameter(name) => {
                    let Some(parameter) = parameters.iter().find(|p| p.name() == name) else {
                        return Err(format!("`{name}` is not a parameter of the space"));
                    };
                    let first = parameter.domain().values().next();
                    if first.is_none_or(|value| value.number().is_none()) {
                        return Err(format!("`{name}` is no number, so it cannot be compared"));
                    }
                }
            }
        }
        self.when.as_ref().map_or(Ok(()), |condition| condition.check(parameters))
    }
}

impl Operand {
    pub(super) fn number(&self, configuration: &Configuration) -> Option<f64> {
        match self {
            Self::Constant(number) => Some(*number),
            Self::Parameter(name) => configuration.get(name)?.number(),
        }
    }
}

impl From<f64> for Operand {
    fn from(number: f64) -> Self {
        Self::Constant(number)
    }
}

impl From<&str> for Operand {
    fn from(name: &str) -> Self {
        Self::Parameter(name.to_owned())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(number) => number.fmt(f),
            Self::Parameter(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} >= {}", self.left, self.right)?;
        match &self.when {
            Some(condition) => write!(f, " when {condition}"),
            None => Ok(()),
        }
    }
}
