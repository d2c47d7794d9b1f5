//! The finals: what repeats beside the default decide, and how the answers follow.

use std::{collections::BTreeMap, convert::Infallible};

use slotune_core::{Configuration, Constraint, Outcome, Reason, State};
use slotune_report::{
    advice::Advice,
    analysis::{Analysis, Judgement, Verdict, finalists},
    finals::{FinalsReport, OWN, SUSTAINED},
    selection::Which,
    week3,
};
use slotune_results::{FinalsManifest, ResultSet, StoredTrial, StudyRole};
use slotune_serving::{
    RequestRecord, RequestStatus, Workload,
    metrics::Slo,
    workload::{Arrivals, Size},
};

use crate::synthetic::{
    configuration, labelled, main_job, measurement, objective, reference_of, study, trial,
};

/// A default that the best of the search, `bayesian/…`, beats by 15 %.
fn searched() -> ResultSet {
    let mut set = main_job();
    set.trials[1] = labelled("default", reference_of(1, default()));
    set
}

fn default() -> Configuration {
    configuration(512, 0.9, true)
}

/// The two best of the search.
fn best(set: &ResultSet) -> [StoredTrial; 2] {
    let default = Analysis::new(set).default;
    let found = finalists(&objective(), set.study("bayesian"), default, 2);
    [found[0].clone(), found[1].clone()]
}

/// What a repeat of so many seconds at the 95th percentile measures; beyond 2.06 it misses a target.
fn measured(p95_s: f64) -> Outcome {
    Outcome::Completed(measurement(0.1, 0.4 * p95_s, p95_s, 1500.0))
}

/// Adds a final in which contenders had these outcomes, round by round.
fn with_final(
    mut set: ResultSet,
    name: &str,
    contenders: &[(&str, Configuration, Vec<Outcome>)],
) -> ResultSet {
    let workload = match (name, &set.manifest.workload) {
        (OWN, own) => own.clone(),
        (_, Workload::Synthetic(own)) => {
            Workload::Synthetic(slotune_serving::workload::Synthetic {
                size: Size::Requests(2000),
                ..own.clone()
            })
        }
        (_, Workload::Replay(_) | Workload::OfEachTrial { .. }) => panic!("the set's is synthetic"),
    };
    let slo = Slo { ttft_s: Some(2.0), ..Slo::default() };
    let finals = set
        .manifest
        .finals
        .get_or_insert_with(|| FinalsManifest { workloads: BTreeMap::new(), slo });
    finals.workloads.insert(name.to_owned(), workload);
    let mut id = 0;
    for (label, configuration, outcomes) in contenders {
        for (round, outcome) in (0..).zip(outcomes) {
            let mut repeat = trial(name, id, configuration.clone(), outcome.clone());
            repeat.entry.trial.seed = 1000 + round;
            set.trials.push(labelled(label, repeat));
            id += 1;
        }
    }
    set.manifest.studies.push(study(name, StudyRole::Finals, "given", id));
    set
}

/// The default at 1.95 s with some noise, and the two best at so many times that.
fn repeated(set: ResultSet, name: &str, factors: [[f64; 4]; 2]) -> ResultSet {
    const DEFAULT_S: [f64; 4] = [1.95, 2.00, 1.90, 1.96];
    let of = |factors: [f64; 4]| {
        DEFAULT_S.iter().zip(factors).map(|(s, factor)| measured(s * factor)).collect::<Vec<_>>()
    };
    let [first, second] = best(&set);
    let (one, two) = (first.name(), second.name());
    let contenders = [
        ("default", default(), of([1.0; 4])),
        (one.as_str(), first.entry.trial.configuration, of(factors[0])),
        (two.as_str(), second.entry.trial.configuration, of(factors[1])),
    ];
    with_final(set, name, &contenders)
}

const BETTER: [f64; 4] = [0.84, 0.85, 0.86, 0.85];
const A_LITTLE_BETTER: [f64; 4] = [0.94, 0.95, 0.96, 0.95];
const SAME: [f64; 4] = [0.97, 1.04, 0.99, 1.01];
const WORSE: [f64; 4] = [1.04, 1.05, 1.06, 1.05];

fn advised(set: &ResultSet) -> String {
    Which::Advised.of(set).map_or_else(|error| error.to_string(), StoredTrial::name)
}

