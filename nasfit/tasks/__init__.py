"""Tasks: the data, loss and metric of classification.

`load` turns a name or a folder of pictures into `ClassificationData`: uint8 pictures of one size, decoded once, kept
on disk and shared by worker processes as read-only memory maps. Nothing here imports torch.
"""

from nasfit.tasks.dataset import ClassificationData, Split, from_arrays, joined
from nasfit.tasks.loading import MAX_RESOLUTION, MIN_RESOLUTION, NAMES, find, load
from nasfit.tasks.metric import LABEL_SMOOTHING, LOSS, top1
from nasfit.tasks.pixels import Draws, Gathered, Images, Labels, One, Pixels, bringing, centred
from nasfit.tasks.saved import locked, open_saved, save
from nasfit.tasks.sources import Nature

__all__ = [
    "LABEL_SMOOTHING",
    "LOSS",
    "MAX_RESOLUTION",
    "MIN_RESOLUTION",
    "NAMES",
    "ClassificationData",
    "Draws",
    "Gathered",
    "Images",
    "Labels",
    "Nature",
    "One",
    "Pixels",
    "Split",
    "bringing",
    "centred",
    "find",
    "from_arrays",
    "joined",
    "load",
    "locked",
    "open_saved",
    "save",
    "top1",
]
