//! Gradients, invariances, and what is refused.

use ndarray::Array2;

use super::super::{
    fit::{HyperparameterPosterior, REFINEMENT},
    kernel::{ByColumns, Kernel},
    *,
};
use crate::{
    minimise::Effort,
    random::SobolPoints,
    reference::{assert_close, assert_close_absolute},
};

/// A small fitted process, for what the reference does not hold.
fn wavy(known_noise: f64) -> (Observations, Gp) {
    let x = Array2::from_shape_fn((12, 3), |(i, j)| match j {
        2 => f64::from(u8::from(i % 3 == 0)),
        _ => ((i * (j + 2)) as f64 * 0.37).fract(),
    });
    let y: Vec<f64> =
        x.rows().into_iter().map(|p| 50.0 + 7.0 * (4.0 * p[0]).sin() + 3.0 * p[1] * p[2]).collect();
    let observations = Observations::with_noise(x, y, vec![known_noise; 12]).unwrap();
    let gp = GpSpec::new(vec![Column::Ordered, Column::Ordered, Column::Categorical])
        .fit(&observations)
        .unwrap();
    (observations, gp)
}

/// Noise, a bowl, waves and something rough, from 8 to 60 points.
#[test]
fn a_refinement_ends_near_the_maximum() {
    let functions: [fn(&[f64]) -> f64; 4] = [
        |x| (1e4 * (x[0] + 3.0 * x[1] + 7.0 * x[2])).sin(),
        |x| x.iter().map(|x| (x - 0.4).powi(2)).sum(),
        |x| (9.0 * x[0]).sin() + (7.0 * x[1]).sin() + 0.1 * (1e4 * x[2]).sin(),
        |x| (900.0 * x[0]).sin().abs() + x[1],
    ];
    let columns = [Column::Ordered; 4];
    let thorough = Effort { evaluations: 400, tolerance: 1e-12 };
    let mut missed = Vec::new();
    for (seed, n) in (0..10).flat_map(|seed| [8, 15, 30, 60].map(|n| (seed, n))) {
        let points: Vec<Vec<f64>> = SobolPoints::new(4, seed).take(n).collect();
        let x = Array2::from_shape_fn((n, 4), |(i, j)| points[i][j]);
        for function in functions {
            let y: Vec<f64> = points.iter().map(|point| function(point)).collect();
            let standardisation = Standardisation::of(&y);
            let y: Vec<f64> = y.into_iter().map(|y| standardisation.forward(y)).collect();
            let known_noise = &vec![0.0; n];
            let posterior =
                HyperparameterPosterior { columns: &columns, x: &x, y: &y, known_noise };
            let least = |effort| posterior.maximise(effort).unwrap().value;
            missed.push(least(REFINEMENT) - least(thorough));
        }
    }
    missed.sort_by(f64::total_cmp);
    assert!(missed[missed.len() / 2] < 1e-5, "{missed:?}");
    // Of 160, all but the two worst, where another mode was met.
    assert!(missed[missed.len() - 3] < 2e-4, "{missed:?}");
}

#[test]
fn gradients_agree_with_finite_differences() {
    let (observations, gp) = wavy(0.5);
    check_gradients(&observations, &gp, &[[0.3, 0.6, 1.0], [0.05, 0.9, 0.0]], &[0, 1]);
    let (observations, gp) = conditional();
    check_gradients(&observations, &gp, &[[1.0, 0.3, 0.6], [1.0, 0.05, 0.9]], &[1, 2]);
    check_gradients(&observations, &gp, &[[0.0, 0.5, 0.6]], &[2]);
}

/// At points, along axes, and of the likelihood; along the other axes there is no slope.
fn check_gradients(observations: &Observations, gp: &Gp, points: &[[f64; 3]], axes: &[usize]) {
    let step = 1e-5;
    let warped = GpSpec::new(gp.columns.clone()).sample(observations).unwrap();
    for gp in warped.iter().chain([gp]) {
        for &point in points {
            let (_, gradient) = gp.posterior_with_gradient(&point);
            for j in 0..3 {
                if !axes.contains(&j) {
                    assert!(gradient.mean[j].abs() + gradient.variance[j].abs() <= 0.0);
                    continue;
                }
                let shifted = |by: f64| {
                    let mut point = point;
                    point[j] += by;
                    gp.posterior_at(&point)
                };
                let (ahead, behind) = (shifted(step), shifted(-step));
                assert_close(gradient.mean[j], (ahead.mean - behind.mean) / (2.0 * step), 1e-6);
                assert_close(
                    gradient.variance[j],
                    (ahead.variance - behind.variance) / (2.0 * step),
                    1e-6,
                );
            }
        }
    }
    let posterior = HyperparameterPosterior {
        columns: &gp.columns,
        x: &observations.x,
        y: &gp.y,
        known_noise: &gp.known_noise,
    };
    let theta = [-0.7, 0.2, 1.1, -3.0, 0.1];
    let (_, gradient) = posterior.value_and_gradient(&theta).unwrap();
    for (k, &slope) in gradient.iter().enumerate() {
        let shifted = |by: f64| {
            let mut theta = theta;
            theta[k] += by;
            posterior.value_and_gradient(&theta).unwrap().0
        };
        assert_close(slope, (shifted(step) - shifted(-step)) / (2.0 * step), 1e-6);
    }
}

