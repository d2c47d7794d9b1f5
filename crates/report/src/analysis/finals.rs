//! The finals: the best of the search repeated beside vLLM's default, and what that decides.

use std::cmp::Ordering;

use slotune_core::{Bound, Constraint, Direction, Estimate, Measurement, Objective};
use slotune_results::{DEFAULT, ResultSet, StoredTrial, StudyManifest, StudyRole};
use slotune_serving::Workload;

use super::{Judgement, Paired, is_feasible, paired::LEAST_ROUNDS, reference, value};
use crate::asked::is_capped;

/// How sure all judgements of one final are together.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// The finals of a set, one for each workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Finals<'a> {
    /// In the manifest's order; at least one.
    pub all: Vec<Final<'a>>,
}

/// The contenders under one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Final<'a> {
    /// Its study.
    pub study: &'a StudyManifest,
    /// What its rounds send redraws of.
    pub workload: &'a Workload,
    /// Whether that is the workload of the search, by which configurations are judged.
    pub is_own: bool,
    /// vLLM's default.
    pub default: Contender<'a>,
    /// What is compared with it, the best of the search first.
    pub finalists: Vec<Contender<'a>>,
    /// The targets that its requests put out of everybody's reach.
    pub out_of_reach: Vec<OutOfReach<'a>>,
}

/// A target that nobody reaches, the default included, since the fresh requests ask for less than those
/// of the study did.
///
/// Requests that arrive in an open loop cap a throughput, whatever serves them. A window of a trace whose
/// answers are shorter offers fewer tokens a second, and a target set for another window then says
/// nothing of a server. Such a target is judged by the study's own requests instead, under which every
/// finalist met it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutOfReach<'a> {
    /// The target.
    pub constraint: &'a Constraint,
    /// The most that a contender had on average, in the metric's unit.
    pub most: f64,
}

/// A configuration and its repeats under one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender<'a> {
    /// `default`, or the name of the search trial that it repeats.
    pub name: &'a str,
    /// That trial; of the default, its first run in the study.
    pub original: Option<&'a StoredTrial>,
    /// Its repeats, one for each round; those that the world was in the way of are left out.
    pub repeats: Vec<&'a StoredTrial>,
    /// The objective beside the default's; `None` for the default itself, and before two rounds.
    pub paired: Option<Paired>,
    /// What that amounts to. A configuration that could not run in a round is worse.
    pub judgement: Judgement,
}

/// What finals decide.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision<'a> {
    /// Nothing yet: there are too few rounds, or the search has found something better since.
    Open,
    /// Use the configuration of this search trial.
    Winner(&'a StoredTrial),
    /// The default meets the targets, and nothing beats it. One of its repeats.
    KeepDefault(&'a StoredTrial),
    /// Nothing meets the targets, the default included. A repeat of each contender, and by what it was
    /// judged.
    NoneMeetsTargets(Vec<(&'a StoredTrial, Measurement)>),
}

impl<'a> Finals<'a> {
    /// The finals of a set; `None` where it has none.
    pub fn of(set: &'a ResultSet) -> Option<Self> {
        let studies = set.manifest.studies.iter();
        let finals = studies.filter(|study| study.role == StudyRole::Finals);
        let all: Vec<Final<'_>> = finals.map(|study| Final::new(set, study)).collect();
        (!all.is_empty()).then_some(Self { all })
    }

    /// What they decide; `found` is the best trial of the search.
    pub(crate) fn decision(
        &self,
        objective: &Objective,
        found: Option<&StoredTrial>,
    ) -> Decision<'a> {
        let Some(own) = self.own() else { return Decision::Open };
        let is_told = |contender: &Contender<'_>| contender.repeats.len() >= LEAST_ROUNDS;
        let is_repeated =
            |trial: &StoredTrial| own.contenders().any(|c| is_told(c) && c.is_of(trial));
        let (true, [default, ..]) = (found.is_none_or(is_repeated), own.default.repeats.as_slice())
        else {
            return Decision::Open;
        };
        if !is_told(&own.default) {
            return Decision::Open;
        }
        let default_meets = own.meets(objective, &own.default);
        let candidate = |finalist: &Contender<'a>| {
            let is_better =
                finalist.judgement == Judgement::Better && !self.is_worse(finalist.name);
            let stands = is_told(finalist)
                && self.runs(finalist.name)
                && own.meets(objective, finalist)
                && (is_better || !default_meets);
            Some((
                finalist.original.filter(|_| stands)?,
                finalist.average().value(&objective.metric)?,
            ))
        };
        let best = own
            .finalists
            .iter()
            .filter_map(candidate)
            .reduce(|best, next| if objective.is_better(next.1, best.1) { next } else { best });
        match best {
            Some((winner, _)) => Decision::Winner(winner),
            None if default_meets => Decision::KeepDefault(default),
            None => Decision::NoneMeetsTargets(
                own.contenders()
                    .filter_map(|one| Some((*one.repeats.first()?, own.judged(one))))
                    .collect(),
            ),
        }
    }

    /// What the repeats of a configuration say of its targets; `None` where it was not repeated under the
    /// workload of the search.
    pub(crate) fn judged(&self, trial: &StoredTrial) -> Option<Measurement> {
        let own = self.own()?;
        own.contenders().find(|contender| contender.is_of(trial)).map(|found| own.judged(found))
    }

    /// The final under the workload of the search.
    pub(crate) fn own(&self) -> Option<&Final<'a>> {
        self.all.iter().find(|one| one.is_own)
    }

    /// Whether a finalist is worse than the default under any workload.
    fn is_worse(&self, finalist: &str) -> bool {
        self.everywhere(finalist).any(|contender| contender.judgement == Judgement::Worse)
    }

    /// Whether it runs under all.
    fn runs(&self, finalist: &str) -> bool {
        self.everywhere(finalist).all(Contender::runs)
    }

    fn everywhere(&self, finalist: &str) -> impl Iterator<Item = &Contender<'a>> {
        self.all.iter().filter_map(move |one| one.finalist(finalist))
    }
}

