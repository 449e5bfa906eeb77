"""Weights for one network from a trained network of another architecture.

After Net2Net (Chen et al. 2016) and network morphism (Wei et al. 2016). The function stays the same, in evaluation and
up to rounding, where the child differs from its parent only by

* a larger kernel: the parent's, with a border of zeros,
* more filters or a higher expansion: what a new channel feeds weighs nothing yet,
* squeeze-and-excitation where the parent has none: a gate of one half everywhere, and twice the scale around it,
* more layers of `sepconv` or `mbconv` with skip `identity`: they begin as the skip alone.

It does not where something is lost (smaller kernels, fewer channels or layers, no squeeze-and-excitation), where the
skip or the stride is another, or where layers are added that no setting of their weights turns into the identity.
Layers are matched by block and position within it; one whose kind of operation differs (`conv`, `sepconv`, `mbconv`)
stays fresh.

Shapes: O output channels, I input channels, S channels squeezed; a selection gives for every channel of the child the
parent's, or -1 for a new one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture, Layer, layers
from nasfit.errors import ArchitectureError
from nasfit.models.network import MobileLayer, Network, SqueezeExcitation, build, calm, parameter_count

NEW = -1
Stage = tuple[nn.Conv2d, nn.BatchNorm2d]


@dataclass(frozen=True)
class Inheritance:
    """state: of the child, with the names of `Network`. share: of its parameters that are the parent's, 0 to 1."""

    state: dict[str, Tensor]
    share: float


@torch.no_grad()
def inherited(network: Network, parent: Architecture, weights: Mapping[str, Tensor]) -> Inheritance:
    """What `network` takes over from trained weights of `parent`; what is not inherited stays as it is there.

    network: the child, freshly initialised; not changed. Raises ArchitectureError where number of blocks, input
    channels or classes differ, or where the weights are not the parent's.
    """
    require_kin(network.architecture, parent)
    source = build(parent)
    try:
        source.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ArchitectureError(f"these weights are not those of '{parent}': {reason}") from None
    child = copy.deepcopy(network).cpu()
    calm(child)
    copied = _fill(child, source)
    return Inheritance(child.state_dict(), copied / parameter_count(child))


def require_kin(child: Architecture, parent: Architecture) -> None:
    """Raises ArchitectureError where nothing sensible can be inherited."""
    facts = {
        "blocks": (len(child.blocks), len(parent.blocks)),
        "input channels": (child.channels, parent.channels),
        "classes": (child.classes, parent.classes),
    }
    for what, (own, theirs) in facts.items():
        if own != theirs:
            raise ArchitectureError(
                f"a network with {what} {own} cannot inherit from one with {theirs}; start from a network that agrees"
            )


def _fill(child: Network, source: Network) -> int:
    """Number of parameters copied."""
    streams = _streams(child, source)
    own_stem, its_stem = _stages(child.stem)[0], _stages(source.stem)[0]
    pixels_I = torch.arange(child.architecture.channels)
    copied = _fill_stage(own_stem, its_stem, streams[0], pixels_I)
    for block, (own, its) in enumerate(zip(_blocks(child), _blocks(source), strict=True)):
        for place, ((layer, module), (its_layer, its_module)) in enumerate(zip(own, its, strict=False)):
            into_I = streams[block] if place == 0 else streams[block + 1]
            if _kind(layer) == _kind(its_layer):
                copied += _fill_layer(layer, module, its_layer, its_module, into_I, streams[block + 1])
    own_head, its_head = _stages(child.head)[0], _stages(source.head)[0]
    head_O = _selection(own_head[0].out_channels, its_head[1].weight.abs())
    copied += _fill_stage(own_head, its_head, head_O, streams[-1])
    return copied + _fill_classifier(child.classifier, source.classifier, head_O)


def _fill_classifier(classifier: nn.Sequential, its_classifier: nn.Sequential, from_I: Tensor) -> int:
    own, its = ([part for part in parts if isinstance(part, nn.Linear)] for parts in (classifier, its_classifier))
    if len(own) != len(its):
        return 0
    copied = 0
    for mine, theirs in zip(own, its, strict=True):
        to_O = _selection(mine.out_features, theirs.weight.norm(dim=1))
        copied += _fill_linear(mine, theirs, to_O, from_I)
        from_I = to_O
    return copied


def _fill_layer(
    layer: Layer, module: MobileLayer, its_layer: Layer, its_module: MobileLayer, into_I: Tensor, out_O: Tensor
) -> int:
    own, its = _stages(module.body), _stages(its_module.body)
    if layer.op == "conv":
        selections = [into_I, out_O]
    elif layer.expansion == 1:
        selections = [into_I, into_I, out_O]
    else:
        inside_O = _selection(layer.channels_inside, _importance(its[1], its[2]))
        selections = [into_I, inside_O, inside_O, out_O]
    pairs = zip(own, its, selections[:-1], selections[1:], strict=True)
    copied = sum(_fill_stage(mine, theirs, to_O, from_I) for mine, theirs, from_I, to_O in pairs)
    return copied + _fill_squeeze(layer, module, its_module, selections[1] if layer.op == "conv" else selections[-2])


