//! A study file as the values that the rest of the library takes.

use std::{collections::BTreeMap, path::Path};

use slotune_core::{
    Bound, Configuration, Constraint, Objective, Parameter, SearchSpace, SpaceError, Value,
};
use slotune_serving::{
    EngineArguments, Workload,
    metrics::{MeasureOptions, Metric, Slo},
};

use super::{
    Budget, FieldError, FinalsPlan, Goal, ObjectiveTable, PruningTable, SloTable, StudyFile,
    check_limits, check_unit, workload::check_count,
};
use crate::tuner::latency_to_minimise;

/// A study file as the values that the rest of the library takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is tuned, with the rules that vLLM enforces.
    pub space: SearchSpace,
    /// What is optimised.
    pub objective: Objective,
    /// Engine arguments that every trial has in common.
    pub fixed: EngineArguments,
    /// The configuration to compare with besides vLLM's default; may leave parameters out.
    pub baseline: Option<Configuration>,
    /// What the clients send.
    pub workload: Workload,
    /// How runs are measured.
    pub options: MeasureOptions,
    /// What the finals are held under.
    pub finals: FinalsPlan,
}

impl StudyFile {
    /// The values that the file stands for; the workload's relative paths start at `folder`. Opens no file
    /// but those of presets.
    ///
    /// # Errors
    /// [`FieldError`] names the first field that cannot work, and the remedy.
    pub fn plan(&self, folder: &Path) -> Result<Plan, FieldError> {
        self.plan_all(folder).map_err(|mut problems| problems.swap_remove(0))
    }

    /// The same, with every field that cannot work, at least one.
    pub(super) fn plan_all(&self, folder: &Path) -> Result<Plan, Vec<FieldError>> {
        let mut problems = Problems::default();
        problems.keep(check_budget(&self.budget));
        let space = self.search_space(&mut problems);
        let objective = self.objective(&mut problems);
        if let (Some(pruning), Some(objective)) = (self.pruning, &objective) {
            problems.keep(pruning.check(objective));
        }
        let workload = problems.keep(self.workload.workload(folder, self.seed));
        let slo = problems.keep(self.slo.limits(&["slo"]));
        let finals = problems.keep(self.finals(folder));
        let baseline = (!self.baseline.is_empty()).then(|| {
            let values = self.baseline.iter();
            values.fold(Configuration::new(), |all, (name, value)| all.with(name, value.clone()))
        });
        match (space, objective, workload, slo, finals) {
            (Some((space, fixed)), Some(objective), Some(workload), Some(slo), Some(finals))
                if problems.0.is_empty() =>
            {
                let options = MeasureOptions { slo, ..MeasureOptions::default() };
                Ok(Plan { space, objective, fixed, baseline, workload, options, finals })
            }
            _ => Err(problems.0),
        }
    }

    /// What is searched, and what every trial has in common; `None` after a problem.
    fn search_space(&self, problems: &mut Problems) -> Option<(SearchSpace, EngineArguments)> {
        let parameters = self.space.iter().map(|(name, table)| {
            let parameter = table.parameter(name)?;
            // Its values alone, so that those of all parameters are looked at.
            let alone = Parameter::new(name, parameter.domain().clone());
            let values = SearchSpace::new(vec![alone], Vec::new());
            values.map(|_| parameter).map_err(|error| self.space_error(&error))
        });
        let parameters: Vec<_> = parameters.map(|one| problems.keep(one)).collect();
        let fixed = arguments("fixed", &self.fixed, problems);
        arguments("baseline", &self.baseline, problems);
        problems.keep(self.backend.check())?;
        for name in self.fixed.keys().filter(|name| self.space.contains_key(*name)) {
            let problem = "is searched as well; drop it here or under `space`";
            problems.note(FieldError::of_name(["fixed", name], problem));
        }
        let parameters: Vec<Parameter> = parameters.into_iter().collect::<Option<_>>()?;
        let is_argument = |name: &&String| EngineArguments::names().any(|known| known == *name);
        let others = self.baseline.keys().filter(|name| !self.space.contains_key(*name));
        for name in others.filter(is_argument) {
            let problem = "is not searched; move it to `fixed`, or give it values under `space`";
            problems.note(FieldError::of_name(["baseline", name], problem));
        }
        let fixed = fixed?;
        let rules = problems.keep(self.backend.rules(&parameters, &fixed))?;
        let space = SearchSpace::new(parameters, rules).map_err(|error| self.space_error(&error));
        Some((problems.keep(space)?, fixed))
    }

