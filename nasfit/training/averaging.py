"""The exponential moving average of a network's weights over its training, which is what gets evaluated."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


def warmed_decay(step: int, most: float) -> float:
    """min(most, (1 + step) / (10 + step)), step from 1: `num_updates` of TensorFlow's ExponentialMovingAverage."""
    return min(most, (1 + step) / (10 + step))


class AveragedWeights(Generic[N]):
    """A copy of `network` in evaluation mode that follows it: kept = decay * kept + (1 - decay) * new.

    Weights and batch norm's running statistics are averaged, as in the published code; counters are copied.
    """

    def __init__(self, network: N, decay: float) -> None:
        self.network: N = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        theirs, mine = network.state_dict(), self.network.state_dict()
        is_averaged = {name: value.is_floating_point() for name, value in mine.items()}
        self._averaged: list[tuple[Tensor, Tensor]] = [(mine[n], theirs[n]) for n, yes in is_averaged.items() if yes]
        self._copied: list[tuple[Tensor, Tensor]] = [(mine[n], theirs[n]) for n, yes in is_averaged.items() if not yes]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follows the network's `step`-th step, counted from 1."""
        kept, new = map(list, zip(*self._averaged, strict=True))
        torch._foreach_lerp_(kept, new, 1 - warmed_decay(step, self._decay))
        for mine, theirs in self._copied:
            mine.copy_(theirs)
