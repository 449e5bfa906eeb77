"""The engines that can run a network, as the asking side knows them; `worker.py` holds the class of each."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any

from nasfit.devices import worker_engines
from nasfit.errors import DeviceError, MissingExtraError, NasfitError, UnknownNameError
from nasfit.extensions import ExtensionPoint


@dataclass(frozen=True)
class Engine:
    """An engine.

    distribution: what pip installs. module: what Python imports. model_format: of the files it reads, which is also
    their suffix. precisions: of the networks it runs well. extra: of nasfit that installs it, None for those that come
    with nasfit and those of other packages. runtime: the class that runs its networks, written as those of
    `worker_engines`; None where it is there.
    """

    name: str
    distribution: str
    module: str
    model_format: str
    precisions: tuple[str, ...]
    extra: str | None = None
    runtime: type[Any] | None = None

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules to import to see whether a Python has the engine, any one of which will do."""
        return tuple((self.runtime or worker_engines.ENGINES[self.name]).modules)


# A further engine is a row here and a class in worker_engines.ENGINES.
_ROWS = (
    Engine("litert", "ai-edge-litert", "ai_edge_litert", "tflite", ("fp32", "int8"), None),
    Engine("onnxruntime", "onnxruntime", "onnxruntime", "onnx", ("fp32", "int8"), None),
    Engine("openvino", "openvino", "openvino", "onnx", ("fp32", "int8"), "openvino"),
    Engine("ncnn", "ncnn", "ncnn", "ncnn", ("fp32",), "ncnn"),
    Engine("executorch", "executorch", "executorch", "pte", ("fp32",), "executorch"),
)
ENGINES = {engine.name: engine for engine in _ROWS}
EXTENSIONS = ExtensionPoint("nasfit.engines", "engine", tuple(ENGINES))
"""Those of other packages: each entry point refers to an `Engine` with a runtime."""


def engine_named(name: str) -> Engine:
    """The engine of this name, which another package may add. Raises UnknownNameError, ExtensionError."""
    EXTENSIONS.require(name)
    if name in ENGINES:
        return ENGINES[name]
    found = EXTENSIONS.load(name)
    if not isinstance(found, Engine) or found.name != name or found.runtime is None:
        raise EXTENSIONS.wrong(name, f"must be a nasfit.devices.Engine of that name with a runtime, and is {found!r}")
    return found


def runtime_code(engine: Engine) -> dict[str, str]:
    """What an engine's process is told of a class that it does not have: the text of its module, and its name.

    The process may be on a machine without nasfit, let alone the package. Raises ExtensionError without a text.
    """
    if engine.runtime is None:
        return {}
    try:
        code = inspect.getsource(sys.modules[engine.runtime.__module__])
    except (OSError, TypeError, KeyError) as error:
        raise EXTENSIONS.wrong(engine.name, f"has no source file to send to the engine's process ({error})") from error
    return {"code": code, "class_name": engine.runtime.__name__}


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
