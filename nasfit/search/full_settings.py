"""What a full training is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nasfit.architecture import STRIDE_RULES
from nasfit.errors import UnknownNameError, UsageError
from nasfit.search.training_log import LOGS
from nasfit.tasks import MIN_RESOLUTION
from nasfit.training import PRECISIONS, Wishes, full_recipe

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class FullSettings:
    """What to train on what; None takes the default, which the training says aloud.

    network: text form of the architecture. data: as of a search. recipe: by name. epochs, budget_s: one of them at
    most; the latter fits the training into so many seconds. batch, accumulate, rate: see `Wishes`. resolution: px.
    is_fixed: the architecture has the resolution and the strides it is to be trained with; else it is fitted to the
    pictures, its classes and channels in any case. strides: which halvings a network fitted to small pictures keeps,
    `early` or `late`. pictures: most training pictures, balanced by class. stream: keep no decoded pictures. device:
    `cpu` or `cuda`. precision: `fp32` or `bf16`. compiled: by `torch.compile`. weights: a file to start from. balanced:
    rare classes weigh as much as frequent ones. seed: of weights, splits and batches. saved_every_s: at most so much is
    lost by a kill. logs: where curves go beside TensorBoard's files, names of LOGS.
    """

    data: str
    network: str
    is_fixed: bool = False
    strides: str = "late"
    recipe: str | None = None
    epochs: float | None = None
    budget_s: float | None = None
    batch: int | None = None
    accumulate: int | None = None
    rate: float | None = None
    resolution: int | None = None
    pictures: int | None = None
    stream: bool | None = None
    device: str | None = None
    precision: str | None = None
    compiled: bool = False
    weights: str | None = None
    balanced: bool = False
    seed: int = 0
    saved_every_s: float = 60.0
    logs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs is not None and self.budget_s is not None:
            raise UsageError("--epochs and --budget both say how long to train; give one of them")
        if self.recipe is not None:
            full_recipe(self.recipe)
        if self.strides not in STRIDE_RULES:
            raise UnknownNameError("stride rule", self.strides, STRIDE_RULES)
        if self.device not in (None, *DEVICES):
            raise UsageError(f"{self.device!r} is nothing to train on; give {' or '.join(DEVICES)}")
        if self.precision not in (None, *PRECISIONS):
            raise UnknownNameError("training precision", str(self.precision), PRECISIONS)
        if self.resolution is not None and self.resolution < MIN_RESOLUTION:
            raise UsageError(f"resolution is {self.resolution} px; give {MIN_RESOLUTION} px or more")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; give 0 or more")
        if self.saved_every_s < 0:
            raise UsageError(f"checkpoints are to be kept every {self.saved_every_s} s; give 0 s or more")
        for name in self.logs:
            if name not in LOGS:
                raise UnknownNameError("log", name, LOGS)
        _ = self.wishes

    @property
    def wishes(self) -> Wishes:
        """Numbers in place of the recipe's."""
        return Wishes(self.epochs, self.batch, self.accumulate, self.rate)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


# What a training may be gone on with other values of: none of these changes what comes of it.
MAY_CHANGE = frozenset({"saved_every_s", "logs"})
