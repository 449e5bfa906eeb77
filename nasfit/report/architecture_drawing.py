"""A network block by block as inline SVG: what each part is, its share of the time and of the multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from nasfit.architecture import AnyNetwork, Architecture, Block, Detector, count_network
from nasfit.architecture.architecture import ratio_text
from nasfit.latency.part_times import PartTime, PartTimes
from nasfit.report.svg import drawing, element, text
from nasfit.report.wording import counted, millions, ms, share

TOP, ROW, BOX_HEIGHT = 46.0, 72.0, 42.0
LEFT, BOX_WIDTH = 12.0, 306.0
BARS, BAR_WIDTH, BAR_HEIGHT = 352.0, 250.0, 13.0
SHEETS, STEP = 3, 3.0  # layers drawn behind one another, and how far apart, px


@dataclass(frozen=True)
class DrawnPart:
    """One box. words: what it is, in two lines. map: its output, as `16×16 px, 24 filters`. madds_share: 0 to 1."""

    name: str
    words: tuple[str, str]
    layers: int
    map: str
    madds: int
    madds_share: float


def drawn_parts(network: AnyNetwork) -> list[DrawnPart]:
    """Stem, blocks and head in order; everything after the last block counts as head."""
    counts, architecture = count_network(network), network.backbone
    rows = {row.part: row for row in counts.rows}
    last = f"block {len(architecture.blocks)}"

    def part(name: str, words: tuple[str, str], layers: int, filters_map: str, madds: int) -> DrawnPart:
        return DrawnPart(name, words, layers, filters_map, madds, madds / counts.madds)

    stem = rows["stem"]
    parts = [part("stem", _stem_words(architecture), 1, _map(stem.resolution, stem.filters), stem.madds)]
    for index, block in enumerate(architecture.blocks, start=1):
        row = rows[f"block {index}"]
        parts.append(part(row.part, _words(block), block.layers, _map(row.resolution, row.filters), row.madds))
    names = [row.part for row in counts.rows]
    ending = sum(row.madds for row in counts.rows[names.index(last) + 1 :])
    parts.append(part("head", _head_words(network), 1, _outputs(network), ending))
    return parts


def architecture_drawing(network: AnyNetwork, times: PartTimes | None = None, *, name: str = "architecture") -> Markup:
    """The picture, without bars of time where these were not measured. name: unique on the page."""
    parts, architecture = drawn_parts(network), network.backbone
    known = {part.name: part for part in times.parts} if times else {}
    shares = [times.share(part) for part in times.parts] if times else []
    most = max([*shares, *(part.madds_share for part in parts)])
    body = _heads(timed=times is not None)
    side = architecture.resolution
    body += text(
        LEFT, TOP - 12, f"picture, {side}×{side} px, {counted(architecture.channels, 'channel')}", class_="tick"
    )
    for place, part in enumerate(parts):
        y = TOP + place * ROW
        body += _box(part, y) + _flow(part, y, last=place == len(parts) - 1)
        if times is not None and part.name in known:
            body += _time_bar(times, known[part.name], y + 5, most)
        body += _madds_bar(part, y + 24, most)
    title = "The network block by block, with the share of each in "
    title += "time and multiply-adds" if times else "the multiply-adds"
    return drawing(name, title, body, height=TOP + len(parts) * ROW - ROW + BOX_HEIGHT + 26)


def _heads(*, timed: bool) -> Markup:
    words = "share of time (95 % interval), and of multiply-adds" if timed else "share of multiply-adds"
    return text(BARS, TOP - 12, words, class_="tick")


def _box(part: DrawnPart, y: float) -> Markup:
    """The box with its layers as sheets behind it."""
    first, second = part.words
    tip = element("title", f"{part.name}: {first}, {second}, {counted(part.layers, 'layer')}; output {part.map}")
    sheets = Markup("").join(
        element("rect", class_="sheet", x=LEFT + back, y=y - back, width=BOX_WIDTH, height=BOX_HEIGHT, rx=5)
        for back in (STEP * depth for depth in range(min(part.layers, SHEETS) - 1, 0, -1))
    )
    box = element("rect", tip, class_="box", x=LEFT, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=5)
    words = text(LEFT + 10, y + 17, part.name, class_="label strong") + text(LEFT + 78, y + 17, first, class_="label")
    if part.layers > 1:
        words += text(LEFT + BOX_WIDTH - 10, y + 17, f"× {part.layers}", anchor="end", class_="label strong")
    return sheets + box + words + text(LEFT + 78, y + 34, second, class_="tick")


def _flow(part: DrawnPart, y: float, *, last: bool) -> Markup:
    """What leaves the box, and the arrow to the next."""
    x, below = LEFT + 30, y + BOX_HEIGHT
    arrow = "" if last else f"M{x:.1f} {below:.1f}v20m-4 -6l4 6l4 -6"
    map_words = text(x + 12, below + 15, part.map, class_="tick")
    return (element("path", class_="flow", d=arrow) if arrow else Markup("")) + map_words


def _time_bar(times: PartTimes, part: PartTime, y: float, most: float) -> Markup:
    """Bar, whisker and words; a part that noise made faster than nothing has no bar."""
    width, low, high = (
        max(0.0, end / times.whole_ms) / most * BAR_WIDTH for end in (part.ms, part.low_ms, part.high_ms)
    )
    high, middle = min(high, BAR_WIDTH + 6), y + BAR_HEIGHT / 2
    tip = element("title", f"{part.name}: {ms(part.ms)} ({part.low_ms:.3g} to {part.high_ms:.3g} ms)")
    body = element("rect", tip, class_="bar time", x=BARS, y=y, width=width, height=BAR_HEIGHT, rx=2)
    body += element("path", class_="whisker", d=f"M{BARS + low:.1f} {middle:.1f}H{BARS + high:.1f}")
    words = f"{share(times.share(part))}, {ms(part.ms)}" if part.ms > 0 else "too little to tell"
    return body + text(BARS + max(width, high) + 7, y + 11, words, class_="note")


def _madds_bar(part: DrawnPart, y: float, most: float) -> Markup:
    width = part.madds_share / most * BAR_WIDTH
    tip = element("title", f"{part.name}: {part.madds:,} multiply-adds")
    bar = element("rect", tip, class_="bar", x=BARS, y=y, width=width, height=BAR_HEIGHT, rx=2)
    return bar + text(BARS + width + 7, y + 11, f"{share(part.madds_share)}, {millions(part.madds)}", class_="tick")


def _map(side: int, filters: int) -> str:
    return f"{side}×{side} px, {counted(filters, 'filter')}"


def _words(block: Block) -> tuple[str, str]:
    return f"{block.op} {block.kernel}×{block.kernel}", ", ".join(_details(block))


def _details(block: Block) -> Iterator[str]:
    yield f"stride {block.stride}"
    if block.se_ratio:
        yield f"SE {ratio_text(block.se_ratio)}" + (" hard" if block.se_form == "hse" else "")
    yield "no skip" if block.skip == "none" else f"{block.skip} skip"
    if block.activation is not None:
        yield block.activation


def _stem_words(architecture: Architecture) -> tuple[str, str]:
    return "conv 3×3", f"stride {architecture.stem_stride}"


def _head_words(network: AnyNetwork) -> tuple[str, str]:
    architecture = network.backbone
    if isinstance(network, Detector):
        return "conv 1×1, SSDLite", f"{counted(architecture.head_filters, 'filter')}, {len(network.maps())} maps"
    hidden = f"hidden {architecture.hidden_filters}, " if architecture.hidden_filters else ""
    return "conv 1×1, mean, classifier", f"{counted(architecture.head_filters, 'filter')}, {hidden}linear"


def _outputs(network: AnyNetwork) -> str:
    if isinstance(network, Detector):
        boxes = sum(found.boxes * found.resolution**2 for found in network.maps())
        return f"{boxes:,} boxes of {counted(network.classes, 'class', 'classes')}"
    return counted(network.classes, "logit")
