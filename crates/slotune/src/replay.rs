//! A past result set as a lookup problem: any sampler runs on what was measured, without a server.
//!
//! A sampler proposes, and the nearest configuration of the set that it has not had yet is what it
//! gets, with the outcome that was measured then. So samplers are compared on real data, as far as
//! the set reaches: what nobody measured, no sampler can find.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use slotune_core::{
    Column, Configuration, Entry, History, Origin, Problem, SearchSpace, State, Trial, TrialId,
    sampler::{Sampler, SuggestError},
};
use slotune_results::{ResultSet, StoredTrial, StudyRole};
use slotune_serving::random::derive;

/// How near an objective must be to the best of the set to count as found, as a share of it.
const NEAR: f64 = 0.01;

/// What a set measured: each configuration once, the first time that it had an outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    problem: Problem,
    rows: Vec<(Configuration, State)>,
    /// The best objective that meets the targets.
    best: f64,
    /// How many of the rows a model placed.
    placed_by_a_model: usize,
    /// A study of at least half of the rows, in which no model placed any.
    unguided: Option<String>,
    /// Why the rows may not be compared.
    unlike_loads: Option<String>,
}

/// How a sampler did on a table. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    /// Name of the sampler.
    pub sampler: String,
    /// Configurations of the set.
    pub configurations: usize,
    /// The metric that is optimised.
    pub metric: String,
    /// The best objective of the set that meets the targets.
    pub best: f64,
    /// Why the trials may not be compared, where they served requests of their own.
    pub unlike_loads: Option<String>,
    /// How many of the configurations a model placed, near the best that it knew: among them, random draws
    /// do better than in the space.
    pub placed_by_a_model: usize,
    /// Where a model placed some, a study of at least half of the configurations in which none did, such as a
    /// grid.
    pub unguided_study: Option<String>,
    /// One for each seed.
    pub runs: Vec<ReplayRun>,
}

/// One run of a sampler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplayRun {
    /// Its seed.
    pub seed: u64,
    /// The best objective that meets the targets after each trial; `None` while there is none.
    pub incumbents: Vec<Option<f64>>,
    /// Trials until the incumbent was within 1 % of the best of the set.
    pub trials_to_best: Option<usize>,
}

impl Table {
    /// What a set measured under its own objective. Trials of studies of a part of the search space
    /// are no points of the whole and are left out, as are failures of the world.
    ///
    /// # Errors
    /// [`ReplayError`] when nothing of it meets the targets, so that there is nothing to find.
    pub fn new(set: &ResultSet) -> Result<Self, ReplayError> {
        Self::of_trials(set, |_| true)
    }

    /// The same, of the trials of one study alone, such as a grid.
    ///
    /// # Errors
    /// As [`Table::new`], and when the set has no such study.
    pub fn of_study(set: &ResultSet, study: &str) -> Result<Self, ReplayError> {
        let studies = set.manifest.studies.iter().filter(|study| study.role != StudyRole::Finals);
        let known: Vec<String> = studies.map(|study| study.name.clone()).collect();
        if !known.iter().any(|name| name == study) {
            return Err(ReplayError::NoStudy { study: study.to_owned(), known });
        }
        Self::of_trials(set, |trial| trial.study == study)
    }

    fn of_trials(
        set: &ResultSet,
        is_meant: impl Fn(&StoredTrial) -> bool,
    ) -> Result<Self, ReplayError> {
        let manifest = &set.manifest;
        let problem = Problem::new(manifest.space.clone(), manifest.objective.clone());
        let mut rows: Vec<(Configuration, State)> = Vec::new();
        let mut placed_by_a_model = 0;
        // Rows of each study, of them those that a model placed.
        let mut of_studies: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for stored in set.first_runs().filter(|stored| is_meant(stored)) {
            let Entry { trial, state } = &stored.entry;
            let is_known = rows.iter().any(|(known, _)| *known == trial.configuration);
            if stored.entry.is_fact()
                && !is_known
                && problem.space().check(&trial.configuration).is_ok()
            {
                rows.push((trial.configuration.clone(), state.clone()));
                let placed = usize::from(trial.origin == Origin::Model);
                placed_by_a_model += placed;
                let of_study = of_studies.entry(&stored.study).or_default();
                *of_study = (of_study.0 + 1, of_study.1 + placed);
            }
        }
        let history: History = (0_u64..)
            .zip(&rows)
            .map(|(id, (configuration, state))| entry(id, 0, configuration, state))
            .collect();
        let best = best(&history, &problem).ok_or(ReplayError::NothingToFind)?;
        // Half of all at least: a few leave nothing to search.
        let unguided =
            of_studies.iter().find(|(_, (own, placed))| 2 * own >= rows.len() && *placed == 0);
        let unguided =
            unguided.filter(|_| placed_by_a_model > 0).map(|(name, _)| (*name).to_owned());
        let unlike_loads = slotune_report::unlike_loads(&set.manifest.workload);
        Ok(Self { problem, rows, best, placed_by_a_model, unguided, unlike_loads })
    }

