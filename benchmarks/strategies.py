"""Samples that each strategy needs, on a table of networks really trained on ImageNet and really timed.

    python benchmarks/strategies.py --table DIR [--part NAME] [--out FILE] [--plot FILE] [--quick]

DIR holds `accel_nasbench.py` and its table: Accel-NASBench (Apache-2.0) as a search problem with a known optimum, over
a MnasNet-like space of 1e11 points. Rewards: hard, top1 up to T and top1 * T / ms above; soft, top1 * (ms / T)^-0.07;
abs, top1 - 0.10 * |ms / T - 1|. T = 4 ms on ZCU102 unless said, which one random point in ten meets.

Parts: gap (to the optimum), columns (all latencies of the table), front (many limits at once), abs (close to a limit),
tail (long searches of PPO), rivals (beside Optuna), cost (the strategy's own time; run after the others, alone).
`guided` models latency from its samples, `guided-known` looks it up before training. A search that several parts need
is run once. Rows of a run that is cut are in --out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext, redirect_stdout
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from strategies_cases import QUICK, Case, Row, Sizes
from strategies_parts import COST_NAMES, PARTS, cost_printed, cost_row
from strategies_runs import AT_ONCE, COLUMNS, CONTESTANTS, Run, Trace, cost, problem, traced

TABLE = Path(__file__).resolve().parents[1] / "../shared/benchmarks"
# Costs differ little between seeds; Optuna's at many trials take minutes each.
COST_SEEDS = 3


class Book:
    """Rows in a JSON file, written as they come; a row replaces the one of the same case from an earlier run."""

    def __init__(self, path: Path | None, circumstances: dict[str, str]) -> None:
        self._path = path
        self._run = circumstances["date"]
        self._content: dict[str, Any] = {"runs": {}, "rows": []}
        if path is not None and path.exists():
            self._content = json.loads(path.read_text())
            runs = self._content.get("runs")
            if runs is None or any(run["sizes"] != circumstances["sizes"] for run in runs.values()):
                sys.exit(f"{path} holds rows of another kind, which are not mixed with these; give --out another file")
        self._content["runs"][self._run] = circumstances

    def add(self, row: Row) -> None:
        """Keeps the row; which run gave it is said in it."""
        names = {what: value for what, value in row.items() if what not in ("seeds", "samples", "figures")}
        others = [old for old in self._content["rows"] if {what: old.get(what) for what in names} != names]
        self._content["rows"] = [*others, {**row, "run": self._run}]
        if self._path is not None:
            self._content["runs"] = {run: told for run, told in self._content["runs"].items() if run in self._used()}
            part = self._path.with_suffix(".part")
            part.write_text(self.text())
            part.replace(self._path)

    def rows(self, part: str | None = None) -> list[Row]:
        """Of one part, or all."""
        return [row for row in self._content["rows"] if part is None or row["part"] == part]

    def text(self) -> str:
        """The whole as JSON."""
        return json.dumps(self._content, indent=1) + "\n"

    def _used(self) -> set[str]:
        return {row["run"] for row in self._content["rows"]} | {self._run}


class Searches:
    """Searches in the pool, each once, however many parts need it."""

    def __init__(self, pool: ProcessPoolExecutor, cases: Sequence[Case], table: Path) -> None:
        longest: dict[Run, int] = {}
        for case in cases:
            for run in case.runs():
                longest[run] = max(longest.get(run, 0), case.samples)
        self._futures: dict[Run, Future[Trace]] = {
            run: pool.submit(traced, run, samples, table) for run, samples in longest.items()
        }

    def traces(self, case: Case) -> list[Trace]:
        """Those of a case, waited for."""
        return [self._futures[run].result() for run in case.runs()]


def circumstances(*, quick: bool) -> dict[str, str]:
    """Machine, versions and date: without them the seconds mean nothing."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sizes": "quick" if quick else "full",
    }
    for package in ("numpy", "torch", "optuna"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def wanted(name: str, only: Sequence[str]) -> bool:
    """Is the contestant asked for, and can it run?"""
    return (not only or name in only) and not (name.startswith("optuna") and find_spec("optuna") is None)


def costs(
    pool: ProcessPoolExecutor, sizes: Sizes, seeds: int, only: Sequence[str], book: Book, table: Path
) -> list[Row]:
    """One after the other, so that nothing else runs beside what is timed."""
    rows = []
    for name in (name for name in COST_NAMES if wanted(name, only)):
        # An ask of Optuna's takes as long, whatever is asked with it; a few tell.
        slow = name.startswith("optuna")
        at_once, number = (2 if slow else AT_ONCE), (1 if slow else seeds)
        seconds: dict[int, list[float]] = {told: [] for told in sizes.cost}
        for told in sizes.cost:
            for seed in range(number):
                seconds[told] += pool.submit(cost, name, told, sizes.cost_batches, at_once, seed, table).result()
        rows.append(cost_row(name, sizes, number, seconds))
        book.add(rows[-1])
    return rows


def parser() -> argparse.ArgumentParser:
    """Options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--table", type=Path, default=TABLE, help="directory with accel_nasbench.py and its table")
    options.add_argument("--part", choices=(*PARTS, "cost", "all"), default="all")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="one thread each")
    options.add_argument("--only", default="", help=f"some of {','.join(CONTESTANTS)}, a comma between two")
    options.add_argument(
        "--quick", action="store_true", help="one seed, short searches: tells nothing but that it runs"
    )
    options.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    options.add_argument(
        "--out", type=Path, help="JSON file that rows are written to as they come; merged if it exists"
    )
    options.add_argument("--plot", type=Path, help="draw gaps and fronts to this file, .png or .svg")
    return options


def main() -> int:
    """Runs the parts; exit status 2 where the table is not there."""
    arguments = parser().parse_args()
    if not (arguments.table / "accel_nasbench.py").exists():
        print("no accel_nasbench.py found; give its directory with --table DIR", file=sys.stderr)
        return 2
    only = [name for name in arguments.only.split(",") if name]
    if unknown := [name for name in only if name not in CONTESTANTS]:
        print(f"no contestant {', '.join(unknown)}; there are {', '.join(CONTESTANTS)}", file=sys.stderr)
        return 2
    if find_spec("optuna") is None:
        print("Optuna is not installed, its rows are left out; pip install optuna", file=sys.stderr)
    table, book = arguments.table.resolve(), Book(arguments.out, circumstances(quick=arguments.quick))
    sizes, seeds = (QUICK, 1) if arguments.quick else (Sizes(), arguments.seeds)
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        run_parts(arguments.part, sizes, seeds, only, arguments.processes, book, table)
    if arguments.plot:
        from strategies_plot import draw

        draw(book.rows(), arguments.plot)
    if arguments.json:
        print(book.text(), end="")
    return 0


def run_parts(
    chosen: str, sizes: Sizes, seeds: int, only: Sequence[str], processes: int, book: Book, table: Path
) -> None:
    """Every row to the book, every part to the screen when it is complete."""
    names = [name for name in (*PARTS, "cost") if chosen in (name, "all")]
    # Read before the pool forks, so that its processes have them.
    for column in COLUMNS if "columns" in names else COLUMNS[:1]:
        problem(table, column)
    cases = {
        name: [case for case in PARTS[name].cases(sizes, seeds, table) if wanted(case.name, only)]
        for name in names
        if name != "cost"
    }
    with ProcessPoolExecutor(processes, multiprocessing.get_context()) as pool:
        try:
            searches = Searches(pool, [case for part in cases.values() for case in part], table)
            for name, of_part in cases.items():
                rows = []
                for case in of_part:
                    rows.append(case.row(PARTS[name].figures(case, searches.traces(case), sizes, table)))
                    book.add(rows[-1])
                if rows:
                    print(PARTS[name].printed(rows), flush=True)
            if "cost" in names:
                rows = costs(pool, sizes, min(seeds, COST_SEEDS), only, book, table)
                if rows:
                    print(cost_printed(rows), flush=True)
        except BaseException:
            # Or leaving the pool would wait for every search under way or not begun.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


if __name__ == "__main__":
    sys.exit(main())
