//! The sweep over a grid.

use super::{Sampler, SuggestError, Suggestion, unseen::Unseen};
use crate::{Configuration, ConfigurationError, History, Origin, Problem, SearchSpace, Value};

/// Every combination of given levels, in lexicographic order: the first parameter changes slowest.
///
/// Combinations that break a rule, were tried already, or differ only in a parameter that does not
/// exist are left out.
///
/// ```
/// use slotune_core::{Parameter, SearchSpace, sampler::Grid};
///
/// let space = SearchSpace::new(
///     vec![Parameter::integer("width", 1, 64), Parameter::boolean("fast")],
///     vec![],
/// )?;
/// let levels = vec![
///     ("width".to_owned(), vec![16.into(), 32.into()]),
///     ("fast".to_owned(), vec![false.into(), true.into()]),
/// ];
/// let grid = Grid::new(&space, levels)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    levels: Vec<(String, Vec<Value>)>,
}

impl Grid {
    /// A grid with these levels of each parameter of the space.
    ///
    /// # Errors
    /// When a name is not a parameter of the space, a parameter has no level, or a level is not in
    /// its domain.
    pub fn new(
        space: &SearchSpace,
        levels: Vec<(String, Vec<Value>)>,
    ) -> Result<Self, ConfigurationError> {
        let grid = Self { levels };
        grid.check(space)?;
        Ok(grid)
    }

    fn check(&self, space: &SearchSpace) -> Result<(), ConfigurationError> {
        for (name, values) in &self.levels {
            let Some(parameter) = space.parameter(name) else {
                return Err(ConfigurationError::UnknownParameter {
                    parameter: name.clone(),
                    known: space.parameters().iter().map(|p| p.name().to_owned()).collect(),
                });
            };
            if let Some(value) = values.iter().find(|value| !parameter.domain().contains(value)) {
                return Err(ConfigurationError::OutsideDomain {
                    parameter: name.clone(),
                    value: value.clone(),
                    domain: parameter.domain().to_string(),
                });
            }
        }
        let without_level = |name: &str| self.levels_of(name).is_none_or(<[Value]>::is_empty);
        match space.parameters().iter().find(|parameter| without_level(parameter.name())) {
            Some(parameter) => Err(ConfigurationError::Missing {
                parameter: parameter.name().to_owned(),
                domain: parameter.domain().to_string(),
            }),
            None => Ok(()),
        }
    }

    fn levels_of(&self, name: &str) -> Option<&[Value]> {
        self.levels.iter().find(|(other, _)| other == name).map(|(_, values)| values.as_slice())
    }

    /// Positions within the levels of each parameter, as an odometer counts.
    fn positions(&self) -> impl Iterator<Item = Vec<usize>> {
        let advance = |positions: &Vec<usize>| {
            let mut next = positions.clone();
            for (position, (_, values)) in next.iter_mut().zip(&self.levels).rev() {
                *position += 1;
                if *position < values.len() {
                    return Some(next);
                }
                *position = 0;
            }
            None
        };
        std::iter::successors(Some(vec![0; self.levels.len()]), advance)
    }

    /// The combination at these positions, less the parameters that do not exist in it.
    fn configuration(&self, space: &SearchSpace, positions: &[usize]) -> Configuration {
        let mut configuration = Configuration::new();
        // In the order of the space, since a condition names an earlier parameter.
        for parameter in space.parameters() {
            if !parameter.is_active(&configuration) {
                continue;
            }
            let mut levels = self.levels.iter().zip(positions);
            if let Some(((name, values), &position)) =
                levels.find(|((name, _), _)| name == parameter.name())
            {
                configuration = configuration.with(name.clone(), values[position].clone());
            }
        }
        configuration
    }
}

impl Sampler for Grid {
    fn name(&self) -> &'static str {
        "grid"
    }

    fn suggest(
        &self,
        problem: &Problem,
        history: &History,
        count: usize,
        _: u64,
    ) -> Result<Vec<Suggestion>, SuggestError> {
        let space = problem.space();
        // The grid may have been made for another space.
        self.check(space).map_err(SuggestError::Grid)?;
        let mut unseen = Unseen::new(space, history);
        let configurations =
            self.positions().map(|positions| self.configuration(space, &positions));
        let fresh = configurations.filter(|configuration| {
            let fresh = unseen.holds(configuration);
            if fresh {
                unseen.remove(configuration);
            }
            fresh
        });
        let suggestion = |configuration| Suggestion { configuration, origin: Origin::Sampled };
        Ok(fresh.take(count).map(suggestion).collect())
    }
}
