"""The search: ask -> evaluate -> reward -> tell -> record, then the finale. The only joint of the house.

The package is called as well: `nasfit.search(...)` is `nasfit.search.search(...)`, see there. The names of `public`
load on first use, and torch with them; what reads a finished study needs neither.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasfit.search.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("nasfit.search.public"), name)


class _Called(ModuleType):
    """A package that is also the function of its name, since one name cannot be two attributes of `nasfit`."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return __getattr__("search")(*arguments, **named)


sys.modules[__name__].__class__ = _Called
