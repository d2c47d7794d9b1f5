//! The pictures of the week-3 page, each as SVG and as the PNG that the SVG shows.

pub(crate) mod agreement;
mod dashboard;
mod effects;
mod figure;
mod importance;
mod latency_percentiles;
mod queue_time;
mod throughput;

use plotters::style::RGBColor;
use slotune_core::Estimate;
use slotune_serving::RequestRecord;

use crate::{
    analysis::{Analysis, Effects},
    format::{bound_value, scaled},
    subject::{Role, Subject},
};
use figure::{DrawError, Entry, Group, Mark, colour};

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its file name without the ending.
    pub name: &'static str,
    /// The picture as SVG.
    pub svg: String,
    /// What the SVG shows, as PNG.
    pub png: Vec<u8>,
}

/// What the pictures show.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) analysis: &'a Analysis<'a>,
    pub(crate) effects: &'a Effects,
    /// The servers side by side, each with its requests; those may be empty.
    pub(crate) subjects: Vec<(Subject<'a>, Vec<RequestRecord>)>,
    /// Where the numbers come from, in a line.
    pub(crate) source: String,
}

/// Names and captions of the pictures, in the order of [`all`].
pub(crate) const CAPTIONS: [(&str, &str); 4] = [
    ("queue_time_optimization_comparison", "Queue time before and after"),
    ("throughput_optimization_comparison", "Throughput before and after"),
    ("latency_percentiles_comparison", "Latency percentiles and distribution"),
    ("optimization_summary_dashboard", "Complete overview"),
];

/// Names and captions of the pictures of the parameters, which a set has where it tells of them.
pub(crate) const EFFECT_CAPTIONS: [(&str, &str); 2] = [
    ("parameter_importance", "Importance of each parameter, and the strongest pair"),
    ("parameter_effects", "Effect of each parameter"),
];

/// Draws all pictures; says which failed and why.
pub(crate) fn all(scene: &Scene<'_>) -> Result<Vec<Picture>, (&'static str, String)> {
    type Draw = fn(&Scene<'_>) -> Result<String, DrawError>;
    const DRAW: [Draw; 4] =
        [queue_time::draw, throughput::draw, latency_percentiles::draw, dashboard::draw];
    let picture = |name: &'static str, svg: Result<String, DrawError>| {
        let svg = svg.map_err(|error| (name, error.to_string()))?;
        let png = figure::png(&svg).map_err(|error| (name, error))?;
        Ok(Picture { name, svg, png })
    };
    let mut pictures: Vec<Picture> = CAPTIONS
        .into_iter()
        .zip(DRAW)
        .map(|((name, _), draw)| picture(name, draw(scene)))
        .collect::<Result<_, _>>()?;
    if let Ok(importance) = &scene.effects.importance {
        let [(shares, _), (curves, _)] = EFFECT_CAPTIONS;
        pictures.push(picture(shares, importance::draw(scene, importance))?);
        pictures.push(picture(curves, effects::draw(scene, importance))?);
    }
    Ok(pictures)
}

/// Size of a picture with one row of panels, pixels.
const ONE_ROW: (u32, u32) = (1200, 560);

/// The colour of a server in every picture.
fn colour_of(role: Role) -> RGBColor {
    match role {
        Role::Baseline => colour::ORANGE,
        Role::Default => colour::SKY,
        Role::Found => colour::GREEN,
    }
}

impl Scene<'_> {
    /// A metric of a server, if it was measured.
    fn estimate(subject: &Subject<'_>, metric: &str) -> Option<Estimate> {
        subject
            .trial
            .entry
            .measurement()?
            .get(metric)
            .filter(|e| e.value.is_finite() && e.value >= 0.0)
    }

    /// One bar for each server, with its name below.
    fn by_server(&self, metric: &str) -> Vec<Group> {
        let group = |(subject, _): &(Subject<'_>, _)| {
            let estimate = Self::estimate(subject, metric).map(|e| Estimate {
                value: scaled(metric, e.value),
                standard_error: scaled(metric, e.standard_error),
                ..e
            });
            let bar = figure::Bar { estimate, colour: colour_of(subject.role) };
            Group { name: subject.label.to_owned(), bars: vec![bar] }
        };
        self.subjects.iter().map(group).collect()
    }

    /// One group for each metric, in it one bar for each server.
    fn by_metric(&self, metrics: &[(&str, &str)]) -> Vec<Group> {
        let group = |&(name, metric): &(&str, &str)| Group {
            name: name.to_owned(),
            bars: self
                .subjects
                .iter()
                .map(|(subject, _)| figure::Bar {
                    estimate: Self::estimate(subject, metric),
                    colour: colour_of(subject.role),
                })
                .collect(),
        };
        metrics.iter().map(group).collect()
    }

    /// The servers as entries of a legend.
    fn legend(&self, mark: Mark) -> Vec<Entry> {
        let entry = |(subject, _): &(Subject<'_>, _)| {
            Entry::new(mark, colour_of(subject.role), subject.label)
        };
        self.subjects.iter().map(entry).collect()
    }

    /// The bound of the objective on a metric as it is drawn: shares in percent; and its legend.
    fn target(&self, metric: &str) -> Option<(f64, String)> {
        let constraint =
            self.analysis.objective().constraints.iter().find(|c| c.metric == metric)?;
        let value = scaled(metric, constraint.bound.value());
        Some((value, format!("target {}", bound_value(constraint))))
    }
}
