"""A network as a strip: its parts side by side, narrow enough to compare many below one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from nasfit.architecture import AnyNetwork, Block, count_network
from nasfit.report.svg import WIDTH, drawing, element, text
from nasfit.report.wording import counted, millions, share

BARS_TOP, BARS, HEIGHT = 4.0, 48.0, 98.0
LEFT, GAP, STEP, LEAST_ROOM = 2.0, 14.0, 3.0, 4


@dataclass(frozen=True)
class Part:
    """A column of the strip. words: in two lines. kind: of its operation, a class name. side: of its output, px."""

    name: str
    words: tuple[str, str]
    kind: str
    layers: int
    side: int
    told: str


def parts_of(network: AnyNetwork) -> Iterator[Part]:
    """Stem, blocks and head in order."""
    counts, architecture = count_network(network), network.backbone
    rows = {row.part: row for row in counts.rows}
    blocks = {f"block {place}": block for place, block in enumerate(architecture.blocks, start=1)}
    for name, row in rows.items():
        if name not in ("stem", "head", *blocks):
            continue
        block = blocks.get(name)
        op, kernel = ("conv", 1 if name == "head" else 3) if block is None else (block.op, block.kernel)
        told = f"{name}: {op} {kernel}×{kernel}{_details(block)}, {row.filters:,} filters at {row.resolution} px; "
        told += f"{share(row.madds / counts.madds)} of {millions(counts.madds)} multiply-adds"
        below = f"{kernel}×{kernel}, {row.filters:,}" + (" SE" if block is not None and block.se_ratio else "")
        kind = "mbconv" if op.startswith("mbconv") else op
        layers = 1 if block is None else block.layers
        yield Part(name, (op, below), kind, layers, row.resolution, told)


def strip(network: AnyNetwork, name: str) -> Markup:
    """The picture. name: unique on the page."""
    parts, architecture = list(parts_of(network)), network.backbone
    column, room = (WIDTH - 2 * LEFT) / len(parts), max(LEAST_ROOM, *(part.layers for part in parts))
    body = Markup("").join(
        _column(part, part.side / architecture.resolution, LEFT + place * column, column - GAP, room)
        for place, part in enumerate(parts)
    )
    number = counted(len(architecture.blocks), "block")
    return drawing(name, f"{number}, as columns: a bar a layer, as high as its map is large", body, height=HEIGHT)


def _column(part: Part, tall: float, x: float, width: float, room: int) -> Markup:
    """tall: of the bars, 0 to 1. room: for so many bars."""
    height, thick = BARS * (0.25 + 0.75 * tall), (width - (room - 1) * STEP) / room
    bars = Markup("").join(
        element(
            "rect",
            class_=f"layer {part.kind}",
            x=x + place * (thick + STEP),
            y=BARS_TOP + BARS - height,
            width=thick,
            height=height,
            rx=1.5,
        )
        for place in range(part.layers)
    )
    words = Markup("").join(
        text(x, BARS_TOP + BARS + below, line, class_=kind)
        for below, line, kind in zip((17, 34), part.words, ("label", "tick"), strict=True)
    )
    # Something to point at between the bars too.
    whole = element("rect", class_="hold", x=x, y=0.0, width=width, height=HEIGHT)
    return element("g", element("title", part.told), whole, bars, words)


def _details(block: Block | None) -> str:
    if block is None:
        return ""
    se = f", SE {block.se_ratio:g}" if block.se_ratio else ""
    return f", stride {block.stride}{se}, skip {block.skip}, {counted(block.layers, 'layer')}"