    /// What is optimised under which bounds; `None` after a problem.
    fn objective(&self, problems: &mut Problems) -> Option<Objective> {
        let goals = problems.keep(self.goals());
        let constraints = self.constraints.iter();
        let constraints: Vec<_> =
            constraints.map(|(name, bound)| problems.keep(constraint(name, *bound))).collect();
        let lacks_limits = self.slo.limits(&["slo"]).is_ok_and(|slo| !slo.has_limits());
        if let Some(path) = self.names_goodput().filter(|_| goals.is_some() && lacks_limits) {
            let problem = "needs the limits of a good request; give `[slo]`, such as `ttft_s`";
            problems.note(FieldError::of_name(path, problem));
        }
        constraints.into_iter().try_fold(goals?, |all, one| Some(all.subject_to(one?)))
    }

    /// The goals alone.
    fn goals(&self) -> Result<Objective, FieldError> {
        let first = self.objective.first()?;
        let objective = Objective::from(first.goal(&["objective"])?);
        Ok(match &self.objective.against {
            Some(second) => objective.against(second.goal(&["objective", "against"])?),
            None => objective,
        })
    }

    /// Where goodput is named, which needs the limits of a good request.
    fn names_goodput(&self) -> Option<Vec<&str>> {
        let is_goodput = |name: &str| Metric::from_name(name) == Ok(Metric::Goodput);
        let ObjectiveTable { minimise, maximise, against } = &self.objective;
        let second = against.as_ref();
        let goals = [
            (vec!["objective", "minimise"], minimise.as_deref()),
            (vec!["objective", "maximise"], maximise.as_deref()),
            (vec!["objective", "against", second.map_or("", Goal::way)], second.map(Goal::metric)),
        ];
        let constraints = self.constraints.keys();
        let constraints = constraints.map(|name| (vec!["constraints", name], Some(name.as_str())));
        let mut all = goals.into_iter().chain(constraints);
        all.find(|(_, metric)| metric.is_some_and(is_goodput)).map(|(path, _)| path)
    }

    fn space_error(&self, error: &SpaceError) -> FieldError {
        match error {
            SpaceError::Domain { parameter, problem } => {
                let field = self.space.get(parameter).map_or("range", |table| table.values_field());
                FieldError::new(["space", parameter, field], problem.as_str())
            }
            SpaceError::Condition { parameter, problem } => {
                FieldError::new(["space", parameter, "only_if"], problem.as_str())
            }
            error => FieldError::new(["space"], error.to_string()),
        }
    }
}

/// Fields that cannot work.
#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn note(&mut self, problem: FieldError) {
        // What is asked for twice may fail twice.
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// What came out right.
    fn keep<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        result.map_err(|problem| self.note(problem)).ok()
    }
}

impl ObjectiveTable {
    /// The first goal.
    fn first(&self) -> Result<Goal, FieldError> {
        match (&self.minimise, &self.maximise) {
            (Some(metric), None) => Ok(Goal::Minimise(metric.clone())),
            (None, Some(metric)) => Ok(Goal::Maximise(metric.clone())),
            (Some(_), Some(_)) => {
                let problem =
                    "stands beside `minimise`; give one of the two, and the other as `against`";
                Err(FieldError::of_name(["objective", "maximise"], problem))
            }
            (None, None) => {
                let problem = "names no metric; give `minimise` or `maximise`";
                Err(FieldError::new(["objective"], problem))
            }
        }
    }
}

impl Goal {
    /// The goal as the search takes it; the table stands at this path.
    fn goal(&self, path: &[&str]) -> Result<slotune_core::Goal, FieldError> {
        let metric = Metric::from_name(self.metric())
            .map_err(|error| FieldError::new([path, &[self.way()]].concat(), error.to_string()))?;
        let goal = match self {
            Self::Minimise(name) => slotune_core::Goal::minimise(name),
            Self::Maximise(name) => slotune_core::Goal::maximise(name),
        };
        Ok(if may_be_zero(metric) { goal.linear() } else { goal })
    }

