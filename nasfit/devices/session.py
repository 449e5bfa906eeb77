"""Networks in one engine process, wherever it runs: replaced when a network kills it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfit.devices.device import Description, Resources, Sample, State
from nasfit.devices.engines import engine_named, not_installed, runtime_code
from nasfit.devices.worker_process import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout
from nasfit.errors import DeviceError, NasfitError, TrialFailure, UnknownNameError, UsageError

START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class WorkerSettings:
    """What an engine process is told at its start; see `open_device`. Raises UnknownNameError or UsageError."""

    engine: str = "litert"
    core: int | None = None
    realtime: bool = True
    threads: int = 1
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        engine_named(self.engine)
        if self.timeout_s <= 0:
            raise UsageError(f"timeout is {self.timeout_s!r} s; it must be above 0")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads!r}; it must be 1 or more")


def greet(process: WorkerProcess, device: str, settings: WorkerSettings) -> Description:
    """What a new engine process says of itself and its machine; the process is ended where it does not start well.

    device: name of the device, with which its identity begins. Raises UsageError for a core or a number of threads
    that cannot be had, MissingExtraError or DeviceError where the engine is not installed, DeviceError otherwise.
    """
    try:
        code = runtime_code(engine_named(settings.engine))
        told = process.ask({"do": "hello", **vars(settings), **code}, START_TIMEOUT_S)
    except WorkerRefused as error:
        process.close()
        raise _refused_start(error, device, settings.engine) from error
    except (WorkerDied, WorkerTimeout) as error:
        process.close()
        engine = engine_named(settings.engine)
        raise DeviceError(
            f"engine {engine.name!r} does not start on {device}: {error}; "
            f"try there: pip install --upgrade {engine.distribution}"
        ) from error
    except DeviceError:
        process.close()
        raise
    fields = {key: value for key, value in told.items() if key not in ("machine", "clock_step_ns")}
    identity = f"{device}: {told['cpu']}, {told['cores']} cores, {told['machine']}"
    return Description(device=identity, clock_step_ms=told["clock_step_ns"] / 1e6, **fields)


def _refused_start(error: WorkerRefused, device: str, name: str) -> NasfitError:
    if error.kind == "usage":
        return UsageError(f"on {device}: {error}")
    if error.kind == "missing":
        return not_installed(engine_named(name), device)
    engine = engine_named(name)
    return DeviceError(
        f"engine {name!r} does not start on {device}: {error}; try there: pip install --upgrade {engine.distribution}"
    )


class WorkerSession:
    """A `Session` over engine processes that `start` makes; it keeps the files, so that a new process loads them again.

    start: a running process that has been greeted, and its description; raises DeviceError, or DeviceGone where the
    device is out of reach. After DeviceGone the session may be used again: it then starts a new process. timeout_s: of
    one step.
    """

    def __init__(self, start: Callable[[], tuple[WorkerProcess, Description]], timeout_s: float) -> None:
        self._start = start
        self._timeout_s = timeout_s
        self._contents: dict[str, bytes] = {}
        self._loaded: set[str] = set()
        self._failed: dict[str, str] = {}
        self._process: WorkerProcess | None = None
        self.description: Description
        self._running()

    def load(self, model: str, model_bytes: bytes) -> None:
        """See `Session.load`."""
        if model in self._contents:
            raise UsageError(f"a network named {model!r} is already loaded; give each its own name")
        if not model_bytes:
            raise TrialFailure(f"network {model!r} does not run on the device: its file is empty")
        self._contents[model] = model_bytes
        self._ask(model, None)

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        """See `Session.sample`."""
        told = self._ask(model, {"do": "sample", "model": model, "warm": warm, "runs": runs})
        return Sample(told["wall_ns"] / 1e6 / runs, told["cpu_ns"] / 1e6 / runs, runs, probe_ms=told["probe_ns"] / 1e6)

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        """See `Session.run`."""
        data = base64.b64encode(np.ascontiguousarray(input_BCHW, dtype=np.float32).tobytes()).decode()
        told = self._ask(model, {"do": "run", "model": model, "shape": list(input_BCHW.shape), "data": data})
        return np.frombuffer(base64.b64decode(told["data"]), dtype=np.float32).reshape(told["shape"])

    def state(self) -> State:
        """See `Session.state`."""
        try:
            return State(**self._running().ask({"do": "state"}, self._timeout_s))
        except WorkerDied:  # ended from outside since the last step
            self.close()
            return State(**self._running().ask({"do": "state"}, self._timeout_s))

    def resources(self, model_bytes: bytes) -> Resources:
        """See `Device.resources`; this session must be a new one without networks."""
        told = self._attempt("", lambda process: process.ask({"do": "resources"}, self._timeout_s, model_bytes))
        joules = told["energy_j"]
        return Resources(told["peak_bytes"] / 1e6, None if joules is None else joules * 1e3)

    def crash(self) -> None:
        """Let the engine process crash, for checkers. The next step finds out."""
        with contextlib.suppress(WorkerDied):
            self._running().ask({"do": "crash"}, self._timeout_s)

    def close(self) -> None:
        """End the engine process."""
        self._loaded.clear()
        if self._process is not None:
            self._process.close()
            self._process = None

    def _running(self) -> WorkerProcess:
        if self._process is None:
            self._process, self.description = self._start()
        return self._process

    def _ask(self, model: str, request: dict[str, object] | None) -> dict[str, Any]:
        """Ask about one network, loading it first where this process has not yet."""
        if model not in self._contents:
            raise UnknownNameError("network", model, self._contents)

        def ask(process: WorkerProcess) -> dict[str, Any]:
            if model not in self._loaded:
                process.ask({"do": "load", "model": model}, self._timeout_s, self._contents[model])
                self._loaded.add(model)
            return process.ask(request, self._timeout_s) if request else {}

        return self._attempt(model, ask)

    def _attempt(self, model: str, ask: Callable[[WorkerProcess], dict[str, Any]]) -> dict[str, Any]:
        """Do it, and find out whose fault it is where that fails."""
        reason = self._failed.get(model, "")
        # A process may also be ended from outside, so its death is held against the network only the second time.
        attempts = 0 if reason else 2
        for _ in range(attempts):
            try:
                return ask(self._running())
            except WorkerDied as error:
                reason = str(error)
                self.close()
            except WorkerTimeout as error:
                reason = str(error)
                self.close()
                break
            except WorkerRefused as error:
                if error.kind == "device":
                    raise DeviceError(f"on {self.description.device}: {error}") from error
                if error.kind == "usage":  # this request was wrong, the next may be right
                    raise TrialFailure(f"{_named(model)} does not take this request: {error}") from error
                reason = str(error)
                break
            except DeviceError:  # the connection, not the engine
                self.close()
                raise
        self._failed[model] = reason
        raise TrialFailure(f"{_named(model)} does not run on the device: {reason}")


def _named(model: str) -> str:
    return f"network {model!r}" if model else "the network"
