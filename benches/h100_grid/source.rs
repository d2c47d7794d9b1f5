//! The files of the load generator: one row a request, and what each run's server told.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use serde::Deserialize;
use slotune::serving::{
    EngineArguments, RequestRecord, RequestStatus, Run, Schedule, ServerFacts,
    engine_arguments::CudagraphMode,
};

use crate::Error;

/// A run and its name.
pub(crate) struct Source {
    pub(crate) label: String,
    pub(crate) run: Run,
}

/// A row of `runs.csv`, as far as it is used.
#[derive(Deserialize)]
struct PublishedRun {
    run: String,
    cudagraph_mode: CudagraphMode,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    gpu_memory_utilization: f64,
    num_gpu_blocks: u64,
    n_completed: u64,
    queue_mean_s: f64,
    preemptions: u64,
    engine_steps: u64,
    requests_file: Option<PathBuf>,
}

/// What the load generator of the later machines wrote beside the requests, as far as it is used.
#[derive(Deserialize)]
struct Summary {
    ok: u64,
    blocks: u64,
    steps: f64,
    preempt: f64,
    queue_mean: f64,
}

/// A row of a request file; times in seconds from the start of the run.
#[derive(Deserialize)]
struct Row {
    sched: f64,
    send: f64,
    first: f64,
    last: f64,
    prompt_tokens: u32,
    output_tokens: u32,
    status: String,
}

/// The runs of `runs.csv` whose requests were kept, in its order.
pub(crate) fn first_machine(folder: &Path) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    let file = folder.join("runs.csv");
    let mut reader =
        csv::Reader::from_path(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    for row in reader.deserialize() {
        let row: PublishedRun = row?;
        let Some(requests) = &row.requests_file else { continue };
        let server = ServerFacts {
            arguments: arguments(
                row.max_num_seqs,
                row.max_num_batched_tokens,
                row.gpu_memory_utilization,
                row.cudagraph_mode,
            ),
            kv_blocks: Some(row.num_gpu_blocks),
            preemptions: Some(row.preemptions),
            engine_steps: Some(row.engine_steps),
            queue_time_sum_s: Some(row.queue_mean_s * row.n_completed as f64),
            completed_requests: Some(row.n_completed),
            ..facts()
        };
        sources.push(source(row.run, &folder.join(requests), server)?);
    }
    Ok(sources)
}

/// A server of a later machine.
pub(crate) struct Server {
    /// Folder of its runs, which is also what their labels begin with.
    folder: &'static str,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    gpu_memory_utilization: f64,
    cudagraph_mode: CudagraphMode,
    /// Its runs in their order: the files, and how the label ends.
    runs: Runs,
}

type Runs = &'static [(&'static str, &'static str)];

impl Server {
    /// With vLLM's own graphs and compilation.
    const fn stock(max_num_seqs: u32, max_num_batched_tokens: u32, runs: Runs) -> Self {
        Self {
            folder: "stock",
            max_num_seqs,
            max_num_batched_tokens,
            gpu_memory_utilization: 0.92,
            cudagraph_mode: CudagraphMode::FullAndPiecewise,
            runs,
        }
    }

    /// Without compilation.
    const fn nocompile(max_num_seqs: u32, max_num_batched_tokens: u32, runs: Runs) -> Self {
        Self {
            folder: "nocompile",
            cudagraph_mode: CudagraphMode::FullDecodeOnly,
            ..Self::stock(max_num_seqs, max_num_batched_tokens, runs)
        }
    }
}

/// The servers of the second machine.
pub(crate) const SECOND_MACHINE: [Server; 2] = [
    Server::stock(
        1024,
        8192,
        &[("chat35", "chat35"), ("chat47", "chat47"), ("chat60", "chat60"), ("rag18", "rag18")],
    ),
    Server::nocompile(128, 8192, &[("chat25", "chat25"), ("chat35", "chat35"), ("rag12", "rag12")]),
];

/// The servers of the fourth machine.
pub(crate) const FOURTH_MACHINE: [Server; 4] = [
    Server::stock(
        256,
        2048,
        &[
            ("s256_chat35_a", "chat35"),
            ("s256_rag12_a", "rag12"),
            ("s256_chat35_b", "chat35_again"),
            ("s256_rag12_b", "rag12_again"),
        ],
    ),
    Server {
        gpu_memory_utilization: 0.2,
        ..Server::stock(
            256,
            2048,
            &[("u20_chat25", "chat25"), ("u20_chat35", "chat35"), ("u20_rag8", "rag8")],
        )
    },
    Server::nocompile(
        64,
        8192,
        &[("n64_chat25_a", "chat25"), ("n64_rag8", "rag8"), ("n64_chat25_b", "chat25_again")],
    ),
    Server::nocompile(
        1024,
        8192,
        &[("n1024_chat25_a", "chat25"), ("n1024_chat25_b", "chat25_again")],
    ),
];

