"""Do a detector's files find what the module finds?

Shapes: A default boxes, K classes without the background, D detections, M boxes.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor

from nasfit.errors import TrialFailure
from nasfit.export.detector_onnx import REPORTED_SCORE
from nasfit.export.evaluation_mode import evaluating
from nasfit.export.parity import silent
from nasfit.models.detector_network import DetectorNetwork, as_ssd, decoded

# Of shares of a picture's side and of scores: float32 sums taken in another order, and nothing else.
TOLERANCE = 1e-3
# What lies this near to the limit of score may fall on either side of it.
MARGIN = 0.01


def check_detector_tflite(network: DetectorNetwork, content: bytes, image_1CHW: Tensor) -> float:
    """Largest difference of boxes (shares of the sides) and scores from the module's, at most 1e-3.

    image_1CHW: normalised. Raises TrialFailure where it is larger or a number is not finite.
    """
    boxes_A4, scores_AK = _tflite_outputs(content, image_1CHW.numpy())
    with evaluating(network), torch.no_grad():
        expected_A4, expected_AK = (each[0].numpy() for each in decoded(network, image_1CHW))
    difference = max(
        float(np.abs(boxes_A4 - expected_A4).max(initial=0)), float(np.abs(scores_AK - expected_AK).max(initial=0))
    )
    if not difference <= TOLERANCE:
        raise TrialFailure(
            f"the exported detector differs from the module by {difference:.2g} (allowed {TOLERANCE:.2g}); do not ship "
            "it, and report the architecture"
        )
    return difference


def check_detector_onnx(network: DetectorNetwork, content: bytes, image_1CHW: Tensor) -> int:
    """Compares detections with those of torchvision's SSD around the module; how many were compared.

    Every detection of one whose score is not near the limit must be among the other's: same label, corners (shares of
    the sides) and score within 0.01. image_1CHW: normalised. Raises TrialFailure where one is not.
    """
    side = network.detector.resolution
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    boxes_D4, scores_D, labels_D = map(
        torch.from_numpy, session.run(None, {session.get_inputs()[0].name: image_1CHW.numpy()})
    )
    ssd = as_ssd(network, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), least_score=REPORTED_SCORE)
    with evaluating(ssd), torch.no_grad():
        found = ssd(list(image_1CHW))[0]
    pairs = (
        ("file", (boxes_D4, scores_D, labels_D)),
        ("module", (found["boxes"] / side, found["scores"], found["labels"] - 1)),
    )
    for (name, own), (_, other) in (pairs, pairs[::-1]):
        _require_among(own, other, name)
    return len(scores_D)


def _require_among(own: tuple[Tensor, ...], other: tuple[Tensor, ...], name: str) -> None:
    boxes_D4, scores_D, labels_D = own
    others_M4, scores_M, labels_M = other
    for number in range(len(scores_D)):
        # Those of torchvision that a limit of number leaves out have lower scores than all the file reports.
        if scores_D[number] < max(REPORTED_SCORE, float(scores_M.min()) if len(scores_M) else 0) + MARGIN:
            continue
        apart_M = (others_M4 - boxes_D4[number]).abs().amax(1)
        alike = (apart_M < MARGIN) & (labels_M == labels_D[number])
        if not bool((alike & ((scores_M - scores_D[number]).abs() < MARGIN)).any()):
            box = [round(float(value), 3) for value in boxes_D4[number]]
            raise TrialFailure(
                f"the {name} detects class {int(labels_D[number])} at {box} with score {float(scores_D[number]):.3f}, "
                "and the other does not; do not ship the file, and report the architecture"
            )


def _tflite_outputs(content: bytes, image_1CHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with silent():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    run = interpreter.get_signature_runner("serving_default")
    outputs = run(image=np.ascontiguousarray(image_1CHW.transpose(0, 2, 3, 1)))
    return outputs["boxes"][0], outputs["scores"][0]
