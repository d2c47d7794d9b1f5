//! The backend on a stub that stands in for vLLM: started for each trial, or attached to.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]
#![cfg(target_os = "linux")] // A test looks for leftovers by their port.

mod support;

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use slotune_serving::{
    Backend, BackendError, Caveat, CaveatClass, EngineArguments, GiveUp, InfeasibleClass, Latency,
    Provenance, RequestRecord, Schedule, Silent, TrialRequest, testing::conformance,
};
use slotune_vllm::{
    Manage, ServerConfiguration, ServerError, Target, VllmServer,
    stub::{Fault, Script, Stub},
};
use tempfile::TempDir;

use support::{example, open};

/// A server of which each start is `stub_server` with these flags.
fn managed(folder: &TempDir, flags: &[&str]) -> ServerConfiguration {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program: PathBuf = example("stub_server");
    let command =
        [program.to_str().unwrap(), "serve", "{model}"].into_iter().chain(flags.iter().copied());
    let manage = Manage {
        start_up_limit_s: 60.0,
        stop_grace_s: 0.5,
        log_folder: folder.path().join("logs"),
        vllm_version: Some("0.32.0".to_owned()),
        ..Manage::new(command.map(str::to_owned).collect(), port)
    };
    ServerConfiguration {
        warm_up_requests: 4,
        drain_limit_s: 5.0,
        ..ServerConfiguration::new("stub", Target::Manage(manage))
    }
}

fn trial(schedule: Schedule) -> TrialRequest {
    TrialRequest {
        arguments: EngineArguments::default(),
        schedule: Arc::new(schedule),
        seed: 7,
        record_chunk_times: false,
        give_up: vec![],
    }
}

async fn server(configuration: ServerConfiguration) -> VllmServer {
    VllmServer::new(configuration).await.expect("a sound configuration")
}

