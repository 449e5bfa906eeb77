"""The benchmark of strategies as a picture: gaps along the samples, and areas of the front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

# Gaps below this are drawn at it: a logarithm has no 0.
LEAST_GAP = 0.01
SHOWN = ("guided-known", "guided", "evolution", "nsga2", "ppo", "ppo-paper", "random", "optuna-nsga2")
COLOURS = {name: f"C{place}" for place, name in enumerate(SHOWN)}


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Medians as lines, quartiles as bands; panels without rows are left out."""
    gaps = [row for row in rows if row["part"] == "gap" and not row["noise_points"]]
    fronts = [row for row in rows if row["part"] == "front"]
    panels = {reward: [row for row in gaps if row["reward"] == reward] for reward in ("hard", "soft")}
    panels = {title: found for title, found in {**panels, "front": fronts}.items() if found}
    if not panels:
        raise SystemExit("nothing to draw: the plot shows the parts gap and front")
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.8), squeeze=False, layout="constrained")
    for axis, (title, found) in zip(axes[0], panels.items(), strict=True):
        for row in (row for row in found if row["strategy"] in SHOWN):
            figures = row["figures"]
            _line(axis, row, figures["area_percent"]["median of random"] if title == "front" else figures["curve"])
        _labelled(axis, title, found[0])
        axis.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _line(axis: Axes, row: dict[str, Any], curve: dict[str, dict[str, float]]) -> None:
    least = LEAST_GAP if row["part"] == "gap" else 0.0
    samples = [int(number) for number in curve]
    low, median, high = (
        np.maximum([found[what] for found in curve.values()], least) for what in ("q1", "median", "q3")
    )
    colour = COLOURS[row["strategy"]]
    axis.plot(samples, median, color=colour, label=row["strategy"], linewidth=1.4)
    axis.fill_between(samples, low, high, color=colour, alpha=0.15, linewidth=0)


def _labelled(axis: Axes, title: str, row: dict[str, Any]) -> None:
    axis.set_xscale("log")
    axis.set_xlabel("networks trained")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_major_formatter(plain)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.spines[["top", "right"]].set_visible(False)
    if title == "front":
        floor = 100 * row["figures"]["floors"]["median of random"]
        axis.set_title(f"front, {row['low_ms']:g} to {row['high_ms']:g} ms, floor {floor:.1f} %", fontsize=10)
        axis.set_ylabel("area, % of the exact front's")
    else:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(plain)
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_title(f"{title} reward, T = {row['target_ms']:g} ms", fontsize=10)
        axis.set_ylabel("gap to the optimum, %")
