"""Checks what `tune_vllm` wrote about a real server by reading the files, as a user would.

    python scripts/check_tune_vllm.py FOLDER --trials N

Exits with 1 and says why when something is missing or wrong.
"""

import argparse
import json
import pathlib
import sys

import duckdb


def fail(message):
    sys.exit(f"check_tune_vllm: {message}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--trials", type=int, required=True)
    arguments = parser.parse_args()
    folder = arguments.folder
    # Not through a data frame: pandas turns a null text into NaN when the column is all null.
    table = duckdb.sql(f"SELECT * FROM '{folder}/results/trials/*.parquet' ORDER BY study, trial")
    trials = [dict(zip(table.columns, row)) for row in table.fetchall()]
    search = [trial for trial in trials if trial["study"] == "search"]
    if len(search) != arguments.trials or len(trials) != arguments.trials + 1:
        fail(f"{len(search)} trials of the search and {len(trials)} in all")
    if any(trial["provenance"] != "measured" for trial in trials):
        fail("a trial is not measured")

    first = search[0]
    if (first["outcome"], first["reason_class"]) != ("infeasible", "invalid"):
        fail(f"the first trial should be one that vLLM rejects: {first['outcome']}")
    if "must be greater than or equal to max_num_seqs" not in first["reason_message"]:
        fail(f"vLLM's own words are not kept: {first['reason_message']}")

    completed = [trial for trial in trials if trial["outcome"] == "completed"]
    if len(completed) < arguments.trials - 1:
        fail(f"only {len(completed)} trials were measured: {[t['reason_message'] for t in trials]}")
    for trial in completed:
        check_trial(folder, trial)

    page = (folder / "week3.md").read_text()
    for text in ["**Numbers are measured** on a real server", "vLLM 0.32.0", "--example tune_vllm"]:
        if text not in page:
            fail(f"the page does not say `{text}`")
    print(f"check_tune_vllm: {folder} is whole, {len(completed)} trials measured on a real server")


def check_trial(folder, trial):
    """Client and server agree, the arguments took effect, the time line was kept."""
    name = f"{trial['study']}-{trial['trial']:05}.parquet"
    tokens, requests, unfinished = duckdb.sql(
        "SELECT sum(output_tokens) FILTER (status = 'completed'), "
        "count(*) FILTER (status = 'completed'), count(*) FILTER (status = 'unfinished') "
        f"FROM '{folder}/results/requests/{name}'"
    ).fetchall()[0]
    server = (trial["server_output_tokens"], trial["server_completed_requests"])
    # A run that is decided on a slow machine is broken off: the server counts what it began, too.
    agree = (tokens, requests) == server
    if unfinished:
        agree = tokens <= server[0] and requests <= server[1] <= requests + unfinished
    if not agree:
        fail(f"{name}: the client counted {tokens} tokens of {requests} requests, the server {server}")
    for argument in ["max_num_seqs", "max_num_batched_tokens"]:
        if trial[f"parameter_{argument}"] != trial[f"server_{argument}"]:
            fail(f"{name}: {argument} did not take effect")
    if not (folder / "results" / "timelines" / name).exists():
        fail(f"{name}: nobody looked at the server during the run")
    for caveat in json.loads(trial["caveats"] or "[]"):
        if caveat["class"] not in ["not_steady", "decided", "overload"]:
            fail(f"{name}: {caveat}")


if __name__ == "__main__":
    main()
