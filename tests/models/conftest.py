"""Weights carried over from other libraries' networks, module by module in their order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

Transfer = Callable[[nn.Module, nn.Module], None]


@pytest.fixture(autouse=True)
def one_thread_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def randomised() -> Callable[[nn.Module], None]:
    """randomised(module): random weights that keep a signal alive to the logits, random batch norm statistics."""

    def randomise(module: nn.Module) -> None:
        torch.manual_seed(0)
        with torch.no_grad():
            for part in weighted(module):
                if isinstance(part, nn.BatchNorm2d):
                    part.running_mean.normal_(std=0.2)
                    part.running_var.uniform_(0.5, 1.5)
                    part.weight.uniform_(0.8, 1.2)
                else:
                    # Where gates of squeeze-and-excitation saturate, the last bit of a sum moves the logits by 1e-5.
                    gate = isinstance(part, nn.Conv2d) and part.bias is not None
                    part.weight.normal_(std=(0.1 if gate else 1.0) * (2 / part.weight[0].numel()) ** 0.5)
                if part.bias is not None:
                    part.bias.normal_(std=0.1)

    return randomise


@pytest.fixture
def transferred() -> Transfer:
    """transferred(source, target): copies all weights; fails where kinds or shapes do not match one to one."""

    def transfer(source: nn.Module, target: nn.Module) -> None:
        for theirs, ours in zip(weighted(source), weighted(target), strict=True):
            state = theirs.state_dict()
            if isinstance(ours, nn.Linear) and isinstance(theirs, nn.Conv2d) and theirs.kernel_size == (1, 1):
                # On a map of one pixel both are the same.
                state["weight"] = state["weight"].flatten(1)
            else:
                assert isinstance(theirs, type(ours)), f"{theirs} against {ours}"
            ours.load_state_dict(state, strict=True)

    return transfer


def weighted(module: nn.Module) -> list[nn.Conv2d | nn.BatchNorm2d | nn.Linear]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
