//! Requests and numbers that a server refuses, or that no run can be made of.

use super::*;

/// Requests that do not fit are refused in vLLM's words, and hold nobody up.
#[test]
fn impossible_requests_are_rejected() {
    let total = "This model's maximum context length is 1000 tokens. However, you requested 1 output \
                 tokens and your prompt contains 1000 input tokens, for a total of 1001 tokens. \
                 Please reduce the length of the input prompt or the number of requested output \
                 tokens.";
    let prompt = "This model's maximum context length is 1000 tokens. However, your prompt contains \
                  1001 input tokens, which exceeds this limit even without any output tokens. Please \
                  reduce the length of the input prompt.";
    let cases = [
        (999, 1, None),
        (1000, 1, Some(total)),
        (1001, 1, Some(prompt)),
        (10, 0, Some("max_tokens must be at least 1, got 0.")),
        (0, 10, Some("Either prompt or prompt_embeds must be provided and non-empty.")),
    ];
    let requests = cases.iter().map(|&(prompt, output, _)| spec(0.0, prompt, output)).collect();
    let run = run(&arguments(), &open(requests), &RunOptions::default());
    for (record, (prompt, output, text)) in run.records.iter().zip(cases) {
        let status =
            text.map_or(RequestStatus::Completed, |text| RequestStatus::Rejected(text.into()));
        assert_eq!(record.status, status, "{prompt} and {output} tokens");
    }
    let extreme =
        open(vec![spec(0.0, u32::MAX, u32::MAX), spec(0.0, 1, u32::MAX), spec(0.0, 5, 5)]);
    let run = self::run(&arguments(), &extreme, &RunOptions::default());
    assert!(matches!(run.records[0].status, RequestStatus::Rejected(_)));
    assert!(matches!(run.records[1].status, RequestStatus::Rejected(_)));
    assert!(run.records[2].is_completed());
}

#[test]
fn inputs_that_no_run_can_be_made_of_are_named() {
    let server = ServerModel::measured();
    let resolved = server.resolve(&arguments());
    let check = |arguments: &ResolvedEngineArguments, schedule: &Schedule, limit, text: &str| {
        let options = RunOptions { time_limit_s: limit, ..RunOptions::default() };
        let error = simulate(&server, arguments, KV_BLOCKS, schedule, &options);
        assert_eq!(error.expect_err(text).to_string(), text);
    };
    let fine = open(vec![spec(0.0, 5, 5)]);
    for (value, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-1.0, "-1")] {
        let schedule = open(vec![spec(0.0, 5, 5), spec(value, 5, 5)]);
        let text = format!("arrival_s of request 1 is {shown}: it must be finite and at least 0");
        check(&resolved, &schedule, None, &text);
    }
    let nobody = Schedule { load: Load::Closed { concurrency: 0 }, ..fine.clone() };
    check(&resolved, &nobody, None, "concurrency of the closed loop is 0: it must be at least 1");
    check(&resolved, &fine, Some(-2.0), "time_limit_s is -2: it must be at least 0");
    let no_block = ResolvedEngineArguments { block_size: 0, ..resolved };
    let text = "block_size is 0: it must be between 1 and 16777216 to be simulated";
    check(&no_block, &fine, None, text);
}

/// Not a number among the costs once let the clock stand still for ever.
#[test]
fn numbers_that_no_time_can_be_made_of_are_named() {
    let schedule = open(vec![spec(0.0, 5, 5)]);
    let refused = |server: &ServerModel, noise, text: &str| {
        let options = RunOptions { noise, ..RunOptions::default() };
        let arguments = server.resolve(&arguments());
        let error = simulate(server, &arguments, KV_BLOCKS, &schedule, &options);
        assert_eq!(error.expect_err(text).to_string(), text);
    };
    let server = ServerModel::measured();
    for (value, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-0.1, "-0.1")] {
        let noise = Noise { front_end_variation: value, ..Noise::none() };
        let text = format!("noise.front_end_variation is {shown}: it must be from 0 to 10");
        refused(&server, noise, &text);
        let mut slow = server.clone();
        slow.front_end.to_engine_ms = value;
        let text = format!("front_end.to_engine_ms is {shown}: it must be finite and at least 0");
        refused(&slow, Noise::none(), &text);
        let mut gpu = server.clone();
        gpu.gpu.cache_bytes_per_ms = 1e6 * value;
        let text = format!("cache_gb_per_s is {shown}: it must be finite and above 0");
        refused(&gpu, Noise::none(), &text);
    }
    let mut flat = server.clone();
    flat.step.norm = 0.5;
    refused(&flat, Noise::none(), "step.norm is 0.5: it must be finite and at least 1");
    let mut hollow = server;
    hollow.model.kv_heads = 0;
    let text = "model.kv_heads is 0: it must be at least 1";
    refused(&hollow, Noise::none(), text);
}

