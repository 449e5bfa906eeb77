"""Where the accuracies of a study come from: asked for, or chosen by what has been measured."""

from __future__ import annotations

from dataclasses import replace

from nasfit.search.plan import Plan
from nasfit.search.settings import AUTO, Settings

# End to end no cheaper way has found better networks in the same time; see decision 0011.
PROVEN = "standalone"


def with_evaluator(plan: Plan, settings: Settings) -> Plan:
    """The plan with its evaluator and why it is that one.

    Proxy accuracies are cheap in several ways, but what counts is the network that a search of the same time ends with.
    `auto` takes another way only where that was measured to be better.
    """
    if settings.evaluator != AUTO:
        return replace(plan, evaluator=settings.evaluator, evaluator_reason="asked for")
    reason = "no cheaper way was measured to end in better networks"
    return replace(plan, evaluator=PROVEN, evaluator_reason=reason)
