//! GuideLLM's JSON report, versions 1 and 2 (GuideLLM 0.4 to 0.8).
//!
//! Format: `guidellm/benchmark/schemas/report.py` and `guidellm/schemas/base/info.py` of GuideLLM
//! 0.8.1. Times are Unix times. GuideLLM's names are not slotune's: its `inter_token_latency_ms` is
//! the TPOT, and its `time_per_output_token_ms` counts the first token as well. When each chunk
//! arrived it does not keep.

use slotune_core::{Configuration, Measurement};
use slotune_serving::{
    Load, RequestRecord, RequestStatus,
    metrics::{Metric, Statistic},
};

use super::{
    field::{Field, Problem},
    finding::{Evidence, Finding, LatencyMetric, aggregates_only, requests},
};

/// The versions of the report that are known.
const VERSIONS: [u64; 2] = [1, 2];

/// The runs of a report.
pub(super) fn report(name: &str, root: &Field<'_>) -> Result<Vec<Finding>, Problem> {
    let metadata = root.get("metadata");
    if !metadata.is_present() {
        return Err(metadata.problem(
            "is missing, as in reports of GuideLLM before 0.4, whose times are others; measure again with \
             a later one",
        ));
    }
    let version = metadata.get("version");
    if !VERSIONS.contains(&version.count()?) {
        return Err(version.problem(format!(
            "is {}, but this slotune knows 1 and 2; upgrade slotune",
            version.count()?
        )));
    }
    root.get("benchmarks").list()?.iter().map(|benchmark| finding(name, benchmark)).collect()
}

fn finding(name: &str, benchmark: &Field<'_>) -> Result<Finding, Problem> {
    let strategy = benchmark.get("config").get("strategy");
    let begun_s = benchmark.get("start_time").number()?;
    Ok(Finding {
        label: name.to_owned(),
        tool: "GuideLLM",
        begun: begun(begun_s),
        model: benchmark
            .get("config")
            .get("backend")
            .get("model")
            .optional(Field::text)?
            .map(str::to_owned),
        load: Some(load_text(&strategy)?),
        parameters: Configuration::new(),
        cost_s: benchmark.get("duration").number()?,
        evidence: evidence(benchmark, &strategy)?,
    })
}

fn begun(unix_s: f64) -> Option<String> {
    let since = jiff::SignedDuration::try_from_secs_f64(unix_s).ok()?;
    Some(jiff::Timestamp::from_duration(since).ok()?.to_string())
}

fn load_text(strategy: &Field<'_>) -> Result<String, Problem> {
    let kind = strategy.get("type_").text()?;
    let rate = strategy.get("rate").optional(Field::number)?;
    let streams = strategy.get("streams").optional(Field::number)?;
    let rate = rate.map_or(String::new(), |rate| format!(", {rate}/s"));
    let streams = streams.map_or(String::new(), |streams| format!(", {streams} in flight"));
    Ok(format!("{kind}{rate}{streams}"))
}

/// How requests were released: by a schedule, or when one before had ended.
fn load(strategy: &Field<'_>) -> Result<Load, Problem> {
    Ok(match strategy.get("type_").text()? {
        "constant" | "poisson" | "trace" => Load::Open,
        "synchronous" => Load::Closed { concurrency: 1 },
        _ => Load::Closed {
            concurrency: strategy.get("streams").optional(Field::tokens)?.unwrap_or(u32::MAX),
        },
    })
}

fn evidence(benchmark: &Field<'_>, strategy: &Field<'_>) -> Result<Evidence, Problem> {
    let load = load(strategy)?;
    let lists = benchmark.get("requests");
    let totals = benchmark.get("metrics").get("request_totals");
    let mut records = Vec::new();
    for status in ["successful", "incomplete", "errored"] {
        let list = lists.get(status).optional(Field::list)?.unwrap_or_default();
        if (list.len() as u64) < totals.get(status).count()? {
            return aggregates(benchmark);
        }
        for request in &list {
            records.extend(record(request, status, load)?);
        }
    }
    records.sort_by(|a, b| a.intended_s.total_cmp(&b.intended_s));
    for (index, record) in (0..).zip(&mut records) {
        record.index = index;
    }
    Ok(requests(records, load, benchmark.get("duration").number()?, vec![]))
}

/// What happened to a request; `None` of one that was never sent.
fn record(request: &Field<'_>, status: &str, load: Load) -> Result<Option<RequestRecord>, Problem> {
    let timings = request.get("info").get("timings");
    let Some(sent_s) = timings.get("request_start").optional(Field::number)? else {
        return Ok(None);
    };
    let targeted_s = timings.get("targeted_start").optional(Field::number)?;
    // A closed loop aims at "now", whenever that comes.
    let intended_s = targeted_s.filter(|_| load == Load::Open).unwrap_or(sent_s);
    let is_completed = status == "successful";
    let tokens = |name: &str| {
        let tokens = request.get(name);
        let tokens =
            if is_completed { tokens.tokens().map(Some) } else { tokens.optional(Field::tokens) };
        Ok(tokens?.unwrap_or(0))
    };
    let error = request.get("info").get("error").optional(Field::text)?.unwrap_or_default();
    Ok(Some(RequestRecord {
        index: 0,
        prompt_tokens: tokens("prompt_tokens")?,
        output_tokens: tokens("output_tokens")?,
        intended_s,
        sent_s,
        first_token_s: timings.get("first_token_iteration").optional(Field::number)?,
        last_token_s: timings.get("last_token_iteration").optional(Field::number)?,
        queue_time_s: None,
        chunk_times_s: vec![],
        status: match status {
            "successful" => RequestStatus::Completed,
            "incomplete" => RequestStatus::Unfinished,
            _ => RequestStatus::Failed(error.to_owned()),
        },
    }))
}

/// What the report says of its successful requests.
fn aggregates(benchmark: &Field<'_>) -> Result<Evidence, Problem> {
    let metrics = benchmark.get("metrics");
    let mut measurement = Measurement::new();
    let latencies: [(&str, LatencyMetric, f64); 3] = [
        ("request_latency", Metric::E2e, 1.0),
        ("time_to_first_token_ms", Metric::Ttft, 1e-3),
        ("inter_token_latency_ms", Metric::Tpot, 1e-3),
    ];
    for (name, metric, seconds) in latencies {
        let summary = metrics.get(name).get("successful");
        let percentiles = summary.get("percentiles");
        for (statistic, value) in [
            (Statistic::Mean, summary.get("mean")),
            (Statistic::P50, percentiles.get("p50")),
            (Statistic::P95, percentiles.get("p95")),
            (Statistic::P99, percentiles.get("p99")),
        ] {
            if let Some(value) = value.optional(Field::number)?.filter(|value| *value > 0.0) {
                measurement = measurement.with(metric(statistic), value * seconds);
            }
        }
    }
    for (name, metric) in [
        ("output_tokens_per_second", Metric::OutputThroughput),
        ("requests_per_second", Metric::RequestThroughput),
    ] {
        let mean = metrics.get(name).get("successful").get("mean");
        if let Some(mean) = mean.optional(Field::number)? {
            measurement = measurement.with(metric, mean);
        }
    }
    let totals = metrics.get("request_totals");
    let [successful, total] = ["successful", "total"].map(|name| totals.get(name).count());
    if let (successful, total @ 1..) = (successful?, total?) {
        measurement = measurement.with(Metric::CompletedShare, successful as f64 / total as f64);
    }
    let caveat = aggregates_only("GuideLLM", "keep all requests for more (no `sample_size`)");
    Ok(Evidence::Aggregates(measurement, vec![caveat]))
}
