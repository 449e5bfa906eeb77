"""The checker of an engine that a package adds: run it before a search relies on it."""

from __future__ import annotations

import ast
import importlib.util
import sys

import numpy as np
import torch
from torch import nn

from nasfit.architecture import adapted, published
from nasfit.devices import Engine, LocalDevice, check_device, engine_named
from nasfit.devices.engines import runtime_code
from nasfit.errors import DeviceError
from nasfit.export import MODEL_FORMATS, export_model, run_file
from nasfit.models import build
from nasfit.promises import Contract

_SHAPE = (3, 32, 32)
# Engines round differently; one that computes something else is off by 1 or more.
_INT8_TOLERANCE = 0.1


def check_engine(name: str) -> None:
    """Does an engine keep its contract, see `nasfit.devices.Engine` and `worker_engines`? Takes half a minute.

    name: of one that an installed package adds, or nasfit's own. Writes a small network in the engine's format and runs
    it there in each precision, as `check_device` does. Raises UnknownNameError, ExtensionError where it does not load,
    and DeviceError naming the first promise that is broken.
    """
    engine = engine_named(name)
    contract = Contract(f"engine {engine.name!r}", DeviceError)
    _check_facts(engine, contract)
    _check_code(engine, contract)
    network = _network()
    random = torch.Generator().manual_seed(0)
    calibration_BCHW = torch.randn(8, *_SHAPE, generator=random)
    input_BCHW = calibration_BCHW[:1]
    for precision in engine.precisions:
        content = export_model(
            network,
            _SHAPE,
            model_format=engine.model_format,
            precision=precision,
            calibration_BCHW=calibration_BCHW,
        )
        if precision == "fp32":
            expected_BK, tolerance = network(input_BCHW).detach().numpy(), 1e-3
        else:
            expected_BK = np.asarray(run_file(content, input_BCHW, model_format=engine.model_format))
            tolerance = _INT8_TOLERANCE
        check_device(LocalDevice(engine=name), content, input_BCHW.numpy(), expected_BK, tolerance=tolerance)


def _check_facts(engine: Engine, contract: Contract) -> None:
    formats = ", ".join(MODEL_FORMATS)
    contract.require(engine.model_format in MODEL_FORMATS, f"a model format that nasfit writes ({formats})")
    known = set(engine.precisions) <= {"fp32", "int8"} and "fp32" in engine.precisions
    contract.require(known, f"fp32 and perhaps int8 as precisions, got {engine.precisions}")
    there = importlib.util.find_spec(engine.module.partition(".")[0]) is not None
    contract.require(there, f"the module {engine.module!r}, which pip install {engine.distribution} brings")


def _check_code(engine: Engine, contract: Contract) -> None:
    """Its process may be on a board, which has neither nasfit nor the package."""
    code = runtime_code(engine).get("code", "")
    imported = {
        name.partition(".")[0]
        for node in ast.parse(code).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    foreign = sorted(imported - sys.stdlib_module_names - {"numpy"})
    contract.require(
        not foreign,
        "a runtime whose module imports nothing at its top but the standard library and numpy, since it is sent to "
        f"machines that have neither nasfit nor the package; got {', '.join(foreign)}",
    )


def _network() -> nn.Module:
    torch.manual_seed(0)
    network = adapted(published("mnasnet-small", 0.35), resolution=_SHAPE[1], channels=_SHAPE[0], classes=10)
    return build(network).eval()
