"""How the steps of a training are computed: chosen once for a study, by measuring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nasfit.errors import UnknownNameError

PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
# A progressive training shows this share of its pictures first, at this share of their side.
SMALL_SHARE, SMALL_SIDE = 0.5, 0.625
# As Linux names them: x86 (AVX-512, AMX), ARM.
CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


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


def bf16_in_hardware(cpu_information: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether what trains here multiplies bf16 itself. Where it is emulated, a step takes ten times as long.

    True where that cannot be read: only a trial tells then.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not cpu_information.exists():
        return True
    return not CPU_FLAGS.isdisjoint(cpu_information.read_text().split())
