//! Shipped presets, names, and what is said of a malformed file.

use super::*;
use crate::{FrontEndCosts, HostCosts, ServerModel, StepCosts};

#[test]
fn every_shipped_preset_is_well_formed_and_carries_its_name() {
    for name in GpuPreset::names() {
        let preset = GpuPreset::named(name).expect(name);
        assert_eq!(preset.gpu.name, name);
        assert!(preset.coefficients.len() >= 7, "{name}");
        assert!(preset.coefficients.iter().all(|number| number.source.len() > 20), "{name}");
        // Only memory was read off other GPUs than the two that were measured.
        let certain = preset
            .coefficients
            .iter()
            .filter(|number| number.status != Status::Estimated && number.name != "memory_gib");
        assert_eq!(certain.count() > 0, ["h100-sxm", "h200"].contains(&name), "{name}");
    }
    for name in ModelPreset::names() {
        let preset = ModelPreset::named(name).expect(name);
        assert_eq!(preset.name, name);
        assert!(preset.source.contains(&preset.shape.name), "{name}");
    }
}

/// The file of the measured GPU holds all costs, and other files that hold none get them.
#[test]
fn the_measured_costs_are_in_the_measured_gpus_file() {
    let preset = GpuPreset::named("h100-sxm").expect("shipped");
    let costs = (preset.step, preset.host, preset.front_end);
    assert_eq!(costs, (StepCosts::measured(), HostCosts::measured(), FrontEndCosts::measured()));
    assert_eq!(preset.coefficients.len(), 7 + 4 + 13 + 7);
    let other = GpuPreset::named("l4").expect("shipped");
    assert_eq!((other.step, other.host, other.front_end), costs);
    let qwen = ModelPreset::named("qwen2.5-7b").expect("shipped").shape;
    assert_eq!(preset.server(qwen), ServerModel::measured());
}

#[test]
fn rates_of_the_measured_gpu_are_the_shares_of_its_data_sheet_that_were_fitted() {
    let gpu = GpuPreset::named("h100-sxm").expect("shipped").gpu;
    for (value, expected) in [
        // The fit counted 7.6155e9 parameters; the rates give its times for all 7,615,616,512.
        (gpu.weight_bytes_per_ms, 0.801 * 3350e6 * 1.000_016_5),
        (gpu.cache_bytes_per_ms, 0.801 * 3350e6),
        (gpu.matmul_operations_per_ms, 0.693 * 989e9 * 1.000_017_9),
        (gpu.attention_operations_per_ms, 0.443 * 989e9),
    ] {
        assert!((value / expected - 1.0).abs() < 1e-7, "{value} against {expected}");
    }
}

