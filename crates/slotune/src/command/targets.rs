//! The options that say what is wanted: a goal and bounds.

use clap::Args;
use slotune::{
    core::{Constraint, Objective},
    serving::metrics::{Metric, Slo},
    study_file::{check_limits, check_unit},
};

#[derive(Debug, Args)]
pub(super) struct Targets {
    /// Metric to minimise
    #[arg(long, alias = "minimize", value_name = "METRIC", conflicts_with = "maximise")]
    minimise: Option<String>,
    /// Metric to maximise
    #[arg(long, alias = "maximize", value_name = "METRIC")]
    maximise: Option<String>,
    /// Least value of a metric
    #[arg(long, value_name = "METRIC=VALUE", value_parser = bound)]
    at_least: Vec<(String, f64)>,
    /// Largest value of a metric
    #[arg(long, value_name = "METRIC=VALUE", value_parser = bound)]
    at_most: Vec<(String, f64)>,
}

fn bound(text: &str) -> Result<(String, f64), String> {
    let parts = text.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?)));
    let Some((name, value)) = parts.filter(|(_, value)| f64::is_finite(*value)) else {
        return Err("give a metric and a number, such as queue_share=0.3".to_owned());
    };
    // A name that nobody knows is told where the metrics are known.
    if let Ok(metric) = Metric::from_name(name) {
        check_unit(metric, value).map_err(|error| format!("{name} {error}"))?;
    }
    Ok((name.to_owned(), value))
}

/// A limit of a good request.
pub(super) fn limit(text: &str) -> Result<Slo, String> {
    let slo = text.parse()?;
    check_limits(&slo).map_err(|(name, error)| format!("{name} {error}"))?;
    Ok(slo)
}

impl Targets {
    /// The metric to optimise, where one is named.
    pub(super) fn goal(&self) -> Option<Objective> {
        let minimised = self.minimise.as_ref().map(Objective::minimise);
        minimised.or_else(|| self.maximise.as_ref().map(Objective::maximise))
    }

    /// The bounds.
    pub(super) fn bounds(&self) -> Vec<Constraint> {
        let least =
            self.at_least.iter().map(|(metric, value)| Constraint::at_least(metric, *value));
        let most = self.at_most.iter().map(|(metric, value)| Constraint::at_most(metric, *value));
        least.chain(most).collect()
    }
}
