//! What a step computes: budget, chunks, and who is skipped.

use super::*;

#[test]
fn a_prompt_is_split_by_the_budget_and_samples_at_its_end() {
    Situation::new(&[(20, 3)]).check(&[&[(0, 8)], &[(0, 8)], &[(0, 4)], &[(0, 1)], &[(0, 1)]]);
}

#[test]
fn running_requests_come_before_waiting_ones() {
    Situation::new(&[(4, 3), (10, 1)]).check(&[&[(0, 4), (1, 4)], &[(0, 1), (1, 6)], &[(0, 1)]]);
}

#[test]
fn the_threshold_caps_each_chunk() {
    Situation::new(&[(8, 1), (3, 1)])
        .with(|situation| situation.arguments.long_prefill_token_threshold = 3)
        .check(&[&[(0, 3), (1, 3)], &[(0, 3)], &[(0, 2)]]);
}

#[test]
fn asynchronous_steps_do_not_run_past_the_last_token() {
    let asynchronous = |situation: &mut Situation| situation.arguments.async_scheduling = true;
    for output in 1..5 {
        let situation = Situation::new(&[(4, output)]).with(asynchronous);
        let mut driver = situation.start(Bookkeeping::Each);
        let mut batches = Vec::new();
        while let Some(batch) = driver.next_batch() {
            batches.push(batch[0].1);
        }
        let decodes = output as usize - 1;
        assert_eq!(batches, [vec![4], vec![1; decodes]].concat(), "output {output}");
    }
}

/// The second step is scheduled while the first computes, so a request that ends with it still
/// holds its sequence.
#[test]
fn an_asynchronous_slot_is_free_one_step_later() {
    let one = |situation: &mut Situation| situation.arguments.max_num_seqs = 1;
    Situation::new(&[(4, 1), (4, 1)]).with(one).check(&[&[(0, 4)], &[(1, 4)]]);
    let both = Situation::new(&[(4, 2), (4, 1)]).with(one).with(|situation| {
        situation.arguments.async_scheduling = true;
    });
    both.check(&[&[(0, 4)], &[(0, 1)], &[(1, 4)]]);
}

/// Each gets up to the threshold of 5 of the 9 tokens, the earlier first.
#[test]
fn prompts_share_the_budget_in_the_order_of_admission() {
    let situation = Situation::new(&[(12, 1), (12, 1)]).with(|situation| {
        situation.arguments.long_prefill_token_threshold = 5;
        situation.arguments.max_num_batched_tokens = 9;
    });
    situation.check(&[&[(0, 5), (1, 4)], &[(0, 5), (1, 4)], &[(0, 2), (1, 4)]]);
}

/// The first one's only token is on the way; the second goes on.
#[test]
fn a_request_with_its_last_token_on_the_way_is_skipped() {
    Situation::new(&[(4, 1), (4, 3)])
        .with(|situation| situation.arguments.async_scheduling = true)
        .check(&[&[(0, 4), (1, 4)], &[(1, 1)], &[(1, 1)]]);
}

/// With a context of 12 tokens, the last token is sampled from the eleventh; the front end lets no
/// request come further.
#[test]
fn nothing_is_computed_beyond_the_context() {
    let context = |situation: &mut Situation| situation.arguments.max_model_len = 12;
    let steps: [&[(usize, u32)]; 3] = [&[(0, 8)], &[(0, 2)], &[(0, 1)]];
    for output in [2, 9] {
        let mut driver = Situation::new(&[(10, output)]).with(context).check(&steps);
        assert_eq!(driver.next_batch(), None, "{output}");
    }
}
