//! Single questions of a set: what to do, what changed, what the configuration is as a manifest.

use serde::Deserialize as _;
use slotune_core::{Configuration, Constraint, Estimate, Goal, Measurement, Outcome, Value};
use slotune_report::{
    advice::Advice,
    analysis::Analysis,
    comparison::{Comparison, Judgement},
    export::{Format, export},
    references::References,
    selection::{SelectError, Which},
};
use slotune_results::{ResultSet, StoredTrial, StudyRole};
use slotune_serving::engine_arguments::CudagraphMode;

use crate::synthetic::{
    configuration, labelled, main_job, outcome, reference_of, set, study, trial,
};

fn which(text: &str) -> Which {
    format!("set:{text}").parse::<slotune_report::selection::Selection>().unwrap().which
}

#[test]
fn advice_is_one_object_that_names_its_trial() {
    let set = main_job();
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    let json = serde_json::to_value(&advice).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "complete",
            "configuration",
            "metrics",
            "simulated",
            "study",
            "trial",
            "verdict",
            "vllm_serve"
        ]
    );
    let named = Which::Trial { study: advice.study.clone().unwrap(), trial: advice.trial.unwrap() };
    let trial = named.of(&set).unwrap();
    assert_eq!(trial, Which::Advised.of(&set).unwrap());
    assert_eq!(Some(&trial.entry.trial.configuration), advice.configuration.as_ref());
    let text = advice.to_string();
    let first = "keep default: e2e_p95_s 1.65 s (study reference, trial 1), vLLM's default 1.65 s";
    assert!(text.starts_with(first), "{text}");
    let why = "the best that the search found, bayesian/";
    assert!(text.contains(why) && text.contains("`slotune finals` would repeat both"), "{text}");
    assert!(text.ends_with(advice.vllm_serve.as_ref().unwrap()), "{text}");
}

#[test]
fn of_two_goals_advice_lists_what_they_leave_to_choose() {
    let mut set = main_job();
    assert_eq!(Advice::new(&Analysis::new(&set)).unwrap().front, []);
    let second = Goal::maximise("output_throughput_tok_per_s");
    set.manifest.objective = set.manifest.objective.against(second);
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    let of = |metric: &str| -> Vec<f64> {
        advice.front.iter().map(|choice| choice.metrics.value(metric).unwrap()).collect()
    };
    let (latencies, throughputs) = (of("e2e_p95_s"), of("output_throughput_tok_per_s"));
    assert!(latencies.len() > 1, "{latencies:?}");
    assert!(latencies.is_sorted_by(|a, b| a < b) && throughputs.is_sorted_by(|a, b| a < b));
    let objective = &set.manifest.objective;
    assert!(advice.front.iter().all(|choice| objective.is_feasible(&choice.metrics)));
    let text = advice.to_string();
    let head = "\nno other trial that meets the targets is better in both e2e_p95_s and \
                output_throughput_tok_per_s:\n";
    let (_, list) = text.split_once(head).unwrap();
    let last = advice.front.last().unwrap();
    let named = format!("  {}/{}  {}", last.study, last.trial, last.configuration);
    assert!(list.lines().nth(latencies.len() - 1).unwrap().ends_with(&named), "{text}");
    let page = slotune_report::week3::page(&set).unwrap();
    assert!(page.contains("What the goals leave to choose"), "{page}");
}

#[test]
fn a_trial_that_is_not_there_is_answered_with_those_that_are() {
    let mut set = main_job();
    set.trials.retain(|trial| trial.study == "reference" || trial.study == "bayesian");
    let error = which("bayesian/30").of(&set).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the result set has no trial `bayesian/30`; it has: baseline, default, reference/0 to \
         reference/1, bayesian/0 to bayesian/29"
    );
    assert_eq!(which("default").of(&set).unwrap().entry.trial.id.0, 1);
    set.trials.clear();
    assert_eq!(Which::Advised.of(&set), Err(SelectError::NoneAdvised));
}

/// Two trials that measured these.
fn pair(before: Measurement, after: Measurement) -> (ResultSet, [StoredTrial; 2]) {
    let trials = [before, after].map(|measurement| {
        trial("search", 0, configuration(256, 0.9, true), Outcome::Completed(measurement))
    });
    (set(vec![study("search", StudyRole::Search, "bayesian", 2)], trials.to_vec()), trials)
}

