//! DuckDB, pandas and polars read a set as one table.

use std::{path::Path, process::Command};

use crate::{
    round_trip::write,
    support::{manifest, trials},
};

/// Made by `scripts/python-env.sh`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/python/bin/python");

const SCRIPT: &str = include_str!("read_set.py");

#[test]
fn pandas_and_duckdb_read_a_set_as_one_table() {
    assert!(Path::new(PYTHON).exists(), "{PYTHON} is missing; run scripts/python-env.sh first");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    let output = Command::new(PYTHON).args(["-c", SCRIPT]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const GUIDE: &str = include_str!("../../../../docs/guide/reading-results.md");

/// Each block of Python in the guide, run where it stands beside a set.
#[test]
fn the_guide_s_python_reads_a_real_set() {
    let folder = tempfile::tempdir().unwrap();
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/h100_qwen2.5_7b_chat");
    for parts in ["trials", "requests"] {
        let to = folder.path().join("my-set").join(parts);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(set.join(parts)).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
    }
    std::fs::copy(set.join("manifest.json"), folder.path().join("my-set/manifest.json")).unwrap();
    let blocks: Vec<&str> =
        GUIDE.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 8, "{}", blocks.len());
    for block in blocks {
        let mut command = Command::new(PYTHON);
        let output = command.args(["-c", block]).current_dir(folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{errors}");
    }
}
