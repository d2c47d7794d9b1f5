//! The list of what is shipped.

use std::fmt;

use serde::Serialize;

use super::{Coefficient, GpuPreset, ModelPreset};

/// Rates that the table of GPUs has a column for.
const COLUMNS: [&str; 4] =
    ["memory_gib", "weights_gb_per_s", "matmul_tflop_per_s", "link_gb_per_s"];

/// The presets that are known by name. As text a table, as JSON one object with every number and where it
/// is from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShippedPresets {
    /// The measured GPU first.
    pub gpus: Vec<GpuPreset>,
    /// The families in the order of their sizes.
    pub models: Vec<ModelPreset>,
}

impl ShippedPresets {
    /// All of them.
    #[expect(clippy::missing_panics_doc, reason = "they are compiled in, and a test reads each")]
    pub fn all() -> Self {
        let expectation = "this preset is shipped";
        let gpus = GpuPreset::names().map(|name| GpuPreset::named(name).expect(expectation));
        let models = ModelPreset::names().map(|name| ModelPreset::named(name).expect(expectation));
        Self { gpus: gpus.collect(), models: models.collect() }
    }
}

impl fmt::Display for ShippedPresets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:16}", "GPU")?;
        COLUMNS.iter().try_for_each(|column| write!(f, "{column:22}"))?;
        writeln!(f)?;
        for preset in &self.gpus {
            write!(f, "{:16}", preset.gpu.name)?;
            for column in COLUMNS {
                let number = preset.coefficients.iter().find(|number| number.name == column);
                let cell =
                    number.map(|Coefficient { value, status, .. }| format!("{value} {status}"));
                write!(f, "{:22}", cell.unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\n{:16}{:>15}  of", "MODEL", "parameters")?;
        for preset in &self.models {
            let billions = preset.shape.parameters() / 1e9;
            writeln!(f, "{:16}{billions:>13.3} B  {}", preset.name, preset.shape.name)?;
        }
        writeln!(
            f,
            "\nEvery number of a preset and where it is from: --show NAME, or --list --json. For a GPU or \
             model of your own, change what --show prints, and pass the file: --gpu mine.toml"
        )
    }
}
