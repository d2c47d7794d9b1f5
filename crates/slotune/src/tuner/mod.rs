//! The loop: ask, evaluate, measure, tell.

mod evaluator;

use std::sync::Arc;

pub use evaluator::{Evaluation, Evaluator, Opening, Patience};

use slotune_core::{
    AskError, Direction, Entry, History, Objective, Origin, Study, TellError, Trial,
    sampler::RemainingGain,
};
use slotune_serving::{
    Backend, EngineArguments, GiveUp, Latency, Progress, Run, Schedule, Silent,
    engine_arguments::ArgumentError,
    metrics::{MeasureError, MeasureOptions, Metric, UnknownMetric},
};

/// A trial whose latency is certain to be so many times the incumbent's is not measured further.
const HOPELESS: f64 = 3.0;

/// Drives a study on a backend, one trial after another.
#[expect(missing_debug_implementations, reason = "a backend need not be printable")]
pub struct Tuner {
    study: Study,
    evaluator: Evaluator,
    /// Arguments that every trial has in common; a configuration overrides them.
    fixed: EngineArguments,
    /// Whether trials are told with what further ones may gain, from the model's first on.
    looks_ahead: bool,
    remaining_gain: Option<RemainingGain>,
    /// Requests of the opening by which trials are pruned.
    opening: Option<u32>,
}

/// Hears of each trial. What it returns as an error ends the loop, so a trial that could not be
/// stored is noticed at once.
pub trait Observer: Progress {
    /// A trial begins.
    fn begun(&self, trial: &Trial);