/// A process of which column 1 is there where column 0, a switch, is on.
fn conditional() -> (Observations, Gp) {
    let columns =
        vec![Column::Categorical, Column::OrderedIf { parent: 0, at: 1.0 }, Column::Ordered];
    let on = |i: usize| !i.is_multiple_of(3);
    let x = Array2::from_shape_fn((14, 3), |(i, j)| match j {
        0 => f64::from(u8::from(on(i))),
        1 if !on(i) => 0.5,
        _ => ((i * (j + 2)) as f64 * 0.37).fract(),
    });
    let y: Vec<f64> =
        x.rows().into_iter().map(|p| 5.0 + p[0] * (3.0 * p[1]).sin() + 0.4 * p[2]).collect();
    let observations = Observations::new(x, y).unwrap();
    let gp = GpSpec::new(columns).fit(&observations).unwrap();
    (observations, gp)
}

/// A conditional parameter is compared where both points have it: there along the arc, whose length is 1 and
/// whose chord to the other end is 0.9; elsewhere it does not matter what its coordinate is.
#[test]
fn a_conditional_parameter_is_compared_where_both_points_have_it() {
    let (_, gp) = conditional();
    let lengthscales = [2.0, 0.5, 1.0];
    let kernel = Kernel::new(&gp.columns, &lengthscales, 1.0);
    let covariance = |a: [f64; 3], b: [f64; 3]| {
        let mut value = [0.0];
        kernel.values(
            &a,
            &ByColumns::new(&Array2::from_shape_fn((1, 3), |(_, j)| b[j])),
            &mut value,
        );
        value[0]
    };
    let by_distance = |distance: f64| {
        let t = 5.0_f64.sqrt() * distance / 0.5;
        (1.0 + t + t * t / 3.0) * (-t).exp()
    };
    let chord = |difference: f64| {
        4.0 / std::f64::consts::PI * (difference * std::f64::consts::FRAC_PI_4).sin()
    };
    for (a, b) in [(0.0, 1.0), (0.2, 0.9), (0.4, 0.5)] {
        let here = covariance([1.0, a, 0.3], [1.0, b, 0.3]);
        assert_close(here, by_distance(chord(b - a)), 1e-12);
        let one_has = covariance([1.0, a, 0.3], [0.0, b, 0.3]);
        let far = by_distance(std::f64::consts::FRAC_2_PI) * (-0.5_f64).exp();
        assert_close(one_has, far, 1e-12);
        assert_close(covariance([0.0, a, 0.3], [0.0, b, 0.3]), 1.0, 1e-12);
    }
    assert!((chord(1.0) - 0.9).abs() < 1e-3);
    // It is a covariance: no jitter is needed where many points, with and without, lie close.
    let x = Array2::from_shape_fn((40, 3), |(i, j)| match j {
        0 => f64::from(u8::from(!i.is_multiple_of(4))),
        1 => (i as f64 * 0.618_034).fract(),
        _ => 0.5,
    });
    let y = (0..40).map(f64::from).collect();
    let long = Hyperparameters {
        lengthscales: vec![50.0, 0.7, 1.0],
        outputscale: 1.0,
        noise_variance: 1e-9,
        mean: 0.0,
    };
    let spec = GpSpec::new(gp.columns.clone());
    // Those without are one point each, repeated: the noise alone tells them apart.
    let gp = spec.condition(&Observations::new(x, y).unwrap(), long).unwrap();
    assert!(gp.jitter() <= 0.0, "{}", gp.jitter());
}

