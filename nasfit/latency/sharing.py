"""Networks measured by several devices that are alike, each of which takes the next group when it is free."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from nasfit.devices import Device
from nasfit.errors import DeviceGone, TrialFailure
from nasfit.latency.candidate import Candidate
from nasfit.latency.measurement import Measurement
from nasfit.latency.measuring import known, measure
from nasfit.latency.timing import DEFAULT, Timing

Cache = MutableMapping[str, dict[str, Any]]
Results = dict[str, Measurement | TrialFailure]


def measure_shared(
    devices: Sequence[Device],
    models: Mapping[str, bytes | Candidate],
    keys: Mapping[str, str],
    *,
    timing: Timing = DEFAULT,
    cache: Cache | None = None,
    resources: bool = False,
) -> Results:
    """As `measure`, by whichever device is free; one measurement at a time on each.

    keys: of each network in the cache, whichever device measures it; a measurement says which one did. The group of a
    device that goes away is measured by the others. Raises DeviceGone once all are away, with what was measured in the
    cache, and DeviceError of any of them.
    """
    done: Results = {}
    for name in models:
        if cache is not None and (measurement := known(cache, keys[name])) is not None:
            done[name] = measurement
    groups = _groups([name for name in models if name not in done], len(devices), timing.together)
    gone: DeviceGone | None = None

    def work(device: Device, group: list[str]) -> Results:
        return measure(device, {name: models[name] for name in group}, timing=timing, resources=resources)

    with ThreadPoolExecutor(len(devices)) as threads:
        free, at_work = list(devices), dict[Future[Results], tuple[Device, list[str]]]()
        while at_work or (groups and free):
            while groups and free:
                device, group = free.pop(0), groups.popleft()
                at_work[threads.submit(work, device, group)] = device, group
            for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                device, group = at_work.pop(future)
                try:
                    results = future.result()
                except DeviceGone as error:
                    gone = error
                    groups.append(group)
                    continue
                free.append(device)
                done |= results
                if cache is not None:
                    measured = {keys[name]: one for name, one in results.items() if isinstance(one, Measurement)}
                    cache.update({key: one.to_dict() for key, one in measured.items()})
    if groups:
        assert gone is not None, "groups are left only where devices are not"
        raise gone
    return {name: done[name] for name in models}


def _groups(names: list[str], devices: int, together: int) -> deque[list[str]]:
    """Even shares, so that all devices end at about the same time."""
    size = max(1, min(together, math.ceil(len(names) / devices)))
    return deque(names[start : start + size] for start in range(0, len(names), size))
