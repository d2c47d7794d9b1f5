//! Memory, start-up seconds, and the failures in their order.

use slotune_serving::{EngineArguments, InfeasibleClass};

use super::*;
use crate::{Gpu, ModelShape};

fn start(
    cache: &mut CacheState,
    server: &ServerModel,
    arguments: &EngineArguments,
) -> Result<StartUp, StartUpFailure> {
    cache.start(server, &server.resolve(arguments))
}

/// Long enough a context for the tests, as in the measurements.
fn arguments() -> EngineArguments {
    EngineArguments { max_model_len: Some(16_384), ..EngineArguments::default() }
}

#[test]
fn a_compiled_start_is_faster_and_has_more_cache() {
    let server = ServerModel::measured();
    let mut cache = CacheState::cold();
    let small = || EngineArguments { max_num_batched_tokens: Some(2048), ..arguments() };
    let first = start(&mut cache, &server, &arguments()).expect("it starts");
    let second = start(&mut cache, &server, &arguments()).expect("it starts");
    let third = start(&mut cache, &server, &arguments()).expect("it starts");
    let other = start(&mut cache, &server, &small()).expect("it starts");
    assert!((first.duration_s - second.duration_s - 32.0 - 8.5 - 2.7 - 14.5).abs() < 1e-9);
    assert!((second.duration_s - third.duration_s - 6.3).abs() < 1e-9);
    assert!(other.duration_s > third.duration_s + 30.0, "a new token budget compiles again");
    assert!(second.kv_blocks > first.kv_blocks);
    assert_eq!(second.kv_blocks, third.kv_blocks);
}

/// Each failure with the arguments that provoke it and no earlier one.
#[test]
fn failures_carry_the_texts_and_classes_of_vllm() {
    let h100 = ServerModel::measured();
    let a10g =
        ServerModel::new(Gpu::named("a10g").expect("a shipped preset"), ModelShape::qwen2_5_7b());
    let huge = ModelShape::named("llama-3.1-70b").expect("a shipped preset");
    let huge = ServerModel::new(Gpu::h100_sxm(), huge);
    let utilization =
        |share| EngineArguments { gpu_memory_utilization: Some(share), ..arguments() };
    let cases: [(&ServerModel, EngineArguments, InfeasibleClass, &str); 8] = [
        (
            &h100,
            EngineArguments {
                max_num_seqs: Some(1024),
                max_num_batched_tokens: Some(512),
                ..arguments()
            },
            InfeasibleClass::Invalid,
            "max_num_batched_tokens (512) must be greater than or equal to max_num_seqs (1024).",
        ),
        (
            &h100,
            EngineArguments {
                enable_chunked_prefill: Some(false),
                max_num_batched_tokens: Some(8192),
                ..arguments()
            },
            InfeasibleClass::Invalid,
            "max_num_batched_tokens (8192) is smaller than max_model_len (16384). This effectively \
             limits the maximum sequence length to max_num_batched_tokens and makes vLLM reject \
             longer sequences. Please increase max_num_batched_tokens or decrease max_model_len.",
        ),
        (
            &h100,
            utilization(1.0),
            InfeasibleClass::Memory,
            "Free memory on device cuda:0 (78.67/79.19 GiB) on startup is less than desired GPU \
             memory utilization (1.0, 79.19 GiB). Decrease GPU memory utilization or reduce GPU \
             memory used by other processes.",
        ),
        (
            &huge,
            arguments(),
            InfeasibleClass::Memory,
            "CUDA out of memory. Tried to allocate 1.64 GiB. GPU 0 has a total capacity of 79.19 \
             GiB of which 1.19 GiB is free.",
        ),
        (
            &a10g,
            utilization(0.6),
            InfeasibleClass::Memory,
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when \
             initializing the engine.",
        ),
        (
            &h100,
            utilization(0.2),
            InfeasibleClass::Memory,
            "To serve at least one request with the model's max seq len (16384), (0.88 GiB KV cache \
             is needed, which is larger than the available KV cache memory (0.21 GiB). Based on \
             the available memory, the estimated maximum model length is 3920. Try increasing \
             `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.",
        ),
        (
            &h100,
            utilization(0.985),
            InfeasibleClass::Memory,
            "CUDA out of memory. Tried to allocate 911.36 MiB. GPU 0 has a total capacity of 79.19 \
             GiB of which 468.84 MiB is free.",
        ),
        (
            &h100,
            utilization(0.979),
            InfeasibleClass::Memory,
            "CUDA out of memory occurred when warming up sampler with 1024 dummy requests. Please \
             try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.",
        ),
    ];
    let mut cost_s = 0.0;
    for (server, arguments, class, text) in cases {
        let failure = start(&mut CacheState::cold(), server, &arguments).expect_err(text);
        assert_eq!(failure.to_string(), text);
        assert_eq!(failure.cause.class(), class, "{text}");
        assert_eq!(
            failure.log(),
            format!(
                "EngineCore failed to start.\n{text}\nEngine core initialization failed. See root \
                 cause above."
            )
        );
        assert!(failure.cost_s >= cost_s, "later checks take longer: {text}");
        cost_s = failure.cost_s;
    }
}

