"""Tables of the paper beside nasfit's own figures, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nasfit.architecture import Counts
from nasfit.cli.measurement_text import condition_lines
from nasfit.devices import Description
from nasfit.errors import TrialFailure
from nasfit.latency import Measurement
from nasfit.report.paper_tables import STUDIES, STUDY
from nasfit.report.wording import digits

if TYPE_CHECKING:
    from nasfit.cli.reproducing import Reproduced

_NONE = "-"
_Latency = Measurement | TrialFailure | None


def table_lines(table: str, rows: Sequence[Reproduced], description: Description | None) -> Iterator[str]:
    """One line a network: published and own figures side by side, then what is what."""
    quality = "mAP" if table == "coco" else "top-1"
    heads = ["network", "parameters", "counted", "MAdds", "counted", "Pixel 1 ms", "ms here", quality, "tested here"]
    cells = [heads, *(_cells(row) for row in rows)]
    kept = [place for place in range(len(heads)) if any(row[place] != _NONE for row in cells[1:])]
    widths = [max(len(row[place]) for row in cells) for place in kept]
    for number, row in enumerate(cells):
        line = "  ".join(
            f"{row[place]:<{width}}" if place == 0 else f"{row[place]:>{width}}"
            for place, width in zip(kept, widths, strict=True)
        )
        why = rows[number - 1].row.why if number else ""
        yield f"{line}  ({why})" if why else line.rstrip()
    yield ""
    yield f"published: parameters, MAdds, Pixel 1 ms, {quality} (Tan et al. 2019, as rounded there)"
    yield "counted: by nasfit, exactly" + ("" if description is None else "; ms here: measured now, batch 1")
    if table == "coco":
        yield "SSDLite at 320 px, 90 classes, measured before suppression; mAP of your own: nasfit train-detector"
    yield from _failures((row.row.name, row.latency) for row in rows)
    if description is not None:
        yield from ("", *condition_lines(description))


def _cells(row: Reproduced) -> list[str]:
    told, counts = row.row, row.counts
    return [
        told.name,
        _millions(told.parameters_m),
        _NONE if counts is None else f"{counts.parameters:,}",
        _millions(told.madds_m),
        _NONE if counts is None else f"{counts.madds / 1e6:.2f} M",
        _NONE if told.pixel_ms is None else f"{told.pixel_ms:g}",
        _ms(row.latency),
        _NONE if told.accuracy is None else f"{100 * told.accuracy:.1f}",
        _NONE if row.accuracy is None else f"{100 * row.accuracy:.2f}",
    ]


def grid_lines(
    cells: Mapping[tuple[float, int], tuple[Counts, _Latency]], description: Description | None
) -> Iterator[str]:
    """Multiply-adds (and latencies) of each width and resolution."""
    widths, sides = list(dict.fromkeys(w for w, _ in cells)), list(dict.fromkeys(s for _, s in cells))
    yield "mnasnet-a1, multiply-adds in millions by width (down) and input size (px, across), counted by nasfit"
    yield f"{'width':>6}{'parameters':>13}" + "".join(f"{side:>10}" for side in sides)
    for width in widths:
        counted = [cells[width, side][0] for side in sides]
        yield f"{width:>6g}{counted[0].parameters:>13,}" + "".join(f"{one.madds / 1e6:>10.2f}" for one in counted)
    if description is not None:
        yield ""
        yield "latency here, ms, batch 1"
        yield f"{'width':>6}{'':>13}" + "".join(f"{side:>10}" for side in sides)
        for width in widths:
            yield f"{width:>6g}{'':>13}" + "".join(f"{_ms(cells[width, side][1]):>10}" for side in sides)
        yield from _failures((f"x{w:g} at {s} px", latency) for (w, s), (_, latency) in cells.items())
        yield from ("", *condition_lines(description))
    yield ""
    yield "published: 75.2 % and 78 ms at width 1, 64.1 % at 0.35, both at 224 px; the rest is drawn without figures"


def study_lines() -> Iterator[str]:
    """The commands that run each ablation here."""
    yield ""
    yield "The same questions asked of your pictures and device (DATA, T: yours; the others change the first line):"
    width = max(map(len, STUDIES))
    for what, options in STUDIES.items():
        yield f"  {what:<{width}}  {STUDY} {options}"


def _millions(value: float | None) -> str:
    return _NONE if value is None else f"{value:g} M"


def _ms(latency: _Latency) -> str:
    if isinstance(latency, Measurement):
        return digits(latency.latency_ms)
    return _NONE if latency is None else "failed"


def _failures(named: Iterator[tuple[str, _Latency]]) -> Iterator[str]:
    yield from (f"failed: {name}: {latency}" for name, latency in named if isinstance(latency, TrialFailure))
