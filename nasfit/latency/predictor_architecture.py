"""Architectures as a predictor sees them: per block what its first layer does, and what each further layer repeats.

latency = known terms + sum over blocks of (first layer + (layers - 1) * further layer) + what is not additive.
The first layer depends on the filters of the block before, the further ones do not. What is built counts, not what is
written: skips that channels or stride rule out are left out, so equal networks get equal answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nasfit.architecture import Architecture, Layer, layers
from nasfit.architecture.architecture import SKIPS
from nasfit.errors import UsageError
from nasfit.latency.predictor_form import Component, Encoded, Layout
from nasfit.latency.predictor_terms import GROUPS, terms

ENDS = ("stem_filters", "stem_stride", "head_filters", "hidden_filters")
WHOLE = ("resolution", "channels", *ENDS, "classes", "activation")
FIRST = ("op", "kernel", "SE ratio", "first skip", "filters", "filters before", "side")
FURTHER = ("op", "kernel", "SE ratio", "skip", "filters", "side")
BLOCK = (*FIRST, "skip", "layers")
_NAMED = ("op", "first skip", "skip", "activation")
_LOGARITHMIC = ("filters", "filters before", "side", "resolution", "stem_filters", "head_filters", "classes")


@dataclass(frozen=True)
class Column:
    """One property of one block (block is None: of the whole network) and the values known of it.

    names: the options of a property without order, empty for a number. low, high: range seen of a number.
    """

    block: int | None
    what: str
    names: tuple[str, ...]
    low: float
    high: float

    @property
    def varies(self) -> bool:
        """Whether the networks seen differ in it."""
        return len(self.names) > 1 or self.high > self.low

    def code(self, value: Any) -> float:
        """Index of a name; place of a number in its range, 0..1. Raises UsageError for what the form does not know."""
        if self.names:
            if value not in self.names:
                raise UsageError(f"{self._where}: unknown option {value!r}; the predictor has seen {self.names}")
            return float(self.names.index(value))
        if not self.low <= value <= self.high:
            raise UsageError(
                f"{self._where} is {value:g}; the predictor has seen {self.low:g} to {self.high:g}: "
                "measure this network, or fit again with networks like it"
            )
        if self.high == self.low:
            return 0.0
        number, low, high = float(value), self.low, self.high
        if self.what in _LOGARITHMIC:
            number, low, high = np.log(number), np.log(low), np.log(high)
        return float((number - low) / (high - low))

    @property
    def _where(self) -> str:
        return self.what.replace("_", " ") + ("" if self.block is None else f" of block {self.block + 1}")


@dataclass(frozen=True)
class ArchitectureForm:
    """Columns and terms of the networks it was learned from; made by `of`.

    term_names: (group, name) of the sums that differ among them. term_means, term_sds: to standardise them.
    """

    blocks: int
    columns: tuple[Column, ...]
    term_names: tuple[tuple[str, str], ...]
    term_means: tuple[float, ...]
    term_sds: tuple[float, ...]

    @classmethod
    def of(cls, architectures: Sequence[Architecture]) -> ArchitectureForm:
        """Raises UsageError where the networks have different numbers of blocks."""
        blocks = len(architectures[0].blocks)
        seen = [_values(_checked(architecture, row, blocks)) for row, architecture in enumerate(architectures)]
        columns = tuple(_column(place, [values[place] for values in seen], architectures) for place in seen[0])
        sums = [terms(architecture) for architecture in architectures]
        names = sorted({name for one in sums for name in one})
        table = np.array([[one.get(name, 0.0) for name in names] for one in sums])
        means, sds = table.mean(axis=0), table.std(axis=0)
        kept = [at for at in range(len(names)) if sds[at] > 1e-9 * max(abs(means[at]), 1.0)]
        chosen = tuple(names[at] for at in kept)
        return cls(blocks, columns, chosen, tuple(means[kept].tolist()), tuple(sds[kept].tolist()))

    @property
    def layout(self) -> Layout:
        """Two parts a block, and one of everything together for what is not additive."""
        free = {(c.block, c.what): at for at, c in enumerate(c for c in self.columns if c.varies)}
        parts = []
        for block in range(self.blocks):
            first = [what for what in FIRST if (block, what) in free]
            further = [what for what in FURTHER if (block, what) in free]
            if first:
                parts.append(self._part(block, first, None, free))
            if further or (block, "layers") in free:
                parts.append(self._part(block, further, block, free))
        together = tuple(f"all {what}" for _, what in free)
        parts.append(Component(tuple(free.values()), None, together))
        ordered = tuple(what not in _NAMED for _, what in free)
        used = [group for group in GROUPS if any(group == name for name, _ in self.term_names)]
        return Layout(ordered, tuple(parts), tuple(used.index(group) for group, _ in self.term_names))

    def _part(
        self, block: int, what: list[str], multiplier: int | None, free: Mapping[tuple[int | None, str], int]
    ) -> Component:
        kind = "first" if multiplier is None else "further"
        return Component(tuple(free[block, w] for w in what), multiplier, tuple(f"{kind} {w}" for w in what))

    def encode(self, architectures: Sequence[Architecture]) -> Encoded:
        """Raises UsageError naming what no network had that the form was learned from."""
        codes, sums = [], []
        for row, architecture in enumerate(architectures):
            values = _values(_checked(architecture, row, self.blocks))
            codes.append([column.code(values[column.block, column.what]) for column in self.columns])
            found = terms(architecture)
            sums.append([found.get(name, 0.0) for name in self.term_names])
        free = [at for at, column in enumerate(self.columns) if column.varies]
        depths = [[float(block.layers - 1) for block in architecture.blocks] for architecture in architectures]
        standard = (np.array(sums) - np.array(self.term_means)) / np.array(self.term_sds)
        return Encoded(np.array(codes)[:, free], np.array(depths), standard)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` is the inverse."""
        return {"kind": "architectures", **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArchitectureForm:
        """Inverse of `to_dict`."""
        columns = tuple(Column(**{**column, "names": tuple(column["names"])}) for column in values["columns"])
        names = tuple((group, name) for group, name in values["term_names"])
        return cls(values["blocks"], columns, names, tuple(values["term_means"]), tuple(values["term_sds"]))

    def written(self, inputs: Sequence[Architecture]) -> list[Any]:
        """Inputs as JSON-able values."""
        return [str(architecture) for architecture in inputs]

    def read(self, values: Sequence[Any]) -> list[Any]:
        """Inverse of `written`."""
        return [Architecture.parse(text) for text in values]


def _checked(architecture: Any, row: int, blocks: int) -> Architecture:
    if not isinstance(architecture, Architecture):
        raise UsageError(f"input {row} is {architecture!r}, no Architecture; for rows of options give a TokenTable")
    if len(architecture.blocks) != blocks:
        raise UsageError(
            f"network {row} has {len(architecture.blocks)} blocks, the others {blocks}; "
            "a predictor knows networks of one number of blocks: fit one for each"
        )
    return architecture


def _values(architecture: Architecture) -> dict[tuple[int | None, str], Any]:
    """All properties by (block, what)."""
    values: dict[tuple[int | None, str], Any] = {(None, what): getattr(architecture, what) for what in WHOLE}
    built: dict[int, list[Layer]] = {}
    for layer in layers(architecture):
        built.setdefault(layer.block, []).append(layer)
    for block, members in built.items():
        first, last = members[0], members[-1]
        found = (
            _op(last, architecture.activation),
            last.kernel,
            architecture.blocks[block].se_ratio,
            first.skip,
            last.channels_out,
            first.channels_in,
            last.resolution_out,
            last.skip,
            len(members),
        )
        values.update(((block, what), value) for what, value in zip(BLOCK, found, strict=True))
    return values


def _op(layer: Layer, activation: str) -> str:
    """The op, with what only some networks have: a hard squeeze-and-excitation, an activation of the block's own."""
    words = [layer.op]
    if layer.se_form == "hse":
        words.append(layer.se_form)
    if layer.activation != activation:
        words.append(layer.activation)
    return " ".join(words)


def _column(place: tuple[int | None, str], values: list[Any], architectures: Sequence[Architecture]) -> Column:
    block, what = place
    if what not in _NAMED:
        return Column(block, what, (), float(min(values)), float(max(values)))
    names = set(values)
    # Which skip is built follows from channels too: where skips are searched, one may be rare enough to be seen later.
    if block is not None and what != "op" and len({one.blocks[block].skip for one in architectures}) > 1:
        names.update(SKIPS)
    return Column(block, what, tuple(sorted(names)), 0.0, 0.0)
