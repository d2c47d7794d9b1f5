//! Mistakes in a study file, and what is said of each.

use super::*;

#[test]
fn a_mistake_is_shown_with_its_place_and_the_remedy() {
    let error = error_of(&example_with("range = [32, 4096]", "range = [4096, 32]"));
    assert_eq!(
        error.to_string(),
        "study.toml:11:9: `space.max_num_seqs.range`: lower bound 4096 is above upper bound 32; swap \
         them\n  11 | range = [4096, 32]\n     |         ^^^^^^^^^^"
    );
}

/// Each row: a part of the example, what it is replaced with, the field, the line's start, and a
/// part of the message.
#[test]
fn each_mistake_names_line_field_and_remedy() {
    let table = [
        ("trials = 30", "trails = 30", "budget.trails", "trails", "did you mean `trials`?"),
        ("[budget]", "[budgets]", "budgets", "[budgets]", "did you mean `budget`?"),
        ("log = true #", "lug = true #", "space.max_num_seqs.lug", "lug", "did you mean `log`?"),
        (
            "[space.max_num_seqs]",
            "[space.max_num_seq]",
            "space.max_num_seq",
            "[space.max_num_seq]",
            "did you mean `max_num_seqs`?",
        ),
        (
            "minimise = \"e2e_p95_s\"",
            "minimise = \"e2e_p95\"",
            "objective.minimise",
            "minimise",
            "did you mean `e2e_p95_s`?",
        ),
        (
            "minimise = \"e2e_p95_s\"",
            "minimize = \"e2e_p95_s\"",
            "objective.minimize",
            "minimize",
            "did you mean `minimise`?",
        ),
        (
            "minimise = \"e2e_p95_s\"",
            "minimise = \"e2e_p95_s\"\nmaximise = \"goodput_per_s\"",
            "objective.maximise",
            "maximise",
            "stands beside `minimise`; give one of the two, and the other as `against`",
        ),
        (
            "minimise = \"e2e_p95_s\"",
            "against = { maximise = \"e2e_p95_s\" }",
            "objective",
            "[objective]",
            "names no metric; give `minimise` or `maximise`",
        ),
        (
            "minimise = \"e2e_p95_s\"",
            "minimise = \"e2e_p95_s\"\nagainst = { maximise = \"output_throughput\" }",
            "objective.against.maximise",
            "against",
            "did you mean `output_throughput_tok_per_s`?",
        ),
        (
            "minimise = \"e2e_p95_s\"",
            "minimise = \"e2e_p95_s\"\nagainst = { maximise = \"goodput_per_s\" }",
            "objective.against.maximise",
            "against",
            "needs the limits of a good request",
        ),
        (
            "queue_share = {",
            "que_share = {",
            "constraints.que_share",
            "que_share",
            "did you mean `queue_share`?",
        ),
        (
            "queue_share = { at_most",
            "queue_share = { at_mots",
            "constraints.queue_share.at_mots",
            "queue_share",
            "did you mean `at_most`?",
        ),
        (
            "queue_share = {",
            "goodput_per_s = {",
            "constraints.goodput_per_s",
            "goodput_per_s",
            "give `[slo]`",
        ),
        (
            "queue_share = { at_most = 0.5 }",
            "tpot_p95_s = { at_most = 60 }",
            "constraints.tpot_p95_s",
            "tpot_p95_s",
            "is in seconds, and nobody waits 60 s for it; 60 ms are 0.06",
        ),
        (
            "queue_share = { at_most = 0.5 }",
            "queue_share = { at_most = 50 }",
            "constraints.queue_share",
            "queue_share",
            "is a share, from 0 to 1, and not 50; 50 % are 0.5",
        ),
        (
            "queue_share = { at_most = 0.5 }",
            "ttft_p95_s = { at_most = 2000 }",
            "constraints.ttft_p95_s",
            "ttft_p95_s",
            "2000 ms are 2",
        ),
        (
            "trials = 30",
            "trials = 30\n[slo]\ntpot_s = 50",
            "slo.tpot_s",
            "tpot_s",
            "50 ms are 0.05",
        ),
        (
            "requests = 1000",
            "requests = \"many\"",
            "workload.trace.requests",
            "requests",
            "a whole number",
        ),
        ("trials = 30", "trials = 0", "budget.trials", "trials", "give 1 or more"),
        ("gpu = \"h100-sxm\"", "gpu = \"h1000\"", "backend.simulator.gpu", "gpu", "h100-sxm"),
        ("noise = \"none\"", "noise = \"nine\"", "backend.simulator.noise", "noise", "`none`?"),
        (
            "enable_prefix_caching = false",
            "enable_prefix_caching = 1",
            "fixed.enable_prefix_caching",
            "enable_prefix_caching",
            "must be true or false",
        ),
        (
            "max_model_len = 16384",
            "max_num_seqs = 16384",
            "fixed.max_num_seqs",
            "max_num_seqs",
            "is searched as well",
        ),
        (
            "max_num_seqs = 64",
            "block_size = 64",
            "baseline.block_size",
            "block_size",
            "move it to `fixed`",
        ),
        (
            "levels = [false, true]",
            "levels = [false, true]\nrange = [1, 2]",
            "space.enable_chunked_prefill.levels",
            "levels",
            "one of the two",
        ),
        (
            "levels = [false, true]",
            "log = true",
            "space.enable_chunked_prefill",
            "[space.enable_chunked_prefill]",
            "`levels = [...]`",
        ),
        (
            "levels = [false, true]",
            "levels = [false, true]\nonly_if = { block_size = 16 }",
            "space.enable_chunked_prefill.only_if",
            "only_if",
            "not a parameter declared before it",
        ),
        (
            "range = [32, 4096]",
            "range = [16, 512, 32]",
            "space.max_num_seqs.range",
            "range",
            "has 3 values, but takes two",
        ),
        ("range = [32, 4096]", "range = [0, 4096]", "space.max_num_seqs.range", "range", "must be"),
        (
            "range = [32, 4096]",
            "range = [\"a\", 4096]",
            "space.max_num_seqs.range",
            "range",
            "two numbers",
        ),
        ("seed = 0", "seed = -1", "seed", "seed", "-1"),
        ("trials = 30", "trials = \"30\"", "budget.trials", "trials", "expected a whole number"),
        (
            "trials = 30",
            "trials = 30\nwall_time_s = -1",
            "budget.wall_time_s",
            "wall_time_s",
            "above 0",
        ),
    ];
    let finals = |fields: &str| format!("trials = 30\n[finals]\n{fields}");
    let table =
        table.map(|(old, new, field, line, message)| (old, new.to_owned(), field, line, message));
    let of_finals = [
        ("finalists = 0", "finalists", "finalists", "`workloads = []`"),
        ("repeats = 2", "repeats", "repeats", "give 3 or more"),
        ("workloads = [\"trace\"]", "workloads", "workloads", "lacks `\"study\"`"),
        ("workloads = [\"studdy\"]", "workloads", "workloads", "did you mean `study`?"),
        ("workloads = [\"study\"]\ntrace = {}", "trace", "trace", "add `\"trace\"` there"),
        ("trace = { rate_per_s = -1 }", "trace.rate_per_s", "trace", "above 0"),
        (
            "sustained = { concurrency = 0, prompt_tokens = 9, output_tokens = 9, requests = 9 }",
            "sustained.concurrency",
            "sustained",
            "1 or more",
        ),
        ("slo = { ttft_s = 0 }", "slo.ttft_s", "slo", "above 0"),
        ("slo = { ttft_s = 2000 }", "slo.ttft_s", "slo", "2000 ms are 2"),
        ("slo = { ttft = 1 }", "slo.ttft", "slo", "did you mean `ttft_s`?"),
    ]
    .map(|(fields, field, line, message)| {
        ("trials = 30", finals(fields), format!("finals.{field}"), line, message)
    });
    let table = table
        .into_iter()
        .map(|(old, new, field, line, message)| (old, new, field.to_owned(), line, message))
        .chain(of_finals);
    for (old, new, field, line, message) in table {
        let error = error_of(&example_with(old, &new));
        assert_eq!(error.path.join("."), field, "{error}");
        assert!(error.text.starts_with(line), "{error}");
        assert!(error.problem.contains(message), "{error}");
        assert!(error.text.chars().count() >= error.column, "{error}");
    }
}

