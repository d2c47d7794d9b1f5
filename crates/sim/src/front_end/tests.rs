//! The front end alone: order and cost of what it does.

use slotune_serving::{Load, RequestSpec};

use super::*;
use crate::noise::Noise;

/// Costs that are told apart in a sum: ms.
const COSTS: FrontEndCosts = FrontEndCosts {
    per_request_ms: 150.0,
    per_prompt_token_ms: 10.0,
    per_step_ms: 1000.0,
    per_token_ms: 20.0,
    per_chunk_ms: 50.0,
    to_engine_ms: 7.0,
    to_client_ms: 3.0,
};

/// A front end to which prompts of 2 tokens with outputs of 2 are sent at these times, and which
/// looks at each token, or not.
fn front_end(arrivals_s: &[f64], event_loop: EventLoop, looks_at_each: bool) -> FrontEnd<'_> {
    let settings = FrontEndSettings {
        stream_interval: 1,
        keeps_chunk_times: looks_at_each,
        end_s: f64::INFINITY,
        longest: 100,
        event_loop,
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

fn at_engine_s(front_end: &FrontEnd<'_>) -> Vec<f64> {
    front_end.to_engine.iter().map(|&(time_s, _)| time_s).collect()
}

/// With nothing else to do, an arrival costs 0.15 s, and 0.02 s more where its prompt is read at once; the
/// latency to the engine occupies nobody.
#[test]
fn arrivals_wait_for_one_another() {
    let mut turns = front_end(&[0.0, 5.0], EventLoop::Turns, false);
    turns.advance(10.0);
    assert_times(at_engine_s(&turns), &[0.157, 5.157]);
    let mut serial = front_end(&[0.0, 0.05, 5.0], EventLoop::Serial, false);
    assert!(serial.advance_by_one());
    assert_times(serial.at_engine_s(), &[0.177]);
    serial.advance(10.0);
    assert_times(at_engine_s(&serial), &[0.177, 0.347, 5.177]);
    assert_eq!(serial.take_request(0.346).map(|(slot, _)| slot), Some(0));
    assert!(serial.take_request(0.346).is_none(), "the second is still on its way");
}

/// One request is accepted in a turn, and each goes one stage of 0.01 s in it: of three at once the
/// first has passed its last stage when all have done 40.
#[test]
fn requests_come_in_stage_by_stage() {
    let mut front_end = front_end(&[0.0; 3], EventLoop::Turns, false);
    front_end.advance(10.0);
    assert_times(at_engine_s(&front_end), &[0.407, 0.437, 0.457]);
}

/// Outputs of 200 tokens wait, and a turn sends one: a request that comes meanwhile is with the engine when
/// its last stage's turn begins, be the engine idle or not.
#[test]
fn a_request_waits_for_as_many_turns_as_it_has_stages() {
    let mut arrivals_s = [0.0; 201];
    arrivals_s[200] = 1000.0;
    let mut front_end = front_end(&arrivals_s, EventLoop::Turns, true);
    front_end.advance(999.0);
    front_end.to_engine.clear();
    front_end.clients.iter_mut().for_each(|client| {
        client.output = 100;
        client.is_prompt_decoded = true;
    });
    let slots: Vec<usize> = (0..200).collect();
    (0..50).for_each(|_| front_end.post_each(1000.0, &slots));
    front_end.advance(1e6);
    // The first turn processes 128 tokens and accepts; then come 13 turns that begin an output, 200 tokens
    // each, and the first of two whose 128 chunks are fewer. The last stage is the first thing in its turn.
    let (first_s, turn_s) = (1.0 + 128.0 * 0.02, 1.0 + 200.0 * 0.07);
    let second_s = 128.0 * 0.05 + 1.0 + 200.0 * 0.02;
    assert_times(at_engine_s(&front_end), &[1000.0 + first_s + second_s + 13.0 * turn_s + 0.157]);
}

/// An output costs 1 s and 0.02 s a token, and in turns 0.02 s the prompt of each that begins; a chunk
/// 0.05 s, each visible after its own cost.
#[test]
fn tokens_are_streamed_in_the_order_of_the_batch() {
    for (event_loop, prompt_s) in [(EventLoop::Turns, 0.02), (EventLoop::Serial, 0.0)] {
        let mut front_end = front_end(&[0.0, 0.0], event_loop, true);
        front_end.advance(1.0);
        front_end.post_each(1.0, &[1, 0]);
        front_end.advance(3.0);
        front_end.post_each(5.0, &[0]);
        front_end.advance(10.0);
        let sent_s = 2.04 + 2.0 * prompt_s;
        assert_times(front_end.clients[1].chunk_times_s.clone(), &[sent_s + 0.053]);
        assert_times(front_end.clients[0].chunk_times_s.clone(), &[sent_s + 0.103, 6.02 + 0.053]);
        assert_times(front_end.clients[0].last_s, &[6.073]);
    }
}

/// Of an arrival and an output at the same time the arrival is first, and each waits for whichever
/// came before it, where one thing is done after the other.
#[test]
fn arrivals_come_before_outputs_of_the_same_time() {
    let mut front_end = front_end(&[0.0, 1.0, 1.5], EventLoop::Serial, true);
    front_end.advance(0.5);
    front_end.post_each(1.0, &[0]);
    front_end.advance(10.0);
    assert_times(front_end.clients[0].first_s, &[1.17 + 1.02 + 0.053]);
    assert_times(at_engine_s(&front_end), &[0.177, 1.177, 2.24 + 0.177]);
}

/// A front end of 3 requests of 4 tokens under way.
fn streaming(event_loop: EventLoop, looks_at_each: bool) -> FrontEnd<'static> {
    let mut front_end = front_end(&[0.0, 0.0, 0.0], event_loop, looks_at_each);
    front_end.advance(0.5);
    front_end.costs.per_prompt_token_ms = 0.0;
    front_end.clients.iter_mut().for_each(|client| client.output = 4);
    front_end
}

