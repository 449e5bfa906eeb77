"""Calls done by a Ray cluster, with the interface that `Pool` has for calls started one by one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import nasfit
from nasfit.errors import MissingExtraError, NasfitError, TrialFailure, UsageError
from nasfit.workers.serving import one_line

# Of a call whose process or machine is lost.
RETRIES = 3
ANSWER_S = 10.0


class Packing(Protocol):
    """How a call becomes one that another machine can do."""

    def packed(self, payload: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """An importable function and what to call it with; values that were `put` arrive as themselves."""

    def unpacked(self, payload: Any, result: Any) -> Any:
        """What the call gave, from what the function returned."""


@dataclass(frozen=True)
class _Call:
    item: int
    payload: Any
    deadline: float
    timeout_s: float | None


class RayPool:
    """The processors of a cluster, one call each.

    address: `auto` for the cluster that this machine belongs to, or `HOST:PORT` of its head. Raises MissingExtraError,
    UsageError where none answers or its nodes have another nasfit.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("--ray", "ray") from error
        self._ray = ray
        try:
            _answers(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"no Ray cluster answers at {address!r} ({one_line(error)}); start one with: ray start --head"
            ) from error
        self._task = ray.remote(num_cpus=1, max_retries=RETRIES, max_calls=0)(_called)
        self._packing: Packing | None = None
        self._at_work: dict[Any, _Call] = {}
        self._check_version(address)

    def packs(self, packing: Packing) -> None:
        """How calls travel; before the first of them."""
        self._packing = packing

    @property
    def workers(self) -> int:
        """How many calls are done at once; machines come and go."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 0)))

    @property
    def free(self) -> int:
        """How many calls could start now."""
        return max(0, self.workers - len(self._at_work))

    def put(self, value: Any) -> Any:
        """A reference to give in place of a large value, which then travels once to each machine."""
        return self._ray.put(value)

    def start(self, item: int, function: object, payload: Any, *, timeout_s: float | None = None) -> bool:
        """As `Pool.start`; the function is the packing's."""
        assert self._packing is not None, "packs() comes first"
        if not self.free:
            return False
        far, arguments = self._packing.packed(payload)
        deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self._at_work[self._task.remote(far, *arguments)] = _Call(item, payload, deadline, timeout_s)
        return True

    def finished(self, wait_s: float = 1.0) -> list[tuple[int, Any]]:
        """As `Pool.finished`."""
        if not self._at_work:
            time.sleep(wait_s)
            return []
        ready, _ = self._ray.wait([*self._at_work], num_returns=1, timeout=wait_s)
        if ready:
            ready, _ = self._ray.wait([*self._at_work], num_returns=len(self._at_work), timeout=0)
        found = [(self._at_work[reference].item, self._result(reference)) for reference in ready]
        for reference in ready:
            del self._at_work[reference]
        return found + self._overdue()

    def abandon(self) -> None:
        """As `Pool.abandon`."""
        for reference in self._at_work:
            self._ray.cancel(reference, force=True)
        self._at_work.clear()

    def pause(self) -> None:
        """Waits until nothing is at work: a cluster's processes cannot be stopped where they are."""
        if self._at_work:
            self._ray.wait([*self._at_work], num_returns=len(self._at_work))

    def resume(self) -> None:
        """Inverse of `pause`."""

    def close(self) -> None:
        """Leaves the cluster; what is at work ends."""
        self.abandon()
        self._ray.shutdown()

    def _result(self, reference: Any) -> Any:
        call = self._at_work[reference]
        assert self._packing is not None, "a call was started"
        try:
            return self._packing.unpacked(call.payload, self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause or error
            return cause if isinstance(cause, TrialFailure) else TrialFailure(one_line(cause))
        except self._ray.exceptions.RayError as error:
            return TrialFailure(f"the cluster lost it {RETRIES + 1} times: {one_line(error)}")

    def _overdue(self) -> list[tuple[int, Any]]:
        late = [reference for reference, call in self._at_work.items() if time.monotonic() >= call.deadline]
        found = []
        for reference in late:
            self._ray.cancel(reference, force=True)
            call = self._at_work.pop(reference)
            found.append((call.item, TrialFailure(f"no result within {call.timeout_s:g} s; its worker was ended")))
        return found

    def _check_version(self, address: str) -> None:
        try:
            found = self._ray.get(self._task.remote(_version))
        except self._ray.exceptions.RayError as error:
            self._ray.shutdown()
            why = one_line(getattr(error, "cause", None) or error)
            raise NasfitError(
                f"the Ray cluster at {address!r} cannot run nasfit: {why}; install it on every machine of the cluster"
            ) from error
        if found != nasfit.__version__:
            self._ray.shutdown()
            raise UsageError(
                f"the Ray cluster at {address!r} has nasfit {found}, this is {nasfit.__version__}; "
                f"install the same version on every machine"
            )


def _answers(address: str) -> None:
    """Raises OSError or ValueError where nothing listens there: Ray itself would try for minutes."""
    if address != "auto":
        host, _, port = address.rpartition("://")[2].rpartition(":")
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()


def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _version() -> str:
    return nasfit.__version__
