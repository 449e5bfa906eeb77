"""Detector -> ONNX file that gives boxes, scores and labels: decoding and non-maximum suppression are in the graph.

Shapes: A default boxes, K classes without the background, D detections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from nasfit import __version__
from nasfit.export.graph import Graph
from nasfit.export.onnx_writer import IR_VERSION, OPSET, emit
from nasfit.export.program import Program
from nasfit.export.tracing import trace_program
from nasfit.models.default_boxes import default_boxes
from nasfit.models.detector_network import BOX_WEIGHTS, LARGEST_GROWTH, DetectorNetwork

# What a file reports unless its writer says otherwise: enough to look at, few enough to be quick.
REPORTED_SCORE, REPORTED_OVERLAP, REPORTED_BOXES = 0.05, 0.55, 100
DETECTION_OUTPUTS = ("boxes", "scores", "labels")


def detector_to_onnx(
    network: DetectorNetwork,
    metadata: Mapping[str, str] | None = None,
    *,
    least_score: float = REPORTED_SCORE,
    most_overlap: float = REPORTED_OVERLAP,
    most_boxes: int = REPORTED_BOXES,
) -> bytes:
    """An ONNX file: `image` (1, 3, H, W) float32, normalised -> `boxes` (D, 4), `scores` (D,), `labels` (D,) int64.

    Boxes are left, top, right, bottom in shares of the picture's sides; labels count the classes from 0; the best score
    comes first.

    network: as `build_detector` makes it. metadata: stored as texts. least_score: of what is reported. most_overlap: of
    two boxes of one class, intersection over union. most_boxes: D at most. The module is not changed. Raises
    TrialFailure naming what cannot be written.
    """
    side = network.detector.resolution
    program, graph = trace_program(network, (3, side, side)), Graph()
    for operator in program.operators:
        emit(graph, operator)
    half = len(program.outputs) // 2
    _joined(graph, program.outputs[:half], 4, "offsets")
    _joined(graph, program.outputs[half:], network.detector.classes + 1, "logits")
    _decoded(graph, default_boxes(network.detector))
    _scored(graph)
    _selected(graph, least_score, most_overlap, most_boxes)
    return _assembled(graph, program, metadata)


def _joined(graph: Graph, maps: Sequence[str], values: int, name: str) -> None:
    """(1, values x boxes, H, W) of each map -> (1, A, values)."""
    shape = graph.weight(f"{name}.shape", np.array([1, -1, values], np.int64))
    rows = []
    for number, tensor in enumerate(maps):
        graph.add("Transpose", [tensor], f"{name}.{number}.last", perm=[0, 2, 3, 1])
        graph.add("Reshape", [f"{name}.{number}.last", shape], f"{name}.{number}.rows")
        rows.append(f"{name}.{number}.rows")
    graph.add("Concat", rows, name, axis=1)


def _decoded(graph: Graph, boxes_A4: np.ndarray) -> None:
    """Offsets -> corners (1, A, 4), 0 to 1: Liu et al. 2016, equation 2, solved for the box."""
    centres = graph.weight("default.centres", boxes_A4[None, :, :2])
    sides = graph.weight("default.sides", boxes_A4[None, :, 2:])
    axis = graph.weight("axis.last", np.array([2], np.int64))
    for name, start, end in (("offsets.centre", 0, 2), ("offsets.side", 2, 4)):
        ends = [
            graph.weight(f"{name}.{where}", np.array([at], np.int64)) for where, at in (("from", start), ("to", end))
        ]
        graph.add("Slice", ["offsets", *ends, axis], name)
    moved = graph.weight("move", np.array(1 / BOX_WEIGHTS[0], np.float32))
    grown = graph.weight("growth", np.array(1 / BOX_WEIGHTS[2], np.float32))
    most = graph.weight("growth.most", np.array(LARGEST_GROWTH, np.float32))
    half = graph.weight("half", np.array(0.5, np.float32))
    graph.add("Mul", ["offsets.centre", moved], "centre.moved")
    graph.add("Mul", ["centre.moved", sides], "centre.shift")
    graph.add("Add", ["centre.shift", centres], "centre")
    graph.add("Mul", ["offsets.side", grown], "side.log")
    graph.add("Min", ["side.log", most], "side.limited")
    graph.add("Exp", ["side.limited"], "side.growth")
    graph.add("Mul", ["side.growth", sides], "side")
    graph.add("Mul", ["side", half], "side.half")
    graph.add("Sub", ["centre", "side.half"], "corner.first")
    graph.add("Add", ["centre", "side.half"], "corner.last")
    graph.add("Concat", ["corner.first", "corner.last"], "corners", axis=2)
    bounds = [graph.weight(f"corner.{end}", np.array(value, np.float32)) for end, value in (("least", 0), ("most", 1))]
    graph.add("Clip", ["corners", *bounds], "corners.inside")


def _scored(graph: Graph) -> None:
    """Logits -> scores (1, K, A), the background left out."""
    graph.add("Softmax", ["logits"], "shares", axis=2)
    ends = [graph.weight(f"background.{name}", np.array([at], np.int64)) for name, at in (("after", 1), ("end", 2**31))]
    graph.add("Slice", ["shares", *ends, "axis.last"], "shares.classes")
    graph.add("Transpose", ["shares.classes"], "shares.first", perm=[0, 2, 1])


def _selected(graph: Graph, least_score: float, most_overlap: float, most_boxes: int) -> None:
    """Suppressed within each class, then the best of all classes."""
    limits = [
        graph.weight("boxes.most", np.array([most_boxes], np.int64)),
        graph.weight("overlap.most", np.array([most_overlap], np.float32)),
        graph.weight("score.least", np.array([least_score], np.float32)),
    ]
    graph.add("NonMaxSuppression", ["corners.inside", "shares.first", *limits], "kept")
    axes = graph.weight("axis.first", np.array([0], np.int64))
    graph.add("Squeeze", ["corners.inside", axes], "corners.all")
    # Rows of `kept` are picture, class, box: where its score lies.
    graph.add("GatherND", ["shares.first", "kept"], "scores.kept")
    graph.add("Shape", ["scores.kept"], "kept.number")
    graph.add("Min", ["kept.number", "boxes.most"], "reported.number")
    graph.nodes.append(
        onnx.helper.make_node("TopK", ["scores.kept", "reported.number"], ["scores", "reported"], axis=0, name="scores")
    )
    graph.add("Gather", ["kept", "reported"], "reported.rows", axis=0)
    columns = [graph.weight(f"column.{number}", np.array(number, np.int64)) for number in (1, 2)]
    graph.add("Gather", ["reported.rows", columns[0]], "labels", axis=1)
    graph.add("Gather", ["reported.rows", columns[1]], "reported.places", axis=1)
    graph.add("Gather", ["corners.all", "reported.places"], "boxes", axis=0)


def _assembled(graph: Graph, program: Program, metadata: Mapping[str, str] | None) -> bytes:
    value = onnx.helper.make_tensor_value_info
    kinds = {"boxes": (onnx.TensorProto.FLOAT, ["detections", 4]), "scores": (onnx.TensorProto.FLOAT, ["detections"])}
    kinds["labels"] = (onnx.TensorProto.INT64, ["detections"])
    image = value(program.input, onnx.TensorProto.FLOAT, [1, *program.shapes[program.input]])
    ends = [value(name, *kinds[name]) for name in DETECTION_OUTPUTS]
    body = onnx.helper.make_graph(graph.nodes, "nasfit", [image], ends, graph.weights)
    model = onnx.helper.make_model(
        body, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nasfit"
    )
    onnx.helper.set_model_props(model, {**(metadata or {}), "nasfit_version": __version__})
    return bytes(model.SerializeToString())