/// Where several failures apply, the first in vLLM's order is told.
#[test]
fn failures_come_in_the_order_of_vllm() {
    let server = ServerModel::measured();
    let all = EngineArguments {
        max_num_seqs: Some(1024),
        max_num_batched_tokens: Some(512),
        enable_chunked_prefill: Some(false),
        gpu_memory_utilization: Some(1.0),
        ..arguments()
    };
    let told =
        |arguments| start(&mut CacheState::cold(), &server, &arguments).expect_err("fails").cause;
    assert!(matches!(told(all.clone()), StartUpCause::TokensBelowSequences { .. }));
    let fewer = EngineArguments { max_num_seqs: Some(64), ..all };
    assert!(matches!(told(fewer.clone()), StartUpCause::TokensBelowContext { .. }));
    let chunked = EngineArguments { enable_chunked_prefill: Some(true), ..fewer };
    assert!(matches!(told(chunked), StartUpCause::FreeMemory { .. }));
}

#[test]
fn impossible_arguments_are_named() {
    let server = ServerModel::measured();
    let mut zero_block = server.resolve(&arguments());
    zero_block.block_size = 0;
    let failure = CacheState::cold().start(&server, &zero_block).expect_err("no tokens in a block");
    assert_eq!(
        failure.to_string(),
        "block_size: Input should be greater than or equal to 1, got 0"
    );
    for share in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
        let arguments = EngineArguments { gpu_memory_utilization: Some(share), ..arguments() };
        let failure =
            start(&mut CacheState::cold(), &server, &arguments).expect_err("no such share");
        assert!(matches!(failure.cause, StartUpCause::Argument { .. }), "{share}: {failure}");
    }
    let long = EngineArguments { max_model_len: Some(65_536), ..arguments() };
    let failure =
        start(&mut CacheState::cold(), &server, &long).expect_err("longer than the model");
    assert!(failure.to_string().starts_with(
        "User-specified max_model_len (65536) is greater than the derived max_model_len"
    ));
    let two = EngineArguments { tensor_parallel_size: Some(2), ..arguments() };
    let failure = start(&mut CacheState::cold(), &server, &two).expect_err("one GPU");
    assert!(failure.to_string().starts_with("World size (2) is larger than"));
}

/// A failed start that compiled leaves its code behind; the same arguments then fit.
#[test]
fn a_failed_start_still_warms_the_cache() {
    let server = ServerModel::measured();
    let tight = || EngineArguments {
        max_num_seqs: Some(256),
        max_num_batched_tokens: Some(2048),
        gpu_memory_utilization: Some(0.2),
        ..arguments()
    };
    let mut cache = CacheState::cold();
    let failure = start(&mut cache, &server, &tight()).expect_err("cold it lacks memory");
    assert!(matches!(failure.cause, StartUpCause::CacheBelowContext { .. }));
    assert!(start(&mut cache, &server, &tight()).is_ok());
}

#[test]
fn graphs_may_be_charged_to_the_budget() {
    let above = ServerModel::measured();
    let within = ServerModel { graphs_in_budget: true, ..above.clone() };
    let resolved = above.resolve(&arguments());
    let difference_gib = MemoryPlan::new(&above, &resolved, true).kv_cache_gib
        - MemoryPlan::new(&within, &resolved, true).kv_cache_gib;
    assert!((difference_gib - 0.89).abs() < 1e-9);
    // What is charged cannot run out at capture.
    let high = EngineArguments { gpu_memory_utilization: Some(0.981), ..arguments() };
    assert!(start(&mut CacheState::cold(), &above, &high).is_err());
    assert!(start(&mut CacheState::cold(), &within, &high).is_ok());
}

/// Arguments of a model on eight H100s, split over some.
fn split(model: &str, gpus: u32) -> (ServerModel, EngineArguments) {
    let model = ModelShape::named(model).expect("a shipped preset");
    let server = ServerModel::new(Gpu::h100_sxm(), model).with_gpus(8);
    (server, EngineArguments { tensor_parallel_size: Some(gpus), ..arguments() })
}

#[test]
fn a_model_that_fits_no_gpu_fits_several() {
    let started = |gpus| {
        let (server, arguments) = split("llama-3.1-70b", gpus);
        start(&mut CacheState::cold(), &server, &arguments)
    };
    assert!(matches!(started(1).expect_err("131 GiB").cause, StartUpCause::OutOfMemory { .. }));
    let [two, four, eight] = [2, 4, 8].map(|gpus| started(gpus).expect("it fits"));
    assert!((two.memory.weights_gib - 65.8).abs() < 0.2, "{}", two.memory.weights_gib);
    assert!(two.kv_blocks < four.kv_blocks && four.kv_blocks < eight.kv_blocks);
    // Half the weights on each, and half of each token's keys and values.
    assert!(four.kv_blocks > 4 * two.kv_blocks, "{} and {}", two.kv_blocks, four.kv_blocks);
}

