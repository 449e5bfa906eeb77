"""Counts as stand-ins for latency, and the rank correlations behind them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.latency.ranking import rank_by_counts
from nasfit.latency.ranking_correlations import kendall, spearman


def data(number: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latency follows the multiply-adds up to a factor of 1 to 1.3 that they do not know; parameters are noise."""
    draw = np.random.default_rng(0)
    madds = np.exp(draw.uniform(np.log(1e8), np.log(1e9), number))
    return madds, draw.uniform(1e6, 5e6, number), madds / 1e8 * draw.uniform(1, 1.3, number)


def test_whole_space_flatters_equal_budget_does_not() -> None:
    ranking = rank_by_counts(*data())
    assert ranking.madds.spearman > 0.98
    assert abs(ranking.parameters.spearman) < 0.2
    assert ranking.at_equal_budget.spearman < 0.8
    assert len(ranking.budgets) == 5
    assert 1.25 < ranking.largest_ratio < 1.3 * 1.05
    words = str(ranking)
    assert "0.9" in words and "+-12%" in words
    assert json.loads(json.dumps(ranking.to_dict()))["networks"] == 300


def test_extremes_are_of_one_budget() -> None:
    madds, parameters, latency = data(60)
    ranking = rank_by_counts(madds, parameters, latency, near=0.05)
    faster, slower = ranking.extremes
    assert latency[slower] / latency[faster] == pytest.approx(ranking.largest_ratio)
    assert max(madds[slower] / madds[faster], madds[faster] / madds[slower]) <= 1.05
    close = [(a, b) for a in range(60) for b in range(60) if madds[a] <= madds[b] <= 1.05 * madds[a]]
    ratios = [max(latency[a] / latency[b], latency[b] / latency[a]) for a, b in close]
    assert ranking.largest_ratio == pytest.approx(max(ratios))


def test_small_windows_are_left_out() -> None:
    ranking = rank_by_counts(*data(12), least=10)
    assert ranking.budgets == ()
    assert math.isnan(ranking.at_equal_budget.spearman)


def test_bad_counts_are_refused() -> None:
    madds, parameters, latency = data(20)
    for arguments, says in (
        ((madds[:5], parameters[:5], latency[:5]), "got 5 networks"),
        ((madds[:-1], parameters, latency), "madds must be 20"),
        ((madds, parameters, np.where(latency > 3, np.nan, latency)), "latency_ms must be"),
    ):
        with pytest.raises(UsageError, match=says):
            rank_by_counts(*arguments)
    with pytest.raises(UsageError, match="window"):
        rank_by_counts(madds, parameters, latency, window=0.0)


def test_rank_correlations_by_hand() -> None:
    assert kendall([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6)
    assert kendall([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(5 / math.sqrt(5 * 6))
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert spearman([1, 2, 3], [30, 20, 10]) == kendall([1, 2, 3], [30, 20, 10]) == -1
    assert math.isnan(kendall([1, 1], [1, 2])) and math.isnan(spearman([1, 1], [1, 2]))


def test_picture(tmp_path: Path) -> None:
    plot = pytest.importorskip("nasfit.report.ranking_plot")
    plot.madds_picture(rank_by_counts(*data()), tmp_path / "madds.svg", device="a board")
    text = (tmp_path / "madds.svg").read_text()
    assert text.startswith("<?xml") and len(text) > 10_000
