"""The recipes of full trainings, by name: all their numbers are here."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.errors import UnknownNameError, UsageError
from nasfit.training.schedules import Schedule

# Learning rates are for a step of so many pictures, and grow with the pictures of a step (Goyal et al. 2017).
RATE_PICTURES = 256


@dataclass(frozen=True)
class FullRecipe:
    """How a network is trained until it is as good as it gets.

    epochs: passes over the training pictures. pictures: of one step, all processes and pieces together. rate: learning
    rate at its highest for RATE_PICTURES pictures a step. schedule: `cosine` or `staircase`; the latter falls to 0.97
    every `fall_epochs`. Where a training is made shorter or longer, warm-up and falls shrink or grow with it. average:
    decay of the weights' moving average, 0 for none. crop: `inception` (8 to 100 % of the area, see
    `decoding.window_of`), `shift` (the whole picture, moved by up to an eighth) or `none`. augment: `trivial`
    (TrivialAugment) or `none`. mixup: of its beta distribution, 0 for none. test_crop: share of the shorter side that
    evaluation looks at. bn_momentum: torch's. calm: layers with a skip start as the skip alone.
    """

    name: str
    epochs: float
    pictures: int
    optimizer: str
    rate: float
    schedule: str
    warm_up_epochs: float
    weight_decay: float
    fall_epochs: float = 0.0
    decay_biases: bool = False
    label_smoothing: float = 0.1
    dropout: float = 0.2
    average: float = 0.0
    crop: str = "inception"
    flip: bool = True
    augment: str = "none"
    mixup: float = 0.0
    test_crop: float = 0.875
    bn_momentum: float = 0.1
    calm: bool = True

    def schedule_of(self, steps: int, pictures: int, rate: float | None = None) -> Schedule:
        """Learning rates of `steps` steps of `pictures` pictures. rate: the highest, in place of the recipe's."""
        peak = self.rate * pictures / RATE_PICTURES if rate is None else rate
        if not peak > 0:
            raise UsageError(f"learning rate is {peak}; it must be above 0")
        per_epoch = steps / self.epochs
        warm_up = int(per_epoch * self.warm_up_epochs + 1e-9)
        period = per_epoch * self.fall_epochs
        return Schedule(self.schedule, peak, steps, warm_up, **({"period": period} if period else {}))


# The published model code (docs/decisions/0001): tensorflow/tpu, mnasnet. The paper leaves half of it out.
MNASNET = FullRecipe(
    name="mnasnet",
    epochs=350,
    pictures=256,
    optimizer="rmsprop-tf",
    rate=0.016,
    schedule="staircase",
    warm_up_epochs=5,
    fall_epochs=2.4,
    weight_decay=1e-5,
    decay_biases=True,
    average=0.9999,
    bn_momentum=0.01,
    calm=False,
)
# After torchvision's recipe for its newer weights (SGD, cosine, TrivialAugment, mixup, average), with a small network's
# lighter decay and mixup.
MODERN = FullRecipe(
    name="modern",
    epochs=600,
    pictures=256,
    optimizer="sgd",
    rate=0.125,
    schedule="cosine",
    warm_up_epochs=5,
    weight_decay=2e-5,
    average=0.9999,
    augment="trivial",
    mixup=0.1,
)
# Few pictures: small steps, strong augmentation, an optimizer that forgives its rate.
SMALL_DATA = FullRecipe(
    name="small-data",
    epochs=60,
    pictures=64,
    optimizer="adamw",
    rate=0.004,
    schedule="cosine",
    warm_up_epochs=3,
    weight_decay=0.05,
    average=0.999,
    augment="trivial",
    mixup=0.1,
)
# What the trials and the finale of a search train with, see `Recipe`.
QUICK = FullRecipe(
    name="quick",
    epochs=10,
    pictures=64,
    optimizer="sgd",
    rate=0.2,
    schedule="cosine",
    warm_up_epochs=1,
    weight_decay=1e-4,
    dropout=0.0,
    average=0.99,
    crop="shift",
    test_crop=1.0,
)
FULL_RECIPES = {recipe.name: recipe for recipe in (MNASNET, MODERN, SMALL_DATA, QUICK)}
# Fewer training pictures than the first call for `small-data`; from the second on `mnasnet` does without more help.
FEW_PICTURES, MANY_PICTURES = 10_000, 500_000


def full_recipe(name: str) -> FullRecipe:
    """A recipe by name. Raises UnknownNameError."""
    if name not in FULL_RECIPES:
        raise UnknownNameError("recipe", name, FULL_RECIPES)
    return FULL_RECIPES[name]


def fitting_recipe(pictures: int) -> FullRecipe:
    """The recipe for so many training pictures."""
    if pictures < FEW_PICTURES:
        return SMALL_DATA
    return MNASNET if pictures >= MANY_PICTURES else MODERN
