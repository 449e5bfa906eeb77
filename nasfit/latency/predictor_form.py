"""What a predictor sees of its inputs: columns, the blocks they belong to, and sums of known physical effect.

A *form* turns inputs into an `Encoded`. Two exist: tables of option indices here (`TokenTable`), architectures in
`predictor_architecture`. Shapes: N inputs, C columns, S multipliers, T terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfit.errors import UsageError


@dataclass(frozen=True)
class Component:
    """One additive part of the latency: a function of `columns` alone, times a multiplier where there is one.

    columns: indices into the codes. multiplier: index into the multipliers, None for 1. rates: for each column the name
    of its rate (how fast the function changes with it); columns with one name share one rate.
    """

    columns: tuple[int, ...]
    multiplier: int | None
    rates: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """ordered: for each column whether its codes have distances (0..1) or are only equal or not.

    components: the additive parts. term_groups: for each term the number of its group; one prior scale a group.
    """

    ordered: tuple[bool, ...]
    components: tuple[Component, ...]
    term_groups: tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """codes_NC: option codes, ordered ones scaled to 0..1. multipliers_NS: 0 or more. terms_NT: standardised."""

    codes_NC: np.ndarray
    multipliers_NS: np.ndarray
    terms_NT: np.ndarray

    def __len__(self) -> int:
        return len(self.codes_NC)

    def rows(self, places: np.ndarray) -> Encoded:
        """Only these inputs, in this order."""
        return Encoded(self.codes_NC[places], self.multipliers_NS[places], self.terms_NT[places])


@dataclass(frozen=True)
class TokenTable:
    """Inputs that are rows of option indices, as in a published table or any search space.

    option_counts: number of options of each decision. blocks: for each block the indices of its decisions, every
    decision in exactly one; a block's cost depends on its decisions together. ordered: for each decision whether its
    options are in order of size. The defaults: one block a decision; ordered where there are three options or more.
    Raises UsageError for counts, blocks or flags that do not fit together.
    """

    option_counts: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...] = ()
    ordered: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        number = len(self.option_counts)
        if not number or min(self.option_counts) < 1:
            raise UsageError(f"option counts are {self.option_counts}; give 1 or more for each decision")
        if not self.blocks:
            object.__setattr__(self, "blocks", tuple((place,) for place in range(number)))
        if not self.ordered:
            object.__setattr__(self, "ordered", tuple(count > 2 for count in self.option_counts))
        if sorted(place for block in self.blocks for place in block) != list(range(number)):
            raise UsageError(f"blocks are {self.blocks}; they must hold each of the {number} decisions once")
        if len(self.ordered) != number:
            raise UsageError(f"got {len(self.ordered)} flags 'ordered' for {number} decisions; give one each")

    @property
    def layout(self) -> Layout:
        """A part for each block, and one of all decisions together for what is not additive."""
        free = [place for place, count in enumerate(self.option_counts) if count > 1]
        column = {place: at for at, place in enumerate(free)}
        parts = []
        for block in self.blocks:
            # Blocks of the same choices have the same kinds of decision at the same places.
            shape = ".".join(str(self.option_counts[place]) for place in block)
            kept = [(column[place], f"{shape} {at}") for at, place in enumerate(block) if place in column]
            if kept:
                parts.append(Component(tuple(c for c, _ in kept), None, tuple(name for _, name in kept)))
        together = tuple(range(len(free)))
        parts.append(Component(together, None, tuple(f"all {place}" for place in free)))
        return Layout(tuple(self.ordered[place] for place in free), tuple(parts), ())

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Raises UsageError naming the row and decision whose option does not exist."""
        tokens_ND = _whole_numbers(inputs, len(self.option_counts))
        counts = np.array(self.option_counts)
        if (wrong := np.argwhere((tokens_ND < 0) | (tokens_ND >= counts))).size:
            row, place = (int(value) for value in wrong[0])
            raise UsageError(
                f"row {row}, decision {place}: unknown option {tokens_ND[row, place]}; "
                f"options are 0 to {self.option_counts[place] - 1}"
            )
        free = counts > 1
        steps = np.where(self.ordered, counts - 1, 1)[free]
        number = len(tokens_ND)
        return Encoded(tokens_ND[:, free] / steps, np.zeros((number, 0)), np.zeros((number, 0)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` is the inverse."""
        return {
            "kind": "tokens",
            "option_counts": list(self.option_counts),
            "blocks": [list(block) for block in self.blocks],
            "ordered": list(self.ordered),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TokenTable:
        """Inverse of `to_dict`."""
        blocks = tuple(tuple(block) for block in values["blocks"])
        return cls(tuple(values["option_counts"]), blocks, tuple(values["ordered"]))

    def written(self, inputs: Sequence[Any]) -> list[Any]:
        """Inputs as JSON-able values."""
        return [[int(token) for token in row] for row in inputs]


def _whole_numbers(inputs: Sequence[Any], width: int) -> np.ndarray:
    try:
        tokens_ND = np.asarray(inputs, dtype=float)
    except (TypeError, ValueError) as error:
        raise UsageError(f"inputs are no rows of option indices: {error}; give whole numbers") from error
    if tokens_ND.ndim != 2 or tokens_ND.shape[1] != width:
        raise UsageError(f"inputs have shape {tokens_ND.shape}; expected rows of {width} option indices")
    if not np.all(tokens_ND == np.round(tokens_ND)):
        raise UsageError("inputs hold fractions or NaN; option indices are whole numbers from 0")
    return tokens_ND.astype(int)
