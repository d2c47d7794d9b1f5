//! The search space: named parameters, their domains, and what is known of their combinations.

mod configuration;
mod domain;
mod encode;
mod mend;
mod parameter;
mod rule;
mod value;

use serde::{Deserialize, Serialize};

pub use configuration::{Configuration, ConfigurationError};
pub use domain::Domain;
pub use encode::{Column, DesignPoint};
pub use parameter::{Condition, Parameter};
pub use rule::{Operand, Rule};
pub use value::Value;

use crate::random::SobolPoints;

/// Spaces up to this many configurations are enumerated, to prove that the rules leave one, and
/// by the samplers, to score every candidate.
pub(crate) const ENUMERATION_LIMIT: u128 = 20_000;

/// All allowed configurations: parameters, and the rules that hold between them.
///
/// A `SearchSpace` that exists is valid: names are unique, domains non-empty, conditions and rules
/// name parameters that exist, and at least one configuration satisfies all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Declaration", into = "Declaration")]
pub struct SearchSpace {
    parameters: Vec<Parameter>,
    rules: Vec<Rule>,
}

/// What a search space is written as; reading it checks it.
#[derive(Serialize, Deserialize)]
#[serde(rename = "SearchSpace")]
struct Declaration {
    parameters: Vec<Parameter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
}

impl SearchSpace {
    /// Checks the declared parameters and rules and makes them a space.
    ///
    /// # Errors
    /// [`SpaceError`] names the first parameter or rule at fault and what to change.
    pub fn new(parameters: Vec<Parameter>, rules: Vec<Rule>) -> Result<Self, SpaceError> {
        if parameters.is_empty() {
            return Err(SpaceError::NoParameters);
        }
        for (position, parameter) in parameters.iter().enumerate() {
            let earlier = &parameters[..position];
            if parameter.name().is_empty() {
                return Err(SpaceError::EmptyName { position });
            }
            if earlier.iter().any(|other| other.name() == parameter.name()) {
                return Err(SpaceError::DuplicateName { parameter: parameter.name().to_owned() });
            }
            parameter.domain().check().map_err(|problem| SpaceError::Domain {
                parameter: parameter.name().to_owned(),
                problem,
            })?;
            if let Some(condition) = parameter.condition() {
                // Only earlier parameters may be named, so conditions cannot form a cycle.
                condition.check(earlier).map_err(|problem| SpaceError::Condition {
                    parameter: parameter.name().to_owned(),
                    problem,
                })?;
            }
        }
        for rule in &rules {
            rule.check(&parameters)
                .map_err(|problem| SpaceError::Rule { rule: rule.to_string(), problem })?;
        }
        let space = Self { parameters, rules };
        if space.some_valid_configuration().is_none() {
            let rules: Vec<String> = space.rules.iter().map(ToString::to_string).collect();
            return Err(SpaceError::NothingAllowed { rules: rules.join("; ") });
        }
        Ok(space)
    }

