"""Picture files to equal square uint8 arrays.

Shorter side to the resolution, then the centre square, in one antialiased bicubic resize; rotated as EXIF says;
transparency on white; 16-bit grey divided by 257, not clipped; the first frame of an animation. Threads suffice:
Pillow decodes and resizes outside the interpreter lock, and no child process needs a guarded main module.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from nasfit.tasks.pixels import Draws, Images

# Only these decoders ever see a file, whatever its name: Pillow's others include one that starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
# Pillow's own limit of refusal (twice its limit of warning); 108-megapixel phone pictures pass.
MAX_PIXELS = 178_956_970

Made = TypeVar("Made")
# Left, top, right, bottom, px.
Box = tuple[float, float, float, float]

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(file: str | BinaryIO, resolution: int, draws: Draws | None = None) -> Images | str:
    """The picture as (resolution, resolution, 3) uint8, or the reason (a few words) why the file is none.

    Its centre square, or with `draws` the part of it that `window_of` says.
    """

    def fitted(image: Image.Image) -> Images:
        whole = image.size
        window = _centre(whole) if draws is None else window_of(*whole, draws)
        _draft(image, window, resolution * (2 if draws is None else 1))
        image.load()
        box = _centre(image.size) if draws is None else _scaled(window, whole, image.size)
        small = _fitted(as_rgb(image), resolution, box)
        turn = _UPRIGHT.get(_orientation(image))
        return np.asarray(small.transpose(turn) if turn is not None else small)

    return _read(file, fitted)


@dataclass(frozen=True, eq=False)
class Whole:
    """A picture that was read whole. image_SSC: upright, squeezed to a square. size: width and height as stored, px.

    orientation: EXIF's, 1 to 8; from 5 on the upright picture has width and height exchanged.
    """

    image_SSC: Images
    size: tuple[int, int]
    orientation: int


def decode_whole(file: str | BinaryIO, side: int) -> Whole | str:
    """The whole picture as (side, side, 3) uint8, its sides squeezed to equal ones, or why the file is none."""

    def squeezed(image: Image.Image) -> Whole:
        size = image.size
        _draft(image, (0, 0, *size), side * 2)
        image.load()
        small = _fitted(as_rgb(image), side, (0, 0, *image.size))
        orientation = _orientation(image)
        turn = _UPRIGHT.get(orientation)
        return Whole(np.asarray(small if turn is None else small.transpose(turn)), size, orientation)

    return _read(file, squeezed)


def _read(file: str | BinaryIO, make: Callable[[Image.Image], Made]) -> Made | str:
    """What `make` does with the opened picture, or the reason why there is none."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return _too_large(image.size)
            if min(image.size) < 1:
                return "no pixels"
            return make(image)
    except Image.DecompressionBombError as error:
        return f"too large: {str(error).split(',')[0]}"
    except UnidentifiedImageError:
        return "not a JPEG, PNG, WebP or BMP picture"
    except MemoryError:
        return "too large for this machine's memory"
    # Pillow's decoders raise nearly anything on damaged files (OSError, SyntaxError, struct.error, IndexError ...).
    except Exception as error:
        return getattr(error, "strerror", None) or f"damaged ({error})"


def shorter_side(file: str | BinaryIO) -> int | None:
    """Pixels of the shorter side, from the header alone; None if it cannot be read."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            return min(image.size)
    except Exception:  # decode() names the reason later
        return None


def fit_arrays(images_NHWC: Images, resolution: int) -> Images:
    """Pictures in memory, resized as files are; unchanged if they have that resolution. Channels 1 or 3 stay."""
    if images_NHWC.shape[1:3] == (resolution, resolution):
        return images_NHWC
    with ThreadPoolExecutor(available_cores()) as pool:
        rows = list(pool.map(lambda image_HWC: _fit_array(image_HWC, resolution), images_NHWC))
    return np.stack(rows).reshape(len(rows), resolution, resolution, images_NHWC.shape[3])


def cut(image_HWC: Images, side: int, draws: Draws | None = None) -> Images:
    """A square picture, or with `draws` the part of it that `window_of` says, at `side` px; channels 1 or 3 stay."""
    high, wide, channels = image_HWC.shape
    if draws is None and (high, wide) == (side, side):
        return image_HWC
    image = Image.fromarray(image_HWC[:, :, 0] if channels == 1 else image_HWC)
    box = _centre(image.size) if draws is None else window_of(wide, high, draws)
    return np.asarray(_fitted(image, side, box)).reshape(side, side, channels)


def as_rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow's as 8-bit RGB: 16 bits scaled, transparency composited on white."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def available_cores() -> int:
    """Cores this process may use, which a container or taskset may keep below the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def window_of(width: int, height: int, draws: Draws) -> Box:
    """A random part of a picture, px: 8 to 100 % of its area, between 3:4 and 4:3, anywhere.

    The crop of Inception's training (Szegedy et al., "Going Deeper with Convolutions", section 6), as MnasNet's
    published code has it; what would reach over an edge is cut, where that code draws again. `draws`: four numbers in
    0..1 for area, ratio, left and top.
    """
    area = width * height * (0.08 + 0.92 * draws[0])
    ratio = (4 / 3) ** (2 * draws[1] - 1)
    wide = max(1, min(width, round((area * ratio) ** 0.5)))
    high = max(1, min(height, round((area / ratio) ** 0.5)))
    left, top = int(draws[2] * (width - wide + 1)), int(draws[3] * (height - high + 1))
    return left, top, left + wide, top + high


def _centre(size: tuple[int, int]) -> Box:
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return left, top, left + side, top + side


def _scaled(window: Box, before: tuple[int, int], after: tuple[int, int]) -> Box:
    across, down = after[0] / before[0], after[1] / before[1]
    return window[0] * across, window[1] * down, window[2] * across, window[3] * down


def _draft(image: Image.Image, window: Box, wanted: int) -> None:
    """A JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves the window `wanted` px: photos cost a fraction.

    For the centre square `wanted` is twice what is needed, of a random crop just that: what is seen once need not be
    as smooth.
    """
    factor = max(1, int(min(window[2] - window[0], window[3] - window[1])) // wanted)
    image.draft(image.mode, (image.width // factor, image.height // factor))


def _fitted(image: Image.Image, resolution: int, box: Box) -> Image.Image:
    # reducing_gap: a cheap box reduction first, to three times the size; indistinguishable and several times faster.
    return image.resize((resolution, resolution), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _fit_array(image_HWC: Images, resolution: int) -> Images:
    image = Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC)
    return np.asarray(_fitted(image, resolution, _centre(image.size)))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a picture whose EXIF is damaged is shown unrotated by every viewer
        return 1


def _too_large(size: tuple[int, int]) -> str:
    return f"too large: {size[0]} x {size[1]} pixels exceed the limit of {MAX_PIXELS} pixels"


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about single pictures (large, odd EXIF): what matters is reported by our own notes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
