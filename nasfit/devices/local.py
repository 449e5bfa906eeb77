"""This machine as a device: one engine process, pinned to one core."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nasfit.devices import worker
from nasfit.devices.device import Description, Sample
from nasfit.devices.worker_process import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout
from nasfit.errors import DeviceError, TrialFailure, UnknownNameError, UsageError

START_TIMEOUT_S = 60.0


class LocalDevice:
    """This machine's CPU, one thread. See `open_device` for the arguments."""

    name = "local"

    def __init__(
        self,
        *,
        engine: str = "onnxruntime",
        core: int | None = None,
        realtime: bool = True,
        timeout_s: float = 30.0,
    ) -> None:
        if engine not in worker.ENGINES:
            raise UnknownNameError("engine", engine, worker.ENGINES)
        if timeout_s <= 0:
            raise UsageError(f"timeout is {timeout_s!r} s; it must be above 0")
        self._settings = {"engine": engine, "core": _core(core), "realtime": realtime, "timeout_s": timeout_s}
        self.timeout_s = timeout_s

    def describe(self) -> Description:
        """Asks a fresh engine process, about 0.3 s. Raises DeviceError where the engine is not installed."""
        process, description = self.start()
        process.close()
        return description

    @contextmanager
    def open(self) -> Iterator[LocalSession]:
        """A session with an engine process and a private directory of its own."""
        with tempfile.TemporaryDirectory(prefix="nasfit-") as directory:
            session = LocalSession(self, Path(directory))
            try:
                yield session
            finally:
                session.close()

    def start(self) -> tuple[WorkerProcess, Description]:
        """A running engine process and what it says of itself. Raises DeviceError where it does not start."""
        # -P keeps the worker's own directory off the module path: it needs nothing from there.
        process = WorkerProcess([sys.executable, "-P", str(worker.__file__)], {"OMP_NUM_THREADS": "1"})
        try:
            told = process.ask({"do": "hello", **self._settings}, START_TIMEOUT_S)
        except DeviceError as error:
            process.close()
            engine = self._settings["engine"]
            raise DeviceError(
                f"engine {engine!r} does not start on this machine: {error}; try: pip install --upgrade {engine}"
            ) from error
        return process, _description(told)


class LocalSession:
    """Networks in one engine process, which is replaced when a network kills it."""

    def __init__(self, device: LocalDevice, directory: Path) -> None:
        self._device = device
        self._directory = directory
        self._paths: dict[str, Path] = {}
        self._loaded: set[str] = set()
        self._failed: dict[str, str] = {}
        self._process, self.description = device.start()

    def load(self, model: str, model_bytes: bytes) -> None:
        """See `Session.load`."""
        if model in self._paths:
            raise UsageError(f"a network named {model!r} is already loaded; give each its own name")
        path = self._directory / f"{len(self._paths)}.onnx"
        path.write_bytes(model_bytes)
        self._paths[model] = path
        self._ask(model, None)

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        """See `Session.sample`."""
        told = self._ask(model, {"do": "sample", "model": model, "warm": warm, "runs": runs})
        return Sample(told["wall_ns"] / 1e6 / runs, told["cpu_ns"] / 1e6 / runs, runs)

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        """See `Session.run`."""
        data = base64.b64encode(np.ascontiguousarray(input_BCHW, dtype=np.float32).tobytes()).decode()
        told = self._ask(model, {"do": "run", "model": model, "shape": list(input_BCHW.shape), "data": data})
        return np.frombuffer(base64.b64decode(told["data"]), dtype=np.float32).reshape(told["shape"])

    def close(self) -> None:
        """End the engine process."""
        self._process.close()

    def _ask(self, model: str, request: dict[str, object] | None) -> dict[str, Any]:
        """Ask about one network, loading it first where this process has not yet."""
        if model not in self._paths:
            raise UnknownNameError("network", model, self._paths)
        reason = self._failed.get(model, "")
        # A process may also be ended from outside, so its death is held against the network only the second time.
        attempts = 0 if reason else 2
        for _ in range(attempts):
            try:
                return self._ask_once(model, request)
            except WorkerDied as error:
                reason = str(error)
                self._restart()
            except WorkerTimeout as error:
                reason = str(error)
                self._restart()
                break
            except WorkerRefused as error:
                reason = str(error)
                break
        self._failed[model] = reason
        raise TrialFailure(f"network {model!r} does not run on the device: {reason}")

    def _ask_once(self, model: str, request: dict[str, object] | None) -> dict[str, Any]:
        if model not in self._loaded:
            load = {"do": "load", "model": model, "path": str(self._paths[model])}
            self._process.ask(load, self._device.timeout_s)
            self._loaded.add(model)
        return self._process.ask(request, self._device.timeout_s) if request else {}

    def _restart(self) -> None:
        self._process.close()
        self._loaded.clear()
        self._process, self.description = self._device.start()


def _core(wanted: int | None) -> int | None:
    """The core to pin to: the last one allowed, which the system's own work uses least."""
    if not hasattr(os, "sched_getaffinity"):
        if wanted is not None:
            raise UsageError(f"core is {wanted!r}, but this system cannot pin a process; leave it out")
        return None
    allowed = sorted(os.sched_getaffinity(0))
    if wanted is not None and wanted not in allowed:
        raise UsageError(f"core is {wanted!r}; this process may use {', '.join(map(str, allowed))}")
    return allowed[-1] if wanted is None else wanted


def _description(told: dict[str, Any]) -> Description:
    fields = {key: value for key, value in told.items() if key not in ("machine", "clock_step_ns")}
    identity = f"{LocalDevice.name}: {told['cpu']}, {told['cores']} cores, {told['machine']}"
    return Description(device=identity, clock_step_ms=told["clock_step_ns"] / 1e6, **fields)
