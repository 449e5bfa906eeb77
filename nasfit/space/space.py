"""Factorized hierarchical search spaces: the architectures that may be sampled (Tan et al. 2019, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from nasfit.architecture import Architecture, Block, Layer, layers, scaled
from nasfit.errors import ArchitectureError, UsageError

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class BlockChoices:
    """The options of one searched block, one tuple a decision; `options` gives the tokens' order.

    The defaults are the paper's: 4 ops x 2 kernels x 2 SE ratios x 3 skips; with three filter sizes and three depths
    that makes 432 blocks. filters, layers: options, to be given. stride: of the block, fixed and not searched. ops,
    kernels, se_ratios, skips: options, each as in `Block`. Raises UsageError for a choice without options or with one
    twice, ArchitectureError for an option that describes no block.
    """

    filters: tuple[int, ...]
    layers: tuple[int, ...]
    stride: int = 1
    ops: tuple[str, ...] = ("conv", "sepconv", "mbconv3", "mbconv6")
    kernels: tuple[int, ...] = (3, 5)
    se_ratios: tuple[float, ...] = (0.0, 0.25)
    skips: tuple[str, ...] = ("pool", "identity", "none")

    def __post_init__(self) -> None:
        for field in fields(self):
            options = getattr(self, field.name)
            if field.name == "stride":
                continue
            if not options:
                raise UsageError(f"block choice {field.name!r} has no options; give at least one")
            if len(set(options)) != len(options):
                raise UsageError(f"block choice {field.name!r} repeats an option: {options}; give each once")
        for place, choices in enumerate(self.options):
            for option in range(len(choices)):
                self.block([option if at == place else 0 for at in range(len(self.options))])

    @property
    def options(self) -> tuple[tuple[object, ...], ...]:
        """Options of the six decisions: op, kernel, SE ratio, skip op, filters, layers."""
        return (self.ops, self.kernels, self.se_ratios, self.skips, self.filters, self.layers)

    def block(self, tokens: Sequence[int]) -> Block:
        """The block that six option indices stand for."""
        op, kernel, se, skip, filters, number = tokens
        return Block(
            op=self.ops[op],
            kernel=self.kernels[kernel],
            stride=self.stride,
            se_ratio=self.se_ratios[se],
            skip=self.skips[skip],
            filters=self.filters[filters],
            layers=self.layers[number],
        )

    def tokens(self, block: Block) -> Tokens:
        """Option indices of a block. Raises ArchitectureError naming the value that is no option."""
        values = (block.op, block.kernel, block.se_ratio, block.skip, block.filters, block.layers)
        for what, value, options in zip(_DECISIONS, values, self.options, strict=True):
            if value not in options:
                raise ArchitectureError(f"{what} {value!r} is not in the space; its options are {options}")
        return tuple(options.index(value) for value, options in zip(values, self.options, strict=True))


_DECISIONS = ("op", "kernel", "SE ratio", "skip op", "filters", "layers")


@dataclass(frozen=True)
class SearchSpace:
    """Blocks in sequence between a stem and a head; each is fixed (`Block`) or searched (`BlockChoices`).

    name: kept by a study, which goes on with a space of equal facts only. blocks: in order. stem_filters, stem_stride,
    head_filters: as in `Architecture`. head_scales: whether a width multiplier changes the head's filters too; the
    published networks keep theirs.
    """

    name: str
    blocks: tuple[Block | BlockChoices, ...]
    stem_filters: int = 32
    stem_stride: int = 2
    head_filters: int = 1280
    head_scales: bool = False

    @property
    def searched(self) -> tuple[BlockChoices, ...]:
        """The searched blocks, in order."""
        return tuple(block for block in self.blocks if isinstance(block, BlockChoices))

    @property
    def option_counts(self) -> tuple[int, ...]:
        """Number of options of each decision, in reading order: six a searched block."""
        return tuple(len(options) for block in self.searched for options in block.options)

    @property
    def groups(self) -> tuple[int, ...]:
        """Number of decisions of each searched block, in reading order; they sum to those of `option_counts`."""
        return tuple(len(block.options) for block in self.searched)

    @property
    def facts(self) -> dict[str, Any]:
        """What a study keeps of its space, as JSON: its name, how it is written, options of each decision."""
        return {"name": self.name, "definition": repr(self), "options": list(self.option_counts)}

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.option_counts)

    def decode(self, tokens: Sequence[int], width: float = 1.0) -> Architecture:
        """The architecture (224 px, 1,000 classes) at a point, with `width` > 0 times the filters.

        Raises ArchitectureError for tokens outside the space.
        """
        counts = self.option_counts
        if len(tokens) != len(counts):
            raise ArchitectureError(f"got {len(tokens)} tokens; space {self.name!r} has {len(counts)} decisions")
        for place, (token, number) in enumerate(zip(tokens, counts, strict=True)):
            if not 0 <= token < number:
                raise ArchitectureError(f"token {place} is {token}; it must be 0 to {number - 1}")
        rest, blocks = list(tokens), []
        for block in self.blocks:
            if isinstance(block, BlockChoices):
                own, rest = rest[: len(_DECISIONS)], rest[len(_DECISIONS) :]
                block = block.block(own)
            blocks.append(block)
        network = Architecture(self.stem_filters, self.stem_stride, tuple(blocks), self.head_filters)
        return scaled(network, width, head=self.head_scales)

    def encode(self, architecture: Architecture) -> Tokens:
        """The point that builds this network; inverse of `decode`.

        Compared is what is built: a skip that channels or stride rule out may be written either way. Raises
        ArchitectureError where the network is no point of the space.
        """
        if len(architecture.blocks) != len(self.blocks):
            raise ArchitectureError(
                f"the network has {len(architecture.blocks)} blocks; space {self.name!r} has {len(self.blocks)}"
            )
        tokens: list[int] = []
        for number, (choices, block) in enumerate(zip(self.blocks, architecture.blocks, strict=True), start=1):
            if isinstance(choices, BlockChoices):
                try:
                    tokens += choices.tokens(block)
                except ArchitectureError as error:
                    raise ArchitectureError(f"block {number} of the network: {error}") from error
        found = self.decode(tokens)
        ends = ("stem_filters", "stem_stride", "head_filters", "hidden_filters")
        for what in (*ends, "resolution", "channels", "classes", "activation"):
            if getattr(found, what) != getattr(architecture, what):
                raise ArchitectureError(
                    f"{what} is {getattr(architecture, what)!r}; space {self.name!r} has {getattr(found, what)!r}"
                )
        for index, (here, there) in enumerate(zip(found.blocks, architecture.blocks, strict=True)):
            if _built(found, index) != _built(architecture, index):
                raise ArchitectureError(f"block {index + 1} is '{there}'; space {self.name!r} has '{here}'")
        return tuple(tokens)


def _built(architecture: Architecture, index: int) -> list[Layer]:
    return [layer for layer in layers(architecture) if layer.block == index]
