//! Against the reference values, to the tolerances stated with them.

use ndarray::Array2;
use serde_json::Value as Json;

use super::super::{
    fit::HyperparameterPosterior,
    kernel::{ByColumns, Kernel},
    prior::LogNormal,
    *,
};
use crate::minimise::{Effort, Minimum};
use crate::reference::{assert_close, assert_close_absolute, matrix, number, numbers, reference};

const ORDERED: [Column; 3] = [Column::Ordered; 3];
const MIXED: [Column; 5] =
    [Column::Ordered, Column::Ordered, Column::Ordered, Column::Categorical, Column::Categorical];
const IDENTITY: Standardisation = Standardisation { centre: 0.0, scale: 1.0 };

fn value_and_slope(kernel: &Kernel, a: &[f64], b: &[f64]) -> (f64, f64) {
    let (mut value, mut slope) = ([0.0], [0.0]);
    kernel.values_and_slopes(a, &by_columns(b), &mut value, &mut slope);
    (value[0], slope[0])
}

fn by_columns(point: &[f64]) -> ByColumns {
    ByColumns::new(&Array2::from_shape_vec((1, point.len()), point.to_vec()).unwrap())
}

fn assert_matrix(columns: &[Column], case: &Json, lengthscales: &[f64], points: &Array2<f64>) {
    let outputscale = case.get("outputscale").map_or(1.0, number);
    let kernel = Kernel::new(columns, lengthscales, outputscale);
    for (i, expected) in matrix(&case["K"]).rows().into_iter().enumerate() {
        for (j, &expected) in expected.iter().enumerate() {
            assert_close(
                value_and_slope(&kernel, row(points, i), row(points, j)).0,
                expected,
                1e-13,
            );
        }
    }
}

#[test]
fn matern_kernel_and_its_derivatives() {
    let case = &reference()["kernels"]["matern52_ard"];
    let (x, lengthscales) = (matrix(&case["X"]), numbers(&case["lengthscales"]));
    assert_matrix(&ORDERED, case, &lengthscales, &x);
    let kernel = Kernel::new(&ORDERED, &lengthscales, number(&case["outputscale"]));
    let test = matrix(&case["X_test"]);
    for (t, expected) in matrix(&case["K_test_train"]).rows().into_iter().enumerate() {
        for (i, &expected) in expected.iter().enumerate() {
            assert_close(value_and_slope(&kernel, row(&test, t), row(&x, i)).0, expected, 1e-13);
        }
    }
    for i in 0..x.nrows() {
        for k in 0..x.nrows() {
            let pair = (row(&x, i), row(&x, k));
            let mut gradient = [0.0; 3];
            let (value, slope) = value_and_slope(&kernel, pair.0, pair.1);
            let other = by_columns(pair.1);
            kernel.add_lengthscale_gradient(pair.0, &other, &[slope], &[value], &mut gradient);
            for (j, &slope) in gradient.iter().enumerate() {
                assert_close(slope, number(&case["dK_dlog_lengthscale"][j][i][k]), 1e-13);
            }
        }
    }
    let unit = Kernel::new(&[Column::Ordered], &[1.0], 1.0);
    for expected in case["unit_profile"].as_array().unwrap() {
        let r = number(&expected["r"]);
        let (value, slope) = value_and_slope(&unit, &[r], &[0.0]);
        assert_close(value, number(&expected["k"]), 1e-13);
        assert_close(-r * slope, number(&expected["dk_dr"]), 1e-13);
    }
}

