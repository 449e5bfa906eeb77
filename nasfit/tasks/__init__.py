"""Tasks: the data, loss and metric of classification, data and metric of detection.

`load` turns a name or a folder of pictures into `ClassificationData`: uint8 pictures of one size, decoded once, kept
on disk and shared by worker processes as read-only memory maps; `load_detection` does so for pictures with marked
boxes. Nothing here imports torch.
"""

from nasfit.tasks.boxes import Found, Marked
from nasfit.tasks.checking import check_task
from nasfit.tasks.dataset import ClassificationData, Split, from_arrays, joined
from nasfit.tasks.detection_data import DetectionData, DetectionSplit, open_detection
from nasfit.tasks.detection_loading import load_detection
from nasfit.tasks.loading import MAX_RESOLUTION, MIN_RESOLUTION, NAMES, find, load, load_source
from nasfit.tasks.mean_average_precision import DetectionScores, mean_average_precision, require_coco_eval
from nasfit.tasks.metric import LABEL_SMOOTHING, LOSS, top1
from nasfit.tasks.pixels import Draws, Gathered, Images, Labels, One, Pixels, bringing, centred
from nasfit.tasks.predictions import Mistake, Predictions
from nasfit.tasks.saved import locked, open_saved, save
from nasfit.tasks.sources import ArraySource, Nature, Source, SourceFactory, Wanted, Written

__all__ = [
    "LABEL_SMOOTHING",
    "LOSS",
    "MAX_RESOLUTION",
    "MIN_RESOLUTION",
    "NAMES",
    "ArraySource",
    "ClassificationData",
    "DetectionData",
    "DetectionScores",
    "DetectionSplit",
    "Draws",
    "Found",
    "Gathered",
    "Images",
    "Labels",
    "Marked",
    "Mistake",
    "Nature",
    "One",
    "Pixels",
    "Predictions",
    "Source",
    "SourceFactory",
    "Split",
    "Wanted",
    "Written",
    "bringing",
    "centred",
    "check_task",
    "find",
    "from_arrays",
    "joined",
    "load",
    "load_detection",
    "load_source",
    "locked",
    "mean_average_precision",
    "open_detection",
    "open_saved",
    "require_coco_eval",
    "save",
    "top1",
]