#[test]
fn a_change_is_judged_by_its_direction_and_by_noise() {
    let metric = |value: f64, error: f64| Estimate::new(value, error);
    let of = |p95: Estimate, throughput: Estimate| {
        Measurement::new()
            .with_estimate("e2e_p95_s", p95)
            .with_estimate("output_throughput_tok_per_s", throughput)
    };
    let judge = |before, after| {
        let (set, [before, after]) = pair(before, after);
        let comparison = Comparison::new((&set, &before), (&set, &after));
        assert_eq!(comparison.caveats, Vec::<String>::new());
        assert_eq!(comparison.verdict, comparison.metrics[0].judgement, "the objective's");
        let of = |row: &slotune_report::comparison::Row| (row.judgement, row.interval);
        comparison.metrics.iter().map(of).collect::<Vec<_>>()
    };
    let base = of(metric(2.0, 0.1), metric(1000.0, 0.0));
    let faster = judge(base.clone(), of(metric(1.0, 0.05), metric(1100.0, 0.0)));
    let (judgement, interval) = faster[0];
    assert_eq!(judgement, Judgement::Better);
    // sqrt((0.05 / 2)² + (0.5 x 0.1 / 2)²) = 0.035355
    let [low, high] = interval.unwrap();
    assert!((low - (-0.5 - 1.96 * 0.035_355)).abs() < 1e-5, "{low}");
    assert!((high - (-0.5 + 1.96 * 0.035_355)).abs() < 1e-5, "{high}");
    assert_eq!(faster[1], (Judgement::Unknown, None), "any two runs differ by something");
    let noise = judge(base.clone(), of(metric(1.9, 0.1), metric(900.0, 0.0)));
    assert_eq!(noise[0].0, Judgement::Same);
    assert_eq!(noise[1].0, Judgement::Unknown);
    let more = judge(
        of(metric(2.0, 0.1), metric(1000.0, 10.0)),
        of(metric(2.0, 0.1), metric(1100.0, 0.0)),
    );
    assert_eq!(
        more[1].0,
        Judgement::Better,
        "more throughput is better, and of one the error is known"
    );
    assert_eq!(more[0].0, Judgement::Same);
    let bound = |value| Estimate { is_lower_bound: true, ..metric(value, 0.1) };
    assert_eq!(judge(base.clone(), of(bound(9.0), metric(1000.0, 0.0)))[0].0, Judgement::Worse);
    assert_eq!(judge(base, of(bound(1.0), metric(1000.0, 0.0)))[0].0, Judgement::Unknown);
}

#[test]
fn without_any_error_a_difference_is_called_neither_better_nor_worse() {
    let of = |p95: f64, ttft: Estimate| {
        Measurement::new().with("e2e_p95_s", p95).with_estimate("ttft_p95_s", ttft)
    };
    let known = |value| Estimate::new(value, 0.01);
    let (set, [before, after]) = pair(of(2.0, known(1.0)), of(3.0, known(2.0)));
    let comparison = Comparison::new((&set, &before), (&set, &after));
    assert_eq!(comparison.verdict, Judgement::Unknown);
    let text = comparison.to_string();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).expect("a line");
    assert!(line("P95 E2E latency").ends_with(" unknown, no error is known"), "{text}");
    assert!(line("P95 TTFT").ends_with(" worse"), "{text}");
    assert!(text.ends_with("\nobjective: unknown, no error is known"), "{text}");

    let open = Estimate { is_lower_bound: true, ..known(1.0) };
    let (set, [before, after]) = pair(of(2.0, known(2.0)), of(2.0, open));
    let text = Comparison::new((&set, &before), (&set, &after)).to_string();
    assert!(text.contains(" unknown, a lower bound\n"), "{text}");
    assert!(text.ends_with("\nobjective: same"), "{text}");
}

#[test]
fn advice_on_values_without_errors_says_so() {
    let mut trials = Vec::new();
    for (label, p95) in [(Some("default"), 2.0), (None, 1.0)] {
        let outcome = Outcome::Completed(Measurement::new().with("e2e_p95_s", p95));
        let study = if label.is_some() { "reference" } else { "search" };
        let of = trial(study, 0, configuration(256, 0.9, true), outcome);
        trials.push(label.map_or_else(|| of.clone(), |label| labelled(label, of.clone())));
    }
    let studies = vec![
        study("reference", StudyRole::Reference, "given", 1),
        study("search", StudyRole::Search, "bayesian", 1),
    ];
    let mut set = set(studies, trials);
    set.manifest.objective.constraints.clear();
    let text = Advice::new(&Analysis::new(&set)).unwrap().to_string();
    assert!(text.contains("nothing is known of how uncertain the difference"), "{text}");
    let page = slotune_report::week3::page(&set).unwrap();
    assert!(page.contains("P95 E2E latency is 50% lower (uncertainty unknown)."), "{page}");
}

