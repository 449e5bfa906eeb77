"""Every exception and warning of nasfit, one tree.

A `NasfitError` is meant for the user: its text says what is wrong, what was got, and what to do next.
The command line prints that text alone and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasfitError(Exception):
    """Root of all errors a user can cause or mend."""

    exit_code = 2


class UsageError(NasfitError, ValueError):
    """An argument is out of range, malformed or contradicts another."""


class UnknownNameError(UsageError):
    """A name that is not in a list of known names; suggests the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class ArchitectureError(UsageError):
    """A text or a set of values that describes no architecture, or one outside the space at hand."""


class WeightsError(UsageError):
    """A file of weights that cannot be read, or that is of another network."""


class DataError(NasfitError, ValueError):
    """Pictures that are missing, unreadable or too few to train on."""


class StudyError(NasfitError):
    """A study directory that cannot be opened, written or continued."""


class StudyBusy(StudyError):
    """Another process drives the study."""


class DeviceError(NasfitError):
    """A device or an engine on it that is absent or does not answer."""


class DeviceGone(DeviceError):
    """Unplugged, rebooting or cut off: the device may come back, so whoever measures waits and tries again."""


class MissingExtraError(NasfitError, ImportError):
    """An optional package is needed; names the extra that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package; install it with: pip install 'nasfit[{extra}]'")


class ExtensionError(NasfitError):
    """A part that another package adds does not load, or has a name that is taken; names package and entry point."""


class TrialFailure(NasfitError):
    """One trial cannot be finished; its text becomes the reason of a FAILED trial and the search goes on."""


class TrainingError(NasfitError):
    """A full training that cannot go on, or a file of weights that does not fit the network."""


class NasfitWarning(UserWarning):
    """A result that stands but deserves doubt."""
