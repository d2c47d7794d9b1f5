//! Holds the architecture: which crate may import which, and where heavy dependencies may stand.

use std::{collections::BTreeMap, fs, path::Path};

/// Which crates of the workspace each may import, as `docs/ARCHITECTURE.md` draws it.
const ARROWS: &[(&str, &[&str])] = &[
    ("slotune-core", &[]),
    ("slotune-serving", &["slotune-core"]),
    ("slotune-sim", &["slotune-serving"]),
    ("slotune-vllm", &["slotune-serving"]),
    ("slotune-results", &["slotune-serving", "slotune-core"]),
    ("slotune-report", &["slotune-results", "slotune-serving", "slotune-core"]),
    (
        "slotune",
        &[
            "slotune-core",
            "slotune-report",
            "slotune-results",
            "slotune-serving",
            "slotune-sim",
            "slotune-vllm",
        ],
    ),
];

/// Dependencies that only the named crates may have.
const HEAVY: &[(&str, &[&str])] = &[
    ("argmin", &["slotune-core"]),
    ("argmin-math", &["slotune-core"]),
    ("faer", &["slotune-core"]),
    ("linfa", &["slotune-core"]),
    ("linfa-trees", &["slotune-core"]),
    ("ndarray", &["slotune-core"]),
    ("sobol_burley", &["slotune-core"]),
    ("polars", &["slotune-results"]),
    ("plotters", &["slotune-report"]),
    ("minijinja", &["slotune-report"]),
    ("pulldown-cmark", &["slotune-report"]),
    ("resvg", &["slotune-report"]),
    ("nvml-wrapper", &["slotune-vllm"]),
    ("reqwest", &["slotune-vllm"]),
    ("rustix", &["slotune-vllm"]),
    ("rustls", &["slotune-vllm"]),
    ("clap", &["slotune"]),
    ("indicatif", &["slotune"]),
    ("schemars", &["slotune"]),
    ("tokio", &["slotune", "slotune-vllm"]),
];

/// What a crate's normal and build dependencies are; tests may use anything.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let crates =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/slotune has a parent");
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(crates).expect("crates/ can be listed") {
        let manifest = folder.expect("entry").path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
        let table: toml::Table = text.parse().expect("Cargo.toml is TOML");
        let name = table["package"]["name"].as_str().expect("a package has a name").to_owned();
        let names = ["dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| table.get(*section)?.as_table())
            .flat_map(|section| section.keys().cloned())
            .collect();
        found.insert(name, names);
    }
    found
}

#[test]
fn imports_point_inward() {
    let dependencies = dependencies();
    let known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        dependencies.keys().map(String::as_str).collect::<Vec<_>>(),
        {
            let mut sorted = known.clone();
            sorted.sort_unstable();
            sorted
        },
        "every crate has its row in ARROWS"
    );
    for (name, allowed) in ARROWS {
        for dependency in dependencies[*name].iter().filter(|d| known.contains(&d.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not import {dependency}");
        }
    }
}

#[test]
fn heavy_dependencies_stay_in_their_crate() {
    let dependencies = dependencies();
    for (heavy, allowed) in HEAVY {
        for (name, _) in dependencies.iter().filter(|(_, names)| names.iter().any(|n| n == heavy)) {
            assert!(allowed.contains(&name.as_str()), "{name} must not depend on {heavy}");
        }
    }
}
