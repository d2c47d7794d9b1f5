"""Reads the set of the round-trip tests with pandas and with DuckDB, and checks some of it."""

import glob
import math
import sys

import duckdb
import pandas
import pyarrow.dataset

folder = sys.argv[1]

trials = pandas.concat(map(pandas.read_parquet, sorted(glob.glob(f"{folder}/trials/*.parquet"))))
assert len(trials) == 4, len(trials)
assert list(trials["outcome"]) == ["completed", "completed", "infeasible", "failed"]
assert trials["e2e_p95_s"].iloc[0] == 4.4
assert math.isnan(trials["e2e_p95_s"].iloc[2])
assert trials["parameter_gpu_memory_utilization"].iloc[0] == 0.1 + 0.6
assert list(trials["seed"]) == [2**64 - 1, 2**64 - 1, 2**64 - 2, 2**64 - 3]

# One schema: pyarrow takes that of the first part, and would fail on another that differs.
assert pyarrow.dataset.dataset(f"{folder}/trials", format="parquet", exclude_invalid_files=True).count_rows() == 4

query = duckdb.sql(f"""
    SELECT study, count(*), max(output_throughput_tok_per_s), max(server_kv_blocks), bool_or(parameter_enable_chunked_prefill)
    FROM '{folder}/trials/*.parquet' GROUP BY study ORDER BY study
""").fetchall()
assert query == [("reference", 1, 949.0, 27000, True), ("search-1", 3, 949.0, None, True)], query

# Trials and their requests, with a difference that would wrap were the lengths unsigned.
query = duckdb.sql(f"""
    SELECT label, count(*), min(output_tokens - 1), max(len(chunk_times_s)), any_value(status_message)
    FROM '{folder}/trials/*.parquet' JOIN '{folder}/requests/*.parquet' USING (study, trial) GROUP BY label
""").fetchall()
assert query == [("baseline of week 2, “größer”", 4, -1, 3, "prompt too long")], query

requests = pandas.read_parquet(f"{folder}/requests/reference-00000.parquet")
assert (requests["output_tokens"] - 1).min() == -1
assert list(requests["chunk_times_s"][0][:2]) == [0.5, 0.75]