impl<'a> Final<'a> {
    fn new(set: &'a ResultSet, study: &'a StudyManifest) -> Self {
        let objective = &set.manifest.objective;
        let workload = set.manifest.workload_of(&study.name);
        let mut names: Vec<&str> = Vec::new();
        for name in set.study(&study.name).filter_map(|trial| trial.label.as_deref()) {
            if name != DEFAULT && !names.contains(&name) {
                names.push(name);
            }
        }
        let original = |name: &str| set.trials.iter().find(|trial| trial.name() == name);
        names.sort_by(|a, b| by_objective(objective, original(a), original(b)));
        let contender = |name| Contender {
            name,
            original: original(name),
            repeats: repeats(set, study, name),
            paired: None,
            judgement: Judgement::Unknown,
        };
        let default = Contender { original: reference(set, DEFAULT), ..contender(DEFAULT) };
        // Bonferroni: each error has its share (Dunn, "Multiple comparisons among means", 1961).
        let confidence = 1.0 - (1.0 - CONFIDENCE) / names.len().max(1) as f64;
        let mut finalists: Vec<Contender<'_>> = names.into_iter().map(contender).collect();
        for finalist in &mut finalists {
            let pairs = pairs(objective, &default, finalist);
            finalist.paired = Paired::new(&pairs, objective.scale, confidence);
            finalist.judgement = match finalist.paired {
                _ if !finalist.runs() => Judgement::Worse,
                Some(paired) => paired.judgement(objective.direction),
                None => Judgement::Unknown,
            };
        }
        let is_own = *workload == set.manifest.workload;
        let mut one =
            Self { study, workload, is_own, default, finalists, out_of_reach: Vec::new() };
        // Targets were set for the workload of the search alone.
        if is_own {
            let constraints = objective.constraints.iter();
            one.out_of_reach = constraints.filter_map(|c| one.out_of_reach(c)).collect();
        }
        one
    }

    /// The target, where it is out of reach.
    fn out_of_reach(&self, constraint: &'a Constraint) -> Option<OutOfReach<'a>> {
        if !is_capped(&constraint.metric, self.workload)
            || matches!(constraint.bound, Bound::AtMost(_))
        {
            return None;
        }
        let reached =
            self.contenders().map(|contender| contender.average().value(&constraint.metric));
        let most = reached.flatten().reduce(f64::max)?;
        (!constraint.is_met(most)).then_some(OutOfReach { constraint, most })
    }

    /// The measurement by which a contender meets targets: its average, with the study's own value of a
    /// metric whose target is [out of reach](OutOfReach).
    pub(crate) fn judged(&self, contender: &Contender<'_>) -> Measurement {
        let first = contender.original.and_then(|trial| trial.entry.measurement());
        self.out_of_reach.iter().fold(
            contender.average(),
            |judged, OutOfReach { constraint, .. }| match first
                .and_then(|first| first.get(&constraint.metric))
            {
                Some(estimate) => judged.with_estimate(&constraint.metric, estimate),
                None => judged,
            },
        )
    }

    /// Whether a contender runs, and meets every target on average.
    pub(crate) fn meets(&self, objective: &Objective, contender: &Contender<'_>) -> bool {
        let judged = self.judged(contender);
        contender.runs()
            && judged.get(&objective.metric).is_some()
            && objective.is_feasible(&judged)
    }

    /// The default, then the finalists.
    pub fn contenders(&self) -> impl Iterator<Item = &Contender<'a>> {
        std::iter::once(&self.default).chain(&self.finalists)
    }

