//! The lessons of the page: what worked, what was hard, what was not expected.

use std::fs;

use crate::{
    synthetic::main_job,
    week3::{page, with_winner, write},
};
use slotune_core::{Constraint, Direction, Estimate, Outcome, State};
use slotune_serving::{Caveat, CaveatClass};

#[test]
fn the_same_caveat_of_many_trials_is_one_lesson_that_names_them() {
    let mut set = main_job();
    let unsettled = Caveat::new(CaveatClass::NotSteady, "latency did not settle");
    for trial in set.trials.iter_mut().filter(|t| t.study != "random" && t.entry.trial.id.0 < 4) {
        trial.caveats.push(unsettled.clone());
    }
    set.trials[0].caveats.push(Caveat::new(CaveatClass::ClientLate, "sent 7 ms late"));
    set.trials[1].caveats.push(Caveat::new(CaveatClass::ClientLate, "sent 9 ms late"));
    let folder = tempfile::tempdir().expect("a folder");
    let written = write(&set, folder.path());
    let page = fs::read_to_string(written.page).expect("text");
    for lesson in [
        "- 10 of 122 trials carry the note `not_steady` (`reference` 0, 1; `bayesian` 0 to 3; `grid` 0 to 3): latency did not settle.\n",
        "- 2 of 122 trials carry the note `client_late` (`reference` 0, 1): the first says: sent 7 ms late.\n",
    ] {
        assert!(page.contains(lesson), "{lesson}\n{page}");
    }
    // The table of all trials has what is the same once, too, and what differs in each row.
    let html = fs::read_to_string(written.html).expect("text");
    assert_eq!(html.matches("latency did not settle").count(), 1);
    assert_eq!(html.matches("<p>not_steady</p>").count(), 10);
    assert!(html.contains("<p>client_late: sent 9 ms late</p>"));
    // A list that nobody reads is a number.
    for trial in set.trials.iter_mut().filter(|t| t.study == "grid" && t.entry.trial.id.0 % 2 == 1)
    {
        trial.caveats.push(Caveat::new(CaveatClass::Rejected, "one request was refused"));
    }
    let lesson = "- 30 of 122 trials carry the note `rejected` (30 trials of `grid`): one request was refused.\n";
    assert!(slotune_report::week3::page(&set).unwrap().contains(lesson));
}

#[test]
fn a_set_with_nothing_to_set_side_by_side_says_so() {
    let mut set = main_job();
    set.manifest.studies.retain(|study| study.name == "grid");
    set.trials.retain(|trial| trial.study == "grid");
    let page = page(&set);
    assert!(
        page.contains("This set has no baseline, no default and no search to set side by side.")
    );
    assert!(!page.contains("| Metric |"), "{page}");
}

#[test]
fn a_change_from_what_may_be_nothing_is_a_difference() {
    let mut set = with_winner();
    let default = &mut set.trials[1];
    if let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut default.entry.state {
        let share = Estimate::new(0.000_01, 0.000_01);
        *measurement = std::mem::take(measurement).with_estimate("queue_share", share);
    }
    let page = page(&set);
    let row = page.lines().find(|line| line.starts_with("| **Queue Time %** |")).expect("a row");
    assert!(row.ends_with("| 1.80 pp more (worse) |"), "{row}");
}

#[test]
fn lessons_come_from_the_numbers() {
    let won = page(&with_winner());
    for lesson in [
        "`max_num_seqs` matters: the median P95 E2E latency is 1.86 s with 1024 and 4.59 s with 256.",
        "The search was as good as the best of all 60 trials of the grid (1.65 s) after 3; the grid needed 35.",
        "15 of 122 trials could not run (memory).",
        "5 of 26 measured search trials missed the target queue share of E2E latency ≤ 50%, always with another target.",
        "`stream_interval` made no difference to speak of",
        "More is not better for `max_num_seqs`: the median P95 E2E latency is best at 1024 and 69% higher at 4096.",
        "The simulated baseline is furthest from week 2 in P50 E2E latency: 12.2 s against 0.850 s documented.",
    ] {
        assert!(won.contains(lesson), "{lesson}");
    }
    // A level that no target allows is not held up as the best to have.
    let mut strict = with_winner();
    let bound = Constraint::at_least("output_throughput_tok_per_s", 1e9);
    strict.manifest.objective.constraints = vec![bound];
    assert!(page(&strict).contains("with 1024 (no trial with that meets every target) and 4.59 s"));
    // Without a grid nothing is claimed of single parameters.
    let mut search_only = with_winner();
    search_only.trials.retain(|t| t.study != "grid");
    search_only.manifest.studies.retain(|s| s.name != "grid");
    let page = page(&search_only);
    assert!(!page.contains("matters: the median"));
}

#[test]
fn lessons_know_which_way_is_better() {
    let mut set = with_winner();
    set.manifest.objective.metric = "request_throughput_per_s".to_owned();
    set.manifest.objective.direction = Direction::Maximise;
    let lesson = "Most of the improvement comes with vLLM's defaults: request throughput goes from 4.52 req/s to ";
    assert!(page(&set).contains(lesson), "{}", page(&set));
    // The default is worse than the baseline, so nothing comes with it.
    set.manifest.objective.direction = Direction::Minimise;
    assert!(!page(&set).contains("Most of the improvement"));
}

#[test]
fn an_empty_comparison_hides_no_other() {
    let mut set = with_winner();
    set.trials.retain(|t| t.study != "random");
    let page = page(&set);
    assert!(page.contains("- After 30 trials "), "of the grid: {page}");
}

#[test]
fn a_search_behind_the_grid_is_admitted() {
    let mut set = with_winner();
    set.trials.retain(|t| t.study != "bayesian" || t.entry.trial.id.0 < 2);
    assert!(page(&set).contains(
        "The search did not reach the best of all 60 trials of the grid (1.65 s) in 2 trials."
    ));
}
