//! The simulator against real servers: the host that its coefficients were fitted to, and a study of
//! another, under another trace and load generator, that they were not.

use std::path::Path;

use slotune::{
    measured_runs,
    results::ResultSet,
    serving::metrics::{Metric, Statistic},
    sim::ServerModel,
};

/// Names of the runs of a data set, and each one's metric as measured and as simulated.
fn replayed(set: &str, metric: Metric) -> Vec<(String, f64, f64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets").join(set);
    let loaded = ResultSet::read(folder).expect("a result set");
    let (runs, skipped) = measured_runs(&loaded);
    assert!(skipped.is_empty(), "{skipped:?}");
    let server = ServerModel::measured();
    runs.iter()
        .map(|run| {
            let simulated = run.replay(&server).expect("a real server took these requests");
            let [measured, simulated] = [run.measured(), &simulated]
                .map(|figures| figures.value(metric).expect("requests completed"));
            (run.name().to_owned(), measured, simulated)
        })
        .collect()
}

/// What the simulator's documentation says of the host that it was fitted to. Without compilation a host
/// may be half as slow again from run to run.
#[test]
fn compiled_runs_of_the_first_host_are_as_close_as_stated() {
    let runs = replayed("h100_qwen2.5_7b_grid", Metric::E2e(Statistic::Mean));
    let mut compiled = 0;
    for (name, measured_s, simulated_s) in runs {
        if name.starts_with("first-machine/stock") {
            let error = simulated_s / measured_s - 1.0;
            assert!(error.abs() < 0.025, "{name}: {error:.3}");
            compiled += 1;
        }
    }
    assert_eq!(compiled, 6);
}

/// What `ServerModel` says of itself, and the order, which is what a search needs: of configurations
/// whose measured tails differ by more than 5 %, the better is the better here, and the best here is
/// within 3 % of the best there.
#[test]
fn configurations_of_a_host_that_was_not_fitted_come_in_their_order() {
    let tails_s: Vec<(f64, f64)> = replayed("h100_qwen2.5_7b_chat", Metric::E2e(Statistic::P95))
        .into_iter()
        .map(|(_, measured_s, simulated_s)| (measured_s, simulated_s))
        .collect();
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
