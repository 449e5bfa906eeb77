"""Latency over multiply-adds, by matplotlib: how far networks of one budget lie apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasfit.latency.ranking import Ranking

# Okabe and Ito's colours, as in `plot`.
NETWORK, EXTREME, BUDGET, DARK = "#0072b2", "#d55e00", "#e4e6ea", "#30343b"
SIZE = 9.0  # points, of labels


def madds_picture(ranking: Ranking, path: Path, *, device: str = "") -> None:
    """Write the picture; the suffix of `path` says which kind (png, svg, pdf). device: named in the title.

    A point is a network; bands are the budgets of the ranking with their Spearman; ringed are the two networks of
    about equal multiply-adds that differ most in latency.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.8), dpi=150, layout="constrained")
    panel = figure.subplots()
    _networks(panel, ranking)
    _budgets(panel, ranking)
    _extremes(panel, ranking)
    panel.set(xlabel="multiply-adds, millions", ylabel="latency, ms", title=_title(ranking, device))
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=SIZE, loc="upper left")
    figure.savefig(path)


def _networks(panel: Any, ranking: Ranking) -> None:
    label = f"{len(ranking.madds_N)} networks"
    millions = np.array(ranking.madds_N) / 1e6
    panel.scatter(millions, ranking.latency_ms_N, s=14, color=NETWORK, alpha=0.7, linewidths=0, zorder=2, label=label)
    panel.set_ylim(bottom=0)
    panel.set_xlim(left=0)


def _budgets(panel: Any, ranking: Ranking) -> None:
    for place, budget in enumerate(ranking.budgets):
        low, high = budget.low_madds / 1e6, budget.high_madds / 1e6
        label = f"budgets of +-{ranking.window:.0%}, Spearman within" if place == 0 else None
        panel.axvspan(low, high, color=BUDGET, alpha=0.8, linewidth=0, zorder=0, label=label)
        # Words of neighbouring bands at two heights, since the bands may overlap.
        height = 0.01 + 0.05 * (place % 2)
        text = f"{budget.madds.spearman:.2f}"
        transform = panel.get_xaxis_transform()
        panel.text((low + high) / 2, height, text, transform=transform, ha="center", fontsize=SIZE, color=DARK)


def _extremes(panel: Any, ranking: Ranking) -> None:
    if ranking.largest_ratio <= 1:
        return
    xs = [ranking.madds_N[at] / 1e6 for at in ranking.extremes]
    ys = [ranking.latency_ms_N[at] for at in ranking.extremes]
    label = f"within {ranking.near:.0%} of MAdds, {ranking.largest_ratio:.2f} times the latency"
    panel.plot(xs, ys, "o-", color=EXTREME, markerfacecolor="none", markersize=9, linewidth=1.2, zorder=3, label=label)


def _title(ranking: Ranking, device: str) -> str:
    words = f"Spearman {ranking.madds.spearman:.2f} over all, {ranking.at_equal_budget.spearman:.2f} at equal budget"
    return f"{device}: {words}" if device else words
