//! What a stub counts, and its page of metrics in vLLM's names.

use std::{fmt::Write, time::Duration};

/// What a stub counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests being served.
    pub running: u64,
    /// Requests that wait for a slot.
    pub waiting: u64,
    /// Requests served to their end.
    pub finished: u64,
    /// Requests whose client left.
    pub aborted: u64,
    /// Tokens of the prompts that were scheduled.
    pub prompt_tokens: u64,
    /// Output tokens sent.
    pub output_tokens: u64,
    /// Events with tokens, each of which is taken for a step of the engine.
    pub events: u64,
    /// Requests that got a slot.
    pub scheduled: u64,
    /// Sum of their times without one.
    pub queue_time: Duration,
    /// Sum of the times from arrival to first token.
    pub ttft: Duration,
    /// Requests with a first token.
    pub first_tokens: u64,
    /// Sum of the times from arrival to the end, of finished requests.
    pub e2e: Duration,
}

impl Counters {
    /// The page of `/metrics`.
    pub(super) fn page(&self, model: &str, slots: usize) -> String {
        let mut page = String::new();
        let labels = format!(r#"engine="0",model_name="{model}""#);
        let kv_usage = self.running as f64 / slots.max(1) as f64;
        for (name, value) in [
            ("num_requests_running", self.running as f64),
            ("num_requests_waiting", self.waiting as f64),
            ("kv_cache_usage_perc", kv_usage),
        ] {
            family(&mut page, name, "gauge");
            line(&mut page, name, &labels, value);
        }
        family(&mut page, "cache_config_info", "gauge");
        let blocks = r#"block_size="16",engine="0",num_gpu_blocks="4096""#;
        line(&mut page, "cache_config_info", blocks, 1.0);
        for (name, value) in [
            ("prefix_cache_queries", self.prompt_tokens),
            ("prefix_cache_hits", 0),
            ("num_preemptions", 0),
            ("prompt_tokens", self.prompt_tokens),
            ("generation_tokens", self.output_tokens),
        ] {
            family(&mut page, name, "counter");
            line(&mut page, &format!("{name}_total"), &labels, value as f64);
        }
        family(&mut page, "request_success", "counter");
        for (reason, value) in [("stop", 0), ("length", self.finished), ("abort", self.aborted)] {
            let labels = format!(r#"engine="0",finished_reason="{reason}",model_name="{model}""#);
            line(&mut page, "request_success_total", &labels, value as f64);
        }
        let steps = self.events;
        let tokens = (self.prompt_tokens + self.output_tokens) as f64;
        for (name, count, sum) in [
            ("iteration_tokens_total", steps, tokens),
            ("time_to_first_token_seconds", self.first_tokens, self.ttft.as_secs_f64()),
            ("request_queue_time_seconds", self.scheduled, self.queue_time.as_secs_f64()),
            ("e2e_request_latency_seconds", self.finished, self.e2e.as_secs_f64()),
        ] {
            family(&mut page, name, "histogram");
            let all = format!(r#"engine="0",le="+Inf",model_name="{model}""#);
            line(&mut page, &format!("{name}_bucket"), &all, count as f64);
            line(&mut page, &format!("{name}_count"), &labels, count as f64);
            line(&mut page, &format!("{name}_sum"), &labels, sum);
        }
        page
    }
}

fn family(page: &mut String, name: &str, kind: &str) {
    writeln!(page, "# HELP vllm:{name} See vLLM.\n# TYPE vllm:{name} {kind}")
        .expect("a string takes all");
}

/// Values are written as vLLM does, with a point: `4.0`.
fn line(page: &mut String, name: &str, labels: &str, value: f64) {
    writeln!(page, "vllm:{name}{{{labels}}} {value:?}").expect("a string takes all");
}
