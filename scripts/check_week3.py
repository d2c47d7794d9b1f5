"""Checks what `qwen_week3` wrote by reading the files, as a user would.

    python scripts/check_week3.py FOLDER --trials N [--same-as OTHER]

Exits with 1 and says why when something is missing or wrong.
"""

import argparse
import json
import pathlib
import re
import struct
import sys

import duckdb

PICTURES = [
    "queue_time_optimization_comparison",
    "throughput_optimization_comparison",
    "latency_percentiles_comparison",
    "optimization_summary_dashboard",
]
LEFTOVERS = ["Waiting for results", "TBD", "To be filled", "Pending", "(Document", "{{", "}}", "NaN"]


def fail(message):
    sys.exit(f"check_week3: {message}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--same-as", type=pathlib.Path)
    arguments = parser.parse_args()
    folder = arguments.folder

    check_trials(folder, arguments.trials)
    check_page(folder)
    for name in PICTURES:
        check_picture(folder / f"{name}.png")
    if arguments.same_as:
        check_same(folder, arguments.same_as)
    print(f"check_week3: {folder} is whole")


def check_trials(folder, trials):
    """The result set holds every trial, and the winner beats the baseline and meets the targets."""
    rows = duckdb.sql(
        f"SELECT study, count(*) AS n FROM '{folder}/trials/*.parquet' GROUP BY study"
    ).fetchall()
    counts = dict(rows)
    for study, expected in [("reference", 2), ("search", trials), ("random", trials)]:
        if counts.get(study) != expected:
            fail(f"study {study} has {counts.get(study)} trials, not {expected}")
    if counts.get("grid", 0) < 100:
        fail(f"the grid has {counts.get('grid')} trials")

    manifest = json.loads((folder / "manifest.json").read_text())
    if manifest["backend"]["provenance"]["kind"] != "simulated":
        fail("the manifest does not say that the numbers are simulated")
    feasible = ["outcome = 'completed'"]
    for constraint in manifest["objective"]["constraints"]:
        ((side, bound),) = constraint["bound"].items()
        feasible.append(f"{constraint['metric']} {'>=' if side == 'at_least' else '<='} {bound}")
    (best,) = duckdb.sql(
        f"SELECT min(e2e_p95_s) FROM '{folder}/trials/*.parquet'"
        f" WHERE study = 'search' AND {' AND '.join(feasible)}"
    ).fetchone()
    baseline, share = duckdb.sql(
        f"SELECT e2e_p95_s, queue_share FROM '{folder}/trials/*.parquet' WHERE label = 'baseline'"
    ).fetchone()
    if share < 0.5:
        fail(f"the baseline does not queue: its queue share is {share}")
    if best is None or best >= baseline:
        fail(f"the search found {best}, the baseline has {baseline}")

    # The P95 of the trial table follows from the request table.
    (recomputed,) = duckdb.sql(
        f"SELECT quantile_cont(last_token_s - intended_s, 0.95) FROM '{folder}/requests/*.parquet'"
        " WHERE study = 'reference' AND trial = 0 AND status = 'completed'"
    ).fetchone()
    if abs(recomputed - baseline) > 1e-9 * baseline:
        fail(f"P95 from the requests is {recomputed}, in the trial table {baseline}")


def check_page(folder):
    page = (folder / "week3.md").read_text()
    for leftover in LEFTOVERS:
        if leftover in page:
            fail(f"the page still says `{leftover}`")
    for needed in ["simulated", "vllm serve", "LLM(", "## Recommended Configuration"]:
        if needed not in page:
            fail(f"the page lacks `{needed}`")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page):
        if not (folder / picture).is_file():
            fail(f"the page shows {picture}, which is not there")


def check_picture(path):
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        fail(f"{path} is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    if width < 800 or height < 400:
        fail(f"{path} is {width} x {height} pixels")


def check_same(folder, other):
    """One seed gives one trial table, byte for byte."""
    names = sorted(path.name for path in (folder / "trials").glob("*.parquet"))
    if names != sorted(path.name for path in (other / "trials").glob("*.parquet")):
        fail("two runs with one seed have different trials")
    for name in names:
        if (folder / "trials" / name).read_bytes() != (other / "trials" / name).read_bytes():
            fail(f"two runs with one seed differ in trials/{name}")


if __name__ == "__main__":
    main()
