//! Whether a trial whose opening is known is worth its rest.

use super::{Manner, Noise, Surrogate, surrogate::Improvement};
use crate::{Direction, History, Origin, Problem, Trial, gp::Posterior, sampler::SuggestError};

/// A trial goes on while it beats the incumbent with a probability of at least 0.05: standard deviations
/// from the mean of a normal law to its quantile of 0.95.
const DEVIATIONS: f64 = 1.644_853_626_951_472_7;

/// Trials that must be whole before any is judged.
const FEWEST: usize = 4;

/// The worst opening, in the unit of the objective, with which the trial still may beat the incumbent.
///
/// A trial with the opening s has `ρ s + g(x) + noise`, on the scale that the objective is modelled on: ρ
/// and the process g are what the trials so far say of each other and of their openings. What the user gave,
/// and a repeat, is wanted whole.
pub(crate) fn promising_opening(
    problem: &Problem,
    history: &History,
    trial: &Trial,
) -> Result<Option<f64>, SuggestError> {
    let space = problem.space();
    let is_early = history.completed().count() < FEWEST;
    let is_wanted_whole = matches!(trial.origin, Origin::Given | Origin::Repeat);
    if is_early || is_wanted_whole || problem.objective().against.is_some() {
        return Ok(None);
    }
    let surrogate = Surrogate::fit(problem, history, &[], Manner::new(Noise::Learnt))?;
    let Some(Improvement { model, scale, direction, best, .. }) = &surrogate.improvement else {
        return Ok(None);
    };
    let point = space.encode(&trial.configuration);
    let Some((weight, Posterior { mean, variance })) = model.beside_trend(point.coordinates())
    else {
        return Ok(None);
    };
    let deviation = (variance + model.noise_variance()).sqrt();
    let margin = match direction {
        Direction::Minimise => DEVIATIONS * deviation,
        Direction::Maximise => -DEVIATIONS * deviation,
    };
    let limit = scale.backward((best - mean + margin) / weight);
    Ok(limit.is_finite().then_some(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Constraint, Measurement, Objective, Outcome, Parameter, SearchSpace, Study, opening,
        sampler::{Bayesian, Sobol},
    };

    fn problem() -> Problem {
        let parameters = vec![Parameter::float("x", 0.0, 1.0), Parameter::float("y", 0.0, 1.0)];
        let objective = Objective::minimise("latency");
        let objective = objective.subject_to(Constraint::at_least("throughput", 0.0));
        Problem::new(SearchSpace::new(parameters, vec![]).unwrap(), objective)
    }

    fn latency(trial: &Trial) -> f64 {
        let at = |name: &str| trial.configuration.float(name).unwrap();
        ((3.0 * at("x")).sin() + 2.0 * (at("y") - 0.4).powi(2)).exp()
    }

    /// The trial's whole measurement, with this opening.
    fn whole(trial: &Trial, of_opening: f64) -> Outcome {
        let measurement = Measurement::new()
            .with("latency", latency(trial))
            .with("throughput", 1.0)
            .with(opening("latency"), of_opening);
        Outcome::Completed(measurement)
    }

    /// A study that goes on with the model after eight trials of a quasi-random design, whose openings are
    /// such a function of their latencies.
    fn study(of_opening: &dyn Fn(&Trial) -> f64) -> Study {
        let mut design = Study::new(problem(), Box::new(Sobol), 5).unwrap();
        for trial in design.ask_many(8).unwrap() {
            design.tell(trial.id, whole(&trial, of_opening(&trial)), 1.0).unwrap();
        }
        let history = design.history().clone();
        Study::resume(problem(), Box::<Bayesian>::default(), 5, history).unwrap()
    }

    fn best(study: &Study) -> f64 {
        let best = study.history().best(study.problem().objective()).unwrap();
        best.measurement().unwrap().value("latency").unwrap()
    }

    #[test]
    fn a_trial_goes_on_while_its_opening_leaves_it_a_chance() {
        let share = |trial: &Trial| 0.7 * latency(trial);
        let mut study = study(&share);
        for _ in 0..8 {
            let trial = study.ask().unwrap().unwrap();
            let limit = study.promising_opening(&trial).unwrap().expect("it can be told");
            let ratio = limit / (0.7 * best(&study));
            assert!((0.95..2.5).contains(&ratio), "{ratio}");
            study.tell(trial.id, whole(&trial, share(&trial)), 1.0).unwrap();
        }
        let given = Trial { origin: Origin::Given, ..study.ask().unwrap().unwrap() };
        assert_eq!(study.promising_opening(&given).unwrap(), None, "it is wanted whole");
    }

    #[test]
    fn openings_that_say_nothing_prune_nothing() {
        // They rank the trials no better than their numbers do.
        let by_number = |trial: &Trial| 1.0 + f64::from((trial.id.0 * 5 % 8) as u32);
        let mut study = study(&by_number);
        let trial = study.ask().unwrap().unwrap();
        let limit = study.promising_opening(&trial).unwrap();
        assert!(limit.is_none_or(|limit| limit > 8.0), "{limit:?}");
    }

    #[test]
    fn a_pruned_trial_teaches_the_model_and_is_no_candidate() {
        let share = |trial: &Trial| 0.7 * latency(trial);
        let mut study = study(&share);
        let trial = study.ask().unwrap().unwrap();
        let point = problem().space().encode(&trial.configuration).coordinates().to_vec();
        let expected = |study: &Study| {
            let manner = Manner::new(Noise::Learnt);
            let surrogate = Surrogate::fit(study.problem(), study.history(), &[], manner).unwrap();
            surrogate.objective(&point).unwrap().0.mean.exp()
        };
        let before = expected(&study);
        let bad = Measurement::new().with(opening("latency"), 3.0 * 0.7 * before);
        study.tell(trial.id, Outcome::Pruned(bad), 0.2).unwrap();
        assert!(expected(&study) > 1.8 * before, "{} {before}", expected(&study));
        let next = study.ask().unwrap().unwrap();
        assert_ne!(next.configuration, trial.configuration);
        assert!(study.history().best(study.problem().objective()).is_some());
        assert_eq!(study.history().completed().count(), 8);
    }

    #[test]
    fn an_opening_that_is_missing_is_refused() {
        let mut study = study(&|trial| 0.7 * latency(trial));
        let trial = study.ask().unwrap().unwrap();
        let none = Outcome::Pruned(Measurement::new().with("throughput", 1.0));
        let error = study.tell(trial.id, none, 0.2).unwrap_err();
        assert!(error.to_string().contains("`opening_latency`"), "{error}");
    }
}
