"""Exact numbers of trainable parameters and multiply-adds, without building a module.

One multiply-add counts as 1. Counted: convolutions, squeeze-and-excitation, linear layers. Not counted, as in the
published figures: normalisation, activations, additions and pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from nasfit.architecture.architecture import Architecture
from nasfit.architecture.layers import Layer, halved, layers


@dataclass(frozen=True)
class Row:
    """One part of the network: its name, output channels, output side in px, parameters and multiply-adds."""

    part: str
    filters: int
    resolution: int
    parameters: int
    madds: int


@dataclass(frozen=True)
class Counts:
    """Totals over all rows: stem, each block, head, hidden layer where there is one, classifier."""

    parameters: int
    madds: int
    rows: tuple[Row, ...]


def count(architecture: Architecture) -> Counts:
    """Trainable parameters (batch norm's scale and shift included) and multiply-adds for one image."""
    side = halved(architecture.resolution, architecture.stem_stride)
    stem = conv_counts(3, architecture.channels, architecture.stem_filters, side)
    rows = [Row("stem", architecture.stem_filters, side, *stem)]
    for index, members in groupby(layers(architecture), key=lambda layer: layer.block):
        in_block = list(members)
        counted = [_layer(layer) for layer in in_block]
        last = in_block[-1]
        totals = (sum(p for p, _ in counted), sum(m for _, m in counted))
        rows.append(Row(f"block {index + 1}", last.channels_out, last.resolution_out, *totals))
    last_row = rows[-1]
    head = conv_counts(1, last_row.filters, architecture.head_filters, last_row.resolution)
    rows.append(Row("head", architecture.head_filters, last_row.resolution, *head))
    features = architecture.head_filters
    if architecture.hidden_filters:
        rows.append(_linear("hidden", features, architecture.hidden_filters))
        features = architecture.hidden_filters
    rows.append(_linear("classifier", features, architecture.classes))
    return Counts(sum(row.parameters for row in rows), sum(row.madds for row in rows), tuple(rows))


def conv_counts(kernel: int, channels_in: int, channels_out: int, side: int, groups: int = 1) -> tuple[int, int]:
    """Parameters (weights and batch norm) and multiply-adds of one convolution with a map of `side` px as output."""
    weights = kernel * kernel * channels_in * channels_out // groups
    return weights + 2 * channels_out, weights * side * side


def _linear(part: str, features: int, outputs: int) -> Row:
    return Row(part, outputs, 1, features * outputs + outputs, features * outputs)


def _layer(layer: Layer) -> tuple[int, int]:
    inside = layer.channels_inside
    stages = []
    if layer.op == "conv":
        stages.append(conv_counts(layer.kernel, layer.channels_in, inside, layer.resolution_out))
    else:
        if layer.expansion > 1:
            stages.append(conv_counts(1, layer.channels_in, inside, layer.resolution_in))
        stages.append(conv_counts(layer.kernel, inside, inside, layer.resolution_out, groups=inside))
        stages.append(conv_counts(1, inside, layer.channels_out, layer.resolution_out))
    if layer.squeeze:
        weights = 2 * inside * layer.squeeze
        stages.append((weights + inside + layer.squeeze, weights))
    return sum(p for p, _ in stages), sum(m for _, m in stages)
