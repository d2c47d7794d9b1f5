//! What the page and an inquiry say of the parameters.

use slotune_core::{Configuration, Objective, Outcome, Reason, State, importance::Unknown};
use slotune_report::{
    analysis::{Effects, RESULT_SET},
    comparison::Judgement,
    inquiry::Inquiry,
    week3,
};
use slotune_results::ResultSet;

use crate::synthetic::{configuration, main_job, measurement, objective, trial};

fn effects(set: &ResultSet) -> Effects {
    Effects::new(&[("a".to_owned(), set)], &objective())
}

/// The same set, begun later, by another version, and slower by that factor.
fn slower(set: &ResultSet, factor: f64) -> ResultSet {
    let mut later = set.clone();
    later.manifest.created = "2026-12-24T20:00:00Z".into();
    later.manifest.backend.vllm_version = "0.26.0".into();
    for trial in &mut later.trials {
        if let State::Told { outcome: Outcome::Completed(measured), .. } = &mut trial.entry.state {
            let mut p95 = measured.get("e2e_p95_s").expect("it was measured");
            p95.value *= factor;
            *measured = std::mem::take(measured).with_estimate("e2e_p95_s", p95);
        }
    }
    later
}

#[test]
fn the_parameter_of_the_formula_matters_and_the_idle_one_does_not() {
    let effects = effects(&main_job());
    // 30 + 30 + 60 of the searches, 2 references; what could not run was not measured.
    let infeasible = main_job().trials.iter().filter(|t| t.entry.is_infeasible()).count();
    assert_eq!(effects.trials, 122 - infeasible);
    assert_eq!((effects.lower_bounds, effects.left_out), (0, 0));
    let importance = effects.importance.expect("it can be told");
    assert_eq!(importance.parameters[0].parameter, "max_num_seqs");
    assert!(importance.parameters[0].share.value > 0.6);
    let idle = importance.parameters.iter().find(|p| p.parameter == "stream_interval");
    assert!(!idle.expect("it has a row").is_told);
    // Much memory with much concurrency does not start.
    let start = effects.start.expect("some could not run").expect("it can be told");
    let told: Vec<&str> =
        start.parameters.iter().filter(|p| p.is_told).map(|p| p.parameter.as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&"max_num_seqs") && told.contains(&"gpu_memory_utilization"));
    let share = |value: f64| {
        let of = start.parameters.iter().find(|p| p.parameter == "gpu_memory_utilization");
        let effect = &of.expect("it has a row").effect;
        effect.iter().find(|p| p.value.number() == Some(value)).expect("a level").mean
    };
    assert!(share(0.95) < 0.75 && share(0.7) > 0.95, "{} {}", share(0.95), share(0.7));
}

#[test]
fn trials_that_are_no_point_of_the_space_or_only_bounds_are_told() {
    let mut set = main_job();
    let measured = |p95| Outcome::Completed(measurement(0.1, 1.0, p95, 1500.0));
    let alone = Configuration::new().with("max_num_seqs", 512);
    set.trials.push(trial("focus", 0, alone, measured(2.0)));
    let mut overloaded = trial("focus", 1, configuration(256, 0.7, false), measured(40.0));
    if let State::Told { outcome: Outcome::Completed(measured), .. } = &mut overloaded.entry.state {
        let mut bound = measured.get("e2e_p95_s").expect("measured");
        bound.is_lower_bound = true;
        *measured = std::mem::take(measured).with_estimate("e2e_p95_s", bound);
    }
    set.trials.push(overloaded);
    let before = effects(&main_job());
    let after = effects(&set);
    assert_eq!(after.trials, before.trials + 1);
    assert_eq!((after.lower_bounds, after.left_out), (1, 1));
    let page = week3::page(&set).expect("it can be filled");
    assert!(page.contains(" Of 1 trial only a lower bound is known, which is what counts."));
    assert!(page.contains(" Left out: 1 measured trial, at no point of the whole space."));
    // The world in the way is no fact about a configuration.
    let failed = Outcome::Failed(Reason::new("port", "taken"));
    set.trials.push(trial("focus", 2, configuration(256, 0.9, false), failed));
    assert_eq!(effects(&set), after);
}

#[test]
fn the_page_tells_what_each_parameter_does() {
    let page = week3::page(&main_job()).expect("it can be filled");
    assert!(page.contains("| `max_num_seqs` | "));
    assert!(
        page.contains("![Effect of each parameter on the P95 E2E latency](parameter_effects.png)")
    );
    assert!(page.contains("**What decides whether a server can run the configuration**:"));
    assert!(page.contains("A column of random numbers gets "));

    let mut few = main_job();
    few.trials.retain(|t| t.study == "bayesian" && t.entry.trial.id.0 < 4);
    let page = week3::page(&few).expect("it can be filled");
    assert!(page.contains(
        "cannot be told from 4 measured trials of this set: 4 different configurations that set every parameter of the space were measured, and it takes 10 to tell the parameters apart."
    ));
    assert!(!page.contains("parameter_effects.png"), "no picture of nothing");
}

