"""What a search hands over, as plain values that survive JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nasfit.errors import StudyError
from nasfit.objective import pareto_front


@dataclass(frozen=True)
class Contender:
    """One network of the final comparison: trained by the final recipe, tested once, measured in one session.

    origin: `found` or `baseline`. latency_ms: of the exported file; low_ms, high_ms: its interval. accuracy: top-1 on
    the test set, 0 to 1, of the file that ships; fp32_accuracy: of the network before it became an int8 file, else
    None. inherited: share of its parameters, 0 to 1, that its final training began with trained; baselines begin with
    fresh ones. size_bytes: of the file; peak_memory_mb: of the network in its engine, where the device tells.
    over_bounds: which bound on file or memory it breaks. parity: largest relative difference between exported file and
    module. file, weights: names in the study directory; onnx: the same network as ONNX, None where `file` is that.
    """

    name: str
    origin: str
    architecture: str
    accuracy: float
    latency_ms: float
    low_ms: float
    high_ms: float
    parameters: int
    madds: int
    parity: float
    file: str
    weights: str
    size_bytes: int
    onnx: str | None = None
    peak_memory_mb: float | None = None
    fp32_accuracy: float | None = None
    inherited: float = 0.0
    over_bounds: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RandomShare:
    """What random search would have done: the first batch is random points.

    trials, trained: of the random ones. best: their best reward. expected: best reward expected of as many random
    trained points as the search trained (normal fit to their upper half); low, high: its 90 % interval, None where that
    half is all equal, and in a study of an earlier version. found: the search's best reward. number: networks that the
    search trained, random ones included; 0 in a study of an earlier version.
    """

    trials: int
    trained: int
    best: float | None
    expected: float | None
    found: float | None
    low: float | None = None
    high: float | None = None
    number: int = 0

    @property
    def verdict(self) -> str | None:
        """`better` or `worse` than random search with 90 % confidence, `unclear` within; None where none is told."""
        if self.low is None or self.high is None or self.found is None:
            return None
        if self.low <= self.found <= self.high:
            return "unclear"
        return "better" if self.found > self.high else "worse"


@dataclass(frozen=True)
class Result:
    """The end of a search.

    best: index of the network handed over, chosen on validation accuracy before any test; None where no network meets
    the limit. final_images: pictures each contender trained on. cost_s: seconds by kind of work. versions: of the
    software. conditions: of the final measurement. failures: networks that dropped out, by name, with the reason.
    """

    contenders: tuple[Contender, ...]
    best: int | None
    final_images: int
    random: RandomShare
    cost_s: dict[str, float]
    versions: dict[str, str]
    conditions: dict[str, Any]
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def found(self) -> tuple[Contender, ...]:
        """The search's own networks."""
        return tuple(contender for contender in self.contenders if contender.origin == "found")

    @property
    def baselines(self) -> tuple[Contender, ...]:
        """The published networks trained beside them."""
        return tuple(contender for contender in self.contenders if contender.origin == "baseline")

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the study keeps them."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Result:
        """Inverse of `as_json`. Raises StudyError for unknown or missing fields."""
        expected = {field.name for field in fields(cls)}
        if set(document) != expected:
            raise StudyError(f"the stored result has fields {sorted(document)}; expected {sorted(expected)}")
        try:
            contenders = tuple(Contender(**{**c, "warnings": tuple(c["warnings"])}) for c in document["contenders"])
            random = RandomShare(**document["random"])
        except (TypeError, KeyError) as error:
            raise StudyError(f"the stored result does not read ({error}); it may be of another nasfit") from error
        return cls(**{**document, "contenders": contenders, "random": random})


def best_within(contenders: Sequence[Contender], max_ms: float) -> int | None:
    """Place of the first of the search's networks, in their order before the test, whose file meets limit and bounds.

    contenders: of a result. max_ms: the limit. None where no network meets it.
    """
    own = [place for place, contender in enumerate(contenders) if contender.origin == "found"]
    meeting = [place for place in own if contenders[place].latency_ms <= max_ms and not contenders[place].over_bounds]
    return meeting[0] if meeting else None


def speedup(contender: Contender, baselines: tuple[Contender, ...]) -> float | None:
    """How many times faster than the most accurate baseline that it equals or beats in accuracy.

    Only baselines on their own front count; None where every one of them is more accurate.
    """
    front = pareto_front([(baseline.accuracy, baseline.latency_ms) for baseline in baselines])
    matched = [baselines[index].latency_ms for index in front if baselines[index].accuracy <= contender.accuracy]
    return max(matched) / contender.latency_ms if matched else None


def gain(contender: Contender, baselines: tuple[Contender, ...]) -> float | None:
    """Accuracy (0 to 1) above the most accurate baseline that is at least as fast; None where none is."""
    as_fast = [baseline.accuracy for baseline in baselines if baseline.latency_ms <= contender.latency_ms]
    return contender.accuracy - max(as_fast) if as_fast else None