#[test]
fn hamming_product_and_ordinal_kernels() {
    let kernels = &reference()["kernels"];
    let categories = matrix(&kernels["hamming_sum"]["C"]);
    let lengthscales = numbers(&kernels["hamming_sum"]["lengthscales"]);
    let columns = [Column::Categorical; 2];
    assert_matrix(&columns, &kernels["hamming_sum"], &lengthscales, &categories);
    // The mean over columns is the sum with longer lengthscales.
    let longer: Vec<f64> = lengthscales.iter().map(|l| l * columns.len() as f64).collect();
    assert_matrix(&columns, &kernels["hamming_mean"], &longer, &categories);

    let product = &kernels["product"];
    let points =
        ndarray::concatenate![ndarray::Axis(1), matrix(&product["X"]), matrix(&product["C"])];
    let mut lengthscales = numbers(&product["matern_lengthscales"]);
    lengthscales.extend(numbers(&product["hamming_lengthscales"]));
    assert_matrix(&MIXED, product, &lengthscales, &points.as_standard_layout().into_owned());

    let ordinal = &kernels["ordinal"];
    let values = numbers(&ordinal["values"]);
    let levels = numbers(&ordinal["levels"]).into_iter();
    let space =
        crate::SearchSpace::new(vec![crate::Parameter::levels("level", levels)], vec![]).unwrap();
    let encode = |value: f64| space.encode(&crate::Configuration::new().with("level", value));
    let scaled: Vec<f64> = values.iter().map(|&value| encode(value).coordinates()[0]).collect();
    for (&scaled, expected) in scaled.iter().zip(numbers(&ordinal["scaled"])) {
        assert_close(scaled, expected, 1e-15);
    }
    let points = Array2::from_shape_vec((scaled.len(), 1), scaled).unwrap();
    assert_matrix(&[Column::Ordered], ordinal, &[number(&ordinal["lengthscale"])], &points);
}

/// The process that a reference case describes, with the tolerances of its values.
struct Case {
    json: &'static Json,
    gp: Gp,
    test: Array2<f64>,
    x: Array2<f64>,
}

impl Case {
    fn new(json: &'static Json, inputs: &Json, columns: &[Column]) -> Self {
        let x = matrix(&inputs["X"]);
        let observations = Observations::new(x.clone(), numbers(&inputs["y"])).unwrap();
        let hyperparameters = hyperparameters(inputs);
        let gp = GpSpec::new(columns.to_vec())
            .exact(&observations, IDENTITY, hyperparameters, Warp::default())
            .unwrap();
        Self { json, gp, test: matrix(&inputs["X_test"]), x }
    }
}

fn hyperparameters(inputs: &Json) -> Hyperparameters {
    Hyperparameters {
        lengthscales: numbers(&inputs["lengthscales"]),
        outputscale: number(&inputs["outputscale"]),
        noise_variance: number(&inputs["noise_variance"]),
        mean: number(&inputs["mean"]),
    }
}

fn assert_gradient(gp: &Gp, x: &Array2<f64>, expected: &Json, tolerance: f64) {
    let Gp { columns, y, known_noise, hyperparameters, .. } = gp;
    let (_, gradient) =
        Inference::with_gradient(columns, x, y, known_noise, hyperparameters).unwrap();
    for (&slope, expected) in
        gradient.log_lengthscales.iter().zip(numbers(&expected["log_lengthscales"]))
    {
        assert_close(slope, expected, tolerance);
    }
    assert_close(gradient.log_noise, number(&expected["log_noise"]), tolerance);
    assert_close_absolute(gradient.mean, number(&expected["mean"]), tolerance);
}

fn assert_posterior(
    gp: &Gp,
    test: &Array2<f64>,
    expected: &Json,
    mean_tolerance: f64,
    variance_tolerance: f64,
) {
    let (means, variances) =
        (numbers(&expected["posterior_mean"]), numbers(&expected["posterior_variance_latent"]));
    let together = gp.posterior(test);
    for t in 0..test.nrows() {
        for posterior in [together[t], gp.posterior_at(row(test, t))] {
            assert_close(posterior.mean, means[t], mean_tolerance);
            assert_close_absolute(posterior.variance, variances[t], variance_tolerance);
        }
    }
}

