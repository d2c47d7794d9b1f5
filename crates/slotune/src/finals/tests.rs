//! What is planned, in which order, and what of it is missing.

use slotune_core::{
    Entry, Measurement, Origin, Outcome, Reason, SearchSpace, State, Trial, TrialId,
};
use slotune_core::{Objective, Parameter};
use slotune_results::Manifest;
use slotune_serving::{
    Backend,
    workload::{Arrivals, LengthLaw, Lengths, ReplayRate, Size, Synthetic},
};
use slotune_sim::{ServerModel, Simulator};

use super::*;

fn workload(arrivals: Arrivals) -> Workload {
    Workload::Synthetic(Synthetic {
        arrivals,
        lengths: Lengths::Independent {
            prompt: LengthLaw::Fixed(900),
            output: LengthLaw::Fixed(100),
        },
        size: Size::Requests(200),
        seed: 3,
    })
}

/// A set whose search measured these values at 16, 17, 18 … sequences.
fn searched(values: &[f64]) -> ResultSet {
    let space = SearchSpace::new(vec![Parameter::integer("max_num_seqs", 16, 1024)], vec![]);
    let study = |name: &str, role| StudyManifest {
        name: name.to_owned(),
        role,
        sampler: "random".to_owned(),
        seed: 0,
        trials: 10,
    };
    let manifest = Manifest::new(
        "2026-11-28T00:00:00Z",
        space.unwrap(),
        Objective::minimise("e2e_p95_s"),
        workload(Arrivals::Poisson { rate_per_s: 2.0 }),
        Simulator::new(ServerModel::measured()).describe(),
    );
    let manifest = manifest.with_study(study("search", StudyRole::Search));
    let trials = (0_u32..).zip(values).map(|(id, &value)| {
        let configuration = Configuration::new().with("max_num_seqs", 16 + id);
        let outcome = Outcome::Completed(Measurement::new().with("e2e_p95_s", value));
        stored("search", id.into(), None, configuration, 7, outcome)
    });
    ResultSet { trials: trials.collect(), manifest }
}

fn stored(
    study: &str,
    id: u64,
    label: Option<&str>,
    configuration: Configuration,
    seed: u64,
    outcome: Outcome,
) -> StoredTrial {
    let trial = Trial { id: TrialId(id), configuration, origin: Origin::Given, seed };
    StoredTrial {
        study: study.to_owned(),
        label: label.map(str::to_owned),
        entry: Entry { trial, state: State::Told { outcome, cost: 1.0 } },
        server: None,
        client: None,
        caveats: vec![],
    }
}

fn options(set: &ResultSet, rounds: u32) -> FinalsOptions {
    FinalsOptions {
        folder: std::path::PathBuf::new(),
        finalists: 2,
        rounds,
        workloads: vec![("finals".to_owned(), set.manifest.workload.clone())],
        slo: Slo::default(),
        seed: 5,
    }
}

/// Round and label of what is missing.
fn missing(finals: &Finals) -> Vec<(u32, &str)> {
    let of = |slot: &Slot| (slot.round, finals.contenders[slot.contender].label.as_str());
    finals.studies[0].missing.iter().map(of).collect()
}

#[test]
fn rounds_go_forwards_and_backwards_by_turns() {
    let set = searched(&[3.0, 1.0, 2.0, 4.0]);
    let finals = Finals::plan(&set, options(&set, 3)).unwrap();
    assert_eq!(
        missing(&finals),
        [
            (0, "default"),
            (0, "search/1"),
            (0, "search/2"),
            (1, "search/2"),
            (1, "search/1"),
            (1, "default"),
            (2, "default"),
            (2, "search/1"),
            (2, "search/2"),
        ]
    );
    assert_eq!(finals.contenders[0].configuration, Configuration::new(), "as vLLM comes");
    assert_eq!(finals.contenders[1].configuration.integer("max_num_seqs"), Some(17));
    assert_eq!((finals.studies[0].trials(), finals.studies[0].next), (9, 0));
}

