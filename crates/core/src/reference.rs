//! Reads the reference values that tests compare against, and says what close means.

use std::sync::OnceLock;

use ndarray::Array2;
use serde_json::Value as Json;

/// All reference values; `tests/data/gp_reference.json` says where they come from.
pub(crate) fn reference() -> &'static Json {
    static REFERENCE: OnceLock<Json> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        serde_json::from_str(include_str!("../tests/data/gp_reference.json")).expect("valid JSON")
    })
}

/// An input (a number) or a result (a decimal string).
pub(crate) fn number(json: &Json) -> f64 {
    match json {
        Json::Number(number) => number.as_f64().expect("an f64"),
        Json::String(text) => text.parse().expect("a decimal string"),
        other => panic!("not a number: {other}"),
    }
}

pub(crate) fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().expect("a list").iter().map(number).collect()
}

pub(crate) fn matrix(json: &Json) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = json.as_array().expect("a list").iter().map(numbers).collect();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).expect("rows of equal length")
}

/// Equal to a relative tolerance.
#[track_caller]
pub(crate) fn assert_close(got: f64, expected: f64, tolerance: f64) {
    let error = (got - expected).abs();
    assert!(
        error <= tolerance * expected.abs(),
        "{got} is not {expected}: relative error {}",
        error / expected.abs()
    );
}

/// Equal to a tolerance that is relative above 1 and absolute below.
#[track_caller]
pub(crate) fn assert_close_absolute(got: f64, expected: f64, tolerance: f64) {
    let error = (got - expected).abs();
    assert!(error <= tolerance * expected.abs().max(1.0), "{got} is not {expected}: error {error}");
}
