//! Replays measured request lists and compares with the Python prototype that the first coefficients
//! were fitted with.

use std::path::Path;

use slotune_serving::{
    EngineArguments, Load, RequestRecord, RequestSpec, Schedule, engine_arguments::CudagraphMode,
};
use slotune_sim::{
    EventLoop, FrontEndCosts, HostCosts, RunOptions, ServerModel, SimulatedRun, StepCosts, simulate,
};

struct Row {
    run: &'static str,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    cudagraph_mode: CudagraphMode,
    kv_blocks: u64,
    e2e_mean_s: f64,
    e2e_p95_s: f64,
    ttft_mean_s: f64,
    steps: u64,
}

/// The prototype's results with the same coefficients, noise off.
const PROTOTYPE: [Row; 6] = [
    Row {
        run: "nocompile_s64_b8192_u92_chat25",
        max_num_seqs: 64,
        max_num_batched_tokens: 8192,
        cudagraph_mode: CudagraphMode::FullDecodeOnly,
        kv_blocks: 66_954,
        e2e_mean_s: 3.7394,
        e2e_p95_s: 9.1030,
        ttft_mean_s: 0.92320,
        steps: 2368,
    },
    Row {
        run: "stock_s1024_b8192_u92_chat35",
        max_num_seqs: 1024,
        max_num_batched_tokens: 8192,
        cudagraph_mode: CudagraphMode::FullAndPiecewise,
        kv_blocks: 66_946,
        e2e_mean_s: 2.0091,
        e2e_p95_s: 5.9231,
        ttft_mean_s: 0.04000,
        steps: 3107,
    },
    Row {
        run: "stock_s1024_b8192_u92_rag12",
        max_num_seqs: 1024,
        max_num_batched_tokens: 8192,
        cudagraph_mode: CudagraphMode::FullAndPiecewise,
        kv_blocks: 66_946,
        e2e_mean_s: 2.3255,
        e2e_p95_s: 6.4554,
        ttft_mean_s: 0.10235,
        steps: 2279,
    },
    Row {
        run: "stock_s128_b8192_u92_chat35",
        max_num_seqs: 128,
        max_num_batched_tokens: 8192,
        cudagraph_mode: CudagraphMode::FullAndPiecewise,
        kv_blocks: 67_018,
        e2e_mean_s: 2.2052,
        e2e_p95_s: 6.4280,
        ttft_mean_s: 0.04653,
        steps: 2887,
    },
    Row {
        run: "stock_s256_b2048_u92_chat35",
        max_num_seqs: 256,
        max_num_batched_tokens: 2048,
        cudagraph_mode: CudagraphMode::FullAndPiecewise,
        kv_blocks: 67_042,
        e2e_mean_s: 2.0092,
        e2e_p95_s: 5.9235,
        ttft_mean_s: 0.04003,
        steps: 3107,
    },
    Row {
        run: "stock_s256_b2048_u92_chat60",
        max_num_seqs: 256,
        max_num_batched_tokens: 2048,
        cudagraph_mode: CudagraphMode::FullAndPiecewise,
        kv_blocks: 67_923,
        e2e_mean_s: 3.2280,
        e2e_p95_s: 8.6478,
        ttft_mean_s: 0.33873,
        steps: 2013,
    },
];

#[test]
fn replays_match_the_prototype() {
    let options = RunOptions { event_loop: EventLoop::Serial, ..RunOptions::default() };
    for row in &PROTOTYPE {
        let run = replay(&prototype(), row, &options);
        assert!(run.records.iter().all(RequestRecord::is_completed), "{}", row.run);
        let e2e_s: Vec<f64> = latencies(&run, |record| record.last_token_s);
        let ttft_s: Vec<f64> = latencies(&run, |record| record.first_token_s);
        assert_close(row.run, "e2e mean", mean(&e2e_s), row.e2e_mean_s);
        assert_close(row.run, "e2e p95", p95(&e2e_s), row.e2e_p95_s);
        assert_close(row.run, "ttft mean", mean(&ttft_s), row.ttft_mean_s);
        assert_close(row.run, "steps", run.totals.engine_steps as f64, row.steps as f64);
    }
}

/// The server with the coefficients of the prototype (its "set B").
fn prototype() -> ServerModel {
    ServerModel {
        step: StepCosts { fixed_ms: 0.894, per_sequence_ms: 0.0071, ..StepCosts::measured() },
        host: HostCosts {
            full_ms: 2.5,
            full_per_request_ms: 0.016,
            piecewise_ms: 8.0,
            piecewise_per_prefill_ms: 1.0,
            piecewise_gap_per_prefill_ms: 0.0,
            eager_ms: 20.0,
            eager_gap_ms: 0.0,
            eager_gap_per_prefill_ms: 0.0,
            eager_uncompiled_ms: 34.0,
            eager_uncompiled_gap_ms: 0.0,
            eager_uncompiled_gap_per_prefill_ms: 0.0,
            launch_ms: 2.5,
            launch_tail_ms: 0.3,
        },
        front_end: FrontEndCosts {
            per_request_ms: 3.0,
            per_prompt_token_ms: 0.002,
            per_step_ms: 0.15,
            per_token_ms: 0.0,
            per_chunk_ms: 0.066,
            to_engine_ms: 1.5,
            to_client_ms: 0.5,
        },
        ..ServerModel::measured()
    }
}

fn replay(server: &ServerModel, row: &Row, options: &RunOptions) -> SimulatedRun {
    let arguments = EngineArguments {
        max_num_seqs: Some(row.max_num_seqs),
        max_num_batched_tokens: Some(row.max_num_batched_tokens),
        cudagraph_mode: Some(row.cudagraph_mode),
        max_model_len: Some(16_384),
        enable_prefix_caching: Some(false),
        ..EngineArguments::default()
    };
    let schedule = Schedule { load: Load::Open, requests: requests(row.run) };
    simulate(server, &server.resolve(&arguments), row.kv_blocks, &schedule, options)
        .expect("the request files are well formed")
}

fn requests(run: &str) -> Vec<RequestSpec> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{run}.csv"));
    let mut reader = csv::Reader::from_path(path).expect("the file is in the repository");
    reader
        .deserialize::<(f64, u32, u32)>()
        .map(|row| {
            let (arrival_s, prompt_tokens, output_tokens) = row.expect("a row of three numbers");
            RequestSpec { arrival_s, prompt_tokens, output_tokens, shared_prefix: vec![] }
        })
        .collect()
}

fn latencies(run: &SimulatedRun, end_s: impl Fn(&RequestRecord) -> Option<f64>) -> Vec<f64> {
    run.records
        .iter()
        .map(|record| end_s(record).expect("all requests complete") - record.intended_s)
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The 95th percentile, interpolated linearly (type 7).
fn p95(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let twentieths = 19 * (sorted.len() - 1);
    let (below, share) = (twentieths / 20, (twentieths % 20) as f64 / 20.0);
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + share * (sorted[above] - sorted[below])
}

fn assert_close(run: &str, metric: &str, value: f64, prototype: f64) {
    let error = value / prototype - 1.0;
    assert!(error.abs() <= 1e-3, "{run}: {metric} is {value}, the prototype's {prototype}");
}
