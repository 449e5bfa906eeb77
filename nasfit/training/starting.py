"""A training that starts from the weights of another network."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from nasfit.architecture import Architecture
from nasfit.errors import ArchitectureError, UsageError
from nasfit.models import Network, inherited


def start_from(network: Network, file: Path) -> float:
    """Loads into `network` what it inherits; see `inherited`. Returns the share of its parameters that it does, 0 to 1.

    file: safetensors of a trained network with its architecture as metadata. Raises UsageError.
    """
    parent, weights = _read(file)
    try:
        inheritance = inherited(network, parent, weights)
    except ArchitectureError as error:
        raise UsageError(f"cannot start from {str(file)!r}: {error}") from error
    network.load_state_dict(inheritance.state)
    return inheritance.share


def _read(file: Path) -> tuple[Architecture, dict[str, Tensor]]:
    wanted = "start from a .safetensors file that nasfit wrote"
    try:
        with safe_open(file, "pt") as opened:
            text = (opened.metadata() or {}).get("architecture")
            if text is None:
                raise UsageError(f"{str(file)!r} does not say of which architecture its weights are; {wanted}")
            return Architecture.parse(text), load_file(file)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"cannot read weights from {str(file)!r}: {error}; {wanted}") from error
