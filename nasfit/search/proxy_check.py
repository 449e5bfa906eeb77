"""How well the short trainings of a study ranked its final networks, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nasfit.search.rank_agreement import Agreement, agreement

DOCUMENT = "proxy"
# From so many networks on the correlation is judged, and below this it is a warning.
FEWEST, WORRYING = 5, 0.5


@dataclass(frozen=True)
class ProxyPair:
    """One network: accuracy (0..1) after the short training, on validation pictures, and after the full, tested."""

    name: str
    proxy: float
    full: float


@dataclass(frozen=True)
class ProxyCheck:
    """How well the short training ranked. left_out: baselines that the budget had no room to train shortly."""

    pairs: tuple[ProxyPair, ...]
    left_out: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ProxyCheck:
        """Inverse of `as_json`."""
        return cls(tuple(ProxyPair(**pair) for pair in document["pairs"]), tuple(document["left_out"]))

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the study keeps them."""
        return asdict(self)

    @property
    def tau(self) -> float | None:
        """Kendall's tau-b of the two orders, -1 to 1; None where one of them does not vary."""
        return None if (found := self._agreement) is None else found.tau

    @property
    def interval(self) -> tuple[float, float] | None:
        """90 % interval of tau: networks drawn again with replacement (percentile bootstrap, fixed seed)."""
        return None if (found := self._agreement) is None else (found.low, found.high)

    @property
    def _agreement(self) -> Agreement | None:
        return agreement([pair.proxy for pair in self.pairs], [pair.full for pair in self.pairs])
