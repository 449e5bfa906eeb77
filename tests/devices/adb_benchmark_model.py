"""Stands in for Google's `benchmark_model` on the phone that is not there: the same options, the same report.

Run as: adb_benchmark_model.py PROGRAM --graph=... ; PROGRAM is the pushed file, of which only the header is looked at.
The file $PHONE/benchmark-mode says how it behaves:
    real            runs the network with LiteRT and reports times that passed
    canned          reports made-up times: 1500 us, or as `canned 2000` says
    crash           dies of a segmentation fault; `crash-once` only the first time
    hang            does nothing for ever
    garbage         ends well but prints no report
    fewer           reports fewer runs than were asked for
    no-output       as a version that does not know --output_filepath
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    phone = Path(os.environ["PHONE"])
    program, *arguments = sys.argv[1:]
    if Path(program).read_bytes()[18:20] != b"\xb7\x00":
        print(f"{program}: not executable: 64-bit ELF file", file=sys.stderr)
        return 126
    if not os.access(program, os.X_OK):
        print(f"taskset: exec {program}: Permission denied", file=sys.stderr)
        return 126
    print("INFO: STARTING!", flush=True)
    if "--help" in arguments:
        print("Flags:\n\t--num_runs=50\tint32\toptional\texpected number of runs", file=sys.stderr)
        return 1
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    mode, _, detail = (phone / "benchmark-mode").read_text().partition(" ")
    if mode == "crash-once":
        (phone / "benchmark-mode").write_text("canned")
    if mode.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "hang":
        time.sleep(600)
    if mode == "garbage":
        print("INFO: no report today")
        return 0
    if Path(flags["graph"]).read_bytes()[4:8] != b"TFL3":
        print(f"ERROR: Failed to load model {flags['graph']}\nERROR: Benchmarking failed.")
        return 1
    print(f"INFO: Loaded model {flags['graph']}")
    warm, runs = int(flags["warmup_runs"]), int(flags["num_runs"])
    if mode == "real":
        times_us = real_times_us(flags, warm + runs)
    else:
        times_us = [4000] * warm + [int(detail or 1500) + turn for turn in range(runs - (mode == "fewer"))]
    report(times_us[:warm], times_us[warm:], flags)
    return 0


def real_times_us(flags: dict[str, str], turns: int) -> list[int]:
    """Run the network; its input and output are the files that the options name."""
    # Python runs isolated (-I): only what the interpreter's own environment has.
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=flags["graph"], num_threads=int(flags["num_threads"]))
    entry = interpreter.get_input_details()[0]
    shape = list(entry["shape"])
    if "input_layer_shape" in flags:
        shape = [int(size) for size in flags["input_layer_shape"].split(",")]
        interpreter.resize_tensor_input(entry["index"], shape)
    interpreter.allocate_tensors()
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    if "input_layer_value_files" in flags:
        image = np.fromfile(flags["input_layer_value_files"].partition(":")[2], dtype=np.float32).reshape(shape)
    times_us = []
    for _ in range(turns):
        interpreter.set_tensor(entry["index"], image)
        started = time.perf_counter()
        interpreter.invoke()
        times_us.append(round((time.perf_counter() - started) * 1e6))
    if "output_filepath" in flags:
        interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tofile(flags["output_filepath"])
    return times_us


def report(warm_us: list[int], timed_us: list[int], flags: dict[str, str]) -> None:
    """As OnBenchmarkEnd of benchmark_model.cc prints it."""
    for phase, asked in ((warm_us, flags["warmup_runs"]), (timed_us, flags["num_runs"])):
        print(
            f"INFO: Running benchmark for at least {asked} iterations and at least 0 seconds but terminate if "
            f"exceeding {flags['max_secs']} seconds."
        )
        print(f"INFO: {statistics(phase)}\n")
    print(
        f"INFO: Inference timings in us: Init: 5685, First inference: {warm_us[0] if warm_us else 0}, "
        f"Warmup (avg): {mean(warm_us)}, Inference (avg): {mean(timed_us)}"
    )
    print("INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE")
    print("INFO: Memory footprint delta from the start of the tool (MB): init=5.5 overall=10.5")


def statistics(times_us: list[int]) -> str:
    if not times_us:
        return "count=0"
    if min(times_us) == max(times_us):
        return f"count={len(times_us)} curr={times_us[-1]}" + "(all same)" * (len(times_us) > 1)
    ordered = sorted(times_us)
    return (
        f"count={len(times_us)} first={times_us[0]} curr={times_us[-1]} min={ordered[0]} max={ordered[-1]} "
        f"avg={mean(times_us)} std=12 p5={ordered[0]} median={ordered[len(ordered) // 2]} p95={ordered[-1]}"
    )


def mean(times_us: list[int]) -> str:
    return f"{sum(times_us) / len(times_us):.6g}" if times_us else "nan"


if __name__ == "__main__":
    sys.exit(main())
