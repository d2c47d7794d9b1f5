//! Against the reference values, to the tolerances stated with them.

use super::{special::WithDerivative, *};
use crate::reference::{assert_close, number, numbers, reference};

#[test]
fn log_h_and_its_derivative() {
    for case in reference()["acquisition"]["log_h"].as_array().unwrap() {
        let WithDerivative { value, derivative } = log_h(number(&case["z"]));
        assert_close(value, number(&case["log_h"]), 1e-13);
        assert_close(derivative, number(&case["d_dz"]), 1e-13);
    }
}

#[test]
fn log_ndtr_and_its_derivative() {
    for case in reference()["acquisition"]["log_ndtr"].as_array().unwrap() {
        let WithDerivative { value, derivative } = log_ndtr(number(&case["z"]));
        assert_close(value, number(&case["log_Phi"]), 1e-13);
        assert_close(derivative, number(&case["d_dz"]), 1e-13);
    }
}

#[test]
fn branches_meet_without_a_step() {
    for border in [-15.0_f64, -1.0, 0.0] {
        for f in [log_h, log_ndtr] {
            let (below, above) = (f(border.next_down()), f(border.next_up()));
            assert_close(below.value, above.value, 1e-13);
            assert_close(below.derivative, above.derivative, 1e-13);
        }
    }
}

#[test]
fn expected_improvement() {
    for case in reference()["acquisition"]["ei"].as_array().unwrap() {
        let [mu, sigma, best] = ["mu", "sigma", "best"].map(|name| number(&case[name]));
        for (name, direction) in
            [("minimise", Direction::Minimise), ("maximise", Direction::Maximise)]
        {
            let expected = &case[name];
            let got = log_expected_improvement(mu, sigma, best, direction);
            // z comes from a division, whose rounding log h amplifies by |z|.
            let z = number(&expected["z"]).abs().max(1.0);
            let log_ei = number(&expected["log_ei"]);
            assert!((got.value - log_ei).abs() <= 1e-13 * log_ei.abs().max(1.0), "{case}");
            assert_close(got.d_mean, number(&expected["d_log_ei_dmu"]), 1e-13 * z);
            assert_close(got.d_deviation, number(&expected["d_log_ei_dsigma"]), 1e-13 * z);
        }
    }
}

#[test]
fn constrained_expected_improvement() {
    for case in reference()["acquisition"]["constrained_log_ei"].as_array().unwrap() {
        let [mu, sigma, best] = numbers(&case["objective_mu_sigma_best"])[..] else {
            panic!("three numbers")
        };
        let mut score = log_expected_improvement(mu, sigma, best, Direction::Minimise).value;
        for (constraint, expected) in case["constraints_mu_sigma_limit"]
            .as_array()
            .unwrap()
            .iter()
            .zip(numbers(&case["log_prob_each"]))
        {
            let [mu, sigma, limit] = numbers(constraint)[..] else { panic!("three numbers") };
            let feasible = log_feasibility(mu, sigma, Bound::AtMost(limit));
            assert!((feasible.value - expected).abs() <= 1e-13 * expected.abs().max(1.0));
            // The same bound seen from the other side.
            assert_eq!(
                log_feasibility(-mu, sigma, Bound::AtLeast(-limit)).value.to_bits(),
                feasible.value.to_bits()
            );
            score += feasible.value;
        }
        let expected = number(&case["constrained_log_ei"]);
        assert!((score - expected).abs() <= 1e-13 * expected.abs().max(1.0), "{case}");
    }
}

#[test]
fn derivatives_agree_with_finite_differences() {
    let step = 1e-6;
    for (mean, deviation) in [(0.3, 0.5), (2.0, 0.4), (-1.0, 0.3), (12.0, 0.6)] {
        let functions: [Box<dyn Fn(f64, f64) -> Acquisition>; 4] = [
            Box::new(|m, s| log_expected_improvement(m, s, 0.1, Direction::Minimise)),
            Box::new(|m, s| log_expected_improvement(m, s, 0.1, Direction::Maximise)),
            Box::new(|m, s| log_feasibility(m, s, Bound::AtLeast(0.7))),
            Box::new(|m, s| log_feasibility(m, s, Bound::AtMost(0.7))),
        ];
        for f in functions {
            let at = f(mean, deviation);
            let d_mean =
                (f(mean + step, deviation).value - f(mean - step, deviation).value) / (2.0 * step);
            let d_deviation =
                (f(mean, deviation + step).value - f(mean, deviation - step).value) / (2.0 * step);
            assert!(
                (at.d_mean - d_mean).abs() <= 1e-6 * d_mean.abs().max(1e-2),
                "{} {d_mean}",
                at.d_mean
            );
            assert!((at.d_deviation - d_deviation).abs() <= 1e-6 * d_deviation.abs().max(1e-2));
        }
    }
}
