"""The headline: the network that a search finds, against MobileNets by the same recipe, in the same session and device.

    python benchmarks/headline.py                      # full Fashion-MNIST, 20 minutes a seed, 3 seeds
    python benchmarks/headline.py --data fashion-mnist ./cifar10 --budget 20m 60m --random
    python benchmarks/headline.py --data fashion-mnist ./cifar10 --budget 20m 60m --random --finished --json
    python benchmarks/headline.py --quick --json       # the shipped pictures, one short search

For each data set, budget and seed a whole search runs, its finale included; nothing else should run on the machine. The
same command goes on where it was interrupted, and --finished prints what is there without running anything. Printed for
each: the networks handed over; how much faster the best is than the most accurate baseline that it equals or beats on
the test set, and the same of any network handed over; how many points the best gains on the best that is as fast; all
also against each family of baselines alone.

Random search, twice. Extrapolated: the first batch of every study is random; what as many random points as the search
trained would have reached follows from it, as a 90 % interval. With --random, run: strategy `random` for as long as the
search proper took, by the same plan (width, strides, pictures a trial, evaluator), its best reward beside the search's,
and beside its best promoted accuracy that of the random run's own: the five best networks within the limit, trained
again with another seed, three times as long. The best of many short trainings is the luckiest; a promotion is not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facts import document, machine

from nasfit.cli.quantities import seconds
from nasfit.errors import NasfitError
from nasfit.search import Contender, FinaleStep, Finished, Result, Settings, gain, run_search, speedup
from nasfit.space import DEFAULT_SPACE
from nasfit.study import Study, TrialState

Row = dict[str, Any]
FIGURES = ("speedup", "speedup_of_any", "gain_points", "accuracy", "latency_ms")


def main() -> None:
    """Runs the searches and prints each as it ends, then the medians."""
    options = _options()
    rows: list[Row] = []
    for row in _rows(options):
        rows.append(row)
        if not options.json:
            _print_row(row)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["budget"]), []).append(row)
    summaries = [{"data": data, "budget": budget, **_summary(some)} for (data, budget), some in groups.items()]
    if options.json:
        print(document(options, rows=rows, summaries=summaries))
        return
    for summary in summaries:
        print("  ".join(f"{what} {value}" for what, value in summary.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["fashion-mnist"], help="names or folders, as for nasfit search")
    parser.add_argument("--target-ms", type=float, default=0.25)
    parser.add_argument("--budget", nargs="+", default=["20m"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategy", default="guided")
    parser.add_argument("--space", default=DEFAULT_SPACE)
    parser.add_argument("--engine", default="litert", help="the first figures are of onnxruntime")
    parser.add_argument("--random", action="store_true", help="run random search for as long beside each search")
    parser.add_argument("--studies", type=Path, default=Path("runs/headline"))
    parser.add_argument("--finished", action="store_true", help="print what is finished, and run nothing")
    parser.add_argument("--fresh", action="store_true", help="start anew where a study is already there")
    parser.add_argument("--quick", action="store_true", help="shipped pictures, one search of half a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="print each event to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.budget, options.seeds, options.fresh = ["fashion-mnist-small"], ["20s"], 1, True
    return options


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    """A row for each search, in the order of seeds, so that every data set and budget has one early."""
    for seed in range(options.seeds):
        for data in options.data:
            for budget in options.budget:
                name = f"{Path(data).name}-{options.target_ms:g}ms-{budget}-seed{seed}"
                row = _row(options, data, budget, seed, options.studies / name)
                if row is not None:
                    yield row


def _row(options: argparse.Namespace, data: str, budget: str, seed: int, path: Path) -> Row | None:
    """From the file of an earlier run, or from a search that runs now; None where there is none and none may run."""
    file, beside = path.with_name(f"{path.name}.json"), path.with_name(f"{path.name}-random")
    row: Row | None = None
    if options.fresh and not options.finished:
        file.unlink(missing_ok=True)
        for study in (path, beside):
            shutil.rmtree(study, ignore_errors=True)
    elif file.exists():
        row = json.loads(file.read_text())
    if options.finished:
        return row
    settings = _settings(options, data, budget, seed)
    if row is None:
        result = _searched(settings, path, options.verbose)
        assert result is not None, "a search that ends has a result"
        row = {"data": data, "budget": budget, "seed": seed, **_figures(result), **_counted(path)}
        row |= {"random_run": None, "machine": machine(), "time": datetime.now(UTC).isoformat(timespec="seconds")}
    if options.random and row["random_run"] is None:
        _searched(_random_beside(settings, path), beside, options.verbose, finale=False)
        row["random_run"] = _counted(beside)
    file.write_text(json.dumps(row, indent=1))
    return row


def _settings(options: argparse.Namespace, data: str, budget: str, seed: int) -> Settings:
    return Settings(
        data=data,
        target_ms=options.target_ms,
        engine=options.engine,
        strategy=options.strategy,
        space=options.space,
        seed=seed,
        budget_s=seconds(budget),
        proxy_images=500 if options.quick else None,
        width=0.35 if options.quick else None,
        strides="early" if options.quick else None,
    )


def _random_beside(settings: Settings, path: Path) -> Settings:
    """Random search by the plan that the search's calibration chose: calibrations differ from run to run."""
    with Study.open(path, read_only=True) as study:
        plan = study.document("plan")
    same = {what: plan[what] for what in ("width", "strides", "proxy_images", "evaluator")}
    return replace(settings, strategy="random", **same)


