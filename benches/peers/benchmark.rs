//! A problem whose truth is known: what a run evaluates, and how it is scored.

use std::{fmt, sync::Arc};

use slotune_core::{Configuration, Problem};

use crate::numpy_random::Generator;

/// What a configuration truly gives.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) objective: f64,
    /// Constrained metrics, in the order of the problem's constraints.
    pub(crate) constraints: Vec<f64>,
}

type Evaluate = dyn Fn(&Configuration) -> Option<Truth> + Send + Sync;

/// A problem, minimised, with its truth and its optimum.
#[derive(Clone)]
pub(crate) struct Benchmark {
    pub(crate) name: &'static str,
    pub(crate) problem: Problem,
    domain: Domain,
    /// `None` where the configuration crashes.
    truth: Arc<Evaluate>,
}

/// What may be evaluated.
#[derive(Clone)]
enum Domain {
    /// The rows of a table, in its order.
    Table(Vec<Configuration>),
    /// All of the space, with the best feasible objective.
    Formula { optimum: f64 },
}

impl fmt::Debug for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Benchmark {
    pub(crate) fn of_table(
        name: &'static str,
        problem: Problem,
        rows: Vec<Configuration>,
        truth: impl Fn(&Configuration) -> Option<Truth> + Send + Sync + 'static,
    ) -> Self {
        Self { name, problem, domain: Domain::Table(rows), truth: Arc::new(truth) }
    }

    pub(crate) fn of_formula(
        name: &'static str,
        problem: Problem,
        optimum: f64,
        truth: impl Fn(&Configuration) -> Option<Truth> + Send + Sync + 'static,
    ) -> Self {
        Self { name, problem, domain: Domain::Formula { optimum }, truth: Arc::new(truth) }
    }

    /// What a configuration truly gives; `None` where it crashes.
    pub(crate) fn truth(&self, configuration: &Configuration) -> Option<Truth> {
        (self.truth)(configuration)
    }

    /// Whether a truth meets every constraint.
    pub(crate) fn is_feasible(&self, truth: &Truth) -> bool {
        let constraints = &self.problem.objective().constraints;
        constraints
            .iter()
            .zip(&truth.constraints)
            .all(|(constraint, &value)| constraint.is_met(value))
    }

    /// How far above the optimum the objective is, relative to the optimum (absolute where that is
    /// 0); infinite where the configuration is infeasible or crashes.
    pub(crate) fn regret(&self, configuration: &Configuration, optimum: f64) -> f64 {
        let truth = self.truth(configuration).filter(|truth| self.is_feasible(truth));
        truth.map_or(f64::INFINITY, |truth| {
            let gap = truth.objective - optimum;
            if optimum == 0.0 { gap } else { gap / optimum.abs() }
        })
    }

    /// The best configuration of a table; `None` for a formula.
    pub(crate) fn best(&self) -> Option<(&Configuration, f64)> {
        let Domain::Table(rows) = &self.domain else { return None };
        let feasible = rows.iter().filter_map(|row| {
            let truth = self.truth(row).filter(|truth| self.is_feasible(truth))?;
            Some((row, truth.objective))
        });
        feasible.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The best feasible objective.
    pub(crate) fn optimum(&self) -> f64 {
        match self.domain {
            Domain::Formula { optimum } => optimum,
            Domain::Table(_) => self.best().map_or(f64::INFINITY, |(_, objective)| objective),
        }
    }

    /// The peers' initial design: the first rows of a numpy permutation of the table, or uniform
    /// points of the cube where there is no table.
    pub(crate) fn protocol_design(&self, seed: u64, count: usize) -> Vec<Configuration> {
        let mut generator = Generator::new(seed);
        match &self.domain {
            Domain::Table(rows) => {
                let order = generator.permutation(rows.len());
                order.into_iter().take(count).map(|row| rows[row].clone()).collect()
            }
            Domain::Formula { .. } => {
                let space = self.problem.space();
                let mut unit = || space.parameters().iter().map(|_| generator.unit()).collect();
                std::iter::repeat_with(|| {
                    let unit: Vec<f64> = unit();
                    space.configuration_at(&unit)
                })
                .filter(|configuration| space.allows(configuration))
                .take(count)
                .collect()
            }
        }
    }

    /// The same problem where that share of the table crashes: all rows beyond a plane that leans
    /// along two of the parameters, drawn by `seed`.
    pub(crate) fn with_crashes(&self, share: f64, seed: u64) -> Self {
        let Domain::Table(rows) = &self.domain else { return self.clone() };
        let space = self.problem.space().clone();
        let mut generator = Generator::new(seed ^ 0x5eed);
        let mut axes = generator.permutation(space.parameters().len());
        axes.truncate(2);
        let slopes: Vec<f64> = axes
            .iter()
            .map(|_| (0.5 + generator.unit()) * if generator.unit() < 0.5 { -1.0 } else { 1.0 })
            .collect();
        let height = move |configuration: &Configuration| -> f64 {
            let point = space.encode(configuration);
            axes.iter().zip(&slopes).map(|(&axis, slope)| slope * point.coordinates()[axis]).sum()
        };
        let mut heights: Vec<f64> = rows.iter().map(&height).collect();
        heights.sort_by(|a, b| b.total_cmp(a));
        if share <= 0.0 {
            return self.clone();
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the table"
        )]
        let crashing = (share.clamp(0.0, 1.0) * heights.len() as f64) as usize;
        let Some(&limit) = heights.get(crashing) else { return self.clone() };
        let truth = Arc::clone(&self.truth);
        let truth =
            Arc::new(
                move |configuration: &Configuration| {
                    if height(configuration) > limit { None } else { truth(configuration) }
                },
            );
        Self { truth, ..self.clone() }
    }
}
