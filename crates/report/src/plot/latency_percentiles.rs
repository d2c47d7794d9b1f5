//! Percentiles of the latencies that the goals are about, before and after, and the whole distribution where
//! requests are at hand.

use slotune_serving::{
    RequestRecord,
    metrics::{Statistic, percentile},
};

use super::{
    ONE_ROW, Scene, colour_of,
    figure::{Axis, Canvas, DrawError, Drawn, Mark, Panel, columns, page, side_by_side},
};
use crate::{format::and, latency::Latency};

/// Steps of a distribution's line: pixels are whole numbers, so that more make it ragged.
const STEPS: u32 = 60;

/// Percentages beyond the last step, where the line bends most.
const TAIL: [f64; 4] = [99.0, 99.5, 99.9, 100.0];

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    let asked = Latency::asked(scene.analysis.objective());
    let title = format!("{} before and after", names(&asked));
    let rows = u32::try_from(asked.len()).unwrap_or(1);
    page(&title, &scene.source, (ONE_ROW.0, ONE_ROW.1 * rows), |canvas| {
        for (row, latency) in canvas.split_evenly((asked.len(), 1)).iter().zip(&asked) {
            let panels = columns(&row.margin(0, super::figure::GAP, 0, 0), 2);
            percentiles(scene, *latency, &panels[0])?;
            distribution(scene, *latency, &panels[1])?;
        }
        Ok(())
    })
}

/// The latencies in a sentence.
pub(super) fn names(latencies: &[Latency]) -> String {
    and(&latencies.iter().map(|latency| latency.label().to_owned()).collect::<Vec<_>>())
}

/// Median, 95th and 99th percentile of each server.
pub(super) fn percentiles(scene: &Scene<'_>, latency: Latency, canvas: &Canvas<'_>) -> Drawn {
    let percentiles = [("P50", Statistic::P50), ("P95", Statistic::P95), ("P99", Statistic::P99)];
    let percentiles = percentiles.map(|(name, statistic)| (name, latency.metric(statistic)));
    let metrics: Vec<(&str, &str)> =
        percentiles.iter().map(|(name, metric)| (*name, metric.as_str())).collect();
    let axis = |tops| Axis::for_values("seconds", tops);
    let heading = format!("Percentiles of {}", latency.label());
    let groups = scene.by_metric(&metrics);
    side_by_side(canvas, &heading, metrics[0].1, axis, &scene.colours(), &groups, None)
}

/// Share of the completed requests that took at most so long.
fn distribution(scene: &Scene<'_>, latency: Latency, canvas: &Canvas<'_>) -> Drawn {
    let lines: Vec<_> = scene
        .subjects
        .iter()
        .map(|(subject, records)| (subject.role, latencies(latency, records)))
        .filter(|(_, latencies)| !latencies.is_empty())
        .collect();
    let ends =
        lines.iter().flat_map(|(_, latencies)| [latencies[0], latencies[latencies.len() - 1]]);
    let (low, high) =
        ends.fold((f64::INFINITY, 0.0_f64), |(low, high), end| (low.min(end), high.max(end)));
    let x = if lines.is_empty() {
        Axis::log("seconds", 0.1, 10.0)
    } else {
        Axis::log("seconds", low, high)
    };
    let what = if latency == Latency::Itl { "gaps" } else { "completed requests" };
    let y = Axis::percent(&format!("share of {what}, %"));
    let heading = format!("Distribution of {}", latency.label());
    let panel = Panel::new(canvas, &heading, &scene.legend(Mark::Line), x, y)?;
    for (role, latencies) in &lines {
        let steps = (0..STEPS).map(|step| f64::from(step) / f64::from(STEPS) * 100.0);
        let points: Vec<(f64, f64)> = steps
            .chain(TAIL)
            .filter_map(|percent| Some((percentile(latencies, percent)?, percent)))
            .collect();
        panel.path(&points, false, colour_of(*role), 3)?;
    }
    if lines.is_empty() {
        panel.remark("no request records at hand")?;
    }
    Ok(())
}

/// What the requests had of a latency, seconds, shortest first; those that a log scale can show.
fn latencies(latency: Latency, records: &[RequestRecord]) -> Vec<f64> {
    let all = records.iter().flat_map(|record| latency.of_request(record));
    let mut shown: Vec<f64> = all.filter(|value| value.is_finite() && *value > 0.0).collect();
    shown.sort_by(f64::total_cmp);
    shown
}
