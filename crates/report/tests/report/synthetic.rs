//! Result sets built in code: a small closed formula stands for the server.

use slotune_core::{
    Configuration, Constraint, Entry, Estimate, Measurement, Objective, Origin, Outcome, Parameter,
    Reason, SearchSpace, State, Trial, TrialId,
};
use slotune_results::{Manifest, ResultSet, SCHEMA_VERSION, StoredTrial, StudyManifest, StudyRole};
use slotune_serving::{
    BackendInfo, Calibration, EngineArguments, Hardware, Provenance, RequestRecord, RequestStatus,
    ServerFacts, Workload,
    engine_arguments::{Environment, VllmVersion},
    metrics::Metric,
    workload::{Arrivals, LengthLaw, Lengths, Size, Synthetic},
};

/// Seconds that every evaluation costs.
pub(crate) const COST_S: f64 = 90.0;
/// Seconds of it in which the server starts, where it does.
pub(crate) const START_UP_S: f64 = 40.0;
const MEMORY_GIB: f64 = 79.2;

/// The search space of the main job, made small.
pub(crate) fn space() -> SearchSpace {
    let parameters = vec![
        Parameter::levels("max_num_seqs", [256, 512, 1024, 2048, 4096]),
        Parameter::levels("gpu_memory_utilization", [0.7, 0.9, 0.95]),
        Parameter::boolean("enable_chunked_prefill"),
        Parameter::levels("stream_interval", [1, 2]),
    ];
    SearchSpace::new(parameters, vec![]).expect("the space is valid")
}

/// The objective of the main job.
pub(crate) fn objective() -> Objective {
    Objective::minimise("e2e_p95_s")
        .subject_to(Constraint::at_least("output_throughput_tok_per_s", 1200.0))
        .subject_to(Constraint::at_most("e2e_p95_very_long_s", 3.0))
        .subject_to(Constraint::at_most("queue_share", 0.5).linear())
}

/// A server's configuration.
pub(crate) fn configuration(seqs: i64, utilization: f64, chunked: bool) -> Configuration {
    Configuration::new()
        .with("max_num_seqs", seqs)
        .with("gpu_memory_utilization", utilization)
        .with("enable_chunked_prefill", chunked)
        .with("stream_interval", 1)
}

/// What the formula says of a configuration: waiting shrinks with concurrency, steps grow with it,
/// whole prefills hurt, and much memory with much concurrency does not start.
pub(crate) fn outcome(configuration: &Configuration) -> Outcome {
    let seqs = configuration.float("max_num_seqs").expect("set");
    let utilization = configuration.float("gpu_memory_utilization").expect("set");
    let chunked = configuration.boolean("enable_chunked_prefill").expect("set");
    if utilization > 0.94 && seqs > 2000.0 {
        let text = "torch.OutOfMemoryError: CUDA out of memory occurred when warming up sampler with 4096 dummy requests.\nPlease try lowering `max_num_seqs` | `gpu_memory_utilization`.";
        return Outcome::Infeasible(Reason::new("memory", text));
    }
    let queue = 10.0 * (-seqs / 160.0).exp() / utilization;
    let running = 0.7 + seqs / 4000.0 + if chunked { 0.0 } else { 0.25 };
    let p50 = queue + running;
    let p95 = 1.2 * queue + 1.7 * running;
    let throughput = 1700.0 * seqs / (seqs + 120.0) * (0.55 + 0.45 * utilization);
    Outcome::Completed(measurement(queue, p50, p95, throughput))
}

/// A measurement with all metrics of the page.
pub(crate) fn measurement(queue: f64, p50: f64, p95: f64, throughput: f64) -> Measurement {
    let with_error = |value: f64| Estimate::new(value, value * 0.012);
    Measurement::new()
        .with_estimate("e2e_p50_s", with_error(p50))
        .with_estimate("e2e_p95_s", with_error(p95))
        .with_estimate("e2e_p99_s", with_error(1.4 * p95))
        .with("ttft_p95_s", queue + 0.1)
        .with("queue_time_p50_s", queue)
        .with_estimate("queue_share", Estimate::new(queue / p50, 0.01))
        .with("output_throughput_tok_per_s", throughput)
        .with("request_throughput_per_s", throughput / 210.0)
        .with("e2e_p95_tiny_s", 0.3 * p95)
        .with("e2e_p95_short_s", 0.5 * p95)
        .with("e2e_p95_medium_s", 0.8 * p95)
        .with("e2e_p95_long_s", 1.1 * p95)
        .with_estimate("e2e_p95_very_long_s", with_error(1.45 * p95))
}

/// What a server told, whose arguments resolve as on the set's machine.
fn server(configuration: &Configuration) -> ServerFacts {
    let environment = Environment {
        version: VllmVersion::new(0, 25, 1),
        gpu_memory_gib: MEMORY_GIB,
        gpu_is_a100: false,
        model_max_len: 32_768,
    };
    let arguments = EngineArguments::from_configuration(configuration).expect("valid arguments");
    ServerFacts {
        arguments: arguments.resolve(&environment).to_arguments(),
        start_up_s: START_UP_S,
        ..ServerFacts::default()
    }
}

