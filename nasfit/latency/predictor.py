"""Latency of networks that were not measured, with an interval, from some that were.

A table of blocks first, what is not additive learned on top: see `docs/explanation/predictors.md`. A predictor is
fitted in seconds, and answers a thousand networks in a fraction of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from nasfit.architecture import Architecture
from nasfit.errors import UsageError
from nasfit.latency.predictor_architecture import ArchitectureForm
from nasfit.latency.predictor_form import Encoded, Layout, TokenTable
from nasfit.latency.predictor_kernel import Kernel
from nasfit.latency.predictor_process import ROWS_FOR_PARAMETERS, Process

LEAST_ROWS = 30
COVERAGE = 0.95
FOLDS = 4
VERSION = 1
# Width of an interval, as a share of the latency, from which on an estimate is not worth much.
WIDEST = 0.3


@dataclass(frozen=True)
class Estimate:
    """A latency in ms with its 95 % interval: `estimated` by a predictor, or `measured` and put beside such.

    low_ms, high_ms: hold with 95 % probability what a measurement of the network would give.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    how: Literal["measured", "estimated"] = "estimated"

    def __str__(self) -> str:
        return f"{self.latency_ms:.3g} ms {self.how} ({self.low_ms:.3g} to {self.high_ms:.3g})"


def worth_measuring(estimate: Estimate, limit_ms: float, *, widest: float = WIDEST) -> bool:
    """Whether the device should be asked about a network that has to be compared with `limit_ms`.

    Yes where the answer is open: the limit lies inside the interval. Yes where the predictor does not know: the
    interval is wider than `widest` of the latency. No for what is measured already. Raises UsageError for a limit or
    width that is not above 0.
    """
    for what, value in (("limit_ms", limit_ms), ("widest", widest)):
        if not value > 0:
            raise UsageError(f"{what} is {value!r}; it must be above 0")
    if estimate.how == "measured":
        return False
    undecided = estimate.low_ms <= limit_ms <= estimate.high_ms
    return undecided or estimate.high_ms - estimate.low_ms > widest * estimate.latency_ms


class Form(Protocol):
    """What turns inputs into columns, multipliers and terms."""

    @property
    def layout(self) -> Layout:
        """Columns, and the additive parts made of them."""

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Raises UsageError for inputs unlike those it was made for."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""

    def written(self, inputs: Sequence[Any]) -> list[Any]:
        """Inputs as JSON-able values."""