#[test]
fn exact_inference() {
    struct Tolerances {
        likelihood: f64,
        mean: f64,
        alpha: f64,
        gradient: f64,
        variance: f64,
        point_gradient: f64,
    }
    let well = Tolerances {
        likelihood: 1e-12,
        mean: 1e-12,
        alpha: 1e-12,
        gradient: 1e-12,
        variance: 1e-13,
        point_gradient: 1e-12,
    };
    let badly = Tolerances {
        likelihood: 1e-10,
        mean: 1e-10,
        alpha: 1e-7,
        gradient: 1e-7,
        variance: 1e-13,
        point_gradient: 1e-7,
    };
    for (name, columns, tolerance) in [
        ("well_conditioned", &ORDERED[..], &well),
        ("mixed_product", &MIXED[..], &well),
        ("badly_conditioned", &ORDERED[..], &badly),
    ] {
        let json = &reference()["gp"][name];
        let Case { json, gp, test, x } = Case::new(json, &json["inputs"], columns);
        assert!(gp.jitter() <= 0.0, "{name}");
        assert_close(
            gp.log_marginal_likelihood(),
            number(&json["log_marginal_likelihood"]),
            tolerance.likelihood,
        );
        assert_close(
            gp.inference.cholesky.log_determinant(),
            number(&json["log_det"]),
            tolerance.likelihood,
        );
        for (&alpha, expected) in gp.inference.alpha.iter().zip(numbers(&json["alpha"])) {
            assert_close(alpha, expected, tolerance.alpha);
        }
        assert_gradient(&gp, &x, &json["gradient"], tolerance.gradient);
        assert_posterior(&gp, &test, json, tolerance.mean, tolerance.variance);

        // Covariances between test points, from the same factor.
        let halves: Vec<Vec<f64>> = (0..test.nrows())
            .map(|t| {
                let mut half = gp.inference.covariances(row(&test, t));
                gp.inference.cholesky.half_solve(&mut half);
                half
            })
            .collect();
        for (a, expected) in
            matrix(&json["posterior_covariance_latent"]).rows().into_iter().enumerate()
        {
            for (b, &expected) in expected.iter().enumerate() {
                let prior = value_and_slope(&gp.inference.kernel, row(&test, a), row(&test, b)).0;
                assert_close_absolute(
                    prior - dot(&halves[a], &halves[b]),
                    expected,
                    tolerance.variance,
                );
            }
        }
        // The mixed case has none.
        let d_mean = json.get("posterior_mean_gradient_x").map(matrix);
        let d_variance = json.get("posterior_variance_latent_gradient_x").map(matrix);
        for (d_mean, d_variance) in d_mean.iter().zip(&d_variance) {
            for t in 0..test.nrows() {
                let (posterior, gradient) = gp.posterior_with_gradient(row(&test, t));
                assert_close(posterior.mean, number(&json["posterior_mean"][t]), tolerance.mean);
                for j in 0..d_mean.ncols() {
                    assert_close_absolute(
                        gradient.mean[j],
                        d_mean[(t, j)],
                        tolerance.point_gradient,
                    );
                    assert_close_absolute(
                        gradient.variance[j],
                        d_variance[(t, j)],
                        tolerance.point_gradient,
                    );
                }
            }
        }
        let (means, variances) =
            (numbers(&json["loo_mean"]), numbers(&json["loo_variance_observation"]));
        for (i, left_out) in gp.leave_one_out().into_iter().enumerate() {
            assert_close(left_out.mean, means[i], tolerance.alpha);
            assert_close(left_out.variance, variances[i], tolerance.alpha);
        }
    }
}

#[test]
fn priors() {
    let priors = &reference()["priors"];
    let check = |prior: LogNormal, case: &Json| {
        assert_close(prior.mu, number(&case["mu"]), 1e-15);
        assert_close(prior.sigma, number(&case["sigma"]), 1e-15);
        assert_close(prior.log_mode().exp(), number(&case["mode"]), 1e-14);
        for expected in case["rows"].as_array().unwrap() {
            let (density, slope) = prior.log_density(number(&expected["x"]).ln());
            assert_close(density, number(&expected["log_density"]), 1e-13);
            assert_close_absolute(slope, number(&expected["d_dlogx"]), 1e-13);
        }
    };
    for case in priors["lengthscale"].as_array().unwrap() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count"
        )]
        check(LogNormal::of_lengthscale(number(&case["d"]) as usize), case);
    }
    check(LogNormal::of_noise_variance(), &priors["noise"]);
}

