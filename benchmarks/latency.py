"""How far a latency can be trusted, and what it costs.

    python benchmarks/latency.py [--part PART] [--quick] [--engine litert] [--hog spin|memory] [--no-realtime] [--json]

repeatability: six published networks at 224 px measured in fresh runs, on the machine as it is and with every core
    hogged, in turn. Spread is max - min over median of a network's headline; beside it the spread of the headline over
    the mean of its run's six, which is what counts where networks of one run are compared, and that of the wall clock's
    median, which is what a plain timing loop reports. `spin` hogs only take the cores, `memory` hogs stream arrays
    through the shared cache as well. Flips: pairs of networks that are no tie and whose order differs between any runs.
agreement: against the engine's own benchmark tool (litert-benchmark, benchmark_app) run in turn: the headline over the
    tool's median, and like with like, our fastest sample over the tool's fastest.
cost: networks a minute from a sampled architecture to its latency: built, exported, output checked, measured.
faults: the tests that cut, kill, fill, stall and unplug; how many were tried and survived.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from nasfit.architecture import adapted, published
from nasfit.devices import Device, open_device
from nasfit.export import export_model
from nasfit.latency import THOROUGH, Measurement, Timing, measure, tied
from nasfit.models import build
from nasfit.search.measuring import Instrument, measured
from nasfit.space import named_space

NETWORKS = (
    ("mnasnet-a1", 1.0),
    ("mnasnet-b1", 1.0),
    ("mnasnet-small", 1.0),
    ("mobilenet-v2", 1.0),
    ("mobilenet-v2", 0.5),
    ("mobilenet-v2", 1.4),
)
HOGS = {
    "spin": "while True: pass",
    "memory": "import numpy as np\na = np.ones(4_000_000)\nwhile True: a *= 1.0000001",
}
BRIEF = Timing(min_rounds=15, span_s=0.75)
PARTS = ("repeatability", "agreement", "cost", "faults")


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all; may be given several times")
    parser.add_argument("--quick", action="store_true", help="fewer runs, below 50 s; without faults")
    parser.add_argument("--engine", default="litert", help="engine on this machine")
    parser.add_argument("--hog", choices=sorted(HOGS), default="spin", help="what keeps the cores busy")
    parser.add_argument("--no-realtime", action="store_true", help="as where real-time priority is not granted")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = open_device("local", engine=arguments.engine, realtime=not arguments.no_realtime)
    parts = arguments.part or (PARTS[:3] if arguments.quick else PARTS)
    figures: dict[str, Any] = {"machine": asdict(device.describe()), "engine": arguments.engine}
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        print(figures["machine"])
        if "repeatability" in parts:
            figures["repeatability"] = repeatability(device, arguments.quick, arguments.hog)
        if "agreement" in parts:
            figures["agreement"] = agreement(device, arguments.engine, arguments.quick)
        if "cost" in parts:
            figures["cost"] = {str(px): cost(device, px, 8 if arguments.quick else 96) for px in (32, 224)}
        if "faults" in parts:
            figures["faults"] = faults()
    if arguments.json:
        print(json.dumps(figures, indent=1))


def repeatability(device: Device, quick: bool, hog: str) -> dict[str, Any]:
    """Fresh runs, quiet and hogged in turn, so that both see the same hours of the machine."""
    runs, timing = (2, BRIEF) if quick else (10, THOROUGH)
    files = published_files(device)
    quiet: list[dict[str, Measurement]] = []
    hogged: list[dict[str, Measurement]] = []
    for _ in range(runs):
        quiet.append(run(device, files, timing))
        with hogs(HOGS[hog]):
            hogged.append(run(device, files, timing))
    print(f"\n{runs} runs each, hog: {hog}; spread = (max - min) / median; bias = median hogged / median quiet - 1")
    kinds = ("headline", "within the run", "wall median")
    print(f"{'':>22} {'':>8} " + " ".join(f"{kind:^28}" for kind in kinds))
    print(f"{'network':>22} {'ms':>8} " + " ".join([f"{'quiet':>8} {'hogged':>8} {'bias':>10}"] * 3))
    rows = {}
    for name in files:
        row = rows[name] = row_of(name, quiet, hogged)
        cells = [f"{row[kind]['quiet']:8.1%} {row[kind]['hogged']:8.1%} {row[kind]['bias']:10.1%}" for kind in kinds]
        print(f"{name:>22} {row['ms']:8.3f} " + " ".join(cells))
    result: dict[str, Any] = {"hog": hog, "runs": runs, "networks": rows, "quiet": {}, "hogged": {}}
    for condition, rounds in (("quiet", quiet), ("hogged", hogged)):
        told = result[condition] = conditions(rounds)
        print(
            f"{condition}: {told['flips']} of {told['pairs']} pairs that are no tie changed order; clean share "
            f"{told['clean']:.2f}; probe {told['probe_factor']:.2f} of its best; doubted {told['doubted']} of "
            f"{runs * len(files)} measurements"
        )
    print(f"seconds a run of {len(files)} networks: {statistics.median(sum_s(one) for one in quiet):.1f}")
    return result


def row_of(name: str, quiet: list[dict[str, Measurement]], hogged: list[dict[str, Measurement]]) -> dict[str, Any]:
    """Spread and bias of a network's headline, alone and over its run's mean, and of the wall clock's median."""

    def figures(value: Callable[[dict[str, Measurement]], float]) -> dict[str, Any]:
        values, busy = [value(one) for one in quiet], [value(one) for one in hogged]
        return {
            "quiet": spread(values),
            "hogged": spread(busy),
            "bias": statistics.median(busy) / statistics.median(values) - 1,
            "quiet_values": values,
            "hogged_values": busy,
        }

    def mean_ms(one: dict[str, Measurement]) -> float:
        return statistics.geometric_mean(other.latency_ms for other in one.values())

    return {
        "ms": statistics.median(one[name].latency_ms for one in quiet),
        "headline": figures(lambda one: one[name].latency_ms),
        "within the run": figures(lambda one: one[name].latency_ms / mean_ms(one)),
        "wall median": figures(lambda one: one[name].wall_quartiles_ms[1]),
    }


