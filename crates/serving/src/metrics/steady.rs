//! From when on a run is steady.

use crate::RequestRecord;

/// Values in a batch of MSER-5.
const BATCH: usize = 5;

/// Where the warm-up of a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SteadyState {
    /// Intended send time of the first request of the steady part, seconds.
    pub from_s: f64,
    /// Share of the completed requests that came before it, 0 to 1.
    pub warm_up_share: f64,
}

impl SteadyState {
    /// Whether latency settled: the warm-up ended before half of the requests had come. Beyond
    /// that the rule says only that the run was too short.
    pub fn is_reached(&self) -> bool {
        self.warm_up_share < 0.5
    }
}

/// Finds the end of the warm-up by MSER-5 over the E2E latencies of completed requests in the
/// order in which they were to be sent: the cut that leaves the smallest squared standard error of
/// the mean, over means of five (White, "An effective truncation heuristic for bias reduction in
/// simulation output", 1997; White, Cobb and Spratt, "A comparison of five steady-state truncation
/// heuristics for simulation", 2000).
///
/// `None` for fewer than 50 completed requests, which tell nothing.
pub fn steady_state(records: &[RequestRecord]) -> Option<SteadyState> {
    let mut latencies: Vec<(f64, f64)> =
        records.iter().filter_map(|record| Some((record.intended_s, record.e2e_s()?))).collect();
    latencies.sort_by(|a, b| a.0.total_cmp(&b.0));
    let means: Vec<f64> = latencies
        .chunks_exact(BATCH)
        .map(|batch| batch.iter().map(|(_, e2e_s)| e2e_s).sum::<f64>() / BATCH as f64)
        .collect();
    if means.len() < 10 {
        return None;
    }
    // From the end to the front, with running sums: the statistic of every cut in one walk. The
    // last five means are never all that is left, as few values are alike by chance.
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut best = (f64::INFINITY, 0);
    for (cut, mean) in means.iter().enumerate().rev() {
        sum += mean;
        squares += mean * mean;
        let left = (means.len() - cut) as f64;
        let statistic = (squares - sum * sum / left).max(0.0) / (left * left);
        if left > BATCH as f64 && statistic <= best.0 {
            best = (statistic, cut);
        }
    }
    let first = best.1 * BATCH;
    Some(SteadyState {
        from_s: latencies[first].0,
        warm_up_share: first as f64 / latencies.len() as f64,
    })
}