#[test]
fn maximum_a_posteriori() {
    let case = &reference()["priors"]["map"];
    let (x, y) = (matrix(&case["X"]), numbers(&case["y"]));
    let standardisation = Standardisation::of(&y);
    assert_close(standardisation.centre, number(&case["y_mean"]), 1e-14);
    assert_close(standardisation.scale, number(&case["y_sd_n_minus_1"]), 1e-14);
    let standardised: Vec<f64> = y.iter().map(|&y| standardisation.forward(y)).collect();
    for (&y, expected) in standardised.iter().zip(numbers(&case["y_standardised"])) {
        assert_close(y, expected, 1e-14);
    }
    let posterior = HyperparameterPosterior {
        columns: &ORDERED,
        x: &x,
        y: &standardised,
        known_noise: &[0.0; 8],
    };
    let at = &case["value_at"];
    let (value, gradient) = posterior.value_and_gradient(&numbers(&at["theta"])).unwrap();
    assert_close(value, number(&at["objective"]), 1e-10);
    for (&slope, expected) in gradient.iter().zip(numbers(&at["gradient"])) {
        assert_close(slope, expected, 1e-10);
    }

    let optimum = &case["optimum"];
    let thorough = Effort { evaluations: 200, tolerance: 1e-12 };
    let Minimum { x: theta, value } = posterior.maximise(thorough).unwrap();
    for (&theta, expected) in theta.iter().zip(numbers(&optimum["theta"])) {
        assert_close_absolute(theta, expected, 1e-5);
    }
    assert_close(-value, number(&optimum["objective"]), 1e-10);

    // A fit ends earlier, where the likelihood no longer tells.
    let gp = GpSpec::new(ORDERED.to_vec()).fit(&Observations::new(x.clone(), y).unwrap()).unwrap();
    let found = gp.hyperparameters();
    let mut theta: Vec<f64> = found.lengthscales.iter().map(|l| l.ln()).collect();
    theta.extend([found.noise_variance.ln(), found.mean]);
    let (value, _) = posterior.value_and_gradient(&theta).unwrap();
    assert_close_absolute(value, number(&optimum["objective"]), 1e-3);
}

#[test]
fn a_target_that_is_not_finite_is_refused_by_row() {
    let case = &reference()["malformed"]["nan_target"];
    let (x, mut y) = (matrix(&case["X"]), numbers(&case["y"]));
    let bad = usize::try_from(case["bad_index"].as_u64().unwrap()).unwrap();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        y[bad] = value;
        let error = Observations::new(x.clone(), y.clone()).unwrap_err();
        assert!(matches!(error, GpError::NotFinite { field: "target", row, .. } if row == bad));
        assert!(error.to_string().contains(&format!("row {bad}")), "{error}");
    }
    // Left out by the caller, the rest is fine.
    let keep: Vec<usize> = (0..y.len()).filter(|&i| i != bad).collect();
    let (x, y) = (x.select(ndarray::Axis(0), &keep), keep.iter().map(|&i| y[i]).collect());
    let gp = GpSpec::new(ORDERED.to_vec())
        .exact(
            &Observations::new(x.clone(), y).unwrap(),
            IDENTITY,
            hyperparameters(case),
            Warp::default(),
        )
        .unwrap();
    let expected = &case["if_row_removed"];
    assert_close(gp.log_marginal_likelihood(), number(&expected["log_marginal_likelihood"]), 1e-12);
    assert_gradient(&gp, &x, &expected["gradient"], 1e-12);
    assert_posterior(&gp, &matrix(&case["X_test"]), expected, 1e-12, 1e-13);
}

