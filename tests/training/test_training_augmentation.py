"""How a single picture is shown."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode, autoaugment

from nasfit.errors import UnknownNameError
from nasfit.tasks import Draws, bringing
from nasfit.training.augmentation import DRAWS, require_known, shown_picture
from nasfit.training.trivial_augment import CHANGED, trivially_augmented

NAMES = (
    *("Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast"),
    *("Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"),
)


def picture(side: int = 224, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth, with values all over the range."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 7, channels), dtype=np.uint8)
    planes = [np.asarray(Image.fromarray(small[:, :, c]).resize((side, side))) for c in range(channels)]
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_changes_are_torchvisions(place: int) -> None:
    image = picture()
    space = autoaugment.TrivialAugmentWide()._augmentation_space(31)
    assert tuple(space) == NAMES and len(CHANGED) == len(NAMES)
    magnitudes, signed = space[NAMES[place]]
    for step, negative in ((0, False), (13, False), (13, True), (30, True)):
        magnitude = float(magnitudes[step]) if magnitudes.ndim else 0.0
        expected = autoaugment._apply_op(
            Image.fromarray(image),
            NAMES[place],
            -magnitude if signed and negative else magnitude,
            InterpolationMode.NEAREST,
            None,
        )
        draws = np.array([(place + 0.5) / len(NAMES), (step + 0.5) / 31, 0.9 if negative else 0.1])
        # Brightness and its like end a rounding apart: the strengths there are float32.
        difference = np.abs(trivially_augmented(image, draws).astype(int) - np.asarray(expected).astype(int))
        assert difference.max() <= 1 and (difference > 0).mean() < 0.02


def test_every_draw_gives_a_picture_of_its_shape() -> None:
    random = np.random.default_rng(0)
    for channels in (1, 3):
        image = picture(28, channels)
        for draws in (np.zeros(3), np.ones(3), *random.random((40, 3))):
            changed = trivially_augmented(image, draws)
            assert changed.shape == image.shape and changed.dtype == np.uint8


def draws(**at: float) -> Draws:
    """Half-way, but for the named ones."""
    places = {"area": 0, "ratio": 1, "left": 2, "top": 3, "flip": 4}
    values = np.full(DRAWS, 0.5)
    for name, value in at.items():
        values[places[name]] = value
    return values


def test_a_whole_crop_is_the_picture_and_a_small_one_a_part() -> None:
    one = bringing(np.stack([picture(40)]))
    whole = shown_picture(one, 0, 40, draws(area=1.0), crop="inception", flip=False, augment="none")
    assert np.abs(whole.astype(int) - picture(40)).max() <= 1
    part = shown_picture(one, 0, 32, draws(area=0.0, left=0.0, top=0.0), crop="inception", flip=False, augment="none")
    # 8 % of the area is a square of 11 px, from the upper left corner.
    expected = Image.fromarray(picture(40)).resize((32, 32), Image.Resampling.BICUBIC, box=(0, 0, 11, 11))
    assert part.shape == (32, 32, 3)
    assert np.abs(part.astype(int) - np.asarray(expected)).max() <= 1


def test_half_of_the_draws_mirror() -> None:
    one = bringing(np.stack([picture(24, 1)]))
    for draw, is_flipped in ((0.49, True), (0.5, False)):
        shown = shown_picture(one, 0, 24, draws(flip=draw), crop="none", flip=True, augment="none")
        assert np.array_equal(shown, picture(24, 1)[:, ::-1] if is_flipped else picture(24, 1))


def test_a_shift_repeats_the_edge() -> None:
    one = bringing(np.stack([picture(24)]))
    shown = shown_picture(one, 0, 24, draws(left=0.0, top=0.999), crop="shift", flip=False, augment="none")
    # An eighth of 24 px: three up, three to the left.
    assert np.array_equal(shown[3:, :21], picture(24)[:21, 3:])
    assert np.array_equal(shown[2], shown[0])


def test_names_are_checked() -> None:
    require_known("inception", "trivial")
    with pytest.raises(UnknownNameError, match="did you mean 'shift'"):
        require_known("shft", "none")
    with pytest.raises(UnknownNameError, match="unknown augmentation"):
        require_known("none", "mixup")