    /// Name of its field.
    fn way(&self) -> &'static str {
        match self {
            Self::Minimise(_) => "minimise",
            Self::Maximise(_) => "maximise",
        }
    }

    fn metric(&self) -> &str {
        let (Self::Minimise(name) | Self::Maximise(name)) = self;
        name
    }
}

fn constraint(name: &str, bound: Bound) -> Result<Constraint, FieldError> {
    let path = ["constraints", name];
    let metric =
        Metric::from_name(name).map_err(|error| FieldError::of_name(path, error.to_string()))?;
    if !bound.value().is_finite() {
        let problem = format!("is {}; give a finite number", bound.value());
        return Err(FieldError::new(path, problem));
    }
    check_unit(metric, bound.value()).map_err(|error| FieldError::new(path, error.to_string()))?;
    let constraint = match bound {
        Bound::AtLeast(bound) => Constraint::at_least(name, bound),
        Bound::AtMost(bound) => Constraint::at_most(name, bound),
    };
    Ok(if may_be_zero(metric) { constraint.linear() } else { constraint })
}

impl SloTable {
    /// The limits; the table stands at this path.
    pub(super) fn limits(&self, path: &[&str]) -> Result<Slo, FieldError> {
        let Self { ttft_s, tpot_s, e2e_s } = *self;
        for (field, limit) in [("ttft_s", ttft_s), ("tpot_s", tpot_s), ("e2e_s", e2e_s)] {
            positive(&[path, &[field]].concat(), limit)?;
        }
        let slo = Slo { ttft_s, tpot_s, e2e_s };
        check_limits(&slo).map_err(|(field, error)| {
            FieldError::new([path, &[field]].concat(), error.to_string())
        })?;
        Ok(slo)
    }
}

fn check_budget(budget: &Budget) -> Result<(), FieldError> {
    check_count(&["budget", "trials"], Some(budget.trials))?;
    positive(&["budget", "wall_time_s"], budget.wall_time_s)?;
    positive(&["budget", "server_time_s"], budget.server_time_s)?;
    positive(&["budget", "remaining_gain"], budget.remaining_gain)
}

impl PruningTable {
    fn check(self, objective: &Objective) -> Result<(), FieldError> {
        check_count(&["pruning", "requests"], Some(self.requests))?;
        if latency_to_minimise(objective).is_none() {
            let problem = "needs an objective that is one percentile of E2E latency or TTFT, minimised; drop it, or minimise such as `e2e_p95_s`";
            return Err(FieldError::of_name(["pruning"], problem));
        }
        Ok(())
    }

    /// Whether so many requests leave something to spare.
    pub(crate) fn check_within(self, scheduled: usize) -> Result<(), FieldError> {
        if (self.requests as usize) < scheduled {
            return Ok(());
        }
        let problem = format!(
            "is {}, but the workload has {scheduled} requests; give fewer, such as a fifth of them, or drop `pruning`",
            self.requests
        );
        Err(FieldError::new(["pruning", "requests"], problem))
    }
}

/// A number, where one is given, must be finite and above 0.
pub(super) fn positive(path: &[&str], value: Option<f64>) -> Result<(), FieldError> {
    match value {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            let problem = format!("is {value}, but must be a finite number above 0");
            Err(FieldError::new(path.iter().copied(), problem))
        }
        _ => Ok(()),
    }
}

/// Whether a server may have 0 of the metric, where a logarithm has no meaning.
fn may_be_zero(metric: Metric) -> bool {
    matches!(metric, Metric::QueueShare | Metric::CompletedShare | Metric::Goodput)
}

/// The engine arguments of a table; `None` after a problem.
fn arguments(
    table: &str,
    values: &BTreeMap<String, Value>,
    problems: &mut Problems,
) -> Option<EngineArguments> {
    let mut all = EngineArguments::default();
    let mut is_whole = true;
    for (name, value) in values {
        let updated = all.updated(&Configuration::new().with(name, value.clone()));
        match problems
            .keep(updated.map_err(|error| FieldError::of_argument([table, name], None, &error)))
        {
            Some(updated) => all = updated,
            None => is_whole = false,
        }
    }
    is_whole.then_some(all)
}
