//! The front end alone: order and cost of its jobs.

use slotune_serving::{Load, RequestSpec};

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

/// A front end to which prompts of 2 tokens with outputs of 2 are sent at these times, and which
/// looks at each token, or not.
fn front_end(arrivals_s: &[f64], looks_at_each: bool) -> FrontEnd<'_> {
    let settings = FrontEndSettings {
        stream_interval: 1,
        keeps_chunk_times: looks_at_each,
        end_s: f64::INFINITY,
        longest: 100,
        looks_at_each,
    };
    let specs = arrivals_s.iter().map(|&arrival_s| RequestSpec {
        arrival_s,
        prompt_tokens: 2,
        output_tokens: 2,
        shared_prefix: vec![],
    });
    let arrivals = Arrivals::new(Load::Open, Box::new(specs));
    FrontEnd::new(COSTS, settings, Noise::none().front_end_jobs(0), arrivals)
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
    let mut front_end = front_end(&[0.0, 0.05, 5.0], false);
    assert!(front_end.advance_by_one());
    assert_times(front_end.at_engine_s(), &[0.127]);
    front_end.advance(10.0);
    assert_times(front_end.to_engine.iter().map(|&(time_s, _)| time_s), &[0.127, 0.247, 5.127]);
    assert_eq!(front_end.take_request(0.246).map(|(slot, _)| slot), Some(0));
    assert!(front_end.take_request(0.246).is_none(), "the second is still on its way");
}

/// An output costs 1 s and 0.05 s a token, each token visible after its own cost.
#[test]
fn tokens_are_streamed_in_the_order_of_the_batch() {
    let mut front_end = front_end(&[0.0, 0.0], true);
    front_end.advance(0.0);
    front_end.post_each(1.0, &[1, 0]);
    front_end.post_each(1.5, &[0]);
    front_end.advance(10.0);
    assert_times(front_end.clients[1].chunk_times_s.clone(), &[2.053]);
    assert_times(front_end.clients[0].chunk_times_s.clone(), &[2.103, 3.153]);
    assert_times(front_end.clients[0].last_s, &[3.153]);
}

/// Of an arrival and an output at the same time the arrival is first, and each waits for whichever
/// came before it.
#[test]
fn arrivals_come_before_outputs_of_the_same_time() {
    let mut front_end = front_end(&[0.0, 1.0, 1.5], true);
    front_end.advance(0.5);
    front_end.post_each(1.0, &[0]);
    front_end.advance(10.0);
    assert_times(front_end.clients[0].first_s, &[1.12 + 1.05 + 0.003]);
    let at_engine_s = front_end.to_engine.iter().map(|&(time_s, _)| time_s);
    assert_times(at_engine_s, &[0.127, 1.127, 2.17 + 0.127]);
}

/// Of three tokens the second and third begin or end a stream: their times need no look at the
/// others.
#[test]
fn marked_tokens_are_as_late_as_if_each_were_looked_at() {
    let mark = |place, slot, is_last: bool| Mark { place, slot, is_first: !is_last, is_last };
    let arrivals_s = [0.0, 0.0, 0.0];
    let mut marked = front_end(&arrivals_s, false);
    marked.advance(0.0);
    marked.post(1.0, 2, &[mark(0, 2, false), mark(1, 1, false)]);
    marked.post(1.5, 3, &[mark(0, 0, false), mark(1, 1, true), mark(2, 2, true)]);
    let mut each = front_end(&arrivals_s, true);
    each.advance(0.0);
    each.post_each(1.0, &[2, 1]);
    each.post_each(1.5, &[0, 1, 2]);
    for front_end in [&mut marked, &mut each] {
        front_end.advance(10.0);
        let slots = std::iter::from_fn(|| front_end.take_ended().map(|(slot, _)| slot));
        assert_eq!(slots.collect::<Vec<_>>(), [1, 2], "in the order of their ends");
    }
    let times = |front_end: &FrontEnd<'_>| -> Vec<_> {
        let clients = front_end.clients.iter();
        clients.map(|client| (client.first_s, client.last_s.filter(|_| client.index > 0))).collect()
    };
    assert_eq!(times(&marked), times(&each));
    assert_eq!(marked.busy_until_s.to_bits(), each.busy_until_s.to_bits());
}

/// The slot of a request that ended is given to the next.
#[test]
fn slots_are_used_again() {
    let mut front_end = front_end(&[0.0, 0.0, 50.0], true);
    let taken = |front_end: &mut FrontEnd<'_>, now_s| -> Vec<(usize, u32)> {
        let next = || front_end.take_request(now_s).map(|(slot, client)| (slot, client.index));
        std::iter::from_fn(next).collect()
    };
    front_end.advance(0.0);
    front_end.post_each(1.0, &[1]);
    front_end.post_each(2.0, &[1]);
    front_end.advance(40.0);
    assert_eq!(taken(&mut front_end, 40.0), [(0, 0), (1, 1)]);
    assert_eq!(front_end.take_ended().map(|(slot, client)| (slot, client.index)), Some((1, 1)));
    front_end.advance(60.0);
    assert_eq!(taken(&mut front_end, 60.0), [(1, 2)]);
}
