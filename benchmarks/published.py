"""How far nasfit's published networks are from torchvision's and timm's with the same weights.

    python benchmarks/published.py [--quick] [--json]

Each library's module gets random weights and random batch norm statistics, its state dict is written to a file, and
`create_model` reads that. Printed is the largest difference of two pictures' logits at 224 and 160 px, as a share of
the largest logit; float32 sums taken in another order differ by 1e-7 to 1e-5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from facts import document
from torch import nn

from nasfit.models import create_model

TORCHVISION = {
    "mnasnet0_5": ("mnasnet-b1", 0.5),
    "mnasnet0_75": ("mnasnet-b1", 0.75),
    "mnasnet1_0": ("mnasnet-b1", 1.0),
    "mnasnet1_3": ("mnasnet-b1", 1.3),
    "mobilenet_v2": ("mobilenet-v2", 1.0),
    "mobilenet_v3_small": ("mobilenet-v3-small", 1.0),
}
TIMM = {
    "semnasnet_075": ("mnasnet-a1", 0.75),
    "semnasnet_100": ("mnasnet-a1", 1.0),
    "mnasnet_100": ("mnasnet-b1", 1.0),
    "mnasnet_small": ("mnasnet-small", 1.0),
    "mobilenetv2_050": ("mobilenet-v2", 0.5),
    "mobilenetv2_100": ("mobilenet-v2", 1.0),
    "mobilenetv2_140": ("mobilenet-v2", 1.4),
    "mobilenetv3_small_050": ("mobilenet-v3-small", 0.5),
    "mobilenetv3_small_075": ("mobilenet-v3-small", 0.75),
    "mobilenetv3_small_100": ("mobilenet-v3-small", 1.0),
    "tf_mobilenetv3_small_075": ("mobilenet-v3-small", 0.75),
    "tf_mobilenetv3_small_100": ("mobilenet-v3-small", 1.0),
}


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at 160 px alone")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows: dict[str, Any] = {}
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        print(f"{'library':>12} {'network':>26} {'nasfit':>20} {'width':>6} {'difference':>11}")
        for library, theirs, (name, width), module in modules():
            found = difference(module, name, width, theirs.startswith("tf_"), (160,) if options.quick else (160, 224))
            rows[f"{library} {theirs}"] = {"network": name, "width": width, "difference": found}
            print(f"{library:>12} {theirs:>26} {name:>20} {width:6.2f} {found:11.1e}", flush=True)
    if options.json:
        print(document(options, networks=rows))


def modules() -> Iterator[tuple[str, str, tuple[str, float], nn.Module]]:
    """Library, its name of a network, nasfit's name and width, and the library's module."""
    for theirs, ours in TORCHVISION.items():
        yield "torchvision", theirs, ours, torchvision.models.get_model(theirs, weights=None)
    for theirs, ours in TIMM.items():
        yield "timm", theirs, ours, timm.create_model(theirs, pretrained=False)


def difference(module: nn.Module, name: str, width: float, same_padding: bool, sides: tuple[int, ...]) -> float:
    """The largest over the sides."""
    randomise(module.eval())
    found = 0.0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        file = Path(folder) / "weights.pth"
        torch.save(module.state_dict(), file)
        for side in sides:
            pictures = torch.randn(2, 3, side, side)
            ours = create_model(name, width=width, resolution=side, weights=file, same_padding=same_padding).eval()
            wanted = module(pictures)
            found = max(found, float((ours(pictures) - wanted).abs().max() / wanted.abs().max()))
    return found


def randomise(module: nn.Module) -> None:
    """Random weights that keep a signal alive to the logits, and gates that do not saturate."""
    torch.manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(std=0.2)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.uniform_(0.8, 1.2)
                part.bias.normal_(std=0.1)
            elif isinstance(part, nn.Conv2d | nn.Linear):
                gate = isinstance(part, nn.Conv2d) and part.bias is not None
                part.weight.normal_(std=(0.1 if gate else 1.0) * (2 / part.weight[0].numel()) ** 0.5)
                if part.bias is not None:
                    part.bias.normal_(std=0.1)


if __name__ == "__main__":
    main()
