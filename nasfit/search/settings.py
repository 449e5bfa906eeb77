"""What defines a search; flat, plain values, kept with the study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass
from typing import Any

from nasfit.architecture import MIN_RESOLUTION, STRIDE_RULES
from nasfit.devices.engines import require_precision
from nasfit.errors import UnknownNameError, UsageError
from nasfit.objective import REWARDS, Front, Reward
from nasfit.space import ABLATIONS, DEFAULT_SPACE, SPACES
from nasfit.strategies import EXTENSIONS, FRONT_STRATEGIES

# What may differ when a study is continued: none of it changes what a trial means.
MAY_CHANGE = ("budget_s", "workers", "max_trials", "predictor")
# Which strategies can use an earlier study.
HINTED = ("guided",)
STOPPING = ("none", "curve")
TRAIN_PRECISIONS = ("fp32", "bf16")
HINTS = ("none", "counts", "scores")
# What `training.SCORES` knows of untrained networks, those first that are counted.
COUNTED = ("parameters", "madds")
SCORES = (*COUNTED, "grad_norm", "snip", "synflow", "naswot", "zen")
SCREENS = ("none", "auto", *SCORES)
AUTO = "auto"
# What `EVALUATORS` knows, and the rule that chooses among them.
EVALUATIONS = (AUTO, "standalone", "inherit", "pool", "supernet")
# Their networks are trained together, none for itself.
TOGETHER = ("pool", "supernet")
# Of final networks: from fresh weights, as the baselines, or from those of the trial.
FINAL_STARTS = ("scratch", "inherited")
POSITIVE = (
    "target_ms",
    "budget_s",
    "width",
    "proxy_images",
    "workers",
    "max_trials",
    "resolution",
    "pictures",
    "max_mb",
    "max_size",
)


@dataclass(frozen=True)
class Settings:
    """One search. None lets the start-up calibration choose; what it chose is printed and kept.

    data: a folder or a name. target_ms: latency wanted, above 0. device: `local`, `ssh://user@host` or `adb:SERIAL`, or
    several alike with commas between; engine: on it. precision: `fp32`, or `int8`, whose accuracy and latency are then
    the ones that count. max_mb: peak memory of one network on the device, MB; max_size: of its file, MB; None sets no
    bound. predictor: file of a latency predictor; what it is sure exceeds the limit is not measured. reward: `soft`,
    `hard` or `abs`, with alpha and beta in place of the published exponents. calibrate_exponent: of the soft reward,
    fitted to the first batch of this study. front_from_ms: below target_ms; wanted is then no single network but, at
    every limit from here to target_ms, the most accurate one; there is no reward then. warm_start: directory of an
    earlier study of the same space, whose accuracies and latencies are hints to the strategy. stopping: `curve` ends
    trainings that can no longer matter, `none` none. hints: of untrained networks to the strategy, `counts`
    (parameters, multiply-adds), `scores` (all zero-cost scores) or `none`. screen: the zero-cost score by which
    proposals are dropped once it has ranked this study's networks well, `auto` the best of them, `none`. evaluator:
    where accuracies come from, `auto` chooses. final_start: the search's own networks are finally trained from
    `scratch`, as the baselines are, or from `inherited` weights. width: multiplier of the whole space. resolution:
    input px. pictures: most training pictures, as many of each class as of any other; None: all. stream: pictures are
    decoded whenever they are wanted, and none kept decoded; needs a resolution. strides: which halvings a small input
    keeps (`early` or `late`). proxy_images: images a trial trains on; proxy_wish: Kendall's tau with full training to
    reach, where a long search finds that number itself, 0 for never. train_precision: `fp32` or `bf16`, of all
    trainings. progressive: the first half of every training shows smaller images. prune: trials slower than this many
    targets are measured but not trained; 0 trains all. budget_s: seconds for everything, final training included.
    workers: training processes, one core each. max_trials: upper bound on trained trials. is_new: whether the values
    are checked; those of a study were when it was begun, see `of_study`.

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
    space: str = DEFAULT_SPACE
    strategy: str = "guided"
    reward: str = "soft"
    alpha: float | None = None
    beta: float | None = None
    calibrate_exponent: bool = False
    front_from_ms: float | None = None
    warm_start: str | None = None
    stopping: str = "none"
    hints: str = "none"
    screen: str = "none"
    evaluator: str = AUTO
    final_start: str = "scratch"
    width: float | None = None
    resolution: int | None = None
    pictures: int | None = None
    stream: bool = False
    strides: str | None = None
    proxy_images: int | None = None
    proxy_wish: float = 0.8
    train_precision: str | None = None
    progressive: bool = False
    prune: float = 1.1
    seed: int = 0
    budget_s: float = 600.0
    workers: int | None = None
    max_trials: int | None = None
    is_new: InitVar[bool] = True

    def __post_init__(self, is_new: bool) -> None:
        if is_new:
            self._check()

    @classmethod
    def of_study(cls, kept: Mapping[str, Any]) -> Settings:
        """What a study has kept: checked when it was begun, perhaps where packages were that are not here.

        Raises TypeError where it is of another version.
        """
        return cls(**kept, is_new=False)

    def _check(self) -> None:
        self._check_numbers()
        self._check_names()
        require_precision(self.engine, self.precision)
        # Now rather than after the calibration.
        Reward(self.reward, self.target_ms, self.alpha, self.beta)
        self._check_goal()
        if self.evaluator in TOGETHER and self.stopping != "none":
            raise UsageError(
                f"--stopping {self.stopping} ends trainings of single networks; --evaluator {self.evaluator} trains "
                f"many together: leave one of the two out"
            )
        if self.warm_start is not None and self.strategy not in HINTED:
            raise UsageError(
                f"--warm-start gives hints that strategy {self.strategy!r} cannot use; leave it out, or search with "
                f"--strategy {' or '.join(HINTED)}"
            )

        if self.hints != "none" and self.strategy not in HINTED:
            raise UsageError(
                f"--hints {self.hints} gives hints that strategy {self.strategy!r} cannot use; leave it out, or search "
                f"with --strategy {' or '.join(HINTED)}"
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
        if self.stream and self.resolution is None:
            raise UsageError("--stream decodes pictures as they are wanted, and needs their size; give --resolution")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"--seed is {self.seed}; it must be 0 or more, and fit 63 bits")

        if not 0 <= self.proxy_wish <= 1:
            raise UsageError(f"--proxy-wish is {self.proxy_wish!r}; it must be 0 (no check) or a Kendall's tau up to 1")

    def _check_names(self) -> None:
        known = {"space": SPACES + ABLATIONS, "reward": REWARDS, "stopping": STOPPING}
        known |= {"hints": HINTS, "screen": SCREENS}
        known |= {"evaluator": EVALUATIONS, "final_start": FINAL_STARTS}
        known |= {"strides": STRIDE_RULES} if self.strides is not None else {}
        known |= {"train_precision": TRAIN_PRECISIONS} if self.train_precision is not None else {}
        for what, names in known.items():
            if getattr(self, what) not in names:
                raise UnknownNameError(_option(what), getattr(self, what), names)
        EXTENSIONS.require(self.strategy, "--strategy")

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
