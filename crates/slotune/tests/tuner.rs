//! The loop over a backend that does what it is told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use slotune::{
    Finished, Observer, TuneError, Tuner,
    core::{
        Constraint, Entry, Objective, Outcome, Parameter, Problem, SearchSpace, State, Study,
        Trial,
        sampler::{Bayesian, Random},
    },
    serving::{
        Backend, BackendError, BackendInfo, ClientFacts, EngineArguments, GiveUp, InfeasibleClass,
        Latency, Load, Progress, RequestSpec, Run, Schedule, Silent, Stage, TrialRequest,
        metrics::MeasureOptions,
    },
    sim::{CacheState, ServerModel, Simulator},
};

/// Answers from a script, then as the simulator does.
struct Scripted {
    script: Mutex<Vec<BackendError>>,
    asked: AtomicUsize,
    /// Evaluations that a busy client spoils.
    spoilt: usize,
    /// When each evaluation might be given up.
    give_ups: Mutex<Vec<Vec<GiveUp>>>,
    simulator: Simulator,
}

impl Scripted {
    fn new(script: Vec<BackendError>) -> Arc<Self> {
        let simulator =
            Simulator::new(ServerModel::measured()).with_cache_reset_to(CacheState::cold());
        Arc::new(Self {
            script: Mutex::new(script),
            asked: AtomicUsize::new(0),
            spoilt: 0,
            give_ups: Mutex::new(vec![]),
            simulator,
        })
    }

    fn spoiling(spoilt: usize) -> Arc<Self> {
        let backend = Arc::into_inner(Self::new(vec![])).expect("nobody else has it");
        Arc::new(Self { spoilt, ..backend })
    }
}

#[async_trait::async_trait]
impl Backend for Scripted {
    fn describe(&self) -> BackendInfo {
        self.simulator.describe()
    }

    async fn evaluate(
        &self,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError> {
        let before = self.asked.fetch_add(1, Ordering::Relaxed);
        self.give_ups.lock().expect("no test panics here").push(request.give_up.clone());
        let next = self.script.lock().expect("no test panics here").pop();
        if let Some(error) = next {
            return Err(error);
        }
        let mut run = self.simulator.evaluate(request, progress).await?;
        run.client = (before < self.spoilt).then_some(ClientFacts {
            cpu_s: 9.9,
            wall_s: 10.0,
            cores: 1,
            wake_lag_p99_s: 0.0,
        });
        Ok(run)
    }
}

fn study(metric: &str, parameter: &str) -> Study {
    let space = SearchSpace::new(vec![Parameter::integer(parameter, 16, 512).log()], vec![])
        .expect("a plain space");
    let objective = Objective::minimise(metric)
        .subject_to(Constraint::at_least("output_throughput_tok_per_s", 1.0));
    Study::new(Problem::new(space, objective), Box::new(Random), 3).expect("a plain study")
}

fn tuner(study: Study, backend: Arc<dyn Backend>) -> Result<Tuner, TuneError> {
    let request = |index: u32| RequestSpec {
        arrival_s: f64::from(index) * 0.1,
        prompt_tokens: 200,
        output_tokens: 20,
        shared_prefix: vec![],
    };
    let schedule = Schedule { load: Load::Open, requests: (0..40).map(request).collect() };
    let fixed = EngineArguments::default();
    Tuner::new(study, backend, Arc::new(schedule), fixed, MeasureOptions::default())
}

fn world_in_the_way() -> BackendError {
    BackendError::Failed { message: "port 8000 is taken".to_owned(), cost_s: 2.0 }
}

#[test]
fn a_run_is_measured_and_told_with_its_cost() {
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), Scripted::new(vec![])).unwrap();
    tuner.run_blocking(2, &Silent).unwrap();
    let history = tuner.study().history();
    assert_eq!(history.completed().count(), 2);
    let State::Told { cost, .. } = history.entries()[0].state else { panic!("not told") };
    // A cold start of the simulated server and four seconds of arrivals.
    assert!(cost > 60.0, "{cost}");
}

#[test]
fn what_the_world_broke_is_tried_again_and_its_time_is_counted() {
    let backend = Scripted::new(vec![world_in_the_way(), world_in_the_way()]);
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), backend.clone()).unwrap();
    tuner.run_blocking(1, &Silent).unwrap();
    assert_eq!(backend.asked.load(Ordering::Relaxed), 3);
    assert_eq!(tuner.study().history().completed().count(), 1);
}

