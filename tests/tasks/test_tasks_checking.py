"""The checker of sources: nasfit's own pass, and each broken promise is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasfit.errors import DataError
from nasfit.tasks import ArraySource, Nature, Split, Wanted, Written, check_task, find

Change = Callable[[Wanted], Wanted]


def arrays() -> tuple[Split, Split]:
    """120 and 30 pictures of noise, 28 px, in three classes by turns."""
    draw = np.random.default_rng(0)
    return tuple(  # type: ignore[return-value]
        Split(draw.integers(0, 256, (number, 28, 28, 3), dtype=np.uint8), np.arange(number) % 3) for number in (120, 30)
    )


GOOD = ArraySource("noise", ("a", "b", "c"), (), arrays, 120)


@dataclass(frozen=True)
class Spoilt:
    """A source that does one thing otherwise than a good one."""

    name: str = "noise"
    identities: Callable[[], object] = lambda: "same"
    side: int = 28
    streams: bool = False
    change: Change = lambda wanted: wanted
    told: tuple[tuple[int, int], ...] = ()
    source: ArraySource = field(default=GOOD)

    def identity(self) -> str:
        return str(self.identities())

    def nature(self, up_to: int) -> Nature:
        return Nature(self.side, self.streams)

    def write(self, directory: Path, wanted: Wanted, progress: Any) -> Written:
        for done, of in self.told:
            if progress is not None:
                progress(done, of)
        return self.source.write(directory, self.change(wanted), None)


def unseeded(calls: count = count()) -> Change:  # type: ignore[type-arg]  # noqa: B008  (lives as long as the test)
    return lambda wanted: replace(wanted, seed=next(calls))


def ordered() -> tuple[Split, Split]:
    train, test = arrays()
    return Split(train.images_NHWC[:], np.where(np.arange(120) < 119, 0, 1)), test


def test_sources_of_nasfits_own_pass(pictures: Path) -> None:
    check_task(GOOD)
    check_task(find(pictures))


@pytest.mark.parametrize(
    ("spoilt", "promise"),
    [
        (Spoilt(name=""), "a name, as text"),
        (Spoilt(identities=iter(range(9)).__next__), "identity.. gives the same twice"),
        (Spoilt(side=100), "a side of 1 to 64 px, got 100"),
        (Spoilt(change=lambda w: replace(w, resolution=28)), "the resolution asked for, 32 px, got 28"),
        (Spoilt(source=replace(GOOD, reader=ordered)), "training pictures of every class"),
        (Spoilt(change=unseeded()), "the same pictures in the same order for the same seed"),
        (Spoilt(change=lambda w: replace(w, seed=0)), "another order for another seed"),
        (Spoilt(change=lambda w: replace(w, pictures=None)), "at most 9 training pictures"),
        (Spoilt(change=lambda w: replace(w, validation=w.validation and 0.3)), "a validation share of 0.5"),
        (Spoilt(told=((5, 3),)), "progress of 0 to all pictures"),
        (Spoilt(told=((1, 3),)), "progress that ends with all pictures"),
        (Spoilt(change=lambda w: replace(w, stream=False)), "UsageError where pictures are to be brought one by one"),
        (Spoilt(change=lambda w: 1 / 0), "can be written; got ZeroDivisionError"),  # type: ignore[arg-type, return-value]
    ],
)
def test_each_broken_promise_is_named(spoilt: Spoilt, promise: str) -> None:
    with pytest.raises(DataError, match=f"the source breaks its contract; promised: .*{promise}"):
        check_task(spoilt)