def spread(values: list[float]) -> float:
    """Largest difference over the median."""
    return (max(values) - min(values)) / statistics.median(values)


def conditions(rounds: list[dict[str, Measurement]]) -> dict[str, Any]:
    """Order changes and alarms of several runs."""
    flips = pairs = 0
    for a, b in combinations(rounds[0], 2):
        if any(tied(interval(one[a]), interval(one[b])) for one in rounds):
            continue
        pairs += 1
        flips += len({one[a].latency_ms < one[b].latency_ms for one in rounds}) > 1
    everything = [one for measured in rounds for one in measured.values()]
    return {
        "flips": flips,
        "pairs": pairs,
        "clean": statistics.mean(one.clean_share for one in everything),
        "probe_factor": statistics.mean(one.probe_factor or 1.0 for one in everything),
        "doubted": sum(bool(one.warnings) for one in everything),
    }


def agreement(device: Device, engine: str, quick: bool) -> dict[str, Any]:
    """Our headline and the tool's median in turn, one network after the other."""
    if engine not in ("litert", "openvino"):
        print(f"\n{engine}: its package ships no benchmark tool, so there is nothing to agree with")
        return {}
    rounds = 2 if quick else 10
    files = dict(list(published_files(device).items())[:: 3 if quick else 1])
    core = device.describe().core
    rows = {}
    print(f"\nagreement with the engine's own tool, {rounds} times in turn: ours / the tool's")
    for name, content in files.items():
        pairs = []
        for _ in range(rounds):
            one = run(device, {name: content}, BRIEF)[name]
            pairs.append((one, *tool_ms(engine, content, core, runs=100 if one.latency_ms > 1 else 1000)))
        ours, medians, minima = (list(column) for column in zip(*pairs, strict=True))
        ours_ms = statistics.median(one.latency_ms for one in ours)
        ratio = ours_ms / statistics.median(medians)
        fastest = statistics.median(min(one.wall_samples_ms) for one in ours) / statistics.median(minima)
        rows[name] = {"ours_ms": ours_ms, "tool_ms": medians, "headline": ratio, "fastest": fastest}
        print(
            f"{name:>22} {ours_ms:8.3f} {statistics.median(medians):8.3f} ms  headline {ratio - 1:+.1%}  fastest "
            f"{fastest - 1:+.1%}  (spread of the tool's median {spread(medians):.1%})"
        )
    return rows


