"""What torchvision and timm call the weights of the published networks; plain names, no files.

A list of names stands in the order in which `build` makes the modules: convolution, batch norm, squeeze-and-excitation
and linear layers as the input meets them. Checked against torchvision 0.29 and timm 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from nasfit.architecture import Architecture, Layer, layers

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)

# timm's stages of MobileNetV3-small, in layers; elsewhere a stage is a block.
_V3_STAGES = (1, 2, 3, 2, 3)


@dataclass(frozen=True)
class Form:
    """How a library writes one network.

    names: of its modules, for an architecture. bn_epsilon: that its weights were trained with. same_padding: whether it
    pads by TensorFlow's `SAME` rule. mean, std: per channel, of pixels in 0..1. crop: share of a picture's shorter side
    that its evaluation looks at. architecture: the network as this library has it, where that is not as published.
    """

    names: Callable[[Architecture], list[str]]
    bn_epsilon: float = 1e-5
    same_padding: bool = False
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop: float = 0.875
    architecture: Callable[[Architecture], Architecture] = lambda network: network


def library_of(names: Sequence[str]) -> str | None:
    """`nasfit`, `timm` or `torchvision`, by the first weights of a file; None for another."""
    for name, library in _FIRST_NAMES.items():
        if name in names:
            return library
    return None


def _torchvision_mnasnet(architecture: Architecture) -> list[str]:
    plan = layers(architecture)
    names = [f"layers.{place}" for place in (0, 1, 3, 4, 6, 7)]
    for block, members in groupby(plan[1:], key=lambda layer: layer.block):
        for place, _ in enumerate(members):
            names += [f"layers.{7 + block}.{place}.layers.{part}" for part in (0, 1, 3, 4, 6, 7)]
    return [*names, "layers.14", "layers.15", "classifier.1"]


def _torchvision_v2(architecture: Architecture) -> list[str]:
    names, plan = ["features.0.0", "features.0.1"], layers(architecture)
    for number, layer in enumerate(plan, start=1):
        stages = 1 if layer.op == "sepconv" else 2
        parts = [f"{stage}.{part}" for stage in range(stages) for part in (0, 1)]
        names += [f"features.{number}.conv.{part}" for part in (*parts, stages, stages + 1)]
    last = f"features.{len(plan) + 1}"
    return [*names, f"{last}.0", f"{last}.1", "classifier.1"]


def _torchvision_v3(architecture: Architecture) -> list[str]:
    names, plan = ["features.0.0", "features.0.1"], layers(architecture)
    for number, layer in enumerate(plan, start=1):
        stages = 1 if layer.expansion == 1 else 2
        parts = [f"{stage}.{part}" for stage in range(stages) for part in (0, 1)]
        if layer.squeeze:
            parts += [f"{stages}.fc1", f"{stages}.fc2"]
            stages += 1
        names += [f"features.{number}.block.{part}" for part in (*parts, f"{stages}.0", f"{stages}.1")]
    last = f"features.{len(plan) + 1}"
    return [*names, f"{last}.0", f"{last}.1", "classifier.0", "classifier.3"]


def _timm(architecture: Architecture) -> list[str]:
    stages = [len(list(members)) for _, members in groupby(layers(architecture), key=lambda layer: layer.block)]
    return ["conv_stem", "bn1", *_timm_layers(architecture, stages), "conv_head", "bn2", "classifier"]


def _timm_v3(architecture: Architecture) -> list[str]:
    names, last = list(_timm_layers(architecture, _V3_STAGES)), f"blocks.{len(_V3_STAGES)}.0"
    return ["conv_stem", "bn1", *names, f"{last}.conv", f"{last}.bn1", "conv_head", "classifier"]


def _timm_layers(architecture: Architecture, stages: Sequence[int]) -> Iterator[str]:
    places = [(stage, place) for stage, number in enumerate(stages) for place in range(number)]
    for (stage, place), layer in zip(places, layers(architecture), strict=True):
        yield from (f"blocks.{stage}.{place}.{part}" for part in _timm_parts(layer))


def _timm_parts(layer: Layer) -> tuple[str, ...]:
    squeeze = ("se.conv_reduce", "se.conv_expand") if layer.squeeze else ()
    if layer.op == "sepconv":
        return ("conv_dw", "bn1", *squeeze, "conv_pw", "bn2")
    return ("conv_pw", "bn1", "conv_dw", "bn2", *squeeze, "conv_pwl", "bn3")


def _with_first_residual(network: Architecture) -> Architecture:
    return replace(network, blocks=(replace(network.blocks[0], skip="identity"), *network.blocks[1:]))


def _with_whole_stem(network: Architecture) -> Architecture:
    """At widths below 0.75 the stem keeps its 16 filters."""
    return replace(network, stem_filters=max(16, network.stem_filters))


# The same network in timm's form and with TensorFlow's own weights (its `tf_` networks) has the same names.
TENSORFLOW = "timm with TensorFlow's weights"
FORMS = {
    ("torchvision", "mnasnet-b1"): Form(_torchvision_mnasnet),
    ("torchvision", "mobilenet-v2"): Form(_torchvision_v2),
    ("torchvision", "mobilenet-v3-small"): Form(_torchvision_v3, bn_epsilon=1e-3),
    ("timm", "mnasnet-a1"): Form(_timm),
    ("timm", "mnasnet-b1"): Form(_timm),
    ("timm", "mnasnet-small"): Form(_timm, architecture=_with_first_residual),
    ("timm", "mobilenet-v2"): Form(_timm),
    ("timm", "mobilenet-v3-small"): Form(_timm_v3, architecture=_with_whole_stem),
    (TENSORFLOW, "mobilenet-v3-small"): Form(_timm_v3, bn_epsilon=1e-3, same_padding=True, mean=_HALF, std=_HALF),
}
_FIRST_NAMES = {
    "stem.0.weight": "nasfit",
    "stem.1.weight": "nasfit",
    "conv_stem.weight": "timm",
    "layers.0.weight": "torchvision",
    "features.0.0.weight": "torchvision",
}
