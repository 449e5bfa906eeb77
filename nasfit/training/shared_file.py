"""Shared weights on the disk: one safetensors file that also tells which networks made them and what they learned."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nasfit.architecture import Architecture
from nasfit.errors import StudyError
from nasfit.models.shared import SharedWeights

_FACTS, _MOMENTUM = "nasfit", "optimizer.momentum"


@dataclass(frozen=True)
class SharedFacts:
    """largest: texts of the networks whose largest shapes the weights have.

    learned: numbers of the trials of the last batch that trained them; first: of the first. failures: why networks
    diverged in the last training, by their texts. seconds: of all workers, what it cost. images: shown so far, to all
    networks together. stages: of a supernet's training that are done. training, steps: the unfinished training that the
    weights come out of, and how far it is.
    """

    largest: tuple[str, ...]
    learned: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    images: int = 0
    stages: int = 0
    training: str = ""
    steps: int = 0


def shared_content(weights: SharedWeights, facts: SharedFacts, momentum: Tensor | None = None) -> bytes:
    """A safetensors file of the named shared weights; momentum: of the optimizer, flat as `SharedWeights.values`."""
    tensors = {name: value.cpu().contiguous() for name, value in weights.named_values()}
    if momentum is not None:
        tensors[_MOMENTUM] = momentum.cpu()
    content: bytes = save(tensors, metadata={_FACTS: json.dumps(asdict(facts))})
    return content


def write_shared(path: Path, weights: SharedWeights, facts: SharedFacts, momentum: Tensor | None = None) -> None:
    """Writes the file whole or, where it is interrupted, not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(shared_content(weights, facts, momentum))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_shared(path: Path, device: torch.device | str = "cpu") -> tuple[SharedWeights, SharedFacts, Tensor | None]:
    """Inverse of `shared_content`. Raises StudyError where the file is missing, damaged or something else."""
    facts, tensors = _read(path)
    weights = SharedWeights([Architecture.parse(text) for text in facts.largest], device)
    momentum = tensors.pop(_MOMENTUM, None)
    weights.load(tensors)
    return weights, facts, None if momentum is None else momentum.to(device)


def read_facts(path: Path) -> SharedFacts:
    """What the file tells of itself, without its weights. Raises StudyError as `read_shared` does."""
    try:
        with safe_open(path, "pt") as file:
            return _facts(file.metadata())
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from error


def inherited_state(path: Path, architecture: Architecture) -> dict[str, Tensor]:
    """State dict of an ordinary `Network` with its slices of the shared weights of a file.

    Its batch-norm statistics are those of a new network; training sets them. Raises StudyError where the file does not
    read, ArchitectureError where the network is larger than the shared weights.
    """
    return read_shared(path)[0].extract(architecture).state_dict()


def write_inherited(shared: Path, architecture: Architecture, result: Path) -> None:
    """Writes `inherited_state` as the file of one network that a training can start from, `TrainingJob.start`."""
    state = {name: value.contiguous() for name, value in inherited_state(shared, architecture).items()}
    result.write_bytes(save(state, metadata={"architecture": str(architecture)}))


def _read(path: Path) -> tuple[SharedFacts, dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            return _facts(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from error


def _facts(metadata: Mapping[str, str] | None) -> SharedFacts:
    values = json.loads((metadata or {})[_FACTS])
    lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return SharedFacts(**{**values, **lists})


def _unreadable(path: Path, error: Exception) -> StudyError:
    return StudyError(
        f"shared weights {str(path)!r} do not read ({error}); restore the file from a copy, or begin a new study"
    )
