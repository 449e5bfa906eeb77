"""What a network is: frozen values, their text forms, exact counts, width scaling and the published networks."""

from nasfit.architecture.architecture import MIN_RESOLUTION, Architecture, Block
from nasfit.architecture.block_strings import read_block, read_blocks, write_blocks
from nasfit.architecture.counting import Counts, Row, count
from nasfit.architecture.detector import (
    MIN_DETECTOR_RESOLUTION,
    Detector,
    FeatureMap,
    count_detector,
    detector_on,
)
from nasfit.architecture.layers import Layer, layers
from nasfit.architecture.networks import AnyNetwork, count_network, read_network
from nasfit.architecture.published import PUBLISHED, published
from nasfit.architecture.rounding import divisible
from nasfit.architecture.scaling import STRIDE_RULES, adapted, fitted, scaled

__all__ = [
    "MIN_DETECTOR_RESOLUTION",
    "MIN_RESOLUTION",
    "PUBLISHED",
    "STRIDE_RULES",
    "AnyNetwork",
    "Architecture",
    "Block",
    "Counts",
    "Detector",
    "FeatureMap",
    "Layer",
    "Row",
    "adapted",
    "count",
    "count_detector",
    "count_network",
    "detector_on",
    "divisible",
    "fitted",
    "layers",
    "published",
    "read_block",
    "read_blocks",
    "read_network",
    "scaled",
    "write_blocks",
]
