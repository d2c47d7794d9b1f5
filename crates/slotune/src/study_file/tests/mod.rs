//! What a study file says.

use std::path::Path;

use slotune_core::{Constraint, Goal, Objective};
use slotune_serving::{
    Workload,
    workload::{Arrivals, LengthLaw, Lengths},
};

use super::*;

mod mistakes;

fn example_with(old: &str, new: &str) -> String {
    assert!(EXAMPLE.contains(old), "{old}");
    EXAMPLE.replacen(old, new, 1)
}

/// The only mistake of a text.
fn error_of(text: &str) -> Located {
    let mistakes = StudyFile::parse("study.toml", text).expect_err("it has a mistake");
    let [mistake] = mistakes.all() else { panic!("{mistakes}") };
    mistake.clone()
}

#[test]
fn the_example_is_what_its_comments_say() {
    let file = StudyFile::parse("study.toml", EXAMPLE).unwrap();
    let plan = file.plan(Path::new("")).unwrap();
    let parameters: Vec<String> =
        plan.space.parameters().iter().map(|p| format!("{}: {}", p.name(), p.domain())).collect();
    assert_eq!(
        parameters,
        [
            "max_num_seqs: integer from 32 to 4096, log scale",
            "max_num_batched_tokens: integer from 512 to 32768, log scale",
            "gpu_memory_utilization: one of 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95",
            "enable_chunked_prefill: true or false",
        ],
        "in the order of the file"
    );
    let rules: Vec<String> = plan.space.rules().iter().map(ToString::to_string).collect();
    assert_eq!(
        rules,
        [
            "max_num_batched_tokens >= max_num_seqs",
            "max_num_batched_tokens >= 16384 when enable_chunked_prefill = false",
        ]
    );
    let objective = Objective::minimise("e2e_p95_s")
        .subject_to(Constraint::at_least("output_throughput_tok_per_s", 4000.0))
        .subject_to(Constraint::at_most("queue_share", 0.5).linear());
    assert_eq!(plan.objective, objective);
    assert_eq!(plan.fixed.flags(), ["--max-model-len", "16384", "--no-enable-prefix-caching"]);
    assert_eq!(plan.baseline.unwrap().integer("max_num_seqs"), Some(64));
    assert_eq!(plan.workload.schedule().unwrap().requests.len(), 1000);
}

/// Wherever the program runs: a preset beside the study file is found, and one that is not there is named.
#[test]
fn relative_paths_of_presets_start_at_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let preset = slotune_sim::GpuPreset::named("l4").unwrap().to_toml();
    std::fs::write(folder.path().join("mine.toml"), preset).unwrap();
    let study = folder.path().join("study.toml");
    let with = |gpu: &str| {
        let text = example_with("gpu = \"h100-sxm\"", &format!("gpu = \"{gpu}\""));
        std::fs::write(&study, text).unwrap();
        StudyFile::read(&study)
    };
    let BackendTable::Simulator(table) = with("mine.toml").unwrap().backend else { panic!() };
    assert_eq!(Path::new(&table.gpu), folder.path().join("mine.toml"));
    let error = with("other.toml").unwrap_err().to_string();
    assert!(error.contains(&*folder.path().join("other.toml").to_string_lossy()), "{error}");
    let BackendTable::Simulator(table) = with("l4").unwrap().backend else { panic!() };
    assert_eq!(table.gpu, "l4");
}

#[test]
fn what_the_example_comments_out_works_too() {
    // Every commented field, uncommented in place of what it is an alternative to.
    let text = example_with(
        "[workload.trace]\nsource = \"azure_llm_2023_conv\" # or a CSV file: arrival_s,input_tokens,output_tokens\nrate_per_s = 24.0\n\
         requests = 1000\n",
        "",
    );
    let start = text.find("[backend.simulator]").unwrap();
    let end = text.find("# ... or a real server").unwrap();
    let mut text = text[..start].to_owned() + &text[end..];
    for head in [
        "# [space.long",
        "# levels",
        "# only_if",
        "# against",
        "# [slo]",
        "# ttft_s",
        "# tpot_s",
        "# [workload",
        "# rate_per_s",
        "# prompt_tokens",
        "# output_tokens",
        "# requests",
        "# [backend.vllm]",
        "# model",
        "# command",
        "# port",
        "# wall_time_s",
        "# server_time_s",
        "# [finals]",
        "# finalists",
        "# repeats",
        "# workloads",
        "# slo =",
    ] {
        let line = format!("\n{head}");
        assert!(text.contains(&line), "{head}");
        text = text.replacen(&line, &format!("\n{}", &head[2..]), 1);
    }
    let file = StudyFile::parse("study.toml", &text).unwrap();
    let plan = file.plan(Path::new("")).unwrap();
    assert_eq!(plan.space.parameters().len(), 5);
    assert_eq!(
        plan.space.rules().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["max_num_batched_tokens >= max_num_seqs"],
        "of a real server, the longest context is not known"
    );
    let Workload::Synthetic(synthetic) = &plan.workload else { panic!("{:?}", plan.workload) };
    assert_eq!(synthetic.arrivals, Arrivals::Poisson { rate_per_s: 6.0 });
    let prompt = LengthLaw::Uniform { min_tokens: 64, max_tokens: 512 };
    let output = LengthLaw::Lognormal { median_tokens: 150.0, sigma: 0.8, max_tokens: 1024 };
    assert_eq!(synthetic.lengths, Lengths::Independent { prompt, output });
    assert_eq!(plan.options.slo.tpot_s, Some(0.05));
    assert_eq!(file.budget.server_time_s, Some(36_000.0));
    assert!(matches!(file.backend, BackendTable::Vllm(VllmTable { port: 8000, .. })));
    let said = FinalsTable {
        slo: SloTable { ttft_s: Some(2.0), tpot_s: Some(0.1), e2e_s: None },
        ..FinalsTable::default()
    };
    assert_eq!(file.finals, said, "the comments say what is so without them");
}