/// Names that nobody knows, values of another type, and what only the whole tells: all at once, in the order
/// of the text, and nothing that only follows from another mistake.
#[test]
fn all_mistakes_are_told_at_once() {
    let mut text = EXAMPLE.to_owned();
    for (old, new) in [
        ("seed = 0", "sed = 0"),
        ("range = [32, 4096]", "range = [4096, 32]"),
        ("levels = [false, true]", "levels = [false, true]\nlog = true"),
        ("max_model_len = 16384", "max_model_lent = 16384"),
        ("minimise = \"e2e_p95_s\"", "minimize = \"e2e_p95_s\""),
        ("queue_share = {", "que_share = {"),
        ("requests = 1000", "requests = \"many\""),
        ("gpu = \"h100-sxm\"", "gpu = \"h1000\""),
        ("trials = 30", "trials = 0"),
    ] {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    let told = |text: &str| -> Vec<(String, usize, usize)> {
        let mistakes = StudyFile::parse("study.toml", text).expect_err("it has mistakes");
        let place = |m: &Located| (m.path.join("."), m.column, m.width);
        mistakes.all().iter().map(place).collect()
    };
    let rest = [
        ("sed".into(), 1, 3),
        ("space.max_num_seqs.range".into(), 9, 10),
        ("space.enable_chunked_prefill.log".into(), 1, 3),
        ("fixed.max_model_lent".into(), 1, 14),
        ("objective.minimize".into(), 1, 8),
        ("constraints.que_share".into(), 1, 9),
        ("workload.trace.requests".into(), 12, 6),
        ("backend.simulator.gpu".into(), 7, 7),
        ("budget.trials".into(), 10, 1),
    ];
    assert_eq!(told(&text), rest);
}

#[test]
fn a_text_that_is_no_toml_and_a_missing_table_have_a_place_too() {
    let error = error_of(&example_with("seed = 0", "seed = "));
    assert_eq!((error.line, error.path.as_slice()), (5, [].as_slice()), "{error}");
    let error = error_of(&example_with("[objective]\nminimise = \"e2e_p95_s\"\n", ""));
    assert!(error.problem.contains("missing field `objective`"), "{error}");
    let error = error_of("");
    assert_eq!((error.line, error.column), (1, 1));
}

/// An hour for a whole answer, or what a slow server may be meant to take.
#[test]
fn seconds_that_may_be_meant_are_let_pass() {
    let bounds = "queue_share = { at_most = 0.5 }";
    for metric in ["e2e_p95_s = { at_most = 3600 }", "itl_p99_s = { at_most = 10 }"] {
        StudyFile::parse("study.toml", &example_with(bounds, metric)).unwrap();
    }
    let slo = "trials = 30\n[slo]\nttft_s = 300\ne2e_s = 1e6";
    StudyFile::parse("study.toml", &example_with("trials = 30", slo)).unwrap();
}

#[test]
fn pruning_needs_requests_and_a_percentile_of_a_latency() {
    let with = |pruning: &str, objective: &str| {
        let text = example_with("[budget]", &format!("[pruning]\n{pruning}\n[budget]"));
        text.replace("minimise = \"e2e_p95_s\"", objective)
    };
    let p95 = "minimise = \"e2e_p95_s\"";
    StudyFile::parse("study.toml", &with("requests = 100", p95)).unwrap();
    for (pruning, objective, field, problem) in [
        ("requests = 0", p95, "pruning.requests", "give 1 or more"),
        ("", p95, "pruning", "missing field `requests`"),
        ("request = 9", p95, "pruning.request", "did you mean `requests`?"),
        ("requests = 9", "minimise = \"tpot_mean_s\"", "pruning", "one percentile"),
        ("requests = 9", "maximise = \"output_throughput_tok_per_s\"", "pruning", "minimised"),
    ] {
        let error = error_of(&with(pruning, objective));
        assert_eq!(error.path.join("."), field, "{error}");
        assert!(error.problem.contains(problem), "{error}");
    }
}

#[test]
fn each_mistake_of_a_workload_is_located() {
    let start = EXAMPLE.find("[workload.trace]").unwrap();
    let end = EXAMPLE.find("# ... or requests drawn").unwrap();
    let with = |workload: &str| {
        EXAMPLE[..start].to_owned() + "[workload." + workload + "\n" + &EXAMPLE[end..]
    };
    let synthetic = |fields: &str| with(&format!("synthetic]\n{fields}"));
    let rate = "rate_per_s = 6\nprompt_tokens = 9\noutput_tokens = 9\nrequests = 9";
    StudyFile::parse("study.toml", &synthetic(rate)).unwrap();
    StudyFile::parse("study.toml", &synthetic(&rate.replace("rate_per_s", "concurrency"))).unwrap();
    for (old, new, field, message) in [
        ("rate_per_s = 6\n", "", "", "`rate_per_s` or `concurrency`"),
        ("rate_per_s = 6", "rate_per_s = -6", ".rate_per_s", "above 0"),
        ("rate_per_s = 6", "rate_per_s = 6\nconcurrency = 2", ".concurrency", "one of the two"),
        ("rate_per_s = 6", "concurrency = 2\nburstiness = 1", ".burstiness", "at a rate"),
        ("rate_per_s = 6", "concurrency = 0", ".concurrency", "1 or more"),
        ("requests = 9", "requests = 0", ".requests", "1 or more"),
        ("prompt_tokens = 9", "prompt_tokens = 0", ".prompt_tokens", "1 or more"),
        ("prompt_tokens = 9", "prompt_tokens = [9, 8]", ".prompt_tokens", "fewest tokens first"),
        (
            "output_tokens = 9",
            "output_tokens = { median = 9, sigma = 0, most = 9 }",
            ".output_tokens",
            "`sigma`",
        ),
        ("output_tokens = 9", "output_tokens = \"9\"", ".output_tokens", "[fewest, most]"),
    ] {
        let error = error_of(&synthetic(&rate.replace(old, new)));
        assert_eq!(error.path.join("."), format!("workload.synthetic{field}"), "{error}");
        assert!(error.problem.contains(message), "{error}");
    }
    for (field, value) in [("rate_per_s", "0"), ("requests", "0"), ("start_s", "-1")] {
        let error = error_of(&with(&format!("trace]\n{field} = {value}")));
        assert_eq!(error.path.join("."), format!("workload.trace.{field}"), "{error}");
    }
}
