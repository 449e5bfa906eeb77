"""The numbers of one full training, fixed before it starts: how many steps, of how many pictures, at which rate."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from nasfit.errors import UsageError
from nasfit.training.full_recipe import FullRecipe
from nasfit.training.full_training import Course

# Pixels of a batch that a CPU's memory holds in training with room to spare: 32 pictures of 224 px.
CPU_PIXELS = 32 * 224 * 224


@dataclass(frozen=True)
class Wishes:
    """What a user may ask for in place of the recipe's numbers; None leaves them.

    batch: pictures that a process holds at once. accumulate: such batches a step. rate: the highest learning rate.
    """

    epochs: float | None = None
    batch: int | None = None
    accumulate: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        for what, value in asdict(self).items():
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{'lr' if what == 'rate' else what} is {value}; it must be above 0")


@dataclass(frozen=True)
class FullPlan:
    """epochs: passes over the pictures, not necessarily whole. peak: highest learning rate. side: of a picture, px.

    stored_side: of the pictures as they are kept, out of whose centre evaluation sees `side` px. batch, accumulate: see
    `Wishes`. world: processes.
    """

    epochs: float
    steps: int
    steps_per_epoch: int
    batch: int
    accumulate: int
    world: int
    peak: float
    side: int
    stored_side: int

    @property
    def pictures(self) -> int:
        """Of one step, all processes together."""
        return self.batch * self.accumulate * self.world

    def course(self, recipe: FullRecipe, seed: int) -> Course:
        """The training's numbers for the loop."""
        schedule = recipe.schedule_of(self.steps, self.pictures, self.peak)
        return Course(schedule, self.steps_per_epoch, self.batch, self.accumulate, recipe.average, seed=seed)

    def lasting(self, steps: int) -> FullPlan:
        """The same over another number of steps."""
        return FullPlan(**{**asdict(self), "steps": steps, "epochs": steps / self.steps_per_epoch})

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def stored_side(test_crop: float, side: int) -> int:
    """Side in px of the pictures to keep, so that the share `test_crop` of it is `side`."""
    return round(side / test_crop)


def full_plan(
    recipe: FullRecipe, wishes: Wishes, *, pictures: int, side: int, world: int = 1, on_cpu: bool = False
) -> FullPlan:
    """What the recipe comes to with so many training pictures. on_cpu: hold fewer pictures at once than a GPU does.

    A step has the recipe's number of pictures, in as many pieces as memory asks for, unless both numbers are given;
    never more than there are. Raises UsageError.
    """
    wanted = max(1, min(recipe.pictures, pictures) // world)
    batch = min(wishes.batch or _held(wanted, side, on_cpu), max(1, pictures // world))
    accumulate = wishes.accumulate or max(1, min(round(wanted / batch), pictures // (batch * world)))
    if batch * accumulate * world > pictures:
        raise UsageError(
            f"a step of {batch * accumulate * world} pictures is more than the {pictures} there are to train on; "
            "give a smaller --batch or --accumulate"
        )
    per_epoch = max(1, pictures // (batch * accumulate * world))
    epochs = wishes.epochs or recipe.epochs
    steps = max(1, round(epochs * per_epoch))
    peak = recipe.schedule_of(steps, batch * accumulate * world, wishes.rate).peak
    return FullPlan(epochs, steps, per_epoch, batch, accumulate, world, peak, side, stored_side(recipe.test_crop, side))


def _held(wanted: int, side: int, on_cpu: bool) -> int:
    """`wanted` pictures, halved until they fit."""
    while on_cpu and wanted > 1 and wanted * side * side > CPU_PIXELS:
        wanted = -(-wanted // 2)
    return wanted
