"""Small networks, and a worker that misbehaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_networks import doubling_onnx, doubling_tflite, endless_onnx

from nasfit.devices import worker

CHANGED_WORKER = """
import os, sys, time
sys.path.insert(0, {directory!r})
import worker
sample = worker.Worker.sample
def changed(self, model, **rest):
    {change}
    return sample(self, model, **rest)
worker.Worker.sample = changed
{before}
worker.serve()
"""


@pytest.fixture
def doubling_bytes() -> bytes:
    """For ONNX Runtime and OpenVINO."""
    return doubling_onnx()


@pytest.fixture
def doubling_tflite_bytes() -> bytes:
    """For LiteRT."""
    return doubling_tflite()


@pytest.fixture
def endless_bytes() -> bytes:
    """For ONNX Runtime."""
    return endless_onnx()


@pytest.fixture
def image_BCHW() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((1, 3, 8, 8), dtype=np.float32)


@pytest.fixture
def change_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Replaces the worker by one that first runs `text` in each sample, and `before` once before it serves."""

    def change(text: str = "pass", before: str = "") -> None:
        script = tmp_path / "changed" / "worker_changed.py"
        script.parent.mkdir()
        here = Path(worker.__file__).parent
        for name in worker.FILES:
            shutil.copy(here / name, script.parent)
        script.write_text(CHANGED_WORKER.format(directory=str(script.parent), change=text, before=before))
        monkeypatch.setattr(worker, "__file__", str(script))

    return change
