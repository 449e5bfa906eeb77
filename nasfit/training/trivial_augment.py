"""TrivialAugment: one random change of a picture, of random strength; every draw is handed in.

Shapes: S side in px, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as change

from nasfit.tasks import Draws, Images

# Strengths are this many steps of each range.
_STRENGTHS = 31
# The widest translation, 32 px, of pictures of 224.
_TRANSLATED = 32 / 224


def trivially_augmented(image_SSC: Images, draws: Draws) -> Images:
    """TrivialAugment (Mueller and Hutter 2021), wide: one change, drawn evenly, at a strength drawn evenly.

    draws: three numbers in 0..1, for change, strength and sign. Ranges are torchvision's, with translations in
    proportion to the side.
    """
    channels = image_SSC.shape[2]
    image = Image.fromarray(image_SSC[:, :, 0] if channels == 1 else np.ascontiguousarray(image_SSC))
    kind = CHANGED[min(int(draws[0] * len(CHANGED)), len(CHANGED) - 1)]
    strength = min(int(draws[1] * _STRENGTHS), _STRENGTHS - 1) / (_STRENGTHS - 1)
    changed = kind(image, strength, 1 if draws[2] < 0.5 else -1)
    return np.asarray(changed).reshape(image_SSC.shape)


Changed = Callable[[Image.Image, float, int], Image.Image]


def _same(image: Image.Image, strength: float, sign: int) -> Image.Image:
    return image


def _moved(image: Image.Image, shift: Sequence[int], shear: Sequence[float]) -> Image.Image:
    moved: Image.Image = change.affine(
        image, 0.0, list(shift), 1.0, list(shear), interpolation=InterpolationMode.NEAREST, center=[0, 0]
    )
    return moved


def _sheared(image: Image.Image, strength: float, sign: int, *, upright: bool) -> Image.Image:
    degrees = math.degrees(math.atan(sign * 0.99 * strength))
    return _moved(image, (0, 0), (0.0, degrees) if upright else (degrees, 0.0))


def _translated(image: Image.Image, strength: float, sign: int, *, upright: bool) -> Image.Image:
    pixels = int(sign * strength * _TRANSLATED * image.width)
    return _moved(image, (0, pixels) if upright else (pixels, 0), (0.0, 0.0))


def _rotated(image: Image.Image, strength: float, sign: int) -> Image.Image:
    rotated: Image.Image = change.rotate(image, sign * 135.0 * strength, interpolation=InterpolationMode.NEAREST)
    return rotated


def _enhanced(by: Callable[[Image.Image, float], Image.Image]) -> Changed:
    return lambda image, strength, sign: by(image, 1.0 + sign * 0.99 * strength)


def _posterized(image: Image.Image, strength: float, sign: int) -> Image.Image:
    posterized: Image.Image = change.posterize(image, 8 - round(6 * strength))
    return posterized


def _solarized(image: Image.Image, strength: float, sign: int) -> Image.Image:
    solarized: Image.Image = change.solarize(image, 255.0 * (1 - strength))
    return solarized


CHANGED: tuple[Changed, ...] = (
    _same,
    lambda image, strength, sign: _sheared(image, strength, sign, upright=False),
    lambda image, strength, sign: _sheared(image, strength, sign, upright=True),
    lambda image, strength, sign: _translated(image, strength, sign, upright=False),
    lambda image, strength, sign: _translated(image, strength, sign, upright=True),
    _rotated,
    _enhanced(change.adjust_brightness),
    _enhanced(change.adjust_saturation),
    _enhanced(change.adjust_contrast),
    _enhanced(change.adjust_sharpness),
    _posterized,
    _solarized,
    lambda image, strength, sign: change.autocontrast(image),
    lambda image, strength, sign: change.equalize(image),
)