def _searched(settings: Settings, path: Path, verbose: bool, *, finale: bool = True) -> Result | None:
    """Runs a search, or goes on with it; without the finale it ends with the promotion."""
    for event in run_search(settings, path):
        if verbose:
            print(event, file=sys.stderr)
        if isinstance(event, Finished):
            return event.result
        if isinstance(event, FinaleStep) and event.what != "promotion" and not finale:
            break
    return None


def _figures(result: Result) -> Row:
    best = result.contenders[result.best] if result.best is not None else None
    found = [contender for contender in result.contenders if contender.origin == "found"]
    families = dict.fromkeys(baseline.name.partition(" x")[0] for baseline in result.baselines)
    apart = {name: tuple(b for b in result.baselines if b.name.startswith(f"{name} x")) for name in families}
    return {
        "accuracy": best.accuracy if best else None,
        "latency_ms": best.latency_ms if best else None,
        **_against(found, best, result.baselines),
        "families": {name: _against(found, best, members) for name, members in apart.items()},
        "final_images": result.final_images,
        "random": asdict(result.random) | {"verdict": result.random.verdict},
        "contenders": [asdict(contender) for contender in result.contenders],
        "cost_s": result.cost_s,
    }


def _against(found: Sequence[Contender], best: Contender | None, baselines: tuple[Contender, ...]) -> Row:
    """speedup_of_any: the greatest of the networks handed over, all chosen before the test, this one after it."""
    better = gain(best, baselines) if best else None
    each = [times for one in found if (times := speedup(one, baselines)) is not None]
    return {
        "speedup": speedup(best, baselines) if best else None,
        "speedup_of_any": max(each, default=None),
        "gain_points": None if better is None else 100 * better,
    }


def _counted(path: Path) -> Row:
    """Of a study's trials: how many, how many trained, the best reward, the best promoted accuracy."""
    with Study.open(path, read_only=True) as study:
        trials, promoted = study.trials(), (study.document("promotions") or {}).values()
    complete = [one for one in trials if one.state is TrialState.COMPLETE and one.duplicate_of is None]
    rewards = [one.reward for one in complete if one.reward is not None]
    best = {"reward": max(rewards, default=None), "promoted": max(promoted, default=None)}
    return {"trials": len(trials), "trained": len(complete), **best}


def _summary(rows: list[Row]) -> Row:
    """Medians over seeds, of the families too, and how often the search did better than random search."""
    told: Row = {"seeds": len(rows)}
    for what in FIGURES:
        told |= _median(what, [row.get(what) for row in rows])
    for family in dict.fromkeys(name for row in rows for name in row["families"]):
        of_it = [row["families"][family] for row in rows if family in row["families"]]
        for what in ("speedup", "speedup_of_any", "gain_points"):
            told |= _median(f"{family} {what}", [one.get(what) for one in of_it])
    told["better_than_random_extrapolated"] = sum(row["random"]["verdict"] == "better" for row in rows)
    ran = [row for row in rows if row["random_run"] is not None]
    told["random_runs"] = len(ran)
    for what in ("reward", "promoted"):
        better = [(row.get(what) or 0.0) > (row["random_run"].get(what) or 0.0) for row in ran]
        told[f"better_{what}_than_random_run"] = sum(better)
    return told


def _median(what: str, values: list[float | None]) -> Row:
    known = [value for value in values if value is not None]
    return {what: round(statistics.median(known), 4)} if known else {}


def _print_row(row: Row) -> None:
    print(
        f"{row['data']}, {row['budget']}, seed {row['seed']}: {row['trials']} trials, {row['trained']} trained, ",
        end="",
    )
    print(f"{row['final_images']:,} final images")
    for contender in sorted(row["contenders"], key=lambda c: c["latency_ms"]):
        print(f"  {contender['name']:<32}{100 * contender['accuracy']:>8.2f} %{contender['latency_ms']:>9.3f} ms")
    for who, figures in {"all baselines": row, **row["families"]}.items():
        faster, better = figures["speedup"], figures["gain_points"]
        print(
            f"  against {who}: faster at equal or better accuracy {'-' if faster is None else f'{faster:.2f}x'}", end=""
        )
        any_faster = figures.get("speedup_of_any")
        print(f", any of those handed over {'-' if any_faster is None else f'{any_faster:.2f}x'}", end="")
        print(f", more accurate at equal latency {'-' if better is None else f'{better:+.2f} points'}")
    random, run = row["random"], row["random_run"]
    told = "too few random points" if random["low"] is None else f"90 % {random['low']:.4f} to {random['high']:.4f}"
    print(f"  reward {row['reward']}; random extrapolated: {told}: {random['verdict'] or 'not told'}")
    if run is not None:
        promoted = " against ".join(
            "-" if p is None else f"{100 * p:.2f} %" for p in (row["promoted"], run["promoted"])
        )
        print(f"  random run for as long: {run['reward']} ({run['trained']} trained); promoted {promoted}")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except NasfitError as error:
        sys.exit(f"error: {error}")
