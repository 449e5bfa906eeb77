"""h-swish in int8: LiteRT's own operator against the product x * hsigmoid(x) that nasfit writes.

    python benchmarks/hard_swish.py
    python benchmarks/hard_swish.py --quick --json

For single maps and for MobileNetV3-small: the shortest of many runs of both files, taken in turn in one process and one
thread, in microseconds, and how far each is from float32, as a share of the largest value.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

from nasfit.architecture import adapted, published
from nasfit.export import run_file, trace_program
from nasfit.export.quantization import calibrated, quantizable
from nasfit.export.tflite_int8 import write_tflite_int8
from nasfit.models import build

MAPS = ((72, 16), (240, 8), (576, 4))


def main() -> None:
    """Times both forms and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    runs = 100 if options.quick else 1000
    rows = [_row(f"{c} x {side} x {side}", nn.Hardswish(), (c, side, side), runs) for c, side in MAPS]
    network = build(adapted(published("mobilenet-v3-small"), resolution=32, channels=3, classes=10, strides="late"))
    rows.append(_row("mobilenet-v3-small, 32 px", network.eval(), (3, 32, 32), runs))
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'':<28}{'operator':>12}{'product':>12}{'of float32':>14}{'of float32':>12}")
    for row in rows:
        print(f"{row['what']:<28}{row['operator_us']:>9.1f} us{row['product_us']:>9.1f} us", end="")
        print(f"{row['operator_error']:>14.4f}{row['product_error']:>12.4f}")


def _row(what: str, module: nn.Module, shape: tuple[int, int, int], runs: int) -> dict[str, Any]:
    pictures_BCHW = 2 * torch.randn(16, *shape)
    program = trace_program(module, shape)
    files = {}
    for name, form in (("operator", program), ("product", quantizable(program))):
        files[name] = write_tflite_int8(form, calibrated(form, pictures_BCHW))
    with torch.no_grad():
        expected = module(pictures_BCHW).numpy()
    row: dict[str, Any] = {"what": what}
    for name, content in files.items():
        got = run_file(content, pictures_BCHW, model_format="tflite")
        row[f"{name}_error"] = float(np.abs(got - expected).max() / np.abs(expected).max())
    return row | {f"{name}_us": fastest for name, fastest in _fastest(files, pictures_BCHW, runs).items()}


def _fastest(files: dict[str, bytes], pictures_BCHW: Tensor, runs: int) -> dict[str, float]:
    """Microseconds of the shortest run of each, QUANTIZE and DEQUANTIZE at the ends included."""
    image = np.ascontiguousarray(pictures_BCHW[:1].numpy().transpose(0, 2, 3, 1))
    interpreters = {}
    for name, content in files.items():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreters[name] = interpreter
    best = dict.fromkeys(files, float("inf"))
    for _ in range(runs):
        for name, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.invoke()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
