"""Checks what `qwen_week3` wrote by reading the files, as a user would.

    python scripts/check_week3.py FOLDER --trials N [--same-as OTHER]

Exits with 1 and says why when something is missing or wrong.
"""

import argparse
import collections
import html.parser
import json
import pathlib
import re
import struct
import sys
import zlib

import duckdb

# In the order of the page.
PICTURES = [
    "parameter_importance",
    "parameter_effects",
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
    check_html(folder)
    for name in PICTURES:
        check_picture(folder / f"{name}.png")
        if "</svg>" not in (folder / f"{name}.svg").read_text():
            fail(f"{name}.svg is not whole")
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
    # As many as the README says.
    if counts.get("grid") != 174:
        fail(f"the grid has {counts.get('grid')} trials, not 174")

    manifest = json.loads((folder / "manifest.json").read_text())
    planned = {study["name"]: study["trials"] for study in manifest["studies"]}
    if counts != planned:
        fail(f"the manifest plans {planned}, the trials are {counts}")
    if manifest["backend"]["provenance"]["kind"] != "simulated":
        fail("the manifest does not say that the numbers are simulated")
    feasible = ["outcome = 'completed'"]
    for constraint in manifest["objective"]["constraints"]:
        ((side, bound),) = constraint["bound"].items()
        feasible.append(f"{constraint['metric']} {'>=' if side == 'at_least' else '<='} {bound}")
    ((best,),) = duckdb.sql(
        f"SELECT min(e2e_p95_s) FROM '{folder}/trials/*.parquet'"
        f" WHERE study = 'search' AND {' AND '.join(feasible)}"
    ).fetchall()
    baselines = duckdb.sql(
        f"SELECT e2e_p95_s, queue_share FROM '{folder}/trials/*.parquet'"
        " WHERE label = 'baseline' AND outcome = 'completed'"
    ).fetchall()
    if len(baselines) != 1:
        fail(f"there are {len(baselines)} measured baselines")
    ((baseline, share),) = baselines
    if share < 0.5:
        fail(f"the baseline does not queue: its queue share is {share}")
    if best is None or best >= baseline:
        fail(f"the search found {best}, the baseline has {baseline}")

    # The P95 of the trial table follows from the request table.
    ((compared, worst),) = duckdb.sql(
        "SELECT count(*), max(abs(recomputed / e2e_p95_s - 1)) FROM"
        " (SELECT study, trial, quantile_cont(last_token_s - intended_s, 0.95) AS recomputed"
        f" FROM '{folder}/requests/*.parquet' WHERE status = 'completed' GROUP BY study, trial)"
        f" JOIN '{folder}/trials/*.parquet' USING (study, trial) WHERE outcome = 'completed'"
    ).fetchall()
    ((completed,),) = duckdb.sql(
        f"SELECT count(*) FROM '{folder}/trials/*.parquet' WHERE outcome = 'completed'"
    ).fetchall()
    if compared != completed:
        fail(f"{completed} trials completed, {compared} have requests")
    if worst > 1e-9:
        fail(f"a P95 differs from that of its requests by a share of {worst}")


def check_page(folder):
    page = (folder / "week3.md").read_text()
    for leftover in LEFTOVERS:
        if leftover in page:
            fail(f"the page still says `{leftover}`")
    for needed in ["simulated", "vllm serve", "LLM(", "## Recommended Configuration"]:
        if needed not in page:
            fail(f"the page lacks `{needed}`")
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    if shown != [f"{name}.png" for name in PICTURES]:
        fail(f"the page shows {shown}")


class HtmlPage(html.parser.HTMLParser):
    """Rows of the trial table, and what a browser would load or follow."""

    # They have no end.
    VOID = {"meta", "br", "hr", "img", "input", "link"}

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.addresses, self.pictures = [], None, [], 0

    def handle_starttag(self, tag, attributes):
        self.seen(tag, dict(attributes))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen(tag, dict(attributes))

    def seen(self, tag, attributes):
        for name, value in attributes.items():
            if name in ("src", "srcset", "href", "xlink:href", "data", "action", "poster"):
                self.addresses.append(value)
        self.pictures += tag == "svg"
        if tag == "table" and attributes.get("class") == "sortable":
            self.rows = []
        elif self.rows is not None and tag == "tr" and "tbody" in self.open:
            self.rows.append([])
        elif self.rows and tag == "td":
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            fail(f"week3.html: </{tag}> ends nothing, line {self.getpos()[0]}")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and "td" in self.open:
            self.rows[-1][-1] += data
        if self.open[-1:] == ["style"] and ("url(" in data or "@import" in data):
            fail("week3.html: its style loads something")


def check_html(folder):
    """The HTML page is well-formed, loads nothing, and has every trial once."""
    page = HtmlPage()
    page.feed((folder / "week3.html").read_text())
    page.close()
    if page.open:
        fail(f"week3.html: {page.open} is not ended")
    outside = [address for address in page.addresses if not address.startswith("#")]
    if outside:
        fail(f"week3.html: it needs {outside}")
    if page.pictures != len(PICTURES):
        fail(f"week3.html has {page.pictures} pictures")
    # A study may be followed by the label of the trial.
    shown = collections.Counter((row[0].split(" (")[0], int(row[1])) for row in page.rows or [])
    stored = duckdb.sql(f"SELECT study, trial FROM '{folder}/trials/*.parquet'").fetchall()
    if shown != collections.Counter(stored):
        fail(f"week3.html shows {shown.total()} trials, not the {len(stored)} of the set")


def check_picture(path):
    """The file is a whole PNG of some size that is not all one colour."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        fail(f"{path} is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    if width < 800 or height < 400:
        fail(f"{path} is {width} x {height} pixels")
    position, kind, packed = 8, b"", b""
    while position + 12 <= len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if checksum != struct.pack(">I", zlib.crc32(kind + body)):
            fail(f"{path} is damaged")
        packed += body if kind == b"IDAT" else b""
        position += 12 + length
    if kind != b"IEND":
        fail(f"{path} is not whole")
    # A picture of one colour packs to next to nothing.
    if len(packed) < 5000:
        fail(f"{path} is empty")


def check_same(folder, other):
    """One seed gives one result set and one set of pictures, byte for byte."""
    for pattern in ["trials/*.parquet", "requests/*.parquet", "*.svg", "*.png"]:
        names = sorted(path.relative_to(folder) for path in folder.glob(pattern))
        if names != sorted(path.relative_to(other) for path in other.glob(pattern)):
            fail(f"two runs with one seed have different {pattern}")
        for name in names:
            if (folder / name).read_bytes() != (other / name).read_bytes():
                fail(f"two runs with one seed differ in {name}")


if __name__ == "__main__":
    main()
