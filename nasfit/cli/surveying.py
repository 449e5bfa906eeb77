"""Networks of a space, measured in groups until the time is over, every latency kept as it comes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nasfit.architecture import Architecture, adapted
from nasfit.cli.networks import Fitting
from nasfit.cli.quantities import duration
from nasfit.errors import DeviceError, TrialFailure, UsageError
from nasfit.latency import Measurement, measurement_key
from nasfit.search.measuring import Instrument, measured
from nasfit.space import SearchSpace, Tokens

GROUP = 16
CHANNELS = 3


def fitted(space: SearchSpace, tokens: Tokens, fitting: Fitting) -> Architecture:
    """The network of a point, as a search with this width and input would build it. Raises ArchitectureError."""
    network = space.decode(tokens, 1.0 if fitting.width is None else fitting.width)
    return adapted(
        network,
        resolution=network.resolution if fitting.resolution is None else fitting.resolution,
        channels=CHANNELS,
        classes=network.classes if fitting.classes is None else fitting.classes,
    )


class MeasurementFile(MutableMapping[str, dict[str, Any]]):
    """Key -> measurement, a JSON line each, written through; a last line that was cut off is dropped.

    Nothing is deleted; of two lines with one key the later counts. Raises UsageError for a file of another kind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = _read(path) if path.exists() else {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without what a kill may have left of a last line.
            lines = [_line(key, measurement) for key, measurement in self._entries.items()]
            path.write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}; choose another --out") from error

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._entries[key]

    def __setitem__(self, key: str, measurement: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(key, measurement))
        self._entries[key] = measurement

    def __delitem__(self, key: str) -> None:
        raise UsageError(f"measurements in {self._path} are not deleted one by one; delete the file")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _line(key: str, measurement: dict[str, Any]) -> str:
    return json.dumps({"key": key, "measurement": measurement}) + "\n"


def _read(path: Path) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}; choose another --out") from error
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries[str(entry["key"])] = dict(entry["measurement"])
        except (ValueError, TypeError, KeyError) as error:
            if number < len(lines):
                raise UsageError(f"line {number} of {path} holds no measurement; choose another --out") from error
    return entries


@dataclass
class Survey:
    """Measures networks on one device until a time is over.

    kept: where measurements are, and are looked for first. clock: seconds that pass.
    """

    instrument: Instrument
    kept: MutableMapping[str, dict[str, Any]]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.description = self.instrument.device.describe()
        torch.manual_seed(0)

    def latencies(self, networks: Iterator[Architecture], seconds: float, most: int) -> dict[Architecture, float]:
        """Latency of the first networks of the stream, in its order: up to `most`, or as far as the time goes.

        A group is not begun that would probably end too late; what was measured before costs no time. A network that
        fails is left out. Raises DeviceError where nothing runs.
        """
        found: dict[Architecture, float] = {}
        began, slowest_s = self.clock(), 0.0
        while len(found) < most and (group := self._next_group(networks, found, most)):
            left_s = seconds - (self.clock() - began)
            if left_s < slowest_s or left_s <= 0:
                break
            group_began = self.clock()
            results = measured(group, self.instrument, cache=self.kept)
            slowest_s = max(slowest_s, self.clock() - group_began)
            self._keep(group, results, found)
            left_s = max(0.0, seconds - (self.clock() - began))
            print(f"{len(found)} networks measured, {duration(left_s)} left", file=sys.stderr)
        return found

    def _keep(
        self,
        group: list[Architecture],
        results: dict[str, Measurement | TrialFailure],
        found: dict[Architecture, float],
    ) -> None:
        for network in group:
            result = results[str(network)]
            if isinstance(result, Measurement):
                found[network] = result.latency_ms
        if not found:
            raise DeviceError(f"no network of the first {len(group)} runs: {next(iter(results.values()))}")

    def _next_group(
        self, networks: Iterator[Architecture], found: dict[Architecture, float], most: int
    ) -> list[Architecture]:
        """The next ones that are not measured yet; known ones on the way are taken over."""
        group: list[Architecture] = []
        for network in networks:
            known = self._known(network)
            if known is not None:
                found[network] = known
            elif network not in found:
                group.append(network)
            if len(group) == GROUP or len(found) + len(group) >= most:
                break
        return group

    def _known(self, network: Architecture) -> float | None:
        text = self.instrument.text(network)
        stored = self.kept.get(measurement_key(text, self.description.device, self.description.engine))
        try:
            return None if stored is None else Measurement.from_dict(stored).latency_ms
        except UsageError:  # another version's
            return None
