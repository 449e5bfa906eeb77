"""The search: ask -> evaluate -> reward -> tell -> record, then the finale. The only joint of the house."""

from nasfit.search.entrants import BASELINE_WIDTHS, promotions
from nasfit.search.events import Event, FinaleStep, Finished, Planned, Prepared, TrialFinished
from nasfit.search.loop import best_under
from nasfit.search.plan import Plan, extreme
from nasfit.search.result import Contender, RandomShare, Result, gain, speedup
from nasfit.search.run import run_search, versions
from nasfit.search.settings import MAY_CHANGE, Settings

__all__ = [
    "BASELINE_WIDTHS",
    "MAY_CHANGE",
    "Contender",
    "Event",
    "FinaleStep",
    "Finished",
    "Plan",
    "Planned",
    "Prepared",
    "RandomShare",
    "Result",
    "Settings",
    "TrialFinished",
    "best_under",
    "extreme",
    "gain",
    "promotions",
    "run_search",
    "speedup",
    "versions",
]
