"""A trained network as one uses it: pictures in, names of classes out.

Shapes: B pictures, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from nasfit.architecture import Architecture
from nasfit.errors import DataError
from nasfit.models import Network
from nasfit.tasks.decoding import as_rgb, cut, decode
from nasfit.tasks.pixels import Images
from nasfit.training.batches import as_images
from nasfit.training.shipping import Preparation


class Classifier(nn.Module):
    """A trained network with what it takes to use it; a module of torch's in evaluation mode.

    network: images_BCHW, normalised -> logits_BK; calling the classifier does the same. preparation: how pictures are
    normalised. classes: names in the order of the logits.
    """

    def __init__(self, network: Network, preparation: Preparation) -> None:
        super().__init__()
        self.network = network
        self.preparation = preparation
        self.classes = preparation.classes or tuple(str(place) for place in range(network.architecture.classes))
        self.eval()

    @property
    def architecture(self) -> Architecture:
        """What the network is."""
        return self.network.architecture

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Normalised float images (B, C, H, W), as `prepare` makes them -> logits (B, K)."""
        logits_BK: Tensor = self.network(images_BCHW)
        return logits_BK

    def prepare(self, *pictures: str | Path | Image.Image) -> Tensor:
        """Pictures as the network takes them, (B, C, H, W) float32, cut and scaled as those it was trained on.

        pictures: files (JPEG, PNG, WebP, BMP) or pictures of Pillow's. Raises DataError for a file that is none.
        """
        return self.preparation.inputs(as_images(np.stack([self._square(picture) for picture in pictures])))

    def classify(self, *pictures: str | Path | Image.Image) -> list[dict[str, float]]:
        """For each picture, as in `prepare`, the probability (0 to 1) of each class, the likeliest first."""
        with torch.no_grad():
            shares_BK = self(self.prepare(*pictures)).softmax(1).tolist()
        named = [zip(self.classes, shares, strict=True) for shares in shares_BK]
        return [dict(sorted(told, key=lambda entry: -entry[1])) for told in named]

    def _square(self, picture: str | Path | Image.Image) -> Images:
        side = self.architecture.resolution
        if isinstance(picture, Image.Image):
            image_HWC = cut(np.asarray(as_rgb(ImageOps.exif_transpose(picture))), side)
        else:
            decoded = decode(str(picture), side)
            if isinstance(decoded, str):
                raise DataError(f"{str(picture)!r} is no picture to classify: {decoded}; give a JPEG, PNG, WebP or BMP")
            image_HWC = decoded
        if self.architecture.channels == 1:
            return np.asarray(Image.fromarray(image_HWC).convert("L"))[:, :, np.newaxis]
        return image_HWC
