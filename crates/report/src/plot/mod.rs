//! The pictures of the week-3 page, each as SVG and as the PNG that the SVG shows.

pub(crate) mod agreement;
mod dashboard;
mod effects;
mod figure;
mod importance;
mod latency_percentiles;
mod queue_time;
mod throughput;
mod trials;

use plotters::style::RGBColor;
use slotune_core::{Estimate, Objective};
use slotune_serving::RequestRecord;

use crate::{
    analysis::{Analysis, Effects},
    format::{self, bound_value, heading, label, scaled, unit},
    latency::Latency,
    subject::{Role, Subject},
};
use figure::{DrawError, Entry, Group, Mark, Shown, colour};

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

/// Names of the pictures, in the order of [`all`].
const NAMES: [&str; 4] = [
    "queue_time_optimization_comparison",
    "throughput_optimization_comparison",
    "latency_percentiles_comparison",
    "optimization_summary_dashboard",
];

/// Names and captions of the pictures, in the order of [`all`].
pub(crate) fn captions(objective: &Objective) -> Vec<(&'static str, String)> {
    let latencies = latency_percentiles::names(&Latency::asked(objective));
    let captions = [
        "Queue time before and after".to_owned(),
        "Throughput before and after".to_owned(),
        format!("Percentiles and distribution of {latencies}"),
        format!("Complete overview: {}", format::objective(objective)),
    ];
    NAMES.into_iter().zip(captions).collect()
}

/// Names of the pictures of the parameters.
const EFFECT_NAMES: [&str; 2] = ["parameter_importance", "parameter_effects"];

/// Names and captions of the pictures of the parameters, which a set has where it tells of them.
pub(crate) fn effect_captions(metric: &str) -> Vec<(&'static str, String)> {
    let name = label(metric);
    let captions = [
        format!("Importance of each parameter for the {name}, and the strongest pair"),
        format!("Effect of each parameter on the {name}"),
    ];
    EFFECT_NAMES.into_iter().zip(captions).collect()
}

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
    let mut pictures: Vec<Picture> = NAMES
        .into_iter()
        .zip(DRAW)
        .map(|(name, draw)| picture(name, draw(scene)))
        .collect::<Result<_, _>>()?;
    if let Ok(importance) = &scene.effects.importance {
        let [shares, curves] = EFFECT_NAMES;
        pictures.push(picture(shares, importance::draw(scene, importance))?);
        pictures.push(picture(curves, effects::draw(scene, importance))?);
    }
    Ok(pictures)
}

/// Size of a picture with one row of panels, pixels.
const ONE_ROW: (u32, u32) = (1200, 560);

/// The metric's name and unit for an axis.
fn axis_title(metric: &str) -> String {
    match unit(metric) {
        "" => heading(metric),
        unit => format!("{}, {unit}", heading(metric)),
    }
}

/// Space between a panel and what is written beside it, pixels.
const BESIDE: i32 = 8;

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

    /// One value for each server, with its name below.
    fn by_server(&self, metric: &str) -> Vec<Group> {
        let group = |(subject, _): &(Subject<'_>, _)| {
            let estimate = Self::estimate(subject, metric).map(|e| Estimate {
                value: scaled(metric, e.value),
                standard_error: scaled(metric, e.standard_error),
                ..e
            });
            let shown = Shown { estimate, colour: colour_of(subject.role) };
            Group { name: subject.label.to_owned(), values: vec![shown] }
        };
        self.subjects.iter().map(group).collect()
    }

    /// One group for each metric, in it one value for each server.
    fn by_metric(&self, metrics: &[(&str, &str)]) -> Vec<Group> {
        let group = |&(name, metric): &(&str, &str)| Group {
            name: name.to_owned(),
            values: self
                .subjects
                .iter()
                .map(|(subject, _)| Shown {
                    estimate: Self::estimate(subject, metric),
                    colour: colour_of(subject.role),
                })
                .collect(),
        };
        metrics.iter().map(group).collect()
    }

    /// The names of the servers by their colours.
    fn colours(&self) -> Vec<(RGBColor, &'static str)> {
        self.subjects.iter().map(|(subject, _)| (colour_of(subject.role), subject.label)).collect()
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
