"""What the guided strategy knows of a space: models of accuracy, latency and bounds, fitted to all that was told.

N = points known, M = points asked about, S = functions, D = decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nasfit.errors import UsageError
from nasfit.space import Tokens
from nasfit.strategies.contract import Hint, Look, Outcome
from nasfit.strategies.structure import possible_groups
from nasfit.strategies.surrogate import LOG, LOG_ERROR, PLAIN, Form, Surrogate, Warp, fit
from nasfit.strategies.surrogate_kernel import Kernel
from nasfit.strategies.surrogate_layout import Encoded, Layout

# Terms are weighed anew each time that the points known have grown by this factor, from the first number to the last.
FIRST_WEIGHED, GROWTH, LAST_WEIGHED = 8, 1.3, 240
# Ways to cut a space into blocks are compared up to so many points; after that the choice stands.
LAST_COMPARED = 130
# A model is conditioned on at most so many points: those that matter most, the latest, and others spread over the rest.
MOST_POINTS, BEST, LATEST = 500, 200, 150


@dataclass(frozen=True)
class Known:
    """Points with a value each, in the order they became known, and how much each matters (higher is more)."""

    points: Sequence[Tokens]
    value_N: np.ndarray
    matters_N: np.ndarray

    @classmethod
    def of(cls, values: Mapping[Tokens, float], matters_N: np.ndarray | None = None) -> Known:
        """From values by point, one or more; where nothing is said the larger values matter."""
        value_N = np.array(list(values.values()), dtype=float)
        return cls(list(values), value_N, value_N if matters_N is None else matters_N)

    def first(self, number: int) -> Known:
        """The earliest of them."""
        return Known(self.points[:number], self.value_N[:number], self.matters_N[:number])

    def rows(self, places: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Some of the points, or all, as rows of option indices (N, D); to turn thousands takes milliseconds."""
        chosen = self.points if places is None else [self.points[place] for place in places]
        return np.array(chosen, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.value_N)


@dataclass
class Model:
    """A model of one kind of value; `conditioned` gives it for what is known now.

    Which terms count is learnt from the first so many known points, a number that grows by steps: so it follows from
    what was told alone, not from when it was asked. Raises UsageError where groups do not add up to the decisions.
    """

    option_counts: tuple[int, ...]
    groups: tuple[int, ...] | None
    warps: tuple[Warp, ...] = (PLAIN,)
    hints: tuple[ScaledHint, ...] = ()
    _weighed: tuple[tuple[bytes, list[Warp]], Form] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.groups is not None:
            Layout(self.option_counts, self.groups)

    def conditioned(self, known: Known) -> Conditioned:
        """The model given what is known; at least two points."""
        kept = _kept(known)
        form = self._form(known)
        points = self.encoded(form, known.rows(kept))
        return Conditioned(self, form, Surrogate(form, points, known.value_N[kept]))

    def encoded(self, form: Form, points_ND: np.ndarray) -> Encoded:
        """Points as the form reads them, hints included."""
        columns = [hint(points_ND) for hint in self.hints]
        return form.kernel.layout.encoded(points_ND, np.stack(columns, axis=1) if columns else None)

    def _form(self, known: Known) -> Form:
        # A value that a warp has no number for, such as an accuracy of 1, may come after the first ones.
        with np.errstate(all="ignore"):
            warps = [warp for warp in self.warps if np.isfinite(warp.there(known.value_N)).all()]
        first = known.first(_step(len(known)))
        key = first.rows().tobytes() + first.value_N.tobytes(), warps
        if self._weighed is None or self._weighed[0] != key:
            self._weighed = key, self._weigh(first, warps)
        return self._weighed[1]

    def _weigh(self, known: Known, warps: Sequence[Warp]) -> Form:
        found = []
        for groups in self._cuts(known, warps):
            kernel = Kernel(Layout(self.option_counts, groups), len(self.hints))
            columns = [hint(known.rows()) for hint in self.hints]
            data = kernel.layout.encoded(known.rows(), np.stack(columns, axis=1) if columns else None)
            found.append(fit(kernel, data, known.value_N, warps))
        return max(found, key=lambda form: form[1])[0]

    def _cuts(self, known: Known, warps: Sequence[Warp]) -> list[tuple[int, ...]]:
        if self.groups is not None:
            return [self.groups]
        cuts = possible_groups(self.option_counts)
        # A handful of points cannot tell; option counts can.
        if len(known) < 2 * FIRST_WEIGHED or len(cuts) == 1:
            return cuts[:1]
        if len(known) <= LAST_COMPARED:
            return cuts
        return [self._weigh(known.first(LAST_COMPARED), warps).kernel.layout.groups]


