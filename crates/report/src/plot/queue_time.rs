//! Queue time before and after: where the time of a median request goes, and its share.

use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Scene,
    figure::{
        Axis, Canvas, DrawError, Drawn, Entry, Mark, Panel, SMALL, bars, colour, columns, page,
        rectangle, style, text,
    },
};
use crate::format::parts;

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    page("Queue time before and after", &scene.source, super::ONE_ROW, |canvas| {
        let panels = columns(canvas, 2);
        split(scene, &panels[0])?;
        let target = scene.target("queue_share");
        let target = target.as_ref().map(|(value, label)| (*value, label.as_str()));
        let axis = |tops| Axis::from_zero("share of latency, %", tops);
        let metric = "queue_share";
        bars(&panels[1], "Queue time share", metric, axis, &[], &scene.by_server(metric), target)
    })
}

/// One level bar for each server: queue time, then the rest of the latency. Medians where they are
/// known; a real server tells the sum of its queue times, which gives the mean only.
pub(super) fn split(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Drawn {
    let is_known = |metric| {
        scene.subjects.iter().any(|(subject, _)| Scene::estimate(subject, metric).is_some())
    };
    let (heading, queue_time, latency) =
        if is_known("queue_time_mean_s") && !is_known("queue_time_p50_s") {
            ("Where the mean time goes: queue, then the rest", "queue_time_mean_s", "e2e_mean_s")
        } else {
            (
                "Where the time goes: P50 queue time, rest of P50 latency",
                "queue_time_p50_s",
                "e2e_p50_s",
            )
        };
    let entries = [
        Entry::new(Mark::Square, colour::VERMILION, "waiting in the queue"),
        Entry::new(Mark::Square, colour::BLUE, "prefill and decode"),
    ];
    let rows: Vec<(&str, Option<(f64, f64)>)> = scene
        .subjects
        .iter()
        .map(|(subject, _)| {
            let value = |metric| Scene::estimate(subject, metric).map(|e| e.value);
            let times = value(queue_time).zip(value(latency));
            // Percentiles of parts need not add up; the total is never drawn shorter than a part.
            (subject.label, times.map(|(queue, total)| (queue, total.max(queue))))
        })
        .rev()
        .collect();
    let totals = rows.iter().filter_map(|(_, times)| times.map(|(_, total)| total));
    // Room at the right for the longest label.
    let x = Axis::from_zero("seconds", totals.map(|total| total * 1.35));
    let panel =
        Panel::new(canvas, heading, &entries, x, Axis::names(rows.iter().map(|(name, _)| *name)))?;
    let label = style(SMALL, colour::INK).at(HPos::Left, VPos::Center);
    for (i, (_, times)) in rows.iter().enumerate() {
        let (middle, top, bottom) =
            (panel.y(i as f64 + 0.5), panel.y(i as f64 + 0.75), panel.y(i as f64 + 0.25));
        let Some((queue, total)) = *times else {
            text(canvas, "n/a", (panel.x(0.0) + 6, middle), &label)?;
            continue;
        };
        rectangle(canvas, panel.x(0.0)..panel.x(queue), top..bottom, colour::VERMILION)?;
        rectangle(canvas, panel.x(queue)..panel.x(total), top..bottom, colour::BLUE)?;
        let words = format!("{} s", parts(queue, total));
        text(canvas, &words, (panel.x(total) + 6, middle), &label)?;
    }
    if rows.is_empty() {
        panel.remark("nothing was measured")?;
    }
    Ok(())
}
