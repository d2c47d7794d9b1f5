//! Latency percentiles before and after, and the whole distribution where requests are at hand.

use slotune_serving::{RequestRecord, metrics::percentile};

use super::{
    Scene, colour_of,
    figure::{Axis, Canvas, DrawError, Drawn, Mark, Panel, bars, columns, page},
};

/// Steps of a distribution's line: pixels are whole numbers, so that more make it ragged.
const STEPS: u32 = 60;

/// Percentages beyond the last step, where the line bends most.
const TAIL: [f64; 4] = [99.0, 99.5, 99.9, 100.0];

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    page("Latency before and after", &scene.source, super::ONE_ROW, |canvas| {
        let panels = columns(canvas, 2);
        let percentiles = [("P50", "e2e_p50_s"), ("P95", "e2e_p95_s"), ("P99", "e2e_p99_s")];
        let groups = scene.by_metric(&percentiles);
        let legend = scene.legend(Mark::Square);
        let axis = |tops| Axis::for_bars("seconds", tops);
        let heading = "Percentiles of end-to-end latency";
        bars(&panels[0], heading, "e2e_p50_s", axis, &legend, &groups, None)?;
        distribution(scene, &panels[1])
    })
}

/// Share of the completed requests that took at most so long.
fn distribution(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Drawn {
    let lines: Vec<_> = scene
        .subjects
        .iter()
        .map(|(subject, records)| (subject.role, latencies(records)))
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
    let y = Axis::percent("share of completed requests, %");
    let heading = "Distribution of end-to-end latency";
    let panel = Panel::new(canvas, heading, &scene.legend(Mark::Line), x, y)?;
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

/// End-to-end latencies of the completed requests, seconds, shortest first; those that a log scale
/// can show.
fn latencies(records: &[RequestRecord]) -> Vec<f64> {
    let latencies = records.iter().filter_map(RequestRecord::e2e_s);
    let mut latencies: Vec<f64> =
        latencies.filter(|latency| latency.is_finite() && *latency > 0.0).collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}
