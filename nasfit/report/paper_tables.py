"""The paper's tables as plain values, each network beside the one that nasfit has of it.

Tan et al. 2019, tables 1, 2, 4, 5 and 6 and figure 5; accuracies 0 to 1 of ImageNet's validation pictures, latencies of
one big core of a Pixel 1. For the networks with blocks of one kind the paper gives no architectures: filters and
numbers of layers are A1's, blocks 2 to 7 take the kind, and no layer has squeeze-and-excitation, which is our reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nasfit.architecture import Architecture, published

SCALED_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.4)
SCALED_SIDES = (96, 128, 160, 192, 224)


@dataclass(frozen=True)
class PaperRow:
    """One row of a table. accuracy: top-1, 0 to 1, or mAP of COCO test-dev. pixel_ms: on a Pixel 1.

    parameters_m, madds_m: in millions, as the paper rounds them. network: the published name that nasfit has it under,
    None where its architecture is not known, was never published, or is built otherwise; why: which of these. width: of
    that network. architecture: where it is no published one. None stands for what the paper does not tell.
    """

    name: str
    accuracy: float | None = None
    pixel_ms: float | None = None
    parameters_m: float | None = None
    madds_m: float | None = None
    network: str | None = None
    width: float = 1.0
    why: str = ""
    kind: str = ""

    @property
    def key(self) -> str | None:
        """What its network is called on the command line, such as `mobilenet-v2-x1.4`."""
        if self.network is None or self.kind:
            return None
        return self.network if self.width == 1 else f"{self.network}-x{self.width:g}"

    @property
    def architecture(self) -> Architecture | None:
        """The network at 224 px with 1,000 classes; None where there is none."""
        if self.network is None:
            return None
        network = published(self.network, self.width)
        return with_one_kind(network, self.kind) if self.kind else network


def with_one_kind(network: Architecture, kind: str) -> Architecture:
    """Blocks 2 and up of one op and kernel (`mbconv3 k5`), without squeeze-and-excitation."""
    op, kernel = kind.split(" k")
    changed = [replace(block, op=op, kernel=int(kernel), se_ratio=0.0) for block in network.blocks[1:]]
    return replace(network, blocks=(network.blocks[0], *changed))


_NEVER = "architecture never published"
_CELLS = "cells, not blocks"
A1 = PaperRow("MnasNet-A1", 0.752, 78, 3.9, 312, "mnasnet-a1")
IMAGENET = (
    PaperRow("MobileNetV2", 0.720, 75, 3.4, 300, "mobilenet-v2"),
    PaperRow("MobileNetV2 x1.4", 0.747, 143, 6.9, 585, "mobilenet-v2", 1.4),
    PaperRow("NASNet-A", 0.740, 183, 5.3, 564, why=_CELLS),
    PaperRow("AmoebaNet-A", 0.745, 190, 5.1, 555, why=_CELLS),
    PaperRow("MnasNet-B1 (no SE)", 0.745, 77, 4.4, 315, "mnasnet-b1"),
    A1,
    PaperRow("MnasNet-A2", 0.756, 84, 4.8, 340, why=_NEVER),
    PaperRow("MnasNet-A3", 0.767, 103, 5.2, 403, why=_NEVER),
    PaperRow("MobileNetV2 x0.35", 0.603, network="mobilenet-v2", width=0.35),
    PaperRow("MnasNet-A1 x0.35", 0.641, network="mnasnet-a1", width=0.35),
    PaperRow("MnasNet-small, searched at 22 ms", 0.660, network="mnasnet-small"),
)
COCO = (
    PaperRow("MobileNetV1 + SSDLite", 0.222, 270, why="no network of nasfit"),
    PaperRow("MobileNetV2 + SSDLite", 0.221, 200, network="mobilenet-v2"),
    PaperRow("MnasNet-A1 + SSDLite", 0.230, 203, 4.9, 800, "mnasnet-a1"),
)
GOALS = (
    PaperRow("single objective, cell space", 0.740, 183, why=_CELLS),
    PaperRow("multi-objective, cell space", 0.720, 100, why=_CELLS),
    replace(A1, name="multi-objective, MnasNet space (A1)"),
)
KINDS = (
    A1,
    PaperRow("MBConv3 3x3 everywhere", 0.718, 63, network="mnasnet-a1", kind="mbconv3 k3"),
    PaperRow("MBConv3 5x5 everywhere", 0.725, 78, network="mnasnet-a1", kind="mbconv3 k5"),
    PaperRow("MBConv6 3x3 everywhere", 0.749, 116, network="mnasnet-a1", kind="mbconv6 k3"),
    PaperRow("MBConv6 5x5 everywhere", 0.756, 146, network="mnasnet-a1", kind="mbconv6 k5"),
)
ABLATION = (*GOALS, *KINDS[1:])

# What to search to see each idea's worth: options after `STUDY`. The first is the search that the others change.
STUDY = "nasfit search DATA --target-ms T --strategy ppo-paper --prune 0"
STUDIES: Mapping[str, str] = {
    "as published": "--space mnasnet",
    "single objective: accuracy alone": "--space mnasnet --alpha 0 --beta 0",
    "the limit as a hard bound": "--space mnasnet --reward hard",
    "no squeeze-and-excitation": "--space mnasnet-no-se",
    "one kind of layer: MBConv3 3x3": "--space mnasnet-mbconv3-k3",
    "one kind of layer: MBConv3 5x5": "--space mnasnet-mbconv3-k5",
    "one kind of layer: MBConv6 3x3": "--space mnasnet-mbconv6-k3",
    "one kind of layer: MBConv6 5x5": "--space mnasnet-mbconv6-k5",
    "each layer chosen on its own (flat)": "--space mnasnet-flat",
}