#[test]
fn sets_that_differ_in_more_than_the_configuration_say_so() {
    let before = main_job();
    let mut after = before.clone();
    after.manifest.backend.vllm_version = "0.33.0".to_owned();
    let trial = Which::Advised.of(&before).unwrap();
    let comparison = Comparison::new((&before, trial), (&after, trial));
    assert_eq!(comparison.caveats, ["vLLM's version differs: 0.25.1; 0.33.0"]);
    assert_eq!(comparison.verdict, Judgement::Same);
    assert!(comparison.to_string().contains("note: vLLM's version"), "{comparison}");
}

#[test]
fn references_say_which_targets_they_meet() {
    let set = main_job();
    let references = References::new(&set);
    let baseline = references.baseline.as_ref().unwrap();
    assert_eq!(baseline.targets.len(), set.manifest.objective.constraints.len());
    assert!(baseline.targets.iter().any(|target| !target.met), "{baseline:?}");
    let text = references.to_string();
    assert!(text.contains("vLLM's default: "), "{text}");
    assert!(text.contains("baseline misses output throughput ≥ 1,200 tok/s\n"), "{text}");
}

#[test]
fn bounds_are_rounded_for_people_and_whole_for_machines() {
    let mut set = main_job();
    set.manifest.objective.constraints =
        vec![Constraint::at_least("output_throughput_tok_per_s", 4_831.611_840_937_934)];
    let references = References::new(&set);
    let text = references.to_string();
    assert!(text.contains("baseline misses output throughput ≥ 4,832 tok/s\n"), "{text}");
    let json = serde_json::to_string(&references).unwrap();
    assert!(json.contains("output_throughput_tok_per_s >= 4831.611840937934"), "{json}");
    let page = slotune_report::week3::page(&set).unwrap();
    assert!(page.contains("≥ 4,832 tok/s") && !page.contains("4831.6"), "{page}");
}

/// A trial with an argument whose flag holds quotes and spaces, on a model that needs quoting.
fn awkward() -> (StoredTrial, ResultSet) {
    let mut set = main_job();
    "org/my \"model\"".clone_into(&mut set.manifest.backend.model);
    let mut trial = labelled(
        "default",
        trial("search", 3, configuration(256, 0.9, false), Outcome::Completed(Measurement::new())),
    );
    let server = trial.server.as_mut().expect("it ran");
    server.arguments.cudagraph_mode = Some(CudagraphMode::None);
    server.arguments.max_cudagraph_capture_size = None;
    server.arguments.tensor_parallel_size = Some(2);
    (trial, set)
}

