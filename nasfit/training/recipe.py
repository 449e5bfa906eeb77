"""How a network is trained: the settings of one training run."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum and one cycle of the learning rate over a fixed number of images.

    images: shown in all, fresh ones before any repeats. peak_rate: learning rate at the top of the cycle, for `batch`
    images a step. shift: images move by up to this share of their side. flip: mirror half of them. weight_decay spares
    batch norm and biases. dropout: of the head's features.
    """

    images: int
    batch: int = 32
    peak_rate: float = 0.05
    warm_up: float = 0.25
    momentum: float = 0.9
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    dropout: float = 0.0
    shift: float = 0.0
    flip: bool = False
    bn_momentum: float = 0.1

    @property
    def steps(self) -> int:
        """Optimizer steps: at least one."""
        return max(1, self.images // self.batch)

    def lasting(self, images: int) -> Recipe:
        """The same recipe over another number of images."""
        return replace(self, images=images)


# Measured on Fashion-MNIST: with less than this many passes, moved and mirrored pictures cost accuracy.
AUGMENTED_PASSES = 4.0


def recipe_for(images: int, pictures: int) -> Recipe:
    """The recipe for `images` shown out of `pictures` there are: augmented once they are repeated often enough."""
    augmented = images >= AUGMENTED_PASSES * pictures
    return Recipe(images=images, shift=0.07 if augmented else 0.0, flip=augmented)
