"""How one picture is shown in a full training: cropped, mirrored, changed; every draw is handed in.

Shapes: S side in px, C channels.
"""

from __future__ import annotations

import numpy as np

from nasfit.errors import UnknownNameError
from nasfit.tasks import Draws, Images, One

# Numbers in 0..1 that one picture takes: four for the crop, one for mirroring, three for the change.
DRAWS = 8
CROPS = ("inception", "shift", "none")
CHANGES = ("trivial", "none")
# `shift` moves a picture by up to this share of its side.
SHIFT = 0.125


def shown_picture(one: One, row: int, side: int, draws: Draws, *, crop: str, flip: bool, augment: str) -> Images:
    """The picture in `row` as a training shows it, (S, S, C). draws: DRAWS numbers in 0..1."""
    image_SSC = one(row, draws[:4] if crop == "inception" else None, side)
    if crop == "shift":
        image_SSC = _shifted(image_SSC, draws)
    if flip and draws[4] < 0.5:
        image_SSC = image_SSC[:, ::-1]
    if augment == "none":
        return np.ascontiguousarray(image_SSC)
    # Imported here: torchvision takes a second that trials need not wait.
    from nasfit.training.trivial_augment import trivially_augmented

    return trivially_augmented(image_SSC, draws[5:])


def require_known(crop: str, augment: str) -> None:
    """Raises UnknownNameError for names that `shown_picture` does not know."""
    if crop not in CROPS:
        raise UnknownNameError("crop", crop, CROPS)
    if augment not in CHANGES:
        raise UnknownNameError("augmentation", augment, CHANGES)


def _shifted(image_SSC: Images, draws: Draws) -> Images:
    """Moved, with the edge repeated."""
    side = image_SSC.shape[0]
    reach = round(side * SHIFT)
    down, right = (int(draw * (2 * reach + 1)) - reach for draw in draws[2:4])
    places = np.arange(side)
    return np.asarray(image_SSC[np.clip(places + down, 0, side - 1)][:, np.clip(places + right, 0, side - 1)])