/// They fail once the model is built, before its weights are read.
#[test]
fn blocks_that_no_attention_kernel_takes_are_refused() {
    let (server, arguments) = split("qwen2.5-7b", 1);
    let with = |block_size| EngineArguments { block_size: Some(block_size), ..arguments.clone() };
    for block_size in [1, 8, 17, 100] {
        let failure = start(&mut CacheState::cold(), &server, &with(block_size)).unwrap_err();
        assert_eq!(failure.cause, StartUpCause::BlockSize { block_size });
        assert_eq!(failure.cause.class(), InfeasibleClass::Invalid);
        assert!(failure.to_string().contains("block_size not supported"), "{failure}");
    }
    for block_size in [16, 48, 256] {
        start(&mut CacheState::cold(), &server, &with(block_size)).expect("a multiple of 16");
    }
}

#[test]
fn sizes_that_do_not_divide_the_model_are_rejected_as_vllm_does() {
    for (model, gpus, text) in [
        (
            "qwen2.5-7b",
            8,
            "Total number of attention heads (28) must be divisible by tensor parallel size (8).",
        ),
        (
            "qwen2.5-0.5b",
            4,
            "Total number of attention heads (14) must be divisible by tensor parallel size (4).",
        ),
        ("qwen2.5-14b", 5, "8 is not divisible by 5"),
        ("qwen2.5-7b", 7, "4 is not divisible by 7"),
        (
            "qwen2.5-7b",
            16,
            "World size (16) is larger than the number of available GPUs (8) in this node. If this \
             is intentional and you are using: ray, set '--distributed-executor-backend ray'.",
        ),
    ] {
        let (server, arguments) = split(model, gpus);
        let failure = start(&mut CacheState::cold(), &server, &arguments).expect_err(text);
        assert_eq!(failure.to_string(), text);
        assert_eq!(failure.cause.class(), InfeasibleClass::Invalid);
    }
    for (model, gpus) in [("qwen2.5-7b", 4), ("qwen2.5-0.5b", 2), ("qwen2.5-3b", 8)] {
        let (server, arguments) = split(model, gpus);
        start(&mut CacheState::cold(), &server, &arguments).expect("it divides");
    }
}

/// Code compiled for one split is none for another.
#[test]
fn a_new_split_compiles_again() {
    let mut cache = CacheState::cold();
    let [first, second, third] = [2, 4, 2].map(|gpus| {
        let (server, arguments) = split("qwen2.5-7b", gpus);
        start(&mut cache, &server, &arguments).expect("it starts").duration_s
    });
    assert!(second > third + 20.0 && first > second, "{first}, {second}, {third}");
}

#[test]
fn a_warm_machine_starts_as_one_that_started_often() {
    let server = ServerModel::measured();
    let mut cache = CacheState::cold();
    for _ in 0..3 {
        start(&mut cache, &server, &arguments()).expect("it starts");
    }
    let often = start(&mut cache, &server, &arguments()).expect("it starts");
    let mut warm = CacheState::warm(&server.resolve(&arguments()));
    assert_eq!(start(&mut warm, &server, &arguments()).expect("it starts"), often);
    assert!((30.0..65.0).contains(&often.duration_s), "{}", often.duration_s);
}

/// Real weights come from a disk; more of them take longer.
#[test]
fn weights_are_loaded_at_the_speed_of_their_source() {
    let dummy = ServerModel::measured();
    let disk = ServerModel { load_gib_per_s: 2.0, ..dummy.clone() };
    let [dummy, disk] = [dummy, disk].map(|server| {
        start(&mut CacheState::cold(), &server, &arguments()).expect("it starts").duration_s
    });
    let expected_s = 14.29 / 2.0 - 1.6;
    assert!((disk - dummy - expected_s).abs() < 0.02, "{}", disk - dummy);
}

/// What a step may take: the profile's peak and what is left, against activations and logits.
#[test]
fn the_largest_step_fits_unless_hardly_anything_is_left() {
    let server = ServerModel::measured();
    let memory = |utilization| {
        let arguments =
            EngineArguments { gpu_memory_utilization: Some(utilization), ..arguments() };
        start(&mut CacheState::cold(), &server, &arguments).expect("it starts").step_memory
    };
    for utilization in [0.3, 0.9, 0.92, 0.95] {
        assert_eq!(memory(utilization).check(8192, 1024), Ok(()), "{utilization}");
    }
    let tight = memory(0.969);
    assert_eq!(tight.check(8192, 512), Ok(()));
    let error = tight.check(8192, 1024).expect_err("more than is left");
    assert_eq!(
        error.to_string(),
        "CUDA out of memory. Tried to allocate 1.28 GiB. GPU 0 has a total capacity of 79.19 GiB \
         of which 811.57 MiB is free."
    );
}