/// A told trial; where it was measured, with what its server told.
pub(crate) fn trial(
    study: &str,
    id: u64,
    configuration: Configuration,
    outcome: Outcome,
) -> StoredTrial {
    let is_measured = matches!(outcome, Outcome::Completed(_));
    StoredTrial {
        study: study.to_owned(),
        label: None,
        server: is_measured.then(|| server(&configuration)),
        client: None,
        caveats: vec![],
        entry: Entry {
            trial: Trial { id: TrialId(id), configuration, origin: Origin::Sampled, seed: id },
            state: State::Told { outcome, cost: COST_S },
        },
    }
}

/// The same with a label.
pub(crate) fn labelled(label: &str, mut trial: StoredTrial) -> StoredTrial {
    trial.label = Some(label.to_owned());
    trial
}

/// A simulated set of the given studies and trials.
pub(crate) fn set(studies: Vec<StudyManifest>, trials: Vec<StoredTrial>) -> ResultSet {
    ResultSet {
        manifest: Manifest {
            command: "slotune-made-up --seed 7".to_owned(),
            schema_version: SCHEMA_VERSION,
            slotune_version: "0.1.0".to_owned(),
            created: "2026-11-24T20:00:00Z".to_owned(),
            space: space(),
            objective: objective(),
            metrics: Metric::all().map(Metric::name).collect(),
            workload: workload(),
            backend: BackendInfo {
                name: "sim".to_owned(),
                vllm_version: "0.25.1".to_owned(),
                model: "Qwen/Qwen2.5-7B-Instruct".to_owned(),
                hardware: Hardware {
                    gpu: Some("NVIDIA H100 80GB".to_owned()),
                    gpu_memory_gib: Some(MEMORY_GIB),
                    ..Hardware::default()
                },
                provenance: Provenance::Simulated(Calibration {
                    preset: "h100-sxm/qwen2.5-7b".to_owned(),
                    basis: "steps and runs measured on one H100 with vLLM 0.25.1".to_owned(),
                }),
            },
            studies,
            finals: None,
        },
        trials,
    }
}

fn workload() -> Workload {
    Workload::Synthetic(Synthetic {
        arrivals: Arrivals::Poisson { rate_per_s: 6.0 },
        lengths: Lengths::Independent {
            prompt: LengthLaw::Uniform { min_tokens: 64, max_tokens: 512 },
            output: LengthLaw::Fixed(200),
        },
        size: Size::Requests(400),
        seed: 7,
    })
}

/// One study of the manifest.
pub(crate) fn study(name: &str, role: StudyRole, sampler: &str, trials: u64) -> StudyManifest {
    StudyManifest { name: name.to_owned(), role, sampler: sampler.to_owned(), seed: 7, trials }
}

/// The baseline, the default, and three studies: the search walks the space in one order, random
/// in another, the grid in the space's.
pub(crate) fn main_job() -> ResultSet {
    let studies = vec![
        study("reference", StudyRole::Reference, "given", 2),
        study("bayesian", StudyRole::Search, "bayesian", 30),
        study("random", StudyRole::Comparison, "random", 30),
        study("grid", StudyRole::Comparison, "grid", 60),
    ];
    let all = space().enumerate(1000).expect("the space is finite");
    let walk = |name: &str, count: usize, stride: usize| -> Vec<StoredTrial> {
        let at = |i: usize| all[(i * stride) % all.len()].clone();
        (0..count).map(|i| trial(name, i as u64, at(i), outcome(&at(i)))).collect()
    };
    let week2 = measurement(10.47, 12.25, 14.1, 949.0);
    let mut trials = vec![
        labelled(
            "baseline",
            trial("reference", 0, configuration(256, 0.9, true), Outcome::Completed(week2)),
        ),
        labelled("default", reference_of(1, configuration(1024, 0.9, true))),
    ];
    trials.extend(walk("bayesian", 30, 17));
    trials.extend(walk("random", 30, 7));
    trials.extend(walk("grid", 60, 1));
    set(studies, trials)
}

/// A trial of the reference study with the formula's outcome.
pub(crate) fn reference_of(id: u64, configuration: Configuration) -> StoredTrial {
    let outcome = outcome(&configuration);
    trial("reference", id, configuration, outcome)
}

/// Request records with about the latencies that the trial's measurement says.
pub(crate) fn records(trial: &StoredTrial) -> Vec<RequestRecord> {
    let value = |metric| trial.entry.measurement().and_then(|m| m.value(metric)).unwrap_or(1.0);
    let (p50, p95) = (value("e2e_p50_s"), value("e2e_p95_s"));
    let record = |index: u32| {
        let u = (f64::from(index) + 0.5) / 400.0;
        let latency = p50 * (p95 / p50).powf((u - 0.5) / 0.45);
        RequestRecord {
            index,
            prompt_tokens: 300,
            output_tokens: 200,
            intended_s: f64::from(index),
            sent_s: f64::from(index),
            first_token_s: Some(f64::from(index) + latency / 3.0),
            last_token_s: Some(f64::from(index) + latency),
            queue_time_s: None,
            chunk_times_s: vec![],
            status: RequestStatus::Completed,
        }
    };
    (0..400).map(record).collect()
}