/// A fall behind the last but one of six levels hides nothing of what happens between the others.
#[test]
fn draws_are_warped_where_an_axis_changes_in_one_part_alone() {
    let level = |i: usize| (i % 6) as f64 / 5.0;
    let truth = |p: &[f64]| if p[0] > 0.9 { -3.0 } else { (3.0 * p[0]).sin() + 0.5 * p[1] };
    let seen = Array2::from_shape_fn((20, 2), |(i, j)| level(if j == 0 { i } else { i * i / 3 }));
    let y = seen.rows().into_iter().map(|p| truth(&[p[0], p[1]])).collect();
    let observations = Observations::new(seen, y).unwrap();
    let spec = GpSpec::new(vec![Column::Ordered; 2]);
    let error = |processes: &[Gp]| -> f64 {
        let square = |point: [f64; 2]| {
            let mean = processes.iter().map(|gp| gp.posterior_at(&point).mean).sum::<f64>();
            (mean / processes.len() as f64 - truth(&point)).powi(2)
        };
        let before_the_fall = (0..36).map(|i| [level(i / 6), level(i)]).filter(|p| p[0] < 0.9);
        (before_the_fall.map(square).sum::<f64>() / 30.0).sqrt()
    };
    let warped = spec.sample(&observations).unwrap();
    assert_eq!(warped.len(), 8);
    let (warped, straight) = (error(&warped), error(&[spec.fit(&observations).unwrap()]));
    assert!(warped < 0.8 * straight, "{warped} {straight}");
}

/// Each way to ask a process says the same, of one whose axes are warped too.
#[test]
fn a_warped_process_agrees_with_itself() {
    let (observations, gp) = wavy(0.5);
    let (point, other) = ([0.3, 0.6, 1.0], [0.9, 0.1, 0.0]);
    for gp in GpSpec::new(gp.columns).sample(&observations).unwrap() {
        let alone = gp.posterior_at(&point);
        let rows = Array2::from_shape_fn((2, 3), |(i, j)| [point, other][i][j]);
        assert_close(gp.posterior(&rows)[0].mean, alone.mean, 1e-12);
        assert_close(gp.posterior(&rows)[0].variance, alone.variance, 1e-9);
        assert_close(gp.means(&rows)[0], alone.mean, 1e-12);
        assert_close(gp.covariance(&point, &point), alone.variance, 1e-9);
        let told = gp.with_observation(&point, alone.mean + 2.0).unwrap();
        let expected = alone.variance / (alone.variance + gp.noise_variance());
        let moved = told.posterior_at(&point).mean - alone.mean;
        assert_close(moved, 2.0 * expected, 1e-9);
    }
}

#[test]
fn a_change_of_unit_changes_predictions_alike() {
    let (observations, gp) = wavy(0.25);
    let scaled = Observations::with_noise(
        observations.x.clone(),
        observations.y.iter().map(|y| 1000.0 * y - 3.0).collect(),
        observations.noise_variances.iter().map(|v| 1e6 * v).collect(),
    )
    .unwrap();
    let other = GpSpec::new(gp.columns.clone()).fit(&scaled).unwrap();
    let point = [0.4, 0.2, 1.0];
    let (a, b) = (gp.posterior_at(&point), other.posterior_at(&point));
    assert_close(1000.0 * a.mean - 3.0, b.mean, 1e-7);
    assert_close(1e6 * a.variance, b.variance, 1e-5);
}

#[test]
fn known_noise_is_added_to_the_learned_one() {
    let (observations, exact) = wavy(0.0);
    let (_, noisy) = wavy(4.0);
    let residual = |gp: &Gp| -> f64 {
        let posteriors = gp.posterior(&observations.x);
        posteriors.iter().zip(&observations.y).map(|(p, y)| (p.mean - y).powi(2)).sum()
    };
    assert!(residual(&noisy) > residual(&exact));
    // Between-run noise is learned on top, so it need not explain what is known.
    assert!(
        noisy.hyperparameters().noise_variance <= exact.hyperparameters().noise_variance * 10.0
    );
}

#[test]
fn one_more_observation_equals_conditioning_on_all() {
    let (observations, gp) = wavy(0.0);
    let point = [0.45, 0.55, 1.0];
    let believed = gp.posterior_at(&point).mean;
    let more = gp.with_observation(&point, believed).unwrap();
    assert!(more.posterior_at(&point).variance < gp.posterior_at(&point).variance);
    let known_noise = [gp.known_noise.clone(), vec![0.0]].concat();
    let all =
        Inference::new(&gp.columns, &more.x, &more.y, &known_noise, &gp.hyperparameters).unwrap();
    assert_close(more.log_marginal_likelihood(), all.log_marginal_likelihood, 1e-12);
    for other in observations.x.rows() {
        let other = other.to_vec();
        // Believing the mean leaves the mean alone everywhere.
        assert_close(more.posterior_at(&other).mean, gp.posterior_at(&other).mean, 1e-10);
    }
    assert!(matches!(gp.with_observation(&[0.5], 1.0), Err(GpError::Length { .. })));
    assert!(matches!(
        gp.with_observation(&point, f64::NAN),
        Err(GpError::NotFinite { row: 12, .. })
    ));
}

