//! A small set that holds every type, and every kind of trial.

use slotune_core::{
    Configuration, Constraint, Entry, Estimate, Measurement, Objective, Origin, Outcome, Parameter,
    Reason, SearchSpace, State, Trial, TrialId,
};
use slotune_results::{Manifest, SCHEMA_VERSION, StoredTrial, StudyManifest, StudyRole};
use slotune_serving::{
    BackendInfo, Calibration, Caveat, CaveatClass, ClientFacts, Hardware, Provenance,
    RequestRecord, RequestStatus, ServerFacts, ServerSample,
    engine_arguments::{CudagraphMode, ResolvedEngineArguments, SchedulingPolicy},
    metrics::{Metric, Statistic},
    workload::{Arrivals, LengthLaw, Lengths, Size, Synthetic, Workload},
};

pub(crate) fn manifest() -> Manifest {
    let space = SearchSpace::new(
        vec![
            Parameter::levels("max_num_seqs", [256, 512, 1024]),
            Parameter::float("gpu_memory_utilization", 0.7, 0.95),
            Parameter::boolean("enable_chunked_prefill"),
            Parameter::integer("long_prefill_token_threshold", 0, 4096)
                .only_if("enable_chunked_prefill", true),
            Parameter::categorical("cudagraph_mode", ["full_and_piecewise", "none"]),
            Parameter::levels("swap_space", [0.5, 4.0]),
            Parameter::levels("kv_cache_dtype", ["fp8", "auto"]),
            Parameter::levels("async_scheduling", [false, true]),
        ],
        vec![],
    );
    let study = |name: &str, role| StudyManifest {
        name: name.to_owned(),
        role,
        sampler: "bayesian".to_owned(),
        seed: 7,
        trials: 20,
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        slotune_version: "0.1.0".to_owned(),
        created: "2026-11-24T00:00:00Z".to_owned(),
        command: "slotune-test --seed 1".to_owned(),
        space: space.expect("the space is sound"),
        objective: Objective::minimise(Metric::E2e(Statistic::P95))
            .subject_to(Constraint::at_least(Metric::OutputThroughput, 1200.0 * (0.1 + 0.2))),
        metrics: Metric::all().map(Metric::name).collect(),
        workload: Workload::Synthetic(Synthetic {
            arrivals: Arrivals::Poisson { rate_per_s: 0.1 + 0.2 },
            lengths: Lengths::Independent {
                prompt: LengthLaw::Uniform { min_tokens: 64, max_tokens: 512 },
                output: LengthLaw::Fixed(150),
            },
            size: Size::Requests(4),
            seed: 7,
        }),
        backend: BackendInfo {
            name: "sim".to_owned(),
            vllm_version: "0.25.1".to_owned(),
            model: "Qwen/Qwen2.5-7B-Instruct".to_owned(),
            hardware: Hardware {
                gpu: Some("NVIDIA H100".to_owned()),
                gpus: Some(1),
                ..Hardware::default()
            },
            provenance: Provenance::Simulated(Calibration {
                preset: "h100-sxm/qwen2.5-7b".to_owned(),
                basis: "Made up for a test.".to_owned(),
            }),
        },
        studies: vec![
            study("reference", StudyRole::Reference),
            study("search-1", StudyRole::Search),
        ],
        finals: None,
    }
}

/// One trial of each kind, in the order in which a set holds them.
pub(crate) fn trials() -> Vec<StoredTrial> {
    let whole = Configuration::new()
        .with("max_num_seqs", 512)
        .with("gpu_memory_utilization", 0.1 + 0.6)
        .with("enable_chunked_prefill", true)
        .with("long_prefill_token_threshold", 2048)
        .with("cudagraph_mode", "none")
        .with("swap_space", 4.0)
        .with("kv_cache_dtype", "fp8")
        .with("async_scheduling", false);
    let measured = Measurement::new()
        .with_estimate(
            Metric::E2e(Statistic::P95),
            Estimate { is_lower_bound: true, ..Estimate::new(4.4, 0.1) },
        )
        .with(Metric::OutputThroughput, 949.0);
    vec![
        StoredTrial {
            label: Some("baseline of week 2, “größer”".to_owned()),
            server: Some(server()),
            client: Some(ClientFacts {
                cpu_s: 3.5,
                wall_s: 120.25,
                cores: 2,
                wake_lag_p99_s: 0.0004,
            }),
            caveats: vec![
                Caveat::new(CaveatClass::NotSteady, "latency “did not” settle\n"),
                Caveat::new(CaveatClass::Overload, ""),
            ],
            ..trial(
                "reference",
                0,
                whole.clone(),
                Outcome::Completed(measured.clone().with(Metric::QueueShare, 0.85)),
            )
        },
        // A condition that is not met, a metric that was not measured, facts that were not told.
        StoredTrial {
            server: Some(ServerFacts { kv_blocks: None, queue_time_sum_s: None, ..server() }),
            ..trial("search-1", 0, partial(), Outcome::Completed(measured))
        },
        trial(
            "search-1",
            1,
            whole,
            Outcome::Infeasible(Reason::new(
                "memory",
                "CUDA out of memory\nTried to allocate 2 GiB",
            )),
        ),
        trial("search-1", 2, partial(), Outcome::Failed(Reason::new("", ""))),
    ]
}

