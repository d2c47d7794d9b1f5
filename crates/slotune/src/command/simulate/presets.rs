//! Which GPUs and models there are: names, files, and the lists of them.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::{Value, json};
use slotune::sim::{Coefficient, GpuPreset, ModelPreset, PresetError, names_a_file, shipped_file};

use crate::command::Error;

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

/// Prints a shipped file as it is, to start one's own from.
pub(super) fn show(name: &str) -> Result<ExitCode, Error> {
    io::stdout().lock().write_all(shipped_file(name)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints all presets: as a table, or with every number and its source as JSON.
pub(super) fn list(as_json: bool) -> Result<ExitCode, Error> {
    let gpus = GpuPreset::names().map(GpuPreset::named).collect::<Result<Vec<_>, _>>()?;
    let models = ModelPreset::names().map(ModelPreset::named).collect::<Result<Vec<_>, _>>()?;
    let mut out = io::stdout().lock();
    if as_json {
        let gpus: Vec<Value> = gpus.iter().map(gpu_as_json).collect();
        let models: Vec<Value> = models.iter().map(model_as_json).collect();
        writeln!(out, "{:#}", json!({ "gpus": gpus, "models": models }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["memory_gib", "weights_gb_per_s", "matmul_tflop_per_s", "link_gb_per_s"];
    write!(out, "{:16}", "GPU")?;
    columns.iter().try_for_each(|column| write!(out, "{column:22}"))?;
    writeln!(out)?;
    for preset in &gpus {
        write!(out, "{:16}", preset.gpu.name)?;
        for column in columns {
            let number = preset.coefficients.iter().find(|number| number.name == column);
            let cell = number.map(|Coefficient { value, status, .. }| format!("{value} {status}"));
            write!(out, "{:22}", cell.unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\n{:16}{:>15}  of", "MODEL", "parameters")?;
    for preset in &models {
        let billions = preset.shape.parameters() / 1e9;
        writeln!(out, "{:16}{billions:>13.3} B  {}", preset.name, preset.shape.name)?;
    }
    writeln!(
        out,
        "\nEvery number of a preset and where it is from: --show NAME, or --list --json. For a GPU or \
         model of your own, change what --show prints, and pass the file: --gpu mine.toml"
    )?;
    Ok(ExitCode::SUCCESS)
}

fn gpu_as_json(preset: &GpuPreset) -> Value {
    let coefficients: Vec<Value> = preset
        .coefficients
        .iter()
        .map(|number| {
            json!({
                "name": number.name,
                "value": number.value,
                "status": number.status.to_string(),
                "source": number.source,
            })
        })
        .collect();
    json!({
        "name": preset.gpu.name,
        "description": preset.description,
        "coefficients": coefficients,
    })
}

fn model_as_json(preset: &ModelPreset) -> Value {
    let shape = &preset.shape;
    json!({
        "name": preset.name,
        "model": shape.name,
        "source": preset.source,
        "parameters": shape.parameters(),
        "layers": shape.layers,
        "hidden": shape.hidden,
        "query_heads": shape.query_heads,
        "kv_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate": shape.intermediate,
        "vocabulary": shape.vocabulary,
        "tied_embeddings": shape.tied_embeddings,
        "attention_bias": shape.attention_bias,
        "max_len": shape.max_len,
    })
}
