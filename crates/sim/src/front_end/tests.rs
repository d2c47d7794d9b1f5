//! The front end alone: order and cost of its jobs.

use slotune_serving::{Load, RequestSpec};

use super::*;
use crate::noise::Noise;

/// Costs that are told apart in a sum: ms.
const COSTS: FrontEndCosts = FrontEndCosts {
    per_request_ms: 100.0,
    per_prompt_token_ms: 10.0,
    per_step_ms: 1000.0,
    per_token_ms: 0.0,
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
        streaming: Streaming::Apart,
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

/// A front end that merges, with 3 requests of 4 tokens under way.
fn merging(looks_at_each: bool) -> FrontEnd<'static> {
    let mut front_end = front_end(&[0.0, 0.0, 0.0], looks_at_each);
    front_end.advance(0.5);
    front_end.settings.streaming = Streaming::Merged;
    front_end.costs.per_token_ms = 20.0;
    front_end.clients.iter_mut().for_each(|client| client.output = 4);
    front_end
}

/// The first output is alone when it begins; the next two wait for it, are processed in one go and sent
/// in as many chunks as the larger has tokens.
#[test]
fn outputs_that_wait_are_merged() {
    let mut front_end = merging(true);
    front_end.post_each(1.0, &[0, 1]);
    front_end.post_each(1.1, &[0, 1]);
    front_end.post_each(1.2, &[0, 1, 2]);
    front_end.post_each(9.0, &[2]);
    front_end.advance(20.0);
    // 1 + 1 + 2 * 0.02 + 2 * 0.05; then 2 * 1 + 5 * 0.02 + 3 * 0.05.
    let second_s = 2.14 + 2.1;
    let times = |slot: usize| front_end.clients[slot].chunk_times_s.clone();
    assert_times(times(0), &[2.04 + 0.053, second_s + 0.053]);
    assert_times(times(1), &[2.04 + 0.103, second_s + 0.103]);
    assert_times(times(2), &[second_s + 0.153, 9.0 + 1.02 + 0.053]);
    assert_eq!(front_end.clients[0].received, 3, "no token is lost");
}

/// What is not looked at comes out the same, the first chunk as late as the first token in it.
#[test]
fn merged_outputs_need_no_look_at_each_token() {
    let mark = |place, slot, is_first, is_last| Mark { place, slot, is_first, is_last };
    let mut marked = merging(false);
    let mut each = merging(true);
    for front_end in [&mut marked, &mut each] {
        front_end.clients[2].output = 2;
    }
    each.post_each(1.0, &[0, 1]);
    each.post_each(1.1, &[0, 1, 2]);
    each.post_each(1.2, &[0, 1, 2]);
    each.post_each(1.3, &[0, 1]);
    marked.post(1.0, 2, &[mark(0, 0, true, false), mark(1, 1, true, false)]);
    marked.post(1.1, 3, &[mark(2, 2, true, false)]);
    marked.post(1.2, 3, &[mark(2, 2, false, true)]);
    marked.post(1.3, 2, &[mark(0, 0, false, true), mark(1, 1, false, true)]);
    let [marked, each] = [marked, each].map(|mut front_end| {
        front_end.advance(20.0);
        let seen = front_end.clients.iter().map(|client| (client.first_s, client.last_s));
        (seen.collect::<Vec<_>>(), front_end.busy_until_s.to_bits())
    });
    assert_eq!(marked, each);
    assert_eq!(marked.0[2].0, marked.0[2].1, "both its tokens came in one chunk");
}

/// Of 200 tokens the first 128 are sent before the others are processed, and nothing is merged.
#[test]
fn large_outputs_are_processed_in_stretches() {
    let arrivals_s = [0.0; 200];
    let mut front_end = front_end(&arrivals_s, true);
    front_end.advance(0.0);
    front_end.settings.streaming = Streaming::Merged;
    front_end.costs.per_token_ms = 20.0;
    let slots: Vec<usize> = (0..200).collect();
    front_end.post_each(1.0, &slots);
    front_end.post_each(1.1, &slots);
    front_end.advance(100.0);
    let begun_s = 200.0 * 0.12 + 1.0;
    for (slot, processed, chunks) in
        [(0, 128, 1), (127, 128, 128), (128, 200, 129), (199, 200, 200)]
    {
        let first_s = begun_s + 0.02 * f64::from(processed) + 0.05 * f64::from(chunks) + 0.003;
        let round_s = 1.0 + 200.0 * 0.07;
        let times_s = front_end.clients[slot].chunk_times_s.clone();
        assert_times(times_s, &[first_s, first_s + round_s]);
    }
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
