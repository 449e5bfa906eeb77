"""What a search tells while it runs. The loop yields these; progress bars, printers and reports subscribe."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.search.plan import Plan
from nasfit.search.proxy_choice import ProxyChoice
from nasfit.search.result import Result
from nasfit.search.settings import Settings
from nasfit.study import Trial


@dataclass(frozen=True)
class Prepared:
    """The study is open and the pictures are decoded; notes: one line each."""

    notes: tuple[str, ...]
    resumed: int


@dataclass(frozen=True)
class Planned:
    """The calibration has chosen."""

    plan: Plan
    settings: Settings


@dataclass(frozen=True)
class Noted:
    """Something decided on the way, in one sentence."""

    text: str


@dataclass(frozen=True)
class ProxyStep:
    """A training of the proxy check is stored: how many of how many."""

    done: int
    of: int


@dataclass(frozen=True)
class ProxyChosen:
    """The proxy check is done."""

    choice: ProxyChoice


@dataclass(frozen=True)
class TrialFinished:
    """One trial is stored. best: the most accurate under the limit so far. left_s: of the search's share."""

    trial: Trial
    best: Trial | None
    finished: int
    left_s: float


@dataclass(frozen=True)
class FinaleStep:
    """A step of the finale: what is done, and how many of how many."""

    what: str
    done: int
    of: int


@dataclass(frozen=True)
class Finished:
    """The result is stored."""

    result: Result


Event = Prepared | Planned | Noted | ProxyStep | ProxyChosen | TrialFinished | FinaleStep | Finished