@dataclass(frozen=True)
class Predictor:
    """Fitted by `fit`; equal data give the equal predictor.

    form: what it knows of the inputs. process: fitted to their latencies. inputs: what was measured. margin: half the
    interval over the process's own standard deviation; from networks held out, so that the interval holds what it
    promises. device, engine: on which the latencies were measured.
    """

    form: Form
    process: Process
    inputs: tuple[Any, ...]
    margin: float
    device: str = ""
    engine: str = ""

    @classmethod
    def fit(
        cls,
        inputs: Sequence[Any],
        latency_ms: Sequence[float] | np.ndarray,
        *,
        table: TokenTable | None = None,
        device: str = "",
        engine: str = "",
    ) -> Predictor:
        """From measured networks, at least 30, better 300: some seconds; memory and time limit it to some thousands.

        inputs: Architectures of one number of blocks; or rows of option indices, described by `table`. latency_ms:
        above 0. Raises UsageError naming the row that is not usable.
        """
        latency_N = checked_latencies(inputs, latency_ms)
        return cls.of_form(table or ArchitectureForm.of(inputs), inputs, latency_N, device=device, engine=engine)

    @classmethod
    def of_form(
        cls, form: Form, inputs: Sequence[Any], latency_N: np.ndarray, *, device: str = "", engine: str = ""
    ) -> Predictor:
        """`fit` with a form that knows more inputs than these; latencies as `checked_latencies` gives them."""
        process = Process.fit(Kernel(form.layout), form.encode(inputs), latency_N, rows=ROWS_FOR_PARAMETERS)
        return cls(form, process, tuple(inputs), _margin(process), device, engine)

    def predict(self, inputs: Sequence[Any]) -> list[Estimate]:
        """An estimate each. Raises UsageError naming what is unlike all networks the predictor was fitted on."""
        if not len(inputs):
            return []
        means, deviations = self.process.predict(self.form.encode(inputs))
        # Nothing takes less than nothing; half the fastest measured network is the least that is believed.
        least = 0.5 * float(self.process.latency_ms_N.min())
        found = []
        for mean, deviation in zip(np.maximum(means, least), self.margin * deviations, strict=True):
            found.append(Estimate(float(mean), float(max(mean - deviation, 0.0)), float(mean + deviation)))
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` is the strict inverse, up to rounding."""
        return {
            "version": VERSION,
            "form": self.form.to_dict(),
            "inputs": self.form.written(self.inputs),
            "latency_ms": self.process.latency_ms_N.tolist(),
            "parameters": self.process.parameters_P.tolist(),
            "doubts": self.process.doubts_N.tolist(),
            "margin": self.margin,
            "device": self.device,
            "engine": self.engine,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Predictor:
        """Raises UsageError where the values are no predictor, or one of another version."""
        expected = {"version", "form", "inputs", "latency_ms", "parameters", "doubts", "margin", "device", "engine"}
        if wrong := expected ^ set(values):
            missing, unknown = sorted(expected & wrong), sorted(wrong - expected)
            raise UsageError(f"no predictor: missing {missing}, unknown {unknown}; fit again with this version")
        if values["version"] != VERSION:
            raise UsageError(f"predictor of version {values['version']!r}, this is {VERSION}; fit again")
        form, inputs = _read_form(values)
        latency_N = checked_latencies(inputs, values["latency_ms"])
        kernel = Kernel(form.layout)
        parameters_P, doubts_N = (np.array(values[what], dtype=float) for what in ("parameters", "doubts"))
        if parameters_P.shape != (len(kernel.prior()[0]) + 2,) or not np.all(np.isfinite(parameters_P)):
            raise UsageError(f"no predictor: {parameters_P.shape} parameters do not fit its networks; fit again")
        if doubts_N.shape != latency_N.shape or not np.all(doubts_N >= 1):
            raise UsageError(f"no predictor: doubts {doubts_N.shape} do not fit its networks; fit again")
        process = Process(kernel, parameters_P, form.encode(inputs), latency_N, doubts_N)
        return cls(form, process, tuple(inputs), float(values["margin"]), values["device"], values["engine"])


def checked_latencies(inputs: Sequence[Any], latency_ms: Sequence[float] | np.ndarray) -> np.ndarray:
    """The latencies as an array. Raises UsageError for too few, for a wrong number, for one that is no latency."""
    latency_N = np.asarray(latency_ms, dtype=float)
    if latency_N.shape != (len(inputs),):
        raise UsageError(f"got {len(inputs)} networks and latencies of shape {latency_N.shape}; give one for each")
    if len(inputs) < LEAST_ROWS:
        raise UsageError(
            f"got {len(inputs)} measured networks; a predictor needs {LEAST_ROWS}, and is good from 300 on"
        )
    if (wrong := np.flatnonzero(~(np.isfinite(latency_N) & (latency_N > 0)))).size:
        row = int(wrong[0])
        raise UsageError(f"latency of row {row} is {latency_N[row]:g} ms; it must be a number above 0: leave it out")
    if latency_N.std() == 0:
        raise UsageError(f"all latencies are {latency_N[0]:g} ms; there is nothing to learn from them")
    return latency_N


def folds(number: int, parts: int, seed: int = 0) -> list[np.ndarray]:
    """Places 0..number-1 in `parts` random groups of about equal size."""
    order = np.random.default_rng(seed).permutation(number)
    return [np.sort(order[part::parts]) for part in range(parts)]


def _margin(process: Process) -> float:
    """The 95 % quantile of the errors on held-out networks over the process's own deviations (as in jackknife+).

    Barber et al. 2021. A process alone is too sure of itself, since its parameters were chosen on the very rows it
    speaks of; so the errors are those of processes fitted anew without the row.
    """
    number, latency_N, inputs = len(process.inputs), process.latency_ms_N, process.inputs
    errors_N = np.zeros(number)
    for held in folds(number, FOLDS):
        kept = np.setdiff1d(np.arange(number), held)
        other = Process.fit(process.kernel, inputs.rows(kept), latency_N[kept], rows=ROWS_FOR_PARAMETERS * 2 // 3)
        errors_N[held] = np.abs(latency_N[held] - other.predict(inputs.rows(held))[0])
    scores = np.sort(errors_N / process.left_out_deviations())
    return float(scores[min(math.ceil(COVERAGE * (number + 1)), number) - 1])


def _read_form(values: Mapping[str, Any]) -> tuple[Form, list[Any]]:
    kind = values["form"].get("kind") if isinstance(values["form"], Mapping) else None
    if kind == "tokens":
        return TokenTable.from_dict(values["form"]), list(values["inputs"])
    if kind == "architectures":
        networks = [Architecture.parse(text) for text in values["inputs"]]
        return ArchitectureForm.from_dict(values["form"]), networks
    raise UsageError(f"no predictor: its form is {values['form']!r}; expected kind 'tokens' or 'architectures'")