#[test]
fn equal_targets_keep_their_unit() {
    let case = &reference()["malformed"]["all_equal_targets"];
    let (x, y, test) = (matrix(&case["X"]), numbers(&case["y"]), matrix(&case["X_test"]));
    let observations = Observations::new(x.clone(), y).unwrap();
    let spec = GpSpec::new(ORDERED.to_vec());
    let given = Hyperparameters {
        lengthscales: numbers(&case["lengthscales"]),
        outputscale: number(&case["outputscale_standardised"]),
        noise_variance: number(&case["noise_variance_standardised"]),
        mean: number(&case["mean_standardised"]),
    };
    let gp = spec.condition(&observations, given).unwrap();
    assert_eq!(gp.standardisation, Standardisation { centre: 4.2, scale: 1.0 });
    assert_close(gp.log_marginal_likelihood(), number(&case["log_marginal_likelihood"]), 1e-12);
    assert_gradient(&gp, &x, &case["gradient"], 1e-12);
    let posteriors = gp.posterior(&test);
    for (t, posterior) in posteriors.iter().enumerate() {
        assert_close(posterior.mean, number(&case["posterior_mean_natural"][t]), 1e-14);
        assert_close(posterior.variance, number(&case["posterior_variance_latent"][t]), 1e-12);
        let improvement = crate::acquisition::log_expected_improvement(
            posterior.mean,
            posterior.variance.sqrt(),
            4.2,
            crate::Direction::Minimise,
        );
        assert_close(improvement.value.exp(), number(&case["ei_minimise"][t]), 1e-12);
    }
    let fitted = spec.fit(&observations).unwrap();
    assert!(
        fitted
            .posterior(&test)
            .iter()
            .all(|p| (p.mean - 4.2).abs() < 1e-6 && p.variance.is_finite())
    );
}

#[test]
fn repeated_points_without_noise_get_a_reported_jitter_and_with_a_floor_the_floor() {
    let case = &reference()["malformed"]["duplicate_x_zero_noise"];
    let (x, test) = (matrix(&case["X"]), matrix(&case["X_test"]));
    let spec = GpSpec::new(ORDERED.to_vec());
    for (targets, at_floor) in
        [("y_consistent", "consistent_at_floor"), ("y_conflicting", "conflicting_at_floor")]
    {
        let observations = Observations::new(x.clone(), numbers(&case[targets])).unwrap();
        let mut given = hyperparameters(case);
        let gp = spec.exact(&observations, IDENTITY, given.clone(), Warp::default()).unwrap();
        assert!(gp.jitter() > 0.0);
        for (t, posterior) in gp.posterior(&test).into_iter().enumerate() {
            assert!(posterior.mean.is_finite() && posterior.variance >= 0.0);
            if targets == "y_consistent" {
                let limit = &case["limit_consistent_row_0_removed"];
                assert_close_absolute(posterior.mean, number(&limit["posterior_mean"][t]), 1e-7);
                assert_close_absolute(
                    posterior.variance,
                    number(&limit["posterior_variance_latent"][t]),
                    1e-7,
                );
            }
        }
        given.noise_variance = number(&case["noise_floor"]);
        let gp = spec.exact(&observations, IDENTITY, given, Warp::default()).unwrap();
        let expected = &case[at_floor];
        assert!(gp.jitter() <= 0.0);
        assert_close(
            gp.log_marginal_likelihood(),
            number(&expected["log_marginal_likelihood"]),
            1e-10,
        );
        assert_gradient(&gp, &x, &expected["gradient"], 1e-9);
        assert_posterior(&gp, &test, expected, 1e-10, 1e-13);
        // A fit learns its noise and needs no help.
        let fitted = spec.fit(&observations).unwrap();
        assert!(fitted.jitter() <= 0.0);
        assert!(fitted.posterior(&test).iter().all(|p| p.mean.is_finite() && p.variance >= 0.0));
    }
}
