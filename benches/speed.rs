//! How long the parts of a trial take: asking and its parts, simulating, measuring.
//!
//! ```text
//! cargo bench -p slotune-benches
//! ```

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use slotune::{
    core::{
        Constraint, Direction, Measurement, Objective, Outcome, Parameter, Problem, SearchSpace,
        Study,
        acquisition::log_expected_improvement,
        gp::{GpSpec, Observations},
        sampler::{Bayesian, Sobol},
    },
    serving::{
        Run, Schedule, TrialRequest, Workload,
        metrics::{MeasureOptions, measure},
        workload::{Arrivals, LengthLaw, Lengths, Size, Synthetic},
    },
    sim::{ServerModel, Simulator},
};

/// Numbers of trials at which the search is timed.
const SIZES: [usize; 4] = [20, 100, 500, 1000];

/// A study over six parameters with an objective and one constraint that was told `n` trials.
fn study_of(n: usize) -> Study {
    let parameters = (0..6).map(|j| Parameter::float(format!("x{j}"), 0.0, 1.0)).collect();
    let space = SearchSpace::new(parameters, vec![]).expect("a plain space");
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 2.0));
    let problem = Problem::new(space, objective);
    let mut study = Study::new(problem.clone(), Box::new(Sobol), 0).expect("a plain study");
    for trial in study.ask_many(n).expect("Sobol points") {
        let x: Vec<f64> =
            (0..6).map(|j| trial.configuration.float(&format!("x{j}")).unwrap_or(0.5)).collect();
        let bowl: f64 = x.iter().map(|x| (x - 0.4).powi(2)).sum();
        let measurement = Measurement::new()
            .with("latency", 1.0 + bowl)
            .with("throughput", 1.0 + x.iter().sum::<f64>());
        study.tell(trial.id, Outcome::Completed(measurement), 1.0).expect("a plain outcome");
    }
    Study::resume(problem, Box::new(Bayesian::default()), 0, study.history().clone())
        .expect("its own history")
}

fn ask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ask");
    group.sample_size(10);
    for n in SIZES {
        let study = study_of(n);
        let (problem, history) = (study.problem().clone(), study.history().clone());
        group.bench_function(format!("{n} trials, 6 parameters, 2 outcomes"), |bencher| {
            bencher.iter_batched(
                || {
                    Study::resume(
                        problem.clone(),
                        Box::new(Bayesian::default()),
                        0,
                        history.clone(),
                    )
                    .expect("its own history")
                },
                |mut study| black_box(study.ask().expect("a suggestion")),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// The parts of a suggestion: fitting a process, predicting at 2048 points, and the acquisition there.
fn parts_of_ask(criterion: &mut Criterion) {
    const POINTS: usize = 2048;
    let mut group = criterion.benchmark_group("process");
    group.sample_size(10);
    for n in SIZES {
        let study = study_of(n);
        let space = study.problem().space();
        let encode = |trial: &slotune::core::Trial| space.encode(&trial.configuration);
        let points: Vec<f64> = study
            .history()
            .completed()
            .flat_map(|(trial, _)| encode(trial).coordinates().to_vec())
            .collect();
        let y = study.history().completed().filter_map(|(_, m)| m.value("latency")).collect();
        let x = Array2::from_shape_vec((n, 6), points).expect("six parameters");
        let observations = Observations::new(x, y).expect("plain numbers");
        let spec = GpSpec::new(space.columns());
        group.bench_function(format!("fit to {n}"), |bencher| {
            bencher.iter(|| black_box(spec.fit(&observations).expect("a plain fit")));
        });
        let process = spec.fit(&observations).expect("a plain fit");
        let test = Array2::from_shape_fn((POINTS, 6), |(i, j)| {
            ((i * 7919 + j * 104_729) % 10_007) as f64 / 10_007.0
        });
        group.bench_function(format!("predict at {POINTS} points from {n}"), |bencher| {
            bencher.iter(|| black_box(process.posterior(&test)));
        });
    }
    let posteriors: Vec<(f64, f64)> =
        (0..POINTS).map(|i| (i as f64 / 100.0, 0.1 + (i % 17) as f64)).collect();
    group.bench_function(format!("log expected improvement at {POINTS} points"), |bencher| {
        bencher.iter(|| {
            let value = |&(mean, deviation): &(f64, f64)| {
                log_expected_improvement(mean, deviation, 1.0, Direction::Minimise).value
            };
            black_box(posteriors.iter().map(value).sum::<f64>())
        });
    });
    group.finish();
}

/// Chat requests near the saturation of one H100.
fn chat(requests: u32) -> Schedule {
    Workload::Synthetic(Synthetic {
        arrivals: Arrivals::Poisson { rate_per_s: 22.0 },
        lengths: Lengths::Independent {
            prompt: LengthLaw::Uniform { min_tokens: 64, max_tokens: 2000 },
            output: LengthLaw::Uniform { min_tokens: 20, max_tokens: 400 },
        },
        size: Size::Requests(requests),
        seed: 1,
    })
    .schedule()
    .expect("a plain workload")
}

fn simulate_chat(requests: u32) -> Run {
    Simulator::new(ServerModel::measured())
        .run(&TrialRequest {
            arguments: slotune::serving::EngineArguments::default(),
            schedule: chat(requests).into(),
            seed: 0,
            record_chunk_times: false,
            give_up: vec![],
        })
        .expect("vLLM's defaults start")
}

fn simulate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10);
    group.throughput(Throughput::Elements(4000));
    group.bench_function("4000 chat requests", |bencher| {
        bencher.iter(|| black_box(simulate_chat(4000)));
    });
    group.finish();
}

fn measure_run(criterion: &mut Criterion) {
    let run = simulate_chat(4000);
    let mut group = criterion.benchmark_group("measure");
    group.throughput(Throughput::Elements(4000));
    group.bench_function("4000 requests, 200 replicates", |bencher| {
        bencher.iter(|| measure(black_box(&run), &MeasureOptions::default()));
    });
    group.finish();
}

criterion_group!(benches, ask, parts_of_ask, simulate, measure_run);
criterion_main!(benches);