def tool_ms(engine: str, content: bytes, core: int | None, runs: int) -> tuple[float, float]:
    """Median and minimum of the engine's own tool, one thread, on the same core."""
    tool = Path(sys.executable).with_name({"litert": "litert-benchmark", "openvino": "benchmark_app"}[engine])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / {"litert": "net.tflite", "openvino": "net.onnx"}[engine]
        path.write_bytes(content)
        commands = {
            "litert": ["--model", path, "--num_runs", runs, "--warmup_runs", 5, "--num_threads", 1],
            "openvino": ["-m", path, "-d", "CPU", "-hint", "latency", "-nthreads", 1, "-api", "sync", "-niter", runs],
        }
        command = [str(part) for part in (tool, *commands[engine])]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        median, minimum = (re.search(rf"{what}\)?:\s+([\d.]+) ms", done.stdout, re.I) for what in ("median", "min"))
        if not median or not minimum:
            raise SystemExit(f"{tool.name} printed no median: {done.stdout[-500:]} {done.stderr[-500:]}")
        return float(median[1]), float(minimum[1])


def cost(device: Device, resolution: int, number: int) -> dict[str, Any]:
    """Sampled architectures to latencies, as the search does it, 32 at a time."""
    space = named_space("mnasnet")
    random_ = random.Random(0)
    points = [[random_.randrange(count) for count in space.option_counts] for _ in range(number)]
    classes = 10 if resolution < 100 else 1000
    networks = [adapted(space.decode(p), resolution=resolution, channels=3, classes=classes) for p in points]
    instrument = Instrument(device)
    measured(networks[:1], instrument)
    began = time.perf_counter()
    results = [one for start in range(0, number, 32) for one in good(measured(networks[start:][:32], instrument))]
    seconds = time.perf_counter() - began
    widths = [(one.high_ms - one.low_ms) / 2 / one.latency_ms for one in results]
    told = {
        "networks": number,
        "per_minute": 60 * number / seconds,
        "measuring_share": sum(one.seconds for one in results) / seconds,
        "middle_ms": statistics.median(one.latency_ms for one in results),
        "interval": statistics.median(widths),
        "doubted": sum(bool(one.warnings) for one in results),
    }
    print(
        f"\n{resolution} px: {told['per_minute']:.0f} networks a minute ({number} of the space, "
        f"{told['middle_ms']:.2f} ms in the middle; interval +-{told['interval']:.1%}; "
        f"{told['measuring_share']:.0%} of the time is measuring; doubted {told['doubted']})"
    )
    return told


def faults() -> dict[str, int]:
    """The tests marked `fault`."""
    command = [sys.executable, "-m", "pytest", "-m", "fault", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    tried = counts.get("passed", 0) + counts.get("failed", 0) + counts.get("error", 0)
    told = {"tried": tried, "survived": counts.get("passed", 0), "not_run_here": counts.get("skipped", 0)}
    print(f"\nfaults: {told['tried']} tried, {told['survived']} survived, {told['not_run_here']} cannot run here")
    return told


def published_files(device: Device) -> dict[str, bytes]:
    """The six networks, 1000 classes at 224 px, for the device's engine."""
    return {
        f"{name} x{width:g}": export_model(
            build(published(name, width)).eval(), (3, 224, 224), model_format=device.model_format
        )
        for name, width in NETWORKS
    }


def run(device: Device, files: dict[str, bytes], timing: Timing) -> dict[str, Measurement]:
    """One fresh run: engine processes of its own."""
    results = measure(device, files, timing=timing)
    return dict(zip(files, good(results), strict=True))


def good(results: dict[str, Any]) -> list[Measurement]:
    """All of them, none failed."""
    for name, result in results.items():
        if not isinstance(result, Measurement):
            raise SystemExit(f"{name}: {result}")
    return list(results.values())


def interval(one: Measurement) -> tuple[float, float, float]:
    """What `tied` compares."""
    return one.latency_ms, one.low_ms, one.high_ms


def sum_s(measurements: dict[str, Measurement]) -> float:
    """Seconds spent on all networks of a run."""
    return sum(one.seconds for one in measurements.values())


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
