"""The engines beside one another on this machine: time to write a file, parity, latency of MnasNet-A1 at 224 px.

    python benchmarks/engines.py [--quick] [--json] [engine ...]

Engines that are not installed are left out. Sessions of all engines are open at the same time and sampled in turn, so
that a disturbance meets all alike; the lower quartile of the samples counts, and ratios are to the first engine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from nasfit.architecture import published
from nasfit.devices import ENGINES, open_device
from nasfit.devices.worker_engines import ENGINES as CLASSES
from nasfit.devices.worker_engines import first_installed
from nasfit.export import check_parity, export_model
from nasfit.models import build

SHAPE = (3, 224, 224)


def main() -> None:
    """Prints one line a format and one an engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", metavar="engine", help="default: all that are installed")
    parser.add_argument("--quick", action="store_true", help="8 rounds instead of 40, a file written once")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    arguments = parser.parse_args()
    installed = [name for name in ENGINES if first_installed(CLASSES[name].modules)]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext():
        figures = compared(arguments.engines or installed, arguments.quick)
    if arguments.json:
        print(json.dumps(figures, indent=1))


def compared(engines: list[str], quick: bool) -> dict[str, Any]:
    """Figures of each format and of each engine."""
    network, pictures_BCHW = build(published("mnasnet-a1")).eval(), torch.randn(2, *SHAPE)
    contents: dict[str, bytes] = {}
    formats: dict[str, Any] = {}
    for name in dict.fromkeys(ENGINES[engine].model_format for engine in engines):
        contents[name], write_ms = written(network, name, 1 if quick else 3)
        parity = check_parity(network, contents[name], pictures_BCHW, model_format=name)
        formats[name] = {"write_ms": write_ms, "bytes": len(contents[name]), "parity": parity}
        print(f"{name:12} written in {write_ms:6.0f} ms, {len(contents[name]) / 1e6:.1f} MB, parity {parity:.1e}")
    samples_ms = sampled(engines, contents, 8 if quick else 40)
    quartiles_ms = {told: float(np.percentile(samples, 25)) for told, samples in samples_ms.items()}
    first_ms = next(iter(quartiles_ms.values()))
    for told, quartile_ms in quartiles_ms.items():
        print(f"{told:32} {quartile_ms:6.2f} ms, ratio {quartile_ms / first_ms:.2f}")
    machine = asdict(open_device("local", engine=engines[0]).describe())
    return {"machine": machine, "formats": formats, "engines_ms": quartiles_ms}


def written(network: torch.nn.Module, model_format: str, times: int) -> tuple[bytes, float]:
    """The file, and the least time that it took, in ms."""
    times_ms = []
    for _ in range(times):
        began = time.perf_counter()
        content = export_model(network, SHAPE, model_format=model_format)
        times_ms.append((time.perf_counter() - began) * 1e3)
    return content, min(times_ms)


def sampled(engines: list[str], contents: dict[str, bytes], rounds: int) -> dict[str, list[float]]:
    """By engine with its version: CPU times of one inference in ms, each a mean of five, taken in turn."""
    with contextlib.ExitStack() as stack:
        sessions = {}
        for name in engines:
            session = stack.enter_context(open_device("local", engine=name, timeout_s=60).open())
            session.load("a", contents[ENGINES[name].model_format])
            session.sample("a", warm=5, runs=5)
            realtime = ", real time" if session.description.realtime else ""
            sessions[session.description.engine + realtime] = session
        samples_ms: dict[str, list[float]] = {told: [] for told in sessions}
        for _ in range(rounds):
            for told, session in sessions.items():
                samples_ms[told].append(session.sample("a", warm=2, runs=5).cpu_ms)
    return samples_ms


if __name__ == "__main__":
    main()
