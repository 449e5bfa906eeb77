"""How long and how closely to look at a network."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.errors import UsageError
from nasfit.latency.probe_limit import LEAST_SAMPLES


@dataclass(frozen=True)
class Timing:
    """The defaults hold for networks of 0.05 to 100 ms.

    precision: stop at a 95 % interval of the headline within +- this share. min_rounds, max_rounds: samples of a
    network in one process; disturbed ones are taken again up to the maximum. network_s: wall time given to one network
    at most, in one process. span_s: `min_rounds` are spread over at least this long, since disturbances last seconds;
    further rounds keep the rhythm.
    sample_ms: a sample holds enough inferences to last this long. warm: untimed inferences before each sample, since
    another network ran just before. together: networks loaded and interleaved at once; more of them go in further
    groups. processes: fresh engine processes, one after the other. seed: of the order within the rounds.
    """

    precision: float = 0.015
    min_rounds: int = 15
    max_rounds: int = 60
    network_s: float = 5.0
    span_s: float = 0.75
    sample_ms: float = 3.0
    warm: int = 1
    together: int = 32
    processes: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not LEAST_SAMPLES <= self.min_rounds <= self.max_rounds:
            raise UsageError(
                f"rounds are {self.min_rounds} to {self.max_rounds}; {LEAST_SAMPLES} are the fewest that give an "
                "interval, and the smaller number comes first"
            )
        for what in ("precision", "network_s", "sample_ms", "together", "processes"):
            if not getattr(self, what) > 0:
                raise UsageError(f"{what} is {getattr(self, what)!r}; it must be above 0")
        if self.span_s < 0:
            raise UsageError(f"span_s is {self.span_s!r}; it must be 0 or more")


DEFAULT = Timing()
# For what is reported: several processes, a narrow interval, half a minute for a few networks.
THOROUGH = Timing(precision=0.005, min_rounds=25, max_rounds=60, span_s=1.5, processes=3)
