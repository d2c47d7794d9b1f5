//! Whether a server that is known is found again.

use slotune_serving::{EngineArguments, Load, RequestSpec, Schedule, random};

use super::*;
use crate::{RunOptions, simulate};

/// A run of a simulated server that stands for a real one: requests of many lengths, at `rate_per_s`.
fn run_of(preset: &GpuPreset, rate_per_s: f64, max_num_seqs: u32) -> MeasuredRun {
    let draw = |index: u32, most: u64| {
        u32::try_from((random::derive(7, "lengths", index.into()) >> 20) % most).expect("small")
    };
    let requests = (0..200_u32)
        .map(|index| RequestSpec {
            arrival_s: f64::from(index) / rate_per_s,
            prompt_tokens: 50 + draw(index, 1500),
            output_tokens: 10 + draw(index + 1000, 300),
            shared_prefix: vec![],
        })
        .collect();
    let arguments =
        EngineArguments { max_num_seqs: Some(max_num_seqs), ..EngineArguments::default() };
    let server = preset.server(ModelShape::qwen2_5_7b());
    let schedule = Schedule { load: Load::Open, requests };
    let options = RunOptions::default();
    let run = simulate(&server, &server.resolve(&arguments), 60_000, &schedule, &options)
        .expect("well formed");
    let counts = EngineCounts { steps: Some(run.totals.engine_steps), preemptions: Some(0) };
    MeasuredRun::new(format!("{rate_per_s}/s"), arguments, 60_000, counts, &run.records)
        .expect("all complete")
}

fn shipped() -> GpuPreset {
    GpuPreset::named("h100-sxm").expect("it is shipped")
}

/// A host half as slow again, and a GPU with less bandwidth.
fn other() -> GpuPreset {
    let mut other = shipped();
    for (name, factor) in
        [("host.piecewise_ms", 1.5), ("host.eager_ms", 1.5), ("weights_gb_per_s", 0.7)]
    {
        let number = other.coefficients.iter().find(|number| number.name == name).cloned();
        let number = number.expect("a known name");
        other.set(Coefficient { value: number.value * factor, ..number }).expect("allowed");
    }
    other
}

fn largest_error(figures: &[RunFigures], runs: &[MeasuredRun]) -> f64 {
    let errors = figures.iter().zip(runs).flat_map(|(figures, run)| {
        TARGETS.map(|(metric, _)| {
            figures.relative_error(run.measured(), metric).expect("defined").abs()
        })
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn a_run_of_the_preset_itself_is_replayed_exactly() {
    let run = run_of(&shipped(), 20.0, 128);
    let again = run.replay(&shipped().server(ModelShape::qwen2_5_7b())).expect("it runs");
    assert_eq!(&again, run.measured());
}

#[test]
fn another_server_is_found_from_its_runs_and_predicted_beyond_them() {
    let model = ModelShape::qwen2_5_7b();
    let runs =
        [(8.0, 128), (25.0, 128), (25.0, 32)].map(|(rate, seqs)| run_of(&other(), rate, seqs));
    let unseen = [run_of(&other(), 16.0, 256)];
    let replay =
        |preset: &GpuPreset| unseen[0].replay(&preset.server(model.clone())).expect("it runs");
    let before = largest_error(&[replay(&shipped())], &unseen);
    let fitted =
        calibrate(&shipped(), &model, &runs, &[], "runs of a test").expect("it can be fitted");
    let after = largest_error(&[replay(&fitted.preset)], &unseen);
    assert!(before > 0.2 && after < 0.03, "{before} before, {after} after");
    assert!(largest_error(&fitted.figures, &runs) < 0.03);
    let of =
        |name: &str| fitted.coefficients.iter().find(|number| number.name == name).expect(name);
    assert!(of("weights_gb_per_s").after < 0.85 * of("weights_gb_per_s").before);
    // Nothing ran without compilation.
    let unseen = of("host.eager_uncompiled_ms");
    assert_eq!((unseen.after, unseen.told), (unseen.before, 0.0));
}

/// Runs of another machine tell of the laws, not of the speed of the one that is fitted.
#[test]
fn runs_of_another_machine_may_stand_beside() {
    let model = ModelShape::qwen2_5_7b();
    let runs = [(8.0, 128), (25.0, 32)].map(|(rate, seqs)| run_of(&other(), rate, seqs));
    let beside = [run_of(&shipped(), 20.0, 128)];
    let before: Vec<RunFigures> = runs
        .iter()
        .map(|run| run.replay(&shipped().server(model.clone())).expect("it runs"))
        .collect();
    let fitted = calibrate(&shipped(), &model, &runs, &[&beside], "runs of a test");
    let after = largest_error(&fitted.expect("it can be fitted").figures, &runs);
    let before = largest_error(&before, &runs);
    assert!(before > 0.2 && after < 0.25 * before, "{before} before, {after} after");
}

#[test]
fn a_fitted_preset_is_a_file_that_says_what_was_fitted() {
    let model = ModelShape::qwen2_5_7b();
    let runs = [run_of(&other(), 20.0, 128)];
    let fitted =
        calibrate(&shipped(), &model, &runs, &[], "runs of a test").expect("it can be fitted");
    let again = GpuPreset::parse("mine.toml", &fitted.preset.to_toml()).expect("a preset");
    assert_eq!(again, fitted.preset);
    for number in &fitted.coefficients {
        let stored = again.coefficients.iter().find(|known| known.name == number.name);
        let stored = stored.expect("all are written");
        assert!((stored.value - number.after).abs() <= 0.0, "{}", number.name);
        assert_eq!(stored.source == "fit to runs of a test", number.told > 0.0, "{}", number.name);
    }
}

/// A number that the runs tell nothing of stays to its last digit, in the file and in what is told of it.
#[test]
fn what_is_not_told_is_kept_as_it_was() {
    let mut preset = shipped();
    let exact = preset.coefficients.iter().find(|number| number.name == "host.eager_uncompiled_ms");
    let exact = Coefficient { value: 27.812_345_678, ..exact.expect("it is there").clone() };
    preset.set(exact.clone()).expect("a cost");
    let model = ModelShape::qwen2_5_7b();
    let runs = [run_of(&other(), 20.0, 128)];
    let fitted =
        calibrate(&preset, &model, &runs, &[], "runs of a test").expect("it can be fitted");
    let told = fitted.coefficients.iter().find(|number| number.name == exact.name).expect("free");
    assert_eq!([told.before, told.after].map(f64::to_bits), [exact.value.to_bits(); 2]);
    assert!(fitted.preset.coefficients.contains(&exact));
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let model = ModelShape::qwen2_5_7b();
    assert_eq!(calibrate(&shipped(), &model, &[], &[], ""), Err(CalibrationError::NoRuns));
    let one = [run_of(&shipped(), 20.0, 128)];
    let left_out: Vec<_> = cross_validate(&shipped(), &model, &one, &[]).collect();
    assert_eq!(left_out, [Err(CalibrationError::NoRuns)]);
    let record = slotune_serving::RequestRecord {
        index: 0,
        prompt_tokens: 1,
        output_tokens: 0,
        intended_s: 0.0,
        sent_s: 0.0,
        first_token_s: None,
        last_token_s: None,
        queue_time_s: None,
        chunk_times_s: vec![],
        status: slotune_serving::RequestStatus::Unfinished,
    };
    let error =
        MeasuredRun::new("mine", EngineArguments::default(), 9, EngineCounts::default(), &[record]);
    assert_eq!(
        error.expect_err("it did not complete").to_string(),
        "run mine: 1 of 1 requests did not complete, so it cannot be compared; leave it out"
    );
}
