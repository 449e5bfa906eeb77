"""Looks at a network on its way through the training, which may end there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nasfit.errors import UsageError
from nasfit.tasks import Split
from nasfit.training.network_training import Channels, accuracy

# A look, averaging included, costs as much as training on a quarter of these; its error is in part the one of the
# test at the end.
RUNG_PICTURES = 500
# The weights tested are the mean over the steps of the last so many pictures.
AVERAGED_IMAGES = 800


@dataclass(frozen=True)
class StopRule:
    """Ends a training whose accuracy at some point is too low.

    at_images: pictures trained on before the look, above 0. below: accuracy (0 to 1) under which the training ends
    there; 0 only looks. Made beforehand and plain, so that a worker decides without asking. Raises UsageError.
    """

    at_images: int
    below: float = 0.0

    def __post_init__(self) -> None:
        if self.at_images <= 0 or not 0 <= self.below <= 1:
            raise UsageError(f"{self}: at_images must be above 0 and below an accuracy from 0 to 1")


class Watch:
    """Looks at the network where rules say so; call it after every step with the pictures seen.

    Tested is the mean of the weights over the last steps, on the first validation pictures, a fair sample: half-way, at
    a high learning rate, the weights of one step say little about the end. Leaves the network and all random numbers as
    they were.
    """

    def __init__(
        self, network: nn.Module, split: Split, rules: Sequence[StopRule], *, mean: Channels, std: Channels
    ) -> None:
        self._network, self._mean, self._std = network, mean, std
        self._split = Split(split.images_NHWC[:RUNG_PICTURES], split.labels_N[:RUNG_PICTURES])
        self._ahead = sorted(rules, key=lambda rule: rule.at_images)
        self._averaged: nn.Module | None = None
        self._steps = 0
        self.looks: list[tuple[int, float]] = []
        self.stopped = False

    def __call__(self, images: int) -> bool:
        """Whether the training ends here."""
        if self.stopped or not self._ahead:
            return self.stopped
        rule = self._ahead[0]
        if images > rule.at_images - AVERAGED_IMAGES:
            self._average()
        if images >= rule.at_images:
            self._look(rule, images)
        return self.stopped

    def _average(self) -> None:
        self._steps += 1
        if self._averaged is None:
            self._averaged = copy.deepcopy(self._network)
            return
        kept = self._averaged.state_dict()
        for name, value in self._network.state_dict().items():
            if value.is_floating_point():
                kept[name].lerp_(value, 1 / self._steps)

    def _look(self, rule: StopRule, images: int) -> None:
        assert self._averaged is not None, "the step of a look is averaged too"
        device: torch.device = next(self._averaged.parameters()).device
        reached = accuracy(self._averaged, self._split, mean=self._mean, std=self._std, device=device)
        self.looks.append((images, reached))
        self.stopped = reached < rule.below
        self._ahead.pop(0)
        self._averaged, self._steps = None, 0
