//! Names, defaults, rules and flags as vLLM has them.

use slotune_core::{Parameter, SearchSpace};

use super::*;

/// An H100 with 80 GB: the driver reports 79.2 GiB.
fn h100(version: VllmVersion) -> Environment {
    Environment { version, gpu_memory_gib: 79.2, gpu_is_a100: false, model_max_len: 32_768 }
}

fn everything() -> EngineArguments {
    EngineArguments {
        max_num_seqs: Some(256),
        max_num_batched_tokens: Some(4096),
        gpu_memory_utilization: Some(0.9),
        max_model_len: Some(8192),
        block_size: Some(32),
        enable_chunked_prefill: Some(false),
        long_prefill_token_threshold: Some(0),
        enable_prefix_caching: Some(true),
        async_scheduling: Some(false),
        scheduling_policy: Some(SchedulingPolicy::Priority),
        stream_interval: Some(4),
        cudagraph_mode: Some(CudagraphMode::FullDecodeOnly),
        max_cudagraph_capture_size: Some(128),
        tensor_parallel_size: Some(2),
    }
}

#[test]
fn every_argument_survives_a_configuration_and_is_in_the_table() {
    let configuration = everything().to_configuration();
    assert_eq!(configuration.iter().count(), EngineArguments::names().count());
    assert_eq!(EngineArguments::from_configuration(&configuration), Ok(everything()));
    assert_eq!(EngineArguments::default().to_configuration(), Configuration::new());
}

#[test]
fn names_of_enums_are_those_of_files() {
    for mode in CudagraphMode::ALL {
        assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
    }
    for policy in SchedulingPolicy::ALL {
        assert_eq!(serde_json::to_value(policy).unwrap(), policy.name());
    }
}

#[test]
fn a_mistyped_name_is_answered_with_the_nearest() {
    let configuration = Configuration::new().with("max_num_seq", 256);
    let error = EngineArguments::from_configuration(&configuration).unwrap_err().to_string();
    assert!(
        error.starts_with("unknown engine argument `max_num_seq`; did you mean `max_num_seqs`?"),
        "{error}"
    );
    assert!(error.contains("tensor_parallel_size"), "{error}");
}

