//! Presets: GPUs and models as data, in TOML files that users can write too.
//!
//! Those in `presets/` are compiled in. A GPU's file gives each number with its status and source, a
//! model's file the shape that its publisher's `config.json` tells.

mod error;
mod file;
mod gpu;
mod model;
mod numbers;
mod shipped;

pub use error::PresetError;
pub use gpu::{Coefficient, GpuPreset, Status};
pub use model::ModelPreset;
pub(crate) use numbers::{Least, Number, numbers};
pub use shipped::ShippedPresets;

use std::{fs, path::Path};

use slotune_serving::nearest;

/// A shipped file: its preset's name and its text.
type Shipped = (&'static str, &'static str);

/// The shipped files of a kind, by name.
macro_rules! shipped {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/presets/", $folder, "/", $name, ".toml")),
        )),+]
    };
}

/// GPUs, the measured one first.
const GPUS: [Shipped; 8] = shipped![
    "gpus": "h100-sxm", "h200", "a100-80gb", "a100-40gb", "l40s", "a10g", "l4", "rtx-4090"
];

/// Models, the families in the order of their sizes.
const MODELS: [Shipped; 10] = shipped![
    "models":
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen2.5-3b",
    "qwen2.5-7b",
    "qwen2.5-14b",
    "qwen2.5-32b",
    "qwen2.5-72b",
    "llama-3.1-8b",
    "llama-3.1-70b",
    "mistral-7b-v0.3",
];

/// The text of the shipped file of that name: a GPU's or a model's, comments and all, to start a
/// file of one's own from.
///
/// # Errors
/// [`PresetError::Unknown`] offers the most similar name.
pub fn shipped_file(name: &str) -> Result<&'static str, PresetError> {
    let all: Vec<Shipped> = GPUS.into_iter().chain(MODELS).collect();
    find("preset", &all, name).map(|(_, text)| text)
}

/// The file of that name, or the only one whose name begins so; letters' case is ignored.
fn find(kind: &'static str, shipped: &[Shipped], name: &str) -> Result<Shipped, PresetError> {
    let wanted = name.trim().to_lowercase();
    if let Some(file) = shipped.iter().find(|(name, _)| *name == wanted) {
        return Ok(*file);
    }
    let mut beginnings =
        shipped.iter().filter(|(name, _)| !wanted.is_empty() && name.starts_with(&wanted));
    match (beginnings.next(), beginnings.next()) {
        (Some(file), None) => Ok(*file),
        (first, _) => Err(PresetError::Unknown {
            kind,
            name: name.to_owned(),
            nearest: first
                .map(|(name, _)| *name)
                .or_else(|| nearest::nearest(&wanted, shipped.iter().map(|(name, _)| *name))),
            known: shipped.iter().map(|(name, _)| *name).collect(),
        }),
    }
}

/// Whether a text is the path of a user's file and not the name of a shipped preset: it ends in `.toml`, or
/// has a folder in it.
pub fn names_a_file(text: &str) -> bool {
    let path = Path::new(text);
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
        || path.components().count() > 1
}

/// The text of a user's file.
fn read(path: &Path) -> Result<String, PresetError> {
    fs::read_to_string(path).map_err(|error| PresetError::Read {
        file: path.display().to_string(),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