@dataclass(frozen=True)
class Conditioned:
    """A model and what it says now."""

    model: Model
    form: Form
    surrogate: Surrogate

    def encoded(self, points_ND: np.ndarray) -> Encoded:
        """Points as this model reads them."""
        return self.model.encoded(self.form, points_ND)

    def mean(self, points_ND: np.ndarray) -> np.ndarray:
        """Values to expect (M,)."""
        return self.surrogate.mean(self.encoded(points_ND))

    def draws(self, points_ND: np.ndarray, functions: int, generator: np.random.Generator) -> np.ndarray:
        """Values (S, M) of functions drawn, the points jointly."""
        return self.surrogate.draws(self.encoded(points_ND), functions, generator)

    def apart(self, points_ND: np.ndarray, normal_SM: np.ndarray) -> np.ndarray:
        """Values (S, M) drawn for each point by itself. normal_SM: standard normal numbers, or (S, 1)."""
        mean_M, deviation_M = self.surrogate.apart(self.encoded(points_ND))
        return self.surrogate.unwarped(mean_M + normal_SM * deviation_M)

    def surfaces(self, means: int, drawn: int, generator: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
        """Functions over the space: the mean so many times, then drawn ones; points (S, M, D) -> values (S, M)."""
        surface = self.surrogate.surfaces(means, drawn, generator)

        def values(points_SMD: np.ndarray) -> np.ndarray:
            functions, number, decisions = points_SMD.shape
            return surface(self.encoded(points_SMD.reshape(-1, decisions)), (functions, number))

        return values


@dataclass(frozen=True)
class ScaledHint:
    """A hint brought to mean 0 and deviation 1 over the space."""

    hint: Hint
    mean: float
    deviation: float

    @classmethod
    def of(cls, hint: Hint, option_counts: Sequence[int]) -> ScaledHint:
        """Scaled by 256 points of the space. Raises UsageError where the hint gives no finite number a point."""
        values = _hinted(hint, np.random.default_rng(0).integers(option_counts, size=(256, len(option_counts))))
        return cls(hint, float(values.mean()), float(values.std() + 1e-12))

    def __call__(self, points_ND: np.ndarray) -> np.ndarray:
        """Scaled values (N,), within 5 deviations. Raises UsageError as `of` does."""
        return np.clip((_hinted(self.hint, points_ND) - self.mean) / self.deviation, -5.0, 5.0)


def _hinted(hint: Hint, points_ND: np.ndarray) -> np.ndarray:
    values = np.asarray(hint([tuple(row) for row in points_ND.tolist()]), dtype=float)
    if values.shape != (len(points_ND),) or not np.isfinite(values).all():
        raise UsageError(
            f"a hint gave {values.size} values for {len(points_ND)} points, {int(np.isfinite(values).sum())} of them "
            f"finite; it must give one finite number a point"
        )
    return values


def hint_from(option_counts: Sequence[int], groups: Sequence[int] | None, rows: Sequence[tuple[Tokens, float]]) -> Hint:
    """A guess at any point from values known at some, such as an earlier study's accuracies.

    rows: points and their values, two or more. Raises UsageError for fewer, or for points outside the space.
    """
    if len(rows) < 2:
        raise UsageError(f"a hint is made from two points or more, got {len(rows)}; leave it out")
    known = Known.of(dict(rows))
    points_ND = known.rows()
    if points_ND.shape[1:] != (len(option_counts),) or (points_ND < 0).any() or (points_ND >= option_counts).any():
        raise UsageError(f"a hint's points lie outside the space with option counts {tuple(option_counts)}")
    model = Model(tuple(option_counts), None if groups is None else tuple(groups)).conditioned(known)
    surface = model.surfaces(1, 0, np.random.default_rng(0))
    return lambda points: surface(np.array(points, dtype=np.int64)[None])[0].tolist()


def accuracy_model(option_counts: tuple[int, ...], groups: tuple[int, ...] | None, hints: Sequence[Hint]) -> Model:
    """Of accuracies, or of what else is trained for."""
    return Model(option_counts, groups, (PLAIN, LOG_ERROR), tuple(ScaledHint.of(h, option_counts) for h in hints))


def latency_model(option_counts: tuple[int, ...], groups: tuple[int, ...] | None, hints: Sequence[Hint]) -> Model:
    """Of latencies."""
    return Model(option_counts, groups, (PLAIN, LOG), tuple(ScaledHint.of(h, option_counts) for h in hints))


def known_latencies(looks: Mapping[Tokens, Look | None], told: Sequence[Outcome]) -> dict[Tokens, float]:
    """Latencies by point: those looked up, in order, then those told besides."""
    found = {tokens: look.latency_ms for tokens, look in looks.items() if look is not None}
    for outcome in told:
        if outcome.latency_ms is not None:
            found.setdefault(outcome.tokens, outcome.latency_ms)
    return found


def known_excesses(looks: Mapping[Tokens, Look | None], told: Sequence[Outcome]) -> dict[Tokens, float]:
    """Excesses by point, in the same order."""
    found = {tokens: look.excess for tokens, look in looks.items() if look is not None and look.excess is not None}
    for outcome in told:
        if outcome.excess is not None:
            found.setdefault(outcome.tokens, outcome.excess)
    return found


def _step(number: int) -> int:
    """The largest of the growing numbers that is at most `number`; all of them below the first."""
    if number < FIRST_WEIGHED:
        return number
    step = FIRST_WEIGHED
    while (larger := int(step * GROWTH) + 1) <= min(number, LAST_WEIGHED):
        step = larger
    return step


def _kept(known: Known) -> np.ndarray:
    """Which points a model is conditioned on."""
    number = len(known)
    if number <= MOST_POINTS:
        return np.arange(number)
    best = np.argsort(-known.matters_N, kind="stable")[:BEST]
    kept = np.union1d(best, np.arange(number - LATEST, number))
    rest = np.setdiff1d(np.arange(number), kept)
    return np.union1d(kept, rest[np.linspace(0, len(rest) - 1, MOST_POINTS - len(kept)).astype(np.int64)])