#[test]
fn wrong_values_are_named_with_what_is_allowed() {
    let cases: [(&str, Value, &str); 9] = [
        (
            "max_num_seqs",
            0.into(),
            "engine argument `max_num_seqs` is 0, but must be a whole number from 1 to 4294967295",
        ),
        ("max_num_seqs", (-1).into(), "is -1, but"),
        ("max_num_seqs", 256.0.into(), "is 256.0, but"),
        ("block_size", Value::Integer(1 << 40), "is 1099511627776, but"),
        (
            "gpu_memory_utilization",
            0.0.into(),
            "is 0.0, but must be a number above 0 and at most 1",
        ),
        ("gpu_memory_utilization", f64::NAN.into(), "is NaN, but"),
        ("gpu_memory_utilization", 1.01.into(), "is 1.01, but"),
        ("enable_chunked_prefill", "yes".into(), "is `yes`, but must be true or false"),
        ("scheduling_policy", "lifo".into(), "is `lifo`, but must be one of fcfs, priority"),
    ];
    for (name, value, expected) in cases {
        let configuration = Configuration::new().with(name, value);
        let error = EngineArguments::from_configuration(&configuration).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // An integer is a number.
    let one = Configuration::new().with("gpu_memory_utilization", 1);
    assert_eq!(
        EngineArguments::from_configuration(&one).unwrap().gpu_memory_utilization,
        Some(1.0)
    );
    let from_file = EngineArguments { max_num_seqs: Some(0), ..Default::default() };
    assert!(from_file.check().is_err());
    assert_eq!(everything().check(), Ok(()));
}

#[test]
fn commands_are_spelt_as_vllm_reads_them() {
    assert_eq!(
        everything().vllm_serve_command("Qwen/Qwen2.5-7B-Instruct"),
        "vllm serve Qwen/Qwen2.5-7B-Instruct --max-num-seqs 256 --max-num-batched-tokens 4096 \
         --gpu-memory-utilization 0.9 --max-model-len 8192 --block-size 32 --no-enable-chunked-prefill \
         --long-prefill-token-threshold 0 --enable-prefix-caching --no-async-scheduling \
         --scheduling-policy priority --stream-interval 4 \
         --compilation-config '{\"cudagraph_mode\": \"FULL_DECODE_ONLY\"}' \
         --max-cudagraph-capture-size 128 --tensor-parallel-size 2"
    );
    assert_eq!(
        EngineArguments::default().vllm_serve_command("it's here"),
        r"vllm serve 'it'\''s here'"
    );
    let python = everything().python_arguments();
    assert!(python.contains(&("enable_chunked_prefill", "False".to_owned())));
    assert!(python.contains(&("scheduling_policy", "\"priority\"".to_owned())));
    assert!(python.contains(&(
        "compilation_config",
        "{\"cudagraph_mode\": \"FULL_DECODE_ONLY\"}".to_owned()
    )));
}

#[test]
fn batch_defaults_follow_the_gpu_and_the_version() {
    let new = VllmVersion::NEWEST_KNOWN;
    let old = VllmVersion::new(0, 27, 1);
    let gpu = |version, gpu_memory_gib, gpu_is_a100| Environment {
        gpu_memory_gib,
        gpu_is_a100,
        ..h100(version)
    };
    let rows = [
        (gpu(new, 23.6, false), (256, 2048)),
        (gpu(new, 79.2, false), (1024, 8192)),
        (gpu(new, 79.3, true), (256, 2048)),
        (gpu(new, 139.8, false), (1024, 8192)),
        (gpu(new, 178.0, false), (1024, 16_384)),
        (gpu(old, 178.0, false), (1024, 8192)),
    ];
    for (environment, expected) in rows {
        let resolved = EngineArguments::default().resolve(&environment);
        assert_eq!(
            (resolved.max_num_seqs, resolved.max_num_batched_tokens),
            expected,
            "{environment:?}"
        );
    }
}

#[test]
fn other_defaults_follow_the_version() {
    let defaults =
        |version: &str| EngineArguments::default().resolve(&h100(version.parse().unwrap()));
    let new = defaults("0.33.0");
    assert_eq!(
        new,
        ResolvedEngineArguments {
            max_num_seqs: 1024,
            max_num_batched_tokens: 8192,
            gpu_memory_utilization: 0.92,
            max_model_len: 32_768,
            block_size: 16,
            enable_chunked_prefill: true,
            long_prefill_token_threshold: 0,
            enable_prefix_caching: true,
            async_scheduling: true,
            scheduling_policy: SchedulingPolicy::Fcfs,
            stream_interval: 1,
            cudagraph_mode: CudagraphMode::FullAndPiecewise,
            max_cudagraph_capture_size: 512,
            tensor_parallel_size: 1,
        }
    );
    assert_eq!(defaults("0.20.0"), new);
    assert_eq!(
        defaults("0.19.1"),
        ResolvedEngineArguments { gpu_memory_utilization: 0.9, ..new.clone() }
    );
    let before_async =
        ResolvedEngineArguments { gpu_memory_utilization: 0.9, async_scheduling: false, ..new };
    assert_eq!(defaults("0.13.0"), before_async);
    assert_eq!(defaults("0.8.5"), before_async);
}

#[test]
fn resolved_arguments_resolve_to_themselves_whatever_the_defaults() {
    let eager = EngineArguments { cudagraph_mode: Some(CudagraphMode::None), ..Default::default() };
    for arguments in [EngineArguments::default(), everything(), eager] {
        let resolved = arguments.resolve(&h100(VllmVersion::NEWEST_KNOWN));
        let again = resolved.to_arguments();
        again.check().unwrap();
        assert_eq!(again.resolve(&h100(VllmVersion::OLDEST_KNOWN)), resolved);
    }
}

#[test]
fn batch_defaults_depend_on_each_other_as_in_vllm() {
    let environment = h100(VllmVersion::NEWEST_KNOWN);
    let batch = |arguments: EngineArguments| {
        let resolved = arguments.resolve(&environment);
        (resolved.max_num_seqs, resolved.max_num_batched_tokens)
    };
    let unset = EngineArguments::default;
    assert_eq!(batch(EngineArguments { max_num_batched_tokens: Some(512), ..unset() }), (512, 512));
    assert_eq!(
        batch(EngineArguments { enable_chunked_prefill: Some(false), ..unset() }),
        (1024, 32_768)
    );
    assert_eq!(
        batch(EngineArguments { max_num_seqs: Some(4), max_model_len: Some(1000), ..unset() }),
        (4, 4000)
    );
    // What is set is never touched, even where vLLM will refuse it.
    let refused =
        EngineArguments { max_num_seqs: Some(600), max_num_batched_tokens: Some(512), ..unset() };
    assert_eq!(batch(refused), (600, 512));
}

#[test]
fn cuda_graphs_reach_the_last_size_of_vllms_grid() {
    let largest = |max_num_seqs, tokens, wanted, version, gpu_memory_gib| {
        let arguments = EngineArguments {
            max_num_seqs: Some(max_num_seqs),
            max_num_batched_tokens: Some(tokens),
            max_cudagraph_capture_size: wanted,
            ..Default::default()
        };
        let environment = Environment { gpu_memory_gib, ..h100(version) };
        arguments.resolve(&environment).max_cudagraph_capture_size
    };
    let (new, old) = (VllmVersion::NEWEST_KNOWN, VllmVersion::new(0, 20, 2));
    assert_eq!(largest(1024, 8192, None, new, 79.2), 512);
    assert_eq!(largest(1024, 8192, None, new, 178.0), 1024);
    assert_eq!(largest(1024, 8192, None, old, 178.0), 512);
    assert_eq!(largest(140, 8192, None, new, 79.2), 272);
    assert_eq!(largest(10, 8192, None, new, 79.2), 16);
    assert_eq!(largest(3, 8192, None, new, 79.2), 4);
    assert_eq!(largest(1, 8192, None, new, 79.2), 2);
    assert_eq!(largest(256, 8192, Some(300), new, 79.2), 288);
    assert_eq!(largest(256, 300, None, new, 79.2), 300);
    assert_eq!(largest(256, 300, None, old, 79.2), 288);
    let eager = EngineArguments { cudagraph_mode: Some(CudagraphMode::None), ..Default::default() };
    assert_eq!(eager.resolve(&h100(new)).max_cudagraph_capture_size, 0);
}

#[test]
fn rules_make_a_valid_space_whatever_is_searched() {
    let environment = h100(VllmVersion::NEWEST_KNOWN);
    let seqs = Parameter::integer("max_num_seqs", 32, 4096).log();
    let tokens = Parameter::integer("max_num_batched_tokens", 512, 65_536).log();
    let chunking = Parameter::boolean("enable_chunked_prefill");
    let unset = EngineArguments::default();
    let cases: [(&EngineArguments, Vec<&Parameter>, &[&str]); 7] = [
        (&unset, vec![&seqs], &["8192 >= max_num_seqs"]),
        (&unset, vec![&tokens], &[]),
        (&unset, vec![&seqs, &tokens], &["max_num_batched_tokens >= max_num_seqs"]),
        (&unset, vec![&chunking], &[]),
        (
            &unset,
            vec![&tokens, &chunking],
            &["max_num_batched_tokens >= 32768 when enable_chunked_prefill = false"],
        ),
        (
            &EngineArguments {
                max_num_seqs: Some(600),
                max_model_len: Some(4096),
                ..unset.clone()
            },
            vec![&tokens, &chunking],
            &[
                "max_num_batched_tokens >= 600",
                "max_num_batched_tokens >= 4096 when enable_chunked_prefill = false",
            ],
        ),
        (
            &EngineArguments { max_num_batched_tokens: Some(2048), ..unset.clone() },
            vec![&chunking],
            &["2048 >= 32768 when enable_chunked_prefill = false"],
        ),
    ];
    for (fixed, parameters, expected) in cases {
        let parameters: Vec<Parameter> = parameters.into_iter().cloned().collect();
        let rules = fixed.rules(&parameters, &environment);
        let texts: Vec<String> = rules.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
        SearchSpace::new(parameters, rules).unwrap();
    }
}

#[test]
fn versions_are_read_as_vllm_writes_them_and_ordered_by_number() {
    let read = |text: &str| text.parse::<VllmVersion>();
    assert_eq!(read("0.33.0"), Ok(VllmVersion::new(0, 33, 0)));
    assert_eq!(read("v0.8.5.post1"), Ok(VllmVersion::new(0, 8, 5)));
    assert_eq!(read("0.19.1rc2.dev7+gabc.cu129"), Ok(VllmVersion::new(0, 19, 1)));
    assert_eq!(read("1.0"), Ok(VllmVersion::new(1, 0, 0)));
    assert!(read("0.9.2").unwrap() < read("0.10.0").unwrap());
    for text in ["", "latest", "7", "0.x.1", "0.4294967296.0"] {
        assert_eq!(read(text).unwrap_err().text, text);
    }
    let json = serde_json::to_string(&VllmVersion::NEWEST_KNOWN).unwrap();
    assert_eq!(json, "\"0.33.0\"");
    assert_eq!(serde_json::from_str::<VllmVersion>(&json).unwrap(), VllmVersion::NEWEST_KNOWN);
}
