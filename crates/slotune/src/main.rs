//! The command `slotune`. It holds no logic of its own: each subcommand calls the library.

#![expect(clippy::print_stderr, reason = "a command talks to its user")]

mod command;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use slotune::report::selection::SelectError;

use command::{
    analyse, baseline, calibrate, compare, completions, doctor, export, finals, import, init,
    recommend, replay, report, schema, simulate, suite, tune,
};

/// Auto-tunes LLM servers with Bayesian optimisation.
///
/// Begin with `slotune init`, which writes a study file that works as it stands, and
/// `slotune tune study.toml`, which searches on the simulator. `slotune simulate` says what one
/// configuration would do, `slotune calibrate` fits the simulator to your runs. `slotune doctor` looks at
/// a machine before a study of a real server.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_STATUS)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0    done
  1    could not be done, or a problem was found
  2    wrong usage
  3    the answer is negative: no configuration to recommend, or the simulated server does not
       start or dies
  130  ended by Ctrl-C; what was finished is kept";

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a commented study file to start from
    ///
    /// It works as it stands: it tunes a simulated server. Change what differs with you.
    #[command(after_help = "Example:\n  slotune init\n  slotune tune study.toml")]
    Init(init::Options),
    /// Measures the baseline of a study file and vLLM's default
    ///
    /// Tells what you have today, and so which targets are worth asking for. `tune` does the same
    /// first, unless it is done.
    #[command(after_help = "Example:\n  slotune baseline study.toml")]
    Baseline(baseline::Options),
    /// Searches for the best configuration, from where it was left
    ///
    /// Prints a line for each trial, keeps each in a result set, and recommends. Interrupted or
    /// killed, it goes on with the same trials when it is started again; a larger `budget.trials`
    /// adds trials to a study that was complete.
    #[command(
        after_help = "Examples:\n  slotune tune study.toml\n  slotune tune study.toml --json > advice.json"
    )]
    Tune(tune::Options),
    /// Repeats the best of a search beside vLLM's default, and says whether it is better
    ///
    /// In rounds of alternating order, each with fresh requests that all share: under the workload of
    /// the study, a replayed trace and a sustained load, as `[finals]` of the study file has it.
    /// Judges by intervals, prints service levels (P50, P95, P99 by length class, goodput), and
    /// recommends: the default, where nothing beats it. Goes on where it was left, as `tune` does.
    #[command(
        after_help = "Examples:\n  slotune finals study.toml\n  slotune finals study.toml --json > finals.json"
    )]
    Finals(finals::Options),
    /// Runs the Week-3 studies in order and writes their page
    ///
    /// Queue time over `max_num_seqs` 256 to 4096, `max_num_seqs`, GPU memory utilisation, chunked
    /// prefill and chunk sizes, then all parameters at once: each a search, or with `--grid` the
    /// documents' sweep. Then the finals, as `finals` holds them. Values are those of the study file; for a parameter that it does not name,
    /// those of the Week-3 documents. Goes on where it was left, as `tune` does.
    #[command(
        after_help = "Examples:\n  slotune suite study.toml\n  slotune suite study.toml --grid --out sweep"
    )]
    Suite(suite::Options),
    /// Compares two result sets, or two trials: before and after
    ///
    /// A set stands for its recommended configuration; SET:baseline, SET:default and
    /// SET:search/12 name single trials.
    #[command(
        after_help = "Examples:\n  slotune compare study-results:baseline study-results\n  slotune compare january-results february-results --json"
    )]
    Compare(compare::Options),
    /// Writes the Week-3 page and its pictures from a result set
    #[command(after_help = "Example:\n  slotune report study-results --out page")]
    Report(report::Options),
    /// Prints the configuration that a result set recommends
    ///
    /// The verdict is one of `change`, `keep_default`, `no_configuration_meets_the_targets` and
    /// `nothing_measured`.
    #[command(after_help = "Example:\n  slotune recommend study-results --json")]
    Recommend(recommend::Options),
    /// Prints the recommended configuration as a command, program or manifest
    #[command(
        after_help = "Examples:\n  slotune export study-results\n  slotune export study-results --format kubernetes | kubectl apply -f -\n  slotune export study-results:search/12 --format python"
    )]
    Export(export::Options),
    /// Asks past result sets for other targets, without a server
    ///
    /// The best configuration for the targets given, what latency costs in throughput, what changed
    /// between sets, and which trials to trust less. What is not given is the first set's own: a goal
    /// takes the place of its goal, a bound that of its bounds on the same metric.
    #[command(
        alias = "analyze",
        after_help = "Examples:\n  slotune analyse study-results --at-least output_throughput_tok_per_s=5000\n  slotune analyse january february --minimise ttft_p95_s --json"
    )]
    Analyse(analyse::Options),
    /// Runs a sampler on a past result set, as on a server that answers at once
    ///
    /// What the sampler proposes is answered with the nearest configuration that the set measured.
    /// SET:STUDY replays the trials of one study alone, such as those of a grid: what a search placed near
    /// its best makes random draws look good.
    #[command(
        after_help = "Examples:\n  slotune replay datasets/week3_suite_simulated --sampler bayesian\n  slotune replay study-suite-grid --sampler random --seeds 20 --json"
    )]
    Replay(replay::Options),
    /// Makes a result set of what another load generator measured
    ///
    /// Reads the JSON of `vllm bench serve --save-result` (best with --save-detailed), of `vllm bench sweep`
    /// (`summary.json`, or a run's or failure's own file) and of GuideLLM. From requests come slotune's own
    /// metrics; without them the tool's aggregates are kept and marked. A sweep tells the engine arguments
    /// that it varied; say the others.
    #[command(
        after_help = "Examples:\n  slotune import sweep/*/summary.json --out past-results\n  slotune import a.json:max_num_seqs=256 b.json:max_num_seqs=512 --vllm-version 0.25.1 --out past-results\n  slotune import tuned.json --baseline today.json --parameter max_num_seqs=256 --out past-results"
    )]
    Import(Box<import::Options>),
    /// Simulates one configuration of a server under a list of requests
    ///
    /// Latencies, throughput, memory and start-up time of a vLLM server with the given engine arguments,
    /// from the discrete-event simulator, in a fraction of a second and without a GPU; or why it would
    /// not start.
    Simulate(Box<simulate::Options>),
    /// Fits a GPU preset of the simulator to measured runs
    ///
    /// Replays every run of a result set in the simulator and moves the preset's costs until latencies
    /// agree; prints how well they do, also for runs that were left out, and writes a preset for --gpu.
    Calibrate(calibrate::Options),
    /// Checks whether this machine can start and measure a real server
    ///
    /// Looks at the command, the version, the model, the port, the GPU, open files and disk, and
    /// measures how much the load generator can take. Starts nothing but `vllm --version`.
    #[command(after_help = "Example:\n  slotune doctor --model Qwen/Qwen2.5-7B-Instruct")]
    Doctor(doctor::Options),
    /// Prints the JSON schema of study files
    ///
    /// Editors complete and check a study file with it.
    #[command(after_help = "Example:\n  slotune schema > study.schema.json")]
    Schema,
    /// Prints what a shell needs to complete this command
    #[command(
        after_help = "Example:\n  slotune completions bash > ~/.local/share/bash-completion/completions/slotune"
    )]
    Completions(completions::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Init(options) => init::run(&options),
        Command::Baseline(options) => baseline::run(&options),
        Command::Tune(options) => tune::run(&options),
        Command::Finals(options) => finals::run(&options),
        Command::Suite(options) => suite::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Recommend(options) => recommend::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Import(options) => import::run(&options),
        Command::Analyse(options) => analyse::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Calibrate(options) => calibrate::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Schema => schema::run(),
        Command::Completions(options) => completions::run::<Arguments>(&options),
    };
    result.unwrap_or_else(|error| {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if io == Some(io::ErrorKind::BrokenPipe) {
            // Whoever reads the output, such as `head`, has seen enough.
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {error}");
        match error.downcast_ref() {
            Some(SelectError::NoneAdvised) => ExitCode::from(command::NEGATIVE),
            _ => ExitCode::FAILURE,
        }
    })
}
