//! Which parameters move a metric, by how much, and how well that is known.
//!
//! A forest of regression trees is grown on the configurations that were measured. Its variance over the
//! whole search space is then taken apart by parameters: functional analysis of variance (Hutter, Hoos and
//! Leyton-Brown, ICML 2014; the shares are Sobol's indices). All levels of a parameter weigh the same, and
//! all places of its scale; a parameter that does not exist in a configuration has no effect there.
//!
//! What is known of a share is told in three ways:
//!
//! - Groups of trees see different samples of the trials (a bootstrap of little bags, as in Athey,
//!   Tibshirani and Wager, Annals of Statistics 2019). How far the groups differ is the standard error.
//! - Each group also sees a column of random numbers (a shadow, as in Boruta: Kursa and Rudnicki, Journal
//!   of Statistical Software 2010). What that gets is what chance gives.
//! - Each trial is predicted by the trees that did not see it. Where they are no better than the mean of
//!   all trials, [`Unknown`] says so.
//!
//! Not in the error: a forest of few trials gives too much to the strongest parameter.
//!
//! ```
//! use slotune_core::{Parameter, Scale, SearchSpace, importance::Importance};
//!
//! let parameters = vec![Parameter::float("width", 0.0, 1.0), Parameter::boolean("idle")];
//! let space = SearchSpace::new(parameters, vec![])?;
//! let trials: Vec<_> = (0..20)
//!     .map(|i| space.configuration_at(&[f64::from(i) / 20.0, f64::from(i % 2)]))
//!     .map(|configuration| {
//!         let width = configuration.float("width").unwrap();
//!         (configuration, 1.0 + width)
//!     })
//!     .collect();
//! let importance = Importance::new(&space, &trials, Scale::Linear, 7)?;
//! assert_eq!(importance.parameters[0].parameter, "width");
//! assert!(importance.parameters[0].is_told && !importance.parameters[1].is_told);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod effect;
mod forest;
mod samples;
mod tree;

use serde::Serialize;

use crate::{Configuration, ConfigurationError, Estimate, Scale, SearchSpace, Value};
use effect::Landscape;
use forest::Forest;
use samples::Samples;

/// Share of the groups of trees in which a parameter has to be above chance to be told from it.
const TOLD: f64 = 0.95;

/// Parameters whose pairs are looked at for the strongest.
const PAIRED: usize = 3;

/// Standard errors in half of a 95 % interval.
const HALF_INTERVAL: f64 = 1.96;

/// What a forest says of a metric over a search space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// Different configurations that the forest learnt from.
    pub configurations: usize,
    /// Share of the variance of configurations that the trees had not seen which they predict; above 0.
    pub predicted: f64,
    /// The parameters, by [`share`](ParameterImportance::share), largest first.
    pub parameters: Vec<ParameterImportance>,
    /// The share that a column of random numbers gets.
    pub chance: Estimate,
    /// The two of the most important parameters that explain most together; `None` of a space of one.
    pub pair: Option<PairEffect>,
}

/// What one parameter does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParameterImportance {
    /// Its name.
    pub parameter: String,
    /// Share of the variance that is gone when the parameter is held, 0 to 1: its own effect and
    /// what it does together with others, which counts for each of them (Sobol's total index).
    pub share: Estimate,
    /// The part of `share` that the parameter has by itself (Sobol's first index).
    pub alone: Estimate,
    /// Whether its share is above that of chance in 95 % of the groups of trees.
    pub is_told: bool,
    /// The metric over the parameter's values, in their order; those of a continuous one are evenly
    /// spread on its scale.
    pub effect: Vec<EffectPoint>,
}

/// The metric at one value of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectPoint {
    /// The value.
    pub value: Value,
    /// The metric in its unit: the mean over all settings of the other parameters with which this
    /// one exists, a geometric mean on the log scale.
    pub mean: f64,
    /// Lower end of the 95 % interval of the mean.
    pub low: f64,
    /// Upper end of the 95 % interval of the mean.
    pub high: f64,
}

