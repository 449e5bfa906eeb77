"""What rate and crops do to a short training of a detector, on drawn pictures: red and green boxes over noise.

    python benchmarks/detection_recipe.py --quick --json
    python benchmarks/detection_recipe.py --steps 500

The recipe as it ships, at a seventh of its rate, and with a crop of every picture and none zoomed out, as torchvision's
reference has it; the same network, pictures and number of steps each. Steps are of 8 pictures, on one thread.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facts import document
from PIL import Image
from torchvision.transforms import v2

from nasfit.architecture import Architecture, detector_on
from nasfit.tasks import DetectionData, load_detection
from nasfit.training import detection_batches
from nasfit.training.detector_training import DetectionRecipe, Normalisation, detector_training, steps_per_epoch
from nasfit.training.full_training import full_training
from nasfit.training.training_events import Completed, EpochEnded

SIDE = 96
NETWORK = (
    "in3@96 stem16s2 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s2 se0 identity f16 n2 | "
    "mbconv3 k3 s2 se0 identity f24 n2 | mbconv3 k3 s2 se0 identity f40 n2 | mbconv6 k5 s1 se0 identity f56 n1 | "
    "mbconv6 k5 s2 se0 identity f96 n1 | head240 out2 relu"
)
SHIPPED = DetectionRecipe(batch=8)
VARIANTS = {
    "as shipped": (SHIPPED, False),
    "a seventh of the rate": (replace(SHIPPED, rate=SHIPPED.rate / 7), False),
    "a crop of every picture": (SHIPPED, True),
    "both": (replace(SHIPPED, rate=SHIPPED.rate / 7), True),
}


def main() -> None:
    """Prints a line a variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--steps", type=int, default=500, help="of each training")
    parser.add_argument("--quick", action="store_true", help="60 pictures, 30 steps")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.pictures, options.steps = 60, 30
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = load_detection(drawn(root / "drawn", options.pictures), cache=root / "data", resolution=SIDE)
        rows = [trained(name, data, options.steps) for name in VARIANTS]
    if options.json:
        print(document(options, variants=rows))
        return
    print(f"{'':<26}{'rate':>8}{'loss':>8}{'validation mAP':>16}")
    for row in rows:
        print(f"{row['variant']:<26}{row['rate']:>8.2g}{row['loss']:>8.3g}{100 * row['map']:>14.1f} %")


def drawn(root: Path, number: int) -> Path:
    """One or two boxes, red or green, on dark noise, marked in Pascal VOC's form."""
    root.mkdir()
    for index in range(number):
        draw, things = random.Random(index), ""
        pixels = np.random.default_rng(index).integers(0, 90, (SIDE, SIDE, 3)).astype(np.uint8)
        for _ in range(draw.randint(1, 2)):
            width, height = draw.randint(24, 48), draw.randint(24, 48)
            left, top = draw.randint(0, SIDE - 1 - width), draw.randint(0, SIDE - 1 - height)
            colour = draw.choice(("red", "green"))
            pixels[top : top + height, left : left + width] = (220, 30, 30) if colour == "red" else (30, 220, 30)
            corners = zip(("xmin", "ymin", "xmax", "ymax"), (left, top, left + width, top + height), strict=True)
            box = "".join(f"<{name}>{value}</{name}>" for name, value in corners)
            things += f"<object><name>{colour}</name><bndbox>{box}</bndbox></object>"
        Image.fromarray(pixels).save(root / f"{index:04}.png")
        (root / f"{index:04}.xml").write_text(f"<annotation>{things}</annotation>")
    return root


def trained(name: str, data: DetectionData, steps: int) -> dict[str, Any]:
    """One variant: its loss over the last epoch, and mAP on the validation pictures."""
    recipe, is_cropped = VARIANTS[name]
    shipped = detection_batches.zoomed_and_cropped
    if is_cropped:
        detection_batches.zoomed_and_cropped = lambda: [v2.RandomIoUCrop()]  # type: ignore[assignment]
    try:
        training = detector_training(
            detector_on(Architecture.parse(NETWORK), classes=len(data.classes), resolution=SIDE),
            data,
            replace(recipe, epochs=steps / steps_per_epoch(data, recipe)),
            seed=0,
            device=torch.device("cpu"),
            normalisation=Normalisation(),
        )
        rows, last = [], None
        for event in full_training(training, keep=lambda name, content: None):
            if isinstance(event, EpochEnded):
                rows.append(event.row)
            elif isinstance(event, Completed):
                last = event
    finally:
        detection_batches.zoomed_and_cropped = shipped
    assert last is not None, "a training that ends says so"
    print(f"{name}: {100 * last.best['map']:.1f} %", file=sys.stderr)
    return {"variant": name, "rate": recipe.rate, "loss": rows[-1]["loss"], "map": last.best["map"]}


if __name__ == "__main__":
    main()
