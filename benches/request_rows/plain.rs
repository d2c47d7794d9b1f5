//! The same aggregation in plain polars: only the columns that it needs, no checksum, no records.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use polars::prelude::{
    BooleanChunked, ChunkAgg, ChunkCast, ChunkCompareEq, ChunkCompareIneq, ChunkFilter,
    ChunkQuantile, DataType, Float64Chunked, Int64Chunked, ParquetReader, QuantileMethod,
    SerReader,
};
use slotune::serving::{
    LengthClass,
    metrics::{Metric, Statistic},
};

use crate::{Answer, Error, SLO};

const COLUMNS: [&str; 6] =
    ["output_tokens", "intended_s", "first_token_s", "last_token_s", "queue_time_s", "status"];

/// The metric that a statistic of some latency is.
type MetricOf = fn(Statistic) -> Metric;

/// The metrics of each trial.
pub(crate) fn analyse(folder: &Path) -> Result<Answer, Error> {
    let entries = fs::read_dir(folder.join("requests"))?;
    let mut parts =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>, Error>>()?;
    parts.sort();
    parts.iter().map(|part| metrics(part)).collect()
}

fn metrics(part: &Path) -> Result<BTreeMap<String, f64>, Error> {
    let frame = ParquetReader::new(File::open(part)?)
        .with_columns(Some(COLUMNS.map(str::to_owned).to_vec()))
        .finish()?;
    let column =
        |name: &str| frame.column(name).map(|column| column.as_materialized_series().clone());
    let status = column("status")?;
    let completed: BooleanChunked = status.str()?.equal("completed");
    let rows = frame.height() as f64;
    let start_s = column("intended_s")?.f64()?.min().ok_or("no rows")?;
    let float = |name: &str| -> Result<Float64Chunked, Error> {
        Ok(column(name)?.f64()?.filter(&completed)?)
    };
    let tokens: Int64Chunked = column("output_tokens")?.i64()?.filter(&completed)?;
    let (intended_s, first_s, last_s) =
        (float("intended_s")?, float("first_token_s")?, float("last_token_s")?);
    let (e2e_s, ttft_s) = (&last_s - &intended_s, &first_s - &intended_s);
    let many = tokens.gt(1);
    let gaps = tokens.filter(&many)? - 1;
    let gaps = gaps.cast(&DataType::Float64)?;
    let tpot_s = &(&e2e_s - &ttft_s).filter(&many)? / gaps.f64()?;

    let mut answer = BTreeMap::new();
    let mut add = |metric: Metric, value: Option<f64>| {
        if let Some(value) = value {
            answer.insert(metric.name(), value);
        }
    };
    let queue_s = float("queue_time_s")?;
    let latencies: [(MetricOf, &Float64Chunked); 4] = [
        (Metric::E2e, &e2e_s),
        (Metric::Ttft, &ttft_s),
        (Metric::Tpot, &tpot_s),
        (Metric::QueueTime, &queue_s),
    ];
    for (metric, values) in latencies {
        add(metric(Statistic::Mean), values.mean());
        let percentiles = [Statistic::P50, Statistic::P95, Statistic::P99];
        let shares = [0.5, 0.95, 0.99];
        for (statistic, value) in
            percentiles.into_iter().zip(values.quantiles(&shares, QuantileMethod::Linear)?)
        {
            add(metric(statistic), value);
        }
    }
    for class in LengthClass::ALL {
        let lengths = class.output_tokens();
        let is_in =
            tokens.gt_eq(i64::from(*lengths.start())) & tokens.lt_eq(i64::from(*lengths.end()));
        let values = e2e_s.filter(&is_in)?;
        add(Metric::E2eP95Of(class), values.quantile(0.95, QuantileMethod::Linear)?);
    }
    let known = queue_s.sum().unwrap_or_default();
    add(Metric::QueueShare, e2e_s.sum().map(|sum_s| known / sum_s));
    let window_s = last_s.max().ok_or("none completed")? - start_s;
    let count = tokens.len() as f64;
    let good = &ttft_s.lt_eq(SLO.ttft_s.unwrap_or(f64::INFINITY))
        & &e2e_s.lt_eq(SLO.e2e_s.unwrap_or(f64::INFINITY));
    add(Metric::OutputThroughput, tokens.sum().map(|sum| sum as f64 / window_s));
    add(Metric::RequestThroughput, Some(count / window_s));
    add(Metric::Goodput, good.sum().map(|good| f64::from(good) / window_s));
    add(Metric::CompletedShare, Some(count / rows));
    Ok(answer)
}
