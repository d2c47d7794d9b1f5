//! The conformance suite passes a correct backend and fails every incorrect one.

#![cfg(feature = "testing")]

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use slotune_serving::{
    Backend, BackendError, BackendInfo, Calibration, Hardware, InfeasibleClass, Load, Progress,
    Provenance, RequestRecord, RequestStatus, Run, ServerFacts, TrialRequest,
    engine_arguments::{Environment, VllmVersion},
    testing::conformance,
};

/// A server that answers every request after the same time, however many there are.
struct FixedLatency {
    fault: Fault,
    evaluations: AtomicU32,
}

/// What is wrong with the backend.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    NoName,
    LosesTheLast,
    SwapsTwo,
    SendsEarly,
    CutsOutput,
    Drifts,
    AcceptsAnything,
    CallsItFailed,
    IgnoresConcurrency,
    InventsRecords,
    ChunksBackwards,
}

const TTFT_S: f64 = 0.05;
const TPOT_S: f64 = 0.01;

#[async_trait]
impl Backend for FixedLatency {
    fn describe(&self) -> BackendInfo {
        BackendInfo {
            name: if self.fault == Fault::NoName { String::new() } else { "fixed".to_owned() },
            vllm_version: "0.33.0".to_owned(),
            model: "none".to_owned(),
            hardware: Hardware::default(),
            provenance: Provenance::Simulated(Calibration {
                preset: "fixed".to_owned(),
                basis: "nothing: every latency is a constant".to_owned(),
            }),
        }
    }

    async fn evaluate(
        &self,
        request: &TrialRequest,
        _: &dyn Progress,
    ) -> Result<Run, BackendError> {
        let evaluation = self.evaluations.fetch_add(1, Ordering::Relaxed);
        let environment = Environment {
            version: VllmVersion::NEWEST_KNOWN,
            gpu_memory_gib: 80.0,
            gpu_is_a100: false,
            model_max_len: 4096,
        };
        let arguments = request.arguments.resolve(&environment);
        if arguments.max_num_batched_tokens < arguments.max_num_seqs
            && self.fault != Fault::AcceptsAnything
        {
            let (message, cost_s) = ("more sequences than tokens".to_owned(), 0.0);
            return Err(match self.fault {
                Fault::CallsItFailed => BackendError::Failed { message, cost_s },
                _ => BackendError::Infeasible { class: InfeasibleClass::Invalid, message, cost_s },
            });
        }
        let server = ServerFacts { arguments: arguments.to_arguments(), ..ServerFacts::default() };
        let mut records = self.records(request);
        self.spoil(&mut records, evaluation);
        let end_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
        Ok(Run {
            records,
            end_s,
            cost_s: end_s,
            server,
            timeline: vec![],
            client: None,
            caveats: vec![],
        })
    }
}

impl FixedLatency {
    fn records(&self, request: &TrialRequest) -> Vec<RequestRecord> {
        // When each slot of a closed loop is free again.
        let mut free_s: Vec<f64> = match request.schedule.load {
            Load::Open => vec![],
            Load::Closed { .. } if self.fault == Fault::IgnoresConcurrency => vec![],
            Load::Closed { concurrency } => vec![0.0; concurrency as usize],
        };
        let mut records = vec![];
        for (index, spec) in (0..).zip(&request.schedule.requests) {
            let slot = free_s.iter_mut().min_by(|a, b| a.total_cmp(b));
            let intended_s = slot.as_ref().map_or(spec.arrival_s, |free_s| **free_s);
            let chunk_times_s: Vec<f64> = (0..spec.output_tokens)
                .map(|i| intended_s + TTFT_S + TPOT_S * f64::from(i))
                .collect();
            let last_token_s = chunk_times_s.last().copied();
            if let Some((slot, end_s)) = slot.zip(last_token_s) {
                *slot = end_s;
            }
            records.push(RequestRecord {
                index,
                prompt_tokens: spec.prompt_tokens,
                output_tokens: spec.output_tokens,
                intended_s,
                sent_s: intended_s,
                first_token_s: chunk_times_s.first().copied(),
                last_token_s,
                queue_time_s: Some(0.0),
                chunk_times_s,
                status: RequestStatus::Completed,
            });
        }
        records
    }

    fn spoil(&self, records: &mut Vec<RequestRecord>, evaluation: u32) {
        if records.is_empty() {
            if self.fault == Fault::InventsRecords {
                records.push(RequestRecord {
                    index: 0,
                    prompt_tokens: 1,
                    output_tokens: 1,
                    intended_s: 0.0,
                    sent_s: 0.0,
                    first_token_s: None,
                    last_token_s: None,
                    queue_time_s: None,
                    chunk_times_s: vec![],
                    status: RequestStatus::Unfinished,
                });
            }
            return;
        }
        match self.fault {
            Fault::LosesTheLast => drop(records.pop()),
            Fault::SwapsTwo => records.swap(0, 1),
            Fault::SendsEarly => records[3].sent_s = records[3].intended_s - 0.001,
            Fault::CutsOutput => records[2].output_tokens -= 1,
            Fault::Drifts => records[0].queue_time_s = Some(1e-6 * f64::from(evaluation)),
            Fault::ChunksBackwards => records[5].chunk_times_s.swap(1, 2),
            _ => {}
        }
    }
}

/// Runs a future that never waits.
fn block_on(future: impl Future<Output = ()>) {
    let done = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(done, Poll::Ready(()), "a backend of this test never waits");
}

fn suite(fault: Fault) {
    block_on(conformance(|| Box::new(FixedLatency { fault, evaluations: AtomicU32::new(0) })));
}

#[test]
fn a_correct_backend_passes() {
    suite(Fault::None);
}

#[test]
fn every_fault_is_found_and_named() {
    let cases = [
        (Fault::NoName, "name is empty"),
        (Fault::LosesTheLast, "open loop: number of records"),
        (Fault::SwapsTwo, "open loop, record 0: index"),
        (Fault::SendsEarly, "record 3: intended at"),
        (Fault::CutsOutput, "record 2: output tokens"),
        (Fault::Drifts, "the same request and seed gave another run"),
        (Fault::AcceptsAnything, "were evaluated, but vLLM refuses them"),
        (Fault::CallsItFailed, "are infeasible, not: evaluation failed"),
        (Fault::IgnoresConcurrency, "closed loop: request number 5 was sent at 0 s"),
        (Fault::InventsRecords, "an empty schedule gave 1 records"),
        (Fault::ChunksBackwards, "record 5: chunk times run backwards"),
    ];
    for (fault, expected) in cases {
        let panic =
            catch_unwind(AssertUnwindSafe(|| suite(fault))).expect_err("the suite must fail");
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let message = message.expect("panics with a text");
        assert!(message.contains(expected), "{fault:?}: {message}");
    }
}
