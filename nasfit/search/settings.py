"""What defines a search; flat, plain values, kept with the study."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from nasfit.architecture import MIN_RESOLUTION, STRIDE_RULES
from nasfit.devices.engines import require_precision
from nasfit.errors import UnknownNameError, UsageError
from nasfit.objective import REWARDS, Front, Reward
from nasfit.space import SPACES
from nasfit.strategies import FRONT_STRATEGIES, STRATEGIES

# What may differ when a study is continued: none of it changes what a trial means.
MAY_CHANGE = ("budget_s", "workers", "max_trials", "predictor")
# Which strategies can use an earlier study.
HINTED = ("guided",)
STOPPING = ("none", "curve")
POSITIVE = (
    "target_ms",
    "budget_s",
    "width",
    "proxy_images",
    "workers",
    "max_trials",
    "resolution",
    "max_mb",
    "max_size",
)


@dataclass(frozen=True)
class Settings:
    """One search. None lets the start-up calibration choose; what it chose is printed and kept.

    data: a folder or a name. target_ms: latency wanted, above 0. device: `local`, `ssh://user@host` or `adb:SERIAL`;
    engine: on it. precision: `fp32`, or `int8`, whose accuracy and latency are then the ones that count. max_mb: peak
    memory of one network on the device, MB; max_size: of its file, MB; None sets no bound. predictor: file of a
    latency predictor; what it is sure exceeds the limit is not measured. reward: `soft`, `hard` or
    `abs`, with alpha and beta in place of the published exponents. calibrate_exponent: of the soft reward, fitted to
    the first batch of this study. front_from_ms: below target_ms; wanted is then no single network but, at every limit
    from here to target_ms, the most accurate one; there is no reward then. warm_start: directory of an earlier study of
    the same space, whose accuracies and latencies are hints to the strategy. stopping: `curve` ends trainings that can
    no longer matter, `none` none. width: multiplier of the whole space. resolution: input px. strides: which halvings a
    small input keeps (`early` or `late`). proxy_images: images a trial trains on. prune: trials slower than this many
    targets are measured but not trained; 0 trains all. budget_s: seconds for everything, final training included.
    workers: training processes, one core each. max_trials: upper bound on trained trials.

    Raises UsageError, UnknownNameError, naming the command line's options.
    """

    data: str
    target_ms: float
    device: str = "local"
    engine: str = "litert"
    precision: str = "fp32"
    max_mb: float | None = None
    max_size: float | None = None
    predictor: str | None = None
    space: str = "mnasnet"
    strategy: str = "guided"
    reward: str = "soft"
    alpha: float | None = None
    beta: float | None = None
    calibrate_exponent: bool = False
    front_from_ms: float | None = None
    warm_start: str | None = None
    stopping: str = "none"
    width: float | None = None
    resolution: int | None = None
    strides: str | None = None
    proxy_images: int | None = None
    prune: float = 1.1
    seed: int = 0
    budget_s: float = 600.0
    workers: int | None = None
    max_trials: int | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_names()
        require_precision(self.engine, self.precision)
        # Now rather than after the calibration.
        Reward(self.reward, self.target_ms, self.alpha, self.beta)
        self._check_goal()
        if self.warm_start is not None and self.strategy not in HINTED:
            raise UsageError(
                f"--warm-start gives hints that strategy {self.strategy!r} cannot use; leave it out, or search with "
                f"--strategy {' or '.join(HINTED)}"
            )

    def _check_numbers(self) -> None:
        for what in POSITIVE:
            value = getattr(self, what)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{_option(what)} is {value!r}; it must be a number above 0")
        if not (math.isfinite(self.prune) and (self.prune == 0 or self.prune >= 1)):
            raise UsageError(
                f"--prune is {self.prune!r}; it must be 0 (train all) or a multiple of the target from 1 up"
            )
        if self.resolution is not None and self.resolution < MIN_RESOLUTION:
            raise UsageError(f"--resolution is {self.resolution}; it must be {MIN_RESOLUTION} px or more")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"--seed is {self.seed}; it must be 0 or more, and fit 63 bits")

    def _check_names(self) -> None:
        known = {"space": SPACES, "strategy": STRATEGIES, "reward": REWARDS, "stopping": STOPPING}
        known |= {"strides": STRIDE_RULES} if self.strides is not None else {}
        for what, names in known.items():
            if getattr(self, what) not in names:
                raise UnknownNameError(_option(what), getattr(self, what), names)

    def _check_goal(self) -> None:
        shaped = self.reward != "soft" or self.alpha is not None or self.beta is not None
        if self.calibrate_exponent and shaped:
            raise UsageError(
                "--calibrate-exponent finds the exponent of the soft reward; leave out --alpha, --beta and --reward"
            )
        if self.front_from_ms is None:
            return
        Front(self.front_from_ms, self.target_ms)
        if shaped or self.calibrate_exponent:
            raise UsageError(
                "--front asks for the most accurate network at every limit, so nothing is weighed by a reward; "
                "leave out --reward, --alpha, --beta and --calibrate-exponent, or give --target-ms in place of --front"
            )
        if self.strategy not in FRONT_STRATEGIES:
            raise UsageError(
                f"strategy {self.strategy!r} follows one reward and cannot serve --front; "
                f"take one of {', '.join(FRONT_STRATEGIES)}"
            )

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the study keeps them."""
        return asdict(self)


def _option(field: str) -> str:
    """What the command line calls it."""
    return "--" + field.removesuffix("_s").replace("_", "-")
