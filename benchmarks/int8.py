"""What int8 costs in accuracy and saves in latency and size.

    python benchmarks/int8.py [--part PART] [--quick] [--json]

accuracy: networks at 28 px trained on the shipped Fashion-MNIST pictures; top-1 on the 2,000 test pictures and
    relative root mean square of the logits, int8 files of both formats against the float network.
latency: published networks at 224 px, fp32 and int8 files measured in one interleaved session an engine; file sizes.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nasfit.architecture import Architecture, adapted, published
from nasfit.devices import open_device
from nasfit.export import export_model, run_file
from nasfit.latency import THOROUGH, Measurement, Timing, measure
from nasfit.models import build, calm
from nasfit.space import named_space
from nasfit.tasks import ClassificationData, load
from nasfit.training import as_images, calibration_pictures, normalised, recipe_for, train

ENGINES = {"litert": "tflite", "onnxruntime": "onnx"}
PUBLISHED = (("mnasnet-small", 1.0), ("mnasnet-a1", 0.5), ("mobilenet-v2", 0.35))
POINTS = 3
TIMED = ("mobilenet-v2", "mnasnet-a1", "mnasnet-small")
BRIEF = Timing(min_rounds=15, span_s=0.75)
PARTS = ("accuracy", "latency")


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: both")
    parser.add_argument("--quick", action="store_true", help="one network, trained for less, and two timed ones")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        if "accuracy" in (arguments.part or PARTS):
            figures["accuracy"] = accuracy(arguments.quick)
        if "latency" in (arguments.part or PARTS):
            figures["latency"] = latency(arguments.quick)
    if arguments.json:
        print(json.dumps(figures, indent=1))


def accuracy(quick: bool) -> dict[str, Any]:
    """Trained networks, each in float by torch and in int8 by both engines."""
    rows: dict[str, Any] = {}
    print(f"{'network':>20} {'float':>7}" + "".join(f" {engine:>12} {'RMS':>6} {'size':>5}" for engine in ENGINES))
    with tempfile.TemporaryDirectory() as folder:
        data = load("fashion-mnist-small", cache=Path(folder))
        for name, architecture in list(trained_ones())[: 1 if quick else None]:
            network = trained(architecture, data, images=6_000 if quick else 24_000)
            row = rows[name] = losses(network, data)
            cells = [f" {row[e]['top1']:12.2%} {row[e]['rms']:6.3f} {row[e]['size']:5.2f}" for e in ENGINES]
            print(f"{name:>20} {row['top1']:7.2%}" + "".join(cells), flush=True)
    return rows


def trained_ones() -> Iterator[tuple[str, Architecture]]:
    """Published networks narrow enough for a minute of training, and sampled ones."""
    for name, width in PUBLISHED:
        yield f"{name} x{width}", adapted(published(name, width), resolution=28, channels=1, classes=10)
    draw, space = random.Random(3), named_space("mnasnet")
    for number in range(POINTS):
        point = space.decode([draw.randrange(options) for options in space.option_counts], 0.35)
        yield f"sampled {number}", adapted(point, resolution=28, channels=1, classes=10)


def trained(architecture: Architecture, data: ClassificationData, images: int) -> nn.Module:
    """The network after a short training."""
    torch.manual_seed(0)
    network = build(architecture, bn_momentum=0.1)
    calm(network)
    recipe = recipe_for(images, len(data.train))
    train(network, data.train, recipe, mean=data.mean, std=data.std, seed=0, device=torch.device("cpu"))
    return network.eval()


def losses(network: nn.Module, data: ClassificationData) -> dict[str, Any]:
    """Top-1 in float; for each engine top-1, relative RMS of logits and size in shares of the float file."""
    pictures = normalised(as_images(np.array(data.test.images_NHWC)), data.mean, data.std)
    shape = (data.channels, data.resolution, data.resolution)
    with torch.no_grad():
        float_NK = np.concatenate([network(part).numpy() for part in torch.split(pictures, 500)])
    row: dict[str, Any] = {"top1": top1(float_NK, data)}
    for engine, model_format in ENGINES.items():
        plain = export_model(network, shape, model_format=model_format)
        int8 = export_model(
            network,
            shape,
            model_format=model_format,
            precision="int8",
            calibration_BCHW=calibration_pictures(data),
        )
        int8_NK = run_file(int8, pictures, model_format=model_format)
        rms = float(np.sqrt(np.mean((int8_NK - float_NK) ** 2) / np.mean(float_NK**2)))
        row[engine] = {"top1": top1(int8_NK, data), "rms": rms, "size": len(int8) / len(plain)}
    return row


def top1(logits_NK: np.ndarray, data: ClassificationData) -> float:
    """Share of test pictures whose largest logit is the right one."""
    return float((logits_NK.argmax(1) == np.asarray(data.test.labels_N)).mean())


def latency(quick: bool) -> dict[str, Any]:
    """Headlines of fp32 and int8 files, all of an engine in one session."""
    torch.manual_seed(0)
    figures: dict[str, Any] = {}
    networks = {name: build(published(name)).eval() for name in (TIMED[:2] if quick else TIMED)}
    print(f"\n{'engine':>12} {'network':>16} {'fp32 ms':>8} {'int8 ms':>8} {'faster':>7} {'size':>5}")
    for engine, model_format in ENGINES.items():
        device = open_device("local", engine=engine)
        files = {
            (name, precision): export_model(
                network,
                (3, 224, 224),
                model_format=model_format,
                precision=precision,
                calibration_BCHW=torch.randn(4, 3, 224, 224),
            )
            for name, network in networks.items()
            for precision in ("fp32", "int8")
        }
        named = {" ".join(key): content for key, content in files.items()}
        told = measure(device, named, timing=BRIEF if quick else THOROUGH)
        figures[engine] = {"machine": asdict(device.describe())}
        for name in networks:
            plain, int8 = told[f"{name} fp32"], told[f"{name} int8"]
            assert isinstance(plain, Measurement), plain
            assert isinstance(int8, Measurement), int8
            row = {"fp32_ms": plain.latency_ms, "int8_ms": int8.latency_ms}
            row["size"] = len(files[name, "int8"]) / len(files[name, "fp32"])
            figures[engine][name] = row
            times = row["fp32_ms"] / row["int8_ms"]
            print(
                f"{engine:>12} {name:>16} {row['fp32_ms']:8.2f} {row['int8_ms']:8.2f} {times:6.2f}x {row['size']:5.2f}"
            )
    return figures


if __name__ == "__main__":
    main()