/// Fed in one by one, requests cannot be put in order any more.
#[test]
fn arrivals_that_run_backwards_are_named() {
    let server = ServerModel::measured();
    let arguments = server.resolve(&arguments());
    let options = RunOptions::default();
    let run = |requests: Vec<RequestSpec>, load| {
        let mut ended = Vec::new();
        let totals =
            simulate_each(&server, &arguments, KV_BLOCKS, load, requests, &options, |record| {
                ended.push(record.index);
            });
        (totals.err().map(|error| error.to_string()), ended)
    };
    let text = "arrival_s of request 2 is 0.5, before the 1 of the one before it: give the requests \
                in the order of their arrival";
    let requests = vec![spec(0.0, 5, 5), spec(1.0, 5, 5), spec(0.5, 5, 5), spec(2.0, 5, 5)];
    // What came before the fault was simulated to its end.
    assert_eq!(run(requests.clone(), Load::Open), (Some(text.to_owned()), vec![0, 1]));
    let closed = Load::Closed { concurrency: 1 };
    assert_eq!(run(requests, closed), (None, vec![0, 1, 2, 3]), "no clock but that of the loop");
    let text = "arrival_s of request 1 is NaN: it must be finite and at least 0";
    let requests = vec![spec(0.0, 5, 5), spec(f64::NAN, 5, 5), spec(2.0, 5, 5)];
    assert_eq!(run(requests.clone(), Load::Open), (Some(text.to_owned()), vec![0]));
    assert_eq!(run(requests, closed), (Some(text.to_owned()), vec![0]));
}

#[test]
fn no_rate_is_too_high_and_none_at_all_is_named() {
    use slotune_serving::workload::{
        Arrivals, LengthLaw, Lengths, Size, Synthetic, Workload, WorkloadError,
    };
    let workload = |rate_per_s| {
        Workload::Synthetic(Synthetic {
            arrivals: Arrivals::Poisson { rate_per_s },
            lengths: Lengths::Independent {
                prompt: LengthLaw::Fixed(100),
                output: LengthLaw::Fixed(20),
            },
            size: Size::Requests(2000),
            seed: 1,
        })
    };
    for rate_per_s in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = workload(rate_per_s).schedule().expect_err("no rate");
        assert!(matches!(error, WorkloadError::Number { .. }), "{error}");
    }
    let schedule = workload(1e9).schedule().expect("a rate");
    let run = run(&arguments(), &schedule, &RunOptions::default());
    assert!(run.records.iter().all(RequestRecord::is_completed));
}

/// Times so late that a millisecond more makes no difference still pass.
#[test]
fn an_arrival_at_the_end_of_time_is_served() {
    let run = run(&arguments(), &open(vec![spec(1e300, 50, 20); 3]), &RunOptions::default());
    assert!(run.records.iter().all(RequestRecord::is_completed));
}

/// Whatever the arguments, a run ends.
#[test]
fn extreme_arguments_are_simulated() {
    const MOST: u32 = 1 << 24;
    let server = ServerModel::measured();
    let fine = server.resolve(&arguments());
    let requests = vec![spec(0.0, 50, 20), spec(0.0, 700, 300), spec(0.001, 1, 1)];
    for (resolved, kv_blocks) in [
        (
            ResolvedEngineArguments { max_num_seqs: 1, max_num_batched_tokens: 1, ..fine.clone() },
            64,
        ),
        (ResolvedEngineArguments { max_num_seqs: MOST, ..fine.clone() }, 64),
        (ResolvedEngineArguments { max_num_batched_tokens: MOST, ..fine.clone() }, u64::MAX),
        (ResolvedEngineArguments { max_model_len: MOST, ..fine.clone() }, u64::MAX),
        (ResolvedEngineArguments { block_size: 1, ..fine.clone() }, 1001),
        (ResolvedEngineArguments { block_size: MOST, ..fine.clone() }, 2),
        (ResolvedEngineArguments { long_prefill_token_threshold: u32::MAX, ..fine.clone() }, 64),
        (ResolvedEngineArguments { stream_interval: u32::MAX, ..fine.clone() }, 64),
        (ResolvedEngineArguments { max_cudagraph_capture_size: u32::MAX, ..fine.clone() }, 64),
    ] {
        for load in [Load::Open, Load::Closed { concurrency: u32::MAX }] {
            let schedule = Schedule { load, requests: requests.clone() };
            let options = RunOptions { noise: Noise::measured(), ..RunOptions::default() };
            let run = simulate(&server, &resolved, kv_blocks, &schedule, &options);
            let records = run.expect("well-formed arguments").records;
            assert!(records.iter().all(RequestRecord::is_completed), "{resolved:?}");
        }
    }
}

#[test]
fn a_watermark_that_is_no_share_is_named() {
    let server = ServerModel::measured();
    for (watermark, shown) in [(f64::NAN, "NaN"), (1.0, "1"), (-0.1, "-0.1")] {
        let admission = Admission { watermark, ..Admission::default() };
        let options = RunOptions { admission, ..RunOptions::default() };
        let run =
            simulate(&server, &server.resolve(&arguments()), KV_BLOCKS, &open(vec![]), &options);
        let text = format!("watermark is {shown}: it must be at least 0 and below 1");
        assert_eq!(run.expect_err("no share").to_string(), text);
    }
}
