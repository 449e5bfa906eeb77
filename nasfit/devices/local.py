"""This machine as a device: one engine process, pinned to one core."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from nasfit.devices import worker, worker_machine
from nasfit.devices.device import Description, Resources
from nasfit.devices.engines import engine_named
from nasfit.devices.session import WorkerSession, WorkerSettings, greet
from nasfit.devices.worker_process import WorkerProcess
from nasfit.errors import UsageError


class LocalDevice:
    """This machine's CPU. See `open_device` for the arguments."""

    name = "local"
    on_this_machine = True

    def __init__(
        self,
        *,
        engine: str = "litert",
        core: int | None = None,
        realtime: bool = True,
        threads: int = 1,
        timeout_s: float = 30.0,
    ) -> None:
        self.settings = WorkerSettings(engine, core, realtime, threads, timeout_s)
        self.model_format = engine_named(engine).model_format
        try:
            worker_machine.pick_cores(core, threads)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def describe(self) -> Description:
        """Asks a fresh engine process, about 0.5 s. Raises DeviceError where the engine is not installed."""
        process, description = self.start()
        process.close()
        return description

    @contextmanager
    def open(self) -> Iterator[WorkerSession]:
        """A session with an engine process of its own."""
        with closing(WorkerSession(self.start, self.settings.timeout_s)) as session:
            yield session

    def resources(self, model_bytes: bytes) -> Resources:
        """See `Device.resources`; about 1 s."""
        with self.open() as session:
            return session.resources(model_bytes)

    def start(self) -> tuple[WorkerProcess, Description]:
        """A running engine process and what it says of itself. Raises DeviceError where it does not start."""
        # -P keeps the worker's own directory off the module path: it needs nothing from there.
        process = WorkerProcess([sys.executable, "-P", str(worker.__file__)])
        return process, greet(process, self.name, self.settings)
