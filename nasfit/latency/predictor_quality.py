"""How good a predictor is: on networks it has not seen, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfit.errors import UsageError
from nasfit.latency.predictor import Estimate, Predictor, checked_latencies, folds
from nasfit.latency.predictor_architecture import ArchitectureForm
from nasfit.latency.predictor_form import TokenTable
from nasfit.latency.ranking_correlations import kendall, spearman


@dataclass(frozen=True)
class Quality:
    """Estimates against measurements of networks that were held out.

    networks: how many. rmse_ms: root of the mean squared error. rmse_share: the same of error over latency. within_5,
    within_10: share (0..1) off by at most 5 and 10 %. kendall, spearman: of the order, -1 to 1. coverage: share whose
    measurement lies in the 95 % interval. width: median width of the interval over the latency.
    """

    networks: int
    rmse_ms: float
    rmse_share: float
    within_5: float
    within_10: float
    kendall: float
    spearman: float
    coverage: float
    width: float

    @classmethod
    def of(cls, estimates: Sequence[Estimate], latency_ms: Sequence[float] | np.ndarray) -> Quality:
        """Of at least two networks."""
        measured = np.asarray(latency_ms, dtype=float)
        if len(estimates) != len(measured) or len(measured) < 2:
            raise UsageError(f"got {len(estimates)} estimates and {len(measured)} latencies; give two or more of each")
        guessed = np.array([estimate.latency_ms for estimate in estimates])
        low = np.array([estimate.low_ms for estimate in estimates])
        high = np.array([estimate.high_ms for estimate in estimates])
        share = np.abs(guessed / measured - 1)
        return cls(
            networks=len(measured),
            rmse_ms=float(np.sqrt(np.mean((guessed - measured) ** 2))),
            rmse_share=float(np.sqrt(np.mean(share**2))),
            within_5=float(np.mean(share <= 0.05)),
            within_10=float(np.mean(share <= 0.10)),
            kendall=kendall(guessed, measured),
            spearman=spearman(guessed, measured),
            coverage=float(np.mean((low <= measured) & (measured <= high))),
            width=float(np.median((high - low) / guessed)),
        )


def held_out(
    inputs: Sequence[Any],
    latency_ms: Sequence[float] | np.ndarray,
    *,
    table: TokenTable | None = None,
    parts: int = 5,
    seed: int = 0,
) -> Quality:
    """Every network estimated once, by a predictor fitted on the other `parts - 1` parts of the networks.

    Takes `parts` times as long as `Predictor.fit`, and is slightly pessimistic: the predictor in use has more rows.
    Raises UsageError as `Predictor.fit` does.
    """
    if parts < 2:
        raise UsageError(f"parts is {parts!r}; hold out at least one of two")
    latency_N = checked_latencies(inputs, latency_ms)
    form = table or ArchitectureForm.of(inputs)
    estimates: dict[int, Estimate] = {}
    for held in folds(len(latency_N), parts, seed):
        kept = np.setdiff1d(np.arange(len(latency_N)), held)
        predictor = Predictor.of_form(form, [inputs[at] for at in kept], latency_N[kept])
        estimates.update(zip(held.tolist(), predictor.predict([inputs[at] for at in held]), strict=True))
    return Quality.of([estimates[at] for at in range(len(latency_N))], latency_N)
