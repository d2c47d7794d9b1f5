//! The simulator against servers that it was not fitted to: a study of a real H100, on another host
//! and under another trace and load generator than the runs behind its coefficients.

use std::path::Path;

use slotune::{
    measured_runs,
    results::ResultSet,
    serving::metrics::{Metric, Statistic},
    sim::ServerModel,
};

/// Measured and simulated P95 of each configuration of the study, seconds.
fn tails_s() -> Vec<(f64, f64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/h100_qwen2.5_7b_chat");
    let loaded = ResultSet::read(folder).expect("a result set");
    let (runs, skipped) = measured_runs(&loaded);
    assert!(skipped.is_empty(), "{skipped:?}");
    let server = ServerModel::measured();
    runs.iter()
        .map(|run| {
            let simulated = run.replay(&server).expect("a real server took these requests");
            let [measured_s, simulated_s] = [run.measured(), &simulated].map(|figures| {
                figures.value(Metric::E2e(Statistic::P95)).expect("requests completed")
            });
            (measured_s, simulated_s)
        })
        .collect()
}

/// What `ServerModel` says of itself, and the order, which is what a search needs: of configurations
/// whose measured tails differ by more than 5 %, the better is the better here, and the best here is
/// within 3 % of the best there.
#[test]
fn configurations_of_a_host_that_was_not_fitted_come_in_their_order() {
    let tails_s = tails_s();
    assert_eq!(tails_s.len(), 6);
    for &(measured_s, simulated_s) in &tails_s {
        let error = simulated_s / measured_s - 1.0;
        assert!(error.abs() < 0.115, "{measured_s} s measured, {simulated_s} s simulated");
    }
    let mut compared = 0;
    for (a, b) in tails_s.iter().flat_map(|a| tails_s.iter().map(move |b| (a, b))) {
        if b.0 / a.0 > 1.05 {
            assert!(b.1 > a.1, "{a:?} {b:?}");
            compared += 1;
        }
    }
    assert!(compared >= 12, "{compared} pairs are far enough apart");
    let best = |of: fn(&(f64, f64)) -> f64| {
        tails_s.iter().min_by(|a, b| of(a).total_cmp(&of(b))).expect("six").0
    };
    let regret = best(|tails| tails.1) / best(|tails| tails.0) - 1.0;
    assert!(regret <= 0.03, "{regret}");
}
