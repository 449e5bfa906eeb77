"""A training that starts from the weights of another network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from nasfit.architecture import Architecture
from nasfit.errors import ArchitectureError, UsageError
from nasfit.models import Network, build, inherited, read_tensors


def start_from(network: Network, file: Path) -> float:
    """Loads into `network` what it inherits; see `inherited`. Returns the share of its parameters that it does, 0 to 1.

    file: safetensors of a trained network with its architecture as metadata; its last layer stays behind where that
    network tells another number of classes. Raises UsageError.
    """
    parent, weights = _read(file)
    if parent.classes != network.architecture.classes:
        parent, weights = _with_fresh_classes(parent, weights, network.architecture.classes)
    try:
        inheritance = inherited(network, parent, weights)
    except ArchitectureError as error:
        raise UsageError(f"cannot start from {str(file)!r}: {error}") from error
    network.load_state_dict(inheritance.state)
    return inheritance.share


def _with_fresh_classes(
    parent: Architecture, weights: dict[str, Tensor], classes: int
) -> tuple[Architecture, dict[str, Tensor]]:
    """The parent as if it told `classes` classes, its last layer not trained."""
    parent = replace(parent, classes=classes)
    classifier = build(parent).classifier
    last, fresh = f"classifier.{len(classifier) - 1}", classifier[-1].state_dict()
    return parent, {**weights, **{f"{last}.{name}": value for name, value in fresh.items()}}


def _read(file: Path) -> tuple[Architecture, dict[str, Tensor]]:
    tensors, told = read_tensors(file)
    if "architecture" not in told:
        raise UsageError(
            f"{str(file)!r} does not say of which architecture its weights are; start from a .safetensors file that "
            "nasfit wrote"
        )
    return Architecture.parse(told["architecture"]), tensors
