"""Files of weights: written by nasfit, or a state dict that another library saved. Nothing in them is executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nasfit.architecture import Architecture
from nasfit.errors import WeightsError
from nasfit.models.network import Network, build

# Where training programs put the weights beside their other state.
_INSIDE = ("state_dict", "model")


def save_network(network: Network, file: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes a network as safetensors, whole or not at all, so that a file with this name can be built upon.

    metadata: texts kept beside its architecture and padding, such as those of `nasfit.export.model_metadata`.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    told = {**(metadata or {}), "architecture": str(network.architecture)}
    if network.same_padding:
        told["padding"] = "same"
    unfinished = file.with_name(f".{file.name}.unfinished")
    save_file(state, unfinished, metadata=told)
    unfinished.replace(file)


def load_network(file: Path) -> tuple[Network, dict[str, str]]:
    """The network of a .safetensors file that nasfit wrote, in evaluation mode, and the file's metadata.

    Raises WeightsError for any other file, ArchitectureError for a network that does not read.
    """
    state, metadata = read_weights(file)
    if "architecture" not in metadata:
        raise WeightsError(
            f"{str(file)!r} does not say of which architecture its weights are; give a .safetensors file that nasfit "
            "wrote, or name the network and give this file as its weights"
        )
    network = build(Architecture.parse(metadata["architecture"]), same_padding=metadata.get("padding") == "same")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{str(file)!r} is not of the architecture that it names: {_first_line(error)}") from error
    return network.eval(), metadata


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """State dict, on the CPU, and metadata of a .safetensors file; or the state dict of one of torch (.pth, .pt, .bin).

    A file of torch is read with `weights_only`; it holds a state dict, or one below `state_dict` or `model`. Raises
    WeightsError.
    """
    return read_tensors(file) if file.suffix == ".safetensors" else (_read_torch(file), {})


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, on the CPU, and its metadata. Raises WeightsError."""
    _require_file(file)
    try:
        with safe_open(file, "pt") as opened:
            # Copies: what is opened is a map of the file, which may be written over.
            state = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
            return state, dict(opened.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise _unreadable(file, error) from error


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise WeightsError(f"there is no file {str(file)!r}; check the path")


def _read_torch(file: Path) -> dict[str, Tensor]:
    _require_file(file)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{str(file)!r} holds more than weights, or none, and is not unpickled; save the module's state_dict() "
            "alone, best as .safetensors"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        raise _unreadable(file, error) from error
    for name in _INSIDE:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{str(file)!r} holds no state dict of weights; save the module's state_dict() alone")
    return dict(found)


def _unreadable(file: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"cannot read weights from {str(file)!r}: {_first_line(error)}; the file is damaged or cut off; take another, "
        "or remove it to begin anew"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0]).rstrip(".") if lines else repr(error)
