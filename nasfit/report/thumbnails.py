"""Pictures as small `data:` addresses, so that a page stays one file.

Shapes: N pictures, H and W pixels, C channels (1 grey, 3 RGB).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from io import BytesIO

import numpy as np
from PIL import Image

from nasfit.tasks import Pixels

# Larger pictures are made so small, px; smaller ones are kept pixel by pixel.
SIDE = 96


def thumbnails(images_NHWC: Pixels, rows: Iterable[int]) -> dict[int, str]:
    """The pictures of these rows, by row: PNG where they are small, else JPEG of 96 px."""
    return {row: _address(np.asarray(images_NHWC[row : row + 1])[0]) for row in rows}


def _address(image_HWC: np.ndarray) -> str:
    picture = Image.fromarray(image_HWC[..., 0] if image_HWC.shape[-1] == 1 else image_HWC)
    form = "PNG" if max(picture.size) <= SIDE else "JPEG"
    picture.thumbnail((SIDE, SIDE))
    content = BytesIO()
    picture.save(content, form, **({"optimize": True} if form == "PNG" else {"quality": 80}))
    return f"data:image/{form.lower()};base64,{b64encode(content.getvalue()).decode()}"
