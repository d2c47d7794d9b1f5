//! A study file as the values that the rest of the library takes.

use std::{collections::BTreeMap, path::Path};

use slotune_core::{Bound, Configuration, Constraint, Objective, SearchSpace, SpaceError, Value};
use slotune_serving::{
    EngineArguments, Workload,
    engine_arguments::ArgumentError,
    metrics::{MeasureOptions, Metric, Slo, UnknownMetric},
};

use super::{Budget, FieldError, FinalsPlan, Goal, ObjectiveTable, SloTable, StudyFile};

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
    /// [`FieldError`] names the field and the remedy.
    pub fn plan(&self, folder: &Path) -> Result<Plan, FieldError> {
        check_budget(&self.budget)?;
        let parameters = self.space.iter().map(|(name, table)| table.parameter(name));
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let fixed = arguments("fixed", &self.fixed)?;
        self.backend.check()?;
        let rules = self.backend.rules(&parameters, &fixed)?;
        let space =
            SearchSpace::new(parameters, rules).map_err(|error| self.space_error(&error))?;
        for name in self.fixed.keys() {
            if space.parameter(name).is_some() {
                let problem = "is searched as well; drop it here or under `space`";
                return Err(FieldError::new(["fixed", name], problem));
            }
        }
        arguments("baseline", &self.baseline)?;
        for name in self.baseline.keys() {
            if space.parameter(name).is_none() {
                let problem =
                    "is not searched; move it to `fixed`, or give it values under `space`";
                return Err(FieldError::new(["baseline", name], problem));
            }
        }
        let baseline = self
            .baseline
            .iter()
            .fold(Configuration::new(), |all, (name, value)| all.with(name, value.clone()));
        Ok(Plan {
            space,
            objective: self.objective()?,
            fixed,
            baseline: (!self.baseline.is_empty()).then_some(baseline),
            workload: self.workload.workload(folder, self.seed)?,
            options: MeasureOptions {
                slo: self.slo.limits(&["slo"])?,
                ..MeasureOptions::default()
            },
            finals: self.finals(folder)?,
        })
    }

    fn objective(&self) -> Result<Objective, FieldError> {
        let ObjectiveTable { minimise, maximise, against } = &self.objective;
        let first = match (minimise, maximise) {
            (Some(metric), None) => Goal::Minimise(metric.clone()),
            (None, Some(metric)) => Goal::Maximise(metric.clone()),
            (Some(_), Some(_)) => {
                let problem =
                    "stands beside `minimise`; give one of the two, and the other as `against`";
                return Err(FieldError::new(["objective", "maximise"], problem));
            }
            (None, None) => {
                let problem = "names no metric; give `minimise` or `maximise`";
                return Err(FieldError::new(["objective"], problem));
            }
        };
        let mut objective = Objective::from(first.goal(&["objective"])?);
        let mut needs_slo = first.is_goodput().then(|| vec!["objective", first.way()]);
        if let Some(second) = against {
            objective = objective.against(second.goal(&["objective", "against"])?);
            if second.is_goodput() {
                needs_slo = Some(vec!["objective", "against", second.way()]);
            }
        }
        for (name, bound) in &self.constraints {
            let metric = metric(&["constraints", name], name)?;
            if !bound.value().is_finite() {
                let problem = format!("is {}; give a finite number", bound.value());
                return Err(FieldError::new(["constraints", name], problem));
            }
            let constraint = match *bound {
                Bound::AtLeast(bound) => Constraint::at_least(name, bound),
                Bound::AtMost(bound) => Constraint::at_most(name, bound),
            };
            let constraint = if may_be_zero(metric) { constraint.linear() } else { constraint };
            objective = objective.subject_to(constraint);
            if metric == Metric::Goodput {
                needs_slo = Some(vec!["constraints", name]);
            }
        }
        let has_limits = self.slo.limits(&["slo"])?.has_limits();
        match needs_slo.filter(|_| !has_limits) {
            Some(path) => {
                let problem = "needs the limits of a good request; give `[slo]`, such as `ttft_s`";
                Err(FieldError::new(path, problem))
            }
            None => Ok(objective),
        }
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

impl Goal {
    /// The goal as the search takes it; the table stands at this path.
    fn goal(&self, path: &[&str]) -> Result<slotune_core::Goal, FieldError> {
        let (Self::Minimise(name) | Self::Maximise(name)) = self;
        let metric = metric(&[path, &[self.way()]].concat(), name)?;
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

    fn is_goodput(&self) -> bool {
        let (Self::Minimise(name) | Self::Maximise(name)) = self;
        Metric::from_name(name) == Ok(Metric::Goodput)
    }
}

impl SloTable {
    /// The limits; the table stands at this path.
    pub(super) fn limits(&self, path: &[&str]) -> Result<Slo, FieldError> {
        let Self { ttft_s, tpot_s, e2e_s } = *self;
        for (field, limit) in [("ttft_s", ttft_s), ("tpot_s", tpot_s), ("e2e_s", e2e_s)] {
            positive(&[path, &[field]].concat(), limit)?;
        }
        Ok(Slo { ttft_s, tpot_s, e2e_s })
    }
}

fn check_budget(budget: &Budget) -> Result<(), FieldError> {
    if budget.trials == 0 {
        return Err(FieldError::new(["budget", "trials"], "is 0; give 1 or more"));
    }
    positive(&["budget", "wall_time_s"], budget.wall_time_s)?;
    positive(&["budget", "server_time_s"], budget.server_time_s)?;
    positive(&["budget", "remaining_gain"], budget.remaining_gain)
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

fn metric(path: &[&str], name: &str) -> Result<Metric, FieldError> {
    let error = |error: UnknownMetric| FieldError::new(path.iter().copied(), error.to_string());
    Metric::from_name(name).map_err(error)
}

/// The engine arguments of a table.
fn arguments(table: &str, values: &BTreeMap<String, Value>) -> Result<EngineArguments, FieldError> {
    values.iter().try_fold(EngineArguments::default(), |arguments, (name, value)| {
        arguments
            .updated(&Configuration::new().with(name, value.clone()))
            .map_err(|error: ArgumentError| FieldError::new([table, name], error.to_string()))
    })
}