#[test]
fn names_are_found_by_their_beginning_where_only_one_begins_so() {
    for (name, found) in [
        ("l4", "l4"),
        ("L40", "l40s"),
        ("h100", "h100-sxm"),
        (" H200 ", "h200"),
        ("a100-8", "a100-80gb"),
    ] {
        assert_eq!(GpuPreset::named(name).expect(name).gpu.name, found);
    }
    assert_eq!(ModelPreset::named("mistral-7b").expect("unique").name, "mistral-7b-v0.3");
    for name in ["a100", "", "q"] {
        assert!(matches!(GpuPreset::named(name), Err(PresetError::Unknown { .. })), "{name}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    assert_eq!(
        GpuPreset::named("rtx4090").expect_err("it has a dash").to_string(),
        "unknown GPU `rtx4090`; did you mean `rtx-4090`?; known are h100-sxm, h200, a100-80gb, \
         a100-40gb, l40s, a10g, l4, rtx-4090, or the path of a file of your own that ends in .toml"
    );
    let error = ModelPreset::named("qwen2.5-70b").expect_err("it has 72").to_string();
    assert!(error.starts_with("unknown model `qwen2.5-70b`; did you mean `qwen2.5-7"), "{error}");
}

/// The H100's file with one text replaced, and what is said of it.
#[test]
fn a_malformed_gpu_file_is_told_by_line_field_and_remedy() {
    let shipped = shipped_file("h100-sxm").expect("shipped");
    let compare = "; compare with a shipped file, such as h100-sxm";
    for (good, bad, message) in [
        (
            "value = 79.19",
            "value = -1",
            "my.toml, line 7: `memory_gib` is -1, but must be finite and above 0".to_owned(),
        ),
        (
            "value = 79.19",
            "value = 0",
            "my.toml, line 7: `memory_gib` is 0, but must be finite and above 0".to_owned(),
        ),
        (
            "value = 79.19",
            "value = nan",
            "my.toml, line 7: `memory_gib` is NaN, but must be finite and above 0".to_owned(),
        ),
        (
            "value = 79.19",
            "value = \"80 GB\"",
            format!("my.toml, line 7: invalid type: string \"80 GB\", expected f64{compare}"),
        ),
        (
            "status = \"measured\"",
            "status = \"guessed\"",
            format!(
                "my.toml, line 8: unknown variant `guessed`, expected one of `measured`, `fitted`, `estimated`{compare}"
            ),
        ),
        (
            "status = \"measured\"\n",
            "",
            format!("my.toml, line 6: missing field `status`{compare}"),
        ),
        (
            "[step.norm]",
            "[step.nrom]",
            format!(
                "my.toml, line 60: unknown field `step.nrom`; did you mean `norm`?, known are fixed_ms, per_sequence_ms, mixed_ms, norm{compare}"
            ),
        ),
        ("name = ", "nam = ", String::new()),
        ("[memory_gib]", "[memory_gib", String::new()),
        ("[memory_gib]", "[vram]", String::new()),
    ] {
        let text = shipped.replacen(good, bad, 1);
        assert_ne!(text, shipped, "{good}");
        let error = GpuPreset::parse("my.toml", &text).expect_err(bad).to_string();
        assert!(error.starts_with("my.toml, line "), "{error}");
        assert!(message.is_empty() && error.ends_with(compare) || error == message, "{error}");
    }
    let start = shipped.find("[host.launch_tail_ms]").expect("a table");
    let end = start + shipped[start..].find("\n\n").expect("not the last table");
    let text = format!("{}{}", &shipped[..start], &shipped[end..]);
    let error = GpuPreset::parse("my.toml", &text).expect_err("incomplete").to_string();
    assert!(error.contains("missing field `host.launch_tail_ms`"), "{error}");
}

#[test]
fn a_malformed_model_file_is_told_by_line_field_and_remedy() {
    let shipped = shipped_file("qwen2.5-7b").expect("shipped");
    let compare = "; compare with a shipped file, such as qwen2.5-7b";
    for (good, bad, message) in [
        (
            "layers = 28",
            "layers = 0",
            "my.toml, line 7: `layers` is 0, but must be 1 or more".to_owned(),
        ),
        (
            "kv_heads = 4",
            "kv_heads = 5",
            "my.toml, line 10: `kv_heads` is 5, but must be a divisor of query_heads".to_owned(),
        ),
        (
            "layers = 28",
            "layers = -2",
            format!("my.toml, line 7: invalid value: integer `-2`, expected u32{compare}"),
        ),
        ("layers = 28", "layres = 28", String::new()),
        ("layers = 28\n", "", format!("my.toml, line 1: missing field `layers`{compare}")),
    ] {
        let text = shipped.replacen(good, bad, 1);
        assert_ne!(text, shipped, "{good}");
        let error = ModelPreset::parse("my.toml", &text).expect_err(bad).to_string();
        assert!(message.is_empty() && error.ends_with(compare) || error == message, "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = GpuPreset::read(Path::new("no/such/gpu.toml")).expect_err("it is not there");
    assert!(error.to_string().starts_with("no/such/gpu.toml: "), "{error}");
}

#[test]
fn a_preset_written_is_read_back() {
    for name in GpuPreset::names() {
        let preset = GpuPreset::named(name).expect(name);
        assert_eq!(GpuPreset::parse("written", &preset.to_toml()).as_ref(), Ok(&preset));
    }
    let quoted = GpuPreset {
        description: "\"mine\" \\ ours\n".into(),
        ..GpuPreset::named("l4").expect("shipped")
    };
    assert_eq!(GpuPreset::parse("written", &quoted.to_toml()), Ok(quoted));
}

fn coefficient(name: &str, value: f64) -> Coefficient {
    Coefficient { name: name.into(), value, status: Status::Fitted, source: "a test's".into() }
}

/// A number set is in the struct, in the list and in the file; a cost brings its table along.
#[test]
fn numbers_can_be_set() {
    let mut preset = GpuPreset::named("a100-40gb").expect("shipped");
    preset.set(coefficient("matmul_tflop_per_s", 250.0)).expect("a rate");
    preset.set(coefficient("host.eager_ms", 17.5)).expect("a cost");
    assert!((preset.gpu.matmul_operations_per_ms - 250e9).abs() < 1.0);
    assert_eq!(preset.host, HostCosts { eager_ms: 17.5, ..HostCosts::measured() });
    let names: Vec<&str> = preset.coefficients.iter().map(|number| number.name.as_str()).collect();
    assert_eq!((names.len(), names[3], names[7]), (7 + 13, "matmul_tflop_per_s", "host.full_ms"));
    let fitted = preset.coefficients.iter().filter(|number| number.source == "a test's").count();
    assert_eq!(fitted, 2);
    assert_eq!(GpuPreset::parse("written", &preset.to_toml()), Ok(preset));
}

#[test]
fn a_number_that_cannot_be_set_leaves_the_preset_as_it_was() {
    let mut preset = GpuPreset::named("l4").expect("shipped");
    let before = preset.clone();
    for (name, value, message) in [
        ("memory_gib", 0.0, "`memory_gib` is 0, but must be finite and above 0"),
        ("step.norm", 0.5, "`step.norm` is 0.5, but must be finite and at least 1"),
        ("host.full_ms", f64::INFINITY, "`host.full_ms` is inf, but must be finite and at least 0"),
        (
            "host.full_s",
            1.0,
            "unknown coefficient `host.full_s`; did you mean `host.full_ms`?; known are memory_gib, ",
        ),
        ("bandwidth", 1.0, "unknown coefficient `bandwidth`"),
    ] {
        let error = preset.set(coefficient(name, value)).expect_err(message).to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert_eq!(preset, before);
}

#[test]
fn a_model_is_known_by_its_publishers_name_and_a_beginning_offers_what_begins_so() {
    let published = ModelPreset::load("qwen/Qwen2.5-7B-Instruct").expect("it is shipped");
    assert_eq!(published, ModelPreset::named("qwen2.5-7b").expect("it is shipped"));
    for preset in ModelPreset::names().map(|name| ModelPreset::named(name).expect("it is shipped"))
    {
        assert_eq!(ModelPreset::load(&preset.shape.name), Ok(preset));
    }
    let error = GpuPreset::named("a100").expect_err("there are two").to_string();
    assert!(error.contains("did you mean `a100-80gb`?"), "{error}");
}
