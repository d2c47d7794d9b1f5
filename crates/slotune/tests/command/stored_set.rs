//! What is answered from a stored result set.

use std::path::{Path, PathBuf};

use super::{ok, slotune, stderr};

fn stored_set() -> String {
    let set = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results/tests/fixtures/v1");
    set.to_str().expect("text").to_owned()
}

#[test]
fn recommend_prints_one_json_object_and_says_what_it_rests_on() {
    let output = slotune(Path::new("."), &["recommend", &stored_set(), "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(answer["verdict"].is_string(), "{answer}");
    assert!(answer["simulated"].is_boolean(), "{answer}");
    let has_configuration = answer["configuration"].is_object();
    assert_eq!(answer["vllm_serve"].is_string(), has_configuration, "{answer}");
    assert_eq!(output.status.code(), Some(if has_configuration { 0 } else { 3 }));
}

#[test]
fn report_writes_the_page_and_names_it() {
    let out = tempfile::tempdir().unwrap();
    let printed = ok(out.path(), &["report", &stored_set(), "--out", "page"]);
    assert_eq!(printed.lines().count(), 10, "the page twice, and four pictures twice: {printed}");
    assert!(printed.lines().all(|path| out.path().join(path).is_file()), "{printed}");

    let json = ok(out.path(), &["report", &stored_set(), "--out", "page", "--json"]);
    let written: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(written["page"], "page/week3.md");
    assert_eq!(written["html"], "page/week3.html");
    assert_eq!(written["pictures"].as_array().map(Vec::len), Some(8), "{written}");
}

#[test]
fn a_folder_that_is_no_result_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for arguments in [
        vec!["report", path],
        vec!["recommend", path],
        vec!["export", path],
        vec!["compare", path, path],
    ] {
        let output = slotune(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(message.contains("manifest.json"), "{message}");
        assert!(message.contains(path), "{message}");
    }
}

fn measured_on_an_h100() -> String {
    let folder = "../../datasets/h100_qwen2.5_7b_chat";
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).to_str().expect("text").to_owned()
}

#[test]
fn analyse_answers_for_other_targets() {
    let (here, set) = (Path::new("."), measured_on_an_h100());
    let ask = |more: &[&str]| -> serde_json::Value {
        let arguments = [&["analyse", &set, "--json"], more].concat();
        serde_json::from_str(&ok(here, &arguments)).expect("JSON")
    };
    let own = ask(&[]);
    assert_eq!(own["best"]["configuration"]["max_num_seqs"], 162);
    assert_eq!(own["sets"][0]["vllm_version"], "0.25.1");
    let unknown = own["effects"]["importance"]["unknown"].as_str().expect("too few to tell");
    assert!(
        unknown.contains(
            "different configurations that set every parameter of the space were measured"
        ),
        "{unknown}"
    );
    let throughput = "output_throughput_tok_per_s";
    let more = ask(&["--at-least", &format!("{throughput}=5000")]);
    assert_eq!(more["best"]["configuration"]["max_num_seqs"], 293);
    let most = ask(&["--maximise", throughput]);
    assert_eq!(most["best"]["study"], "reference");

    let none = slotune(here, &["analyse", &set, "--at-most", "e2e_p95_s=1"]);
    assert_eq!(none.status.code(), Some(3));
    let wrong = slotune(here, &["analyse", &set, "--at-most", "e2e_p95_s<1"]);
    assert_eq!(wrong.status.code(), Some(2));
    for (option, milliseconds) in [("--at-most", "tpot_p95_s=60"), ("--slo", "tpot_s=60")] {
        let wrong = slotune(here, &["analyse", &set, option, milliseconds]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(stderr(&wrong).contains("60 ms are 0.06"), "{}", stderr(&wrong));
    }
    let unknown = slotune(here, &["analyse", &set, "--minimise", "ttft_p9_s"]);
    assert!(stderr(&unknown).contains("did you mean `ttft_p95_s`?"), "{}", stderr(&unknown));
}

#[test]
fn analyse_counts_goodput_for_limits_that_came_later() {
    let (here, set) = (Path::new("."), measured_on_an_h100());
    let ask = |limits: &[&str]| -> serde_json::Value {
        let limits = limits.iter().flat_map(|limit| ["--slo", limit]);
        let arguments: Vec<&str> = ["analyse", &set, "--maximise", "goodput_per_s", "--json"]
            .into_iter()
            .chain(limits)
            .collect();
        serde_json::from_slice(&slotune(here, &arguments).stdout).expect("JSON")
    };
    assert_eq!(ask(&[])["trials"], 0, "the study had no limits");
    let hint = ask(&[])["caveats"][0].to_string();
    assert!(hint.contains("no trial has the metric `goodput_per_s`; say what a good request is"));
    let good = |limits: &[&str]| ask(limits)["best"]["value"]["value"].as_f64().expect("known");
    let (loose, tight) = (good(&["e2e_s=1e9"]), good(&["e2e_s=10", "ttft_s=0.5"]));
    assert!(tight < loose, "{tight} of {loose}");
    let all = ask(&["e2e_s=1e9"]);
    // Every request is good, so it is the request throughput.
    let throughput: serde_json::Value = serde_json::from_str(&ok(
        here,
        &["analyse", &set, "--maximise", "request_throughput_per_s", "--json"],
    ))
    .expect("JSON");
    assert_eq!(all["best"]["value"]["value"], throughput["best"]["value"]["value"]);
    let wrong = slotune(here, &["analyse", &set, "--slo", "e2e=2"]);
    assert_eq!(wrong.status.code(), Some(2));
    let negative = slotune(here, &["analyse", &set, "--slo", "e2e_s=-2"]);
    assert!(stderr(&negative).contains("must be a finite number above 0"), "{}", stderr(&negative));
}

#[test]
fn replay_runs_samplers_on_what_was_measured() {
    let (here, set) = (Path::new("."), measured_on_an_h100());
    for sampler in ["bayesian", "sobol", "random"] {
        let text = ok(here, &["replay", &set, "--sampler", sampler, "--seeds", "2", "--json"]);
        let replay: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(replay["sampler"], sampler);
        assert_eq!(replay["runs"].as_array().map(Vec::len), Some(2));
    }
    let text = ok(here, &["replay", &set]);
    assert!(text.contains("5 of 5 seeds came within 1 % of it"), "{text}");

    let searched = set.replace("h100_qwen2.5_7b_chat", "week3_suite_simulated");
    let text = ok(here, &["replay", &searched, "--sampler", "random", "--trials", "5"]);
    assert!(text.contains("configurations were placed by a search, near its best"), "{text}");
    let text = ok(here, &["replay", &format!("{set}:search"), "--json"]);
    let replay: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(replay["configurations"], 5, "those of the search alone");
    let unknown = slotune(here, &["replay", &format!("{set}:grid")]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("it has: reference, search"), "{}", stderr(&unknown));
    let single = slotune(here, &["replay", &format!("{set}:search/2")]);
    assert!(stderr(&single).contains("search/2 names a single trial"), "{}", stderr(&single));
}
