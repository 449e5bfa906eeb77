"""What classification networks and detectors have alike, for whoever shows either."""

from __future__ import annotations

from nasfit.architecture.architecture import Architecture
from nasfit.architecture.counting import Counts, count
from nasfit.architecture.detector import Detector, count_detector, is_detector

AnyNetwork = Architecture | Detector


def read_network(text: str) -> AnyNetwork:
    """Either, from its text form. Raises ArchitectureError naming the part that does not read."""
    return Detector.parse(text) if is_detector(text) else Architecture.parse(text)


def count_network(network: AnyNetwork) -> Counts:
    """Trainable parameters and multiply-adds for one picture, exactly; of a detector as `count_detector`."""
    return count_detector(network) if isinstance(network, Detector) else count(network)