    /// Runs a sampler with each of the seeds from 0, for at most so many trials. `progress` is told, after
    /// each trial, how many there were and how many there are in all.
    ///
    /// # Errors
    /// When the sampler cannot suggest.
    pub fn replay(
        &self,
        sampler: &dyn Sampler,
        trials: usize,
        seeds: u64,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Replay, SuggestError> {
        let trials = trials.min(self.rows.len());
        let of_a_run = trials as u64;
        let runs = (0..seeds).map(|seed| {
            let ended = |done| progress(seed * of_a_run + done, seeds * of_a_run);
            self.run(sampler, trials, seed, &ended)
        });
        Ok(Replay {
            sampler: sampler.name().to_owned(),
            configurations: self.rows.len(),
            metric: self.problem.objective().metric.clone(),
            best: self.best,
            placed_by_a_model: self.placed_by_a_model,
            unlike_loads: self.unlike_loads.clone(),
            unguided_study: self.unguided.clone(),
            runs: runs.collect::<Result<_, _>>()?,
        })
    }

    fn run(
        &self,
        sampler: &dyn Sampler,
        trials: usize,
        seed: u64,
        ended: &dyn Fn(u64),
    ) -> Result<ReplayRun, SuggestError> {
        let space = self.problem.space();
        let mut left: Vec<&(Configuration, State)> = self.rows.iter().collect();
        let mut entries: Vec<Entry> = Vec::new();
        let mut history = History::new();
        let mut incumbents = Vec::new();
        while entries.len() < trials {
            let suggested = sampler.suggest(&self.problem, &history, 1, seed)?;
            let Some(suggestion) = suggested.first() else { break };
            let nearest = nearest(space, &suggestion.configuration, &left);
            let (configuration, state) = left.remove(nearest);
            entries.push(entry(entries.len() as u64, seed, configuration, state));
            history = entries.iter().cloned().collect();
            incumbents.push(best(&history, &self.problem));
            ended(entries.len() as u64);
        }
        let is_near = |value: f64| (value - self.best).abs() <= NEAR * self.best.abs();
        let reached = incumbents.iter().position(|best| best.is_some_and(is_near));
        Ok(ReplayRun { seed, incumbents, trials_to_best: reached.map(|position| position + 1) })
    }
}

fn entry(id: u64, seed: u64, configuration: &Configuration, state: &State) -> Entry {
    Entry {
        trial: Trial {
            id: TrialId(id),
            configuration: configuration.clone(),
            origin: Origin::Sampled,
            seed: derive(seed, "trial", id),
        },
        state: state.clone(),
    }
}

fn best(history: &History, problem: &Problem) -> Option<f64> {
    let objective = problem.objective();
    history.best(objective)?.measurement()?.value(&objective.metric)
}

/// The position of the row that is nearest in the unit cube, the first of equals. Names that differ
/// are as far apart as an axis is long.
fn nearest(
    space: &SearchSpace,
    configuration: &Configuration,
    rows: &[&(Configuration, State)],
) -> usize {
    let columns = space.columns();
    let wanted = space.encode(configuration);
    let distance = |row: &Configuration| -> f64 {
        let row = space.encode(row);
        let pairs = wanted.coordinates().iter().zip(row.coordinates()).zip(&columns);
        pairs
            .map(|((a, b), column)| match column {
                Column::Ordered | Column::OrderedIf { .. } => (a - b).powi(2),
                Column::Categorical => f64::from(u8::from((a - b).abs() > 0.0)),
            })
            .sum()
    };
    let distances = rows.iter().enumerate().map(|(i, (row, _))| (i, distance(row)));
    distances.reduce(|near, next| if next.1 < near.1 { next } else { near }).map_or(0, |(i, _)| i)
}

impl Replay {
    /// The median over the runs of the incumbent after so many trials; runs without one count as
    /// worse than all others. `None` where most have none.
    fn median(&self, trials: usize) -> Option<f64> {
        let mut values: Vec<Option<f64>> = self
            .runs
            .iter()
            .map(|run| run.incumbents[..trials.min(run.incumbents.len())].last().copied().flatten())
            .collect();
        let regret = |value: &Option<f64>| value.map_or(f64::INFINITY, |v| (v - self.best).abs());
        values.sort_by(|a, b| regret(a).total_cmp(&regret(b)));
        values.get(values.len() / 2).copied().flatten()
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sampler,
            configurations,
            metric,
            best,
            unlike_loads,
            placed_by_a_model,
            unguided_study,
            runs,
        } = self;
        writeln!(
            f,
            "{sampler} on {configurations} measured configurations, {} seeds; the best that meets \
             the targets has {metric} {best:.4}\n",
            runs.len()
        )?;
        writeln!(f, "{:>6}  median {metric}", "trials")?;
        let longest = runs.iter().map(|run| run.incumbents.len()).max().unwrap_or(0);
        let doubling = std::iter::successors(Some(1), |trials| Some(2 * trials));
        let mut shown: Vec<usize> = doubling.take_while(|&trials| trials < longest).collect();
        shown.push(longest);
        for trials in shown.into_iter().filter(|&trials| trials > 0) {
            let value = self.median(trials);
            let value = value.map_or("none meets the targets".to_owned(), |v| format!("{v:.4}"));
            writeln!(f, "{trials:>6}  {value}")?;
        }
        let mut reached: Vec<usize> = runs.iter().filter_map(|run| run.trials_to_best).collect();
        reached.sort_unstable();
        write!(f, "\n{} of {} seeds came within 1 % of it", reached.len(), runs.len())?;
        if let (Some(first), Some(last)) = (reached.first(), reached.last()) {
            write!(f, ", after {first} to {last} trials")?;
        }
        if let Some(unlike) = unlike_loads {
            write!(f, "\nnote: {unlike}")?;
        }
        if *placed_by_a_model == 0 {
            return Ok(());
        }
        write!(
            f,
            "\nnote: {placed_by_a_model} of the {configurations} configurations were placed by a search, \
             near its best: random draws are better here than in the space"
        )?;
        match unguided_study {
            Some(study) => write!(f, "; replay a study without them, SET:{study}"),
            None => write!(f, "; `slotune suite --grid` measures a set without them"),
        }
    }
}

