"""Does the exported file compute what the module computes?

Shapes: B pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

from nasfit.devices import engine_named, worker_engines
from nasfit.errors import MissingExtraError, TrialFailure, UnknownNameError
from nasfit.export.evaluation_mode import evaluating

# Of the largest |output|: leaves room for float32 sums taken in another order and for nothing else.
FP32_TOLERANCE = 1e-4
# Relative root mean square, by precision. fp32: engines of devices may add in another order still. int8: trained
# networks were 0.03 to 0.14 off (docs/explanation/int8.md), a file of another network is 1.4 off, one of zeros 1.
RMS_TOLERANCE = {"fp32": 1e-3, "int8": 0.3}


def check_parity(
    module: nn.Module,
    content: bytes,
    inputs_BCHW: Tensor,
    tolerance: float | None = None,
    *,
    model_format: str = "onnx",
    precision: str = "fp32",
) -> float:
    """How far the file is from the module, run picture by picture in the format's own engine, one thread.

    fp32: largest |file - module| over the largest |module|, at most 1e-4. int8: root mean square of file - module over
    that of the module, at most RMS_TOLERANCE. tolerance: another limit. Of several outputs the worst counts.
    inputs_BCHW: normalised float32 pictures. The module is put in evaluation mode for the check and back. Raises
    TrialFailure when the limit is passed or either gives no finite number, UnknownNameError for a format that no engine
    here reads or an unknown precision, MissingExtraError where that engine is an extra that is not installed.
    """
    if model_format not in _ENGINES:
        raise UnknownNameError("model format", model_format, _ENGINES)
    if precision not in _MEASURES:
        raise UnknownNameError("precision", precision, _MEASURES)
    expected = _module_outputs(module, inputs_BCHW)
    got = _ENGINES[model_format](content, inputs_BCHW.detach().float().cpu().numpy())
    if len(got) != len(expected):
        outputs = "output" if len(got) == 1 else "outputs"
        raise TrialFailure(f"the exported file gives {len(got)} {outputs}, the module {len(expected)}")
    measure = _MEASURES[precision]
    difference = max(_compared(*pair, measure.difference) for pair in zip(got, expected, strict=True))
    allowed = measure.tolerance if tolerance is None else tolerance
    if difference > allowed:
        raise TrialFailure(
            f"the exported file differs from the module by {difference:.2g} of {measure.scale} (allowed "
            f"{allowed:.2g}); {measure.advice}"
        )
    return difference


def run_file(content: bytes, inputs_BCHW: Tensor, *, model_format: str) -> np.ndarray:
    """First output of a file in its format's own engine, (B, K), one thread, picture by picture.

    inputs_BCHW: normalised float32 pictures. Raises UnknownNameError for a format that no engine here reads,
    MissingExtraError where that engine is an extra that is not installed.
    """
    if model_format not in _ENGINES:
        raise UnknownNameError("model format", model_format, _ENGINES)
    return _ENGINES[model_format](content, inputs_BCHW.detach().float().cpu().numpy())[0]


@dataclass(frozen=True)
class _Measure:
    difference: Callable[[np.ndarray, np.ndarray], float]
    tolerance: float
    scale: str
    advice: str


def _relative_rms(got: np.ndarray, expected: np.ndarray) -> float:
    error = float(np.sqrt(np.mean(np.square(got - expected, dtype=np.float64))))
    return error / max(float(np.sqrt(np.mean(np.square(expected, dtype=np.float64)))), 1e-12)


def _largest(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max()) / max(float(np.abs(expected).max()), 1e-12)


def _compared(got: np.ndarray, expected: np.ndarray, compare: Callable[[np.ndarray, np.ndarray], float]) -> float:
    if got.shape != expected.shape:
        raise TrialFailure(f"the exported file gives shape {got.shape}, the module {expected.shape}")
    if not (np.isfinite(expected).all() and np.isfinite(got).all()):
        raise TrialFailure("the network gives logits that are not finite; train it with a lower learning rate")
    return compare(got, expected)


def _module_outputs(module: nn.Module, inputs_BCHW: Tensor) -> list[np.ndarray]:
    place = next((parameter.device for parameter in module.parameters()), inputs_BCHW.device)
    with evaluating(module), torch.no_grad():
        made: Tensor | Sequence[Tensor] = module(inputs_BCHW.to(place))
    return [output.float().cpu().numpy() for output in ([made] if isinstance(made, Tensor) else made)]


def _onnx_outputs(content: bytes, inputs_BCHW: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    # x86 without VNNI: sums that do not saturate in 16 bits. Elsewhere it changes nothing.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: inputs_BCHW[index : index + 1]}) for index in range(len(inputs_BCHW))]
    return [np.concatenate(output) for output in zip(*rows, strict=True)]


def _tflite_outputs(content: bytes, inputs_BCHW: np.ndarray) -> list[np.ndarray]:
    """In LiteRT; maps, which it gives channels last, as torch has them."""
    with silent():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]["index"]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]
    rows = []
    for picture_CHW in inputs_BCHW:
        interpreter.set_tensor(image, np.ascontiguousarray(picture_CHW.transpose(1, 2, 0)[None]))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(output) for output in outputs])
    channels_last = [np.concatenate(output) for output in zip(*rows, strict=True)]
    return [output.transpose(0, 3, 1, 2) if output.ndim == 4 else output for output in channels_last]


def _extra_outputs(name: str) -> Callable[[bytes, np.ndarray], list[np.ndarray]]:
    """In an engine of an extra, by the class that the engine process has for it."""

    def run(content: bytes, inputs_BCHW: np.ndarray) -> list[np.ndarray]:
        engine = worker_engines.ENGINES[name]
        if worker_engines.first_installed(engine.modules) is None:
            raise MissingExtraError(f"running a file in {name}", str(engine_named(name).extra))
        with worker_engines.unnamed_file() as file:
            file.write(content)
            file.flush()
            net = engine(worker_engines.path_of(file), threads=1)
        rows = []
        for index in range(len(inputs_BCHW)):
            net.bind(np.ascontiguousarray(inputs_BCHW[index : index + 1]))
            net.infer()
            rows.append(net.all_outputs())
        return [np.concatenate(output) for output in zip(*rows, strict=True)]

    return run


@contextmanager
def silent() -> Iterator[None]:
    """LiteRT announces its delegate on standard error whenever it makes one, and cannot be told not to."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_MEASURES = {
    "fp32": _Measure(_largest, FP32_TOLERANCE, "the largest logit", "do not ship it, and report the architecture"),
    "int8": _Measure(
        _relative_rms,
        RMS_TOLERANCE["int8"],
        "the logits' root mean square",
        "give more calibration pictures, or keep this network in fp32",
    ),
}
_ENGINES = {
    "onnx": _onnx_outputs,
    "tflite": _tflite_outputs,
    "ncnn": _extra_outputs("ncnn"),
    "pte": _extra_outputs("executorch"),
}