#[test]
fn several_sets_tell_their_difference_from_what_the_parameters_do() {
    let early = main_job();
    let ask = |late: &ResultSet| {
        let sets = [("early".to_owned(), &early), ("late".to_owned(), late)];
        Inquiry::new(&sets, objective()).expect("a metric")
    };
    let same = ask(&slower(&early, 1.0));
    let importance = same.effects.importance.as_ref().expect("it can be told");
    let of_set = importance.parameters.iter().find(|p| p.parameter == RESULT_SET);
    assert!(!of_set.expect("it has a row").is_told);
    assert_eq!(same.shifts.len(), 1);
    assert_eq!(same.shifts[0].judgement, Judgement::Same);

    let slow = ask(&slower(&early, 1.5));
    let importance = slow.effects.importance.as_ref().expect("it can be told");
    let of_set = importance.parameters.iter().find(|p| p.parameter == RESULT_SET);
    assert!(of_set.expect("it has a row").is_told);
    let shift = &slow.shifts[0];
    assert_eq!((shift.before.as_str(), shift.after.as_str()), ("early", "late"));
    assert!((shift.change - 0.5).abs() < 1e-9, "{shift:?}");
    assert_eq!(shift.judgement, Judgement::Worse);
    let shared = early.trials.iter().filter(|t| t.entry.measurement().is_some());
    let mut configurations: Vec<&Configuration> = Vec::new();
    for trial in shared {
        if !configurations.contains(&&trial.entry.trial.configuration) {
            configurations.push(&trial.entry.trial.configuration);
        }
    }
    assert_eq!(shift.configurations, configurations.len());
    let text = slow.to_string();
    assert!(
        text.contains(
            "set:   late, 122 trials, 2026-12-24T20:00:00Z, vLLM 0.26.0, NVIDIA H100 80GB"
        )
    );
    assert!(text.contains("from early to late: e2e_p95_s +50.0 ± "), "{text}");
    assert!(text.contains("what moves e2e_p95_s: share of the variance of a forest on "), "{text}");
}

#[test]
fn what_could_not_run_is_told_with_where_it_lies() {
    let page = week3::page(&main_job()).expect("it can be filled");
    assert!(page.contains("| `max_num_seqs` 2048 to 4096, `gpu_memory_utilization` 0.95 |"));
    let log = page.lines().find(|line| line.starts_with("- [x] Study `grid`")).expect("a line");
    assert_eq!(
        log,
        "- [x] Study `grid`, sampler grid, seed 7: 60 of 60 trials, 8 could not run, 90 min simulated in all"
    );
}

#[test]
fn a_repeat_that_disagrees_is_doubted() {
    let mut set = main_job();
    set.trials.retain(|t| t.study == "bayesian");
    let again = |id, p95| {
        let outcome = Outcome::Completed(measurement(0.1, 1.0, p95, 1500.0));
        trial("repeats", id, configuration(64, 0.9, true), outcome)
    };
    set.trials.extend([again(0, 2.0), again(1, 2.01), again(2, 3.0)]);
    let inquiry = Inquiry::new(&[("a".to_owned(), &set)], Objective::minimise("e2e_p95_s"))
        .expect("a metric");
    let doubted: Vec<u64> =
        inquiry.doubts.iter().filter(|d| d.study == "repeats").map(|d| d.trial).collect();
    assert_eq!(doubted, [2]);
    let reason = &inquiry.doubts.iter().find(|d| d.study == "repeats").unwrap().reason;
    assert!(reason.starts_with("a repeat of repeats/0 that measured 3.00 ± 0.04 s"), "{reason}");

    // Under two names they may be runs under two loads.
    for (trial, name) in set.trials.iter_mut().rev().zip(["evening", "morning", "morning"]) {
        trial.label = Some(name.to_owned());
    }
    let inquiry = Inquiry::new(&[("a".to_owned(), &set)], Objective::minimise("e2e_p95_s"))
        .expect("a metric");
    assert!(inquiry.doubts.iter().all(|doubt| doubt.study != "repeats"), "{:?}", inquiry.doubts);
}

#[test]
fn as_json_the_answer_or_the_reason_stands_in_one_place() {
    let known = serde_json::to_value(effects(&main_job())).expect("plain data");
    assert_eq!(known["importance"]["parameters"][0]["parameter"], "max_num_seqs");
    assert!(known["start"]["predicted"].as_f64().is_some());
    let none = Effects::new(&[], &objective());
    assert_eq!(none.importance, Err(Unknown::TooFew { configurations: 0, needed: 1 }));
    let none = serde_json::to_value(none).expect("plain data");
    let why = none["importance"]["unknown"].as_str().expect("the reason");
    assert!(
        why.starts_with(
            "0 different configurations that set every parameter of the space were measured"
        ),
        "{why}"
    );
    assert!(none["start"].is_null());
}