    /// The finalist of that name.
    pub fn finalist(&self, name: &str) -> Option<&Contender<'a>> {
        self.finalists.iter().find(|finalist| finalist.name == name)
    }
}

impl Contender<'_> {
    /// The mean of every metric that all its measured repeats have, each with its standard error over
    /// the repeats.
    pub fn average(&self) -> Measurement {
        let measured: Vec<&Measurement> =
            self.repeats.iter().filter_map(|trial| trial.entry.measurement()).collect();
        let Some((first, _)) = measured.split_first() else { return Measurement::new() };
        first.iter().fold(Measurement::new(), |average, (metric, _)| {
            let values: Option<Vec<Estimate>> = measured.iter().map(|m| m.get(metric)).collect();
            match values {
                Some(values) => average.with_estimate(metric, mean(&values)),
                None => average,
            }
        })
    }

    /// Whether it is the configuration of that trial.
    fn is_of(&self, trial: &StoredTrial) -> bool {
        let is_same =
            |own: &&StoredTrial| own.entry.trial.configuration == trial.entry.trial.configuration;
        self.repeats.first().is_some_and(is_same)
    }

    /// Whether its server came up and served in every round.
    pub fn runs(&self) -> bool {
        self.repeats.iter().all(|trial| !trial.entry.is_infeasible())
    }
}

/// The repeats of a contender that have an outcome of its own, by number.
fn repeats<'a>(set: &'a ResultSet, study: &'a StudyManifest, name: &str) -> Vec<&'a StoredTrial> {
    let own = set.study(&study.name).filter(|trial| trial.label.as_deref() == Some(name));
    own.filter(|trial| trial.entry.is_fact()).collect()
}

/// The objective of the default and of a finalist in each round that both were measured in. Trials of a
/// round share their seed.
fn pairs(
    objective: &Objective,
    default: &Contender<'_>,
    finalist: &Contender<'_>,
) -> Vec<(Estimate, Estimate)> {
    let of = |trial: &StoredTrial| trial.entry.measurement()?.get(&objective.metric);
    let pair = |after: &&StoredTrial| {
        let seed = after.entry.trial.seed;
        let before = default.repeats.iter().find(|trial| trial.entry.trial.seed == seed)?;
        Some((of(before)?, of(after)?))
    };
    finalist.repeats.iter().filter_map(pair).collect()
}

/// The mean and its standard error over repeats.
fn mean(values: &[Estimate]) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().map(|estimate| estimate.value).sum::<f64>() / n;
    let squares: f64 = values.iter().map(|estimate| (estimate.value - mean).powi(2)).sum();
    let standard_error = if values.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
    let is_lower_bound = values.iter().any(|estimate| estimate.is_lower_bound);
    Estimate { value: mean, standard_error, is_lower_bound }
}

/// Up to `count` configurations of a search that meet every target, best first, each once; a
/// configuration equal to `default` is left out.
pub fn finalists<'a>(
    objective: &Objective,
    search: impl IntoIterator<Item = &'a StoredTrial>,
    default: Option<&StoredTrial>,
    count: usize,
) -> Vec<&'a StoredTrial> {
    let configuration = |trial: &'a StoredTrial| &trial.entry.trial.configuration;
    let is_default = |trial: &StoredTrial| {
        default.is_some_and(|d| d.entry.trial.configuration == trial.entry.trial.configuration)
    };
    let mut ranked: Vec<&StoredTrial> = search
        .into_iter()
        .filter(|trial| is_feasible(objective, trial) && value(trial, &objective.metric).is_some())
        .filter(|trial| !is_default(trial))
        .collect();
    ranked.sort_by(|a, b| by_objective(objective, Some(a), Some(b)));
    let mut chosen: Vec<&StoredTrial> = Vec::new();
    for trial in ranked {
        if chosen.iter().all(|known| configuration(known) != configuration(trial)) {
            chosen.push(trial);
        }
    }
    chosen.truncate(count);
    chosen
}

/// The better objective first; trials without one last.
fn by_objective(
    objective: &Objective,
    a: Option<&StoredTrial>,
    b: Option<&StoredTrial>,
) -> Ordering {
    let of = |trial: Option<&StoredTrial>| trial.and_then(|trial| value(trial, &objective.metric));
    match (of(a), of(b)) {
        (Some(a), Some(b)) => match objective.direction {
            Direction::Minimise => a.total_cmp(&b),
            Direction::Maximise => b.total_cmp(&a),
        },
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}
