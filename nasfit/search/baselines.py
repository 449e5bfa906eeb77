"""Which published networks are trained beside the winners: of each family the widths about the winner's latency.

All entrants share the time of the final training, so that each further one shortens it for all. Narrower widths than
the widest that is as fast as the winner would be less accurate still; widths far slower tell nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nasfit.architecture import Architecture, published
from nasfit.latency import Measurement
from nasfit.search.measuring import measured
from nasfit.search.setup import Setup

# Widths that the authors published figures of.
FAMILIES = {"mobilenet-v2": (0.25, 0.35, 0.5, 0.75, 1.0), "mobilenet-v3-small": (0.35, 0.5, 0.75, 1.0, 1.25)}
SLOWER, FAR_SLOWER = 2, 3.0  # so many widths above the winner's latency, none above so many times of it
# The exported files may differ from these measurements by a few percent. Below the first share of a winner's latency a
# width is as fast for sure; what is there for its speed alone may be as slow as the second.
SURELY, BARELY = 0.95, 1.05


@dataclass(frozen=True)
class Baseline:
    """A published network of one width, fitted to the study's pictures.

    line: the family and, where it is not the study's own, the stride rule: what widths are compared within.
    """

    name: str
    line: str
    network: Architecture


def baselines(setup: Setup, winner_ms: float) -> list[Baseline]:
    """Beside one winner: of each family the widest that is as fast, and the next slower ones.

    Where the study halves late, the widest by the cheaper early rule that is as fast as well: at the same latency it
    may be the more accurate one.
    """
    kept: list[Baseline] = []
    for line, latencies_ms in _timed(setup).items():
        if line in FAMILIES:
            kept += about(latencies_ms, [SURELY * winner_ms], SLOWER) or list(latencies_ms)[:1]
        else:
            kept += about(latencies_ms, [BARELY * winner_ms])
    return kept


def baselines_within(setup: Setup, limits_ms: Sequence[float]) -> list[Baseline]:
    """Beside a front: of each family and stride rule the widest within each limit."""
    kept: list[Baseline] = []
    for line, latencies_ms in _timed(setup).items():
        fastest = list(latencies_ms)[:1] if line in FAMILIES else []
        kept += about(latencies_ms, limits_ms) or fastest
    return kept


def about(latencies_ms: Mapping[Baseline, float], limits_ms: Sequence[float], slower: int = 0) -> list[Baseline]:
    """The slowest within each limit, and of those beyond the highest limit the `slower` fastest, no far slower ones.

    latencies_ms: fastest first, as the answer is.
    """
    high = max(limits_ms)
    within = [[one for one, latency_ms in latencies_ms.items() if latency_ms <= limit] for limit in limits_ms]
    beyond = [one for one, latency_ms in latencies_ms.items() if high < latency_ms <= FAR_SLOWER * high]
    kept = {*(found[-1] for found in within if found), *beyond[:slower]}
    return [one for one in latencies_ms if one in kept]


def _timed(setup: Setup) -> dict[str, dict[Baseline, float]]:
    """Latencies (ms) of all that could be measured by line, fastest first."""
    candidates = _candidates(setup)
    latencies = measured([one.network for one in candidates], setup.instrument, cache=setup.study.measurements)
    found = [(one, latencies[str(one.network)]) for one in candidates]
    timed = [(one, latency.latency_ms) for one, latency in found if isinstance(latency, Measurement)]
    lines: dict[str, dict[Baseline, float]] = {one.line: {} for one in candidates}
    for one, latency_ms in sorted(timed, key=lambda pair: pair[1]):
        lines[one.line][one] = latency_ms
    return lines


def _candidates(setup: Setup) -> list[Baseline]:
    found: dict[str, Baseline] = {}
    own = setup.plan.strides
    for family, widths in FAMILIES.items():
        for rule in dict.fromkeys((own, "early")):
            ending = "" if rule == own else f" {rule}"
            for width in widths:
                network = setup.fitted(published(family, width), strides=rule)
                # From 128 px up both rules build the same.
                found.setdefault(str(network), Baseline(f"{family} x{width:g}{ending}", family + ending, network))
    return list(found.values())
