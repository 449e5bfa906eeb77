"""The headline: the network that a search finds, against MobileNetV2 by the same recipe, session and device.

    python benchmarks/headline.py                      # full Fashion-MNIST, 20 minutes a seed, 3 seeds
    python benchmarks/headline.py --quick --json       # the shipped pictures, one short search

For each seed a whole search runs, its finale included; nothing else should run on the machine. Printed for each: the
network handed over, how much faster it is than the most accurate MobileNetV2 width that it equals or beats on the test
set, how many points it gains on the best width that is as fast, and what random search would have reached.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nasfit.cli.quantities import seconds
from nasfit.errors import NasfitError
from nasfit.search import Finished, Result, Settings, gain, run_search, speedup, versions
from nasfit.study import Study, TrialState


def main() -> None:
    """Runs the searches and prints the table."""
    options = _options()
    rows = []
    for seed in range(options.seeds):
        path = options.studies / f"{Path(options.data).name}-{options.target_ms:g}ms-{options.budget}-seed{seed}"
        if options.fresh:
            shutil.rmtree(path, ignore_errors=True)
        settings = Settings(
            data=options.data,
            target_ms=options.target_ms,
            engine=options.engine,
            strategy=options.strategy,
            seed=seed,
            budget_s=seconds(options.budget),
            proxy_images=500 if options.quick else None,
            width=0.35 if options.quick else None,
            strides="early" if options.quick else None,
        )
        rows.append(_row(seed, _result(settings, path, options.verbose), path))
        if not options.json:
            _print_row(rows[-1])
    document = {"options": vars(options) | {"studies": str(options.studies)}, "machine": _machine(), "rows": rows}
    document["median"] = {
        what: statistics.median(values)
        for what in ("speedup", "gain_points", "accuracy", "latency_ms")
        if (values := [row[what] for row in rows if row[what] is not None])
    }
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        print("median   " + "  ".join(f"{what} {value:.4g}" for what, value in document["median"].items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--target-ms", type=float, default=0.25)
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategy", default="guided")
    parser.add_argument("--engine", default="litert", help="README's figures are of onnxruntime")
    parser.add_argument("--studies", type=Path, default=Path("runs/headline"))
    parser.add_argument("--fresh", action="store_true", help="start anew where a study is already there")
    parser.add_argument("--quick", action="store_true", help="shipped pictures, one search of half a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="print each event's name to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.budget, options.seeds, options.fresh = "fashion-mnist-small", "25s", 1, True
    return options


def _result(settings: Settings, path: Path, verbose: bool) -> Result:
    for event in run_search(settings, path):
        if verbose:
            print(event, file=sys.stderr)
        if isinstance(event, Finished):
            return event.result
    raise AssertionError("a search that ends has a result")


def _row(seed: int, result: Result, path: Path) -> dict[str, Any]:
    best = result.contenders[result.best] if result.best is not None else None
    faster = speedup(best, result.baselines) if best else None
    better = gain(best, result.baselines) if best else None
    with Study.open(path, read_only=True) as study:
        trials = study.trials()
    return {
        "seed": seed,
        "trials": len(trials),
        "trained": sum(trial.state is TrialState.COMPLETE and trial.duplicate_of is None for trial in trials),
        "accuracy": best.accuracy if best else None,
        "latency_ms": best.latency_ms if best else None,
        "speedup": faster,
        "gain_points": None if better is None else 100 * better,
        "final_images": result.final_images,
        "random": asdict(result.random),
        "contenders": [asdict(contender) for contender in result.contenders],
        "cost_s": result.cost_s,
    }


def _print_row(row: dict[str, Any]) -> None:
    print(f"seed {row['seed']}: {row['trials']} trials, {row['trained']} trained, {row['final_images']:,} final images")
    for contender in sorted(row["contenders"], key=lambda c: c["latency_ms"]):
        print(f"  {contender['name']:<20}{100 * contender['accuracy']:>8.2f} %{contender['latency_ms']:>9.3f} ms")
    faster, better, random = row["speedup"], row["gain_points"], row["random"]
    print(f"  faster at equal or better accuracy: {'-' if faster is None else f'{faster:.2f}x'}")
    print(f"  more accurate at equal latency: {'-' if better is None else f'{better:+.2f} points'}")
    print(f"  reward: found {random['found']}, best random {random['best']}, random at equal cost {random['expected']}")


def _machine() -> dict[str, str]:
    return {"platform": platform.platform(), "time": datetime.now(UTC).isoformat(timespec="seconds")} | versions()


if __name__ == "__main__":
    try:
        main()
    except NasfitError as error:
        sys.exit(f"error: {error}")