#[test]
fn a_limit_in_seconds_that_servers_spend_makes_the_search_look_at_cost() {
    let sampler = |budget: &str, vllm: bool| {
        let mut file =
            StudyFile::parse("study.toml", &example_with("trials = 30", budget)).unwrap();
        if vllm {
            let table = "model = \"a\"\n";
            file.backend = BackendTable::Vllm(toml::from_str(table).unwrap());
        }
        format!("{:?}", file.sampler(vec![], 30))
    };
    let plain = format!("{:?}", Bayesian::default());
    let within = |cost| format!("{:?}", Bayesian::default().within_cost(cost, 30));
    assert_eq!(sampler("trials = 30", true), plain);
    assert_eq!(sampler("server_time_s = 600.0", false), within(600.0));
    assert_eq!(sampler("wall_time_s = 500.0", true), within(500.0));
    assert_eq!(sampler("wall_time_s = 500.0\nserver_time_s = 600.0", true), within(500.0));
    assert_eq!(sampler("wall_time_s = 500.0", false), plain, "the simulator spends none of it");
}

#[test]
fn a_good_request_of_the_finals_is_that_of_the_study_unless_they_have_their_own() {
    let limits = |tables: &str| {
        let text = example_with("[budget]", &format!("{tables}\n[budget]"));
        StudyFile::parse("", &text).unwrap().plan(Path::new("")).unwrap().finals.slo
    };
    let slo = |ttft_s, tpot_s, e2e_s| slotune_serving::metrics::Slo { ttft_s, tpot_s, e2e_s };
    assert_eq!(limits(""), slo(Some(2.0), Some(0.1), None));
    assert_eq!(limits("[slo]\ne2e_s = 9"), slo(None, None, Some(9.0)));
    assert_eq!(limits("[slo]\ne2e_s = 9\n[finals.slo]\nttft_s = 1"), slo(Some(1.0), None, None));
}

#[test]
fn numbers_and_names_become_the_domain_that_they_look_like() {
    let domain = |values: &str| {
        let text = example_with("[fixed]", &format!("[space.{values}\n[fixed]"));
        let plan = StudyFile::parse("", &text).unwrap().plan(Path::new("")).unwrap();
        plan.space.parameters().last().unwrap().domain().to_string()
    };
    assert_eq!(domain("block_size]\nlevels = [16, 32]"), "one of 16, 32");
    assert_eq!(
        domain("cudagraph_mode]\nlevels = [\"none\", \"full_and_piecewise\"]"),
        "one of none, full_and_piecewise"
    );
    let text =
        example_with("levels = [0.70, ", "levels = [0.70, 0.72, ").replacen("0.95]", "0.95, 1]", 1);
    let plan = StudyFile::parse("", &text).unwrap().plan(Path::new("")).unwrap();
    let utilization = plan.space.parameter("gpu_memory_utilization").unwrap();
    assert!(utilization.domain().contains(&1.0.into()), "{}", utilization.domain());
}

#[test]
fn a_file_written_as_toml_reads_back_as_it_was() {
    let file = StudyFile::parse("study.toml", EXAMPLE).unwrap();
    let text = toml::to_string(&file).unwrap();
    assert_eq!(StudyFile::parse("again.toml", &text), Ok(file), "{text}");
}

/// Whether a text satisfies the published schema.
fn satisfies_the_schema(text: &str) -> Result<(), String> {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("study.json", schema).unwrap();
    let index = compiler.compile("study.json", &mut schemas).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let value = serde_json::to_value(table).unwrap();
    schemas.validate(&value, index).map_err(|error| format!("{error:#}"))
}

/// Study files of every kind, all of which can be read.
fn study_files() -> Vec<String> {
    let guide = include_str!("../../../../../docs/guide/first-study.md");
    let files = blocks(guide, "toml");
    let [study, against, history, server] = files.as_slice() else { panic!("{files:?}") };
    let made = [
        EXAMPLE.to_owned(),
        (*study).to_owned(),
        study.replace("[objective]\nminimise = \"e2e_p95_s\"\n", against),
        format!("{study}\n{history}"),
        study.replace("[backend.simulator]\ngpu = \"h100-sxm\"\n", server),
        example_with("trials = 30", "trials = 30\nwall_time_s = 1e4\nremaining_gain = 0.01"),
    ];
    let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/studies");
    let stored = std::fs::read_dir(datasets)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).expect("text"));
    made.into_iter().chain(stored).collect()
}

