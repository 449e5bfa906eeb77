"""Parts that other packages add to nasfit: devices, engines, strategies, tasks and stores, by their entry points.

A package names them in its pyproject.toml, here a strategy that is then asked for as `--strategy climb`:

    [project.entry-points."nasfit.strategies"]
    climb = "nasfit_climb:Climb"

Nothing of a package is imported until its part is asked for by name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nasfit.errors import ExtensionError, NasfitError, UnknownNameError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = ("nasfit.devices", "nasfit.engines", "nasfit.strategies", "nasfit.tasks", "nasfit.stores")


@dataclass(frozen=True)
class ExtensionPoint:
    """A kind of part that packages can add.

    group: of their entry points, one of `GROUPS`. kind: its word in messages. own: names that nasfit has itself, which
    no package can take. offers: what a made part must have, by name.
    """

    group: str
    kind: str
    own: tuple[str, ...]
    offers: tuple[str, ...] = ()

    def added(self) -> tuple[str, ...]:
        """Names that packages add, sorted; nothing is imported."""
        return tuple(sorted({entry.name for entry in self._entries()} - set(self.own)))

    def adds(self, name: str) -> bool:
        """Whether a package adds this name. Raises ExtensionError where its meaning is not clear, see `require`."""
        found = [entry for entry in self._entries() if entry.name == name]
        if found and name in self.own:
            raise ExtensionError(
                f"{self._told(found[0])} has the name of one that nasfit has itself; remove that package "
                f"(pip uninstall {_package(found[0])}), or have its author give it another name"
            )
        if len(found) > 1:
            raise ExtensionError(
                f"{self._told(found[0])} and {self._told(found[1])} have one name; remove one of the two packages"
            )
        return bool(found)

    def require(self, name: str, option: str | None = None) -> None:
        """Raises UnknownNameError for a name that neither nasfit nor a package has.

        option: what the name was given as. Raises ExtensionError where two packages, or one and nasfit, have it.
        """
        if not self.adds(name) and name not in self.own:
            raise UnknownNameError(option or self.kind, name, self.own + self.added())

    def load(self, name: str) -> Any:
        """What the entry point of this name refers to, imported now.

        Raises UnknownNameError, and ExtensionError that names package and entry point where it does not import.
        """
        entry = self._entry(name)
        try:
            return entry.load()
        except Exception as error:  # a package may raise anything while it is imported
            raise self._broken(entry, "does not load", error) from error

    def make(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What it refers to, called. Raises as `load`, the part's own NasfitErrors, ExtensionError for all others."""
        entry, factory = self._entry(name), self.load(name)
        try:
            made = factory(*arguments, **named)
        except NasfitError:
            raise
        except Exception as error:  # as above
            raise self._broken(entry, "cannot be made", error) from error
        missing = [what for what in self.offers if not hasattr(made, what)]
        if missing:
            raise self.wrong(name, f"has no {', '.join(missing)}")
        return made

    def wrong(self, name: str, why: str) -> ExtensionError:
        """The error to raise for a package's part that is not what it must be. why: "has no weights" for example."""
        entry = self._entry(name)
        return ExtensionError(f"{self._told(entry)} {why}; {_advice(entry)}")

    def _entry(self, name: str) -> EntryPoint:
        self.require(name)
        return next(entry for entry in self._entries() if entry.name == name)

    def _entries(self) -> Sequence[EntryPoint]:
        return _entries_of(self.group, tuple(sys.path))

    def _told(self, entry: EntryPoint) -> str:
        return f"{self.kind} {entry.name!r} of package {_package(entry)} (entry point {entry.value})"

    def _broken(self, entry: EntryPoint, how: str, error: Exception) -> ExtensionError:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return ExtensionError(f"{self._told(entry)} {how}: {what}; {_advice(entry)}")


def culprit(error: BaseException) -> str | None:
    """The package whose part raised an error that is none of nasfit's own, as messages call it; None where none did."""
    try:
        entries = [entry for group in GROUPS for entry in _entries_of(group, tuple(sys.path))]
    except ExtensionError:  # somebody's entry points do not read, which is not what is asked here
        return None
    modules = {entry.module.partition(".")[0]: _package(entry) for entry in entries}
    names, trace = list[str](), error.__traceback__
    while trace is not None:
        names.append(str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        trace = trace.tb_next
    return next((modules[name] for name in reversed(names) if name in modules), None)


@cache
def _entries_of(group: str, _: tuple[str, ...]) -> Sequence[EntryPoint]:
    from importlib.metadata import entry_points

    try:
        return tuple(entry_points(group=group))
    except Exception as error:  # a file of some package, written by hand
        raise ExtensionError(
            f"the entry points of this Python's packages cannot be read ({type(error).__name__}: {error}); find the "
            "package whose entry_points.txt is damaged, and install it anew"
        ) from error


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module.partition(".")[0]


def _advice(entry: EntryPoint) -> str:
    package = _package(entry)
    return f"update the package (pip install --upgrade {package}), or remove it (pip uninstall {package})"