/// The servers of the fifth machine, which has an H200.
pub(crate) const FIFTH_MACHINE: [Server; 5] = [
    Server::stock(
        256,
        2048,
        &[
            ("s256_chat35_a", "chat35"),
            ("s256_rag12", "rag12"),
            ("s256_chat60", "chat60"),
            ("s256_chat35_b", "chat35_again"),
        ],
    ),
    Server::stock(
        1024,
        8192,
        &[
            ("s1024_chat47", "chat47"),
            ("s1024_chat60", "chat60"),
            ("s1024_rag18", "rag18"),
            ("s1024_rag12", "rag12"),
        ],
    ),
    Server::nocompile(64, 8192, &[("n64_chat25", "chat25"), ("n64_rag8", "rag8")]),
    Server::stock(
        1024,
        8192,
        &[
            ("s1024_chat35_stamped", "chat35_stamped"),
            ("s1024_chat47_stamped", "chat47_stamped"),
            ("s1024_chat60_stamped", "chat60_stamped"),
            ("s1024_chat60_kept", "chat60_kept"),
            ("s1024_rag12_stamped", "rag12_stamped"),
            ("s1024_rag18_stamped", "rag18_stamped"),
        ],
    ),
    Server::nocompile(
        128,
        8192,
        &[
            ("n128_chat25_stamped", "chat25_stamped"),
            ("n128_chat35_stamped", "chat35_stamped"),
            ("n128_rag12_stamped", "rag12_stamped"),
        ],
    ),
];

/// The servers of the sixth machine, which has an H200 too.
pub(crate) const SIXTH_MACHINE: [Server; 3] = [
    Server::stock(
        128,
        8192,
        &[("s128_chat35", "chat35"), ("s128_chat47", "chat47"), ("s128_rag12", "rag12")],
    ),
    Server::stock(
        512,
        4096,
        &[("s512_chat35", "chat35"), ("s512_rag18", "rag18"), ("s512_chat60", "chat60")],
    ),
    Server::nocompile(
        256,
        4096,
        &[("n256_chat25", "chat25"), ("n256_chat35", "chat35"), ("n256_rag12", "rag12")],
    ),
];

/// The runs of these servers, whose folders are in `folder`.
pub(crate) fn later_machine(folder: &Path, servers: &[Server]) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for server in servers {
        for (name, ending) in server.runs {
            let file = folder.join(server.folder).join(format!("{name}.json"));
            let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let summary: Summary = serde_json::from_slice(&text)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counters, which the server exposes as floats"
            )]
            let (steps, preemptions) = (summary.steps as u64, summary.preempt as u64);
            let Server { max_num_seqs, max_num_batched_tokens, gpu_memory_utilization, .. } =
                *server;
            let facts = ServerFacts {
                arguments: arguments(
                    max_num_seqs,
                    max_num_batched_tokens,
                    gpu_memory_utilization,
                    server.cudagraph_mode,
                ),
                kv_blocks: Some(summary.blocks),
                preemptions: Some(preemptions),
                engine_steps: Some(steps),
                queue_time_sum_s: Some(summary.queue_mean * summary.ok as f64),
                completed_requests: Some(summary.ok),
                ..facts()
            };
            let label = format!(
                "{}_s{max_num_seqs}_b{max_num_batched_tokens}_u{:.0}_{ending}",
                server.folder,
                100.0 * gpu_memory_utilization
            );
            sources.push(source(label, &file.with_extension("csv.gz"), facts)?);
        }
    }
    Ok(sources)
}

fn arguments(
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    gpu_memory_utilization: f64,
    cudagraph_mode: CudagraphMode,
) -> EngineArguments {
    EngineArguments {
        max_num_seqs: Some(max_num_seqs),
        max_num_batched_tokens: Some(max_num_batched_tokens),
        gpu_memory_utilization: Some(gpu_memory_utilization),
        max_model_len: Some(16_384),
        enable_prefix_caching: Some(false),
        cudagraph_mode: Some(cudagraph_mode),
        ..EngineArguments::default()
    }
}

/// What is the same for all: servers that ran already when their run began.
fn facts() -> ServerFacts {
    ServerFacts { vllm_version: Some("0.25.1".to_owned()), ..ServerFacts::default() }
}

fn source(label: String, requests: &Path, server: ServerFacts) -> Result<Source, Error> {
    let in_file = |error: csv::Error| format!("{}: {error}", requests.display());
    let file = File::open(requests).map_err(|error| format!("{}: {error}", requests.display()))?;
    let mut records = Vec::new();
    let rows = csv::Reader::from_reader(GzDecoder::new(file)).into_deserialize();
    for (index, row) in (0..).zip(rows) {
        let row: Row = row.map_err(in_file)?;
        records.push(RequestRecord {
            index,
            prompt_tokens: row.prompt_tokens,
            output_tokens: row.output_tokens,
            intended_s: row.sched,
            sent_s: row.send,
            first_token_s: Some(row.first),
            last_token_s: Some(row.last),
            queue_time_s: None,
            chunk_times_s: vec![],
            status: match row.status.as_str() {
                "ok" => RequestStatus::Completed,
                other => RequestStatus::Failed(other.to_owned()),
            },
        });
    }
    let end_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
    let schedule = Schedule::replaying(&records);
    let mut run = Run {
        records,
        end_s,
        cost_s: end_s,
        server,
        timeline: vec![],
        client: None,
        caveats: vec![],
    };
    run.examine(&schedule);
    Ok(Source { label, run })
}
