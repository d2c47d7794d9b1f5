//! The best of a search repeated beside the default.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::Duration,
};

use slotune::results::{ResultSet, StoredTrial, StudyRole};

use super::{command, ok, slotune, stderr, stdout, write_study};

fn set(folder: &Path) -> ResultSet {
    let loaded = ResultSet::read(folder.join("study-results")).expect("a set");
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded.set
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A study with noise, so that repeats differ, and with a sustained load that is not long.
fn write_noisy_study(folder: &Path, more: &str) {
    let path = write_study(folder, 6, 40);
    let text = fs::read_to_string(&path).expect("just written");
    let text = text.replace("noise = \"none\"", "noise = \"measured\"");
    fs::write(path, text + more).expect("writable");
}

/// As few as may be.
const REPEATS: &str = "\n[finals]\nrepeats = 3\n";

#[test]
fn from_a_search_to_a_verdict_with_an_interval_and_service_levels() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_noisy_study(here, REPEATS);
    let early = slotune(here, &["finals", "study.toml"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(stderr(&early).contains("`slotune tune` writes one"), "{}", stderr(&early));
    assert!(!here.join("study-results").exists(), "nothing was begun");
    ok(here, &["tune", "study.toml"]);
    let searched = set(here);

    let output = slotune(here, &["finals", "study.toml", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let answer = json(&stdout(&output));
    let finals = answer["finals"]["finals"].as_array().unwrap();
    let studies: Vec<&str> = finals.iter().map(|one| one["study"].as_str().unwrap()).collect();
    // The study replays a trace itself.
    assert_eq!(studies, ["finals", "finals_sustained"]);
    let contenders = finals[0]["contenders"].as_array().unwrap();
    assert_eq!(contenders.len(), 3);
    for contender in &contenders[1..] {
        let against = &contender["against_default"];
        assert_eq!(against["rounds"], 3);
        let [low, effect, high] =
            [&against["interval"][0], &against["effect"], &against["interval"][1]]
                .map(|number| number.as_f64().unwrap());
        assert!(low <= effect && effect <= high, "{against}");
        assert!(["better", "same", "worse"].contains(&contender["judgement"].as_str().unwrap()));
        assert!(contender["service"]["goodput_per_s"]["value"].as_f64().unwrap() > 0.0);
        assert_eq!(contender["service"]["requests"], 120);
        assert_eq!(contender["service"]["latencies"].as_array().unwrap().len(), 8);
    }
    // MLPerf's limits, since the file names none.
    assert_eq!(answer["finals"]["slo"]["ttft_s"], 2.0);
    assert_eq!(answer["complete"], true);
    assert_eq!(json(&ok(here, &["recommend", "study-results", "--json"])), answer);

    let set = set(here);
    assert_eq!(set.first_runs().cloned().collect::<Vec<_>>(), searched.trials);
    for name in ["finals", "finals_sustained"] {
        let trials: Vec<&StoredTrial> = set.study(name).collect();
        let labels: Vec<&str> = trials.iter().map(|t| t.label.as_deref().unwrap()).collect();
        assert_eq!([labels[0], labels[5], labels[6]], ["default"; 3], "{labels:?}");
        assert_eq!([labels[1], labels[2]], [labels[4], labels[3]], "{labels:?}");
        // A round shares its seed and its requests; rounds differ in both.
        let mut rounds: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for trial in &trials {
            let sent = requests(here, trial);
            rounds.entry(trial.entry.trial.seed).or_default().insert(sent);
        }
        assert_eq!(rounds.len(), 3);
        assert!(rounds.values().all(|sent| sent.len() == 1), "the same to all");
        let all: BTreeSet<&String> = rounds.values().flatten().collect();
        assert_eq!(all.len(), 3, "fresh each round");
        assert!(!all.contains(&requests(here, searched.study("search").next().unwrap())));
    }
    let again = slotune(here, &["finals", "study.toml", "--json"]);
    assert_eq!(stdout(&again), stdout(&output));
    assert_eq!(self::set(here), set, "nothing is measured twice");

    let text = ok(here, &["finals", "study.toml"]);
    for part in [
        "against the default (95% interval)",
        "P99",
        "within TTFT ≤ 2 s, TPOT ≤ 0.1 s",
        "vllm serve",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    ok(here, &["report", "study-results"]);
    let page = fs::read_to_string(here.join("study-results/week3.md")).unwrap();
    for part in [
        "### 7. Finals",
        "#### Under a sustained load",
        "| TTFT | 120 |",
        "- [x] Study `finals`, sampler given",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

/// Lengths and times of the requests of a trial, as text.
fn requests(folder: &Path, trial: &StoredTrial) -> String {
    let loaded = ResultSet::read(folder.join("study-results")).expect("a set");
    let records = loaded.requests(&trial.study, trial.entry.trial.id).expect("sound");
    let of = |record: slotune::serving::RequestRecord| {
        format!("{}:{}:{} ", record.intended_s, record.prompt_tokens, record.output_tokens)
    };
    records.expect("kept").into_iter().map(of).collect()
}

#[test]
fn a_study_of_drawn_requests_is_validated_under_a_trace_too() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_noisy_study(
        here,
        "\n[finals]\nfinalists = 1\nrepeats = 3\nslo = { e2e_s = 30 }\n\
         sustained = { concurrency = 8, prompt_tokens = 64, output_tokens = 32, requests = 50 }\n",
    );
    let path = here.join("study.toml");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("[workload.trace]").unwrap();
    let end = text.find("# ... or requests drawn").unwrap();
    let own = "[workload.synthetic]\nrate_per_s = 6\nprompt_tokens = 200\noutput_tokens = 100\nrequests = 30\n";
    fs::write(&path, text[..start].to_owned() + own + &text[end..]).unwrap();
    ok(here, &["tune", "study.toml"]);
    let answer = json(&ok(here, &["finals", "study.toml", "--json"]));
    let finals = answer["finals"]["finals"].as_array().unwrap();
    let workloads: Vec<&str> = finals.iter().map(|one| one["workload"].as_str().unwrap()).collect();
    assert_eq!(workloads.len(), 3, "{workloads:?}");
    assert!(workloads[1].starts_with("replay of azure_llm_2023_conv from 0 s, 30 requests"));
    assert!(workloads[2].starts_with("50 requests, 8 in flight"), "{workloads:?}");
    assert_eq!(answer["finals"]["slo"]["e2e_s"], 30.0);

    // Other finals need another set; more rounds do not.
    let with = |old: &str, new: &str| {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(&path, text.replace(old, new)).unwrap();
    };
    with("concurrency = 8", "concurrency = 9");
    let refused = slotune(here, &["finals", "study.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("`finals.workloads.finals_sustained`"),
        "{}",
        stderr(&refused)
    );
    with("concurrency = 9", "concurrency = 8");
    with("repeats = 3", "repeats = 4");
    ok(here, &["finals", "study.toml"]);
    assert_eq!(set(here).study("finals_trace").count(), 8);
}

#[test]
fn killed_finals_go_on_with_the_trials_of_uninterrupted_ones() {
    let whole = tempfile::tempdir().unwrap();
    write_noisy_study(whole.path(), REPEATS);
    ok(whole.path(), &["tune", "study.toml"]);
    let killed = tempfile::tempdir().unwrap();
    write_noisy_study(killed.path(), REPEATS);
    ok(killed.path(), &["tune", "study.toml"]);
    ok(whole.path(), &["finals", "study.toml"]);
    let expected = set(whole.path()).trials;

    let mut kept = 0;
    for delay_ms in [40, 90, 200, 350, 500] {
        let mut child = command(killed.path(), &["finals", "study.toml", "--json"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        thread::sleep(Duration::from_millis(delay_ms));
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        let now = set(killed.path()).trials;
        assert!(now.len() >= kept, "no finished trial is lost");
        assert!(now.iter().all(|trial| expected.contains(trial)));
        kept = now.len();
    }
    ok(killed.path(), &["finals", "study.toml"]);
    assert_eq!(set(killed.path()).trials, expected);
}

#[test]
fn where_nothing_meets_the_targets_there_are_no_finals() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_noisy_study(here, "");
    let path = here.join("study.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("at_least = 10", "at_least = 1e9")).unwrap();
    assert_eq!(slotune(here, &["tune", "study.toml"]).status.code(), Some(3));
    let output = slotune(here, &["finals", "study.toml"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("there is nothing to repeat"), "{}", stderr(&output));
    let studies = set(here).manifest.studies;
    assert!(studies.iter().all(|study| study.role != StudyRole::Finals));
}
