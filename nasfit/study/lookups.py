"""Latencies looked up before training, as the study keeps them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from nasfit.errors import UsageError
from nasfit.study.tables import LOOKUPS, Opened


@dataclass(frozen=True)
class LookedUp:
    """What a look at a point told.

    latency_ms: above 0; None where the point cannot run. excess: by which share the bound broken worst is exceeded;
    None without bounds. reason: why it cannot run, one line. Raises UsageError for values out of range.
    """

    tokens: tuple[int, ...]
    latency_ms: float | None
    excess: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        # SQLite keeps NaN as NULL, without a word.
        if self.latency_ms is not None and not 0 < self.latency_ms < math.inf:
            raise UsageError(f"looked up {self.tokens}: {self.latency_ms} ms; it must be finite and above 0")
        if self.excess is not None and not math.isfinite(self.excess):
            raise UsageError(f"looked up {self.tokens}: the excess is {self.excess}; it must be finite")


class LookupLog:
    """What was looked up, in the order of looking. What was added is on the disk when `add` returns."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading, self._writing = reading, writing

    def all(self) -> list[LookedUp]:
        """Everything so far; read from the disk, so keep it where it is needed often."""
        with self._reading() as connection:
            rows = connection.execute(select(LOOKUPS).order_by(LOOKUPS.c.place))
            return [LookedUp(tuple(row.tokens), row.latency_ms, row.excess, row.reason) for row in rows]

    def __len__(self) -> int:
        with self._reading() as connection:
            return int(connection.execute(select(func.count()).select_from(LOOKUPS)).scalar_one())

    def add(self, looks: Sequence[LookedUp]) -> None:
        """Store them, all or none. Raises UsageError where a point comes twice or is there already."""
        if not looks:
            return
        # Plain integers: two spellings of one point would be two keys.
        rows = [{**asdict(look), "tokens": [int(token) for token in look.tokens]} for look in looks]
        try:
            with self._writing() as connection:
                connection.execute(insert(LOOKUPS), rows)
        except IntegrityError as error:
            raise UsageError(
                f"a point of the {len(rows)} given was looked up before ({error.orig}); add each point once"
            ) from error
