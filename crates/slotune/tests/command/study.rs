//! From an empty folder to a configuration, on the simulator.

use std::{fs, path::Path};

use slotune::{results::ResultSet, study_file::EXAMPLE};

use super::{ok, slotune, stderr, stdout, write_study};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn init_writes_the_example_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    let said = ok(folder.path(), &["init"]);
    assert!(said.contains("slotune tune study.toml"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), EXAMPLE);
    fs::write(&path, "mine").unwrap();
    let output = slotune(folder.path(), &["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("study.toml exists"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    ok(folder.path(), &["init", "other.toml"]);
}

/// Sixteen trials of a study, of which some are pruned: told, stored, read back, reported.
#[test]
fn a_study_that_prunes_tells_stores_and_reports_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 16, 300);
    // Few sequences at a time are bad enough.
    let text =
        fs::read_to_string(&path).unwrap().replace("range = [32, 4096]", "range = [1, 4096]");
    let pruning = |requests| format!("{text}\n[pruning]\nrequests = {requests}\n");

    fs::write(&path, pruning(300)).unwrap();
    let refused = slotune(here, &["tune", "study.toml"]);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("`pruning.requests`: is 300, but the workload has 300"), "{said}");

    fs::write(&path, pruning(60)).unwrap();
    let output = slotune(here, &["tune", "study.toml", "--json"]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    let pruned = set.study("search").filter(|trial| trial.entry.is_pruned()).count();
    assert!(pruned > 0, "{said}");
    assert_eq!(said.matches("  pruned: at least opening_e2e_p95_s ").count(), pruned, "{said}");
    assert_eq!(json(&ok(here, &["recommend", "study-results", "--json"])), json(&stdout(&output)));
    ok(here, &["report", "study-results", "--out", "page"]);
    let page = fs::read_to_string(here.join("page/week3.md")).unwrap();
    assert!(page.contains(&format!("16 of 16 trials, {pruned} pruned")), "{page}");
    ok(here, &["analyse", "study-results"]);
}

#[test]
fn from_a_study_file_to_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, 4, 80);

    let text = ok(here, &["baseline", "study.toml"]);
    assert!(text.contains("vLLM's default: enable_chunked_prefill=true"), "{text}");
    let references = json(&ok(here, &["baseline", "study.toml", "--json"]));
    assert_eq!(references["baseline"]["configuration"]["max_num_seqs"], 64);
    assert_eq!(references["default"]["configuration"]["max_num_seqs"], 1024);
    assert_eq!(references["default"]["targets"][1]["bound"], "queue_share <= 0.5");

    let output = slotune(here, &["tune", "study.toml", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let advice = json(&stdout(&output));
    assert_eq!(advice["complete"], true);
    assert_eq!(advice["simulated"], true);
    let lines: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 6, "four trials, as the references were there: {lines:?}");
    assert_eq!(lines[0], "study search: up to 4 trials");
    let lines = &lines[1..];
    assert!(lines[0].starts_with("trial   0  e2e_p95_s "), "{lines:?}");
    assert!(lines[0].contains("max_num_seqs=1024"), "the search is told of the default: {lines:?}");
    assert_eq!(json(&ok(here, &["recommend", "study-results", "--json"])), advice);

    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    assert_eq!(set.manifest.command, "slotune tune study.toml", "which makes all of it");
    assert_eq!(set.study("reference").count(), 2);
    assert_eq!(set.study("search").count(), 4);

    let comparison =
        json(&ok(here, &["compare", "study-results:baseline", "study-results:search/3", "--json"]));
    assert_eq!(comparison["before"]["label"], "baseline");
    assert_eq!(comparison["after"]["trial"], 3);
    assert!(comparison["metrics"].as_array().unwrap().len() > 20, "{comparison}");
    let missing = slotune(here, &["compare", "study-results:search/9", "study-results"]);
    assert!(stderr(&missing).contains("search/0 to search/3"), "{}", stderr(&missing));

    let command = advice["vllm_serve"].as_str().unwrap();
    let exported = ok(here, &["export", "study-results"]);
    let joined = exported.lines().skip(1).collect::<Vec<_>>().join("\n").replace(" \\\n   ", "");
    assert_eq!(joined, command);
    for format in ["python", "env", "kubernetes", "compose"] {
        let text = ok(here, &["export", "study-results:search/2", "--format", format]);
        assert!(text.starts_with("# slotune: trial 2 of study search, simulated"), "{text}");
        let json = ok(here, &["export", "study-results:search/2", "--format", format, "--json"]);
        let exported: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(exported["text"], text);
        assert_eq!((&exported["format"], &exported["trial"]), (&format.into(), &2.into()));
    }
}

