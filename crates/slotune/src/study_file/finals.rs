//! The finals of a study file.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slotune_report::analysis::LEAST_ROUNDS;
use slotune_serving::{Workload, metrics::Slo};

use super::{FieldError, SloTable, StudyFile, SyntheticTable, TraceTable};
use crate::finals::CONVERSATION;

/// How the best of the search is repeated beside vLLM's default: in rounds of alternating order, each
/// with fresh requests that all share. Not counted in the budget's trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FinalsTable {
    /// Most configurations of the search that are repeated.
    #[schemars(range(min = 1))]
    pub finalists: u32,
    /// How often each is measured under each workload. In an even number of rounds, a steady drift of
    /// the machine cancels.
    #[schemars(range(min = 3))]
    pub repeats: u32,
    /// Under which workloads; none for no finals.
    #[schemars(extend("uniqueItems" = true))]
    pub workloads: Vec<FinalsWorkload>,
    /// The trace of `trace`; left out, the built-in one, with as many requests as the study's own
    /// workload and as many tokens a second. Where the study replays a trace itself, there is none
    /// unless it is given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceTable>,
    /// The load of `sustained`; left out, the study's own for five times as many requests, where it is
    /// a trace with steady arrivals at its mean rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sustained: Option<SyntheticTable>,
    /// Limits of a good request in the finals, by which their goodput is; left out, those of `slo`, or
    /// without those 2 s to the first token and 0.1 s for each further one, as `MLPerf` Inference asks of
    /// a model of this size in conversations.
    pub slo: SloTable,
}

/// A workload of the finals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalsWorkload {
    /// The study's own, by which configurations are judged.
    Study,
    /// A replayed trace, under which a winner must not be worse than the default.
    Trace,
    /// A long steady load, likewise.
    Sustained,
}

impl Default for FinalsTable {
    /// The two best, six times, under all workloads.
    fn default() -> Self {
        Self {
            finalists: 2,
            repeats: 6,
            workloads: vec![
                FinalsWorkload::Study,
                FinalsWorkload::Trace,
                FinalsWorkload::Sustained,
            ],
            trace: None,
            sustained: None,
            slo: SloTable::default(),
        }
    }
}

/// The finals of a study file as values.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalsPlan {
    /// The trace that the file names for the finals.
    pub trace: Option<Workload>,
    /// The sustained load that it gives.
    pub sustained: Option<Workload>,
    /// What a good request is.
    pub slo: Slo,
}

impl StudyFile {
    /// The values that the table of the finals stands for; relative paths start at `folder`.
    pub(super) fn finals(&self, folder: &Path) -> Result<FinalsPlan, FieldError> {
        let FinalsTable { finalists, repeats, workloads, trace, sustained, slo } = &self.finals;
        let error = |field, problem: String| Err(FieldError::new(["finals", field], problem));
        if *finalists == 0 {
            return error("finalists", "is 0; give 1 or more, or `workloads = []`".to_owned());
        }
        if (*repeats as usize) < LEAST_ROUNDS {
            let problem =
                format!("is {repeats}, too few for a verdict; give {LEAST_ROUNDS} or more");
            return error("repeats", problem);
        }
        let has = |workload| workloads.contains(&workload);
        if !workloads.is_empty() && !has(FinalsWorkload::Study) {
            let problem = "lacks `\"study\"`, by which configurations are judged; add it";
            return error("workloads", problem.to_owned());
        }
        for (name, workload, is_given) in [
            ("trace", FinalsWorkload::Trace, trace.is_some()),
            ("sustained", FinalsWorkload::Sustained, sustained.is_some()),
        ] {
            if is_given && !has(workload) {
                let problem =
                    format!("is not among `workloads`; drop it here, or add `\"{name}\"` there");
                return Err(FieldError::of_name(["finals", name], problem));
            }
        }
        let own = slo.limits(&["finals", "slo"])?;
        let general = self.slo.limits(&["slo"])?;
        let slo = [own, general].into_iter().find(Slo::has_limits).unwrap_or(CONVERSATION);
        let trace = trace.as_ref().map(|table| table.replay(["finals", "trace"], folder));
        let sustained =
            sustained.as_ref().map(|table| table.synthetic(["finals", "sustained"], self.seed));
        Ok(FinalsPlan {
            trace: trace.transpose()?.map(Workload::Replay),
            sustained: sustained.transpose()?.map(Workload::Synthetic),
            slo,
        })
    }
}
