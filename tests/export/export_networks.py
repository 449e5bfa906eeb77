"""Networks and pictures that the tests of export share."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasfit.tasks.fashion_mnist import read_subset


def settled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms that do something, so that a wrong fold shows."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            size = part.num_features
            part.running_mean = torch.randn(size, generator=generator) * 0.1
            part.running_var = torch.rand(size, generator=generator) + 0.5
            part.weight.data = torch.rand(size, generator=generator) + 0.5
            part.bias.data = torch.randn(size, generator=generator) * 0.1
    return module


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clothes(number: int, channels: int, resolution: int, first: int = 0) -> Tensor:
    """Normalised Fashion-MNIST pictures (B, C, H, W), from the test split of the subset that ships."""
    pixels_NHWC = _pictures()[first : first + number]
    grey_BCHW = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float().div(255).sub(0.286).div(0.353)
    if resolution != 28:
        grey_BCHW = functional.interpolate(grey_BCHW, size=(resolution, resolution), mode="bilinear")
    return grey_BCHW.repeat(1, channels, 1, 1)


@cache
def _pictures() -> np.ndarray:
    return read_subset()[1].images_NHWC
