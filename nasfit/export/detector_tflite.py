"""Detector -> TFLite file that gives decoded boxes and scores of all default boxes, before non-maximum suppression.

TFLite's own operators have no suppression of boxes that every runtime runs, and what must be suppressed is a few lines
in any language; decoding needs the default boxes, so it is in the file.
Shapes: A default boxes, K classes without the background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nasfit import __version__
from nasfit.export.tflite_file import TfliteFile
from nasfit.export.tflite_writer import TfliteWriter
from nasfit.export.tracing import trace_program
from nasfit.models.default_boxes import default_boxes
from nasfit.models.detector_network import BOX_WEIGHTS, LARGEST_GROWTH, DetectorNetwork


def detector_to_tflite(network: DetectorNetwork, metadata: Mapping[str, str] | None = None) -> bytes:
    """A TFLite file: `image` (1, H, W, 3) float32, normalised -> `boxes` (1, A, 4) and `scores` (1, A, K).

    Boxes are left, top, right, bottom in shares of the picture's sides, and may reach a little outside; scores count
    the classes from 0, without the background. The module is not changed. Raises TrialFailure naming what cannot be
    written.
    """
    side = network.detector.resolution
    writer = TfliteWriter(trace_program(network, (3, side, side)))
    image = writer.begin()
    for operator in writer.program.operators:
        writer.emit(operator)
    numbers = [writer.numbers[name] for name in writer.program.outputs]
    half, tail = len(numbers) // 2, _Tail(writer.file, default_boxes(network.detector))
    boxes = tail.boxes(tail.joined(numbers[:half], writer, 4, "offsets"))
    classes = network.detector.classes
    scores = tail.scores(tail.joined(numbers[half:], writer, classes + 1, "logits"), classes)
    for key, text in {**(metadata or {}), "nasfit_version": __version__}.items():
        writer.file.metadata(key, text)
    return writer.file.written({writer.program.input: image}, {"boxes": boxes, "scores": scores})


class _Tail:
    """What follows the network's maps."""

    def __init__(self, file: TfliteFile, boxes_A4: np.ndarray) -> None:
        self._file, self._boxes_A4, self._count = file, boxes_A4, len(boxes_A4)

    def joined(self, maps: Sequence[int], writer: TfliteWriter, values: int, name: str) -> int:
        """(1, H, W, values x boxes) of each map -> (1, A, values)."""
        rows = []
        for number, tensor in enumerate(maps):
            at = number if name == "offsets" else number + len(maps)
            channels, high, wide = writer.program.shapes[writer.program.outputs[at]]
            shape = (1, high * wide * channels // values, values)
            rows.append(self._made("RESHAPE", [tensor, self._list(shape)], shape, f"{name}.{number}"))
        return self._made("CONCATENATION", rows, (1, self._count, values), name, Axis=1)

    def boxes(self, offsets: int) -> int:
        """Offsets -> corners: Liu et al. 2016, equation 2, solved for the box."""
        half = (1, self._count, 2)
        centres = self._constant("default.centres", self._boxes_A4[None, :, :2])
        moves, growths = (
            self._slice(offsets, start, 2, f"offsets.{name}") for name, start in (("centre", 0), ("side", 2))
        )
        by_side = self._constant("default.moves", self._boxes_A4[None, :, 2:] / BOX_WEIGHTS[0])
        centre = self._made("ADD", [self._made("MUL", [moves, by_side], half, "shift"), centres], half, "centre")
        share = self._constant("growth", np.array([1 / BOX_WEIGHTS[2]], np.float32))
        most = self._constant("growth.most", np.array([LARGEST_GROWTH], np.float32))
        growth = self._made("MINIMUM", [self._made("MUL", [growths, share], half, "log"), most], half, "log.limited")
        halves = self._constant("default.halves", self._boxes_A4[None, :, 2:] / 2)
        reach = self._made("MUL", [self._made("EXP", [growth], half, "growth.of"), halves], half, "reach")
        ends = [self._made(kind, [centre, reach], half, f"corner.{kind}") for kind in ("SUB", "ADD")]
        return self._made("CONCATENATION", ends, (1, self._count, 4), "boxes", Axis=2)

    def scores(self, logits: int, classes: int) -> int:
        """Softmax over the classes and the background, which is then left out."""
        shares = self._made("SOFTMAX", [logits], (1, self._count, classes + 1), "shares", Beta=1)
        return self._slice(shares, 1, classes, "scores")

    def _slice(self, tensor: int, start: int, size: int, name: str) -> int:
        shape = (1, self._count, size)
        return self._made("SLICE", [tensor, self._list((0, 0, start)), self._list(shape)], shape, name)

    def _made(self, kind: str, inputs: Sequence[int], shape: tuple[int, ...], name: str, **options: int) -> int:
        number = self._file.tensor(name, shape)
        self._file.operator(kind, inputs, [number], **options)
        return number

    def _constant(self, name: str, value: np.ndarray) -> int:
        return self._file.constant(name, np.ascontiguousarray(value, np.float32))

    def _list(self, values: tuple[int, ...]) -> int:
        return self._file.constant(f"list.{'.'.join(map(str, values))}", np.array(values, np.int32))