fn partial() -> Configuration {
    Configuration::new().with("enable_chunked_prefill", false).with("max_num_seqs", 256)
}

pub(crate) fn trial(
    study: &str,
    id: u64,
    configuration: Configuration,
    outcome: Outcome,
) -> StoredTrial {
    let origin = [Origin::Given, Origin::InitialDesign, Origin::Model, Origin::Sampled];
    let trial = Trial {
        id: TrialId(id),
        configuration,
        origin: origin[usize::try_from(id % 4).expect("below 4")],
        seed: u64::MAX - id,
    };
    let state = State::Told { outcome, cost: 61.5 };
    StoredTrial {
        study: study.to_owned(),
        label: None,
        entry: Entry { trial, state },
        server: None,
        client: None,
        caveats: vec![],
    }
}

fn server() -> ServerFacts {
    ServerFacts {
        arguments: ResolvedEngineArguments {
            max_num_seqs: 512,
            max_num_batched_tokens: 8192,
            gpu_memory_utilization: 0.92,
            max_model_len: 32768,
            block_size: 16,
            enable_chunked_prefill: true,
            long_prefill_token_threshold: 2048,
            enable_prefix_caching: true,
            async_scheduling: false,
            scheduling_policy: SchedulingPolicy::Priority,
            stream_interval: 1,
            cudagraph_mode: CudagraphMode::FullDecodeOnly,
            max_cudagraph_capture_size: 512,
            tensor_parallel_size: 1,
        }
        .to_arguments(),
        vllm_version: Some("0.25.1".to_owned()),
        start_up_s: 42.0,
        kv_blocks: Some(27_000),
        preemptions: Some(0),
        engine_steps: Some(12_345),
        queue_time_sum_s: Some(0.25),
        prefix_cache_queries: Some(1 << 40),
        prefix_cache_hits: None,
        prompt_tokens: Some(1_000_000),
        output_tokens: Some(2_000_000),
        completed_requests: None,
    }
}

/// One request of each kind.
pub(crate) fn records() -> Vec<RequestRecord> {
    let ended = |index, status, chunk_times_s: Vec<f64>| RequestRecord {
        index,
        prompt_tokens: 500,
        output_tokens: u32::try_from(chunk_times_s.len()).expect("few"),
        intended_s: f64::from(index) / 3.0,
        sent_s: f64::from(index) / 3.0 + 1e-4,
        first_token_s: chunk_times_s.first().copied(),
        last_token_s: chunk_times_s.last().copied(),
        queue_time_s: chunk_times_s.first().map(|time| time / 2.0),
        chunk_times_s,
        status,
    };
    vec![
        ended(0, RequestStatus::Completed, vec![0.5, 0.75, 1.0 / 3.0 + 0.7]),
        ended(1, RequestStatus::Rejected("prompt too long".to_owned()), vec![]),
        ended(2, RequestStatus::Failed(String::new()), vec![1.5]),
        ended(u32::MAX, RequestStatus::Unfinished, vec![]),
    ]
}

/// Two looks at a server.
pub(crate) fn timeline() -> Vec<ServerSample> {
    let first = ServerSample {
        time_s: 0.5,
        running: 3,
        waiting: 0,
        kv_cache_usage: 0.125,
        output_tokens: 17,
        preemptions: 0,
    };
    vec![first, ServerSample { time_s: 1.5, waiting: 900, preemptions: 2, ..first }]
}
