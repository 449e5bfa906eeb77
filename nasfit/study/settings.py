"""Whether a study may be continued with the settings given."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nasfit.errors import StudyError, UsageError


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as JSON gives them back. Raises UsageError for what JSON cannot hold."""
    try:
        values: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"these settings cannot be kept as JSON: {error}") from error
    return values


def changed(
    path: Path, stored: Mapping[str, Any], given: Mapping[str, Any], may_change: Collection[str]
) -> dict[str, Any]:
    """The given values that differ where they may. Raises StudyError listing every other difference."""
    differing = [name for name in sorted({*stored, *given}) if _text(stored, name) != _text(given, name)]
    fixed = [name for name in differing if name not in may_change]
    if fixed:
        lines = [f"  {name}: stored {_text(stored, name)}, given {_text(given, name)}" for name in fixed]
        raise StudyError(
            f"study {str(path)!r} was started with other settings:\n" + "\n".join(lines) + "\n"
            "repeat the stored settings to continue it, or name another directory with --study"
        )
    return {name: given[name] for name in differing if name in given}


def _text(settings: Mapping[str, Any], name: str) -> str:
    if name not in settings:
        return "nothing"
    value = settings[name]
    # The command line gives 3 where a file gives 3.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)
