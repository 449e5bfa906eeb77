"""The search: ask -> evaluate -> reward -> tell -> record, then the finale. The only joint of the house.

The package is called as well: `nasfit.search(...)` is `nasfit.search.search(...)`, see there.
"""

import sys
from types import ModuleType
from typing import Any

from nasfit.search.entrants import promotions
from nasfit.search.events import (
    Event,
    FinaleStep,
    Finished,
    Noted,
    Planned,
    Prepared,
    ProxyChosen,
    ProxyStep,
    TrialFinished,
)
from nasfit.search.findings import Findings, open_study, search
from nasfit.search.full_run import FullEvent, FullFinished, FullPlanned, run_full_training
from nasfit.search.full_settings import FullSettings
from nasfit.search.goal import goal_of, judged
from nasfit.search.loop import best_under, front_of
from nasfit.search.plan import Plan, extreme
from nasfit.search.proxy import ProxyCheck, ProxyPair
from nasfit.search.proxy_choice import ProxyChoice
from nasfit.search.proxy_study import ProxySettings, check_proxy
from nasfit.search.result import Contender, RandomShare, Result, gain, speedup
from nasfit.search.run import run_search, versions
from nasfit.search.settings import MAY_CHANGE, Settings
from nasfit.search.table import TableSearch, search_table

__all__ = [
    "MAY_CHANGE",
    "Contender",
    "Event",
    "FinaleStep",
    "Findings",
    "Finished",
    "FullEvent",
    "FullFinished",
    "FullPlanned",
    "FullSettings",
    "Noted",
    "Plan",
    "Planned",
    "Prepared",
    "ProxyCheck",
    "ProxyChoice",
    "ProxyChosen",
    "ProxyPair",
    "ProxySettings",
    "ProxyStep",
    "RandomShare",
    "Result",
    "Settings",
    "TableSearch",
    "TrialFinished",
    "best_under",
    "check_proxy",
    "extreme",
    "front_of",
    "gain",
    "goal_of",
    "judged",
    "open_study",
    "promotions",
    "run_full_training",
    "run_search",
    "search",
    "search_table",
    "speedup",
    "versions",
]


class _Called(ModuleType):
    """A package that is also the function of its name, since one name cannot be two attributes of `nasfit`."""

    def __call__(self, *arguments: Any, **named: Any) -> Findings:
        return search(*arguments, **named)


sys.modules[__name__].__class__ = _Called
