//! Queue time before and after: where the time of a median request goes, and its share.

use plotters::style::text_anchor::{HPos, VPos};
use slotune_serving::metrics::Statistic;

use super::{
    BESIDE, Scene,
    figure::{
        Axis, Canvas, DrawError, Drawn, Entry, Mark, Panel, SMALL, colour, columns, page,
        rectangle, side_by_side, style, text, with_margin,
    },
};
use crate::{
    format::{heading, label, parts},
    latency::Latency,
};

/// Room for a label such as `10.4 + 100.4 s`, pixels.
const LABELS: u32 = 124;

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    page("Queue time before and after", &scene.source, super::ONE_ROW, |canvas| {
        let panels = columns(canvas, 2);
        split(scene, &panels[0])?;
        let metric = "queue_share";
        let target = scene.target(metric);
        let target = target.as_ref().map(|(value, label)| (*value, label.as_str()));
        let axis = |tops| Axis::from_zero("share of E2E latency, %", tops);
        let groups = scene.by_server(metric);
        side_by_side(&panels[1], &heading(metric), metric, axis, &[], &groups, target)
    })
}

/// One level bar for each server: queue time, then the rest of the latency that it is a part of, TTFT where
/// that is asked for. Medians where they are known; a real server tells the sum of its queue times, which
/// gives the mean only.
pub(super) fn split(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Drawn {
    let is_known = |metric: &str| {
        scene.subjects.iter().any(|(subject, _)| Scene::estimate(subject, metric).is_some())
    };
    let (whole, rest) = match Latency::asked(scene.analysis.objective())[0] {
        Latency::Ttft => (Latency::Ttft, "prefill"),
        _ => (Latency::E2e, "prefill and decode"),
    };
    let of = |statistic| (Latency::QueueTime.metric(statistic), whole.metric(statistic));
    let (median, mean) = (of(Statistic::P50), of(Statistic::Mean));
    let is_mean = is_known(&mean.0) && !is_known(&median.0);
    let (queue_time, latency) = if is_mean { mean } else { median };
    let title = format!("{}, of it {}", heading(&latency), label(&queue_time));
    let entries = [
        Entry::new(Mark::Square, colour::VERMILION, "waiting in the queue"),
        Entry::new(Mark::Square, colour::BLUE, rest),
    ];
    let rows: Vec<(&str, Option<(f64, f64)>)> = scene
        .subjects
        .iter()
        .map(|(subject, _)| {
            let value = |metric: &str| Scene::estimate(subject, metric).map(|e| e.value);
            let times = value(&queue_time).zip(value(&latency));
            // Percentiles of parts need not add up; the total is never drawn shorter than a part.
            (subject.label, times.map(|(queue, total)| (queue, total.max(queue))))
        })
        .rev()
        .collect();
    let totals = rows.iter().filter_map(|(_, times)| times.map(|(_, total)| total));
    let x = Axis::from_zero("seconds", totals);
    let names = Axis::names(rows.iter().map(|(name, _)| *name));
    let (plot, margin) = with_margin(canvas, LABELS);
    let panel = Panel::new(&plot, &title, &entries, x, names)?;
    let style = style(SMALL, colour::INK).at(HPos::Left, VPos::Center);
    for (i, (_, times)) in rows.iter().enumerate() {
        let (middle, top, bottom) =
            (panel.y(i as f64 + 0.5), panel.y(i as f64 + 0.75), panel.y(i as f64 + 0.25));
        let Some((queue, total)) = *times else {
            text(&margin, "n/a", (BESIDE, middle), &style)?;
            continue;
        };
        rectangle(&plot, panel.x(0.0)..panel.x(queue), top..bottom, colour::VERMILION)?;
        rectangle(&plot, panel.x(queue)..panel.x(total), top..bottom, colour::BLUE)?;
        let words = format!("{} s", parts(queue, total));
        text(&margin, &words, (BESIDE, middle), &style)?;
    }
    if rows.is_empty() {
        panel.remark("nothing was measured")?;
    }
    Ok(())
}
