//! The finals of a result set as one object: verdicts with their intervals, and service levels.

mod display;
mod service;

use serde::Serialize;
use slotune_core::{Configuration, Constraint, Estimate, Objective, Outcome, State};
use slotune_results::StoredTrial;
use slotune_serving::{RequestRecord, metrics::Slo};

use crate::{
    analysis::{Analysis, CONFIDENCE, Contender, Final, Judgement, OutOfReach, Paired, misses},
    format::bound,
};

pub(crate) use display::{distance, limits, out_of_reach};
pub use service::{LatencyPercentiles, ServiceLevel};

/// Name of the study of the finals under the workload of the search.
pub const OWN: &str = "finals";

/// Name of that under a replayed trace.
pub const TRACE: &str = "finals_trace";

/// Name of that under a sustained load.
pub const SUSTAINED: &str = "finals_sustained";

/// The finals of a set. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FinalsReport {
    /// The metric by which configurations are compared.
    pub metric: String,
    /// How sure the intervals of one workload are together, 0 to 1.
    pub confidence: f64,
    /// What a good request is.
    pub slo: Slo,
    /// One for each workload; empty where the set has no finals.
    pub finals: Vec<FinalReport>,
}

/// The contenders under one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FinalReport {
    /// Name of the study.
    pub study: String,
    /// What its rounds send redraws of.
    pub workload: String,
    /// Whether that is the workload of the search.
    pub is_own: bool,
    /// The targets that these requests put out of everybody's reach.
    pub out_of_reach: Vec<TargetOutOfReach>,
    /// vLLM's default, then the finalists.
    pub contenders: Vec<ContenderReport>,
}

/// A target that is judged by the study's own requests, since nobody reaches it under those of the finals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetOutOfReach {
    /// The target, such as `output_throughput_tok_per_s >= 5000`.
    pub target: String,
    /// The most that a contender had on average, in the metric's unit.
    pub most: f64,
    /// Both in words.
    #[serde(skip)]
    pub(crate) text: String,
}

/// A configuration under one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContenderReport {
    /// `default`, or the study and number of the search trial that it repeats.
    pub name: String,
    /// What was repeated; of the default, what vLLM chose for the parameters of the search.
    pub configuration: Configuration,
    /// How often it was measured.
    pub rounds: usize,
    /// The mean of the objective over its rounds and the standard error of that, in the metric's unit.
    pub objective: Option<Estimate>,
    /// Beside the default, as a ratio (`log`) or a difference (`linear`); `None` for the default.
    pub against_default: Option<Paired>,
    /// What that amounts to; `None` for the default.
    pub judgement: Option<Judgement>,
    /// The targets that it misses on average, under the workload of the search; `None` under others,
    /// for which they were not set. One that is out of reach is missed by who missed it in the study.
    pub misses: Option<Vec<String>>,
    /// The same as text, rounded.
    #[serde(skip)]
    pub(crate) misses_in_words: Option<Vec<String>>,
    /// Why it could not run, where it could not.
    pub cannot_run: Option<String>,
    /// What its requests got.
    pub service: ServiceLevel,
}

impl FinalsReport {
    /// The finals of an analysed set. `requests` gives the request records of a trial; without them there are no
    /// percentiles.
    ///
    /// # Errors
    /// When `requests` fails.
    pub fn new<E>(
        analysis: &Analysis<'_>,
        mut requests: impl FnMut(&StoredTrial) -> Result<Vec<RequestRecord>, E>,
    ) -> Result<Self, E> {
        let planned = analysis.set.manifest.finals.as_ref();
        let slo = planned.map_or_else(Slo::default, |finals| finals.slo);
        let all = analysis.finals.iter().flat_map(|finals| &finals.all);
        let finals =
            all.map(|one| FinalReport::new(analysis.objective(), one, &slo, &mut requests));
        Ok(Self {
            metric: analysis.objective().metric.clone(),
            confidence: CONFIDENCE,
            slo,
            finals: finals.collect::<Result<_, E>>()?,
        })
    }
}

impl FinalReport {
    fn new<E>(
        objective: &Objective,
        one: &Final<'_>,
        slo: &Slo,
        requests: &mut impl FnMut(&StoredTrial) -> Result<Vec<RequestRecord>, E>,
    ) -> Result<Self, E> {
        let contenders = one.contenders().map(|contender| {
            let service = ServiceLevel::new(contender, slo, requests)?;
            Ok(ContenderReport::new(objective, one, contender, service))
        });
        Ok(Self {
            study: one.study.name.clone(),
            workload: one.workload.to_string(),
            is_own: one.is_own,
            out_of_reach: one.out_of_reach.iter().map(TargetOutOfReach::new).collect(),
            contenders: contenders.collect::<Result<_, E>>()?,
        })
    }

    /// Most rounds that a contender was measured in.
    pub(crate) fn rounds(&self) -> usize {
        self.contenders.iter().map(|contender| contender.rounds).max().unwrap_or(0)
    }
}

impl TargetOutOfReach {
    fn new(target: &OutOfReach<'_>) -> Self {
        let OutOfReach { constraint, most } = target;
        Self { target: constraint.to_string(), most: *most, text: out_of_reach(target) }
    }
}

impl ContenderReport {
    fn new(
        objective: &Objective,
        one: &Final<'_>,
        contender: &Contender<'_>,
        service: ServiceLevel,
    ) -> Self {
        let average = contender.average();
        let trial = contender.repeats.first().copied().or(contender.original);
        let missed = one.is_own.then(|| misses(objective, &one.judged(contender)));
        let told = |tell: fn(&Constraint) -> String| {
            Some(missed.as_ref()?.iter().map(|miss| tell(miss.constraint)).collect())
        };
        let is_default = std::ptr::eq(contender, &raw const one.default);
        Self {
            name: contender.name.to_owned(),
            configuration: trial
                .map_or_else(Configuration::new, |trial| trial.entry.trial.configuration.clone()),
            rounds: contender.repeats.len(),
            objective: average.get(&objective.metric),
            against_default: contender.paired,
            judgement: (!is_default).then_some(contender.judgement),
            misses: told(Constraint::to_string),
            misses_in_words: told(bound),
            cannot_run: contender.repeats.iter().find_map(|trial| match &trial.entry.state {
                State::Told { outcome: Outcome::Infeasible(reason), .. } => {
                    Some(format!("{}: {}", reason.class, reason.message))
                }
                _ => None,
            }),
            service,
        }
    }
}
