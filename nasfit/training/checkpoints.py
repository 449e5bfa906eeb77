"""What a training needs to go on as if it had never stopped, and trained weights, as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nasfit.errors import TrainingError
from nasfit.models import read_tensors

FORMAT = "nasfit training 1"
Facts = dict[str, Any]


def packed_weights(network: nn.Module, described: Mapping[str, str]) -> bytes:
    """A file of a network's weights by their own names; `described` are texts such as `architecture`."""
    return _packed(network.state_dict(), dict(described))


def described_weights(file: Path, expected: Mapping[str, str]) -> dict[str, Tensor]:
    """The weights in a file that describes itself as `expected`.

    Raises TrainingError for a file of something else, WeightsError for a damaged one.

    expected: what must be the same, such as `architecture` and `classes`, by the names that `packed_weights` was given.
    """
    tensors, described = read_tensors(file)
    if not described:
        raise TrainingError(f"{str(file)!r} does not say of which network its weights are; give a file nasfit wrote")
    _require_same(file, described, expected)
    return tensors


def packed_state(
    modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, described: Mapping[str, str], facts: Facts
) -> bytes:
    """A checkpoint: all weights and buffers of some modules, the optimizer's state, and plain values."""
    tensors = {
        f"{part}.{name}": value for part, module in modules.items() for name, value in module.state_dict().items()
    }
    plain: Facts = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            place = f"optimizer.{index}.{name}"
            (tensors if isinstance(value, Tensor) else plain)[place] = value
    told = {"format": FORMAT, **described, "facts": json.dumps(facts), "plain": json.dumps(plain)}
    return _packed(tensors, told)


def restore_state(
    file: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, described: Mapping[str, str]
) -> Facts:
    """Puts a checkpoint's values into modules and optimizer; returns its plain values.

    Raises TrainingError for a checkpoint of something else, WeightsError for a damaged file.
    """
    tensors, told = read_tensors(file)
    if told.get("format") != FORMAT:
        raise TrainingError(
            f"{str(file)!r} is no checkpoint of this version ({told.get('format') or 'no format named'}); "
            "remove it to begin anew"
        )
    _require_same(file, told, described)
    try:
        for part, module in modules.items():
            prefix = f"{part}."
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            module.load_state_dict(own)
        _restore_optimizer(optimizer, {**tensors, **json.loads(told["plain"])})
        facts: Facts = json.loads(told["facts"])
    except (KeyError, ValueError, RuntimeError) as error:
        last_line = str(error).splitlines()[-1].strip()
        raise TrainingError(f"checkpoint {str(file)!r} does not fit: {last_line}; remove it to begin anew") from error
    return facts


def _restore_optimizer(optimizer: torch.optim.Optimizer, values: Mapping[str, Any]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for place, value in values.items():
        kind, *rest = place.split(".", 2)
        if kind != "optimizer":
            continue
        parameter = parameters[int(rest[0])]
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            # In the parameter's memory order, which fused kernels take for granted.
            value = torch.empty_like(parameter.detach()).copy_(value)
        state.setdefault(int(rest[0]), {})[rest[1]] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _require_same(file: Path, described: Mapping[str, str], expected: Mapping[str, str]) -> None:
    for what, wanted in expected.items():
        if described.get(what) != wanted:
            raise TrainingError(
                f"{str(file)!r} is of other {what}: it has {described.get(what, 'none')}, wanted is {wanted}; "
                "take a file that agrees"
            )


def _packed(tensors: Mapping[str, Tensor], described: dict[str, str]) -> bytes:
    content: bytes = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, described)
    return content
