"""Where the time of a network goes: cuts of it timed on the device, beside what an engine's own profile says.

    python benchmarks/parts.py           # two networks at 224 px, two at 32 px, both installed engines, five runs
    python benchmarks/parts.py --quick   # one network, two runs

Printed for each network and engine, by part: the share of the time from cuts (median over the runs), the largest
difference between runs, and for ONNX Runtime the share of its profile of operators (lower quartile of each operator's
times). Below: how many times as long as the network's latency the profile adds up to, which is what profiling costs,
and the seconds that one run of the cuts took.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import onnxruntime
import torch
from facts import document

from nasfit.architecture import Architecture, adapted, published
from nasfit.devices import open_device
from nasfit.export import export_model
from nasfit.latency import quantile
from nasfit.models import build
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.search.timing_parts import part_times

ENGINES = ("litert", "onnxruntime")
PROFILED = 300  # inferences
# Found on CIFAR-10 with a limit of 0.25 ms: operators of a few microseconds.
FOUND = (
    "in3@32 stem16s1 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s1 se0 pool f16 n1 | sepconv k3 s2 se0 pool f24 n2 | "
    "mbconv3 k5 s2 se0.25 pool f40 n3 | sepconv k5 s1 se0.25 pool f56 n2 | sepconv k3 s2 se0 identity f80 n2 | "
    "head480 out10 relu"
)
Row = dict[str, Any]


def main() -> None:
    """Times the cuts of every network on every engine."""
    options = _options()
    torch.set_num_threads(1)
    rows = []
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        for name, network in _networks(options.quick).items():
            for engine in ENGINES:
                rows.append(_printed(_row(name, network, engine, options.runs)))
    if options.json:
        print(document(options, rows=rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of the cuts, each in a fresh engine process")
    parser.add_argument("--quick", action="store_true", help="one network, two runs")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.runs = 2
    return options


def _networks(quick: bool) -> dict[str, Architecture]:
    found = {"a found network at 32 px": Architecture.parse(FOUND)}
    if quick:
        return found
    small = adapted(published("mnasnet-a1", 0.5), resolution=32, channels=3, classes=10, strides="late")
    large = {"mnasnet-a1 at 224 px": published("mnasnet-a1"), "mobilenet-v2 at 224 px": published("mobilenet-v2")}
    return {**found, "mnasnet-a1 x0.5 at 32 px": small, **large}


def _row(name: str, network: Architecture, engine: str, runs: int) -> Row:
    module = build(network).eval()
    device = open_device("local", engine=engine)
    found, seconds = [], []
    for _ in range(runs):
        since = time.perf_counter()
        found.append(part_times(module, device))
        seconds.append(time.perf_counter() - since)
    shares = {part.name: [times.share(times.parts[at]) for times in found] for at, part in enumerate(found[0].parts)}
    row: Row = {"network": name, "engine": engine, "runs": runs, "seconds": statistics.median(seconds)}
    row["whole_ms"] = statistics.median(times.whole_ms for times in found)
    row["share"] = {part: statistics.median(values) for part, values in shares.items()}
    row["spread"] = {part: max(values) - min(values) for part, values in shares.items()}
    row["madds"] = {part.name: part.madds_share for part in drawn_parts(network)}
    if engine == "onnxruntime":
        profile_ms = _profile(module, network)
        total_ms = sum(profile_ms.values())
        row["profile"] = {part: ms / total_ms for part, ms in profile_ms.items()}
        row["profile_ratio"] = total_ms / row["whole_ms"]
    return row


def _profile(module: torch.nn.Module, network: Architecture) -> dict[str, float]:
    """Milliseconds by part, by ONNX Runtime's profile of operators in this process."""
    shape = (network.channels, network.resolution, network.resolution)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as place:
        options.enable_profiling, options.profile_file_prefix = True, str(Path(place) / "profile")
        content = export_model(module, shape, model_format="onnx")
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        image = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
        for _ in range(PROFILED):
            session.run(None, {"image": image})
        events = json.loads(Path(session.end_profiling()).read_text())
    times_us: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times_us[event["name"]].append(event["dur"])
    of_layer = [number for number, block in enumerate(network.blocks, start=1) for _ in range(block.layers)]
    found = dict.fromkeys((part.name for part in drawn_parts(network)), 0.0)
    part = "stem"
    # Nodes that the engine has added, or whose name tells no module, belong to the part before them.
    for node, durations_us in times_us.items():
        part = _part(node, of_layer) or part
        found[part] += quantile(durations_us, 0.25) / 1000
    return found


def _part(node: str, of_layer: list[int]) -> str | None:
    told = re.match(r"(stem|layers|head|pool|classifier)(?:_(\d+))?", node)
    if told is None:
        return None
    if told[1] == "layers":
        return f"block {of_layer[int(told[2])]}"
    return "stem" if told[1] == "stem" else "head"


def _printed(row: Row) -> Row:
    print(f"\n{row['network']}, {row['engine']}: {row['whole_ms']:.3f} ms, {row['seconds']:.1f} s a run")
    print(f"{'part':<10}{'multiply-adds':>15}{'time by cuts':>14}{'between runs':>14}{'profile':>10}")
    for part, share in row["share"].items():
        profile = f"{100 * row['profile'][part]:>8.1f} %" if "profile" in row else ""
        print(
            f"{part:<10}{100 * row['madds'][part]:>13.1f} %{100 * share:>12.1f} %{100 * row['spread'][part]:>10.1f} pts"
            f"{profile:>10}"
        )
    if "profile_ratio" in row:
        print(f"the profile adds up to {row['profile_ratio']:.2f} times the latency")
    sys.stdout.flush()
    return row


if __name__ == "__main__":
    main()