def _fill_squeeze(layer: Layer, module: MobileLayer, its_module: MobileLayer, inside_O: Tensor) -> int:
    own, its = _squeeze(module), _squeeze(its_module)
    if own is None:
        return 0
    if its is None:
        nn.init.zeros_(own.expand.weight)
        # The gate is sigmoid(0); a convolution or batch norm next to it makes up for the half, exactly.
        conv, norm = _stages(module.body)[-1]
        for doubled in (norm.weight, norm.bias) if layer.op == "conv" else (conv.weight,):
            doubled.mul_(2)
        return 0
    squeezed_S = _selection(own.reduce.out_channels, its.expand.weight.flatten(1).norm(dim=0))
    return _fill_linear(own.reduce, its.reduce, squeezed_S, inside_O) + _fill_linear(
        own.expand, its.expand, inside_O, squeezed_S
    )


def _fill_stage(own: Stage, its: Stage, out_O: Tensor, in_I: Tensor) -> int:
    """A convolution and the batch norm after it."""
    conv, its_conv = own[0], its[0]
    weight = _with_kernel(its_conv.weight, conv.kernel_size[0])
    if conv.groups > 1:
        # Depthwise: one input each, its own.
        in_I = torch.zeros(1, dtype=torch.long)
    copied = _fill_rows(conv.weight, weight, out_O, in_I)
    smaller = min(conv.kernel_size[0], its_conv.kernel_size[0])
    copied = copied * smaller**2 // conv.kernel_size[0] ** 2
    kept_O = out_O != NEW
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(own[1], name)[kept_O] = getattr(its[1], name)[out_O[kept_O]]
    return copied + 2 * int(kept_O.sum())


def _fill_linear(own: nn.Conv2d | nn.Linear, its: nn.Conv2d | nn.Linear, out_O: Tensor, in_I: Tensor) -> int:
    """Weights and biases of a linear layer or a 1x1 convolution."""
    assert own.bias is not None and its.bias is not None
    kept_O = out_O != NEW
    own.bias[kept_O] = its.bias[out_O[kept_O]]
    return _fill_rows(own.weight, its.weight, out_O, in_I) + int(kept_O.sum())


def _fill_rows(own_OI: Tensor, its_OI: Tensor, out_O: Tensor, in_I: Tensor) -> int:
    """Known outputs get the parent's weights, and none from new inputs; new outputs stay fresh."""
    kept_O, kept_I = out_O != NEW, in_I != NEW
    rows_OI = torch.zeros_like(own_OI[kept_O])
    rows_OI[:, kept_I] = its_OI[out_O[kept_O]][:, in_I[kept_I]]
    own_OI[kept_O] = rows_OI
    return rows_OI[:, kept_I].numel()


def _with_kernel(weight_OIKK: Tensor, kernel: int) -> Tensor:
    """Cropped to the centre, or with a border of zeros."""
    border = (kernel - weight_OIKK.shape[-1]) // 2
    return nn.functional.pad(weight_OIKK, [border] * 4)


def _streams(child: Network, source: Network) -> list[Tensor]:
    """Selections of the channels between layers: of the stem, then of each block's output.

    Where a skip, the child's or the parent's, adds a block's input to its output, both have the same.
    """
    own, its = (
        (net.architecture.stem_filters, *(block.filters for block in net.architecture.blocks))
        for net in (child, source)
    )
    ends = [
        [_stages(source.stem)[0]],
        *([_stages(module.body)[-1] for _, module in block] for block in _blocks(source)),
    ]
    importances = [torch.stack([norm.weight.abs() for _, norm in stages]).sum(0) for stages in ends]
    # The first place of the run of places that skips join each one to.
    firsts = [0]
    for place, (mine, theirs) in enumerate(zip(_blocks(child), _blocks(source), strict=True), start=1):
        adds = mine[0][0].skip != "none" or theirs[0][0].skip != "none"
        same = own[place] == own[place - 1] and its[place] == its[place - 1]
        firsts.append(firsts[-1] if adds and same else place)
    joined = [[i for i, there in zip(importances, firsts, strict=True) if there == first] for first in firsts]
    return [_selection(number, torch.stack(members).sum(0)) for number, members in zip(own, joined, strict=True)]


def _selection(number: int, importance_O: Tensor) -> Tensor:
    """All the parent's channels and then new ones, or the most important as far as there is room."""
    its = len(importance_O)
    if number >= its:
        return torch.cat([torch.arange(its), torch.full((number - its,), NEW)])
    kept: Tensor = importance_O.topk(number).indices.sort().values
    return kept


def _importance(depthwise: Stage, project: Stage) -> Tensor:
    """Of inner channels: what reaches the output of a channel of unit variance (after Liu et al. 2017, by scale)."""
    reach: Tensor = depthwise[1].weight.abs() * project[0].weight.flatten(1).norm(dim=0)
    return reach


def _kind(layer: Layer) -> str:
    return "mbconv" if layer.expansion > 1 else layer.op


def _blocks(network: Network) -> list[list[tuple[Layer, MobileLayer]]]:
    pairs = zip(layers(network.architecture), network.layers, strict=True)
    return [list(members) for _, members in groupby(pairs, key=lambda pair: pair[0].block)]  # type: ignore[arg-type]


def _stages(modules: nn.Sequential) -> list[Stage]:
    """Convolutions with the batch norms after them, in order."""
    convs = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    return list(zip(convs, norms, strict=True))


def _squeeze(module: MobileLayer) -> SqueezeExcitation | None:
    return next((part for part in module.body if isinstance(part, SqueezeExcitation)), None)