/// The metric over the values of two parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairEffect {
    /// Name of the parameter with the larger share.
    pub first: String,
    /// Name of the other.
    pub second: String,
    /// Share of the variance that the two explain together.
    pub share: Estimate,
    /// The part of `share` that neither explains alone.
    pub interaction: Estimate,
    /// Values of the first.
    pub first_values: Vec<Value>,
    /// Values of the second.
    pub second_values: Vec<Value>,
    /// The metric in its unit, a row for each value of the first: the mean as in
    /// [`EffectPoint::mean`]; `None` where no configuration has the two values.
    pub means: Vec<Vec<Option<f64>>>,
}

/// Why nothing can be told of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unknown {
    /// There are too few configurations.
    #[error(
        "{configurations} different configurations that set every parameter of the space were measured, and it takes \
         {needed} to tell the parameters apart"
    )]
    TooFew {
        /// How many there are.
        configurations: usize,
        /// How many it takes: ten, or twice the number of parameters.
        needed: usize,
    },
    /// The metric has one value everywhere.
    #[error("the metric has the same value in all {configurations} configurations")]
    NoVariance {
        /// How many there are.
        configurations: usize,
    },
    /// Trees do not predict what they have not seen.
    #[error(
        "a forest of {configurations} configurations predicts the others no better than their mean: measure more"
    )]
    Unpredictable {
        /// How many there are.
        configurations: usize,
    },
}

impl Importance {
    /// What the parameters of `space` do to a metric that was measured at configurations of it.
    ///
    /// Values are in the metric's unit and finite. On the log scale, shares are of the variance of the
    /// logarithm; values that are not all positive are seen linearly. Values of equal configurations are
    /// averaged. A configuration that leaves out a parameter that it should have is no point of the
    /// space: see [`is_point`]. The same arguments give the same result.
    ///
    /// # Errors
    /// [`Unknown`] says why nothing can be told.
    pub fn new(
        space: &SearchSpace,
        trials: &[(Configuration, f64)],
        scale: Scale,
        seed: u64,
    ) -> Result<Self, Unknown> {
        let samples = Samples::new(space, trials, scale);
        let configurations = samples.values.len();
        let needed = (2 * space.parameters().len()).max(10);
        if configurations < needed {
            return Err(Unknown::TooFew { configurations, needed });
        }
        if samples.values.iter().all(|value| value.total_cmp(&samples.values[0]).is_eq()) {
            return Err(Unknown::NoVariance { configurations });
        }
        let forest = Forest::fit(&samples, seed);
        let predicted = forest.predicted(&samples);
        if predicted <= 0.0 {
            return Err(Unknown::Unpredictable { configurations });
        }
        let landscape = Landscape::new(space, &samples, &forest);
        let chance = landscape.chance();
        let mut parameters: Vec<ParameterImportance> = (0..space.parameters().len())
            .map(|column| {
                let axis = landscape.axis(column);
                let above = axis.total.iter().zip(&chance).filter(|(own, chance)| own > chance);
                ParameterImportance {
                    parameter: space.parameters()[column].name().to_owned(),
                    is_told: above.count() as f64 >= TOLD * chance.len() as f64,
                    share: estimate(&axis.total),
                    alone: estimate(&axis.main),
                    effect: axis.points(samples.scale),
                }
            })
            .collect();
        parameters.sort_by(|a, b| b.share.value.total_cmp(&a.share.value));
        let strongest: Vec<usize> = parameters
            .iter()
            .take(PAIRED)
            .filter_map(|found| space.parameters().iter().position(|p| p.name() == found.parameter))
            .collect();
        let pair = landscape.strongest_pair(&strongest);
        Ok(Self { configurations, predicted, parameters, chance: estimate(&chance), pair })
    }
}

/// Whether a configuration sets every parameter that it should have to a value of its domain, and so is
/// a point of the space, whatever the rules say of it.
pub fn is_point(space: &SearchSpace, configuration: &Configuration) -> bool {
    matches!(space.check(configuration), Ok(()) | Err(ConfigurationError::BreaksRule { .. }))
}

/// Mean and standard deviation over the groups of trees.
fn estimate(groups: &[f64]) -> Estimate {
    Estimate::new(mean(groups), variance(groups).sqrt())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean square distance from the mean.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests;
