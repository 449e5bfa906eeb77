"""Tasks: the data, loss and metric of classification.

`load` turns a name or a folder of pictures into `ClassificationData`: uint8 pictures of one size, decoded once, kept
on disk and shared by worker processes as read-only memory maps. Nothing here imports torch.
"""

from nasfit.tasks.dataset import ClassificationData, Split, from_arrays, joined
from nasfit.tasks.loading import MAX_RESOLUTION, MIN_RESOLUTION, NAMES, find, load
from nasfit.tasks.metric import LABEL_SMOOTHING, LOSS, top1
from nasfit.tasks.pixels import Gathered, Images, Labels, Pixels
from nasfit.tasks.saved import open_saved, save

__all__ = [
    "LABEL_SMOOTHING",
    "LOSS",
    "MAX_RESOLUTION",
    "MIN_RESOLUTION",
    "NAMES",
    "ClassificationData",
    "Gathered",
    "Images",
    "Labels",
    "Pixels",
    "Split",
    "find",
    "from_arrays",
    "joined",
    "load",
    "open_saved",
    "save",
    "top1",
]
