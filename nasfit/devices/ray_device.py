"""A device at a machine of a Ray cluster: a process there uses it as if it were alone, and this side asks that one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np

from nasfit import errors
from nasfit.devices.device import Description, Device, Resources, Sample, Session, State
from nasfit.devices.engines import engine_named
from nasfit.errors import DeviceGone, MissingExtraError, NasfitError, UsageError

# For a machine that offers the device to be found, and a process to start there.
START_S = 60.0


@dataclasses.dataclass(frozen=True)
class Refused:
    """An error of the other side. kind: name of its class."""

    kind: str
    text: str


class Host:
    """The other side: has the device, and at most one session of it. Every answer is a value, errors included."""

    def __init__(self, far: str, options: dict[str, Any]) -> None:
        self._far, self._options = far, options
        self._device: Device | None = None
        self._session: Session | None = None
        self._open = ExitStack()

    def start(self) -> Refused | None:
        """Opens the device by its name on this machine."""
        from nasfit.devices.opening import open_device

        try:
            self._device = open_device(self._far, **self._options)
        except NasfitError as error:
            return _refused(error)
        return None

    def ask_device(self, method: str, *arguments: Any) -> Any:
        """What the device's method gives."""
        return _told(self._device, method, *arguments)

    def ask_session(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What the open session's method gives."""
        return _told(self._session, method, *arguments, **named)

    def enter(self) -> Refused | None:
        """Opens a session, in place of one that a lost driver left."""
        self.leave()
        assert self._device is not None, "started before"
        try:
            self._session = self._open.enter_context(self._device.open())
        except NasfitError as error:
            return _refused(error)
        return None

    def leave(self) -> None:
        """Closes the session."""
        self._session = None
        self._open.close()


class RayDevice:
    """The device `far` (`local`, `adb`, ...) of whichever machine of the cluster has the resource `device:LABEL`.

    name: `ray:LABEL` or `ray:LABEL/FAR`. options: of `open_device`, there. The process must belong to a cluster by
    then, as `--ray` makes it. Raises UsageError, MissingExtraError, UnknownNameError.
    """

    on_this_machine = False

    def __init__(self, name: str, *, engine: str, **options: Any) -> None:
        label, _, far = name.removeprefix("ray:").partition("/")
        if not label or far.startswith("ray:"):
            raise UsageError(f"device {name!r} is not written ray:LABEL or ray:LABEL/DEVICE, such as ray:pixel6/adb")
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError(f"device {name!r}", "ray") from error
        if not ray.is_initialized():
            raise UsageError(f"device {name!r} belongs to a Ray cluster; name the cluster with --ray")
        self.name, self.model_format = name, engine_named(engine).model_format
        self._ray, self._resource = ray, f"device:{label}"
        self._call = far or "local", {"engine": engine, **options}
        self._host: Any = None

    def describe(self) -> Description:
        """See `Device`. Raises DeviceGone where no machine offers the device, or another search has it."""
        told: Description = self.asked("ask_device", "describe")
        return dataclasses.replace(told, device=f"{self.name}: {told.device}")

    @contextmanager
    def open(self) -> Iterator[RaySession]:
        """A session with an engine process there."""
        self.asked("enter")
        try:
            yield RaySession(self)
        finally:
            with suppress(DeviceGone):
                self.asked("leave")

    def resources(self, model_bytes: bytes) -> Resources:
        """See `Device`."""
        used: Resources = self.asked("ask_device", "resources", model_bytes)
        return used

    def asked(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What the other side answers; its errors are raised here."""
        try:
            answer = self._ray.get(getattr(self._found(), method).remote(*arguments, **named))
        except self._ray.exceptions.RayActorError as error:
            self._host = None
            raise DeviceGone(f"{self.name}: its machine or the process there was lost") from error
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer

    def _found(self) -> Any:
        """The process there, started where there is none."""
        if self._host is None:
            far, options = self._call
            place = self._ray.remote(num_cpus=0, resources={self._resource: 1})(Host)
            host = place.remote(far, options)
            ready, _ = self._ray.wait([host.start.remote()], timeout=START_S)
            if not ready:
                self._ray.kill(host)
                raise DeviceGone(
                    f"no machine of the cluster offers {self._resource!r}, or another search has it; start one with: "
                    f"ray start --address=HEAD:6379 --resources='{{\"{self._resource}\": 1}}'"
                )
            trouble = self._ray.get(ready[0])
            if trouble is not None:
                self._ray.kill(host)
                raise _error(trouble)
            self._host = host
        return self._host


class RaySession:
    """A session on the other side."""

    def __init__(self, device: RayDevice) -> None:
        self._device = device

    def load(self, model: str, model_bytes: bytes) -> None:
        """See `Session`."""
        self._device.asked("ask_session", "load", model, model_bytes)

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        """See `Session`."""
        sample: Sample = self._device.asked("ask_session", "sample", model, warm=warm, runs=runs)
        return sample

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        """See `Session`."""
        output: np.ndarray = self._device.asked("ask_session", "run", model, input_BCHW)
        return output

    def state(self) -> State:
        """See `Session`."""
        state: State = self._device.asked("ask_session", "state")
        return state


def _told(of: object, method: str, *arguments: Any, **named: Any) -> Any:
    try:
        return getattr(of, method)(*arguments, **named)
    except NasfitError as error:
        return _refused(error)


def _refused(error: NasfitError) -> Refused:
    return Refused(type(error).__name__, str(error))


def _error(refused: Refused) -> NasfitError:
    kind: type[NasfitError] = getattr(errors, refused.kind, NasfitError)
    error = kind.__new__(kind)
    error.args = (refused.text,)
    return error
