//! Throughput before and after: output tokens and requests, and goodput where it is asked for.

use super::{
    Scene,
    figure::{Axis, DrawError, columns, page, side_by_side},
};
use crate::{
    asked::each_once,
    format::{heading, unit},
};

const OUTPUT: &str = "output_throughput_tok_per_s";
const REQUESTS: &str = "request_throughput_per_s";
const GOODPUT: &str = "goodput_per_s";

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    let is_throughput = |metric: &&str| [OUTPUT, REQUESTS, GOODPUT].contains(metric);
    let asked = scene.analysis.objective().metrics().filter(is_throughput);
    let metrics = each_once(asked.chain([OUTPUT, REQUESTS]));
    page("Throughput before and after", &scene.source, super::ONE_ROW, |canvas| {
        for (panel, metric) in columns(canvas, metrics.len()).iter().zip(&metrics) {
            let target = scene.target(metric);
            let target = target.as_ref().map(|(value, label)| (*value, label.as_str()));
            let axis = |tops| Axis::from_zero(unit(metric), tops);
            let groups = scene.by_server(metric);
            side_by_side(panel, &heading(metric), metric, axis, &[], &groups, target)?;
        }
        Ok(())
    })
}
