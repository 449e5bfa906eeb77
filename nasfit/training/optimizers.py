"""Optimizers by name, and which parameters decay."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from nasfit.errors import UnknownNameError

# Of the published model code; TensorFlow adds epsilon inside the root.
RMSPROP = {"alpha": 0.9, "momentum": 0.9, "eps": 1e-3}
MOMENTUM = 0.9


def made_optimizer(name: str, network: nn.Module, *, weight_decay: float, decay_biases: bool) -> torch.optim.Optimizer:
    """One of OPTIMIZERS for all parameters of a network; its rate is 0 until a schedule sets it.

    `rmsprop-tf` is RMSProp as TensorFlow computes it (epsilon inside the root, squares start at one, the rate inside
    the momentum), `sgd` has Nesterov momentum, `adamw` decays apart from its rule. weight_decay: of weights, never of
    batch norm; of biases where `decay_biases`. Raises UnknownNameError.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    norms = {id(value) for part in network.modules() if _is_norm(part) for value in part.parameters()}
    spared = [p for p in network.parameters() if id(p) in norms or (p.ndim <= 1 and not decay_biases)]
    decayed = [p for p in network.parameters() if id(p) not in {id(value) for value in spared}]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return OPTIMIZERS[name](groups)


def _is_norm(part: nn.Module) -> bool:
    return isinstance(part, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm)


Groups = list[dict[str, object]]


def _rmsprop(groups: Groups) -> torch.optim.Optimizer:
    # Imported here: with it come all of that library's networks.
    from timm.optim import RMSpropTF

    optimizer: torch.optim.Optimizer = RMSpropTF(groups, lr=0.0, **RMSPROP)
    return optimizer


def _sgd(groups: Groups) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.0, momentum=MOMENTUM, nesterov=True, fused=True)


def _adamw(groups: Groups) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


OPTIMIZERS: dict[str, Callable[[Groups], torch.optim.Optimizer]] = {
    "rmsprop-tf": _rmsprop,
    "sgd": _sgd,
    "adamw": _adamw,
}