/// The first output is alone when it begins; the next two wait for it, are processed in one go and sent
/// in as many chunks as the larger has tokens.
#[test]
fn outputs_that_wait_are_merged() {
    let mut front_end = streaming(EventLoop::Turns, true);
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
fn marks_need_no_look_at_each_token() {
    let mark = |place, slot, is_first, is_last| Mark { place, slot, is_first, is_last };
    for event_loop in [EventLoop::Turns, EventLoop::Serial] {
        let mut marked = streaming(event_loop, false);
        let mut each = streaming(event_loop, true);
        for front_end in [&mut marked, &mut each] {
            front_end.clients[2].output = 2;
            front_end.costs.per_prompt_token_ms = 10.0;
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
            let seen: Vec<_> =
                front_end.clients.iter().map(|client| (client.first_s, client.last_s)).collect();
            let busy_until_s = front_end.busy_until_s.to_bits();
            let next = || front_end.take_ended().map(|(slot, _)| slot);
            (seen, busy_until_s, std::iter::from_fn(next).collect::<Vec<_>>())
        });
        assert_eq!(marked, each);
        let came_at_once = marked.0[2].0 == marked.0[2].1;
        let (order, is_merged) = match event_loop {
            EventLoop::Turns => ([0, 1, 2], true),
            EventLoop::Serial => ([2, 0, 1], false),
        };
        assert_eq!(marked.2, order, "in the order of their ends");
        assert_eq!(came_at_once, is_merged, "both its tokens in one chunk");
    }
}

/// Of 200 tokens 128 are processed, and sent while the others are, which go with the first 128 of the next
/// output; and nothing is merged.
#[test]
fn large_outputs_are_processed_in_stretches() {
    let arrivals_s = [0.0; 200];
    let mut front_end = front_end(&arrivals_s, EventLoop::Turns, true);
    front_end.costs.per_prompt_token_ms = 0.0;
    front_end.advance(999.0);
    let slots: Vec<usize> = (0..200).collect();
    front_end.post_each(1000.0, &slots);
    front_end.post_each(1000.1, &slots);
    front_end.advance(2000.0);
    let sent_1_s = 1000.0 + 1.0 + 128.0 * 0.02;
    let sent_2_s = sent_1_s + 128.0 * 0.05 + 1.0 + 200.0 * 0.02;
    let sent_3_s = sent_2_s + 200.0 * 0.05 + 72.0 * 0.02;
    for (slot, first, second) in [
        (0, (sent_1_s, 1), (sent_2_s, 73)),
        (127, (sent_1_s, 128), (sent_2_s, 200)),
        (128, (sent_2_s, 1), (sent_3_s, 1)),
        (199, (sent_2_s, 72), (sent_3_s, 72)),
    ] {
        let times_s =
            [first, second].map(|(sent_s, chunks)| sent_s + 0.05 * f64::from(chunks) + 0.003);
        assert_times(front_end.clients[slot].chunk_times_s.clone(), &times_s);
    }
}

/// The slot of a request that ended is given to the next.
#[test]
fn slots_are_used_again() {
    let mut front_end = front_end(&[0.0, 0.0, 50.0], EventLoop::Turns, true);
    let taken = |front_end: &mut FrontEnd<'_>, now_s| -> Vec<(usize, u32)> {
        let next = || front_end.take_request(now_s).map(|(slot, client)| (slot, client.index));
        std::iter::from_fn(next).collect()
    };
    front_end.advance(9.0);
    front_end.post_each(10.0, &[1]);
    front_end.post_each(20.0, &[1]);
    front_end.advance(40.0);
    assert_eq!(taken(&mut front_end, 40.0), [(0, 0), (1, 1)]);
    assert_eq!(front_end.take_ended().map(|(slot, client)| (slot, client.index)), Some((1, 1)));
    front_end.advance(60.0);
    assert_eq!(taken(&mut front_end, 60.0), [(1, 2)]);
}
