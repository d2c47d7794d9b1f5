//! The finals: the best configurations of a search repeated beside vLLM's default, in alternating
//! order, under fresh requests.
//!
//! The best of many noisy trials is in part the luckiest. Here it is measured again, in rounds. Each
//! round sends requests that no trial had before ([`Workload::draw`]), the same to all contenders,
//! and gives all the same seed, so that on the simulator they share their noise too (common random
//! numbers): what is common to a round cancels where two contenders are compared within it. Every
//! second round goes backwards, so that a steady drift of the machine cancels as well.
//!
//! Contenders are repeated under the workload of the search, by which they are judged, and under
//! [others](workloads), under which a winner must not be worse. Each workload is a study of the role
//! [`StudyRole::Finals`] in the result set of the search;
//! [`slotune_report::finals`] says what came of them.
//!
//! Nothing but the set is remembered: which trials are missing follows from those that are there, so
//! finals that were interrupted go on, and those whose search has found something better since take it
//! in.

mod hold;
pub mod workloads;

use std::path::PathBuf;

use slotune_core::Configuration;
use slotune_report::analysis::{finalists, reference, trials_of};
use slotune_results::{
    DEFAULT, FinalsManifest, ResultSet, StoredTrial, StudyManifest, StudyRole, WriteError, Writer,
};
use slotune_serving::{Workload, metrics::Slo, random::derive};

pub use hold::Venue;

/// What a good request is where nobody says: the limits that `MLPerf` Inference has for conversations with
/// Llama 3.1 8B (`MLCommons`, "Inference Rules", constraints of the datacenter benchmarks, 2026), there for
/// the 99th percentile.
pub const CONVERSATION: Slo = Slo { ttft_s: Some(2.0), tpot_s: Some(0.1), e2e_s: None };

/// What finals are to be.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalsOptions {
    /// Most configurations of the search that are repeated beside vLLM's default.
    pub finalists: usize,
    /// Rounds under each workload.
    pub rounds: u32,
    /// Name of the study and workload of each final.
    pub workloads: Vec<(String, Workload)>,
    /// The folder of the study file, from which the set names traces.
    pub folder: PathBuf,
    /// What a good request is.
    pub slo: Slo,
    /// Root of all random streams.
    pub seed: u64,
}

/// Finals, planned for a result set as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Finals {
    /// The default, then the finalists, best first.
    contenders: Vec<Contender>,
    slo: Slo,
    seed: u64,
    folder: PathBuf,
    /// One for each workload.
    pub studies: Vec<PlannedFinal>,
}

/// A configuration that is repeated.
#[derive(Clone, Debug, PartialEq)]
struct Contender {
    /// `default`, or the name of the trial that it repeats: the label of its trials.
    label: String,
    /// What its server is told; nothing for the default.
    configuration: Configuration,
}

/// The contenders under one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedFinal {
    /// Name of its study.
    pub name: String,
    /// What its rounds send redraws of.
    pub workload: Workload,
    /// Trials that are stored.
    pub done: usize,
    /// Trials that are not, in the order in which they are measured.
    missing: Vec<Slot>,
    /// Number of the next trial.
    next: u64,
}

/// A trial to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// From 0.
    round: u32,
    /// Position among the contenders.
    contender: usize,
}

impl Finals {
    /// Plans the finals of a set: what of them is missing.
    ///
    /// # Errors
    /// [`NoFinals`] when there is nothing to hold.
    pub fn plan(set: &ResultSet, options: FinalsOptions) -> Result<Self, NoFinals> {
        if options.workloads.is_empty() {
            return Err(NoFinals::NoWorkload);
        }
        if trials_of(set, StudyRole::Search).next().is_none() {
            return Err(NoFinals::NoSearch);
        }
        let found = finalists(
            &set.manifest.objective,
            trials_of(set, StudyRole::Search),
            reference(set, DEFAULT),
            options.finalists,
        );
        if found.is_empty() {
            return Err(NoFinals::NoFinalist);
        }
        let default = Contender { label: DEFAULT.to_owned(), configuration: Configuration::new() };
        let found = found.into_iter().map(|trial| Contender {
            label: trial.name(),
            configuration: trial.entry.trial.configuration.clone(),
        });
        let contenders: Vec<Contender> = std::iter::once(default).chain(found).collect();
        let FinalsOptions { rounds, workloads, slo, seed, folder, .. } = options;
        let planned = workloads.into_iter().map(|(name, workload)| {
            let trials: Vec<&StoredTrial> = set.study(&name).collect();
            let is_done = |slot: &Slot| {
                let seed = round_seed(seed, &name, slot.round);
                trials.iter().any(|trial| is_outcome_of(trial, &contenders[slot.contender], seed))
            };
            let slots = slots(rounds, contenders.len());
            let missing = slots.filter(|slot| !is_done(slot)).collect();
            let next = trials.last().map_or(0, |trial| trial.entry.trial.id.0 + 1);
            let done = trials.len();
            PlannedFinal { name, workload, done, missing, next }
        });
        let studies = planned.collect();
        Ok(Self { contenders, slo, seed, folder, studies })
    }

    /// Writes into the manifest of the set what is planned.
    ///
    /// # Errors
    /// As [`Writer::plan_finals`].
    pub fn announce(&self, writer: &mut Writer) -> Result<(), WriteError> {
        let named = |one: &PlannedFinal| one.workload.relative_to(&self.folder);
        let workloads = self.studies.iter().map(|one| (one.name.clone(), named(one)));
        let manifest = FinalsManifest { workloads: workloads.collect(), slo: self.slo };
        let studies: Vec<StudyManifest> = self
            .studies
            .iter()
            .map(|one| StudyManifest {
                name: one.name.clone(),
                role: StudyRole::Finals,
                sampler: "given".to_owned(),
                seed: self.seed,
                trials: one.trials().into(),
            })
            .collect();
        writer.plan_finals(&manifest, &studies)
    }

    /// Configurations that are repeated, the default among them.
    pub fn contenders(&self) -> usize {
        self.contenders.len()
    }
}

impl PlannedFinal {
    /// Trials, stored and missing.
    pub fn trials(&self) -> u32 {
        u32::try_from(self.done + self.missing.len()).unwrap_or(u32::MAX)
    }
}

/// All trials of a final: forwards and backwards by turns.
fn slots(rounds: u32, contenders: usize) -> impl Iterator<Item = Slot> {
    (0..rounds).flat_map(move |round| {
        let order = (0..contenders).map(move |position| match round % 2 {
            0 => position,
            _ => contenders - 1 - position,
        });
        order.map(move |contender| Slot { round, contender })
    })
}

/// What all trials of a round share.
fn round_seed(seed: u64, study: &str, round: u32) -> u64 {
    derive(seed, study, round.into())
}

/// Whether a trial measured the contender in that round, or found that it cannot run. Where the world
/// was in the way, it is tried again.
fn is_outcome_of(trial: &StoredTrial, contender: &Contender, seed: u64) -> bool {
    trial.entry.is_fact()
        && trial.entry.trial.seed == seed
        && trial.label.as_ref() == Some(&contender.label)
}

/// Why no finals can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFinals {
    /// They are not wanted.
    #[error(
        "`finals.workloads` is empty, so there are no finals to hold; give `\"study\"` at least"
    )]
    NoWorkload,
    /// There was no search yet.
    #[error("nothing was searched yet, so there is nothing to repeat; run `slotune tune` first")]
    NoSearch,
    /// It found nothing.
    #[error(
        "no trial of the search with another configuration than vLLM's default meets every target, so there is nothing \
         to repeat"
    )]
    NoFinalist,
}

#[cfg(test)]
mod tests;
