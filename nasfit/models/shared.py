"""One set of weights for many networks of a factorized space: each network is a window on slices of it.

A layer's weights are kept once for every place (block and position in it) and kind of op, at the largest size that any
network needs: a 3x3 kernel is the centre of the 5x5, fewer filters and a smaller expansion are the first channels, a
shallower block is the first layers (Cai et al. 2020, "Once for all", section 3.2; Yu et al. 2018, slimmable networks).
Batch-norm statistics belong to one network and are never shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture, Layer, layers
from nasfit.errors import ArchitectureError, UsageError
from nasfit.models.network import BN_EPSILON, MobileLayer, Network, SqueezeExcitation, build
from nasfit.space import SearchSpace, Tokens

Shape = tuple[int, ...]
# Architecture of a point as a study builds it: scaled in width, fitted to its pictures.
Fitted = Callable[[Tokens], Architecture]


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in the flat storage."""

    start: int
    shape: Shape

    def of(self, flat: Tensor) -> Tensor:
        return flat[self.start : self.start + math.prod(self.shape)].view(self.shape)


class SharedWeights:
    """Weights for every network that is nowhere larger than the given ones, which must agree in stem, input and head.

    values, gradients: flat float32 vectors of all shared parameters, on `device`; the first `decayed` are kernels and
    matrices, which weight decay is for, the others batch norms and biases. All zero: see `fresh` and `load`.
    """

    def __init__(self, largest: Iterable[Architecture], device: torch.device | str = "cpu") -> None:
        shapes = _largest_shapes(tuple(largest))
        # Stable: within the two groups the order of the networks.
        order = sorted(shapes, key=lambda name: len(shapes[name]) <= 1)
        self._places: dict[str, _Place] = {}
        total = self.decayed = 0
        for name in order:
            self._places[name] = _Place(total, shapes[name])
            total += math.prod(shapes[name])
            self.decayed = total if len(shapes[name]) > 1 else self.decayed
        self.values = torch.zeros(total, device=device)
        self.gradients = torch.zeros(total, device=device)

    @classmethod
    def fresh(cls, largest: Iterable[Architecture], device: torch.device | str = "cpu") -> Self:
        """Weights as `build` and `calm` draw them, by torch's global generator."""
        weights = cls(largest, device)
        for name, value in weights.named_values():
            _initialise(name, value)
        return weights

    def named_values(self) -> Iterator[tuple[str, Tensor]]:
        """Name and values of each shared tensor; they are views, to be changed in place."""
        for name, place in self._places.items():
            yield name, place.of(self.values)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Take the values of an earlier `named_values`. Raises UsageError where names or shapes differ."""
        for name, place in self._places.items():
            if name not in values or tuple(values[name].shape) != place.shape:
                got = tuple(values[name].shape) if name in values else "nothing"
                raise UsageError(
                    f"shared weights {name!r} should have shape {place.shape}, got {got}; they are of another space, "
                    f"width or data set"
                )
            place.of(self.values).copy_(values[name])

    def window(self, architecture: Architecture, *, bn_momentum: float = 0.1) -> Network:
        """A network whose parameters, and their gradients, are views of the shared ones.

        What it learns, all learn; a backward pass adds to `gradients`. Its batch-norm statistics are its own. Never
        move it with `to`: that would copy. Raises ArchitectureError where it is larger than the shared weights.
        """
        with torch.device("meta"):
            network = Network(architecture)
        for name, shared in shared_names(network).items():
            module, _, what = name.rpartition(".")
            parameter = nn.Parameter(self._slice(self.values, shared, network.get_parameter(name).shape))
            parameter.grad = self._slice(self.gradients, shared, parameter.shape)
            setattr(network.get_submodule(module), what, parameter)
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = bn_momentum
                _own_statistics(part, self.values.device)
        return network

    @torch.no_grad()
    def extract(self, architecture: Architecture, *, dropout: float = 0.0, bn_momentum: float = 0.1) -> Network:
        """An ordinary network with copies of its slices; batch-norm statistics are to be recalibrated."""
        network = build(architecture, dropout=dropout, bn_momentum=bn_momentum).to(self.values.device)
        for name, shared in shared_names(network).items():
            parameter = network.get_parameter(name)
            parameter.copy_(self._slice(self.values, shared, parameter.shape))
        return network

    def _slice(self, flat: Tensor, name: str, shape: Shape) -> Tensor:
        place = self._places.get(name)
        if place is None or any(wanted > there for wanted, there in zip(shape, place.shape, strict=True)):
            has = "none" if place is None else place.shape
            raise ArchitectureError(f"the network needs weights {name!r} of shape {tuple(shape)}; shared are {has}")
        return place.of(flat)[_window(place.shape, shape)]


def corners(space: SearchSpace, fitted: Fitted) -> list[Architecture]:
    """Networks that together need the largest shape of every weight of the space: `SharedWeights` over them holds all.

    One for every op; in each the blocks have their largest kernels, SE ratios, filters and depths.
    """
    found = []
    for op in range(max((len(choices.ops) for choices in space.searched), default=1)):
        tokens: list[int] = []
        for choices in space.searched:
            sizes = (choices.kernels, choices.se_ratios, choices.filters, choices.layers)
            kernel, squeeze, filters, number = (options.index(max(options)) for options in sizes)
            tokens += [op % len(choices.ops), kernel, squeeze, 0, filters, number]
        found.append(fitted(tuple(tokens)))
    return found


def shared_names(network: Network) -> dict[str, str]:
    """Of each parameter, by its name in the network: the name of the shared weights that it is a slice of."""
    names = {name: name for name, _ in network.named_parameters() if not name.startswith("layers.")}
    positions: dict[int, int] = {}
    for index, layer in enumerate(layers(network.architecture)):
        position = positions[layer.block] = positions.get(layer.block, -1) + 1
        module = network.layers[index]
        assert isinstance(module, MobileLayer)
        for inside, role in _roles(layer, module):
            names[f"layers.{index}.{inside}"] = f"block{layer.block + 1}.layer{position + 1}.{role}"
    return names


def _roles(layer: Layer, module: MobileLayer) -> Iterator[tuple[str, str]]:
    """Parameters of a layer, by name within it, and what they do: `mbconv.depthwise.weight`."""
    family = layer.op.rstrip("0123456789")
    stages = ["conv"] if family == "conv" else ["depthwise", "project"]
    if layer.expansion > 1:
        stages.insert(0, "expand")
    done = 0
    for place, part in enumerate(module.body):
        if isinstance(part, nn.Conv2d):
            role, done = stages[done], done + 1
        elif isinstance(part, nn.BatchNorm2d):
            # One whose output is added to a skip starts at zero, see `calm`; without a skip that would block the way.
            added = place == len(module.body) - 1 and module.skip is not None
            role = f"{stages[done - 1]}.{_ADDED_NORM if added else _NORM}"
        elif isinstance(part, SqueezeExcitation):
            role = "squeeze"
        else:
            continue
        for name, _ in part.named_parameters():
            yield f"body.{place}.{name}", f"{family}.{role}.{name}"


_NORM, _ADDED_NORM = "norm", "added_norm"


@lru_cache(maxsize=4)
def _largest_shapes(networks: tuple[Architecture, ...]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for architecture in networks:
        with torch.device("meta"):
            network = Network(architecture)
        for name, shared in shared_names(network).items():
            shape = tuple(network.get_parameter(name).shape)
            # Whether a layer has a skip is a choice that has no weights of its own but this one.
            for norm in (_NORM, _ADDED_NORM):
                twin = shared.replace(f".{_NORM}.", f".{norm}.").replace(f".{_ADDED_NORM}.", f".{norm}.")
                shapes[twin] = tuple(map(max, shape, shapes.get(twin, shape)))
    return shapes


def _window(whole: Shape, part: Shape) -> tuple[slice, ...]:
    """The first channels, the centre of a kernel."""
    spare = [there - wanted for there, wanted in zip(whole, part, strict=True)]
    starts = [0 if axis < 2 else spare[axis] // 2 for axis in range(len(part))]
    return tuple(slice(start, start + wanted) for start, wanted in zip(starts, part, strict=True))


def _initialise(name: str, values: Tensor) -> None:
    """As `initialise` and `calm` do; what follows from a shape follows from the largest."""
    if name.endswith(".bias"):
        values.zero_()
    elif values.ndim == 1:
        values.fill_(0.0 if f".{_ADDED_NORM}." in name else 1.0)
    elif values.ndim == 2:
        bound = 1.0 / math.sqrt(values.shape[1])
        values.uniform_(-bound, bound)
    else:
        filters = 1 if ".depthwise." in name else values.shape[0]
        values.normal_(std=math.sqrt(2.0 / (filters * values.shape[2] * values.shape[3])))


def _own_statistics(norm: nn.BatchNorm2d, device: torch.device) -> None:
    norm.eps = BN_EPSILON
    norm.running_mean = torch.zeros(norm.num_features, device=device)
    norm.running_var = torch.ones(norm.num_features, device=device)
    norm.num_batches_tracked = torch.tensor(0, device=device)
