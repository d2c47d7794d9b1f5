//! What the runs of one sampler on one problem amount to.

use serde_json::{Value, json};

use crate::run::{Recommended, Run};

/// A regret within this counts as found.
const HIT: f64 = 0.05;

/// Trials after which a run is scored.
const SCORED_AT: [usize; 3] = [20, 40, 60];

/// Figures over the runs of one sampler, on one problem or on all.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    runs: usize,
    /// Share of runs within 5 % of the optimum, at each of [`SCORED_AT`].
    hit5: [f64; 3],
    /// At the end of the budget; infinite where half, or a tenth, of the runs saw nothing feasible.
    median_regret: f64,
    p90_regret: f64,
    /// Share of trials that were truly feasible.
    feasible_share: f64,
    /// Share of the model's trials that crashed.
    crash_share: f64,
    ms_per_ask: f64,
    /// Share of runs that recommend a truly feasible configuration, among those that recommend one.
    recommended_feasible: f64,
    /// Median true regret of what is recommended; infinite where nothing is or it is infeasible.
    recommended_regret: f64,
    /// Share of runs that recommend to keep trial 0.
    keep_default: f64,
}

impl Score {
    pub(crate) fn of(runs: &[Run]) -> Self {
        let at_end = sorted(runs.iter().map(|run| after(run, usize::MAX)));
        let hit5 = SCORED_AT.map(|n| share(runs.iter().map(|run| after(run, n) <= HIT)));
        let asks = runs.iter().map(|run| run.asks).sum::<usize>().max(1);
        let asking: f64 = runs.iter().map(|run| run.asking.as_secs_f64()).sum();
        Self {
            runs: runs.len(),
            hit5,
            median_regret: quantile(&at_end, 0.5),
            p90_regret: quantile(&at_end, 0.9),
            feasible_share: share(runs.iter().flat_map(|run| run.feasible.iter().copied())),
            crash_share: share(runs.iter().flat_map(|run| run.model_crashed.iter().copied())),
            ms_per_ask: 1e3 * asking / asks as f64,
            recommended_feasible: share(runs.iter().filter_map(recommended).map(f64::is_finite)),
            recommended_regret: quantile(
                &sorted(runs.iter().map(|run| recommended(run).unwrap_or(f64::INFINITY))),
                0.5,
            ),
            keep_default: share(
                runs.iter().map(|run| matches!(run.recommended, Recommended::Default { .. })),
            ),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let [hit5_at_20, hit5_at_40, hit5_at_60] = self.hit5;
        let finite = |number: f64| number.is_finite().then_some(number);
        json!({
            "runs": self.runs,
            "hit5_at_20": hit5_at_20,
            "hit5_at_40": hit5_at_40,
            "hit5_at_60": hit5_at_60,
            "median_regret": finite(self.median_regret),
            "p90_regret": finite(self.p90_regret),
            "feasible_share": self.feasible_share,
            "crash_share": self.crash_share,
            "ms_per_ask": self.ms_per_ask,
            "recommended_feasible": self.recommended_feasible,
            "recommended_median_regret": finite(self.recommended_regret),
            "keep_default": self.keep_default,
        })
    }

    pub(crate) const HEADER: &str = "  runs  hit5 at 20     40     60  median regret      P90  feasible  crashes  ms/ask | recommended: feasible  median regret  keep default";

    pub(crate) fn row(&self) -> String {
        let [at_20, at_40, at_60] = self.hit5.map(|share| 100.0 * share);
        format!(
            "{:>6} {at_20:>9.1} % {at_40:>4.1} % {at_60:>4.1} % {:>12.2} % {:>6.1} % {:>7.1} % {:>6.1} % {:>7.2} | {:>19.1} % {:>12.2} % {:>11.1} %",
            self.runs,
            100.0 * self.median_regret,
            100.0 * self.p90_regret,
            100.0 * self.feasible_share,
            100.0 * self.crash_share,
            self.ms_per_ask,
            100.0 * self.recommended_feasible,
            100.0 * self.recommended_regret,
            100.0 * self.keep_default
        )
    }
}

/// The true regret of what is recommended, if anything is.
fn recommended(run: &Run) -> Option<f64> {
    match run.recommended {
        Recommended::Default { regret } | Recommended::Other { regret } => Some(regret),
        Recommended::Nothing => None,
    }
}

/// The regret after n trials.
fn after(run: &Run, n: usize) -> f64 {
    run.regrets[..n.min(run.regrets.len())].last().copied().unwrap_or(f64::INFINITY)
}

fn share(flags: impl Iterator<Item = bool>) -> f64 {
    let (mut all, mut set) = (0_usize, 0_usize);
    for flag in flags {
        all += 1;
        set += usize::from(flag);
    }
    set as f64 / all.max(1) as f64
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The smallest value that a share of them does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position")]
    let position = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(position.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
