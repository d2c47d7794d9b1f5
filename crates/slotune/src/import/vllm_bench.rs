//! `vllm bench serve --save-result`, with and without `--save-detailed`, and `vllm bench sweep`.
//!
//! Formats: `vllm/benchmarks/serve.py` and `vllm/benchmarks/sweep/serve.py` of vLLM 0.32.0. Times are
//! seconds on the client's clock, aggregates milliseconds. `queue_times` are those of the *client*,
//! before it sent, and say nothing of the server's queue.

use slotune_core::{Configuration, Measurement, Reason, Value};
use slotune_serving::{
    EngineArguments, Load, RequestRecord, RequestStatus,
    metrics::{Metric, Statistic, percentile},
};

use super::{
    field::{Field, Problem},
    finding::{self, Evidence, Finding, LatencyMetric, aggregates_only, other_tool},
    source::{argument_name, parse_value},
};

/// One run of `vllm bench serve`, perhaps as `vllm bench sweep` wrote it down.
pub(super) fn run(name: &str, root: &Field<'_>) -> Result<Finding, Problem> {
    if root.get("error_type").is_present() {
        return failure(name, root);
    }
    if root.get("input_sequence_throughput").is_present() {
        return Err(root.problem("is a run of an embedding model, which has no tokens to time"));
    }
    if !root.get("output_throughput").is_present() {
        return Err(root.problem(
            "is no result of `vllm bench serve`, `vllm bench sweep` or GuideLLM; give the JSON that \
             --save-result, the sweep, or GuideLLM's `--output kind=json` wrote",
        ));
    }
    let cost_s = root.get("duration").number()?;
    let evidence = if root.get("start_times").is_present() {
        requests(root, cost_s)?
    } else {
        aggregates(root)?
    };
    Ok(Finding {
        label: name.to_owned(),
        tool: "vllm bench serve",
        begun: root.get("date").optional(Field::text)?.and_then(begun),
        model: root.get("model_id").optional(Field::text)?.map(str::to_owned),
        load: Some(load_text(root)?),
        parameters: parameters(root)?,
        cost_s,
        evidence,
    })
}

/// A run or server of a sweep that broke off, with `--continue-on-error`.
fn failure(name: &str, root: &Field<'_>) -> Result<Finding, Problem> {
    let kind = root.get("error_type").text()?;
    let message = root.get("error").optional(Field::text)?.unwrap_or_default();
    Ok(Finding {
        label: name.to_owned(),
        tool: "vllm bench sweep",
        begun: None,
        model: None,
        load: None,
        parameters: parameters(&root.get("serve_overrides"))?,
        cost_s: 0.0,
        // Why it broke off is in the server's log, so it may be the world as well.
        evidence: Evidence::Failure(Reason::new("other_tool", format!("{kind}: {message}"))),
    })
}

/// The members that are called like an engine argument: what a sweep varied, and `--metadata`.
fn parameters(root: &Field<'_>) -> Result<Configuration, Problem> {
    let mut parameters = Configuration::new();
    for (name, value) in root.members()? {
        let name = argument_name(name);
        if !EngineArguments::names().any(|known| known == name) {
            continue;
        }
        let value = match value {
            // As `--metadata` writes it.
            serde_json::Value::String(text) => parse_value(text),
            other => serde_json::from_value::<Value>(other.clone())
                .map_err(|_| root.get(&name).problem("is no value of an engine argument"))?,
        };
        parameters = parameters.with(name, value);
    }
    Ok(parameters)
}

/// `20261128-030952`, in a time zone that is not told and taken for UTC.
fn begun(date: &str) -> Option<String> {
    let date = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", date).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(date).ok()?.to_string())
}

/// How requests were released. Under a cap, the next is sent when one ends.
fn load(root: &Field<'_>) -> Result<Load, Problem> {
    Ok(match root.get("max_concurrency").optional(Field::tokens)? {
        Some(concurrency) => Load::Closed { concurrency },
        None => Load::Open,
    })
}

/// Requests a second; `None` where all were sent at once.
fn rate_per_s(root: &Field<'_>) -> Option<f64> {
    root.get("request_rate").number().ok()
}

fn load_text(root: &Field<'_>) -> Result<String, Problem> {
    let requests = root.get("num_prompts").optional(Field::count)?;
    let requests =
        requests.map_or("requests".to_owned(), |requests| format!("{requests} requests"));
    let rate = rate_per_s(root).map_or(", all at once".to_owned(), |rate| format!(", {rate}/s"));
    let cap = match load(root)? {
        Load::Closed { concurrency } => format!(", {concurrency} in flight"),
        Load::Open => String::new(),
    };
    Ok(format!("{requests}{rate}{cap}"))
}