#[test]
fn manifests_are_yaml_whose_arguments_are_those_of_the_command() {
    let (trial, set) = awkward();
    let backend = &set.manifest.backend;
    let flags = slotune_report::week3::as_run(&trial, backend).unwrap().flags();
    assert!(flags.contains(&"{\"cudagraph_mode\": \"NONE\"}".to_owned()), "{flags:?}");
    let expected: Vec<String> = std::iter::once(backend.model.clone()).chain(flags).collect();
    let documents = |format| -> Vec<serde_yaml_ng::Value> {
        let text = export(&trial, backend, format).unwrap().text;
        assert!(text.starts_with("# slotune: trial 3 of study search, simulated"), "{text}");
        serde_yaml_ng::Deserializer::from_str(&text)
            .map(serde_yaml_ng::Value::deserialize)
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let words = |value: &serde_yaml_ng::Value| -> Vec<String> {
        value.as_sequence().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let kubernetes = documents(Format::Kubernetes);
    let [claim, deployment, service] = kubernetes.as_slice() else { panic!("{kubernetes:?}") };
    let kinds = [claim, deployment, service].map(|document| document["kind"].as_str().unwrap());
    assert_eq!(kinds, ["PersistentVolumeClaim", "Deployment", "Service"]);
    let pod = &deployment["spec"]["template"];
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(words(&container["args"]), expected);
    assert_eq!(container["image"], "vllm/vllm-openai:v0.25.1");
    assert_eq!(container["resources"]["limits"]["nvidia.com/gpu"], 2);
    for place in 0..2 {
        let volume = &pod["spec"]["volumes"][place]["name"];
        assert_eq!(&container["volumeMounts"][place]["name"], volume);
    }
    let claimed = &pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"];
    assert_eq!(claimed, &claim["metadata"]["name"]);
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/root/.cache/huggingface");
    let token = &container["env"][0];
    assert_eq!(
        (&token["name"], &token["valueFrom"]["secretKeyRef"]["optional"]),
        (&"HF_TOKEN".into(), &true.into())
    );
    assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"]);

    let compose = documents(Format::Compose).remove(0);
    let service = &compose["services"]["vllm"];
    assert_eq!(service["environment"][0], "HF_TOKEN");
    let cache = service["volumes"][0].as_str().unwrap().split(':').next().unwrap();
    assert!(compose["volumes"].as_mapping().unwrap().contains_key(cache), "{compose:?}");
    assert_eq!(words(&service["command"]), expected);
    assert_eq!(service["deploy"]["resources"]["reservations"]["devices"][0]["count"], 2);
}

#[test]
fn an_environment_file_has_one_variable_a_line_that_a_shell_splits_right() {
    let (trial, set) = awkward();
    let backend = &set.manifest.backend;
    let text = export(&trial, backend, Format::Env).unwrap().text;
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let flags = lines[1].strip_prefix("VLLM_FLAGS=").unwrap();
    let as_run = slotune_report::week3::as_run(&trial, backend).unwrap().flags();
    let compact: Vec<String> = as_run.iter().map(|word| word.replace(": ", ":")).collect();
    assert_eq!(flags.split(' ').collect::<Vec<_>>(), compact);
    assert_eq!(lines.len(), 2);
}

#[test]
fn commands_and_programs_hold_every_value_of_the_configuration() {
    let (trial, set) = awkward();
    for (format, chunked) in
        [(Format::Vllm, "--no-enable-chunked-prefill"), (Format::Python, "chunked_prefill=False")]
    {
        let text = export(&trial, &set.manifest.backend, format).unwrap().text;
        assert!(text.contains(chunked) && text.contains("256"), "{text}");
        assert_eq!(format.name().parse(), Ok(format));
    }
    let mut trial = trial;
    trial.entry.trial.configuration =
        trial.entry.trial.configuration.with("no_such_argument", Value::from(1));
    assert!(export(&trial, &set.manifest.backend, Format::Env).is_err());
    let error = "helm".parse::<Format>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown format `helm`; known are: vllm, python, env, kubernetes, compose"
    );
}

/// What the formula makes nothing of is left out, and what is left does as well by the formula.
#[test]
fn advice_tells_when_fewer_changes_would_do() {
    let mut set = main_job();
    let found = set.study("bayesian").filter_map(|trial| {
        Some((trial.entry.measurement()?.value("e2e_p95_s")?, &trial.entry.trial.configuration))
    });
    let best = found.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1.clone();
    let idle = 3 - best.integer("stream_interval").unwrap();
    let default = configuration(256, 0.7, false).with("stream_interval", idle);
    set.trials.retain(|trial| trial.label.as_deref() != Some("default"));
    set.trials.push(labelled("default", reference_of(1, default.clone())));

    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    assert_eq!(advice.configuration.as_ref(), Some(&best));
    let fewer = advice.fewer_changes.as_ref().expect("one change does nothing");
    assert_eq!(fewer.changes.get("stream_interval"), None, "{fewer:?}");
    let changed = fewer.changes.iter().fold(default, |all, (name, value)| {
        assert_eq!(best.get(name), Some(value), "{fewer:?}");
        all.with(name, value.clone())
    });
    let value = |configuration: &Configuration| match outcome(configuration) {
        Outcome::Completed(measurement) => measurement.value("e2e_p95_s").unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(value(&changed) < 1.03 * value(&best), "{changed}");
    assert!((fewer.objective / value(&changed) - 1.0).abs() < 0.03, "{fewer:?}");
    let text = advice.to_string();
    assert!(
        text.contains(&format!("fewer changes may do: with {} alone", fewer.changes)),
        "{text}"
    );
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(json["fewer_changes"]["objective"], fewer.objective);
}
