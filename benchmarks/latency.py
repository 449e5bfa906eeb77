"""How far a latency can be trusted, and what it costs.

Published networks are measured in fresh runs, on the machine as it is and with every core hogged by a busy process.
Printed for each resolution: spread of each network's headline over the runs, the bias of the hogged runs, whether the
order of networks that are no tie stays the same, and networks a minute from module to latency.

    python benchmarks/latency.py [--quick] [--hog spin|memory] [--no-realtime] [--json]

`spin` only takes the cores; `memory` streams arrays through the shared cache as well, which no clock can take out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from itertools import combinations
from typing import Any

import torch

from nasfit.architecture import PUBLISHED, adapted, published, scaled
from nasfit.devices import Device, open_device
from nasfit.export import check_parity, to_onnx
from nasfit.latency import Measurement, measure, tied
from nasfit.models import build

WIDTHS = (1.0, 0.5)
HOGS = {
    "spin": "while True: pass",
    "memory": "import numpy as np\na = np.ones(4_000_000)\nwhile True: a *= 1.0000001",
}


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 runs instead of 5, full width only (below 50 s)")
    parser.add_argument("--hog", choices=sorted(HOGS), default="spin", help="what keeps the cores busy")
    parser.add_argument("--no-realtime", action="store_true", help="as where real-time priority is not granted")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs, widths = (3, WIDTHS[:1]) if arguments.quick else (5, WIDTHS)
    device = open_device("local", realtime=not arguments.no_realtime)
    figures: dict[str, Any] = {"machine": asdict(device.describe()), "hog": arguments.hog}
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        print(figures["machine"], "hog:", arguments.hog)
        for resolution in (32, 224):
            figures[str(resolution)] = at_resolution(resolution, device, runs, widths, arguments.hog)
    if arguments.json:
        print(json.dumps(figures, indent=1))


def at_resolution(resolution: int, device: Device, runs: int, widths: tuple[float, ...], hog: str) -> dict[str, Any]:
    """Both conditions at one input size."""
    files, export_ms, parity = exported(resolution, widths)
    print(f"\n{resolution} px: export {export_ms:.0f} ms a network, parity within {parity:.1e}")
    quiet = repeated(device, files, runs)
    with hogs(HOGS[hog]):
        hogged = repeated(device, files, runs)
    per_minute = 60 / (export_ms / 1e3 + quiet["seconds"] / len(files) / runs)
    print(f"{'network':>22} {'ms':>8} {'CV quiet':>9} {'CV hogged':>10} {'bias hogged':>12} {'wall bias':>10}")
    for name in files:
        row, busy = quiet["networks"][name], hogged["networks"][name]
        bias, wall = busy["mean_ms"] / row["mean_ms"] - 1, busy["wall_ms"] / row["wall_ms"] - 1
        print(f"{name:>22} {row['mean_ms']:8.3f} {row['cv']:9.1%} {busy['cv']:10.1%} {bias:12.1%} {wall:10.1%}")
    for condition, result in (("quiet", quiet), ("hogged", hogged)):
        print(f"{condition}: order changed in {result['flips']} of {result['pairs']} pairs that were no tie;", end=" ")
        print(f"clean share {result['clean']:.2f}; doubted {result['doubted']} of {runs * len(files)}")
    print(f"{per_minute:.0f} networks a minute from module to latency")
    return {
        "export_ms": export_ms,
        "parity": parity,
        "quiet": quiet,
        "hogged": hogged,
        "networks_per_minute": per_minute,
    }


def exported(resolution: int, widths: tuple[float, ...]) -> tuple[dict[str, bytes], float, float]:
    """Files by name, mean ms of an export, worst parity."""
    files: dict[str, bytes] = {}
    spent_s, parity = 0.0, 0.0
    for name in sorted(PUBLISHED):
        for width in widths:
            architecture = adapted(scaled(published(name), width), resolution=resolution, channels=3, classes=10)
            network = build(architecture)
            began = time.perf_counter()
            written = to_onnx(network, (3, resolution, resolution))
            spent_s += time.perf_counter() - began
            parity = max(parity, check_parity(network, written, torch.randn(1, 3, resolution, resolution)))
            files[f"{name} x{width:g}"] = written
    return files, 1e3 * spent_s / len(files), parity


def repeated(device: Device, files: dict[str, bytes], runs: int) -> dict[str, Any]:
    """The same measurement in fresh engine processes."""
    began = time.perf_counter()
    rounds = [good(measure(device, files)) for _ in range(runs)]
    seconds = time.perf_counter() - began
    networks = {}
    for name in files:
        values = [measured[name].latency_ms for measured in rounds]
        wall = [measured[name].wall_quartiles_ms[1] for measured in rounds]
        mean = statistics.mean(values)
        networks[name] = {
            "mean_ms": mean,
            "cv": statistics.stdev(values) / mean,
            "wall_ms": statistics.mean(wall),
            "values_ms": values,
        }
    flips, pairs = order_changes(rounds)
    everything = [one for measured in rounds for one in measured.values()]
    return {
        "networks": networks,
        "seconds": seconds,
        "flips": flips,
        "pairs": pairs,
        "clean": statistics.mean(one.clean_share for one in everything),
        "doubted": sum(bool(one.warnings) for one in everything),
    }


def order_changes(rounds: list[dict[str, Measurement]]) -> tuple[int, int]:
    """Pairs of networks, no tie in the first run, whose order another run turns round; and how many were compared."""
    first, flips, pairs = rounds[0], 0, 0
    for a, b in combinations(first, 2):
        if tied(first[a], first[b]):
            continue
        for other in rounds[1:]:
            pairs += 1
            flips += (first[a].latency_ms < first[b].latency_ms) != (other[a].latency_ms < other[b].latency_ms)
    return flips, pairs


def good(measured: dict[str, Any]) -> dict[str, Measurement]:
    """All of them, none failed."""
    for name, result in measured.items():
        if not isinstance(result, Measurement):
            raise SystemExit(f"{name}: {result}")
    return measured


@contextmanager
def hogs(code: str) -> Iterator[None]:
    """One busy process on every core."""
    processes = []
    for core in sorted(os.sched_getaffinity(0)):
        process = subprocess.Popen([sys.executable, "-c", code])
        os.sched_setaffinity(process.pid, [core])
        processes.append(process)
    try:
        time.sleep(1.0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
