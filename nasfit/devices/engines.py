"""The engines that can run a network, as the asking side knows them; `worker.py` holds the class of each."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.errors import DeviceError, MissingExtraError, NasfitError, UnknownNameError


@dataclass(frozen=True)
class Engine:
    """An engine.

    distribution: what pip installs. module: what Python imports. model_format: of the files it reads, which is also
    their suffix. precisions: of the networks it runs well. extra: of nasfit that installs it, None for those that come
    with nasfit.
    """

    name: str
    distribution: str
    module: str
    model_format: str
    precisions: tuple[str, ...]
    extra: str | None


# A further engine is a row here and a class in worker.ENGINES.
_ROWS = (
    Engine("litert", "ai-edge-litert", "ai_edge_litert", "tflite", ("fp32", "int8"), None),
    Engine("onnxruntime", "onnxruntime", "onnxruntime", "onnx", ("fp32", "int8"), None),
    Engine("openvino", "openvino", "openvino", "onnx", ("fp32", "int8"), "openvino"),
    Engine("ncnn", "ncnn", "ncnn", "ncnn", ("fp32",), "ncnn"),
    Engine("executorch", "executorch", "executorch", "pte", ("fp32",), "executorch"),
)
ENGINES = {engine.name: engine for engine in _ROWS}


def engine_named(name: str) -> Engine:
    """The engine of this name. Raises UnknownNameError."""
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    return ENGINES[name]


def require_precision(engine: str, precision: str) -> None:
    """Raises UnknownNameError for an engine that is none, or runs no networks of this precision."""
    known = engine_named(engine).precisions
    if precision not in known:
        raise UnknownNameError(f"--precision of engine {engine}", precision, known)


def not_installed(engine: Engine, device: str) -> NasfitError:
    """The error to raise where the device, `local` or another, has no such engine."""
    if device != "local":
        return DeviceError(
            f"engine {engine.name!r} is not installed on {device}; install it there with: "
            f"python3 -m pip install numpy {engine.distribution}"
        )
    if engine.extra is not None:
        return MissingExtraError(f"engine {engine.name!r}", engine.extra)
    return DeviceError(f"engine {engine.name!r} is not installed; install it with: pip install {engine.distribution}")
