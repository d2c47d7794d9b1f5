//! Which of a configuration's changes are needed.

use crate::{
    Configuration, History, Parameter, Problem, Scale, Value,
    sampler::{Manner, Noise, SURE, SuggestError, Surrogate},
};

/// What may be lost by leaving changes out: a share of the objective, such as the search itself makes
/// nothing of.
const NEGLIGIBLE: f64 = 0.01;

/// A configuration with fewer changes from another that the model expects to be as good. Nothing measured
/// it.
#[derive(Clone, Debug, PartialEq)]
pub struct Simpler {
    /// The configuration.
    pub configuration: Configuration,
    /// The median of the objective, in the metric's unit.
    pub objective: f64,
    /// The probability that all targets are met.
    pub meets_targets: f64,
}

impl Simpler {
    /// Takes back one change after the other, each time the one with which the model expects the best
    /// objective, while that stays within a hundredth of what it expects of all changes, and the
    /// configuration meets the targets and starts with a probability of at least 0.95. `None` where every
    /// change is needed, or none.
    pub(crate) fn of(
        problem: &Problem,
        history: &History,
        changed: &Configuration,
        base: &Configuration,
    ) -> Result<Option<Self>, SuggestError> {
        let surrogate =
            Surrogate::fit(problem, history, &[], Manner::new(Noise::MeasuredAndLearnt))?;
        let view = View { problem, surrogate: &surrogate };
        let Some((all, scale)) = view.cost(changed) else { return Ok(None) };
        let worst = all + scale.step(NEGLIGIBLE, all);
        let mut best = changed.clone();
        loop {
            let changes = view.changes(&best, base);
            let fewer = changes.iter().filter_map(|name| view.without(&best, base, name));
            let fewer = fewer.filter(|one| view.is_sure(one));
            let fewer = fewer.filter_map(|one| Some((view.cost(&one)?.0, one)));
            let next = fewer.min_by(|(a, _), (b, _)| a.total_cmp(b));
            match next {
                Some((cost, one)) if cost <= worst => best = one,
                _ => break,
            }
        }
        let is_needed = best == *changed || view.changes(&best, base).is_empty();
        Ok(if is_needed { None } else { view.simpler(best) })
    }
}

struct View<'a> {
    problem: &'a Problem,
    surrogate: &'a Surrogate,
}

impl<'a> View<'a> {
    fn point(&self, configuration: &Configuration) -> Vec<f64> {
        self.problem.space().encode(configuration).coordinates().to_vec()
    }

    /// The expected objective on the model's scale, less is better; `None` before it is modelled.
    fn cost(&self, configuration: &Configuration) -> Option<(f64, Scale)> {
        let (posterior, scale) = self.surrogate.objective(&self.point(configuration))?;
        Some((self.problem.objective().direction.as_cost(posterior.mean), scale))
    }

    fn is_sure(&self, configuration: &Configuration) -> bool {
        let point = self.point(configuration);
        let meets_targets: f64 = self.surrogate.feasibilities(&point).iter().product();
        meets_targets * self.surrogate.validity(&point) >= SURE
    }

    /// The parameters that differ, in the order of the space; those that exist only by another's change are
    /// not counted beside it.
    fn changes(&self, configuration: &Configuration, base: &Configuration) -> Vec<&'a str> {
        let parameters = self.problem.space().parameters().iter();
        let differing = parameters.filter(|parameter| {
            let name = parameter.name();
            match (configuration.get(name), base.get(name)) {
                (Some(value), Some(base)) => value != base,
                _ => false,
            }
        });
        differing.map(Parameter::name).collect()
    }

    /// The configuration with one parameter as in the base, and what exists only by it likewise; `None`
    /// where that breaks a rule.
    fn without(
        &self,
        configuration: &Configuration,
        base: &Configuration,
        name: &str,
    ) -> Option<Configuration> {
        let mut built = Configuration::new();
        for parameter in self.problem.space().parameters() {
            if !parameter.is_active(&built) {
                continue;
            }
            let of_base = || base.get(parameter.name());
            let own = configuration.get(parameter.name()).filter(|_| parameter.name() != name);
            let value: &Value = own.or_else(of_base)?;
            built = built.with(parameter.name(), value.clone());
        }
        self.problem.space().check(&built).is_ok().then_some(built)
    }

    fn simpler(&self, configuration: Configuration) -> Option<Simpler> {
        let point = self.point(&configuration);
        let (posterior, scale) = self.surrogate.objective(&point)?;
        Some(Simpler {
            configuration,
            objective: scale.backward(posterior.mean),
            meets_targets: self.surrogate.feasibilities(&point).iter().product(),
        })
    }
}
