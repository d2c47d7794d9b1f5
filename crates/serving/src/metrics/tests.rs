//! Formulas worked by hand, statistics against reference values.

use proptest::prelude::*;
use serde_json::Value;

use super::{statistics::student_t, *};
use crate::{LengthClass, RequestRecord, RequestStatus, ServerFacts};

/// Reference values in extended precision.
fn reference() -> Value {
    serde_json::from_str(include_str!("../../tests/data/statistics.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(number).collect()
}

fn assert_close(value: f64, expected: f64, relative: f64) {
    assert!((value - expected).abs() <= relative * expected.abs(), "{value} is not {expected}");
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn percentiles_match_the_reference() {
    for case in reference()["percentile_type7"].as_array().unwrap() {
        let values = sorted(numbers(&case["values"]));
        for row in case["rows"].as_array().unwrap() {
            let value = percentile(&values, number(&row["p"])).unwrap();
            assert_close(value, number(&row["value"]), 1e-14);
        }
    }
    assert_eq!(percentile(&[], 50.0), None);
    for percent in [-0.1, 100.1, f64::NAN] {
        assert_eq!(percentile(&[1.0], percent), None);
    }
}

#[test]
fn percentiles_of_extreme_values_are_values_and_never_panic() {
    let infinite = [f64::NEG_INFINITY, 1.0, f64::INFINITY];
    for (percent, expected) in [(0.0, infinite[0]), (50.0, 1.0), (75.0, infinite[2])] {
        assert_eq!(percentile(&infinite, percent), Some(expected));
    }
    assert_eq!(percentile(&[f64::NEG_INFINITY, f64::INFINITY], 50.0), None);
    assert_eq!(percentile(&[f64::INFINITY; 2], 50.0), Some(f64::INFINITY));
    assert_eq!(percentile(&[f64::MIN, f64::MAX], 100.0), Some(f64::MAX));
    assert_eq!(percentile(&[f64::NAN], 50.0), None);
    assert_eq!(percentile(&[1.0, f64::NAN], 75.0), None);
}

#[test]
fn the_bootstrap_matches_the_reference() {
    let case = &reference()["bootstrap_p95"];
    let values = numbers(&case["values"]);
    let population = population::Population::new((0..).zip(values.iter().copied()));
    let replicates: Vec<f64> = case["index_lists"]
        .as_array()
        .unwrap()
        .iter()
        .map(|indices| {
            let mut counts = vec![0; values.len()];
            for index in indices.as_array().unwrap() {
                counts[usize::try_from(index.as_u64().unwrap()).unwrap()] += 1;
            }
            population.p95(&counts).unwrap()
        })
        .collect();
    for (replicate, expected) in replicates.iter().zip(numbers(&case["replicates"])) {
        assert_close(*replicate, expected, 1e-14);
    }
    assert_close(standard_deviation(&replicates), number(&case["standard_error_n_minus_1"]), 1e-13);
    let interval = confidence_interval(&replicates, 0.95).unwrap();
    assert_close(interval.low, number(&case["ci95_low"]), 1e-13);
    assert_close(interval.high, number(&case["ci95_high"]), 1e-13);
}

#[test]
fn student_intervals_match_the_reference() {
    let reference = reference();
    for row in reference["student_t_two_sided"].as_array().unwrap() {
        let t = student_t(number(&row["confidence"]), number(&row["df"])).unwrap();
        assert_close(t, number(&row["t"]), 1e-11);
    }
    let case = &reference["mean_ci95"];
    let interval = mean_interval(&numbers(&case["values"]), 0.95).unwrap();
    let (mean, half_width) = (number(&case["mean"]), number(&case["half_width"]));
    assert_close(interval.low, mean - half_width, 1e-11);
    assert_close(interval.high, mean + half_width, 1e-11);
}

#[test]
fn intervals_of_nothing_are_undefined() {
    assert_eq!(mean_interval(&[1.0], 0.95), None);
    assert_eq!(mean_interval(&[1.0, f64::NAN], 0.95), None);
    assert_eq!(confidence_interval(&[], 0.95), None);
    assert_eq!(confidence_interval(&[f64::NAN], 0.95), None);
    for confidence in [0.0, 1.0, f64::NAN] {
        assert_eq!(mean_interval(&[1.0, 2.0], confidence), None);
        assert_eq!(confidence_interval(&[1.0, 2.0], confidence), None);
    }
}

fn record(
    index: u32,
    intended_s: f64,
    ttft_s: f64,
    tpot_s: f64,
    output_tokens: u32,
) -> RequestRecord {
    let token = |i: u32| intended_s + ttft_s + tpot_s * f64::from(i);
    RequestRecord {
        index,
        prompt_tokens: 100,
        output_tokens,
        intended_s,
        // The client was late, which must not shorten any latency.
        sent_s: intended_s + ttft_s / 2.0,
        first_token_s: Some(token(0)),
        last_token_s: Some(token(output_tokens - 1)),
        queue_time_s: Some(ttft_s / 4.0),
        chunk_times_s: (0..output_tokens).map(token).collect(),
        status: RequestStatus::Completed,
    }
}

fn run(records: Vec<RequestRecord>) -> Run {
    let last_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
    Run {
        records,
        end_s: last_s,
        cost_s: last_s,
        server: ServerFacts::default(),
        timeline: vec![],
        client: None,
        caveats: vec![],
    }
}

fn failed(index: u32, intended_s: f64) -> RequestRecord {
    RequestRecord {
        first_token_s: None,
        last_token_s: None,
        chunk_times_s: vec![],
        status: RequestStatus::Failed("connection reset".to_owned()),
        ..record(index, intended_s, 1.0, 0.1, 50)
    }
}

/// Four requests that can be measured by hand; one of them failed.
fn by_hand() -> Run {
    run(vec![
        record(0, 10.0, 0.5, 0.25, 5),   // E2E 1.5 s, ends at 11.5
        record(1, 11.0, 1.0, 0.01, 501), // E2E 6 s, ends at 17
        failed(2, 11.5),
        record(3, 12.0, 2.0, 0.1, 1), // E2E 2 s, ends at 14
    ])
}

#[test]
fn every_formula_gives_what_the_hand_gives() {
    let slo = Slo { ttft_s: Some(1.5), tpot_s: None, e2e_s: Some(4.0) };
    let measurement = measure(&by_hand(), &MeasureOptions { slo, ..Default::default() }).unwrap();
    let expected = [
        ("e2e_mean_s", 9.5 / 3.0),
        ("e2e_p50_s", 2.0),
        ("e2e_p95_s", 5.6),
        ("e2e_p99_s", 5.92),
        ("ttft_mean_s", 3.5 / 3.0),
        ("ttft_p50_s", 1.0),
        ("ttft_p95_s", 1.9),
        ("tpot_mean_s", 0.13),
        ("tpot_p50_s", 0.13),
        ("tpot_p99_s", 0.2476),
        ("itl_mean_s", 6.0 / 504.0),
        ("itl_p50_s", 0.01),
        ("itl_p99_s", 0.01),
        ("queue_time_mean_s", 3.5 / 12.0),
        ("queue_time_p50_s", 0.25),
        ("queue_share", 0.875 / 9.5),
        ("e2e_p95_tiny_s", 1.975),
        ("e2e_p95_very_long_s", 6.0),
        ("output_throughput_tok_per_s", 507.0 / 7.0),
        ("request_throughput_per_s", 3.0 / 7.0),
        ("goodput_per_s", 1.0 / 7.0),
        ("completed_share", 0.75),
    ];
    for (metric, value) in expected {
        assert_close(measurement.value(metric).unwrap_or_else(|| panic!("{metric}")), value, 1e-9);
    }
    // Undefined: no request of these classes completed.
    for class in [LengthClass::Short, LengthClass::Medium, LengthClass::Long] {
        assert_eq!(measurement.get(&Metric::E2eP95Of(class).name()), None);
    }
}

#[test]
fn what_was_not_recorded_is_absent() {
    let mut run = by_hand();
    for record in &mut run.records {
        record.chunk_times_s.clear();
        record.queue_time_s = None;
    }
    // The sum also holds the failed request, so it does not give the mean.
    run.server.queue_time_sum_s = Some(3.0);
    let measurement = measure(&run, &MeasureOptions::default()).unwrap();
    for metric in ["itl_p95_s", "queue_time_mean_s", "queue_share", "goodput_per_s"] {
        assert_eq!(measurement.get(metric), None, "{metric}");
    }
    run.records.remove(2);
    let measurement = measure(&run, &MeasureOptions::default()).unwrap();
    assert_close(measurement.value("queue_time_mean_s").unwrap(), 1.0, 1e-15);
    assert_close(measurement.value("queue_share").unwrap(), 3.0 / 9.5, 1e-15);
    assert_eq!(measurement.get("queue_time_p50_s"), None);
}

#[test]
fn runs_that_cannot_be_measured_say_why() {
    type Change = fn(&mut RequestRecord);
    let error = |run: &Run| measure(run, &MeasureOptions::default()).unwrap_err().to_string();
    assert!(error(&run(vec![])).contains("no requests"));
    let none = run(vec![failed(0, 0.0), failed(1, 0.0)]);
    assert!(
        error(&none).contains("none of 2 requests completed (the first: failed: connection reset)")
    );
    let broken = |change: Change| {
        let mut run = by_hand();
        change(&mut run.records[1]);
        error(&run)
    };
    let cases: [(&str, Change); 6] = [
        ("without a first or last token", |record| record.first_token_s = None),
        ("not in order", |record| record.last_token_s = Some(f64::NAN)),
        ("not in order", |record| record.first_token_s = Some(0.0)),
        ("0 output tokens", |record| record.output_tokens = 0),
        ("queue time", |record| record.queue_time_s = Some(-1.0)),
        ("chunk times", |record| record.chunk_times_s.swap(3, 4)),
    ];
    for (expected, change) in cases {
        let error = broken(change);
        assert!(error.starts_with("record 1 ") && error.contains(expected), "{error}");
    }
    let slo = Slo { tpot_s: Some(0.0), ..Default::default() };
    let error = measure(&by_hand(), &MeasureOptions { slo, ..Default::default() }).unwrap_err();
    assert_eq!(error, MeasureError::Slo { field: "tpot_s", value: 0.0 });
}

/// Requests with independent exponential E2E latencies of mean 1 s.
fn exponential(count: u32) -> Run {
    let mut generator = stream(9, "test", 0);
    let latency = |u: f64| -(1.0 - u).ln();
    run((0..count).map(|i| record(i, f64::from(i), latency(generator.random()), 0.0, 1)).collect())
}

#[test]
fn standard_errors_are_those_of_theory() {
    let measurement = measure(&exponential(4000), &MeasureOptions::default()).unwrap();
    // Mean: sd / sqrt(n). Quantile: sqrt(p (1 - p) / n) / density, here with density 1 - p. A
    // bootstrap with 200 replicates knows a standard error to 5 %, that of a quantile less well.
    let root_n = 4000_f64.sqrt();
    let error = |metric| measurement.get(metric).unwrap().standard_error;
    assert_close(error("e2e_mean_s"), 1.0 / root_n, 0.15);
    assert_close(error("e2e_p50_s"), 1.0 / root_n, 0.3);
    assert_close(error("e2e_p95_s"), (0.95_f64 / 0.05).sqrt() / root_n, 0.3);
    assert!(error("completed_share").abs() < f64::MIN_POSITIVE);
}

#[test]
fn replicates_are_those_of_the_measurement() {
    let run = exponential(300);
    let options = MeasureOptions { replicates: 50, ..Default::default() };
    let metric = Metric::E2e(Statistic::P95);
    let replicates = replicates(&run, metric, &options).unwrap();
    assert_eq!(replicates.len(), 50);
    let measured = measure(&run, &options).unwrap().get(&metric.name()).unwrap();
    assert_close(measured.standard_error, standard_deviation(&replicates), 1e-15);
    let interval = confidence_interval(&replicates, 0.9).unwrap();
    assert!(interval.low < measured.value && measured.value < interval.high);
    let none = MeasureOptions { replicates: 0, ..options };
    let unknown = measure(&run, &none).unwrap().get(&metric.name()).unwrap();
    assert!(unknown.standard_error.abs() < f64::MIN_POSITIVE);
}

#[test]
fn one_seed_gives_one_measurement() {
    let run = exponential(200);
    let with_seed = |seed| measure(&run, &MeasureOptions { seed, ..Default::default() }).unwrap();
    assert_eq!(with_seed(1), with_seed(1));
    assert_ne!(with_seed(1), with_seed(2));
}

#[test]
fn the_catalogue_is_closed_and_named_uniquely() {
    let metrics: Vec<Metric> = Metric::all().collect();
    assert_eq!(metrics.len(), 30);
    for metric in &metrics {
        assert_eq!(Metric::from_name(&metric.name()), Ok(*metric));
        let unit = if metric.name().ends_with("_tok_per_s") {
            "tok/s"
        } else if metric.name().ends_with("_per_s") {
            "req/s"
        } else if metric.name().ends_with("_s") {
            "s"
        } else {
            ""
        };
        assert_eq!(metric.unit(), unit, "{metric}");
        assert!(!metric.label().is_empty());
    }
    let slo = Slo { e2e_s: Some(100.0), ..Default::default() };
    let all = [1, 51, 151, 351, 500].map(|tokens| record(0, 0.0, 1.0, 0.1, tokens)).to_vec();
    let measured = measure(&run(all), &MeasureOptions { slo, ..Default::default() }).unwrap();
    let names: Vec<String> = measured.iter().map(|(name, _)| name.to_owned()).collect();
    let mut catalogue: Vec<String> = metrics.iter().map(|metric| metric.name()).collect();
    catalogue.sort();
    assert_eq!(names, catalogue);
    let error = Metric::from_name("e2e_p96_s").unwrap_err();
    assert!(
        error.to_string().starts_with("unknown metric `e2e_p96_s`; did you mean `e2e_p95_s`?"),
        "{error}"
    );
    // By its words, in any order and without the unit.
    for (name, meant) in [("p95_ttft", "ttft_p95_s"), ("throughput", "output_throughput_tok_per_s")]
    {
        let error = Metric::from_name(name).unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some(meant));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn percentiles_rise_and_stay_within_the_values(
        values in prop::collection::vec(-1e9..1e9, 1..40),
        percents in prop::collection::vec(0.0..=100.0, 2..6),
    ) {
        let values = sorted(values);
        let at: Vec<f64> = sorted(percents).iter().map(|&p| percentile(&values, p).unwrap()).collect();
        prop_assert!(at.is_sorted());
        prop_assert!(at.iter().all(|value| (values[0]..=values[values.len() - 1]).contains(value)));
    }

    #[test]
    fn counting_values_is_the_same_as_repeating_them(
        counted in prop::collection::vec((0.0..100.0, 0_u32..4), 1..12),
    ) {
        let values: Vec<f64> = counted.iter().map(|(value, _)| *value).collect();
        let counts: Vec<u32> = counted.iter().map(|(_, count)| *count).collect();
        let repeated = sorted(
            counted.iter().flat_map(|&(value, count)| vec![value; count as usize]).collect(),
        );
        let population = population::Population::new((0..).zip(values));
        prop_assert_eq!(population.p95(&counts), percentile(&repeated, 95.0));
        let mut seen = vec![];
        population.statistics(&counts, |statistic, value| seen.push((statistic, value)));
        prop_assert_eq!(seen.len(), if repeated.is_empty() { 0 } else { 4 });
        for (statistic, value) in seen {
            let expected = match statistic {
                Statistic::Mean => repeated.iter().sum::<f64>() / repeated.len() as f64,
                Statistic::P50 => percentile(&repeated, 50.0).unwrap(),
                Statistic::P95 => percentile(&repeated, 95.0).unwrap(),
                Statistic::P99 => percentile(&repeated, 99.0).unwrap(),
            };
            prop_assert!((value - expected).abs() <= 1e-12 * expected, "{:?}: {} {}", statistic, value, expected);
        }
    }

    #[test]
    fn throughput_over_the_window_gives_back_all_tokens(
        lengths in prop::collection::vec(1_u32..600, 1..30),
    ) {
        let records: Vec<RequestRecord> =
            (0..).zip(&lengths).map(|(i, &tokens)| record(i, f64::from(i), 0.3, 0.02, tokens)).collect();
        let end_s = records.iter().filter_map(|r| r.last_token_s).fold(0.0, f64::max);
        let none = MeasureOptions { replicates: 0, ..Default::default() };
        let measured = measure(&run(records), &none).unwrap();
        let tokens = measured.value("output_throughput_tok_per_s").unwrap() * end_s;
        prop_assert!((tokens - f64::from(lengths.iter().sum::<u32>())).abs() < 1e-6);
    }
}
