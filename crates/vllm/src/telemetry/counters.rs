//! What a scrape of `/metrics` tells of the server.

use slotune_serving::{ServerFacts, ServerSample};

use super::Exposition;

/// Counters and gauges of one scrape; `None` where the server does not have them. Names as in
/// vLLM's `vllm/v1/metrics/loggers.py`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    pub(crate) running: Option<f64>,
    pub(crate) waiting: Option<f64>,
    kv_cache_usage: Option<f64>,
    kv_blocks: Option<u64>,
    preemptions: Option<f64>,
    engine_steps: Option<f64>,
    queue_time_sum_s: Option<f64>,
    prefix_cache_queries: Option<f64>,
    prefix_cache_hits: Option<f64>,
    prompt_tokens: Option<f64>,
    output_tokens: Option<f64>,
    /// Requests that ended by themselves: at their length, or at a stop.
    pub(crate) completed_requests: Option<f64>,
}

impl Counters {
    pub(crate) fn read(exposition: &Exposition) -> Self {
        let completed = ["length", "stop"].map(|reason| {
            exposition.sum_where("vllm:request_success_total", "finished_reason", reason)
        });
        let blocks = exposition.label("vllm:cache_config_info", "num_gpu_blocks");
        Self {
            running: exposition.sum("vllm:num_requests_running"),
            waiting: exposition.sum("vllm:num_requests_waiting"),
            kv_cache_usage: exposition.largest("vllm:kv_cache_usage_perc"),
            kv_blocks: blocks.and_then(|blocks| blocks.parse().ok()),
            preemptions: exposition.sum("vllm:num_preemptions_total"),
            engine_steps: exposition.sum("vllm:iteration_tokens_total_count"),
            queue_time_sum_s: exposition.sum("vllm:request_queue_time_seconds_sum"),
            prefix_cache_queries: exposition.sum("vllm:prefix_cache_queries_total"),
            prefix_cache_hits: exposition.sum("vllm:prefix_cache_hits_total"),
            prompt_tokens: exposition.sum("vllm:prompt_tokens_total"),
            output_tokens: exposition.sum("vllm:generation_tokens_total"),
            completed_requests: completed[0].zip(completed[1]).map(|(length, stop)| length + stop),
        }
    }

    /// Whether the server has nothing to do; `None` where it does not tell.
    pub(crate) fn is_idle(&self) -> Option<bool> {
        Some(self.running? + self.waiting? < 0.5)
    }

    /// What happened since an earlier scrape, as facts.
    pub(crate) fn since(&self, before: &Self) -> ServerFacts {
        let increase = |of: fn(&Self) -> Option<f64>| increase(of(before), of(self));
        let count = |of: fn(&Self) -> Option<f64>| increase(of).map(whole);
        ServerFacts {
            kv_blocks: self.kv_blocks,
            preemptions: count(|counters| counters.preemptions),
            engine_steps: count(|counters| counters.engine_steps),
            queue_time_sum_s: increase(|counters| counters.queue_time_sum_s),
            prefix_cache_queries: count(|counters| counters.prefix_cache_queries),
            prefix_cache_hits: count(|counters| counters.prefix_cache_hits),
            prompt_tokens: count(|counters| counters.prompt_tokens),
            output_tokens: count(|counters| counters.output_tokens),
            completed_requests: count(|counters| counters.completed_requests),
            ..ServerFacts::default()
        }
    }

    /// A point of the time line, counted from an earlier scrape.
    pub(crate) fn sample(&self, before: &Self, time_s: f64) -> ServerSample {
        let requests =
            |gauge: Option<f64>| u32::try_from(whole(gauge.unwrap_or(0.0))).unwrap_or(u32::MAX);
        let count = |of: fn(&Self) -> Option<f64>| increase(of(before), of(self)).map_or(0, whole);
        ServerSample {
            time_s,
            running: requests(self.running),
            waiting: requests(self.waiting),
            kv_cache_usage: self.kv_cache_usage.unwrap_or(0.0),
            output_tokens: count(|counters| counters.output_tokens),
            preemptions: count(|counters| counters.preemptions),
        }
    }
}

/// By how much a counter rose. One that was not there before was 0; one that fell was set back by a
/// restart and tells nothing.
fn increase(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    let increase = after? - before.unwrap_or(0.0);
    (increase >= 0.0).then_some(increase)
}

/// Counters are whole numbers that come as floats.
fn whole(count: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count; the cast saturates"
    )]
    let whole = count.round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(name: &str) -> Counters {
        let path = format!("{}/tests/data/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
        Counters::read(&Exposition::parse(&std::fs::read_to_string(path).expect("captured")))
    }

    /// The load between the two captures was 200 requests of 12,863 prompt and 6,400 output tokens
    /// in all, as its client counted.
    #[test]
    fn the_captured_counters_agree_with_the_client_of_that_load() {
        let (before, after) = (captured("before-load.txt"), captured("after-load.txt"));
        let facts = after.since(&before);
        assert_eq!(facts.prompt_tokens, Some(12_863));
        assert_eq!(facts.output_tokens, Some(6400));
        assert_eq!(facts.completed_requests, Some(200));
        assert_eq!(facts.preemptions, Some(0));
        assert_eq!(facts.kv_blocks, Some(16_384));
        assert!(facts.engine_steps.is_some_and(|steps| steps > 1000));
        assert!(facts.queue_time_sum_s.is_some_and(|sum_s| (0.0..10.0).contains(&sum_s)));
        assert_eq!(after.is_idle(), Some(true));
        let sample = after.sample(&before, 12.5);
        assert_eq!((sample.running, sample.waiting, sample.output_tokens), (0, 0, 6400));
    }

    #[test]
    fn a_counter_that_fell_tells_nothing_and_one_that_is_new_began_at_0() {
        let at = |count| Counters { preemptions: count, ..Counters::default() };
        let since = |before, after| at(after).since(&at(before)).preemptions;
        assert_eq!(since(Some(3.0), Some(5.0)), Some(2));
        assert_eq!(since(None, Some(5.0)), Some(5));
        assert_eq!(since(Some(5.0), Some(3.0)), None);
        assert_eq!(since(Some(5.0), None), None);
        assert_eq!(at(None).is_idle(), None);
    }
}
