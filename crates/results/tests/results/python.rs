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