fn requests(root: &Field<'_>, cost_s: f64) -> Result<Evidence, Problem> {
    let started = root.get("start_times").list()?;
    let count = started.len();
    let of = |name: &str| root.get(name).list_of(count);
    let prompt_tokens = of("input_lens")?;
    let output_tokens = of("output_lens")?;
    let ttfts = of("ttfts")?;
    let itls = of("itls")?;
    let errors = root.get("errors").optional(|list| list.list_of(count))?;
    let waits = root.get("queue_times").optional(|list| list.list_of(count))?;
    let load = load(root)?;
    // Latencies count from when the client wanted to send: before it waited for itself, unless it
    // was told to.
    let wait_s = |place: usize| match (&waits, load) {
        (Some(waits), Load::Open) => waits[place].number(),
        _ => Ok(0.0),
    };
    let mut records = Vec::new();
    for place in 0..count {
        let sent_s = started[place].number()?;
        let ttft_s = ttfts[place].number()?;
        let output_tokens = output_tokens[place].tokens()?;
        let error = match &errors {
            Some(errors) => errors[place].text()?,
            None => "",
        };
        let is_completed = error.is_empty() && ttft_s > 0.0 && output_tokens > 0;
        let mut chunk_times_s = Vec::new();
        if ttft_s > 0.0 {
            let mut time_s = sent_s + ttft_s;
            chunk_times_s.push(time_s);
            for gap_s in itls[place].list()? {
                time_s += gap_s.number()?;
                chunk_times_s.push(time_s);
            }
        }
        records.push(RequestRecord {
            index: u32::try_from(place).map_err(|_| root.problem("has too many requests"))?,
            prompt_tokens: prompt_tokens[place].tokens()?,
            output_tokens,
            intended_s: sent_s - wait_s(place)?,
            sent_s,
            first_token_s: chunk_times_s.first().copied(),
            last_token_s: chunk_times_s.last().copied(),
            queue_time_s: None,
            chunk_times_s,
            status: if is_completed {
                RequestStatus::Completed
            } else {
                RequestStatus::Failed(error.to_owned())
            },
        });
    }
    let completed = records.iter().filter(|record| record.is_completed()).count() as u64;
    let told = root.get("completed");
    if told.count()? != completed {
        let told = told.count()?;
        return Err(root.get("completed").problem(format!(
            "is {told}, but {completed} requests have a first token, output tokens and no error"
        )));
    }
    let held_back = matches!(load, Load::Closed { .. }) && rate_per_s(root).is_some();
    let caveats = held_back.then(|| {
        other_tool(
            "max_concurrency held requests back that were due; latencies count from when they were \
             sent",
        )
    });
    Ok(finding::requests(records, load, cost_s, caveats.into_iter().collect()))
}

/// Latencies, and what the file calls them.
const LATENCIES: [(&str, LatencyMetric); 4] =
    [("ttft", Metric::Ttft), ("tpot", Metric::Tpot), ("itl", Metric::Itl), ("e2el", Metric::E2e)];

/// Statistics, and what the file may call them.
const STATISTICS: [(Statistic, &[&str]); 4] = [
    (Statistic::Mean, &["mean"]),
    (Statistic::P50, &["median", "p50"]),
    (Statistic::P95, &["p95"]),
    (Statistic::P99, &["p99"]),
];

fn aggregates(root: &Field<'_>) -> Result<Evidence, Problem> {
    let completed = root.get("completed").count()?;
    let failed = root.get("failed").optional(Field::count)?;
    if completed == 0 {
        return Ok(Evidence::Failure(Reason::new("none_completed", "no request completed")));
    }
    let mut measurement = Measurement::new();
    for (latency, metric) in LATENCIES {
        for (statistic, names) in STATISTICS {
            for name in names {
                let value = root.get(&format!("{name}_{latency}_ms")).optional(Field::number)?;
                // 0 stands for "no such values".
                if let Some(value_ms) = value.filter(|value| *value > 0.0) {
                    measurement = measurement.with(metric(statistic), value_ms / 1e3);
                }
            }
        }
    }
    for (statistic, value_s) in e2e_of_list(root, completed)? {
        measurement = measurement.with(Metric::E2e(statistic), value_s);
    }
    for (name, metric) in [
        ("output_throughput", Metric::OutputThroughput),
        ("request_throughput", Metric::RequestThroughput),
        ("request_goodput", Metric::Goodput),
    ] {
        if let Some(value) = root.get(name).optional(Field::number)? {
            measurement = measurement.with(metric, value);
        }
    }
    if let Some(failed) = failed {
        let share = completed as f64 / (completed + failed) as f64;
        measurement = measurement.with(Metric::CompletedShare, share);
    }
    let caveat = aggregates_only("vllm bench serve", "save with --save-detailed for more");
    Ok(Evidence::Aggregates(measurement, vec![caveat]))
}

/// E2E latencies, which some versions list even without `--save-detailed`.
fn e2e_of_list(root: &Field<'_>, completed: u64) -> Result<Vec<(Statistic, f64)>, Problem> {
    let Some(latencies) = root.get("latencies").optional(Field::list)? else {
        return Ok(vec![]);
    };
    let waits = root.get("queue_times").optional(|list| list.list_of(latencies.len()))?;
    let waits = waits.filter(|_| matches!(load(root), Ok(Load::Open)));
    let mut values = Vec::new();
    for (place, latency) in latencies.iter().enumerate() {
        let wait_s = waits.as_ref().map_or(Ok(0.0), |waits| waits[place].number())?;
        // A request that failed has a latency of 0.
        if latency.number()? > 0.0 {
            values.push(wait_s + latency.number()?);
        }
    }
    if values.len() as u64 != completed {
        return Ok(vec![]);
    }
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let of = |statistic: Statistic| {
        let value = statistic.percent().map_or(Some(mean), |percent| percentile(&values, percent));
        Some((statistic, value?))
    };
    Ok(Statistic::ALL.into_iter().filter_map(of).collect())
}