#[test]
fn what_is_stored_is_not_measured_again_and_what_the_world_broke_is() {
    let mut set = searched(&[3.0, 1.0, 2.0]);
    let seed = |round| round_seed(5, "finals", round);
    let measured = || Outcome::Completed(Measurement::new().with("e2e_p95_s", 1.0));
    let none = Configuration::new;
    let broken = Outcome::Failed(Reason::new("world", "a port"));
    let crashed = Outcome::Infeasible(Reason::new("memory", "too little"));
    set.trials.extend([
        stored("finals", 0, Some("default"), none(), seed(0), measured()),
        stored("finals", 1, Some("search/1"), none(), seed(0), broken),
        stored("finals", 2, Some("search/2"), none(), seed(0), crashed),
    ]);
    let finals = Finals::plan(&set, options(&set, 2)).unwrap();
    let expected = [(0, "search/1"), (1, "search/2"), (1, "search/1"), (1, "default")];
    assert_eq!(missing(&finals), expected);
    assert_eq!((finals.studies[0].trials(), finals.studies[0].next), (7, 3));

    // The search has gone on and found something better, which takes part in all rounds.
    let mut since = searched(&[3.0, 1.0, 2.0, 0.5]);
    since.trials.extend(set.study("finals").cloned());
    let finals = Finals::plan(&since, options(&since, 1)).unwrap();
    assert_eq!(missing(&finals), [(0, "search/3"), (0, "search/1")]);
}

#[test]
fn without_a_find_there_are_no_finals() {
    let plan = |set: &ResultSet, options| Finals::plan(set, options).map(|_| ());
    let set = searched(&[]);
    assert_eq!(plan(&set, options(&set, 3)), Err(NoFinals::NoSearch));
    let set = searched(&[f64::NAN]);
    assert_eq!(plan(&set, options(&set, 3)), Err(NoFinals::NoFinalist));
    let none = FinalsOptions { workloads: vec![], ..options(&set, 3) };
    assert_eq!(plan(&set, none), Err(NoFinals::NoWorkload));
}

#[test]
fn a_sustained_load_is_the_same_for_longer() {
    let own = workload(Arrivals::Poisson { rate_per_s: 2.0 });
    let sustained = workloads::sustained(&own, 9).unwrap();
    let Workload::Synthetic(Synthetic { size: Size::Requests(1000), seed: 3, .. }) = sustained
    else {
        panic!("{sustained}")
    };
    let replay = Workload::Replay(slotune_serving::workload::Replay {
        trace: slotune_serving::workload::TraceSource::AzureConversation2023,
        start_s: 0.0,
        size: Some(Size::Requests(100)),
        rate: ReplayRate::MeanPerS(24.0),
    });
    let sustained = workloads::sustained(&replay, 9).unwrap();
    assert_eq!(
        sustained.to_string(),
        "500 requests, Poisson arrivals at 24/s, lengths drawn from azure_llm_2023_conv, seed 9"
    );
    assert_eq!(workloads::realistic(&replay).unwrap(), None, "it is one itself");
}

#[test]
fn a_realistic_load_asks_for_as_many_tokens_a_second() {
    let tokens_per_s = |workload: &Workload| {
        let summary = workload.schedule().unwrap().summary();
        let tokens = (summary.prompt_tokens + summary.output_tokens) as f64;
        tokens / summary.requests as f64 * summary.rate_per_s().unwrap()
    };
    let own = workload(Arrivals::Constant { rate_per_s: 2.0 });
    let realistic = workloads::realistic(&own).unwrap().unwrap();
    assert!((tokens_per_s(&own) - 2000.0).abs() < 1e-6, "{}", tokens_per_s(&own));
    assert!((tokens_per_s(&realistic) / 2000.0 - 1.0).abs() < 1e-9, "{realistic}");
    assert_eq!(realistic.schedule().unwrap().requests.len(), 200);
    // A closed loop has no rate to match.
    let closed = workload(Arrivals::Closed { concurrency: 4 });
    let Some(Workload::Replay(replay)) = workloads::realistic(&closed).unwrap() else { panic!() };
    assert_eq!(replay.rate, ReplayRate::Recorded);
}
