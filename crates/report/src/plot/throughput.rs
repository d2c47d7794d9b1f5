//! Throughput before and after: output tokens and requests.

use super::{
    Scene,
    figure::{Axis, DrawError, bars, columns, page},
};

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    page("Throughput before and after", &scene.source, super::ONE_ROW, |canvas| {
        let panels = columns(canvas, 2);
        for (panel, heading, unit, metric) in [
            (&panels[0], "Output tokens", "tokens per second", "output_throughput_tok_per_s"),
            (&panels[1], "Completed requests", "requests per second", "request_throughput_per_s"),
        ] {
            let target = scene.target(metric);
            let target = target.as_ref().map(|(value, label)| (*value, label.as_str()));
            bars(
                panel,
                heading,
                metric,
                |tops| Axis::from_zero(unit, tops),
                &[],
                &scene.by_server(metric),
                target,
            )?;
        }
        Ok(())
    })
}