#[test]
fn what_stays_broken_is_told_as_failed() {
    let backend = Scripted::new(vec![world_in_the_way(), world_in_the_way(), world_in_the_way()]);
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), backend).unwrap();
    tuner.run_blocking(1, &Silent).unwrap();
    let State::Told { outcome: Outcome::Failed(reason), cost } =
        &tuner.study().history().entries()[0].state
    else {
        panic!("not told as failed")
    };
    assert!(reason.message.contains("port 8000 is taken"), "{}", reason.message);
    assert!((cost - 6.0).abs() < 1e-12, "all three attempts cost time: {cost}");
}

#[test]
fn a_run_that_measured_the_client_is_repeated_and_never_used() {
    let backend = Scripted::spoiling(2);
    let mut once = tuner(study("e2e_p95_s", "max_num_seqs"), backend.clone()).unwrap();
    once.run_blocking(1, &Silent).unwrap();
    assert_eq!(backend.asked.load(Ordering::Relaxed), 3);
    assert_eq!(once.study().history().completed().count(), 1);

    let mut always = tuner(study("e2e_p95_s", "max_num_seqs"), Scripted::spoiling(99)).unwrap();
    always.run_blocking(1, &Silent).unwrap();
    let State::Told { outcome: Outcome::Failed(reason), .. } =
        &always.study().history().entries()[0].state
    else {
        panic!("a run of the client was used")
    };
    assert_eq!(reason.class, "client_cpu");
    assert!(reason.message.contains("99 % of its 1 cores"), "{}", reason.message);
}

#[test]
fn a_trial_may_be_given_up_when_it_is_far_behind_the_incumbent() {
    let backend = Scripted::new(vec![]);
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), backend.clone()).unwrap();
    tuner.run_blocking(2, &Silent).unwrap();
    let first = tuner.study().history().entries()[0].measurement().expect("completed");
    let best_s = first.value("e2e_p95_s").expect("measured");
    let give_ups = backend.give_ups.lock().expect("no test panics here");
    let [first, second] = &give_ups[..] else { panic!("two trials: {give_ups:?}") };
    let ([], [give_up]) = (&first[..], &second[..]) else {
        panic!("only the second trial has an incumbent: {give_ups:?}")
    };
    assert_eq!((give_up.latency, give_up.percent.to_bits()), (Latency::E2e, 95.0_f64.to_bits()));
    assert!(give_up.above_s > 2.0 * best_s, "{give_up:?}");
}

#[test]
fn a_broken_world_ends_the_study_at_once_and_costs_no_trial() {
    let backend = Scripted::new(vec![BackendError::Broken {
        message: "the model cannot be loaded".to_owned(),
        cost_s: 12.0,
    }]);
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), backend.clone()).unwrap();
    let error = tuner.run_blocking(5, &Silent).unwrap_err();
    assert!(error.to_string().contains("the model cannot be loaded"), "{error}");
    assert_eq!(backend.asked.load(Ordering::Relaxed), 1);
    assert!(tuner.study().history().entries()[0].is_pending());
}

#[test]
fn an_infeasible_configuration_is_told_as_such_at_once() {
    let backend = Scripted::new(vec![BackendError::Infeasible {
        class: InfeasibleClass::Memory,
        message: "No available memory for the cache blocks.".to_owned(),
        cost_s: 40.0,
    }]);
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), backend.clone()).unwrap();
    tuner.run_blocking(1, &Silent).unwrap();
    assert_eq!(backend.asked.load(Ordering::Relaxed), 1);
    let State::Told { outcome: Outcome::Infeasible(reason), .. } =
        &tuner.study().history().entries()[0].state
    else {
        panic!("not told as infeasible")
    };
    assert_eq!(reason.class, "memory");
}

