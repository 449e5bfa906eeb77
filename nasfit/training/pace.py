"""How the steps of a training are computed: chosen once for a study, by measuring."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nasfit.errors import UnknownNameError

PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
# A progressive training shows this share of its pictures first, at this share of their side.
SMALL_SHARE, SMALL_SIDE = 0.5, 0.625


@dataclass(frozen=True)
class Pace:
    """What makes a training fast on one machine; plain values, the same for all networks of a study.

    precision: of maps and products, `fp32` or `bf16`; weights and statistics are float32 in either. progressive: the
    first half of the pictures is shown smaller. Raises UnknownNameError.
    """

    precision: str = "fp32"
    progressive: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnknownNameError("training precision", self.precision, PRECISIONS)

    def shown(self, images_BCHW: Tensor, done: float) -> Tensor:
        """What the network gets to see of normalised float32 images. done: share of the training, 0 to 1."""
        side = images_BCHW.shape[-1]
        small = max(1, round(side * SMALL_SIDE))
        if self.progressive and done < SMALL_SHARE and small < side:
            images_BCHW = functional.interpolate(images_BCHW, size=(small, small), mode="bilinear", antialias=True)
        return images_BCHW


PLAIN = Pace()
