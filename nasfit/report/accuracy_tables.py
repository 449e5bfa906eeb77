"""Tables of the test: class by class, what is taken for what, network against network on the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.report.error_analysis import ClassResult, ErrorAnalysis
from nasfit.report.headline import wilson
from nasfit.report.tables import MOST_ROWS, Table
from nasfit.report.wording import percent, points

# A matrix of more classes is wider than a page.
MOST_IN_MATRIX = 20
MOST_CONFUSIONS = 20


def by_class(errors: ErrorAnalysis) -> Table:
    """Accuracy of each class, the worst first; of thousands of classes the worst."""
    order = sorted(errors.classes, key=lambda one: one.accuracy)
    shown = order[:MOST_ROWS]
    caption = "Test accuracy by class, the worst first; 95 % interval of Wilson"
    if len(shown) < len(order):
        caption = f"{caption}; the worst {MOST_ROWS:,} of {len(order):,} classes"
    heads = ("class", "pictures", "accuracy", "95 % interval", "most often taken for")
    return Table(caption, heads, tuple(_row(one) for one in shown), frozenset((1, 2, 3)))


def confusions(errors: ErrorAnalysis) -> Table:
    """The most frequent confusions."""
    rows = tuple(
        (true, given, f"{number:,}", percent(number / errors.mistakes))
        for true, given, number in errors.confusions[:MOST_CONFUSIONS]
    )
    heads = ("class", "taken for", "pictures", "of all mistakes")
    return Table("The most frequent confusions", heads, rows, frozenset((2, 3)))


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix. share: of the row's pictures, 0 to 1. right: whether it lies on the diagonal."""

    pictures: int
    share: float
    right: bool


@dataclass(frozen=True)
class Matrix:
    """A row for each class, a column for each class it is taken for."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def matrix(errors: ErrorAnalysis) -> Matrix | None:
    """The confusion matrix; None where there are too many classes to show it."""
    if len(errors.classes) > MOST_IN_MATRIX:
        return None
    names = tuple(one.name for one in errors.classes)
    return Matrix(names, tuple(tuple(_cell(one, given) for given in names) for one in errors.classes))


def duels(errors: ErrorAnalysis) -> Table | None:
    """The network handed over against each other one; None where nothing is known of the others."""
    if not errors.duels:
        return None
    rows = tuple(
        (
            duel.other,
            f"{duel.only_own:,}",
            f"{duel.only_other:,}",
            points(duel.difference),
            f"{points(duel.low).removesuffix(' points')} to {points(duel.high)}",
        )
        for duel in sorted(errors.duels, key=lambda duel: duel.difference)
    )
    caption = (
        f"{errors.network} against each other network on the same {errors.pictures:,} pictures; 95 % interval of the "
        f"difference for paired pictures"
    )
    heads = ("network", f"only {errors.network} right", "only the other right", "difference", "95 % interval")
    return Table(caption, heads, rows, frozenset((1, 2, 3, 4)))


def _row(one: ClassResult) -> tuple[str, ...]:
    low, high = wilson(one.right, one.pictures)
    worst = max(one.taken_for, key=lambda name: one.taken_for[name], default=None)
    told = "–" if worst is None else f"{worst} ({one.taken_for[worst]:,})"
    if not one.pictures:
        return one.name, "0", "–", "–", told
    return one.name, f"{one.pictures:,}", percent(one.accuracy), f"{percent(low)} to {percent(high)}", told


def _cell(one: ClassResult, given: str) -> Cell:
    pictures = one.right if given == one.name else one.taken_for.get(given, 0)
    return Cell(pictures, pictures / max(1, one.pictures), given == one.name)