#[test]
fn a_larger_budget_adds_trials_and_a_changed_study_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 2, 40);
    let first = ok(here, &["tune", "study.toml"]);
    write_study(here, 4, 40);
    let more = ok(here, &["tune", "study.toml"]);
    let trials = |text: &str| text.lines().filter(|line| line.starts_with("trial ")).count();
    assert_eq!((trials(&first), trials(&more)), (4, 2), "the references are there: {more}");

    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("range = [32, 4096]", "range = [32, 2048]")).unwrap();
    let output = slotune(here, &["tune", "study.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains("`space.parameters[0]"), "{message}");
    assert!(message.contains("choose another folder"), "{message}");
    ok(here, &["tune", "study.toml", "--out", "other"]);
}

#[test]
fn a_reference_that_was_removed_is_measured_again_under_its_number() {
    let folder = tempfile::tempdir().unwrap();
    write_study(folder.path(), 1, 40);
    let read = || ResultSet::read(folder.path().join("study-results")).unwrap().set;
    ok(folder.path(), &["baseline", "study.toml"]);
    let whole = read();
    for part in ["trials", "requests"] {
        let part = format!("study-results/{part}/reference-00000.parquet");
        fs::remove_file(folder.path().join(part)).unwrap();
    }
    assert_eq!(read().trials.len(), 1);
    ok(folder.path(), &["baseline", "study.toml"]);
    assert_eq!(read(), whole);
}

#[test]
fn a_load_that_cannot_be_had_names_its_field_and_nothing_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_study(folder.path(), 1, 40);
    let text = fs::read_to_string(&path).unwrap();
    let built_in = "source = \"azure_llm_2023_conv\"";
    assert!(text.contains(built_in));
    fs::write(&path, text.replace(built_in, "source = \"mine.csv\"")).unwrap();
    for (content, expected) in [
        (None, "mine.csv cannot be read: No such file or directory (os error 2); check the path"),
        (Some(""), "known are: Azure (TIMESTAMP, ContextTokens, GeneratedTokens)"),
        (
            Some("arrival_ms,input_tokens,output_tokens\n0,1,2\n"),
            "no arrival times among its columns `arrival_ms,input_tokens,output_tokens`",
        ),
        (Some("arrival_s,input_tokens,output_tokens\n"), "mine.csv: no requests, only a header"),
        (Some("arrival_s,input_tokens,output_tokens\n0,many,2\n"), "mine.csv, line 2"),
    ] {
        if let Some(content) = content {
            fs::write(folder.path().join("mine.csv"), content).unwrap();
        }
        let output = slotune(folder.path(), &["tune", "study.toml"]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with("error: study.toml:"), "{message}");
        assert!(message.contains(":10: `workload.trace.source`"), "{message}");
        assert!(message.contains(" | source = \"mine.csv\""), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!folder.path().join("study-results").exists());
    }
}

#[test]
fn time_ends_a_search_between_trials() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 50, 40);
    let text = fs::read_to_string(&path).unwrap();
    let with = |limit: &str| {
        fs::write(&path, text.replace("trials = 50", &format!("trials = 50\n{limit}"))).unwrap();
    };
    // A start takes the simulated server about a minute.
    with("server_time_s = 100");
    let said = stderr(&slotune(here, &["tune", "study.toml"]));
    let spent = "stopped: the 100 s of `budget.server_time_s` are spent; with more, it goes on";
    assert!(said.lines().any(|line| line == spent), "{said}");
    let count = || ResultSet::read(here.join("study-results")).unwrap().set.study("search").count();
    let first = count();
    assert!((1..=4).contains(&first), "{first}");
    ok(here, &["tune", "study.toml"]);
    assert_eq!(count(), first, "trials of an earlier run count");
    with("wall_time_s = 0.0001");
    let said = stderr(&slotune(here, &["tune", "study.toml"]));
    let spent = "stopped: the 0.0001 s of `budget.wall_time_s` are spent; the same command goes on";
    assert!(said.lines().any(|line| line == spent), "{said}");
    assert_eq!(count(), first, "no trial begins after the time is spent");
}

#[test]
fn a_mistake_in_the_study_file_is_located_and_nothing_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 4, 40);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[budget]", "[budgets]")).unwrap();
    for command in ["tune", "baseline"] {
        let output = slotune(here, &[command, "study.toml"]);
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(message.starts_with("error: study.toml:"), "{message}");
        assert!(message.contains("did you mean `budget`?"), "{message}");
    }
    assert!(!here.join("study-results").exists());
    let output = slotune(here, &["tune", "absent.toml"]);
    assert!(stderr(&output).contains("slotune init"), "{}", stderr(&output));
}

#[test]
fn targets_that_nothing_meets_have_a_status_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let here: &Path = folder.path();
    let path = write_study(here, 2, 40);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("at_least = 10", "at_least = 1e9")).unwrap();
    let output = slotune(here, &["tune", "study.toml"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stdout(&output).contains("no configuration meets the targets"), "{}", stdout(&output));
    for arguments in
        [&["export", "study-results"][..], &["compare", "study-results", "study-results"]]
    {
        assert_eq!(slotune(here, arguments).status.code(), Some(3), "{arguments:?}");
    }
    ok(here, &["export", "study-results:search/0"]);
}

/// A trace of one's own, too short for other windows, whose longest prompts the server refuses.
#[test]
fn a_short_trace_of_ones_own_is_drawn_anew_and_what_is_refused_is_told_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("my");
    fs::create_dir(&here).unwrap();
    let rows: Vec<String> = (0..60)
        .map(|i| format!("{},{},{}", 0.05 * f64::from(i), 200 + 37 * (i % 13), 20 + 11 * (i % 7)))
        .chain(["3.1,5000,20".to_owned()])
        .collect();
    let header = "arrival_s,input_tokens,output_tokens\n";
    fs::write(here.join("mine.csv"), format!("{header}{}\n", rows.join("\n"))).unwrap();
    let path = write_study(&here, 3, 40);
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replace("source = \"azure_llm_2023_conv\"", "source = \"mine.csv\"")
        .replace("rate_per_s = 24.0\n", "")
        .replace("requests = 40\n", "")
        .replace("max_model_len = 16384", "max_model_len = 4096")
        + "\n[finals]\nfinalists = 1\nrepeats = 3\nworkloads = [\"study\"]\n";
    fs::write(&path, text).unwrap();

    let said = ok(&here, &["tune", "study.toml"]);
    assert!(said.lines().filter(|line| line.contains(", 98.4% completed")).count() >= 3, "{said}");
    // From the folder above, it is the same study.
    let said = ok(folder.path(), &["finals", "my/study.toml"]);
    assert!(!said.contains("± 0 s"), "{said}");
    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    let caveats = |trial: &slotune::results::StoredTrial| {
        trial
            .caveats
            .iter()
            .any(|caveat| caveat.message.starts_with("the server refused 1 of 61 requests"))
    };
    assert!(set.trials.iter().all(caveats));
    let latencies: Vec<u64> = set
        .study("finals")
        .filter(|trial| trial.label.as_deref() == Some("default"))
        .map(|trial| trial.entry.measurement().unwrap().value("e2e_p95_s").unwrap().to_bits())
        .collect();
    assert_eq!(latencies.len(), 3);
    assert!(latencies[0] != latencies[1] && latencies[1] != latencies[2], "other requests each");
}
