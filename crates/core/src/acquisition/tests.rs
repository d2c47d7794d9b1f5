//! Against the reference values, to the tolerances stated with them.

use super::{special::WithDerivative, *};
use crate::{
    Front,
    reference::{assert_close, assert_close_absolute, number, numbers, reference},
};

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

/// `tests/data/ehvi_reference.py` tells how they were computed.
#[test]
fn expected_hypervolume_improvement() {
    let text = include_str!("../../tests/data/ehvi_reference.json");
    let reference: serde_json::Value = serde_json::from_str(text).unwrap();
    let pair = |json: &serde_json::Value| [number(&json[0]), number(&json[1])];
    for case in reference["cases"].as_array().unwrap() {
        let points: Vec<[f64; 2]> = case["front"].as_array().unwrap().iter().map(pair).collect();
        let front = Front::new(&points, pair(&case["reference"]));
        assert_eq!(front.points(), points);
        let (means, deviations) = (pair(&case["means"]), pair(&case["deviations"]));
        let got = log_expected_hypervolume_improvement(means, deviations, &front);
        // z comes from a division, whose rounding log h amplifies by |z|.
        let z = |k: usize| (means[k] - front.reference()[k]).abs() / deviations[k];
        let tolerance = 1e-11 * z(0).max(z(1)).max(1.0);
        let log_ehvi = number(&case["log_ehvi"]);
        assert!((got.value - log_ehvi).abs() <= tolerance * log_ehvi.abs().max(1.0), "{case}");
        for k in 0..2 {
            let d_mean = pair(&case["d_means"])[k];
            let d_deviation = pair(&case["d_deviations"])[k];
            assert_close_absolute(got.d_mean[k], d_mean, tolerance);
            assert_close_absolute(got.d_deviation[k], d_deviation, tolerance);
        }
        // BoTorch multiplies where this adds logarithms, and underflows sooner.
        let botorch = number(&case["botorch"]);
        if log_ehvi > -30.0 {
            assert_close(got.value.exp(), botorch, 1e-9);
        }
    }
}

/// Three wide strips and a narrow one.
fn front() -> Front {
    let points = [[-1.0, 0.5], [0.0, 0.0], [1e-3, -0.01], [0.25, -2.0]];
    Front::new(&points, [0.5, 1.0])
}

#[test]
fn expected_hypervolume_improvement_is_the_mean_growth() {
    // Its definition, summed over a fine grid of normal quantiles.
    let (means, deviations) = ([0.2, -0.4], [0.5, 0.8]);
    let cells = 400;
    let (from, step) = (-7.0, 14.0 / f64::from(cells));
    let at = |i: i32| from + step * (f64::from(i) + 0.5);
    let density = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let mut sum = 0.0;
    for i in 0..cells {
        for j in 0..cells {
            let point = [means[0] + deviations[0] * at(i), means[1] + deviations[1] * at(j)];
            sum += growth(&front(), point) * density(at(i)) * density(at(j)) * step * step;
        }
    }
    let got = log_expected_hypervolume_improvement(means, deviations, &front());
    assert_close(got.value.exp(), sum, 1e-4);
}

fn growth(front: &Front, point: [f64; 2]) -> f64 {
    front.with(point).hypervolume() - front.hypervolume()
}

#[test]
fn a_certain_point_grows_the_front_by_what_it_adds() {
    for point in [[-2.0, -3.0], [-0.5, 0.2], [0.1, -0.5], [0.4, -3.0], [5e-4, -0.005]] {
        let got = log_expected_hypervolume_improvement(point, [1e-9; 2], &front());
        assert_close(got.value.exp(), growth(&front(), point), 1e-6);
    }
}

#[test]
fn on_an_empty_front_both_goals_improve_on_the_reference() {
    let (means, deviations) = ([0.7, 3.0], [0.2, 0.4]);
    let got = log_expected_hypervolume_improvement(means, deviations, &Front::new(&[], [0.5, 1.0]));
    let alone = |k: usize| {
        log_expected_improvement(means[k], deviations[k], [0.5, 1.0][k], Direction::Minimise)
    };
    assert_close(got.value, alone(0).value + alone(1).value, 1e-15);
    for k in 0..2 {
        assert_close(got.d_mean[k], alone(k).d_mean, 1e-15);
        assert_close(got.d_deviation[k], alone(k).d_deviation, 1e-15);
    }
}

#[test]
fn joint_derivatives_agree_with_finite_differences() {
    for means in [[0.1, 0.3], [-0.9, -1.5], [3.0, 0.2], [0.2, 9.0], [4.0, 7.0], [-5.0, -6.0]] {
        let deviations = [0.3, 0.5];
        let at = |shift: [f64; 4]| {
            log_expected_hypervolume_improvement(
                [means[0] + shift[0], means[1] + shift[1]],
                [deviations[0] + shift[2], deviations[1] + shift[3]],
                &front(),
            )
        };
        let here = at([0.0; 4]);
        for (i, derivative) in here.d_mean.into_iter().chain(here.d_deviation).enumerate() {
            let step = 1e-5;
            let moved = |steps: f64| {
                let mut shift = [0.0; 4];
                shift[i] = steps * step;
                at(shift).value
            };
            // Of fourth order, so that what is compared with is exact enough.
            let expected =
                (8.0 * (moved(1.0) - moved(-1.0)) - moved(2.0) + moved(-2.0)) / (12.0 * step);
            assert_close_absolute(derivative, expected, 1e-6);
        }
    }
}

#[test]
fn far_away_there_is_still_a_slope_and_never_nan() {
    for far in [1e2, 1e4, 1e7, 1e50] {
        for means in [[far, 0.0], [0.0, far], [far, far], [-far, -far], [-far, far]] {
            for deviation in [0.5, 1e-3, 1e-60] {
                let got = log_expected_hypervolume_improvement(means, [deviation; 2], &front());
                let all = [[got.value; 2], got.d_mean, got.d_deviation].concat();
                assert!(all.iter().all(|number| number.is_finite()), "{means:?}: {got:?}");
                for k in 0..2 {
                    let leads_back = got.d_mean[k] < 0.0 || means[k] <= 0.0;
                    assert!(leads_back && got.d_mean[k] <= 0.0, "{means:?}: {got:?}");
                }
            }
        }
    }
    let beyond = log_expected_hypervolume_improvement([1e100; 2], [1e-100; 2], &front());
    assert!(!beyond.value.is_nan() && beyond.value < -1e200);
}
