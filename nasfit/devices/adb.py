"""A phone over adb as a device: Google's `benchmark_model` on its fastest core."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nasfit.devices.adb_binary import Binary, find_binary
from nasfit.devices.adb_link import Link
from nasfit.devices.adb_server import chosen_serial, require_ready
from nasfit.devices.adb_session import FOLDER, AdbSession, Settings, remove_folder
from nasfit.devices.adb_state import (
    IDENTITY_COMMANDS,
    Identity,
    PhoneState,
    mean_milliwatts,
    question,
    read_identity,
    read_state,
    state_commands,
    watched,
)
from nasfit.devices.device import Description, Resources
from nasfit.errors import DeviceError, UnknownNameError, UsageError

ENGINE = "litert"
_TIMEOUT_S = 20.0
_REPORT_STEP_MS = 0.001  # benchmark_model tells whole microseconds


class AdbDevice:
    """The phone with this serial, or the only one there is. One inference at a time, batch 1.

    core: CPU core to run on, None takes the fastest, of equals the last; the `threads` fastest where threads > 1.
    timeout_s: a network that takes longer for one call has failed. benchmark_model: the binary, None looks for it (see
    `find_binary`). hot_c: battery temperature above which a sample waits for the phone to cool, as it does from thermal
    status `moderate`; wait_s: for how long at most, 0 never waits; poll_s: between two looks; sleep: how to pause.
    energy_s: how long the battery's current is watched, and the network run, for one energy figure.

    Raises UsageError or UnknownNameError for a wrong argument. The phone is first asked by the methods.
    """

    model_format = "tflite"
    on_this_machine = False

    def __init__(
        self,
        serial: str | None = None,
        *,
        engine: str = ENGINE,
        core: int | None = None,
        threads: int = 1,
        timeout_s: float = 30.0,
        benchmark_model: str | Path | None = None,
        hot_c: float = 42.0,
        wait_s: float = 300.0,
        poll_s: float = 5.0,
        energy_s: float = 8.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if engine != ENGINE:
            raise UnknownNameError("engine on a phone", engine, [ENGINE])
        if timeout_s <= 0:
            raise UsageError(f"timeout is {timeout_s!r} s; it must be above 0")
        if threads < 1:
            raise UsageError(f"threads is {threads!r}; it must be 1 or more")
        if core is not None and threads > 1:
            raise UsageError(f"core {core} and {threads} threads contradict each other; leave one of them out")
        if hot_c <= 0 or wait_s < 0 or poll_s <= 0 or energy_s <= 0:
            raise UsageError(f"hot_c {hot_c}, wait_s {wait_s}, poll_s {poll_s}, energy_s {energy_s}: out of range")
        self.name = f"adb:{serial}" if serial else "adb"
        self._wanted = serial
        self._core, self._threads, self._timeout_s = core, threads, timeout_s
        self._given = benchmark_model
        self._heat = {"hot_c": hot_c, "wait_s": wait_s, "poll_s": poll_s}
        self._energy_s = energy_s
        self._sleep = sleep
        self._link: Link | None = None
        self._left_behind: list[str] = []

    def wipe(self) -> list[str]:
        """Removes all that nasfit put on the phone; the paths that were there. Raises DeviceError."""
        serial = chosen_serial(self._wanted)
        require_ready(serial, seen_before=False)
        code, told = Link(serial).shell(f"ls -d {FOLDER} && rm -rf {FOLDER}", _TIMEOUT_S)
        return told.split() if code == 0 else []

    def describe(self) -> Description:
        """Asks the phone, about 0.2 s.

        Raises DeviceGone where it is offline or was unplugged; DeviceError where it is unknown, not authorised or has
        no fitting `benchmark_model`; UsageError where several phones are there and none was named, or the core is not
        among those online; MissingExtraError without adbutils.
        """
        identity, binary = self._inspect()
        cores = self._cores(identity)
        state = self._state(cores[0])
        return Description(
            device=f"adb: {identity.name}, {identity.soc}, Android {identity.android}",
            engine=f"{ENGINE} benchmark_model {binary.sha256[:8]}, {self._threads} thread{'s' * (self._threads > 1)}",
            cpu=identity.soc,
            cores=len(identity.cores),
            threads=self._threads,
            core=cores[0] if self._threads == 1 else None,
            realtime=False,
            os=f"Android {identity.android}",
            clock_step_ms=_REPORT_STEP_MS,
            governor=identity.governors.get(cores[0]),
            load_average=state.load_average,
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            memory_mb=identity.memory_mb,
            temperature_c=state.battery_c if state.processor_c is None else state.processor_c,
            clock_mhz=state.clock_mhz,
            power=state.power(),
        )

    @contextmanager
    def open(self) -> Iterator[AdbSession]:
        """A session with a folder of its own on the phone, removed at the end; the binary beside it stays there.

        A folder that cannot be removed because the phone is away is removed at the next opening. Raises as `describe`.
        """
        link = self._connected()
        identity, binary = self._inspect()
        cores = tuple(self._cores(identity))
        self._left_behind = [folder for folder in self._left_behind if not remove_folder(link, folder)]
        session = AdbSession(link, binary, Settings(cores, self._threads, self._timeout_s, **self._heat), self._sleep)
        try:
            yield session
        finally:
            if not session.close():
                self._left_behind.append(session.folder)

    def resources(self, model_bytes: bytes) -> Resources:
        """See `Device.resources`. Energy only on battery (over Wi-Fi), and where the phone tells its current.

        Raises DeviceError where this `benchmark_model` reports no memory.
        """
        with self.open() as session:
            session.load("alone", model_bytes)
            report = session.report("alone", ["--warmup_runs=1", "--num_runs=10"])
            if report.peak_memory_mb is None:
                raise DeviceError("this benchmark_model reports no memory footprint; download a newer one")
            state = session.phone_state()
            energy_mj = None
            if state.powered_by == "":
                energy_mj = self._energy_mj(session, report.mean_ms, state.battery_volts)
            return Resources(peak_memory_mb=report.peak_memory_mb, energy_mj=energy_mj)

    def _energy_mj(self, session: AdbSession, latency_ms: float, battery_volts: float | None) -> float | None:
        runs = max(1, round(self._energy_s * 1000 / latency_ms))
        line = watched(session.command("alone", ["--warmup_runs=1", f"--num_runs={runs}"]))
        _, output = self._connected().shell(line, self._energy_s * 3 + self._timeout_s)
        milliwatts = mean_milliwatts(output, battery_volts)
        return None if milliwatts is None else milliwatts * latency_ms / 1000

    def _connected(self) -> Link:
        # Chosen once: a phone that was "the only one" must not be replaced by another that is plugged in later.
        if self._link is None:
            self._link = Link(chosen_serial(self._wanted))
        self._link.check()
        return self._link

    def _inspect(self) -> tuple[Identity, Binary]:
        link = self._connected()
        identity = read_identity(link.shell(question(IDENTITY_COMMANDS), _TIMEOUT_S)[1], link.serial)
        return identity, find_binary(identity.abis, self._given)

    def _state(self, core: int) -> PhoneState:
        return read_state(self._connected().shell(question(state_commands(core)), _TIMEOUT_S)[1])

    def _cores(self, identity: Identity) -> list[int]:
        if self._core is None:
            return identity.fastest_cores(self._threads)
        if self._core not in identity.cores:
            online = ", ".join(map(str, identity.cores))
            raise UsageError(f"core is {self._core}; the phone's cores online are {online}")
        return [self._core]