#[test]
fn finalists_are_the_best_that_meet_the_targets_each_once_and_not_the_default() {
    let set = searched();
    let [first, second] = best(&set);
    let value =
        |trial: &StoredTrial| trial.entry.measurement().unwrap().value("e2e_p95_s").unwrap();
    assert!(value(&first) <= value(&second));
    let all = finalists(&objective(), set.study("bayesian"), None, 100);
    let without = finalists(&objective(), set.study("bayesian"), Some(&first), 100);
    assert_eq!(without.len() + 1, all.len());
    assert!(all.iter().all(|t| objective().is_feasible(t.entry.measurement().unwrap())));
    let twice = set.study("bayesian").chain(set.study("bayesian"));
    assert_eq!(finalists(&objective(), twice, None, 100).len(), all.len());
    assert!(finalists(&objective(), set.study("none"), None, 2).is_empty());
}

#[test]
fn a_winner_that_lasts_is_recommended_with_its_interval() {
    let set = repeated(searched(), OWN, [BETTER, A_LITTLE_BETTER]);
    let [first, second] = best(&set);
    assert_eq!(advised(&set), first.name());
    let analysis = Analysis::new(&set);
    assert!(analysis.is_decided_by_finals);
    let own = &analysis.finals.as_ref().unwrap().all[0];
    let names: Vec<&str> = own.contenders().map(|contender| contender.name).collect();
    assert_eq!(names, ["default", &first.name(), &second.name()], "best of the search first");
    let [winner, other] = own.finalists.as_slice() else { panic!("{:?}", own.finalists) };
    assert_eq!([winner.judgement, other.judgement], [Judgement::Better; 2]);
    // Student over ln 0.84, ln 0.85, ln 0.86, ln 0.85 with t = 4.176535 (R: qt(1 - 0.025 / 2, 3)):
    // each of two has half of the 5 %.
    let logs = BETTER.map(f64::ln);
    let mean = logs.iter().sum::<f64>() / 4.0;
    let deviation = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    let paired = winner.paired.unwrap();
    assert!((paired.effect - mean.exp()).abs() < 1e-9, "{paired:?}");
    for (end, sign) in paired.interval.into_iter().zip([-1.0, 1.0]) {
        let expected = (mean + sign * 4.176_535 * deviation / 2.0).exp();
        assert!((end - expected).abs() < 1e-6, "{paired:?}");
    }
    let page = week3::page(&set).unwrap();
    for part in [
        "### 7. Finals",
        "#### Under the workload of the search",
        "in 4 rounds of the finals it is better than vLLM's default: P95 E2E latency −15.0% (−16.7% to −13.3%)",
        "the finals above repeat it",
        "1. Verify improvements under realistic workload: ✅ `finals`, 4 rounds",
        "3. Test stability under sustained load: to do on a real server",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[test]
fn finals_overturn_the_winner_of_the_search() {
    let before = searched();
    assert!(matches!(Analysis::new(&before).verdict, Verdict::Change(_)));
    let set = repeated(before, OWN, [SAME, WORSE]);
    assert_eq!(advised(&set), "reference/1");
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    assert_eq!(advice.verdict, "keep_default");
    assert_eq!(advice.configuration, Some(default()));
    let first = best(&set)[0].name();
    let text = advice.to_string();
    let line = format!("finals: {first} against the default: same, P95 E2E latency +0.2% (");
    assert!(text.contains(&line), "{text}");
    let page = week3::page(&set).unwrap();
    assert!(
        page.contains(
            "**Keep the default**: it meets every target, and nothing beats it in the finals."
        ),
        "{page}"
    );
    assert!(page.contains("The best that the search found did not last: in 4 rounds"), "{page}");
    let programs = page.split("## Recommended Configuration").nth(1).unwrap();
    assert!(programs.contains("--max-num-seqs 512"), "the default's:\n{programs}");
}

#[test]
fn the_second_best_may_win() {
    let set = repeated(searched(), OWN, [SAME, A_LITTLE_BETTER]);
    assert_eq!(advised(&set), best(&set)[1].name());
}

#[test]
fn a_winner_must_not_be_worse_under_another_workload() {
    let set = repeated(searched(), OWN, [BETTER, A_LITTLE_BETTER]);
    let set = repeated(set, SUSTAINED, [WORSE, SAME]);
    assert_eq!(advised(&set), best(&set)[1].name());
    let set = repeated(repeated(searched(), OWN, [BETTER, SAME]), SUSTAINED, [WORSE, SAME]);
    assert_eq!(advised(&set), "reference/1");
    let page = week3::page(&set).unwrap();
    assert!(page.contains("it is worse in `finals_sustained`"), "{page}");
    assert!(
        page.contains("3. Test stability under sustained load: ❌ `finals_sustained`, 4 rounds"),
        "{page}"
    );
}

#[test]
fn what_cannot_run_in_a_round_does_not_win() {
    let crash = Outcome::Infeasible(Reason::new("crash_under_load", "EngineDeadError"));
    let base = repeated(searched(), OWN, [BETTER, A_LITTLE_BETTER]);
    let [first, second] = best(&base);
    let (one, two) = (first.name(), second.name());
    let set = with_final(
        base,
        SUSTAINED,
        &[
            ("default", default(), vec![measured(2.0); 4]),
            (&one, first.entry.trial.configuration, [vec![measured(1.6); 3], vec![crash]].concat()),
            (&two, second.entry.trial.configuration, vec![measured(1.9); 4]),
        ],
    );
    assert_eq!(advised(&set), two);
    let report = FinalsReport::new(&Analysis::new(&set), |_| Ok::<_, Infallible>(vec![])).unwrap();
    let crashed = &report.finals[1].contenders[1];
    assert_eq!(crashed.judgement, Some(Judgement::Worse));
    assert_eq!(crashed.cannot_run.as_deref(), Some("crash_under_load: EngineDeadError"));
    assert_eq!(crashed.misses, None, "targets were set for the workload of the search");
}

#[test]
fn where_the_default_misses_the_targets_the_best_that_meets_them_wins() {
    let set = searched();
    let [first, second] = best(&set);
    let (one, two) = (first.name(), second.name());
    let with = |default_s: f64, first_s: f64, second_s: f64| {
        with_final(
            searched(),
            OWN,
            &[
                ("default", default(), vec![measured(default_s); 4]),
                (&one, first.entry.trial.configuration.clone(), vec![measured(first_s); 4]),
                (&two, second.entry.trial.configuration.clone(), vec![measured(second_s); 4]),
            ],
        )
    };
    assert_eq!(advised(&with(2.5, 2.2, 2.0)), two);
    assert_eq!(advised(&with(2.5, 1.9, 2.0)), one);
    let none = with(2.5, 2.3, 2.4);
    let analysis = Analysis::new(&none);
    let Verdict::NoneFeasible(near) = &analysis.verdict else { panic!("{:?}", analysis.verdict) };
    assert_eq!(near.trial.label.as_deref(), Some(one.as_str()), "the closest repeat");
    week3::page(&none).unwrap();
}

/// The same set, whose finals had so many output tokens a second.
fn at_throughput(mut set: ResultSet, tok_per_s: f64) -> ResultSet {
    for trial in set.trials.iter_mut().filter(|trial| trial.study == OWN) {
        let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut trial.entry.state
        else {
            panic!("all were measured")
        };
        let changed = measurement.clone().with("output_throughput_tok_per_s", tok_per_s);
        *measurement = changed;
    }
    set
}

#[test]
fn a_throughput_that_the_requests_of_the_finals_do_not_ask_for_is_judged_by_those_of_the_study() {
    let set = at_throughput(repeated(searched(), OWN, [BETTER, SAME]), 900.0);
    let first = best(&set)[0].name();
    assert_eq!(advised(&set), first, "by the other targets");
    let said = "output throughput ≥ 1,200 tok/s is out of reach under these requests, which let nobody have more than 900 tok/s; it is judged by those of the study";
    let analysis = Analysis::new(&set);
    let report = FinalsReport::new(&analysis, |_| Ok::<_, Infallible>(vec![])).unwrap();
    let own = &report.finals[0];
    assert!(own.contenders.iter().all(|contender| contender.misses == Some(vec![])));
    assert!(report.to_string().contains(&format!("note: {said}\n")), "{report}");
    let advice = Advice::new(&analysis).unwrap().with_finals(report);
    assert!(advice.to_string().contains(&format!("\nfinals: {said}\n")), "{advice}");
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(
        json["finals"]["finals"][0]["out_of_reach"],
        serde_json::json!([{ "target": "output_throughput_tok_per_s >= 1200", "most": 900.0 }])
    );
    let page = week3::page(&set).unwrap();
    assert!(page.contains(&format!("**Note**: {said}.")), "{page}");
    assert!(page.contains("✅ all targets met (simulated)"), "{page}");

    let keep = at_throughput(repeated(searched(), OWN, [SAME, SAME]), 900.0);
    assert_eq!(advised(&keep), "reference/1");
    // A default that missed the target in the study is not let off in the finals.
    let mut slow = keep.clone();
    slow.trials[1].entry.state =
        State::Told { outcome: Outcome::Completed(measurement(0.1, 0.8, 1.9, 1100.0)), cost: 1.0 };
    assert_eq!(advised(&slow), first);
    // What one contender reaches, all are held to.
    let mut one_reaches = keep;
    let of_first = |trial: &&mut StoredTrial| trial.label.as_deref() == Some(first.as_str());
    for trial in one_reaches.trials.iter_mut().filter(of_first) {
        trial.entry.state = State::Told { outcome: measured(1.95), cost: 1.0 };
    }
    assert_eq!(advised(&one_reaches), first);
}

#[test]
fn targets_that_requests_do_not_cap_stay_where_nobody_meets_them() {
    // A closed loop asks for as much as the server gives.
    let mut closed = at_throughput(repeated(searched(), OWN, [BETTER, SAME]), 900.0);
    let Workload::Synthetic(workload) = &mut closed.manifest.workload else { panic!("synthetic") };
    workload.arrivals = Arrivals::Closed { concurrency: 8 };
    let own = closed.manifest.workload.clone();
    closed.manifest.finals.as_mut().unwrap().workloads.insert(OWN.to_owned(), own);
    // A share of completed requests is the server's, and so is a latency.
    let mut lost = repeated(searched(), OWN, [BETTER, SAME]);
    lost.manifest.objective =
        objective().subject_to(Constraint::at_least("completed_share", 0.99).linear());
    for trial in &mut lost.trials {
        let share = if trial.study == OWN { 0.9 } else { 1.0 };
        if let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut trial.entry.state
        {
            *measurement = measurement.clone().with("completed_share", share);
        }
    }
    for (set, metric) in [(closed, "output_throughput_tok_per_s"), (lost, "completed_share")] {
        let analysis = Analysis::new(&set);
        let Verdict::NoneFeasible(near) = &analysis.verdict else {
            panic!("{:?}", analysis.verdict)
        };
        assert_eq!(near.binding.constraint.metric, metric);
    }
}

#[test]
fn too_few_rounds_and_a_better_find_since_decide_nothing() {
    let whole = repeated(searched(), OWN, [SAME, SAME]);
    let mut few = whole.clone();
    few.trials.retain(|t| t.study != OWN || t.entry.trial.seed < 1002);
    let mut since = whole.clone();
    let mut better = best(&whole)[0].clone();
    better.entry.trial.id = slotune_core::TrialId(30);
    better.entry.trial.configuration = configuration(1024, 0.7, true);
    better.entry.state = State::Told { outcome: measured(0.9), cost: 1.0 };
    let position = since.trials.iter().position(|t| t.study == "random").unwrap();
    since.trials.insert(position, better);
    for (set, found) in [(few, best(&whole)[0].name()), (since, "bayesian/30".to_owned())] {
        let analysis = Analysis::new(&set);
        assert!(!analysis.is_decided_by_finals);
        assert_eq!(advised(&set), found);
    }
}

#[test]
fn a_round_that_the_world_broke_is_no_round() {
    let mut set = repeated(searched(), OWN, [BETTER, BETTER]);
    let broken =
        set.trials.iter_mut().find(|t| t.study == OWN && t.label.as_deref() == Some("default"));
    let outcome = Outcome::Failed(Reason::new("world", "the port was taken"));
    broken.unwrap().entry.state = State::Told { outcome, cost: 1.0 };
    let analysis = Analysis::new(&set);
    let own = &analysis.finals.as_ref().unwrap().all[0];
    assert_eq!(own.default.repeats.len(), 3);
    assert_eq!(own.finalists[0].repeats.len(), 4);
    assert_eq!(own.finalists[0].paired.unwrap().rounds, 3);
}

#[test]
fn service_levels_are_of_the_requests_of_all_rounds() {
    let set = repeated(searched(), OWN, [BETTER, SAME]);
    // Of each trial: latencies of 1 to 100 s, a tenth of it to the first token, tokens of one class.
    let requests = |_: &StoredTrial| -> Result<Vec<RequestRecord>, Infallible> {
        let record = |index: u32| RequestRecord {
            index,
            prompt_tokens: 100,
            output_tokens: 11,
            intended_s: 0.0,
            sent_s: 0.0,
            first_token_s: Some(f64::from(index + 1) / 10.0),
            last_token_s: Some(f64::from(index + 1)),
            queue_time_s: None,
            chunk_times_s: vec![],
            status: RequestStatus::Completed,
        };
        let mut records: Vec<RequestRecord> = (0..100).map(record).collect();
        records.push(RequestRecord { status: RequestStatus::NotSent, ..record(100) });
        Ok(records)
    };
    let report = FinalsReport::new(&Analysis::new(&set), requests).unwrap();
    let [own] = report.finals.as_slice() else { panic!("{:?}", report.finals) };
    let service = &own.contenders[0].service;
    assert_eq!(service.requests, 404);
    // TTFT within 2 s: those of up to 20 s.
    assert!((service.within_slo.unwrap() - 80.0 / 404.0).abs() < 1e-12);
    let of = |name: &str| service.latencies.iter().find(|l| l.latency == name).unwrap();
    // Type 7 over each value four times: positions 199.5, 379.05 and 395.01 of 400 values.
    let close = |seen: Option<f64>, expected: f64| (seen.unwrap() - expected).abs() < 1e-9;
    let e2e = of("e2e");
    assert_eq!(e2e.requests, 400);
    assert!(
        close(e2e.p50_s, 50.5) && close(e2e.p95_s, 95.05) && close(e2e.p99_s, 99.01),
        "{e2e:?}"
    );
    assert!(close(of("ttft").p95_s, 9.505) && close(of("tpot").p50_s, 4.545), "{:?}", of("tpot"));
    assert_eq!(of("e2e_tiny").p99_s, e2e.p99_s);
    assert_eq!((of("e2e_very_long").requests, of("e2e_very_long").p50_s), (0, None));

    let advice = Advice::new(&Analysis::new(&set)).unwrap().with_finals(report.clone());
    let json = serde_json::to_value(&advice).unwrap();
    let contender = &json["finals"]["finals"][0]["contenders"][1];
    assert_eq!(contender["judgement"], "better");
    assert_eq!(contender["against_default"]["rounds"], 4);
    assert_eq!(contender["service"]["latencies"][0]["requests"], 400);
    let text = report.to_string();
    let line = text.lines().find(|line| line.contains("E2E latency, tiny")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words.join(" "), "E2E latency, tiny (up to 50 tokens) 400 50.5 s 95.1 s 99.0 s");

    let folder = tempfile::tempdir().unwrap();
    let written = week3::write(&set, requests, folder.path()).unwrap();
    let page = std::fs::read_to_string(written.page).unwrap();
    let row =
        "| TTFT | 400 | 5.05 s ❌ | 9.51 s ❌ | 9.90 s ❌ | 5.05 s ❌ | 9.51 s ❌ | 9.90 s ❌ |";
    let shown = page.lines().find(|line| line.starts_with("| TTFT"));
    assert_eq!(shown, Some(row));
    let html = std::fs::read_to_string(written.html).unwrap();
    assert!(html.contains("<td>TTFT</td>"), "{html}");

    // What is optimised comes first.
    let first = |set: &ResultSet| {
        let written = week3::write(set, requests, folder.path()).unwrap();
        let page = std::fs::read_to_string(written.page).unwrap();
        let (_, table) = page.split_once("| Service level |").unwrap();
        table.lines().nth(2).unwrap().split(" | ").next().unwrap().to_owned()
    };
    assert_eq!(first(&set), "| E2E latency");
    let mut of_ttft = set.clone();
    of_ttft.manifest.objective.metric = "ttft_p95_s".to_owned();
    assert_eq!(first(&of_ttft), "| TTFT");
}