#[test]
fn unknown_names_are_refused_before_anything_starts() {
    let backend = Scripted::new(vec![]);
    let error = tuner(study("e2e_p59_s", "max_num_seqs"), backend.clone()).err().unwrap();
    assert!(matches!(error, TuneError::UnknownMetric(_)));
    assert!(error.to_string().contains("e2e_p95_s"), "{error}");

    let error = tuner(study("e2e_p95_s", "max_num_seq"), backend.clone()).err().unwrap();
    assert!(matches!(error, TuneError::Argument(_)));
    assert!(error.to_string().contains("max_num_seqs"), "{error}");
    assert_eq!(backend.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn inter_token_latencies_are_kept_where_the_objective_needs_them() {
    let mut tuner = tuner(study("itl_p99_s", "max_num_seqs"), Scripted::new(vec![])).unwrap();
    tuner.run_blocking(1, &Silent).unwrap();
    assert_eq!(tuner.study().history().completed().count(), 1);
}

#[test]
fn goodput_without_an_slo_is_refused_before_anything_starts() {
    let error = tuner(study("goodput_per_s", "max_num_seqs"), Scripted::new(vec![])).err().unwrap();
    assert!(error.to_string().contains("MeasureOptions::slo"), "{error}");
}

#[test]
fn a_trial_that_cannot_be_recorded_ends_the_loop_but_is_kept() {
    struct FullDisk;

    impl Progress for FullDisk {
        fn stage(&self, _: Stage) {}
    }

    impl Observer for FullDisk {
        fn begun(&self, _: &Trial) {}

        fn finished(
            &self,
            _: &Finished<'_>,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Err("no space left on device".into())
        }
    }

    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), Scripted::new(vec![])).unwrap();
    let error = tuner.run_blocking(5, &FullDisk).unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert_eq!(tuner.study().history().completed().count(), 1);
}

#[test]
fn a_loop_within_a_runtime_is_refused() {
    let mut tuner = tuner(study("e2e_p95_s", "max_num_seqs"), Scripted::new(vec![])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async { tuner.run_blocking(1, &Silent) }).unwrap_err();
    assert!(matches!(error, TuneError::WithinRuntime));
    assert!(tuner.study().history().is_empty());
    runtime.block_on(tuner.run(1, &Silent)).unwrap();
    assert_eq!(tuner.study().history().completed().count(), 1);
}

#[test]
fn a_trial_whose_opening_promises_too_little_is_pruned() {
    let parameters = vec![
        Parameter::integer("max_num_seqs", 1, 64).log(),
        Parameter::integer("max_num_batched_tokens", 512, 8192).log(),
    ];
    let space = SearchSpace::new(parameters, vec![]).expect("a plain space");
    let problem = Problem::new(space, Objective::minimise("e2e_p95_s"));
    let study = Study::new(problem, Box::<Bayesian>::default(), 1).expect("a plain study");
    let request = |index: u32| RequestSpec {
        arrival_s: f64::from(index) * 0.1,
        prompt_tokens: 200 + 40 * (index % 7),
        output_tokens: 20 + 30 * (index % 5),
        shared_prefix: vec![],
    };
    let schedule = Schedule { load: Load::Open, requests: (0..300).map(request).collect() };
    let (fixed, options) = (EngineArguments::default(), MeasureOptions::default());
    let backend = Scripted::new(vec![]);
    let tuner = Tuner::new(study, backend, Arc::new(schedule), fixed, options).expect("plain");
    let mut tuner = tuner.pruning_after(60).expect("a percentile of a latency");
    tuner.run_blocking(16, &Silent).expect("the simulator works");

    let history = tuner.study().history();
    let opening = |entry: &Entry| entry.opening("e2e_p95_s").expect("each trial has one").value;
    let cost = |entry: &Entry| match entry.state {
        State::Told { cost, .. } => cost,
        State::Pending => panic!("told"),
    };
    let best = history.best(tuner.study().problem().objective()).expect("one completed");
    let pruned: Vec<&Entry> = history.entries().iter().filter(|e| e.is_pruned()).collect();
    assert!(!pruned.is_empty(), "{history:?}");
    for entry in pruned {
        assert!(entry.trial.id.0 >= 4, "four trials are whole: {entry:?}");
        assert!(opening(entry) > opening(best) && cost(entry) < cost(best), "{entry:?}");
    }
}

#[test]
fn what_has_no_percentile_of_a_latency_is_not_pruned() {
    let error = tuner(study("tpot_mean_s", "max_num_seqs"), Scripted::new(vec![])).unwrap();
    let error = error.pruning_after(10).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("`tpot_mean_s`"), "{error}");
}
