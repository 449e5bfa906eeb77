"""What the one use of the test set told of the network handed over, picture by picture: read from the study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasfit.errors import StudyError
from nasfit.search.result import Result
from nasfit.tasks import Labels, Mistake

EXAMPLES = 12
# Of the same class taken for the same other one, so that a dozen shows more than one confusion.
EXAMPLES_ALIKE = 2


@dataclass(frozen=True)
class ClassResult:
    """One class of the test set: pictures, how many were right, and what the others were taken for, by class."""

    name: str
    pictures: int
    right: int
    taken_for: Mapping[str, int]

    @property
    def accuracy(self) -> float:
        """0 to 1; of a class without pictures 0."""
        return self.right / self.pictures if self.pictures else 0.0


@dataclass(frozen=True)
class Example:
    """A picture of the test set (its row) that the network gets wrong, and how sure it was, 0 to 1."""

    picture: int
    true: str
    given: str
    confidence: float


@dataclass(frozen=True)
class Duel:
    """The network handed over and another one on the same pictures.

    only_own, only_other: pictures that one of the two alone gets right. difference: of the accuracies, with its 95 %
    interval for paired pictures.
    """

    other: str
    only_own: int
    only_other: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class ErrorAnalysis:
    """The network handed over, by name, on the test set. classes: in the order of the data."""

    network: str
    pictures: int
    classes: tuple[ClassResult, ...]
    examples: tuple[Example, ...]
    duels: tuple[Duel, ...]

    @property
    def mistakes(self) -> int:
        """Pictures that it gets wrong."""
        return self.pictures - sum(one.right for one in self.classes)

    @property
    def confusions(self) -> list[tuple[str, str, int]]:
        """(true, given, pictures) of everything that was confused, the most frequent first."""
        found = [(one.name, given, number) for one in self.classes for given, number in one.taken_for.items()]
        return sorted(found, key=lambda confusion: -confusion[2])


def error_analysis(
    result: Result, finals: Mapping[str, Any], labels_N: Labels, classes: Sequence[str]
) -> ErrorAnalysis | None:
    """Of the network handed over; None where there is none, or its mistakes were not kept.

    finals: the study's document. labels_N, classes: of its test set. Raises StudyError for what does not fit them.
    """
    if result.best is None:
        return None
    own = result.contenders[result.best].name
    labels_N = np.asarray(labels_N)
    known = {c.name: _mistakes(finals, c.name, len(labels_N), len(classes)) for c in result.contenders}
    mistakes = known.pop(own)
    if mistakes is None:
        return None
    duels = tuple(_duel(name, mistakes, other, len(labels_N)) for name, other in known.items() if other is not None)
    examples = tuple(_examples(mistakes, labels_N, classes))
    return ErrorAnalysis(own, len(labels_N), tuple(_classes(mistakes, labels_N, classes)), examples, duels)


def _mistakes(finals: Mapping[str, Any], name: str, pictures: int, classes: int) -> list[Mistake] | None:
    stored = finals.get(name, {}).get("mistakes")
    if stored is None:
        return None
    try:
        mistakes = [Mistake(int(picture), int(given), float(sure)) for picture, given, sure in stored]
    except (TypeError, ValueError) as error:
        raise StudyError(f"the mistakes of {name!r} do not read ({error}); the study may be damaged") from None
    if not all(0 <= one.picture < pictures and 0 <= one.given < classes for one in mistakes):
        raise StudyError(
            f"the mistakes of {name!r} name pictures or classes that the test set does not have; its pictures may be "
            f"those of another study"
        )
    return mistakes


def _classes(mistakes: Iterable[Mistake], labels_N: Labels, classes: Sequence[str]) -> Iterable[ClassResult]:
    numbers = np.bincount(labels_N, minlength=len(classes))
    given: dict[int, Counter[str]] = {}
    for one in mistakes:
        given.setdefault(int(labels_N[one.picture]), Counter())[classes[one.given]] += 1
    for label, name in enumerate(classes):
        taken_for = given.get(label, Counter())
        yield ClassResult(name, int(numbers[label]), int(numbers[label]) - taken_for.total(), taken_for)


def _examples(mistakes: Iterable[Mistake], labels_N: Labels, classes: Sequence[str]) -> Iterable[Example]:
    """Those that it was surest of, few of one confusion."""
    alike: Counter[tuple[int, int]] = Counter()
    for one in sorted(mistakes, key=lambda mistake: (-mistake.confidence, mistake.picture)):
        confusion = (int(labels_N[one.picture]), one.given)
        alike[confusion] += 1
        if alike[confusion] <= EXAMPLES_ALIKE:
            yield Example(one.picture, classes[confusion[0]], classes[one.given], one.confidence)
        if sum(min(number, EXAMPLES_ALIKE) for number in alike.values()) >= EXAMPLES:
            return


def _duel(name: str, own: Iterable[Mistake], other: Iterable[Mistake], pictures: int) -> Duel:
    """The interval of a difference of paired shares: Agresti and Min 2005, which holds for few pictures too."""
    own_wrong, other_wrong = ({one.picture for one in mistakes} for mistakes in (own, other))
    only_own, only_other = len(other_wrong - own_wrong), len(own_wrong - other_wrong)
    # Half a picture more in each of the four cells.
    number, apart = pictures + 2, only_own - only_other
    middle = apart / number
    room = 1.96 * math.sqrt((only_own + only_other + 1) / number - middle**2) / math.sqrt(number)
    return Duel(name, only_own, only_other, apart / pictures, middle - room, middle + room)