    /// A trial ended and was told to the study.
    ///
    /// # Errors
    /// Anything that must end the study, such as a full disk.
    fn finished(
        &self,
        trial: &Finished<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl Observer for Silent {
    fn begun(&self, _: &Trial) {}

    fn finished(&self, _: &Finished<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// A trial that ended.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The trial with its outcome.
    pub entry: &'a Entry,
    /// What it is known as, such as `baseline`, where it was not proposed by a search.
    pub label: Option<&'a str>,
    /// The raw run, where there was one.
    pub run: Option<&'a Run>,
    /// All trials of the study so far, this one included.
    pub history: &'a History,
    /// What the study optimises.
    pub objective: &'a Objective,
    /// What further trials may gain, where the tuner looks ahead and the model is at work.
    pub remaining_gain: Option<&'a RemainingGain>,
}

impl Tuner {
    /// A loop over `study` on `backend`, each trial serving `schedule` with the `fixed` engine
    /// arguments and those of its configuration, which override them.
    ///
    /// # Errors
    /// When the objective names a metric that does not exist, or goodput without an SLO, or the
    /// search space a parameter that is no engine argument.
    pub fn new(
        study: Study,
        backend: Arc<dyn Backend>,
        schedule: Arc<Schedule>,
        fixed: EngineArguments,
        options: MeasureOptions,
    ) -> Result<Self, TuneError> {
        let metrics = study.problem().objective().metrics().map(Metric::from_name);
        let metrics = metrics.collect::<Result<Vec<_>, _>>()?;
        if metrics.contains(&Metric::Goodput) && !options.slo.has_limits() {
            return Err(TuneError::GoodputWithoutSlo);
        }
        let record_chunk_times = needs_chunk_times(study.problem().objective())?;
        // The corners hold each parameter's extremes, so a space of other names or of impossible
        // values is refused before a server is started.
        let space = study.problem().space();
        for corner in [0.0, 1.0] {
            let corner = vec![corner; space.parameters().len()];
            fixed.updated(&space.configuration_at(&corner))?;
        }
        let evaluator = Evaluator::new(backend, schedule, options, record_chunk_times);
        let (looks_ahead, remaining_gain) = (false, None);
        Ok(Self { study, evaluator, fixed, looks_ahead, remaining_gain, opening: None })
    }

    /// The same, which also works out after each trial, from the model's first on, what further ones may
    /// gain: about as much work as proposing it.
    ///
    /// # Errors
    /// When the models of a study that goes on cannot be fitted.
    pub fn looking_ahead(mut self) -> Result<Self, TuneError> {
        self.looks_ahead = true;
        self.look_ahead()?;
        Ok(self)
    }

    /// The same, which prunes trials by their opening: one ends as soon as its first `requests` requests make it
    /// unlikely that the whole trial beats the incumbent ([`Study::promising_opening`]).
    ///
    /// # Errors
    /// [`TuneError::NoOpening`] where the objective is not one percentile of E2E latency or TTFT, minimised.
    pub fn pruning_after(mut self, requests: u32) -> Result<Self, TuneError> {
        let objective = self.study.problem().objective();
        if latency_to_minimise(objective).is_none() {
            return Err(TuneError::NoOpening { metric: objective.metric.clone() });
        }
        self.opening = Some(requests);
        Ok(self)
    }

    fn look_ahead(&mut self) -> Result<(), TuneError> {
        let mut entries = self.study.history().entries().iter();
        let by_model = entries.any(|entry| entry.trial.origin == Origin::Model);
        self.remaining_gain = if self.looks_ahead && by_model {
            self.study.remaining_gain().map_err(AskError::from)?
        } else {
            None
        };
        Ok(())
    }

    /// What further trials may gain, as of the last one; `None` where the tuner does not look ahead, the
    /// model is not yet at work or no trial meets the targets.
    pub fn remaining_gain(&self) -> Option<&RemainingGain> {
        self.remaining_gain.as_ref()
    }

    /// The study so far.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// Goes on until the study holds `trials` trials or has nothing left to try.
    ///
    /// # Errors
    /// When the study cannot go on or the observer refuses a trial; every trial told before stays
    /// in the study.
    pub async fn run(&mut self, trials: usize, observer: &dyn Observer) -> Result<(), TuneError> {
        while self.study.history().len() < trials && self.step(observer).await? {}
        Ok(())
    }

    /// Asks for one trial, evaluates it and tells what came of it; false when the study has nothing
    /// left to try.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn step(&mut self, observer: &dyn Observer) -> Result<bool, TuneError> {
        let Some(trial) = self.study.ask()? else { return Ok(false) };
        observer.begun(&trial);
        self.evaluate(&trial, observer).await?;
        Ok(true)
    }

    /// [`run`](Self::run) on a runtime of its own, for callers that have none.
    ///
    /// # Errors
    /// As [`run`](Self::run), when called from within a runtime, and when the operating system gives
    /// none.
    pub fn run_blocking(
        &mut self,
        trials: usize,
        observer: &dyn Observer,
    ) -> Result<(), TuneError> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(TuneError::WithinRuntime);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(TuneError::Runtime)?.block_on(self.run(trials, observer))
    }

    async fn evaluate(&mut self, trial: &Trial, observer: &dyn Observer) -> Result<(), TuneError> {
        let arguments = self.fixed.updated(&trial.configuration)?;
        let patience = self.patience(trial)?;
        let Evaluation { outcome, run, cost_s } =
            self.evaluator.evaluate(arguments, trial.seed, &patience, observer).await?;
        self.study.tell(trial.id, outcome, cost_s)?;
        self.look_ahead()?;
        let history = self.study.history();
        let entry = history.get(trial.id).expect("the trial was just told");
        observer
            .finished(&Finished {
                entry,
                label: None,
                run: run.as_ref(),
                history,
                objective: self.study.problem().objective(),
                remaining_gain: self.remaining_gain.as_ref(),
            })
            .map_err(TuneError::Observer)
    }

    /// When a trial cannot become the best one any more. A run that is given up gives a lower bound,
    /// from which the search learns; so it goes on far beyond the incumbent.
    fn patience(&self, trial: &Trial) -> Result<Patience, TuneError> {
        let objective = self.study.problem().objective();
        let Some((latency, percent)) = latency_to_minimise(objective) else {
            return Ok(Patience::default());
        };
        let best = self.study.history().best(objective).and_then(Entry::measurement);
        let best = best.and_then(|best| best.value(&objective.metric)).filter(|best| *best > 0.0);
        let hopeless =
            best.map(|best| GiveUp { of_first: None, latency, percent, above_s: HOPELESS * best });
        let opening = match self.opening {
            None => None,
            Some(requests) => Some(Opening {
                requests,
                metric: objective.metric.clone(),
                latency,
                percent,
                limit_s: self.study.promising_opening(trial).map_err(AskError::from)?,
            }),
        };
        Ok(Patience { hopeless, opening })
    }
}

/// The percentile, 0 to 100, of a latency that is minimised alone: of two goals, one that is bad may be the
/// price of the other.
pub(crate) fn latency_to_minimise(objective: &Objective) -> Option<(Latency, f64)> {
    if objective.against.is_some() || objective.direction != Direction::Minimise {
        return None;
    }
    match Metric::from_name(&objective.metric).ok()? {
        Metric::E2e(statistic) => Some((Latency::E2e, statistic.percent()?)),
        Metric::Ttft(statistic) => Some((Latency::Ttft, statistic.percent()?)),
        _ => None,
    }
}

/// Whether the objective needs inter-token latencies.
pub(crate) fn needs_chunk_times(objective: &Objective) -> Result<bool, UnknownMetric> {
    let mut metrics = objective.metrics().map(Metric::from_name);
    metrics.try_fold(false, |any, metric| Ok(any || matches!(metric?, Metric::Itl(_))))
}

/// Why tuning ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// The objective names a metric that does not exist.
    #[error(transparent)]
    UnknownMetric(#[from] UnknownMetric),
    /// A parameter is no engine argument, or its value does not fit.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The objective is of good requests, and nothing says which are good.
    #[error("the objective needs `goodput_per_s`, which needs an SLO; set `MeasureOptions::slo`")]
    GoodputWithoutSlo,
    /// Trials of this objective cannot be pruned.
    #[error(
        "trials cannot be pruned by the opening's `{metric}`; minimise a percentile of E2E latency or TTFT alone, or do not prune"
    )]
    NoOpening {
        /// The objective's metric.
        metric: String,
    },
    /// A run could not be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// No configuration can be evaluated until a person mends the world.
    #[error("no configuration can be evaluated: {message}")]
    Broken {
        /// What is broken, and the remedy.
        message: String,
    },
    /// The study gave no trial.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The study did not take an outcome.
    #[error(transparent)]
    Tell(#[from] TellError),
    /// A runtime cannot run within another.
    #[error("`run_blocking` was called from within a runtime; await `run` there")]
    WithinRuntime,
    /// The operating system gives no runtime.
    #[error("no runtime to evaluate trials on: {0}")]
    Runtime(#[source] std::io::Error),
    /// The observer could not take a trial.
    #[error("a finished trial could not be recorded: {0}")]
    Observer(#[source] Box<dyn std::error::Error + Send + Sync>),
}
