"""The public names of the package, all at once."""

from nasfit.search.best_trials import best_under, front_of
from nasfit.search.calibrating import extreme
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
from nasfit.search.plan import Plan
from nasfit.search.proxy_check import ProxyCheck, ProxyPair
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