#[test]
fn every_file_that_can_be_read_satisfies_the_schema() {
    let files = study_files();
    assert!(files.len() >= 8, "two are stored");
    for text in files {
        let file = StudyFile::parse("study.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(satisfies_the_schema(&text), Ok(()), "{text}");
        let written = toml::to_string(&file).unwrap();
        assert_eq!(satisfies_the_schema(&written), Ok(()), "{written}");
    }
}

#[test]
fn the_example_satisfies_the_schema_and_mistakes_do_not() {
    let is_valid = satisfies_the_schema;
    assert_eq!(is_valid(EXAMPLE), Ok(()));
    for (old, new) in [
        ("trials = 30", "trails = 30"),
        ("trials = 30", "trials = 0"),
        ("[space.max_num_seqs]", "[space.max_num_seq]"),
        ("{ at_most = 0.5 }", "{ at_most = 0.5, at_least = 0.1 }"),
        ("levels = [false, true]", "log = true"),
        ("minimise =", "minimize ="),
        ("minimise =", "maximise = \"ttft_p95_s\"\nminimise ="),
        ("minimise =", "against = { minimise = \"ttft_p95_s\", maximise = \"x\" }\nminimise ="),
        ("noise = \"none\"", "noise = \"nine\""),
        ("trials = 30", "trials = 30\n[finals]\nrepeats = 2"),
        ("trials = 30", "trials = 30\n[finals]\nworkloads = [\"own\"]"),
    ] {
        assert!(is_valid(&example_with(old, new)).is_err(), "{new}");
    }
}

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/study.schema.json");
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == json_schema(),
        "write it anew: cargo run -p slotune -- schema > docs/study.schema.json"
    );
}

/// The fenced blocks of that language in a text.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let open = format!("```{language}\n");
    text.split(&open).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_guide_shows_studies_and_a_message_that_are_so() {
    let guide = include_str!("../../../../../docs/guide/first-study.md");
    let files = blocks(guide, "toml");
    let [study, against, history, server] = files.as_slice() else { panic!("{files:?}") };
    let parsed = StudyFile::parse("study.toml", study).unwrap();
    assert_eq!(parsed.budget.trials, 30);
    let two = study.replace("[objective]\nminimise = \"e2e_p95_s\"\n", against);
    let two = StudyFile::parse("study.toml", &two).unwrap().plan(Path::new("")).unwrap();
    assert_eq!(two.objective.against, Some(Goal::maximise("output_throughput_tok_per_s")));
    let learning = StudyFile::parse("study.toml", &format!("{study}\n{history}")).unwrap();
    assert_eq!(learning.history.sets, [Path::new("../january-results")]);
    let real = study.replace("[backend.simulator]\ngpu = \"h100-sxm\"\n", server);
    let real = StudyFile::parse("study.toml", &real).unwrap();
    assert!(matches!(real.backend, BackendTable::Vllm(_)));
    let error = error_of(&study.replace("trials = 30", "trails = 30"));
    assert_eq!(blocks(guide, "text"), [format!("error: {error}\n")]);
    let trace = blocks(guide, "csv").concat();
    assert_eq!(
        slotune_serving::workload::Trace::parse("mine.csv", &trace).unwrap().requests.len(),
        2
    );
}

/// Whatever the text: an answer, or an error whose place is in it.
fn check_answer(text: &str) {
    let mistakes = StudyFile::parse("study.toml", text).err();
    for error in mistakes.iter().flat_map(Mistakes::all) {
        assert!(error.line <= text.lines().count() + 1, "{error}");
        assert!(error.column <= error.text.chars().count() + 1, "{error}");
        assert!(!error.problem.is_empty(), "{error}");
    }
}

#[test]
fn a_text_that_is_cut_or_misses_something_is_answered() {
    for position in (0..EXAMPLE.len()).step_by(3) {
        check_answer(&EXAMPLE[..position]);
        check_answer(&(EXAMPLE[..position].to_owned() + &EXAMPLE[position + 1..]));
        check_answer(&(EXAMPLE[..position].to_owned() + "é" + &EXAMPLE[position..]));
    }
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for without in 0..lines.len() {
        check_answer(&[&lines[..without], &lines[without + 1..]].concat().join("\n"));
    }
}

#[test]
fn numbers_beyond_reason_are_answered() {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = 0;
    while let Some(start) = EXAMPLE[rest..].find(|c: char| c.is_ascii_digit()).map(|i| rest + i) {
        let length = EXAMPLE[start..].find(|c| !is_part(c)).unwrap();
        for number in ["-1", "0", "0.0", "1e308", "-1e308", "nan", "inf", "9223372036854775807"] {
            check_answer(&(EXAMPLE[..start].to_owned() + number + &EXAMPLE[start + length..]));
        }
        rest = start + length;
    }
}
