//! What `--gpu` and `--model` may name.

use slotune::sim::{GpuPreset, ModelPreset, PresetError, names_a_file};

/// What `--gpu` names: a name is looked up at once, a file is read later.
pub(super) fn gpu(text: &str) -> Result<String, PresetError> {
    if !names_a_file(text) {
        GpuPreset::named(text)?;
    }
    Ok(text.to_owned())
}

/// What `--model` names, likewise.
pub(super) fn model(text: &str) -> Result<String, PresetError> {
    if !names_a_file(text) {
        ModelPreset::named(text)?;
    }
    Ok(text.to_owned())
}