async fn attached(stub: &Stub) -> VllmServer {
    server(ServerConfiguration {
        warm_up_requests: 2,
        drain_limit_s: 5.0,
        ..ServerConfiguration::attach("stub", stub.base_url())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_server_keeps_the_contract_of_a_backend() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let make = || -> Box<dyn Backend> {
        let server = server(managed(&folder, &["--stub-start-up-ms", "300"]));
        Box::new(tokio::task::block_in_place(|| runtime.block_on(server)))
    };
    conformance(make).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_under_load_is_tried_twice_and_then_infeasible() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(managed(&folder, &["--stub-die-after-requests", "12"])).await;
    let error = server.evaluate(&trial(open(40, 0.005)), &Silent).await.unwrap_err();
    let BackendError::Infeasible { class: InfeasibleClass::CrashUnderLoad, message, .. } = &error
    else {
        panic!("{error:?}")
    };
    assert!(message.contains("EngineDeadError"), "{message}");
    let logs = std::fs::read_dir(folder.path().join("logs")).unwrap().count();
    assert_eq!(logs, 4, "standard output and error of two attempts");
}

/// vLLM 0.32.0 answers, with errors, for some 5 s after its engine died.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_outlives_its_engine_has_crashed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--stub-die-after-requests", "40", "--stub-dying-ms", "3000"];
    let server = server(managed(&folder, &flags)).await;
    let error = server.evaluate(&trial(open(40, 0.005)), &Silent).await.unwrap_err();
    let BackendError::Infeasible { class: InfeasibleClass::CrashUnderLoad, .. } = &error else {
        panic!("{error:?}")
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_become_ready_is_the_world_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut configuration = managed(&folder, &["--stub-start-up-ms", "60000"]);
    let Target::Manage(manage) = &mut configuration.target else { unreachable!() };
    manage.start_up_limit_s = 0.5;
    let error = server(configuration).await.evaluate(&trial(open(4, 0.0)), &Silent).await;
    let Err(BackendError::Failed { message, .. }) = error else { panic!("{error:?}") };
    assert!(message.contains("raise `start_up_limit_s`"), "{message}");
}

/// Whoever drops an evaluation, as Ctrl-C in a program that handles it, leaves no server behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_evaluation_leaves_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = managed(&folder, &["--stub-first-token-ms", "60000"]);
    let Target::Manage(Manage { port, .. }) = configuration.target else { unreachable!() };
    let server = server(configuration).await;
    let trial = trial(open(4, 0.0));
    let evaluation = server.evaluate(&trial, &Silent);
    tokio::time::timeout(Duration::from_secs(1), evaluation).await.expect_err("takes a minute");
    for _ in 0..500 {
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("something still listens on port {port}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_server_is_measured_and_left_as_it_is() {
    let stub = support::start(Script::default());
    let server = attached(&stub).await;
    assert_eq!(server.describe().provenance, Provenance::Measured);
    let schedule = open(30, 0.01);
    let mut run = server.evaluate(&trial(schedule.clone()), &Silent).await.unwrap();
    run.examine(&schedule);
    assert_eq!(run.server.completed_requests, Some(30));
    assert_eq!(run.server.output_tokens, Some(schedule.summary().output_tokens));
    assert_eq!(run.server.start_up_s.to_bits(), 0.0_f64.to_bits());
    assert!(run.caveats.iter().all(|caveat| caveat.class != CaveatClass::TokenCounts));

    let mut set = trial(schedule);
    set.arguments.max_num_seqs = Some(64);
    let error = server.evaluate(&set, &Silent).await.unwrap_err();
    assert!(matches!(error, BackendError::Broken { .. }), "{error:?}");
    assert!(error.to_string().contains("--max-num-seqs 64"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_usage_is_a_caveat() {
    let faults = (0..400).map(|request| (request, Fault::NoUsage)).collect();
    let stub = support::start(Script { faults, ..Script::default() });
    let schedule = open(30, 0.01);
    let run = attached(&stub).await.evaluate(&trial(schedule), &Silent).await.unwrap();
    let caveat = run.caveats.iter().find(|caveat| caveat.class == CaveatClass::TokenCounts);
    let message = &caveat.expect("tokens were counted by chunks").message;
    assert!(message.starts_with("the server gave no usage for 30 requests"), "{message}");
    assert!(run.records.iter().all(|record| record.output_tokens == 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_server_and_a_decided_trial_end_early() {
    let slow = Script { slots: 1, token: Duration::from_millis(50), ..Script::default() };
    let stub = support::start(slow);
    let mut server = attached(&stub).await;
    let schedule = open(60, 0.02);
    let limit = GiveUp { of_first: None, latency: Latency::E2e, percent: 95.0, above_s: 0.4 };
    let decided = TrialRequest { give_up: vec![limit], ..trial(schedule.clone()) };
    let run = server.evaluate(&decided, &Silent).await.unwrap();
    assert!(run.caveats.iter().any(|caveat| caveat.class == CaveatClass::Decided));
    let over = run.records.iter().filter(|r| !r.is_completed()).count();
    assert!(over > limit.tolerated(60), "{over}");
    let broken_off = |record: &RequestRecord| !record.is_completed() && record.output_tokens > 0;
    assert!(run.records.iter().any(broken_off), "some had begun to answer");
    let is_of_counts = |caveat: &Caveat| caveat.class == CaveatClass::TokenCounts;
    assert!(!run.caveats.iter().any(is_of_counts), "and were not to tell: {:?}", run.caveats);

    server = VllmServer::new(ServerConfiguration {
        warm_up_requests: 0,
        drain_limit_s: 5.0,
        overrun_limit_s: Some(1.0),
        ..ServerConfiguration::attach("stub", stub.base_url())
    })
    .await
    .unwrap();
    let run = server.evaluate(&trial(schedule), &Silent).await.unwrap();
    let overload = run.caveats.iter().find(|caveat| caveat.class == CaveatClass::Overload);
    assert!(overload.is_some(), "{:?}", run.caveats);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_model_or_none_is_refused_at_once() {
    let stub = support::start(Script::default());
    let other = VllmServer::new(ServerConfiguration::attach("llama", stub.base_url())).await;
    let Err(error @ ServerError::Service(_)) = other else { panic!("{other:?}") };
    assert_eq!(error.to_string(), "the server does not serve `llama`; it serves: stub");
    let url = stub.base_url();
    drop(stub);
    let nobody = VllmServer::new(ServerConfiguration::attach("stub", url)).await;
    assert!(matches!(nobody, Err(ServerError::Service(_))), "{nobody:?}");
}
