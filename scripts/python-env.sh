#!/bin/sh
# Makes target/python, the environment of `cargo test -p slotune-results --features python-tests`.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv target/python
target/python/bin/python -m pip install --quiet --disable-pip-version-check \
    duckdb==2.0.1 pandas==3.1.1 pyarrow==26.0.1
