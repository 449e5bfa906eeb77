"""Tasks: the data, loss and metric of classification.

`load` turns a name or a folder of pictures into `ClassificationData`: uint8 pictures of one size, decoded once, kept
on disk and shared by worker processes as read-only memory maps. Nothing here imports torch.
"""

from nasfit.tasks.dataset import ClassificationData, Images, Labels, Split, from_arrays
from nasfit.tasks.loading import MAX_RESOLUTION, MIN_RESOLUTION, NAMES, find, load
from nasfit.tasks.metric import LABEL_SMOOTHING, LOSS, top1
from nasfit.tasks.saved import open_saved, save

__all__ = [
    "LABEL_SMOOTHING",
    "LOSS",
    "MAX_RESOLUTION",
    "MIN_RESOLUTION",
    "NAMES",
    "ClassificationData",
    "Images",
    "Labels",
    "Split",
    "find",
    "from_arrays",
    "load",
    "open_saved",
    "save",
    "top1",
]