#[test]
fn order_of_observations_does_not_matter() {
    let (observations, gp) = wavy(0.1);
    let reversed: Vec<usize> = (0..observations.y.len()).rev().collect();
    let other = Observations::with_noise(
        observations.x.select(ndarray::Axis(0), &reversed),
        reversed.iter().map(|&i| observations.y[i]).collect(),
        observations.noise_variances.clone(),
    )
    .unwrap();
    let other = GpSpec::new(gp.columns.clone()).fit(&other).unwrap();
    let (a, b) = (gp.posterior_at(&[0.5, 0.5, 0.0]), other.posterior_at(&[0.5, 0.5, 0.0]));
    assert_close(a.mean, b.mean, 1e-7);
    assert_close(a.variance, b.variance, 1e-4);
}

/// Hyperparameters are those of some, predictions rest on all, and faer does the work.
#[test]
fn many_observations_are_all_used() {
    let x =
        Array2::from_shape_fn((260, 2), |(i, j)| ((i * (3 * j + 2)) as f64 * 0.618_034).fract());
    let y = x.rows().into_iter().map(|p| (5.0 * p[0]).sin() + p[1]).collect();
    let observations = Observations::new(x, y).unwrap();
    let gp = GpSpec::new(vec![Column::Ordered; 2]).fit(&observations).unwrap();
    for (posterior, y) in gp.posterior(&observations.x).iter().zip(&observations.y) {
        assert!((posterior.mean - y).abs() < 0.02, "{} is not {y}", posterior.mean);
    }
    let point = [0.31, 0.77];
    let (alone, (with_gradient, _)) = (gp.posterior_at(&point), gp.posterior_with_gradient(&point));
    assert_close(alone.mean, with_gradient.mean, 1e-12);
    assert_close_absolute(alone.variance, with_gradient.variance, 1e-12);
}

#[test]
fn unusable_input_is_refused() {
    let x = || Array2::from_elem((2, 1), 0.5);
    let spec = GpSpec::new(vec![Column::Ordered]);
    assert_eq!(Observations::new(Array2::zeros((0, 1)), vec![]).unwrap_err(), GpError::Empty);
    let error = Observations::new(x(), vec![1.0]).unwrap_err();
    assert_eq!(error, GpError::Length { field: "targets", expected: 2, got: 1 });
    let error = Observations::with_noise(x(), vec![1.0, 2.0], vec![0.0, -1.0]).unwrap_err();
    assert_eq!(error, GpError::NotFinite { field: "noise variance", row: 1, value: -1.0 });
    let error = Observations::new(Array2::from_elem((1, 1), f64::NAN), vec![1.0]).unwrap_err();
    assert!(matches!(error, GpError::NotFinite { field: "coordinate", row: 0, .. }));

    let observations = Observations::new(x(), vec![1.0, 2.0]).unwrap();
    let error = GpSpec::new(vec![]).fit(&observations).unwrap_err();
    assert_eq!(error, GpError::Length { field: "columns", expected: 0, got: 1 });
    let on_itself = GpSpec::new(vec![Column::OrderedIf { parent: 0, at: 1.0 }]);
    let error = on_itself.fit(&observations).unwrap_err();
    assert_eq!(error, GpError::Parent { column: 0, parent: 0 });
    let good = Hyperparameters {
        lengthscales: vec![1.0],
        outputscale: 1.0,
        noise_variance: 0.1,
        mean: 0.0,
    };
    let bad = |change: fn(&mut Hyperparameters)| {
        let mut hyperparameters = good.clone();
        change(&mut hyperparameters);
        spec.condition(&observations, hyperparameters).unwrap_err()
    };
    assert!(matches!(
        bad(|h| h.lengthscales.clear()),
        GpError::Length { field: "lengthscales", .. }
    ));
    for (error, expected) in [
        (bad(|h| h.lengthscales[0] = 0.0), "lengthscale"),
        (bad(|h| h.outputscale = -1.0), "outputscale"),
        (bad(|h| h.noise_variance = f64::NAN), "noise variance"),
        (bad(|h| h.mean = f64::INFINITY), "mean"),
    ] {
        assert!(
            matches!(error, GpError::Hyperparameter { name, .. } if name == expected),
            "{error}"
        );
    }
}

#[test]
fn stands_where_linfas_regressors_do() {
    use linfa::traits::{Fit, Predict};

    let (observations, gp) = wavy(0.0);
    let data = linfa::Dataset::new(observations.x.clone(), observations.y.clone().into());
    let fitted = Fit::fit(&GpSpec::new(gp.columns.clone()), &data).unwrap();
    let predicted = fitted.predict(&observations.x);
    for (predicted, posterior) in predicted.iter().zip(gp.posterior(&observations.x)) {
        assert_close(*predicted, posterior.mean, 1e-12);
    }
}
