"""The checker of the extension point: run it on a source of your own before a search relies on it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from nasfit.errors import DataError, NasfitError, UsageError
from nasfit.promises import Contract
from nasfit.tasks.dataset import ClassificationData
from nasfit.tasks.loading import load_source
from nasfit.tasks.sources import Source, Wanted

_SIDE, _UP_TO = 32, 64
_CONTRACT = Contract("the source", DataError)
_require = _CONTRACT.require


def check_task(source: Source) -> None:
    """Does a source of data keep the contract of `Source`? Decodes its pictures some six times, to 32 px.

    source: yours, such as what your `SourceFactory` makes. Raises DataError naming the first promise that is broken,
    and what the source itself raises where it cannot be read at all.
    """
    _require(isinstance(source.name, str) and bool(source.name), "a name, as text")
    _require(source.identity() == source.identity(), "identity() gives the same twice while nothing changes")
    nature = source.nature(_UP_TO)
    _require(1 <= nature.side <= _UP_TO, f"nature({_UP_TO}) gives a side of 1 to {_UP_TO} px, got {nature.side}")
    with tempfile.TemporaryDirectory(prefix="nasfit-") as folder:
        data = _check_splits(source, Path(folder))
        _check_seed(source, data, Path(folder))
        _check_number(source, data, Path(folder))
        _check_progress(source, Path(folder))
        _check_streaming(source, nature.streams, data, Path(folder))


def _check_splits(source: Source, folder: Path) -> ClassificationData:
    data = _loaded(source, Wanted(resolution=_SIDE), folder)
    _require(data.resolution == _SIDE, f"pictures of the resolution asked for, {_SIDE} px, got {data.resolution}")
    seen = np.unique(np.asarray(data.train.labels_N))
    _require(len(seen) == len(data.classes), f"training pictures of every class, got classes {seen.tolist()}")
    own = _loaded(source, Wanted(), folder)
    _require(24 <= own.resolution <= 512, f"24 to 512 px where no resolution is asked for, got {own.resolution}")
    return data


def _check_seed(source: Source, data: ClassificationData, folder: Path) -> None:
    again = _loaded(source, Wanted(resolution=_SIDE), folder / "again")
    _require(again.fingerprint == data.fingerprint, "the same pictures in the same order for the same seed")
    if len(data.train) > 20:
        other = _loaded(source, Wanted(resolution=_SIDE, seed=1), folder)
        _require(other.fingerprint != data.fingerprint, "another order for another seed")
        labels = np.asarray(data.train.labels_N[: len(data.train) // 2])
        _require(len(np.unique(labels)) > 1, "shuffled pictures, several classes in the first half of train")


def _check_number(source: Source, data: ClassificationData, folder: Path) -> None:
    wanted = 3 * len(data.classes)
    few = _loaded(source, Wanted(resolution=_SIDE, pictures=wanted), folder)
    _require(len(few.train) <= wanted, f"at most {wanted} training pictures where so many are asked for")
    half = _loaded(source, Wanted(resolution=_SIDE, validation=0.5), folder)
    sizes = len(half.train), len(half.validation)
    given = len(half.validation) == len(data.validation)
    even = abs(sizes[0] - sizes[1]) <= len(data.classes)
    _require(given or even, f"a validation share of 0.5, or a split of your own; got {sizes[1]} beside {sizes[0]}")


def _check_progress(source: Source, folder: Path) -> None:
    told = list[tuple[int, int]]()
    load_source(
        source, Wanted(resolution=_SIDE), cache=folder / "told", progress=lambda done, of: told.append((done, of))
    )
    _require(all(0 <= done <= of for done, of in told), f"progress of 0 to all pictures, got {told[:3]}")
    _require(not told or told[-1][0] == told[-1][1], f"progress that ends with all pictures, got {told[-1:]}")


def _check_streaming(source: Source, streams: bool, data: ClassificationData, folder: Path) -> None:
    wanted = Wanted(resolution=_SIDE, stream=True)
    if streams:
        brought = _loaded(source, wanted, folder)
        _require(len(brought.train) == len(data.train), "as many pictures brought one by one as decoded at once")
        _require(brought.train.images_NHWC[:2].shape[1:3] == (_SIDE, _SIDE), f"pictures brought at {_SIDE} px")
        return
    try:
        load_source(source, wanted, cache=folder)
    except UsageError:
        return
    except NasfitError:
        pass  # it went on without, and what it wrote does not open
    raise _CONTRACT.broken("UsageError where pictures are to be brought one by one, since nature().streams is False")


def _loaded(source: Source, wanted: Wanted, folder: Path) -> ClassificationData:
    try:
        return load_source(source, wanted, cache=folder)
    except NasfitError:
        raise
    except Exception as error:
        raise _CONTRACT.broken(f"{wanted} can be written; got {type(error).__name__}: {error}") from error
