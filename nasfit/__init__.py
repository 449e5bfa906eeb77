"""nasfit finds the neural network that fits a device.

The public names load on first use, so that `import nasfit` stays light and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "nasfit.architecture",
    "Block": "nasfit.architecture",
    "BlockChoices": "nasfit.space",
    "Candidate": "nasfit.latency",
    "Check": "nasfit.latency",
    "Classifier": "nasfit.training",
    "Detector": "nasfit.architecture",
    "Findings": "nasfit.search",
    "Measurement": "nasfit.latency",
    "Front": "nasfit.objective",
    "FullSettings": "nasfit.search",
    "NasfitError": "nasfit.errors",
    "Predictor": "nasfit.latency.predictor",
    "Reward": "nasfit.objective",
    "SearchSpace": "nasfit.space",
    "Study": "nasfit.study",
    "Timing": "nasfit.latency",
    "build": "nasfit.models",
    "build_detector": "nasfit.models.detector_network",
    "check_device": "nasfit.devices",
    "check_engine": "nasfit.checks",
    "check_store": "nasfit.study",
    "check_strategy": "nasfit.strategies",
    "check_task": "nasfit.tasks",
    "count": "nasfit.architecture",
    "create_model": "nasfit.models",
    "count_detector": "nasfit.architecture",
    "detector_on": "nasfit.architecture",
    "detector_to_onnx": "nasfit.export.detector_onnx",
    "detector_to_tflite": "nasfit.export.detector_tflite",
    "export_model": "nasfit.export",
    "hypervolume": "nasfit.objective",
    "load_detection": "nasfit.tasks",
    "make_strategy": "nasfit.strategies",
    "measure": "nasfit.latency",
    "named_space": "nasfit.space",
    "open_device": "nasfit.devices",
    "open_study": "nasfit.search",
    "pareto_front": "nasfit.objective",
    "published": "nasfit.architecture",
    "run_full_training": "nasfit.search",
    "run_search": "nasfit.search",
    "search_table": "nasfit.search",
    "to_onnx": "nasfit.export",
    "to_tflite": "nasfit.export",
    "write_report": "nasfit.report",
}
# A package that is called as well.
_CALLED = "search"

__all__ = ["__version__", *sorted([*_HOMES, _CALLED])]


def __getattr__(name: str) -> Any:
    if name == _CALLED:
        return importlib.import_module(f"nasfit.{_CALLED}")
    if name not in _HOMES:
        raise AttributeError(f"module 'nasfit' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
