"""Normalisation inside the graph: a convolution of one pixel that every format and int8 have.

Shapes: B pictures, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def with_preprocessing(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Sequential:
    """A module that takes pixels of 0 to 255, float32 (B, C, H, W), in the mode of `network`, whose weights it shares.

    mean, std: per channel, of pixels in 0..1.
    """
    channels = len(mean)
    normalise = nn.Conv2d(channels, channels, 1, groups=channels)
    with torch.no_grad():
        normalise.weight.copy_(torch.tensor([1 / (255 * value) for value in std]).reshape(-1, 1, 1, 1))
        normalise.bias.copy_(torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]))  # type: ignore[union-attr]
    return nn.Sequential(normalise, network).train(network.training)
