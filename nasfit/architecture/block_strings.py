"""The published block notation, such as `r3_k5_s22_e3_i24_o40_se0.25`: reader and writer.

r = layers, k = kernel, s = strides, e = expansion, i / o = input and output channels, se = SE ratio, noskip = no
residual. Expansion 1 is the separable convolution. The notation has no word for plain convolutions, pooled skips and
what MobileNetV3 brought.
"""

from __future__ import annotations

import re

from nasfit.architecture.architecture import Architecture, Block, ratio_text
from nasfit.errors import ArchitectureError

_FIELDS = {
    "r": re.compile(r"r([1-9]\d*)"),
    "k": re.compile(r"k([1-9]\d*)"),
    "s": re.compile(r"s(11|22)"),
    "e": re.compile(r"e([1-9]\d*)"),
    "i": re.compile(r"i([1-9]\d*)"),
    "o": re.compile(r"o([1-9]\d*)"),
}
_OPTIONAL = {"se": re.compile(r"se(0\.\d+|1)"), "noskip": re.compile(r"(noskip)")}


def read_block(text: str) -> tuple[Block, int]:
    """A block and its declared number of input channels. Raises ArchitectureError that names the faulty field."""
    values: dict[str, str] = {}
    for field in text.split("_"):
        name, value = _read_field(field, text)
        if name in values:
            raise ArchitectureError(f"field {field!r} of block {text!r} stands there twice; remove one")
        values[name] = value
    missing = [name for name in _FIELDS if name not in values]
    if missing:
        raise ArchitectureError(f"block {text!r} has no field {missing[0]!r}; expected the form r1_k3_s11_e6_i16_o24")
    expansion = int(values["e"])
    block = Block(
        op="sepconv" if expansion == 1 else f"mbconv{expansion}",
        kernel=int(values["k"]),
        stride=int(values["s"][0]),
        se_ratio=float(values.get("se", 0)),
        skip="none" if "noskip" in values else "identity",
        filters=int(values["o"]),
        layers=int(values["r"]),
    )
    return block, int(values["i"])


def read_blocks(text: str, stem_filters: int) -> tuple[Block, ...]:
    """Blocks separated by `|` or white space, the first fed by a stem of `stem_filters` channels.

    A first block that declares another input than the stem gives (as the published `small` does) has no residual.
    Raises ArchitectureError where a later block's input is not the output of the block before.
    """
    blocks: list[Block] = []
    for part in text.replace("|", " ").split():
        block, channels_in = read_block(part)
        given = blocks[-1].filters if blocks else stem_filters
        if channels_in != given:
            if blocks:
                raise ArchitectureError(f"block {part!r} expects {channels_in} input channels, but gets {given}")
            block = Block(block.op, block.kernel, block.stride, block.se_ratio, "none", block.filters, block.layers)
        blocks.append(block)
    if not blocks:
        raise ArchitectureError(f"no blocks in {text!r}; expected the form r1_k3_s11_e1_i32_o16_noskip | ...")
    return tuple(blocks)


def write_blocks(architecture: Architecture) -> str:
    """The blocks in published notation, separated by ` | `. Raises ArchitectureError where it has no word for one."""
    channels, words = architecture.stem_filters, []
    for block in architecture.blocks:
        if block.op == "conv" or block.skip == "pool" or _is_v3(block):
            raise ArchitectureError(f"block '{block}' has no form in the published notation; use the text form instead")
        word = f"r{block.layers}_k{block.kernel}_s{block.stride}{block.stride}_e{int(block.expansion)}"
        word += f"_i{channels}_o{block.filters}"
        word += f"_se{ratio_text(block.se_ratio)}" if block.se_ratio else ""
        words.append(word + ("_noskip" if block.skip == "none" else ""))
        channels = block.filters
    return " | ".join(words)


def _is_v3(block: Block) -> bool:
    return not block.expansion.is_integer() or block.se_form == "hse" or block.activation is not None


def _read_field(field: str, text: str) -> tuple[str, str]:
    for name, pattern in (_FIELDS | _OPTIONAL).items():
        found = pattern.fullmatch(field)
        if found:
            return name, found[1]
    raise ArchitectureError(f"field {field!r} of block {text!r} is not known; expected r, k, s, e, i, o, se or noskip")
