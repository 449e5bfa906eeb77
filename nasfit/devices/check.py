"""What one step of a device's diagnosis found."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """One step: what was checked, whether it holds, what was found, what to do where it does not (else empty)."""

    what: str
    ok: bool
    told: str
    fix: str
