//! What an evaluation gives: raw records, and what server and client told of themselves.

use serde::{Deserialize, Serialize};

use crate::{Caveat, EngineArguments, RequestRecord};

/// Raw records and facts of one evaluation. Times are seconds from the start of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// One record for each request of the schedule, in its order.
    pub records: Vec<RequestRecord>,
    /// When the last request ended, or the run was stopped.
    pub end_s: f64,
    /// Seconds that the evaluation cost: starting the server, warming it up, the run, stopping.
    pub cost_s: f64,
    /// What the server told.
    pub server: ServerFacts,
    /// What the server was seen to do, by time; empty where nobody looked.
    #[serde(default)]
    pub timeline: Vec<ServerSample>,
    /// What the client that sent the requests cost; `None` where nobody sent any, as in a
    /// simulation.
    #[serde(default)]
    pub client: Option<ClientFacts>,
    /// What limits what the run says. A backend puts in what only it can see; [`Run::examine`] adds
    /// what the records show.
    #[serde(default)]
    pub caveats: Vec<Caveat>,
}

impl Run {
    /// The run as it would have been if it had been stopped at this time, seconds from its start. What the
    /// server counted by its end is not known then; of the output of a request under way, as much had come as
    /// if its tokens had come evenly.
    #[must_use]
    pub fn cut(mut self, at_s: f64) -> Self {
        if at_s >= self.end_s {
            return self;
        }
        for record in &mut self.records {
            record.cut(at_s);
        }
        self.cost_s -= self.end_s - at_s;
        self.end_s = at_s;
        self.timeline.retain(|sample| sample.time_s <= at_s);
        let ServerFacts { arguments, vllm_version, start_up_s, kv_blocks, .. } = self.server;
        self.server = ServerFacts {
            arguments,
            vllm_version,
            start_up_s,
            kv_blocks,
            ..ServerFacts::default()
        };
        self
    }
}

/// What the server told of itself; `None` where it does not tell. Counts are of the run alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// The arguments as the server resolved them, as far as it tells.
    pub arguments: EngineArguments,
    /// Version of vLLM that answered.
    pub vllm_version: Option<String>,
    /// Seconds from the start of the process until it served; 0 for a server that ran already.
    pub start_up_s: f64,
    /// KV-cache blocks.
    pub kv_blocks: Option<u64>,
    /// Preemptions during the run.
    pub preemptions: Option<u64>,
    /// Engine steps during the run.
    pub engine_steps: Option<u64>,
    /// Sum of the queue times of all scheduled requests, seconds.
    pub queue_time_sum_s: Option<f64>,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_cache_queries: Option<u64>,
    /// Prompt tokens found there.
    pub prefix_cache_hits: Option<u64>,
    /// Prompt tokens that the server counted.
    pub prompt_tokens: Option<u64>,
    /// Output tokens that the server counted.
    pub output_tokens: Option<u64>,
    /// Requests that the server finished.
    pub completed_requests: Option<u64>,
}

/// A look at the server during the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSample {
    /// When, seconds from the start of the run.
    pub time_s: f64,
    /// Requests in the running batch.
    pub running: u32,
    /// Requests in the queue.
    pub waiting: u32,
    /// Share of KV-cache blocks in use, 0 to 1.
    pub kv_cache_usage: f64,
    /// Output tokens since the start of the run.
    pub output_tokens: u64,
    /// Preemptions since the start of the run.
    pub preemptions: u64,
}

/// What the client that sent the requests cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientFacts {
    /// CPU time of the client's process during the run, seconds.
    pub cpu_s: f64,
    /// Wall time of the run, seconds.
    pub wall_s: f64,
    /// CPU cores that the client could use.
    pub cores: u32,
    /// 99th percentile of how late the client's executor woke a task that ticked all the time,
    /// seconds: chunks may have been read as much later than they arrived.
    pub wake_lag_p99_s: f64,
}
