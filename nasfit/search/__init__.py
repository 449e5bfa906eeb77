"""The search: ask -> evaluate -> reward -> tell -> record, then the finale. The only joint of the house.

The names of `public` load on first use, and torch with them; what reads a finished study needs neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasfit.search.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("nasfit.search.public"), name)
