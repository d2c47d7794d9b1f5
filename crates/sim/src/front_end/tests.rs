//! The front end alone: order and cost of its jobs.

use super::*;
use crate::noise::Noise;

/// Costs that are told apart in a sum: ms.
const COSTS: FrontEndCosts = FrontEndCosts {
    per_request_ms: 100.0,
    per_prompt_token_ms: 10.0,
    per_step_ms: 1000.0,
    per_chunk_ms: 50.0,
    to_engine_ms: 7.0,
    to_client_ms: 3.0,
};

/// A front end to which prompts of 2 tokens with outputs of 2 are sent at these times.
fn front_end(arrivals_s: &[f64]) -> FrontEnd {
    let settings =
        FrontEndSettings { stream_interval: 1, keeps_chunk_times: true, end_s: f64::INFINITY };
    let clients = arrivals_s.iter().map(|_| Client::new(2, 2, false)).collect();
    let arrivals = arrivals_s.iter().copied().zip(0..).collect();
    let factors = Noise::none().front_end_jobs(0);
    FrontEnd::new(COSTS, settings, factors, clients, arrivals, VecDeque::new())
}

fn assert_times(times_s: impl IntoIterator<Item = f64>, expected_s: &[f64]) {
    let times_s: Vec<f64> = times_s.into_iter().collect();
    assert_eq!(times_s.len(), expected_s.len(), "{times_s:?}");
    for (time_s, expected_s) in times_s.iter().zip(expected_s) {
        assert!((time_s - expected_s).abs() < 1e-9, "{times_s:?} instead of {expected_s}");
    }
}

/// An arrival costs 0.12 s; the latency to the engine occupies nobody.
#[test]
fn arrivals_wait_for_one_another() {
    let mut front_end = front_end(&[0.0, 0.05, 5.0]);
    assert_times(front_end.next_at_engine_s(), &[0.127]);
    front_end.advance(10.0);
    assert_times(front_end.to_engine.iter().map(|&(time_s, _)| time_s), &[0.127, 0.247, 5.127]);
    assert_eq!(front_end.take_request(0.246), Some(0));
    assert_eq!(front_end.take_request(0.246), None, "the second is still on its way");
}

/// An output costs 1 s and 0.05 s a token, each token visible after its own cost.
#[test]
fn tokens_are_streamed_in_the_order_of_the_batch() {
    let mut front_end = front_end(&[0.0, 0.0]);
    front_end.advance(0.0);
    front_end.post(1.0, vec![1, 0]);
    front_end.post(1.5, vec![0]);
    front_end.advance(10.0);
    assert_times(front_end.clients[1].chunk_times_s.clone(), &[2.053]);
    assert_times(front_end.clients[0].chunk_times_s.clone(), &[2.103, 3.153]);
    assert_times(front_end.clients[0].last_s, &[3.153]);
}

/// Of an arrival and an output at the same time the arrival is first, and each waits for whichever
/// came before it.
#[test]
fn arrivals_come_before_outputs_of_the_same_time() {
    let mut front_end = front_end(&[0.0, 1.0, 1.5]);
    front_end.advance(0.5);
    front_end.post(1.0, vec![0]);
    front_end.advance(10.0);
    assert_times(front_end.clients[0].first_s, &[1.12 + 1.05 + 0.003]);
    let at_engine_s = front_end.to_engine.iter().map(|&(time_s, _)| time_s);
    assert_times(at_engine_s, &[0.127, 1.127, 2.17 + 0.127]);
}