    /// The parameters, in declaration order, which is also the order of design-point columns.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The known rules between parameters.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name() == name)
    }

    /// Checks that a configuration assigns a value of its domain to each active parameter, to no
    /// other name, and breaks no rule.
    ///
    /// # Errors
    /// [`ConfigurationError`] names the parameter or rule, the value seen and what is allowed.
    pub fn check(&self, configuration: &Configuration) -> Result<(), ConfigurationError> {
        for (name, value) in configuration.iter() {
            let Some(parameter) = self.parameter(name) else {
                return Err(ConfigurationError::UnknownParameter {
                    parameter: name.to_owned(),
                    known: self.parameters.iter().map(|p| p.name().to_owned()).collect(),
                });
            };
            if !parameter.is_active(configuration) {
                return Err(ConfigurationError::Inactive {
                    parameter: name.to_owned(),
                    condition: parameter.condition().map(ToString::to_string).unwrap_or_default(),
                });
            }
            if !parameter.domain().contains(value) {
                return Err(ConfigurationError::OutsideDomain {
                    parameter: name.to_owned(),
                    value: value.clone(),
                    domain: parameter.domain().to_string(),
                });
            }
        }
        for parameter in &self.parameters {
            if parameter.is_active(configuration) && configuration.get(parameter.name()).is_none() {
                return Err(ConfigurationError::Missing {
                    parameter: parameter.name().to_owned(),
                    domain: parameter.domain().to_string(),
                });
            }
        }
        match self.rules.iter().find(|rule| !rule.holds(configuration)) {
            Some(rule) => Err(ConfigurationError::BreaksRule {
                rule: rule.to_string(),
                configuration: configuration.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The values that a configuration has for the parameters of this space, such as what vLLM chose by
    /// itself for those of a search.
    ///
    /// # Errors
    /// As [`check`](Self::check), where they are no configuration of this space.
    pub fn restrict(
        &self,
        configuration: &Configuration,
    ) -> Result<Configuration, ConfigurationError> {
        let names = self.parameters.iter().map(Parameter::name);
        let restricted =
            names.fold(Configuration::new(), |all, name| match configuration.get(name) {
                Some(value) => all.with(name, value.clone()),
                None => all,
            });
        self.check(&restricted).map(|()| restricted)
    }

    /// Whether every rule holds.
    pub fn allows(&self, configuration: &Configuration) -> bool {
        self.rules.iter().all(|rule| rule.holds(configuration))
    }

    /// All allowed configurations in lexicographic order of the parameters, or `None` where the
    /// domains (before rules and conditions) hold more than `limit` combinations or a continuous
    /// parameter.
    pub fn enumerate(&self, limit: u128) -> Option<Vec<Configuration>> {
        let size = self
            .parameters
            .iter()
            .try_fold(1_u128, |size, parameter| size.checked_mul(parameter.domain().size()?))?;
        if size > limit {
            return None;
        }
        let mut partial = vec![Configuration::new()];
        for parameter in &self.parameters {
            partial = partial
                .into_iter()
                .flat_map(|configuration| {
                    if parameter.is_active(&configuration) {
                        let with = |value| {
                            let mut configuration = configuration.clone();
                            configuration.set(parameter.shared_name(), Some(value));
                            configuration
                        };
                        parameter.domain().values().map(with).collect()
                    } else {
                        vec![configuration]
                    }
                })
                .collect();
        }
        partial.retain(|configuration| self.allows(configuration));
        Some(partial)
    }

    /// The configuration at a point of the unit cube. Levels, small integers, categories and
    /// booleans each own an equal share of their axis; floats and large integers lie by value on
    /// their scale. Rules may be broken: see [`allows`](Self::allows).
    ///
    /// # Panics
    /// When `unit` does not hold one coordinate for each parameter.
    pub fn configuration_at(&self, unit: &[f64]) -> Configuration {
        let mut configuration = Configuration::new();
        self.move_to(&mut configuration, unit, Domain::at);
        configuration
    }

    /// Overwrites a configuration of this space with the one at these coordinates, as `value` reads them;
    /// parameters whose condition fails are taken out.
    pub(crate) fn move_to(
        &self,
        configuration: &mut Configuration,
        coordinates: &[f64],
        value: impl Fn(&Domain, f64) -> Value,
    ) {
        assert_eq!(coordinates.len(), self.parameters.len(), "one coordinate for each parameter");
        for (parameter, &coordinate) in self.parameters.iter().zip(coordinates) {
            // Conditions name earlier parameters, which are set by now.
            let is_active = parameter.is_active(configuration);
            let value = is_active.then(|| value(parameter.domain(), coordinate));
            configuration.set(parameter.shared_name(), value);
        }
    }

    /// Some allowed configuration: by enumeration where that is possible, else by mending the points
    /// of a net, which meet the combinations of conditions.
    fn some_valid_configuration(&self) -> Option<Configuration> {
        const NET: usize = 1 << 12;
        if let Some(all) = self.enumerate(ENUMERATION_LIMIT) {
            return all.into_iter().next();
        }
        SobolPoints::new(self.parameters.len(), 0)
            .take(NET)
            .find_map(|unit| self.mended(self.configuration_at(&unit)))
    }
}

impl TryFrom<Declaration> for SearchSpace {
    type Error = SpaceError;

    fn try_from(declaration: Declaration) -> Result<Self, SpaceError> {
        Self::new(declaration.parameters, declaration.rules)
    }
}

impl From<SearchSpace> for Declaration {
    fn from(space: SearchSpace) -> Self {
        Self { parameters: space.parameters, rules: space.rules }
    }
}

/// Why a declaration is no search space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// There is nothing to search.
    #[error("the search space has no parameters; declare at least one")]
    NoParameters,
    /// A name is the empty string.
    #[error("parameter number {position} has an empty name; name it")]
    EmptyName {
        /// Position in the declaration, from 0.
        position: usize,
    },
    /// Two parameters share a name.
    #[error("parameter `{parameter}` is declared twice; remove or rename one")]
    DuplicateName {
        /// The name.
        parameter: String,
    },
    /// The domain is empty or its scale does not fit.
    #[error("parameter `{parameter}`: {problem}")]
    Domain {
        /// The parameter.
        parameter: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// The condition names no earlier parameter, or values it cannot take.
    #[error("condition of parameter `{parameter}`: {problem}")]
    Condition {
        /// The conditional parameter.
        parameter: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// A rule names an unknown parameter or one that is no number.
    #[error("rule `{rule}`: {problem}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// The rules exclude every configuration.
    #[error("no configuration satisfies all rules ({rules}); widen a domain or drop a rule")]
    NothingAllowed {
        /// All rules.
        rules: String,
    },
}

#[cfg(test)]
mod tests;