/// Why a set is no lookup problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// No sampler can find what is not there.
    #[error(
        "no trial of the whole search space meets the targets of this set, so there is nothing to find"
    )]
    NothingToFind,
    /// The set has no study of that name.
    #[error("the result set has no study `{study}` to replay; it has: {}", known.join(", "))]
    NoStudy {
        /// The name.
        study: String,
        /// Names of its studies, without the finals, which repeat.
        known: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slotune_core::sampler::{Bayesian, Random, Sobol};
    use slotune_results::Loaded;

    use super::*;

    fn measured_on_an_h100() -> ResultSet {
        let folder = "../../datasets/h100_qwen2.5_7b_chat";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let Loaded { set, faults, .. } = ResultSet::read(path).unwrap();
        assert!(faults.is_empty());
        set
    }

    #[test]
    fn every_sampler_finds_the_best_of_a_set_that_it_sees_whole() {
        let table = Table::new(&measured_on_an_h100()).unwrap();
        assert!((table.best - 13.2).abs() < 0.05, "{}", table.best);
        let samplers: [&dyn Sampler; 3] = [&Bayesian::default(), &Sobol, &Random];
        for sampler in samplers {
            let replay = table.replay(sampler, 100, 3, &|_, _| {}).unwrap();
            assert_eq!(replay.configurations, table.rows.len());
            for run in &replay.runs {
                assert_eq!(run.incumbents.len(), table.rows.len(), "each configuration once");
                assert_eq!(run.incumbents.last(), Some(&Some(table.best)));
                let reached = run.trials_to_best.unwrap();
                assert_eq!(run.incumbents[reached - 1], Some(table.best));
                assert_ne!(
                    reached.checked_sub(2).map(|i| run.incumbents[i]),
                    Some(Some(table.best))
                );
            }
            assert_eq!(
                table.replay(sampler, 100, 3, &|_, _| {}).unwrap(),
                replay,
                "the same again"
            );
        }
        let short = table.replay(&Random, 2, 1, &|_, _| {}).unwrap();
        assert_eq!(short.runs[0].incumbents.len(), 2);
    }

    /// The set with its first so many trials of the search told to be of a grid, and the others of a model.
    fn with_a_grid(trials: usize) -> ResultSet {
        let mut set = measured_on_an_h100();
        let search = set.manifest.studies.iter().find(|study| study.name == "search").cloned();
        let grid = slotune_results::StudyManifest {
            name: "grid".to_owned(),
            role: StudyRole::Comparison,
            sampler: "grid".to_owned(),
            ..search.unwrap()
        };
        set.manifest.studies.push(grid);
        let searched = set.trials.iter_mut().filter(|trial| trial.study == "search");
        for (place, trial) in searched.enumerate() {
            trial.entry.trial.origin = Origin::Model;
            if place < trials {
                "grid".clone_into(&mut trial.study);
                trial.entry.trial.origin = Origin::Sampled;
            }
        }
        set
    }

    #[test]
    fn what_a_model_placed_is_counted_and_a_grid_beside_it_named() {
        let placed = |set: &ResultSet| {
            let table = Table::new(set).unwrap();
            let replay = table.replay(&Random, 3, 1, &|_, _| {}).unwrap();
            (replay.placed_by_a_model, replay.unguided_study.clone(), replay.to_string())
        };
        let (designed, none, text) = placed(&measured_on_an_h100());
        assert_eq!((designed, none), (0, None), "its search ended with the initial design");
        assert!(!text.contains("note"), "{text}");
        assert_eq!(placed(&with_a_grid(0)).0, 5);
        assert_eq!(placed(&with_a_grid(2)).1, None, "a grid of two is no space to search");
        let (beside, grid, text) = placed(&with_a_grid(3));
        assert_eq!((beside, grid.as_deref()), (2, Some("grid")));
        assert!(text.contains("2 of the 6 configurations were placed by a search"), "{text}");
        assert!(text.ends_with("SET:grid"), "{text}");
    }

    #[test]
    fn unlike_loads_are_told() {
        let mut set = measured_on_an_h100();
        let told = |set: &ResultSet| {
            let replay = Table::new(set).unwrap().replay(&Random, 3, 1, &|_, _| {}).unwrap();
            replay.to_string().contains("note: trials served requests of their own (chat, rag)")
        };
        assert!(!told(&set));
        let description = "chat, rag".to_owned();
        set.manifest.workload = slotune_serving::Workload::OfEachTrial { description };
        assert!(told(&set));
    }

    #[test]
    fn one_study_alone_is_replayed() {
        let set = with_a_grid(3);
        let grid = Table::of_study(&set, "grid").unwrap();
        assert_eq!((grid.rows.len(), grid.placed_by_a_model, &grid.unguided), (3, 0, &None));
        let text = grid.replay(&Random, 3, 1, &|_, _| {}).unwrap().to_string();
        assert!(!text.contains("note"), "{text}");
        let error = Table::of_study(&set, "grit").unwrap_err().to_string();
        assert!(error.ends_with("no study `grit` to replay; it has: reference, search, grid"));
    }

    #[test]
    fn a_set_in_which_nothing_meets_the_targets_is_refused() {
        let mut set = measured_on_an_h100();
        let bound = slotune_core::Constraint::at_most("e2e_p95_s", 1e-3);
        set.manifest.objective.constraints.push(bound);
        assert_eq!(Table::new(&set), Err(ReplayError::NothingToFind));
    }

    #[test]
    fn the_nearest_row_is_the_answer_and_names_have_no_order() {
        use slotune_core::Parameter;
        let space = SearchSpace::new(
            vec![
                Parameter::integer("width", 1, 1000).log(),
                Parameter::categorical("mode", ["a", "b", "c"]),
            ],
            vec![],
        )
        .unwrap();
        let at =
            |width: i64, mode: &str| Configuration::new().with("width", width).with("mode", mode);
        let rows = [at(10, "a"), at(100, "c"), at(1000, "b")].map(|row| (row, State::Pending));
        let rows: Vec<&(Configuration, State)> = rows.iter().collect();
        assert_eq!(nearest(&space, &at(20, "a"), &rows), 0);
        assert_eq!(nearest(&space, &at(50, "c"), &rows), 1);
        assert_eq!(nearest(&space, &at(150, "a"), &rows), 0, "another name is far");
        assert_eq!(nearest(&space, &at(1, "b"), &rows), 2, "1² + 0 < (1/3)² + 1");
    }
}
